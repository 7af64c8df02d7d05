//! The longest access: for everybody, and for members of some groups.

use std::collections::BTreeMap;

use quorate_kit::{Access, AccessDuration, Input, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

// Forms, docs and checks are made from it, by its JSON Schema: each field says what it is and in
// which range.
/// How long access may last.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The longest access, for everybody who is in none of `groups`.
    pub max: AccessDuration,
    /// The longest access for members of a group; the largest holds for somebody in several.
    #[serde(default)]
    pub groups: BTreeMap<String, AccessDuration>,
}

/// What this policy says about a request: too long is denied; otherwise it abstains, since
/// whether somebody may come in at all is for another policy of the rule to say.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    let Access::JustInTime(seconds) = input.request.access else {
        // One run of a command has no duration.
        return Verdict::abstain();
    };
    let asked = AccessDuration::from_seconds(seconds);
    let longest = longest(config, input);
    if asked > longest {
        return Verdict::deny(format!("{asked} asked, at most {longest} is allowed here"));
    }
    Verdict::abstain().max_duration(longest.seconds())
}

fn longest(config: &Config, input: &Input) -> AccessDuration {
    let requester = &input.request.requester;
    let theirs = config.groups.iter().filter(|(group, _)| requester.is_in(group)).map(|(_, max)| *max);
    theirs.max().unwrap_or(config.max)
}

quorate_kit::policy! {
    config: Config,
    evaluate: evaluate,
}

#[cfg(test)]
mod tests {
    use quorate_kit::Outcome;
    use quorate_kit::testing::{asks, person};

    use super::*;

    // What people would tell as a story is in `vectors/`; here is what Rust says better.
    #[test]
    fn a_command_is_never_too_long() {
        let config = Config { max: AccessDuration::from_seconds(60), groups: BTreeMap::new() };
        let input = asks(person("ann", &["dev"])).running("select 1");
        assert_eq!(evaluate(&config, &input).outcome, Outcome::Abstain);
    }
}
