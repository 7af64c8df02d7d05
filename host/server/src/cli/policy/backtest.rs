//! `quorate policy backtest`: what a candidate would have decided, over everything that
//! was decided.
//!
//! The gateway answers page by page; here they are added up, written down after each
//! page so that an interrupted run goes on where it was, and shown.

mod picture;
mod report;
mod tally;
mod text;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use quorate_core::backtest::Change;
use quorate_core::ids::{Digest, PolicyName, RuleName};
use serde_json::Value;

use self::tally::{Page, Run, Saved};
pub(super) use self::text::TITLES;
use super::candidate::Candidate;
use crate::cli::Context;
use crate::cli::bar::Bar;
use crate::cli::client::{Gateway, Query};
use crate::cli::exit::{Ending, Exit, Failure, NOT_HELD};
use crate::cli::since::Since;
use crate::cli::wait::Interrupt;
use crate::cli::words;

/// Try a candidate on every recorded decision
///
/// Every decision in which the policy took part is made again with the candidate in its
/// place: same input, same config, and what other policies said stays. Nothing follows from
/// it, and the ledger does not hear of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate policy backtest four-eyes.wasm --policy group-quorum
  quorate policy backtest group-quorum@3f9a0c21 --since 90d --html report.html
  quorate policy backtest new.wasm --policy group-quorum --rule prod --json
  quorate policy backtest new.wasm --policy group-quorum --fail-on longer    # exit code 1: it lets in, or for longer
  quorate policy backtest new.wasm --policy group-quorum --resume    # after Ctrl-C

Those that would newly let somebody in come first, one by one. Where records of decisions are
missing it refuses: what is not there cannot be tried.")]
pub(crate) struct Backtest {
    /// The candidate: a component, or a version that the gateway has
    #[arg(value_name = "FILE|NAME@DIGEST")]
    candidate: String,
    /// In whose place [default: the file's name, or NAME]
    #[arg(long)]
    policy: Option<PolicyName>,
    /// Under this rule only
    #[arg(long)]
    rule: Option<RuleName>,
    /// Only decisions made since then: 90d, 12h, or a time
    #[arg(long, value_name = "SPAN|TIME")]
    since: Option<Since>,
    /// Write the whole result to this file as JSON; `--json` alone prints it
    #[arg(long, value_name = "FILE")]
    json_file: Option<PathBuf>,
    /// Write a report to this file: one page that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Go on where a run of the same was interrupted
    #[arg(long)]
    resume: bool,
    /// Go on although records of decisions are missing
    #[arg(long)]
    allow_gaps: bool,
    /// End with 1 where a decision would change like this, or worse
    #[arg(long, value_name = "CHANGE")]
    fail_on: Option<FailOn>,
}

/// Which changes should not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Somebody would newly be let in
    LetsIn,
    /// Or be in for longer
    Longer,
    /// Or it would be any other decision, or none because the candidate faults or refuses the config
    Any,
}

impl FailOn {
    fn refuses(self, change: Change) -> bool {
        match self {
            Self::LetsIn => change == Change::LetsIn,
            Self::Longer => matches!(change, Change::LetsIn | Change::Longer),
            Self::Any => change != Change::Same,
        }
    }

    /// How many decisions change like this.
    fn count(self, run: &Run) -> u64 {
        let changes = Change::ALL.into_iter().filter(|change| self.refuses(*change));
        changes.map(|change| run.changed(change.as_str())).sum()
    }
}

impl Backtest {
    /// Runs the verb.
    pub(crate) async fn run(self, context: &Context) -> Ending {
        let gateway = context.gateway()?;
        let candidate = Candidate::of(&self.candidate, self.policy.as_ref())?;
        for file in [&self.json_file, &self.html].into_iter().flatten() {
            // Known before a long run, not after it.
            check_writable(file)?;
        }
        let mut interrupt = Interrupt::listen()?;
        check_policy(&gateway, &candidate.policy).await?;
        candidate.offer(&gateway).await?;
        let store = Store::of(context, &self, &candidate, gateway.address());
        let mut run = match store.load(self.resume) {
            Some(saved) => {
                context.screen.say(&format!("going on after {} decisions", words::grouped(saved.run.done())));
                saved
            }
            None => self.begin(context, &gateway, &candidate).await?,
        };
        self.refuse_gaps(&run.run)?;
        let ended = self.pages(context, &gateway, &candidate, &mut run, &store, &mut interrupt).await;
        if let Err(failure) = ended {
            if run.run.done() > 0 && failure.exit != Exit::Usage && store.save(&run).is_ok() {
                let message = format!("{}; the same command with --resume goes on here", failure.message);
                return Err(Failure { message, ..failure });
            }
            return Err(failure);
        }
        run.run.sort();
        self.show(context, &run.run)?;
        store.forget();
        let bad = self.fail_on.map_or(0, |fail_on| fail_on.count(&run.run));
        if bad == 0 {
            return Ok(0);
        }
        context
            .screen
            .say(&format!("{} decisions change in a way that --fail-on refuses", words::grouped(bad)));
        Ok(NOT_HELD)
    }

