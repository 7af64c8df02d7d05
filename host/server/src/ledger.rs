//! The ledger: the append-only, hash-chained record of everything that happened,
//! in one `SQLite` file.
//!
//! ```text
//! append ──┐
//! append ──┼─→ one writer thread ─→ check each · write · one fsync ─→ answers
//! append ──┘     entries, and the views folded from them, in one transaction
//! ```
//!
//! An append is compare-and-append: every entry says the how-manieth of its stream
//! it is, and where somebody else was first it is refused as a whole. What it
//! answers is on the disk.
//!
//! Each entry's digest covers the digest before it, its number and its exact bytes,
//! so [`Reader::verify`] names the first entry that was edited, dropped or moved.
//! The head of the chain is kept beside it, so a tail that was cut off shows too.
//! What cannot show: somebody who can write the file can also compute a new chain,
//! or put back an older copy of the whole file. Only a digest of the head that was
//! written down elsewhere speaks against that.
//!
//! Views (requests, sessions, people, resources, rules, policies) can be dropped and
//! rebuilt from the entries. Password hashes, token digests, secrets, idempotency
//! keys and blobs stand beside the entries and cannot. What shadows saw stands there too,
//! and could be found again from the entries and blobs. So does what notification channels were
//! told (`deliveries`), which could not.
//!
//! Not here: what may be appended (`quorate_core` makes every step), the time, and
//! what follows from an entry.

mod append;
mod audit;
mod channel_secrets;
mod copies;
mod decisions;
mod deliveries;
mod find;
mod letters;
mod lock;
mod read;
mod schema;
mod seal;
mod shadows;
#[cfg(test)]
mod tests;
mod verify;
mod views;
mod writer;

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use quorate_core::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

pub use append::{Append, AppendError, Appended, Basis, KEY_HOURS, Key, Side, Stored, TOKEN_DAYS_KEPT};
pub use audit::{EntryFilter, Order};
pub use channel_secrets::ChannelSecret;
pub use copies::Copy;
pub use decisions::{History, Point, PointFilter};
pub use deliveries::{ChannelStatus, Delivery, DeliveryState, Failed, Outcome, Tried};
pub use find::{Cursor, PAGE_ROWS_MAX, Page, Paged, RequestFilter, SessionFilter, TEXT_CHARS_MAX};
pub use letters::{Became, Letter};
pub use read::{ReadError, Reader, Size};
pub use seal::Sealed;
pub use shadows::{ShadowCount, ShadowFound, ShadowStep};
pub use verify::{Verified, VerifyError, verify};

use writer::{Job, Work, Writer};

/// How many appends may wait for the writer; more wait outside.
const WAITING_MAX: usize = 1024;

/// An open ledger, cheap to clone. Only one gateway has it open at a time; the last
/// clone closes it. It reads as a [`Reader`] does.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    reader: Reader,
    work: Option<mpsc::Sender<Work>>,
    head: watch::Receiver<u64>,
    last_at: Arc<Mutex<Timestamp>>,
    writer: Option<JoinHandle<()>>,
    _lock: lock::Lock,
}

/// A ledger that cannot be opened. Nothing in the file was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the ledger `{}` is in use by another gateway{by}: stop that one first, or name another file",
        shown(path)
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// ` (process 4711)`, where that is known.
        by: String,
    },
    /// It is a ledger, and broken.
    #[error(
        "the ledger `{}` is damaged ({why}): keep the file, run `quorate audit verify` on it, and start from the last backup",
        shown(path)
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It, or its folder, cannot be written.
    #[error(
        "the ledger `{}` cannot be written: give the gateway's user the right to write the file and its folder",
        shown(path)
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error(
        "the ledger `{}` cannot be read: do it as the gateway's user, who alone has the right to",
        shown(path)
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a newer gateway.
    #[error(
        "the ledger `{}` was written by a newer gateway (schema {found}, this one knows {known}): start that version or a later one",
        shown(path)
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this gateway knows.
        known: i64,
    },
    /// It is something else.
    #[error(
        "`{}` is not a ledger, or its beginning is damaged: name another file, or start from the last backup",
        shown(path)
    )]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// There is no space.
    #[error(
        "the ledger `{}` cannot be opened because the disk is full: make room and start again",
        shown(path)
    )]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The system said no.
    #[error("the ledger `{}` cannot be opened: check that its folder exists and can be used", shown(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// `SQLite` said no.
    #[error("the ledger `{}` cannot be opened", shown(path))]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: rusqlite::Error,
    },
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().replace(char::is_control, "\u{fffd}")
}

