//! A small world: the people of the cases, one resource, rules with native
//! policies, and a clock that is an argument.

use std::collections::BTreeSet;

use quorate_core::Timestamp;
use quorate_core::decision::{Combined, Decision, Opinion, RuleOpinion};
use quorate_core::duration::AccessDuration;
use quorate_core::entry::{Happened, Step, Stream};
use quorate_core::ids::{Digest, RequestId, UserId};
use quorate_core::input::{Choice, Command, Evidence, Principal, Vote};
use quorate_core::people::{WayOut, ways_out};
use quorate_core::refused::Refused;
use quorate_core::request::{Access, Asked, Bounds, Event, Request, Ruling, State, after};
use quorate_core::resource::Resource;
use quorate_core::rule::{AccessType, Rule};

use crate::ledger::Ledger;
use crate::policies::Native;

/// How long a request waits for people, in seconds.
pub(crate) const REVIEW_SECONDS: u64 = 3600;

/// 10:00 on some day, and `seconds` more.
pub(crate) fn at(seconds: i64) -> Timestamp {
    let ten: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
    Timestamp::from_second(ten.as_second() + seconds).unwrap()
}

/// One of the people of the cases, with their groups.
pub(crate) fn person(id: &str) -> Principal {
    let groups: &[&str] = match id {
        "ann" => &["dev"],
        "bob" | "bea" | "ben" => &["dba"],
        "sam" => &["security"],
        "sue" => &["dba", "security"],
        "eve" => &["oncall", "sre"],
        "root" => &["admin"],
        other => panic!("nobody is called {other}"),
    };
    in_groups(id, groups)
}

/// A person in other groups than the usual ones.
pub(crate) fn in_groups(id: &str, groups: &[&str]) -> Principal {
    let groups = groups.iter().map(|group| group.parse().unwrap()).collect();
    Principal { id: user(id), email: String::new(), groups, attributes: Vec::new() }
}

pub(crate) fn user(id: &str) -> UserId {
    id.parse().unwrap()
}

/// `prod`, a database.
pub(crate) fn prod() -> Resource {
    serde_json::from_value(serde_json::json!({"name": "prod", "command": ["psql"]})).unwrap()
}

/// A rule over `prod`; its policies are in [`World::rules`].
pub(crate) fn rule(name: &str, access_type: AccessType) -> Rule {
    Rule {
        name: name.parse().unwrap(),
        description: String::new(),
        access_type,
        resources: BTreeSet::from(["prod".parse().unwrap()]),
        attributes: std::collections::BTreeMap::default(),
        required_groups: BTreeSet::new(),
        votes_on_page: false,
        policies: Vec::new(),
        revision: 1,
    }
}

/// One request in its surroundings.
pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) id: RequestId,
    pub(crate) resource: Resource,
    pub(crate) rules: Vec<(Rule, Vec<Native>)>,
    pub(crate) bounds: Bounds,
    pub(crate) requester: Principal,
}

impl World {
    /// One rule for each way in, both with these policies.
    pub(crate) fn new(policies: Vec<Native>) -> Self {
        Self::with_rules(vec![(rule("main", AccessType::JustInTime), policies)])
    }

    pub(crate) fn with_rules(rules: Vec<(Rule, Vec<Native>)>) -> Self {
        let bounds = Bounds { ceiling_seconds: 86_400, resource_seconds: None, command_window_seconds: 900 };
        Self {
            ledger: Ledger::default(),
            id: "r1".parse().unwrap(),
            resource: prod(),
            rules,
            bounds,
            requester: person("ann"),
        }
    }

    /// `who` asks for `duration`, at 10:00, and the policies are asked.
    pub(crate) fn ask(self, who: &str, duration: &str) -> Self {
        self.try_ask(who, duration).unwrap()
    }

    pub(crate) fn try_ask(self, who: &str, duration: &str) -> Result<Self, Refused> {
        let duration: AccessDuration = duration.parse().unwrap();
        self.submit(who, Access::JustInTime { duration })
    }

    /// `who` asks to run `text`, at 10:00, and the policies are asked.
    pub(crate) fn ask_to_run(self, who: &str, text: &str) -> Result<Self, Refused> {
        let command = Command { text: text.to_owned(), arguments: Vec::new() };
        self.submit(who, Access::Command { command, digest: Digest::ZERO })
    }

    fn submit(self, who: &str, access: Access) -> Result<Self, Refused> {
        let mut world = self.put(who, access)?;
        world.decide(0)?;
        Ok(world)
    }

    /// `who` asks; no policy is asked yet.
    pub(crate) fn submit_only(self, who: &str, duration: &str) -> Result<Self, Refused> {
        self.put(who, Access::JustInTime { duration: duration.parse().unwrap() })
    }

    fn put(mut self, who: &str, access: Access) -> Result<Self, Refused> {
        self.requester = person(who);
        let asked = Asked {
            requester: self.requester.id.clone(),
            resource: self.resource.name.clone(),
            access,
            reason: "to look".to_owned(),
            submitted_at: at(0),
            closes_at: after(at(0), REVIEW_SECONDS),
        };
        let rules: Vec<&Rule> = self.rules.iter().map(|(rule, _)| rule).collect();
        let step = Request::submit(&self.id, asked, &self.requester, &self.resource, &rules, &self.bounds)?;
        assert!(self.ledger.append(&step));
        Ok(self)
    }

    /// The request as the ledger has it.
    pub(crate) fn request(&self) -> Request {
        self.ledger.request(&self.id)
    }

