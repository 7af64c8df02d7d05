//! Vector files on a component: the cases that an author wrote for `cargo test`, put to
//! what the gateway will run.
//!
//! A component can carry its vectors in the custom section [`SECTION`]; it is only
//! loaded where they pass.

use std::collections::HashMap;

use quorate_core::input::{
    Access, Attribute, Choice, Command, Fact, Input, PastRequest, Principal, Request, Target, Vote,
};
use quorate_core::verdict::{self, Finding, Outcome, Verdict};
use quorate_core::{Timestamp, ids::BadName};
use quorate_kit as kit;
use quorate_kit::properties::{Found, World};
use quorate_kit::vectors::{File, Tried};
use wasmparser::Payload;

use crate::expressions::Expressions;
use crate::policy::{Evaluation, Policy};
use crate::sections::outermost;
use crate::series::Series;

/// The custom section of a component that holds its vector files, as YAML documents.
pub const SECTION: &str = "quorate:vectors";

/// Cases that a component may carry; more of them belong into its author's tests.
const CASES_MAX: usize = 1000;

/// Puts every case of `file` to `policy`, in order.
///
/// # Errors
/// Where the file does not fit together.
pub fn run(file: &File, policy: &Policy) -> Result<Vec<Tried>, kit::vectors::BadFile> {
    kit::vectors::run(file, &mut Component::new(policy))
}

/// Looks at every state of `world`.
///
/// # Errors
/// Where the world does not fit together or is too large, or one of its expressions is none.
pub fn look(world: &World, policy: &Policy) -> Result<Found, kit::vectors::BadFile> {
    let mut expressions = Expressions::compile(&world.properties.own)?;
    kit::properties::look_with(world, &mut Component::new(policy), &mut expressions)
}

/// An author's input in the words of the core; a text where a gateway could not have it.
///
/// # Errors
/// Where a name is none.
pub fn input(given: kit::Input) -> Result<Input, String> {
    core_input(given).map_err(|error| could_not(&error))
}

/// A verdict in the author's words.
pub fn verdict(verdict: Verdict) -> kit::Verdict {
    kit_verdict(verdict)
}

/// The vector files that `component` carries.
pub fn carried(component: &[u8]) -> Option<&str> {
    outermost(component).find_map(|payload| match payload {
        Payload::CustomSection(section) if section.name() == SECTION => {
            Some(std::str::from_utf8(section.data()).unwrap_or("\u{0}"))
        }
        _ => None,
    })
}

/// Runs the vectors that a component carries, up to the first that fails.
pub(crate) fn pass(text: &str, policy: &Policy) -> Result<(), String> {
    let files = File::parse(text).map_err(|error| format!("they cannot be used: {error}"))?;
    let mut tried = 0;
    for file in &files {
        let cases = kit::vectors::run(file, &mut Carried(Component::new(policy)));
        for case in cases.map_err(|error| format!("they cannot be used: {error}"))? {
            if let Err(failure) = case.result {
                return Err(format!("`{}` goes otherwise\n{failure}", case.name));
            }
            tried += 1;
            if tried > CASES_MAX {
                return Err(format!("they are more than {CASES_MAX} cases"));
            }
        }
    }
    Ok(())
}

/// A loaded policy, asked in the author's words.
pub struct Component<'a> {
    policy: &'a Policy,
    series: Series,
    /// What it was asked about last.
    last: Last,
    /// Why no rule can have a config, for each that was looked at.
    refusals: HashMap<String, Vec<kit::Finding>>,
}

/// The same where vectors of a component are tried that is to be loaded: no rule has their
/// configs, and one that was written before anybody looked at them is still loaded.
struct Carried<'a>(Component<'a>);

/// An input in both words: the next is often the same but for a vote.
#[derive(Default)]
struct Last(Option<(kit::Input, Input)>);

