//! `quorate policy shadow`: a candidate beside the version that decides, and what it would
//! have decided.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use quorate_core::ids::PolicyName;
use serde_json::{Value, json};

use super::backtest::TITLES;
use super::{digest_prefix, short};
use crate::cli::Context;
use crate::cli::client::Gateway;
use crate::cli::exit::Ending;
use crate::cli::words;

/// Ask a version beside the one that decides, and see where they differ
///
/// The shadow is tried on every decision after that was made. It never acts, and nobody waits
/// for it.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate policy stage group-quorum 3f9a0c21 --reason 'one group is enough'
  quorate policy shadow start group-quorum 3f9a0c21 --reason 'a week beside the old one'
  quorate policy shadow report group-quorum
  quorate policy shadow accept group-quorum 01k3 --reason 'dba alone was enough here'
  quorate policy activate group-quorum 3f9a0c21 --min-samples 100 --no-differences")]
pub(crate) enum Shadow {
    /// Ask a staged version beside the one that decides
    Start(Start),
    /// Stop asking it; what it found stays
    Stop(Stop),
    /// Say where it differs, those first who would newly be let in
    Report(Report),
    /// Say that a difference is right, for the record
    Accept(Accept),
}

/// A version to be asked.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The policy's name
    name: PolicyName,
    /// The version's digest, or the first 8 or more of its digits
    #[arg(value_parser = digest_prefix)]
    digest: String,
    /// Why, for the record
    #[arg(long, short, default_value = "", hide_default_value = true)]
    reason: String,
}

/// A shadow to be ended.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// The policy's name
    name: PolicyName,
    /// Why, for the record
    #[arg(long, short, default_value = "", hide_default_value = true)]
    reason: String,
}

/// Whose shadow.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The policy's name
    name: PolicyName,
}

/// Differences that are right.
#[derive(Debug, Args)]
pub(crate) struct Accept {
    /// The policy's name
    name: PolicyName,
    /// A request, for all of its decisions so far, or the number of one decision
    #[arg(value_name = "REQUEST|NUMBER")]
    difference: String,
    /// Why, for the record
    #[arg(long, short)]
    reason: String,
}

impl Shadow {
    /// Runs the verb.
    pub(crate) async fn run(self, context: &Context) -> Ending {
        let gateway = context.gateway()?;
        match self {
            Self::Start(Start { name, digest, reason }) => {
                let body = json!({"digest": digest, "reason": reason});
                let answer = gateway.post(&["policies", name.as_str(), "shadow"], body).await?;
                context.screen.result(answer.raw(), || {
                    format!(
                        "version {} is the shadow of policy {name} now; it decides nothing\n  \
                         quorate policy shadow report {name}\n",
                        short(&digest)
                    )
                })
            }
            Self::Stop(Stop { name, reason }) => {
                let path = ["policies", name.as_str(), "shadow", "stop"];
                let answer = gateway.post(&path, json!({"reason": reason})).await?;
                context.screen.result(answer.raw(), || format!("policy {name} has no shadow any more\n"))
            }
            Self::Accept(Accept { name, difference, reason }) => {
                let path = ["policies", name.as_str(), "shadow", "accept"];
                let body = json!({"difference": difference, "reason": reason});
                let answer = gateway.post(&path, body).await?;
                context.screen.result(answer.raw(), || {
                    format!("what the shadow of policy {name} makes of {difference} is accepted\n")
                })
            }
            Self::Report(Report { name }) => report(context, &gateway, &name).await,
        }
    }
}

async fn report(context: &Context, gateway: &Gateway, name: &PolicyName) -> Ending {
    let answer = gateway.get(&["policies", name.as_str(), "shadow"], Vec::new()).await?;
    let shown: Value = answer.read()?;
    context.screen.result(answer.raw(), || text_of(name, &shown, context.screen.width))
}

fn text_of(name: &PolicyName, report: &Value, width: Option<u16>) -> String {
    let text = |field: &str| words::plain(&report[field]);
    let number = |field: &str| report[field].as_u64().unwrap_or(0);
    let is = if report["running"] == true { "is" } else { "was" };
    let mut out = format!(
        "version {} {is} the shadow of policy {name} since {}, by {}: {}\n{} decisions, {} agree",
        short(&text("digest")),
        text("since"),
        text("by"),
        text("reason"),
        number("samples"),
        number("agreed"),
    );
    for (field, what) in [
        ("other_answers", "of those with another answer"),
        ("missing", "without a record"),
        ("behind", "not looked at yet"),
    ] {
        if number(field) > 0 {
            let _ = write!(out, ", {} {what}", number(field));
        }
    }
    out.push('\n');
    for (change, title) in TITLES {
        let all = report["differences"].as_array().into_iter().flatten();
        let these: Vec<&Value> = all.filter(|one| one["change"] == change).collect();
        if these.is_empty() {
            continue;
        }
        let count = report["changes"][change].as_u64().unwrap_or(0);
        let _ = writeln!(out, "\n{title}: {count}");
        out.push_str(&table(&these, width));
    }
    if number("left_out") > 0 {
        let _ = writeln!(out, "\n{} more are counted only", number("left_out"));
    }
    let (differences, faults) = (number("unaccepted_differences"), number("unaccepted_faults"));
    if differences + faults > 0 {
        let _ = writeln!(out, "\n{differences} differences and {faults} faults that nobody accepted");
    } else if number("samples") > 0 {
        out.push_str("\nno difference that nobody accepted\n");
    }
    out
}

fn table(differences: &[&Value], width: Option<u16>) -> String {
    let rows = differences.iter().map(|one| {
        let text = |field: &str| words::plain(&one[field]);
        let accepted = match &one["accepted"] {
            Value::Null => String::new(),
            by => format!("{}: {}", words::plain(&by["by"]), words::plain(&by["reason"])),
        };
        vec![
            text("seq"),
            text("request"),
            text("requester"),
            text("resource"),
            text("live"),
            text("candidate"),
            words::short(&text("candidate_said"), 60),
            words::short(&accepted, 60),
        ]
    });
    let header = ["NUMBER", "REQUEST", "WHO", "RESOURCE", "LIVE", "SHADOW", "SHADOW SAYS", "ACCEPTED"];
    words::table(&header, rows.collect(), width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_lists_those_first_who_would_newly_be_let_in() {
        let one = |change: &str, request: &str, accepted: Value| {
            json!({"seq": 7, "request": request, "requester": "ann", "resource": "prod", "change": change,
                "live": "waiting", "candidate": "approved", "candidate_said": "approves", "accepted": accepted})
        };
        let report = json!({
            "digest": "0123456789abcdef", "running": true, "by": "root", "since": "2026-03-02T10:00:00Z",
            "reason": "a trial", "samples": 5, "agreed": 2, "other_answers": 1, "missing": 0, "behind": 0,
            "changes": {"lets-in": 1, "keeps-out": 2}, "left_out": 0,
            "unaccepted_differences": 2, "unaccepted_faults": 0,
            "differences": [
                one("keeps-out", "later", Value::Null),
                one("lets-in", "first", json!({"by": "root", "reason": "fine"})),
            ],
        });
        let text = text_of(&"group-quorum".parse().unwrap(), &report, None);
        let (first, later) = (text.find("first").unwrap(), text.find("later").unwrap());
        assert!(first < later, "{text}");
        for part in ["newly let in: 1", "root: fine", "5 decisions, 2 agree", "2 differences and 0 faults"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("without a record"), "{text}");
    }
}
