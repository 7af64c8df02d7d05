//! The life of a policy's version before it decides: put forward, and asked beside the one
//! that does.

use axum::Json;
use axum::extract::State;
use quorate_core::entry::Actor;
use quorate_core::ids::PolicyName;
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::{Admin, Auditor};
use super::answer::{Done, done};
use super::body::{Input, Path};
use super::policies::{PolicyView, find, resolve};
use super::problem::Problem;
use crate::app::App;
use crate::lifecycle::ShadowReport;

/// Which version, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VersionBody {
    /// Its digest, or a beginning of it that is long enough: 8 digits or more.
    digest: String,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// Why the shadow is to end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StopBody {
    /// Why.
    #[serde(default)]
    reason: String,
}

/// Which differences are right.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcceptBody {
    /// The id of a request, for all of its decisions so far, or the number of one
    /// decision's entry.
    difference: String,
    /// Why; needed.
    reason: String,
}

/// Put a version forward
///
/// It must compile, start, and take the config of every rule that uses the policy.
#[utoipa::path(post, path = "/api/policies/{name}/stage", tag = "policies", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which")), request_body = VersionBody,
    responses((status = 200, body = PolicyView)))]
pub(super) async fn stage(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Input { body, key }: Input<VersionBody>,
) -> Result<Done<PolicyView>, Problem> {
    let digest = resolve(&find(&app, name.as_str())?, &body.digest)?;
    let staged = app.lifecycle.stage_policy(&name, digest, body.reason, Actor::User(by.id), key).await;
    Ok(done(staged, |name| find(&app, name))?.map(|policy| PolicyView::of(&policy, &app)))
}

/// Ask a version beside the one that decides
///
/// A staged version is tried on every decision from now on in which the policy takes part,
/// after that was made. It never acts, and nobody waits for it. A policy has one shadow at a
/// time; any activation ends it.
#[utoipa::path(post, path = "/api/policies/{name}/shadow", tag = "policies", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Beside which")), request_body = VersionBody,
    responses((status = 200, body = PolicyView)))]
pub(super) async fn start(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Input { body, key }: Input<VersionBody>,
) -> Result<Done<PolicyView>, Problem> {
    let digest = resolve(&find(&app, name.as_str())?, &body.digest)?;
    let started = app.lifecycle.start_shadow(&name, digest, body.reason, Actor::User(by.id), key).await;
    Ok(done(started, |name| find(&app, name))?.map(|policy| PolicyView::of(&policy, &app)))
}

/// End the shadow
///
/// What it found stays until the next one begins.
#[utoipa::path(post, path = "/api/policies/{name}/shadow/stop", tag = "policies", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Beside which")), request_body = StopBody,
    responses((status = 200, body = PolicyView)))]
pub(super) async fn stop(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Input { body, key }: Input<StopBody>,
) -> Result<Done<PolicyView>, Problem> {
    let stopped = app.lifecycle.stop_shadow(&name, body.reason, Actor::User(by.id), key).await;
    Ok(done(stopped, |name| find(&app, name))?.map(|policy| PolicyView::of(&policy, &app)))
}

/// Say that a difference is right
///
/// It goes into the ledger, with who and why.
#[utoipa::path(post, path = "/api/policies/{name}/shadow/accept", tag = "policies", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Beside which")), request_body = AcceptBody,
    responses((status = 200, body = PolicyView)))]
pub(super) async fn accept(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Input { body, key }: Input<AcceptBody>,
) -> Result<Done<PolicyView>, Problem> {
    let AcceptBody { difference, reason } = body;
    let accepted = app.lifecycle.accept_difference(&name, &difference, reason, Actor::User(by.id), key).await;
    Ok(done(accepted, |name| find(&app, name))?.map(|policy| PolicyView::of(&policy, &app)))
}

/// What the shadow has seen
///
/// Of the latest shadow, also where it has ended.
#[utoipa::path(get, path = "/api/policies/{name}/shadow", tag = "policies", security(("token" = ["auditor"])),
    params(("name" = String, Path, description = "Beside which")),
    responses((status = 200, body = ShadowReport)))]
pub(super) async fn report(
    _: Auditor,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
) -> Result<Json<ShadowReport>, Problem> {
    Ok(Json(app.lifecycle.shadow_report(&name)?))
}
