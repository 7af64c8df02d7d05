//! The active policies: one immutable set at a time, swapped at once. Whoever has
//! loaded a set keeps it for as long as a decision takes, and sees no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use quorate_core::ids::PolicyName;
use quorate_core::input::Input;
use quorate_core::verdict::FaultCode;

use crate::fault::fault;
use crate::policy::{Evaluation, Policy};

/// The policies that decide, by name. Never changes.
#[derive(Debug, Clone, Default)]
pub struct ActiveSet {
    generation: u64,
    policies: BTreeMap<PolicyName, Policy>,
}

impl ActiveSet {
    /// Counts the swaps of this process: a later set has a larger one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The policy of this name.
    pub fn get(&self, name: &PolicyName) -> Option<&Policy> {
        self.policies.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&PolicyName, &Policy)> {
        self.policies.iter()
    }

    /// Makes the instance of each policy's next evaluation ahead.
    pub fn get_ready(&self) {
        self.policies.values().for_each(Policy::get_ready);
    }

    /// What the policy `name` says; that there is none is a fault like any other.
    pub fn evaluate(&self, name: &PolicyName, config: &str, input: &Input) -> Evaluation {
        match self.get(name) {
            Some(policy) => policy.evaluate(config, input),
            None => {
                Evaluation::without_a_call(fault(FaultCode::Missing, format!("no policy `{name}` is active")))
            }
        }
    }
}

/// The place where the present set is found.
#[derive(Debug, Default)]
pub struct Active(ArcSwap<ActiveSet>);

impl Active {
    /// The set at this moment, for the whole of one decision.
    pub fn load(&self) -> Arc<ActiveSet> {
        self.0.load_full()
    }

    /// Puts `policy` in the place of what has this name, or nothing. Gives the new
    /// set; of several writers at once, none undoes another's change.
    pub fn replace(&self, name: &PolicyName, policy: Option<&Policy>) -> Arc<ActiveSet> {
        self.change(|policies| {
            match policy {
                Some(policy) => policies.insert(name.clone(), policy.clone()),
                None => policies.remove(name),
            };
        })
    }

    /// Replaces all policies at once: at start, or when several belong together.
    pub fn replace_all(&self, policies: &BTreeMap<PolicyName, Policy>) -> Arc<ActiveSet> {
        self.change(|present| present.clone_from(policies))
    }

    fn change(&self, change: impl Fn(&mut BTreeMap<PolicyName, Policy>)) -> Arc<ActiveSet> {
        let mut latest = self.load();
        loop {
            let mut policies = latest.policies.clone();
            change(&mut policies);
            let next = Arc::new(ActiveSet { generation: latest.generation + 1, policies });
            let found = self.0.compare_and_swap(&latest, next.clone());
            if Arc::ptr_eq(&found, &latest) {
                return next;
            }
            latest = Arc::clone(&found);
        }
    }
}
