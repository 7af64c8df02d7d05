//! Whether a policy accepts a config: first its JSON Schema, then what only the
//! policy itself can say.

use jsonschema::Draft;
use quorate_core::verdict::Finding;
use serde_json::Value;

use crate::policy::Policy;

/// The most findings that are worth showing at once.
const FINDINGS_MAX: usize = 20;

/// What speaks against `config`, and what is merely worth knowing.
pub fn findings(policy: &Policy, config: &Value) -> Vec<Finding> {
    let refused =
        |code: &str, message: String, path: Option<String>| Finding { code: code.to_owned(), message, path };
    let validator = match jsonschema::options().with_draft(Draft::Draft202012).build(policy.schema()) {
        Ok(validator) => validator,
        Err(error) => {
            return vec![refused("bad-schema", format!("the policy's schema is not usable: {error}"), None)];
        }
    };
    let errors = validator.iter_errors(config).take(FINDINGS_MAX);
    let mut findings: Vec<Finding> = errors
        .map(|error| refused("schema", error.to_string(), Some(error.instance_path().to_string())))
        .collect();
    // A policy's own check may rest on the schema.
    if findings.is_empty() {
        match policy.check(&config.to_string()) {
            Ok(more) => findings.extend(more.into_iter().take(FINDINGS_MAX)),
            Err(fault) => {
                findings.push(refused("fault", format!("the policy does not answer: {fault}"), None));
            }
        }
    }
    findings
}
