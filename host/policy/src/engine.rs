//! The one engine of a process: how it is configured, its clock tick, its
//! fingerprint, and the one place where a store is made.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, StoreContextMut,
    UpdateDeadline, WasmFeatures,
};

use crate::call::{Call, Log, TABLE_ELEMENTS_MAX};
use crate::limits::Limits;

/// How often the deadline is looked at. A policy that passes its deadline is
/// stopped at most this much later.
const TICK_MS: u64 = 10;

/// How often a deadline is put off at most, whatever the system says about how long
/// the call has run.
const EXTENSIONS_MAX: u32 = 20;

/// The release of the engine; fuel is comparable only within one.
const VERSION: &str = "48.0.8";

/// Core instances of one component: interpreters are linked from many modules.
const CORE_INSTANCES_MAX: u32 = 64;

/// Instances that are made ahead, of all policies together.
pub(crate) const AHEAD_MAX: u32 = 32;

/// Instances that serve a row of calls each, of all policies together.
pub(crate) const SERIES_MAX: u32 = 16;

/// Tables of one component; what the encoder makes needs two.
const TABLES_MAX: u32 = 16;

/// Memories of one component: what the encoder makes needs one, `QuickJS` with what stands in
/// for the system needs three.
const MEMORIES_MAX: u32 = 4;

/// Memory that a free place of the pool keeps, so that the next instance in it
/// causes no page faults. Small policies fit; the rest of a large one is given back.
/// All of it is written over between two instances, which for a policy of one page
/// takes less time than asking the kernel which parts need it.
const RESIDENT_BYTES: usize = 256 << 10;

/// An engine for `limits`, with its ticker running for as long as it lives.
pub(crate) fn start(limits: &Limits) -> Result<Engine, StartError> {
    let engine = Engine::new(&config(limits)).map_err(StartError::Engine)?;
    let weak = engine.weak();
    // A thread and not a task: it must tick while every worker is busy.
    std::thread::Builder::new()
        .name("policy-deadline".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(Duration::from_millis(TICK_MS));
            }
        })
        .map_err(StartError::Ticker)?;
    Ok(engine)
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine refuses its configuration or cannot reserve its memory.
    #[error("the policy engine does not start: {0:#}")]
    Engine(wasmtime::Error),
    /// The thread that ends evaluations at their deadline does not start.
    #[error("the deadline thread does not start")]
    Ticker(#[source] std::io::Error),
}

fn config(limits: &Limits) -> Config {
    let mut config = Config::new();
    // What makes an evaluation the same everywhere.
    config.cranelift_nan_canonicalization(true).concurrency_support(false);
    // What a policy does not need, and what has the younger code in the engine. Not among
    // it: several memories and tail calls, which components of QuickJS are made with.
    let unneeded = WasmFeatures::THREADS
        | WasmFeatures::GC
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::MEMORY64
        | WasmFeatures::RELAXED_SIMD;
    config.wasm_features(unneeded, false);
    // What ends it. Both: fuel is exact and part of the record, the epoch also ends
    // what uses no fuel.
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(limits.stack_bytes_max)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    config
}

/// Room for `evaluations_max` instances, so that a permit is a place, for those that are
/// made ahead or not yet cleared away, and for those that serve a row of calls.
fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let count = limits.evaluations_max.saturating_add(AHEAD_MAX + SERIES_MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count)
        .total_core_instances(count.saturating_mul(CORE_INSTANCES_MAX))
        .total_memories(count.saturating_mul(MEMORIES_MAX))
        .total_tables(count.saturating_mul(TABLES_MAX))
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(limits.memory_bytes_max.next_multiple_of(64 << 10))
        .max_unused_warm_slots(count)
        .linear_memory_keep_resident(RESIDENT_BYTES)
        .table_keep_resident(4 << 10)
        .pagemap_scan(Enabled::No);
    pool
}

/// The only place where a store is made: none is without its limits.
pub(crate) fn store(engine: &Engine, limits: &Limits) -> wasmtime::Result<Store<Call>> {
    let mut store = Store::new(engine, Call::new(limits));
    refill(&mut store, limits)?;
    store.limiter(|call| &mut call.memory);
    store.set_hostcall_fuel(limits.answer_bytes_max);
    store.set_max_component_handles(64);
    Ok(store)
}

/// Gives the next call in `store` all that a call may use.
pub(crate) fn refill(store: &mut Store<Call>, limits: &Limits) -> wasmtime::Result<()> {
    store.set_fuel(limits.fuel_max)?;
    start_clock(store, limits);
    store.epoch_deadline_callback(deadline(limits));
    store.data_mut().log = Log::new(limits);
    Ok(())
}

/// From now on the deadline is as far away as `limits` say.
pub(crate) fn start_clock(store: &mut Store<Call>, limits: &Limits) {
    // One tick more, since the present one has already begun.
    store.set_epoch_deadline(ticks(limits) + 1);
}

fn ticks(limits: &Limits) -> u64 {
    limits.evaluate_ms_max.div_ceil(TICK_MS)
}

/// Decides, each time the deadline has passed on the clock, whether the call is
/// over. On a busy machine a sound policy may not have been running for most of that
/// time, and must not get a fault for it: what counts is how long it ran since.
fn deadline(
    limits: &Limits,
) -> impl FnMut(StoreContextMut<'_, Call>) -> wasmtime::Result<UpdateDeadline> + Send + Sync + 'static {
    let (ticks, ran_max) = (ticks(limits), Duration::from_millis(limits.evaluate_ms_max));
    let mut first = None;
    let mut extensions = 0..EXTENSIONS_MAX;
    move |_| {
        let (Some(ran), Some(_)) = (thread_ran(), extensions.next()) else {
            return Ok(UpdateDeadline::Interrupt);
        };
        let since = ran.saturating_sub(*first.get_or_insert(ran));
        Ok(if since < ran_max { UpdateDeadline::Continue(ticks) } else { UpdateDeadline::Interrupt })
    }
}

/// How long this thread has been on a processor; none where the system does not say.
fn thread_ran() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// What must be the same for the same input to use the same fuel and give the same
/// answer: the engine's version and its settings.
pub(crate) fn fingerprint(engine: &Engine) -> String {
    let mut hash = Stable(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hash);
    let digest: [u8; 32] = hash.0.finalize().into();
    let digest = quorate_core::ids::Digest::from(digest).short();
    format!("wasmtime-{VERSION}-{digest}")
}

/// A hasher that gives the same in every process and every build: the standard
/// one promises neither.
struct Stable(Sha256);

impl Hasher for Stable {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.clone().finalize().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_names_the_release_that_is_built_in() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"wasmtime\"\nversion = \"{VERSION}\"\n")));
    }

    #[test]
    fn engines_with_the_same_settings_have_the_same_fingerprint() {
        let of = |limits: &Limits| fingerprint(&start(limits).unwrap());
        let limits = Limits { evaluations_max: 1, ..Limits::default() };
        assert_eq!(of(&limits), of(&limits.clone()));
        assert_eq!(of(&limits).len(), "wasmtime-".len() + VERSION.len() + 1 + 12);
    }

    #[test]
    fn the_engine_does_not_outlive_its_last_user_because_of_the_ticker() {
        let weak = start(&Limits { evaluations_max: 1, ..Limits::default() }).unwrap().weak();
        while weak.upgrade().is_some() {
            std::thread::yield_now();
        }
    }
}
