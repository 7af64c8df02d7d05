//! Views: what the entries of each stream come to, kept so that reading is quick.
//! They follow from the entries, in the same transaction, and can be dropped.
//!
//! `views` has the things themselves; `requests` and `sessions` have, in narrow rows
//! with the same number, what lists are filtered and counted by.

use quorate_core::entry::{BrokenEntry, Entry, Kind, Stream, View, fold};
use quorate_core::ids::UserId;
use quorate_core::request::{Request, State};
use quorate_core::session::Session;
use rusqlite::{Connection, OptionalExtension as _, named_params, params};

use super::seal::{int, micros, micros_up, number};

/// Counts up whenever the tables below, or what a view looks like in JSON, change:
/// then all of them are made anew when the ledger is opened.
pub(super) const VERSION: i64 = 7;

/// All of them.
pub(super) const NAMES: [&str; 3] = ["views", "requests", "sessions"];

pub(super) const TABLES: &str = "
DROP TABLE IF EXISTS views;
DROP TABLE IF EXISTS requests;
DROP TABLE IF EXISTS sessions;
CREATE TABLE views (
    seq INTEGER PRIMARY KEY,       -- of the entry that it began with
    stream TEXT NOT NULL UNIQUE,
    json TEXT NOT NULL
) STRICT;
CREATE TABLE requests (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    requester TEXT NOT NULL,
    resource TEXT NOT NULL,
    access_type TEXT NOT NULL,
    submitted INTEGER NOT NULL,    -- times are microseconds since 1970
    until INTEGER,                 -- null: no grant is open
    deadline INTEGER,
    text TEXT NOT NULL             -- id and reason in lower case
) STRICT;
CREATE INDEX requests_state ON requests (state);
CREATE INDEX requests_of ON requests (requester);           -- in the order of `seq`
CREATE INDEX requests_requester ON requests (requester, resource);
CREATE INDEX requests_pending ON requests (requester) WHERE state = 'PENDING';
CREATE INDEX requests_resource ON requests (resource);
CREATE INDEX requests_deadline ON requests (deadline) WHERE deadline IS NOT NULL;
CREATE TABLE sessions (
    seq INTEGER PRIMARY KEY,
    is_open INTEGER NOT NULL,
    user TEXT NOT NULL,
    resource TEXT NOT NULL,
    request TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_open ON sessions (is_open) WHERE is_open = 1;
CREATE INDEX sessions_user ON sessions (user);
CREATE INDEX sessions_resource ON sessions (resource);
CREATE INDEX sessions_request ON sessions (request);
";

/// What a stream has come to.
#[derive(Debug, Clone)]
pub(super) struct Thing {
    pub(super) stream: Stream,
    /// How many entries it has, also where it was removed.
    pub(super) revision: u64,
    /// The entry that it began with, or began anew with after it was removed.
    pub(super) first_seq: u64,
    pub(super) view: Option<View>,
}

/// Views that cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ViewError {
    /// `SQLite` said no.
    #[error("the views cannot be written")]
    Sqlite(#[from] rusqlite::Error),
    /// An entry is not in the form that this gateway knows.
    #[error("entry {seq} cannot be read: {source}")]
    Unreadable {
        seq: u64,
        #[source]
        source: serde_json::Error,
    },
    /// An entry does not follow from the one before.
    #[error("entry {seq} cannot be: {source}")]
    Broken {
        seq: u64,
        #[source]
        source: BrokenEntry,
    },
    /// A view cannot be written down.
    #[error("{stream} cannot be written down: {source}")]
    Unwritable {
        stream: Stream,
        #[source]
        source: serde_json::Error,
    },
}

impl Thing {
    /// A stream without entries.
    pub(super) fn nothing(stream: Stream) -> Self {
        Self { stream, revision: 0, first_seq: 0, view: None }
    }

    /// What the stream is now.
    pub(super) fn load(connection: &Connection, stream: Stream) -> Result<Self, ViewError> {
        let name = stream.to_string();
        let revision = revision(connection, &name)?;
        let row: Option<(i64, String)> = connection
            .prepare_cached("SELECT seq, json FROM views WHERE stream = ?1")?
            .query_row([&name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((seq, json)) = row else {
            return Ok(Self { stream, revision, first_seq: 0, view: None });
        };
        let first_seq = number(seq);
        let view = decode(stream.kind(), &json)
            .map_err(|source| ViewError::Unreadable { seq: first_seq, source })?;
        Ok(Self { stream, revision, first_seq, view: Some(view) })
    }

    /// What it is after `entry`, the ledger's number `seq`.
    pub(super) fn follow(&mut self, seq: u64, entry: &Entry) -> Result<(), ViewError> {
        let begins = self.view.is_none();
        self.view = fold(self.view.take(), self.revision, entry)
            .map_err(|source| ViewError::Broken { seq, source })?;
        self.revision = entry.revision;
        if begins {
            self.first_seq = seq;
        }
        Ok(())
    }

    /// Writes it down in place of what was there.
    pub(super) fn store(&self, connection: &Connection) -> Result<(), ViewError> {
        let name = self.stream.to_string();
        let Some(view) = &self.view else {
            connection.prepare_cached("DELETE FROM views WHERE stream = ?1")?.execute([&name])?;
            return Ok(());
        };
        let json =
            encode(view).map_err(|source| ViewError::Unwritable { stream: self.stream.clone(), source })?;
        connection
            .prepare_cached(
                "INSERT INTO views (seq, stream, json) VALUES (?1, ?2, ?3)
                 ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq, json = excluded.json",
            )?
            .execute(params![int(self.first_seq), name, json])?;
        match view {
            View::Request(request) => store_request(connection, self.first_seq, request)?,
            View::Session(session) => store_session(connection, self.first_seq, session)?,
            View::User(_) | View::Resource(_) | View::Rule(_) | View::Policy(_) | View::Channel(_) => {}
        }
        Ok(())
    }
}

/// How many entries the stream has.
pub(super) fn revision(connection: &Connection, stream: &str) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT max(revision) FROM entries WHERE stream = ?1")?
        .query_row([stream], |row| row.get::<_, Option<i64>>(0))
        .map(|revision| revision.map_or(0, number))
}

/// How many requests of `user` wait.
pub(super) fn pending_of(connection: &Connection, user: &UserId) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT count(*) FROM requests WHERE requester = ?1 AND state = 'PENDING'")?
        .query_row([user.as_str()], |row| row.get(0))
        .map(number)
}

/// Whether the views are there and show every entry up to `seq`.
pub(super) fn are_at(connection: &Connection, seq: u64) -> rusqlite::Result<bool> {
    let tables: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema
         WHERE type = 'table' AND name IN ('views', 'requests', 'sessions')",
        [],
        |row| row.get(0),
    )?;
    let at = connection.query_row("SELECT views_seq, views_version FROM head", [], |row| {
        Ok((number(row.get(0)?), row.get::<_, i64>(1)?))
    })?;
    Ok(tables == 3 && at == (seq, VERSION))
}

