//! The entries themselves, for those who look at what happened.

use quorate_core::Timestamp;
use quorate_core::entry::{Actor, Kind, Stream};
use quorate_core::ids::Digest;
use rusqlite::types::Value;

use super::read::{ReadError, Reader, unreadable};
use super::seal::{Sealed, digest_of, int, micros, micros_up, number};

/// Which entries; all that is left out holds for every entry.
#[derive(Debug, Clone, Default)]
pub struct EntryFilter {
    /// Those after this number.
    pub after_seq: Option<u64>,
    /// Those before this number.
    pub before_seq: Option<u64>,
    /// Of one stream.
    pub stream: Option<Stream>,
    /// Of all streams of one kind.
    pub kind: Option<Kind>,
    /// By one person, or by the gateway.
    pub by: Option<Actor>,
    /// What happened, as its name is written: `vote-cast`.
    pub event: Option<String>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they happened.
    OldestFirst,
    /// The other way round.
    NewestFirst,
}

impl Reader {
    /// The entries that `filter` leaves, at most `limit`.
    pub fn entries(
        &self,
        filter: &EntryFilter,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Sealed>, ReadError> {
        let (conditions, mut values) = conditions(filter);
        let direction = match order {
            Order::OldestFirst => "ASC",
            Order::NewestFirst => "DESC",
        };
        values.push(Value::from(int(limit as u64)));
        let sql = format!(
            "SELECT e.seq, e.json, e.digest, (SELECT p.digest FROM entries p WHERE p.seq = e.seq - 1)
             FROM entries e WHERE {conditions} ORDER BY e.seq {direction} LIMIT ?"
        );
        let rows = self.rows(&sql, rusqlite::params_from_iter(values), |row| {
            let seq = number(row.get(0)?);
            Ok((seq, row.get::<_, String>(1)?, digest_of(row, 2)?, digest_of(row, 3)?))
        })?;
        let sealed = rows.into_iter().map(|(seq, json, digest, previous)| {
            let entry = serde_json::from_str(&json).map_err(|error| unreadable(&error))?;
            let previous = previous.unwrap_or(Digest::ZERO);
            Ok(Sealed { seq, entry, previous, digest: digest.unwrap_or(Digest::ZERO) })
        });
        sealed.collect()
    }
}

fn conditions(filter: &EntryFilter) -> (String, Vec<Value>) {
    let mut conditions = vec!["true"];
    let mut values: Vec<Value> = Vec::new();
    let mut and = |condition, value: Value| {
        conditions.push(condition);
        values.push(value);
    };
    if let Some(seq) = filter.after_seq {
        and("e.seq > ?", int(seq).into());
    }
    if let Some(seq) = filter.before_seq {
        and("e.seq < ?", int(seq).into());
    }
    if let Some(stream) = &filter.stream {
        and("e.stream = ?", stream.to_string().into());
    }
    if let Some(kind) = filter.kind {
        and("e.stream > ?", format!("{}/", kind.as_str()).into());
        and("e.stream < ?", format!("{}0", kind.as_str()).into());
    }
    match &filter.by {
        Some(Actor::User(user)) => and("e.by_user = ?", user.to_string().into()),
        Some(Actor::Gateway) => and("e.by_user IS ?", Value::Null),
        None => {}
    }
    if let Some(event) = &filter.event {
        and("e.type = ?", event.clone().into());
    }
    if let Some(since) = filter.since {
        and("e.at >= ?", micros(since).into());
    }
    if let Some(until) = filter.until {
        and("e.at < ?", micros_up(until).into());
    }
    (conditions.join(" AND "), values)
}
