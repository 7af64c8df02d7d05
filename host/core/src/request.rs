//! The life of a request. A state owns its data; a step takes the time as an
//! argument and gives entries to append; the same entries, folded, give the state
//! back. The guard-rails that no policy can override are here.
//!
//! Further in: where it stands and what time does to it (`state`), the limits
//! (`bounds`), what an approval is good for (`permit`).
//!
//! Not here: which rules cover a request ([`crate::rule`]), how verdicts combine
//! ([`crate::decision`]).

mod bounds;
mod permit;
mod state;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decision::{Combined, Decision, PolicyFault};
use crate::duration::AccessDuration;
use crate::entry::{Actor, Approval, Happened, Step, Stream};
use crate::ids::{Digest, RequestId, ResourceName, UserId};
use crate::input::{self, Choice, Command, Evidence, Input, Principal, Target, Vote};
use crate::notice::{NOTICES_PER_REQUEST_MAX, Notice};
use crate::refused::Refused;
use crate::resource::Resource;
use crate::rule::{AccessType, Rule};
use crate::user::ADMIN;

pub use bounds::{ARGUMENTS_MAX, Bounds, COMMAND_BYTES_MAX, REASON_CHARS_MAX, REVISIT_SECONDS_MIN, after};
pub use state::{Decider, Grant, STATE_NAMES, State};

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

impl Asked {
    /// What binds a vote to exactly this: of another request, and of one that somebody made out to
    /// be this one, it is another.
    pub fn digest(&self) -> Digest {
        let access = match &self.access {
            Access::JustInTime { duration } => duration.to_string(),
            Access::Command { digest, .. } => digest.to_string(),
        };
        let at = self.submitted_at.to_string();
        let parts = [self.requester.as_str(), self.resource.as_str(), &access, &self.reason, &at];
        Digest::of_parts(parts.map(str::as_bytes))
    }
}

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
    /// The policy that has since not answered when somebody voted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<PolicyFault>,
    /// What people were told about it, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reminders: Vec<Reminder>,
    /// Where it stands.
    pub state: State,
    /// How many entries made it what it is.
    pub revision: u64,
}

/// What a policy had people told, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reminder {
    /// When.
    pub at: Timestamp,
    /// What, and whom.
    pub notice: Notice,
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

