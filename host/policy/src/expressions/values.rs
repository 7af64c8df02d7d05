//! What an expression can see, in the words of the contract and of the vector files.

use std::collections::HashMap;

use cel::Value;
use quorate_kit::{
    Access, Attribute, Audience, Choice, Finding, Input, Obligation, Outcome, Principal, Request,
    Requirement, Verdict, Vote,
};

type Fields = HashMap<String, Value>;

fn record<const N: usize>(fields: [(&str, Value); N]) -> Value {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Fields>().into()
}

fn list<T>(items: impl IntoIterator<Item = T>, value: impl FnMut(T) -> Value) -> Value {
    Value::List(items.into_iter().map(value).collect::<Vec<_>>().into())
}

fn names(names: &[String]) -> Value {
    list(names, |name| Value::from(name.as_str()))
}

/// Whole numbers are signed ones, so that they can be counted with.
pub(super) fn number(number: u64) -> Value {
    i64::try_from(number).map_or(Value::UInt(number), Value::Int)
}

pub(super) fn count(count: usize) -> Value {
    number(count as u64)
}

/// What a JSON text says; null where it is none.
pub(super) fn json(text: &str) -> Value {
    serde_json::from_str(text).map_or(Value::Null, |value| of_json(&value))
}

fn of_json(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Null,
        Json::Bool(bool) => Value::Bool(*bool),
        Json::Number(given) => match (given.as_i64(), given.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(large)) => Value::UInt(large),
            (None, None) => given.as_f64().map_or(Value::Null, Value::Float),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => list(items, of_json),
        Json::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), of_json(value))).collect::<Fields>().into()
        }
    }
}

fn attributes(all: &[Attribute]) -> Value {
    all.iter().map(|one| (one.name.clone(), json(&one.value))).collect::<Fields>().into()
}

fn principal(person: &Principal) -> Value {
    record([
        ("id", person.id.as_str().into()),
        ("email", person.email.as_str().into()),
        ("groups", names(&person.groups)),
        ("attributes", attributes(&person.attributes)),
    ])
}

pub(super) fn request(request: &Request) -> Value {
    let access = match &request.access {
        Access::JustInTime(seconds) => record([("just_in_time", number(*seconds))]),
        Access::Command(command) => {
            let parts = [("text", command.text.as_str().into()), ("arguments", names(&command.arguments))];
            record([("command", record(parts))])
        }
    };
    let target = &request.target;
    record([
        ("id", request.id.as_str().into()),
        ("requester", principal(&request.requester)),
        (
            "target",
            record([
                ("name", target.name.as_str().into()),
                ("kind", target.kind.as_str().into()),
                ("max_duration", target.max_duration.map(number).into()),
                ("attributes", attributes(&target.attributes)),
            ]),
        ),
        ("access", access),
        ("reason", request.reason.as_str().into()),
        ("submitted_at", number(request.submitted_at)),
    ])
}

pub(super) fn facts(input: &Input) -> Value {
    let known = |text: &Option<String>| text.as_deref().map_or(Value::Null, json);
    input.facts.iter().map(|fact| (fact.name.clone(), known(&fact.known))).collect::<Fields>().into()
}

pub(super) fn votes(input: &Input) -> Value {
    list(&input.votes, |vote: &Vote| {
        let choice = if vote.choice == Choice::Approve { "approve" } else { "reject" };
        record([
            ("voter", principal(&vote.voter)),
            ("choice", choice.into()),
            ("forced", Value::Bool(vote.forced)),
            ("comment", vote.comment.as_str().into()),
            ("cast_at", number(vote.cast_at)),
        ])
    })
}

pub(super) fn verdict(verdict: &Verdict) -> Value {
    let none = Vec::new();
    let (outcome, why, ways) = match &verdict.outcome {
        Outcome::Abstain => ("abstain", "", &none),
        Outcome::Wait(ways) => ("wait", "", ways),
        Outcome::Approve => ("approve", "", &none),
        Outcome::Bypass(why) => ("bypass", why.as_str(), &none),
        Outcome::Deny(why) => ("deny", why.as_str(), &none),
    };
    record([
        ("outcome", outcome.into()),
        ("why", why.into()),
        ("missing", list(ways, |way| list(way, requirement))),
        ("max_duration", verdict.max_duration.map(number).into()),
        ("voters", audience(&verdict.voters)),
        ("forcers", audience(&verdict.forcers)),
        ("revisit_at", verdict.revisit_at.map(number).into()),
        ("findings", list(&verdict.findings, |one: &Finding| one.code.as_str().into())),
        ("obligations", list(&verdict.obligations, |one: &Obligation| one.kind.as_str().into())),
    ])
}

fn requirement(one: &Requirement) -> Value {
    record([
        ("groups", names(&one.people.groups)),
        ("users", names(&one.people.users)),
        ("approvals", number(one.approvals.into())),
    ])
}

fn audience(people: &Audience) -> Value {
    record([("groups", names(&people.groups)), ("users", names(&people.users))])
}
