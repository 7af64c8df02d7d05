//! `quorate policy diff`: where two policies say different things. No gateway is needed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use quorate_kit::properties::World;
use quorate_kit::vectors::{self, File, Policy as _, story};
use quorate_kit::{Finding, Input, Verdict};
use quorate_policy::Policy;
use quorate_policy::vectors::Component;
use serde_json::{Value, json};

use super::component;
use crate::cli::Context;
use crate::cli::exit::{Ending, Failure, NOT_HELD};
use crate::cli::words::{self, Paint};

/// Stories told of one kind of difference, unless more are asked for.
const TOLD: usize = 3;

/// What to compare.
#[derive(Debug, Args)]
#[command(after_help = "\
Put to both: every question of the vector files, and every state of the worlds (see `quorate policy
check --help`). For what was decided on a gateway, see `quorate policy backtest`.

Examples:
  quorate policy diff old.wasm new.wasm --vectors vectors/ --world worlds/small.yaml")]
pub(in crate::cli) struct Diff {
    /// A component, or the folder of a policy project, which is built first
    before: PathBuf,
    /// Another
    after: PathBuf,
    /// Vector files, or folders of them; else those that the two carry
    #[arg(long, value_name = "FILE")]
    vectors: Vec<PathBuf>,
    /// World files, or folders of them
    #[arg(long, value_name = "FILE")]
    world: Vec<PathBuf>,
    /// How many stories are told of each kind of difference
    #[arg(long, default_value_t = TOLD)]
    stories: usize,
}

/// One question with two answers.
struct Difference {
    story: Vec<String>,
    votes: usize,
    before: String,
    after: String,
    parts: Vec<&'static str>,
}

/// All that was asked, and where the answers differ.
#[derive(Default)]
struct Compared {
    asked: usize,
    /// By what was said before and after.
    differences: BTreeMap<(String, String), Vec<Difference>>,
}

impl Diff {
    /// Runs the verb. Ends with 1 where they differ.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let before = component::of(context, &self.before).await?;
        let after = component::of(context, &self.after).await?;
        let mut files = component::vector_files(&self.vectors)?;
        let worlds = component::vector_files(&self.world)?;
        if files.is_empty() && worlds.is_empty() {
            files = [before.vectors, after.vectors].concat();
        }
        if files.is_empty() && worlds.is_empty() {
            return Err(Failure::usage("there is nothing to ask them: give --vectors, --world or both"));
        }
        let stories = self.stories;
        let compared = tokio::task::spawn_blocking(move || {
            let (before, after) = (super::loaded(&before.bytes)?, super::loaded(&after.bytes)?);
            compare(&before, &after, &files, &worlds)
        });
        let compared = compared.await.map_err(|error| Failure::failed(error.to_string()))??;
        let differ = !compared.differences.is_empty();
        context.screen.result(&compared.as_json(), || compared.in_words(stories, context.screen.out))?;
        Ok(if differ { NOT_HELD } else { 0 })
    }
}

fn compare(
    before: &Policy,
    after: &Policy,
    files: &[(String, String)],
    worlds: &[(String, String)],
) -> Result<Compared, Failure> {
    let mut both = Both { before: Component(before), after: Component(after), compared: Compared::default() };
    for (file, text) in files {
        let refused = |error| Failure::usage(format!("`{file}`: {error}"));
        for part in File::parse(text).map_err(refused)? {
            for (config, input) in vectors::inputs(&part).map_err(refused)? {
                let _ = both.evaluate(&config, &input);
            }
        }
    }
    for (file, text) in worlds {
        let refused = |error| Failure::usage(format!("`{file}`: {error}"));
        for world in World::parse(text).map_err(refused)? {
            quorate_kit::properties::look(&world, &mut both).map_err(refused)?;
        }
    }
    let mut compared = both.compared;
    for all in compared.differences.values_mut() {
        all.sort_by_key(|one| (one.votes, one.story.len()));
    }
    Ok(compared)
}

/// Two policies that are asked the same; the first one's answer counts.
struct Both<'a> {
    before: Component<'a>,
    after: Component<'a>,
    compared: Compared,
}

impl vectors::Policy for Both<'_> {
    fn evaluate(&mut self, config: &str, input: &Input) -> Result<Verdict, String> {
        let (before, after) = (self.before.evaluate(config, input), self.after.evaluate(config, input));
        self.compared.asked += 1;
        let parts = parts(&before, &after);
        if !parts.is_empty() {
            let said = |answer| vectors::Said::of(answer).to_string();
            let difference = Difference {
                story: story::of(config, input),
                votes: input.votes.len(),
                before: story::in_words(&before),
                after: story::in_words(&after),
                parts,
            };
            self.compared.differences.entry((said(&before), said(&after))).or_default().push(difference);
        }
        before
    }

    fn check(&mut self, config: &str) -> Result<Vec<Finding>, String> {
        self.before.check(config)
    }
}

