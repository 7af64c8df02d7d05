//! Which version decides: made active on an admin's own word or under an approved request,
//! and back.

use axum::extract::State;
use axum::response::Response;
use quorate_core::entry::Actor;
use quorate_core::ids::{PolicyName, RequestId};
use quorate_core::policy::{Activation, Demand};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Admin;
use super::answer::{Done, done};
use super::body::{Input, Path};
use super::policies::{PolicyView, find, resolve};
use super::problem::Problem;
use super::requests::made;
use crate::app::App;
use crate::lifecycle::RequestView;

/// Which version is to decide.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ActivateBody {
    /// Its digest, or a beginning of it that is long enough: 8 digits or more.
    digest: String,
    /// Why.
    #[serde(default)]
    reason: String,
    /// Only if it is the policy's shadow and was tried on so many decisions.
    #[serde(default)]
    min_samples: u64,
    /// Only if it is the policy's shadow, and each difference and fault is accepted.
    #[serde(default)]
    no_differences: bool,
    /// The approved request under which it is done, where the gateway demands one. What is
    /// done is what was approved; its reason is that of the request.
    #[schema(value_type = Option<String>)]
    request: Option<RequestId>,
}

/// Which version is to decide, once somebody else approves it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ActivationAskBody)]
pub(super) struct AskBody {
    /// Its digest, or a beginning of it that is long enough: 8 digits or more. The request
    /// names all of it.
    digest: String,
    /// Why, for those who approve.
    #[serde(default)]
    reason: String,
    /// Only if it is the policy's shadow and was tried on so many decisions.
    #[serde(default)]
    min_samples: u64,
    /// Only if it is the policy's shadow, and each difference and fault is accepted.
    #[serde(default)]
    no_differences: bool,
}

/// Why the version before is to decide again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollBackBody {
    /// Why.
    #[serde(default)]
    reason: String,
}

/// Let another version decide
///
/// Requests that wait are decided again; open access is not touched. Where the gateway demands
/// that somebody else approves it, this is refused with `approval-needed` unless `request` names
/// an approved one; sending it again under the same request does nothing.
#[utoipa::path(post, path = "/api/policies/{name}/activate", tag = "policies", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which")), request_body = ActivateBody,
    responses((status = 200, body = PolicyView)))]
pub(super) async fn activate(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Input { body, key }: Input<ActivateBody>,
) -> Result<Done<PolicyView>, Problem> {
    let demand = Demand { samples_min: body.min_samples, no_differences: body.no_differences };
    let activation = activation(&app, name, &body.digest, demand)?;
    let activated = match &body.request {
        Some(_) if !body.reason.is_empty() => {
            let why = "the reason is that of the request: leave it out";
            return Err(Problem::bad_request(why).at("/reason"));
        }
        Some(request) => app.lifecycle.activate_approved(request, activation, &by.id, key).await,
        None => app.lifecycle.activate_policy(activation, body.reason, Actor::User(by.id), key).await,
    };
    Ok(done(activated, |name| find(&app, name))?.map(|policy| PolicyView::of(&policy, &app)))
}

/// Ask for another version to decide
///
/// Where the gateway demands that somebody else approves it. What comes of it is an ordinary
/// request for one command: voted on, timed out, cancelled like any other. Once it is approved,
/// whoever asked makes the version active under it, with `request`.
#[utoipa::path(post, path = "/api/policies/{name}/activation-requests", tag = "policies",
    security(("token" = ["admin"])), params(("name" = String, Path, description = "Which")),
    request_body = AskBody, responses((status = 201, body = RequestView, headers(("Location" = String)))))]
pub(super) async fn ask(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Input { body, key }: Input<AskBody>,
) -> Result<Response, Problem> {
    let demand = Demand { samples_min: body.min_samples, no_differences: body.no_differences };
    let activation = activation(&app, name, &body.digest, demand)?;
    let asked = app.lifecycle.ask_to_activate(&by.id, activation, body.reason, key).await;
    made(&app, asked)
}

/// Let the version before decide again
#[utoipa::path(post, path = "/api/policies/{name}/rollback", tag = "policies", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which")), request_body = RollBackBody,
    responses((status = 200, body = PolicyView)))]
pub(super) async fn roll_back(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Input { body, key }: Input<RollBackBody>,
) -> Result<Done<PolicyView>, Problem> {
    let back = app.lifecycle.roll_back_policy(&name, body.reason, Actor::User(by.id), key).await;
    Ok(done(back, |name| find(&app, name))?.map(|policy| PolicyView::of(&policy, &app)))
}

/// The activation of the one version whose digest begins like this.
fn activation(app: &App, name: PolicyName, prefix: &str, demand: Demand) -> Result<Activation, Problem> {
    let digest = resolve(&find(app, name.as_str())?, prefix)?;
    Ok(Activation { policy: name, digest, demand })
}
