//! Block Kit, as far as an app like this one needs it: what a message and a modal may consist
//! of. What is not known here is refused.

mod checker;
mod elements;
mod rich_text;

use serde_json::Value;

use self::checker::{Checker, EITHER, PLAIN};
use self::elements::element;

/// What is wrong with the blocks of a message.
pub(super) fn message(blocks: &Value) -> Vec<String> {
    let mut checker = Checker::default();
    all(&mut checker, "/blocks", blocks, 0..=50);
    checker.faults
}

/// What is wrong with a modal.
pub(super) fn view(view: &Value) -> Vec<String> {
    let mut checker = Checker::default();
    let optional = [
        "submit",
        "close",
        "private_metadata",
        "callback_id",
        "external_id",
        "clear_on_close",
        "notify_on_close",
        "submit_disabled",
    ];
    let at = "/view";
    if let Some(object) = checker.object(at, view, &["type", "title", "blocks"], &optional) {
        checker.field(at, object, "type", |checker, at, value| checker.one_of(at, value, &["modal"]));
        for name in ["title", "submit", "close"] {
            checker.field(at, object, name, |checker, at, value| checker.text(at, value, PLAIN, 24));
        }
        for (name, longest) in [("private_metadata", 3000), ("callback_id", 255), ("external_id", 255)] {
            checker.field(at, object, name, |checker, at, value| {
                checker.string(at, value, 0..=longest);
            });
        }
        for name in ["clear_on_close", "notify_on_close", "submit_disabled"] {
            checker.field(at, object, name, Checker::flag);
        }
        checker.field(at, object, "blocks", |checker, at, value| all(checker, at, value, 0..=100));
        let blocks = object.get("blocks").and_then(Value::as_array);
        let asks = blocks.is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "input"));
        if asks && !object.contains_key("submit") {
            checker.fault(at, "`submit` is required when there are input blocks");
        }
    }
    checker.faults
}

fn all(checker: &mut Checker, at: &str, blocks: &Value, count: std::ops::RangeInclusive<usize>) {
    let blocks = checker.list(at, blocks, count);
    checker.unique(at, "block_id", blocks.iter().filter_map(|(_, block)| block.get("block_id")));
    for (at, value) in blocks {
        block(checker, &at, value);
    }
}

fn block(checker: &mut Checker, at: &str, value: &Value) {
    match value["type"].as_str().unwrap_or_default() {
        "header" => header(checker, at, value),
        "section" => section(checker, at, value),
        "actions" => actions(checker, at, value),
        "context" => context(checker, at, value),
        "rich_text" => rich(checker, at, value),
        "input" => input(checker, at, value),
        "divider" => {
            checker.object(at, value, &["type"], &["block_id"]);
        }
        kind => checker.fault(&format!("{at}/type"), &format!("unsupported type: {kind}")),
    }
    if let Some(id) = value.get("block_id") {
        checker.string(&format!("{at}/block_id"), id, 1..=255);
    }
}

fn header(checker: &mut Checker, at: &str, value: &Value) {
    let Some(object) = checker.object(at, value, &["type", "text"], &["block_id"]) else { return };
    checker.field(at, object, "text", |checker, at, value| checker.text(at, value, PLAIN, 150));
}

fn section(checker: &mut Checker, at: &str, value: &Value) {
    let optional = ["text", "fields", "accessory", "expand", "block_id"];
    let Some(object) = checker.object(at, value, &["type"], &optional) else { return };
    if !object.contains_key("text") && !object.contains_key("fields") {
        checker.fault(at, "missing required field: text");
    }
    checker.field(at, object, "text", |checker, at, value| checker.text(at, value, EITHER, 3000));
    checker.field(at, object, "fields", |checker, at, value| {
        for (at, field) in checker.list(at, value, 1..=10) {
            checker.text(&at, field, EITHER, 2000);
        }
    });
    checker.field(at, object, "accessory", |checker, at, value| {
        element(checker, at, value, &["button", "static_select", "checkboxes", "radio_buttons"]);
    });
    checker.field(at, object, "expand", Checker::flag);
}

fn actions(checker: &mut Checker, at: &str, value: &Value) {
    let Some(object) = checker.object(at, value, &["type", "elements"], &["block_id"]) else { return };
    checker.field(at, object, "elements", |checker, at, value| {
        let elements = checker.list(at, value, 1..=25);
        for (at, value) in &elements {
            element(checker, at, value, &["button", "static_select", "checkboxes", "radio_buttons"]);
        }
        let ids = elements.iter().filter_map(|(_, element)| element.get("action_id"));
        checker.unique(at, "action_id", ids);
    });
}

fn context(checker: &mut Checker, at: &str, value: &Value) {
    let Some(object) = checker.object(at, value, &["type", "elements"], &["block_id"]) else { return };
    checker.field(at, object, "elements", |checker, at, value| {
        for (at, element) in checker.list(at, value, 1..=10) {
            checker.text(&at, element, EITHER, 3000);
        }
    });
}

fn rich(checker: &mut Checker, at: &str, value: &Value) {
    let Some(object) = checker.object(at, value, &["type", "elements"], &["block_id"]) else { return };
    checker.field(at, object, "elements", rich_text::elements);
}

fn input(checker: &mut Checker, at: &str, value: &Value) {
    let optional = ["hint", "optional", "dispatch_action", "block_id"];
    let Some(object) = checker.object(at, value, &["type", "label", "element"], &optional) else { return };
    for name in ["label", "hint"] {
        checker.field(at, object, name, |checker, at, value| checker.text(at, value, PLAIN, 2000));
    }
    for name in ["optional", "dispatch_action"] {
        checker.field(at, object, name, Checker::flag);
    }
    checker.field(at, object, "element", |checker, at, value| {
        element(checker, at, value, &["plain_text_input", "static_select", "checkboxes", "radio_buttons"]);
    });
}
