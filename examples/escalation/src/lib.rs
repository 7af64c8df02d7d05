//! Escalation: some people may approve at once, others only when nobody did for a while.
//!
//! The policy asks to be asked again when that time comes, so the request tells the
//! others without anybody's doing.

use quorate_kit::{AccessDuration, Audience, Finding, Input, Instant, Requirement, Verdict, Vote};
use schemars::JsonSchema;
use serde::Deserialize;

/// Who may approve, and from when on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The groups whose members may approve from the start.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub groups: Vec<String>,
    /// The groups whose members may approve later.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub escalate_to: Vec<String>,
    /// How much later.
    #[serde(default = "quarter_of_an_hour")]
    pub after: AccessDuration,
}

fn quarter_of_an_hour() -> AccessDuration {
    AccessDuration::from_seconds(15 * 60)
}

/// What this policy says about the request.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    let escalates_at = input.request.submitted_at + config.after.seconds() * 1000;
    let escalated = input.now >= escalates_at;
    let mut groups = config.groups.clone();
    if escalated {
        groups.extend(config.escalate_to.iter().cloned());
    }
    let people = Audience::groups(&groups);
    let counts = |vote: &&Vote| counts(config, vote, escalates_at);
    let verdict = if let Some(vote) = input.rejections().find(counts) {
        Verdict::deny(format!("rejected by {}", vote.voter.id))
    } else if input.approvals().any(|vote| counts(&vote)) {
        Verdict::approve()
    } else {
        let wait = Verdict::wait(vec![vec![Requirement::new(1, people.clone())]]);
        if escalated {
            wait.finding(Finding::new("escalated", format!("nobody decided within {}", config.after)))
        } else {
            wait.revisit_at(escalates_at)
        }
    };
    verdict.voters(people)
}

/// Whether the voter could vote when they did.
fn counts(config: &Config, vote: &Vote, escalates_at: Instant) -> bool {
    let later = vote.cast_at >= escalates_at && vote.voter.is_in_any(&config.escalate_to);
    later || vote.voter.is_in_any(&config.groups)
}

quorate_kit::policy! {
    config: Config,
    evaluate: evaluate,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_vectors_pass() {
        quorate_kit::vectors::passes(include_str!("../vectors/escalation.yaml"), super::evaluate, |_| {
            Vec::new()
        });
    }
}
