//! Messages about a request that says everything that it should not.

use quorate_core::channel::EventType;

use super::*;
use crate::notify::sample::{NASTY, news};

const STATES: [&str; 8] =
    ["PENDING", "APPROVED", "REJECTED", "CANCELLED", "TIMED_OUT", "REVOKED", "EXPIRED", "EXECUTED"];

fn letter(news: &News) -> Letter {
    Letter::about(news, &"post".parse().unwrap(), Digest::of(b"one")).unwrap()
}

#[test]
fn every_event_in_every_state_can_be_written() {
    for event in EventType::ALL {
        for state in STATES {
            for reason in ["", "invoice 4711", NASTY, &"x".repeat(10_000), &"\u{202e}".repeat(10_000)] {
                let letter = letter(&news(*event, state, reason));
                assert!(letter.html.contains(">Open the request</a>"), "{event} {state}");
                assert!(letter.html.len() < 200_000 && letter.plain.len() < 100_000, "{event} {state}");
            }
        }
    }
}

#[test]
fn it_says_who_what_why_and_what_is_needed() {
    let letter = letter(&news(EventType::VoteCast, "PENDING", "invoice 4711"));
    assert_eq!(letter.subject, "Re: ann asks to run a command on prod-postgres");
    for line in [
        "It is pending: waiting for 1 of security (sam, sue)\n",
        "Who: ann\n",
        "What: prod-postgres, one command\n",
        "Why: invoice 4711\n",
        "    | argument: --quiet\n    | SELECT 1;\n    | invoice 4711\n",
        "  - rule prod: 1 of security (sam, sue) and 1 of dba (cannot be met: 1 needed, 0 people)\n",
        "  - bob approved: invoice 4711\n",
        "It times out 2026-03-02 10:00:00 UTC unless somebody decides.\n",
        "https://quorate.example.org/requests/01890a5d",
    ] {
        assert!(letter.plain.contains(line), "{line}: {}", letter.plain);
    }
    for part in ["<td style=", ">invoice 4711</td>", "rule prod: 1 of security (sam, sue)"] {
        assert!(letter.html.contains(part), "{part}: {}", letter.html);
    }
}

#[test]
fn what_people_write_is_text_and_never_a_line_or_a_tag_of_the_message() {
    let letter = letter(&news(EventType::RequestSubmitted, "PENDING", NASTY));
    assert!(!letter.html.contains("<b ") && letter.html.contains("&lt;b onclick=x&gt;"), "{}", letter.html);
    assert_eq!(letter.html.matches("href=").count(), 1);
    for fetched in ["src=", "url(", "<link", "<script", "<img", "@import"] {
        assert!(!letter.html.contains(fetched), "{fetched}");
    }
    // Only the message itself begins lines.
    let opens = letter.plain.lines().filter(|line| *line == "Open the request:").count();
    assert_eq!(opens, 1, "{}", letter.plain);
    assert!(!letter.plain.lines().any(|line| line.starts_with("https://evil")), "{}", letter.plain);
    assert!(letter.plain.contains("[U+202E]") && !letter.plain.contains('\u{202e}'));
}

#[test]
fn a_message_id_is_of_one_entry_one_channel_and_one_recipient() {
    let letter = letter(&news(EventType::VoteCast, "PENDING", ""));
    let from = Sender { name: None, email: "q@example.org".parse().unwrap() };
    let header = |to: &str, name: &str| {
        let text = String::from_utf8(letter.to(&from, to, Timestamp::UNIX_EPOCH)).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.unwrap_or_default()
    };
    let id = header("bob@example.org", "Message-ID: ");
    assert!(id.ends_with("@example.org>"), "{id}");
    assert_eq!(id, header("bob@example.org", "Message-ID: "));
    assert_ne!(id, header("sam@example.org", "Message-ID: "));
    assert_ne!(header("bob@example.org", "In-Reply-To: "), id.replace("Message-ID", "In-Reply-To"));
    assert_ne!(header("bob@example.org", "References: "), "");
}
