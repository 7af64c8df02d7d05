//! A policy in operation: its versions, the life of each, and which of them decides.
//!
//! ```text
//! loaded → staged → shadow → active → superseded
//! ```
//!
//! A version may be made active from any of these; shadow is for those that were staged.
//! A version whose shadow is stopped is staged again.
//!
//! Further in: an activation that somebody else has to approve (`activation`).

mod activation;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::entry::{Actor, Happened, Step, Stream};
use crate::ids::{Digest, PolicyName};
use crate::refused::Refused;

pub use activation::{Activation, Approved};

/// One component that was loaded under a policy's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The digest of its bytes.
    pub digest: Digest,
    /// What the component says of itself; may be empty.
    pub label: String,
    /// Its size.
    pub bytes: u64,
    /// Whether it came with the gateway.
    pub built_in: bool,
}

/// Where a version is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It is there.
    Loaded,
    /// It was checked against every rule that uses the policy, and put forward.
    Staged,
    /// It is asked beside the active one, and decides nothing.
    Shadow,
    /// It decides.
    Active,
    /// It decided.
    Superseded,
}

impl Stage {
    /// As it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Staged => "staged",
            Self::Shadow => "shadow",
            Self::Active => "active",
            Self::Superseded => "superseded",
        }
    }
}

/// A step in the life of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Which version.
    pub digest: Digest,
    /// What it came to.
    pub to: Stage,
    /// Who did it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why, in their words; may be empty.
    pub reason: String,
    /// The request that was approved for it; none: it needed none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
}

/// A version asked beside the active one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// Which.
    pub digest: Digest,
    /// The policy's entry that began it.
    pub began: u64,
    /// The policy's entry that ended it; none: it goes on.
    pub ended: Option<u64>,
    /// The differences that somebody has looked at and takes.
    pub accepted: Vec<Accepted>,
}

/// A difference that somebody takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The numbers of the decisions' entries.
    pub decisions: Vec<u64>,
    /// Who takes it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// Everything that was loaded under the name, oldest first.
    pub versions: Vec<Version>,
    /// What happened to them, oldest first.
    pub transitions: Vec<Transition>,
    /// The latest shadow, whether it goes on or not.
    pub shadow: Option<Shadow>,
    /// How many entries made it what it is.
    pub revision: u64,
}

impl Policy {
    /// Which versions decided, oldest first.
    pub fn activations(&self) -> impl DoubleEndedIterator<Item = &Transition> {
        self.transitions.iter().filter(|one| one.to == Stage::Active)
    }

    /// The version that decides.
    pub fn active(&self) -> Option<&Version> {
        let digest = self.activations().next_back()?.digest;
        self.versions.iter().find(|version| version.digest == digest)
    }

    /// The version that decided before the active one.
    pub fn previous(&self) -> Option<Digest> {
        let active = self.activations().next_back()?.digest;
        self.activations().rev().map(|one| one.digest).find(|digest| *digest != active)
    }

    /// Whether this version decides or decided.
    pub fn has_decided(&self, digest: Digest) -> bool {
        self.activations().any(|one| one.digest == digest)
    }

    /// The last thing that happened to a version.
    pub fn last_of(&self, digest: Digest) -> Option<&Transition> {
        self.transitions.iter().rev().find(|one| one.digest == digest)
    }

    /// The shadow that goes on.
    pub fn shadowing(&self) -> Option<&Shadow> {
        self.shadow.as_ref().filter(|shadow| shadow.ended.is_none())
    }

    /// Puts the version `digest` forward. That every rule takes it is the caller's to know.
    pub fn stage(&self, digest: Digest, reason: String, by: Actor, now: Timestamp) -> Result<Step, Refused> {
        self.wants(digest, &[Stage::Loaded, Stage::Superseded], "staged")?;
        Ok(self.step(by, now, Happened::PolicyStaged { digest, reason }))
    }

    /// Has the version `digest` asked beside the active one.
    pub fn start_shadow(
        &self,
        digest: Digest,
        reason: String,
        by: Actor,
        now: Timestamp,
    ) -> Result<Step, Refused> {
        if let Some(shadow) = self.shadowing() {
            return Err(Refused::ShadowRuns { policy: self.name.clone(), digest: shadow.digest });
        }
        self.wants(digest, &[Stage::Staged], "a shadow")?;
        Ok(self.step(by, now, Happened::PolicyShadowed { digest, reason }))
    }

