//! Many calls of one policy in a row: for looking back, where each input is asked about
//! once and making instances would take longer than all else.
//!
//! The answers, the fuel and the log are those of calls in fresh instances: an instance
//! begins anew after every call, or is not used again.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use quorate_core::input::Input;

use crate::instances::Fresh;
use crate::permits::Permit;
use crate::policy::{Evaluation, Policy, Run};

/// A policy that is asked many times, from one thread. Keeps at most one instance, and
/// only as long as it lives.
pub struct Series {
    policy: Policy,
    /// In which nothing has run since it began anew.
    next: Option<Fresh>,
    /// None where the policy cannot begin anew, or too many are in a row already: then
    /// every call has its own instance.
    place: Option<Permit>,
}

impl Series {
    pub(crate) fn new(policy: Policy) -> Self {
        let place = policy.loaded().place_in_series();
        Self { policy, next: None, place }
    }

    /// Which policy this is.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether the next call is made in the instance of the last one.
    pub fn has_next(&self) -> bool {
        self.next.is_some()
    }

    /// What the policy says about `input` under `config`: as [`Policy::evaluate`].
    pub fn evaluate(&mut self, config: &str, input: &Input) -> Evaluation {
        if self.place.is_none() {
            return self.policy.evaluate(config, input);
        }
        let loaded = self.policy.loaded();
        if let Err(fault) = loaded.admit(config, input) {
            return Evaluation::without_a_call(fault);
        }
        let next = self.next.take();
        let call = AssertUnwindSafe(|| loaded.evaluate_in(next, config, input));
        let (run, next) =
            catch_unwind(call).unwrap_or_else(|_| (Run::failed("the host panicked during the call"), None));
        self.next = next;
        run.into()
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Series").field(&self.policy).finish()
    }
}
