//! Properties that a world brings along: expressions that must be true in every state.
//!
//! Not here: what an expression means. The kit is compiled into policies, which need no
//! language for that; whoever looks at a world with expressions brings a [`Judge`].

use serde::Deserialize;

use super::Property;
use crate::vectors::BadFile;
use crate::{Input, Verdict};

/// A property in an author's own words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    /// What people call it.
    pub name: String,
    /// An expression that is true in every state.
    pub holds: String,
}

/// Whoever knows what the expressions of a world mean.
pub trait Judge {
    /// What follows is about this request under this config, before anybody has voted.
    fn begin(&mut self, config: &str, input: &Input);

    /// Whether the how-manieth of the world's own properties is true, where the policy says
    /// `verdict` about `input`; in words where that cannot be said.
    ///
    /// # Errors
    /// Where the expression fails, or is neither true nor false. What goes on a sentence
    /// that begins with the expression: `fails: ...`.
    fn holds(&mut self, nth: usize, input: &Input, verdict: &Verdict) -> Result<bool, String>;
}

impl Own {
    pub(super) fn property(&self) -> Property {
        Property::Own(self.name.clone())
    }
}

/// Makes sure that each has a name of its own.
pub(super) fn check(all: &[Own]) -> Result<(), BadFile> {
    let built_in = Property::BUILT_IN.map(|property| property.to_string());
    for (nth, Own { name, holds }) in all.iter().enumerate() {
        if name.trim().is_empty() {
            return Err(BadFile::new(format!("`properties.own`: the property `{holds}` has no name")));
        }
        if built_in.contains(name) {
            return Err(BadFile::new(format!("`properties.own`: `{name}` is built in, take another name")));
        }
        if all[..nth].iter().any(|other| other.name == *name) {
            return Err(BadFile::new(format!("`properties.own`: two properties are called `{name}`")));
        }
    }
    Ok(())
}

/// For worlds without expressions.
pub(super) struct Nobody;

impl Judge for Nobody {
    fn begin(&mut self, _: &str, _: &Input) {}

    fn holds(&mut self, _: usize, _: &Input, _: &Verdict) -> Result<bool, String> {
        Err("cannot be told here".to_owned())
    }
}
