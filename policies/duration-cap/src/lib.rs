//! The longest access, and the shortest.
//!
//! - `max` holds for everybody; for members of `groups` their group's maximum holds
//!   instead, the largest if they are in several.
//! - `targets` narrows: on a resource with that attribute, access is never longer.
//! - `on_excess`: refuse what is too long, or shorten it.
//!
//! It decides nothing else: within the limits it abstains. A command has no
//! duration, so there it has nothing to say.

use std::collections::BTreeMap;

use quorate_kit::{Access, AccessDuration, Finding, Input, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

/// How long access may last.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The longest access, for everybody who is in none of `groups`.
    pub max: AccessDuration,
    /// The shortest access.
    #[serde(default)]
    pub min: Option<AccessDuration>,
    /// The longest access for members of a group: group = duration.
    #[serde(default)]
    pub groups: BTreeMap<String, AccessDuration>,
    /// Resources on which access is shorter, whoever asks.
    #[serde(default)]
    pub targets: Vec<TargetMax>,
    /// What happens to a request for more.
    #[serde(default)]
    pub on_excess: OnExcess,
}

/// The longest access on resources with an attribute.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetMax {
    /// The attribute's name.
    #[schemars(length(min = 1))]
    pub attribute: String,
    /// Its value.
    pub equals: String,
    /// The longest access there.
    pub max: AccessDuration,
}

/// What happens to a request for more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnExcess {
    /// It is denied.
    #[default]
    Refuse,
    /// It goes on, for as long as is allowed.
    Shorten,
}

/// What this policy says about the request.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    let Access::JustInTime(seconds) = input.request.access else {
        return Verdict::abstain();
    };
    let asked = AccessDuration::from_seconds(seconds);
    let longest = longest(config, input);
    if let Some(shortest) = config.min.filter(|min| asked < *min) {
        return Verdict::deny(format!("{asked} asked, {shortest} is the shortest access here"));
    }
    let within = Verdict::abstain().max_duration(longest.seconds());
    match config.on_excess {
        _ if asked <= longest => within,
        OnExcess::Refuse => Verdict::deny(format!("{asked} asked, {longest} is the longest access here")),
        OnExcess::Shorten => {
            within.finding(Finding::new("shortened", format!("{asked} asked, {longest} allowed")))
        }
    }
}

/// The longest access for this person on this resource.
fn longest(config: &Config, input: &Input) -> AccessDuration {
    let requester = &input.request.requester;
    let theirs = config.groups.iter().filter(|(group, _)| requester.is_in(group)).map(|(_, max)| *max).max();
    let target = &input.request.target;
    let is_there =
        |there: &&TargetMax| target.attribute::<String>(&there.attribute).as_ref() == Some(&there.equals);
    config.targets.iter().filter(is_there).map(|there| there.max).fold(theirs.unwrap_or(config.max), Ord::min)
}

/// What a schema cannot say: a maximum below the minimum lets nobody in.
pub fn check(config: &Config) -> Vec<Finding> {
    let Some(min) = config.min else { return Vec::new() };
    let groups = config.groups.iter().map(|(group, max)| (format!("/groups/{}", escaped(group)), *max));
    let targets =
        config.targets.iter().enumerate().map(|(nth, there)| (format!("/targets/{nth}/max"), there.max));
    std::iter::once(("/max".to_owned(), config.max))
        .chain(groups)
        .chain(targets)
        .filter(|(_, max)| *max < min)
        .map(|(path, max)| {
            Finding::new("max-below-min", format!("a maximum of {max} is below the minimum of {min}"))
                .at(path)
        })
        .collect()
}