impl Request {
    /// A new request: refused where it can never be granted. `rules` are those
    /// that may cover it. Whatever `asked` says of who asks, for what, and of the
    /// digest of the command, `requester` and `resource` say it.
    pub fn submit(
        id: &RequestId,
        mut asked: Asked,
        requester: &Principal,
        resource: &Resource,
        rules: &[&Rule],
        bounds: &Bounds,
    ) -> Result<Step, Refused> {
        let access_type = asked.access.access_type();
        if !resource.access_types.contains(&access_type) {
            return Err(Refused::UnsupportedAccess { resource: resource.name.clone(), access_type });
        }
        let covered = rules.iter().any(|rule| rule.covers(requester, resource, access_type));
        if !covered && resource.standing_group(requester).is_none() {
            let (user, resource) = (requester.id.clone(), resource.name.clone());
            return Err(Refused::NotCovered { user, resource, access_type });
        }
        bounds::check_text("the reason", &asked.reason)?;
        match &mut asked.access {
            Access::JustInTime { duration } => bounds.check(duration, resource)?,
            Access::Command { command, digest } => {
                bounds::check_command(command)?;
                *digest = resource.command_digest(command);
            }
        }
        asked.requester = requester.id.clone();
        asked.resource = resource.name.clone();
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
    #[must_use]
    pub fn with_vote(&self, vote: Vote) -> Self {
        let mut request = self.clone();
        request.votes.push(vote);
        request
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
        bounds::check_text("the comment", &vote.comment)?;
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
            Event::Vote(vote, ruling) => self.vote(&vote, *ruling, now),
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
        self.entries(&by, now, vec![refused_vote(vote, refused, None)])
    }

    /// A vote that cannot be counted because a policy does not answer. The vote is not kept
    /// for later, and the request is marked: by the decision without the vote, where that
    /// faults as well, and otherwise by the fault that the vote brought about.
    pub fn note_unanswered(
        &self,
        vote: Vote,
        refused: &Refused,
        fault: PolicyFault,
        without: Ruling,
        now: Timestamp,
    ) -> Step {
        let by = Actor::User(vote.voter.id.clone());
        if without.decision.faults().is_empty() {
            return self.entries(&by, now, vec![refused_vote(vote, refused, Some(fault))]);
        }
        let mut happened = vec![refused_vote(vote, refused, None)];
        happened.extend(self.ruled(None, without, now));
        self.entries(&by, now, happened)
    }

    fn entries(&self, by: &Actor, at: Timestamp, happened: Vec<Happened>) -> Step {
        Step::many(&Stream::request(&self.id), self.revision, by, at, happened)
    }

    /// Only an open request can be decided: a late vote never wins against the
    /// deadline, even where nobody has recorded yet that it passed.
    fn check_open(&self, now: Timestamp) -> Result<(), Refused> {
        let state = self.state_at(now);
        let (by, at) = match &self.state {
            State::Pending if state == "PENDING" => return Ok(()),
            State::Pending | State::TimedOut { .. } => ("the deadline".to_owned(), self.asked.closes_at),
            State::Approved { approval, grant } => (approval.by(), grant.from),
            State::Executed { at, .. } => (self.asked.requester.to_string(), *at),
            State::Rejected { by, at, .. } => (by.to_string(), *at),
            State::Cancelled { at } => (format!("the requester, {}", self.asked.requester), *at),
            State::Revoked { by, at, .. } => (by.to_string(), *at),
            State::Expired { grant, .. } => ("the end of its time".to_owned(), grant.until),
        };
        Err(Refused::AlreadyDecided { state, by, at })
    }

    fn vote(&self, vote: &Vote, ruling: Ruling, now: Timestamp) -> Result<Step, Refused> {
        self.check_vote(vote)?;
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
        happened.extend(self.ruled(Some(vote), ruling, now));
        Ok(self.entries(&Actor::User(by), now, happened))
    }

    /// What follows from a ruling; `vote` is the one that brought it about.
    fn ruled(&self, vote: Option<&Vote>, ruling: Ruling, now: Timestamp) -> Vec<Happened> {
        let Ruling { mut decision, record, bounds } = ruling;
        let soonest = after(now, REVISIT_SECONDS_MIN.unsigned_abs());
        decision.revisit_at = decision.revisit_at.map(|at| at.max(soonest));
        let rejection = vote.filter(|vote| vote.choice == Choice::Reject);
        let end = match (&decision.outcome, rejection) {
            // A counted rejection is final, whatever else the policies make of it.
            (outcome, Some(vote)) => {
                let why = match outcome {
                    Combined::Denied { why, .. } => why.clone(),
                    _ => vote.comment.clone(),
                };
                Some(Happened::RequestRejected { by: Decider::User(vote.voter.id.clone()), why })
            }
            (Combined::Waiting { .. } | Combined::Faulted { .. }, None) => None,
            (Combined::Denied { why, policy }, None) => {
                let by = policy.clone().map_or(Decider::Gateway, Decider::Policy);
                Some(Happened::RequestRejected { by, why: why.clone() })
            }
            (Combined::Approved { bypasses, standing }, None) => {
                let votes = self.votes.iter().chain(vote);
                let approvers = votes.clone().filter(|vote| vote.choice == Choice::Approve);
                let mut forced = votes.filter(|vote| vote.forced).map(|vote| vote.voter.id.clone());
                let approval = Approval {
                    approvers: approvers.map(|vote| vote.voter.id.clone()).collect(),
                    forced_by: forced.next_back().filter(|_| !bypasses.is_empty()),
                    bypasses: bypasses.clone(),
                    standing: standing.clone(),
                    rules: decision.rules.clone(),
                };
                let seconds = bounds.seconds(&self.asked.access, &decision);
                let grant = Grant { from: now, until: after(now, seconds) };
                Some(Happened::RequestApproved { approval: Box::new(approval), grant })
            }
        };
        let reminded = match &end {
            None | Some(Happened::RequestApproved { .. }) => self.reminded(&mut decision),
            // Nobody has to hear any more of what is over.
            Some(_) => Vec::new(),
        };
        let decided = Happened::RequestDecided { decision: Box::new(decision), record };
        std::iter::once(decided).chain(reminded).chain(end).collect()
    }

    /// The notices of `decision` that this request has not had yet. What it has no room for is a
    /// finding.
    fn reminded(&self, decision: &mut Decision) -> Vec<Happened> {
        let had = |notice: &Notice| self.reminders.iter().any(|reminder| reminder.notice.is_same(notice));
        let mut new: Vec<Notice> = decision.notices.iter().filter(|one| !had(one)).cloned().collect();
        let room = NOTICES_PER_REQUEST_MAX.saturating_sub(self.reminders.len());
        for notice in new.drain(room.min(new.len())..) {
            let why = format!("at most {NOTICES_PER_REQUEST_MAX} notices are told of one request, not more");
            decision.add_finding(&notice.policy, "notify-too-many", why);
        }
        new.into_iter().map(|notice| Happened::RequestReminded { notice }).collect()
    }

    /// Takes access away because its owner may no longer have any; none where there
    /// is nothing to take.
    pub fn withdraw(&self, why: &str, now: Timestamp) -> Option<Step> {
        let happened = Happened::RequestRevoked { why: why.to_owned() };
        let open = matches!(&self.state, State::Approved { grant, .. } if now < grant.until);
        open.then(|| self.entries(&Actor::Gateway, now, vec![happened]))
    }

    /// Whether it is approved, and `by` is somebody who may take that back: who asked, who
    /// approved, an admin.
    pub fn may_revoke(&self, by: &Principal) -> bool {
        let State::Approved { approval, .. } = &self.state else { return false };
        by.is_in(ADMIN) || by.id == self.asked.requester || approval.approvers.contains(&by.id)
    }

    fn revoke(&self, by: &Principal, why: String, now: Timestamp) -> Result<Step, Refused> {
        bounds::check_text("the reason", &why)?;
        match &self.state {
            State::Approved { grant, .. } if now < grant.until => {
                if !self.may_revoke(by) {
                    return Err(Refused::NotRevoker);
                }
                Ok(self.entries(&Actor::User(by.id.clone()), now, vec![Happened::RequestRevoked { why }]))
            }
            _ => Err(Refused::NotOpen { state: self.state_at(now) }),
        }
    }
}

fn refused_vote(mut vote: Vote, refused: &Refused, fault: Option<PolicyFault>) -> Happened {
    // The refusal may be that the comment is too long to be kept.
    vote.comment = vote.comment.chars().take(REASON_CHARS_MAX).collect();
    Happened::VoteRefused { vote, why: refused.code().to_owned(), fault }
}
