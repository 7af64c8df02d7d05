//! A policy's README: its metadata, and its schema told as people would.

use std::fmt::Write as _;

use quorate_policy::Policy;
use serde_json::{Map, Value};

use crate::cli::words;

/// How deep fields in fields are told.
const DEPTH_MAX: usize = 4;

/// The whole page.
pub(super) fn readme(name: &str, policy: &Policy, example: Option<&Value>) -> String {
    let metadata = policy.metadata();
    let mut text = format!("# {}\n\n", words::clean(name));
    if let Some(description) = &metadata.description {
        let _ = writeln!(text, "{}.\n", line(description).trim_end_matches('.'));
    }
    let said = |what: &Option<String>| what.as_deref().map(cell).unwrap_or_default();
    let facts = [
        ("version", said(&metadata.version)),
        ("licence", said(&metadata.licenses)),
        ("source", said(&metadata.source)),
        ("contract", "`quorate:policy@1.0.0`".to_owned()),
        ("size", format!("{} bytes", policy.bytes())),
        ("digest", format!("`{}`", policy.digest())),
    ];
    text.push_str("| | |\n|---|---|\n");
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    config(&mut text, policy.schema(), example);
    needs(&mut text, policy);
    text
}

fn config(text: &mut String, schema: &Value, example: Option<&Value>) {
    text.push_str("\n## Config\n\n");
    if let Some(about) = schema.get("description").and_then(Value::as_str) {
        let _ = writeln!(text, "{}\n", line(about));
    }
    let mut rows = Vec::new();
    fields(schema, schema, "", 0, &mut rows);
    if rows.is_empty() {
        text.push_str("It has no fields: the config is `{}`.\n");
    } else {
        text.push_str("| field | type | default | range | is |\n|---|---|---|---|---|\n");
        for row in rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
    }
    if let Some(example) = example {
        let _ = writeln!(text, "\n```json\n{}\n```", words::json_text(example, true));
    }
}

fn needs(text: &mut String, policy: &Policy) {
    let needs = policy.evidence();
    text.push_str("\n## What it needs to know\n\n");
    if needs.facts.is_empty() && needs.history_window.is_none() {
        text.push_str("Nothing besides the request and its votes.\n");
    }
    for fact in &needs.facts {
        let _ = writeln!(text, "- the fact `{}`, from a source that the operator configures", cell(fact));
    }
    if let Some(seconds) = needs.history_window {
        let _ =
            writeln!(text, "- the requester's earlier requests for the resource, {} back", length(seconds));
    }
}

fn length(seconds: u64) -> String {
    match seconds {
        s if s >= 86_400 && s.is_multiple_of(86_400) => format!("{} days", s / 86_400),
        s if s >= 3600 && s.is_multiple_of(3600) => format!("{} hours", s / 3600),
        s => format!("{s} seconds"),
    }
}

/// A text on one line: where it breaks in a source says nothing.
fn line(text: &str) -> String {
    words::clean(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A text that stays in its cell.
pub(super) fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

/// A row for each field below `node`.
fn fields(root: &Value, node: &Value, path: &str, depth: usize, rows: &mut Vec<Vec<String>>) {
    if depth > DEPTH_MAX {
        return;
    }
    let node = resolved(root, node);
    let required = node.get("required").and_then(Value::as_array);
    for (name, field) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let must = required.is_some_and(|required| required.iter().any(|one| one == name));
        row(root, field, &path, must, rows);
        inner(root, field, &path, depth, rows);
    }
}

/// What is in a list, in an object with names of the author's choice, or behind an option.
fn inner(root: &Value, field: &Value, path: &str, depth: usize, rows: &mut Vec<Vec<String>>) {
    let field = resolved(root, field);
    if let Some(items) = field.get("items") {
        fields(root, items, &format!("{path}[]"), depth + 1, rows);
    }
    if let Some(any) = field.get("additionalProperties").filter(|any| any.is_object()) {
        let path = format!("{path}.*");
        row(root, any, &path, false, rows);
        fields(root, any, &path, depth + 1, rows);
    }
    fields(root, field, path, depth + 1, rows);
}

fn row(root: &Value, field: &Value, path: &str, must: bool, rows: &mut Vec<Vec<String>>) {
    let node = resolved(root, field);
    // A field's own words stand beside the reference to its type.
    let own = |key: &str| field.get(key).or_else(|| node.get(key));
    let default = match own("default") {
        Some(Value::Null) => String::new(),
        Some(default) => format!("`{}`", cell(&words::plain(default))),
        None if must => "required".to_owned(),
        None => String::new(),
    };
    let about = own("description").and_then(Value::as_str).map(cell).unwrap_or_default();
    rows.push(vec![format!("`{}`", cell(path)), kind(root, field), default, range(root, node), about]);
}

/// The schema that is meant: behind a reference, or the one beside `null`.
fn resolved<'s>(root: &'s Value, node: &'s Value) -> &'s Value {
    let mut node = node;
    for _ in 0..8 {
        let behind =
            node.get("$ref").and_then(Value::as_str).and_then(|to| root.pointer(to.strip_prefix('#')?));
        let beside_null = || {
            let choices = node.get("anyOf").or_else(|| node.get("oneOf"))?.as_array()?;
            let mut real =
                choices.iter().filter(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
            real.next().filter(|_| choices.len() == 2 && real.next().is_none())
        };
        match behind.or_else(beside_null) {
            Some(next) => node = next,
            None => break,
        }
    }
    node
}

fn kind(root: &Value, field: &Value) -> String {
    let node = resolved(root, field);
    let word = |kind: &str| match kind {
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "yes or no".to_owned(),
        "null" => "nothing".to_owned(),
        "array" => {
            node.get("items").map_or("list".to_owned(), |items| format!("list of {}", kind_of(root, items)))
        }
        other => cell(other),
    };
    let mut words = match node.get("type") {
        Some(Value::String(kind)) => word(kind),
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).map(word).collect::<Vec<_>>().join(" or ")
        }
        _ if choices(node).iter().any(Value::is_string) => "text".to_owned(),
        _ => "any".to_owned(),
    };
    let is_null = |choice: &Value| choice.get("type").is_some_and(|kind| kind == "null");
    let optional = field.get("anyOf").and_then(Value::as_array).is_some_and(|all| all.iter().any(is_null));
    if optional {
        words.push_str(" or nothing");
    }
    words
}

