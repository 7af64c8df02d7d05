//! Facts: where they come from, and whether they can be had.

use axum::Json;
use axum::extract::State;
use quorate_core::ids::{ResourceName, UserId};
use quorate_core::rule::AccessType;
use serde::Deserialize;
use utoipa::IntoParams;

use super::access::Admin;
use super::body::{Path, Query};
use super::page::{Listed, cut};
use super::problem::Problem;
use crate::app::App;
use crate::lifecycle::{FactSource, FactTried};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FactsQuery {
    /// Items on a page, 1 to 200.
    limit: Option<usize>,
    /// What `next` said on the page before.
    cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TestQuery {
    /// As if this person asked.
    #[param(value_type = String)]
    requester: UserId,
    /// For this.
    #[param(value_type = String)]
    resource: ResourceName,
    /// In this way: `just-in-time`, unless said otherwise, or `command`.
    #[param(value_type = Option<String>)]
    access_type: Option<AccessType>,
}

/// All facts
///
/// Those that have a source, and those that an active policy asks for, with how their
/// sources have done since the gateway was started.
#[utoipa::path(get, path = "/api/facts", tag = "policies", security(("token" = ["admin"])), params(FactsQuery),
    responses((status = 200, body = Listed<FactSource>)))]
pub(super) async fn list(
    _: Admin,
    State(app): State<App>,
    Query(query): Query<FactsQuery>,
) -> Result<Json<Listed<FactSource>>, Problem> {
    let facts = app.lifecycle.fact_sources();
    let page = cut(facts, |fact: &FactSource| fact.name.as_str(), query.limit, query.cursor.as_deref())?;
    Ok(Json(page))
}

/// Ask for a fact
///
/// Asks its source now, whatever is kept, and changes nothing.
#[utoipa::path(get, path = "/api/facts/{name}/test", tag = "policies", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which"), TestQuery),
    responses((status = 200, body = FactTried)))]
pub(super) async fn test(
    _: Admin,
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<TestQuery>,
) -> Result<Json<FactTried>, Problem> {
    let TestQuery { requester, resource, access_type } = query;
    let access_type = access_type.unwrap_or(AccessType::JustInTime);
    Ok(Json(app.lifecycle.try_fact(&name, &requester, &resource, access_type).await?))
}
