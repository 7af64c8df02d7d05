//! What the ledger records, and [`Step`], the only thing it appends.
//!
//! Entries are read for ever: a change here must answer what an old gateway makes
//! of a new entry and a new gateway of an old one. Grow by new variants and by
//! fields with a default.

mod view;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::channel::Channel;
use crate::decision::{Bypass, Decision, PolicyFault, RuleUsed};
use crate::ids::{
    ChannelName, Digest, GroupName, PolicyName, RequestId, ResourceName, RuleName, SessionId, UserId,
};
use crate::input::Vote;
use crate::notice::Notice;
use crate::request::{Asked, Decider, Grant};
use crate::resource::Resource;
use crate::rule::Rule;
use crate::session::{End, Opened};
use crate::user::{Account, Profile, SlackUser, Token};

pub use view::{BrokenEntry, View, fold};

/// What kind of thing a stream is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A request.
    Request,
    /// A session.
    Session,
    /// A person.
    User,
    /// A resource.
    Resource,
    /// A rule.
    Rule,
    /// A policy.
    Policy,
    /// A notification channel.
    Channel,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Request, Self::Session, Self::User, Self::Resource, Self::Rule, Self::Policy, Self::Channel];

    /// As it is written in a stream's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Session => "session",
            Self::User => "user",
            Self::Resource => "resource",
            Self::Rule => "rule",
            Self::Policy => "policy",
            Self::Channel => "channel",
        }
    }
}

/// The thing that an entry is about, written `request/abc`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Stream {
    kind: Kind,
    name: String,
}

impl Stream {
    fn new(kind: Kind, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }

    /// A request's.
    pub fn request(id: &RequestId) -> Self {
        Self::new(Kind::Request, id.as_str())
    }

    /// A session's.
    pub fn session(id: &SessionId) -> Self {
        Self::new(Kind::Session, id.as_str())
    }

    /// A person's.
    pub fn user(id: &UserId) -> Self {
        Self::new(Kind::User, id.as_str())
    }

    /// A resource's.
    pub fn resource(name: &ResourceName) -> Self {
        Self::new(Kind::Resource, name.as_str())
    }

    /// A rule's.
    pub fn rule(name: &RuleName) -> Self {
        Self::new(Kind::Rule, name.as_str())
    }

    /// A policy's.
    pub fn policy(name: &PolicyName) -> Self {
        Self::new(Kind::Policy, name.as_str())
    }

    /// A notification channel's.
    pub fn channel(name: &ChannelName) -> Self {
        Self::new(Kind::Channel, name.as_str())
    }

    /// What kind of thing it is about.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Which one.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.name)
    }
}

impl From<Stream> for String {
    fn from(stream: Stream) -> Self {
        stream.to_string()
    }
}

impl TryFrom<String> for Stream {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let unknown = || format!("`{}` is not the name of a stream", crate::text::shown(&text, 80));
        let (kind, name) = text.split_once('/').ok_or_else(unknown)?;
        let kind = Kind::ALL.into_iter().find(|one| one.as_str() == kind).ok_or_else(unknown)?;
        Ok(Self::new(kind, name))
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// A person.
    User(UserId),
    /// The gateway itself: a timer, a policy, its own start.
    Gateway,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Gateway => f.pad("the gateway"),
        }
    }
}

