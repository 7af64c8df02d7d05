//! Cards about a request that says everything that it should not.

use quorate_core::channel::EventType;

use super::*;
use crate::notify::sample::{NASTY, news};

/// Where texts stand in a card: in an element of that type.
fn texts<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => {
            if let (Some(kind), Some(text)) = (fields["type"].as_str(), value["text"].as_str()) {
                found.push((kind, text));
            }
            fields.values().for_each(|field| texts(field, found));
        }
        _ => {}
    }
}

#[test]
fn a_card_is_what_the_workflow_takes_and_says_what_happened() {
    let card = card(&news(EventType::RequestSubmitted, "PENDING", "invoice 4711"));
    assert_eq!((&card["type"], &card["attachments"][0]["contentUrl"]), (&json!("message"), &Value::Null));
    let content = &card["attachments"][0]["content"];
    assert_eq!((&content["type"], &content["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
    let action = &content["actions"][0];
    assert_eq!(action["type"], "Action.OpenUrl");
    assert!(action["url"].as_str().unwrap().starts_with("https://quorate.example.org/requests/"));
    assert_eq!(content["body"][1]["style"], "warning");
    let said = content.to_string();
    for part in ["ann asks to run a command on prod-postgres", "invoice 4711", "1 of security (sam, sue)"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let command = content["body"].as_array().unwrap().iter().find(|one| one["style"] == "emphasis").unwrap();
    let run = &command["items"][0]["inlines"][0];
    assert_eq!(run["fontType"], "Monospace");
    assert_eq!(run["text"], "argument: --quiet\nSELECT 1;\ninvoice 4711");
}

#[test]
fn what_people_write_is_never_where_markdown_is_read() {
    let card = card(&news(EventType::VoteCast, "PENDING", NASTY));
    let mut found = Vec::new();
    texts(&card["attachments"][0]["content"]["body"], &mut found);
    assert!(found.len() > 8, "{found:?}");
    assert!(found.iter().all(|(kind, _)| *kind == "TextRun"), "{found:?}");
    assert!(card["attachments"][0]["content"]["msteams"].get("entities").is_none());
}

#[test]
fn a_card_is_small_enough_whatever_is_in_it() {
    for reason in
        ["x".repeat(60_000), "ü".repeat(60_000), "\u{202e}".repeat(60_000), "\u{1f600}\"\n".repeat(20_000)]
    {
        let mut news = news(EventType::RequestSubmitted, "PENDING", &reason);
        news.view.votes = vec![news.view.votes[0].clone(); 200];
        let waiting = news.view.waiting[0].clone();
        news.view.waiting = vec![waiting; 200];
        let card = card(&news);
        assert!(size(&card) <= CARD_BYTES_MAX, "{}", size(&card));
        assert!(card.to_string().contains("cut: the page shows all of it"));
    }
}

#[test]
fn every_event_in_every_state_has_a_card() {
    for event in EventType::ALL {
        for state in ["PENDING", "APPROVED", "REJECTED", "REVOKED", "TIMED_OUT"] {
            assert!(card(&news(*event, state, "x"))["attachments"][0]["content"]["body"][0].is_object());
        }
    }
}
