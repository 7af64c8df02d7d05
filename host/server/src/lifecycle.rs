//! The only writer. Each change loads what it concerns, has the policies
//! evaluated, asks the core for a step and appends it; where somebody else was
//! first, it starts over from what is true now.
//!
//! Not here: what follows in the world (messages, sessions, timers). Reconcilers
//! do that from the ledger, so that a crash between two points loses nothing.

mod check;
mod configure;
mod evaluate;
mod explain;
mod policies;
mod sessions;
mod view;

use std::sync::Arc;

use quorate_core::Timestamp;
use quorate_core::duration::AccessDuration;
use quorate_core::entry::{Actor, Step, Stream};
use quorate_core::ids::{Digest, RequestId, ResourceName, UserId};
use quorate_core::input::{Choice, Command, Vote};
use quorate_core::refused::Refused;
use quorate_core::request::{Access, Asked, Bounds, Event, Request, after};
use quorate_core::user::User;
use quorate_policy::{Active, LoadError, Runtime};
use tokio::sync::Notify;

pub use self::configure::Warning;
pub use self::explain::{Explanation, PolicySaid};
pub use self::view::{Ended, FindingView, Granted, RequestView, WaitingView};
use crate::clock::Clock;
use crate::config::Config;
use crate::ledger::{Append, AppendError, Key, Ledger, ReadError};
use crate::{random, telemetry};

/// How often a change starts over because somebody else was first.
const ATTEMPTS_MAX: u32 = 200;

/// Refused votes of one person on one request that are recorded; more of them say
/// nothing new, and could fill the disk.
const REFUSED_VOTES_KEPT_MAX: u64 = 20;

/// The life of everything the gateway keeps. Cheap to clone.
#[derive(Clone)]
pub struct Lifecycle(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    runtime: Runtime,
    active: Active,
    clock: Clock,
    config: Config,
    /// Held while a policy version is appended and put into the active set, so
    /// that the two happen in one order.
    swapping: tokio::sync::Mutex<()>,
    /// Told when the active set has changed.
    swapped: Notify,
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

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What.
    pub resource: ResourceName,
    /// In which way.
    pub access: AskedAccess,
    /// Why; may be empty.
    pub reason: String,
}

/// The two ways to ask.
#[derive(Debug, Clone)]
pub enum AskedAccess {
    /// A time window.
    JustInTime(AccessDuration),
    /// One run of one command.
    Command(Command),
}

/// What somebody votes.
#[derive(Debug, Clone)]
pub struct Ballot {
    /// Yes or no.
    pub choice: Choice,
    /// Whether to skip what others still have to say.
    pub forced: bool,
    /// In their words.
    pub comment: String,
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
            clock,
            config,
            swapping: tokio::sync::Mutex::new(()),
            swapped: Notify::new(),
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

