//! The engines, each made ready once: parsed, compiled, linked, with the config in it. What
//! is measured is one decision: the input converted, the rule evaluated, the answer read.

mod cedar;
mod cel;
mod component;
mod lua;
mod native;
mod rego;
mod rhai;

use anyhow::Context as _;
use quorate_core::input::Input;

use crate::answer::Answer;

/// An engine with the rule in it.
pub(crate) trait Engine {
    /// What to know about it.
    fn about(&self) -> &About;
    /// What can be done while nobody waits for an answer; not measured.
    fn get_ready(&mut self) {}
    /// One decision.
    fn decide(&mut self, input: &Input) -> anyhow::Result<Answer>;
}

/// What to know about an engine and its rule.
pub(crate) struct About {
    /// What it is called in the table.
    pub(crate) name: &'static str,
    /// Of the library.
    pub(crate) version: String,
    /// Where the rule runs.
    pub(crate) memory: Memory,
    /// Whether it can say what is missing.
    pub(crate) says_missing: bool,
    /// Which configs the rule is written for.
    pub(crate) groups: &'static str,
    /// Lines of the rule.
    pub(crate) lines: usize,
    /// What is left to the gateway, or cannot be said at all.
    pub(crate) limits: Option<&'static str>,
}

/// Where a rule runs, and what it can leave behind for the next decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// In the memory of the gateway.
    Shared,
    /// In the memory of the gateway, with an interpreter of its own for each decision.
    SharedFresh,
    /// In memory of its own, made for this decision, under limits of fuel, time and memory.
    Sandbox,
}

impl Memory {
    /// As it stands in the table.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::SharedFresh => "shared, fresh state",
            Self::Sandbox => "fresh sandbox",
        }
    }
}

/// The engine that the others are compared with.
pub(crate) const REFERENCE: &str = "component, made within";

/// All of them, in the order of the table.
pub(crate) fn all() -> anyhow::Result<Vec<Box<dyn Engine>>> {
    let (within, ahead) = component::both().context("component")?;
    Ok(vec![
        Box::new(native::Native::new().context("native")?),
        Box::new(ahead),
        Box::new(within),
        Box::new(cedar::Cedar::counts_alone().context("Cedar")?),
        Box::new(cedar::Cedar::whole_input().context("Cedar")?),
        Box::new(rego::Rego::machine().context("Rego")?),
        Box::new(rego::Rego::interpreter().context("Rego")?),
        Box::new(cel::Cel::new().context("CEL")?),
        Box::new(rhai::Rhai::new().context("Rhai")?),
        Box::new(lua::Lua::one_state().context("Lua")?),
        Box::new(lua::Lua::fresh_state().context("Lua")?),
    ])
}

/// The version of `package` that this was built with.
fn version(package: &str) -> anyhow::Result<String> {
    let name = format!("name = \"{package}\"\nversion = \"");
    let lock = include_str!("../Cargo.lock");
    let (_, rest) = lock.split_once(&name).with_context(|| format!("`{package}` is not in Cargo.lock"))?;
    let (version, _) = rest.split_once('"').with_context(|| format!("`{package}` has no version"))?;
    Ok(version.to_owned())
}

/// Lines that are neither empty nor a comment.
fn lines(rule: &str) -> usize {
    let comments = ["//", "#", "--"];
    let counts = |line: &&str| !line.is_empty() && !comments.iter().any(|comment| line.starts_with(comment));
    // In Rust, a `#[..]` is counted as a comment too.
    rule.lines().map(str::trim).filter(counts).count()
}