    async fn begin(
        &self,
        context: &Context,
        gateway: &Gateway,
        candidate: &Candidate,
    ) -> Result<Saved, Failure> {
        let since = self.since.as_ref().map(|since| since.at(context.clock.now()));
        let mut query: Query<'_> = vec![("policy", candidate.policy.to_string())];
        query.extend(self.rule.as_ref().map(|rule| ("rule", rule.to_string())));
        query.extend(since.map(|since| ("since", since.to_string())));
        let history = gateway.get(&["decisions"], query).await?;
        // A rule that was removed has decisions all the same.
        if let Some(rule) = &self.rule
            && history.raw().get("decisions") == Some(&Value::from(0))
            && gateway.find(&["rules", rule.as_str()]).await?.is_none()
        {
            let (rules, _) = gateway.list(&["rules"], Vec::new(), NAMES_MAX).await?;
            let near = did_you_mean(rule.as_str(), &rules);
            return Err(Failure::usage(format!(
                "there is no rule `{rule}`, and none has decided anything{near}"
            )));
        }
        let number = |name: &str| history.raw().get(name).and_then(Value::as_u64).unwrap_or(0);
        let run = Run {
            candidate: candidate.digest.clone(),
            policy: candidate.policy.to_string(),
            rule: self.rule.as_ref().map(ToString::to_string),
            since,
            until: context.clock.now(),
            total: number("decisions"),
            missing: number("missing"),
            ..Run::default()
        };
        Ok(Saved { run, after: 0, head: number("head") })
    }

    fn refuse_gaps(&self, run: &Run) -> Result<(), Failure> {
        let missing = run.missing.max(run.gap_count);
        if missing == 0 || self.allow_gaps {
            return Ok(());
        }
        let first = run.gaps.first().map(|gap| format!(" (the first is about request {})", gap.request));
        Err(Failure::failed(format!(
            "the history is not complete: {} of {} decisions in which policy {} took part have no record that can be read{}; \
             --allow-gaps leaves them out",
            words::grouped(missing),
            words::grouped(run.total),
            run.policy,
            first.unwrap_or_default()
        )))
    }

    async fn pages(
        &self,
        context: &Context,
        gateway: &Gateway,
        candidate: &Candidate,
        saved: &mut Saved,
        store: &Store,
        interrupt: &mut Interrupt,
    ) -> Result<(), Failure> {
        let bar = Bar::start(&context.screen, saved.run.done(), saved.run.total);
        loop {
            let page: Page = tokio::select! {
                page = candidate.page(gateway, saved) => page?,
                () = interrupt.pressed() => {
                    let (done, total) = (saved.run.done(), saved.run.total);
                    let message = format!("interrupted after {done} of {total} decisions");
                    return Err(Failure::new(Exit::Cancelled, message));
                }
            };
            let next = page.next.filter(|next| *next > saved.after);
            saved.run.add(page);
            bar.set(saved.run.done(), format!("{} let in", words::grouped(saved.run.changed("lets-in"))));
            self.refuse_gaps(&saved.run)?;
            let Some(next) = next else { return Ok(()) };
            saved.after = next;
            // A program that is killed goes on from here too.
            let _ = store.save(saved);
        }
    }

    fn show(&self, context: &Context, run: &Run) -> Result<(), Failure> {
        let mut value = run.json();
        if let Some(fail_on) = self.fail_on {
            value["refused"] = Value::from(fail_on.count(run));
        }
        if let Some(file) = &self.json_file {
            write(file, &format!("{}\n", words::json_text(&value, true)))?;
        }
        if let Some(file) = &self.html {
            write(file, &report::page(run))?;
        }
        let cleaned: Run = run.cleaned()?;
        let _ = context.screen.result(&value, || text::of(&cleaned, context.screen.width));
        Ok(())
    }
}

impl Candidate {
    async fn page(&self, gateway: &Gateway, saved: &Saved) -> Result<Page, Failure> {
        let mut query: Query<'_> = vec![
            ("candidate", self.digest.clone()),
            ("after", saved.after.to_string()),
            ("until", saved.head.to_string()),
        ];
        query.extend(saved.run.rule.clone().map(|rule| ("rule", rule)));
        query.extend(saved.run.since.map(|since| ("since", since.to_string())));
        let path = ["policies", self.policy.as_str(), "backtest"];
        let answer = match gateway.get(&path, query.clone()).await {
            // It was not used for long, or the gateway was started again.
            Err(failure) if failure.code() == Some("not-found") && self.bytes.is_some() => {
                self.offer(gateway).await?;
                gateway.get(&path, query).await?
            }
            answer => answer?,
        };
        // As it came: what is shown is cleaned when it is shown.
        serde_json::from_value(answer.raw().clone()).map_err(|error| {
            Failure::failed(format!(
                "the gateway's answer is not understood ({error}): is this program as new as the gateway?"
            ))
        })
    }
}

