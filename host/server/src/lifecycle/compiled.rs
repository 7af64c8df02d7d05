//! Components that may be needed again soon: candidates that somebody sent, versions that
//! were loaded, and those that decided until lately. Kept compiled for a while, so that page
//! after page of a long look back need not compile them again, and an activation or a
//! rollback takes milliseconds.
//!
//! Nothing of it is in the ledger: trying a candidate leaves no trace.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::Timestamp;
use quorate_core::ids::{Digest, PolicyName};
use quorate_policy::Policy;

use super::{Error, Inner, Lifecycle};

/// How many are kept; one more pushes out the one that was not used for longest.
const KEPT_MAX: usize = 16;
/// How long one is kept that nobody uses, in seconds.
const UNUSED_SECONDS_MAX: i64 = 30 * 60;
/// How many configs each remembers its opinion of.
const CONFIGS_MAX: usize = 1000;

/// The components that are kept.
#[derive(Default)]
pub(super) struct Compiled(Mutex<BTreeMap<Digest, (Timestamp, Arc<Kept>)>>);

/// One of them.
pub(super) struct Kept {
    pub(super) policy: Policy,
    /// What it has against a config; none: it takes it.
    configs: Mutex<BTreeMap<String, Option<String>>>,
}

/// A component that can be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The digest of its bytes.
    pub digest: Digest,
    /// The version that it says it is; may be empty.
    pub label: String,
    /// Its size.
    pub bytes: u64,
}

impl Compiled {
    pub(super) fn get(&self, digest: &Digest, now: Timestamp) -> Option<Arc<Kept>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (used, _)| now.duration_since(*used).as_secs() <= UNUSED_SECONDS_MAX);
        let (used, found) = kept.get_mut(digest)?;
        *used = now;
        Some(Arc::clone(found))
    }

    pub(super) fn put(&self, policy: Policy, now: Timestamp) -> Arc<Kept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = policy.digest();
        while kept.len() >= KEPT_MAX && !kept.contains_key(&digest) {
            let oldest = kept.iter().min_by_key(|(_, (used, _))| *used).map(|(digest, _)| *digest);
            let Some(oldest) = oldest else { break };
            kept.remove(&oldest);
        }
        let (used, found) =
            kept.entry(digest).or_insert_with(|| (now, Arc::new(Kept { policy, configs: Mutex::default() })));
        *used = now;
        Arc::clone(found)
    }
}

impl Kept {
    /// What speaks against `config`; asked once for each, not for each decision.
    pub(super) fn refuses(&self, config: &str) -> Option<String> {
        if let Some(known) = self.configs.lock().unwrap_or_else(PoisonError::into_inner).get(config) {
            return known.clone();
        }
        let parsed = serde_json::from_str(config);
        let refused = match &parsed {
            Err(error) => Some(error.to_string()),
            Ok(value) => {
                let findings = quorate_policy::config::findings(&self.policy, value);
                let refused = findings.iter().find(|finding| !finding.is_warning());
                refused.map(|finding| match &finding.path {
                    Some(path) if !path.is_empty() => format!("{path}: {}", finding.message),
                    _ => finding.message.clone(),
                })
            }
        };
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if configs.len() < CONFIGS_MAX {
            configs.insert(config.to_owned(), refused.clone());
        }
        refused
    }
}

impl Lifecycle {
    /// Takes in a component to be tried, and keeps it for a while. It decides nothing,
    /// and the ledger does not hear of it.
    pub async fn offer_candidate(&self, component: Vec<u8>) -> Result<Candidate, Error> {
        let inner = Arc::clone(&self.0);
        let taken = tokio::task::spawn_blocking(move || inner.runtime.load(&component)).await;
        let policy = taken.map_err(anyhow::Error::new)??;
        let candidate = Candidate {
            digest: policy.digest(),
            label: policy.metadata().version.clone().unwrap_or_default(),
            bytes: policy.bytes() as u64,
        };
        self.0.compiled.put(policy, self.0.clock.now());
        Ok(candidate)
    }

    /// A component that was sent or loaded, compiled. Nothing is put into force by asking it.
    pub async fn version(&self, digest: Digest) -> Result<Policy, Error> {
        let inner = Arc::clone(&self.0);
        let found = tokio::task::spawn_blocking(move || inner.compiled(&digest)).await;
        let found = found.map_err(anyhow::Error::new)??;
        let not_found = || Error::NotFound { what: "policy version", name: digest.short() };
        Ok(found.ok_or_else(not_found)?.policy.clone())
    }

    /// The candidate whose digest is, or begins with, `prefix`: one that was sent, or a
    /// version that was loaded as `name`.
    pub fn find_candidate(&self, name: &PolicyName, prefix: &str) -> Result<Vec<Digest>, Error> {
        let versions = self.0.ledger.policy(name)?.map(|policy| policy.versions).unwrap_or_default();
        let kept = self.0.compiled.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Digest> = versions.iter().map(|version| version.digest).collect();
        found.extend(kept.keys());
        drop(kept);
        found.retain(|digest| digest.to_string().starts_with(prefix));
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

impl Inner {
    /// The component with this digest, compiled: kept, active, or out of the ledger.
    /// Blocks, for as long as compiling takes.
    pub(super) fn compiled(&self, digest: &Digest) -> Result<Option<Arc<Kept>>, Error> {
        let now = self.clock.now();
        if let Some(kept) = self.compiled.get(digest, now) {
            return Ok(Some(kept));
        }
        let active = self.active.load();
        let active = active.iter().find(|(_, policy)| policy.digest() == *digest);
        let policy = match active {
            Some((_, policy)) => policy.clone(),
            None => match self.ledger.blob(digest)? {
                // What was changed under its digest is not that version.
                Some(component) if Digest::of(&component) == *digest => {
                    self.runtime.load_vouched(&component)?
                }
                _ => return Ok(None),
            },
        };
        Ok(Some(self.compiled.put(policy, now)))
    }
}
