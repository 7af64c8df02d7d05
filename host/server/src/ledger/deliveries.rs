//! What notification channels have still to be told, what was delivered, and what was given up,
//! kept beside the entries.
//!
//! How far a channel has come is written in one transaction with what it has to be told, and only
//! where nobody was first: so an entry is queued once, however often it is looked at. A channel
//! begins with the entry that made it, and goes with the one that removes it.

use quorate_core::Timestamp;
use quorate_core::channel::EventType;
use quorate_core::entry::{Entry, Happened};
use quorate_core::ids::{ChannelName, RequestId};
use rusqlite::{Connection, Row, params};

use super::read::{ReadError, Reader, parse};
use super::seal::{int, micros, micros_up, number};
use super::{AppendError, Ledger, copies, letters};

/// What is kept.
pub(super) const TABLES: &str = "
CREATE TABLE channels (
    channel TEXT PRIMARY KEY,
    position INTEGER NOT NULL,             -- every entry up to this one was looked at
    failures INTEGER NOT NULL DEFAULT 0,   -- in a row
    retry_at INTEGER NOT NULL DEFAULT 0,   -- nothing is sent before
    error TEXT,                            -- of the last failure
    failed_at INTEGER,
    delivered_at INTEGER
) STRICT;
CREATE TABLE channel_secrets (
    channel TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
    expires INTEGER,                       -- null: it does not
    PRIMARY KEY (channel, name)
) STRICT;
CREATE TABLE deliveries (
    channel TEXT NOT NULL,
    entry INTEGER NOT NULL,                -- its number
    event TEXT NOT NULL,
    request TEXT NOT NULL,
    state TEXT NOT NULL,                   -- waiting, delivered or dead
    attempts INTEGER NOT NULL DEFAULT 0,
    queued INTEGER NOT NULL,
    next INTEGER NOT NULL,                 -- not tried before
    tried INTEGER,                         -- last
    error TEXT,
    PRIMARY KEY (channel, entry)
) STRICT;
CREATE INDEX deliveries_waiting ON deliveries (channel, attempts, entry) WHERE state = 'waiting';
CREATE INDEX deliveries_in_order ON deliveries (channel, request, entry) WHERE state = 'waiting';
CREATE INDEX deliveries_request ON deliveries (request);
CREATE INDEX deliveries_tried ON deliveries (state, tried);
CREATE TABLE letters (
    channel TEXT NOT NULL,
    entry INTEGER NOT NULL,
    recipient TEXT NOT NULL,               -- empty: there is nobody
    refused TEXT,                          -- why, and for good; null: it was taken
    PRIMARY KEY (channel, entry, recipient)
) STRICT;
";

/// What was added for messages that some of those they are for have to get later.
pub(super) const PARTLY: &str = "
CREATE TABLE IF NOT EXISTS letters (
    channel TEXT NOT NULL, entry INTEGER NOT NULL, recipient TEXT NOT NULL, refused TEXT,
    PRIMARY KEY (channel, entry, recipient)
) STRICT;
-- 1: the others were told, and what follows it need not wait
ALTER TABLE deliveries ADD COLUMN partly INTEGER NOT NULL DEFAULT 0;
-- why they have to get it later; null: there is an answer for good
ALTER TABLE letters ADD COLUMN deferred TEXT;
";

/// How long what was delivered, or given up, is known, in days.
const DAYS_KEPT: i64 = 30;

/// What came of telling a channel of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is still to be told.
    Waiting,
    /// It was told.
    Delivered,
    /// That was given up.
    Dead,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Dead];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// One entry that a channel is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which channel.
    pub channel: ChannelName,
    /// The number of the entry.
    pub entry: u64,
    /// What happened.
    pub event: EventType,
    /// The request that it is about.
    pub request: RequestId,
    /// What came of it.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u64,
    /// Since when it waits.
    pub queued_at: Timestamp,
    /// When it was tried last.
    pub tried_at: Option<Timestamp>,
    /// What went wrong then.
    pub error: Option<String>,
}

/// How a channel does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Up to which entry it was looked at what it has to be told.
    pub position: u64,
    /// How often in a row it could not be told.
    pub failures: u64,
    /// When it is tried again, where it could not be told.
    pub retry_at: Option<Timestamp>,
    /// What went wrong last, and when.
    pub error: Option<(String, Timestamp)>,
    /// When it was told something last.
    pub delivered_at: Option<Timestamp>,
    /// How much it has still to be told.
    pub waiting: u64,
    /// How much was given up.
    pub dead: u64,
}

