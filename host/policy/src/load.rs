//! From bytes to a policy, one check after the other. Each has its own plain
//! message; nothing has changed when one fails.

use quorate_core::ids::Digest;
use quorate_core::verdict::{Fault, FaultCode};
use serde_json::Value;
use wasmparser::types::Types;
use wasmparser::{Parser, Validator, WasmFeatures};
use wasmtime::component::Component;

use crate::abi::Mismatch;
use crate::anew;
use crate::fault::{fault, plain};
use crate::metadata::Metadata;
use crate::policy::{Loaded, Policy};
use crate::runtime::{Runtime, Shared};
use crate::signature::{self, BadSignature};
use crate::vectors;

/// Why a component is not a policy here.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// Larger than a component may be.
    #[error("it has {bytes} bytes, {max} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Something else.
    #[error("it is not a WebAssembly component: {0}")]
    NotAComponent(String),
    /// Keys are configured, and none of them vouches for it.
    #[error("{0}")]
    BadSignature(BadSignature),
    /// For another world, or another version of the contract.
    #[error("it does not keep to the contract quorate:policy@1.0.0: {0}")]
    WrongContract(String),
    /// It wants more than the contract offers.
    #[error("it imports what a policy may not have: {}", .0.join(", "))]
    ForeignImport(Vec<String>),
    /// The engine refuses it.
    #[error("it does not compile: {0}")]
    DoesNotCompile(String),
    /// It was started once, and that went wrong.
    #[error("it does not start: {0}")]
    DoesNotStart(Fault),
    /// What it says its config looks like is no schema.
    #[error("its config schema is no JSON Schema: {0}")]
    BadSchema(String),
    /// One of the cases that it carries goes otherwise than its author said.
    #[error("its own vectors do not pass: {0}")]
    VectorsFail(String),
    /// The machine could not; the component may be good.
    #[error("it could not be tried: {0}")]
    Host(Fault),
}

impl LoadError {
    /// The code as it is written everywhere.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too-large",
            Self::NotAComponent(_) => "not-a-component",
            Self::BadSignature(BadSignature::Missing) => "not-signed",
            Self::BadSignature(_) => "bad-signature",
            Self::WrongContract(_) => "wrong-contract",
            Self::ForeignImport(_) => "foreign-import",
            Self::DoesNotCompile(_) => "does-not-compile",
            Self::DoesNotStart(_) => "does-not-start",
            Self::BadSchema(_) => "bad-schema",
            Self::VectorsFail(_) => "vectors-fail",
            Self::Host(_) => "host",
        }
    }
}

impl Runtime {
    /// Takes in `component`: compiles it, or takes it from the cache, and starts it
    /// once. This may take seconds for an interpreter of some megabytes.
    pub fn load(&self, component: &[u8]) -> Result<Policy, LoadError> {
        let types = self.check_form(component)?;
        self.check_signature(component)?;
        self.take_in(component, &types)
    }

    /// The same, for a component that somebody else vouches for: this program, which
    /// brought it along, or the ledger, for what has decided before.
    pub fn load_vouched(&self, component: &[u8]) -> Result<Policy, LoadError> {
        let types = self.check_form(component)?;
        self.take_in(component, &types)
    }

    /// Whether one of the keys signed `component`, where there are any: all that can have
    /// changed of what was taken in before.
    pub fn check_signature(&self, component: &[u8]) -> Result<(), LoadError> {
        if self.keys.is_empty() {
            return Ok(());
        }
        signature::verify(component, &self.keys).map(drop).map_err(LoadError::BadSignature)
    }

    fn check_form(&self, component: &[u8]) -> Result<Types, LoadError> {
        check_size(component, self.shared.limits.component_bytes_max)?;
        check_format(component)
    }

