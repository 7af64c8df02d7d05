//! One evaluation with whatever input somebody likes: what the policy says, and what it used.
//! Nothing of it is kept.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use quorate_core::Timestamp;
use quorate_core::duration::AccessDuration;
use quorate_core::ids::{Digest, PolicyName, ResourceName, UserId};
use quorate_core::input::{
    Access, Attribute, Choice, Command, Fact, Input, Principal, Request, Target, Vote,
};
use quorate_core::user::User;
use quorate_core::verdict::{Finding, Outcome, Requirement, Verdict};
use quorate_policy::{Evaluation, Limits};
use serde::Deserialize;

use super::super::form::{Fields, Wrong};
use super::super::page::{Frame, Refusal, show};
use super::super::schema::{self, Field, Kind, Written};
use super::super::visitor::{Auditor, Sent};
use super::super::words;
use super::find;
use crate::api::{Problem, find_candidate, recorded};
use crate::app::App;

/// What is filled in.
#[derive(Debug, Clone, Default)]
struct Filled {
    /// The digest of the version; empty: the one that decides.
    version: String,
    config: Written,
    who: String,
    resource: String,
    access_type: String,
    duration: String,
    command: String,
    reason: String,
    having: String,
    votes: String,
    facts: String,
    at: String,
    /// The whole input instead of all of these.
    as_json: bool,
    input: String,
}

/// What came of it.
struct Said {
    verdict: Option<Verdict>,
    fault: Option<String>,
    of_config: Vec<Finding>,
    log: Vec<String>,
    fuel: (u64, u64),
    memory_kib: (u64, u64),
}

#[derive(Template)]
#[template(path = "playground.html")]
struct PlaygroundPage {
    frame: Frame,
    name: PolicyName,
    versions: Vec<(String, String)>,
    filled: Filled,
    fields: Vec<Field>,
    wrong: Wrong,
    said: Option<Said>,
    input: Option<String>,
}

/// Where the input may come from.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(in super::super) struct From {
    version: String,
    /// The digest of a decision's record.
    record: String,
}

/// The form with an input that is easy to change, or with that of a recorded decision.
pub(in super::super) async fn page(
    Auditor(user): Auditor,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Query(From { version, record }): Query<From>,
) -> Result<Response, Refusal> {
    let policy = version_of(&app, &name, &version).await?;
    let mut filled = Filled::usual(version, app.lifecycle.now());
    filled.config = schema::write(policy.schema(), None);
    if !record.is_empty() {
        let digest: Digest =
            record.parse().map_err(|_| Problem::bad_request("this is no digest of a record"))?;
        let (_, record) = recorded(&app, &digest)?;
        filled.as_json = true;
        filled.input =
            serde_json::to_string_pretty(&record.input).map_err(|error| Problem::internal(&error))?;
        let asked = record.rules.iter().flat_map(|rule| &rule.opinions).find(|one| one.policy == name);
        let config = asked.and_then(|one| serde_json::from_str(&one.config).ok());
        filled.config = schema::write(policy.schema(), config.as_ref());
    }
    let page = PlaygroundPage::of(&app, &user, name, filled, policy.schema())?;
    Ok(show(StatusCode::OK, &page))
}

/// Asks the policy.
pub(in super::super) async fn ask(
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Sent { visitor: Auditor(user), form }: Sent<Fields, Auditor>,
) -> Result<Response, Refusal> {
    let filled = Filled::sent(&form);
    let policy = version_of(&app, &name, &filled.version).await?;
    let mut wrong = Wrong::default();
    let config = schema::read(policy.schema(), &filled.config, "config-", &mut wrong);
    let input = filled.input(&mut wrong);
    let mut page = PlaygroundPage::of(&app, &user, name, filled, policy.schema())?;
    if let (Some(input), true) = (input, wrong.is_empty()) {
        page.input = serde_json::to_string_pretty(&input).ok();
        let limits = app.lifecycle.runtime().limits().clone();
        let asked = tokio::task::spawn_blocking(move || {
            let of_config = quorate_policy::config::findings(&policy, &config);
            Said::of(policy.evaluate(&config.to_string(), &input), of_config, &limits)
        });
        page.said = Some(asked.await.map_err(|error| Problem::internal(&error))?);
    }
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    page.wrong = wrong;
    Ok(show(status, &page))
}