impl<'a> Component<'a> {
    /// `policy`, to be asked.
    pub fn new(policy: &'a Policy) -> Self {
        Self { policy, series: policy.series(), last: Last::default(), refusals: HashMap::new() }
    }
}

impl Last {
    /// The author's input in the words of the core.
    fn translated(&mut self, given: &kit::Input) -> Result<&Input, String> {
        let last = match self.0.take() {
            Some((mut before, mut input)) if is_same_but_votes(&before, given) => {
                let votes = given.votes.iter().zip(&before.votes);
                let same = votes.take_while(|(one, other)| one == other).count();
                before.votes.truncate(same);
                input.votes.truncate(same);
                for one in &given.votes[same..] {
                    input.votes.push(vote(one.clone()).map_err(|error| could_not(&error))?);
                    before.votes.push(one.clone());
                }
                (before, input)
            }
            _ => (given.clone(), input(given.clone())?),
        };
        Ok(&self.0.insert(last).1)
    }
}

fn is_same_but_votes(one: &kit::Input, other: &kit::Input) -> bool {
    // Whoever adds a field to an input is asked here what it means.
    let kit::Input { now, request, votes: _, history, facts, attributes } = one;
    *now == other.now
        && *request == other.request
        && *history == other.history
        && *facts == other.facts
        && *attributes == other.attributes
}

fn could_not(error: &BadInput) -> String {
    format!("a gateway could not have this: {error}")
}

impl kit::vectors::Policy for Component<'_> {
    fn evaluate(&mut self, config: &str, given: &kit::Input) -> Result<kit::Verdict, String> {
        let Evaluation { verdict, .. } = self.series.evaluate(config, self.last.translated(given)?);
        verdict.map(kit_verdict).map_err(|fault| fault.to_string())
    }

    fn check(&mut self, config: &str) -> Result<Vec<kit::Finding>, String> {
        let found = self.policy.check(config).map_err(|fault| fault.to_string())?;
        Ok(found.into_iter().map(kit_finding).collect())
    }

    fn refusals(&mut self, config: &str) -> Vec<kit::Finding> {
        if let Some(known) = self.refusals.get(config) {
            return known.clone();
        }
        let refusals = refusals(config, self.policy);
        self.refusals.insert(config.to_owned(), refusals.clone());
        refusals
    }
}

impl kit::vectors::Policy for Carried<'_> {
    fn evaluate(&mut self, config: &str, given: &kit::Input) -> Result<kit::Verdict, String> {
        self.0.evaluate(config, given)
    }

    fn check(&mut self, config: &str) -> Result<Vec<kit::Finding>, String> {
        self.0.check(config)
    }

    fn refusals(&mut self, _: &str) -> Vec<kit::Finding> {
        Vec::new()
    }
}

/// Why no rule can have `config`: what its schema says, else the policy.
fn refusals(config: &str, policy: &Policy) -> Vec<kit::Finding> {
    let found = match serde_json::from_str(config) {
        Ok(config) => crate::config::findings(policy, &config),
        Err(error) => vec![Finding { code: "json".to_owned(), message: error.to_string(), path: None }],
    };
    found.into_iter().filter(|finding| !finding.is_warning()).map(kit_finding).collect()
}

fn core_input(given: kit::Input) -> Result<Input, BadInput> {
    let request = given.request;
    let target = request.target;
    Ok(Input {
        now: instant(given.now)?,
        request: Request {
            id: request.id.parse()?,
            requester: principal(request.requester)?,
            target: Target {
                name: target.name.parse()?,
                kind: target.kind,
                max_duration: target.max_duration,
                attributes: attributes(target.attributes),
            },
            access: access(request.access),
            reason: request.reason,
            submitted_at: instant(request.submitted_at)?,
        },
        votes: given.votes.into_iter().map(vote).collect::<Result<_, _>>()?,
        history: given.history.into_iter().map(past).collect::<Result<_, _>>()?,
        facts: given.facts.into_iter().map(fact).collect::<Result<_, _>>()?,
    })
}

