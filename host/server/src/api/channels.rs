//! Notification channels: where messages about requests go, and what came of them.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use quorate_core::Timestamp;
use quorate_core::channel::{Channel, ChannelKind, EventType};
use quorate_core::entry::Actor;
use quorate_core::ids::{ChannelName, RuleName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::{Admin, Auditor};
use super::answer::{Done, done};
use super::body::{Input, Nothing, Path, Query, maybe_secret};
use super::page::{Listed, bad_cursor, cut, limit};
use super::problem::Problem;
use crate::agent::Secret;
use crate::app::App;
use crate::ledger::{ChannelStatus, Delivery, DeliveryState};
use crate::lifecycle::{Error, SavedChannel};

/// A notification channel.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChannelView {
    /// Its name: what the plugins of a resource name it by.
    name: String,
    /// For people.
    description: String,
    /// `webhook`, `slack`, `email` or `teams`.
    kind: String,
    /// Webhook and teams: the host that it delivers to; the rest of the address is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// Slack: the conversation that every message goes to; null: to nobody but who subscribed.
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
    /// E-mail: whom every message goes to; empty: whom it concerns.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    to: BTreeSet<String>,
    /// Whether it is told of every request.
    all_requests: bool,
    /// It is told of requests under these rules, besides those for resources that name it.
    rules: Vec<String>,
    /// Of what; empty: of everything.
    events: Vec<String>,
    /// How it does.
    status: StatusView,
    /// What its messages are signed with; only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Grows with every change.
    revision: u64,
}

/// How a channel does.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatusView {
    /// How many messages wait.
    waiting: u64,
    /// How many were given up.
    dead: u64,
    /// How often in a row a message did not arrive.
    failures: u64,
    /// When the next is tried, where the last did not arrive.
    #[schema(value_type = Option<String>)]
    retry_at: Option<Timestamp>,
    /// What went wrong last.
    last_error: Option<String>,
    /// When that was.
    #[schema(value_type = Option<String>)]
    last_error_at: Option<Timestamp>,
    /// When a message arrived last.
    #[schema(value_type = Option<String>)]
    last_success_at: Option<Timestamp>,
}

impl From<ChannelStatus> for StatusView {
    fn from(status: ChannelStatus) -> Self {
        let (last_error, last_error_at) = status.error.unzip();
        Self {
            waiting: status.waiting,
            dead: status.dead,
            failures: status.failures,
            retry_at: status.retry_at,
            last_error,
            last_error_at,
            last_success_at: status.delivered_at,
        }
    }
}

impl ChannelView {
    fn of(app: &App, SavedChannel { channel, key }: SavedChannel) -> Result<Self, Problem> {
        let mut view = Self {
            status: app.ledger.channel_status(&channel.name)?.unwrap_or_default().into(),
            name: channel.name.into(),
            description: channel.description,
            kind: channel.kind.name().to_owned(),
            host: None,
            conversation: None,
            to: BTreeSet::new(),
            all_requests: channel.all_requests,
            rules: channel.rules.into_iter().map(Into::into).collect(),
            events: channel.events.into_iter().map(Into::into).collect(),
            key,
            revision: channel.revision,
        };
        match channel.kind {
            ChannelKind::Webhook { host } | ChannelKind::Teams { host } => view.host = Some(host),
            ChannelKind::Slack { conversation } => view.conversation = conversation,
            ChannelKind::Email { to } => view.to = to,
        }
        Ok(view)
    }
}

/// What a channel shall be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelBody {
    /// For people.
    #[serde(default)]
    description: String,
    /// How it delivers: `webhook`, `slack`, `email` or `teams`.
    kind: String,
    /// Webhook and teams: where it delivers; null, or left out, keeps what is there. It is not shown
    /// again.
    #[serde(default, deserialize_with = "maybe_secret")]
    #[schema(value_type = Option<String>, example = "https://hooks.example.org/quorate")]
    address: Option<Secret>,
    /// Slack: the ID of the conversation that every message goes to; null: only to who subscribed.
    #[serde(default)]
    #[schema(example = "C0123456789")]
    conversation: Option<String>,
    /// E-mail: whom every message goes to; empty: whom it concerns, which is those who can vote
    /// while it waits, and then the requester.
    #[serde(default)]
    to: BTreeSet<String>,
    /// Whether it is told of every request.
    #[serde(default)]
    all_requests: bool,
    /// It is told of requests under these rules, besides those for resources that name it.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    rules: BTreeSet<RuleName>,
    /// Of what; empty: of everything.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    events: BTreeSet<EventType>,
}

