//! What it would take to approve a request, in words.

use std::fmt::Write as _;

use quorate_core::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::client::{Answer, Gateway};
use super::exit::Failure;
use super::words;

/// How many names of a list are shown.
const NAMES: usize = 6;

/// What it would take.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Takes {
    #[serde(default)]
    sets: Vec<Vec<Votes>>,
    #[serde(default)]
    by_force: Vec<String>,
    #[serde(default)]
    nobody_can: bool,
    #[serde(default)]
    tried: usize,
    #[serde(default)]
    gave_up: bool,
    #[serde(default)]
    changes_at: Option<Timestamp>,
    #[serde(default)]
    then: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Votes {
    approvals: usize,
    out_of: Vec<String>,
}

/// Asks the gateway; none where it is older than the question.
pub(super) async fn ask(gateway: &Gateway, id: &str) -> Result<Option<Value>, Failure> {
    let answer = gateway.find(&["requests", id, "what-would-it-take"]).await?;
    Ok(answer.map(|answer| answer.raw().clone()))
}

/// The answer for people.
pub(super) fn told(answer: &Value) -> Result<String, Failure> {
    let takes: Takes = Answer::of(answer.clone()).read()?;
    Ok(takes.text())
}

impl Takes {
    fn text(&self) -> String {
        let mut text = "what it would take:\n".to_owned();
        for set in &self.sets {
            let votes: Vec<String> = set.iter().map(Votes::words).collect();
            let _ = writeln!(text, "  approvals by {}", votes.join(", and by "));
        }
        if !self.by_force.is_empty() {
            let _ = writeln!(text, "  a forced approval by one of {}", words::names(&self.by_force, NAMES));
        }
        if self.nobody_can {
            let so_far = if self.gave_up { ", as far as was tried" } else { "" };
            let _ = writeln!(text, "  nobody who can vote now can approve it{so_far}");
        }
        if self.gave_up {
            let _ = writeln!(text, "  not everything was tried: {} sets of people were", self.tried);
        }
        if let Some(at) = self.changes_at {
            let then = self.then.as_deref().unwrap_or("asked again");
            let _ = writeln!(text, "  without a vote it is {then} at {}", words::time(at));
        }
        text
    }
}

impl Votes {
    fn words(&self) -> String {
        let names = words::names(&self.out_of, NAMES);
        match self.out_of.len() {
            1 => names,
            many if many == self.approvals => format!("all {many} of {names}"),
            _ if self.approvals == 1 => format!("any one of {names}"),
            _ => format!("any {} of {names}", self.approvals),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_set_is_a_line_with_names() {
        let text = told(&json!({
            "state": "PENDING", "sets": [[{"approvals": 1, "out_of": ["bob", "bea"]}, {"approvals": 1, "out_of": ["sam"]}]],
            "by_force": ["eve\u{1b}"], "tried": 5, "changes_at": "2026-11-23T10:15:00Z", "then": "approved",
        }))
        .unwrap();
        assert!(text.contains("  approvals by any one of bob, bea, and by sam\n"), "{text}");
        assert!(text.contains("a forced approval by one of eve\n"), "{text}");
        assert!(text.contains("without a vote it is approved at 2026-11-23 10:15:00 UTC"), "{text}");
    }

    #[test]
    fn that_nobody_can_approve_it_is_said() {
        let text = told(&json!({"nobody_can": true, "gave_up": true, "tried": 1000})).unwrap();
        assert!(text.contains("nobody who can vote now can approve it, as far as was tried"), "{text}");
        assert!(text.contains("1000 sets"), "{text}");
    }
}
