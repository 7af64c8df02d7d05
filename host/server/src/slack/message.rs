//! What a message about a request shows: all of it text that can only show itself, so that no
//! name, reason or command turns into a link, a mention or markup.
//!
//! Not here: where it is posted, and when it is brought up to date (`notify`).

use quorate_core::Timestamp;
use quorate_core::text::steers;
use serde_json::{Value, json};

use super::api::Content;
use crate::lifecycle::{RequestView, VoteView, WaitingView};

/// The button that votes for it.
pub(super) const APPROVE: &str = "approve";
/// The button that leads to the form in which somebody votes against it.
pub(super) const REJECT: &str = "reject";
/// The link to the page.
const OPEN: &str = "open";

/// The longest of what Slack takes as a title, in characters.
const TITLE_CHARS_MAX: usize = 140;
/// How much of a reason or a comment is shown, in characters.
const WORDS_CHARS_MAX: usize = 600;
/// How much of a command is shown, in characters.
const COMMAND_CHARS_MAX: usize = 2400;
/// How many votes are shown, the newest.
const VOTES_MAX: usize = 20;
/// How many policies are shown that it waits for.
const WAITING_MAX: usize = 5;

/// A request as it is now. `page_only`: votes on it are cast on its page.
pub fn content(request: &RequestView, page_only: bool) -> Content {
    let title = title(request);
    let mut body = vec![labelled("State", &state(request))];
    body.push(labelled("Access", &access(request)));
    if !request.reason.trim().is_empty() {
        body.push(labelled("Reason", &cut(&request.reason, WORDS_CHARS_MAX)));
    }
    let (command, is_whole) = command(request);
    if let Some(command) = command {
        body.push(labelled("Command", if is_whole { "" } else { "(cut: the page shows all of it)" }));
        body.push(preformatted(&command));
    }
    body.extend(missing(request).map(|line| labelled("Needs", &line)));
    let votes = request.votes.iter().rev().take(VOTES_MAX).rev().map(|vote| labelled("Vote", &voted(vote)));
    body.extend(votes);
    let mut buttons = Vec::new();
    if request.state == "PENDING" && !page_only {
        // Nobody approves what they cannot see.
        if is_whole {
            buttons.push(button(APPROVE, "Approve", "primary", request));
        }
        buttons.push(button(REJECT, "Reject", "danger", request));
    }
    let open = if buttons.len() < 2 && request.state == "PENDING" { "Open to decide" } else { "Open" };
    buttons.push(link(open, request));
    Content {
        text: fallback(&format!("{title}: {}", state(request))),
        blocks: json!([
            { "type": "header", "text": { "type": "plain_text", "text": title, "emoji": false } },
            { "type": "rich_text", "elements": body },
            { "type": "actions", "block_id": "decide", "elements": buttons },
        ]),
    }
}

/// What people are to be told about a request besides, as a policy says.
pub fn reminder(request: &RequestView, message: &str) -> Content {
    let about = format!("{}, {}", title(request), request.state);
    Content {
        text: fallback(&format!("{message} ({about})")),
        blocks: json!([
            {
                "type": "rich_text",
                "elements": [
                    labelled("Reminder", &cut(message, WORDS_CHARS_MAX)),
                    labelled("About", &about),
                ],
            },
            { "type": "actions", "block_id": "decide", "elements": [link("Open", request)] },
        ]),
    }
}

/// A message about nothing, to see whether it arrives.
pub fn test() -> Content {
    let text = "Quorate reaches this conversation: requests for access will be told of here.";
    Content {
        text: text.to_owned(),
        blocks: json!([{ "type": "section", "text": { "type": "plain_text", "text": text } }]),
    }
}

/// The form in which somebody says why they vote against it. What it carries comes back with it.
pub(super) fn reject_form(request: &RequestView, carries: &str) -> Value {
    json!({
        "type": "modal",
        "callback_id": REJECT,
        "private_metadata": carries,
        "title": { "type": "plain_text", "text": "Reject a request" },
        "submit": { "type": "plain_text", "text": "Reject" },
        "close": { "type": "plain_text", "text": "Back" },
        "blocks": [
            { "type": "section", "text": { "type": "plain_text", "text": title(request), "emoji": false } },
            {
                "type": "input",
                "block_id": "comment",
                "optional": true,
                "label": { "type": "plain_text", "text": "Why; the requester reads it" },
                "element": {
                    "type": "plain_text_input", "action_id": "comment", "multiline": true, "max_length": 1000,
                },
            },
        ],
    })
}

