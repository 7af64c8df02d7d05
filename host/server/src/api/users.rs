//! People, as admins see and change them.

use axum::Json;
use axum::extract::State;
use quorate_core::entry::Actor;
use quorate_core::ids::{GroupName, UserId};
use quorate_core::user::{Profile, User};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tokio::sync::Mutex;
use utoipa::{IntoParams, ToSchema};

use super::access::{Admin, Auditor};
use super::answer::{Done, done};
use super::body::{Input, Path, Query, maybe_secret};
use super::page::{Listed, cut};
use super::problem::Problem;
use crate::agent::Secret;
use crate::app::App;

/// Held from reading a person to saving them: what is not named in a change stays
/// as it is, also where two change the same person at once.
pub(crate) static CHANGING: Mutex<()> = Mutex::const_new(());

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserView {
    /// Their name.
    id: String,
    /// Empty if none is known.
    email: String,
    /// In alphabetical order.
    groups: Vec<String>,
    /// Whether they can sign in, ask and vote.
    active: bool,
}

impl UserView {
    pub(super) fn of(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.profile.email.clone(),
            groups: user.profile.groups.iter().map(ToString::to_string).collect(),
            active: user.profile.active,
        }
    }
}

/// What is to change of a person. What is left out stays, or for somebody new is
/// empty.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserBody {
    /// Their address.
    email: Option<String>,
    /// All of their groups.
    #[schema(value_type = Option<Vec<String>>)]
    groups: Option<BTreeSet<GroupName>>,
    /// Whether they can sign in, ask and vote.
    active: Option<bool>,
    /// A new password: at least 10 characters. All of their tokens end.
    #[serde(default, deserialize_with = "maybe_secret")]
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Secret>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UserQuery {
    /// Members of this group.
    group: Option<String>,
    /// Items on a page, 1 to 200.
    limit: Option<usize>,
    /// What `next` said on the page before.
    cursor: Option<String>,
}

/// All people
#[utoipa::path(get, path = "/api/users", tag = "people", security(("token" = ["auditor"])), params(UserQuery),
    responses((status = 200, body = Listed<UserView>)))]
pub(super) async fn list(
    _: Auditor,
    State(app): State<App>,
    Query(query): Query<UserQuery>,
) -> Result<Json<Listed<UserView>>, Problem> {
    let is_in = |user: &User| match &query.group {
        Some(group) => user.profile.groups.iter().any(|name| name.as_str() == group),
        None => true,
    };
    let users = app.ledger.users()?.into_iter().filter(is_in).collect();
    let page = cut(users, |user: &User| user.id.as_str(), query.limit, query.cursor.as_deref())?;
    Ok(Json(page.map(|user| UserView::of(&user))))
}

/// One person
#[utoipa::path(get, path = "/api/users/{id}", tag = "people", security(("token" = ["auditor"])),
    params(("id" = String, Path, description = "Who")), responses((status = 200, body = UserView)))]
pub(super) async fn show(
    _: Auditor,
    State(app): State<App>,
    Path(id): Path<UserId>,
) -> Result<Json<UserView>, Problem> {
    Ok(Json(UserView::of(&find(&app, id.as_str())?)))
}

/// Add or change a person
#[utoipa::path(put, path = "/api/users/{id}", tag = "people", security(("token" = ["admin"])),
    params(("id" = String, Path, description = "Who")), request_body = UserBody,
    responses((status = 200, body = UserView)))]
pub(super) async fn save(
    Admin(by): Admin,
    State(app): State<App>,
    Path(id): Path<UserId>,
    Input { body, key }: Input<UserBody>,
) -> Result<Done<UserView>, Problem> {
    let hash = match &body.password {
        Some(password) => Some(app.identity.hash(password, &id).await?),
        None => None,
    };
    let _changing = CHANGING.lock().await;
    let before = app.ledger.user(&id)?.map(|user| user.profile);
    let before = before.unwrap_or(Profile { email: String::new(), groups: BTreeSet::new(), active: true });
    let profile = Profile {
        email: body.email.unwrap_or(before.email),
        groups: body.groups.unwrap_or(before.groups),
        active: body.active.unwrap_or(before.active),
    };
    let saved = app.lifecycle.save_user(&id, profile, hash, Actor::User(by.id), key).await;
    Ok(done(saved, |name| find(&app, name))?.map(|user| UserView::of(&user)))
}

/// The person called `name`.
fn find(app: &App, name: &str) -> Result<User, Problem> {
    let user = app.ledger.user(&name.parse()?)?;
    user.ok_or_else(|| Problem::not_found("user", name))
}