fn kind_of(root: &Value, node: &Value) -> String {
    kind(root, node)
}

/// The values that there are, where they are counted.
fn choices(node: &Value) -> Vec<Value> {
    if let Some(values) = node.get("enum").and_then(Value::as_array) {
        return values.clone();
    }
    let each = node.get("oneOf").or_else(|| node.get("anyOf")).and_then(Value::as_array);
    let mut values = Vec::new();
    for one in each.into_iter().flatten() {
        match one.get("const") {
            Some(value) => values.push(value.clone()),
            None => values.extend(choices(one)),
        }
    }
    values
}

fn range(root: &Value, node: &Value) -> String {
    let choices = choices(node);
    if !choices.is_empty() {
        let shown: Vec<String> =
            choices.iter().map(|value| format!("`{}`", cell(&words::plain(value)))).collect();
        return shown.join(" or ");
    }
    let bound = |key: &str| node.get(key).map(words::plain);
    let mut parts = Vec::new();
    parts.extend(between(bound("minimum"), bound("maximum"), ""));
    parts.extend(bound("exclusiveMinimum").map(|least| format!("more than {least}")));
    parts.extend(bound("exclusiveMaximum").map(|most| format!("less than {most}")));
    match (bound("minLength").as_deref(), bound("maxLength")) {
        (Some("1"), None) => parts.push("not empty".to_owned()),
        (least, most) => parts.extend(between(least.map(str::to_owned), most, " characters")),
    }
    match (bound("minItems").as_deref(), bound("maxItems")) {
        (Some("1"), None) => parts.push("at least one".to_owned()),
        (least, most) => parts.extend(between(least.map(str::to_owned), most, " items")),
    }
    if node.get("uniqueItems").is_some_and(|unique| unique == true) {
        parts.push("each once".to_owned());
    }
    if let Some(items) = node.get("items").map(|items| resolved(root, items)) {
        let each = if items.get("properties").is_some() { String::new() } else { range(root, items) };
        if !each.is_empty() && each != "not empty" {
            parts.push(format!("each {each}"));
        }
    }
    if let Some(examples) = node.get("examples").and_then(Value::as_array) {
        let shown: Vec<String> =
            examples.iter().map(|one| format!("`{}`", cell(&words::plain(one)))).collect();
        parts.push(format!("such as {}", shown.join(", ")));
    }
    parts.join(", ")
}

fn between(least: Option<String>, most: Option<String>, of: &str) -> Option<String> {
    Some(match (least, most) {
        (Some(least), Some(most)) => format!("{least} to {most}{of}"),
        (Some(least), None) => format!("at least {least}{of}"),
        (None, Some(most)) => format!("at most {most}{of}"),
        (None, None) => return None,
    })
}

/// A value that fits the schema, as far as its keywords are understood: the smallest one.
pub(super) fn example(schema: &Value) -> Value {
    value(schema, schema, 0)
}

fn value(root: &Value, node: &Value, depth: usize) -> Value {
    let given = |node: &Value| {
        let first =
            |key: &str| node.get(key).and_then(Value::as_array).and_then(|list| list.first()).cloned();
        node.get("default")
            .cloned()
            .or_else(|| first("examples"))
            .or_else(|| choices(node).into_iter().next())
    };
    let real = resolved(root, node);
    if let Some(value) = given(node).or_else(|| given(real)) {
        return value;
    }
    let kind = match real.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        _ if depth > DEPTH_MAX * 2 => Value::Null,
        Some("object") => Value::Object(required(root, real, depth)),
        Some("array") => {
            let least = real.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(1);
            let items = real.get("items").filter(|_| least > 0);
            Value::Array(items.map(|items| value(root, items, depth + 1)).into_iter().collect())
        }
        Some("string") => Value::from("example"),
        Some("integer" | "number") => real.get("minimum").cloned().unwrap_or(Value::from(1)),
        Some("boolean") => Value::from(false),
        _ => Value::Null,
    }
}

fn required(root: &Value, node: &Value, depth: usize) -> Map<String, Value> {
    let names =
        node.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let fields = names.filter_map(|name| {
        let field = node.get("properties")?.get(name)?;
        Some((name.to_owned(), value(root, field, depth + 1)))
    });
    fields.collect()
}
