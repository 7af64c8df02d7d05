//! Requests: asking, looking, and what can be done to one.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use quorate_core::duration::AccessDuration;
use quorate_core::ids::{RequestId, ResourceName};
use quorate_core::input::{Choice, Command};
use quorate_core::refused::Refused;
use quorate_core::request::Request;
use quorate_core::user::User;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::access::SignedIn;
use super::answer::{Done, done};
use super::audit::EntryView;
use super::body::{Input, Nothing, Path, Query};
use super::page::{Listed, limit};
use super::problem::Problem;
use crate::app::App;
use crate::ledger::{EntryFilter, Order};
use crate::lifecycle::{self, Ask, AskedAccess, Ballot, Explanation, Lifecycle, RequestView, WhatItTakes};

/// What somebody asks for: a time window, or with `command` one run of one command.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskBody {
    /// For what.
    #[schema(value_type = String)]
    resource: ResourceName,
    /// How long, as in `2h`; `30m` where neither this nor a command is given.
    #[schema(value_type = Option<String>, example = "2h")]
    duration: Option<AccessDuration>,
    /// The command to run once.
    command: Option<CommandBody>,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// A command.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandBody {
    /// What it reads from its standard input.
    #[serde(default)]
    text: String,
    /// What is added to the resource's command line.
    #[serde(default)]
    arguments: Vec<String>,
}

/// A vote.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VoteBody {
    /// `approve` or `reject`.
    #[schema(value_type = String, example = "approve")]
    choice: Choice,
    /// Whether to skip what others still have to say; takes a comment.
    #[serde(default)]
    forced: bool,
    /// Why.
    #[serde(default)]
    comment: String,
}

/// Why access is taken away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeBody {
    /// Shown to whoever had it.
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GrantQuery {
    /// On this resource; otherwise on all.
    #[param(value_type = Option<String>)]
    resource: Option<ResourceName>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TimelineQuery {
    /// Items on a page, 1 to 200.
    limit: Option<usize>,
    /// What `next` said on the page before.
    cursor: Option<u64>,
}

/// Ask for access
#[utoipa::path(post, path = "/api/requests", tag = "requests", security(("token" = [])), request_body = AskBody,
    responses((status = 201, body = RequestView, headers(("Location" = String)))))]
pub(super) async fn submit(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Input { body, key }: Input<AskBody>,
) -> Result<Response, Problem> {
    let access = match (body.duration, body.command) {
        (Some(_), Some(_)) => {
            return Err(Problem::bad_request("give `duration` or `command`, not both").at("/command"));
        }
        (_, Some(CommandBody { text, arguments })) => AskedAccess::Command(Command { text, arguments }),
        (duration, None) => AskedAccess::JustInTime(duration.unwrap_or_default()),
    };
    let ask = Ask { resource: body.resource, access, reason: body.reason };
    made(&app, app.lifecycle.submit(&user.id, ask, key).await)
}

/// The request that was made, now or before.
pub(super) fn made(app: &App, asked: Result<RequestView, lifecycle::Error>) -> Result<Response, Problem> {
    let made = done(asked, |id| Ok(app.lifecycle.view(&find(app, id)?)?))?;
    let place = format!("/api/requests/{}", made.thing.id);
    let mut response = made.with_status(StatusCode::CREATED);
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// One request
#[utoipa::path(get, path = "/api/requests/{id}", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Which")), responses((status = 200, body = RequestView)))]
pub(super) async fn show(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Path(id): Path<RequestId>,
) -> Result<Json<RequestView>, Problem> {
    Ok(Json(app.lifecycle.view(&visible(&app, &user, &id)?)?))
}

/// What happened to a request
///
/// The ledger's entries about it, the oldest first. `total` counts those of this
/// request.
#[utoipa::path(get, path = "/api/requests/{id}/entries", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Which"), TimelineQuery),
    responses((status = 200, body = Listed<EntryView>)))]
pub(super) async fn timeline(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Path(id): Path<RequestId>,
    Query(query): Query<TimelineQuery>,
) -> Result<Json<Listed<EntryView>>, Problem> {
    let request = visible(&app, &user, &id)?;
    let limit = limit(query.limit)?;
    let stream = Some(quorate_core::entry::Stream::request(&id));
    let filter = EntryFilter { after_seq: query.cursor, stream, ..EntryFilter::default() };
    let found = app.ledger.entries(&filter, limit + 1, Order::OldestFirst)?;
    Ok(Json(EntryView::page(found, limit, request.revision)))
}

/// Why a request stands where it stands
#[utoipa::path(get, path = "/api/requests/{id}/explain", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Which")), responses((status = 200, body = Explanation)))]
pub(super) async fn explain(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Path(id): Path<RequestId>,
) -> Result<Json<Explanation>, Problem> {
    visible(&app, &user, &id)?;
    let mut explanation = app.lifecycle.explain(&id).await?;
    if !user.is_auditor() {
        explanation.untold.iter_mut().for_each(|one| one.error = None);
    }
    Ok(Json(explanation))
}

