//! The life of a request. A state owns its data; a step takes the time as an
//! argument and gives entries to append; the same entries, folded, give the state
//! back. The guard-rails that no policy can override are here.
//!
//! Not here: which rules cover a request ([`crate::rule`]), how verdicts combine
//! ([`crate::decision`]).

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decision::{Combined, Decision};
use crate::duration::AccessDuration;
use crate::entry::{Actor, Approval, Entry, Happened, Step, Stream};
use crate::ids::{Digest, PolicyName, RequestId, ResourceName, SessionId, UserId};
use crate::input::{self, Choice, Command, Evidence, Input, PastRequest, Principal, Target, Vote};
use crate::refused::Refused;
use crate::resource::Resource;
use crate::rule::{AccessType, Rule};
use crate::session::{Mode, Opened, Permit};
use crate::user::ADMIN;

/// The longest reason or comment, in characters.
pub const REASON_CHARS_MAX: usize = 10_000;
/// The longest input of a command, in bytes.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;
/// The most arguments of a command.
pub const ARGUMENTS_MAX: usize = 100;
/// A policy that wants to be asked again sooner than this waits this long, in
/// seconds.
pub const REVISIT_SECONDS_MIN: i64 = 5;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Access {
    /// A time window.
    JustInTime {
        /// How long.
        duration: AccessDuration,
    },
    /// One run of one command.
    Command {
        /// Which.
        command: Command,
        /// The resource's command line, the arguments and the input, in one.
        digest: Digest,
    },
}

impl Access {
    /// Which of the two ways it is.
    pub fn access_type(&self) -> AccessType {
        match self {
            Self::JustInTime { .. } => AccessType::JustInTime,
            Self::Command { .. } => AccessType::Command,
        }
    }

    fn as_input(&self) -> input::Access {
        match self {
            Self::JustInTime { duration } => input::Access::JustInTime { seconds: duration.seconds() },
            Self::Command { command, .. } => input::Access::Command { command: command.clone() },
        }
    }
}

/// A request as it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Who asks.
    pub requester: UserId,
    /// For what.
    pub resource: ResourceName,
    /// In which way.
    pub access: Access,
    /// In their words; may be empty.
    pub reason: String,
    /// When.
    pub submitted_at: Timestamp,
    /// When it times out unless somebody decides.
    pub closes_at: Timestamp,
}

/// What an approval gives: for just-in-time access the window, for a command the
/// time in which its one run may start. The end is fixed when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// When it was approved.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// Who or what rejected a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decider {
    /// A person's vote.
    User(UserId),
    /// A policy, whatever people said.
    Policy(PolicyName),
    /// No rule covers it, or no policy decides.
    Gateway,
}

impl std::fmt::Display for Decider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(user) => user.fmt(f),
            Self::Policy(policy) => write!(f, "policy {policy}"),
            Self::Gateway => f.write_str("the gateway"),
        }
    }
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", tag = "name")]
pub enum State {
    /// Waiting for people, for time, or for a policy that can answer.
    Pending,
    /// Access is open.
    Approved {
        /// How that came about.
        approval: Box<Approval>,
        /// From when to when.
        grant: Grant,
    },
    /// Access was refused.
    Rejected {
        /// By whom or what.
        by: Decider,
        /// Why; may be empty.
        why: String,
        /// When.
        at: Timestamp,
    },
    /// The requester withdrew it.
    Cancelled {
        /// When.
        at: Timestamp,
    },
    /// Nobody answered in time.
    TimedOut {
        /// When.
        at: Timestamp,
    },
    /// Access was taken away.
    Revoked {
        /// By whom.
        by: Actor,
        /// Why.
        why: String,
        /// When.
        at: Timestamp,
    },
    /// Access ended on time.
    Expired {
        /// When.
        at: Timestamp,
    },
    /// The approved command was started.
    Executed {
        /// How it was approved.
        approval: Box<Approval>,
        /// The session that ran it.
        session: SessionId,
        /// When.
        at: Timestamp,
    },
}