/// An attempt to tell a channel of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The number of the entry.
    pub entry: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was told.
    Told {
        /// Who was not, and never will be.
        remark: Option<String>,
    },
    /// It was told to some of those it is for, and the others have to get it later. Nothing else
    /// waits for that.
    Partly {
        /// In words, without a secret.
        why: String,
        /// When it is tried again; none: that is given up.
        next: Option<Timestamp>,
    },
    /// It was not.
    Failed(Failed),
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// In words, without a secret.
    pub why: String,
    /// When this message is tried again; none: it is given up.
    pub next: Option<Timestamp>,
    /// Before when nothing else is sent to the channel.
    pub rest_until: Timestamp,
}

impl Ledger {
    /// Queues what a channel has to be told of the entries after `from` up to `to`. False where
    /// somebody else has done it, or the channel is gone: nothing is queued.
    pub async fn queue_deliveries(
        &self,
        channel: &ChannelName,
        (from, to): (u64, u64),
        found: Vec<(u64, EventType, RequestId)>,
        now: Timestamp,
    ) -> Result<bool, AppendError> {
        let channel = channel.clone();
        self.beside(move |connection| queue(connection, &channel, (from, to), &found, now)).await
    }

    /// Writes down what came of attempts.
    pub async fn note_deliveries(
        &self,
        channel: &ChannelName,
        tried: Vec<Tried>,
        now: Timestamp,
    ) -> Result<(), AppendError> {
        let channel = channel.clone();
        self.beside(move |connection| note(connection, &channel, &tried, now)).await
    }

    /// Has a channel told of an entry as soon as it can be, also where it was told or that was given
    /// up. False where there is no such delivery.
    pub async fn deliver_again(
        &self,
        channel: &ChannelName,
        entry: u64,
        now: Timestamp,
    ) -> Result<bool, AppendError> {
        let channel = channel.clone();
        self.beside(move |connection| {
            let transaction = connection.transaction()?;
            letters::again(&transaction, channel.as_str(), entry)?;
            let changed = transaction.execute(
                "UPDATE deliveries SET state = 'waiting', attempts = 0, queued = ?3, next = 0, partly = 0
                 WHERE channel = ?1 AND entry = ?2",
                params![channel.as_str(), int(entry), micros(now)],
            )?;
            transaction.commit()?;
            Ok(changed == 1)
        })
        .await
    }

    /// Writes down what came of a message that is no delivery. Where it arrived, nothing waits for
    /// its time any more.
    pub async fn note_test(
        &self,
        channel: &ChannelName,
        error: Option<String>,
        now: Timestamp,
    ) -> Result<(), AppendError> {
        let channel = channel.clone();
        self.beside(move |connection| {
            let (name, now) = (channel.as_str(), micros(now));
            match error {
                Some(why) => connection.execute(
                    "UPDATE channels SET error = ?2, failed_at = ?3 WHERE channel = ?1",
                    params![name, why, now],
                ),
                None => connection.execute(
                    "UPDATE channels SET failures = 0, retry_at = 0, delivered_at = ?2 WHERE channel = ?1",
                    params![name, now],
                ),
            }?;
            Ok(())
        })
        .await
    }

    /// Writes what is kept beside the entries.
    pub(super) async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, AppendError> {
        self.run(work).await?.map_err(|error| super::writer::append_error(&error))
    }
}

impl Reader {
    /// How a channel does; none where there is none of that name.
    pub fn channel_status(&self, channel: &ChannelName) -> Result<Option<ChannelStatus>, ReadError> {
        let count = |state: &str| {
            format!("(SELECT count(*) FROM deliveries WHERE channel = ?1 AND state = '{state}')")
        };
        let sql = format!(
            "SELECT position, failures, retry_at, error, failed_at, delivered_at, {}, {} FROM channels
             WHERE channel = ?1",
            count("waiting"),
            count("dead"),
        );
        let found = self.rows(&sql, [channel.as_str()], |row| {
            let failures = number(row.get(1)?);
            let failed = row.get::<_, Option<String>>(3)?.zip(time(row, 4)?);
            Ok(ChannelStatus {
                position: number(row.get(0)?),
                failures,
                retry_at: time(row, 2)?.filter(|_| failures > 0),
                error: failed,
                delivered_at: time(row, 5)?,
                waiting: number(row.get(6)?),
                dead: number(row.get(7)?),
            })
        })?;
        Ok(found.into_iter().next())
    }

