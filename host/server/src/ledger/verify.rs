//! Proof that a ledger is what was written: its chain, its blobs and its views.

use std::collections::HashMap;
use std::path::Path;

use quorate_core::entry::{Happened, Stream};
use quorate_core::ids::Digest;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::OpenError;
use super::read::{ReadError, Reader};
use super::schema;
use super::seal::{Columns, Head, Written, bytes_of, chain, digest_of, int, number};
use super::views::{self, Thing, ViewError};

/// A ledger that is what was written. Who keeps `head` elsewhere can tell later
/// whether the ledger still continues from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// How many entries it has.
    pub entries: u64,
    /// The digest of the newest.
    pub head: Digest,
    /// Whether what is shown was compared with the entries. It is not where another
    /// version of the gateway made it: this one makes it anew when it starts.
    pub views_checked: bool,
}

/// A ledger that is not proven.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It was changed: this is the first entry that cannot be trusted.
    #[error("entry {seq} is broken: {why}")]
    Broken {
        /// The entry's number.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<ViewError> for VerifyError {
    fn from(error: ViewError) -> Self {
        let why = error.to_string();
        match error {
            ViewError::Sqlite(error) => Self::Read(error.into()),
            ViewError::Unreadable { seq, .. } | ViewError::Broken { seq, .. } => Self::Broken { seq, why },
            ViewError::Unwritable { .. } => Self::Broken { seq: 0, why },
        }
    }
}

impl From<rusqlite::Error> for VerifyError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Read(error.into())
    }
}

/// One row of the entries, as it is, whatever it is.
struct Found {
    seq: u64,
    json: Vec<u8>,
    digest: Option<Digest>,
    columns: Option<Columns>,
}

/// Verifies a ledger file. A gateway may have it open; nothing is written.
pub fn verify(path: &Path) -> Result<Verified, VerifyError> {
    Reader::open(path)?.verify()
}

impl Reader {
    /// Verifies everything up to the entry that is the newest now.
    pub fn verify(&self) -> Result<Verified, VerifyError> {
        self.read(|connection| {
            // One transaction: appends go on, and are not seen.
            let transaction = connection.unchecked_transaction()?;
            Ok(check(&transaction))
        })?
    }
}

fn check(connection: &Connection) -> Result<Verified, VerifyError> {
    let last = check_chain(connection)?;
    let head = schema::head(connection)?;
    match head {
        Some(head) if head == last => {}
        Some(head) if head.seq > last.seq => {
            return Err(broken(last.seq + 1, "it and what followed are missing from the end"));
        }
        _ => return Err(broken(last.seq, "it is not the one that was written down as the newest")),
    }
    let views_checked = views::are_at(connection, last.seq)?;
    if views_checked {
        check_views(connection)?;
    }
    Ok(Verified { entries: last.seq, head: last.digest, views_checked })
}

fn check_chain(connection: &Connection) -> Result<Head, VerifyError> {
    let mut revisions: HashMap<Stream, u64> = HashMap::new();
    let mut head = Head { seq: 0, digest: Digest::ZERO };
    let mut statement = connection
        .prepare("SELECT seq, json, digest, stream, revision, at, by_user, type FROM entries ORDER BY seq")?;
    let mut rows = statement.query([])?;
    loop {
        let seq = head.seq + 1;
        // A damaged page is a damaged entry.
        let row = rows.next().map_err(|error| broken(seq, &error.to_string()))?;
        let Some(row) = row else { return Ok(head) };
        let found = Found::read(row)?;
        if found.seq != seq {
            return Err(broken(seq, "it is missing"));
        }
        let digest = chain(&head.digest, seq, &found.json);
        if found.digest != Some(digest) {
            return Err(broken(seq, "its text, its place or its digest was changed"));
        }
        let written = String::from_utf8(found.json)
            .map_err(|error| error.to_string())
            .and_then(|json| Written::read(json).map_err(|error| error.to_string()))
            .map_err(|error| broken(seq, &format!("it cannot be read: {error}")))?;
        if found.columns != Some(written.columns()) {
            return Err(broken(seq, "what it is found by was changed"));
        }
        let entry = written.entry;
        let revision = revisions.entry(entry.stream.clone()).or_default();
        if entry.revision != *revision + 1 {
            return Err(broken(seq, &format!("it is not the next of {}", entry.stream)));
        }
        *revision = entry.revision;
        check_blob(connection, seq, &entry.happened)?;
        head = Head { seq, digest };
    }
}

