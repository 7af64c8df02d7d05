//! One session: who, on what, under which request, until when; what happened, and its end.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use quorate_core::Timestamp;
use quorate_core::entry::{Actor, Stream};
use quorate_core::ids::SessionId;
use quorate_core::session::Session;
use quorate_core::user::User;
use serde::Deserialize;

use super::happened::{Line, timeline};
use super::page::{Frame, Refusal, show};
use super::sessions::left;
use super::visitor::{Sent, Visitor};
use super::words::{self, lines};
use crate::api::{Problem, recordings, sessions};
use crate::app::App;

/// Why a session is ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct End {
    reason: String,
}

#[derive(Template)]
#[template(path = "session.html")]
struct SessionPage {
    frame: Frame,
    session: Session,
    /// Whether the visitor can end it.
    can_end: bool,
    /// Whether the visitor can look at a recording of it.
    recorded: bool,
    /// For those who may read the ledger; empty for others.
    timeline: Vec<Line>,
    /// What was typed, where it was refused.
    reason: String,
    refused: Option<String>,
    now: Timestamp,
    /// The newest entry of the ledger when the page was made.
    head: u64,
}

/// One session, for whoever may see it.
pub(super) async fn page(
    Visitor { user, .. }: Visitor,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    Ok(show(StatusCode::OK, &SessionPage::of(&app, &user, &known(&id)?)?))
}

/// Ends it.
pub(super) async fn end(
    State(app): State<App>,
    Path(id): Path<String>,
    Sent { visitor: Visitor { user, .. }, form: End { reason } }: Sent<End>,
) -> Result<Response, Refusal> {
    let id = known(&id)?;
    let session = sessions::visible(&app, &user, &id)?;
    let reason = lines(&reason);
    let ended = match sessions::ending(&user, &session, &reason) {
        Ok(end) => {
            app.lifecycle.end_session(&id, end, Actor::User(user.id.clone())).await.map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    let Err(problem) = ended else { return Ok(Redirect::to(&format!("/sessions/{id}")).into_response()) };
    let (status, _, why) = problem.words();
    if status.is_server_error() {
        return Err(Refusal(problem));
    }
    let page = SessionPage { reason, refused: Some(why), ..SessionPage::of(&app, &user, &id)? };
    Ok(show(status, &page))
}

/// An address with another id leads to no session.
pub(super) fn known(id: &str) -> Result<SessionId, Problem> {
    id.parse().map_err(|_| Problem::not_found("session", id))
}

impl SessionPage {
    fn of(app: &App, user: &User, id: &SessionId) -> Result<Self, Refusal> {
        // Before anything is read: what comes in between is told of, and not missed.
        let head = *app.ledger.head().borrow();
        let session = sessions::visible(app, user, id)?;
        Ok(Self {
            frame: Frame::of(user, "sessions"),
            can_end: session.ended.is_none() && sessions::may_end(user, &session),
            recorded: recordings::may_read(user).is_ok() && app.sessions.recordings().has(id),
            timeline: if user.is_auditor() { timeline(app, Stream::session(id))? } else { Vec::new() },
            session,
            reason: String::new(),
            refused: None,
            now: app.lifecycle.now(),
            head,
        })
    }

    /// How long it can go on: in seconds, and in words.
    fn left(&self) -> (i64, String) {
        left(&self.session, &self.now)
    }
}
