//! `quorate policy check`: properties over small worlds, with the gateway's own
//! evaluator. No gateway is needed.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use quorate_kit::properties::{Found, Property, World};
use quorate_policy::expressions::Expressions;
use quorate_policy::vectors;
use serde_json::{Value, json};

use super::component;
use crate::cli::Context;
use crate::cli::exit::{Ending, Failure, NOT_HELD};
use crate::cli::words::{self, Paint};

/// What to check.
#[derive(Debug, Args)]
#[command(after_help = "\
A world says who is there, what can be asked for and how many vote; every order of votes in it is
tried. What holds in a small world need not hold in a larger one.

  people: {ann: [dev], bob: [dba], bea: [dba], sam: [security]}
  requesters: [ann]
  configs: [{groups: [dba, security], require_all: true}]
  durations: [1h]
  votes: 3
  properties:                               # monotone, order and missing hold unless they are false
    people_min: 2
    cap: 8h
    own:                                    # expressions in CEL that are true in every state
      - {name: few-reject, holds: \"rejections == 0 || verdict.outcome != 'approve'\"}

An expression sees request, votes, approvals, rejections, config, facts, now and verdict, with the
names of the contract; policies/README.md lists them. One that fails is a counterexample.

Exit codes: 0 no counterexample found, 1 some property does not hold, 2 a file cannot be used.

Examples:
  quorate policy check                              # the project in this folder, its worlds/
  quorate policy check quorum.wasm --world small.yaml")]
pub(in crate::cli) struct Check {
    /// A component, or the folder of a policy project, which is built first
    #[arg(default_value = ".")]
    path: PathBuf,
    /// World files, or folders of them; else those in the project's `worlds`
    #[arg(long, value_name = "FILE")]
    world: Vec<PathBuf>,
}

/// One world that was looked at.
struct Report {
    file: String,
    found: Found,
    took: Duration,
}

impl Check {
    /// Runs the verb. Ends with 1 where a property does not hold.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let mut worlds = self.world;
        let project = self.path.join("worlds");
        if worlds.is_empty() && project.is_dir() {
            worlds.push(project);
        }
        let files = component::vector_files(&worlds)?;
        if files.is_empty() {
            return Err(Failure::usage(
                "there is no world to look at: write one to `worlds/` in the project, or give one with --world; \
                 `quorate policy check --help` shows how one is written",
            ));
        }
        let component = component::of(context, &self.path).await?;
        context
            .screen
            .say(&context.screen.err.dim(&format!("looking at {}", words::count(files.len(), "world file"))));
        let reports = tokio::task::spawn_blocking(move || reports(&component.bytes, &files)).await;
        let reports = reports.map_err(|error| Failure::failed(error.to_string()))??;
        let holds = reports.iter().all(|report| report.found.counterexamples.is_empty());
        context.screen.result(&as_json(&reports), || in_words(&reports, context.screen.out))?;
        Ok(if holds { 0 } else { NOT_HELD })
    }
}

fn reports(component: &[u8], files: &[(String, String)]) -> Result<Vec<Report>, Failure> {
    let policy = super::loaded(component)?;
    let mut reports = Vec::new();
    let worlds = component::documents(files, World::parse)?;
    for (file, world) in &worlds {
        Expressions::compile(&world.properties.own).map_err(|error| component::refused(file, error))?;
    }
    for (file, world) in worlds {
        let started = Instant::now();
        let found = vectors::look(&world, &policy).map_err(|error| component::refused(file, error))?;
        reports.push(Report { file: file.to_owned(), found, took: started.elapsed() });
    }
    Ok(reports)
}

fn in_words(reports: &[Report], paint: Paint) -> String {
    let mut text = String::new();
    for Report { file, found, took } in reports {
        let _ = writeln!(text, "{}", words::clean(file));
        let answers = found.counterexamples.iter().all(|one| one.property != Property::Answers);
        for property in &found.properties {
            match found.counterexamples.iter().find(|one| one.property == *property) {
                None if !answers => {
                    let _ = writeln!(text, "  {} {property}: it does not always answer", paint.yellow("?"));
                }
                None => drop(writeln!(text, "  {} {property}", paint.green("✓"))),
                Some(counterexample) => {
                    let _ = writeln!(text, "  {} {property}", paint.red("✗"));
                    for sentence in &counterexample.story {
                        let _ = writeln!(text, "      {}", words::clean(sentence));
                    }
                }
            }
        }
        let _ = writeln!(text, "  {} states visited in {:.1} s", found.states, took.as_secs_f64());
    }
    let wrong: usize = reports.iter().map(|report| report.found.counterexamples.len()).sum();
    let outcome = match wrong {
        0 => paint.green("no counterexample found; a larger world may have one"),
        wrong => paint.red(&words::count(wrong, "counterexample")),
    };
    let _ = writeln!(text, "{outcome}");
    text
}

