//! Whether the gateway is alive and ready, and what it counts.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use quorate_core::request::STATE_NAMES;
use serde::Serialize;
use utoipa::ToSchema;

use super::access::{Anonymous, MetricsReader};
use super::problem::Problem;
use crate::app::App;
use crate::ledger::{Page, RequestFilter};
use crate::telemetry;

/// That all is well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Healthy {
    /// `ok`.
    status: &'static str,
    /// The gateway's version.
    version: &'static str,
}

const OK: Healthy = Healthy { status: "ok", version: env!("CARGO_PKG_VERSION") };

/// Whether the process answers
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()),
    responses((status = 200, body = Healthy)))]
pub(super) async fn alive(_: Anonymous) -> Json<Healthy> {
    Json(OK)
}

/// With less room on the ledger's disk the gateway is not ready: what is written at once,
/// a policy, may take some megabytes.
const ROOM_BYTES_MIN: u64 = 16 << 20;

/// Whether requests can be decided
///
/// The ledger can be written and has room to grow, and every active policy answers.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()),
    responses((status = 200, body = Healthy)))]
pub(super) async fn ready(_: Anonymous, State(app): State<App>) -> Result<Json<Healthy>, Problem> {
    let room = app.ledger.room().map_err(|error| Problem::internal(&error))?;
    if room < ROOM_BYTES_MIN {
        return Err(Problem::unavailable("the ledger's disk is full"));
    }
    // Many who ask at once share one transaction.
    app.ledger.probe().await.map_err(|error| {
        tracing::error!(%error, "not ready");
        Problem::unavailable("the ledger cannot be written")
    })?;
    let serving = app.lifecycle.active().load();
    for policy in app.ledger.policies()? {
        if policy.active().is_some() && serving.get(&policy.name).is_none() {
            return Err(Problem::unavailable(format!("policy {} does not load", policy.name)));
        }
    }
    Ok(Json(OK))
}

/// What the gateway counts
///
/// In the text format of Prometheus. Takes the token of an auditor or admin unless
/// the gateway is set to show it to everybody.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(("token" = ["auditor"])),
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(_: MetricsReader, State(app): State<App>) -> Result<Response, Problem> {
    let count = move || {
        let gauges = gauges(&app)?;
        let counted = telemetry::counted().map_err(|error| Problem::internal(&error))?;
        Ok(format!("{counted}{gauges}# EOF\n"))
    };
    let text = tokio::task::spawn_blocking(count).await.map_err(|error| Problem::internal(&error))?;
    let text = text.map_err(|problem: Problem| problem)?;
    let mut headers = HeaderMap::new();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    Ok((headers, text).into_response())
}

/// What is so now, looked up when somebody asks.
fn gauges(app: &App) -> Result<String, Problem> {
    let mut text = String::new();
    let mut requests = Vec::new();
    for state in STATE_NAMES {
        let filter = RequestFilter { states: vec![state.to_owned()], ..RequestFilter::default() };
        let found = app.ledger.find_requests(&filter, Page { after: None, limit: 1 })?;
        requests.push((format!("{{state=\"{state}\"}}"), found.total));
    }
    gauge(&mut text, "quorate_requests", "Requests in each state.", &requests);
    let stuck = app.lifecycle.stuck().borrow().len() as u64;
    let help = "Requests that wait and that nobody can approve as things are.";
    gauge(&mut text, "quorate_requests_stuck", help, &one(stuck));
    let open = app.ledger.open_sessions()?.len() as u64;
    gauge(&mut text, "quorate_sessions_open", "Sessions that are open.", &one(open));
    channels(app, &mut text)?;
    let size = app.ledger.size()?;
    gauge(&mut text, "quorate_ledger_head", "The number of the newest entry.", &one(size.entries));
    gauge(&mut text, "quorate_ledger_bytes", "The ledger file and its log.", &one(size.file_bytes));
    Ok(text)
}

fn channels(app: &App, text: &mut String) -> Result<(), Problem> {
    let (mut waiting, mut dead, mut failures, mut told) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for channel in app.ledger.channels()? {
        let status = app.ledger.channel_status(&channel.name)?.unwrap_or_default();
        let labels = format!("{{channel=\"{}\"}}", channel.name);
        waiting.push((labels.clone(), status.waiting));
        dead.push((labels.clone(), status.dead));
        failures.push((labels.clone(), status.failures));
        let at = status.delivered_at.and_then(|at| u64::try_from(at.as_second()).ok());
        told.extend(at.map(|at| (labels, at)));
    }
    gauge(text, "quorate_channel_waiting", "Messages that a channel has still to be told.", &waiting);
    gauge(text, "quorate_channel_dead", "Messages that were given up, of the last 30 days.", &dead);
    gauge(text, "quorate_channel_failures", "Failures in a row.", &failures);
    let help = "When a message arrived last, in seconds since 1970.";
    gauge(text, "quorate_channel_delivered_timestamp_seconds", help, &told);
    Ok(())
}

fn one(value: u64) -> [(String, u64); 1] {
    [(String::new(), value)]
}

fn gauge(text: &mut String, name: &str, help: &str, values: &[(String, u64)]) {
    // Writing to a text does not fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
    for (labels, value) in values {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}
