//! One policy's answer: the `verdict` record of `wit/v1/policy.wit`, and what
//! stands in its place when there is none.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Some people: the members of the groups, and the users. Names as a policy gave
/// them; they need not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Everybody in any of these groups.
    pub groups: Vec<String>,
    /// These people.
    pub users: Vec<String>,
}

/// This many more approvals, by different people out of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// Who can give them.
    pub people: Audience,
    /// How many are missing.
    pub approvals: u32,
    /// For people to read; may be empty.
    pub message: String,
}

/// All of these together, met by different people.
pub type Way = Vec<Requirement>;

/// What a policy says about a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "value")]
pub enum Outcome {
    /// Nothing to say.
    Abstain,
    /// Not yet; any one of these ways is enough.
    Wait(Vec<Way>),
    /// Enough, as far as this policy goes.
    Approve,
    /// Approve now, whatever the others still wait for; why.
    Bypass(String),
    /// Final; why, shown to the requester.
    Deny(String),
}

/// Something that must be done if the request is approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligation {
    /// What is to be done.
    pub kind: String,
    /// Its parameters, a JSON text.
    pub params: String,
    /// Whether a gateway that does not know the kind must not approve.
    pub critical: bool,
}

/// Something to tell people about a config or a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable, lower case, words joined by hyphens.
    pub code: String,
    /// For people to read.
    pub message: String,
    /// Where in the config, as a JSON pointer (RFC 6901).
    pub path: Option<String>,
}

impl Finding {
    /// Whether it is shown without refusing the config.
    pub fn is_warning(&self) -> bool {
        self.code.starts_with("warning-")
    }
}

/// One policy's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What it says.
    pub outcome: Outcome,
    /// The longest access it allows here, in seconds.
    pub max_duration: Option<u64>,
    /// Whose vote counts.
    pub voters: Audience,
    /// Who may force an approval.
    pub forcers: Audience,
    /// Ask again at this time.
    pub revisit_at: Option<Timestamp>,
    /// What to tell people.
    pub findings: Vec<Finding>,
    /// What must be done on approval.
    pub obligations: Vec<Obligation>,
    /// Where the contract grows.
    pub attributes: Vec<crate::input::Attribute>,
}

impl Verdict {
    /// A verdict that says `outcome` and nothing else.
    pub fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            max_duration: None,
            voters: Audience::default(),
            forcers: Audience::default(),
            revisit_at: None,
            findings: Vec::new(),
            obligations: Vec::new(),
            attributes: Vec::new(),
        }
    }
}

/// What a policy needs to be gathered before a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceNeeds {
    /// Names of facts.
    pub facts: Vec<String>,
    /// How far back the history reaches, in seconds.
    pub history_window: Option<u64>,
}

/// Why there is no verdict. Never an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultCode {
    /// It panicked or did something impossible.
    Trap,
    /// It used up its fuel.
    OutOfFuel,
    /// It asked for more memory than it may have.
    OutOfMemory,
    /// It recursed too deep.
    StackOverflow,
    /// It ran past the deadline.
    Deadline,
    /// The input is larger than the limit.
    InputTooLarge,
    /// The config is larger than the limit, or no longer what the policy accepts.
    BadConfig,
    /// The answer is larger than the limit.
    AnswerTooLarge,
    /// The answer makes no sense.
    BadAnswer,
    /// No policy of this name is active.
    Missing,
    /// It demands, as critical, something this gateway does not know.
    UnknownObligation,
    /// The host itself failed.
    Host,
}

impl FaultCode {
    /// Whether a busy machine can cause it; the others come back every time.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Deadline | Self::Host)
    }

    /// The code as it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::OutOfFuel => "out-of-fuel",
            Self::OutOfMemory => "out-of-memory",
            Self::StackOverflow => "stack-overflow",
            Self::Deadline => "deadline",
            Self::InputTooLarge => "input-too-large",
            Self::BadConfig => "bad-config",
            Self::AnswerTooLarge => "answer-too-large",
            Self::BadAnswer => "bad-answer",
            Self::Missing => "missing",
            Self::UnknownObligation => "unknown-obligation",
            Self::Host => "host",
        }
    }
}

/// A policy that did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of fault.
    pub code: FaultCode,
    /// For people to read; what a panic said, where there was one.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}