/// The parts of two answers that are not the same.
fn parts(before: &Result<Verdict, String>, after: &Result<Verdict, String>) -> Vec<&'static str> {
    let (Ok(one), Ok(other)) = (before, after) else {
        // Two faults are no agreement either.
        return vec!["fault"];
    };
    let same = [
        ("outcome", one.outcome == other.outcome),
        ("max_duration", one.max_duration == other.max_duration),
        ("voters", one.voters == other.voters),
        ("forcers", one.forcers == other.forcers),
        ("revisit_at", one.revisit_at == other.revisit_at),
        ("findings", one.findings == other.findings),
        ("obligations", one.obligations == other.obligations),
        ("attributes", one.attributes == other.attributes),
    ];
    same.into_iter().filter(|(_, same)| !same).map(|(part, _)| part).collect()
}

impl Compared {
    fn in_words(&self, stories: usize, paint: Paint) -> String {
        let mut text = String::new();
        for ((before, after), all) in &self.differences {
            let kind = if before == after {
                format!("{before}, in other words")
            } else {
                format!("{before} → {after}")
            };
            let _ = writeln!(text, "{}: {}", paint.yellow(&kind), words::count(all.len(), "time"));
            for one in all.iter().take(stories) {
                for sentence in &one.story {
                    let _ = writeln!(text, "    {}", words::clean(sentence));
                }
                let _ = writeln!(text, "    {}", paint.red(&format!("- {}", words::clean(&one.before))));
                let after = format!("+ {} ({})", words::clean(&one.after), one.parts.join(", "));
                let _ = writeln!(text, "    {}\n", paint.green(&after));
            }
        }
        let differ: usize = self.differences.values().map(Vec::len).sum();
        let _ = writeln!(text, "{}: {} answered otherwise", words::count(self.asked, "question"), differ);
        text
    }

    fn as_json(&self) -> Value {
        let one = |one: &Difference| json!({"story": one.story, "votes": one.votes, "before": one.before, "after": one.after, "parts": one.parts});
        let groups = self.differences.iter().map(|((before, after), all)| {
            json!({
                "before": before, "after": after, "count": all.len(),
                "differences": all.iter().map(one).collect::<Vec<_>>(),
            })
        });
        json!({"asked": self.asked, "groups": groups.collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORLD: &str = "people: {ann: [dev], bob: [dba], sam: [security]}\nrequesters: [ann]\n\
                         configs: [{groups: [dba, security], approvals: 2}]\nvotes: 2\n";

    fn policy(name: &str) -> Policy {
        let mut all = quorate_bundle::BUILT_IN.iter().chain(quorate_bundle::EXAMPLES);
        crate::cli::policy::loaded(all.find(|one| one.name == name).unwrap().component).unwrap()
    }

    fn compared(before: &str, after: &str) -> Compared {
        let worlds = [("small.yaml".to_owned(), WORLD.to_owned())];
        compare(&policy(before), &policy(after), &[], &worlds).unwrap()
    }

    #[test]
    fn a_policy_does_not_differ_from_itself() {
        let compared = compared("group-quorum", "group-quorum");
        assert_eq!((compared.asked, compared.differences.len()), (1 + 6 + 18, 0));
    }

    #[test]
    fn differences_are_grouped_and_the_smallest_comes_first() {
        let compared = compared("group-quorum", "four-eyes");
        let text = compared.in_words(1, Paint(false));
        assert!(
            text.contains("wait, in other words") && text.contains("1 more with a comment")
                || text.contains("25 questions"),
            "{text}"
        );
        let waits = &compared.differences[&("wait".to_owned(), "wait".to_owned())];
        assert_eq!(waits[0].votes, 0);
        assert!(waits.windows(2).all(|pair| pair[0].votes <= pair[1].votes));
    }

    #[test]
    fn two_faults_are_no_agreement() {
        assert_eq!(parts(&Err("x".to_owned()), &Err("x".to_owned())), ["fault"]);
        assert_eq!(parts(&Ok(Verdict::abstain()), &Ok(Verdict::abstain())), [""; 0]);
        assert_eq!(parts(&Ok(Verdict::abstain()), &Ok(Verdict::approve())), ["outcome"]);
    }
}