/// How a request came to be approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Those whose approvals were on record, in the order they came.
    pub approvers: Vec<UserId>,
    /// Who forced it.
    pub forced_by: Option<UserId>,
    /// The policies that did not wait for people.
    pub bypasses: Vec<Bypass>,
    /// The group that may always enter.
    pub standing: Option<GroupName>,
    /// The rules and policy versions that decided.
    pub rules: Vec<RuleUsed>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Happened {
    /// Somebody asked.
    RequestSubmitted {
        /// What exactly.
        asked: Box<Asked>,
    },
    /// Somebody voted.
    VoteCast {
        /// The vote.
        vote: Vote,
    },
    /// Somebody tried to vote and was refused.
    VoteRefused {
        /// The vote that was not counted.
        vote: Vote,
        /// The refusal's code.
        why: String,
        /// The policy that did not answer, where that is why; it marks the request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<PolicyFault>,
    },
    /// The policies were asked.
    RequestDecided {
        /// What they said together.
        decision: Box<Decision>,
        /// Where the whole record is.
        record: Digest,
    },
    /// A policy has people told something about it, for the first and only time.
    RequestReminded {
        /// What, and whom.
        notice: Notice,
    },
    /// Access is open.
    RequestApproved {
        /// How that came about.
        approval: Box<Approval>,
        /// From when to when.
        grant: Grant,
    },
    /// Access is refused.
    RequestRejected {
        /// Who or what rejected it. Not `by`, which the entry says already: the two
        /// stand side by side in its JSON.
        #[serde(rename = "decider")]
        by: Decider,
        /// Why; may be empty.
        why: String,
    },
    /// The requester withdrew it.
    RequestCancelled,
    /// Nobody answered in time.
    RequestTimedOut,
    /// Access was taken away.
    RequestRevoked {
        /// Why.
        why: String,
    },
    /// Access ended on time.
    RequestExpired,
    /// The approved command was started: its one run.
    CommandStarted {
        /// The session that runs it.
        session: SessionId,
    },
    /// The approved activation was carried out: its one time.
    ActivationCarriedOut {
        /// Of which policy.
        policy: PolicyName,
        /// The version that decides from then on.
        digest: Digest,
    },
    /// A session was opened.
    SessionOpened {
        /// Under which grant, until when.
        opened: Opened,
    },
    /// A session goes on under another grant.
    SessionCarried {
        /// The other grant.
        request: RequestId,
        /// Its end.
        until: Timestamp,
    },
    /// A session ended.
    SessionEnded {
        /// Why.
        end: End,
    },
    /// The recording of a session ends before the session does.
    RecordingStopped {
        /// Why.
        why: String,
    },
    /// Somebody was given the recording of a session.
    RecordingRead,
    /// A person was added or changed.
    UserSaved {
        /// What the operator says of them.
        profile: Profile,
    },
    /// A provider vouches for a person from now on.
    AccountBound {
        /// Who they are there.
        account: Account,
    },
    /// A person is known in Slack from now on.
    SlackBound {
        /// Who they are there.
        slack: SlackUser,
    },
    /// A person is not known in Slack any more.
    SlackUnbound,
    /// A person wants to hear of requests that they can vote on.
    Subscribed {
        /// Of those that wait for one of these; empty: of all.
        groups: BTreeSet<GroupName>,
    },
    /// A person does not want to hear of requests any more.
    Unsubscribed,
    /// A token was issued.
    TokenIssued {
        /// All but its secret.
        token: Token,
    },
    /// A token was taken back.
    TokenRevoked {
        /// Which.
        id: String,
    },
    /// A password was set.
    PasswordSet,
    /// A resource was added or changed.
    ResourceSaved {
        /// What it is now.
        resource: Box<Resource>,
    },
    /// A resource was removed.
    ResourceRemoved,
    /// A rule was added or changed.
    RuleSaved {
        /// What it is now.
        rule: Box<Rule>,
    },
    /// A rule was removed.
    RuleRemoved,
    /// A notification channel was added or changed.
    ChannelSaved {
        /// What it is now, without its secrets.
        channel: Box<Channel>,
    },
    /// A notification channel was removed.
    ChannelRemoved,
    /// A notification channel has another secret to sign with.
    ChannelSecretRotated,
    /// A component was loaded.
    PolicyLoaded {
        /// Which.
        version: crate::policy::Version,
    },
    /// A version was checked against every rule that uses the policy, and put forward.
    PolicyStaged {
        /// Which.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// A version is asked beside the one that decides.
    PolicyShadowed {
        /// Which.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// It is not asked any more.
    PolicyShadowEnded {
        /// Which.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// Somebody has looked at decisions that would be others, and takes them.
    ShadowDifferenceAccepted {
        /// Under which version.
        digest: Digest,
        /// The numbers of the decisions' entries.
        decisions: Vec<u64>,
        /// Why.
        reason: String,
    },
    /// Another version decides.
    PolicyActivated {
        /// Which.
        digest: Digest,
        /// Why.
        reason: String,
        /// The request that was approved for it; none: it needed none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved: Option<crate::policy::Approved>,
    },
}

/// One thing that happened to one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is about.
    pub stream: Stream,
    /// The how-manieth entry of that stream it is, from 1.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: Actor,
    /// What happened.
    #[serde(flatten)]
    pub happened: Happened,
}

/// A condition on a stream that a step does not itself change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The stream.
    pub stream: Stream,
    /// How many entries it must have.
    pub revision: u64,
}

/// One legal change, ready to be appended: all of its entries or none.
///
/// Only this crate makes one. An entry's revision is also the condition under
/// which it may be appended: its stream has exactly one entry less.
#[must_use = "a step does nothing until the ledger appends it"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    entries: Vec<Entry>,
    guards: Vec<Guard>,
}

impl Step {
    pub(crate) fn one(stream: Stream, revision: u64, by: Actor, at: Timestamp, happened: Happened) -> Self {
        let entry = Entry { stream, revision: revision + 1, at, by, happened };
        Self { entries: vec![entry], guards: Vec::new() }
    }

    pub(crate) fn many(
        stream: &Stream,
        revision: u64,
        by: &Actor,
        at: Timestamp,
        happened: Vec<Happened>,
    ) -> Self {
        let entries = (revision + 1..).zip(happened).map(|(revision, happened)| Entry {
            stream: stream.clone(),
            revision,
            at,
            // A policy says it, whoever had it asked.
            by: if matches!(happened, Happened::RequestReminded { .. }) {
                Actor::Gateway
            } else {
                by.clone()
            },
            happened,
        });
        Self { entries: entries.collect(), guards: Vec::new() }
    }

    /// Both together. `other` was made from what this one leaves.
    pub fn and(mut self, other: Self) -> Self {
        self.entries.extend(other.entries);
        self.guards.extend(other.guards);
        self
    }

    pub(crate) fn only_while(mut self, stream: Stream, revision: u64) -> Self {
        self.guards.push(Guard { stream, revision });
        self
    }

    /// What will be appended, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What must hold besides.
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }
}
