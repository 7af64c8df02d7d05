//! The only writer. Each change loads what it concerns, has the policies
//! evaluated, asks the core for a step and appends it; where somebody else was
//! first, it starts over from what is true now.
//!
//! Not here: what follows in the world (messages, sessions, timers). Reconcilers
//! do that from the ledger, so that a crash between two points loses nothing.

mod activations;
mod backtest;
mod channels;
mod compiled;
mod configure;
mod evaluate;
mod explain;
mod facts;
mod inbox;
mod policies;
mod reach;
mod replay;
mod requests;
mod sessions;
mod shadow;
mod slack;
mod stuck;
mod trial;
mod view;
mod walk;
mod what_if;

use std::sync::Arc;

use quorate_core::Timestamp;
use quorate_core::entry::{Actor, Kind, Step, View, fold};
use quorate_core::ids::{Digest, RequestId, UserId};
use quorate_core::refused::Refused;
use quorate_core::request::Request;
use quorate_core::user::User;
use quorate_policy::{Active, LoadError, Runtime};
use tokio::sync::{Notify, watch};

pub use self::backtest::{BacktestPage, Became, Cell, Flip};
pub use self::channels::{ChannelKeys, PREVIOUS_KEY_HOURS, SavedChannel};
pub use self::compiled::Candidate;
pub use self::configure::Warning;
pub use self::explain::{Explanation, PolicySaid, Untold};
pub use self::facts::{FactSource, FactTried, LastError, Wanting};
pub use self::inbox::{Counts, Inbox};
pub use self::reach::{Grid, Reach, Reached};
pub use self::replay::{DecisionReplay, DifferenceView, Gap, OpinionReplay, ReplayPage};
pub use self::requests::{Ask, AskedAccess, Ballot};
pub use self::shadow::{AcceptedView, ShadowDifference, ShadowReport};
pub use self::stuck::{Stuck, Voters};
pub use self::view::{
    CommandView, Ended, FindingView, Granted, MissingView, NoticeView, RequestView, VoteView, WaitingView,
    WayView,
};
pub use self::walk::{PAGE_POINTS_MAX, Slice};
pub use self::what_if::{Votes, WhatItTakes};
use crate::clock::Clock;
use crate::config::Config;
use crate::facts::Sources;
use crate::ledger::{Append, AppendError, Key, Ledger, ReadError};
use crate::random;

/// How often a change starts over because somebody else was first.
const ATTEMPTS_MAX: u32 = 200;

/// The life of everything the gateway keeps. Cheap to clone.
#[derive(Clone)]
pub struct Lifecycle(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    runtime: Runtime,
    active: Active,
    compiled: compiled::Compiled,
    sources: Sources,
    clock: Clock,
    config: Config,
    /// Held while a policy version is appended and put into the active set, so
    /// that the two happen in one order.
    swapping: tokio::sync::Mutex<()>,
    /// Held while somebody for whom a provider vouches is found or added: of two first
    /// sign-ins at once, the second finds them.
    admitting: tokio::sync::Mutex<()>,
    /// Told when the active set has changed.
    swapped: Notify,
    /// Requests that nobody can approve, as far as that was found out.
    stuck: watch::Sender<Stuck>,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rules said no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// There is no such thing.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A component cannot be a policy here.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The idempotency key was used for this very change; it names what came of
    /// it, as in `request/abc`.
    #[error("this was done before")]
    Repeated(String),
    /// The idempotency key was used for another change.
    #[error("this idempotency key was used for another request")]
    KeyReused,
    /// Facts are to be found out before the policies can be asked; never seen outside.
    #[error("facts were not found out first")]
    Wanting(Box<Wanting>),
    /// The shadow has not seen the newest decisions; never seen outside.
    #[error("the shadow has not seen everything yet")]
    ShadowBehind,
    /// Others were first, again and again.
    #[error("too many people change this at once; try again")]
    Busy,
    /// No space is left on the disk.
    #[error("the ledger's disk is full: nothing was changed")]
    Full,
    /// The machine could not.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Self::Failed(anyhow::Error::new(error).context("the ledger cannot be read"))
    }
}

impl From<AppendError> for Error {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict => Self::Busy,
            AppendError::Repeated(stored) => Self::Repeated(stored.answers),
            AppendError::KeyReused => Self::KeyReused,
            AppendError::TooManyPending { max } => Refused::TooManyPending { max }.into(),
            AppendError::Full => Self::Full,
            error => Self::Failed(error.into()),
        }
    }
}

impl From<random::NoRandomness> for Error {
    fn from(error: random::NoRandomness) -> Self {
        Self::Failed(error.into())
    }
}

/// Marks a change so that sending it twice makes it once.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// Whose key it is.
    pub user: String,
    /// The key.
    pub key: String,
    /// What the change was.
    pub fingerprint: Digest,
}

impl Idempotency {
    fn answering(&self, answers: String) -> Key {
        Key { user: self.user.clone(), key: self.key.clone(), fingerprint: self.fingerprint, answers }
    }

    /// The same, where `what` is part of the change too.
    #[must_use]
    pub fn with(self, what: &str) -> Self {
        let parts = [self.fingerprint.as_bytes().as_slice(), what.as_bytes()];
        Self { fingerprint: Digest::of_parts(parts), ..self }
    }
}