/// Why an input is none.
#[derive(Debug, thiserror::Error)]
enum BadInput {
    #[error(transparent)]
    Name(#[from] BadName),
    #[error("{0} ms lies beyond the calendar")]
    Instant(u64),
}

fn instant(milliseconds: u64) -> Result<Timestamp, BadInput> {
    let at = i64::try_from(milliseconds).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    at.ok_or(BadInput::Instant(milliseconds))
}

fn principal(given: kit::Principal) -> Result<Principal, BadInput> {
    Ok(Principal {
        id: given.id.parse()?,
        email: given.email,
        groups: given.groups.iter().map(|group| group.parse()).collect::<Result<_, _>>()?,
        attributes: attributes(given.attributes),
    })
}

fn attributes(given: Vec<kit::Attribute>) -> Vec<Attribute> {
    given.into_iter().map(|one| Attribute { name: one.name, value: one.value }).collect()
}

fn access(given: kit::Access) -> Access {
    match given {
        kit::Access::JustInTime(seconds) => Access::JustInTime { seconds },
        kit::Access::Command(kit::Command { text, arguments }) => {
            Access::Command { command: Command { text, arguments } }
        }
    }
}

fn vote(given: kit::Vote) -> Result<Vote, BadInput> {
    Ok(Vote {
        voter: principal(given.voter)?,
        choice: match given.choice {
            kit::Choice::Approve => Choice::Approve,
            kit::Choice::Reject => Choice::Reject,
        },
        forced: given.forced,
        comment: given.comment,
        cast_at: instant(given.cast_at)?,
    })
}

fn past(given: kit::PastRequest) -> Result<PastRequest, BadInput> {
    Ok(PastRequest {
        access: access(given.access),
        outcome: given.outcome,
        submitted_at: instant(given.submitted_at)?,
        ended_at: given.ended_at.map(instant).transpose()?,
    })
}

fn fact(given: kit::Fact) -> Result<Fact, BadInput> {
    Ok(Fact { name: given.name, known: given.known, as_of: instant(given.as_of)? })
}

fn kit_verdict(verdict: Verdict) -> kit::Verdict {
    kit::Verdict {
        outcome: match verdict.outcome {
            Outcome::Abstain => kit::Outcome::Abstain,
            Outcome::Wait(ways) => {
                let way = |way: Vec<_>| way.into_iter().map(kit_requirement).collect();
                kit::Outcome::Wait(ways.into_iter().map(way).collect())
            }
            Outcome::Approve => kit::Outcome::Approve,
            Outcome::Bypass(why) => kit::Outcome::Bypass(why),
            Outcome::Deny(why) => kit::Outcome::Deny(why),
        },
        max_duration: verdict.max_duration,
        voters: kit_audience(verdict.voters),
        forcers: kit_audience(verdict.forcers),
        revisit_at: verdict.revisit_at.and_then(|at| u64::try_from(at.as_millisecond()).ok()),
        findings: verdict.findings.into_iter().map(kit_finding).collect(),
        obligations: verdict
            .obligations
            .into_iter()
            .map(|one| kit::Obligation { kind: one.kind, params: one.params, critical: one.critical })
            .collect(),
        attributes: verdict
            .attributes
            .into_iter()
            .map(|one| kit::Attribute { name: one.name, value: one.value })
            .collect(),
    }
}

fn kit_requirement(given: verdict::Requirement) -> kit::Requirement {
    let verdict::Requirement { people, approvals, message } = given;
    kit::Requirement { people: kit_audience(people), approvals, message }
}

fn kit_audience(given: verdict::Audience) -> kit::Audience {
    kit::Audience { groups: given.groups, users: given.users }
}

fn kit_finding(given: verdict::Finding) -> kit::Finding {
    kit::Finding { code: given.code, message: given.message, path: given.path }
}
