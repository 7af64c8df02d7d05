//! `quorate admin`: people, groups, resources, rules, channels and tokens, one at a time or all from a file.

mod apply;
mod channels;
mod conn;
mod diff;
mod file;
mod keys;
mod people;
mod plan;
mod things;
mod tokens;

use clap::Subcommand;
use serde_json::Value;

pub(super) use apply::rehearse;

use super::Context;
use super::client::Answer;
use super::exit::Ending;
use super::view::Finding;

/// Configure the gateway
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate admin create conn prod-postgres --agent default --reviewers 'dba-team,security' \\
      -- psql -h localhost -U postgres
  quorate admin users create ann --email ann@example.org --group dev
  quorate admin groups add security sam sue
  quorate admin apply -f gateway.yaml --dry-run")]
pub(super) enum Admin {
    /// Create something new
    #[command(subcommand)]
    Create(Create),
    /// Make the gateway what a file says; shows the difference first
    Apply(apply::Apply),
    /// People: list, add, change, switch off
    #[command(subcommand)]
    Users(people::Users),
    /// Groups of people
    #[command(subcommand)]
    Groups(people::Groups),
    /// Resource roles: what can be asked for
    #[command(subcommand)]
    Resources(things::Resources),
    /// Access request rules: who must approve what
    #[command(subcommand)]
    Rules(things::Rules),
    /// Notification channels: where messages about requests go
    #[command(subcommand)]
    Channels(channels::Channels),
    /// Your own tokens, for programs that act as you
    #[command(subcommand)]
    Tokens(tokens::Tokens),
}

/// Create something new
#[derive(Debug, Subcommand)]
pub(super) enum Create {
    /// A resource role, and with --reviewers the rules that say who must approve
    #[command(visible_alias = "connection")]
    Conn(conn::Conn),
}

impl Admin {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        match self {
            Self::Create(Create::Conn(conn)) => conn.run(context).await,
            Self::Apply(apply) => apply.run(context).await,
            Self::Users(users) => users.run(context).await,
            Self::Groups(groups) => groups.run(context).await,
            Self::Resources(resources) => resources.run(context).await,
            Self::Rules(rules) => rules.run(context).await,
            Self::Channels(channels) => channels.run(context).await,
            Self::Tokens(tokens) => tokens.run(context).await,
        }
    }
}

/// What the gateway finds odd in what it saved all the same.
fn warnings(answer: &Answer) -> Vec<String> {
    let findings = answer.raw().get("warnings").cloned().unwrap_or(Value::Array(Vec::new()));
    let findings: Vec<Finding> = Answer::of(findings).read().unwrap_or_default();
    findings.into_iter().map(|finding| finding.message).collect()
}
