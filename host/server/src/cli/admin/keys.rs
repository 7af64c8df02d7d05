//! Finds keys that a file must not have, with line, column, path and the nearest name that it
//! may have: before anything else is made of the file, and all of them at once.

use std::collections::BTreeMap;
use std::fmt;

use serde_saphyr::granit_parser::{Event, Parser, Span};

pub(super) use crate::cli::words::nearest;

/// What a place in a file may hold.
#[derive(Debug)]
pub(super) enum Shape {
    /// Anything; somebody else checks it.
    Any,
    /// These keys.
    Keys(&'static [(&'static str, Shape)]),
    /// Any names, each with this.
    Named(&'static Shape),
    /// A list of these.
    List(&'static Shape),
}

/// A key that must not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnknownKey {
    /// The key.
    pub(super) key: String,
    /// Where in the file, from 1.
    pub(super) line: usize,
    /// Where in the line, from 1.
    pub(super) column: usize,
    /// The path to it, `rules.prod.aproval_groups`.
    pub(super) path: String,
    /// What may be there.
    pub(super) expected: Vec<&'static str>,
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, path, .. } = self;
        write!(f, "line {line}, column {column}: unknown key `{path}`")?;
        match nearest(&self.key, &self.expected) {
            Some(name) => write!(f, ", did you mean `{name}`?"),
            None => write!(f, "; there may be {}", self.expected.join(", ")),
        }
    }
}

/// The deepest nesting that is looked at.
const DEPTH_MAX: usize = 64;
/// The most keys that are told at once.
const TOLD_MAX: usize = 5;

/// The keys in `text` that `shape` does not have, in the order of the file. What is no YAML is
/// left to whoever reads it next.
pub(super) fn unknown_keys(text: &str, shape: &Shape) -> Vec<UnknownKey> {
    let mut walk = Walk { events: Parser::new_from_str(text), unknown: Vec::new() };
    while let Some((event, _)) = walk.next() {
        if !matches!(event, Event::StreamStart | Event::DocumentStart(..)) {
            walk.node(&event, shape, "", 0);
        }
    }
    walk.unknown
}

struct Walk<I> {
    events: I,
    unknown: Vec<UnknownKey>,
}

impl<'a, E, I: Iterator<Item = Result<(Event<'a>, Span), E>>> Walk<I> {
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        if self.unknown.len() >= TOLD_MAX {
            return None;
        }
        loop {
            match self.events.next()? {
                Ok((Event::Comment(..), _)) => {}
                Ok(next) => return Some(next),
                Err(_) => return None,
            }
        }
    }

    fn node(&mut self, event: &Event<'a>, shape: &Shape, path: &str, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        match event {
            Event::MappingStart(..) => self.mapping(shape, path, depth),
            Event::SequenceStart(..) => {
                let of = if let Shape::List(of) = shape { of } else { &Shape::Any };
                let mut index = 0;
                while let Some((event, _)) =
                    self.next().filter(|(event, _)| !matches!(event, Event::SequenceEnd))
                {
                    self.node(&event, of, &format!("{path}[{index}]"), depth + 1);
                    index += 1;
                }
            }
            _ => {}
        }
    }

    fn mapping(&mut self, shape: &Shape, path: &str, depth: usize) {
        while let Some((key, span)) = self.next().filter(|(event, _)| !matches!(event, Event::MappingEnd)) {
            let Event::Scalar(name, ..) = &key else {
                self.node(&key, &Shape::Any, path, depth + 1);
                self.value(&Shape::Any, path, depth);
                continue;
            };
            let below = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            let shape = match shape {
                Shape::Any | Shape::List(_) => &Shape::Any,
                Shape::Named(of) => of,
                Shape::Keys(keys) => match keys.iter().find(|(known, _)| known == name) {
                    Some((_, of)) => of,
                    // A merge of another mapping, which is checked where it stands.
                    None if name == "<<" => &Shape::Any,
                    None => {
                        self.unknown.push(UnknownKey {
                            key: name.to_string(),
                            line: span.start.line(),
                            column: span.start.col() + 1,
                            path: below.clone(),
                            expected: keys.iter().map(|(known, _)| *known).collect(),
                        });
                        &Shape::Any
                    }
                },
            };
            self.value(shape, &below, depth);
        }
    }

    fn value(&mut self, shape: &Shape, path: &str, depth: usize) {
        if let Some((event, _)) = self.next() {
            self.node(&event, shape, path, depth + 1);
        }
    }
}

/// The names of a map, as text, for [`nearest`].
pub(super) fn names<K: fmt::Display, V>(map: &BTreeMap<K, V>) -> Vec<String> {
    map.keys().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Shape =
        Shape::Keys(&[("access_type", Shape::Any), ("approval_groups", Shape::Any), ("config", Shape::Any)]);
    const FILE: Shape = Shape::Keys(&[("rules", Shape::Named(&RULE)), ("list", Shape::List(&RULE))]);

    fn unknown(text: &str) -> Vec<String> {
        unknown_keys(text, &FILE).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_nearest_name() {
        let text = "rules:\n  prod:\n    access_type: command\n    aproval_groups: [dba]\n";
        assert_eq!(
            unknown(text),
            ["line 4, column 5: unknown key `rules.prod.aproval_groups`, did you mean `approval_groups`?"]
        );
    }

    #[test]
    fn without_a_near_name_all_are_listed_and_lists_have_numbers() {
        let text = "# people\nlist:\n  - {config: {anything: 1}}\n  - {zzz: 1}\nüber: {}\n";
        assert_eq!(
            unknown(text),
            [
                "line 4, column 6: unknown key `list[1].zzz`; there may be access_type, approval_groups, config",
                "line 5, column 1: unknown key `über`; there may be rules, list",
            ]
        );
    }

    #[test]
    fn what_is_right_has_no_unknown_keys_in_yaml_and_in_json() {
        assert!(unknown("rules: {a: &x {access_type: command}, b: {<<: *x}}\n").is_empty());
        assert!(unknown("{\"rules\": {\"a\": {\"config\": {\"b\": [1, {\"c\": 2}]}}}}").is_empty());
        assert!(unknown("").is_empty());
    }

    #[test]
    fn hostile_files_end() {
        assert!(unknown(&"[".repeat(10_000)).is_empty());
        assert!(unknown(&"a: ".repeat(10_000)).len() <= TOLD_MAX);
        assert_eq!(
            unknown(&(0..100).map(|n| format!("k{n}: 1\n")).collect::<Vec<_>>().concat()).len(),
            TOLD_MAX
        );
    }
}
