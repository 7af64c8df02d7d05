//! What people do, and how Slack tells the app over HTTP: signed, and answered in three seconds.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::answers::Answered;
use super::payloads::Where;
use super::workspace::{Ephemeral, Message, View};
use super::{SIGNING_SECRET, Slack, form, shapes};

/// How long an app may take.
pub(super) const ANSWER: Duration = Duration::from_secs(3);

/// Something that somebody did, on its way to the app.
#[derive(Debug, Clone)]
pub struct Interaction {
    /// Where it goes over HTTP.
    pub path: &'static str,
    /// What it is called on a socket.
    pub kind: &'static str,
    pub payload: Value,
}

impl Interaction {
    pub(super) fn payload(payload: Value) -> Self {
        Self { path: "/slack/interactions", kind: "interactive", payload }
    }

    pub(super) fn command(payload: Value) -> Self {
        Self { path: "/slack/commands", kind: "slash_commands", payload }
    }

    /// As it is sent over HTTP.
    pub fn body(&self) -> String {
        let Some(fields) = self.payload.as_object().filter(|_| self.kind == "slash_commands") else {
            return form(&[("payload", &self.payload.to_string())]);
        };
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        form(&fields)
    }
}

impl Slack {
    /// Somebody clicks a button of a message as they have it before them, which may be what it
    /// was a while ago.
    pub async fn click(&self, gateway: &str, user: &str, message: &Message, action_id: &str) -> Answered {
        self.send(gateway, &self.clicking(user, message, action_id)).await
    }

    /// Somebody submits a modal with these values, by `action_id`.
    pub async fn submit(&self, gateway: &str, user: &str, view: &View, values: &[(&str, &str)]) -> Answered {
        self.send(gateway, &self.submitting(user, view, values)).await
    }

    /// Somebody types `/quorate` and `text`.
    pub async fn command(&self, gateway: &str, user: &str, channel: &str, text: &str) -> Answered {
        self.send(gateway, &self.commanding(user, channel, text)).await
    }

    /// What a click makes, without sending it.
    pub fn clicking(&self, user: &str, message: &Message, action_id: &str) -> Interaction {
        let blocks = shapes::with_ids(&message.blocks, &format!("{}/{}", message.ts, message.edits()));
        let mut workspace = self.locked();
        workspace.join(&message.channel, user);
        workspace.clicking(user, &Where::Message(message), &blocks, action_id)
    }

    /// The same for what only they see.
    pub fn clicking_ephemeral(&self, shown: &Ephemeral, action_id: &str) -> Interaction {
        let blocks = shapes::with_ids(&shown.blocks, &shown.ts);
        let place = Where::Ephemeral(&shown.channel, &shown.ts);
        self.locked().clicking(&shown.user, &place, &blocks, action_id)
    }

    /// What a submission makes. It is what Slack's own program lets people submit.
    pub fn submitting(&self, user: &str, view: &View, values: &[(&str, &str)]) -> Interaction {
        let state = state(view, values);
        self.locked().submitting(user, view, &state)
    }

    /// What a command makes.
    pub fn commanding(&self, user: &str, channel: &str, text: &str) -> Interaction {
        let mut workspace = self.locked();
        if channel.starts_with('D') {
            workspace.open_direct(user);
        }
        assert!(workspace.knows(channel), "there is no {channel}");
        workspace.join(channel, user);
        workspace.commanding(user, channel, text)
    }

    /// Sends it, signed now, and demands an answer in three seconds; what it says is shown.
    pub async fn send(&self, gateway: &str, interaction: &Interaction) -> Answered {
        let at = self.locked().clock.now().as_second();
        let request = self.signed(gateway, interaction.path, interaction.body(), at);
        let sent = tokio::time::timeout(ANSWER, async {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
            Answered { status, kind: kind.unwrap_or_default(), body: response.text().await.unwrap() }
        });
        let answered =
            sent.await.unwrap_or_else(|_| panic!("no answer within {ANSWER:?} to {interaction:?}"));
        if answered.status == 200 {
            self.change(|workspace| workspace.answered(interaction, &answered));
        }
        answered
    }

    /// A request with this body that says that it was sent then, in seconds, and is signed so:
    /// what comes of it is for whoever sends it.
    pub fn signed(&self, gateway: &str, path: &str, body: String, at: i64) -> reqwest::RequestBuilder {
        let request = self.http.post(format!("{gateway}{path}"));
        let request = request.header("X-Slack-Request-Timestamp", at.to_string());
        let request = request.header("X-Slack-Signature", signature(at, &body));
        let request = request.header("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)");
        request.header("Content-Type", "application/x-www-form-urlencoded").body(body)
    }
}

/// What Slack says to prove that a body is its own.
pub fn signature(at: i64, body: &str) -> String {
    use std::fmt::Write as _;
    let mut mac = Hmac::<Sha256>::new_from_slice(SIGNING_SECRET.as_bytes()).unwrap();
    mac.update(format!("v0:{at}:{body}").as_bytes());
    let mut text = "v0=".to_owned();
    for byte in mac.finalize().into_bytes() {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// The state of a modal's inputs with these values, by block and action.
fn state(view: &View, values: &[(&str, &str)]) -> Value {
    let blocks = shapes::with_ids(view.given["blocks"].as_array().unwrap(), &view.hash);
    let mut state = Map::new();
    let mut written: Vec<&str> = Vec::new();
    for block in blocks.iter().filter(|block| block["type"] == "input") {
        let action_id = block["element"]["action_id"].as_str().unwrap();
        let value = values.iter().find(|(name, _)| *name == action_id).map(|(_, value)| *value);
        written.extend(value.map(|_| action_id));
        let optional = block["optional"].as_bool().unwrap_or_default();
        let filled = input(&block["element"], value.filter(|value| !value.is_empty()), optional);
        state.insert(block["block_id"].as_str().unwrap().to_owned(), json!({ action_id: filled }));
    }
    for (name, _) in values {
        assert!(written.contains(name), "no input `{name}` in {:#}", view.given);
    }
    Value::Object(state)
}

/// What an input holds once somebody filled it in.
fn input(element: &Value, value: Option<&str>, optional: bool) -> Value {
    let kind = element["type"].as_str().unwrap();
    let options = || element["options"].as_array().unwrap().iter();
    match kind {
        "plain_text_input" => {
            let value = value.or(element["initial_value"].as_str());
            assert!(optional || value.is_some(), "Slack would not submit without a value for {element:#}");
            let count = value.unwrap_or_default().chars().count() as u64;
            let longest = element["max_length"].as_u64().unwrap_or(3000);
            assert!(
                count <= longest,
                "Slack would not let anybody write {count} characters into {element:#}"
            );
            json!({ "type": kind, "value": value })
        }
        "checkboxes" => {
            let chosen: Vec<&str> = value.map(|value| value.split(',').collect()).unwrap_or_default();
            let chosen: Vec<&Value> =
                options().filter(|option| chosen.contains(&option["value"].as_str().unwrap())).collect();
            json!({ "type": kind, "selected_options": chosen })
        }
        _ => {
            let chosen = value.map(|value| options().find(|option| option["value"] == value).unwrap());
            let chosen = chosen.or_else(|| element.get("initial_option"));
            assert!(optional || chosen.is_some(), "Slack would not submit without a choice for {element:#}");
            json!({ "type": kind, "selected_option": chosen })
        }
    }
}
