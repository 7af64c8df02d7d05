//! `quorate facts`: where the facts come from that policies ask for, and whether they can be had.

use clap::{Args, Subcommand};
use quorate_core::Timestamp;
use quorate_core::ids::{ResourceName, UserId};
use quorate_core::rule::AccessType;
use serde::Deserialize;
use serde_json::Value;

use super::Context;
use super::client::{Answer, Gateway};
use super::exit::{Ending, Failure};
use super::words;

/// Look at the facts that policies ask for
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate facts list
  quorate facts test on-call --requester ann --resource prod-postgres

Sources are part of the gateway's settings, under `facts` in the file of `quorate serve --config`.")]
pub(super) enum Facts {
    /// List facts: their sources, who asks for them, and how the sources have done
    List,
    /// Ask for a fact now, and say what it is or why it could not be had
    Test(Test),
}

/// A fact to be asked for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate facts test on-call --requester ann --resource prod-postgres
  quorate facts test on-call --requester ann --resource prod-postgres --access-type command --json

The source is asked whatever is kept, and nothing is changed. The exit code is 1 where the fact could
not be had.")]
pub(super) struct Test {
    /// The fact's name
    name: String,
    /// As if this person asked
    #[arg(long)]
    requester: UserId,
    /// For this
    #[arg(long)]
    resource: ResourceName,
    /// In this way: just-in-time or command
    #[arg(long, default_value = "just-in-time")]
    access_type: AccessType,
}

#[derive(Deserialize)]
struct Fact {
    name: String,
    kind: String,
    source: String,
    asked_by: Vec<String>,
    answered: u64,
    failed: u64,
    last_error: Option<LastError>,
}

#[derive(Deserialize)]
struct LastError {
    at: Timestamp,
    why: String,
}

#[derive(Deserialize)]
struct Tried {
    known: bool,
    value: Value,
    why: Option<String>,
    as_of: Timestamp,
    took_ms: u64,
}

impl Facts {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let gateway = context.gateway()?;
        match self {
            Self::List => {
                let (items, _) = gateway.list(&["facts"], Vec::new(), 10_000).await?;
                let items = Value::Array(items);
                let text = list_text(context, &Answer::of(items.clone()))?;
                context.screen.result(&items, || text)
            }
            Self::Test(test) => test.run(context, &gateway).await,
        }
    }
}

impl Test {
    async fn run(self, context: &Context, gateway: &Gateway) -> Ending {
        let query = vec![
            ("requester", self.requester.to_string()),
            ("resource", self.resource.to_string()),
            ("access_type", self.access_type.to_string()),
        ];
        let answer = gateway.get(&["facts", &self.name, "test"], query).await?;
        let tried: Tried = answer.read()?;
        context.screen.result(answer.raw(), || tried_text(&self.name, &tried))?;
        Ok(u8::from(!tried.known))
    }
}

fn tried_text(name: &str, tried: &Tried) -> String {
    let Tried { as_of, took_ms, .. } = tried;
    let name = words::clean(name);
    if tried.known {
        let value = words::json_text(&words::clean_value(&tried.value), true);
        format!("{}\nfact {name} as of {as_of}, in {took_ms} ms\n", value.trim_end())
    } else {
        let why = words::clean(tried.why.as_deref().unwrap_or_default());
        format!("fact {name} could not be had: {why} ({took_ms} ms); policies see none\n")
    }
}

fn list_text(context: &Context, answer: &Answer) -> Result<String, Failure> {
    let facts: Vec<Fact> = answer.read()?;
    if facts.is_empty() {
        return Ok("no sources of facts, and no active policy asks for one\n".to_owned());
    }
    let now = context.clock.now();
    let rows = facts.into_iter().map(|fact| {
        let source = if fact.kind == "none" {
            "no source: never known".to_owned()
        } else {
            format!("{} {}", fact.kind, fact.source)
        };
        let error = fact.last_error.map(|error| format!("{} {}", words::relative(error.at, now), error.why));
        let done = format!("{} of {}", fact.answered, fact.answered + fact.failed);
        let error = words::short(&error.unwrap_or_default(), 80);
        vec![fact.name, source, words::names(&fact.asked_by, 3), done, error]
    });
    let header = ["FACT", "SOURCE", "ASKED BY", "ANSWERED", "LAST ERROR"];
    Ok(words::table(&header, rows.collect(), context.screen.width))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fact_is_shown_or_why_it_could_not_be_had() {
        let tried = |value: Value| Answer::of(value).read::<Tried>().unwrap();
        let at = "2026-03-02T10:00:00Z";
        let known = tried(
            json!({"name": "n", "known": true, "value": ["eve\u{1b}"], "why": null, "as_of": at, "took_ms": 7}),
        );
        let text = tried_text("on-call", &known);
        assert!(text.contains("eve") && text.contains("in 7 ms") && !text.contains('\u{1b}'), "{text}");
        let none = tried(
            json!({"name": "n", "known": false, "value": null, "why": "it answered 500", "as_of": at, "took_ms": 7}),
        );
        assert!(tried_text("on-call", &none).contains("could not be had: it answered 500"));
    }

    #[test]
    fn a_list_says_which_facts_have_no_source() {
        let items = json!([
            {"name": "on-call", "kind": "http", "source": "https://h/{resource}", "asked_by": ["on-call"], "answered": 3,
             "failed": 1, "last_error": {"at": "1970-01-01T00:00:00Z", "why": "it answered 500"}},
            {"name": "frozen", "kind": "none", "source": "", "asked_by": ["freeze"], "answered": 0, "failed": 0,
             "last_error": null},
        ]);
        let text = list_text(&Context::for_tests(), &Answer::of(items)).unwrap();
        assert!(text.contains("3 of 4") && text.contains("it answered 500"), "{text}");
        assert!(text.contains("no source: never known"), "{text}");
    }
}