/// What a change comes to: a step to append, and what it leaves.
struct Plan<T> {
    append: Append,
    outcome: Result<T, Error>,
}

impl<T> Plan<T> {
    fn to(append: impl Into<Append>, outcome: T) -> Self {
        Self { append: append.into(), outcome: Ok(outcome) }
    }

    /// A refusal that leaves a trace.
    fn refused(append: impl Into<Append>, refused: Refused) -> Self {
        Self { append: append.into(), outcome: Err(refused.into()) }
    }
}

impl Lifecycle {
    /// Works on `ledger` with the policies in `active`.
    pub fn new(ledger: Ledger, runtime: Runtime, clock: Clock, config: Config) -> Self {
        Self(Arc::new(Inner {
            ledger,
            runtime,
            active: Active::default(),
            compiled: compiled::Compiled::default(),
            sources: Sources::new(config.facts.clone(), clock.clone()),
            clock,
            config,
            swapping: tokio::sync::Mutex::new(()),
            admitting: tokio::sync::Mutex::new(()),
            swapped: Notify::new(),
            stuck: watch::Sender::default(),
        }))
    }

    /// The ledger it writes.
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// The policies that decide now.
    pub fn active(&self) -> &Active {
        &self.0.active
    }

    /// What evaluates policies.
    pub fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    /// The time, as entries are stamped: never before the newest entry, also
    /// where the machine's clock was set back while the gateway was down.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Refuses a change that was made before under this key: for what is checked before
    /// the change is planned, and may no longer hold once it was made.
    pub fn check_key(&self, key: Option<&Idempotency>) -> Result<(), Error> {
        self.0.check_key(key.map(|key| key.answering(String::new())).as_ref())
    }

    /// Waits until the active set changes.
    pub async fn swapped(&self) {
        self.0.swapped.notified().await;
    }

    /// The one way to change anything: plan on what is true now, append, and
    /// start over where somebody else was first. A plan of nothing changes
    /// nothing.
    async fn change<T, F>(&self, key: Option<Key>, plan: F) -> Result<Option<T>, Error>
    where
        T: Send + 'static,
        F: Fn(&Inner, Timestamp) -> Result<Option<Plan<T>>, Error> + Send + Sync + 'static,
    {
        let plan = Arc::new(plan);
        for _ in 0..ATTEMPTS_MAX {
            let (inner, plan, known) = (Arc::clone(&self.0), Arc::clone(&plan), key.clone());
            let planned = tokio::task::spawn_blocking(move || {
                // Before anything is planned: what was made once is refused when it
                // is planned again.
                inner.check_key(known.as_ref())?;
                let planned = plan(&inner, inner.now());
                if !matches!(&planned, Ok(Some(Plan { outcome: Ok(_), .. }))) {
                    // It may have been made meanwhile, by the same change at once.
                    inner.check_key(known.as_ref())?;
                }
                planned
            })
            .await;
            let Some(Plan { mut append, outcome }) = planned.map_err(anyhow::Error::new)?? else {
                return Ok(None);
            };
            // A refusal is not what the key stands for: the change may be tried
            // again with the same key.
            append.key = key.clone().filter(|_| outcome.is_ok());
            match self.0.ledger.append(append).await {
                Ok(_) => return outcome.map(Some),
                Err(AppendError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Busy)
    }
}

impl Inner {
    fn now(&self) -> Timestamp {
        self.clock.now().max(self.ledger.last_at())
    }

    /// Refuses what was made before under this key.
    fn check_key(&self, key: Option<&Key>) -> Result<(), Error> {
        let Some(key) = key else { return Ok(()) };
        match self.ledger.answered(&key.user, &key.key, self.now())? {
            None => Ok(()),
            Some((fingerprint, stored)) if fingerprint == key.fingerprint => {
                Err(Error::Repeated(stored.answers))
            }
            Some(_) => Err(Error::KeyReused),
        }
    }

    fn request(&self, id: &RequestId) -> Result<Request, Error> {
        let found = self.ledger.request(id)?;
        found.ok_or_else(|| Error::NotFound { what: "request", name: id.to_string() })
    }

    fn user(&self, id: &UserId) -> Result<User, Error> {
        let found = self.ledger.user(id)?;
        found.ok_or_else(|| Error::NotFound { what: "user", name: id.to_string() })
    }

    fn active_user(&self, id: &UserId) -> Result<User, Error> {
        let user = self.user(id)?;
        if !user.profile.active {
            return Err(Refused::Inactive { user: id.clone() }.into());
        }
        Ok(user)
    }
}

/// What a step leaves of the one thing of this kind that it is about.
fn follow(mut view: Option<View>, mut revision: u64, kind: Kind, step: &Step) -> Result<Option<View>, Error> {
    for entry in step.entries().iter().filter(|entry| entry.stream.kind() == kind) {
        view = fold(view, revision, entry).map_err(anyhow::Error::new)?;
        revision = entry.revision;
    }
    Ok(view)
}

fn nothing_planned() -> Error {
    Error::Failed(anyhow::anyhow!("a change came to nothing"))
}

/// Who acts, as the ledger writes it.
pub fn actor(user: &UserId) -> Actor {
    Actor::User(user.clone())
}