/// A message that a channel was, or is, to be told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryView {
    /// The number of the ledger's entry that it is about.
    entry: u64,
    /// What happened: `request.submitted` and so on.
    event: String,
    /// The request.
    request: String,
    /// `waiting`, `delivered` or `dead`.
    state: String,
    /// How often it was tried.
    attempts: u64,
    /// Since when it waits.
    #[schema(value_type = String)]
    queued_at: Timestamp,
    /// When it was tried last.
    #[schema(value_type = Option<String>)]
    tried_at: Option<Timestamp>,
    /// What went wrong then.
    error: Option<String>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            entry: delivery.entry,
            event: delivery.event.into(),
            request: delivery.request.into(),
            state: delivery.state.as_str().to_owned(),
            attempts: delivery.attempts,
            queued_at: delivery.queued_at,
            tried_at: delivery.tried_at,
            error: delivery.error,
        }
    }
}

/// Whether a message arrived.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Arrived {
    /// Whether it did.
    delivered: bool,
    /// Why not.
    error: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChannelQuery {
    /// Items on a page, 1 to 200.
    limit: Option<usize>,
    /// What `next` said on the page before.
    cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveryQuery {
    /// Only these: `waiting`, `delivered` or `dead`.
    state: Option<String>,
    /// Items on a page, 1 to 200.
    limit: Option<usize>,
    /// What `next` said on the page before.
    cursor: Option<String>,
}

/// A page of a log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryPage {
    /// What is on the page, the newest first.
    items: Vec<DeliveryView>,
    /// The `cursor` of the next page; none on the last.
    next: Option<String>,
}

/// Notification channels
#[utoipa::path(get, path = "/api/channels", tag = "channels", security(("token" = ["auditor"])),
    params(ChannelQuery), responses((status = 200, body = Listed<ChannelView>)))]
pub(super) async fn list(
    _: Auditor,
    State(app): State<App>,
    Query(query): Query<ChannelQuery>,
) -> Result<Json<Listed<ChannelView>>, Problem> {
    let all = app.ledger.channels()?.into_iter();
    let all = all.map(|channel| ChannelView::of(&app, channel.into())).collect::<Result<_, _>>()?;
    let page = cut(all, |one: &ChannelView| one.name.as_str(), query.limit, query.cursor.as_deref())?;
    Ok(Json(page))
}

/// One notification channel
#[utoipa::path(get, path = "/api/channels/{name}", tag = "channels", security(("token" = ["auditor"])),
    params(("name" = String, Path, description = "Which")), responses((status = 200, body = ChannelView)))]
pub(super) async fn show(
    _: Auditor,
    State(app): State<App>,
    Path(name): Path<ChannelName>,
) -> Result<Json<ChannelView>, Problem> {
    Ok(Json(ChannelView::of(&app, find(&app, name.as_str())?)?))
}

/// Add or change a notification channel
///
/// The answer that makes a channel has the key that its messages are signed with; no other has.
#[utoipa::path(put, path = "/api/channels/{name}", tag = "channels", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which")), request_body = ChannelBody,
    responses((status = 200, body = ChannelView)))]
pub(super) async fn save(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<ChannelName>,
    Input { body, key }: Input<ChannelBody>,
) -> Result<Done<ChannelView>, Problem> {
    let ChannelBody { description, kind, address, conversation, to, all_requests, rules, events } = body;
    let kind = ChannelKind::named(&kind, to, conversation).map_err(Error::from)?;
    let channel = Channel { name, description, kind, all_requests, rules, events, revision: 0 };
    let address = address.map(|address| address.expose().to_owned());
    let saved = app.lifecycle.save_channel(channel, address, Actor::User(by.id), key).await;
    done(saved, |name| find(&app, name))?.try_map(|saved| ChannelView::of(&app, saved))
}

