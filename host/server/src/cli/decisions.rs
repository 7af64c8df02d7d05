//! `quorate decisions`: what a decision was made from, and whether it comes out the same.

mod export;
mod show;

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use quorate_core::Timestamp;
use quorate_core::ids::{Digest, RequestId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Context;
use super::bar::Bar;
use super::client::{Answer, Gateway, Query};
use super::exit::{Ending, Exit, Failure, NOT_HELD};
use super::since::Since;
use super::wait::Interrupt;
use super::words;

/// How many decisions are told of; all of them are in the JSON.
const TOLD_MAX: usize = 50;
/// How many are kept for the JSON.
const KEPT_MAX: usize = 20_000;

/// Look at recorded decisions, and make them again
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Every decision is recorded with all that the policies saw, and what each of them said.

Examples:
  quorate decisions show 7k2m…                # the newest decision about a request
  quorate decisions replay 7k2m…              # all decisions about it, by the same versions again
  quorate decisions replay --all --since 30d
  quorate decisions export --since 90d -o decisions.jsonl   # for `quorate policy diff --decisions`

Exit codes of `replay`: 0 all the same, 1 something differs or is missing.")]
pub(super) enum Decisions {
    /// Show the record of a decision
    Show(Show),
    /// Make recorded decisions again, and say where they differ
    Replay(Replay),
    Export(export::Export),
}

/// Which record.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The digest of the record, or a request's id
    #[arg(value_name = "DIGEST|REQUEST", value_parser = which)]
    pub(super) which: Which,
}

/// Which decisions.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The digest of a record, or a request's id
    #[arg(value_name = "DIGEST|REQUEST", value_parser = which, required_unless_present = "all", conflicts_with = "all")]
    pub(super) which: Option<Which>,
    /// All of them
    #[arg(long)]
    pub(super) all: bool,
    /// Only those made since then: 90d, 12h, or a time
    #[arg(long, requires = "all", value_name = "SPAN|TIME")]
    pub(super) since: Option<Since>,
}

/// One decision, or those about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Which {
    Record(Digest),
    Request(RequestId),
}

fn which(text: &str) -> Result<Which, String> {
    if let Ok(digest) = text.parse() {
        return Ok(Which::Record(digest));
    }
    text.parse()
        .map(Which::Request)
        .map_err(|_| "give the 64 digits of a record, or a request's id".to_owned())
}

/// What came of asking one policy again.
#[derive(Debug, Clone, Deserialize)]
struct Opinion {
    rule: String,
    policy: String,
    version: Option<String>,
    result: String,
    differences: Vec<Difference>,
    why: Option<String>,
    said: String,
    fuel_recorded: u64,
}

#[derive(Debug, Clone, Deserialize)]
struct Difference {
    part: String,
    recorded: Value,
    replayed: Value,
}

/// One decision, made again.
#[derive(Debug, Clone, Deserialize)]
struct Decision {
    request: String,
    at: Timestamp,
    record: String,
    result: String,
    same_engine: bool,
    differences: Vec<Difference>,
    opinions: Vec<Opinion>,
}

/// One page of them.
#[derive(Debug, Deserialize)]
struct Page {
    decisions: u64,
    evaluations: u64,
    same: u64,
    other_engine: u64,
    next: Option<u64>,
}

/// What all pages come to.
#[derive(Debug, Default)]
struct Total {
    decisions: u64,
    evaluations: u64,
    same: u64,
    other_engine: u64,
    differs: u64,
    missing: u64,
    not_compared: u64,
    /// As they came, up to a limit.
    listed: Vec<Value>,
    gaps: Vec<Value>,
    gap_count: u64,
}

impl Decisions {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let gateway = context.gateway()?;
        match self {
            Self::Show(Show { which }) => show::run(context, &gateway, which).await,
            Self::Export(export) => export.run(context, &gateway).await,
            Self::Replay(Replay { which: Some(Which::Record(digest)), .. }) => {
                let answer = gateway.get(&["decisions", &digest.to_string(), "replay"], Vec::new()).await?;
                let decision: Decision = answer.read()?;
                let _ = context.screen.result(answer.raw(), || replayed(&decision, true));
                Ok(if matches!(decision.result.as_str(), "differs" | "missing") { NOT_HELD } else { 0 })
            }
            Self::Replay(Replay { which: Some(Which::Request(id)), .. }) => {
                // Says that there is no such request, where there is none.
                gateway.get(&["requests", id.as_str()], Vec::new()).await?;
                replay_all(context, &gateway, vec![("request", id.to_string())]).await
            }
            Self::Replay(Replay { which: None, since, .. }) => {
                let since = since.map(|since| ("since", since.at(context.clock.now()).to_string()));
                replay_all(context, &gateway, since.into_iter().collect()).await
            }
        }
    }
}

