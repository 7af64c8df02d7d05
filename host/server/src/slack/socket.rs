//! Socket Mode: what Slack sends comes over a connection that the gateway opens, where Slack does
//! not reach the gateway ([how it goes][s]).
//!
//! [s]: https://docs.slack.dev/apis/events-api/using-socket-mode/

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::{Slack, act};
use crate::agent::Secret;
use crate::app::App;

/// The first rest after a connection that did not come about; twice as long each time.
const REST_MIN: Duration = Duration::from_secs(1);
/// The longest.
const REST_MAX: Duration = Duration::from_mins(1);
/// How long it takes at most to connect.
const CONNECT: Duration = Duration::from_secs(15);
/// How long nothing may be heard: Slack asks every few seconds whether we are there.
const SILENCE: Duration = Duration::from_mins(2);
/// The largest of what Slack sends.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Something that Slack sends. What it needs to know that it arrived is sent back with its id.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "envelope_id")]
    id: Option<String>,
    #[serde(default)]
    payload: Value,
}

/// Keeps a connection to Slack, where there is to be one. Runs for ever.
pub async fn run(app: App, slack: Arc<Slack>) {
    let Some(app_token) = slack.app_token.clone() else { return };
    let mut rest = REST_MIN;
    loop {
        match follow(&app, &slack, &app_token).await {
            // It was there: Slack ends each after a while, and wants another at once.
            Ok(()) => rest = REST_MIN,
            Err(why) => {
                tracing::warn!(why, "the socket to Slack is not there; it is tried again");
                tokio::time::sleep(rest).await;
                rest = (rest * 2).min(REST_MAX);
            }
        }
    }
}

/// One connection, to its end.
async fn follow(app: &App, slack: &Arc<Slack>, app_token: &Secret) -> Result<(), String> {
    let url = slack.api.open_socket(app_token).await.map_err(|trouble| trouble.why)?;
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX));
    let connecting = tokio_tungstenite::connect_async_with_config(url.expose(), Some(config), true);
    let connected = tokio::time::timeout(CONNECT, connecting).await;
    // The error would say the address.
    let connected = connected.map_err(|_| "it cannot be reached in time")?;
    let (mut socket, _) = connected.map_err(|_| "it cannot be reached".to_owned())?;
    loop {
        let Ok(next) = tokio::time::timeout(SILENCE, socket.next()).await else { return Ok(()) };
        let text = match next {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
            Some(Ok(_)) => continue,
        };
        let Ok(envelope) = serde_json::from_str::<Envelope>(&text) else { continue };
        if envelope.kind == "disconnect" {
            return Ok(());
        }
        let Some(id) = envelope.id else { continue };
        let answer = match envelope.kind.as_str() {
            "interactive" => act::interaction(app, slack, &envelope.payload).await.unwrap_or_default(),
            "slash_commands" => match serde_json::from_value(envelope.payload) {
                Ok(command) => act::command(app, slack, command).await,
                Err(_) => Value::Null,
            },
            _ => Value::Null,
        };
        let mut arrived = json!({ "envelope_id": id });
        if !answer.is_null() {
            arrived["payload"] = answer;
        }
        if socket.send(Message::text(arrived.to_string())).await.is_err() {
            return Ok(());
        }
    }
}