/// The version that is tried, compiled.
async fn version_of(app: &App, name: &PolicyName, version: &str) -> Result<quorate_policy::Policy, Problem> {
    let policy = find(app, name)?;
    let digest = match version.trim() {
        "" => {
            let active = policy.active().or(policy.versions.last()).map(|version| version.digest);
            active.ok_or_else(|| Problem::not_found("version of policy", name.as_str()))?
        }
        prefix => find_candidate(app, name, prefix)?,
    };
    Ok(app.lifecycle.version(digest).await?)
}

impl PlaygroundPage {
    fn of(
        app: &App,
        user: &User,
        name: PolicyName,
        filled: Filled,
        schema: &serde_json::Value,
    ) -> Result<Self, Refusal> {
        let policy = find(app, &name)?;
        let versions = policy.versions.iter().rev();
        let active = policy.active().map(|version| version.digest);
        Ok(Self {
            frame: Frame::of(user, "policies"),
            name,
            versions: versions
                .map(|one| {
                    let decides = if Some(one.digest) == active { " (decides)" } else { "" };
                    (one.digest.to_string(), format!("{} {}{decides}", one.digest.short(), one.label))
                })
                .collect(),
            fields: schema::fields(schema, &filled.config),
            filled,
            wrong: Wrong::default(),
            said: None,
            input: None,
        })
    }

    fn is_command(&self) -> bool {
        self.filled.access_type == "command"
    }
}

impl Filled {
    fn usual(version: String, now: Timestamp) -> Self {
        Self {
            version,
            who: "ann=dev".to_owned(),
            resource: "prod-postgres".to_owned(),
            duration: "1h".to_owned(),
            votes: "approve bob=dba: fine".to_owned(),
            at: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            ..Self::default()
        }
    }

    fn sent(form: &Fields) -> Self {
        let text = |name: &str| form.one(name).trim().to_owned();
        Self {
            version: text("version"),
            config: schema::sent(form, "config-"),
            who: text("who"),
            resource: text("resource"),
            access_type: text("access_type"),
            duration: text("duration"),
            command: form.text("command"),
            reason: form.text("reason"),
            having: form.text("having"),
            votes: form.text("votes"),
            facts: form.text("facts"),
            at: text("at"),
            as_json: form.is_on("as_json"),
            input: form.text("input"),
        }
    }

    fn input(&self, wrong: &mut Wrong) -> Option<Input> {
        if self.as_json {
            let read = serde_json::from_str(&self.input);
            return read.map_err(|bad| wrong.say("input", format!("this is no input: {bad}"))).ok();
        }
        let now: Option<Timestamp> = wrong.read("at", &self.at);
        let requester = person(&self.who, "who", wrong);
        let name: Option<ResourceName> = wrong.read("resource", &self.resource);
        let access = if self.access_type == "command" {
            let command = Command { text: self.command.clone(), arguments: Vec::new() };
            Some(Access::Command { command })
        } else {
            let duration: Option<AccessDuration> = wrong.read("duration", &self.duration);
            duration.map(|duration| Access::JustInTime { seconds: duration.seconds() })
        };
        let attributes = wrong.pairs("having", &self.having).into_iter();
        let attributes = attributes
            .map(|(name, value)| Attribute { name, value: serde_json::Value::from(value).to_string() })
            .collect();
        let (now, requester, name, access) = (now?, requester?, name?, access?);
        let votes = self.votes(&requester.id, now, wrong);
        let facts = self.facts(now, wrong);
        Some(Input {
            now,
            request: Request {
                id: "playground".parse().ok()?,
                requester,
                target: Target { name, kind: String::new(), max_duration: None, attributes },
                access,
                reason: self.reason.clone(),
                submitted_at: now,
            },
            votes,
            history: Vec::new(),
            facts,
        })
    }

