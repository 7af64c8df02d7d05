//! Resource roles: what can be asked for.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use quorate_core::duration::AccessDuration;
use quorate_core::entry::Actor;
use quorate_core::ids::{AgentName, GroupName, ResourceName};
use quorate_core::resource::Resource;
use quorate_core::rule::AccessType;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::{Admin, SignedIn};
use super::answer::{Done, done};
use super::body::{Input, Nothing, Path, Query, maybe_secret};
use super::page::{Listed, cut};
use super::problem::Problem;
use crate::agent::Secret;
use crate::app::App;
use crate::lifecycle::Lifecycle;

/// A resource role.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ResourceView {
    /// Its name.
    name: String,
    /// What stands behind it, in the operator's words.
    kind: String,
    /// Which agent runs it.
    agent: String,
    /// The program and its arguments.
    command: Vec<String>,
    /// The names of its secrets. Nobody can read the values.
    secrets: Vec<String>,
    /// What rules can narrow by.
    attributes: BTreeMap<String, String>,
    /// `just-in-time`, `command` or both.
    access_types: Vec<String>,
    /// The longest access.
    #[schema(example = "8h")]
    max_duration: Option<String>,
    /// Members may enter where no rule covers them.
    standing_groups: Vec<String>,
    /// Notification plugins.
    plugins: Vec<String>,
    /// Grows with every change.
    revision: u64,
}

impl ResourceView {
    fn of(resource: &Resource) -> Self {
        Self {
            name: resource.name.to_string(),
            kind: resource.kind.clone(),
            agent: resource.agent.to_string(),
            command: resource.command.clone(),
            secrets: resource.secrets.iter().cloned().collect(),
            attributes: resource.attributes.clone(),
            access_types: resource.access_types.iter().map(ToString::to_string).collect(),
            max_duration: resource.max_duration.map(|max| AccessDuration::from_seconds(max).to_string()),
            standing_groups: resource.standing_groups.iter().map(ToString::to_string).collect(),
            plugins: resource.plugins.iter().cloned().collect(),
            revision: resource.revision,
        }
    }
}

/// A resource role as it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResourceBody {
    /// What stands behind it: `postgres`, `ssh`.
    #[serde(default)]
    kind: String,
    /// Which agent runs it; the embedded one is `default`.
    #[schema(value_type = Option<String>)]
    agent: Option<AgentName>,
    /// The program and its arguments.
    command: Vec<String>,
    /// Secrets that the program finds in its environment; null keeps the value that
    /// is there, and what is not named is forgotten.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    secrets: BTreeMap<String, SecretBody>,
    /// What rules can narrow by.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// `just-in-time`, `command`; both where it is left out.
    #[schema(value_type = Option<Vec<String>>)]
    access_types: Option<BTreeSet<AccessType>>,
    /// The longest access.
    #[schema(value_type = Option<String>, example = "8h")]
    max_duration: Option<AccessDuration>,
    /// Members may enter where no rule covers them.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    standing_groups: BTreeSet<GroupName>,
    /// Notification plugins.
    #[serde(default)]
    plugins: BTreeSet<String>,
}

#[derive(Deserialize)]
struct SecretBody(#[serde(deserialize_with = "maybe_secret")] Option<Secret>);

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ResourceQuery {
    /// Items on a page, 1 to 200.
    limit: Option<usize>,
    /// What `next` said on the page before.
    cursor: Option<String>,
}

/// What I can ask for
///
/// Auditors and admins see every resource.
#[utoipa::path(get, path = "/api/resources", tag = "resources", security(("token" = [])), params(ResourceQuery),
    responses((status = 200, body = Listed<ResourceView>)))]
pub(super) async fn list(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Query(query): Query<ResourceQuery>,
) -> Result<Json<Listed<ResourceView>>, Problem> {
    let rules = app.ledger.rules()?;
    let resources = app.ledger.resources()?.into_iter();
    let mine = resources.filter(|resource| Lifecycle::may_ask(resource, &rules, &user)).collect();
    let page = cut(mine, |one: &Resource| one.name.as_str(), query.limit, query.cursor.as_deref())?;
    Ok(Json(page.map(|resource| ResourceView::of(&resource))))
}

/// One resource
#[utoipa::path(get, path = "/api/resources/{name}", tag = "resources", security(("token" = [])),
    params(("name" = String, Path, description = "Which")), responses((status = 200, body = ResourceView)))]
pub(super) async fn show(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Path(name): Path<ResourceName>,
) -> Result<Json<ResourceView>, Problem> {
    let resource = find(&app, name.as_str())?;
    if !Lifecycle::may_ask(&resource, &app.ledger.rules()?, &user) {
        return Err(Problem::not_found("resource", name.as_str()));
    }
    Ok(Json(ResourceView::of(&resource)))
}

/// Add or change a resource
#[utoipa::path(put, path = "/api/resources/{name}", tag = "resources", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which")), request_body = ResourceBody,
    responses((status = 200, body = ResourceView)))]
pub(super) async fn save(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<ResourceName>,
    Input { body, key }: Input<ResourceBody>,
) -> Result<Done<ResourceView>, Problem> {
    let (resource, secrets) = body.resource(name)?;
    let saved = app.lifecycle.save_resource(resource, secrets, Actor::User(by.id), key).await;
    Ok(done(saved, |name| find(&app, name))?.map(|resource| ResourceView::of(&resource)))
}

/// Remove a resource
///
/// No rule may name it any more. Its secrets are forgotten.
#[utoipa::path(delete, path = "/api/resources/{name}", tag = "resources", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which")), responses((status = 204)))]
pub(super) async fn remove(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<ResourceName>,
    Input { key, .. }: Input<Nothing>,
) -> Result<Response, Problem> {
    let removed = app.lifecycle.remove_resource(&name, Actor::User(by.id), key).await;
    Ok(done(removed, |_| Ok(()))?.empty())
}

/// A resource and the values of its secrets, where they are not to be kept.
type WithSecrets = (Resource, BTreeMap<String, Option<String>>);

impl ResourceBody {
    fn resource(self, name: ResourceName) -> Result<WithSecrets, Problem> {
        let agent = match self.agent {
            Some(agent) => agent,
            None => "default".parse()?,
        };
        let both = || BTreeSet::from([AccessType::JustInTime, AccessType::Command]);
        let resource = Resource {
            name,
            kind: self.kind,
            agent,
            command: self.command,
            secrets: self.secrets.keys().cloned().collect(),
            attributes: self.attributes,
            access_types: self.access_types.unwrap_or_else(both),
            max_duration: self.max_duration.map(|max| max.seconds()),
            standing_groups: self.standing_groups,
            plugins: self.plugins,
            revision: 0,
        };
        let value = |SecretBody(value): SecretBody| value.map(|secret| secret.expose().to_owned());
        let secrets = self.secrets.into_iter().map(|(name, secret)| (name, value(secret)));
        Ok((resource, secrets.collect()))
    }
}

fn find(app: &App, name: &str) -> Result<Resource, Problem> {
    let resource = app.ledger.resource(&name.parse()?)?;
    resource.ok_or_else(|| Problem::not_found("resource", name))
}
