//! The methods that post and change messages.

use serde_json::{Map, Value, json};

use super::arguments::{Arguments, Refusal};
use super::workspace::{Ephemeral, Version, Workspace};
use super::{BOT_USER, blocks, shapes};

const POSTED_CHARACTERS_MAX: usize = 40_000;
/// A change may say less than a new message.
const CHANGED_CHARACTERS_MAX: usize = 4_000;
const METADATA_BYTES_MAX: usize = 16 * 1024;

/// What a message is given to say.
pub(super) struct Said {
    text: Option<String>,
    blocks: Option<Value>,
}

impl Said {
    pub fn take(arguments: &mut Arguments) -> Self {
        Self { text: arguments.text("text"), blocks: arguments.json("blocks") }
    }

    /// Demands that it says something, and well.
    pub fn checked(self, characters_max: usize) -> Result<(String, Vec<Value>), Refusal> {
        let given = self.blocks.unwrap_or_else(|| json!([]));
        let faults = blocks::message(&given);
        if !faults.is_empty() {
            return Err(Refusal::with("invalid_blocks", faults));
        }
        let text = self.text.unwrap_or_default();
        let blocks = given.as_array().cloned().unwrap_or_default();
        if text.is_empty() && blocks.is_empty() {
            return Err(Refusal::of("no_text"));
        }
        if text.chars().count() > characters_max {
            return Err(Refusal::of("msg_too_long"));
        }
        Ok((text, blocks))
    }
}

pub(super) fn post(workspace: &mut Workspace, arguments: &mut Arguments) -> Result<Value, Refusal> {
    let channel = arguments.required("channel");
    let said = Said::take(arguments);
    let metadata = arguments.json("metadata");
    let thread_ts = arguments.text("thread_ts");
    for flag in ["unfurl_links", "unfurl_media", "mrkdwn"] {
        arguments.flag(flag);
    }
    arguments.finish()?;
    workspace.bot_in(&channel)?;
    let (text, blocks) = said.checked(POSTED_CHARACTERS_MAX)?;
    let metadata = checked_metadata(metadata)?;
    // A reply to a reply would be shown as one to its parent, if at all.
    if let Some(parent) = &thread_ts {
        let found = workspace.message(&channel, parent);
        found
            .filter(|parent| parent.thread_ts.is_none())
            .ok_or_else(|| Refusal::of("cannot_reply_to_message"))?;
    }
    let message = workspace.post(&channel, thread_ts, BOT_USER, Version { text, blocks, metadata });
    Ok(json!({ "channel": channel, "ts": message.ts, "message": shapes::message(&message, true) }))
}

pub(super) fn update(workspace: &mut Workspace, arguments: &mut Arguments) -> Result<Value, Refusal> {
    let channel = arguments.required("channel");
    let ts = arguments.required("ts");
    let said = Said::take(arguments);
    let metadata = arguments.json("metadata");
    arguments.finish()?;
    workspace.bot_in(&channel)?;
    let message = workspace.message(&channel, &ts).ok_or_else(|| Refusal::of("message_not_found"))?;
    if message.author != BOT_USER {
        return Err(Refusal::of("cant_update_message"));
    }
    // Blocks stay only where nothing at all is said; a text alone takes them away.
    let (text, blocks) = said.checked(CHANGED_CHARACTERS_MAX)?;
    // Metadata stay where there are none.
    let metadata = checked_metadata(metadata)?.or_else(|| message.metadata.clone());
    message.change(Version { text, blocks, metadata });
    let shown = shapes::message(message, true);
    Ok(json!({ "channel": channel, "ts": ts, "text": shown["text"], "message": shown }))
}

pub(super) fn post_ephemeral(workspace: &mut Workspace, arguments: &mut Arguments) -> Result<Value, Refusal> {
    let channel = arguments.required("channel");
    let user = arguments.required("user");
    let said = Said::take(arguments);
    let thread_ts = arguments.text("thread_ts");
    arguments.finish()?;
    workspace.bot_in(&channel)?;
    if !workspace.has_member(&channel, &user) {
        return Err(Refusal::of("user_not_in_channel"));
    }
    let (text, blocks) = said.checked(POSTED_CHARACTERS_MAX)?;
    let ts = workspace.ts();
    let response_type = "ephemeral".to_owned();
    let replace_original = false;
    let shown =
        Ephemeral { channel, user, ts: ts.clone(), thread_ts, text, blocks, response_type, replace_original };
    workspace.ephemerals.push(shown);
    Ok(json!({ "message_ts": ts }))
}

/// Metadata are a word and one flat object; its values may hold one more each.
fn checked_metadata(metadata: Option<Value>) -> Result<Option<Value>, Refusal> {
    let Some(metadata) = metadata else { return Ok(None) };
    let wrong = || Refusal::of("invalid_metadata_format");
    let object = metadata.as_object().ok_or_else(wrong)?;
    let kind = object.get("event_type").and_then(Value::as_str).ok_or_else(wrong)?;
    let payload = object.get("event_payload").and_then(Value::as_object).ok_or_else(wrong)?;
    let letters = kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if object.len() != 2 || kind.is_empty() || !letters {
        return Err(wrong());
    }
    let plain = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    let flat = |value: &Value| value.as_object().is_some_and(|inner: &Map<_, _>| inner.values().all(plain));
    let list = |value: &Value| value.as_array().is_some_and(|inner| inner.iter().all(flat));
    if !payload.values().all(|value| plain(value) || flat(value) || list(value)) {
        return Err(Refusal::of("invalid_metadata_schema"));
    }
    if metadata.to_string().len() > METADATA_BYTES_MAX {
        return Err(Refusal::of("metadata_too_large"));
    }
    Ok(Some(metadata))
}
