//! What it would take to approve a request: the votes of people who have not voted are
//! put to the policies on a copy, and nothing of it is kept.

use std::collections::BTreeMap;

use quorate_core::Timestamp;
use quorate_core::backtest::Kind;
use quorate_core::decision::{Answer, Decision, Opinion, RuleOpinion};
use quorate_core::ids::RequestId;
use quorate_core::input::{Choice, Evidence, Principal, Vote};
use quorate_core::request::{Request, State};
use quorate_core::resource::Resource;
use quorate_core::rule::Rule;
use quorate_core::user::User;
use quorate_core::verdict::{Audience, Fault, FaultCode};
use quorate_core::what_if;
use quorate_policy::ActiveSet;
use serde::Serialize;
use utoipa::ToSchema;

use super::evaluate::Deciders;
use super::facts::Gathered;
use super::replay::ask;
use super::{Error, Inner, Lifecycle};

/// How many sets of people are tried at most.
const TRIES_MAX: usize = 1000;
/// The comment of a forced vote that is only tried.
const COMMENT: &str = "what would it take?";

/// What it would take to approve a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct WhatItTakes {
    /// Where it stands; what follows is empty where it does not wait.
    pub state: String,
    /// The smallest sets of people whose approvals would do, all of one size. Each is a
    /// list of so many people out of these; the people of one list are in the same groups.
    pub sets: Vec<Vec<Votes>>,
    /// Who could force it alone.
    pub by_force: Vec<String>,
    /// Nobody's votes would do, as far as was tried.
    pub nobody_can: bool,
    /// How many sets of people were tried.
    pub tried: usize,
    /// Not all of them were: there may be other sets, or some where none are told.
    pub gave_up: bool,
    /// When the policies are asked again by themselves.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub changes_at: Option<Timestamp>,
    /// What it would come to then, without a vote: `approved`, `bypassed`, `waiting`,
    /// `denied`, `faulted`.
    pub then: Option<String>,
    /// When it times out.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub closes_at: Option<Timestamp>,
}

/// So many people out of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Votes {
    /// How many.
    pub approvals: usize,
    /// Out of whom.
    pub out_of: Vec<String>,
}

/// What decides the request now, read once for all tries.
struct Tried {
    request: Request,
    requester: User,
    resource: Resource,
    rules: Vec<Rule>,
    evidence: Evidence,
    active: std::sync::Arc<ActiveSet>,
}

impl Lifecycle {
    /// What it would take to approve a request.
    pub async fn what_would_it_take(&self, id: &RequestId) -> Result<WhatItTakes, Error> {
        self.settle(id).await?;
        let id = id.clone();
        let mut gathered = std::sync::Arc::new(Gathered::default());
        loop {
            let (id, known) = (id.clone(), std::sync::Arc::clone(&gathered));
            match self.0.take_turn(move |inner| inner.what_would_it_take(&id, &known)).await {
                Err(Error::Wanting(wanting)) => gathered = self.gather(&gathered, *wanting).await?,
                done => return done,
            }
        }
    }
}

impl Inner {
    fn what_would_it_take(&self, id: &RequestId, gathered: &Gathered) -> Result<WhatItTakes, Error> {
        let (request, now) = (self.request(id)?, self.now());
        let mut takes = WhatItTakes { state: request.state.name().to_owned(), ..WhatItTakes::default() };
        if !matches!(request.state, State::Pending) {
            return Ok(takes);
        }
        takes.closes_at = Some(request.asked.closes_at);
        takes.changes_at = request.decision.as_ref().and_then(|decision| decision.revisit_at);
        let Deciders { requester, resource, rules } = self.deciders(&request)?;
        let Some(resource) = resource.filter(|_| requester.profile.active) else {
            takes.nobody_can = true;
            return Ok(takes);
        };
        let active = self.active.load();
        let evidence = self.evidence(&request, &rules, &active, now, gathered)?;
        let copy = Tried { request, requester, resource, rules, evidence, active };
        let people = copy.people(&self.ledger.users()?);
        let decision = copy.decide(&[], now);
        let kinds = kinds(&people, &decision);

        let sizes: Vec<usize> = kinds.iter().map(Vec::len).collect();
        let found = what_if::smallest(&sizes, TRIES_MAX, |set| {
            let voters = kinds.iter().zip(set).flat_map(|(kind, count)| kind.iter().take(*count));
            copy.would_do(voters, false, now)
        });
        let out_of = |set: &Vec<usize>| {
            let chosen = kinds.iter().zip(set).filter(|(_, count)| **count > 0);
            chosen.map(|(kind, count)| Votes { approvals: *count, out_of: names(kind) }).collect()
        };
        takes.sets = found.sets.iter().map(out_of).collect();
        (takes.tried, takes.gave_up) = (found.tried, found.gave_up);
        let forcers = people.iter().filter(|person| decision.forcers.includes(person));
        let forcers = forcers.take(TRIES_MAX).filter(|person| copy.would_do([*person], true, now));
        takes.by_force = forcers.map(|person| person.id.to_string()).collect();
        takes.nobody_can = takes.sets.is_empty() && takes.by_force.is_empty();
        takes.then = takes.changes_at.map(|at| copy.kind(&[], at.max(now)).as_str().to_owned());
        Ok(takes)
    }
}

