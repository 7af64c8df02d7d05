//! Records of decisions: what every policy saw and said, and whether it says it again.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use quorate_core::Timestamp;
use quorate_core::decision::Record;
use quorate_core::ids::{Digest, PolicyName, RequestId, RuleName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::Auditor;
use super::body::{Path, Query};
use super::problem::Problem;
use crate::app::App;
use crate::ledger::{History, PointFilter};
use crate::lifecycle::{DecisionReplay, PAGE_POINTS_MAX, ReplayPage, Slice};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// About this request.
    #[param(value_type = Option<String>)]
    request: Option<RequestId>,
    /// In which this policy took part.
    #[param(value_type = Option<String>)]
    policy: Option<PolicyName>,
    /// In which this rule took part; with a policy, those in which the rule asked it.
    #[param(value_type = Option<String>)]
    rule: Option<RuleName>,
    /// Made at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
}

/// How many recorded decisions there are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryView {
    /// How many.
    decisions: u64,
    /// How many of them have no record any more: nobody can say what they were made from.
    missing: u64,
    /// The newest entry when they were counted: the `until` with which pages end there.
    head: u64,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReplayQuery {
    /// About this request.
    #[param(value_type = Option<String>)]
    request: Option<RequestId>,
    /// Made at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// After this entry: what `next` said on the page before.
    #[serde(default)]
    after: u64,
    /// Up to this entry; left out: to the newest.
    until: Option<u64>,
    /// Decisions on a page, 1 to 50,000. A page ends earlier where it takes long.
    limit: Option<usize>,
}

/// Count recorded decisions
#[utoipa::path(get, path = "/api/decisions", tag = "audit", security(("token" = ["auditor"])),
    params(HistoryQuery), responses((status = 200, body = HistoryView)))]
pub(super) async fn history(
    _: Auditor,
    State(app): State<App>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<HistoryView>, Problem> {
    let HistoryQuery { request, policy, rule, since } = query;
    let filter = PointFilter { request, policy, rule, since };
    let History { points: decisions, missing, head } = app.lifecycle.history(filter).await?;
    Ok(Json(HistoryView { decisions, missing, head }))
}

/// The record of a decision
///
/// Everything the policies saw and what each said.
#[utoipa::path(get, path = "/api/decisions/{digest}", tag = "audit", security(("token" = ["auditor"])),
    params(("digest" = String, Path, description = "Which")), responses((status = 200, body = Object)))]
pub(super) async fn show(
    _: Auditor,
    State(app): State<App>,
    Path(digest): Path<Digest>,
) -> Result<Response, Problem> {
    let (bytes, _) = recorded(&app, &digest)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

/// A record of a decision, in its bytes and read.
pub(crate) fn recorded(app: &App, digest: &Digest) -> Result<(Vec<u8>, Record), Problem> {
    // Components are kept in the same place.
    let read = |bytes: Vec<u8>| Record::from_json(&bytes).ok().map(|record| (bytes, record));
    let found = app.ledger.blob(digest)?.and_then(read);
    found.ok_or_else(|| Problem::not_found("decision", &digest.short()))
}

/// Make a decision again
///
/// Asks every policy again: the very version that answered, with the recorded input and
/// config. Nothing follows from it.
#[utoipa::path(get, path = "/api/decisions/{digest}/replay", tag = "audit", security(("token" = ["auditor"])),
    params(("digest" = String, Path, description = "Which")), responses((status = 200, body = DecisionReplay)))]
pub(super) async fn replay(
    _: Auditor,
    State(app): State<App>,
    Path(digest): Path<Digest>,
) -> Result<Json<DecisionReplay>, Problem> {
    Ok(Json(app.lifecycle.replay(digest).await?))
}

/// Make many decisions again
///
/// A page of them, the oldest first; only those that differ, or could not be compared,
/// are listed. It takes as many as fit into a short while.
#[utoipa::path(get, path = "/api/decisions/replay", tag = "audit", security(("token" = ["auditor"])),
    params(ReplayQuery), responses((status = 200, body = ReplayPage)))]
pub(super) async fn replay_page(
    _: Auditor,
    State(app): State<App>,
    Query(query): Query<ReplayQuery>,
) -> Result<Json<ReplayPage>, Problem> {
    let ReplayQuery { request, since, after, until, limit } = query;
    let filter = PointFilter { request, since, ..PointFilter::default() };
    let slice = Slice { filter, after, until, limit: points(limit)? };
    Ok(Json(app.lifecycle.replay_page(slice).await?))
}

/// How many decisions the caller wants on a page.
pub(super) fn points(given: Option<usize>) -> Result<usize, Problem> {
    match given {
        None => Ok(PAGE_POINTS_MAX),
        Some(limit) if (1..=PAGE_POINTS_MAX).contains(&limit) => Ok(limit),
        Some(limit) => Err(Problem::bad_request(format!("limit is {limit}: give 1 to {PAGE_POINTS_MAX}"))),
    }
}
