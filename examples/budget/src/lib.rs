//! Budget: so many approvals in a window of time are automatic, then a person is asked.
//!
//! What counts is how often the same person was let in to the same resource; the gateway
//! gathers that history before the call, because `evidence` asks for it.

use quorate_kit::{
    Audience, EvidenceNeeds, Finding, Input, Instant, PastRequest, Requirement, Verdict, Vote,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// A week, in seconds.
const WINDOW: u64 = 7 * 24 * 3600;

/// How much is automatic.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Automatic approvals of one person for one resource in a week.
    #[serde(default = "ten")]
    #[schemars(range(min = 0, max = 100))]
    pub automatic: usize,
    /// The groups whose members approve what goes beyond that.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub groups: Vec<String>,
}

fn ten() -> usize {
    10
}

/// What this policy says about the request.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    let people = Audience::groups(&config.groups);
    let eligible = |vote: &&Vote| vote.voter.is_in_any(&config.groups);
    let spent = spent(input);
    let verdict = if let Some(vote) = input.rejections().find(eligible) {
        Verdict::deny(format!("rejected by {}", vote.voter.id))
    } else if spent.len() < config.automatic {
        let message = format!("automatic: {} of {} this week", spent.len() + 1, config.automatic);
        Verdict::approve().finding(Finding::new("automatic", message))
    } else if input.approvals().any(|vote| eligible(&vote)) {
        Verdict::approve()
    } else {
        let message = format!("all {} automatic approvals of this week are used up", config.automatic);
        let wait = Verdict::wait(vec![vec![Requirement::new(1, people.clone())]])
            .finding(Finding::new("used-up", message));
        // When enough of them are a week old, this one is automatic.
        match spent.iter().rev().nth(spent.len().saturating_sub(config.automatic)) {
            Some(frees) => wait.revisit_at(frees + WINDOW * 1000),
            None => wait,
        }
    };
    verdict.voters(people)
}

/// When they asked for what they got within the window, newest first.
fn spent(input: &Input) -> Vec<Instant> {
    let since = input.now.saturating_sub(WINDOW * 1000);
    let got = |past: &&PastRequest| {
        matches!(past.outcome.as_str(), "APPROVED" | "EXPIRED" | "EXECUTED" | "REVOKED")
            && past.submitted_at > since
    };
    input.history.iter().filter(got).map(|past| past.submitted_at).collect()
}

/// A week of history.
pub fn evidence() -> EvidenceNeeds {
    EvidenceNeeds { facts: Vec::new(), history_window: Some(WINDOW) }
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
        quorate_kit::vectors::passes(include_str!("../vectors/budget.yaml"), super::evaluate, |_| Vec::new());
    }
}
