//! Where a request stands, and what time alone does to it.

use serde::{Deserialize, Serialize};

use super::{Reminder, Request};
use crate::Timestamp;
use crate::entry::{Actor, Approval, Entry, Happened, Step};
use crate::ids::{PolicyName, SessionId, UserId};
use crate::input::PastRequest;

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
        /// How it had come about.
        approval: Box<Approval>,
        /// What it was; its end did not come.
        grant: Grant,
        /// By whom.
        by: Actor,
        /// Why.
        why: String,
        /// When.
        at: Timestamp,
    },
    /// Access ended on time.
    Expired {
        /// How it had come about.
        approval: Box<Approval>,
        /// From when to when it was.
        grant: Grant,
    },
    /// The approved command was started, or what was approved was carried out.
    Executed {
        /// How it was approved.
        approval: Box<Approval>,
        /// The session that ran it; none where there was nothing to run.
        session: Option<SessionId>,
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

    /// Whether `happened` can come next; what is final stays as it is.
    fn may_follow(&self, happened: &Happened) -> bool {
        match happened {
            Happened::VoteRefused { .. } => true,
            Happened::RequestSubmitted { .. }
            | Happened::VoteCast { .. }
            | Happened::RequestDecided { .. }
            | Happened::RequestReminded { .. }
            | Happened::RequestApproved { .. }
            | Happened::RequestRejected { .. }
            | Happened::RequestCancelled
            | Happened::RequestTimedOut => matches!(self, Self::Pending),
            Happened::RequestRevoked { .. }
            | Happened::RequestExpired
            | Happened::CommandStarted { .. }
            | Happened::ActivationCarriedOut { .. } => matches!(self, Self::Approved { .. }),
            Happened::SessionOpened { .. }
            | Happened::SessionCarried { .. }
            | Happened::SessionEnded { .. }
            | Happened::RecordingStopped { .. }
            | Happened::RecordingRead
            | Happened::UserSaved { .. }
            | Happened::AccountBound { .. }
            | Happened::SlackBound { .. }
            | Happened::SlackUnbound
            | Happened::Subscribed { .. }
            | Happened::Unsubscribed
            | Happened::TokenIssued { .. }
            | Happened::TokenRevoked { .. }
            | Happened::PasswordSet
            | Happened::ResourceSaved { .. }
            | Happened::ResourceRemoved
            | Happened::RuleSaved { .. }
            | Happened::RuleRemoved
            | Happened::ChannelSaved { .. }
            | Happened::ChannelRemoved
            | Happened::ChannelSecretRotated
            | Happened::PolicyLoaded { .. }
            | Happened::PolicyStaged { .. }
            | Happened::PolicyShadowed { .. }
            | Happened::PolicyShadowEnded { .. }
            | Happened::ShadowDifferenceAccepted { .. }
            | Happened::PolicyActivated { .. } => false,
        }
    }
}

/// The names of all states, as they are shown to people.
pub const STATE_NAMES: [&str; 8] =
    ["PENDING", "APPROVED", "REJECTED", "CANCELLED", "TIMED_OUT", "REVOKED", "EXPIRED", "EXECUTED"];

impl Request {
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
            State::Expired { grant, .. } => Some(grant.until),
            State::Rejected { at, .. }
            | State::Cancelled { at }
            | State::TimedOut { at }
            | State::Revoked { at, .. }
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

    /// The request after the entries of `step` that concern it.
    pub fn after(before: Option<&Self>, step: &Step) -> Option<Self> {
        let own = step.entries().iter().filter(|entry| entry.stream.kind() == crate::entry::Kind::Request);
        own.fold(before.cloned(), Self::fold)
    }

    pub(super) fn state_at(&self, now: Timestamp) -> &'static str {
        match &self.state {
            State::Pending if self.asked.closes_at <= now => "TIMED_OUT",
            State::Approved { grant, .. } if grant.until <= now => "EXPIRED",
            state => state.name(),
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
                unanswered: None,
                reminders: Vec::new(),
                state: State::Pending,
                revision: 0,
            },
            (Some(_), Happened::RequestSubmitted { .. }) | (None, _) => return None,
            (Some(request), _) => request,
        };
        if !request.state.may_follow(happened) {
            return None;
        }
        match happened {
            Happened::RequestSubmitted { .. } | Happened::VoteRefused { fault: None, .. } => {}
            Happened::VoteRefused { fault, .. } => request.unanswered.clone_from(fault),
            Happened::VoteCast { vote } => request.votes.push(vote.clone()),
            Happened::RequestDecided { decision, record } => {
                request.decision = Some(decision.clone());
                request.record = Some(*record);
                request.unanswered = None;
            }
            Happened::RequestReminded { notice } => {
                request.reminders.push(Reminder { at: *at, notice: notice.clone() });
            }
            Happened::RequestApproved { approval, grant } => {
                request.state = State::Approved { approval: approval.clone(), grant: *grant };
            }
            Happened::RequestRejected { by, why } => {
                request.state = State::Rejected { by: by.clone(), why: why.clone(), at: *at };
            }
            Happened::RequestCancelled => request.state = State::Cancelled { at: *at },
            // These two are told by when they came about, not by when the gateway,
            // which may have been down, wrote them down.
            Happened::RequestTimedOut => request.state = State::TimedOut { at: request.asked.closes_at },
            Happened::RequestRevoked { why } => match request.state {
                State::Approved { approval, grant } => {
                    let (by, why) = (by.clone(), why.clone());
                    request.state = State::Revoked { approval, grant, by, why, at: *at };
                }
                _ => return None,
            },
            Happened::RequestExpired => match request.state {
                State::Approved { approval, grant } => request.state = State::Expired { approval, grant },
                _ => return None,
            },
            Happened::CommandStarted { session } => match request.state {
                State::Approved { approval, .. } => {
                    request.state = State::Executed { approval, session: Some(session.clone()), at: *at };
                }
                _ => return None,
            },
            Happened::ActivationCarriedOut { .. } => match request.state {
                State::Approved { approval, .. } => {
                    request.state = State::Executed { approval, session: None, at: *at };
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
