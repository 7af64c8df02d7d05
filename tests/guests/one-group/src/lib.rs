//! A candidate for the place of `group-quorum` that nobody should want: it takes the
//! same config, asks the first of the groups only, and panics where the reason of a
//! request says so. The tests of backtests show what it would let in.

use quorate_kit::{Audience, Finding, Input, Requirement, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

/// The config of `group-quorum`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The groups, of which only the first counts.
    #[schemars(length(min = 1))]
    pub groups: Vec<String>,
    /// Not looked at.
    #[serde(default)]
    pub require_all: bool,
    /// Not looked at.
    #[serde(default)]
    pub approvals: u32,
}

/// One approval by the first group is enough.
///
/// # Panics
///
/// Where the reason says `panic`.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    assert!(!input.request.reason.contains("panic"), "as the reason says");
    let first = Audience::groups(config.groups.iter().take(1));
    let by_first = |groups: &[String]| config.groups.iter().take(1).any(|first| groups.contains(first));
    let verdict = if input.rejections().any(|vote| by_first(&vote.voter.groups)) {
        Verdict::deny("rejected")
    } else if input.approvals().any(|vote| by_first(&vote.voter.groups)) {
        Verdict::approve()
    } else {
        Verdict::wait(vec![vec![Requirement::new(1, first.clone())]])
    };
    verdict.voters(first)
}

/// It refuses a quorum that asks for three people: not every config fits a candidate.
pub fn check(config: &Config) -> Vec<Finding> {
    let few = Finding::new("too-many", "more than two approvals are not known here").at("/approvals");
    (config.approvals > 2).then_some(few).into_iter().collect()
}

quorate_kit::policy! {
    config: Config,
    evaluate: evaluate,
    check: check,
}
