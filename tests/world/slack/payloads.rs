//! What Slack sends to an app when somebody clicks, submits, or types a command.

use serde_json::{Value, json};

use super::people::Interaction;
use super::shapes;
use super::workspace::{Later, Message, Trigger, View, Workspace};
use super::{APP, TEAM};

/// The token that was used before there were signatures. It proves nothing.
const VERIFICATION_TOKEN: &str = "XXYYZZ";
const DOMAIN: &str = "quorate";

/// Where somebody clicked.
pub(super) enum Where<'a> {
    Message(&'a Message),
    /// What only they see: its channel and its time.
    Ephemeral(&'a str, &'a str),
}

impl Workspace {
    /// The payload of a click on the button with `action_id` in `blocks`.
    pub fn clicking(&mut self, user: &str, place: &Where, blocks: &[Value], action_id: &str) -> Interaction {
        let (channel, ts) = match place {
            Where::Message(message) => (message.channel.as_str(), message.ts.as_str()),
            Where::Ephemeral(channel, ts) => (*channel, *ts),
        };
        let (block_id, button) = button(blocks, action_id);
        let mut action = json!({
            "type": "button",
            "action_id": action_id,
            "block_id": block_id,
            "text": button["text"],
            "action_ts": self.ts(),
        });
        action["text"]["emoji"] = json!(true);
        for field in ["value", "style", "url"] {
            if let Some(value) = button.get(field) {
                action[field] = value.clone();
            }
        }
        let mut container = json!({ "type": "message", "message_ts": ts, "channel_id": channel });
        container["is_ephemeral"] = json!(matches!(place, Where::Ephemeral(..)));
        let clicked = matches!(place, Where::Message(_)).then(|| ts.to_owned());
        let mut payload = json!({
            "type": "block_actions",
            "user": { "id": user, "username": name(user), "name": name(user), "team_id": TEAM },
            "api_app_id": APP,
            "token": VERIFICATION_TOKEN,
            "container": container,
            "trigger_id": self.trigger(user),
            "team": { "id": TEAM, "domain": DOMAIN },
            "enterprise": null,
            "is_enterprise_install": false,
            "channel": { "id": channel, "name": channel_name(channel) },
            "state": { "values": {} },
            "response_url": self.response_url(channel, user, clicked),
            "actions": [action],
        });
        if let Where::Message(message) = place {
            payload["message"] = shapes::message(message, false);
            if let Some(thread_ts) = &message.thread_ts {
                payload["container"]["thread_ts"] = json!(thread_ts);
            }
        }
        Interaction::payload(payload)
    }

    pub fn submitting(&mut self, user: &str, view: &View, values: &Value) -> Interaction {
        Interaction::payload(json!({
            "type": "view_submission",
            "team": { "id": TEAM, "domain": DOMAIN },
            "user": { "id": user, "username": name(user), "name": name(user), "team_id": TEAM },
            "api_app_id": APP,
            "token": VERIFICATION_TOKEN,
            "trigger_id": self.trigger(user),
            "view": shapes::view(view, values),
            "response_urls": [],
            "is_enterprise_install": false,
            "enterprise": null,
        }))
    }

    pub fn commanding(&mut self, user: &str, channel: &str, text: &str) -> Interaction {
        Interaction::command(json!({
            "token": VERIFICATION_TOKEN,
            "team_id": TEAM,
            "team_domain": DOMAIN,
            "channel_id": channel,
            "channel_name": channel_name(channel),
            "user_id": user,
            "user_name": name(user),
            "command": "/quorate",
            "text": text,
            "api_app_id": APP,
            "is_enterprise_install": "false",
            "response_url": self.response_url(channel, user, None),
            "trigger_id": self.trigger(user),
        }))
    }

    fn trigger(&mut self, user: &str) -> String {
        let id = format!("{}.{}.{:020x}", self.next() + 13_345_224_600, 738_474_920, self.next());
        let made = self.clock.now();
        self.triggers.insert(id.clone(), Trigger { user: user.to_owned(), made, used: false });
        id
    }

    fn response_url(&mut self, channel: &str, user: &str, clicked: Option<String>) -> String {
        let id = format!("r{}", self.next());
        let made = self.clock.now();
        let later = Later { channel: channel.to_owned(), user: user.to_owned(), clicked, made, uses: 0 };
        self.later.insert(id.clone(), later);
        format!("{}/response/{id}", self.address)
    }
}

/// A button, and the block that it is in.
fn button(blocks: &[Value], action_id: &str) -> (String, Value) {
    let found = blocks.iter().find_map(|block| {
        let elements = block["elements"].as_array().into_iter().flatten().chain([&block["accessory"]]);
        let button = elements.into_iter().find(|element| element["action_id"] == action_id)?;
        Some((block["block_id"].as_str()?.to_owned(), button.clone()))
    });
    let (block_id, button) = found.unwrap_or_else(|| panic!("no `{action_id}` to click in {blocks:#?}"));
    assert_eq!(button["type"], "button", "only buttons can be clicked");
    (block_id, button)
}

/// What somebody is called: U0ANN is ann.
fn name(user: &str) -> String {
    user.trim_start_matches(['U', 'W']).trim_start_matches('0').to_lowercase()
}

fn channel_name(channel: &str) -> String {
    if channel.starts_with('D') {
        "directmessage".to_owned()
    } else {
        channel[1..].trim_start_matches('0').to_lowercase()
    }
}
