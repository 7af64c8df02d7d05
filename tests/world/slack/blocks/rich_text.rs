//! Text with formatting that nothing in it can change.

use serde_json::Value;

use super::checker::Checker;

const SPANS: &[&str] =
    &["text", "link", "user", "emoji", "channel", "broadcast", "usergroup", "date", "color", "team"];

/// The elements of a block of rich text.
pub(super) fn elements(checker: &mut Checker, at: &str, value: &Value) {
    for (at, element) in checker.list(at, value, 1..=usize::MAX) {
        match element["type"].as_str().unwrap_or_default() {
            "rich_text_section" => section(checker, &at, element, &[], SPANS),
            "rich_text_quote" => section(checker, &at, element, &["border"], SPANS),
            "rich_text_preformatted" => section(checker, &at, element, &["border"], &["text", "link"]),
            "rich_text_list" => list(checker, &at, element),
            _ => checker.fault(&format!("{at}/type"), "must be a valid enum value"),
        }
    }
}

fn section(checker: &mut Checker, at: &str, value: &Value, optional: &[&str], spans: &[&str]) {
    let Some(object) = checker.object(at, value, &["type", "elements"], optional) else { return };
    checker.field(at, object, "border", |checker, at, value| checker.number(at, value, 0..=1));
    checker.field(at, object, "elements", |checker, at, value| {
        for (at, element) in checker.list(at, value, 0..=usize::MAX) {
            span(checker, &at, element, spans);
        }
    });
}

fn list(checker: &mut Checker, at: &str, value: &Value) {
    let optional = ["indent", "offset", "border"];
    let Some(object) = checker.object(at, value, &["type", "style", "elements"], &optional) else { return };
    checker
        .field(at, object, "style", |checker, at, value| checker.one_of(at, value, &["bullet", "ordered"]));
    checker.field(at, object, "indent", |checker, at, value| checker.number(at, value, 0..=8));
    checker.field(at, object, "offset", |checker, at, value| checker.number(at, value, 0..=u64::MAX));
    checker.field(at, object, "border", |checker, at, value| checker.number(at, value, 0..=1));
    checker.field(at, object, "elements", |checker, at, value| {
        for (at, element) in checker.list(at, value, 1..=usize::MAX) {
            if element["type"] == "rich_text_section" {
                section(checker, &at, element, &[], SPANS);
            } else {
                checker.fault(&format!("{at}/type"), "must be rich_text_section");
            }
        }
    });
}

fn span(checker: &mut Checker, at: &str, value: &Value, spans: &[&str]) {
    let kind = value["type"].as_str().unwrap_or_default();
    if !spans.contains(&kind) {
        return checker.fault(&format!("{at}/type"), &format!("must be one of {}", spans.join(", ")));
    }
    let (required, optional): (&str, &[&str]) = match kind {
        "text" => ("text", &[]),
        "link" => ("url", &["text", "unsafe"]),
        "user" => ("user_id", &[]),
        "emoji" => ("name", &["unicode", "url"]),
        "channel" => ("channel_id", &[]),
        "broadcast" => ("range", &[]),
        "usergroup" => ("usergroup_id", &[]),
        "date" => ("timestamp", &["format", "url", "fallback"]),
        "color" => ("value", &[]),
        _ => ("team_id", &[]),
    };
    let optional = [optional, &["style"]].concat();
    let Some(object) = checker.object(at, value, &["type", required], &optional) else { return };
    for name in [
        "text",
        "user_id",
        "name",
        "unicode",
        "channel_id",
        "usergroup_id",
        "format",
        "fallback",
        "value",
        "team_id",
    ] {
        checker.field(at, object, name, |checker, at, value| {
            checker.string(at, value, 1..=usize::MAX);
        });
    }
    checker.field(at, object, "url", Checker::url);
    checker.field(at, object, "unsafe", Checker::flag);
    checker.field(at, object, "timestamp", |checker, at, value| checker.number(at, value, 0..=u64::MAX));
    checker.field(at, object, "range", |checker, at, value| {
        checker.one_of(at, value, &["here", "channel", "everyone"]);
    });
    checker.field(at, object, "style", |checker, at, value| {
        let marks = ["bold", "italic", "strike", "code", "underline"];
        let Some(object) = checker.object(at, value, &[], &marks) else { return };
        for mark in marks {
            checker.field(at, object, mark, Checker::flag);
        }
    });
}
