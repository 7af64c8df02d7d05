//! The file: what its tables are, how it comes to be, and what must hold before a
//! gateway uses it.
//!
//! A change of these tables is a new step at the end of [`MIGRATIONS`]. The views'
//! tables are not among them: they are made anew when
//! [`VERSION`](super::views::VERSION) changes.

use std::fs::{self, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_core::Timestamp;
use quorate_core::entry::Entry;
use quorate_core::ids::Digest;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::OpenError;
use super::seal::{Head, bytes_of, chain, digest_of, int, number};
use super::views::{self, ViewError};
use super::{copies, deliveries, shadows};

/// `Qrte`, in the place where `SQLite` files say whose they are.
const APPLICATION_ID: i64 = 0x5172_7465;

/// What another program may hold the file for, at most.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// The writer's cache.
const WRITER_CACHE_KIB: i64 = 4096;

/// What the log file is cut back to when it has been written over.
const LOG_BYTES_KEPT: i64 = 16 * 1024 * 1024;

/// Step `n` brings schema `n` to schema `n + 1`.
pub(super) const MIGRATIONS: &[&str] =
    &[FIRST, shadows::TABLES, deliveries::TABLES, copies::TABLES, deliveries::PARTLY];

const FIRST: &str = "
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    revision INTEGER NOT NULL,
    at INTEGER NOT NULL,           -- microseconds since 1970, rounded down
    by_user TEXT,                  -- null: the gateway
    type TEXT NOT NULL,
    json TEXT NOT NULL,            -- exactly these bytes are in the chain
    digest BLOB NOT NULL,
    UNIQUE (stream, revision)
) STRICT;
CREATE INDEX entries_at ON entries (at);
CREATE INDEX entries_by_user ON entries (by_user);
CREATE INDEX entries_type ON entries (type);
CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER entries_are_kept BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END;
CREATE TABLE head (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    seq INTEGER NOT NULL,
    digest BLOB NOT NULL,
    views_seq INTEGER NOT NULL,
    views_version INTEGER NOT NULL
) STRICT;
INSERT INTO head VALUES (1, 0, zeroblob(32), 0, 0);
CREATE TABLE blobs (digest BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE passwords (user TEXT PRIMARY KEY, hash TEXT NOT NULL) STRICT;
CREATE TABLE tokens (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, expires INTEGER NOT NULL
) STRICT;
CREATE INDEX tokens_expires ON tokens (expires);
CREATE TABLE secrets (
    resource TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (resource, name)
) STRICT;
CREATE TABLE probe (only INTEGER PRIMARY KEY CHECK (only = 1), nth INTEGER NOT NULL) STRICT;
INSERT INTO probe VALUES (1, 0);
CREATE TABLE keys (
    user TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, answers TEXT NOT NULL,
    at INTEGER NOT NULL, PRIMARY KEY (user, key)
) STRICT;
CREATE INDEX keys_at ON keys (at);
";

/// A ledger that a gateway may use.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) head: Head,
    pub(super) last_at: Timestamp,
}

/// What a file says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Empty,
    Ledger { version: i64 },
}

/// `path` without links, so that two names of one ledger share one lock.
pub(super) fn real_path(path: &Path) -> Result<PathBuf, OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    match fs::canonicalize(path) {
        Ok(real) => Ok(real),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let name = path.file_name().ok_or_else(|| failed(error))?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).map_err(failed)?;
            Ok(folder.join(name))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Opens the ledger for writing. The caller holds the lock.
pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    create_private(path)?;
    let failed = |error| classify(path, error);
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(failed)?;
    // Until it is known to be a sound ledger, closing it must not change it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    connection.busy_timeout(BUSY_MAX).map_err(failed)?;
    let found = identify(path, &connection)?;
    if connection.is_readonly(rusqlite::MAIN_DB).map_err(failed)? {
        return Err(OpenError::ReadOnly { path: path.to_owned() });
    }
    let version = match found {
        Found::Ledger { version } => version,
        Found::Empty => {
            connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
            0
        }
    };
    configure(&connection).map_err(failed)?;
    migrate(&mut connection, version).map_err(failed)?;
    let head = check_head(path, &connection)?;
    bring_views_to(path, &mut connection, head)?;
    let last_at = last_at(path, &connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(failed)?;
    Ok(Opened { connection, head, last_at })
}

/// Refuses a file that no [`Reader`](super::Reader) of this version can read.
pub(super) fn check_readable(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    match identify(path, connection)? {
        Found::Ledger { version } if version > 0 => Ok(()),
        Found::Ledger { .. } | Found::Empty => Err(OpenError::NotALedger { path: path.to_owned() }),
    }
}

