//! The one thread that writes. It takes as many appends as wait, checks each one
//! against what is there and what came before it, and makes them durable together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::Timestamp;
use quorate_core::entry::{Entry, Guard, Happened, Stream};
use quorate_core::ids::Digest;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot, watch};

use super::seal::{Head, Written, digest_of, int, micros};
use super::views::{self, Thing, ViewError, revision};
use super::{Append, AppendError, Appended, Basis, KEY_HOURS, Key, Side, Stored, TOKEN_DAYS_KEPT};
use super::{channel_secrets, deliveries, schema};

/// The most appends that share one transaction.
const BATCH_MAX: usize = 256;

/// What the writer is asked to do.
pub(super) enum Work {
    /// Append, and say when it is durable.
    Append(Box<Job>, Reply),
    /// Something else that needs the writing connection.
    Run(Box<dyn FnOnce(&mut Connection) + Send>),
}

type Answer = Result<Appended, AppendError>;
type Reply = oneshot::Sender<Answer>;

/// One append, taken apart.
#[derive(Default)]
pub(super) struct Job {
    pub(super) entries: Vec<Entry>,
    pub(super) guards: Vec<Guard>,
    pub(super) blobs: Vec<(Digest, Vec<u8>)>,
    pub(super) side: Vec<Side>,
    pub(super) basis: Option<Basis>,
    pub(super) key: Option<Key>,
    pub(super) pending_max: Option<u64>,
    /// The time, where no entry says it.
    pub(super) at: Option<Timestamp>,
}

impl From<Append> for Job {
    fn from(Append { step, blobs, side, basis, key, pending_max }: Append) -> Self {
        let (entries, guards) = (step.entries().to_vec(), step.guards().to_vec());
        Self { entries, guards, blobs, side, basis, key, pending_max, at: None }
    }
}

pub(super) struct Writer {
    connection: Connection,
    newest: Newest,
    head_seen: watch::Sender<u64>,
    last_at: Arc<Mutex<Timestamp>>,
}

/// The end of the chain, as the next append finds it.
#[derive(Clone, Copy)]
struct Newest {
    head: Head,
    at: Timestamp,
}

/// Why one append is not made: refused, or the whole transaction has failed.
enum Stop {
    Refused(AppendError),
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ViewError> for Stop {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Sqlite(error) => Self::Failed(error),
            error => Self::Refused(AppendError::Failed(error.to_string())),
        }
    }
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        head: Head,
        head_seen: watch::Sender<u64>,
        last_at: Arc<Mutex<Timestamp>>,
    ) -> Self {
        let at = *last_at.lock().unwrap_or_else(PoisonError::into_inner);
        Self { connection, newest: Newest { head, at }, head_seen, last_at }
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self, mut waiting: mpsc::Receiver<Work>) {
        while let Some(first) = waiting.blocking_recv() {
            let (mut jobs, mut replies, mut other) = (Vec::new(), Vec::new(), None);
            let mut next = Some(first);
            while let Some(work) = next {
                match work {
                    Work::Append(job, reply) => {
                        jobs.push(*job);
                        replies.push(reply);
                    }
                    Work::Run(work) => {
                        other = Some(work);
                        break;
                    }
                }
                next = if jobs.len() < BATCH_MAX { waiting.try_recv().ok() } else { None };
            }
            for (answer, reply) in self.commit(&jobs).into_iter().zip(replies) {
                // Whoever asked may have gone; what was appended stays.
                let _ = reply.send(answer);
            }
            if let Some(work) = other {
                work(&mut self.connection);
            }
        }
    }

    /// Writes all of them in one transaction. Where that fails, each gets its own, so
    /// that one that does not fit on the disk does not take the others with it.
    fn commit(&mut self, jobs: &[Job]) -> Vec<Answer> {
        match (self.write(jobs), jobs) {
            (Ok(answers), _) => answers,
            (Err(_), [_, _, ..]) => {
                jobs.iter().flat_map(|job| self.commit(std::slice::from_ref(job))).collect()
            }
            (Err(error), _) => {
                tracing::error!(%error, "the ledger cannot be written");
                jobs.iter().map(|_| Err(append_error(&error))).collect()
            }
        }
    }

    fn write(&mut self, jobs: &[Job]) -> rusqlite::Result<Vec<Answer>> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut newest = self.newest;
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            answers.push(match apply(&transaction, &mut newest, job) {
                Ok(()) => Ok(Appended { seq: newest.head.seq }),
                Err(Stop::Refused(refused)) => Err(refused),
                Err(Stop::Failed(error)) => return Err(error),
            });
        }
        if answers.iter().all(Result::is_err) {
            return Ok(answers);
        }
        transaction
            .prepare_cached("UPDATE head SET seq = ?1, digest = ?2, views_seq = ?1")?
            .execute(params![int(newest.head.seq), newest.head.digest.as_bytes()])?;
        transaction.commit()?;
        self.newest = newest;
        *self.last_at.lock().unwrap_or_else(PoisonError::into_inner) = newest.at;
        self.head_seen.send_if_modified(|seq| std::mem::replace(seq, newest.head.seq) != newest.head.seq);
        Ok(answers)
    }
}

