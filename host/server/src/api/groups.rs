//! Groups: there is one as soon as somebody is in it.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use quorate_core::entry::Actor;
use quorate_core::ids::{GroupName, UserId};
use quorate_core::user::User;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::{Admin, Auditor};
use super::answer::{Done, done};
use super::body::{Input, Path, Query};
use super::page::{Listed, cut};
use super::problem::Problem;
use super::users::CHANGING;
use crate::app::App;

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupView {
    /// Its name.
    name: String,
    /// Who is in it, in alphabetical order.
    members: Vec<String>,
}

/// Everybody who is to be in a group.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupBody {
    /// Who.
    #[schema(value_type = Vec<String>)]
    members: BTreeSet<UserId>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupQuery {
    /// Items on a page, 1 to 200.
    limit: Option<usize>,
    /// What `next` said on the page before.
    cursor: Option<String>,
}

/// All groups
#[utoipa::path(get, path = "/api/groups", tag = "people", security(("token" = ["auditor"])), params(GroupQuery),
    responses((status = 200, body = Listed<GroupView>)))]
pub(super) async fn list(
    _: Auditor,
    State(app): State<App>,
    Query(query): Query<GroupQuery>,
) -> Result<Json<Listed<GroupView>>, Problem> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for user in app.ledger.users()? {
        for group in &user.profile.groups {
            groups.entry(group.to_string()).or_default().push(user.id.to_string());
        }
    }
    let groups = groups.into_iter().map(|(name, members)| GroupView { name, members }).collect();
    let page = cut(groups, |group: &GroupView| group.name.as_str(), query.limit, query.cursor.as_deref())?;
    Ok(Json(page))
}

/// One group
#[utoipa::path(get, path = "/api/groups/{name}", tag = "people", security(("token" = ["auditor"])),
    params(("name" = String, Path, description = "Which")), responses((status = 200, body = GroupView)))]
pub(super) async fn show(
    _: Auditor,
    State(app): State<App>,
    Path(name): Path<GroupName>,
) -> Result<Json<GroupView>, Problem> {
    let members = members(&app.ledger.users()?, &name);
    if members.is_empty() {
        return Err(Problem::not_found("group", name.as_str()));
    }
    Ok(Json(GroupView { name: name.to_string(), members }))
}

/// Say who is in a group
///
/// Everybody who is named must exist; whoever is not named leaves. All of it is
/// changed at once, or nothing.
#[utoipa::path(put, path = "/api/groups/{name}", tag = "people", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which")), request_body = GroupBody,
    responses((status = 200, body = GroupView)))]
pub(super) async fn save(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<GroupName>,
    Input { body, key }: Input<GroupBody>,
) -> Result<Done<GroupView>, Problem> {
    let _changing = CHANGING.lock().await;
    let saved = app.lifecycle.save_group(&name, body.members, Actor::User(by.id), key).await;
    let members = done(saved, |_| Ok(()))?.try_map(|()| Ok(members(&app.ledger.users()?, &name)))?;
    Ok(members.map(|members| GroupView { name: name.to_string(), members }))
}

fn members(users: &[User], name: &GroupName) -> Vec<String> {
    let inside = users.iter().filter(|user| user.profile.groups.contains(name));
    let mut members: Vec<String> = inside.map(|user| user.id.to_string()).collect();
    members.sort();
    members
}
