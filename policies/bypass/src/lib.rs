//! Who may skip approval, and how it is recorded.
//!
//! - `force_groups`: a member may approve alone, with a reason. Marked `forced`.
//! - `skip_groups`: members who ask need no approval. Marked `skipped`.
//! - `admins_approve_themselves`: what administrators ask for needs no approval.
//!   Marked `automatic`.
//!
//! Otherwise it has nothing to say. A denial by another policy, such as a duration
//! cap, still wins: this skips approval, nothing else.

use quorate_kit::{Audience, Finding, Input, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

/// The group of the people who run the gateway.
const ADMIN: &str = "admin";

/// Who may skip approval.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Groups whose members may force an approval, saying why.
    #[serde(default)]
    #[schemars(inner(length(min = 1)), extend("uniqueItems" = true))]
    pub force_groups: Vec<String>,
    /// Groups whose members need no approval.
    #[serde(default)]
    #[schemars(inner(length(min = 1)), extend("uniqueItems" = true))]
    pub skip_groups: Vec<String>,
    /// Whether members of the group `admin` need no approval.
    #[serde(default = "yes")]
    pub admins_approve_themselves: bool,
}

fn yes() -> bool {
    true
}

/// What this policy says about the request.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    bypass(config, input).unwrap_or_else(Verdict::abstain).forcers(Audience::groups(&config.force_groups))
}

fn bypass(config: &Config, input: &Input) -> Option<Verdict> {
    let requester = &input.request.requester;
    if config.admins_approve_themselves && requester.is_in(ADMIN) {
        return Some(marked("automatic", format!("automatic: {} is in {ADMIN}", requester.id)));
    }
    if let Some(group) = requester.first_of(&config.skip_groups) {
        return Some(marked("skipped", format!("skipped: {} is in {group}", requester.id)));
    }
    let forced = input.approvals().find(|vote| {
        vote.forced && !vote.comment.trim().is_empty() && vote.voter.is_in_any(&config.force_groups)
    })?;
    Some(marked("forced", format!("forced by {}: {}", forced.voter.id, forced.comment)))
}

fn marked(code: &str, why: String) -> Verdict {
    Verdict::bypass(why.clone()).finding(Finding::new(code, why))
}

/// What a schema cannot say.
pub fn check(config: &Config) -> Vec<Finding> {
    let nobody = config.force_groups.is_empty() && config.skip_groups.is_empty();
    if nobody && !config.admins_approve_themselves {
        return vec![Finding::new("warning-no-effect", "nobody may skip approval: this policy does nothing")];
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

    fn config(force: &[&str], skip: &[&str], admins: bool) -> Config {
        let owned = |groups: &[&str]| groups.iter().map(ToString::to_string).collect();
        Config { force_groups: owned(force), skip_groups: owned(skip), admins_approve_themselves: admins }
    }

    fn sre() -> Config {
        config(&["sre"], &[], false)
    }

    fn ann() -> Principal {
        person("ann", &["dev"])
    }

    fn eve() -> Principal {
        person("eve", &["sre"])
    }

    #[test]
    fn b1_a_forced_approval_with_a_reason_is_a_bypass_that_says_who_and_why() {
        let verdict = evaluate(&sre(), &asks(ann()).with_forced_approval(eve(), "the site is down"));
        assert_eq!(verdict.outcome, Outcome::Bypass("forced by eve: the site is down".to_owned()));
        assert_eq!(verdict.findings[0].code, "forced");
    }

    #[test]
    fn b1_those_who_may_force_are_named_for_every_outcome() {
        let before = evaluate(&sre(), &asks(ann()));
        let after = evaluate(&sre(), &asks(ann()).with_forced_approval(eve(), "now"));
        assert_eq!((before.forcers, after.forcers), (Audience::groups(["sre"]), Audience::groups(["sre"])));
        assert_eq!(before.voters, Audience::default());
    }

    #[test]
    fn b2_forcing_without_a_reason_forces_nothing() {
        for wordless in ["", "  "] {
            let input = asks(ann()).with_forced_approval(eve(), wordless);
            assert_eq!(evaluate(&sre(), &input).outcome, Outcome::Abstain);
        }
    }

    #[test]
    fn b3_only_a_force_group_forces() {
        let input = asks(ann()).with_forced_approval(person("bob", &["dba"]), "now");
        assert_eq!(evaluate(&sre(), &input).outcome, Outcome::Abstain);
    }

    #[test]
    fn b3_a_normal_vote_of_a_force_group_forces_nothing() {
        let input = asks(ann()).with_approval(eve(), "fine").with_rejection(person("ed", &["sre"]), "no");
        assert_eq!(evaluate(&sre(), &input).outcome, Outcome::Abstain);
    }

    #[test]
    fn b4_being_in_a_force_group_skips_nothing_for_ones_own_request() {
        assert_eq!(evaluate(&sre(), &asks(person("ann", &["sre"]))).outcome, Outcome::Abstain);
    }

    #[test]
    fn b5_an_administrators_request_is_approved_automatically() {
        let on: Config = serde_json::from_str("{}").unwrap();
        let verdict = evaluate(&on, &asks(person("root", &["admin"])));
        assert_eq!(verdict.outcome, Outcome::Bypass("automatic: root is in admin".to_owned()));
        assert_eq!(verdict.findings[0].code, "automatic");
        assert_eq!(evaluate(&on, &asks(ann())).outcome, Outcome::Abstain);
    }

    #[test]
    fn b6_switched_off_an_administrator_waits_like_everybody() {
        assert_eq!(evaluate(&sre(), &asks(person("root", &["admin"]))).outcome, Outcome::Abstain);
    }

    #[test]
    fn b8_members_of_a_skip_group_need_no_approval() {
        let verdict = evaluate(&config(&[], &["oncall"], false), &asks(person("eve", &["oncall", "sre"])));
        assert_eq!(verdict.outcome, Outcome::Bypass("skipped: eve is in oncall".to_owned()));
        assert_eq!(verdict.findings[0].code, "skipped");
    }

    #[test]
    fn a_config_that_does_nothing_is_accepted_with_a_warning() {
        assert_eq!(check(&config(&[], &[], false))[0].code, "warning-no-effect");
        assert_eq!(check(&config(&[], &[], true)), []);
        assert_eq!(check(&sre()), []);
    }

    #[test]
    fn the_vectors_pass() {
        quorate_kit::vectors::passes(include_str!("../vectors/bypass.yaml"), evaluate, check);
    }
}
