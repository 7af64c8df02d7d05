//! Enough different people out of some groups must approve; one rejection ends it.

use quorate_kit::{Audience, Finding, Input, Requirement, Verdict, Vote};
use schemars::JsonSchema;
use serde::Deserialize;

// Forms, docs and checks are made from it, by its JSON Schema: each field says what it is and in
// which range.
/// Who must approve.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The groups whose members may approve.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub groups: Vec<String>,
    /// How many different people must approve.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    pub approvals: u32,
}

fn one() -> u32 {
    1
}

/// What this policy says about a request. It is asked when the request is made, after each
/// vote, and when time may have changed the answer; `input` is all it knows.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    let people = Audience::groups(&config.groups);
    let counts = |vote: &&Vote| vote.voter.is_in_any(&config.groups);

    if let Some(vote) = input.rejections().find(counts) {
        let why = format!("rejected by {}: {}", vote.voter.id, vote.comment);
        return Verdict::deny(why).voters(people);
    }
    let given = u32::try_from(input.approvals().filter(counts).count()).unwrap_or(u32::MAX);
    let verdict = match config.approvals.saturating_sub(given) {
        0 => Verdict::approve(),
        // One way out of the wait: so many more of these people.
        missing => Verdict::wait(vec![vec![Requirement::new(missing, people.clone())]]),
    };
    // Whose vote counts, for every outcome: anybody else is told so before they vote.
    verdict.voters(people)
}

/// What a schema cannot say. A code that begins with `warning-` is shown, any other refuses
/// the config.
pub fn check(config: &Config) -> Vec<Finding> {
    if config.groups.iter().any(|group| group == "everybody") {
        return vec![Finding::new("warning-everybody", "everybody may approve").at("/groups")];
    }
    Vec::new()
}

quorate_kit::policy! {
    config: Config,
    evaluate: evaluate,
    check: check,
}

#[cfg(test)]
mod tests {
    use quorate_kit::Outcome;
    use quorate_kit::testing::{asks, person};

    use super::*;

    // What people would tell as a story is in `vectors/`; here is what Rust says better.
    #[test]
    fn people_outside_the_groups_do_not_count() {
        let config = Config { groups: vec!["dba".to_owned()], approvals: 1 };
        let input = asks(person("ann", &["dev"])).with_approval(person("eve", &["sre"]), "fine by me");
        assert!(matches!(evaluate(&config, &input).outcome, Outcome::Wait(_)));
    }
}
