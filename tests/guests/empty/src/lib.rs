//! The least a policy can do: it takes the input and approves. What one call of it
//! costs is what every policy costs; the benchmark measures the others against it.
//!
//! Written on the contract itself, without a config and without serde.

#[cfg(target_family = "wasm")]
mod guest {
    use quorate_kit::__contract::exports::quorate::policy::{rule, settings};
    use quorate_kit::{EvidenceNeeds, Finding, Input, Verdict};

    struct Empty;

    impl rule::Guest for Empty {
        fn evaluate(config: String, input: Input) -> Verdict {
            // As the kit does: the instance ends with this call, and its memory with it.
            std::mem::forget((config, input));
            Verdict::approve()
        }
    }

    impl settings::Guest for Empty {
        fn schema() -> String {
            r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object"}"#.to_owned()
        }

        fn check(_: String) -> Vec<Finding> {
            Vec::new()
        }

        fn evidence() -> EvidenceNeeds {
            EvidenceNeeds::default()
        }
    }

    quorate_kit::__contract::__export!(Empty with_types_in quorate_kit::__contract);
}
