//! `quorate requests`: look at requests and decide them.

use clap::{Args, Subcommand, ValueEnum};
use quorate_core::ids::{RequestId, ResourceName, UserId};
use quorate_core::rule::AccessType;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

use super::Context;
use super::client::{Answer, Gateway};
use super::exit::{Ending, Failure};
use super::takes;
use super::view::{Request, Vote};
use super::words;

/// Look at access requests and decide them
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate requests list --inbox waiting            # what waits for my vote
  quorate requests list --stuck                    # what nobody can approve as things are
  quorate requests show 7k2m…
  quorate requests approve 7k2m… --comment 'ok until noon'
  quorate requests approve 7k2m… --force --comment 'site is down'
  quorate requests explain 7k2m…                   # which policy said what, and what is missing")]
pub(super) enum Requests {
    /// List requests, newest first
    List(List),
    /// Show one request
    Show(Show),
    /// Vote for a request
    Approve(Approve),
    /// Vote against a request: one eligible rejection ends it
    Reject(Reject),
    /// Withdraw a request of your own
    Cancel(One),
    /// Take back access that was approved; its sessions end at once
    Revoke(Revoke),
    /// Say why a request stands where it stands
    Explain(One),
}

/// Which requests.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Those `waiting` for my vote, `mine`, or `all` that I may see
    #[arg(long, value_enum, default_value_t = Inbox::All, hide_possible_values = true)]
    pub(super) inbox: Inbox,
    /// Only in these states, such as PENDING,APPROVED
    #[arg(long, value_delimiter = ',', value_parser = state)]
    pub(super) state: Vec<String>,
    /// Only by this person
    #[arg(long)]
    pub(super) requester: Option<UserId>,
    /// Only for this resource
    #[arg(long)]
    pub(super) resource: Option<ResourceName>,
    /// Only `just-in-time` or `command`
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) access_type: Option<AccessType>,
    /// Only those that wait and that nobody can approve as things are
    #[arg(long)]
    pub(super) stuck: bool,
    /// Only with this text in the reason or the id
    #[arg(long)]
    pub(super) text: Option<String>,
    /// Only those made at this time or later, as in 2026-11-23T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<quorate_core::Timestamp>,
    /// Only those made before this time
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<quorate_core::Timestamp>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) limit: u16,
}

/// Whose requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Inbox {
    /// Those that wait for my vote.
    Waiting,
    /// My own.
    Mine,
    /// All that I may see.
    All,
}

/// One request.
#[derive(Debug, Args)]
pub(super) struct One {
    /// The request's id
    pub(super) id: RequestId,
}

/// One request, with or without its history.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The request's id
    pub(super) id: RequestId,
    /// Everything that happened to it as well
    #[arg(long)]
    pub(super) timeline: bool,
}

/// A vote for a request.
#[derive(Debug, Args)]
pub(super) struct Approve {
    /// The request's id
    pub(super) id: RequestId,
    /// Approve now, whatever others still have to say; takes a force group and a --comment
    #[arg(long, requires = "comment")]
    pub(super) force: bool,
    /// For the requester and the record
    #[arg(long, short)]
    pub(super) comment: Option<String>,
}

/// A vote against a request.
#[derive(Debug, Args)]
pub(super) struct Reject {
    /// The request's id
    pub(super) id: RequestId,
    /// For the requester and the record
    #[arg(long, short)]
    pub(super) comment: Option<String>,
}

/// Access to be taken back.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The request's id
    pub(super) id: RequestId,
    /// Why; shown to whoever is cut off
    #[arg(long, short, default_value = "", hide_default_value = true)]
    pub(super) reason: String,
}

const STATES: [&str; 8] =
    ["PENDING", "APPROVED", "REJECTED", "CANCELLED", "TIMED_OUT", "REVOKED", "EXPIRED", "EXECUTED"];

fn state(text: &str) -> Result<String, String> {
    let given = text.to_uppercase().replace('-', "_");
    if STATES.contains(&given.as_str()) { Ok(given) } else { Err(format!("one of {}", STATES.join(", "))) }
}