impl Ledger {
    /// Opens the ledger, or makes an empty one. Takes it for this process alone,
    /// brings its schema up to date, checks the head of the chain, and rebuilds the
    /// views where they are not at the head.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let path = schema::real_path(path)?;
        let lock = lock::Lock::take(&path)?;
        let opened = schema::open(&path)?;
        let (work, waiting) = mpsc::channel(WAITING_MAX);
        let (head, head_seen) = watch::channel(opened.head.seq);
        let last_at = Arc::new(Mutex::new(opened.last_at));
        let writer = Writer::new(opened.connection, opened.head, head, Arc::clone(&last_at));
        let thread = std::thread::Builder::new().name("ledger".to_owned());
        let writer = thread
            .spawn(move || writer.run(waiting))
            .map_err(|source| OpenError::Io { path: path.clone(), source })?;
        let inner = Inner {
            reader: Reader::new(path),
            work: Some(work),
            head: head_seen,
            last_at,
            writer: Some(writer),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Appends a step, with what belongs to it. When it answers, all of it is on
    /// the disk and in the views.
    pub async fn append(&self, append: impl Into<Append>) -> Result<Appended, AppendError> {
        self.job(Job::from(append.into())).await
    }

    /// Keeps something beside the entries that no step goes with.
    async fn keep(&self, side: Vec<Side>) -> Result<(), AppendError> {
        self.job(Job { side, ..Job::default() }).await.map(|_| ())
    }

    /// Keeps an idempotency key under which nothing had to be appended, so that it
    /// stands for nothing else from `at` on.
    pub async fn remember(&self, key: Key, at: Timestamp) -> Result<(), AppendError> {
        self.job(Job { key: Some(key), at: Some(at), ..Job::default() }).await.map(|_| ())
    }

    /// Writes to the disk, to see whether it can be written.
    pub async fn probe(&self) -> Result<(), AppendError> {
        self.keep(vec![Side::Probe]).await
    }

    /// The number of the newest entry. It changes after the entry is on the disk.
    pub fn head(&self) -> watch::Receiver<u64> {
        self.inner.head.clone()
    }

    /// The latest time of any entry: no clock should go behind it.
    pub fn last_at(&self) -> Timestamp {
        *self.inner.last_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes all views anew from the entries. Appends wait meanwhile.
    pub async fn rebuild_views(&self) -> Result<(), AppendError> {
        let rebuilt = self.run(|connection| {
            let transaction = connection.transaction()?;
            views::rebuild(&transaction)?;
            transaction.commit().map_err(views::ViewError::from)
        });
        rebuilt.await?.map_err(|error| AppendError::Failed(error.to_string()))
    }

    async fn job(&self, job: Job) -> Result<Appended, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.send(Work::Append(Box::new(job), reply)).await?;
        answer.await.map_err(|_| AppendError::Closed)?
    }

    /// Runs `work` on the writer's connection, between two transactions.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut rusqlite::Connection) -> T + Send + 'static,
    ) -> Result<T, AppendError> {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move |connection: &mut rusqlite::Connection| {
            // Nobody waits any more where this fails.
            let _ = reply.send(work(connection));
        });
        self.send(Work::Run(work)).await?;
        answer.await.map_err(|_| AppendError::Closed)
    }

    async fn send(&self, work: Work) -> Result<(), AppendError> {
        let sender = self.inner.work.as_ref().ok_or(AppendError::Closed)?;
        sender.send(work).await.map_err(|_| AppendError::Closed)
    }
}

impl Deref for Ledger {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        &self.inner.reader
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("path", &self.inner.reader.path()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer's connection closes last, so that it can empty the log file.
        self.reader.close();
        drop(self.work.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the ledger's writer had stopped with a panic");
        }
    }
}
