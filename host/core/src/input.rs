//! Everything a policy may see about a request at one instant: the `input` record
//! of `wit/v1/policy.wit`. Built by [`crate::request::Request::input`].

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{GroupName, RequestId, ResourceName, UserId};

/// A named JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// A JSON text.
    pub value: String,
}

/// A person, with their groups at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Who.
    pub id: UserId,
    /// Empty if none is known.
    pub email: String,
    /// Each once, in alphabetical order.
    pub groups: Vec<GroupName>,
    /// Further attributes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
}

impl Principal {
    /// Whether they are in `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|mine| mine.as_str() == group)
    }
}

/// The resource role that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: ResourceName,
    /// What stands behind it.
    pub kind: String,
    /// The longest access it allows, in seconds.
    pub max_duration: Option<u64>,
    /// What the operator wrote on it; values are JSON texts.
    pub attributes: Vec<Attribute>,
}

/// Exactly one run of exactly this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What is read from standard input.
    pub text: String,
    /// What is added to the resource's command line.
    #[serde(default)]
    pub arguments: Vec<String>,
}

/// The two ways to ask, as a policy sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Access {
    /// A window of this many seconds.
    JustInTime {
        /// Its length.
        seconds: u64,
    },
    /// One run of one command.
    Command {
        /// The command.
        command: Command,
    },
}

/// One person asking for one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Which request.
    pub id: RequestId,
    /// Who asks, with today's groups.
    pub requester: Principal,
    /// For what.
    pub target: Target,
    /// In which way.
    pub access: Access,
    /// In the requester's words; may be empty.
    pub reason: String,
    /// When.
    pub submitted_at: Timestamp,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// One person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who, with their groups when they voted.
    pub voter: Principal,
    /// Yes or no.
    pub choice: Choice,
    /// Whether it skips what others still have to say.
    pub forced: bool,
    /// In the voter's words; never empty where it is forced.
    pub comment: String,
    /// When.
    pub cast_at: Timestamp,
}

/// Something the gateway was asked to find out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// A JSON text; none where it could not be had.
    pub known: Option<String>,
    /// When that was so.
    pub as_of: Timestamp,
}

/// An earlier request of the same person for the same resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRequest {
    /// What was asked for.
    pub access: Access,
    /// Its state in capitals.
    pub outcome: String,
    /// When it was asked.
    pub submitted_at: Timestamp,
    /// When it ended; none while it is open.
    pub ended_at: Option<Timestamp>,
}

/// What the host gathered, over and above the request and its votes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Newest first.
    pub history: Vec<PastRequest>,
    /// In the order they were asked for.
    pub facts: Vec<Fact>,
}

/// Everything a policy may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The only clock there is.
    pub now: Timestamp,
    /// The request.
    pub request: Request,
    /// In the order they were cast; never the requester's own, never two by one.
    pub votes: Vec<Vote>,
    /// Newest first.
    pub history: Vec<PastRequest>,
    /// In the order they were asked for.
    pub facts: Vec<Fact>,
}
