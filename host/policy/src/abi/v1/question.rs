//! From the core's input to the contract's: lent, nothing is copied but the lists
//! of references.

use quorate_core::Timestamp;
use quorate_core::input::{self, Input};

use super::records::{self as wit, Lent, Text};

/// An input that the contract cannot say.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` lies before 1970, which the contract cannot say")]
pub(crate) struct BadInput(Timestamp);

/// What one principal, vote, ... counts beside its texts, roughly what its numbers
/// and pointers take.
const RECORD_BYTES: usize = 32;

/// The size of `input`: its texts, and a little for every record and list entry.
pub(crate) fn size(input: &Input) -> usize {
    let texts = |list: &[String]| list.iter().map(|one| one.len() + 8).sum::<usize>();
    let attributes = |list: &[input::Attribute]| {
        list.iter().map(|one| one.name.len() + one.value.len() + 16).sum::<usize>()
    };
    let principal = |who: &input::Principal| {
        let groups = who.groups.iter().map(|group| group.as_str().len() + 8).sum::<usize>();
        RECORD_BYTES + who.id.as_str().len() + who.email.len() + groups + attributes(&who.attributes)
    };
    let access = |access: &input::Access| match access {
        input::Access::JustInTime { .. } => 8,
        input::Access::Command { command } => command.text.len() + texts(&command.arguments),
    };
    let request = &input.request;
    let target = &request.target;
    let asked = 3 * RECORD_BYTES
        + request.id.as_str().len()
        + principal(&request.requester)
        + target.name.as_str().len()
        + target.kind.len()
        + attributes(&target.attributes)
        + access(&request.access)
        + request.reason.len();
    let votes = input.votes.iter().map(|vote| principal(&vote.voter) + vote.comment.len());
    let history = input.history.iter().map(|past| RECORD_BYTES + past.outcome.len() + access(&past.access));
    let facts = input
        .facts
        .iter()
        .map(|fact| RECORD_BYTES + fact.name.len() + fact.known.as_ref().map_or(0, String::len));
    asked + votes.sum::<usize>() + history.sum::<usize>() + facts.sum::<usize>()
}

/// Calls `read` with the contract's view of `input`.
pub(super) fn lend<R>(input: &Input, read: impl FnOnce(wit::Input<'_>) -> R) -> Result<R, BadInput> {
    let request = &input.request;
    let arguments = arguments(&request.access);
    let past_arguments: Vec<_> = input.history.iter().map(|past| self::arguments(&past.access)).collect();
    let history = input
        .history
        .iter()
        .zip(&past_arguments)
        .map(|(past, arguments)| {
            Ok(wit::PastRequest {
                access: access(&past.access, arguments),
                outcome: Lent(&past.outcome),
                submitted_at: instant(past.submitted_at)?,
                ended_at: past.ended_at.map(instant).transpose()?,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let facts = input
        .facts
        .iter()
        .map(|fact| {
            let as_of = instant(fact.as_of)?;
            Ok(wit::Fact { name: Lent(&fact.name), known: fact.known.as_deref().map(Lent), as_of })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let lists: Vec<_> = input.votes.iter().map(|vote| Lists::of(&vote.voter)).collect();
    let votes = input
        .votes
        .iter()
        .zip(&lists)
        .map(|(vote, lists)| {
            Ok(wit::Vote {
                voter: principal(&vote.voter, lists),
                choice: match vote.choice {
                    input::Choice::Approve => wit::Choice::Approve,
                    input::Choice::Reject => wit::Choice::Reject,
                },
                forced: vote.forced,
                comment: Lent(&vote.comment),
                cast_at: instant(vote.cast_at)?,
                attributes: Lent(&[]),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let requester = Lists::of(&request.requester);
    let target_attributes = attributes(&request.target.attributes);
    Ok(read(wit::Input {
        now: instant(input.now)?,
        request: wit::Request {
            id: Lent(request.id.as_str()),
            requester: principal(&request.requester, &requester),
            target: wit::Target {
                name: Lent(request.target.name.as_str()),
                kind: Lent(&request.target.kind),
                max_duration: request.target.max_duration,
                attributes: Lent(&target_attributes),
            },
            access: access(&request.access, &arguments),
            reason: Lent(&request.reason),
            submitted_at: instant(request.submitted_at)?,
            attributes: Lent(&[]),
        },
        votes: Lent(&votes),
        history: Lent(&history),
        facts: Lent(&facts),
        attributes: Lent(&[]),
    }))
}

fn instant(at: Timestamp) -> Result<u64, BadInput> {
    u64::try_from(at.as_millisecond()).map_err(|_| BadInput(at))
}

/// The lists of one principal, which must live as long as what refers to them.
struct Lists<'a> {
    groups: Vec<Text<'a>>,
    attributes: Vec<wit::Attribute<'a>>,
}

impl<'a> Lists<'a> {
    fn of(principal: &'a input::Principal) -> Self {
        Self {
            groups: principal.groups.iter().map(|group| Lent(group.as_str())).collect(),
            attributes: attributes(&principal.attributes),
        }
    }
}

fn principal<'a>(principal: &'a input::Principal, lists: &'a Lists<'a>) -> wit::Principal<'a> {
    wit::Principal {
        id: Lent(principal.id.as_str()),
        email: Lent(&principal.email),
        groups: Lent(&lists.groups),
        attributes: Lent(&lists.attributes),
    }
}

fn attributes(list: &[input::Attribute]) -> Vec<wit::Attribute<'_>> {
    list.iter().map(|one| wit::Attribute { name: Lent(&one.name), value: Lent(&one.value) }).collect()
}

fn arguments(access: &input::Access) -> Vec<Text<'_>> {
    match access {
        input::Access::JustInTime { .. } => Vec::new(),
        input::Access::Command { command } => {
            command.arguments.iter().map(|one| Lent(one.as_str())).collect()
        }
    }
}

fn access<'a>(access: &'a input::Access, arguments: &'a [Text<'a>]) -> wit::Access<'a> {
    match access {
        input::Access::JustInTime { seconds } => wit::Access::JustInTime(*seconds),
        input::Access::Command { command } => {
            wit::Access::Command(wit::Command { text: Lent(&command.text), arguments: Lent(arguments) })
        }
    }
}