    fn take_in(&self, component: &[u8], types: &Types) -> Result<Policy, LoadError> {
        let shared = &self.shared;
        shared.contract.check(component).map_err(|mismatch| match mismatch {
            Mismatch::Contract(difference) => LoadError::WrongContract(difference),
            Mismatch::Imports(foreign) => LoadError::ForeignImport(foreign),
        })?;
        let digest = Digest::of(component);
        let begins_anew = anew::with_begin_anew(component, types.as_ref());
        let compiled = compiled(shared, begins_anew.as_deref().unwrap_or(component), digest)?;
        let instance = shared
            .linker
            .instantiate_pre(&compiled)
            .map_err(|error| LoadError::WrongContract(plain(&format!("{error:#}"), 400)))?;
        let loaded =
            Loaded::start(shared.clone(), instance, &compiled, begins_anew.is_some()).map_err(not_started)?;
        let schema = schema(&loaded.schema().map_err(not_started)?)?;
        let evidence = loaded.evidence().map_err(not_started)?;
        let metadata = Metadata::of(component, &schema);
        let policy = Policy::new(loaded, digest, component.len(), schema, evidence, metadata);
        if let Some(text) = vectors::carried(component) {
            vectors::pass(text, &policy).map_err(LoadError::VectorsFail)?;
        }
        Ok(policy)
    }
}

fn not_started(fault: Fault) -> LoadError {
    match fault.code {
        FaultCode::Host => LoadError::Host(fault),
        _ => LoadError::DoesNotStart(fault),
    }
}

fn check_size(component: &[u8], max: usize) -> Result<(), LoadError> {
    match component.len() {
        0 => Err(LoadError::Empty),
        bytes if bytes > max => Err(LoadError::TooLarge { bytes, max }),
        _ => Ok(()),
    }
}

fn check_format(component: &[u8]) -> Result<Types, LoadError> {
    if Parser::is_core_wasm(component) {
        return Err(LoadError::NotAComponent(
            "it is a core module; wrap it into a component first".to_owned(),
        ));
    }
    if !Parser::is_component(component) {
        return Err(LoadError::NotAComponent("it does not begin as one".to_owned()));
    }
    // With every feature there is: what is valid but not allowed here is for the
    // engine to say.
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(component)
        .map_err(|error| LoadError::NotAComponent(plain(&error.to_string(), 400)))
}

/// From the cache, or compiled and then kept there under the `digest` of what it was made
/// of. A panic of the compiler is a refusal like any other.
fn compiled(shared: &Shared, component: &[u8], digest: Digest) -> Result<Component, LoadError> {
    if let Some(cached) = shared.cache.as_ref().and_then(|c| c.load(&shared.engine, digest)) {
        return Ok(cached);
    }
    let compile = || Component::from_binary(&shared.engine, component);
    let compiled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(compile))
        .map_err(|_| LoadError::Host(fault(FaultCode::Host, "the compiler panicked")))?
        .map_err(|error| LoadError::DoesNotCompile(plain(&format!("{error:#}"), 400)))?;
    if let Some(cache) = &shared.cache {
        cache.store(digest, &compiled);
    }
    Ok(compiled)
}

/// A JSON object whose best-known keywords have the right types. The rest is for
/// whoever validates a config against it.
fn schema(text: &str) -> Result<Value, LoadError> {
    let bad = |why: &str| LoadError::BadSchema(why.to_owned());
    let schema: Value =
        serde_json::from_str(text).map_err(|error| LoadError::BadSchema(plain(&error.to_string(), 200)))?;
    let Value::Object(keywords) = &schema else { return Err(bad("it is not an object")) };
    let wrong = |name: &str, fits: fn(&Value) -> bool| keywords.get(name).is_some_and(|v| !fits(v));
    let is_strings = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    if wrong("$schema", Value::is_string) {
        return Err(bad("`$schema` is not a text"));
    }
    if wrong("type", |value| value.is_string() || value.is_array()) {
        return Err(bad("`type` is neither a text nor a list"));
    }
    if wrong("properties", Value::is_object) {
        return Err(bad("`properties` is not an object"));
    }
    if wrong("required", is_strings) {
        return Err(bad("`required` is not a list of texts"));
    }
    Ok(schema)
}
