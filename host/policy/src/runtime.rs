//! What a process has one of.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::abi::{Contract, v1};
use crate::anew;
use crate::cache::Cache;
use crate::call::Call;
use crate::engine::{self, StartError};
use crate::limits::Limits;
use crate::permits::Permits;
use crate::signature::PublicKey;

/// The engine with its limits, pool and cache; cheap to clone. One per process:
/// policies of different engines cannot share compiled code or the pool.
#[derive(Clone)]
pub struct Runtime {
    pub(crate) shared: Arc<Shared>,
    /// Who has to have signed what is loaded; empty: nobody.
    pub(crate) keys: Arc<[PublicKey]>,
}

/// What every policy of a runtime refers to.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    /// Places to run in.
    pub(crate) permits: Permits,
    /// Places of instances that are made ahead.
    pub(crate) places_ahead: Permits,
    /// Places of instances that serve a row of calls.
    pub(crate) places_in_series: Permits,
    pub(crate) linker: Linker<Call>,
    pub(crate) contract: Contract,
    pub(crate) cache: Option<Cache>,
    fingerprint: String,
}

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The engine does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The contract that is built in cannot be offered.
    #[error("the built-in contract cannot be used: {0}")]
    Contract(String),
    /// A limit of zero, or one that does not fit the engine.
    #[error("`{0}` must be at least {1}")]
    Limit(&'static str, u64),
}

impl Runtime {
    /// A runtime with these limits. `cache` is a folder for compiled components,
    /// open to nobody else; where it cannot be used, that is logged and every start
    /// compiles.
    pub fn new(limits: Limits, cache: Option<PathBuf>) -> Result<Self, RuntimeError> {
        check(&limits)?;
        let engine = engine::start(&limits)?;
        let fingerprint = engine::fingerprint(&engine);
        let mut linker = Linker::new(&engine);
        v1::offer(&mut linker).map_err(|error| RuntimeError::Contract(format!("{error:#}")))?;
        let cache = cache.and_then(|folder| {
            Cache::open(folder.clone(), &format!("{fingerprint}-{}", anew::FORM))
                .inspect_err(|error| {
                    tracing::warn!(
                        folder = %folder.display(), %error,
                        "compiled policies are not cached"
                    );
                })
                .ok()
        });
        Ok(Self {
            keys: Arc::from([]),
            shared: Arc::new(Shared {
                permits: Permits::new(limits.evaluations_max, Duration::from_millis(limits.wait_ms_max)),
                places_ahead: Permits::new(engine::AHEAD_MAX, Duration::ZERO),
                places_in_series: Permits::new(engine::SERIES_MAX, Duration::ZERO),
                contract: Contract::v1().map_err(RuntimeError::Contract)?,
                engine,
                limits,
                linker,
                cache,
                fingerprint,
            }),
        })
    }

    /// The same, but it loads only what one of `keys` signed; where there are none, it
    /// goes on loading everything.
    #[must_use]
    pub fn trusting(self, keys: Vec<PublicKey>) -> Self {
        Self { keys: keys.into(), ..self }
    }

    /// Whether somebody has to have signed what is loaded.
    pub fn wants_signatures(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Names the engine and its settings. The same policy, config and input use the
    /// same fuel and give the same answer under the same fingerprint.
    pub fn fingerprint(&self) -> &str {
        &self.shared.fingerprint
    }

    /// The limits it was made with.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }
}

/// The smallest values with which anything can run at all.
fn check(limits: &Limits) -> Result<(), RuntimeError> {
    let at_least = |name, value: u64, least| {
        if value < least { Err(RuntimeError::Limit(name, least)) } else { Ok(()) }
    };
    at_least("fuel_max", limits.fuel_max, 1)?;
    at_least("evaluate_ms_max", limits.evaluate_ms_max, 1)?;
    at_least("memory_bytes_max", limits.memory_bytes_max as u64, 64 << 10)?;
    at_least("stack_bytes_max", limits.stack_bytes_max as u64, 16 << 10)?;
    at_least("answer_bytes_max", limits.answer_bytes_max as u64, 1 << 10)?;
    at_least("evaluations_max", limits.evaluations_max.into(), 1)
}
