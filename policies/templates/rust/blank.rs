//! Nothing yet: this policy abstains. A request about which all policies of its rule abstain
//! is denied, so a policy that was forgotten lets nobody in.

use quorate_kit::{Input, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

// Forms, docs and checks are made from it, by its JSON Schema: give each field a doc comment and
// its range.
/// What a rule tells this policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// What this policy says about a request:
///
/// - `Verdict::abstain()`: nothing;
/// - `Verdict::wait(ways)`: not yet, and what is missing;
/// - `Verdict::approve()`: enough;
/// - `Verdict::bypass(why)`: approved, whatever other policies wait for;
/// - `Verdict::deny(why)`: no.
pub fn evaluate(_config: &Config, _input: &Input) -> Verdict {
    Verdict::abstain()
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

    #[test]
    fn it_says_nothing() {
        assert_eq!(evaluate(&Config {}, &asks(person("ann", &["dev"]))).outcome, Outcome::Abstain);
    }
}