impl Requests {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let gateway = context.gateway()?;
        match self {
            Self::List(list) => list.run(context, &gateway).await,
            Self::Show(show) => show.run(context, &gateway).await,
            Self::Approve(Approve { id, force, comment }) => {
                let body =
                    json!({"choice": "approve", "forced": force, "comment": comment.unwrap_or_default()});
                change(context, &gateway, &id, "votes", body).await
            }
            Self::Reject(Reject { id, comment }) => {
                let body = json!({"choice": "reject", "comment": comment.unwrap_or_default()});
                change(context, &gateway, &id, "votes", body).await
            }
            Self::Cancel(One { id }) => change(context, &gateway, &id, "cancel", json!({})).await,
            Self::Revoke(Revoke { id, reason }) => {
                change(context, &gateway, &id, "revoke", json!({"reason": reason})).await
            }
            Self::Explain(One { id }) => explain(context, &gateway, &id).await,
        }
    }
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

    async fn run(self, context: &Context, gateway: &Gateway) -> Ending {
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

fn one_line(request: &Request) -> String {
    if request.is_pending() && !request.summary.is_empty() {
        request.summary.clone()
    } else {
        stands(request)
    }
}

/// Where a request stands, in one line.
fn stands(request: &Request) -> String {
    match (&request.state[..], &request.granted) {
        ("APPROVED", Some(granted)) => {
            format!("{}, until {}", request.approved_by(), words::time(granted.until))
        }
        ("APPROVED" | "EXECUTED", _) => request.approved_by(),
        ("PENDING", _) => request.missing().join("; "),
        _ => request.ending(),
    }
}

impl Show {
    async fn run(self, context: &Context, gateway: &Gateway) -> Ending {
        let id = self.id.as_str();
        let answer = gateway.get(&["requests", id], Vec::new()).await?;
        if !self.timeline {
            let text = page(context, &answer)?;
            return context.screen.result(answer.raw(), || text);
        }
        let (entries, _) = gateway.list(&["requests", id, "entries"], Vec::new(), 10_000).await?;
        let entries = Answer::of(Value::Array(entries));
        let both = json!({"request": answer.raw(), "entries": entries.raw()});
        let text = format!("{}\n{}", page(context, &answer)?, timeline(&entries)?);
        context.screen.result(&both, || text)
    }
}

/// A request on a page of its own.
fn page(context: &Context, answer: &Answer) -> Result<String, Failure> {
    let request: Request = answer.read()?;
    let now = context.clock.now();
    let when = |at| format!("{} ({})", words::time(at), words::relative(at, now));
    let pending = request.is_pending();
    let window = request
        .granted
        .as_ref()
        .map(|granted| format!("{} to {}", words::time(granted.from), when(granted.until)));
    let facts = [
        ("request", request.id.clone()),
        ("state", context.screen.out.state(&request.state)),
        ("requester", request.requester.clone()),
        ("asks", request.asks()),
        ("reason", request.reason.clone()),
        ("made", when(request.submitted_at)),
        ("times out", if pending { when(request.closes_at) } else { String::new() }),
        ("needs", if pending { request.missing().join("; ") } else { String::new() }),
        ("how", if pending { String::new() } else { stands(&request) }),
        ("open", window.unwrap_or_default()),
        ("decided by", rules(&request)),
        ("link", request.url.clone()),
    ];
    let mut text = words::facts(&facts);
    if let Some(command) = answer.raw().get("command").filter(|command| command.is_object()) {
        text.push_str(&command_block(command));
    }
    for warning in request.warnings().iter().filter(|_| pending) {
        let _ = writeln!(text, "{} {warning}", context.screen.out.yellow("note:"));
    }
    for vote in &request.votes {
        let _ = writeln!(text, "{}", vote_line(vote));
    }
    Ok(text)
}

/// The command whole and line by line: what is shown is what runs.
fn command_block(command: &Value) -> String {
    let mut text = String::new();
    if let Some(input) = command.get("text").and_then(Value::as_str).filter(|input| !input.is_empty()) {
        let _ = write!(text, "input\n{}", words::block(input));
    }
    let arguments = command.get("arguments").and_then(Value::as_array).filter(|list| !list.is_empty());
    if let Some(arguments) = arguments {
        let words: Vec<String> = arguments.iter().map(words::plain).collect();
        let _ = write!(text, "arguments\n{}", words::block(&words::command_line(&words)));
    }
    text
}

fn vote_line(vote: &Vote) -> String {
    let choice = match (vote.choice.as_str(), vote.forced) {
        ("approve", true) => "forces the approval",
        ("approve", false) => "approves",
        _ => "rejects",
    };
    let comment = if vote.comment.is_empty() { String::new() } else { format!(": {}", vote.comment) };
    let groups =
        if vote.groups.is_empty() { String::new() } else { format!(" ({})", vote.groups.join(", ")) };
    format!("{}  {}{groups} {choice}{comment}", words::time(vote.cast_at), vote.voter)
}

fn rules(request: &Request) -> String {
    let rules = request.rules.iter().map(|rule| {
        let policies: Vec<String> =
            rule.policies.iter().map(|one| format!("{} {}", one.policy, one.said)).collect();
        format!("rule {} ({})", rule.rule, policies.join(", "))
    });
    rules.collect::<Vec<_>>().join("; ")
}

/// What happened, oldest first.
fn timeline(entries: &Answer) -> Result<String, Failure> {
    let entries: Vec<Value> = entries.read()?;
    let lines = entries.iter().map(|sealed| {
        let entry = sealed.get("entry").unwrap_or(sealed);
        let by = entry["by"]
            .get("user")
            .map_or_else(|| format!("the {}", words::plain(&entry["by"])), words::plain);
        let what = words::plain(&entry["type"]).replace('-', " ");
        let at = entry["at"].as_str().and_then(|at| at.parse().ok()).map(words::time).unwrap_or_default();
        format!("{at}  {what}, by {by}\n")
    });
    Ok(lines.collect())
}

async fn change(context: &Context, gateway: &Gateway, id: &RequestId, verb: &str, body: Value) -> Ending {
    let answer = gateway.post(&["requests", id.as_str(), verb], body).await?;
    let request: Request = answer.read()?;
    let line = format!(
        "{}  {} asks {}: {}\n",
        context.screen.out.state(&request.state),
        request.requester,
        request.asks(),
        one_line(&request)
    );
    context.screen.result(answer.raw(), || line)
}

#[derive(Deserialize)]
struct Explanation {
    #[serde(default)]
    policies: Vec<PolicySaid>,
    #[serde(default)]
    engine: Option<String>,
    #[serde(default)]
    decided_at: Option<quorate_core::Timestamp>,
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

async fn explain(context: &Context, gateway: &Gateway, id: &RequestId) -> Ending {
    let answer = gateway.get(&["requests", id.as_str(), "explain"], Vec::new()).await?;
    let request = Answer::of(answer.raw().get("request").cloned().unwrap_or_default());
    let mut text = page(context, &request)?;
    text.push_str(&opinions(&answer.read()?));
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

#[cfg(test)]
mod tests {
    use super::super::view::tests::{pending, request};
    use super::*;

    #[test]
    fn where_a_request_stands_fits_on_a_line() {
        let approved = request(|r| {
            r["state"] = json!("APPROVED");
            r["granted"] =
                json!({"from": "2026-11-23T10:10:00Z", "until": "2026-11-23T12:10:00Z", "duration": "2h"});
            r["approval"] = json!({"by": "bob, sam", "bypasses": []});
        });
        assert_eq!(stands(&approved), "approved by bob, sam, until 2026-11-23 12:10:00 UTC");
        let skipped = request(|r| {
            r["state"] = json!("EXECUTED");
            r["approval"] =
                json!({"by": "policy bypass", "bypasses": [{"why": "skipped: eve is in oncall"}]});
        });
        assert_eq!(stands(&skipped), "approved by policy bypass (skipped: eve is in oncall)");
        assert_eq!(one_line(&request(|_| {})), "waiting for 1 of dba (bob, bea)");
    }

    #[test]
    fn a_hostile_request_cannot_forge_a_page() {
        let mut hostile = pending();
        hostile["reason"] = json!("fix\nstate      APPROVED\u{1b}[2J");
        hostile["access_type"] = json!("command");
        hostile["command"] = json!({"text": "select 1;\u{1b}[8m\ndrop table x", "arguments": ["-c", "a\nb"]});
        let text = page(&Context::for_tests(), &Answer::of(hostile)).unwrap();
        assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
        assert_eq!(text.lines().filter(|line| line.starts_with("state")).count(), 1);
        assert!(text.contains("input\n  │ select 1;[8m\n  │ drop table x\n"), "{text}");
        assert!(text.contains("fix ⏎ state"), "{text}");
    }

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
    fn a_timeline_says_what_happened_and_by_whom() {
        let entries = json!([
            {"seq": 1, "entry": {"at": "2026-11-23T10:00:00Z", "by": {"user": "ann"}, "type": "request-submitted"}},
            {"seq": 2, "entry": {"at": "2026-11-23T10:00:01Z", "by": "gateway", "type": "request-decided"}},
        ]);
        assert_eq!(
            timeline(&Answer::of(entries)).unwrap(),
            "2026-11-23 10:00:00 UTC  request submitted, by ann\n2026-11-23 10:00:01 UTC  request decided, by the gateway\n"
        );
    }

    #[test]
    fn a_state_is_taken_in_any_spelling_and_a_wrong_one_is_refused() {
        assert_eq!(state("timed-out"), Ok("TIMED_OUT".to_owned()));
        assert!(state("open").unwrap_err().contains("PENDING, APPROVED"));
    }
}
