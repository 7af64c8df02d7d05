//! From verdicts to a decision: deny, then bypass, then wait, then approve; when
//! all abstain, nobody decided and the request is denied. Every rule that covers
//! a request must approve. A fault is never an approval.

mod combine;
mod record;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{Digest, GroupName, PolicyName, RuleName};
use crate::input::{Input, Principal};
use crate::notice::Notice;
use crate::verdict::{Audience, Fault, Finding, Verdict, Way};

pub use combine::KNOWN_OBLIGATIONS;

/// What evaluating a policy gave.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are verdicts")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It answered.
    Verdict(Verdict),
    /// It did not.
    Fault(Fault),
}

/// One policy's answer under one rule, with everything needed to ask it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinion {
    /// Which policy.
    pub policy: PolicyName,
    /// Which version; none where no version is active.
    pub version: Option<Digest>,
    /// The config that the rule gives it, a JSON text.
    pub config: String,
    /// What it said.
    pub answer: Answer,
    /// How much fuel that took.
    pub fuel_used: u64,
    /// What it logged, for tracing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// What the policies of one rule said, in the rule's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleOpinion {
    /// Which rule.
    pub rule: RuleName,
    /// Which version of it.
    pub revision: u64,
    /// Its policies' answers.
    pub opinions: Vec<Opinion>,
}

/// Everything a decision was made from; kept beside the ledger by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What every policy saw.
    pub input: Input,
    /// What each said.
    pub rules: Vec<RuleOpinion>,
    /// The engine that ran them: fuel is comparable only under the same one.
    pub engine: String,
}

/// Which versions took part in a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleUsed {
    /// Which rule.
    pub rule: RuleName,
    /// Which version of it.
    pub revision: u64,
    /// Its policies, with the version that answered.
    pub policies: Vec<PolicyUsed>,
}

/// One policy that took part, and in short what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyUsed {
    /// Which policy.
    pub policy: PolicyName,
    /// Which version; none where it was missing.
    pub version: Option<Digest>,
    /// `abstain`, `wait`, `approve`, `bypass`, `deny` or `fault`.
    pub said: String,
}

/// What one policy still waits for: any one of the ways is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Under which rule.
    pub rule: RuleName,
    /// Which policy.
    pub policy: PolicyName,
    /// The ways out; empty: nobody can help, time may.
    pub ways: Vec<Way>,
}

/// A policy that could not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFault {
    /// Under which rule.
    pub rule: RuleName,
    /// Which policy.
    pub policy: PolicyName,
    /// What went wrong.
    pub fault: Fault,
}

/// A policy that let the request pass without waiting for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bypass {
    /// Under which rule.
    pub rule: RuleName,
    /// Which policy.
    pub policy: PolicyName,
    /// Its reason.
    pub why: String,
}

/// The answer for the request as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Combined {
    /// Final.
    Denied {
        /// For the requester to read.
        why: String,
        /// The policy that said it; none where no rule covers the request.
        policy: Option<PolicyName>,
    },
    /// Not decided, because policies could not answer.
    Faulted {
        /// Which.
        faults: Vec<PolicyFault>,
    },
    /// Not yet.
    Waiting {
        /// Each of these must get one of its ways.
        waiting: Vec<Waiting>,
    },
    /// Yes.
    Approved {
        /// The policies that let it pass without waiting.
        bypasses: Vec<Bypass>,
        /// The group that may always enter, where no rule was asked.
        standing: Option<GroupName>,
    },
}

/// The longest access allowed, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// In seconds.
    pub seconds: u64,
    /// Which policy or setting.
    pub set_by: String,
}

/// A finding, with the policy that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFinding {
    /// Which policy.
    pub policy: PolicyName,
    /// What it tells.
    #[serde(flatten)]
    pub finding: Finding,
}

/// The verdicts of all policies of all rules that cover a request, combined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The answer.
    pub outcome: Combined,
    /// What it rests on.
    pub rules: Vec<RuleUsed>,
    /// The smallest maximum of all policies.
    pub cap: Option<Cap>,
    /// Whose vote counts for at least one policy.
    pub voters: Audience,
    /// Who may force, for at least one policy.
    pub forcers: Audience,
    /// When to decide again if nothing happens.
    pub revisit_at: Option<Timestamp>,
    /// What the policies tell people.
    pub findings: Vec<PolicyFinding>,
    /// What the policies want people to be told, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
}

impl Audience {
    /// Whether it names nobody.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.users.is_empty()
    }

    /// Whether `person` is one of them.
    pub fn includes(&self, person: &Principal) -> bool {
        self.users.iter().any(|user| user == person.id.as_str())
            || self.groups.iter().any(|group| person.is_in(group))
    }

    fn add(&mut self, other: &Self) {
        for (mine, theirs) in [(&mut self.groups, &other.groups), (&mut self.users, &other.users)] {
            for name in theirs {
                if !mine.contains(name) {
                    mine.push(name.clone());
                }
            }
        }
    }
}

impl Decision {
    fn bare(outcome: Combined) -> Self {
        Self {
            outcome,
            rules: Vec::new(),
            cap: None,
            voters: Audience::default(),
            forcers: Audience::default(),
            revisit_at: None,
            findings: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// The decision where no rule covers the request and nobody has standing
    /// access.
    pub fn not_covered() -> Self {
        let why = "no access request rule covers this request".to_owned();
        Self::bare(Combined::Denied { why, policy: None })
    }

    /// The decision where no rule covers the request and `group` may always enter.
    pub fn standing(group: GroupName) -> Self {
        Self::bare(Combined::Approved { bypasses: Vec::new(), standing: Some(group) })
    }

    /// The policies that could not answer.
    pub fn faults(&self) -> &[PolicyFault] {
        match &self.outcome {
            Combined::Faulted { faults } => faults,
            _ => &[],
        }
    }

    /// What is still waited for.
    pub fn waiting(&self) -> &[Waiting] {
        match &self.outcome {
            Combined::Waiting { waiting } => waiting,
            _ => &[],
        }
    }
}