/// What an entry names by digest must be there and have that digest. The bytes of a
/// policy may be elsewhere.
fn check_blob(connection: &Connection, seq: u64, happened: &Happened) -> Result<(), VerifyError> {
    let (digest, must_be_here) = match happened {
        Happened::RequestDecided { record, .. } => (*record, true),
        Happened::PolicyLoaded { version } => (version.digest, false),
        _ => return Ok(()),
    };
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached("SELECT bytes FROM blobs WHERE digest = ?1")?
        .query_row([digest.as_bytes()], |row| row.get(0))
        .optional()?;
    match bytes {
        Some(bytes) if Digest::of(&bytes) == digest => Ok(()),
        Some(_) => Err(broken(seq, &format!("the record {} that it names was changed", digest.short()))),
        None if must_be_here => {
            Err(broken(seq, &format!("the record {} that it names is missing", digest.short())))
        }
        None => Ok(()),
    }
}

/// What the gateway shows and decides by must follow from the entries: each thing is
/// made anew, in memory, and compared with all that is kept of it.
fn check_views(connection: &Connection) -> Result<(), VerifyError> {
    let expected = Connection::open_in_memory()?;
    expected.execute_batch(views::TABLES)?;
    let (mut rows, mut last_seq) = ([0; 3], 0);
    views::each_thing(connection, |thing: &Thing, last| {
        last_seq = last_seq.max(last);
        if thing.view.is_none() {
            return Ok(());
        }
        thing.store(&expected)?;
        for (table, rows) in views::NAMES.iter().zip(&mut rows) {
            let row = kept(&expected, table, thing.first_seq)?;
            if row != kept(connection, table, thing.first_seq)? {
                let why = format!("what is shown of {} does not follow from it", thing.stream);
                return Err(broken(last, &why));
            }
            *rows += i64::from(row.is_some());
            expected.prepare_cached(&format!("DELETE FROM {table}"))?.execute([])?;
        }
        Ok(())
    })?;
    for (table, rows) in views::NAMES.iter().zip(rows) {
        let sql = format!("SELECT count(*) FROM {table}");
        if connection.query_row(&sql, [], |row| row.get::<_, i64>(0))? != rows {
            return Err(broken(last_seq, "something is shown that follows from no entry"));
        }
    }
    Ok(())
}

/// All that `table` has of the thing that began with entry `seq`.
fn kept(connection: &Connection, table: &str, seq: u64) -> rusqlite::Result<Option<Vec<Value>>> {
    let mut statement = connection.prepare_cached(&format!("SELECT * FROM {table} WHERE seq = ?1"))?;
    let columns = statement.column_count();
    statement.query_row([int(seq)], |row| (0..columns).map(|column| row.get(column)).collect()).optional()
}

fn broken(seq: u64, why: &str) -> VerifyError {
    VerifyError::Broken { seq, why: why.to_owned() }
}

impl Found {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let columns = || -> rusqlite::Result<Columns> {
            Ok(Columns {
                stream: row.get(3)?,
                revision: row.get(4)?,
                at: row.get(5)?,
                by_user: row.get(6)?,
                type_name: row.get(7)?,
            })
        };
        let seq = number(row.get(0)?);
        Ok(Self { seq, json: bytes_of(row, 1)?, digest: digest_of(row, 2)?, columns: columns().ok() })
    }
}
