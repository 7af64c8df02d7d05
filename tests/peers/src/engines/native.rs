//! The rule in the process, as Rust: the function out of `policies/group-quorum`.

use quorate_core::input::{self as core, Input};
use quorate_kit as kit;

use super::{About, Engine, Memory, lines};
use crate::answer::{Answer, missing};
use crate::inputs::CONFIG;

/// The source of the rule, which the component is made of too.
pub(super) const SOURCE: &str = include_str!("../../../../policies/group-quorum/src/lib.rs");

/// The function, with its config.
pub(super) struct Native {
    about: About,
    config: group_quorum::Config,
}

impl Native {
    pub(super) fn new() -> anyhow::Result<Self> {
        let about = About {
            name: "native Rust",
            version: env!("CARGO_PKG_RUST_VERSION").to_owned(),
            memory: Memory::Shared,
            says_missing: true,
            groups: "any",
            lines: lines(SOURCE),
            limits: None,
        };
        Ok(Self { about, config: serde_json::from_str(CONFIG)? })
    }
}

impl Engine for Native {
    fn about(&self) -> &About {
        &self.about
    }

    fn decide(&mut self, input: &Input) -> anyhow::Result<Answer> {
        let verdict = group_quorum::evaluate(&self.config, &whole(input));
        Ok(match verdict.outcome {
            kit::Outcome::Approve => Answer::Approve,
            kit::Outcome::Deny(why) => Answer::Deny(Some(why)),
            kit::Outcome::Wait(ways) => {
                let way = |way: &kit::Way| {
                    way.iter().map(|one| missing(one.approvals, &one.people.groups)).collect()
                };
                Answer::Wait(Some(ways.iter().map(way).collect()))
            }
            other => anyhow::bail!("{other:?} is not what this rule says"),
        })
    }
}

/// The input in the words of the kit.
fn whole(input: &Input) -> kit::Input {
    let request = &input.request;
    let target = &request.target;
    let vote = |vote: &core::Vote| kit::Vote {
        voter: principal(&vote.voter),
        choice: match vote.choice {
            core::Choice::Approve => kit::Choice::Approve,
            core::Choice::Reject => kit::Choice::Reject,
        },
        forced: vote.forced,
        comment: vote.comment.clone(),
        cast_at: instant(vote.cast_at),
        attributes: Vec::new(),
    };
    let past = |past: &core::PastRequest| kit::PastRequest {
        access: access(&past.access),
        outcome: past.outcome.clone(),
        submitted_at: instant(past.submitted_at),
        ended_at: past.ended_at.map(instant),
    };
    let fact = |fact: &core::Fact| kit::Fact {
        name: fact.name.clone(),
        known: fact.known.clone(),
        as_of: instant(fact.as_of),
    };
    kit::Input {
        now: instant(input.now),
        request: kit::Request {
            id: request.id.as_str().to_owned(),
            requester: principal(&request.requester),
            target: kit::Target {
                name: target.name.as_str().to_owned(),
                kind: target.kind.clone(),
                max_duration: target.max_duration,
                attributes: attributes(&target.attributes),
            },
            access: access(&request.access),
            reason: request.reason.clone(),
            submitted_at: instant(request.submitted_at),
            attributes: Vec::new(),
        },
        votes: input.votes.iter().map(vote).collect(),
        history: input.history.iter().map(past).collect(),
        facts: input.facts.iter().map(fact).collect(),
        attributes: Vec::new(),
    }
}

fn principal(person: &core::Principal) -> kit::Principal {
    kit::Principal {
        id: person.id.as_str().to_owned(),
        email: person.email.clone(),
        groups: person.groups.iter().map(|group| group.as_str().to_owned()).collect(),
        attributes: attributes(&person.attributes),
    }
}

fn attributes(attributes: &[core::Attribute]) -> Vec<kit::Attribute> {
    let attribute =
        |one: &core::Attribute| kit::Attribute { name: one.name.clone(), value: one.value.clone() };
    attributes.iter().map(attribute).collect()
}

fn access(access: &core::Access) -> kit::Access {
    match access {
        core::Access::JustInTime { seconds } => kit::Access::JustInTime(*seconds),
        core::Access::Command { command } => kit::Access::Command(kit::Command {
            text: command.text.clone(),
            arguments: command.arguments.clone(),
        }),
    }
}

fn instant(at: quorate_core::Timestamp) -> kit::Instant {
    u64::try_from(at.as_millisecond()).unwrap_or_default()
}
