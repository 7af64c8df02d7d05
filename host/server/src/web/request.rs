//! One request: what is asked, where it stands, who can end the wait, and what happened.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use quorate_core::Timestamp;
use quorate_core::entry::Stream;
use quorate_core::ids::RequestId;
use quorate_core::input::Choice;
use quorate_core::request::{Request, State as Stands};
use quorate_core::session::Session;
use quorate_core::user::User;
use serde::Deserialize;

use super::happened::{Line, timeline};
use super::page::{Frame, Refusal, show};
use super::visitor::{Nothing, Sent, Visitor};
use super::words::{self, between, lines};
use crate::api::{Problem, sessions, sessions_under, visible, visible_after};
use crate::app::App;
use crate::ledger::{Page, SessionFilter};
use crate::lifecycle::{self, Ballot, Counts, Explanation, PolicySaid, RequestView, Untold, WhatItTakes};

/// How long a page waits to hear what it would take; past that it does without.
const TAKES_WAIT: Duration = Duration::from_millis(500);
/// So many of its sessions are shown, the newest.
const SESSIONS_MAX: usize = 50;

/// What somebody is told who would decide on something else than what they were shown.
const OTHER: &str = "what you were shown is another request than this one: nothing was decided";

/// A vote, as the form sends it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Vote {
    /// `approve`, `reject` or `force`: the button.
    choice: String,
    comment: String,
    /// What was shown to whoever votes.
    digest: String,
}

/// What somebody comes to see, where a message led them here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    digest: Option<String>,
}

/// Why access is taken back.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Revoke {
    reason: String,
}

/// What the visitor can do.
#[allow(clippy::struct_excessive_bools, reason = "each is a button")]
struct Can {
    vote: bool,
    force: bool,
    cancel: bool,
    revoke: bool,
}

#[derive(Template)]
#[template(path = "request.html")]
struct RequestPage {
    frame: Frame,
    request: RequestView,
    policies: Vec<PolicySaid>,
    untold: Vec<Untold>,
    unheard: Vec<String>,
    takes: Option<WhatItTakes>,
    timeline: Vec<Line>,
    /// Those that the visitor may see.
    sessions: Vec<Session>,
    /// How many sessions were opened under it, and how many of them are open.
    counted: (u64, u64),
    can: Can,
    /// What was typed, where it was refused.
    comment: String,
    reason: String,
    refused: Option<String>,
    now: Timestamp,
}

/// One request, for whoever may see it.
pub(super) async fn page(
    Visitor { user, .. }: Visitor,
    State(app): State<App>,
    Path(id): Path<String>,
    Query(Shown { digest }): Query<Shown>,
) -> Result<Response, Refusal> {
    let id = known(&id)?;
    let request = visible(&app, &user, &id)?;
    let mut page = RequestPage::of(&app, &user, &id).await?;
    if digest.is_some_and(|digest| digest != request.asked.digest().to_string()) {
        page.refused = Some(OTHER.to_owned());
        (page.can.vote, page.can.force) = (false, false);
    }
    Ok(show(StatusCode::OK, &page))
}

/// Votes.
pub(super) async fn vote(
    State(app): State<App>,
    Path(id): Path<String>,
    Sent { visitor: Visitor { user, .. }, form: Vote { choice, comment, digest } }: Sent<Vote>,
) -> Result<Response, Refusal> {
    let id = known(&id)?;
    let (choice, forced) = match choice.as_str() {
        "approve" => (Choice::Approve, false),
        "force" => (Choice::Approve, true),
        "reject" => (Choice::Reject, false),
        _ => return Err(Problem::bad_request("a vote is approve, reject or force").into()),
    };
    let comment = lines(&comment);
    let asked = app.ledger.request(&id).map_err(lifecycle::Error::from)?;
    if asked.is_some_and(|request| !digest.is_empty() && request.asked.digest().to_string() != digest) {
        return Err(Problem::new(StatusCode::CONFLICT, "another-request", OTHER).into());
    }
    let ballot = Ballot { choice, forced, comment: comment.clone(), on_page: true };
    let voted = app.lifecycle.vote(&id, &user.id, ballot, None).await;
    visible_after(&app, &user, &id, &voted)?;
    let kept = |page: &mut RequestPage| page.comment = comment;
    answer(&app, &user, &id, voted, kept).await
}