/// Remove a notification channel
///
/// No resource may name it any more. What it had still to be told is forgotten.
#[utoipa::path(delete, path = "/api/channels/{name}", tag = "channels", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which")), responses((status = 204)))]
pub(super) async fn remove(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<ChannelName>,
    Input { key, .. }: Input<Nothing>,
) -> Result<Response, Problem> {
    let removed = app.lifecycle.remove_channel(&name, Actor::User(by.id), key).await;
    Ok(done(removed, |_| Ok(()))?.empty())
}

/// Give a channel another key
///
/// Messages are signed with both for a day, so that receivers can change over.
#[utoipa::path(post, path = "/api/channels/{name}/key", tag = "channels", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which")), responses((status = 200, body = ChannelView)))]
pub(super) async fn rotate(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<ChannelName>,
    Input { key, .. }: Input<Nothing>,
) -> Result<Done<ChannelView>, Problem> {
    let rotated = app.lifecycle.rotate_channel_key(&name, Actor::User(by.id), key).await;
    done(rotated, |name| find(&app, name))?.try_map(|saved| ChannelView::of(&app, saved))
}

/// Send a channel a message about nothing
///
/// At once, whatever else waits; says whether it arrived. It takes no idempotency key: each is a
/// message of its own.
#[utoipa::path(post, path = "/api/channels/{name}/test", tag = "channels", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which")), responses((status = 200, body = Arrived)))]
pub(super) async fn test(
    _: Admin,
    State(app): State<App>,
    Path(name): Path<ChannelName>,
    _: Input<Nothing>,
) -> Result<Json<Arrived>, Problem> {
    find(&app, name.as_str())?;
    let error = app.notifier.test(&name).await?.err().map(|undelivered| undelivered.why);
    Ok(Json(Arrived { delivered: error.is_none(), error }))
}

/// What a channel was told, and is to be told
///
/// What was delivered or given up is known for 30 days.
#[utoipa::path(get, path = "/api/channels/{name}/deliveries", tag = "channels",
    security(("token" = ["auditor"])), params(("name" = String, Path, description = "Which"), DeliveryQuery),
    responses((status = 200, body = DeliveryPage)))]
pub(super) async fn deliveries(
    _: Auditor,
    State(app): State<App>,
    Path(name): Path<ChannelName>,
    Query(query): Query<DeliveryQuery>,
) -> Result<Json<DeliveryPage>, Problem> {
    find(&app, name.as_str())?;
    let limit = limit(query.limit)?;
    let state = query.state.map(|text| {
        let found = DeliveryState::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or_else(|| Problem::bad_request("state: give waiting, delivered or dead"))
    });
    let before = query.cursor.map(|cursor| cursor.parse::<u64>().map_err(|_| bad_cursor())).transpose()?;
    let mut found = app.ledger.deliveries(&name, state.transpose()?, before, limit + 1)?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| last.entry.to_string());
    Ok(Json(DeliveryPage { items: found.into_iter().map(Into::into).collect(), next }))
}

/// Tell a channel once more
///
/// As soon as it can be, also where it was told, or that was given up. The message has the id that
/// it had. Asking twice is asking once, so it takes no idempotency key.
#[utoipa::path(post, path = "/api/channels/{name}/deliveries/{entry}/again", tag = "channels",
    security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which"), ("entry" = u64, Path, description = "Of which entry")),
    responses((status = 202)))]
pub(super) async fn again(
    _: Admin,
    State(app): State<App>,
    Path((name, entry)): Path<(ChannelName, u64)>,
    _: Input<Nothing>,
) -> Result<StatusCode, Problem> {
    find(&app, name.as_str())?;
    if app.notifier.deliver_again(&name, entry).await? {
        return Ok(StatusCode::ACCEPTED);
    }
    Err(Problem::not_found("delivery of entry", &entry.to_string()))
}

fn find(app: &App, name: &str) -> Result<SavedChannel, Problem> {
    let channel = app.ledger.channel(&name.parse()?)?;
    channel.map(Into::into).ok_or_else(|| Problem::not_found("channel", name))
}