    /// `approve bob=dba: fine` on each line.
    fn votes(&self, requester: &UserId, now: Timestamp, wrong: &mut Wrong) -> Vec<Vote> {
        let mut votes: Vec<Vote> = Vec::new();
        for line in self.votes.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            let (choice, forced) = match verb {
                "approve" => (Choice::Approve, false),
                "reject" => (Choice::Reject, false),
                "force" => (Choice::Approve, true),
                _ => {
                    wrong
                        .say("votes", format!("`{line}` is no vote: write it as in `approve bob=dba: fine`"));
                    continue;
                }
            };
            let (who, comment) = rest.split_once(':').unwrap_or((rest, ""));
            let Some(by) = person(who, "votes", wrong) else { continue };
            if by.id == *requester || votes.iter().any(|vote| vote.voter.id == by.id) {
                let why = "neither the requester's vote nor a second one ever reaches a policy";
                wrong.say("votes", format!("`{}` asks or has voted: {why}", by.id));
            }
            if forced && comment.trim().is_empty() {
                wrong.say("votes", "a forced approval without a comment never reaches a policy");
            }
            votes.push(Vote { voter: by, choice, forced, comment: comment.trim().to_owned(), cast_at: now });
        }
        votes
    }

    /// `name=JSON` on each line; without a value it could not be had.
    fn facts(&self, now: Timestamp, wrong: &mut Wrong) -> Vec<Fact> {
        let mut facts = Vec::new();
        for line in self.facts.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, value) =
                line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
            if let Some(Err(bad)) = value.map(serde_json::from_str::<serde::de::IgnoredAny>) {
                wrong.say("facts", format!("`{name}` is not JSON: {bad}"));
            }
            facts.push(Fact { name: name.to_owned(), known: value.map(str::to_owned), as_of: now });
        }
        facts
    }
}

/// `bob=dba,ops` is bob, in two groups.
fn person(text: &str, field: &str, wrong: &mut Wrong) -> Option<Principal> {
    let (id, groups) = text.trim().split_once('=').unwrap_or((text.trim(), ""));
    let groups: Vec<String> =
        groups.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect();
    let groups = wrong.read_all(field, &groups);
    let id = wrong.read(field, id)?;
    Some(Principal { id, email: String::new(), groups, attributes: Vec::new() })
}

impl Said {
    fn of(evaluation: Evaluation, of_config: Vec<Finding>, limits: &Limits) -> Self {
        let (verdict, fault) = match evaluation.verdict {
            Ok(verdict) => (Some(verdict), None),
            Err(fault) => (None, Some(fault.to_string())),
        };
        Self {
            verdict,
            fault,
            of_config,
            log: evaluation.log,
            fuel: (evaluation.fuel_used, limits.fuel_max),
            memory_kib: (evaluation.memory_bytes / 1024, limits.memory_bytes_max as u64 / 1024),
        }
    }

    /// The outcome in a word, and why.
    fn outcome(&self) -> (&'static str, &str) {
        match self.verdict.as_ref().map(|verdict| &verdict.outcome) {
            Some(Outcome::Abstain) => ("abstain", ""),
            Some(Outcome::Wait(_)) => ("wait", ""),
            Some(Outcome::Approve) => ("approve", ""),
            Some(Outcome::Bypass(why)) => ("bypass", why),
            Some(Outcome::Deny(why)) => ("deny", why),
            None => ("fault", self.fault.as_deref().unwrap_or_default()),
        }
    }

    /// What is missing: any one of these is enough.
    fn ways(&self) -> Vec<String> {
        let Some(Outcome::Wait(ways)) = self.verdict.as_ref().map(|verdict| &verdict.outcome) else {
            return Vec::new();
        };
        let way =
            |way: &Vec<Requirement>| way.iter().map(Requirement::words).collect::<Vec<_>>().join(" and ");
        ways.iter().map(way).collect()
    }
}
