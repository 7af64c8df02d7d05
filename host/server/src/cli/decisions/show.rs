//! `quorate decisions show`: what a decision was made from.

use std::fmt::Write as _;

use quorate_core::decision::{Answer as Said, Record};
use quorate_core::duration::AccessDuration;
use quorate_core::ids::RequestId;
use quorate_core::input;

use super::Which;
use crate::cli::Context;
use crate::cli::client::Gateway;
use crate::cli::exit::{Ending, Exit, Failure};
use crate::cli::words;

pub(super) async fn run(context: &Context, gateway: &Gateway, which: Which) -> Ending {
    let (digest, earlier) = match which {
        Which::Record(digest) => (digest.to_string(), Vec::new()),
        Which::Request(id) => newest(gateway, &id).await?,
    };
    let answer = gateway.get(&["decisions", &digest], Vec::new()).await?;
    let record: Record = answer.read()?;
    context.screen.result(answer.raw(), || {
        let mut text = described(&digest, &record);
        for digest in &earlier {
            let _ = writeln!(text, "earlier  {digest}");
        }
        text
    })
}

/// The newest decision about a request, and those before it.
async fn newest(gateway: &Gateway, id: &RequestId) -> Result<(String, Vec<String>), Failure> {
    let request = gateway.get(&["requests", id.as_str()], Vec::new()).await?;
    let query = vec![("stream", format!("request/{id}")), ("type", "request-decided".to_owned())];
    let (entries, _) = gateway.list(&["audit", "entries"], query, 10_000).await?;
    let mut digests: Vec<String> =
        entries.iter().filter_map(|item| Some(item["entry"]["record"].as_str()?.to_owned())).collect();
    let newest = request.raw()["record"].as_str().map(str::to_owned).or_else(|| digests.last().cloned());
    let newest = newest
        .ok_or_else(|| Failure::new(Exit::Refused, format!("request {id} has not been decided yet")))?;
    digests.retain(|digest| *digest != newest);
    digests.reverse();
    Ok((newest, digests))
}

fn described(digest: &str, record: &Record) -> String {
    let input = &record.input;
    let request = &input.request;
    let access = match &request.access {
        input::Access::JustInTime { seconds } => {
            format!("for {}", AccessDuration::from_seconds(*seconds))
        }
        input::Access::Command { command } => words::short(
            &format!("to run {} {}", words::command_line(&command.arguments), words::clean(&command.text)),
            100,
        ),
    };
    let groups: Vec<String> = request.requester.groups.iter().map(ToString::to_string).collect();
    let votes: Vec<String> = input.votes.iter().map(vote).collect();
    let facts: Vec<String> = input
        .facts
        .iter()
        .map(|fact| format!("{} = {}", fact.name, fact.known.as_deref().unwrap_or("not to be had")))
        .collect();
    let mut text = words::facts(&[
        ("decision", digest.to_owned()),
        ("request", request.id.to_string()),
        ("decided", words::time(input.now)),
        ("asked", words::time(request.submitted_at)),
        ("by", format!("{} ({})", request.requester.id, words::names(&groups, 10))),
        ("resource", format!("{} {access}", request.target.name)),
        ("reason", request.reason.clone()),
        ("votes", if votes.is_empty() { "none".to_owned() } else { votes.join("; ") }),
        (
            "history",
            if input.history.is_empty() {
                String::new()
            } else {
                words::count(input.history.len(), "earlier request")
            },
        ),
        ("facts", facts.join("; ")),
        ("engine", record.engine.clone()),
    ]);
    for rule in &record.rules {
        let _ = writeln!(text, "\nrule {} (revision {})", rule.rule, rule.revision);
        for opinion in &rule.opinions {
            let version = opinion.version.map_or("no version".to_owned(), |digest| digest.short());
            let _ = writeln!(text, "  {} ({version}) {}", opinion.policy, opinion.answer.words());
            let _ = writeln!(text, "      config {}", opinion.config);
            let _ = writeln!(text, "      fuel   {}", opinion.fuel_used);
            if let Said::Verdict(verdict) = &opinion.answer {
                if let Some(seconds) = verdict.max_duration {
                    let _ = writeln!(text, "      at most {seconds} s");
                }
                for finding in &verdict.findings {
                    let _ = writeln!(text, "      {}: {}", finding.code, finding.message);
                }
            }
            for line in &opinion.log {
                let _ = writeln!(text, "      log    {line}");
            }
        }
    }
    if record.rules.is_empty() {
        text.push_str("\nno policy was asked: no rule covers it, or a group has standing access\n");
    }
    text
}

fn vote(vote: &input::Vote) -> String {
    let choice = match (vote.choice, vote.forced) {
        (input::Choice::Reject, _) => "rejects",
        (_, true) => "forces",
        (_, false) => "approves",
    };
    let comment = if vote.comment.is_empty() { String::new() } else { format!(" ({})", vote.comment) };
    format!("{} {choice}{comment}", vote.voter.id)
}
