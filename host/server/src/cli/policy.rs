//! `quorate policy`: look into a component, load it, switch to it and back.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use quorate_core::ids::{Digest, PolicyName};
use quorate_policy::{Limits, Runtime};
use serde_json::{Value, json};
use wasmparser::{Parser, Payload};

use super::Context;
use super::client::{Answer, Gateway};
use super::exit::{Ending, Failure};
use super::words;

/// Load policies and switch between their versions
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate policy inspect four-eyes.wasm                 # the gateway's own checks, here
  quorate policy load four-eyes.wasm --name four-eyes --activate --reason 'four eyes on production'
  quorate policy list
  quorate policy inspect four-eyes                      # what the gateway knows of it
  quorate policy rollback four-eyes --reason 'too strict'")]
pub(super) enum Policy {
    /// Check a component and add it as a version of a policy
    Load(Load),
    /// List policies
    List,
    /// Make another version decide
    Activate(Activate),
    /// Make the version decide that decided before
    Rollback(Rollback),
    /// Say what a component is: a file here, or a policy on the gateway
    Inspect(Inspect),
}

/// A component to be loaded.
#[derive(Debug, Args)]
pub(super) struct Load {
    /// The component
    pub(super) file: PathBuf,
    /// The policy's name
    #[arg(long)]
    pub(super) name: PolicyName,
    /// Make it decide at once
    #[arg(long)]
    pub(super) activate: bool,
    /// Why it is activated, for the record
    #[arg(long, short, default_value = "", hide_default_value = true, requires = "activate")]
    pub(super) reason: String,
}

/// A version to be made active.
#[derive(Debug, Args)]
pub(super) struct Activate {
    /// The policy's name
    pub(super) name: PolicyName,
    /// The version's digest, or the first 8 or more of its digits
    #[arg(value_parser = digest_prefix)]
    pub(super) digest: String,
    /// Why, for the record
    #[arg(long, short, default_value = "", hide_default_value = true)]
    pub(super) reason: String,
}

/// A policy to be rolled back.
#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The policy's name
    pub(super) name: PolicyName,
    /// Why, for the record
    #[arg(long, short, default_value = "", hide_default_value = true)]
    pub(super) reason: String,
}

/// What to look into.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A file, or the name of a policy on the gateway
    #[arg(value_name = "FILE|NAME")]
    pub(super) what: String,
}

fn digest_prefix(text: &str) -> Result<String, String> {
    let fits = (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if fits { Ok(text.to_lowercase()) } else { Err("give 8 to 64 hexadecimal digits".to_owned()) }
}

impl Policy {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        match self {
            Self::Load(load) => load.run(context, &context.gateway()?).await,
            Self::List => list(context, &context.gateway()?).await,
            Self::Activate(Activate { name, digest, reason }) => {
                let path = ["policies", name.as_str(), "activate"];
                let answer =
                    context.gateway()?.post(&path, json!({"digest": digest, "reason": reason})).await?;
                context.screen.result(answer.raw(), || {
                    format!("version {} of policy {name} decides now\n", short(&digest))
                })
            }
            Self::Rollback(Rollback { name, reason }) => {
                let path = ["policies", name.as_str(), "rollback"];
                let answer = context.gateway()?.post(&path, json!({"reason": reason})).await?;
                let active = active(answer.raw()).map(short).unwrap_or_default();
                context
                    .screen
                    .result(answer.raw(), || format!("version {active} of policy {name} decides again\n"))
            }
            Self::Inspect(Inspect { what }) => inspect(context, &what).await,
        }
    }
}

impl Load {
    async fn run(self, context: &Context, gateway: &Gateway) -> Ending {
        let bytes = read(&self.file)?;
        let digest = Digest::of(&bytes);
        let mut query = vec![("activate", self.activate.to_string())];
        if !self.reason.is_empty() {
            query.push(("reason", self.reason));
        }
        let path = ["policies", self.name.as_str(), "versions"];
        let answer = gateway.upload(&path, query, bytes).await?;
        let what = if self.activate { "loaded, and decides now" } else { "loaded; it decides nothing yet" };
        let next = if self.activate {
            String::new()
        } else {
            format!("  quorate policy activate {} {}\n", self.name, digest.short())
        };
        context.screen.result(answer.raw(), || {
            format!("version {} of policy {} is {what}\n{next}", digest.short(), self.name)
        })
    }
}

/// A component's bytes.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let max = Limits::default().component_bytes_max;
    let size = std::fs::metadata(file).map(|file| file.len());
    let bytes = size.and_then(|size| {
        // Not read whole where that is of no use.
        if size > max as u64 { Ok(None) } else { std::fs::read(file).map(Some) }
    });
    match bytes {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Failure::usage(format!(
            "`{}` is larger than the {max} bytes that a policy may have",
            file.display()
        ))),
        Err(error) => Err(Failure::usage(format!("`{}` cannot be read: {error}", file.display()))),
    }
}

