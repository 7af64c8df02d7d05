//! What differs between the gateway and a file, field by field.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::cli::words::{self, Paint};

/// One thing that is to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    /// What happens to it.
    pub(super) action: Action,
    /// What kind of thing it is.
    pub(super) what: &'static str,
    /// Its name.
    pub(super) name: String,
    /// What changes in it.
    pub(super) fields: Vec<Field>,
}

/// What happens to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    /// It is new.
    Add,
    /// It becomes another.
    Change,
    /// It goes away.
    Remove,
}

/// One field that is to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Field {
    /// `policies[0].config.groups`.
    pub(super) path: String,
    /// What it is; none: it is not there.
    pub(super) before: Option<Value>,
    /// What it will be; none: it goes away.
    pub(super) after: Option<Value>,
}

impl Change {
    /// What turns `before` into `after`; none where they are the same.
    pub(super) fn between(
        what: &'static str,
        name: &str,
        before: Option<&Value>,
        after: &Value,
    ) -> Option<Self> {
        let fields = fields(before.unwrap_or(&Value::Null), after);
        let action = if before.is_some() { Action::Change } else { Action::Add };
        let changes = action == Action::Add || !fields.is_empty();
        changes.then(|| Self { action, what, name: name.to_owned(), fields })
    }

    /// It goes away.
    pub(super) fn removal(what: &'static str, name: &str) -> Self {
        Self { action: Action::Remove, what, name: name.to_owned(), fields: Vec::new() }
    }

    /// `rule prod`.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.what, words::clean(&self.name))
    }

    /// It, with a sign for every line.
    pub(super) fn show(&self, paint: Paint) -> String {
        let mut text = match self.action {
            Action::Add => format!("{}\n", paint.green(&format!("+ {}", self.title()))),
            Action::Change => format!("{}\n", paint.yellow(&format!("~ {}", self.title()))),
            Action::Remove => format!("{}\n", paint.red(&format!("- {}", self.title()))),
        };
        for field in &self.fields {
            let path = words::clean(&field.path);
            let line = match (&field.before, &field.after) {
                (None, Some(after)) => paint.green(&format!("    + {path}: {}", said(after))),
                (Some(before), None) => paint.red(&format!("    - {path}: {}", said(before))),
                (Some(before), Some(after)) => {
                    paint.yellow(&format!("    ~ {path}: {} → {}", said(before), said(after)))
                }
                (None, None) => continue,
            };
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

fn said(value: &Value) -> String {
    let words = match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(words::plain).collect();
            format!("[{}]", items.join(", "))
        }
        other => words::plain(other),
    };
    words::short(&words, 200)
}

/// What differs between two objects. Empty fields are as good as none.
fn fields(before: &Value, after: &Value) -> Vec<Field> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    leaves("", before, &mut old);
    leaves("", after, &mut new);
    let paths: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
    changed
        .map(|path| Field {
            path: path.clone(),
            before: old.get(path).cloned(),
            after: new.get(path).cloned(),
        })
        .collect()
}

fn leaves(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Null => {}
        Value::String(text) if text.is_empty() => {}
        Value::Array(items) if items.is_empty() => {}
        Value::Object(fields) => fields.iter().for_each(|(name, value)| leaves(&below(name), value, into)),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| leaves(&format!("{path}[{index}]"), item, into));
        }
        leaf => {
            into.insert(path.to_owned(), leaf.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_shows_each_field_with_its_sign() {
        let before =
            json!({"max_duration": "8h", "attributes": {"env": "eu"}, "kind": "postgres", "plugins": []});
        let after = json!({"max_duration": "2h", "attributes": {}, "kind": "postgres", "plugins": ["slack"]});
        let change = Change::between("resource", "prod", Some(&before), &after).unwrap();
        assert_eq!(
            change.show(Paint(false)),
            "~ resource prod\n    - attributes.env: eu\n    ~ max_duration: 8h → 2h\n    + plugins: [slack]\n"
        );
    }

    #[test]
    fn what_is_the_same_is_no_change() {
        let value = json!({"a": [{"b": 1}], "c": null});
        assert_eq!(Change::between("rule", "r", Some(&value), &json!({"a": [{"b": 1}], "d": []})), None);
    }

    #[test]
    fn lists_of_objects_are_compared_inside() {
        let policies = |all: bool| json!({"policies": [{"policy": "q", "config": {"require_all": all}}]});
        let change = Change::between("rule", "r", Some(&policies(false)), &policies(true)).unwrap();
        assert_eq!(
            change.show(Paint(false)),
            "~ rule r\n    ~ policies[0].config.require_all: false → true\n"
        );
    }

    #[test]
    fn what_is_new_and_what_goes_is_shown_in_its_colour() {
        let new = Change::between("rule", "r", None, &json!({"description": "x\u{1b}[2J\ny"})).unwrap();
        assert_eq!(new.show(Paint(false)), "+ rule r\n    + description: x[2J ⏎ y\n");
        assert_eq!(Change::removal("rule", "r").show(Paint(true)), "\x1b[31m- rule r\x1b[0m\n");
        assert!(Change::between("user", "u", None, &json!({})).is_some());
    }
}
