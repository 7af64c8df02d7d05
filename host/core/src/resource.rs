//! A resource role: what is asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::entry::{Actor, Happened, Step, Stream};
use crate::ids::{AgentName, Digest, GroupName, ResourceName};
use crate::input::{Attribute, Command, Principal, Target};
use crate::refused::Refused;
use crate::rule::AccessType;

/// The longest command line of a resource, in words.
pub const WORDS_MAX: usize = 100;
/// The most a resource can say of itself, in bytes: its command line, its kind,
/// its attributes and the names of its secrets and plugins together.
pub const RESOURCE_BYTES_MAX: usize = 64 * 1024;

/// What an operator says of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Its name.
    pub name: ResourceName,
    /// What stands behind it, in the operator's words: `postgres`, `ssh`.
    #[serde(default)]
    pub kind: String,
    /// Which agent runs it.
    #[serde(default = "default_agent")]
    pub agent: AgentName,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The names of the secrets that the program finds in its environment. The
    /// values are never here.
    #[serde(default)]
    pub secrets: BTreeSet<String>,
    /// What rules can narrow by.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The ways in which it can be asked for.
    #[serde(default = "both_types")]
    pub access_types: BTreeSet<AccessType>,
    /// The longest access, in seconds.
    #[serde(default)]
    pub max_duration: Option<u64>,
    /// Members may enter where no rule covers them.
    #[serde(default)]
    pub standing_groups: BTreeSet<GroupName>,
    /// Notification plugins, such as `slack`.
    #[serde(default)]
    pub plugins: BTreeSet<String>,
    /// How many entries made it what it is.
    #[serde(default)]
    pub revision: u64,
}

fn default_agent() -> AgentName {
    #[expect(clippy::expect_used, reason = "the literal is a valid name")]
    "default".parse().expect("a valid name")
}

fn both_types() -> BTreeSet<AccessType> {
    BTreeSet::from([AccessType::JustInTime, AccessType::Command])
}

impl Resource {
    /// It, as policies see it.
    pub fn target(&self) -> Target {
        let attributes = self.attributes.iter().map(|(name, value)| Attribute {
            name: name.clone(),
            value: serde_json::Value::from(value.as_str()).to_string(),
        });
        Target {
            name: self.name.clone(),
            kind: self.kind.clone(),
            max_duration: self.max_duration,
            attributes: attributes.collect(),
        }
    }

    /// What exactly would run: the resource's own command line, the arguments and
    /// the input, in one digest.
    pub fn command_digest(&self, command: &Command) -> Digest {
        let own = self.command.iter().map(String::as_bytes);
        let added = command.arguments.iter().map(String::as_bytes);
        let counts = [self.command.len() as u64, command.arguments.len() as u64].map(u64::to_le_bytes);
        let parts = counts.iter().map(<[u8; 8]>::as_slice);
        Digest::of_parts(
            parts.chain(own).chain(added).chain([self.agent.as_str().as_bytes(), command.text.as_bytes()]),
        )
    }

    /// The first of the standing groups that `person` is in.
    pub fn standing_group(&self, person: &Principal) -> Option<&GroupName> {
        self.standing_groups.iter().find(|group| person.is_in(group.as_str()))
    }

    /// Saves it, where its stream has `revision` entries.
    pub fn save(mut self, revision: u64, by: Actor, now: Timestamp) -> Result<Step, Refused> {
        let invalid = |what, why: &str| Err(Refused::Invalid { what, why: why.to_owned() });
        match self.command.first() {
            None => return invalid("command", "give the program to run after `--`"),
            Some(program) if program.is_empty() => return invalid("command", "the program has no name"),
            Some(_) => {}
        }
        if self.command.len() > WORDS_MAX || self.command.iter().any(|word| word.contains('\0')) {
            return invalid("command", "at most 100 words, none with a NUL character");
        }
        if self.bytes() > RESOURCE_BYTES_MAX {
            return Err(Refused::TooLong { what: "the resource", max: RESOURCE_BYTES_MAX, unit: "bytes" });
        }
        if self.access_types.is_empty() {
            return invalid("access_types", "name `just-in-time`, `command` or both");
        }
        if self.max_duration.is_some_and(|seconds| seconds < crate::duration::SECONDS_MIN) {
            return invalid("max_duration", "60s is the smallest");
        }
        if !self.secrets.iter().all(|name| is_variable(name)) {
            return invalid(
                "secrets",
                "names are those of environment variables: letters, digits and `_`; PATH, HOME, TERM, IFS, ENV, BASH_ENV and LD_… are not for secrets",
            );
        }
        self.revision = revision + 1;
        let stream = Stream::resource(&self.name);
        Ok(Step::one(stream, revision, by, now, Happened::ResourceSaved { resource: Box::new(self) }))
    }

    fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().flat_map(|(name, value)| [name, value]);
        let words = self.command.iter().chain(&self.secrets).chain(&self.plugins);
        self.kind.len() + words.chain(attributes).map(String::len).sum::<usize>()
    }

    /// Removes it. `used_by` names a rule that still covers it by name.
    pub fn remove(&self, used_by: Option<&str>, by: Actor, now: Timestamp) -> Result<Step, Refused> {
        if let Some(rule) = used_by {
            return Err(Refused::InUse {
                what: "resource",
                name: self.name.to_string(),
                by: format!("rule {rule}"),
            });
        }
        let stream = Stream::resource(&self.name);
        Ok(Step::one(stream, self.revision, by, now, Happened::ResourceRemoved))
    }
}

/// Whether `name` can be an environment variable that carries a secret. Those
/// that change how programs are loaded are not.
fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    starts
        && name.len() <= 100
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with("LD_")
        && !matches!(name, "PATH" | "IFS" | "BASH_ENV" | "ENV" | "TERM" | "HOME")
}
