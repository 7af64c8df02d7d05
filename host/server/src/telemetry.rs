//! What the operator sees: one line per event, and the numbers behind `/metrics`.
//!
//! No line holds a body, a header or a query: that is where secrets are.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use quorate_core::ids::{PolicyName, UserId};
use quorate_core::verdict::FaultCode;
use tracing::Instrument as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::random;

/// What says how much is logged: `info`, `debug`, or as in `info,quorate=debug`.
pub const FILTER_VARIABLE: &str = "QUORATE_LOG";

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging to standard error. A panic is logged like any other event.
pub fn start(format: Format) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .with_env_var(FILTER_VARIABLE)
        .from_env()
        .with_context(|| format!("{FILTER_VARIABLE} says what to log, as in `info,quorate=debug`"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging does not start: {error}"))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let said = panic.payload_as_str().unwrap_or("no text");
        tracing::error!(place, said, "panicked");
    }));
    Ok(())
}

/// The line of one HTTP request, while it is being made.
#[derive(Debug)]
pub struct Line {
    id: String,
    user: OnceLock<UserId>,
}

impl Line {
    /// It turned out who is asking.
    pub fn set_user(&self, user: &UserId) {
        // Only a second extractor of the same request finds it set, to the same.
        let _ = self.user.set(user.clone());
    }
}

/// Logs and counts a request when it is answered.
pub async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let line = Arc::new(Line { id: random::id().unwrap_or_default(), user: OnceLock::new() });
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    request.extensions_mut().insert(Arc::clone(&line));
    let span = tracing::info_span!("request", id = line.id);
    let mut response = next.run(request).instrument(span).await;
    let route = route.as_deref().unwrap_or("none");
    record(&line, &method, route, response.status().as_u16(), started.elapsed());
    if let Ok(id) = HeaderValue::from_str(&line.id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

fn record(line: &Line, method: &Method, route: &str, status: u16, took: Duration) {
    let user = line.user.get().map_or("-", UserId::as_str);
    let ms = took.as_millis();
    let id = &line.id;
    if matches!(route, "/healthz" | "/readyz" | "/metrics") {
        tracing::debug!(id, %method, route, status, ms, user, "answered");
    } else {
        tracing::info!(id, %method, route, status, ms, user, "answered");
    }
    // Methods are the caller's to invent; routes and statuses are not.
    let method = if KNOWN_METHODS.contains(method) { method.as_str() } else { "other" };
    let of = Answered { method: method.to_owned(), route: route.to_owned(), status };
    METRICS.answered.get_or_create(&of).inc();
    let of = Route { route: route.to_owned() };
    METRICS.answer_seconds.get_or_create(&of).observe(took.as_secs_f64());
}

const KNOWN_METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS];

/// Counts one evaluation of a policy.
pub fn evaluated(policy: &PolicyName, took: Duration, fuel_used: u64, fault: Option<FaultCode>) {
    let of = Policy { policy: policy.to_string() };
    METRICS.evaluations.get_or_create(&of).inc();
    METRICS.evaluation_seconds.get_or_create(&of).observe(took.as_secs_f64());
    METRICS.evaluation_fuel.get_or_create(&of).inc_by(fuel_used);
    if let Some(fault) = fault {
        let of = Faulted { policy: policy.to_string(), fault: fault.as_str().to_owned() };
        METRICS.faults.get_or_create(&of).inc();
    }
}

/// Counts a request that nobody can approve any more, or could from the beginning.
pub fn nobody_can_approve() {
    METRICS.hopeless.inc();
}

/// Counts one question to the source of a fact.
pub fn fact(name: &str, answered: bool) {
    let outcome = if answered { "answered" } else { "failed" };
    let of = FactAsked { fact: name.to_owned(), outcome };
    METRICS.facts.get_or_create(&of).inc();
}

/// What this process has counted, in the text format of Prometheus, without the
/// closing line.
pub fn counted() -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    encode_registry(&mut text, &METRICS.registry)?;
    if let Some(bytes) = resident_bytes() {
        writeln!(text, "# HELP process_resident_memory_bytes Memory that the gateway holds.")?;
        writeln!(text, "# TYPE process_resident_memory_bytes gauge")?;
        writeln!(text, "process_resident_memory_bytes {bytes}")?;
    }
    Ok(text)
}

/// Memory that this process holds, where the system says so.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// One set of counters for the process: what is counted is its work, whoever asks.
static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

type Seconds<L> = Family<L, Histogram, fn() -> Histogram>;

struct Metrics {
    registry: Registry,
    answered: Family<Answered, Counter>,
    answer_seconds: Seconds<Route>,
    evaluations: Family<Policy, Counter>,
    evaluation_seconds: Seconds<Policy>,
    evaluation_fuel: Family<Policy, Counter>,
    faults: Family<Faulted, Counter>,
    hopeless: Counter,
    facts: Family<FactAsked, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Policy {
    policy: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Faulted {
    policy: String,
    fault: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FactAsked {
    fact: String,
    outcome: &'static str,
}

impl Metrics {
    fn new() -> Self {
        let milliseconds: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 4.0, 8));
        let microseconds: fn() -> Histogram = || Histogram::new(exponential_buckets(0.000_004, 4.0, 8));
        let mut metrics = Self {
            registry: Registry::with_prefix("quorate"),
            answered: Family::default(),
            answer_seconds: Family::new_with_constructor(milliseconds),
            evaluations: Family::default(),
            evaluation_seconds: Family::new_with_constructor(microseconds),
            evaluation_fuel: Family::default(),
            faults: Family::default(),
            hopeless: Counter::default(),
            facts: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("http_requests", "HTTP requests answered", metrics.answered.clone());
        registry.register(
            "http_request_seconds",
            "Time to the first byte of an answer",
            metrics.answer_seconds.clone(),
        );
        registry.register("evaluations", "Evaluations of a policy", metrics.evaluations.clone());
        registry.register(
            "evaluation_seconds",
            "Time of one evaluation of a policy",
            metrics.evaluation_seconds.clone(),
        );
        registry.register(
            "evaluation_fuel",
            "Fuel used by a policy's evaluations",
            metrics.evaluation_fuel.clone(),
        );
        registry.register("evaluation_faults", "Evaluations without an answer", metrics.faults.clone());
        registry.register(
            "requests_nobody_can_approve",
            "Times that a request came to be one that nobody can approve",
            metrics.hopeless.clone(),
        );
        registry.register("facts", "Questions to the sources of facts", metrics.facts.clone());
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluations_are_counted_by_policy() {
        let policy: PolicyName = "counted-policy".parse().unwrap();
        evaluated(&policy, Duration::from_micros(7), 1000, None);
        evaluated(&policy, Duration::from_micros(9), 500, Some(FaultCode::OutOfFuel));
        let text = counted().unwrap();
        for line in [
            "quorate_evaluations_total{policy=\"counted-policy\"} 2",
            "quorate_evaluation_fuel_total{policy=\"counted-policy\"} 1500",
            "quorate_evaluation_faults_total{policy=\"counted-policy\",fault=\"out-of-fuel\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1_000_000));
    }
}
