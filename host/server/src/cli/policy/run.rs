//! `quorate policy run`: one input, one verdict, and what it cost against each limit. No
//! gateway is needed.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use quorate_core::input::Input;
use quorate_core::verdict::{Audience, Finding, Outcome, Requirement, Verdict};
use quorate_kit::testing;
use quorate_kit::vectors::Span;
use quorate_kit::{Access, AccessDuration, Attribute, Choice, Fact, Principal, Vote};
use quorate_policy::{Evaluation, Limits};
use serde_json::{Value, json};

use super::component;
use crate::cli::Context;
use crate::cli::exit::{Ending, Failure, NOT_HELD};
use crate::cli::words::{self, Paint};

/// What the policy is asked.
#[derive(Debug, Args)]
#[command(after_help = "\
People are written NAME or NAME=GROUP,GROUP; after a colon, what they say. Votes are cast in this
order: approvals, rejections, forced approvals.

Examples:
  quorate policy run quorum.wasm --config '{\"groups\":[\"dba\"]}' --requester ann=dev --approve bob=dba
  quorate policy run bypass.wasm --force 'eve=sre: the site is down' --config @config.json
  quorate policy run cap.wasm --duration 9h --attribute env=prod --json
  quorate decisions show ID --json | jq .record.input | quorate policy run new.wasm --input -

Exit codes: 0 it answers, 1 it does not, or no rule can have the config.")]
pub(in crate::cli) struct Run {
    /// A component, or the folder of a policy project, which is built first
    path: PathBuf,
    /// The config: JSON, or @FILE
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    config: String,
    /// The whole input as a decision records it: a JSON file, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["requester", "duration", "command", "reason", "approve", "reject", "force", "attribute", "fact", "at", "after"])]
    input: Option<PathBuf>,
    /// Who asks
    #[arg(long, value_name = "WHO", default_value = "ann=dev")]
    requester: String,
    /// Just-in-time access for this long
    #[arg(long, conflicts_with = "command")]
    duration: Option<AccessDuration>,
    /// One run of a command that reads this
    #[arg(long, value_name = "TEXT")]
    command: Option<String>,
    /// Why, in the requester's words
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Who approves
    #[arg(long, value_name = "WHO[: WORDS]")]
    approve: Vec<String>,
    /// Who rejects
    #[arg(long, value_name = "WHO[: WORDS]")]
    reject: Vec<String>,
    /// Who forces an approval
    #[arg(long, value_name = "WHO: WORDS")]
    force: Vec<String>,
    /// What the operator wrote on the resource
    #[arg(long, value_name = "NAME=VALUE")]
    attribute: Vec<String>,
    /// A fact; without a value it could not be had
    #[arg(long, value_name = "NAME[=JSON]")]
    fact: Vec<String>,
    /// When it is asked, as in 2027-01-15T08:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
    /// How long ago that was, as in 15m
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
}