fn as_json(reports: &[Report]) -> Value {
    let world = |report: &Report| {
        let story = |one: &quorate_kit::properties::Counterexample| json!({"property": one.property.to_string(), "story": one.story, "votes": one.votes});
        json!({
            "file": report.file, "states": report.found.states,
            "properties": report.found.properties.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "counterexamples": report.found.counterexamples.iter().map(story).collect::<Vec<_>>(),
        })
    };
    json!({"worlds": reports.iter().map(world).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(properties: &str) -> Vec<Report> {
        let world = format!(
            "people: {{ann: [dev], bob: [dba], sam: [security], sue: [dba, security]}}\nrequesters: [ann]\n\
             configs: [{{groups: [dba, security], require_all: true}}]\nvotes: 3\nproperties: {{{properties}}}\n"
        );
        let built_in = quorate_bundle::BUILT_IN.iter().find(|one| one.name == "group-quorum").unwrap();
        reports(built_in.component, &[("small.yaml".to_owned(), world)]).unwrap()
    }

    #[test]
    fn the_quorum_holds_in_a_small_world() {
        let reports = found("people_min: 2");
        assert!(
            in_words(&reports, Paint(false)).contains("no counterexample found"),
            "{}",
            in_words(&reports, Paint(false))
        );
        assert_eq!(as_json(&reports)["worlds"][0]["states"], 1 + 9 + 54 + 162);
    }

    #[test]
    fn the_world_of_the_quorum_holds_with_its_own_properties() {
        let world = include_str!("../../../../../policies/group-quorum/worlds/quorum.yaml").to_owned();
        let built_in = quorate_bundle::BUILT_IN.iter().find(|one| one.name == "group-quorum").unwrap();
        let reports = reports(built_in.component, &[("quorum.yaml".to_owned(), world)]).unwrap();
        let text = in_words(&reports, Paint(false));
        assert!(text.contains("✓ one-of-each-group") && !text.contains('✗'), "{text}");
    }

    #[test]
    fn nothing_is_looked_at_before_every_expression_is_one() {
        let world = |holds: &str| {
            format!(
                "people: {{ann: [dev], bob: [dba]}}\nconfigs: [{{groups: [dba]}}]\n\
                 properties: {{own: [{{name: x, holds: \"{holds}\"}}]}}\n"
            )
        };
        let built_in = quorate_bundle::BUILT_IN.iter().find(|one| one.name == "group-quorum").unwrap();
        let files = [
            ("a.yaml".to_owned(), world("true")),
            ("b.yaml".to_owned(), world("votez.all(vote, vote.forced)")),
        ];
        let failure = reports(built_in.component, &files).err().unwrap();
        assert!(
            failure.message.starts_with("`b.yaml`: in the expression of `x`, line 1, column 1"),
            "{}",
            failure.message
        );
    }

    #[test]
    fn nothing_is_said_to_hold_of_a_policy_that_does_not_answer() {
        let built_in = quorate_bundle::BUILT_IN.iter().find(|one| one.name == "group-quorum").unwrap();
        let world = "people: {ann: [dev], no name: [dba]}\nconfigs: [{groups: [dba]}]\n".to_owned();
        let text =
            in_words(&reports(built_in.component, &[("a.yaml".to_owned(), world)]).unwrap(), Paint(false));
        assert!(text.contains("✗ answers") && text.contains("? order") && !text.contains('✓'), "{text}");
    }

    #[test]
    fn a_config_that_the_schema_refuses_is_told_with_its_place_and_the_reason() {
        let built_in = quorate_bundle::BUILT_IN.iter().find(|one| one.name == "group-quorum").unwrap();
        let world = "people: {ann: [dev], bob: [dba]}\nconfigs: [{groups: [dba]}, {groups: [dba, 5]}]\n";
        let failure = reports(built_in.component, &[("a.yaml".to_owned(), world.to_owned())]).err().unwrap();
        assert_eq!(
            failure.message,
            "`a.yaml`: no rule can have config 2, {\"groups\":[\"dba\",5]}: refused at /groups/1: 5 is not of type \"string\""
        );
    }

    #[test]
    fn what_does_not_hold_is_told_as_a_story() {
        let text = in_words(&found("people_min: 3"), Paint(false));
        assert!(
            text.contains("✗ people_min\n      the config is")
                && text.contains("with 2 of at least 3 people"),
            "{text}"
        );
    }
}