async fn list(context: &Context, gateway: &Gateway) -> Ending {
    let (items, _) = gateway.list(&["policies"], Vec::new(), 10_000).await?;
    let items = Value::Array(items);
    let text = list_text(context, &Answer::of(items.clone()))?;
    context.screen.result(&items, || text)
}

fn list_text(context: &Context, answer: &Answer) -> Result<String, Failure> {
    let policies: Vec<Value> = answer.read()?;
    let text = |value: &Value, name: &str| value.get(name).map(words::plain).unwrap_or_default();
    let rows = policies.iter().map(|policy| {
        let versions = policy.get("versions").and_then(Value::as_array).map_or(0, Vec::len);
        let decides = active(policy).map_or("none decides".to_owned(), short);
        let last = policy.get("activations").and_then(Value::as_array).and_then(|all| all.last());
        let reason = last.map(|last| text(last, "reason")).unwrap_or_default();
        vec![text(policy, "name"), decides, versions.to_string(), words::short(&reason, 60)]
    });
    Ok(words::table(&["POLICY", "DECIDES", "VERSIONS", "WHY"], rows.collect(), context.screen.width))
}

/// The digest of the version that decides.
pub(super) fn active(policy: &Value) -> Option<&str> {
    let direct =
        policy.get("active").and_then(|active| active.as_str().or_else(|| active.get("digest")?.as_str()));
    direct.or_else(|| policy.get("activations")?.as_array()?.last()?.get("digest")?.as_str())
}

fn short(digest: &str) -> String {
    digest.get(..12).unwrap_or(digest).to_owned()
}

async fn inspect(context: &Context, what: &str) -> Ending {
    let file = Path::new(what);
    if file.is_file() {
        let bytes = read(file)?;
        let inspected = tokio::task::spawn_blocking(move || inspect_file(&bytes)).await;
        let value = inspected.map_err(|error| Failure::failed(error.to_string()))?;
        let value = value
            .map_err(|failure| Failure { message: format!("`{what}`: {}", failure.message), ..failure })?;
        return context.screen.result(&value, || describe(&value));
    }
    let name: PolicyName = what.parse().map_err(|_| {
        Failure::usage(format!("there is no file `{what}`, and it cannot be the name of a policy"))
    })?;
    let answer = context.gateway()?.get(&["policies", name.as_str()], Vec::new()).await?;
    let shown: Value = answer.read()?;
    context.screen.result(answer.raw(), || words::outline(&shown))
}

/// Puts a component through every check of the gateway.
fn inspect_file(bytes: &[u8]) -> Result<Value, Failure> {
    let runtime = runtime()?;
    let policy = runtime.load(bytes).map_err(|error| {
        let problem = json!({"type": format!("/problems/{}", error.code())});
        Failure { problem: Some(problem), ..Failure::usage(error.to_string()) }
    })?;
    let (metadata, needs) = (policy.metadata(), policy.evidence());
    Ok(json!({
        "digest": policy.digest(), "bytes": policy.bytes(),
        "name": metadata.name, "version": metadata.version, "description": metadata.description,
        "imports": imports(bytes), "schema": policy.schema(),
        "facts": needs.facts, "history_window_seconds": needs.history_window,
    }))
}

/// The policy runtime as the gateway has it, without its folder of compiled components.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    Runtime::new(Limits::default(), None)
        .map_err(|error| Failure::failed(format!("no policy can be run here: {error}")))
}

/// What the component itself imports, not the modules inside.
fn imports(bytes: &[u8]) -> Vec<String> {
    let (mut imports, mut depth) = (Vec::new(), 0_u32);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::ComponentImportSection(section)) if depth == 0 => {
                imports.extend(section.into_iter().flatten().map(|import| import.name.name.to_owned()));
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    imports
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

    #[test]
    fn the_active_version_is_found_in_either_form() {
        assert_eq!(active(&json!({"active": "abc"})), Some("abc"));
        assert_eq!(active(&json!({"active": {"digest": "abc"}})), Some("abc"));
        assert_eq!(
            active(&json!({"active": null, "activations": [{"digest": "x"}, {"digest": "y"}]})),
            Some("y")
        );
        assert_eq!(active(&json!({})), None);
    }

    #[test]
    fn a_prefix_of_a_digest_has_at_least_eight_digits() {
        assert_eq!(digest_prefix("ABCDEF12"), Ok("abcdef12".to_owned()));
        assert!(digest_prefix("abc").is_err() && digest_prefix("not-hexadecimal").is_err());
    }
}
