//! Enough of the right people: approvals by members of groups.
//!
//! - Only votes by people in the groups count, as they were at the time of the vote.
//! - `require_all`: one member of each group, each a *different* person. Somebody in
//!   two groups fills the one where nobody else is, whatever the order of the votes.
//! - `approvals`: at least so many different people, out of any of the groups.
//! - One rejection by anybody in the groups ends it.

use quorate_kit::{Audience, Finding, Input, Principal, Requirement, Verdict, Vote, Way};
use schemars::JsonSchema;
use serde::Deserialize;

/// Groups: a set of them is written as the bits of a number, and an answer that
/// lists what is missing must stay readable.
const GROUPS_MAX: usize = 12;
const APPROVALS_MAX: u32 = 100;
/// Alternatives listed; where there are more, a finding says so.
const WAYS_MAX: usize = 20;

/// Who must approve.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The groups whose members may approve.
    #[schemars(length(min = 1, max = 12), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub groups: Vec<String>,
    /// Whether one member of each group must approve, each a different person.
    #[serde(default)]
    pub require_all: bool,
    /// How many different people must approve.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub approvals: u32,
}

fn one() -> u32 {
    1
}

/// What this policy says about the request.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    let eligible = |vote: &&Vote| vote.voter.is_in_any(&config.groups);
    let verdict = if let Some(vote) = input.rejections().find(eligible) {
        Verdict::deny(rejected_by(vote))
    } else {
        let approvers: Vec<&Principal> = input.approvals().filter(eligible).map(|vote| &vote.voter).collect();
        decide(config, &approvers)
    };
    verdict.voters(Audience::groups(&config.groups))
}

fn rejected_by(vote: &Vote) -> String {
    match vote.comment.as_str() {
        "" => format!("rejected by {}", vote.voter.id),
        comment => format!("rejected by {}: {comment}", vote.voter.id),
    }
}

fn decide(config: &Config, approvers: &[&Principal]) -> Verdict {
    let groups = if config.require_all { config.groups.as_slice() } else { &[] };
    let everybody_of = |filled: &u32| -> Vec<&String> {
        groups
            .iter()
            .enumerate()
            .filter(|(nth, _)| filled & (1 << nth) == 0)
            .map(|(_, group)| group)
            .collect()
    };
    let short_of = config.approvals.saturating_sub(u32::try_from(approvers.len()).unwrap_or(u32::MAX));

    let mut best = fillings(groups, approvers);
    let complete = best.iter().all(|filled| everybody_of(filled).is_empty());
    if complete && short_of == 0 {
        return Verdict::approve();
    }
    let left_out = best.len().saturating_sub(WAYS_MAX);
    best.truncate(WAYS_MAX);
    let ways = best.iter().map(|filled| way(&everybody_of(filled), short_of, &config.groups)).collect();
    match left_out {
        0 => Verdict::wait(ways),
        _ => Verdict::wait(ways)
            .finding(Finding::new("more-ways", format!("{left_out} more combinations of groups would do"))),
    }
}

/// One more of each group that is `missing`, and as many others as `short_of` asks
/// for beyond them.
fn way(missing: &[&String], short_of: u32, groups: &[String]) -> Way {
    let others = short_of.saturating_sub(u32::try_from(missing.len()).unwrap_or(u32::MAX));
    if let ([group], [_]) = (missing, groups) {
        return vec![Requirement::new(1 + others, Audience::groups([*group]))];
    }
    let mut way: Way = missing.iter().map(|group| Requirement::new(1, Audience::groups([*group]))).collect();
    if others > 0 {
        way.push(Requirement::new(others, Audience::groups(groups)));
    }
    way
}

/// The largest sets of groups that the approvers can fill, each person one group.
///
/// Person by person: whoever can fill one more group of a set does. If they can do
/// so in no set, every group of theirs is in every set already, and the sets stay
/// as they are. (The sets are the bases of a transversal matroid; that is why the
/// order of the votes makes no difference.)
fn fillings(groups: &[String], approvers: &[&Principal]) -> Vec<u32> {
    let mut best = vec![0_u32];
    for approver in approvers {
        let mut larger = Vec::new();
        for (nth, group) in groups.iter().enumerate().take(GROUPS_MAX) {
            if approver.is_in(group) {
                larger.extend(
                    best.iter().filter(|filled| *filled & (1 << nth) == 0).map(|filled| filled | (1 << nth)),
                );
            }
        }
        if !larger.is_empty() {
            larger.sort_unstable();
            larger.dedup();
            best = larger;
        }
    }
    best
}

/// What is wrong with a config, in words; the schema says the same in its own.
pub fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let count = config.groups.len();
    if count == 0 {
        findings
            .push(Finding::new("no-groups", "no approval groups: nobody could ever approve").at("/groups"));
    }
    if count > GROUPS_MAX {
        let message = format!("{count} groups are too many: 1 to {GROUPS_MAX} are allowed");
        findings.push(Finding::new("too-many-groups", message).at("/groups"));
    }
    for (nth, group) in config.groups.iter().enumerate() {
        let path = format!("/groups/{nth}");
        if group.is_empty() {
            findings.push(Finding::new("empty-group", "a group needs a name").at(path));
        } else if config.groups[..nth].contains(group) {
            findings.push(Finding::new("duplicate-group", format!("`{group}` is listed twice")).at(path));
        }
    }
    if !(1..=APPROVALS_MAX).contains(&config.approvals) {
        let message =
            format!("{} approvals cannot be asked for: 1 to {APPROVALS_MAX} are allowed", config.approvals);
        findings.push(Finding::new("approvals-out-of-range", message).at("/approvals"));
    }
    findings
}

quorate_kit::policy! {
    config: Config,
    evaluate: evaluate,
    check: check,
}

#[cfg(test)]
mod tests;
