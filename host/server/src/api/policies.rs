//! Policies in operation: what is loaded, which version decides.
//!
//! Not here: how another one comes to decide ([`super::activations`]).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use quorate_core::Timestamp;
use quorate_core::entry::Actor;
use quorate_core::ids::{Digest, PolicyName};
use quorate_core::policy::{Policy, Stage, Transition, Version};
use quorate_core::refused::Refused;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::access::{Admin, Auditor};
use super::answer::done;
use super::body::{Path, Query, Raw};
use super::page::{Listed, cut};
use super::problem::Problem;
use crate::app::App;

/// The shortest beginning of a digest that stands for it, in digits.
pub(super) const PREFIX_DIGITS_MIN: usize = 8;

/// The largest body of a component; the runtime's own, smaller limit has the better
/// message.
pub(crate) const COMPONENT_BYTES_MAX: usize = 33 << 20;

/// A policy.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PolicyView {
    /// Its name.
    name: String,
    /// The digest of the version that decides; none before the first was activated.
    active: Option<String>,
    /// Everything that was loaded under the name, the oldest first.
    versions: Vec<VersionView>,
    /// Which versions decided, the oldest first.
    activations: Vec<ActivationView>,
    /// The version that a rollback goes back to: the last good one.
    last_good: Option<String>,
    /// The version that is asked beside the active one.
    shadow: Option<String>,
    /// Whether the active version answers; if not, requests that need it wait.
    serving: bool,
    /// Grows with every change.
    revision: u64,
}

/// One version of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionView {
    /// The digest of its bytes.
    digest: String,
    /// What it says of itself; may be empty.
    label: String,
    /// Its size.
    bytes: u64,
    /// Whether it came with the gateway.
    built_in: bool,
    /// Where it is in its life: `loaded`, `staged`, `shadow`, `active`, `superseded`.
    stage: String,
    /// How it came there, the oldest first.
    history: Vec<TransitionView>,
}

/// A step in the life of a version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TransitionView {
    /// What it came to.
    to: String,
    /// Who did it.
    by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Why; may be empty.
    reason: String,
    /// Who approved it; none: it needed no approval.
    approved: Option<ApprovedView>,
}

/// Who approved an activation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApprovedView {
    /// Under which request.
    request: String,
    /// Whose approvals were on record.
    approvers: Vec<String>,
}

/// Something that should hold of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConditionView {
    /// `Loaded`, `Serving`, `RulesAccept`, `Shadowing`.
    pub(crate) kind: &'static str,
    /// Whether it does.
    pub(crate) holds: bool,
    /// In words.
    pub(crate) message: String,
}

/// A change of the version that decides.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ActivationView {
    /// The version that decides from then on.
    digest: String,
    /// Who did it.
    by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Why; may be empty.
    reason: String,
    /// Who approved it; none: it needed no approval.
    approved: Option<ApprovedView>,
}

/// A policy with what its author and its operator need to know.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PolicyDetail {
    #[serde(flatten)]
    policy: PolicyView,
    /// What holds of it.
    conditions: Vec<ConditionView>,
    /// The JSON Schema of its config; none where it does not serve.
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
    /// What one evaluation may use.
    #[schema(value_type = Object)]
    limits: Value,
}

/// What came of loading a component.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Loaded {
    #[serde(flatten)]
    version: VersionView,
    /// The policy with it.
    policy: PolicyView,
}

impl VersionView {
    fn of(policy: &Policy, version: &Version) -> Self {
        let Version { digest, label, bytes, built_in } = version;
        let stage = policy.last_of(*digest).map_or(Stage::Loaded, |last| last.to);
        let history = policy.transitions.iter().filter(|one| one.digest == *digest);
        Self {
            digest: digest.to_string(),
            label: label.clone(),
            bytes: *bytes,
            built_in: *built_in,
            stage: stage.as_str().to_owned(),
            history: history.map(TransitionView::of).collect(),
        }
    }
}

impl TransitionView {
    fn of(one: &Transition) -> Self {
        let (to, by) = (one.to.as_str().to_owned(), one.by.to_string());
        Self { to, by, at: one.at, reason: one.reason.clone(), approved: ApprovedView::of(one) }
    }
}

