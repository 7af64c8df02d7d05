//! An input in the values of a language, and an answer out of them: the same walk for every
//! language that has texts, numbers, lists and records.
//!
//! All of the input is converted, whatever the rule reads of it: a gateway whose rules can
//! be swapped does not know what the next one reads. It is built out of the language's own
//! values, without a detour through JSON.

use anyhow::bail;
use quorate_core::Timestamp;
use quorate_core::input::{Access, Attribute, Choice, Input, PastRequest, Principal, Vote};

use crate::answer::Answer;

/// Makes values.
pub(crate) trait Build {
    /// A value of the language.
    type Value;

    /// A text.
    fn text(&self, text: &str) -> anyhow::Result<Self::Value>;
    /// A whole number.
    fn number(&self, number: i64) -> anyhow::Result<Self::Value>;
    /// True or false.
    fn flag(&self, flag: bool) -> anyhow::Result<Self::Value>;
    /// What stands for nothing.
    fn nothing(&self) -> anyhow::Result<Self::Value>;
    /// Values in their order.
    fn list(
        &self,
        values: impl ExactSizeIterator<Item = anyhow::Result<Self::Value>>,
    ) -> anyhow::Result<Self::Value>;
    /// Named values.
    fn record<const N: usize>(&self, fields: [(&'static str, Self::Value); N])
    -> anyhow::Result<Self::Value>;
}

/// Reads values.
pub(crate) trait Read: Build {
    /// A field of a record.
    fn field(&self, record: &Self::Value, name: &str) -> anyhow::Result<Self::Value>;
    /// A text, as a string of Rust.
    fn string(&self, text: &Self::Value) -> anyhow::Result<String>;
    /// The values of a list.
    fn items(&self, list: &Self::Value) -> anyhow::Result<Vec<Self::Value>>;
}

/// All of `input`.
pub(crate) fn input<B: Build>(to: &B, input: &Input) -> anyhow::Result<B::Value> {
    let request = &input.request;
    let target = &request.target;
    let target = to.record([
        ("name", to.text(target.name.as_str())?),
        ("kind", to.text(&target.kind)?),
        ("max_duration", optional(to, target.max_duration.map(number))?),
        ("attributes", attributes(to, &target.attributes)?),
    ])?;
    let request = to.record([
        ("id", to.text(request.id.as_str())?),
        ("requester", principal(to, &request.requester)?),
        ("target", target),
        ("access", access(to, &request.access)?),
        ("reason", to.text(&request.reason)?),
        ("submitted_at", instant(to, request.submitted_at)?),
    ])?;
    let facts = input.facts.iter().map(|fact| {
        to.record([
            ("name", to.text(&fact.name)?),
            ("known", fact.known.as_ref().map_or_else(|| to.nothing(), |known| to.text(known))?),
            ("as_of", instant(to, fact.as_of)?),
        ])
    });
    to.record([
        ("now", instant(to, input.now)?),
        ("request", request),
        ("votes", to.list(input.votes.iter().map(|cast| vote(to, cast)))?),
        ("history", to.list(input.history.iter().map(|earlier| past(to, earlier)))?),
        ("facts", to.list(facts)?),
    ])
}

fn vote<B: Build>(to: &B, vote: &Vote) -> anyhow::Result<B::Value> {
    let choice = match vote.choice {
        Choice::Approve => "approve",
        Choice::Reject => "reject",
    };
    to.record([
        ("voter", principal(to, &vote.voter)?),
        ("choice", to.text(choice)?),
        ("forced", to.flag(vote.forced)?),
        ("comment", to.text(&vote.comment)?),
        ("cast_at", instant(to, vote.cast_at)?),
    ])
}

fn principal<B: Build>(to: &B, person: &Principal) -> anyhow::Result<B::Value> {
    to.record([
        ("id", to.text(person.id.as_str())?),
        ("email", to.text(&person.email)?),
        ("groups", to.list(person.groups.iter().map(|group| to.text(group.as_str())))?),
        ("attributes", attributes(to, &person.attributes)?),
    ])
}

fn attributes<B: Build>(to: &B, attributes: &[Attribute]) -> anyhow::Result<B::Value> {
    to.list(attributes.iter().map(|attribute| {
        to.record([("name", to.text(&attribute.name)?), ("value", to.text(&attribute.value)?)])
    }))
}

fn access<B: Build>(to: &B, access: &Access) -> anyhow::Result<B::Value> {
    match access {
        Access::JustInTime { seconds } => to.record([("seconds", to.number(number(*seconds))?)]),
        Access::Command { command } => to.record([
            ("text", to.text(&command.text)?),
            ("arguments", to.list(command.arguments.iter().map(|argument| to.text(argument)))?),
        ]),
    }
}

fn past<B: Build>(to: &B, earlier: &PastRequest) -> anyhow::Result<B::Value> {
    to.record([
        ("access", access(to, &earlier.access)?),
        ("outcome", to.text(&earlier.outcome)?),
        ("submitted_at", instant(to, earlier.submitted_at)?),
        ("ended_at", optional(to, earlier.ended_at.map(Timestamp::as_millisecond))?),
    ])
}

fn instant<B: Build>(to: &B, at: Timestamp) -> anyhow::Result<B::Value> {
    to.number(at.as_millisecond())
}

fn optional<B: Build>(to: &B, number: Option<i64>) -> anyhow::Result<B::Value> {
    number.map_or_else(|| to.nothing(), |number| to.number(number))
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The answer that a rule gave as a record of `outcome`, and `why` or `missing` with it.
pub(crate) fn answer<R: Read>(from: &R, given: &R::Value) -> anyhow::Result<Answer> {
    match from.string(&from.field(given, "outcome")?)?.as_str() {
        "approve" => Ok(Answer::Approve),
        "deny" => Ok(Answer::Deny(Some(from.string(&from.field(given, "why")?)?))),
        "wait" => {
            let mut ways = Vec::new();
            for way in from.items(&from.field(given, "missing")?)? {
                let groups: anyhow::Result<Vec<String>> =
                    from.items(&way)?.iter().map(|group| from.string(group)).collect();
                ways.push(groups?);
            }
            Ok(Answer::Wait(Some(ways)))
        }
        other => bail!("`{other}` is no outcome"),
    }
}
