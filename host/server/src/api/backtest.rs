//! What a candidate would have decided: page by page over the recorded decisions.

use axum::Json;
use axum::extract::State;
use quorate_core::Timestamp;
use quorate_core::backtest::Place;
use quorate_core::ids::{Digest, PolicyName, RuleName};
use quorate_core::refused::Refused;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::{Admin, Auditor};
use super::body::{Path, Query, Raw};
use super::decisions::points;
use super::policies::PREFIX_DIGITS_MIN;
use super::problem::Problem;
use crate::app::App;
use crate::ledger::PointFilter;
use crate::lifecycle::{BacktestPage, Candidate, Slice};

/// A component that can be tried.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CandidateView {
    /// The digest of its bytes.
    digest: String,
    /// What it says of itself; may be empty.
    label: String,
    /// Its size.
    bytes: u64,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BacktestQuery {
    /// The digest of the candidate, or its first 8 or more digits: one that was sent, or
    /// any version of the policy.
    candidate: String,
    /// In the place of the policy under this rule only.
    #[param(value_type = Option<String>)]
    rule: Option<RuleName>,
    /// Decisions made at this time or later.
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

/// Send a candidate
///
/// The body is the component itself. It is checked as for loading, and kept in memory for
/// half an hour after its last use; the ledger does not hear of it.
#[utoipa::path(post, path = "/api/policies/{name}/candidates", tag = "policies", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "In whose place it is to be tried")),
    request_body(content = inline(Vec<u8>), content_type = "application/wasm"),
    responses((status = 200, body = CandidateView)))]
pub(super) async fn offer(
    _: Admin,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Raw { bytes, .. }: Raw,
) -> Result<Json<CandidateView>, Problem> {
    if app.ledger.policy(&name)?.is_none() {
        return Err(Problem::not_found("policy", name.as_str()));
    }
    let Candidate { digest, label, bytes } = app.lifecycle.offer_candidate(bytes.into()).await?;
    Ok(Json(CandidateView { digest: digest.to_string(), label, bytes }))
}

/// Try a candidate on recorded decisions
///
/// A page of the decisions in which the policy took part, the oldest first, each made
/// again with the candidate in its place: same input, same config, and what the other
/// policies said stays. Nothing follows from it. It takes as many as fit into a short
/// while.
#[utoipa::path(get, path = "/api/policies/{name}/backtest", tag = "policies", security(("token" = ["auditor"])),
    params(("name" = String, Path, description = "In whose place"), BacktestQuery),
    responses((status = 200, body = BacktestPage)))]
pub(super) async fn page(
    _: Auditor,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Query(query): Query<BacktestQuery>,
) -> Result<Json<BacktestPage>, Problem> {
    let BacktestQuery { candidate, rule, since, after, until, limit } = query;
    if app.ledger.policy(&name)?.is_none() {
        return Err(Problem::not_found("policy", name.as_str()));
    }
    let candidate = find(&app, &name, &candidate)?;
    let filter = PointFilter { request: None, policy: Some(name.clone()), rule: rule.clone(), since };
    let slice = Slice { filter, after, until, limit: points(limit)? };
    let page = app.lifecycle.backtest_page(candidate, Place { policy: name, rule }, slice).await?;
    Ok(Json(page))
}

/// The one candidate whose digest begins with `prefix`.
pub(crate) fn find(app: &App, name: &PolicyName, prefix: &str) -> Result<Digest, Problem> {
    let wrong = |why: String| Problem::from(Refused::Invalid { what: "candidate", why });
    let prefix = prefix.to_ascii_lowercase();
    if prefix.len() < PREFIX_DIGITS_MIN || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong(format!("give at least {PREFIX_DIGITS_MIN} hexadecimal digits of its digest")));
    }
    match app.lifecycle.find_candidate(name, &prefix)?.as_slice() {
        [digest] => Ok(*digest),
        [] => Err(Problem::not_found("candidate", &prefix)),
        _ => Err(wrong("several candidates begin like this: give more digits".to_owned())),
    }
}