impl Run {
    /// Runs the verb. A fault ends it with 1, and so does a config that no rule can have.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let component = component::of(context, &self.path).await?;
        let config = match self.config.strip_prefix('@') {
            Some(file) => read(file)?,
            None => self.config.clone(),
        };
        let config: Value = serde_json::from_str(&config)
            .map_err(|error| Failure::usage(format!("the config is no JSON: {error}")))?;
        let input = self.input()?;
        let evaluated = tokio::task::spawn_blocking(move || {
            let policy = super::loaded(&component.bytes)?;
            let findings = quorate_policy::config::findings(&policy, &config);
            Ok::<_, Failure>((policy.evaluate(&config.to_string(), &input), findings))
        });
        let (evaluation, findings) =
            evaluated.await.map_err(|error| Failure::failed(error.to_string()))??;
        for finding in &findings {
            context.screen.say(&of_config(finding, context.screen.err));
        }
        let limits = Limits::default();
        let value = as_json(&evaluation, &findings, &limits);
        context.screen.result(&value, || in_words(&evaluation, &limits, context.screen.out))?;
        let is_refused = findings.iter().any(|finding| !finding.is_warning());
        Ok(if evaluation.verdict.is_err() || is_refused { NOT_HELD } else { 0 })
    }

    fn input(&self) -> Result<Input, Failure> {
        if let Some(path) = &self.input {
            let text = if path.as_os_str() == "-" {
                std::io::read_to_string(std::io::stdin())
                    .map_err(|error| Failure::usage(format!("standard input cannot be read: {error}")))?
            } else {
                read(&path.display().to_string())?
            };
            return serde_json::from_str(&text)
                .map_err(|error| Failure::usage(format!("`{}` is no input: {error}", path.display())));
        }
        let (requester, words) = person(&self.requester);
        if !words.is_empty() {
            return Err(Failure::usage("who asks says why with --reason"));
        }
        let mut input = testing::asks(requester);
        if let Some(at) = self.at {
            let at = u64::try_from(at.as_millisecond());
            let at =
                at.map_err(|_| Failure::usage("`--at` lies before 1970, which the contract cannot say"))?;
            (input.now, input.request.submitted_at) = (at, at);
        }
        if let Some(duration) = self.duration {
            input.request.access = Access::JustInTime(duration.seconds());
        }
        if let Some(text) = &self.command {
            input = input.running(text);
        }
        self.reason.clone_into(&mut input.request.reason);
        for one in &self.attribute {
            let (name, value) = one.split_once('=').ok_or_else(|| {
                Failure::usage(format!("`{}` is no attribute: write NAME=VALUE", words::clean(one)))
            })?;
            let value = Value::from(value).to_string();
            input.request.target.attributes.push(Attribute { name: name.to_owned(), value });
        }
        for one in &self.fact {
            input.facts.push(fact(one, input.now)?);
        }
        if let Some(after) = &self.after {
            let span = Span::parse(after).ok_or_else(|| {
                Failure::usage(format!("`{}` is no length of time: write it as in 15m", words::clean(after)))
            })?;
            input.now = input.now.saturating_add(span.milliseconds());
        }
        let votes = [
            (&self.approve, Choice::Approve, false),
            (&self.reject, Choice::Reject, false),
            (&self.force, Choice::Approve, true),
        ];
        for (who, choice, forced) in votes {
            for one in who {
                let vote = vote(one, choice, forced, input.now)?;
                if vote.voter.id == input.request.requester.id
                    || input.votes.iter().any(|cast| cast.voter.id == vote.voter.id)
                {
                    let id = words::clean(&vote.voter.id);
                    return Err(Failure::usage(format!(
                        "`{id}` asks or has voted: neither the requester's vote nor a second one ever reaches a policy"
                    )));
                }
                input.votes.push(vote);
            }
        }
        quorate_policy::vectors::input(input).map_err(|why| Failure::usage(words::clean(&why)))
    }
}

fn read(file: &str) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", words::clean(file))))
}

/// `bob=dba,ops: fine` is bob, in two groups, who says something.
fn person(text: &str) -> (Principal, &str) {
    let (who, words) = text.split_once(':').unwrap_or((text, ""));
    let (id, groups) = who.split_once('=').unwrap_or((who, ""));
    let groups: Vec<&str> = groups.split(',').map(str::trim).filter(|group| !group.is_empty()).collect();
    (testing::person(id.trim(), &groups), words.trim())
}

fn vote(text: &str, choice: Choice, forced: bool, now: u64) -> Result<Vote, Failure> {
    let (voter, comment) = person(text);
    if forced && comment.is_empty() {
        return Err(Failure::usage(format!(
            "`{}` forces an approval without a word, which never reaches a policy: write WHO: WORDS",
            words::clean(text)
        )));
    }
    Ok(Vote { voter, choice, forced, comment: comment.to_owned(), cast_at: now, attributes: Vec::new() })
}

fn fact(text: &str, now: u64) -> Result<Fact, Failure> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    if let Some(Err(error)) = value.map(serde_json::from_str::<serde::de::IgnoredAny>) {
        return Err(Failure::usage(format!("the fact `{}` is no JSON: {error}", words::clean(name))));
    }
    Ok(Fact { name: name.to_owned(), known: value.map(str::to_owned), as_of: now })
}

