//! The form of a vector file. Unknown keys are errors, with the nearest name that was
//! probably meant.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::expect::Expect;
use super::span::Span;
use crate::AccessDuration;

/// The largest file that is read.
const BYTES_MAX: usize = 1 << 20;

/// One vector file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Everybody who appears, by their ids.
    pub people: BTreeMap<String, Person>,
    /// What is asked for.
    #[serde(default)]
    pub resource: Resource,
    /// The config of all cases that have none of their own.
    #[serde(default)]
    pub config: Option<Value>,
    /// What is tried.
    pub cases: Vec<Case>,
}

/// A person: their groups, or a map of what else there is to know.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// Their groups.
    pub groups: Vec<String>,
    /// Their address; `ID@example.com` where none is given.
    pub email: Option<String>,
    /// Further attributes, each a JSON value.
    pub attributes: BTreeMap<String, Value>,
}

/// What is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// What stands behind it.
    pub kind: String,
    /// The longest access it allows.
    pub max_duration: Option<AccessDuration>,
    /// What the operator wrote on it.
    pub attributes: BTreeMap<String, Value>,
}

impl Default for Resource {
    fn default() -> Self {
        Self {
            name: "prod-postgres".to_owned(),
            kind: "postgres".to_owned(),
            max_duration: None,
            attributes: BTreeMap::new(),
        }
    }
}

/// One case; a row of its table has the same keys, and those it has replace the case's.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    /// What it shows, in words.
    pub name: Option<String>,
    /// Who asks.
    pub requester: Option<String>,
    /// The config.
    pub config: Option<Value>,
    /// Just-in-time access for this long; half an hour where nothing is said.
    pub duration: Option<AccessDuration>,
    /// One run of a command instead.
    pub command: Option<Command>,
    /// In the requester's words.
    pub reason: Option<String>,
    /// When it is asked, RFC 3339.
    pub at: Option<String>,
    /// Facts by name; null: it could not be had.
    pub facts: Option<BTreeMap<String, Value>>,
    /// Earlier requests of the same person for the same resource, newest first.
    pub history: Option<Vec<Past>>,
    /// People who approve, one after the other, after all steps.
    pub approvals: Option<Vec<String>>,
    /// What happens, in order.
    pub steps: Option<Vec<Step>>,
    /// What the policy says in the end.
    pub expect: Option<Expect>,
    /// What the policy has against the config: the codes of all its findings.
    pub check: Option<Vec<String>>,
    /// Each row is a case of its own.
    pub table: Option<Vec<Case>>,
}

/// Exactly one run of exactly this.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// What it reads from its standard input.
    pub text: String,
    /// What is added to the resource's command line.
    #[serde(default)]
    pub arguments: Vec<String>,
}

/// An earlier request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Past {
    /// Just-in-time access for this long.
    #[serde(default)]
    pub duration: Option<AccessDuration>,
    /// One run of a command instead.
    #[serde(default)]
    pub command: Option<Command>,
    /// Its state in capitals.
    pub outcome: String,
    /// How long before this request it was submitted.
    pub ago: Span,
    /// How long before this request it ended; nothing: it is open.
    #[serde(default)]
    pub ended_ago: Option<Span>,
}

/// One thing that happens: exactly one of these, with a comment where somebody votes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// Somebody says yes.
    pub approve: Option<String>,
    /// Somebody says no.
    pub reject: Option<String>,
    /// Somebody says yes for everybody.
    pub force: Option<String>,
    /// So much time goes by.
    pub after: Option<Span>,
    /// What the policy says now.
    pub expect: Option<Expect>,
    /// The voter's words.
    pub comment: Option<String>,
}

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFile(pub(super) String);

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadFile {}

impl BadFile {
    /// A file that cannot be used, because of `why`.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl File {
    /// The files in `text`: one, or several YAML documents.
    ///
    /// # Errors
    /// Where it is too large, no YAML, or has keys or values that it must not have.
    pub fn parse(text: &str) -> Result<Vec<Self>, BadFile> {
        documents(text)
    }

