//! `quorate policy diff`: where two policies say different things. No gateway is needed.

mod decisions;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use quorate_core::ids::PolicyName;
use quorate_kit::properties::World;
use quorate_kit::vectors::{self, File, Policy as _, story};
use quorate_kit::{Finding, Input, Verdict};
use quorate_policy::Policy;
use quorate_policy::vectors::Component;
use serde_json::{Value, json};

use self::decisions::Decisions;
use super::component;
use crate::cli::Context;
use crate::cli::exit::{Ending, Failure, NOT_HELD};
use crate::cli::words::{self, Paint};

/// Stories told of one kind of difference, unless more are asked for.
const TOLD: usize = 3;

/// What to compare.
#[derive(Debug, Args)]
#[command(after_help = "\
Put to both: every question of the vector files, every state of the worlds (see `quorate policy check
--help`), and every recorded decision, in which each of the two is put in the place of a policy while
what the others said stays. `quorate policy backtest` does that on the gateway itself.

Examples:
  quorate policy diff old.wasm new.wasm --vectors vectors/ --world worlds/small.yaml
  quorate decisions export --since 90d -o decisions.jsonl
  quorate policy diff old.wasm new.wasm --decisions decisions.jsonl --policy group-quorum

Exit codes: 0 they say the same, 1 they differ, or one does not answer.")]
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
    /// Recorded decisions, as `quorate decisions export` writes them
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// In whose place the two are put in recorded decisions; else the only policy there
    #[arg(long, value_name = "NAME", requires = "decisions")]
    policy: Option<PolicyName>,
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
        if files.is_empty() && worlds.is_empty() && self.decisions.is_none() {
            files = [before.vectors, after.vectors].concat();
            if files.is_empty() {
                return Err(Failure::usage(
                    "there is nothing to ask them: give --vectors, --world or --decisions",
                ));
            }
        }
        let Self { stories, decisions, policy, .. } = self;
        let compared = tokio::task::spawn_blocking(move || {
            let (before, after) = (super::loaded(&before.bytes)?, super::loaded(&after.bytes)?);
            let decisions = decisions.as_deref().map(|file| Decisions::of(file, policy)).transpose()?;
            let compared = compare(&before, &after, &files, &worlds)?;
            let decided = decisions.map(|decisions| decisions.compare(&before, &after)).transpose()?;
            Ok::<_, Failure>((compared, decided))
        });
        let (compared, decided) = compared.await.map_err(|error| Failure::failed(error.to_string()))??;
        let differ = !compared.differences.is_empty()
            || decided.as_ref().is_some_and(|decided| !decided.differences.is_empty());
        let mut value = compared.as_json();
        value["decisions"] = decided.as_ref().map(Compared::as_json).into();
        context.screen.result(&value, || {
            let paint = context.screen.out;
            let mut text = String::new();
            if compared.asked > 0 || decided.is_none() {
                text.push_str(&compared.in_words("question", stories, paint));
            }
            if let Some(decided) = &decided {
                text.push_str(&decided.in_words("recorded answer", stories, paint));
            }
            text
        })?;
        Ok(if differ { NOT_HELD } else { 0 })
    }
}

fn compare(
    before: &Policy,
    after: &Policy,
    files: &[(String, String)],
    worlds: &[(String, String)],
) -> Result<Compared, Failure> {
    let (before, after) = (Component::new(before), Component::new(after));
    let mut both = Both { before, after, is_world: false, compared: Compared::default() };
    // Two components often carry the same cases, and a case asks again what another has asked.
    let mut asked = HashSet::new();
    for (file, part) in component::documents(files, File::parse_strictly)? {
        for (config, input) in vectors::inputs(&part).map_err(|error| component::refused(file, error))? {
            if asked.insert(format!("{config} {input:?}")) {
                let _ = both.evaluate(&config, &input);
            }
        }
    }
    both.is_world = true;
    for (file, mut world) in component::documents(worlds, World::parse)? {
        // What must hold is for `check`.
        world.properties.own.clear();
        let found = quorate_kit::properties::look(&world, &mut both);
        found.map_err(|error| component::refused(file, error))?;
    }
    let mut compared = both.compared;
    compared.sort();
    Ok(compared)
}

/// Two policies that are asked the same; the first one's answer counts.
struct Both<'a> {
    before: Component<'a>,
    after: Component<'a>,
    /// Whether what is asked is made up of a world.
    is_world: bool,
    compared: Compared,
}

impl vectors::Policy for Both<'_> {
    fn evaluate(&mut self, config: &str, input: &Input) -> Result<Verdict, String> {
        let (before, after) = (self.before.evaluate(config, input), self.after.evaluate(config, input));
        self.compared.asked += 1;
        let parts = parts(&before, &after);
        if !parts.is_empty() {
            let said = |answer| vectors::Said::of(answer).to_string();
            let told = if self.is_world { story::of_world } else { story::of };
            let difference = Difference {
                story: told(config, input),
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

    /// What one refuses and the other takes is a difference like any other.
    fn refusals(&mut self, _: &str) -> Vec<Finding> {
        Vec::new()
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
    /// The smallest first.
    fn sort(&mut self) {
        for all in self.differences.values_mut() {
            all.sort_by_key(|one| (one.votes, one.story.len()));
        }
    }

    fn in_words(&self, what: &str, stories: usize, paint: Paint) -> String {
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
        let _ = writeln!(text, "{}: {} answered otherwise", words::count(self.asked, what), differ);
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
        let text = compared.in_words("question", 1, Paint(false));
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
    fn what_both_carry_is_asked_once() {
        let file = "people: {ann: [dev], bob: [dba]}\nconfig: {groups: [dba]}\ncases:\n\
                    - {name: a, requester: ann, steps: [{expect: wait}, {approve: bob}, {expect: approve}]}\n\
                    - {name: b, requester: ann, expect: wait}\n";
        let carried = |name: &str| (name.to_owned(), file.to_owned());
        let quorum = policy("group-quorum");
        let both = [carried("old.wasm"), carried("new.wasm")];
        assert_eq!(compare(&quorum, &quorum, &both, &[]).unwrap().asked, 2);
    }

    #[test]
    fn a_story_of_a_world_tells_nothing_that_was_made_up() {
        let compared = compared("group-quorum", "four-eyes");
        let mut told = compared.differences.values().flatten().flat_map(|one| &one.story);
        assert!(told.all(|sentence| !sentence.contains("because")));
    }

    #[test]
    fn two_faults_are_no_agreement() {
        assert_eq!(parts(&Err("x".to_owned()), &Err("x".to_owned())), ["fault"]);
        assert_eq!(parts(&Ok(Verdict::abstain()), &Ok(Verdict::abstain())), [""; 0]);
        assert_eq!(parts(&Ok(Verdict::abstain()), &Ok(Verdict::approve())), ["outcome"]);
    }
}
