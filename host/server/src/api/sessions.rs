//! Sessions: who is, and was, connected.

use axum::Json;
use axum::extract::State;
use quorate_core::Timestamp;
use quorate_core::entry::Actor;
use quorate_core::ids::{ResourceName, SessionId, UserId};
use quorate_core::session::{End, EndReason, Mode, Session};
use quorate_core::user::User;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::SignedIn;
use super::answer::{Done, done};
use super::body::{Input, Path, Query};
use super::page::{Listed, bad_cursor, limit};
use super::problem::Problem;
use crate::app::App;
use crate::ledger::{Cursor, Page, SessionFilter};

/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 1000;

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    /// Which.
    id: String,
    /// The grant it runs under.
    request: String,
    /// Whose.
    user: String,
    /// On what.
    resource: String,
    /// `terminal` or `command`.
    mode: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
    /// When it ends at the latest.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Whether there is a recording of it.
    recorded: bool,
    /// How it ended; none while it is open.
    ended: Option<SessionEnded>,
}

/// How a session ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionEnded {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `exited`, `expired`, `revoked`, `ended`, `gateway-stopped`,
    /// `connection-lost` or `failed`.
    #[schema(value_type = String)]
    reason: EndReason,
    /// For people to read.
    message: String,
    /// The program's own, where it ended by itself.
    exit_code: Option<i32>,
}

impl SessionView {
    fn of(app: &App, session: &Session) -> Self {
        let opened = &session.opened;
        Self {
            id: session.id.to_string(),
            request: opened.request.to_string(),
            user: opened.user.to_string(),
            resource: opened.resource.to_string(),
            mode: match opened.mode {
                Mode::Terminal => "terminal",
                Mode::Command => "command",
            }
            .to_owned(),
            opened_at: session.opened_at,
            until: opened.until,
            recorded: app.sessions.recordings().has(&session.id),
            ended: session.ended.as_ref().map(|(at, end)| SessionEnded {
                at: *at,
                reason: end.reason,
                message: end.message.clone(),
                exit_code: end.exit_code,
            }),
        }
    }
}

/// Why a session is ended.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndBody {
    /// Shown to whoever is connected.
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionQuery {
    /// Only those that are open, or only those that ended.
    open: Option<bool>,
    /// Of this person.
    #[param(value_type = Option<String>)]
    user: Option<UserId>,
    /// On this resource.
    #[param(value_type = Option<String>)]
    resource: Option<ResourceName>,
    /// Items on a page, 1 to 200.
    limit: Option<usize>,
    /// What `next` said on the page before.
    cursor: Option<String>,
}

/// Sessions, the newest first
///
/// My own; auditors and admins see all.
#[utoipa::path(get, path = "/api/sessions", tag = "sessions", security(("token" = [])), params(SessionQuery),
    responses((status = 200, body = Listed<SessionView>)))]
pub(super) async fn list(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Query(query): Query<SessionQuery>,
) -> Result<Json<Listed<SessionView>>, Problem> {
    let whose = whose(&user, query.user)?;
    let filter = SessionFilter { open: query.open, user: whose, resource: query.resource, request: None };
    let after: Option<Cursor> =
        query.cursor.as_deref().map(str::parse).transpose().map_err(|_| bad_cursor())?;
    let found = app.ledger.find_sessions(&filter, Page { after, limit: limit(query.limit)? })?;
    let next = found.next.map(|cursor| cursor.to_string());
    let items = found.items.iter().map(|session| SessionView::of(&app, session)).collect();
    Ok(Json(Listed { items, next, total: found.total }))
}

/// One session
#[utoipa::path(get, path = "/api/sessions/{id}", tag = "sessions", security(("token" = [])),
    params(("id" = String, Path, description = "Which")), responses((status = 200, body = SessionView)))]
pub(super) async fn show(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Path(id): Path<SessionId>,
) -> Result<Json<SessionView>, Problem> {
    Ok(Json(SessionView::of(&app, &visible(&app, &user, &id)?)))
}

/// End a session
///
/// Its owner and admins can. The access it runs under stays open: revoke the
/// request to end both.
#[utoipa::path(post, path = "/api/sessions/{id}/end", tag = "sessions", security(("token" = [])),
    params(("id" = String, Path, description = "Which")), request_body = EndBody,
    responses((status = 200, body = SessionView)))]
pub(super) async fn end(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Path(id): Path<SessionId>,
    Input { body, key }: Input<EndBody>,
) -> Result<Done<SessionView>, Problem> {
    let session = visible(&app, &user, &id)?;
    let end = ending(&user, &session, &body.reason)?;
    let ended = app.lifecycle.end_session_once(&id, end, Actor::User(user.id.clone()), key).await;
    Ok(done(ended, |_| visible(&app, &user, &id))?.map(|session| SessionView::of(&app, &session)))
}

/// Whose sessions `user` is shown who asks for those of `whose`; none: everybody's.
pub(crate) fn whose(user: &User, whose: Option<UserId>) -> Result<Option<UserId>, Problem> {
    if user.is_auditor() {
        return Ok(whose);
    }
    if whose.is_some_and(|whose| whose != user.id) {
        return Err(Problem::forbidden("other people's sessions take an auditor or an admin"));
    }
    Ok(Some(user.id.clone()))
}

/// The session, where `user` may see it.
pub(crate) fn visible(app: &App, user: &User, id: &SessionId) -> Result<Session, Problem> {
    let session = app.ledger.session(id)?.filter(|session| may_see(user, session));
    session.ok_or_else(|| Problem::not_found("session", id.as_str()))
}

/// Whether `user` may see it.
pub(crate) fn may_see(user: &User, session: &Session) -> bool {
    session.opened.user == user.id || user.is_auditor()
}

/// Whether `user` may end it.
pub(crate) fn may_end(user: &User, session: &Session) -> bool {
    session.opened.user == user.id || user.is_admin()
}

/// How the session ends when `user` ends it.
pub(crate) fn ending(user: &User, session: &Session, reason: &str) -> Result<End, Problem> {
    if !may_end(user, session) {
        return Err(Problem::forbidden("only its owner or an admin can end a session"));
    }
    if reason.chars().count() > REASON_CHARS_MAX {
        return Err(Problem::bad_request(format!("reason: at most {REASON_CHARS_MAX} characters")));
    }
    let message = match reason.trim() {
        "" => format!("ended by {}", user.id),
        reason => format!("ended by {}: {reason}", user.id),
    };
    Ok(End { reason: EndReason::Ended, message, exit_code: None })
}
