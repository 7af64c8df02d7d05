//! A request on a copy: votes that nobody cast are put to the policies, and nothing of it
//! is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::Timestamp;
use quorate_core::backtest::Kind;
use quorate_core::decision::{Answer, Decision, Opinion, RuleOpinion};
use quorate_core::input::{Choice, Evidence, Principal, Vote};
use quorate_core::request::Request;
use quorate_core::resource::Resource;
use quorate_core::rule::Rule;
use quorate_core::user::User;
use quorate_core::verdict::{Audience, Fault, FaultCode};
use quorate_core::what_if::{self, Found};
use quorate_policy::ActiveSet;

use super::replay::ask;

/// How many sets of people, and how many people by force, are tried at most.
pub(super) const TRIES_MAX: usize = 1000;
/// The comment of a forced vote that is only tried.
const COMMENT: &str = "what would it take?";

/// What decides the request, read once for all tries.
pub(super) struct Trial {
    pub(super) request: Request,
    pub(super) requester: Principal,
    pub(super) resource: Resource,
    pub(super) rules: Vec<Rule>,
    pub(super) evidence: Evidence,
    pub(super) active: Arc<ActiveSet>,
}

impl Trial {
    /// Everybody who may still vote.
    pub(super) fn people(&self, users: &[User]) -> Vec<Principal> {
        let request = &self.request;
        let voted = |user: &User| request.votes.iter().any(|vote| vote.voter.id == user.id);
        let may =
            users.iter().filter(|user| user.profile.active && user.id != self.requester.id && !voted(user));
        may.map(User::principal).collect()
    }

    /// The smallest sets of people whose votes would do, with how many of each of `kinds`.
    pub(super) fn smallest(&self, kinds: &[Vec<Principal>], people_max: usize, now: Timestamp) -> Found {
        let sizes: Vec<usize> = kinds.iter().map(Vec::len).collect();
        what_if::smallest(&sizes, people_max, TRIES_MAX, |set| {
            self.put(chosen(kinds, set), false, now).is_some()
        })
    }

    /// Who of `people` could force it alone.
    pub(super) fn forcers<'a>(
        &self,
        people: &'a [Principal],
        decision: &Decision,
        now: Timestamp,
    ) -> Vec<&'a Principal> {
        let may = people.iter().filter(|person| decision.forcers.includes(person));
        may.take(TRIES_MAX).filter(|person| self.put([*person], true, now).is_some()).collect()
    }

    /// The decision that approves the request when these people vote for it, one after the
    /// other; none where it does not come to that.
    pub(super) fn put<'a>(
        &self,
        voters: impl IntoIterator<Item = &'a Principal>,
        forced: bool,
        now: Timestamp,
    ) -> Option<Decision> {
        let (mut cast, mut last) = (Vec::new(), None);
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
                return None;
            }
            last = Some(decision);
        }
        last.filter(|decision| decision.outcome.as_str() == "approved")
    }

    pub(super) fn decide(&self, votes: &[Vote], now: Timestamp) -> Decision {
        match self.resource.standing_group(&self.requester) {
            Some(group) if self.rules.is_empty() => Decision::standing(group.clone()),
            _ => Decision::combine(&self.ask(votes, now)),
        }
    }

    pub(super) fn kind(&self, votes: &[Vote], now: Timestamp) -> Kind {
        let decision = self.decide(votes, now);
        Kind::of(&decision, &self.input(votes, now))
    }

    fn input(&self, votes: &[Vote], now: Timestamp) -> quorate_core::input::Input {
        let mut request = self.request.clone();
        request.votes.extend_from_slice(votes);
        request.input(self.requester.clone(), self.resource.target(), self.evidence.clone(), now)
    }

    /// As a decision asks them, but seen by nobody: neither in the log nor in the metrics.
    fn ask(&self, votes: &[Vote], now: Timestamp) -> Vec<RuleOpinion> {
        let input = self.input(votes, now);
        let opinion = |used: &quorate_core::rule::PolicyUse| {
            let config = used.config.to_string();
            let policy = self.active.get(&used.policy);
            let answer = match policy {
                Some(policy) => ask(|| policy.evaluate(&config, &input)).verdict.into(),
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

/// The people of a set: so many of each kind.
pub(super) fn chosen<'a>(kinds: &'a [Vec<Principal>], set: &[usize]) -> impl Iterator<Item = &'a Principal> {
    kinds.iter().zip(set.to_vec()).flat_map(|(kind, count)| kind.iter().take(count))
}

/// Those whose vote may count, put together where they are in the same groups and
/// nobody names them.
pub(super) fn kinds(people: &[Principal], decision: &Decision) -> Vec<Vec<Principal>> {
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
