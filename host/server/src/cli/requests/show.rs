//! `quorate requests show`: a request on a page of its own, and what happened to it.

use std::fmt::Write as _;

use clap::Args;
use quorate_core::Timestamp;
use quorate_core::ids::RequestId;
use serde_json::{Value, json};

use super::stands;
use crate::cli::Context;
use crate::cli::client::{Answer, Gateway};
use crate::cli::exit::{Ending, Failure};
use crate::cli::view::{Reminder, Request, Vote};
use crate::cli::words;

/// One request, with or without its history.
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// The request's id
    pub(in crate::cli) id: RequestId,
    /// Everything that happened to it as well
    #[arg(long)]
    pub(in crate::cli) timeline: bool,
}

impl Show {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context, gateway: &Gateway) -> Ending {
        let id = self.id.as_str();
        let answer = gateway.get(&["requests", id], Vec::new()).await?;
        if !self.timeline {
            let text = page(context, &answer)?;
            return context.screen.result(answer.raw(), || text);
        }
        let (entries, _) = gateway.list(&["requests", id, "entries"], Vec::new(), 10_000).await?;
        let entries = Answer::of(Value::Array(entries));
        let both = json!({"request": answer.raw(), "entries": entries.raw()});
        let text = format!("{}\n{}", page(context, &answer)?, timeline(&entries)?);
        context.screen.result(&both, || text)
    }
}

/// A request on a page of its own.
pub(super) fn page(context: &Context, answer: &Answer) -> Result<String, Failure> {
    let request: Request = answer.read()?;
    let now = context.clock.now();
    let when = |at| format!("{} ({})", words::time(at), words::relative(at, now));
    let pending = request.is_pending();
    let window = request
        .granted
        .as_ref()
        .map(|granted| format!("{} to {}", words::time(granted.from), when(granted.until)));
    let facts = [
        ("request", request.id.clone()),
        ("state", context.screen.out.state(&request.state)),
        ("requester", request.requester.clone()),
        ("asks", request.asks()),
        ("reason", request.reason.clone()),
        ("made", when(request.submitted_at)),
        ("times out", if pending { when(request.closes_at) } else { String::new() }),
        ("needs", if pending { request.missing().join("; ") } else { String::new() }),
        ("how", if pending { String::new() } else { stands(&request) }),
        ("open", window.unwrap_or_default()),
        ("decided by", rules(&request)),
        ("link", request.url.clone()),
    ];
    let mut text = words::facts(&facts);
    if let Some(command) = answer.raw().get("command").filter(|command| command.is_object()) {
        text.push_str(&command_block(command));
    }
    for warning in request.warnings().iter().filter(|_| pending) {
        let _ = writeln!(text, "{} {warning}", context.screen.out.yellow("note:"));
    }
    for vote in &request.votes {
        let _ = writeln!(text, "{}", vote_line(vote));
    }
    for reminder in &request.reminders {
        let _ = writeln!(text, "{}  {}", words::time(reminder.at), told(reminder));
    }
    Ok(text)
}

/// The command whole and line by line: what is shown is what runs.
fn command_block(command: &Value) -> String {
    let mut text = String::new();
    if let Some(input) = command.get("text").and_then(Value::as_str).filter(|input| !input.is_empty()) {
        let _ = write!(text, "input\n{}", words::block(input));
    }
    let arguments = command.get("arguments").and_then(Value::as_array).filter(|list| !list.is_empty());
    if let Some(arguments) = arguments {
        let words: Vec<String> = arguments.iter().map(words::plain).collect();
        let _ = write!(text, "arguments\n{}", words::block(&words::command_line(&words)));
    }
    text
}

fn vote_line(vote: &Vote) -> String {
    let choice = match (vote.choice.as_str(), vote.forced) {
        ("approve", true) => "forces the approval",
        ("approve", false) => "approves",
        _ => "rejects",
    };
    let comment = if vote.comment.is_empty() { String::new() } else { format!(": {}", vote.comment) };
    let groups =
        if vote.groups.is_empty() { String::new() } else { format!(" ({})", vote.groups.join(", ")) };
    format!("{}  {}{groups} {choice}{comment}", words::time(vote.cast_at), vote.voter)
}