/// What speaks against the config, and where.
fn of_config(finding: &Finding, paint: Paint) -> String {
    let path = finding.path.as_deref().filter(|path| !path.is_empty());
    let place = path.map_or(String::new(), |path| format!(" at {path}"));
    let what = if finding.is_warning() { paint.yellow("finding") } else { paint.red("refused") };
    format!("{what} {}", words::clean(&format!("the config{place}: {}", finding.message)))
}

fn as_json(evaluation: &Evaluation, of_config: &[Finding], limits: &Limits) -> Value {
    json!({
        "config": {"findings": of_config},
        "verdict": evaluation.verdict.as_ref().ok(),
        "fault": evaluation.verdict.as_ref().err(),
        "fuel": {"used": evaluation.fuel_used, "max": limits.fuel_max},
        "memory_bytes": {"used": evaluation.memory_bytes, "max": limits.memory_bytes_max},
        "log": evaluation.log,
    })
}

fn in_words(evaluation: &Evaluation, limits: &Limits, paint: Paint) -> String {
    let mut text = String::new();
    let mut facts: Vec<(&str, String)> = Vec::new();
    match &evaluation.verdict {
        Err(fault) => {
            let _ = writeln!(text, "{}", paint.red(&format!("fault: {}", words::clean(&fault.to_string()))));
        }
        Ok(verdict) => {
            let _ = writeln!(text, "{}", said(verdict, paint));
            facts.extend(parts(verdict));
        }
    }
    facts.push(("fuel", used(evaluation.fuel_used, limits.fuel_max, "", paint)));
    facts.push((
        "memory",
        used(evaluation.memory_bytes >> 10, limits.memory_bytes_max as u64 >> 10, " KiB", paint),
    ));
    text.push_str(&words::facts(&facts));
    for line in &evaluation.log {
        let _ = writeln!(text, "{} {}", paint.dim("log:"), words::clean(line));
    }
    text
}

fn said(verdict: &Verdict, paint: Paint) -> String {
    match &verdict.outcome {
        Outcome::Abstain => paint.dim("abstain"),
        Outcome::Approve => paint.green("approve"),
        Outcome::Bypass(why) => paint.green(&format!("bypass: {}", words::clean(why))),
        Outcome::Deny(why) => paint.red(&format!("deny: {}", words::clean(why))),
        Outcome::Wait(ways) if ways.is_empty() => paint.yellow("wait: nothing that people do would help"),
        Outcome::Wait(_) => paint.yellow("wait"),
    }
}

/// The parts of a verdict that say something, each once.
fn parts(verdict: &Verdict) -> Vec<(&'static str, String)> {
    let mut parts = Vec::new();
    if let Outcome::Wait(ways) = &verdict.outcome {
        let way = |way: &Vec<Requirement>| way.iter().map(requirement).collect::<Vec<_>>().join(", and ");
        parts.extend(ways.iter().map(|one| ("missing", way(one))));
    }
    if let Some(seconds) = verdict.max_duration {
        parts.push(("at most", AccessDuration::from_seconds(seconds).to_string()));
    }
    parts.push(("voters", people(&verdict.voters)));
    if verdict.forcers != Audience::default() {
        parts.push(("forcers", people(&verdict.forcers)));
    }
    if let Some(at) = verdict.revisit_at {
        parts.push(("ask again", words::time(at)));
    }
    for finding in &verdict.findings {
        parts.push(("finding", words::clean(&format!("{}: {}", finding.code, finding.message))));
    }
    for obligation in &verdict.obligations {
        let critical = if obligation.critical { ", critical" } else { "" };
        parts.push((
            "obligation",
            words::clean(&format!("{} {}{critical}", obligation.kind, obligation.params)),
        ));
    }
    parts
}

fn requirement(requirement: &Requirement) -> String {
    let Requirement { people: of, approvals, message } = requirement;
    let why = if message.is_empty() { String::new() } else { format!(" ({})", words::clean(message)) };
    format!("{approvals} of {}{why}", people(of))
}