/// Whether there was no space, also for the small file that the readers share.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_extended_error_code() == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// In the words of a person who starts a gateway.
pub(super) fn classify(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    if is_full(&error) {
        return OpenError::Full { path };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotALedger { path },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Corrupt { path, why: error.to_string() },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            OpenError::ReadOnly { path }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            OpenError::InUse { path, by: String::new() }
        }
        _ => OpenError::Sqlite { path, source: error },
    }
}

/// Makes the file where there is none, and keeps it from everybody else: it holds
/// secrets. `SQLite` gives the files beside it the same mode.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            OpenError::ReadOnly { path: path.to_owned() }
        }
        ErrorKind::StorageFull => OpenError::Full { path: path.to_owned() },
        _ => OpenError::Io { path: path.to_owned(), source },
    };
    if path.is_dir() {
        return Err(OpenError::NotALedger { path: path.to_owned() });
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
            if mode & 0o777 == mode & 0o700 {
                return Ok(());
            }
            for suffix in ["", "-wal", "-shm"] {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                match fs::set_permissions(&name, Permissions::from_mode(mode & 0o700)) {
                    Err(error) if suffix.is_empty() => return Err(failed(error)),
                    _ => {}
                }
            }
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}

fn identify(path: &Path, connection: &Connection) -> Result<Found, OpenError> {
    let failed = |error| classify(path, error);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(failed);
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let known = MIGRATIONS.len().try_into().unwrap_or(i64::MAX);
    match (application, version) {
        (APPLICATION_ID, found) if found > known => {
            Err(OpenError::Newer { path: path.to_owned(), found, known })
        }
        (APPLICATION_ID, version) if version >= 0 => Ok(Found::Ledger { version }),
        (0, 0) if tables == 0 => Ok(Found::Empty),
        _ => Err(OpenError::NotALedger { path: path.to_owned() }),
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // What was deleted may have been a secret.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn migrate(connection: &mut Connection, version: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(version).unwrap_or(0);
    for (before, step) in MIGRATIONS.iter().enumerate().skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", int(before as u64 + 1))?;
        transaction.commit()?;
    }
    Ok(())
}

/// The newest entry must be the one that was written down as the newest.
fn check_head(path: &Path, connection: &Connection) -> Result<Head, OpenError> {
    let failed = |error| classify(path, error);
    let corrupt = |why: &str| OpenError::Corrupt { path: path.to_owned(), why: why.to_owned() };
    let head =
        head(connection).map_err(failed)?.ok_or_else(|| corrupt("the head of the chain is missing"))?;
    let mut statement = connection
        .prepare("SELECT seq, json, digest FROM entries ORDER BY seq DESC LIMIT 2")
        .map_err(failed)?;
    let newest = statement
        .query_map([], |row| {
            Ok((number(row.get(0)?), bytes_of(row, 1)?, digest_of(row, 2)?.unwrap_or(Digest::ZERO)))
        })
        .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
        .map_err(failed)?;
    let previous = newest.get(1).map_or(Digest::ZERO, |(_, _, digest)| *digest);
    let sound = match newest.first() {
        None => head == Head { seq: 0, digest: Digest::ZERO },
        Some((seq, json, digest)) => {
            head == Head { seq: *seq, digest: *digest } && chain(&previous, *seq, json) == *digest
        }
    };
    if sound { Ok(head) } else { Err(corrupt("its newest entries were changed or are missing")) }
}

/// What is written down as the newest entry.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Option<Head>> {
    let row = connection
        .query_row("SELECT seq, digest FROM head", [], |row| Ok((row.get(0)?, digest_of(row, 1)?)))
        .optional()?;
    Ok(row.and_then(|(seq, digest)| digest.map(|digest| Head { seq: number(seq), digest })))
}

fn bring_views_to(path: &Path, connection: &mut Connection, head: Head) -> Result<(), OpenError> {
    let view_error = |error| match error {
        ViewError::Sqlite(error) => classify(path, error),
        error => OpenError::Corrupt { path: path.to_owned(), why: error.to_string() },
    };
    if views::are_at(connection, head.seq).map_err(|error| classify(path, error))? {
        return Ok(());
    }
    tracing::info!(entries = head.seq, "rebuilding the ledger's views");
    let transaction = connection.transaction().map_err(|error| classify(path, error))?;
    views::rebuild(&transaction).map_err(view_error)?;
    transaction.commit().map_err(|error| classify(path, error))
}

fn last_at(path: &Path, connection: &Connection) -> Result<Timestamp, OpenError> {
    let json: Option<String> = connection
        .query_row("SELECT json FROM entries ORDER BY at DESC, seq DESC LIMIT 1", [], |row| row.get(0))
        .optional()
        .map_err(|error| classify(path, error))?;
    let Some(json) = json else { return Ok(Timestamp::UNIX_EPOCH) };
    let entry: Entry = serde_json::from_str(&json)
        .map_err(|error| OpenError::Corrupt { path: path.to_owned(), why: error.to_string() })?;
    Ok(entry.at)
}
