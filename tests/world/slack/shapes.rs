//! How messages and modals look in answers and payloads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::workspace::{Message, View};
use super::{APP, BOT, BOT_USER, TEAM};

pub(super) fn message(message: &Message, metadata: bool) -> Value {
    let mut shown = json!({
        "type": "message",
        "user": message.author,
        "text": message.text,
        "team": TEAM,
        "ts": message.ts,
    });
    if message.author == BOT_USER {
        shown["bot_id"] = json!(BOT);
        shown["app_id"] = json!(APP);
        shown["bot_profile"] =
            json!({ "id": BOT, "app_id": APP, "name": "quorate", "deleted": false, "team_id": TEAM });
    }
    if !message.blocks.is_empty() {
        let seed = format!("{}/{}", message.ts, message.edits());
        shown["blocks"] = json!(with_ids(&message.blocks, &seed));
    } else if message.edits() > 0 {
        // What blocks say is not marked as changed.
        shown["edited"] = json!({ "user": BOT, "ts": message.ts });
    }
    if let Some(thread_ts) = &message.thread_ts {
        shown["thread_ts"] = json!(thread_ts);
        shown["parent_user_id"] = json!(BOT_USER);
    }
    if let Some(given) = message.metadata.as_ref().filter(|_| metadata) {
        shown["metadata"] = given.clone();
    }
    shown
}

pub(super) fn view(view: &View, values: &Value) -> Value {
    let given = &view.given;
    let mut shown = json!({
        "id": view.id,
        "team_id": TEAM,
        "type": "modal",
        "blocks": with_ids(given["blocks"].as_array().unwrap(), &view.hash),
        "private_metadata": "",
        "callback_id": "",
        "external_id": "",
        "state": { "values": values },
        "hash": view.hash,
        "title": given["title"],
        "close": null,
        "submit": null,
        "clear_on_close": false,
        "notify_on_close": false,
        "previous_view_id": null,
        "root_view_id": view.id,
        "app_id": APP,
        "app_installed_team_id": TEAM,
        "bot_id": BOT,
    });
    for field in [
        "private_metadata",
        "callback_id",
        "external_id",
        "close",
        "submit",
        "clear_on_close",
        "notify_on_close",
    ] {
        if let Some(value) = given.get(field) {
            shown[field] = value.clone();
        }
    }
    shown
}

/// Blocks with an id each: where the app gave none, Slack does. Another version has others.
pub(super) fn with_ids(blocks: &[Value], seed: &str) -> Vec<Value> {
    let id = |at: &str| STANDARD.encode(Sha256::digest(format!("{seed}/{at}")))[..5].to_owned();
    let mut blocks = blocks.to_vec();
    for (at, block) in blocks.iter_mut().enumerate() {
        if block.get("block_id").is_none() {
            block["block_id"] = json!(id(&at.to_string()));
        }
        for (place, element) in interactive(block).enumerate() {
            if element.get("action_id").is_none() {
                element["action_id"] = json!(id(&format!("{at}/{place}")));
            }
        }
    }
    blocks
}

/// What can be clicked, chosen or written in a block.
fn interactive(block: &mut Value) -> impl Iterator<Item = &mut Value> {
    let object = block.as_object_mut().unwrap();
    let actions = object["type"] == "actions";
    let found = object.iter_mut().filter_map(move |(name, value)| match name.as_str() {
        "elements" if actions => Some(value.as_array_mut()?.iter_mut().collect::<Vec<_>>()),
        "accessory" | "element" => Some(vec![value]),
        _ => None,
    });
    found.flatten()
}
