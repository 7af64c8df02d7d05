//! What it would take to approve a request: the votes of people who have not voted are
//! put to the policies on a copy, and nothing of it is kept.

use quorate_core::Timestamp;
use quorate_core::ids::RequestId;
use quorate_core::input::Principal;
use quorate_core::request::State;
use quorate_core::what_if;
use serde::Serialize;
use utoipa::ToSchema;

use super::evaluate::Deciders;
use super::facts::Gathered;
use super::trial::{Trial, kinds};
use super::{Error, Inner, Lifecycle};

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

impl Lifecycle {
    /// What it would take to approve a request.
    pub async fn what_would_it_take(&self, id: &RequestId) -> Result<WhatItTakes, Error> {
        self.settle(id).await?;
        let id = id.clone();
        self.with_facts(|known| {
            let id = id.clone();
            self.0.take_turn(move |inner| inner.what_would_it_take(&id, &known))
        })
        .await
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
        let requester = requester.principal();
        let copy = Trial { request, requester, resource, rules, evidence, active };
        let people = copy.people(&self.ledger.users()?);
        let decision = copy.decide(&[], now);
        let kinds = kinds(&people, &decision);

        let found = copy.smallest(&kinds, what_if::PEOPLE_MAX, now);
        let out_of = |set: &Vec<usize>| {
            let chosen = kinds.iter().zip(set).filter(|(_, count)| **count > 0);
            chosen.map(|(kind, count)| Votes { approvals: *count, out_of: names(kind) }).collect()
        };
        takes.sets = found.sets.iter().map(out_of).collect();
        (takes.tried, takes.gave_up) = (found.tried, found.gave_up);
        let forcers = copy.forcers(&people, &decision, now);
        takes.by_force = forcers.iter().map(|person| person.id.to_string()).collect();
        takes.nobody_can = takes.sets.is_empty() && takes.by_force.is_empty();
        takes.then = takes.changes_at.map(|at| copy.kind(&[], at.max(now)).as_str().to_owned());
        Ok(takes)
    }
}

fn names(people: &[Principal]) -> Vec<String> {
    people.iter().map(|person| person.id.to_string()).collect()
}
