//! Where things stand in a YAML text, so that a value can be changed and nothing else.
//!
//! Not here: what a text means; that is for the types in `file`.

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::Value;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

use super::span::Span;

/// A value, and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    /// Its bytes.
    pub(super) at: Range<usize>,
    /// Written over several lines by indentation, not in brackets or quotes.
    pub(super) is_block: bool,
    pub(super) kind: Kind,
}

/// What stands there.
#[derive(Debug)]
pub(super) enum Kind {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// The documents of a text.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) documents: Vec<Node>,
    comments: Vec<Range<usize>>,
}

/// Bytes of a text, and what replaces them.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) at: Range<usize>,
    pub(super) text: String,
}

/// A list or map whose end has not come yet.
struct Open {
    node: Node,
    /// Of a map: a key that waits for its value.
    key: Option<Node>,
}

impl Places {
    /// Where everything in `text` stands; a sentence where that cannot be said.
    pub(super) fn of(text: &str) -> Result<Self, String> {
        let mut places = Self::default();
        let mut open: Vec<Open> = Vec::new();
        for next in Parser::new_from_str(text) {
            let (event, span) = next.map_err(|error| error.to_string())?;
            let at = span.byte_range().ok_or("it cannot be said where its parts stand")?;
            let node = match event {
                Event::Comment(..) => {
                    places.comments.push(at);
                    continue;
                }
                Event::Alias(_) | Event::UnresolvedAlias(_) => {
                    return Err("it uses `*`, so one place may speak for several cases".to_owned());
                }
                Event::Scalar(value, style, ..) => {
                    let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                    let end = if is_block { trimmed(text, &at) } else { at.end };
                    Node { at: at.start..end, is_block, kind: Kind::Scalar(value.into_owned()) }
                }
                Event::SequenceStart(style, ..) => {
                    open.push(Open::new(at, style, Kind::List(Vec::new())));
                    continue;
                }
                Event::MappingStart(style, ..) => {
                    open.push(Open::new(at, style, Kind::Map(Vec::new())));
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let Some(mut done) = open.pop() else { continue };
                    // What is in no brackets ends where the last of its parts ends.
                    done.node.at.end = if done.node.is_block { done.node.last_end() } else { at.end };
                    done.node
                }
                _ => continue,
            };
            match open.last_mut() {
                Some(parent) => parent.add(node),
                None => places.documents.push(node),
            }
        }
        Ok(places)
    }

    /// What it takes to write `value` in the place of the value that `key` has, or a
    /// sentence why that would lose something.
    pub(super) fn edit(&self, text: &str, key: &Node, old: &Node, value: &Value) -> Result<Edit, String> {
        let written = flow(value);
        let edit = if old.is_block {
            let rest = text.get(key.at.end..).unwrap_or_default();
            let colon = key.at.end + rest.find(':').ok_or("its key has no value")?;
            Edit { at: colon + 1..old.at.end, text: format!(" {written}") }
        } else {
            Edit { at: old.at.clone(), text: written }
        };
        match self
            .comments
            .iter()
            .find(|comment| edit.at.start <= comment.start && comment.end <= edit.at.end)
        {
            Some(comment) => {
                let line = line_of(text, comment.start);
                Err(format!("the comment in line {line} stands inside of what would change"))
            }
            None => Ok(edit),
        }
    }
}

impl Open {
    fn new(at: Range<usize>, style: StructureStyle, kind: Kind) -> Self {
        Self { node: Node { at, is_block: style == StructureStyle::Block, kind }, key: None }
    }

    fn add(&mut self, node: Node) {
        match (&mut self.node.kind, self.key.take()) {
            (Kind::Map(entries), Some(key)) => entries.push((key, node)),
            (Kind::Map(_), None) => self.key = Some(node),
            (Kind::List(items), _) => items.push(node),
            (Kind::Scalar(_), _) => {}
        }
    }
}

impl Node {
    /// The key called `name`, and its value.
    pub(super) fn get(&self, name: &str) -> Option<(&Node, &Node)> {
        let Kind::Map(entries) = &self.kind else { return None };
        let is_it = |key: &Node| matches!(&key.kind, Kind::Scalar(text) if text == name);
        entries.iter().find(|(key, _)| is_it(key)).map(|(key, value)| (key, value))
    }

    /// The how-manieth of a list.
    pub(super) fn item(&self, nth: usize) -> Option<&Node> {
        if let Kind::List(items) = &self.kind { items.get(nth) } else { None }
    }

    fn last_end(&self) -> usize {
        match &self.kind {
            Kind::List(items) => items.last(),
            Kind::Map(entries) => entries.last().map(|(_, value)| value),
            Kind::Scalar(_) => None,
        }
        .map_or(self.at.end, |last| last.at.end)
    }
}

/// Where the last line of a block ends, its line break left out.
fn trimmed(text: &str, at: &Range<usize>) -> usize {
    at.start + text.get(at.clone()).unwrap_or_default().trim_end().len()
}

/// The line of a byte, from 1.
pub(super) fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

/// `value` on one line, as people write it: `[[{groups: [dba], approvals: 2}]]`.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        // A JSON text is a YAML text.
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => quoted(value),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            // Who comes before how many.
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| (*name == "approvals", *name));
            let fields = fields.into_iter().map(|(name, value)| format!("{name}: {}", flow(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text in quotes with nothing in it that could steer a terminal.
fn quoted(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        match u32::from(c) {
            code @ (0x7f..=0x9f | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x2069 | 0xfeff) => {
                let _ = write!(text, "\\u{code:04x}");
            }
            _ => text.push(c),
        }
    }
    text
}

/// Whether `text` means itself without quotes, wherever it stands.
fn is_plain(text: &str) -> bool {
    const MEAN_SOMETHING: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./ ".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic()) || Span::parse(text).is_some();
    begins
        && text.chars().all(plain)
        && !text.ends_with(' ')
        && !MEAN_SOMETHING.contains(&text.to_ascii_lowercase().as_str())
}