/// Withdraws it.
pub(super) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    Sent { visitor: Visitor { user, .. }, form: Nothing {} }: Sent<Nothing>,
) -> Result<Response, Refusal> {
    let id = known(&id)?;
    visible(&app, &user, &id)?;
    let cancelled = app.lifecycle.cancel(&id, &user.id, None).await;
    answer(&app, &user, &id, cancelled, |_| ()).await
}

/// Takes access back; its sessions end.
pub(super) async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
    Sent { visitor: Visitor { user, .. }, form: Revoke { reason } }: Sent<Revoke>,
) -> Result<Response, Refusal> {
    let id = known(&id)?;
    visible(&app, &user, &id)?;
    let reason = lines(&reason);
    let revoked = app.lifecycle.revoke(&id, &user.id, reason.clone(), None).await;
    answer(&app, &user, &id, revoked, |page| page.reason = reason).await
}

/// The request as it is then; where it was refused, with the reason and what was typed.
async fn answer(
    app: &App,
    user: &User,
    id: &RequestId,
    done: Result<Request, lifecycle::Error>,
    keep: impl FnOnce(&mut RequestPage),
) -> Result<Response, Refusal> {
    let Err(error) = done else { return Ok(Redirect::to(&format!("/requests/{id}")).into_response()) };
    let (status, _, why) = Problem::from(error).words();
    if status.is_server_error() || status == StatusCode::NOT_FOUND {
        return Err(Refusal(Problem::new(status, "not-done", why)));
    }
    let mut page = RequestPage::of(app, user, id).await?;
    page.refused = Some(why);
    keep(&mut page);
    Ok(show(status, &page))
}

/// An address with another id leads to no request.
fn known(id: &str) -> Result<RequestId, Problem> {
    id.parse().map_err(|_| Problem::not_found("request", id))
}

impl RequestPage {
    async fn of(app: &App, user: &User, id: &RequestId) -> Result<Self, Refusal> {
        let Explanation { request: view, policies, untold, unheard, .. } = app.lifecycle.explain(id).await?;
        let takes = match view.state.as_str() {
            "PENDING" => tokio::time::timeout(TAKES_WAIT, app.lifecycle.what_would_it_take(id)).await.ok(),
            _ => None,
        };
        // Before the sessions are read: what comes in between is told of, and not missed.
        let counted = sessions_under(app, id).unwrap_or_default();
        let request = visible(app, user, id)?;
        let under = SessionFilter {
            user: sessions::whose(user, None)?,
            request: Some(id.clone()),
            ..SessionFilter::default()
        };
        let sessions = app.ledger.find_sessions(&under, Page { after: None, limit: SESSIONS_MAX })?.items;
        Ok(Self {
            frame: Frame::of(user, "requests"),
            can: Can::of(&request, user),
            request: view,
            policies,
            untold,
            unheard,
            takes: takes.transpose()?,
            timeline: timeline(app, Stream::request(id))?,
            sessions,
            counted,
            comment: String::new(),
            reason: String::new(),
            refused: None,
            now: app.lifecycle.now(),
        })
    }

    fn is_pending(&self) -> bool {
        self.request.state == "PENDING"
    }

    /// Whether something can still happen to it or under it.
    fn is_live(&self) -> bool {
        self.request.ended.is_none() || self.counted.1 > 0
    }

    /// How long the open window goes on: in seconds, and in words.
    fn left(&self) -> Option<(i64, String)> {
        let granted = self.request.granted.as_ref().filter(|_| self.request.state == "APPROVED")?;
        let seconds = granted.until.duration_since(self.now).as_secs().max(0);
        Some((seconds, between(&self.now, &granted.until)))
    }
}

impl Can {
    fn of(request: &Request, user: &User) -> Self {
        let person = user.principal();
        let is_pending = matches!(request.state, Stands::Pending);
        let Counts { vote, force } = Counts::of(request, &person);
        Self {
            vote,
            force,
            cancel: is_pending && request.asked.requester == user.id,
            revoke: request.may_revoke(&person),
        }
    }
}
