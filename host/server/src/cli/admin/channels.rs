//! `quorate admin channels`: where messages about requests go, and what came of them.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use quorate_core::Timestamp;
use quorate_core::ids::ChannelName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::file::{self, CHANNEL};
use super::things;
use crate::cli::client::Answer;
use crate::cli::exit::{Ending, Failure};
use crate::cli::{Context, words};

/// Notification channels
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate admin channels put -f pager.yaml       # prints the key that messages are signed with, once
  quorate admin channels test pager              # sends a message about nothing, and says whether it arrived
  quorate admin channels deliveries pager --state dead

A channel file:
  name: pager
  kind: webhook                    # by the Standard Webhooks specification; or slack, email, teams
  address: {env: PAGER_ADDRESS}    # webhook, teams: or {file: path}; left out, it stays as it is
  conversation: C0123456789        # slack: where every message goes, besides to who subscribed
  to: [dba@example.org]            # email: left out, whom it concerns
  all_requests: false              # otherwise: for resources with `--plugin pager`, and under
  rules: [prod-postgres]           # these rules
  events: [request.submitted, request.approved]   # left out: all")]
pub(in crate::cli) enum Channels {
    /// List channels, and how they do
    List,
    /// Show one as a file that can be put back
    Show(Channel),
    /// Add or replace one, as a file says
    Put(Put),
    /// Remove one
    Delete(Delete),
    /// Send a message about nothing, and say whether it arrived
    Test(Channel),
    /// Make another key; the old one is signed with too for a day
    Rotate(Channel),
    /// What a channel was told, and is to be told
    Deliveries(Deliveries),
    /// Tell it once more of what was given up, or delivered
    Again(Again),
}

/// A channel.
#[derive(Debug, Args)]
pub(in crate::cli) struct Channel {
    /// Its name
    name: ChannelName,
}

/// A file with a channel.
#[derive(Debug, Args)]
pub(in crate::cli) struct Put {
    /// Its name, where the file has none
    name: Option<ChannelName>,
    /// The file, in YAML or JSON; `-` for standard input
    #[arg(long, short)]
    file: PathBuf,
}

/// A channel to be removed.
#[derive(Debug, Args)]
pub(in crate::cli) struct Delete {
    /// Its name
    name: ChannelName,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Which deliveries.
#[derive(Debug, Args)]
pub(in crate::cli) struct Deliveries {
    /// Of which channel
    name: ChannelName,
    /// Only these: waiting, delivered or dead
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// How many, the newest
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
}

/// A delivery that is made again.
#[derive(Debug, Args)]
pub(in crate::cli) struct Again {
    /// Of which channel
    name: ChannelName,
    /// The number of the entry, as in the list
    entry: u64,
}

impl Channels {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        match self {
            Self::List => list(context).await,
            Self::Show(Channel { name }) => things::show(context, "channels", name.as_str()).await,
            Self::Put(put) => put.run(context).await,
            Self::Delete(Delete { name, yes }) => {
                things::delete(context, "channel", name.as_str(), yes).await
            }
            Self::Test(Channel { name }) => {
                let answer = context.gateway()?.post(&["channels", name.as_str(), "test"], json!({})).await?;
                if let Some(why) = answer.raw()["error"].as_str() {
                    return Err(Failure::failed(format!(
                        "the message did not arrive: {}",
                        words::clean(why)
                    )));
                }
                context.screen.result(answer.raw(), || "the message arrived\n".to_owned())
            }
            Self::Rotate(Channel { name }) => {
                let answer = context.gateway()?.post(&["channels", name.as_str(), "key"], json!({})).await?;
                say_key(context, &answer);
                context.screen.result(answer.raw(), || key_text(&answer))
            }
            Self::Deliveries(deliveries) => deliveries.run(context).await,
            Self::Again(Again { name, entry }) => {
                let path = ["channels", name.as_str(), "deliveries", &entry.to_string(), "again"];
                context.gateway()?.post(&path, json!({})).await?;
                context.screen.result(&json!({"again": entry}), || {
                    format!("channel {name} is told again of entry {entry}, as soon as it can be\n")
                })
            }
        }
    }
}

