//! Says where a value is not what Block Kit wants, in Slack's words and by JSON pointers.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

/// The kinds of text that a place takes.
pub(super) const PLAIN: &[&str] = &["plain_text"];
pub(super) const EITHER: &[&str] = &["plain_text", "mrkdwn"];

#[derive(Default)]
pub(super) struct Checker {
    pub faults: Vec<String>,
}

type Object = Map<String, Value>;

impl Checker {
    pub fn fault(&mut self, at: &str, what: &str) {
        self.faults.push(format!("{what} [json-pointer:{at}]"));
    }

    /// An object with these fields and no others.
    pub fn object<'v>(
        &mut self,
        at: &str,
        value: &'v Value,
        required: &[&str],
        optional: &[&str],
    ) -> Option<&'v Object> {
        let Some(object) = value.as_object() else {
            self.fault(at, "must be an object");
            return None;
        };
        for name in required.iter().filter(|name| !object.contains_key(**name)) {
            self.fault(at, &format!("missing required field: {name}"));
        }
        let known = |name: &str| required.contains(&name) || optional.contains(&name);
        for name in object.keys().filter(|name| !known(name)) {
            self.fault(at, &format!("no more fields allowed: {name}"));
        }
        Some(object)
    }

    /// Checks a field where there is one.
    pub fn field(
        &mut self,
        at: &str,
        object: &Object,
        name: &str,
        check: impl FnOnce(&mut Self, &str, &Value),
    ) {
        if let Some(value) = object.get(name) {
            check(self, &format!("{at}/{name}"), value);
        }
    }

    pub fn string<'v>(
        &mut self,
        at: &str,
        value: &'v Value,
        characters: RangeInclusive<usize>,
    ) -> Option<&'v str> {
        let Some(text) = value.as_str() else {
            self.fault(at, "must be a string");
            return None;
        };
        let count = text.chars().count();
        if count < *characters.start() {
            self.fault(at, &format!("must be more than {} characters", characters.start() - 1));
        }
        if count > *characters.end() {
            self.fault(at, &format!("must be less than {} characters", characters.end() + 1));
        }
        Some(text)
    }

    pub fn text(&mut self, at: &str, value: &Value, kinds: &[&str], characters_max: usize) {
        let own = if value["type"] == "mrkdwn" { "verbatim" } else { "emoji" };
        let Some(object) = self.object(at, value, &["type", "text"], &[own]) else { return };
        self.field(at, object, "type", |checker, at, value| checker.one_of(at, value, kinds));
        self.field(at, object, "text", |checker, at, value| {
            checker.string(at, value, 1..=characters_max);
        });
        self.field(at, object, own, Self::flag);
    }

    pub fn list<'v>(
        &mut self,
        at: &str,
        value: &'v Value,
        count: RangeInclusive<usize>,
    ) -> Vec<(String, &'v Value)> {
        let Some(list) = value.as_array() else {
            self.fault(at, "must be an array");
            return Vec::new();
        };
        if list.len() < *count.start() {
            self.fault(at, &format!("no fewer than {} items allowed", count.start()));
        }
        if list.len() > *count.end() {
            self.fault(at, &format!("no more than {} items allowed", count.end()));
        }
        list.iter().enumerate().map(|(index, item)| (format!("{at}/{index}"), item)).collect()
    }

    pub fn flag(&mut self, at: &str, value: &Value) {
        if !value.is_boolean() {
            self.fault(at, "must be a boolean");
        }
    }

    pub fn number(&mut self, at: &str, value: &Value, range: RangeInclusive<u64>) {
        if !value.as_u64().is_some_and(|number| range.contains(&number)) {
            self.fault(at, &format!("must be an integer from {} to {}", range.start(), range.end()));
        }
    }

    pub fn one_of(&mut self, at: &str, value: &Value, words: &[&str]) {
        if !value.as_str().is_some_and(|word| words.contains(&word)) {
            self.fault(at, &format!("must be a valid enum value, one of {}", words.join(", ")));
        }
    }

    /// Demands that nothing is there twice.
    pub fn unique<'v>(&mut self, at: &str, what: &str, all: impl Iterator<Item = &'v Value>) {
        let mut known = Vec::new();
        for value in all {
            if known.contains(&value) {
                self.fault(at, &format!("`{what}` {value} already exists"));
            }
            known.push(value);
        }
    }

    pub fn url(&mut self, at: &str, value: &Value) {
        if let Some(text) = self.string(at, value, 1..=3000)
            && reqwest::Url::parse(text).is_err()
        {
            self.fault(at, "must be a valid URL");
        }
    }
}