fn people(audience: &Audience) -> String {
    let users = audience.users.iter().map(|user| format!("user {user}"));
    let all: Vec<String> = audience.groups.iter().cloned().chain(users).collect();
    if all.is_empty() { "nobody".to_owned() } else { words::clean(&all.join(" or ")) }
}

/// So much of so much: green below half, yellow below nine tenths, red above.
#[allow(clippy::cast_precision_loss, reason = "a share of a limit is read, not computed with")]
fn used(used: u64, max: u64, unit: &str, paint: Paint) -> String {
    let share = used as f64 * 100.0 / max.max(1) as f64;
    let text = format!("{used}{unit} of {max}{unit} ({share:.1} %)");
    match share {
        share if share < 50.0 => paint.green(&text),
        share if share < 90.0 => paint.yellow(&text),
        _ => paint.red(&text),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        run: Run,
    }

    fn asked(arguments: &[&str]) -> Result<Input, Failure> {
        Line::parse_from([&["run", "policy.wasm"], arguments].concat()).run.input()
    }

    fn evaluated(policy: &str, config: &str, arguments: &[&str]) -> String {
        let built_in = quorate_bundle::BUILT_IN.iter().find(|one| one.name == policy).unwrap();
        let evaluation = crate::cli::policy::loaded(built_in.component)
            .unwrap()
            .evaluate(config, &asked(arguments).unwrap());
        in_words(&evaluation, &Limits::default(), Paint(false))
    }

    #[test]
    fn the_arguments_become_an_input() {
        let input = asked(&[
            "--requester",
            "eve=sre, dev",
            "--duration",
            "2h",
            "--reason",
            "x",
            "--attribute",
            "env=eu",
            "--fact",
            "on-call=[\"bob\"]",
            "--fact",
            "incident",
            "--at",
            "2027-01-15T08:00:00Z",
            "--after",
            "15m",
            "--approve",
            "bob=dba: fine",
            "--reject",
            "sam=security",
        ])
        .unwrap();
        assert_eq!(input.request.requester.groups.len(), 2);
        assert_eq!(input.request.access, quorate_core::input::Access::JustInTime { seconds: 7200 });
        assert_eq!(input.request.target.attributes[0].value, "\"eu\"");
        assert_eq!((input.facts[0].known.as_deref(), &input.facts[1].known), (Some("[\"bob\"]"), &None));
        assert_eq!((input.votes[0].comment.as_str(), input.votes.len()), ("fine", 2));
        assert_eq!(input.now.as_second() - input.request.submitted_at.as_second(), 900);
    }

    #[test]
    fn what_never_reaches_a_policy_is_refused() {
        for (arguments, reason) in [
            (&["--approve", "ann"][..], "ever reaches a policy"),
            (&["--approve", "bob", "--reject", "bob"], "ever reaches a policy"),
            (&["--force", "bob=dba"], "without a word"),
            (&["--fact", "x={"], "no JSON"),
            (&["--attribute", "x"], "NAME=VALUE"),
            (&["--approve", "b o b"], "not a valid"),
            (&["--after", "soon"], "no length of time"),
        ] {
            let failure = asked(arguments).unwrap_err();
            assert!(failure.message.contains(reason), "{arguments:?}: {}", failure.message);
        }
    }

    #[test]
    fn a_wait_is_shown_with_what_is_missing_and_what_it_cost() {
        let text = evaluated(
            "group-quorum",
            r#"{"groups":["dba","security"],"require_all":true}"#,
            &["--approve", "bob=dba"],
        );
        assert!(text.starts_with("wait\n"), "{text}");
        assert!(text.contains("1 of security") && text.contains("dba or security"), "{text}");
        assert!(text.contains(" of 10000000 (0.1 %)") && text.contains("64 KiB of 16384 KiB"), "{text}");
    }

    #[test]
    fn a_fault_is_shown_as_one() {
        let text = evaluated("group-quorum", "{}", &[]);
        assert!(text.starts_with("fault: ") && text.contains("missing field `groups`"), "{text}");
    }
}