    /// What a channel can be told at `now`, at most `max`: of each request the oldest, and what
    /// was tried least often first.
    pub fn due_deliveries(
        &self,
        channel: &ChannelName,
        now: Timestamp,
        max: usize,
    ) -> Result<Vec<Delivery>, ReadError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM deliveries d WHERE channel = ?1 AND {OLDEST} AND next <= ?2
             ORDER BY attempts, entry LIMIT ?3"
        );
        self.deliveries_where(&sql, params![channel.as_str(), micros(now), int(max as u64)])
    }

    /// When the next of what a channel has to be told can be tried.
    pub fn next_delivery(&self, channel: &ChannelName) -> Result<Option<Timestamp>, ReadError> {
        let sql = format!("SELECT min(next) FROM deliveries d WHERE channel = ?1 AND {OLDEST}");
        let found = self.rows(&sql, [channel.as_str()], |row| time(row, 0))?;
        Ok(found.into_iter().flatten().next())
    }

    /// What a channel was and is to be told, the newest first, those before entry `before`.
    pub fn deliveries(
        &self,
        channel: &ChannelName,
        state: Option<DeliveryState>,
        before: Option<u64>,
        max: usize,
    ) -> Result<Vec<Delivery>, ReadError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM deliveries WHERE channel = ?1 AND (?2 IS NULL OR state = ?2)
                AND entry < ?3 ORDER BY entry DESC LIMIT ?4"
        );
        let before = before.map_or(i64::MAX, int);
        let state = state.map(DeliveryState::as_str);
        self.deliveries_where(&sql, params![channel.as_str(), state, before, int(max as u64)])
    }

    /// What channels have still to be told of a request, or never were, and failed at; also where
    /// only some of those were told who should be.
    pub fn failed_deliveries(&self, request: &RequestId) -> Result<Vec<Delivery>, ReadError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM deliveries d WHERE request = ?1 AND (state = 'dead'
                OR (state = 'delivered' AND error IS NOT NULL) OR (state = 'waiting'
                AND (partly OR (SELECT failures FROM channels c WHERE c.channel = d.channel) > 0)))
             ORDER BY channel, entry"
        );
        self.deliveries_where(&sql, [request.as_str()])
    }

    fn deliveries_where(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Delivery>, ReadError> {
        let rows = self.rows(sql, params, |row| {
            let names: [String; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
            let numbers = (number(row.get(4)?), number(row.get(5)?));
            let times = (time(row, 6)?.unwrap_or(Timestamp::UNIX_EPOCH), time(row, 7)?);
            Ok((names, numbers, times, row.get(8)?))
        })?;
        let deliveries = rows.into_iter().map(|(names, (entry, attempts), (queued_at, tried_at), error)| {
            let [channel, event, request, state] = names;
            let found = DeliveryState::ALL.into_iter().find(|one| one.as_str() == state);
            let unknown = || ReadError::Unreadable(format!("`{state}` is no state of a delivery"));
            Ok(Delivery {
                channel: parse(&channel)?,
                entry,
                event: parse(&event)?,
                request: parse(&request)?,
                state: found.ok_or_else(unknown)?,
                attempts,
                queued_at,
                tried_at,
                error,
            })
        });
        deliveries.collect()
    }
}

const COLUMNS: &str = "channel, event, request, state, entry, attempts, queued, tried, error";

/// What waits, and is the oldest of its request that does: the others wait for it, unless it only
/// waits for some of those it is for.
const OLDEST: &str =
    "state = 'waiting' AND (partly OR NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.channel = d.channel
    AND e.request = d.request AND e.state = 'waiting' AND e.entry < d.entry AND NOT e.partly))";

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let micros: Option<i64> = row.get(column)?;
    Ok(micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
}

/// What an entry, the ledger's number `seq`, makes of what is kept here.
pub(super) fn follow(connection: &Connection, seq: u64, entry: &Entry) -> rusqlite::Result<()> {
    let channel = entry.stream.name();
    match &entry.happened {
        Happened::ChannelSaved { .. } => {
            connection.execute(
                "INSERT INTO channels (channel, position) VALUES (?1, ?2)
                 ON CONFLICT (channel) DO UPDATE SET failures = 0, retry_at = 0",
                params![channel, int(seq)],
            )?;
            // It may have been mended: nothing waits for its time.
            connection.execute(
                "UPDATE deliveries SET next = 0 WHERE channel = ?1 AND state = 'waiting'",
                [channel],
            )?;
        }
        Happened::ChannelRemoved => {
            for table in ["channels", "channel_secrets", "deliveries", "letters"] {
                connection.execute(&format!("DELETE FROM {table} WHERE channel = ?1"), [channel])?;
            }
            copies::forget_all(connection, channel)?;
        }
        _ => {}
    }
    Ok(())
}