impl State {
    /// As it is shown to people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Approved { .. } => "APPROVED",
            Self::Rejected { .. } => "REJECTED",
            Self::Cancelled { .. } => "CANCELLED",
            Self::TimedOut { .. } => "TIMED_OUT",
            Self::Revoked { .. } => "REVOKED",
            Self::Expired { .. } => "EXPIRED",
            Self::Executed { .. } => "EXECUTED",
        }
    }
}

/// The names of all states, as they are shown to people.
pub const STATE_NAMES: [&str; 8] =
    ["PENDING", "APPROVED", "REJECTED", "CANCELLED", "TIMED_OUT", "REVOKED", "EXPIRED", "EXECUTED"];

/// One person asking for one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Request {
    /// Which.
    pub id: RequestId,
    /// As it was made.
    pub asked: Asked,
    /// In the order they were cast.
    pub votes: Vec<Vote>,
    /// What the policies said last.
    pub decision: Option<Box<Decision>>,
    /// Where the record of that is.
    pub record: Option<Digest>,
    /// Where it stands.
    pub state: State,
    /// How many entries made it what it is.
    pub revision: u64,
}

/// The limits that hold whatever policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// The longest access that the gateway gives, in seconds.
    pub ceiling_seconds: u64,
    /// The resource's own limit, in seconds.
    pub resource_seconds: Option<u64>,
    /// How long an approved command may wait for its run, in seconds.
    pub command_window_seconds: u64,
}

/// What the policies said, and where the record of it is.
#[derive(Debug, Clone)]
pub struct Ruling {
    /// What they said together.
    pub decision: Decision,
    /// The digest of the record.
    pub record: Digest,
    /// What holds besides.
    pub bounds: Bounds,
}

/// What can happen to a request.
#[derive(Debug, Clone)]
pub enum Event {
    /// Somebody votes; the ruling was made with this vote in the input.
    Vote(Box<Vote>, Box<Ruling>),
    /// The policies were asked again.
    Decided(Box<Ruling>),
    /// The requester withdraws it.
    Cancel(UserId),
    /// Somebody takes access away.
    Revoke(Principal, String),
}

