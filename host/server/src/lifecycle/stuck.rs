//! Requests that nobody can approve as things are: found out when something changes that
//! they rest on, kept in memory, and said once for each change.
//!
//! Not here: who follows the ledger for it (`reconcile/stuck.rs`), and what people see of it
//! ([`super::view`]).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use quorate_core::decision::Decision;
use quorate_core::ids::RequestId;
use quorate_core::input::Principal;
use quorate_core::people::can_be_met;
use quorate_core::request::{Request, State};
use tokio::sync::watch;

use super::{Error, Lifecycle};
use crate::telemetry;

/// How many audiences are remembered.
const KEPT_MAX: usize = 1000;

/// Requests that nobody can approve as things are.
pub type Stuck = BTreeSet<RequestId>;

/// Everybody who could vote now, for many requests: those whom the same policies wait for
/// are looked for once.
pub struct Voters {
    people: Vec<Principal>,
    wanted: HashMap<String, Arc<Vec<Principal>>>,
}

impl Voters {
    /// Whether nobody of them could get the request approved.
    pub fn cannot_approve(&mut self, request: &Request) -> bool {
        let decision = request.decision.as_deref().filter(|_| matches!(request.state, State::Pending));
        let Some(decision) = decision.filter(|decision| !decision.waiting().is_empty()) else { return false };
        let able: Vec<Principal> =
            self.wanted_by(decision).iter().filter(|one| may_vote(request, one)).cloned().collect();
        nobody_can_approve(decision, &able)
    }

    /// Those of them whom the decision names in any way.
    fn wanted_by(&mut self, decision: &Decision) -> Arc<Vec<Principal>> {
        let ways = decision.waiting().iter().flat_map(|one| one.ways.iter().flatten());
        let mut groups: BTreeSet<&str> = decision.forcers.groups.iter().map(String::as_str).collect();
        let mut users: BTreeSet<&str> = decision.forcers.users.iter().map(String::as_str).collect();
        for requirement in ways {
            groups.extend(requirement.people.groups.iter().map(String::as_str));
            users.extend(requirement.people.users.iter().map(String::as_str));
        }
        let key = format!("{groups:?}{users:?}");
        if self.wanted.len() >= KEPT_MAX {
            self.wanted.clear();
        }
        let people = &self.people;
        let wanted = self.wanted.entry(key).or_insert_with(|| {
            let named = |one: &&Principal| {
                users.contains(one.id.as_str())
                    || one.groups.iter().any(|group| groups.contains(group.as_str()))
            };
            Arc::new(people.iter().filter(named).cloned().collect())
        });
        Arc::clone(wanted)
    }
}

/// Whether `person` could still vote on the request, as far as the core is concerned.
pub(super) fn may_vote(request: &Request, person: &Principal) -> bool {
    person.id != request.asked.requester && !request.votes.iter().any(|vote| vote.voter.id == person.id)
}

/// Whether nobody in `able` could get a request approved that was decided so. A policy
/// without a way out waits for time to pass, where it wants to be asked again.
pub(super) fn nobody_can_approve(decision: &Decision, able: &[Principal]) -> bool {
    let can_force = able.iter().any(|person| decision.forcers.includes(person));
    let hopeless = |ways: &[quorate_core::verdict::Way]| match ways {
        [] => decision.revisit_at.is_none(),
        ways => !ways.iter().any(|way| can_be_met(way, able)),
    };
    !can_force && decision.waiting().iter().any(|one| hopeless(&one.ways))
}

impl Lifecycle {
    /// Everybody who could vote now.
    pub fn voters(&self) -> Result<Voters, Error> {
        Ok(Voters { people: self.0.electorate(&[])?, wanted: HashMap::new() })
    }

    /// Requests that nobody can approve, as far as that was found out, and each change of
    /// that.
    pub fn stuck(&self) -> watch::Receiver<Stuck> {
        self.0.stuck.subscribe()
    }

    /// Notes whether nobody can approve a request. What was not so before is logged and
    /// counted.
    pub fn note_stuck(&self, request: &Request, is_stuck: bool) {
        let changed = self.0.stuck.send_if_modified(|stuck| {
            if is_stuck { stuck.insert(request.id.clone()) } else { stuck.remove(&request.id) }
        });
        let (id, resource) = (&request.id, &request.asked.resource);
        if changed && is_stuck {
            telemetry::nobody_can_approve();
            tracing::warn!(request = %id, %resource, "nobody can approve a request as things are");
        } else if changed && matches!(request.state, State::Pending) {
            tracing::info!(request = %id, %resource, "a request can be approved again");
        }
    }

    /// Takes over what was so before this gateway started: that was said then.
    pub fn begin_stuck(&self, stuck: Stuck) {
        if !stuck.is_empty() {
            tracing::warn!(requests = stuck.len(), "requests wait that nobody can approve as things are");
        }
        self.0.stuck.send_modify(|known| known.extend(stuck));
    }
}