/// Makes all of them anew from the entries.
pub(super) fn rebuild(connection: &Connection) -> Result<(), ViewError> {
    connection.execute_batch(TABLES)?;
    each_thing(connection, |thing, _| thing.store(connection))?;
    connection.execute("UPDATE head SET views_seq = seq, views_version = ?1", [VERSION])?;
    Ok(())
}

/// Every stream, folded from its entries, with the number of its newest one.
pub(super) fn each_thing<E: From<ViewError>>(
    connection: &Connection,
    mut each: impl FnMut(&Thing, u64) -> Result<(), E>,
) -> Result<(), E> {
    let sqlite = |error| ViewError::Sqlite(error);
    let mut statement =
        connection.prepare("SELECT seq, json FROM entries ORDER BY stream, revision").map_err(sqlite)?;
    let mut rows = statement.query([]).map_err(sqlite)?;
    let mut current: Option<(Thing, u64)> = None;
    while let Some(row) = rows.next().map_err(sqlite)? {
        let seq = number(row.get(0).map_err(sqlite)?);
        let json = row.get_ref(1).and_then(|text| Ok(text.as_str()?)).map_err(sqlite)?;
        let entry: Entry =
            serde_json::from_str(json).map_err(|source| ViewError::Unreadable { seq, source })?;
        let (mut thing, _) = match current.take() {
            Some((thing, last)) if thing.stream != entry.stream => {
                each(&thing, last)?;
                (Thing::nothing(entry.stream.clone()), 0)
            }
            Some(same) => same,
            None => (Thing::nothing(entry.stream.clone()), 0),
        };
        thing.follow(seq, &entry)?;
        current = Some((thing, seq));
    }
    current.map_or(Ok(()), |(thing, last)| each(&thing, last))
}

/// A view in JSON.
pub(super) fn encode(view: &View) -> serde_json::Result<String> {
    match view {
        View::Request(request) => serde_json::to_string(request),
        View::Session(session) => serde_json::to_string(session),
        View::User(user) => serde_json::to_string(user),
        View::Resource(resource) => serde_json::to_string(resource),
        View::Rule(rule) => serde_json::to_string(rule),
        View::Policy(policy) => serde_json::to_string(policy),
        View::Channel(channel) => serde_json::to_string(channel),
    }
}

/// The other way round.
pub(super) fn decode(kind: Kind, json: &str) -> serde_json::Result<View> {
    Ok(match kind {
        Kind::Request => View::Request(serde_json::from_str(json)?),
        Kind::Session => View::Session(serde_json::from_str(json)?),
        Kind::User => View::User(serde_json::from_str(json)?),
        Kind::Resource => View::Resource(serde_json::from_str(json)?),
        Kind::Rule => View::Rule(serde_json::from_str(json)?),
        Kind::Policy => View::Policy(serde_json::from_str(json)?),
        Kind::Channel => View::Channel(serde_json::from_str(json)?),
    })
}

fn store_request(connection: &Connection, seq: u64, request: &Request) -> rusqlite::Result<()> {
    let until = match &request.state {
        State::Approved { grant, .. } => Some(micros_up(grant.until)),
        _ => None,
    };
    connection
        .prepare_cached(
            "INSERT INTO requests
                 (seq, id, state, requester, resource, access_type, submitted, until, deadline, text)
             VALUES (:seq, :id, :state, :requester, :resource, :access_type, :submitted, :until, :deadline, :text)
             ON CONFLICT (seq) DO UPDATE SET
                 state = excluded.state, until = excluded.until, deadline = excluded.deadline",
        )?
        .execute(named_params! {
            ":seq": int(seq),
            ":id": request.id.as_str(),
            ":state": request.state.name(),
            ":requester": request.asked.requester.as_str(),
            ":resource": request.asked.resource.as_str(),
            ":access_type": request.asked.access.access_type().to_string(),
            ":submitted": micros(request.asked.submitted_at),
            ":until": until,
            ":deadline": request.deadline().map(micros_up),
            ":text": format!("{}\n{}", request.id, request.asked.reason).to_lowercase(),
        })?;
    Ok(())
}

fn store_session(connection: &Connection, seq: u64, session: &Session) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO sessions (seq, is_open, user, resource, request) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (seq) DO UPDATE SET is_open = excluded.is_open, request = excluded.request",
        )?
        .execute(params![
            int(seq),
            session.ended.is_none(),
            session.opened.user.as_str(),
            session.opened.resource.as_str(),
            session.opened.request.as_str(),
        ])?;
    Ok(())
}
