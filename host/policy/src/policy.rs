//! A loaded policy. Every call runs in a fresh instance, under all limits, and
//! ends in an answer or a fault.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use quorate_core::ids::Digest;
use quorate_core::input::Input;
use quorate_core::verdict::{EvidenceNeeds, Fault, FaultCode, Finding, Verdict};
use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::{Component, Instance, InstancePre};

use crate::abi::v1::{self, Exports};
use crate::call::Call;
use crate::engine;
use crate::fault::{self, fault};
use crate::instances::{Fresh, Instances};
use crate::metadata::Metadata;
use crate::permits::Permit;
use crate::runtime::Shared;
use crate::series::Series;

/// A policy that passed every check of [`crate::Runtime::load`]; cheap to clone.
#[derive(Clone)]
pub struct Policy(Arc<Inner>);

struct Inner {
    loaded: Loaded,
    digest: Digest,
    bytes: usize,
    schema: Value,
    evidence: EvidenceNeeds,
    metadata: Metadata,
}

/// What one evaluation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The answer, or why there is none.
    pub verdict: Result<Verdict, Fault>,
    /// Fuel used, all of it after [`FaultCode::OutOfFuel`].
    pub fuel_used: u64,
    /// Linear memory at the end.
    pub memory_bytes: u64,
    /// What it logged, as far as the limits go; not escaped.
    pub log: Vec<String>,
}

impl Policy {
    pub(crate) fn new(
        loaded: Loaded,
        digest: Digest,
        bytes: usize,
        schema: Value,
        evidence: EvidenceNeeds,
        metadata: Metadata,
    ) -> Self {
        Self(Arc::new(Inner { loaded, digest, bytes, schema, evidence, metadata }))
    }

    /// The digest of the component: which version this is.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// The size of the component, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// The JSON Schema of its config.
    pub fn schema(&self) -> &Value {
        &self.0.schema
    }

    /// What to gather before a call.
    pub fn evidence(&self) -> &EvidenceNeeds {
        &self.0.evidence
    }

    /// What it says about itself.
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// What it says about `input` under `config`. Blocks, for a few microseconds or
    /// until a limit ends it.
    pub fn evaluate(&self, config: &str, input: &Input) -> Evaluation {
        let loaded = &self.0.loaded;
        if let Err(fault) = loaded.admit(config, input) {
            return Evaluation::without_a_call(fault);
        }
        let run = loaded.ready.run(|store, instance| loaded.exports.evaluate(store, instance, config, input));
        run.into()
    }

    /// For asking it many times in a row, from one thread.
    pub fn series(&self) -> Series {
        Series::new(self.clone())
    }

    pub(crate) fn loaded(&self) -> &Loaded {
        &self.0.loaded
    }

    /// Makes the instance of the next evaluation and clears away what the last one
    /// left, so that it is done while nobody waits for an answer. An evaluation that
    /// finds none made ahead makes its own.
    pub fn get_ready(&self) {
        let get_ready = || self.0.loaded.ready.0.get_ready();
        if catch_unwind(AssertUnwindSafe(get_ready)).is_err() {
            tracing::error!(policy = %self.digest().short(), "an instance could not be made ahead");
        }
    }

    /// What it has against `config`, which is valid against the schema.
    pub fn check(&self, config: &str) -> Result<Vec<Finding>, Fault> {
        let loaded = &self.0.loaded;
        loaded.admit_config(config)?;
        loaded.ready.run(|store, instance| loaded.exports.check(store, instance, config)).answer
    }
}

impl From<Run<Verdict>> for Evaluation {
    fn from(run: Run<Verdict>) -> Self {
        let Run { answer, fuel_used, memory_bytes, log } = run;
        Self { verdict: answer, fuel_used, memory_bytes, log }
    }
}

impl Evaluation {
    /// A fault that needed no call: nothing was used.
    pub(crate) fn without_a_call(fault: Fault) -> Self {
        Self { verdict: Err(fault), fuel_used: 0, memory_bytes: 0, log: Vec::new() }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({})", self.0.digest.short())
    }
}

/// A component that was started once, and can be again.
pub(crate) struct Loaded {
    ready: Ready,
    exports: Exports,
}

/// A component ready to be called.
struct Ready(Instances);

/// What one call came to, whatever it was for.
pub(crate) struct Run<T> {
    answer: Result<T, Fault>,
    fuel_used: u64,
    memory_bytes: u64,
    log: Vec<String>,
}

impl<T> Run<T> {
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        let answer = Err(fault(FaultCode::Host, message));
        Self { answer, fuel_used: 0, memory_bytes: 0, log: Vec::new() }
    }
}

impl Loaded {
    /// Starts `component`, which `instance` is made from, and finds its functions, among
    /// them the one that begins anew if it has that.
    pub(crate) fn start(
        shared: Arc<Shared>,
        instance: InstancePre<Call>,
        component: &Component,
        begins_anew: bool,
    ) -> Result<Self, Fault> {
        let ready = Ready(Instances::new(shared, instance));
        let find =
            |store: &mut _, instance: &_| Exports::find(component, store, instance, begins_anew).map(Ok);
        let exports = ready.run(find).answer?;
        Ok(Self { ready, exports })
    }