/// What it would take to approve a request
///
/// The votes of people who have not voted are put to the policies on a copy, the smallest
/// sets of people first. Nothing follows from it.
#[utoipa::path(get, path = "/api/requests/{id}/what-would-it-take", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Which")), responses((status = 200, body = WhatItTakes)))]
pub(super) async fn what_would_it_take(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Path(id): Path<RequestId>,
) -> Result<Json<WhatItTakes>, Problem> {
    visible(&app, &user, &id)?;
    Ok(Json(app.lifecycle.what_would_it_take(&id).await?))
}

/// Vote on a request
#[utoipa::path(post, path = "/api/requests/{id}/votes", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Which")), request_body = VoteBody,
    responses((status = 200, body = RequestView)))]
pub(super) async fn vote(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Path(id): Path<RequestId>,
    Input { body, key }: Input<VoteBody>,
) -> Result<Done<RequestView>, Problem> {
    let VoteBody { choice, forced, comment } = body;
    let ballot = Ballot { choice, forced, comment, on_page: false };
    let voted = app.lifecycle.vote(&id, &user.id, ballot, key).await;
    visible_after(&app, &user, &id, &voted)?;
    view(&app, done(voted, |id| find(&app, id))?)
}

/// Withdraw my request
#[utoipa::path(post, path = "/api/requests/{id}/cancel", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Which")), request_body = Nothing,
    responses((status = 200, body = RequestView)))]
pub(super) async fn cancel(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Path(id): Path<RequestId>,
    Input { key, .. }: Input<Nothing>,
) -> Result<Done<RequestView>, Problem> {
    visible(&app, &user, &id)?;
    let cancelled = app.lifecycle.cancel(&id, &user.id, key).await;
    view(&app, done(cancelled, |id| find(&app, id))?)
}

/// Take access away
///
/// All sessions under it end within a second.
#[utoipa::path(post, path = "/api/requests/{id}/revoke", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Which")), request_body = RevokeBody,
    responses((status = 200, body = RequestView)))]
pub(super) async fn revoke(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Path(id): Path<RequestId>,
    Input { body, key }: Input<RevokeBody>,
) -> Result<Done<RequestView>, Problem> {
    visible(&app, &user, &id)?;
    let revoked = app.lifecycle.revoke(&id, &user.id, body.reason, key).await;
    view(&app, done(revoked, |id| find(&app, id))?)
}

/// My open just-in-time access
///
/// What ends last comes first.
#[utoipa::path(get, path = "/api/grants", tag = "requests", security(("token" = [])), params(GrantQuery),
    responses((status = 200, body = Vec<RequestView>)))]
pub(super) async fn grants(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Query(query): Query<GrantQuery>,
) -> Result<Json<Vec<RequestView>>, Problem> {
    let now = app.lifecycle.now();
    let names = match query.resource {
        Some(name) => vec![name],
        None => app.ledger.resources()?.into_iter().map(|resource| resource.name).collect(),
    };
    let mut live = Vec::new();
    for name in &names {
        live.extend(app.ledger.live_grants(&user.id, name, now)?);
    }
    live.sort_by_key(|request: &Request| std::cmp::Reverse(request.deadline()));
    Ok(Json(app.lifecycle.views(&live)?))
}

/// The request `id`, where `user` may see it; otherwise it is as if there was none.
pub(crate) fn visible(app: &App, user: &User, id: &RequestId) -> Result<Request, Problem> {
    let request = app.ledger.request(id)?.filter(|request| Lifecycle::may_see(request, user));
    request.ok_or_else(|| Problem::not_found("request", id.as_str()))
}

/// Where a vote was refused: whether `user` may see the request at all. Asked afterwards, since
/// the vote is judged by the rules as they are now. Where a policy does not answer, nobody knows
/// whose vote would count.
pub(crate) fn visible_after(
    app: &App,
    user: &User,
    id: &RequestId,
    voted: &Result<Request, lifecycle::Error>,
) -> Result<(), Problem> {
    match voted {
        Err(lifecycle::Error::Refused(refused)) if !matches!(refused, Refused::NoAnswer { .. }) => {
            visible(app, user, id).map(drop)
        }
        _ => Ok(()),
    }
}

fn find(app: &App, id: &str) -> Result<Request, Problem> {
    let request = app.ledger.request(&id.parse()?)?;
    request.ok_or_else(|| Problem::not_found("request", id))
}

fn view(app: &App, done: Done<Request>) -> Result<Done<RequestView>, Problem> {
    done.try_map(|request| Ok(app.lifecycle.view(&request)?))
}