    /// Asks for access.
    pub async fn submit(
        &self,
        by: &UserId,
        ask: Ask,
        key: Option<Idempotency>,
    ) -> Result<RequestView, Error> {
        let id: RequestId = random::id()?.parse().map_err(anyhow::Error::new)?;
        let by = by.clone();
        let answers = format!("request/{id}");
        let planned = self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            inner.submit(&id, &by, &ask, now)
        });
        let request = planned.await?.ok_or_else(nothing_planned)?;
        let view = self.view(&request)?;
        if view.nobody_can_approve {
            telemetry::nobody_can_approve();
            tracing::warn!(request = %request.id, summary = view.summary, "nobody can approve a request");
        }
        Ok(view)
    }

    /// Votes.
    pub async fn vote(
        &self,
        id: &RequestId,
        by: &UserId,
        ballot: Ballot,
        key: Option<Idempotency>,
    ) -> Result<Request, Error> {
        self.settle(id).await?;
        let (id, by) = (id.clone(), by.clone());
        let answers = format!("request/{id}");
        self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            inner.vote(&id, &by, &ballot, now)
        })
        .await?
        .ok_or_else(nothing_planned)
    }

    /// Withdraws a request.
    pub async fn cancel(
        &self,
        id: &RequestId,
        by: &UserId,
        key: Option<Idempotency>,
    ) -> Result<Request, Error> {
        self.event(id, key, Event::Cancel(by.clone())).await
    }

    /// Takes access away.
    pub async fn revoke(
        &self,
        id: &RequestId,
        by: &UserId,
        why: String,
        key: Option<Idempotency>,
    ) -> Result<Request, Error> {
        let person = self.0.active_user(by)?.principal();
        self.event(id, key, Event::Revoke(person, why)).await
    }

    /// Records what time alone has done to a request, or asks the policies again
    /// where one of them wanted that by now.
    pub async fn settle(&self, id: &RequestId) -> Result<(), Error> {
        let now = self.now();
        let request = self.0.request(id)?;
        if request.deadline().is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        if request.settle(now).is_none() {
            return self.decide_again(id).await;
        }
        let id = id.clone();
        self.change(None, move |inner, now| {
            let request = inner.request(&id)?;
            Ok(request.settle(now).map(|step| Plan::to(step, ())))
        })
        .await
        .map(drop)
    }

    /// Asks the policies again about a request that waits.
    pub async fn decide_again(&self, id: &RequestId) -> Result<(), Error> {
        let id = id.clone();
        self.change(None, move |inner, now| {
            let basis = inner.basis();
            let request = inner.request(&id)?;
            let evaluated = inner.evaluate(&request, basis, now)?;
            match request.step(Event::Decided(Box::new(evaluated.ruling)), now) {
                Ok(step) => Ok(Some(Plan::to(evaluated.ground.with(step), ()))),
                // Decided meanwhile: there is nothing left to ask.
                Err(Refused::AlreadyDecided { .. }) => Ok(None),
                Err(refused) => Err(refused.into()),
            }
        })
        .await
        .map(drop)
    }

    /// Takes away the access of somebody who may no longer have any.
    pub async fn withdraw(&self, id: &RequestId, why: &str) -> Result<(), Error> {
        let (id, why) = (id.clone(), why.to_owned());
        self.change(None, move |inner, now| {
            let request = inner.request(&id)?;
            Ok(request.withdraw(&why, now).map(|step| Plan::to(step, ())))
        })
        .await
        .map(drop)
    }

    /// Whether the request was last decided by other versions than would decide
    /// it now.
    pub fn is_stale(&self, request: &Request) -> Result<bool, Error> {
        self.0.is_stale(request)
    }

    /// Whether `user` may see the request at all.
    pub fn may_see(request: &Request, user: &User) -> bool {
        let person = user.principal();
        let asked = request.decision.as_deref();
        user.is_auditor()
            || request.asked.requester == user.id
            || request.votes.iter().any(|vote| vote.voter.id == user.id)
            || asked.is_some_and(|said| said.voters.includes(&person) || said.forcers.includes(&person))
    }

    async fn event(&self, id: &RequestId, key: Option<Idempotency>, event: Event) -> Result<Request, Error> {
        self.settle(id).await?;
        let id = id.clone();
        let answers = format!("request/{id}");
        self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            let request = inner.request(&id)?;
            let step = request.step(event.clone(), now)?;
            let left = after_step(Some(&request), &step)?;
            Ok(Some(Plan::to(step, left)))
        })
        .await?
        .ok_or_else(nothing_planned)
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

    fn bounds(&self, resource: &quorate_core::resource::Resource) -> Bounds {
        Bounds {
            ceiling_seconds: self.config.ceiling_seconds,
            resource_seconds: resource.max_duration,
            command_window_seconds: self.config.command_window_seconds,
        }
    }

    fn submit(
        &self,
        id: &RequestId,
        by: &UserId,
        ask: &Ask,
        now: Timestamp,
    ) -> Result<Option<Plan<Request>>, Error> {
        let basis = self.basis();
        let user = self.active_user(by)?;
        let requester = user.principal();
        let max = self.config.pending_requests_max;
        // Here, so that no policy is asked for nothing; the ledger counts again.
        if self.ledger.pending_of(by)? >= max {
            return Err(Refused::TooManyPending { max }.into());
        }
        let Some(resource) = self.ledger.resource(&ask.resource)? else {
            return Err(Error::NotFound { what: "resource", name: ask.resource.to_string() });
        };
        let access = match &ask.access {
            AskedAccess::JustInTime(duration) => Access::JustInTime { duration: duration.clone() },
            AskedAccess::Command(command) => {
                Access::Command { command: command.clone(), digest: resource.command_digest(command) }
            }
        };
        let rules = self.ledger.rules()?;
        let covering = quorate_core::rule::covering(&rules, &requester, &resource, access.access_type());
        let asked = Asked {
            requester: by.clone(),
            resource: ask.resource.clone(),
            access,
            reason: ask.reason.clone(),
            submitted_at: now,
            closes_at: after(now, self.config.review_timeout_seconds),
        };
        let bounds = self.bounds(&resource);
        let asking = Request::submit(id, asked, &requester, &resource, &covering, &bounds)?;
        let request = after_step(None, &asking)?;
        let evaluated = self.evaluate(&request, basis, now)?;
        let decided = request.step(Event::Decided(Box::new(evaluated.ruling)), now)?;
        let left = after_step(Some(&request), &decided)?;
        let append = Append { pending_max: Some(max), ..evaluated.ground.with(asking.and(decided)) };
        Ok(Some(Plan::to(append, left)))
    }

    fn vote(
        &self,
        id: &RequestId,
        by: &UserId,
        ballot: &Ballot,
        now: Timestamp,
    ) -> Result<Option<Plan<Request>>, Error> {
        let mut basis = self.basis();
        basis.streams.push(Stream::user(by));
        let request = self.request(id)?;
        let vote = Vote {
            voter: self.active_user(by)?.principal(),
            choice: ballot.choice,
            forced: ballot.forced,
            comment: ballot.comment.clone(),
            cast_at: now,
        };
        let note = |vote: Vote, refused: Refused| {
            if self.ledger.refused_votes(id, by)? >= REFUSED_VOTES_KEPT_MAX {
                return Err(refused.into());
            }
            Ok(Some(Plan::refused(request.note_refused(vote, &refused, now), refused)))
        };
        match request.check_vote(&vote) {
            Ok(()) => {}
            // A text that is too long is not worth keeping.
            Err(refused @ Refused::TooLong { .. }) => return Err(refused.into()),
            Err(refused) => return note(vote, refused),
        }
        let evaluated = self.evaluate(&request.with_vote(vote.clone()), basis, now)?;
        let event = Event::Vote(Box::new(vote.clone()), Box::new(evaluated.ruling));
        match request.step(event, now) {
            Ok(step) => {
                let left = after_step(Some(&request), &step)?;
                Ok(Some(Plan::to(evaluated.ground.with(step), left)))
            }
            Err(refused) => note(vote, refused),
        }
    }
}

/// The request after a step that concerns it.
fn after_step(before: Option<&Request>, step: &Step) -> Result<Request, Error> {
    let left = Request::after(before, step);
    left.ok_or_else(|| Error::Failed(anyhow::anyhow!("a step does not follow the request it is for")))
}

fn nothing_planned() -> Error {
    Error::Failed(anyhow::anyhow!("a change came to nothing"))
}

/// Who acts, as the ledger writes it.
pub fn actor(user: &UserId) -> Actor {
    Actor::User(user.clone())
}