/// A name as a part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
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

    fn config(json: serde_json::Value) -> Config {
        serde_json::from_value(json).unwrap()
    }

    fn ann_asks(words: &str) -> Input {
        asks(person("ann", &["dev"])).lasting(words)
    }

    fn denied(why: &str) -> Outcome {
        Outcome::Deny(why.to_owned())
    }

    #[test]
    fn d3_up_to_the_maximum_it_abstains_and_above_it_names_the_maximum() {
        let two_hours = config(serde_json::json!({"max": "2h"}));
        let within = evaluate(&two_hours, &ann_asks("2h"));
        assert_eq!((within.outcome, within.max_duration), (Outcome::Abstain, Some(7200)));
        let above = evaluate(&two_hours, &ann_asks("2h1s"));
        assert_eq!(above.outcome, denied("2h1s asked, 2h is the longest access here"));
    }

    #[test]
    fn d4_it_shortens_and_says_so() {
        let verdict =
            evaluate(&config(serde_json::json!({"max": "1h", "on_excess": "shorten"})), &ann_asks("2h"));
        assert_eq!((verdict.outcome, verdict.max_duration), (Outcome::Abstain, Some(3600)));
        assert_eq!(verdict.findings, [Finding::new("shortened", "2h asked, 1h allowed")]);
    }

    #[test]
    fn d4_what_is_not_shortened_is_not_reported_as_shortened() {
        let verdict =
            evaluate(&config(serde_json::json!({"max": "1h", "on_excess": "shorten"})), &ann_asks("1h"));
        assert_eq!(verdict.findings, []);
    }

    #[test]
    fn b7_an_administrator_is_denied_as_everybody_is() {
        let root = asks(person("root", &["admin"])).lasting("3h");
        let verdict = evaluate(&config(serde_json::json!({"max": "2h"})), &root);
        assert_eq!(verdict.outcome, denied("3h asked, 2h is the longest access here"));
    }

    #[test]
    fn below_the_minimum_it_names_the_minimum_and_cannot_shorten() {
        let config = config(serde_json::json!({"max": "2h", "min": "10m", "on_excess": "shorten"}));
        assert_eq!(
            evaluate(&config, &ann_asks("9m")).outcome,
            denied("9m asked, 10m is the shortest access here")
        );
        assert_eq!(evaluate(&config, &ann_asks("10m")).outcome, Outcome::Abstain);
    }

    #[test]
    fn of_several_groups_the_largest_maximum_holds_and_replaces_the_general_one() {
        let config = config(serde_json::json!({"max": "2h", "groups": {"contractor": "1h", "sre": "8h"}}));
        let longest = |groups: &[&str]| {
            evaluate(&config, &asks(person("eve", groups)).lasting("1h")).max_duration.unwrap() / 3600
        };
        assert_eq!((longest(&["dev"]), longest(&["contractor"])), (2, 1));
        assert_eq!((longest(&["sre"]), longest(&["contractor", "sre"])), (8, 8));
    }

    #[test]
    fn an_attribute_of_the_resource_narrows_for_everybody() {
        let config = config(serde_json::json!({
            "max": "2h",
            "groups": {"sre": "8h"},
            "targets": [{"attribute": "env", "equals": "eu", "max": "1h"}, {"attribute": "env", "equals": "us", "max": "24h"}],
        }));
        let longest = |group: &str, env: &str| {
            let input = asks(person("eve", &[group])).lasting("1h").with_target_attribute("env", env);
            evaluate(&config, &input).max_duration.unwrap() / 3600
        };
        assert_eq!((longest("sre", "eu"), longest("dev", "eu")), (1, 1));
        assert_eq!((longest("sre", "us"), longest("dev", "us"), longest("dev", "jp")), (8, 2, 2));
    }

    #[test]
    fn a_command_has_no_duration() {
        let verdict =
            evaluate(&config(serde_json::json!({"max": "1m"})), &ann_asks("2h").running("select 1"));
        assert_eq!(verdict, Verdict::abstain());
    }

    #[test]
    fn a_maximum_below_the_minimum_is_refused_where_it_stands() {
        let config = config(serde_json::json!({
            "max": "2h", "min": "1h", "groups": {"a/b": "30m"},
            "targets": [{"attribute": "env", "equals": "eu", "max": "59m"}],
        }));
        let paths: Vec<_> = check(&config).into_iter().filter_map(|finding| finding.path).collect();
        assert_eq!(paths, ["/groups/a~1b", "/targets/0/max"]);
    }

    #[test]
    fn d2_a_duration_that_is_none_is_refused_with_the_accepted_forms() {
        let error = serde_json::from_str::<Config>(r#"{"max":"2 hours"}"#).unwrap_err().to_string();
        assert!(
            error.contains("`2 hours` is not a duration") && error.contains("10m, 2h or 1h30m"),
            "{error}"
        );
    }

    #[test]
    fn the_vectors_pass() {
        quorate_kit::vectors::passes(include_str!("../vectors/cap.yaml"), evaluate, check);
    }
}
