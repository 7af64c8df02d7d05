//! What a policy may see: the records of `wit/v1/policy.wit` that go in.

use serde::de::DeserializeOwned;

use crate::{Instant, Json, Seconds};

/// A named value: where the contract grows. Ignore the names you do not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// A JSON text.
    pub value: Json,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Unique, never reused, the name they sign in with.
    pub id: String,
    /// Empty if none is known.
    pub email: String,
    /// The groups they are in, each once, in alphabetical order. For a voter: the
    /// groups at the time of the vote.
    pub groups: Vec<String>,
    /// Further attributes.
    pub attributes: Vec<Attribute>,
}

/// The resource role that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// What stands behind it, as the operator named it: `postgres`, `ssh`, ...
    pub kind: String,
    /// The longest access that the resource allows.
    pub max_duration: Option<Seconds>,
    /// What the operator wrote on the resource, such as `env` = `"eu"`.
    pub attributes: Vec<Attribute>,
}

/// Exactly one run of exactly this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What the command reads from its standard input, whole.
    pub text: String,
    /// What is added to the resource's command line.
    pub arguments: Vec<String>,
}

/// The two ways to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A window of time that starts when the request is approved.
    JustInTime(Seconds),
    /// One run of one command.
    Command(Command),
}

/// One person asking for one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which request.
    pub id: String,
    /// Who asks.
    pub requester: Principal,
    /// For what.
    pub target: Target,
    /// In which way.
    pub access: Access,
    /// In the requester's words; may be empty.
    pub reason: String,
    /// When.
    pub submitted_at: Instant,
    /// Further attributes.
    pub attributes: Vec<Attribute>,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// One person's answer. The requester's own never appears, and nobody appears twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// Who, with their groups at the time of the vote.
    pub voter: Principal,
    /// Yes or no.
    pub choice: Choice,
    /// The voter asked to skip what others still have to say.
    pub forced: bool,
    /// In the voter's words; not empty where the vote is forced.
    pub comment: String,
    /// When.
    pub cast_at: Instant,
    /// Further attributes.
    pub attributes: Vec<Attribute>,
}

/// Something the gateway was asked to find out before the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// A JSON text. None: it was asked for and could not be had; an approval should
    /// not rest on it.
    pub known: Option<Json>,
    /// When that was so.
    pub as_of: Instant,
}

/// An earlier request of the same requester for the same resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRequest {
    /// What was asked for.
    pub access: Access,
    /// Its state in capitals, such as `APPROVED`.
    pub outcome: String,
    /// When it was asked.
    pub submitted_at: Instant,
    /// When it ended; none while it is open.
    pub ended_at: Option<Instant>,
}

/// Everything a policy may see about a request at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The only clock there is.
    pub now: Instant,
    /// The request.
    pub request: Request,
    /// In the order in which they were cast.
    pub votes: Vec<Vote>,
    /// Newest first, as far back as `evidence` asked for.
    pub history: Vec<PastRequest>,
    /// Those that `evidence` asked for, in that order.
    pub facts: Vec<Fact>,
    /// Further attributes.
    pub attributes: Vec<Attribute>,
}

impl Principal {
    /// Whether they are in `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|mine| mine == group)
    }

    /// The first of `groups` that they are in.
    pub fn first_of<'g>(&self, groups: &'g [String]) -> Option<&'g str> {
        groups.iter().find(|group| self.is_in(group)).map(String::as_str)
    }

    /// Whether they are in any of `groups`.
    pub fn is_in_any(&self, groups: &[String]) -> bool {
        self.first_of(groups).is_some()
    }
}

impl Target {
    /// What the operator wrote under `name`; none where it is missing or of another
    /// type than asked for.
    pub fn attribute<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let written = self.attributes.iter().find(|attribute| attribute.name == name)?;
        serde_json::from_str(&written.value).ok()
    }
}

impl Input {
    /// The votes that say yes.
    pub fn approvals(&self) -> impl Iterator<Item = &Vote> {
        self.votes.iter().filter(|vote| vote.choice == Choice::Approve)
    }

    /// The votes that say no.
    pub fn rejections(&self) -> impl Iterator<Item = &Vote> {
        self.votes.iter().filter(|vote| vote.choice == Choice::Reject)
    }

    /// The fact of this name; none where it is not known, or of another type.
    pub fn fact<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let fact = self.facts.iter().find(|fact| fact.name == name)?;
        serde_json::from_str(fact.known.as_ref()?).ok()
    }
}

impl Choice {
    /// For the generated code, which reads a choice as its number.
    #[doc(hidden)]
    #[allow(unsafe_code, reason = "the generated code calls it as it would its own, which is unsafe")]
    pub unsafe fn _lift(number: u8) -> Self {
        if number == 0 { Self::Approve } else { Self::Reject }
    }
}