    /// Ends the shadow. What it found stays.
    pub fn stop_shadow(&self, reason: String, by: Actor, now: Timestamp) -> Result<Step, Refused> {
        let shadow = self.shadowing().ok_or_else(|| Refused::NoShadow { policy: self.name.clone() })?;
        let happened = Happened::PolicyShadowEnded { digest: shadow.digest, reason };
        Ok(self.step(by, now, happened))
    }

    /// Takes differences of the latest shadow, by the numbers of their decisions.
    pub fn accept(
        &self,
        decisions: Vec<u64>,
        reason: String,
        by: Actor,
        now: Timestamp,
    ) -> Result<Step, Refused> {
        let shadow = self.shadow.as_ref().ok_or_else(|| Refused::NoShadow { policy: self.name.clone() })?;
        if reason.trim().is_empty() {
            return Err(Refused::Invalid { what: "reason", why: "say why this difference is right".into() });
        }
        let happened = Happened::ShadowDifferenceAccepted { digest: shadow.digest, decisions, reason };
        Ok(self.step(by, now, happened))
    }

    /// Makes the version `digest` decide.
    pub fn activate(
        &self,
        digest: Digest,
        reason: String,
        by: Actor,
        now: Timestamp,
    ) -> Result<Step, Refused> {
        self.check_activation(digest)?;
        Ok(self.step(by, now, Happened::PolicyActivated { digest, reason, approved: None }))
    }

    /// The same, under a request that was approved.
    pub(crate) fn activate_approved(
        &self,
        digest: Digest,
        reason: String,
        approved: Approved,
        by: Actor,
        now: Timestamp,
    ) -> Result<Step, Refused> {
        self.check_activation(digest)?;
        Ok(self.step(by, now, Happened::PolicyActivated { digest, reason, approved: Some(approved) }))
    }

    /// Whether the version `digest` could be made to decide.
    pub fn check_activation(&self, digest: Digest) -> Result<(), Refused> {
        if !self.has(digest) {
            return Err(Refused::Unknown { what: "policy version", name: digest.short() });
        }
        if self.active().is_some_and(|active| active.digest == digest) {
            return Err(Refused::AlreadyActive { policy: self.name.clone(), digest });
        }
        Ok(())
    }

    /// Makes the version decide that decided before.
    pub fn roll_back(&self, reason: String, by: Actor, now: Timestamp) -> Result<Step, Refused> {
        let previous = self.previous().ok_or_else(|| Refused::NothingBefore { policy: self.name.clone() })?;
        self.activate(previous, reason, by, now)
    }

    fn has(&self, digest: Digest) -> bool {
        self.versions.iter().any(|version| version.digest == digest)
    }

    /// Refuses unless the version is at one of these stages.
    fn wants(&self, digest: Digest, stages: &[Stage], what: &'static str) -> Result<(), Refused> {
        let last = self.last_of(digest);
        let last = last.ok_or_else(|| Refused::Unknown { what: "policy version", name: digest.short() })?;
        if stages.contains(&last.to) {
            return Ok(());
        }
        let needed = stages.iter().map(|stage| stage.as_str()).collect::<Vec<_>>().join(" or ");
        let (policy, stage) = (self.name.clone(), last.to.as_str());
        Err(Refused::WrongStage { policy, digest, stage, needed, what })
    }

    fn step(&self, by: Actor, now: Timestamp, happened: Happened) -> Step {
        Step::one(Stream::policy(&self.name), self.revision, by, now, happened)
    }

