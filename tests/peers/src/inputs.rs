//! The inputs that every engine decides: one for each thing that the rule has to get right.

use anyhow::{Context as _, anyhow};
use quorate_core::input::Input;
use quorate_kit::testing::{asks, person};
use quorate_kit::{Choice, Principal};

/// The config of the rule.
pub(crate) const CONFIG: &str = r#"{"groups":["dba","security"],"require_all":true}"#;

/// The groups of [`CONFIG`], for rules that read no JSON.
pub(crate) const GROUPS: [&str; 2] = ["dba", "security"];

/// The input whose figures stand in the first table.
pub(crate) const MAIN: &str = "three votes";

/// One input, with its name.
pub(crate) struct Named {
    /// What is special about it.
    pub(crate) name: &'static str,
    /// What is decided.
    pub(crate) input: Input,
}

/// All of them, [`MAIN`] among them.
pub(crate) fn all() -> anyhow::Result<Vec<Named>> {
    use Choice::{Approve, Reject};
    let (bob, bea) = (|| person("bob", &["dba"]), || person("bea", &["dba"]));
    let (sam, sue) = (|| person("sam", &["security"]), || person("sue", &["dba", "security"]));
    let eve = || person("eve", &["sre"]);
    let cases = [
        ("no vote", vec![]),
        ("one vote", vec![(bob(), Approve, "fine")]),
        ("one in both", vec![(sue(), Approve, "fine")]),
        ("two people", vec![(sue(), Approve, "fine"), (bob(), Approve, "fine")]),
        (MAIN, vec![(bob(), Approve, "fine"), (bea(), Approve, "fine"), (sam(), Approve, "fine")]),
        (
            "a rejection",
            vec![(bob(), Approve, "fine"), (sam(), Reject, "not today"), (bea(), Approve, "fine")],
        ),
        ("an outsider", vec![(eve(), Reject, "no"), (sam(), Approve, "")]),
    ];
    cases.into_iter().map(|(name, votes)| Ok(Named { name, input: input(votes)? })).collect()
}

/// Ann asks for two hours, and these people have voted.
fn input(votes: Vec<(Principal, Choice, &str)>) -> anyhow::Result<Input> {
    let mut input = asks(person("ann", &["dev"])).lasting("2h");
    for (voter, choice, comment) in votes {
        input = match choice {
            Choice::Approve => input.with_approval(voter, comment),
            Choice::Reject => input.with_rejection(voter, comment),
        };
    }
    quorate_policy::vectors::input(input).map_err(|error| anyhow!(error)).context("an input is not valid")
}
