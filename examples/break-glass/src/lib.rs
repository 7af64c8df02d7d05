//! Break glass: some people get in at once where they say why, for a short time, and owe
//! a review afterwards. Everybody whom that concerns is told in the same moment.
//!
//! Whoever does not say why, or is in none of the groups, goes the usual way: this policy
//! abstains, and the others of the rule decide.

use quorate_kit::{AccessDuration, Audience, Finding, Input, Obligation, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

/// Who may break the glass.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The groups whose members get in at once.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub groups: Vec<String>,
    /// For how long at most.
    #[serde(default = "half_an_hour")]
    pub max: AccessDuration,
    /// The shortest reason, in characters.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 200))]
    pub reason_min: u32,
    /// The group that reviews it afterwards.
    #[schemars(length(min = 1))]
    pub reviewers: String,
    /// The groups that are told besides the reviewers.
    #[serde(default)]
    #[schemars(inner(length(min = 1)), extend("uniqueItems" = true))]
    pub tell: Vec<String>,
}

fn half_an_hour() -> AccessDuration {
    AccessDuration::from_seconds(30 * 60)
}

fn ten() -> u32 {
    10
}

/// What this policy says about the request.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    let request = &input.request;
    let Some(group) = request.requester.first_of(&config.groups) else { return Verdict::abstain() };
    let reason = request.reason.trim();
    if reason.chars().count() < config.reason_min as usize {
        let hint =
            format!("members of {group} get in at once with a reason of {} characters", config.reason_min);
        return Verdict::abstain().finding(Finding::new("no-reason", hint));
    }
    let why = format!("{} ({group}) broke the glass: {reason}", request.requester.id);
    let told = Audience::groups(std::iter::once(&config.reviewers).chain(&config.tell));
    let what = format!("{}: {why}", request.target.name);
    Verdict::bypass(why.clone())
        .max_duration(config.max.seconds())
        .obligation(Obligation::notify("glass-broken", &what, &told))
        .finding(Finding::new("glass-broken", why))
        .obligation(Obligation {
            kind: "review".to_owned(),
            params: format!("{{\"group\":{}}}", quoted(&config.reviewers)),
            // A gateway that knows no reviews still lets them in: that is the point.
            critical: false,
        })
}

/// `text` as a JSON text.
fn quoted(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

quorate_kit::policy! {
    config: Config,
    evaluate: evaluate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_pass() {
        quorate_kit::vectors::passes(include_str!("../vectors/break-glass.yaml"), evaluate, |_| Vec::new());
    }

    #[test]
    fn the_parameters_are_json_whatever_the_group_is_called() {
        assert_eq!(quoted("a\"b\\c\n"), r#""a\"b\\c\u000a""#);
    }
}