impl ApprovedView {
    fn of(one: &Transition) -> Option<Self> {
        one.approved.as_ref().map(|approved| Self {
            request: approved.request.to_string(),
            approvers: approved.approvers.iter().map(ToString::to_string).collect(),
        })
    }
}

impl PolicyView {
    pub(super) fn of(policy: &Policy, app: &App) -> Self {
        let active = policy.active().map(|version| version.digest);
        let serves = app.lifecycle.active().load().get(&policy.name).map(quorate_policy::Policy::digest);
        let activations = policy.activations().map(|one| ActivationView {
            digest: one.digest.to_string(),
            by: one.by.to_string(),
            at: one.at,
            reason: one.reason.clone(),
            approved: ApprovedView::of(one),
        });
        Self {
            name: policy.name.to_string(),
            active: active.map(|digest| digest.to_string()),
            versions: policy.versions.iter().map(|version| VersionView::of(policy, version)).collect(),
            activations: activations.collect(),
            last_good: policy.previous().map(|digest| digest.to_string()),
            shadow: policy.shadowing().map(|shadow| shadow.digest.to_string()),
            serving: active.is_some() && serves == active,
            revision: policy.revision,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PolicyQuery {
    /// Items on a page, 1 to 200.
    limit: Option<usize>,
    /// What `next` said on the page before.
    cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LoadQuery {
    /// Whether it is to decide at once.
    #[serde(default)]
    activate: bool,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// All policies
#[utoipa::path(get, path = "/api/policies", tag = "policies", security(("token" = ["auditor"])),
    params(PolicyQuery), responses((status = 200, body = Listed<PolicyView>)))]
pub(super) async fn list(
    _: Auditor,
    State(app): State<App>,
    Query(query): Query<PolicyQuery>,
) -> Result<Json<Listed<PolicyView>>, Problem> {
    let policies = app.ledger.policies()?;
    let page = cut(policies, |one: &Policy| one.name.as_str(), query.limit, query.cursor.as_deref())?;
    Ok(Json(page.map(|policy| PolicyView::of(&policy, &app))))
}

/// One policy
#[utoipa::path(get, path = "/api/policies/{name}", tag = "policies", security(("token" = ["auditor"])),
    params(("name" = String, Path, description = "Which")), responses((status = 200, body = PolicyDetail)))]
pub(super) async fn show(
    _: Auditor,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
) -> Result<Json<PolicyDetail>, Problem> {
    let found = find(&app, name.as_str())?;
    let (policy, conditions) = (PolicyView::of(&found, &app), conditions(&app, &found));
    let schema = app.lifecycle.active().load().get(&name).map(|policy| policy.schema().clone());
    let limits = serde_json::to_value(app.lifecycle.runtime().limits());
    let limits = limits.map_err(|error| Problem::internal(&error))?;
    Ok(Json(PolicyDetail { policy, conditions, schema, limits }))
}

/// The JSON Schema of a policy's config
#[utoipa::path(get, path = "/api/policies/{name}/schema", tag = "policies", security(("token" = ["auditor"])),
    params(("name" = String, Path, description = "Which")), responses((status = 200, body = Object)))]
pub(super) async fn schema(
    _: Auditor,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
) -> Result<Json<Value>, Problem> {
    let set = app.lifecycle.active().load();
    let policy = set.get(&name).ok_or_else(|| Problem::not_found("active policy", name.as_str()))?;
    Ok(Json(policy.schema().clone()))
}

/// Load a component
///
/// The body is the component itself. It is checked, compiled and started once
/// before anything changes; with `activate` it decides from then on. Where somebody else has to
/// approve that, it is refused with `approval-needed` and nothing is loaded: load it without.
#[utoipa::path(post, path = "/api/policies/{name}/versions", tag = "policies", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Under which name"), LoadQuery),
    request_body(content = inline(Vec<u8>), content_type = "application/wasm"),
    responses((status = 201, body = Loaded)))]