async fn replay_all(context: &Context, gateway: &Gateway, filter: Query<'_>) -> Ending {
    let mut interrupt = Interrupt::listen()?;
    let history = gateway.get(&["decisions"], filter.clone()).await?;
    let number = |name: &str| history.raw().get(name).and_then(Value::as_u64).unwrap_or(0);
    let (decisions, head) = (number("decisions"), number("head"));
    let bar = Bar::start(&context.screen, 0, decisions);
    let mut total = Total::default();
    let mut after = 0;
    loop {
        let mut query = filter.clone();
        query.extend([("after", after.to_string()), ("until", head.to_string())]);
        let answer = tokio::select! {
            answer = gateway.get(&["decisions", "replay"], query) => answer?,
            () = interrupt.pressed() => {
                drop(bar);
                let done = total.decisions + total.gap_count;
                return Err(Failure::new(Exit::Cancelled, format!("interrupted after {done} of {decisions} decisions")));
            }
        };
        let page: Page = answer.read()?;
        total.add(&page, answer.raw());
        bar.set(total.decisions + total.gap_count, format!("{} differ", total.differs));
        match page.next {
            Some(next) if next > after => after = next,
            _ => break,
        }
    }
    drop(bar);
    let value = total.json();
    let text = total.text()?;
    let _ = context.screen.result(&value, || text);
    Ok(if total.is_good() { 0 } else { NOT_HELD })
}

impl Total {
    fn add(&mut self, page: &Page, raw: &Value) {
        self.decisions += page.decisions;
        self.evaluations += page.evaluations;
        self.same += page.same;
        self.other_engine += page.other_engine;
        let list = |name: &str| raw.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for one in list("listed") {
            match one["result"].as_str() {
                Some("differs") => self.differs += 1,
                Some("missing") => self.missing += 1,
                _ => self.not_compared += 1,
            }
            if self.listed.len() < KEPT_MAX {
                self.listed.push(one.clone());
            }
        }
        for one in list("gaps") {
            self.gap_count += 1;
            if self.gaps.len() < KEPT_MAX {
                self.gaps.push(one.clone());
            }
        }
    }

    fn is_good(&self) -> bool {
        self.differs + self.missing + self.gap_count == 0
    }

    fn json(&self) -> Value {
        json!({
            "decisions": self.decisions, "evaluations": self.evaluations, "same": self.same,
            "differs": self.differs, "missing": self.missing, "not_compared": self.not_compared,
            "other_engine": self.other_engine, "without_record": self.gap_count,
            "listed": self.listed, "gaps": self.gaps,
        })
    }

    fn text(&self) -> Result<String, Failure> {
        let mut text = String::new();
        let listed: Vec<Decision> = Answer::of(self.listed.clone().into()).read()?;
        let worst = |decision: &&Decision| match decision.result.as_str() {
            "differs" => 0,
            "missing" => 1,
            _ => 2,
        };
        let mut sorted: Vec<&Decision> = listed.iter().collect();
        sorted.sort_by_key(worst);
        for decision in sorted.iter().take(TOLD_MAX) {
            text.push_str(&replayed(decision, false));
        }
        if sorted.len() > TOLD_MAX {
            let _ = writeln!(text, "… and {} more; --json has them", sorted.len() - TOLD_MAX);
        }
        let gaps: Vec<Value> = Answer::of(self.gaps.clone().into()).read()?;
        for gap in gaps.iter().take(TOLD_MAX) {
            let _ = writeln!(
                text,
                "request {}: the record {} is not there any more, or cannot be read",
                words::plain(&gap["request"]),
                words::short(&words::plain(&gap["record"]), 13)
            );
        }
        let count =
            |number: u64, what: &str| words::count(usize::try_from(number).unwrap_or(usize::MAX), what);
        let made = format!(
            "{} made again, {}",
            count(self.decisions, "decision"),
            count(self.evaluations, "evaluation")
        );
        if self.is_good() && self.not_compared == 0 {
            let _ = writeln!(text, "{made}: all the same");
        } else {
            let _ = writeln!(
                text,
                "{made}: {} the same, {} differ, {} not compared, {} without a component, {} without a record",
                self.same, self.differs, self.not_compared, self.missing, self.gap_count
            );
        }
        if self.other_engine > 0 {
            let _ = writeln!(
                text,
                "fuel was not compared for {} of them: they were made by another engine",
                self.other_engine
            );
        }
        Ok(text)
    }
}

