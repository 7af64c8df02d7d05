//! Four eyes: so many different people out of the groups, whichever groups, and each
//! says why. An approval without a comment does not count.

use quorate_kit::{Audience, Finding, Input, Requirement, Verdict, Vote};
use schemars::JsonSchema;
use serde::Deserialize;

/// Who must approve, and say why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The groups whose members may approve.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub groups: Vec<String>,
    /// How many different people must approve, each with a comment.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 20))]
    pub approvals: u32,
}

fn two() -> u32 {
    2
}

/// What this policy says about the request.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    let people = Audience::groups(&config.groups);
    let eligible = |vote: &&Vote| vote.voter.is_in_any(&config.groups);

    if let Some(vote) = input.rejections().find(eligible) {
        let why = format!("rejected by {}: {}", vote.voter.id, vote.comment);
        return Verdict::deny(why).voters(people);
    }
    let (said_why, silent): (Vec<&Vote>, Vec<&Vote>) =
        input.approvals().filter(eligible).partition(|vote| !vote.comment.trim().is_empty());

    let given = u32::try_from(said_why.len()).unwrap_or(u32::MAX);
    let mut verdict = match config.approvals.saturating_sub(given) {
        0 => Verdict::approve(),
        missing => {
            let requirement = Requirement::new(missing, people.clone());
            Verdict::wait(vec![vec![requirement.message(format!("{missing} more with a comment"))]])
        }
    };
    for vote in silent {
        let message = format!("{}'s approval does not count: it has no comment", vote.voter.id);
        verdict = verdict.finding(Finding::new("no-comment", message));
    }
    verdict.voters(people)
}

/// What a schema cannot say.
pub fn check(config: &Config) -> Vec<Finding> {
    if config.approvals == 1 {
        return vec![Finding::new("warning-two-eyes", "one approval is two eyes, not four").at("/approvals")];
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
    use quorate_kit::testing::{asks, person};
    use quorate_kit::{Outcome, Principal};

    use super::*;

    fn config() -> Config {
        Config { groups: vec!["dba".to_owned(), "security".to_owned()], approvals: 2 }
    }

    fn ann_asks() -> Input {
        asks(person("ann", &["dev"]))
    }

    fn bob() -> Principal {
        person("bob", &["dba"])
    }

    fn bea() -> Principal {
        person("bea", &["dba"])
    }

    fn missing(input: &Input) -> u32 {
        match evaluate(&config(), input).outcome {
            Outcome::Wait(ways) => ways[0][0].approvals,
            other => panic!("not waiting: {other:?}"),
        }
    }

    #[test]
    fn two_people_of_one_group_who_say_why_are_enough() {
        let input = ann_asks().with_approval(bob(), "incident 7").with_approval(bea(), "agreed");
        assert_eq!(evaluate(&config(), &input).outcome, Outcome::Approve);
    }

    #[test]
    fn what_is_missing_goes_down_with_each_approval() {
        assert_eq!(missing(&ann_asks()), 2);
        assert_eq!(missing(&ann_asks().with_approval(bob(), "incident 7")), 1);
    }

    #[test]
    fn an_approval_without_a_comment_does_not_count_and_a_finding_says_so() {
        let input = ann_asks().with_approval(bob(), "incident 7").with_approval(bea(), " ");
        assert_eq!(missing(&input), 1);
        let findings = evaluate(&config(), &input).findings;
        assert_eq!(findings[0].message, "bea's approval does not count: it has no comment");
    }

    #[test]
    fn people_outside_the_groups_do_not_count() {
        let input = ann_asks().with_approval(person("eve", &["sre"]), "fine by me");
        assert_eq!(missing(&input), 2);
    }

    #[test]
    fn a_rejection_ends_it() {
        let input = ann_asks().with_approval(bob(), "incident 7").with_rejection(bea(), "not now");
        assert_eq!(evaluate(&config(), &input).outcome, Outcome::Deny("rejected by bea: not now".to_owned()));
    }

    #[test]
    fn one_approval_is_allowed_with_a_warning() {
        assert_eq!(check(&Config { approvals: 1, ..config() })[0].code, "warning-two-eyes");
        assert_eq!(check(&config()), []);
    }

    #[test]
    fn the_vectors_pass() {
        quorate_kit::vectors::passes(include_str!("../vectors/four-eyes.yaml"), evaluate, check);
    }
}
