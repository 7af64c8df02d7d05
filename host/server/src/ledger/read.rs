//! Reading: on connections of its own that cannot write, so that it neither waits
//! for an append nor delays one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quorate_core::Timestamp;
use quorate_core::channel::Channel;
use quorate_core::entry::{Kind, Stream, View};
use quorate_core::ids::{
    ChannelName, Digest, PolicyName, RequestId, ResourceName, RuleName, SessionId, UserId,
};
use quorate_core::policy::Policy;
use quorate_core::request::Request;
use quorate_core::resource::Resource;
use quorate_core::rule::Rule;
use quorate_core::session::Session;
use quorate_core::user::User;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Params, Row};

use super::schema;
use super::seal::{digest_of, int, micros, number};
use super::views;
use super::writer::forgotten_at;
use super::{OpenError, Stored};

/// How many connections are kept for the next reader.
const IDLE_MAX: usize = 4;

/// The cache of each.
const CACHE_KIB: i64 = 1024;

/// What another connection may keep a reader waiting for.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// Reads a ledger, also while a gateway has it open.
pub struct Reader {
    path: PathBuf,
    /// Nobody writes to it, and nobody can.
    immutable: bool,
    idle: Mutex<Vec<Connection>>,
}

/// A ledger that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// `SQLite` said no.
    #[error("the ledger cannot be read")]
    Sqlite(#[from] rusqlite::Error),
    /// It holds something that is not in the form that this gateway knows.
    #[error("the ledger holds something that cannot be read: {0}")]
    Unreadable(String),
}

/// How large a ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How many entries it has.
    pub entries: u64,
    /// The file and its log, in bytes.
    pub file_bytes: u64,
}