/// One decision, made again; `whole` tells what is the same as well.
fn replayed(decision: &Decision, whole: bool) -> String {
    let mut text = format!(
        "{}  request {}  decision {}: {}\n",
        words::time(decision.at),
        decision.request,
        words::short(&decision.record, 13),
        decision.result.replace('-', " ")
    );
    for difference in &decision.differences {
        told(&mut text, difference);
    }
    for opinion in decision.opinions.iter().filter(|one| whole || one.result != "same") {
        let version = opinion.version.as_deref().map_or("no version".to_owned(), |one| words::short(one, 13));
        let result = match &opinion.why {
            Some(why) => format!("{}, {why}", opinion.result.replace('-', " ")),
            None => opinion.result.clone(),
        };
        let _ = writeln!(text, "  rule {}, policy {} ({version}): {result}", opinion.rule, opinion.policy);
        if whole {
            let _ = writeln!(text, "    it {}, with {} fuel", opinion.said, opinion.fuel_recorded);
        }
        for difference in &opinion.differences {
            told(&mut text, difference);
        }
    }
    if whole && !decision.same_engine {
        text.push_str("  fuel was not compared: it was made by another engine\n");
    }
    text
}

fn told(text: &mut String, difference: &Difference) {
    let value = |value: &Value| words::short(&words::plain(value), 400);
    let _ = writeln!(text, "    {}", difference.part);
    let _ = writeln!(text, "      recorded  {}", value(&difference.recorded));
    let _ = writeln!(text, "      now       {}", value(&difference.replayed));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(listed: &[Value], gaps: &[Value]) -> Total {
        let raw = json!({
            "decisions": 3, "evaluations": 5, "same": 2, "other_engine": 1, "next": null,
            "listed": listed, "gaps": gaps,
        });
        let mut total = Total::default();
        total.add(&serde_json::from_value(raw.clone()).unwrap(), &raw);
        total
    }

    fn differing() -> Value {
        json!({
            "seq": 7, "request": "r1", "at": "2026-03-02T10:00:00Z", "record": "ab".repeat(32),
            "result": "differs", "same_engine": true, "differences": [],
            "opinions": [{
                "rule": "prod", "policy": "quorum", "version": "cd".repeat(32), "result": "differs",
                "differences": [{"part": "outcome", "recorded": {"kind": "wait"}, "replayed": {"kind": "approve"}}],
                "why": null, "said": "waits\u{1b}[31m", "fuel_recorded": 5, "fuel_replayed": 6,
            }],
        })
    }

    #[test]
    fn p4_what_differs_is_told_with_both_values_and_ends_with_one() {
        let total = page(&[differing()], &[]);
        let text = total.text().unwrap();
        assert!(
            text.contains("request r1") && text.contains("policy quorum (cdcdcdcdcdcd…): differs"),
            "{text}"
        );
        assert!(
            text.contains(r#"recorded  {"kind":"wait"}"#) && text.contains(r#"now       {"kind":"approve"}"#)
        );
        assert!(text.contains("2 the same, 1 differ") && !total.is_good());
        assert!(text.contains("fuel was not compared for 1 of them"));
    }

    #[test]
    fn a_missing_record_is_no_agreement() {
        let gap = json!({"seq": 1, "request": "r2", "at": "2026-03-02T10:00:00Z", "record": "ef".repeat(32)});
        let total = page(&[], &[gap]);
        assert!(!total.is_good());
        assert!(total.text().unwrap().contains("request r2: the record efefefefefef…"));
    }

    #[test]
    fn a_digest_and_a_request_are_told_apart() {
        assert!(matches!(which(&"0a".repeat(32)), Ok(Which::Record(_))));
        assert!(matches!(which("7k2m"), Ok(Which::Request(_))));
        assert!(which("a b").is_err());
    }
}
