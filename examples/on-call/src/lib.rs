//! On call: one of the people who are on call approves.
//!
//! Who that is, the gateway finds out before the call: the fact `on-call`, a list of
//! people's ids. Where it could not be had, an approval must not rest on it, so another
//! group decides.

use quorate_kit::{Audience, EvidenceNeeds, Finding, Input, Requirement, Verdict, Vote};
use schemars::JsonSchema;
use serde::Deserialize;

/// The fact that says who is on call.
const FACT: &str = "on-call";

/// Who approves when nobody knows who is on call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The groups whose members approve then.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub otherwise: Vec<String>,
}

/// What this policy says about the request.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    let on_call: Vec<String> = input.fact(FACT).unwrap_or_default();
    // Whoever is on call does not let themselves in.
    let others: Vec<&String> = on_call.iter().filter(|id| **id != input.request.requester.id).collect();
    let known = !others.is_empty();
    let people = if known { Audience::users(others) } else { Audience::groups(&config.otherwise) };
    let eligible = |vote: &&Vote| {
        if known { people.users.contains(&vote.voter.id) } else { vote.voter.is_in_any(&config.otherwise) }
    };
    let verdict = if let Some(vote) = input.rejections().find(eligible) {
        Verdict::deny(format!("rejected by {}", vote.voter.id))
    } else if input.approvals().any(|vote| eligible(&vote)) {
        Verdict::approve()
    } else {
        Verdict::wait(vec![vec![Requirement::new(1, people.clone())]])
    };
    let verdict = if known {
        verdict
    } else {
        let groups = config.otherwise.join(", ");
        let message = format!("nobody else is known to be on call: {groups} decides");
        verdict.finding(Finding::new("nobody-on-call", message))
    };
    verdict.voters(people)
}

/// Who is on call.
pub fn evidence() -> EvidenceNeeds {
    EvidenceNeeds { facts: vec![FACT.to_owned()], history_window: None }
}

quorate_kit::policy! {
    config: Config,
    evaluate: evaluate,
    evidence: evidence,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_vectors_pass() {
        quorate_kit::vectors::passes(include_str!("../vectors/on-call.yaml"), super::evaluate, |_| {
            Vec::new()
        });
    }
}
