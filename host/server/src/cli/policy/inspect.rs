//! `quorate policy inspect`: what a component is, a file here or a policy on the
//! gateway.

use std::path::Path;

use quorate_core::ids::PolicyName;
use quorate_policy::signature;
use serde_json::{Value, json};

use super::read;
use crate::cli::Context;
use crate::cli::exit::{Ending, Failure};
use crate::cli::words;

pub(super) async fn run(context: &Context, what: &str) -> Ending {
    let file = Path::new(what);
    if file.is_file() {
        let bytes = read(file)?;
        let inspected = tokio::task::spawn_blocking(move || inspect_file(&bytes)).await;
        let value = inspected.map_err(|error| Failure::failed(error.to_string()))?;
        let value = value
            .map_err(|failure| Failure { message: format!("`{what}`: {}", failure.message), ..failure })?;
        return context.screen.result(&value, || describe(&value));
    }
    let is_path = what.contains('/') || file.extension().is_some_and(|end| end == "wasm");
    let name: PolicyName = what.parse().ok().filter(|_| !is_path).ok_or_else(|| {
        let why = if is_path { "" } else { ", and it cannot be the name of a policy" };
        Failure::usage(format!("there is no file `{what}`{why}"))
    })?;
    let answer = context.gateway()?.get(&["policies", name.as_str()], Vec::new()).await?;
    let shown: Value = answer.read()?;
    context.screen.result(answer.raw(), || status(&shown))
}

/// A policy on the gateway: what holds of it, and the life of each version.
fn status(policy: &Value) -> String {
    let text = |value: &Value, name: &str| {
        value.get(name).filter(|value| !value.is_null()).map(words::plain).unwrap_or_default()
    };
    let digest = |name: &str| super::short(&text(policy, name));
    let mut out = words::facts(&[
        ("policy", text(policy, "name")),
        ("active", digest("active")),
        ("last good", digest("last_good")),
        ("shadow", digest("shadow")),
    ]);
    let items = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let rows = items(policy, "conditions").into_iter().map(|one| {
        let holds = if one["holds"] == true { "yes" } else { "no" };
        vec![text(&one, "kind"), holds.to_owned(), text(&one, "message")]
    });
    out.push_str(&words::table(&["CONDITION", "HOLDS", "BECAUSE"], rows.collect(), None));
    let rows = items(policy, "versions").into_iter().rev().flat_map(|version| {
        let history = items(&version, "history").into_iter().rev();
        let rows = history.enumerate().map(|(nth, one)| {
            let digest = if nth == 0 { super::short(&text(&version, "digest")) } else { String::new() };
            vec![digest, text(&one, "to"), text(&one, "by"), text(&one, "at"), why(&one)]
        });
        rows.collect::<Vec<_>>()
    });
    out.push_str(&words::table(&["VERSION", "STAGE", "BY", "AT", "WHY"], rows.collect(), None));
    let schema = words::json_text(&policy["schema"], true);
    format!("{out}config schema\n{}", words::block(&schema))
}

/// Why a step was made, and who approved it.
fn why(step: &Value) -> String {
    let reason = step.get("reason").map(words::plain).unwrap_or_default();
    let Some(approved) = step.get("approved").filter(|approved| approved.is_object()) else { return reason };
    let names: Vec<String> =
        approved["approvers"].as_array().into_iter().flatten().map(words::plain).collect();
    let reason = if reason.is_empty() { reason } else { format!("{reason} · ") };
    format!("{reason}approved by {} (request {})", names.join(", "), words::plain(&approved["request"]))
}

/// Puts a component through every check of the gateway.
fn inspect_file(bytes: &[u8]) -> Result<Value, Failure> {
    let policy = super::loaded(bytes)?;
    let (metadata, needs) = (policy.metadata(), policy.evidence());
    Ok(json!({
        "digest": policy.digest(), "bytes": policy.bytes(),
        "name": metadata.name, "version": metadata.version, "description": metadata.description,
        "imports": quorate_policy::imports(bytes), "signed_by": signed_by(bytes), "schema": policy.schema(),
        "facts": needs.facts, "history_window_seconds": needs.history_window,
    }))
}

fn signed_by(component: &[u8]) -> Vec<String> {
    signature::claimed(component).iter().map(ToString::to_string).collect()
}

fn describe(inspected: &Value) -> String {
    let text = |name: &str| {
        inspected.get(name).filter(|value| !value.is_null()).map(words::plain).unwrap_or_default()
    };
    let list = |name: &str| {
        let items = inspected.get(name).and_then(Value::as_array);
        items.map(|items| items.iter().map(words::plain).collect::<Vec<_>>().join(", ")).unwrap_or_default()
    };
    let facts = [
        ("name", text("name")),
        ("version", text("version")),
        ("description", text("description")),
        ("digest", text("digest")),
        ("size", format!("{} bytes", text("bytes"))),
        ("imports", list("imports")),
        ("signed by", list("signed_by")),
        ("facts", list("facts")),
        (
            "history",
            inspected["history_window_seconds"]
                .as_u64()
                .map(|s| format!("the last {s} s"))
                .unwrap_or_default(),
        ),
        ("contract", "quorate:policy@1.0.0: it keeps to it, compiles and starts".to_owned()),
    ];
    let schema = words::json_text(&inspected["schema"], true);
    format!("{}config schema\n{}", words::facts(&facts), words::block(&schema))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in() -> &'static quorate_bundle::Bundled {
        quorate_bundle::BUILT_IN.iter().find(|one| one.name == "group-quorum").unwrap()
    }

    #[test]
    fn a_built_in_policy_is_described_with_what_it_imports() {
        let component = built_in().component;
        let value = inspect_file(component).unwrap();
        assert_eq!(value["digest"], built_in().digest);
        let imports: Vec<&str> =
            value["imports"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(
            !imports.is_empty() && imports.iter().all(|name| name.starts_with("quorate:policy/")),
            "{imports:?}"
        );
        let text = describe(&value);
        assert!(text.contains("require_all") && text.contains(built_in().digest), "{text}");
    }

    #[test]
    fn p3_what_is_no_policy_is_refused_with_the_reason() {
        for (bytes, reason) in [(&b""[..], "empty"), (b"#!/bin/sh\n", "not a WebAssembly component")] {
            let failure = inspect_file(bytes).unwrap_err();
            assert!(failure.message.contains(reason), "{}", failure.message);
            assert_eq!(failure.exit.code(), 2);
        }
    }
}