impl Reader {
    /// Opens a ledger to read it only. A gateway may have it open.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let reader = Self::new(schema::real_path(path)?);
        if !reader.path.is_file() {
            let source = std::io::ErrorKind::NotFound.into();
            return Err(OpenError::Io { path: reader.path, source });
        }
        match reader.try_open() {
            // What nobody can write, such as a backup on a medium of its own, SQLite
            // reads only when it is told that nobody will.
            Err(OpenError::ReadOnly { .. }) if !reader.has_log() => {
                let reader = Self { immutable: true, ..reader };
                reader.try_open().map_err(unreadable_file)?;
                Ok(reader)
            }
            opened => opened.map(|()| reader).map_err(unreadable_file),
        }
    }

    fn try_open(&self) -> Result<(), OpenError> {
        let connection = self.connect().map_err(|error| schema::classify(&self.path, error))?;
        schema::check_readable(&self.path, &connection)?;
        self.put_back(connection);
        Ok(())
    }

    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, immutable: false, idle: Mutex::new(Vec::new()) }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many entries the stream has, also where its thing was removed.
    pub fn revision(&self, stream: &Stream) -> Result<u64, ReadError> {
        self.read(|connection| Ok(views::revision(connection, &stream.to_string())?))
    }

    /// A request.
    pub fn request(&self, id: &RequestId) -> Result<Option<Request>, ReadError> {
        Ok(self.view(&Stream::request(id))?.and_then(as_request))
    }

    /// A session.
    pub fn session(&self, id: &SessionId) -> Result<Option<Session>, ReadError> {
        Ok(self.view(&Stream::session(id))?.and_then(as_session))
    }

    /// A person.
    pub fn user(&self, id: &UserId) -> Result<Option<User>, ReadError> {
        Ok(self.view(&Stream::user(id))?.and_then(as_user))
    }

    /// A resource.
    pub fn resource(&self, name: &ResourceName) -> Result<Option<Resource>, ReadError> {
        Ok(self.view(&Stream::resource(name))?.and_then(as_resource))
    }

    /// A rule.
    pub fn rule(&self, name: &RuleName) -> Result<Option<Rule>, ReadError> {
        Ok(self.view(&Stream::rule(name))?.and_then(as_rule))
    }

    /// A policy.
    pub fn policy(&self, name: &PolicyName) -> Result<Option<Policy>, ReadError> {
        Ok(self.view(&Stream::policy(name))?.and_then(as_policy))
    }

    /// A notification channel.
    pub fn channel(&self, name: &ChannelName) -> Result<Option<Channel>, ReadError> {
        Ok(self.view(&Stream::channel(name))?.and_then(as_channel))
    }

    /// All people, by name.
    pub fn users(&self) -> Result<Vec<User>, ReadError> {
        self.all(Kind::User, as_user)
    }

    /// All resources, by name.
    pub fn resources(&self) -> Result<Vec<Resource>, ReadError> {
        self.all(Kind::Resource, as_resource)
    }

    /// All rules, by name.
    pub fn rules(&self) -> Result<Vec<Rule>, ReadError> {
        self.all(Kind::Rule, as_rule)
    }

    /// All policies, by name.
    pub fn policies(&self) -> Result<Vec<Policy>, ReadError> {
        self.all(Kind::Policy, as_policy)
    }

    /// All notification channels, by name.
    pub fn channels(&self) -> Result<Vec<Channel>, ReadError> {
        self.all(Kind::Channel, as_channel)
    }

    /// The requests whose deadline is not after `now`, the earliest first.
    pub fn due(&self, now: Timestamp, max: usize) -> Result<Vec<RequestId>, ReadError> {
        let sql = "SELECT id FROM requests WHERE deadline <= ?1 ORDER BY deadline, seq LIMIT ?2";
        self.names(sql, (micros(now), int(max as u64)))
    }

    /// The earliest deadline of all requests.
    pub fn next_deadline(&self) -> Result<Option<Timestamp>, ReadError> {
        let sql = "SELECT min(deadline) FROM requests WHERE deadline IS NOT NULL";
        let micros: Option<i64> =
            self.read(|connection| Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?))?;
        // Where it is beyond all time, it never comes.
        Ok(micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
    }

    /// The requests that wait for somebody, the oldest first.
    pub fn pending(&self) -> Result<Vec<RequestId>, ReadError> {
        self.names("SELECT id FROM requests WHERE state = 'PENDING' ORDER BY seq", ())
    }

    /// The bytes with this digest.
    pub fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReadError> {
        self.one("SELECT bytes FROM blobs WHERE digest = ?1", [digest.as_bytes()], |row| row.get(0))
    }

    /// The hash of a person's password.
    pub fn password_hash(&self, user: &UserId) -> Result<Option<String>, ReadError> {
        self.one("SELECT hash FROM passwords WHERE user = ?1", [user.as_str()], |row| row.get(0))
    }

    /// The token whose secret has this digest, and whose it is.
    pub fn token(&self, hash: &Digest) -> Result<Option<(String, UserId)>, ReadError> {
        let sql = "SELECT id, user FROM tokens WHERE hash = ?1";
        let found = self.one(sql, [hash.as_bytes()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        found.map(|(id, user)| Ok((id, parse(&user)?))).transpose()
    }

    /// The secrets of a resource, by name.
    pub fn secrets(&self, resource: &ResourceName) -> Result<BTreeMap<String, String>, ReadError> {
        let sql = "SELECT name, value FROM secrets WHERE resource = ?1";
        let pairs = self.rows(sql, [resource.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(pairs.into_iter().collect())
    }

    /// What was appended under an idempotency key that is still known at `now`, with
    /// the fingerprint of what was asked.
    pub fn answered(
        &self,
        user: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<(Digest, Stored)>, ReadError> {
        let sql = "SELECT fingerprint, answers FROM keys WHERE user = ?1 AND key = ?2 AND at > ?3";
        self.one(sql, (user, key, forgotten_at(now)), |row| {
            let fingerprint = digest_of(row, 0)?.unwrap_or(Digest::ZERO);
            Ok((fingerprint, Stored { answers: row.get(1)? }))
        })
    }

    /// How many bytes are free on its disk.
    pub fn room(&self) -> std::io::Result<u64> {
        let disk = rustix::fs::statvfs(self.path())?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// How large the ledger is.
    pub fn size(&self) -> Result<Size, ReadError> {
        let entries = self.one("SELECT seq FROM head", [], |row| row.get(0))?.map_or(0, number);
        Ok(Size { entries, file_bytes: bytes(&self.path) + bytes(&self.log()) })
    }

    /// Runs `read` on a connection that nobody else uses meanwhile.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| self.connect(), Ok)?;
        let result = read(&connection)?;
        self.put_back(connection);
        Ok(result)
    }

    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, ReadError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.query_map(params, row)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Closes what is not in use.
    pub(super) fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn view(&self, stream: &Stream) -> Result<Option<View>, ReadError> {
        let sql = "SELECT json FROM views WHERE stream = ?1";
        let json: Option<String> = self.one(sql, [stream.to_string()], |row| row.get(0))?;
        json.map(|json| views::decode(stream.kind(), &json).map_err(|error| unreadable(&error))).transpose()
    }

    fn all<T>(&self, kind: Kind, pick: fn(View) -> Option<T>) -> Result<Vec<T>, ReadError> {
        // `0` follows `/`: every name of the kind, and nothing else.
        let sql = "SELECT json FROM views WHERE stream > ?1 || '/' AND stream < ?1 || '0' ORDER BY stream";
        let found: Vec<String> = self.rows(sql, [kind.as_str()], |row| row.get(0))?;
        let decoded = found.iter().map(|json| views::decode(kind, json).map_err(|error| unreadable(&error)));
        decoded.filter_map(|view| view.map(pick).transpose()).collect()
    }

    fn names<T: FromStr<Err: fmt::Display>>(
        &self,
        sql: &str,
        params: impl Params,
    ) -> Result<Vec<T>, ReadError> {
        self.rows(sql, params, |row| row.get::<_, String>(0))?.iter().map(|name| parse(name)).collect()
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, ReadError> {
        self.read(|connection| Ok(connection.prepare_cached(sql)?.query_row(params, row).optional()?))
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = if self.immutable {
            let uri = format!("file:{}?immutable=1", uri_path(&self.path));
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
        } else {
            Connection::open_with_flags(&self.path, flags)?
        };
        connection.busy_timeout(BUSY_MAX)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    }

    fn log(&self) -> PathBuf {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        log.into()
    }

    fn has_log(&self) -> bool {
        bytes(&self.log()) > 0
    }

    fn put_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("path", &self.path).finish_non_exhaustive()
    }
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// Who only reads is not told how to write.
fn unreadable_file(error: OpenError) -> OpenError {
    match error {
        OpenError::ReadOnly { path } => OpenError::Unreadable { path },
        error => error,
    }
}

/// A path in which nothing has a meaning of its own.
fn uri_path(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    bytes.map(|byte| if *byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") }).collect()
}

pub(super) fn unreadable(error: &serde_json::Error) -> ReadError {
    ReadError::Unreadable(error.to_string())
}

pub(super) fn parse<T: FromStr<Err: fmt::Display>>(name: &str) -> Result<T, ReadError> {
    name.parse().map_err(|error: T::Err| ReadError::Unreadable(error.to_string()))
}

macro_rules! pick {
    ($name:ident, $variant:ident) => {
        pub(super) fn $name(view: View) -> Option<$variant> {
            match view {
                View::$variant(it) => Some(*it),
                _ => None,
            }
        }
    };
}

pick!(as_request, Request);
pick!(as_session, Session);
pick!(as_user, User);
pick!(as_resource, Resource);
pick!(as_rule, Rule);
pick!(as_policy, Policy);
pick!(as_channel, Channel);
