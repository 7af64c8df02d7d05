//! The recording of a terminal session, played. For auditors and admins; who looks is in the
//! ledger as soon as the player asks for it.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use quorate_core::entry::Stream;
use quorate_core::session::Session;

use super::happened::{Line, timeline};
use super::page::{Frame, Refusal, show};
use super::session::known;
use super::visitor::Visitor;
use super::{POLICY, words};
use crate::api::{recordings, sessions};
use crate::app::App;

/// Longer pauses are not waited for.
const PAUSE_SECONDS_MAX: u32 = 3;

#[derive(Template)]
#[template(path = "recording.html")]
struct RecordingPage {
    frame: Frame,
    session: Session,
    timeline: Vec<Line>,
}

/// The player.
pub(super) async fn page(
    Visitor { user, .. }: Visitor,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = known(&id)?;
    recordings::may_read(&user)?;
    let session = sessions::visible(&app, &user, &id)?;
    if !app.sessions.recordings().has(&id) {
        return Err(recordings::missing(&id).into());
    }
    let page = RecordingPage {
        frame: Frame::of(&user, "sessions"),
        timeline: timeline(&app, Stream::session(&id))?,
        session,
    };
    let mut response = show(StatusCode::OK, &page);
    // The terminal of the player is WebAssembly, which on no other page may run.
    let policy = POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'");
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

/// What the player plays.
pub(super) async fn cast(
    Visitor { user, .. }: Visitor,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    Ok(recordings::give(&app, &user, &known(&id)?).await?)
}