impl Put {
    async fn run(self, context: &Context) -> Ending {
        let channel: file::Channel = file::parse(&self.file, &file::read(&self.file)?, &CHANNEL)?;
        let given = self.name.as_ref().map(ChannelName::as_str);
        let name = things::one_name(given, channel.name.as_ref().map(ChannelName::as_str))?;
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let address =
            channel.address.as_ref().map(|source| source.value(folder, &context.environment)).transpose();
        let address = address.map_err(|why| Failure::usage(format!("address: {why}")))?;
        let has_address = address.is_some();
        let mut body = channel.canonical();
        body["address"] = json!(address);
        let gateway = context.gateway()?;
        let before = gateway.find(&["channels", &name]).await?;
        let put = things::put(context, &gateway, "channel", &name, before.as_ref(), body);
        let (answer, mut text) = put.await?;
        if has_address && before.is_some() {
            text.push_str("its address is what the file says\n");
        }
        say_key(context, &answer);
        context.screen.result(answer.raw(), || text + &key_text(&answer))
    }
}

/// What a new key is for; the key itself goes where results go.
fn say_key(context: &Context, answer: &Answer) {
    if answer.raw()["key"].is_string() {
        context.screen.say("give this key to whoever receives the messages: it is not shown again");
    }
}

fn key_text(answer: &Answer) -> String {
    answer.raw()["key"].as_str().map(|key| format!("{}\n", words::clean(key))).unwrap_or_default()
}

#[derive(Deserialize)]
struct Shown {
    name: String,
    kind: String,
    host: Option<String>,
    conversation: Option<String>,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    all_requests: bool,
    #[serde(default)]
    rules: Vec<String>,
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    waiting: u64,
    dead: u64,
    failures: u64,
    last_error: Option<String>,
    last_error_at: Option<Timestamp>,
    last_success_at: Option<Timestamp>,
}

async fn list(context: &Context) -> Ending {
    let (items, _) = context.gateway()?.list(&["channels"], Vec::new(), 100_000).await?;
    let items = Value::Array(items);
    let shown: Vec<Shown> = Answer::of(items.clone()).read()?;
    let now = context.clock.now();
    let rows = shown.into_iter().map(|one| {
        let Status { waiting, dead, failures, last_error, last_error_at, last_success_at } = one.status;
        let does = match (failures, last_error, last_success_at) {
            (1.., Some(why), _) => format!("fails: {}", words::clean(&why)),
            (_, Some(why), _) if waiting > 0 && last_error_at > last_success_at => {
                format!("waits: {}", words::clean(&why))
            }
            (_, _, Some(at)) => format!("arrived {}", words::relative(at, now)),
            _ => "nothing sent yet".to_owned(),
        };
        let hears = if one.all_requests { "every request".to_owned() } else { one.rules.join(", ") };
        let to = one.host.or(one.conversation).unwrap_or_else(|| one.to.join(", "));
        vec![
            one.name,
            one.kind,
            words::short(&words::clean(&to), 40),
            words::short(&hears, 40),
            waiting.to_string(),
            dead.to_string(),
            words::short(&does, 60),
        ]
    });
    let header = ["NAME", "KIND", "TO", "RULES", "WAITING", "DEAD", ""];
    let text = words::table(&header, rows.collect(), context.screen.width);
    context.screen.result(&items, || text)
}

#[derive(Deserialize)]
struct Delivery {
    entry: u64,
    event: String,
    request: String,
    state: String,
    attempts: u64,
    tried_at: Option<Timestamp>,
    error: Option<String>,
}

impl Deliveries {
    async fn run(self, context: &Context) -> Ending {
        let path = ["channels", self.name.as_str(), "deliveries"];
        let mut query = vec![("limit", self.limit.to_string())];
        query.extend(self.state.map(|state| ("state", state)));
        let answer = context.gateway()?.get(&path, query).await?;
        let items = Value::Array(answer.items().to_vec());
        let shown: Vec<Delivery> = Answer::of(items.clone()).read()?;
        let now = context.clock.now();
        let rows = shown.into_iter().map(|one| {
            vec![
                one.entry.to_string(),
                one.event,
                one.request,
                one.state,
                one.attempts.to_string(),
                one.tried_at.map(|at| words::relative(at, now)).unwrap_or_default(),
                words::short(&words::clean(&one.error.unwrap_or_default()), 60),
            ]
        });
        let header = ["ENTRY", "EVENT", "REQUEST", "STATE", "TRIES", "TRIED", "ERROR"];
        let text = words::table(&header, rows.collect(), context.screen.width);
        context.screen.result(&items, || text)
    }
}