/// `text` where only `&`, `<` and `>` have a meaning: so that it has none.
pub(super) fn fallback(text: &str) -> String {
    cut(text, WORDS_CHARS_MAX).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn title(request: &RequestView) -> String {
    cut(&format!("{} asks for {}", request.requester, request.resource), TITLE_CHARS_MAX)
}

fn access(request: &RequestView) -> String {
    let asked = match &request.duration {
        Some(duration) => duration.clone(),
        None => "one run of one command".to_owned(),
    };
    match &request.allowed {
        Some(allowed) => format!("{asked} ({} at most, set by {})", allowed.duration, allowed.set_by),
        None => asked,
    }
}

/// Where it stands, in words. What it waits for is said elsewhere.
fn state(request: &RequestView) -> String {
    let words = match request.state.as_str() {
        "PENDING" if !request.faults.is_empty() || request.nobody_can_approve => {
            format!("PENDING, {}", request.summary)
        }
        "PENDING" => format!("PENDING, until {}", minute(&request.closes_at)),
        "APPROVED" => match &request.granted {
            Some(_) => request.summary.clone(),
            None => "APPROVED".to_owned(),
        },
        _ => request.summary.clone(),
    };
    cut(&words, WORDS_CHARS_MAX)
}

/// The command as it will run, and whether that is all of it.
fn command(request: &RequestView) -> (Option<String>, bool) {
    let Some(command) = &request.command else { return (None, true) };
    let mut text = command.arguments.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(" ");
    if !text.is_empty() && !command.text.is_empty() {
        text.push('\n');
    }
    text.push_str(&command.text);
    let shown = cut(&text, COMMAND_CHARS_MAX);
    let is_whole = text.chars().count() <= COMMAND_CHARS_MAX && !text.chars().any(hides);
    (Some(shown), is_whole)
}

/// Whether it is shown as something else.
fn hides(c: char) -> bool {
    steers(c) && !matches!(c, '\n' | '\t')
}

/// What each policy waits for.
fn missing(request: &RequestView) -> impl Iterator<Item = String> {
    let each = request.waiting.iter().map(WaitingView::words).filter(|words| !words.is_empty());
    each.take(WAITING_MAX).map(|words| cut(&words, WORDS_CHARS_MAX))
}

fn voted(vote: &VoteView) -> String {
    let did = format!("{} {}", vote.voter, vote.did());
    let comment = cut(&vote.comment, WORDS_CHARS_MAX);
    if comment.is_empty() { did } else { format!("{did}: {comment}") }
}

/// `text`, at most so many characters of it, with nothing in it that is not seen.
fn cut(text: &str, chars_max: usize) -> String {
    let mut chars = text.trim().chars().map(|c| if hides(c) { '\u{fffd}' } else { c });
    let mut shown: String = chars.by_ref().take(chars_max).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

fn minute(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn labelled(label: &str, text: &str) -> Value {
    let mut elements =
        vec![json!({ "type": "text", "text": format!("{label}: "), "style": { "bold": true } })];
    if !text.is_empty() {
        elements.push(json!({ "type": "text", "text": text }));
    }
    json!({ "type": "rich_text_section", "elements": elements })
}

fn preformatted(text: &str) -> Value {
    let text = if text.is_empty() { " " } else { text };
    json!({ "type": "rich_text_preformatted", "elements": [{ "type": "text", "text": text }] })
}

fn button(action: &str, label: &str, style: &str, request: &RequestView) -> Value {
    json!({
        "type": "button",
        "action_id": action,
        "style": style,
        "text": { "type": "plain_text", "text": label },
        "value": format!("{} {}", request.id, request.digest),
    })
}

fn link(label: &str, request: &RequestView) -> Value {
    json!({
        "type": "button",
        "action_id": OPEN,
        "text": { "type": "plain_text", "text": label },
        "url": format!("{}?digest={}", request.url, request.digest),
    })
}
