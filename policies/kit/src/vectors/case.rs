//! From a vector file to what is tried: tables become cases of their own, people and
//! resource become inputs.

use serde_json::Value;

use super::At;
use super::expect::Expect;
use super::file::{BadFile, Case, Command, File, Past, Step};
use super::story::plain;
use crate::testing::SUBMITTED_AT;
use crate::{
    Access, AccessDuration, Attribute, Choice, Fact, Input, Instant, PastRequest, Principal, Request, Target,
    Vote,
};

/// One case, ready to be tried.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) name: String,
    /// The how-manieth case of the file.
    pub(super) case: usize,
    /// The how-manieth row of its table.
    pub(super) row: Option<usize>,
    pub(super) config: String,
    pub(super) input: Input,
    pub(super) happens: Vec<Happens>,
    pub(super) check: Option<Vec<String>>,
}

/// One thing that happens.
#[derive(Debug)]
pub(super) enum Happens {
    Vote { voter: Principal, choice: Choice, forced: bool, comment: String },
    After(super::span::Span),
    Expect(Expect, At),
}

/// All cases of `file`, those of the tables included.
pub(super) fn scenes(file: &File) -> Result<Vec<Scene>, BadFile> {
    if file.cases.is_empty() {
        return Err(BadFile("it has no cases".to_owned()));
    }
    let mut scenes = Vec::new();
    for (at, case) in file.cases.iter().enumerate() {
        let name = case.name.clone().unwrap_or_else(|| format!("case {}", at + 1));
        let Some(rows) = &case.table else {
            scenes.push(scene(file, name, case, (at, None))?);
            continue;
        };
        if rows.is_empty() {
            return Err(wrong(&name, "its table has no rows"));
        }
        for (nth, row) in rows.iter().enumerate() {
            if row.table.is_some() {
                return Err(wrong(&name, "a row of its table has a table of its own"));
            }
            let row_name = row.name.clone().unwrap_or_else(|| in_short(row, nth));
            scenes.push(scene(file, format!("{name}: {row_name}"), &over(row, case), (at, Some(nth)))?);
        }
    }
    Ok(scenes)
}

fn wrong(case: &str, why: impl std::fmt::Display) -> BadFile {
    BadFile(plain(&format!("in `{case}`: {why}")))
}