/// How many names are looked through for the one that was meant.
const NAMES_MAX: usize = 1000;

/// Refuses a policy that the gateway does not have.
async fn check_policy(gateway: &Gateway, policy: &PolicyName) -> Result<(), Failure> {
    if gateway.find(&["policies", policy.as_str()]).await?.is_some() {
        return Ok(());
    }
    let (policies, _) = gateway.list(&["policies"], Vec::new(), NAMES_MAX).await?;
    let near = did_you_mean(policy.as_str(), &policies);
    let message =
        format!("there is no policy `{policy}`{near}: say with --policy in whose place it is to be tried");
    Err(Failure::new(Exit::Refused, message))
}

/// The name among `things` that was probably meant, as a question.
fn did_you_mean(given: &str, things: &[Value]) -> String {
    let names: Vec<&str> = things.iter().filter_map(|thing| thing.get("name")?.as_str()).collect();
    words::nearest(given, &names)
        .map_or_else(String::new, |name| format!("; did you mean `{}`?", words::clean(name)))
}

/// Where an interrupted run is written down.
struct Store(Option<PathBuf>);

impl Store {
    /// One file for each candidate, filter and gateway.
    fn of(context: &Context, asked: &Backtest, candidate: &Candidate, address: &str) -> Self {
        let since = asked.since.as_ref().map_or("", |since| &since.typed);
        let rule = asked.rule.as_ref().map_or("", RuleName::as_str);
        let parts = [address, candidate.policy.as_str(), &candidate.digest, rule, since];
        let name = Digest::of_parts(parts.map(str::as_bytes)).short();
        let folder = context.environment.cache_folder();
        Self(folder.map(|folder| folder.join("backtest").join(format!("{name}.json"))))
    }

    fn load(&self, wanted: bool) -> Option<Saved> {
        let bytes = std::fs::read(self.0.as_ref().filter(|_| wanted)?).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn save(&self, saved: &Saved) -> std::io::Result<()> {
        let Some(file) = &self.0 else {
            return Err(std::io::Error::other("there is no folder to keep it in"));
        };
        let folder = file.parent().unwrap_or(Path::new("."));
        let mut make = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(make.recursive(true), 0o700).create(folder)?;
        let bytes = serde_json::to_vec(saved)?;
        // Replaced all at once, and readable by nobody else: it says who asked for what.
        let new = tempfile::NamedTempFile::new_in(folder)?;
        std::fs::write(new.path(), bytes)?;
        new.persist(file).map_err(|error| error.error)?;
        Ok(())
    }

    fn forget(&self) {
        if let Some(file) = &self.0 {
            let _ = std::fs::remove_file(file);
        }
    }
}

fn check_writable(file: &Path) -> Result<(), Failure> {
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .map(drop)
        .map_err(|error| Failure::usage(format!("`{}` cannot be written: {error}", file.display())))
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text)
        .map_err(|error| Failure::failed(format!("`{}` cannot be written: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::tally::Cell;
    use super::*;

    #[test]
    fn each_gate_refuses_what_the_one_before_does_and_more() {
        let cell = |change: Change, count| Cell {
            live: "waiting".into(),
            candidate: "approved".into(),
            change: change.as_str().into(),
            count,
        };
        let table = Change::ALL.into_iter().zip(1..).map(|(change, nth)| cell(change, nth)).collect();
        let run = Run { table, ..Run::default() };
        let all: u64 = Change::ALL
            .iter()
            .filter(|change| **change != Change::Same)
            .map(|change| run.changed(change.as_str()))
            .sum();
        let (lets_in, longer) = (run.changed("lets-in"), run.changed("longer"));
        let counts = [FailOn::LetsIn, FailOn::Longer, FailOn::Any].map(|gate| gate.count(&run));
        assert_eq!(counts, [lets_in, lets_in + longer, all]);
        assert!(run.changed("fault") > 0 && lets_in > 0);
        let only_same = Run { table: vec![cell(Change::Same, 9)], ..Run::default() };
        assert_eq!(FailOn::Any.count(&only_same), 0);
    }

    #[test]
    fn the_name_that_was_meant_is_asked_for_without_what_steers() {
        let things = [json!({"name": "group-quorum\u{1b}[2J"}), json!({"name": "bypass"})];
        assert_eq!(did_you_mean("group-quorm", &things), "; did you mean `group-quorum[2J`?");
        assert_eq!(did_you_mean("zzz", &things), "");
    }
}
