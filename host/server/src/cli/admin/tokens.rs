//! `quorate admin tokens`: tokens of one's own, for programs.

use clap::{Args, Subcommand};
use quorate_core::Timestamp;
use quorate_core::duration::AccessDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::client::Answer;
use crate::cli::exit::{Ending, Failure};
use crate::cli::{Context, words};

/// Your own tokens
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate admin tokens create 'nightly report' --expires-in 720h
  QUORATE_TOKEN=qrt_… quorate exec reports < nightly.sql")]
pub(in crate::cli) enum Tokens {
    /// List the tokens that work
    List,
    /// Make a token; its text is shown once
    Create(Create),
    /// Take a token back
    Revoke(Revoke),
}

/// A new token.
#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// What to call it
    label: String,
    /// How long it works, up to 720h
    #[arg(long, default_value = "720h", value_name = "DURATION")]
    expires_in: AccessDuration,
}

/// A token to be taken back.
#[derive(Debug, Args)]
pub(in crate::cli) struct Revoke {
    /// Its id, as in the list
    id: String,
}

#[derive(Deserialize)]
struct Token {
    id: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    issued_at: Option<Timestamp>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    current: bool,
}

impl Tokens {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let gateway = context.gateway()?;
        match self {
            Self::List => {
                let answer = gateway.get(&["me", "tokens"], Vec::new()).await?;
                let items = Value::Array(answer.items().to_vec());
                let text = list_text(context, &Answer::of(items.clone()))?;
                context.screen.result(&items, || text)
            }
            Self::Create(Create { label, expires_in }) => {
                let body = json!({"label": label, "expires_in": expires_in});
                let answer = gateway.post(&["me", "tokens"], body).await?;
                let text = answer.raw()["token"].as_str().map(words::clean).unwrap_or_default();
                context.screen.say("keep it safe: it acts as you, and is not shown again");
                context.screen.result(answer.raw(), || format!("{text}\n"))
            }
            Self::Revoke(Revoke { id }) => {
                gateway.delete(&["me", "tokens", &id]).await?;
                context.screen.result(&json!({"revoked": id}), || {
                    format!("token {} no longer works\n", words::clean(&id))
                })
            }
        }
    }
}

fn list_text(context: &Context, answer: &Answer) -> Result<String, Failure> {
    let tokens: Vec<Token> = answer.read()?;
    let now = context.clock.now();
    let when = |at: Option<Timestamp>| at.map(|at| words::relative(at, now)).unwrap_or_default();
    let rows = tokens.into_iter().map(|token| {
        let current = if token.current { "this one" } else { "" };
        vec![
            token.id,
            words::short(&token.label, 40),
            when(token.issued_at),
            when(token.expires_at),
            current.to_owned(),
        ]
    });
    Ok(words::table(&["ID", "LABEL", "MADE", "EXPIRES", ""], rows.collect(), context.screen.width))
}
