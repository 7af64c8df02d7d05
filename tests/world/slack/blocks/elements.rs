//! What people click, choose and write, in blocks.

use serde_json::Value;

use super::checker::{Checker, EITHER, PLAIN};

const ACTION: &str = "action_id";

/// An element of one of these types.
pub(super) fn element(checker: &mut Checker, at: &str, value: &Value, types: &[&str]) {
    let kind = value["type"].as_str().unwrap_or_default();
    if !types.contains(&kind) {
        return checker.fault(&format!("{at}/type"), &format!("must be one of {}", types.join(", ")));
    }
    match kind {
        "button" => button(checker, at, value),
        "static_select" => select(checker, at, value),
        "checkboxes" | "radio_buttons" => choices(checker, at, value),
        "plain_text_input" => input(checker, at, value),
        _ => unreachable!("a type that nobody names: {kind}"),
    }
    if let Some(object) = value.as_object() {
        checker.field(at, object, ACTION, |checker, at, value| {
            checker.string(at, value, 1..=255);
        });
        checker.field(at, object, "confirm", confirm);
        checker.field(at, object, "focus_on_load", Checker::flag);
        checker.field(at, object, "placeholder", |checker, at, value| checker.text(at, value, PLAIN, 150));
    }
}

fn button(checker: &mut Checker, at: &str, value: &Value) {
    let optional = [ACTION, "value", "url", "style", "confirm", "accessibility_label"];
    let Some(object) = checker.object(at, value, &["type", "text"], &optional) else { return };
    checker.field(at, object, "text", |checker, at, value| checker.text(at, value, PLAIN, 75));
    checker.field(at, object, "value", |checker, at, value| {
        checker.string(at, value, 1..=2000);
    });
    checker.field(at, object, "url", Checker::url);
    checker.field(at, object, "style", style);
    checker.field(at, object, "accessibility_label", |checker, at, value| {
        checker.string(at, value, 1..=75);
    });
}

fn style(checker: &mut Checker, at: &str, value: &Value) {
    checker.one_of(at, value, &["primary", "danger"]);
}

fn confirm(checker: &mut Checker, at: &str, value: &Value) {
    let required = ["title", "text", "confirm", "deny"];
    let Some(object) = checker.object(at, value, &required, &["style"]) else { return };
    checker.field(at, object, "title", |checker, at, value| checker.text(at, value, PLAIN, 100));
    checker.field(at, object, "text", |checker, at, value| checker.text(at, value, EITHER, 300));
    for name in ["confirm", "deny"] {
        checker.field(at, object, name, |checker, at, value| checker.text(at, value, PLAIN, 30));
    }
    checker.field(at, object, "style", style);
}

fn select(checker: &mut Checker, at: &str, value: &Value) {
    let optional = [ACTION, "initial_option", "placeholder", "confirm", "focus_on_load"];
    let Some(object) = checker.object(at, value, &["type", "options"], &optional) else { return };
    checker.field(at, object, "options", |checker, at, value| {
        options(checker, at, value, 100, PLAIN);
    });
    checker.field(at, object, "initial_option", |checker, at, value| {
        offered(checker, at, object.get("options"), value);
    });
}

fn choices(checker: &mut Checker, at: &str, value: &Value) {
    let initial = if value["type"] == "checkboxes" { "initial_options" } else { "initial_option" };
    let Some(object) =
        checker.object(at, value, &["type", "options"], &[ACTION, initial, "confirm", "focus_on_load"])
    else {
        return;
    };
    checker.field(at, object, "options", |checker, at, value| {
        options(checker, at, value, 10, EITHER);
    });
    checker.field(at, object, "initial_option", |checker, at, value| {
        offered(checker, at, object.get("options"), value);
    });
    checker.field(at, object, "initial_options", |checker, at, value| {
        for (at, option) in checker.list(at, value, 1..=10) {
            offered(checker, &at, object.get("options"), option);
        }
    });
}

fn options(checker: &mut Checker, at: &str, value: &Value, count_max: usize, kinds: &[&str]) {
    for (at, option) in checker.list(at, value, 1..=count_max) {
        let Some(object) = checker.object(&at, option, &["text", "value"], &["description"]) else {
            continue;
        };
        checker.field(&at, object, "text", |checker, at, value| checker.text(at, value, kinds, 75));
        checker.field(&at, object, "value", |checker, at, value| {
            checker.string(at, value, 1..=150);
        });
        checker.field(&at, object, "description", |checker, at, value| checker.text(at, value, PLAIN, 75));
    }
}

/// What is chosen already must be offered.
fn offered(checker: &mut Checker, at: &str, options: Option<&Value>, value: &Value) {
    let options = options.and_then(Value::as_array);
    if !options.is_some_and(|options| options.contains(value)) {
        checker.fault(at, "must be one of the options");
    }
}

fn input(checker: &mut Checker, at: &str, value: &Value) {
    let optional = [
        ACTION,
        "initial_value",
        "multiline",
        "min_length",
        "max_length",
        "placeholder",
        "focus_on_load",
        "dispatch_action_config",
    ];
    let Some(object) = checker.object(at, value, &["type"], &optional) else { return };
    checker.field(at, object, "multiline", Checker::flag);
    checker.field(at, object, "min_length", |checker, at, value| checker.number(at, value, 0..=3000));
    checker.field(at, object, "max_length", |checker, at, value| checker.number(at, value, 1..=3000));
    let longest = object.get("max_length").and_then(Value::as_u64).unwrap_or(3000);
    checker.field(at, object, "initial_value", |checker, at, value| {
        checker.string(at, value, 0..=usize::try_from(longest).unwrap());
    });
    if object.get("min_length").and_then(Value::as_u64).unwrap_or_default() > longest {
        checker.fault(at, "min_length must not be more than max_length");
    }
    checker.field(at, object, "dispatch_action_config", |checker, at, value| {
        let Some(object) = checker.object(at, value, &["trigger_actions_on"], &[]) else { return };
        checker.field(at, object, "trigger_actions_on", |checker, at, value| {
            for (at, word) in checker.list(at, value, 1..=2) {
                checker.one_of(&at, word, &["on_enter_pressed", "on_character_entered"]);
            }
        });
    });
}