fn queue(
    connection: &mut Connection,
    channel: &ChannelName,
    (from, to): (u64, u64),
    found: &[(u64, EventType, RequestId)],
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let transaction = connection.transaction()?;
    let moved = transaction.execute(
        "UPDATE channels SET position = ?3 WHERE channel = ?1 AND position = ?2",
        params![channel.as_str(), int(from), int(to)],
    )?;
    if moved == 0 {
        return Ok(false);
    }
    let mut insert = transaction.prepare_cached(
        "INSERT INTO deliveries (channel, entry, event, request, state, queued, next)
         VALUES (?1, ?2, ?3, ?4, 'waiting', ?5, 0)",
    )?;
    for (entry, event, request) in found {
        let row = params![channel.as_str(), int(*entry), event.as_str(), request.as_str(), micros(now)];
        insert.execute(row)?;
    }
    drop(insert);
    let old = micros(now).saturating_sub(DAYS_KEPT * 24 * 3600 * 1_000_000);
    let gone = "FROM deliveries WHERE state IN ('delivered', 'dead') AND tried <= ?1";
    transaction
        .prepare_cached(&format!(
            "DELETE FROM letters WHERE (channel, entry) IN (SELECT channel, entry {gone})"
        ))?
        .execute([old])?;
    transaction.prepare_cached(&format!("DELETE {gone}"))?.execute([old])?;
    transaction.commit()?;
    Ok(true)
}

fn note(
    connection: &mut Connection,
    channel: &ChannelName,
    tried: &[Tried],
    now: Timestamp,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let (name, now) = (channel.as_str(), micros(now));
    for Tried { entry, outcome } in tried {
        let (state, next, why) = match outcome {
            Outcome::Told { remark } => {
                let (state, why) = letters::outcome(&transaction, name, *entry)?;
                (state, None, why.or_else(|| remark.clone()))
            }
            Outcome::Partly { next: None, .. } => {
                letters::give_up(&transaction, name, *entry)?;
                let (state, why) = letters::outcome(&transaction, name, *entry)?;
                (state, None, why)
            }
            Outcome::Failed(Failed { next: None, why, .. }) => (DeliveryState::Dead, None, Some(why.clone())),
            Outcome::Partly { next, why } | Outcome::Failed(Failed { next, why, .. }) => {
                (DeliveryState::Waiting, *next, Some(why.clone()))
            }
        };
        transaction
            .prepare_cached(
                "UPDATE deliveries SET state = ?3, attempts = attempts + 1, tried = ?4, next = ?5, error = ?6,
                    partly = max(partly, ?7)
                 WHERE channel = ?1 AND entry = ?2 AND state = 'waiting'",
            )?
            .execute(params![
                name,
                int(*entry),
                state.as_str(),
                now,
                next.map_or(0, micros_up),
                why,
                matches!(outcome, Outcome::Partly { .. }),
            ])?;
    }
    // Who got something at last gets what follows it right behind.
    for Tried { entry, .. } in tried.iter().filter(|one| matches!(one.outcome, Outcome::Told { .. })) {
        transaction
            .prepare_cached(
                "UPDATE deliveries SET next = 0 WHERE channel = ?1 AND state = 'waiting' AND partly AND request =
                    (SELECT request FROM deliveries WHERE channel = ?1 AND entry = ?2 AND partly)",
            )?
            .execute(params![name, int(*entry)])?;
    }
    let failed = tried.iter().filter_map(|one| match &one.outcome {
        Outcome::Failed(failed) => Some(failed),
        Outcome::Told { .. } | Outcome::Partly { .. } => None,
    });
    match failed.max_by_key(|one| one.rest_until) {
        Some(Failed { why, rest_until, .. }) => transaction.execute(
            "UPDATE channels SET failures = failures + 1, retry_at = ?2, error = ?3, failed_at = ?4
             WHERE channel = ?1",
            params![name, micros_up(*rest_until), why, now],
        )?,
        None => transaction
            .execute("UPDATE channels SET failures = 0, retry_at = 0 WHERE channel = ?1", [name])?,
    };
    for Tried { outcome, .. } in tried {
        match outcome {
            Outcome::Told { .. } => transaction
                .execute("UPDATE channels SET delivered_at = ?2 WHERE channel = ?1", params![name, now])?,
            Outcome::Partly { why, .. } => transaction.execute(
                "UPDATE channels SET error = ?2, failed_at = ?3 WHERE channel = ?1",
                params![name, why, now],
            )?,
            Outcome::Failed(_) => 0,
        };
    }
    transaction.commit()
}