impl Tried {
    /// Everybody who may still vote.
    fn people(&self, users: &[User]) -> Vec<Principal> {
        let request = &self.request;
        let voted = |user: &User| request.votes.iter().any(|vote| vote.voter.id == user.id);
        let may = users
            .iter()
            .filter(|user| user.profile.active && user.id != request.asked.requester && !voted(user));
        may.map(User::principal).collect()
    }

    /// Whether the request is approved when these people vote for it, one after the other.
    fn would_do<'a>(
        &self,
        voters: impl IntoIterator<Item = &'a Principal>,
        forced: bool,
        now: Timestamp,
    ) -> bool {
        let (mut cast, mut is_approved) = (Vec::new(), false);
        for voter in voters {
            cast.push(Vote {
                voter: voter.clone(),
                choice: Choice::Approve,
                forced,
                comment: COMMENT.to_owned(),
                cast_at: now,
            });
            let decision = self.decide(&cast, now);
            let counts = if forced { &decision.forcers } else { &decision.voters };
            if !counts.includes(voter) {
                return false;
            }
            is_approved = decision.outcome.as_str() == "approved";
        }
        is_approved
    }

    fn decide(&self, votes: &[Vote], now: Timestamp) -> Decision {
        Decision::combine(&self.ask(votes, now))
    }

    fn kind(&self, votes: &[Vote], now: Timestamp) -> Kind {
        let decision = self.decide(votes, now);
        Kind::of(&decision, &self.input(votes, now))
    }

    fn input(&self, votes: &[Vote], now: Timestamp) -> quorate_core::input::Input {
        let mut request = self.request.clone();
        request.votes.extend_from_slice(votes);
        request.input(self.requester.principal(), self.resource.target(), self.evidence.clone(), now)
    }

    /// As a decision asks them, but seen by nobody: neither in the log nor in the metrics.
    fn ask(&self, votes: &[Vote], now: Timestamp) -> Vec<RuleOpinion> {
        let input = self.input(votes, now);
        let opinion = |used: &quorate_core::rule::PolicyUse| {
            let config = used.config.to_string();
            let policy = self.active.get(&used.policy);
            let answer = match policy {
                Some(policy) => ask(policy, &config, &input).verdict.into(),
                None => Answer::Fault(Fault { code: FaultCode::Missing, message: String::new() }),
            };
            let (version, policy) = (policy.map(quorate_policy::Policy::digest), used.policy.clone());
            Opinion { policy, version, config, answer, fuel_used: 0, log: Vec::new() }
        };
        let rule = |rule: &Rule| RuleOpinion {
            rule: rule.name.clone(),
            revision: rule.revision,
            opinions: rule.policies.iter().map(opinion).collect(),
        };
        self.rules.iter().map(rule).collect()
    }
}

fn names(people: &[Principal]) -> Vec<String> {
    people.iter().map(|person| person.id.to_string()).collect()
}

/// Those whose vote may count, put together where they are in the same groups and
/// nobody names them.
fn kinds(people: &[Principal], decision: &Decision) -> Vec<Vec<Principal>> {
    let ways = decision.waiting().iter().flat_map(|waiting| &waiting.ways).flatten();
    let mut audiences: Vec<&Audience> = ways.map(|requirement| &requirement.people).collect();
    audiences.push(&decision.voters);
    let mut kinds: BTreeMap<(Vec<&str>, Option<&str>), Vec<Principal>> = BTreeMap::new();
    for person in people.iter().filter(|person| audiences.iter().any(|one| one.includes(person))) {
        let groups = person.groups.iter().map(quorate_core::ids::GroupName::as_str).collect();
        let id = person.id.as_str();
        let is_named = audiences.iter().any(|one| one.users.iter().any(|user| user == id));
        kinds.entry((groups, is_named.then_some(id))).or_default().push(person.clone());
    }
    kinds.into_values().collect()
}