    /// Its state in capitals.
    pub(crate) fn state(&self) -> &'static str {
        self.request().state.name()
    }

    /// What the policies said last.
    pub(crate) fn decision(&self) -> Decision {
        *self.request().decision.unwrap()
    }

    /// What the policies say of `request` now.
    pub(crate) fn ruling(&self, request: &Request, now: Timestamp) -> Ruling {
        let evidence = Evidence::default();
        let input = request.input(self.requester.clone(), self.resource.target(), evidence, now);
        let access_type = request.asked.access.access_type();
        let covering =
            self.rules.iter().filter(|(rule, _)| rule.covers(&self.requester, &self.resource, access_type));
        let opinions = covering.map(|(rule, policies)| RuleOpinion {
            rule: rule.name.clone(),
            revision: rule.revision,
            opinions: (1..)
                .zip(policies)
                .map(|(number, policy)| Opinion {
                    policy: format!("policy-{number}").parse().unwrap(),
                    version: Some(Digest::of(b"some version")),
                    config: "{}".to_owned(),
                    answer: policy(&input),
                    fuel_used: 1,
                    log: Vec::new(),
                })
                .collect(),
        });
        let opinions: Vec<RuleOpinion> = opinions.collect();
        let decision = Decision::combine(&opinions);
        Ruling { decision, record: Digest::of(b"the record"), bounds: self.bounds.clone() }
    }

    /// What `vote` does to `request`: the step, or why there is none.
    pub(crate) fn decide_vote(&self, request: &Request, vote: &Vote) -> Result<Step, Refused> {
        request.check_vote(vote)?;
        let ruling = self.ruling(&request.with_vote(vote.clone()), vote.cast_at);
        request.step(Event::Vote(Box::new(vote.clone()), Box::new(ruling)), vote.cast_at)
    }

    /// The policies are asked again.
    pub(crate) fn decide(&mut self, seconds: i64) -> Result<(), Refused> {
        let request = self.request();
        let ruling = self.ruling(&request, at(seconds));
        let step = request.step(Event::Decided(Box::new(ruling)), at(seconds))?;
        assert!(self.ledger.append(&step));
        Ok(())
    }

    pub(crate) fn cast(&mut self, vote: &Vote) -> Result<(), Refused> {
        let step = self.decide_vote(&self.request(), vote)?;
        assert!(self.ledger.append(&step));
        Ok(())
    }

    pub(crate) fn approve(&mut self, who: &str, seconds: i64) -> Result<(), Refused> {
        self.cast(&vote(person(who), Choice::Approve, seconds))
    }

    pub(crate) fn reject(&mut self, who: &str, seconds: i64) -> Result<(), Refused> {
        self.cast(&vote(person(who), Choice::Reject, seconds))
    }

    pub(crate) fn force(&mut self, who: &str, why: &str, seconds: i64) -> Result<(), Refused> {
        let vote = vote(person(who), Choice::Approve, seconds);
        self.cast(&Vote { forced: true, comment: why.to_owned(), ..vote })
    }

    /// Cancels or revokes.
    pub(crate) fn step(&mut self, event: Event, seconds: i64) -> Result<(), Refused> {
        let step = self.request().step(event, at(seconds))?;
        assert!(self.ledger.append(&step));
        Ok(())
    }

    /// Lets time alone act; whether it did anything.
    pub(crate) fn settle(&mut self, seconds: i64) -> bool {
        let Some(step) = self.request().settle(at(seconds)) else { return false };
        assert!(self.ledger.append(&step));
        true
    }

    /// The ways out, for the people who may still vote.
    pub(crate) fn ways_out(&self, electorate: &[&str]) -> Vec<WayOut> {
        let electorate: Vec<Principal> = electorate.iter().map(|id| person(id)).collect();
        let decision = self.decision();
        decision.waiting().iter().flat_map(|waiting| ways_out(waiting, &electorate)).collect()
    }

    /// What is missing, in words.
    pub(crate) fn missing(&self) -> Vec<String> {
        let ways = self.ways_out(&[]);
        ways.into_iter().flat_map(|way| way.missing).map(|missing| missing.what).collect()
    }

    /// The end of the grant.
    pub(crate) fn until(&self) -> Timestamp {
        match self.request().state {
            State::Approved { grant, .. } => grant.until,
            other => panic!("{} has no grant", other.name()),
        }
    }

    /// Why and by whom it was rejected.
    pub(crate) fn rejection(&self) -> (String, String) {
        match self.request().state {
            State::Rejected { by, why, .. } => (by.to_string(), why),
            other => panic!("{} is not rejected", other.name()),
        }
    }

    /// How often the request was approved, by the ledger.
    pub(crate) fn approvals(&self) -> usize {
        let stream = Stream::request(&self.id);
        self.ledger.happened(&stream).filter(|one| matches!(one, Happened::RequestApproved { .. })).count()
    }

    /// The approval of the request.
    pub(crate) fn approval(&self) -> quorate_core::entry::Approval {
        match self.request().state {
            State::Approved { approval, .. } | State::Executed { approval, .. } => *approval,
            other => panic!("{} has no approval", other.name()),
        }
    }

    /// Which policies faulted.
    pub(crate) fn faults(&self) -> usize {
        match self.decision().outcome {
            Combined::Faulted { faults } => faults.len(),
            _ => 0,
        }
    }
}

/// A plain vote.
pub(crate) fn vote(voter: Principal, choice: Choice, seconds: i64) -> Vote {
    Vote { voter, choice, forced: false, comment: String::new(), cast_at: at(seconds) }
}