/// A row by what it changes.
fn in_short(row: &Case, nth: usize) -> String {
    let parts: Vec<String> = [
        row.requester.clone(),
        row.duration.map(|duration| format!("for {duration}")),
        row.command.as_ref().map(|command| format!("`{}`", command.text)),
        row.at.as_ref().map(|at| format!("at {at}")),
        row.approvals.as_ref().map(|people| format!("approved by {}", people.join(", "))),
        row.config.as_ref().map(|config| format!("with {config}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { format!("row {}", nth + 1) } else { parts.join(" ") }
}

/// The row's keys, and the case's where the row has none.
fn over(row: &Case, case: &Case) -> Case {
    let (row, case) = (row.clone(), case.clone());
    let asks_anew = row.duration.is_some() || row.command.is_some();
    Case {
        name: None,
        requester: row.requester.or(case.requester),
        config: row.config.or(case.config),
        duration: if asks_anew { row.duration } else { case.duration },
        command: if asks_anew { row.command } else { case.command },
        reason: row.reason.or(case.reason),
        at: row.at.or(case.at),
        facts: row.facts.or(case.facts),
        history: row.history.or(case.history),
        approvals: row.approvals.or(case.approvals),
        steps: row.steps.or(case.steps),
        expect: row.expect.or(case.expect),
        check: row.check.or(case.check),
        table: None,
    }
}

/// One case, which stands at `place`: as the how-manieth, and in which row.
fn scene(file: &File, name: String, case: &Case, place: (usize, Option<usize>)) -> Result<Scene, BadFile> {
    let wrong = |why: String| wrong(&name, why);
    let config = case
        .config
        .as_ref()
        .or(file.config.as_ref())
        .cloned()
        .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let config = config.to_string();
    let happens = happens(file, case).map_err(wrong)?;
    let expects = happens.iter().any(|one| matches!(one, Happens::Expect(..)));
    if !expects && case.check.is_none() {
        return Err(wrong("it expects nothing".to_owned()));
    }
    let input = input(file, case, expects).map_err(wrong)?;
    let (at, row) = place;
    Ok(Scene { name, case: at, row, config, input, happens, check: case.check.clone() })
}

/// Everything that happens, the case's own `approvals` and `expect` last.
fn happens(file: &File, case: &Case) -> Result<Vec<Happens>, String> {
    let mut all = Vec::new();
    for (nth, step) in case.steps.iter().flatten().enumerate() {
        all.push(happening(file, step, nth)?);
    }
    for id in case.approvals.iter().flatten() {
        all.push(vote(file, id, Choice::Approve, false, "")?);
    }
    all.extend(case.expect.clone().map(|expect| Happens::Expect(expect, At::End)));
    let mut voted: Vec<&str> = Vec::new();
    for one in &all {
        let Happens::Vote { voter, .. } = one else { continue };
        if case.requester.as_ref() == Some(&voter.id) {
            return Err(format!("{} asks; the requester's own vote never reaches a policy", voter.id));
        }
        if voted.contains(&voter.id.as_str()) {
            return Err(format!("{} votes twice, which never reaches a policy", voter.id));
        }
        voted.push(&voter.id);
    }
    Ok(all)
}

fn happening(file: &File, step: &Step, nth: usize) -> Result<Happens, String> {
    let comment = step.comment.as_deref().unwrap_or_default();
    let Step { approve, reject, force, after, expect, .. } = step;
    let happens = match (approve, reject, force, after, expect) {
        (Some(id), None, None, None, None) => return vote(file, id, Choice::Approve, false, comment),
        (None, Some(id), None, None, None) => return vote(file, id, Choice::Reject, false, comment),
        (None, None, Some(id), None, None) if comment.is_empty() => {
            return Err(format!("{id} forces an approval without a `comment`, which never reaches a policy"));
        }
        (None, None, Some(id), None, None) => return vote(file, id, Choice::Approve, true, comment),
        (None, None, None, Some(span), None) => Happens::After(*span),
        (None, None, None, None, Some(expect)) => Happens::Expect(expect.clone(), At::Step(nth)),
        _ => return Err("a step is exactly one of approve, reject, force, after, expect".to_owned()),
    };
    if step.comment.is_some() {
        return Err("a comment belongs to a vote".to_owned());
    }
    Ok(happens)
}

fn vote(file: &File, id: &str, choice: Choice, forced: bool, comment: &str) -> Result<Happens, String> {
    Ok(Happens::Vote { voter: person(file, id)?, choice, forced, comment: comment.to_owned() })
}

/// The input before anything has happened.
fn input(file: &File, case: &Case, needed: bool) -> Result<Input, String> {
    let requester = match &case.requester {
        Some(id) => person(file, id)?,
        None if needed => return Err("it does not say who asks: `requester`".to_owned()),
        None => crate::testing::person("nobody", &[]),
    };
    let now = case.at.as_deref().map_or(Ok(SUBMITTED_AT), instant)?;
    let resource = &file.resource;
    let facts = case.facts.iter().flatten().map(|(name, value)| Fact {
        name: name.clone(),
        known: (!value.is_null()).then(|| value.to_string()),
        as_of: now,
    });
    let history = case.history.iter().flatten().map(|past| past_request(past, now));
    Ok(Input {
        now,
        request: Request {
            id: "req-1".to_owned(),
            requester,
            target: Target {
                name: resource.name.clone(),
                kind: resource.kind.clone(),
                max_duration: resource.max_duration.map(AccessDuration::seconds),
                attributes: attributes(&resource.attributes),
            },
            access: access(case.duration, case.command.as_ref())?,
            reason: case.reason.clone().unwrap_or_default(),
            submitted_at: now,
            attributes: Vec::new(),
        },
        votes: Vec::new(),
        history: history.collect::<Result<_, _>>()?,
        facts: facts.collect(),
        attributes: Vec::new(),
    })
}

fn access(duration: Option<AccessDuration>, command: Option<&Command>) -> Result<Access, String> {
    match (duration, command) {
        (Some(_), Some(_)) => Err("it asks for a duration and for a command".to_owned()),
        (duration, None) => Ok(Access::JustInTime(duration.map_or(1800, AccessDuration::seconds))),
        (None, Some(command)) => Ok(Access::Command(crate::Command {
            text: command.text.clone(),
            arguments: command.arguments.clone(),
        })),
    }
}

fn past_request(past: &Past, now: Instant) -> Result<PastRequest, String> {
    Ok(PastRequest {
        access: access(past.duration, past.command.as_ref())?,
        outcome: past.outcome.clone(),
        submitted_at: now.saturating_sub(past.ago.milliseconds()),
        ended_at: past.ended_ago.map(|ago| now.saturating_sub(ago.milliseconds())),
    })
}

fn person(file: &File, id: &str) -> Result<Principal, String> {
    let Some(person) = file.people.get(id) else {
        let scored = file.people.keys().map(|known| (strsim::jaro_winkler(id, known), known));
        let nearest =
            scored.max_by(|one, other| one.0.total_cmp(&other.0)).filter(|(score, _)| *score > 0.75);
        let meant = nearest.map(|(_, known)| format!(", did you mean `{known}`?")).unwrap_or_default();
        return Err(format!("`{id}` is not among the people{meant}"));
    };
    let mut groups = person.groups.clone();
    groups.sort();
    groups.dedup();
    Ok(Principal {
        id: id.to_owned(),
        email: person.email.clone().unwrap_or_else(|| format!("{id}@example.com")),
        groups,
        attributes: attributes(&person.attributes),
    })
}

fn attributes(values: &std::collections::BTreeMap<String, Value>) -> Vec<Attribute> {
    values.iter().map(|(name, value)| Attribute { name: name.clone(), value: value.to_string() }).collect()
}

fn instant(text: &str) -> Result<Instant, String> {
    let read: Result<jiff::Timestamp, _> = text.parse();
    read.ok()
        .and_then(|at| u64::try_from(at.as_millisecond()).ok())
        .ok_or_else(|| format!("`{text}` is no time: write it as in 2027-01-15T08:00:00Z"))
}

impl File {
    /// What `case` asks for, before anything has happened.
    pub(crate) fn input(&self, case: &Case) -> Result<Input, BadFile> {
        input(self, case, true).map_err(BadFile)
    }

    /// Somebody who is there.
    pub(crate) fn person(&self, id: &str) -> Result<Principal, BadFile> {
        person(self, id).map_err(BadFile)
    }
}

/// The same input after `vote`.
pub(super) fn cast(input: &mut Input, voter: &Principal, choice: Choice, forced: bool, comment: &str) {
    input.votes.push(Vote {
        voter: voter.clone(),
        choice,
        forced,
        comment: comment.to_owned(),
        cast_at: input.now,
        attributes: Vec::new(),
    });
}
