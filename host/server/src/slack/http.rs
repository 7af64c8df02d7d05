//! What Slack sends by HTTP. Each is believed only where it is signed, and just now.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::Value;

use std::sync::Arc;

use super::{Slack, act, signature};
use crate::api::Problem;
use crate::app::App;

/// The largest of what Slack sends.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Where Slack sends things.
pub fn router() -> Router<App> {
    Router::new()
        .route("/slack/interactions", post(interactions))
        .route("/slack/commands", post(commands))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

#[derive(Deserialize)]
struct Interaction {
    payload: String,
}

async fn interactions(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let slack = from_slack(&app, &headers, &body)?;
    let form: Interaction = form(&body)?;
    let payload: Value = serde_json::from_str(&form.payload).map_err(|_| unknown())?;
    let answer = act::interaction(&app, &slack, &payload).await.ok_or_else(unknown)?;
    Ok(if answer.is_null() { StatusCode::OK.into_response() } else { json(&answer) })
}

async fn commands(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let slack = from_slack(&app, &headers, &body)?;
    Ok(json(&act::command(&app, &slack, form(&body)?).await))
}

/// Slack, where it was Slack that sent this.
fn from_slack(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<Arc<Slack>, Problem> {
    let none = || Problem::not_found("such address here,", "/slack");
    let slack = app.slack.as_ref().ok_or_else(none)?;
    let secret = slack.signing_secret.as_ref().ok_or_else(none)?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (at, signature) = (text("x-slack-request-timestamp"), text("x-slack-signature"));
    if signature::is_signed(secret.expose(), at, signature, body, app.clock.now()) {
        return Ok(Arc::clone(slack));
    }
    tracing::warn!("something that says it is from Slack is not signed, or too old");
    Err(Problem::new(StatusCode::UNAUTHORIZED, "not-from-slack", "this is not signed by Slack, just now"))
}

fn form<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, Problem> {
    serde_urlencoded::from_bytes(body).map_err(|_| unknown())
}

fn unknown() -> Problem {
    Problem::bad_request("this is nothing that Slack sends")
}

fn json(answer: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}
