//! The route on which a session is opened. What it does is [`crate::session`]'s.

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::Response;
use quorate_core::ids::RequestId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::access::SignedIn;
use super::body::{Path, Query};
use super::problem::Problem;
use super::requests::visible;
use crate::agent::Size;
use crate::app::App;
use crate::session::wire::{FRAME_BYTES_MAX, PROTOCOL};
use crate::session::{self, NotNow};

/// The client's terminal. A command has none.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Terminal {
    /// Its width in characters.
    cols: Option<u16>,
    /// Its height in characters.
    rows: Option<u16>,
    /// What kind it is, as in `TERM`.
    term: Option<String>,
}

/// Open a session (WebSocket)
///
/// Under a grant of one's own a terminal, or the one run of one's own approved command.
///
/// A WebSocket with the sub-protocol `quorate.session.v1`. What can be refused is refused
/// before the upgrade; what happens afterwards is told in the last frame.
#[utoipa::path(
    get,
    path = "/api/requests/{id}/session",
    tag = "sessions",
    security(("token" = [])),
    params(("id" = String, Path, description = "The request that was approved"), Terminal),
    responses((status = 101, description = "The WebSocket is open"))
)]
pub(super) async fn open(
    State(app): State<App>,
    caller: SignedIn,
    Path(id): Path<RequestId>,
    Query(terminal): Query<Terminal>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let size = Size::default();
    let size = Size::new(terminal.rows.unwrap_or(size.rows()), terminal.cols.unwrap_or(size.columns()));
    let term = terminal.term.unwrap_or_default();
    visible(&app, &caller.user, &id)?;
    let (slot, way) = app.sessions.prepare(&id, &caller.user.id, size, &term).await?;
    let upgrade = upgrade.map_err(|error| {
        Problem::bad_request(format!("sessions are opened over a WebSocket: {}", error.body_text()))
    })?;
    let upgrade = upgrade
        .max_frame_size(FRAME_BYTES_MAX)
        .max_message_size(FRAME_BYTES_MAX)
        .read_buffer_size(16 * 1024)
        .protocols([PROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        return Err(Problem::bad_request(format!(
            "this gateway speaks `{PROTOCOL}`; name it as sub-protocol"
        )));
    }
    Ok(upgrade.on_upgrade(move |socket| session::serve(slot, id, way, socket)))
}

impl From<NotNow> for Problem {
    fn from(not_now: NotNow) -> Self {
        match not_now {
            NotNow::Lifecycle(error) => error.into(),
            NotNow::TooMany { .. } => Self::conflict(not_now.to_string()),
            NotNow::Full { .. } | NotNow::Stopping => Self::unavailable(not_now.to_string()),
        }
    }
}
