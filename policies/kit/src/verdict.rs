//! What a policy answers: the records of `wit/v1/policy.wit` that come out.

use crate::{Attribute, Instant, Json, Seconds};

/// Some people: the members of the groups, and the users.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Audience {
    /// Everybody in any of these groups.
    pub groups: Vec<String>,
    /// These people, by their ids.
    pub users: Vec<String>,
}

/// This many more approvals, by different people out of these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    /// Who can give them.
    pub people: Audience,
    /// How many are missing.
    pub approvals: u32,
    /// For people to read; may be empty, then the gateway words it.
    pub message: String,
}

/// All of these requirements together. Different requirements of one way are met by
/// different people.
pub type Way = Vec<Requirement>;

/// What a policy says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to say.
    Abstain,
    /// Not yet. Any one of these ways would be enough.
    Wait(Vec<Way>),
    /// Enough, as far as this policy goes.
    Approve,
    /// Approve now, whatever the other policies of the rule still wait for; why.
    Bypass(String),
    /// Final; why, shown to the requester.
    Deny(String),
}

/// Something that must be done if the request is approved; `notify`, as soon as the policy
/// says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// What is to be done.
    pub kind: String,
    /// Its parameters, a JSON text.
    pub params: Json,
    /// True: a gateway that does not know this kind must not approve.
    pub critical: bool,
}

/// Something to tell people about a config or a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable, lower case, words joined by hyphens: `too-few-members`. Of a config:
    /// one that starts with `warning-` is shown, any other refuses it.
    pub code: String,
    /// For people to read.
    pub message: String,
    /// Where in the config, as a JSON pointer (RFC 6901).
    pub path: Option<String>,
}

/// How the code of a finding begins that refuses nothing.
pub(crate) const WARNING: &str = "warning-";

/// What to gather before a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EvidenceNeeds {
    /// Names of facts, from the sources that the operator configured.
    pub facts: Vec<String>,
    /// How far back the history reaches; none: no history.
    pub history_window: Option<Seconds>,
}

/// A policy's answer. Begin with what it says, add what else there is:
/// `Verdict::approve().voters(people).max_duration(3600)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Verdict {
    /// What it says.
    pub outcome: Outcome,
    /// The longest access that this policy allows here.
    pub max_duration: Option<Seconds>,
    /// Whose vote counts; the same whoever voted.
    pub voters: Audience,
    /// Who may force an approval.
    pub forcers: Audience,
    /// Ask again at this time even if nothing happens until then.
    pub revisit_at: Option<Instant>,
    /// What to tell people.
    pub findings: Vec<Finding>,
    /// What must be done on approval, and what people are to be told.
    pub obligations: Vec<Obligation>,
    /// Where the contract grows.
    pub attributes: Vec<Attribute>,
}

impl Audience {
    /// The members of these groups.
    pub fn groups<G: Into<String>>(groups: impl IntoIterator<Item = G>) -> Self {
        Self { groups: groups.into_iter().map(Into::into).collect(), users: Vec::new() }
    }

    /// These people.
    pub fn users<U: Into<String>>(users: impl IntoIterator<Item = U>) -> Self {
        Self { groups: Vec::new(), users: users.into_iter().map(Into::into).collect() }
    }
}

impl Requirement {
    /// `approvals` more by different people out of `people`, in the gateway's words.
    pub fn new(approvals: u32, people: Audience) -> Self {
        Self { people, approvals, message: String::new() }
    }

    /// In your own words.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }
}

impl Finding {
    /// About a decision, or about a config as a whole.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), path: None }
    }

    /// About this place in the config, a JSON pointer such as `/groups/1`.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Whether it refuses nothing.
    pub fn is_warning(&self) -> bool {
        self.code.starts_with(WARNING)
    }
}

impl Obligation {
    /// Has people told `message` about the request, once, however often it is said. `id` names it
    /// within the request and the policy: letters, digits, `.`, `_`, `-` and `@`. No groups and
    /// no users: those who can still vote.
    pub fn notify(id: &str, message: &str, people: &Audience) -> Self {
        /// The parameters of this kind.
        #[derive(serde::Serialize)]
        struct Notice<'a> {
            id: &'a str,
            message: &'a str,
            groups: &'a [String],
            users: &'a [String],
        }
        let notice = Notice { id, message, groups: &people.groups, users: &people.users };
        // Texts and lists of texts are always JSON.
        let params = serde_json::to_string(&notice).unwrap_or_default();
        Self { kind: "notify".to_owned(), params, critical: false }
    }
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

    /// Nothing to say about the request.
    pub fn abstain() -> Self {
        Self::new(Outcome::Abstain)
    }

    /// Not yet: any one of these ways would be enough. No ways at all: only time
    /// helps, see [`Verdict::revisit_at`].
    pub fn wait(ways: Vec<Way>) -> Self {
        Self::new(Outcome::Wait(ways))
    }

    /// Enough.
    pub fn approve() -> Self {
        Self::new(Outcome::Approve)
    }

    /// Approve now, because of `why`.
    pub fn bypass(why: impl Into<String>) -> Self {
        Self::new(Outcome::Bypass(why.into()))
    }

    /// Final, because of `why`, which the requester sees.
    pub fn deny(why: impl Into<String>) -> Self {
        Self::new(Outcome::Deny(why.into()))
    }

    /// The longest access.
    pub fn max_duration(mut self, seconds: Seconds) -> Self {
        self.max_duration = Some(seconds);
        self
    }

    /// Whose vote counts.
    pub fn voters(mut self, people: Audience) -> Self {
        self.voters = people;
        self
    }

    /// Who may force an approval.
    pub fn forcers(mut self, people: Audience) -> Self {
        self.forcers = people;
        self
    }

    /// Ask again at this time.
    pub fn revisit_at(mut self, instant: Instant) -> Self {
        self.revisit_at = Some(instant);
        self
    }

    /// One more thing to tell people.
    pub fn finding(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// One more thing to do on approval, or to tell people: [`Obligation::notify`].
    pub fn obligation(mut self, obligation: Obligation) -> Self {
        self.obligations.push(obligation);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_json_whatever_is_in_it() {
        let notice = Obligation::notify("late", "\"ann\"\nwaits", &Audience::groups(["dba"]));
        let params: serde_json::Value = serde_json::from_str(&notice.params).unwrap();
        let expected =
            serde_json::json!({"id": "late", "message": "\"ann\"\nwaits", "groups": ["dba"], "users": []});
        assert_eq!((notice.kind.as_str(), params, notice.critical), ("notify", expected, false));
    }
}
