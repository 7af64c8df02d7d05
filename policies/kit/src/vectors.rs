//! Vector files: what a policy must say, case by case, in YAML.
//!
//! One file serves everybody: `cargo test` runs it natively ([`passes`]), `quorate
//! policy test` runs it on the component, and a component that carries its vectors is
//! only loaded by a gateway where they pass.
//!
//! ```yaml
//! people:
//!   ann: [dev]
//!   bob: [dba]
//! config: {groups: [dba]}
//! cases:
//!   - name: one approval is enough
//!     requester: ann
//!     duration: 2h
//!     steps:
//!       - expect: {outcome: wait, missing: [[{groups: [dba]}]]}
//!       - approve: bob
//!       - expect: approve
//! ```
//!
//! Not here: how a component is called; whoever runs the cases brings a [`Policy`].

mod case;
mod expect;
mod file;
mod span;
pub mod story;
pub mod update;
mod yaml;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;

use crate::{Finding, Input, Verdict};
use case::{Happens, Scene};
use story::{asked, in_words, plain, voted};

pub use expect::{Difference, Expect, Maybe, Missing, People, Said};
pub(crate) use file::documents;
pub use file::{BadFile, Case, Command, File, Past, Person, Resource, Step};
pub use span::Span;

/// What is tried.
pub trait Policy {
    /// What it says, or the text of its fault.
    fn evaluate(&mut self, config: &str, input: &Input) -> Result<Verdict, String>;
    /// What it has against `config`, or the text of its fault.
    fn check(&mut self, config: &str) -> Result<Vec<Finding>, String>;
    /// Why no rule can have `config`. Whoever knows the policy's schema asks that first.
    fn refusals(&mut self, config: &str) -> Vec<Finding> {
        let found = self.check(config).unwrap_or_default();
        found.into_iter().filter(|finding| !finding.is_warning()).collect()
    }
}

/// One case that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Its name; for the row of a table, both names.
    pub name: String,
    /// How often the policy was asked.
    pub evaluations: usize,
    /// Nothing, or where it went otherwise.
    pub result: Result<(), Failure>,
}

/// Where a case went otherwise. Shown, it reads like a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened until then, a sentence each.
    pub story: Vec<String>,
    /// What is not as expected.
    pub differences: Vec<Difference>,
    /// Where in the file it is expected.
    pub place: Place,
}

/// Where in a file something is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The how-manieth case, from 0.
    pub case: usize,
    /// The how-manieth row of its table.
    pub row: Option<usize>,
    /// Where in that.
    pub at: At,
}

/// Where in a case something is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    /// Nowhere: the config is one that no rule can have.
    Config,
    /// Of the config: `check`.
    Check,
    /// In the how-manieth step, from 0.
    Step(usize),
    /// In the end: its `expect`.
    End,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sentence in &self.story {
            writeln!(f, "  {sentence}")?;
        }
        for Difference { what, expected, got, .. } in &self.differences {
            writeln!(f, "    {what}")?;
            writeln!(f, "    - expected  {expected}")?;
            writeln!(f, "    + got       {got}")?;
        }
        Ok(())
    }
}

/// Tries every case of `file`, in order.
///
/// # Errors
/// Where the file does not fit together: somebody unknown votes, a case expects
/// nothing, ...
pub fn run(file: &File, policy: &mut dyn Policy) -> Result<Vec<Tried>, BadFile> {
    Ok(case::scenes(file)?.into_iter().map(|scene| try_scene(scene, policy)).collect())
}

/// Every input that the cases of `file` put to a policy, with its config: for
/// benchmarks and comparisons.
///
/// # Errors
/// As [`run`].
pub fn inputs(file: &File) -> Result<Vec<(String, Input)>, BadFile> {
    struct Record(Vec<(String, Input)>);
    impl Policy for Record {
        fn evaluate(&mut self, config: &str, input: &Input) -> Result<Verdict, String> {
            self.0.push((config.to_owned(), input.clone()));
            Ok(Verdict::abstain())
        }
        fn check(&mut self, _: &str) -> Result<Vec<Finding>, String> {
            Ok(Vec::new())
        }
    }
    let mut record = Record(Vec::new());
    for mut scene in case::scenes(file)? {
        for one in &mut scene.happens {
            if let Happens::Expect(expect, _) = one {
                *expect = Expect::default();
            }
        }
        try_scene(scene, &mut record);
    }
    Ok(record.0)
}

