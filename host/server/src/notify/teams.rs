//! Cards in Microsoft Teams, as the workflow *Post to a channel when a webhook request is received*
//! takes them: an [Adaptive Card], posted to an address that is a secret.
//!
//! Texts of people are in `TextRun`s: in other elements Teams reads Markdown, which would make links
//! of them.
//!
//! [Adaptive Card]: https://adaptivecards.io/explorer/

use quorate_core::Timestamp;
use quorate_core::ids::ChannelName;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::told::{Limits, Told};
use super::{News, Notifier, Undelivered};
use crate::lifecycle::Error;

/// The largest card, in bytes, also as UTF-16: Teams takes 28 KB, and counts what it adds.
const CARD_BYTES_MAX: usize = 24 << 10;
/// What is tried, one after the other, until a card is small enough.
const LIMITS: [Limits; 3] = [
    Limits { reason_chars: 1000, command_chars: 4000, lines: 20 },
    Limits { reason_chars: 200, command_chars: 1000, lines: 10 },
    Limits { reason_chars: 60, command_chars: 200, lines: 5 },
];

/// Tells the channel.
pub(super) async fn tell(
    notifier: &Notifier,
    channel: &ChannelName,
    news: &News,
) -> Result<Result<(), Undelivered>, Error> {
    post(notifier, channel, &card(news)).await
}

/// Sends a card about nothing.
pub(super) async fn test(
    notifier: &Notifier,
    channel: &ChannelName,
) -> Result<Result<(), Undelivered>, Error> {
    let text = format!("This is a test: messages of channel {channel} arrive here.");
    post(notifier, channel, &message(&[block(&[run(&text)])], None)).await
}

async fn post(
    notifier: &Notifier,
    channel: &ChannelName,
    card: &Value,
) -> Result<Result<(), Undelivered>, Error> {
    let now: Timestamp = notifier.clock.now();
    let address = notifier.lifecycle.channel_address(channel)?;
    Ok(notifier.post.send(&address, HeaderMap::new(), card.to_string(), now).await)
}

/// The largest card that Teams takes.
fn card(news: &News) -> Value {
    let mut cards = LIMITS.iter().map(|limits| card_of(&Told::of(news, limits)));
    let mut card = cards.next().unwrap_or_default();
    while size(&card) > CARD_BYTES_MAX
        && let Some(smaller) = cards.next()
    {
        card = smaller;
    }
    card
}

fn size(card: &Value) -> usize {
    let text = card.to_string();
    text.len().max(2 * text.encode_utf16().count())
}

fn card_of(told: &Told) -> Value {
    let mut body = vec![
        block(&[large(&told.headline)]),
        json!({ "type": "Container", "style": style(&told.state), "items": [
            block(&[bold(&told.state), run(&format!(": {}", told.stands))]),
        ] }),
    ];
    body.extend(told.facts.iter().map(|(name, value)| fact(name, value)));
    if !told.command.is_empty() {
        body.push(fact("What will run, exactly", ""));
        body.push(json!({ "type": "Container", "style": "emphasis", "items": [
            block(&[json!({ "type": "TextRun", "text": told.command, "fontType": "Monospace" })]),
        ] }));
    }
    body.extend(told.needs.iter().map(|line| fact("Still needed", line)));
    body.extend(told.votes.iter().map(|line| fact("Vote", line)));
    body.push(block(&[run(&format!("{}.", told.ends))]));
    message(&body, Some(&told.url))
}

/// The colour of a state.
fn style(state: &str) -> &'static str {
    match state {
        "pending" => "warning",
        "approved" | "executed" => "good",
        "rejected" | "revoked" => "attention",
        _ => "emphasis",
    }
}

fn fact(name: &str, value: &str) -> Value {
    block(&[bold(&format!("{name}: ")), run(if value.is_empty() { " " } else { value })])
}

fn block(inlines: &[Value]) -> Value {
    json!({ "type": "RichTextBlock", "inlines": inlines, "spacing": "Small" })
}

fn run(text: &str) -> Value {
    json!({ "type": "TextRun", "text": text })
}

fn bold(text: &str) -> Value {
    json!({ "type": "TextRun", "text": text, "weight": "Bolder" })
}

fn large(text: &str) -> Value {
    json!({ "type": "TextRun", "text": text, "weight": "Bolder", "size": "Large" })
}

fn message(body: &[Value], url: Option<&str>) -> Value {
    let open = |url: &str| json!({ "type": "Action.OpenUrl", "title": "Open the request", "url": url });
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": body,
                "actions": url.map(open).into_iter().collect::<Vec<_>>(),
            },
        }],
    })
}

#[cfg(test)]
mod tests;
