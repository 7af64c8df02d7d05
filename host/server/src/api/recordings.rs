//! Recordings of terminal sessions: what the terminal showed, for auditors and admins.
//!
//! Each time somebody is given one is in the ledger before they are.

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use quorate_core::entry::Actor;
use quorate_core::ids::SessionId;
use quorate_core::user::User;
use tokio::io::AsyncReadExt as _;
use tokio_util::bytes::BytesMut;

use super::access::Auditor;
use super::body::Path;
use super::problem::Problem;
use crate::app::App;

/// What is read of a file at once.
const PIECE_BYTES: usize = 64 * 1024;

/// The recording of a terminal session
///
/// What the terminal showed, as asciicast v2: a header and events, each a line of JSON. What was typed is not in it.
/// While the session is open, it is what was shown until now. Each time it is asked for is an entry of the
/// ledger, written before anything is sent.
#[utoipa::path(get, path = "/api/sessions/{id}/recording", tag = "sessions", security(("token" = ["auditor"])),
    params(("id" = String, Path, description = "The session")),
    responses((status = 200, body = String, content_type = "application/x-asciicast")))]
pub(super) async fn read(
    Auditor(user): Auditor,
    State(app): State<App>,
    Path(id): Path<SessionId>,
) -> Result<Response, Problem> {
    give(&app, &user, &id).await
}

/// Gives `user` a recording, where they may have it and there is one.
pub(crate) async fn give(app: &App, user: &User, id: &SessionId) -> Result<Response, Problem> {
    may_read(user)?;
    let (recordings, of) = (app.sessions.recordings().clone(), id.clone());
    let opened = tokio::task::spawn_blocking(move || recordings.open(&of)).await;
    let opened =
        opened.map_err(|error| Problem::internal(&error))?.map_err(|error| Problem::internal(&error))?;
    let (file, length) = opened.ok_or_else(|| missing(id))?;
    app.lifecycle.read_recording(id, Actor::User(user.id.clone())).await?;
    tracing::info!(session = %id, user = %user.id, "recording read");
    let headers = [
        (header::CONTENT_TYPE, "application/x-asciicast".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.cast\"")),
    ];
    let start = tokio::fs::File::from_std(file).take(length);
    let pieces = stream::try_unfold(start, async |mut file| {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        let read = file.read_buf(&mut piece).await?;
        Ok::<_, std::io::Error>((read > 0).then(|| (piece.freeze(), file)))
    });
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Refuses who may not look at recordings, whichever.
pub(crate) fn may_read(user: &User) -> Result<(), Problem> {
    if user.is_auditor() { Ok(()) } else { Err(Problem::forbidden("recordings take an auditor or an admin")) }
}

/// There is no such recording.
pub(crate) fn missing(id: &SessionId) -> Problem {
    Problem::not_found("recording of session", id.as_str())
}