fn try_scene(scene: Scene, policy: &mut dyn Policy) -> Tried {
    let Scene { name, case, row, config, mut input, happens, check } = scene;
    let mut evaluations = 0;
    let mut story = Vec::new();
    let failed = |story, differences, at| Err(Failure { story, differences, place: Place { case, row, at } });
    if let Some(expected) = &check {
        evaluations += 1;
        story.push(format!("the config is {}", plain(&config)));
        if let Some(difference) = expect::codes(expected, policy.check(&config)) {
            return Tried { name, evaluations, result: failed(story, vec![difference], At::Check) };
        }
    }
    if expect::is_for_rules(check.as_deref(), &happens) {
        let differences = expect::refused(&policy.refusals(&config));
        if !differences.is_empty() {
            let story = vec![format!("the config is {}", plain(&config))];
            return Tried { name, evaluations, result: failed(story, differences, At::Config) };
        }
    }
    story.push(asked(&input));
    for one in happens {
        match one {
            Happens::Vote { voter, choice, forced, comment } => {
                story.push(voted(&voter.id, choice, forced, &comment));
                case::cast(&mut input, &voter, choice, forced, &comment);
            }
            Happens::After(span) => {
                story.push(format!("{span} go by"));
                input.now = input.now.saturating_add(span.milliseconds());
            }
            Happens::Expect(expect, at) => {
                evaluations += 1;
                let answer = policy.evaluate(&config, &input);
                let differences = expect.differences(&answer, input.now);
                if !differences.is_empty() {
                    story.push(format!("the policy says {}", in_words(&answer)));
                    return Tried { name, evaluations, result: failed(story, differences, at) };
                }
            }
        }
    }
    Tried { name, evaluations, result: Ok(()) }
}

/// Runs the cases in `text` natively, for `cargo test`.
///
/// ```no_run
/// # #[derive(serde::Deserialize)] struct Config {}
/// # fn evaluate(_: &Config, _: &quorate_kit::Input) -> quorate_kit::Verdict { quorate_kit::Verdict::abstain() }
/// # fn check(_: &Config) -> Vec<quorate_kit::Finding> { Vec::new() }
/// # mod include { pub const VECTORS: &str = ""; }
/// quorate_kit::vectors::passes(include::VECTORS, evaluate, check);
/// ```
///
/// # Panics
/// Where a case goes otherwise, with its story; or the file cannot be used.
#[allow(clippy::panic, reason = "a test ends where a case goes otherwise")]
pub fn passes<C: DeserializeOwned>(
    text: &str,
    evaluate: fn(&C, &Input) -> Verdict,
    check: fn(&C) -> Vec<Finding>,
) {
    let mut native = Native { evaluate, check };
    let tried = File::parse_strictly(text)
        .and_then(|files| files.iter().map(|file| run(file, &mut native)).collect::<Result<Vec<_>, _>>())
        .unwrap_or_else(|error| panic!("the vectors cannot be used: {error}"));
    let failed: Vec<String> = tried
        .iter()
        .flatten()
        .filter_map(|one| one.result.as_ref().err().map(|failure| format!("{}\n{failure}", one.name)))
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {} cases fail\n\n{}",
        failed.len(),
        tried.concat().len(),
        failed.join("\n")
    );
}

/// An author's functions, as they are.
struct Native<C> {
    evaluate: fn(&C, &Input) -> Verdict,
    check: fn(&C) -> Vec<Finding>,
}

impl<C: DeserializeOwned> Policy for Native<C> {
    fn evaluate(&mut self, config: &str, input: &Input) -> Result<Verdict, String> {
        let (config, input, evaluate) = (config.to_owned(), input.clone(), self.evaluate);
        caught(move || crate::__glue::evaluate(config, input, evaluate))
    }

    fn check(&mut self, config: &str) -> Result<Vec<Finding>, String> {
        caught(|| crate::__glue::check(config, self.check))
    }
}

fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        text.unwrap_or("it panicked").to_owned()
    })
}

#[cfg(test)]
mod tests;