    pub(crate) fn fold(
        before: Option<Self>,
        stream: &Stream,
        by: &Actor,
        at: Timestamp,
        happened: &Happened,
    ) -> Option<Self> {
        let mut policy = match before {
            Some(policy) => policy,
            None => Self {
                name: stream.name().parse().ok()?,
                versions: vec![],
                transitions: vec![],
                shadow: None,
                revision: 0,
            },
        };
        policy.revision += 1;
        match happened {
            Happened::PolicyLoaded { version } => {
                policy.note(version.digest, Stage::Loaded, by, at, "");
                policy.versions.push(version.clone());
            }
            Happened::PolicyStaged { digest, reason } if policy.has(*digest) => {
                policy.note(*digest, Stage::Staged, by, at, reason);
            }
            Happened::PolicyShadowed { digest, reason }
                if policy.has(*digest) && policy.shadowing().is_none() =>
            {
                policy.shadow =
                    Some(Shadow { digest: *digest, began: policy.revision, ended: None, accepted: vec![] });
                policy.note(*digest, Stage::Shadow, by, at, reason);
            }
            Happened::PolicyShadowEnded { digest, reason }
                if policy.shadowing().is_some_and(|shadow| shadow.digest == *digest) =>
            {
                policy.end_shadow();
                policy.note(*digest, Stage::Staged, by, at, reason);
            }
            Happened::ShadowDifferenceAccepted { digest, decisions, reason } => {
                let shadow = policy.shadow.as_mut().filter(|shadow| shadow.digest == *digest)?;
                let (decisions, reason) = (decisions.clone(), reason.clone());
                shadow.accepted.push(Accepted { decisions, by: by.clone(), at, reason });
            }
            Happened::PolicyActivated { digest, reason, approved } if policy.has(*digest) => {
                policy.take_over(*digest, by, at, reason);
                if let Some(last) = policy.transitions.last_mut() {
                    last.approved.clone_from(approved);
                }
            }
            _ => return None,
        }
        Some(policy)
    }

    fn note(&mut self, digest: Digest, to: Stage, by: &Actor, at: Timestamp, reason: &str) {
        let (by, reason) = (by.clone(), reason.to_owned());
        self.transitions.push(Transition { digest, to, by, at, reason, approved: None });
    }

    fn end_shadow(&mut self) {
        let ended = self.revision;
        if let Some(shadow) = self.shadow.as_mut().filter(|shadow| shadow.ended.is_none()) {
            shadow.ended = Some(ended);
        }
    }

    /// Another version decides: what decided is superseded, and a shadow ends, for it was
    /// held against what decides no more.
    fn take_over(&mut self, digest: Digest, by: &Actor, at: Timestamp, reason: &str) {
        if let Some(shadow) = self.shadowing().map(|shadow| shadow.digest) {
            self.end_shadow();
            if shadow != digest {
                self.note(shadow, Stage::Staged, by, at, reason);
            }
        }
        if let Some(before) = self.active().map(|version| version.digest).filter(|one| *one != digest) {
            self.note(before, Stage::Superseded, by, at, reason);
        }
        self.note(digest, Stage::Active, by, at, reason);
    }
}

/// What an activation demands of a shadow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    /// So many decisions at least.
    pub samples_min: u64,
    /// None of which differs, or has a candidate that did not answer, unless somebody
    /// takes it.
    pub no_differences: bool,
}

/// What a shadow has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Decisions in which the candidate was asked.
    pub samples: u64,
    /// Those that would be another, and that nobody takes.
    pub differences: u64,
    /// Those in which the candidate did not answer, and that nobody takes.
    pub faults: u64,
}

impl Demand {
    /// Whether anything is demanded.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Refuses the version `digest` unless its shadow has seen what is demanded; none: it
    /// was none.
    pub fn check(self, policy: &PolicyName, digest: Digest, seen: Option<Seen>) -> Result<(), Refused> {
        let seen = match seen {
            None if self.is_none() => return Ok(()),
            // Nothing seen is no agreement.
            None => return Err(Refused::NotShadowed { policy: policy.clone(), digest }),
            Some(seen) => seen,
        };
        let Seen { samples, differences, faults } = seen;
        if samples < self.samples_min {
            let wanted = self.samples_min;
            return Err(Refused::TooFewSamples { policy: policy.clone(), digest, samples, wanted });
        }
        if self.no_differences && differences + faults > 0 {
            return Err(Refused::Unexplained { policy: policy.clone(), digest, differences, faults });
        }
        Ok(())
    }
}

/// Adds a version to the policy `name`; none where it is there already.
pub fn load(
    name: &PolicyName,
    before: Option<&Policy>,
    version: Version,
    by: Actor,
    now: Timestamp,
) -> Option<Step> {
    if before.is_some_and(|policy| policy.has(version.digest)) {
        return None;
    }
    let revision = before.map_or(0, |policy| policy.revision);
    Some(Step::one(Stream::policy(name), revision, by, now, Happened::PolicyLoaded { version }))
}