/// Checks one append, and only then writes it: a refused one has written nothing.
fn apply(connection: &Connection, newest: &mut Newest, job: &Job) -> Result<(), Stop> {
    let at = job.entries.iter().map(|entry| entry.at).chain(job.at).max().unwrap_or(newest.at).max(newest.at);
    if let Some(key) = &job.key {
        check_key(connection, key, at)?;
    }
    if job.blobs.iter().any(|(digest, bytes)| Digest::of(bytes) != *digest) {
        return Err(refused("a blob does not have the digest that it is given under"));
    }
    let written: Result<Vec<_>, _> = job.entries.iter().map(Written::new).collect();
    let written = written.map_err(|error| refused(error.to_string()))?;
    let things = follow(connection, newest.head.seq, &written)?;
    for guard in &job.guards {
        check_guard(connection, guard, &job.entries)?;
    }
    if let Some(basis) = &job.basis {
        check_basis(connection, basis)?;
    }
    if let Some(max) = job.pending_max {
        check_pending(connection, max, &job.entries)?;
    }
    let mut head = newest.head;
    for entry in &written {
        head = entry.insert(connection, head)?;
        deliveries::follow(connection, head.seq, &entry.entry)?;
    }
    for thing in things.values() {
        thing.store(connection)?;
    }
    for (digest, bytes) in &job.blobs {
        connection
            .prepare_cached("INSERT OR IGNORE INTO blobs (digest, bytes) VALUES (?1, ?2)")?
            .execute(params![digest.as_bytes(), bytes])?;
    }
    for entry in job.entries.iter().filter(|entry| entry.happened == Happened::ResourceRemoved) {
        // Whoever makes a resource of that name again does not get its secrets.
        connection.execute("DELETE FROM secrets WHERE resource = ?1", [entry.stream.name()])?;
    }
    for side in &job.side {
        keep(connection, side)?;
    }
    if let Some(key) = &job.key {
        store_key(connection, key, at)?;
    }
    *newest = Newest { head, at };
    Ok(())
}

/// What the streams come to when these entries follow.
fn follow(connection: &Connection, seq: u64, entries: &[Written]) -> Result<BTreeMap<Stream, Thing>, Stop> {
    let mut things = BTreeMap::new();
    for (seq, Written { entry, .. }) in (seq + 1..).zip(entries) {
        if !things.contains_key(&entry.stream) {
            things.insert(entry.stream.clone(), Thing::load(connection, entry.stream.clone())?);
        }
        if let Some(thing) = things.get_mut(&entry.stream) {
            if thing.revision + 1 != entry.revision {
                return Err(Stop::Refused(AppendError::Conflict));
            }
            thing.follow(seq, entry)?;
        }
    }
    Ok(things)
}

/// A guard on a stream that the step itself changes speaks of what is there at some
/// point within the step; the step's own revisions say what was there before.
fn check_guard(connection: &Connection, guard: &Guard, entries: &[Entry]) -> Result<(), Stop> {
    let before = revision(connection, &guard.stream.to_string())?;
    let own = entries.iter().filter(|entry| entry.stream == guard.stream).count() as u64;
    if (before..=before + own).contains(&guard.revision) {
        return Ok(());
    }
    Err(Stop::Refused(AppendError::Conflict))
}

