//! What stands between the contract's exports and an author's functions. Used by
//! the `policy!` macro only; compiled natively too, so that it can be tested.

use std::mem::ManuallyDrop;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;

use crate::{EvidenceNeeds, Finding, Input, Verdict};

/// One evaluation.
///
/// # Panics
/// When `config` is not what the policy accepts. The gateway has checked it
/// before, so here it is a fault, and the text says which.
pub fn evaluate<C: DeserializeOwned>(
    config: String,
    input: Input,
    evaluate: fn(&C, &Input) -> Verdict,
) -> Verdict {
    hook_panics();
    // Nothing is taken apart: the instance ends with this call, and its memory with it.
    let (config, input) = (ManuallyDrop::new(config), ManuallyDrop::new(input));
    match serde_json::from_str(&config) {
        Ok(config) => evaluate(&ManuallyDrop::new(config), &input),
        Err(error) => refuse(&error),
    }
}

/// The JSON Schema (draft 2020-12) of a config type.
pub fn schema<C: JsonSchema>() -> String {
    hook_panics();
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<C>();
    schema.as_value().to_string()
}

/// The author's findings, or the one that says why the config cannot be read.
pub fn check<C: DeserializeOwned>(config: &str, check: fn(&C) -> Vec<Finding>) -> Vec<Finding> {
    hook_panics();
    match serde_json::from_str(config) {
        Ok(config) => check(&config),
        Err(error) => vec![Finding::new("invalid-config", error.to_string())],
    }
}

/// What the author's policy wants gathered.
pub fn evidence(evidence: fn() -> EvidenceNeeds) -> EvidenceNeeds {
    hook_panics();
    evidence()
}

#[cold]
#[allow(
    clippy::panic,
    reason = "a policy has no other way to say that it cannot answer; the host makes it a fault"
)]
fn refuse(error: &serde_json::Error) -> ! {
    panic!("this policy does not accept its config: {error}")
}

/// Sends the text of a panic to the host: on this target it would be lost.
fn hook_panics() {
    #[cfg(target_family = "wasm")]
    std::panic::set_hook(Box::new(|panic| crate::log(&panic.to_string())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[derive(serde::Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Config {
        /// How many.
        #[schemars(range(min = 1, max = 9))]
        count: u32,
    }

    fn too_many(config: &Config) -> Vec<Finding> {
        if config.count > 9 { vec![Finding::new("too-many", "too many").at("/count")] } else { Vec::new() }
    }

    fn approve(config: &Config, _: &Input) -> Verdict {
        Verdict::approve().max_duration(u64::from(config.count))
    }

    #[test]
    fn the_schema_is_draft_2020_12_closed_and_carries_the_doc_comments() {
        let schema: serde_json::Value = serde_json::from_str(&schema::<Config>()).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["count"]["description"], "How many.");
        assert_eq!(schema["properties"]["count"]["maximum"], 9);
    }

    #[test]
    fn a_readable_config_reaches_the_policy() {
        let input = testing::asks(testing::person("ann", &["dev"]));
        assert_eq!(evaluate(r#"{"count":3}"#.to_owned(), input, approve).max_duration, Some(3));
    }

    #[test]
    #[should_panic(expected = "does not accept its config: unknown field `cuont`, expected `count`")]
    fn an_unreadable_config_is_a_panic_that_says_why() {
        let _ = evaluate(r#"{"cuont":3}"#.to_owned(), testing::asks(testing::person("ann", &[])), approve);
    }

    #[test]
    fn check_says_what_the_author_found_and_where() {
        assert_eq!(check(r#"{"count":10}"#, too_many)[0].path.as_deref(), Some("/count"));
        assert_eq!(check(r#"{"count":9}"#, too_many), []);
    }

    #[test]
    fn check_answers_an_unreadable_config_with_a_finding() {
        for config in ["", "null", "{", r#"{"count":-1}"#, r#"{"count":"3"}"#, "[[[[[[[["] {
            let findings = check(config, too_many);
            assert_eq!((findings.len(), findings[0].code.as_str()), (1, "invalid-config"), "{config}");
        }
    }
}