    /// The schema of the config, as the policy wrote it.
    pub(crate) fn schema(&self) -> Result<String, Fault> {
        self.ready.run(|store, instance| self.exports.schema(store, instance).map(Ok)).answer
    }

    /// What the policy needs to be gathered before a call.
    pub(crate) fn evidence(&self) -> Result<EvidenceNeeds, Fault> {
        self.ready.run(|store, instance| self.exports.evidence(store, instance)).answer
    }

    /// Where an instance for a row of calls may be, if it can be one of this component.
    pub(crate) fn place_in_series(&self) -> Option<Permit> {
        self.exports.begins_anew().then(|| self.ready.0.shared().places_in_series.take())?
    }

    /// What the policy says in `fresh`, which then is fresh again, or is not given back.
    pub(crate) fn evaluate_in(
        &self,
        fresh: Option<Fresh>,
        config: &str,
        input: &Input,
    ) -> (Run<Verdict>, Option<Fresh>) {
        let limits = &self.ready.0.shared().limits;
        let mut fresh = match fresh.map_or_else(|| self.ready.0.make(None), Ok) {
            Ok(fresh) => fresh,
            Err(error) => return (Run::failed(error), None),
        };
        // It may have waited for long since it began anew.
        engine::start_clock(&mut fresh.store, limits);
        let (memory, fuel) = (fresh.store.data().memory.bytes(), fresh.store.get_fuel().unwrap_or(0));
        let run = self
            .ready
            .call_in(&mut fresh, |store, instance| self.exports.evaluate(store, instance, config, input));
        let Fresh { store, instance: Ok(instance), .. } = &mut fresh else { return (run, None) };
        // What grew cannot be made smaller, and what trapped is never entered again.
        let is_whole = run.answer.is_ok() && store.data().memory.bytes() == memory;
        let begun_anew = is_whole
            && store.set_fuel(limits.fuel_max).is_ok()
            && self.exports.begin_anew(store, instance).is_ok()
            && engine::refill(store, limits).is_ok()
            // To make the instance has used a little.
            && store.set_fuel(fuel).is_ok();
        (run, begun_anew.then_some(fresh))
    }

    /// Whether `config` and `input` may be passed to the policy at all.
    pub(crate) fn admit(&self, config: &str, input: &Input) -> Result<(), Fault> {
        self.admit_config(config).and_then(|()| self.admit_input(input))
    }

    fn admit_config(&self, config: &str) -> Result<(), Fault> {
        let (bytes, max) = (config.len(), self.ready.0.shared().limits.config_bytes_max);
        if bytes > max {
            let message = format!("the config has {bytes} bytes, {max} are allowed");
            return Err(fault(FaultCode::BadConfig, message));
        }
        Ok(())
    }

    fn admit_input(&self, input: &Input) -> Result<(), Fault> {
        let (bytes, max) = (v1::size(input), self.ready.0.shared().limits.input_bytes_max);
        if bytes > max {
            let message = format!("the input has {bytes} bytes, {max} are allowed");
            return Err(fault(FaultCode::InputTooLarge, message));
        }
        Ok(())
    }
}

impl Ready {
    /// Calls `body` with a fresh instance, when there is a place for one. A panic on
    /// our side ends here, as a fault.
    fn run<T>(
        &self,
        body: impl FnOnce(&mut Store<Call>, &Instance) -> wasmtime::Result<Result<T, Fault>>,
    ) -> Run<T> {
        let shared = self.0.shared();
        let Some(_permit) = shared.permits.take() else {
            let waited = shared.limits.wait_ms_max;
            return Run::failed(format!("overloaded: no turn within {waited} ms"));
        };
        catch_unwind(AssertUnwindSafe(|| self.call(body)))
            .unwrap_or_else(|_| Run::failed("the host panicked during the call"))
    }

    fn call<T>(
        &self,
        body: impl FnOnce(&mut Store<Call>, &Instance) -> wasmtime::Result<Result<T, Fault>>,
    ) -> Run<T> {
        let mut fresh = match self.0.take() {
            Ok(fresh) => fresh,
            Err(error) => return Run::failed(error),
        };
        let run = self.call_in(&mut fresh, body);
        self.0.leave(fresh);
        run
    }

    fn call_in<T>(
        &self,
        fresh: &mut Fresh,
        body: impl FnOnce(&mut Store<Call>, &Instance) -> wasmtime::Result<Result<T, Fault>>,
    ) -> Run<T> {
        let limits = &self.0.shared().limits;
        let Fresh { store, instance, .. } = fresh;
        let answer = match instance {
            Ok(instance) => body(store, instance).unwrap_or_else(|error| Err(self.fault(store, &error))),
            Err(error) => Err(self.fault(store, error)),
        };
        Run {
            answer,
            fuel_used: limits.fuel_max.saturating_sub(store.get_fuel().unwrap_or(0)),
            memory_bytes: store.data().memory.bytes() as u64,
            log: store.data_mut().log.take_lines(limits),
        }
    }

    fn fault(&self, store: &Store<Call>, error: &wasmtime::Error) -> Fault {
        fault::of(error, store.data().log.last(), &self.0.shared().limits)
    }
}
