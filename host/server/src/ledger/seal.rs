//! How an entry is written down, and the chain that runs through all of them.

use quorate_core::Timestamp;
use quorate_core::entry::{Actor, Entry};
use quorate_core::ids::Digest;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, named_params};
use serde::Deserialize;

/// An entry as the ledger holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// What happened.
    pub entry: Entry,
    /// The digest of the entry before; all zeros for the first.
    pub previous: Digest,
    /// The digest of `previous`, `seq` and the entry's exact bytes.
    pub digest: Digest,
}

/// The newest entry of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) digest: Digest,
}

/// An entry in its bytes, read back once: what cannot be read is never appended.
pub(super) struct Written {
    pub(super) json: String,
    pub(super) entry: Entry,
    type_name: String,
}

/// The name of what happened, without the rest.
#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    name: String,
}

impl Written {
    pub(super) fn new(entry: &Entry) -> Result<Self, serde_json::Error> {
        Self::read(serde_json::to_string(entry)?)
    }

    pub(super) fn read(json: String) -> Result<Self, serde_json::Error> {
        let Typed { name } = serde_json::from_str(&json)?;
        Ok(Self { entry: serde_json::from_str(&json)?, json, type_name: name })
    }

    /// Appends it after `head`.
    pub(super) fn insert(&self, connection: &Connection, head: Head) -> rusqlite::Result<Head> {
        let seq = head.seq + 1;
        let digest = chain(&head.digest, seq, self.json.as_bytes());
        let columns = self.columns();
        connection
            .prepare_cached(
                "INSERT INTO entries (seq, stream, revision, at, by_user, type, json, digest)
                 VALUES (:seq, :stream, :revision, :at, :by_user, :type, :json, :digest)",
            )?
            .execute(named_params! {
                ":seq": int(seq), ":stream": columns.stream, ":revision": columns.revision,
                ":at": columns.at, ":by_user": columns.by_user, ":type": columns.type_name,
                ":json": self.json, ":digest": digest.as_bytes(),
            })?;
        Ok(Head { seq, digest })
    }

    /// What is searched by, all of it taken from the entry.
    pub(super) fn columns(&self) -> Columns {
        Columns {
            stream: self.entry.stream.to_string(),
            revision: int(self.entry.revision),
            at: micros(self.entry.at),
            by_user: match &self.entry.by {
                Actor::User(user) => Some(user.to_string()),
                Actor::Gateway => None,
            },
            type_name: self.type_name.clone(),
        }
    }
}

/// The columns of an entry besides its text and digest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) stream: String,
    pub(super) revision: i64,
    pub(super) at: i64,
    pub(super) by_user: Option<String>,
    pub(super) type_name: String,
}

/// The digest of entry `seq`, whose bytes are `json`, after `previous`.
pub(super) fn chain(previous: &Digest, seq: u64, json: &[u8]) -> Digest {
    Digest::of_parts([previous.as_bytes().as_slice(), &seq.to_le_bytes(), json])
}

/// `SQLite`'s integers are signed. Nothing here ever comes near the end of them.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The other way round.
pub(super) fn number(int: i64) -> u64 {
    u64::try_from(int).unwrap_or(0)
}

/// Microseconds since 1970, rounded down.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// Microseconds since 1970, rounded up: a deadline is never seen too early.
pub(super) fn micros_up(at: Timestamp) -> i64 {
    let rest = i64::from(at.subsec_nanosecond() % 1000 != 0);
    at.as_microsecond().saturating_add(rest)
}

/// The bytes of a text column, even where they are no longer a text.
pub(super) fn bytes_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<u8>> {
    match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(bytes.to_vec()),
        _ => Ok(Vec::new()),
    }
}

/// A digest column; none where it is something else.
pub(super) fn digest_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Digest>> {
    match row.get_ref(column)? {
        ValueRef::Blob(bytes) => Ok(<[u8; 32]>::try_from(bytes).ok().map(Digest::from)),
        _ => Ok(None),
    }
}
