//! Who needs no approval, or may give it alone: always with a reason on record.

use quorate_kit::{Audience, Finding, Input, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

// Forms, docs and checks are made from it, by its JSON Schema: each field says what it is and in
// which range.
/// Who may skip approval.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Members need no approval for what they ask for, if they say why.
    #[serde(default)]
    #[schemars(inner(length(min = 1)), extend("uniqueItems" = true))]
    pub skip_groups: Vec<String>,
    /// Members may force an approval alone, if they say why.
    #[serde(default)]
    #[schemars(inner(length(min = 1)), extend("uniqueItems" = true))]
    pub force_groups: Vec<String>,
}

/// What this policy says about a request: approved at once, or nothing. A denial by another
/// policy of the rule still wins, such as one that caps the duration.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    // Who may force is the same for every outcome: people are shown it beforehand.
    bypass(config, input).unwrap_or_else(Verdict::abstain).forcers(Audience::groups(&config.force_groups))
}

fn bypass(config: &Config, input: &Input) -> Option<Verdict> {
    let request = &input.request;
    if let Some(group) = request.requester.first_of(&config.skip_groups) {
        if request.reason.trim().is_empty() {
            // Told, and then it waits for approval like anybody's request.
            let finding = Finding::new("no-reason", format!("members of {group} need no approval if they say why"));
            return Some(Verdict::abstain().finding(finding));
        }
        return Some(marked("skipped", format!("{} is in {group}: {}", request.requester.id, request.reason)));
    }
    let forced = input.approvals().find(|vote| vote.forced && vote.voter.is_in_any(&config.force_groups))?;
    Some(marked("forced", format!("forced by {}: {}", forced.voter.id, forced.comment)))
}

/// A bypass that can be found again by its code.
fn marked(code: &str, why: String) -> Verdict {
    Verdict::bypass(why.clone()).finding(Finding::new(code, why))
}

/// What a schema cannot say. A code that begins with `warning-` is shown, any other refuses
/// the config.
pub fn check(config: &Config) -> Vec<Finding> {
    if config.skip_groups.is_empty() && config.force_groups.is_empty() {
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
    use quorate_kit::Outcome;
    use quorate_kit::testing::{asks, person};

    use super::*;

    // What people would tell as a story is in `vectors/`; here is what Rust says better.
    #[test]
    fn an_approval_that_is_not_forced_forces_nothing() {
        let config = Config { skip_groups: Vec::new(), force_groups: vec!["sre".to_owned()] };
        let input = asks(person("ann", &["dev"])).with_approval(person("eve", &["sre"]), "fine by me");
        assert_eq!(evaluate(&config, &input).outcome, Outcome::Abstain);
    }
}