    /// As [`File::parse`], for whoever writes the file: no two cases have one name.
    ///
    /// # Errors
    /// As there, and where two have. A gateway that has such a file in a component from
    /// before does not mind.
    pub fn parse_strictly(text: &str) -> Result<Vec<Self>, BadFile> {
        let files = Self::parse(text)?;
        for file in &files {
            same_name(&file.cases, "")?;
            for (nth, case) in file.cases.iter().enumerate() {
                let name = case.name.clone().unwrap_or_else(|| format!("case {}", nth + 1));
                same_name(case.table.as_deref().unwrap_or_default(), &format!("in `{name}`: "))?;
            }
        }
        Ok(files)
    }
}

/// Refuses two of one name.
fn same_name(cases: &[Case], place: &str) -> Result<(), BadFile> {
    let what = if place.is_empty() { "case" } else { "row" };
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (nth, case) in cases.iter().enumerate() {
        let Some(name) = case.name.as_deref() else { continue };
        if let Some(first) = seen.insert(name, nth + 1) {
            return Err(BadFile(super::plain(&format!(
                "{place}{what} {first} and {what} {} are both called `{name}`: give each a name of its own",
                nth + 1
            ))));
        }
    }
    Ok(())
}

/// The documents in `text`, at least one.
pub(crate) fn documents<T: for<'de> Deserialize<'de>>(text: &str) -> Result<Vec<T>, BadFile> {
    if text.len() > BYTES_MAX {
        let bytes = text.len();
        return Err(BadFile(format!("it has {bytes} bytes, {BYTES_MAX} are allowed")));
    }
    let files: Vec<T> = serde_saphyr::from_multiple(text).map_err(|error| {
        let place = error
            .location()
            .map_or(String::new(), |at| format!("line {}, column {}: ", at.line(), at.column()));
        let why = error.without_snippet().to_string();
        let why = why.split(" at line ").next().unwrap_or_default();
        // What a library tells its users is nothing to an author.
        let why = why.split(", set DuplicateKeyPolicy").next().unwrap_or_default();
        BadFile(format!("{place}{}", nearest(why)))
    })?;
    if files.is_empty() {
        return Err(BadFile("it holds nothing".to_owned()));
    }
    Ok(files)
}

/// An error about an unknown name, with the one that was probably meant.
fn nearest(error: &str) -> String {
    let plain: String = error.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let Some((given, expected)) =
        plain.split_once("unknown ").and_then(|(_, rest)| rest.split_once(", expected "))
    else {
        return plain;
    };
    let given = given.split('`').nth(1).unwrap_or_default();
    let expected = expected.strip_prefix("one of ").unwrap_or(expected);
    let names: Vec<&str> = expected.split([',', ' ']).map(|name| name.trim_matches('`')).collect();
    let scored = names.into_iter().map(|name| (strsim::jaro_winkler(given, name), name));
    match scored.filter(|(score, _)| *score > 0.75).max_by(|one, other| one.0.total_cmp(&other.0)) {
        Some((_, name)) => format!("unknown `{given}`, did you mean `{name}`?"),
        None => plain,
    }
}

impl<'de> Deserialize<'de> for Person {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            #[serde(default)]
            groups: Vec<String>,
            email: Option<String>,
            #[serde(default)]
            attributes: BTreeMap<String, Value>,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Person;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of groups, or a map with groups, email and attributes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Person, A::Error> {
                let mut groups = Vec::new();
                while let Some(group) = list.next_element()? {
                    groups.push(group);
                }
                Ok(Person { groups, ..Person::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Person, A::Error> {
                let Whole { groups, email, attributes } =
                    Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Person { groups, email, attributes })
            }

            fn visit_unit<E: de::Error>(self) -> Result<Person, E> {
                Ok(Person::default())
            }
        }
        deserializer.deserialize_any(Either)
    }
}