/// Seconds from `at`, or the last representable instant.
pub fn after(at: Timestamp, seconds: u64) -> Timestamp {
    let span = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

impl Request {
    /// A new request: refused where it can never be granted. `rules` are those
    /// that cover it.
    pub fn submit(
        id: &RequestId,
        asked: Asked,
        requester: &Principal,
        resource: &Resource,
        rules: &[&Rule],
        bounds: &Bounds,
    ) -> Result<Step, Refused> {
        let access_type = asked.access.access_type();
        if !resource.access_types.contains(&access_type) {
            return Err(Refused::UnsupportedAccess { resource: resource.name.clone(), access_type });
        }
        if rules.is_empty() && resource.standing_group(requester).is_none() {
            let (user, resource) = (requester.id.clone(), resource.name.clone());
            return Err(Refused::NotCovered { user, resource, access_type });
        }
        check_text("the reason", &asked.reason)?;
        match &asked.access {
            Access::JustInTime { duration } => bounds.check(duration, resource)?,
            Access::Command { command, .. } => check_command(command)?,
        }
        let (by, at) = (Actor::User(asked.requester.clone()), asked.submitted_at);
        let happened = Happened::RequestSubmitted { asked: Box::new(asked) };
        Ok(Step::one(Stream::request(id), 0, by, at, happened))
    }

    /// What a policy may see. The requester's own vote is never in it, and nobody
    /// is in it twice.
    pub fn input(&self, requester: Principal, target: Target, evidence: Evidence, now: Timestamp) -> Input {
        let mut votes: Vec<Vote> = Vec::with_capacity(self.votes.len());
        for vote in self.votes.iter().filter(|vote| vote.voter.id != self.asked.requester) {
            if votes.iter().all(|seen| seen.voter.id != vote.voter.id) {
                votes.push(vote.clone());
            }
        }
        Input {
            now,
            request: input::Request {
                id: self.id.clone(),
                requester,
                target,
                access: self.asked.access.as_input(),
                reason: self.asked.reason.clone(),
                submitted_at: self.asked.submitted_at,
            },
            votes,
            history: evidence.history,
            facts: evidence.facts,
        }
    }

    /// The same request with one more vote, for the policies to look at.
    pub fn with_vote(&self, vote: Vote) -> Self {
        let mut request = self.clone();
        request.votes.push(vote);
        request
    }

    /// As later requests see it.
    pub fn as_past(&self) -> PastRequest {
        PastRequest {
            access: self.asked.access.as_input(),
            outcome: self.state.name().to_owned(),
            submitted_at: self.asked.submitted_at,
            ended_at: self.ended_at(),
        }
    }

    /// When its state became final; none while it is open.
    pub fn ended_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Pending | State::Approved { .. } => None,
            State::Rejected { at, .. }
            | State::Cancelled { at }
            | State::TimedOut { at }
            | State::Revoked { at, .. }
            | State::Expired { at }
            | State::Executed { at, .. } => Some(*at),
        }
    }

    /// When it wants to be looked at again.
    pub fn deadline(&self) -> Option<Timestamp> {
        match &self.state {
            State::Pending => {
                let revisit = self.decision.as_ref().and_then(|decision| decision.revisit_at);
                revisit.into_iter().chain([self.asked.closes_at]).min()
            }
            State::Approved { grant, .. } => Some(grant.until),
            _ => None,
        }
    }

    /// What time alone has done to it: timed out or expired.
    pub fn settle(&self, now: Timestamp) -> Option<Step> {
        let happened = match &self.state {
            State::Pending if self.asked.closes_at <= now => Happened::RequestTimedOut,
            State::Approved { grant, .. } if grant.until <= now => Happened::RequestExpired,
            _ => return None,
        };
        Some(self.entries(&Actor::Gateway, now, vec![happened]))
    }

    /// Whether `vote` can be put to the policies at all.
    pub fn check_vote(&self, vote: &Vote) -> Result<(), Refused> {
        let by = &vote.voter.id;
        self.check_open(vote.cast_at)?;
        if *by == self.asked.requester {
            return Err(Refused::OwnRequest { by: by.clone() });
        }
        if let Some(before) = self.votes.iter().find(|before| before.voter.id == *by) {
            return Err(Refused::AlreadyVoted { by: by.clone(), at: before.cast_at });
        }
        check_text("the comment", &vote.comment)?;
        if vote.forced && vote.choice == Choice::Reject {
            return Err(Refused::ForcedRejection);
        }
        if vote.forced && vote.comment.trim().is_empty() {
            return Err(Refused::ReasonMissing);
        }
        Ok(())
    }

    /// One legal change, or why there is none.
    pub fn step(&self, event: Event, now: Timestamp) -> Result<Step, Refused> {
        match event {
            Event::Vote(vote, ruling) => self.vote(*vote, *ruling, now),
            Event::Decided(ruling) => {
                self.check_open(now)?;
                let happened = self.ruled(None, *ruling, now);
                Ok(self.entries(&Actor::Gateway, now, happened))
            }
            Event::Cancel(by) => {
                if by != self.asked.requester {
                    return Err(Refused::NotRequester);
                }
                self.check_open(now)?;
                Ok(self.entries(&Actor::User(by), now, vec![Happened::RequestCancelled]))
            }
            Event::Revoke(by, why) => self.revoke(&by, why, now),
        }
    }

    /// A refused vote, for the record. It changes nothing else.
    pub fn note_refused(&self, vote: Vote, refused: &Refused, now: Timestamp) -> Step {
        let by = Actor::User(vote.voter.id.clone());
        let happened = Happened::VoteRefused { vote, why: refused.code().to_owned() };
        self.entries(&by, now, vec![happened])
    }

    /// Proof that `by` may open a session now.
    pub fn permit(&self, by: &UserId, now: Timestamp) -> Result<Permit, Refused> {
        if *by != self.asked.requester {
            return Err(Refused::NotYours);
        }
        match (&self.state, &self.asked.access) {
            (State::Approved { grant, .. }, Access::JustInTime { .. }) if now < grant.until => {
                Ok(Permit::new(self, grant.until))
            }
            _ => Err(Refused::NotOpen { state: self.state_at(now) }),
        }
    }

    /// The one run of an approved command. `digest` is that of what would run;
    /// `seconds_max` is how long it may take.
    pub fn run(
        &self,
        by: &UserId,
        digest: Digest,
        session: &SessionId,
        seconds_max: u64,
        now: Timestamp,
    ) -> Result<Step, Refused> {
        if *by != self.asked.requester {
            return Err(Refused::NotYours);
        }
        let Access::Command { digest: approved, .. } = &self.asked.access else {
            return Err(Refused::NotOpen { state: self.state_at(now) });
        };
        if *approved != digest {
            return Err(Refused::NotWhatWasApproved);
        }
        match &self.state {
            State::Executed { .. } => Err(Refused::AlreadyRun),
            State::Approved { grant, .. } if now < grant.until => {
                let actor = Actor::User(by.clone());
                let until = after(now, seconds_max);
                let opened = Opened::of(self, Mode::Command, until);
                let happened = Happened::CommandStarted { session: session.clone() };
                let open = Happened::SessionOpened { opened };
                let start = self.entries(&actor, now, vec![happened]);
                Ok(start.and(Step::one(Stream::session(session), 0, actor, now, open)))
            }
            _ => Err(Refused::NotOpen { state: self.state_at(now) }),
        }
    }

    /// The request after the entries of `step` that concern it.
    pub fn after(before: Option<&Self>, step: &Step) -> Option<Self> {
        let own = step.entries().iter().filter(|entry| entry.stream.kind() == crate::entry::Kind::Request);
        own.fold(before.cloned(), Self::fold)
    }

    fn entries(&self, by: &Actor, at: Timestamp, happened: Vec<Happened>) -> Step {
        Step::many(&Stream::request(&self.id), self.revision, by, at, happened)
    }

    fn state_at(&self, now: Timestamp) -> &'static str {
        match &self.state {
            State::Pending if self.asked.closes_at <= now => "TIMED_OUT",
            State::Approved { grant, .. } if grant.until <= now => "EXPIRED",
            state => state.name(),
        }
    }

    /// Only an open request can be decided: a late vote never wins against the
    /// deadline, even where nobody has recorded yet that it passed.
    fn check_open(&self, now: Timestamp) -> Result<(), Refused> {
        let state = self.state_at(now);
        let (by, at) = match &self.state {
            State::Pending if state == "PENDING" => return Ok(()),
            State::Pending | State::TimedOut { .. } => ("the deadline".to_owned(), self.asked.closes_at),
            State::Approved { approval, grant } => (approval.by(), grant.from),
            State::Executed { approval, at, .. } => (approval.by(), *at),
            State::Rejected { by, at, .. } => (by.to_string(), *at),
            State::Cancelled { at } => (format!("the requester, {}", self.asked.requester), *at),
            State::Revoked { by, at, .. } => (by.to_string(), *at),
            State::Expired { at } => ("the end of its time".to_owned(), *at),
        };
        Err(Refused::AlreadyDecided { state, by, at })
    }

    fn vote(&self, vote: Vote, ruling: Ruling, now: Timestamp) -> Result<Step, Refused> {
        self.check_vote(&vote)?;
        self.check_open(now)?;
        let decision = &ruling.decision;
        let by = vote.voter.id.clone();
        let (allowed, refused) = if vote.forced {
            let forcers = decision.forcers.clone();
            (decision.forcers.includes(&vote.voter), Refused::NotForcer { by: by.clone(), forcers })
        } else {
            let voters = decision.voters.clone();
            (decision.voters.includes(&vote.voter), Refused::NotEligible { by: by.clone(), voters })
        };
        if !allowed {
            // A policy that does not answer may be the one that would count it.
            return Err(match decision.faults().first() {
                Some(fault) => {
                    Refused::NoAnswer { policy: fault.policy.clone(), fault: fault.fault.to_string() }
                }
                None => refused,
            });
        }
        let mut happened = vec![Happened::VoteCast { vote: vote.clone() }];
        happened.extend(self.ruled(Some(&vote), ruling, now));
        Ok(self.entries(&Actor::User(by), now, happened))
    }

    /// What follows from a ruling; `vote` is the one that brought it about.
    fn ruled(&self, vote: Option<&Vote>, ruling: Ruling, now: Timestamp) -> Vec<Happened> {
        let Ruling { mut decision, record, bounds } = ruling;
        let soonest = after(now, REVISIT_SECONDS_MIN.unsigned_abs());
        decision.revisit_at = decision.revisit_at.map(|at| at.max(soonest));
        let end = match &decision.outcome {
            Combined::Waiting { .. } | Combined::Faulted { .. } => None,
            Combined::Denied { why, policy } => {
                let voted = vote.filter(|vote| vote.choice == Choice::Reject);
                let by = match (voted, policy) {
                    (Some(vote), _) => Decider::User(vote.voter.id.clone()),
                    (None, Some(policy)) => Decider::Policy(policy.clone()),
                    (None, None) => Decider::Gateway,
                };
                Some(Happened::RequestRejected { by, why: why.clone() })
            }
            Combined::Approved { bypasses, standing } => {
                let votes = self.votes.iter().chain(vote);
                let approvers = votes.clone().filter(|vote| vote.choice == Choice::Approve);
                let forced = votes.filter(|vote| vote.forced).map(|vote| vote.voter.id.clone());
                let approval = Approval {
                    approvers: approvers.map(|vote| vote.voter.id.clone()).collect(),
                    forced_by: forced.last().filter(|_| !bypasses.is_empty()),
                    bypasses: bypasses.clone(),
                    standing: standing.clone(),
                    rules: decision.rules.clone(),
                };
                let seconds = bounds.seconds(&self.asked.access, &decision);
                let grant = Grant { from: now, until: after(now, seconds) };
                Some(Happened::RequestApproved { approval: Box::new(approval), grant })
            }
        };
        let decided = Happened::RequestDecided { decision: Box::new(decision), record };
        std::iter::once(decided).chain(end).collect()
    }

    fn revoke(&self, by: &Principal, why: String, now: Timestamp) -> Result<Step, Refused> {
        check_text("the reason", &why)?;
        match &self.state {
            State::Approved { approval, grant } if now < grant.until => {
                let may =
                    by.is_in(ADMIN) || by.id == self.asked.requester || approval.approvers.contains(&by.id);
                if !may {
                    return Err(Refused::NotRevoker);
                }
                Ok(self.entries(&Actor::User(by.id.clone()), now, vec![Happened::RequestRevoked { why }]))
            }
            _ => Err(Refused::NotOpen { state: self.state_at(now) }),
        }
    }

    /// The request after `entry`, or none where the two do not fit.
    pub(crate) fn fold(before: Option<Self>, entry: &Entry) -> Option<Self> {
        let Entry { at, by, happened, stream, .. } = entry;
        let mut request = match (before, happened) {
            (None, Happened::RequestSubmitted { asked }) => Self {
                id: stream.name().parse().ok()?,
                asked: (**asked).clone(),
                votes: Vec::new(),
                decision: None,
                record: None,
                state: State::Pending,
                revision: 0,
            },
            (Some(_), Happened::RequestSubmitted { .. }) | (None, _) => return None,
            (Some(request), _) => request,
        };
        match happened {
            Happened::RequestSubmitted { .. } | Happened::VoteRefused { .. } => {}
            Happened::VoteCast { vote } => request.votes.push(vote.clone()),
            Happened::RequestDecided { decision, record } => {
                request.decision = Some(decision.clone());
                request.record = Some(*record);
            }
            Happened::RequestApproved { approval, grant } => {
                request.state = State::Approved { approval: approval.clone(), grant: *grant };
            }
            Happened::RequestRejected { by, why } => {
                request.state = State::Rejected { by: by.clone(), why: why.clone(), at: *at };
            }
            Happened::RequestCancelled => request.state = State::Cancelled { at: *at },
            Happened::RequestTimedOut => request.state = State::TimedOut { at: *at },
            Happened::RequestRevoked { why } => {
                request.state = State::Revoked { by: by.clone(), why: why.clone(), at: *at };
            }
            Happened::RequestExpired => request.state = State::Expired { at: *at },
            Happened::CommandStarted { session } => match request.state {
                State::Approved { approval, .. } => {
                    request.state = State::Executed { approval, session: session.clone(), at: *at };
                }
                _ => return None,
            },
            _ => return None,
        }
        request.revision += 1;
        Some(request)
    }
}

