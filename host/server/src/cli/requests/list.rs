//! `quorate requests list`.

use clap::{Args, ValueEnum};
use quorate_core::ids::{ResourceName, UserId};
use quorate_core::rule::AccessType;
use serde_json::Value;

use super::one_line;
use crate::cli::Context;
use crate::cli::client::{Answer, Gateway};
use crate::cli::exit::Ending;
use crate::cli::view::Request;
use crate::cli::words;

/// Which requests.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Those `waiting` for my vote, `mine`, or `all` that I may see
    #[arg(long, value_enum, default_value_t = Inbox::All, hide_possible_values = true)]
    pub(in crate::cli) inbox: Inbox,
    /// Only in these states, such as PENDING,APPROVED
    #[arg(long, value_delimiter = ',', value_parser = state)]
    pub(in crate::cli) state: Vec<String>,
    /// Only by this person
    #[arg(long)]
    pub(in crate::cli) requester: Option<UserId>,
    /// Only for this resource
    #[arg(long)]
    pub(in crate::cli) resource: Option<ResourceName>,
    /// Only `just-in-time` or `command`
    #[arg(long = "type", value_name = "TYPE")]
    pub(in crate::cli) access_type: Option<AccessType>,
    /// Only those that wait and that nobody can approve as things are
    #[arg(long)]
    pub(in crate::cli) stuck: bool,
    /// Only with this text in the reason or the id
    #[arg(long)]
    pub(in crate::cli) text: Option<String>,
    /// Only those made at this time or later, as in 2026-11-23T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) since: Option<quorate_core::Timestamp>,
    /// Only those made before this time
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) until: Option<quorate_core::Timestamp>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(in crate::cli) limit: u16,
}

/// Whose requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Inbox {
    /// Those that wait for my vote.
    Waiting,
    /// My own.
    Mine,
    /// All that I may see.
    All,
}

const STATES: [&str; 8] =
    ["PENDING", "APPROVED", "REJECTED", "CANCELLED", "TIMED_OUT", "REVOKED", "EXPIRED", "EXECUTED"];

fn state(text: &str) -> Result<String, String> {
    let given = text.to_uppercase().replace('-', "_");
    if STATES.contains(&given.as_str()) { Ok(given) } else { Err(format!("one of {}", STATES.join(", "))) }
}

impl List {
    fn query(&self) -> Vec<(&'static str, String)> {
        let inbox = match self.inbox {
            Inbox::Waiting => "waiting",
            Inbox::Mine => "mine",
            Inbox::All => "all",
        };
        let mut query = vec![("inbox", inbox.to_owned())];
        if !self.state.is_empty() {
            query.push(("state", self.state.join(",")));
        }
        let rest = [
            ("requester", self.requester.as_ref().map(ToString::to_string)),
            ("resource", self.resource.as_ref().map(ToString::to_string)),
            ("access_type", self.access_type.map(|one| one.to_string())),
            ("nobody_can_approve", self.stuck.then(|| "true".to_owned())),
            ("text", self.text.clone()),
            ("since", self.since.map(|at| at.to_string())),
            ("until", self.until.map(|at| at.to_string())),
        ];
        query.extend(rest.into_iter().filter_map(|(name, value)| Some((name, value?))));
        query
    }

    /// Runs the verb.
    pub(super) async fn run(self, context: &Context, gateway: &Gateway) -> Ending {
        let (items, total) = gateway.list(&["requests"], self.query(), usize::from(self.limit)).await?;
        if context.screen.json {
            return context.screen.result(&Value::Array(items), String::new);
        }
        let requests: Vec<Request> = Answer::of(Value::Array(items)).read()?;
        let now = context.clock.now();
        let shown = requests.len();
        let rows = requests.iter().map(|request| {
            vec![
                request.id.clone(),
                request.state.clone(),
                request.requester.clone(),
                request.resource.clone(),
                asked(request),
                words::relative(request.submitted_at, now),
                words::short(&one_line(request), 80),
            ]
        });
        let header = ["ID", "STATE", "REQUESTER", "RESOURCE", "ASKED", "WHEN", "WHERE IT STANDS"];
        if shown > 0 {
            context.screen.print(&words::table(&header, rows.collect(), context.screen.width));
        } else {
            context.screen.say("no requests");
        }
        if shown < total {
            context.screen.say(&format!("{shown} of {total}: --limit shows more"));
        }
        Ok(0)
    }
}

fn asked(request: &Request) -> String {
    match (&request.duration, &request.command) {
        (_, Some(command)) => words::short(&command.in_short(), 40),
        (Some(duration), None) => duration.clone(),
        (None, None) => request.access_type.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_become_a_query() {
        let list = List {
            inbox: Inbox::Waiting,
            state: vec!["PENDING".into(), "APPROVED".into()],
            requester: Some("ann".parse().unwrap()),
            resource: None,
            access_type: Some(AccessType::Command),
            text: Some("a&b".into()),
            stuck: true,
            since: Some("2026-11-23T10:00:00Z".parse().unwrap()),
            until: None,
            limit: 50,
        };
        let expected = [
            ("inbox", "waiting"),
            ("state", "PENDING,APPROVED"),
            ("requester", "ann"),
            ("access_type", "command"),
            ("nobody_can_approve", "true"),
            ("text", "a&b"),
            ("since", "2026-11-23T10:00:00Z"),
        ];
        let query = list.query();
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(query, expected);
    }

    #[test]
    fn a_state_is_taken_in_any_spelling_and_a_wrong_one_is_refused() {
        assert_eq!(state("timed-out"), Ok("TIMED_OUT".to_owned()));
        assert!(state("open").unwrap_err().contains("PENDING, APPROVED"));
    }
}