/// Who was told what, by which policy.
fn told(reminder: &Reminder) -> String {
    let Reminder { message, policy, groups, users, .. } = reminder;
    let names: Vec<&str> = groups.iter().chain(users).map(String::as_str).collect();
    let whom = if names.is_empty() { "those who can still vote".to_owned() } else { names.join(", ") };
    format!("policy {policy} told {whom}: {message}")
}

fn rules(request: &Request) -> String {
    let rules = request.rules.iter().map(|rule| {
        let policies: Vec<String> =
            rule.policies.iter().map(|one| format!("{} {}", one.policy, one.said)).collect();
        format!("rule {} ({})", rule.rule, policies.join(", "))
    });
    rules.collect::<Vec<_>>().join("; ")
}

/// What happened, oldest first.
fn timeline(entries: &Answer) -> Result<String, Failure> {
    let entries: Vec<Value> = entries.read()?;
    let lines = entries.iter().map(|sealed| {
        let entry = sealed.get("entry").unwrap_or(sealed);
        let at: Option<Timestamp> = entry["at"].as_str().and_then(|at| at.parse().ok());
        let when = at.map(words::time).unwrap_or_default();
        let notice = entry.get("notice").filter(|_| entry["type"] == "request-reminded");
        let reminder = at.zip(notice).and_then(|(at, notice)| reminder(at, notice));
        if let Some(reminder) = reminder {
            return format!("{when}  {}\n", told(&reminder));
        }
        let by = entry["by"]
            .get("user")
            .map_or_else(|| format!("the {}", words::plain(&entry["by"])), words::plain);
        let what = words::plain(&entry["type"]).replace('-', " ");
        format!("{when}  {what}, by {by}\n")
    });
    Ok(lines.collect())
}

/// A notice as an entry has it.
fn reminder(at: Timestamp, notice: &Value) -> Option<Reminder> {
    let mut value = notice.clone();
    value.as_object_mut()?.insert("at".to_owned(), json!(at));
    serde_json::from_value(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::view::tests::pending;

    #[test]
    fn a_hostile_request_cannot_forge_a_page() {
        let mut hostile = pending();
        hostile["reason"] = json!("fix\nstate      APPROVED\u{1b}[2J");
        hostile["access_type"] = json!("command");
        hostile["command"] = json!({"text": "select 1;\u{1b}[8m\ndrop table x", "arguments": ["-c", "a\nb"]});
        let text = page(&Context::for_tests(), &Answer::of(hostile)).unwrap();
        assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
        assert_eq!(text.lines().filter(|line| line.starts_with("state")).count(), 1);
        assert!(text.contains("input\n  │ select 1;[8m\n  │ drop table x\n"), "{text}");
        assert!(text.contains("fix ⏎ state"), "{text}");
    }

    #[test]
    fn what_people_were_told_is_on_the_page() {
        let mut reminded = pending();
        reminded["reminders"] = json!([{
            "at": "2026-11-23T10:15:00Z", "rule": "prod", "policy": "escalation", "id": "late",
            "message": "ann still waits", "groups": [], "users": [],
        }]);
        let text = page(&Context::for_tests(), &Answer::of(reminded)).unwrap();
        let line =
            "2026-11-23 10:15:00 UTC  policy escalation told those who can still vote: ann still waits\n";
        assert!(text.ends_with(line), "{text}");
    }

    #[test]
    fn a_timeline_says_what_happened_and_by_whom() {
        let entries = json!([
            {"seq": 1, "entry": {"at": "2026-11-23T10:00:00Z", "by": {"user": "ann"}, "type": "request-submitted"}},
            {"seq": 2, "entry": {"at": "2026-11-23T10:00:01Z", "by": "gateway", "type": "request-decided"}},
            {"seq": 3, "entry": {"at": "2026-11-23T10:00:01Z", "by": "gateway", "type": "request-reminded", "notice": {
                "rule": "prod", "policy": "escalation", "id": "late", "message": "please look", "groups": ["dba"], "users": ["eve"],
            }}},
        ]);
        assert_eq!(
            timeline(&Answer::of(entries)).unwrap(),
            "2026-11-23 10:00:00 UTC  request submitted, by ann\n2026-11-23 10:00:01 UTC  request decided, by the gateway\n\
             2026-11-23 10:00:01 UTC  policy escalation told dba, eve: please look\n"
        );
    }
}
