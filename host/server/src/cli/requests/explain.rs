//! `quorate requests explain`: which policy said what, and what it would take.

use std::fmt::Write as _;

use quorate_core::ids::RequestId;
use serde::Deserialize;
use serde_json::json;

use super::show::page;
use crate::cli::client::{Answer, Gateway};
use crate::cli::exit::Ending;
use crate::cli::{Context, takes, words};

#[derive(Deserialize)]
struct Explanation {
    #[serde(default)]
    policies: Vec<PolicySaid>,
    #[serde(default)]
    engine: Option<String>,
    #[serde(default)]
    decided_at: Option<quorate_core::Timestamp>,
    #[serde(default)]
    untold: Vec<Untold>,
    #[serde(default)]
    unheard: Vec<String>,
}

#[derive(Deserialize)]
struct Untold {
    channel: String,
    error: Option<String>,
    given_up: bool,
}

#[derive(Deserialize)]
struct PolicySaid {
    rule: String,
    policy: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    said: String,
    #[serde(default)]
    findings: Vec<String>,
    #[serde(default)]
    fuel_used: u64,
    #[serde(default)]
    log: Vec<String>,
}

pub(super) async fn explain(context: &Context, gateway: &Gateway, id: &RequestId) -> Ending {
    let answer = gateway.get(&["requests", id.as_str(), "explain"], Vec::new()).await?;
    let request = Answer::of(answer.raw().get("request").cloned().unwrap_or_default());
    let mut text = page(context, &request)?;
    let explanation = answer.read()?;
    text.push_str(&opinions(&explanation));
    for Untold { channel, error, given_up } in &explanation.untold {
        let channel = words::clean(channel);
        let _ = match error {
            Some(why) => writeln!(text, "channel {channel} could not be told: {}", words::clean(why)),
            None if *given_up => writeln!(text, "channel {channel} could not be told"),
            None => writeln!(text, "channel {channel} has still to be told"),
        };
    }
    for group in &explanation.unheard {
        let group = words::clean(group);
        let _ = writeln!(text, "nobody of {group} hears of this in Slack: they can, with /quorate subscribe");
    }
    let mut value = answer.raw().clone();
    if request.raw()["state"] == json!("PENDING")
        && let Some(takes) = takes::ask(gateway, id.as_str()).await?
    {
        text.push_str(&takes::told(&takes)?);
        value["what_would_it_take"] = takes;
    }
    context.screen.result(&value, || text)
}

fn opinions(explanation: &Explanation) -> String {
    let mut text = match explanation.decided_at {
        Some(at) => format!("\nasked last at {}:\n", words::time(at)),
        None => {
            return "\nno record says what each policy said: none was asked, or the record is missing\n"
                .to_owned();
        }
    };
    for one in &explanation.policies {
        let version =
            one.version.as_deref().map_or("missing", |version| version.get(..12).unwrap_or(version));
        let _ = writeln!(text, "  rule {}, policy {} ({version}): {}", one.rule, one.policy, one.said);
        for line in one.findings.iter().chain(&one.log) {
            let _ = writeln!(text, "    {line}");
        }
        let _ = writeln!(text, "    fuel {}", one.fuel_used);
    }
    if let Some(engine) = &explanation.engine {
        let _ = writeln!(text, "engine {engine}");
    }
    text
}