fn check_basis(connection: &Connection, basis: &Basis) -> Result<(), Stop> {
    let mut later = connection.prepare_cached("SELECT stream, type FROM entries WHERE seq > ?1")?;
    let mut rows = later.query([int(basis.head)])?;
    while let Some(row) = rows.next()? {
        if basis.includes(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?) {
            return Err(Stop::Refused(AppendError::Conflict));
        }
    }
    Ok(())
}

fn check_pending(connection: &Connection, max: u64, entries: &[Entry]) -> Result<(), Stop> {
    for entry in entries {
        if let Happened::RequestSubmitted { asked } = &entry.happened
            && views::pending_of(connection, &asked.requester)? >= max
        {
            return Err(Stop::Refused(AppendError::TooManyPending { max }));
        }
    }
    Ok(())
}

fn check_key(connection: &Connection, key: &Key, at: Timestamp) -> Result<(), Stop> {
    let known = connection
        .prepare_cached("SELECT fingerprint, answers FROM keys WHERE user = ?1 AND key = ?2 AND at > ?3")?
        .query_row(params![key.user, key.key, forgotten_at(at)], |row| {
            Ok((digest_of(row, 0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    match known {
        None => Ok(()),
        Some((fingerprint, answers)) if fingerprint == Some(key.fingerprint) => {
            Err(Stop::Refused(AppendError::Repeated(Stored { answers })))
        }
        Some(_) => Err(Stop::Refused(AppendError::KeyReused)),
    }
}

fn store_key(connection: &Connection, key: &Key, at: Timestamp) -> rusqlite::Result<()> {
    forget(connection, at)?;
    connection
        .prepare_cached("INSERT INTO keys (user, key, fingerprint, answers, at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![key.user, key.key, key.fingerprint.as_bytes(), key.answers, micros(at)])?;
    Ok(())
}

/// Forgets keys that are too old to count, and tokens that expired long ago.
fn forget(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM keys WHERE at <= ?1")?.execute([forgotten_at(now)])?;
    let expired = micros(now).saturating_sub(TOKEN_DAYS_KEPT * 24 * 3600 * 1_000_000);
    connection.prepare_cached("DELETE FROM tokens WHERE expires <= ?1")?.execute([expired])?;
    Ok(())
}

/// The last time at which a key was given that is not known any more at `now`.
pub(super) fn forgotten_at(now: Timestamp) -> i64 {
    micros(now).saturating_sub(KEY_HOURS * 3600 * 1_000_000)
}

fn keep(connection: &Connection, side: &Side) -> rusqlite::Result<()> {
    match side {
        Side::Password { user, hash } => connection
            .execute("INSERT OR REPLACE INTO passwords (user, hash) VALUES (?1, ?2)", [user.as_str(), hash]),
        Side::Token { id, user, hash, expires_at } => connection.execute(
            "INSERT INTO tokens (id, user, hash, expires) VALUES (?1, ?2, ?3, ?4)",
            params![id, user.as_str(), hash.as_bytes(), micros(*expires_at)],
        ),
        Side::Probe => connection.execute("UPDATE probe SET nth = nth + 1", []),
        Side::Secret { resource, name, value: Some(value) } => connection.execute(
            "INSERT OR REPLACE INTO secrets (resource, name, value) VALUES (?1, ?2, ?3)",
            [resource.as_str(), name, value],
        ),
        Side::Secret { resource, name, value: None } => connection
            .execute("DELETE FROM secrets WHERE resource = ?1 AND name = ?2", [resource.as_str(), name]),
        Side::ChannelSecret { channel, secret, value, expires_at } => {
            channel_secrets::keep_secret(connection, channel, *secret, value, *expires_at)
        }
    }?;
    Ok(())
}

fn refused(why: impl Into<String>) -> Stop {
    Stop::Refused(AppendError::Failed(why.into()))
}

pub(super) fn append_error(error: &rusqlite::Error) -> AppendError {
    if schema::is_full(error) { AppendError::Full } else { AppendError::Failed(error.to_string()) }
}
