//! A policy in operation: its versions and which of them decides.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::entry::{Actor, Happened, Step, Stream};
use crate::ids::{Digest, PolicyName};
use crate::refused::Refused;

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

/// A change of the version that decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// The version that decides from then on.
    pub digest: Digest,
    /// Who did it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why, in their words; may be empty.
    pub reason: String,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// Everything that was loaded under the name, oldest first.
    pub versions: Vec<Version>,
    /// Which versions decided, oldest first.
    pub activations: Vec<Activation>,
    /// How many entries made it what it is.
    pub revision: u64,
}

impl Policy {
    /// The version that decides.
    pub fn active(&self) -> Option<&Version> {
        let digest = self.activations.last()?.digest;
        self.versions.iter().find(|version| version.digest == digest)
    }

    /// The version that decided before the active one.
    pub fn previous(&self) -> Option<Digest> {
        let active = self.activations.last()?.digest;
        self.activations.iter().rev().map(|one| one.digest).find(|digest| *digest != active)
    }

    /// Makes the version `digest` decide.
    pub fn activate(
        &self,
        digest: Digest,
        reason: String,
        by: Actor,
        now: Timestamp,
    ) -> Result<Step, Refused> {
        if !self.has(digest) {
            return Err(Refused::Unknown { what: "policy version", name: digest.short() });
        }
        if self.activations.last().is_some_and(|last| last.digest == digest) {
            return Err(Refused::AlreadyActive { policy: self.name.clone(), digest });
        }
        let happened = Happened::PolicyActivated { digest, reason };
        Ok(Step::one(Stream::policy(&self.name), self.revision, by, now, happened))
    }

    /// Makes the version decide that decided before.
    pub fn roll_back(&self, reason: String, by: Actor, now: Timestamp) -> Result<Step, Refused> {
        let previous = self.previous().ok_or_else(|| Refused::NothingBefore { policy: self.name.clone() })?;
        self.activate(previous, reason, by, now)
    }

    fn has(&self, digest: Digest) -> bool {
        self.versions.iter().any(|version| version.digest == digest)
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
            None => {
                Self { name: stream.name().parse().ok()?, versions: vec![], activations: vec![], revision: 0 }
            }
        };
        match happened {
            Happened::PolicyLoaded { version } => policy.versions.push(version.clone()),
            Happened::PolicyActivated { digest, reason } if policy.has(*digest) => policy
                .activations
                .push(Activation { digest: *digest, by: by.clone(), at, reason: reason.clone() }),
            _ => return None,
        }
        policy.revision += 1;
        Some(policy)
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