pub(super) async fn load(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Query(query): Query<LoadQuery>,
    Raw { bytes, key }: Raw,
) -> Result<Response, Problem> {
    let digest = Digest::of(&bytes);
    let activate = query.activate.then_some(query.reason);
    let loaded = app.lifecycle.load_policy(&name, bytes.into(), activate, Actor::User(by.id), key).await;
    let loaded = done(loaded, |name| {
        let policy = find(&app, name)?;
        let version = policy.versions.iter().find(|version| version.digest == digest).cloned();
        let version = version.ok_or_else(|| Problem::not_found("policy version", &digest.short()))?;
        Ok((policy, version))
    })?;
    let view = |(policy, version): (Policy, Version)| Loaded {
        version: VersionView::of(&policy, &version),
        policy: PolicyView::of(&policy, &app),
    };
    Ok(loaded.map(view).with_status(StatusCode::CREATED))
}

/// The one version whose digest begins with `prefix`.
pub(crate) fn resolve(policy: &Policy, prefix: &str) -> Result<Digest, Problem> {
    let wrong = |why: String| Problem::from(Refused::Invalid { what: "digest", why }).at("/digest");
    let prefix = prefix.to_ascii_lowercase();
    if prefix.len() < PREFIX_DIGITS_MIN || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong(format!("give at least {PREFIX_DIGITS_MIN} hexadecimal digits")));
    }
    let digests = policy.versions.iter().map(|version| version.digest);
    let fitting: Vec<Digest> = digests.filter(|one| one.to_string().starts_with(&prefix)).collect();
    match fitting.as_slice() {
        [digest] => Ok(*digest),
        [] => Err(Refused::Unknown { what: "policy version", name: prefix }.into()),
        _ => Err(wrong("several versions begin like this: give more digits".to_owned())),
    }
}

/// What should hold of a policy, and whether it does.
pub(crate) fn conditions(app: &App, policy: &Policy) -> Vec<ConditionView> {
    let set = app.lifecycle.active().load();
    let serves = set.get(&policy.name);
    let active = policy.active().map(|version| version.digest);
    let serving = active.is_some() && serves.map(quorate_policy::Policy::digest) == active;
    let accept = serves.map(|version| app.lifecycle.rules_accept(&policy.name, version));
    let shadow = policy.shadowing().map(|shadow| shadow.digest.short());
    let condition = |kind, holds, message: String| ConditionView { kind, holds, message };
    vec![
        condition(
            "Loaded",
            !policy.versions.is_empty(),
            format!("{} versions are loaded", policy.versions.len()),
        ),
        condition(
            "Serving",
            serving,
            match (active, serving) {
                (None, _) => "no version was activated".to_owned(),
                (Some(digest), true) => format!("version {} decides", digest.short()),
                (Some(digest), false) => {
                    format!("version {} does not load any more: requests that need it wait", digest.short())
                }
            },
        ),
        condition(
            "RulesAccept",
            matches!(accept, Some(Ok(()))),
            match accept {
                Some(Ok(())) => "every rule that uses it has a config that it takes".to_owned(),
                Some(Err(error)) => error.to_string(),
                None => "no version serves".to_owned(),
            },
        ),
        condition(
            "Shadowing",
            shadow.is_some(),
            shadow.map_or("no version is its shadow".to_owned(), |digest| {
                format!("version {digest} is asked beside it")
            }),
        ),
    ]
}

pub(super) fn find(app: &App, name: &str) -> Result<Policy, Problem> {
    let policy = app.ledger.policy(&name.parse()?)?;
    policy.ok_or_else(|| Problem::not_found("policy", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(digests: &[[u8; 32]]) -> Policy {
        let version = |digest: &[u8; 32]| Version {
            digest: Digest::from(*digest),
            label: String::new(),
            bytes: 1,
            built_in: false,
        };
        Policy {
            name: "p".parse().unwrap(),
            versions: digests.iter().map(version).collect(),
            transitions: Vec::new(),
            shadow: None,
            revision: 1,
        }
    }

    #[test]
    fn a_beginning_stands_for_one_version_only() {
        let mut twin = [0xab; 32];
        twin[31] = 1;
        let policy = policy(&[[0xab; 32], twin, [0xcd; 32]]);
        assert_eq!(resolve(&policy, "CDCDCDCD").unwrap(), Digest::from([0xcd; 32]));
        assert_eq!(resolve(&policy, &Digest::from(twin).to_string()).unwrap(), Digest::from(twin));
        for bad in ["abababab", "cdcdcd", "", "zzzzzzzz", "00000000"] {
            assert!(resolve(&policy, bad).is_err(), "{bad}");
        }
    }
}
