//! Escalation: some people may approve at once, others only when nobody did for a while.
//!
//! The policy asks to be asked again when that time comes, and then has the others told;
//! before, where it is to, it reminds those who may approve from the start.

use quorate_kit::{
    AccessDuration, Audience, Finding, Input, Instant, Obligation, Requirement, Verdict, Vote,
};
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
    /// After how long the first groups are reminded; left out, they are not.
    #[serde(default)]
    pub remind_after: Option<AccessDuration>,
}

fn quarter_of_an_hour() -> AccessDuration {
    AccessDuration::from_seconds(15 * 60)
}

/// What this policy says about the request.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    let later = |duration: AccessDuration| input.request.submitted_at + duration.seconds() * 1000;
    let escalates_at = later(config.after);
    let reminds_at = config.remind_after.map(later).filter(|at| *at < escalates_at);
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
            let why = format!("nobody decided within {}", config.after);
            let others = Audience::groups(&config.escalate_to);
            wait.obligation(Obligation::notify("escalated", &asks(input, &why), &others))
                .finding(Finding::new("escalated", why))
        } else {
            match reminds_at {
                Some(reminds_at) if input.now < reminds_at => wait.revisit_at(reminds_at),
                Some(_) => wait.revisit_at(escalates_at).obligation(Obligation::notify(
                    "reminder",
                    &asks(input, "nobody decided yet"),
                    &people,
                )),
                None => wait.revisit_at(escalates_at),
            }
        }
    };
    verdict.voters(people)
}

/// What people are told.
fn asks(input: &Input, why: &str) -> String {
    format!("{} asks for {}: {why}", input.request.requester.id, input.request.target.name)
}

/// What a schema cannot say.
pub fn check(config: &Config) -> Vec<Finding> {
    let late = config.remind_after.filter(|remind| remind.seconds() >= config.after.seconds());
    let late = late.map(|remind| {
        let why = format!("a reminder after {remind} comes too late: after {} it is escalated", config.after);
        Finding::new("reminder-too-late", why).at("/remind_after")
    });
    late.into_iter().collect()
}

/// Whether the voter could vote when they did.
fn counts(config: &Config, vote: &Vote, escalates_at: Instant) -> bool {
    let later = vote.cast_at >= escalates_at && vote.voter.is_in_any(&config.escalate_to);
    later || vote.voter.is_in_any(&config.groups)
}

quorate_kit::policy! {
    config: Config,
    evaluate: evaluate,
    check: check,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_vectors_pass() {
        quorate_kit::vectors::passes(
            include_str!("../vectors/escalation.yaml"),
            super::evaluate,
            super::check,
        );
    }
}