impl Approval {
    /// Who or what approved it, in words.
    pub fn by(&self) -> String {
        if let Some(user) = &self.forced_by {
            return format!("{user}, forced");
        }
        if let Some(group) = &self.standing {
            return format!("the standing access of {group}");
        }
        if let Some(bypass) = self.bypasses.first() {
            return format!("policy {}", bypass.policy);
        }
        let names: Vec<&str> = self.approvers.iter().map(UserId::as_str).collect();
        if names.is_empty() { "the rules".to_owned() } else { names.join(", ") }
    }
}

impl Bounds {
    /// Refuses what is longer than the resource or the gateway allows.
    fn check(&self, asked: &AccessDuration, resource: &Resource) -> Result<(), Refused> {
        let own = self.resource_seconds.map(|max| (max, format!("resource {}", resource.name)));
        let limits = own.into_iter().chain([(self.ceiling_seconds, "the gateway".to_owned())]);
        match limits.min_by_key(|(max, _)| *max) {
            Some((max, set_by)) if asked.seconds() > max => Err(Refused::DurationTooLong {
                asked: asked.to_string(),
                max: AccessDuration::from_seconds(max).to_string(),
                set_by,
            }),
            _ => Ok(()),
        }
    }

    /// How long a grant lasts: the smallest of what was asked and what anybody
    /// allows.
    pub fn seconds(&self, access: &Access, decision: &Decision) -> u64 {
        let Access::JustInTime { duration } = access else {
            return self.command_window_seconds;
        };
        let cap = decision.cap.as_ref().map(|cap| cap.seconds);
        let limits = [Some(duration.seconds()), cap, self.resource_seconds, Some(self.ceiling_seconds)];
        limits.into_iter().flatten().min().unwrap_or(0)
    }
}

fn check_text(what: &'static str, text: &str) -> Result<(), Refused> {
    if text.chars().count() > REASON_CHARS_MAX {
        return Err(Refused::TooLong { what, max: REASON_CHARS_MAX, unit: "characters" });
    }
    Ok(())
}

fn check_command(command: &Command) -> Result<(), Refused> {
    let bytes = command.text.len() + command.arguments.iter().map(String::len).sum::<usize>();
    if bytes > COMMAND_BYTES_MAX {
        return Err(Refused::TooLong { what: "the command", max: COMMAND_BYTES_MAX, unit: "bytes" });
    }
    if command.arguments.len() > ARGUMENTS_MAX {
        return Err(Refused::TooLong {
            what: "the list of arguments",
            max: ARGUMENTS_MAX,
            unit: "arguments",
        });
    }
    if command.arguments.iter().any(|one| one.contains('\0')) {
        return Err(Refused::Invalid {
            what: "arguments",
            why: "an argument has no NUL character".to_owned(),
        });
    }
    if command.text.trim().is_empty() && command.arguments.is_empty() {
        return Err(Refused::Invalid {
            what: "command",
            why: "give the input or arguments to run".to_owned(),
        });
    }
    Ok(())
}
