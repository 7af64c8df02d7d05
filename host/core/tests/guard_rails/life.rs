//! Plays a plan: every act is put to the core as it comes, allowed or not.

use std::collections::BTreeMap;

use quorate_core::Timestamp;
use quorate_core::decision::{Answer, Decision, Opinion, RuleOpinion};
use quorate_core::duration::AccessDuration;
use quorate_core::entry::{Entry, Happened, Kind, Step};
use quorate_core::ids::Digest;
use quorate_core::input::{Choice, Command, Principal, Vote};
use quorate_core::refused::Refused;
use quorate_core::request::{Access, Asked, Bounds, Event, Request, Ruling};
use quorate_core::resource::Resource;
use quorate_core::rule::{AccessType, Rule};

use crate::plan::{Act, PEOPLE, Plan, REVIEW_SECONDS, What, at};

/// One act and what came of it.
pub(crate) struct Moment {
    pub(crate) what: What,
    pub(crate) now: Timestamp,
    pub(crate) vote: Option<Vote>,
    /// What the policies answered; empty where they were not asked.
    pub(crate) opinions: Vec<RuleOpinion>,
    pub(crate) step: Result<Step, Refused>,
    pub(crate) before: Request,
    pub(crate) after: Request,
}

impl Moment {
    /// What the step brought.
    pub(crate) fn happened(&self) -> impl Iterator<Item = &Happened> {
        self.step.iter().flat_map(Step::entries).map(|entry| &entry.happened)
    }
}

/// A request from its submission on.
pub(crate) struct Life {
    pub(crate) moments: Vec<Moment>,
    /// Those of the request's own stream.
    pub(crate) entries: Vec<Entry>,
}

impl Life {
    /// The request as it is in the end.
    pub(crate) fn last(&self) -> &Request {
        &self.moments.last().unwrap().after
    }
}

/// One of [`PEOPLE`].
pub(crate) fn person(who: usize) -> Principal {
    let (id, groups) = PEOPLE[who];
    let groups = groups.iter().map(|group| group.parse().unwrap()).collect();
    Principal { id: id.parse().unwrap(), email: String::new(), groups, attributes: Vec::new() }
}

pub(crate) fn prod() -> Resource {
    serde_json::from_value(serde_json::json!({"name": "prod", "command": ["psql"]})).unwrap()
}

/// Plays `plan`.
pub(crate) fn live(plan: &Plan) -> Life {
    let bounds = Bounds {
        ceiling_seconds: plan.ceiling,
        resource_seconds: plan.resource_max,
        command_window_seconds: plan.command_window,
    };
    let unlimited = Bounds { ceiling_seconds: u64::MAX, resource_seconds: None, ..bounds.clone() };
    let submitted = submit(plan, &unlimited);
    let mut request = Request::after(None, &submitted).unwrap();
    let mut life = Life { moments: Vec::new(), entries: submitted.entries().to_vec() };
    let mut seconds = 0;
    for (number, act) in plan.acts.iter().enumerate() {
        seconds += act.seconds;
        let moment = play(&request, act, number, at(seconds), &bounds);
        let noted = match (&moment.step, &moment.vote) {
            (Err(refused), Some(vote)) => Some(request.note_refused(vote.clone(), refused, moment.now)),
            _ => None,
        };
        let own = moment.step.iter().chain(&noted).flat_map(Step::entries);
        life.entries.extend(own.filter(|entry| entry.stream.kind() == Kind::Request).cloned());
        if let Some(noted) = &noted {
            request = Request::after(Some(&request), noted).unwrap();
        } else {
            request = moment.after.clone();
        }
        life.moments.push(Moment { after: request.clone(), ..moment });
    }
    life
}

fn submit(plan: &Plan, bounds: &Bounds) -> Step {
    let (access, access_type) = if plan.command {
        (Access::Command { command: command(), digest: Digest::ZERO }, AccessType::Command)
    } else {
        let duration = AccessDuration::from_seconds(plan.asked);
        (Access::JustInTime { duration }, AccessType::JustInTime)
    };
    let asked = Asked {
        requester: person(0).id,
        resource: prod().name,
        access,
        reason: "to look".to_owned(),
        submitted_at: at(0),
        closes_at: at(REVIEW_SECONDS),
    };
    let rule = Rule {
        name: "rule".parse().unwrap(),
        description: String::new(),
        access_type,
        resources: [prod().name].into(),
        attributes: BTreeMap::new(),
        required_groups: [].into(),
        votes_on_page: false,
        policies: Vec::new(),
        revision: 1,
    };
    Request::submit(&"r1".parse().unwrap(), asked, &person(0), &prod(), &[&rule], bounds).unwrap()
}

fn command() -> Command {
    Command { text: "select 1".to_owned(), arguments: Vec::new() }
}

fn play(request: &Request, act: &Act, number: usize, now: Timestamp, bounds: &Bounds) -> Moment {
    let mut vote = None;
    let mut opinions = Vec::new();
    let mut ruling = || {
        opinions = said(&act.answers);
        let decision = Decision::combine(&opinions);
        Box::new(Ruling { decision, record: Digest::of(b"the record"), bounds: bounds.clone() })
    };
    let step = match &act.what {
        What::Vote { who, approve, forced, comment } => {
            let cast = Vote {
                voter: person(*who),
                choice: if *approve { Choice::Approve } else { Choice::Reject },
                forced: *forced,
                comment: if *comment { "because".to_owned() } else { String::new() },
                cast_at: now,
            };
            vote = Some(cast.clone());
            request.step(Event::Vote(Box::new(cast), ruling()), now)
        }
        What::Decide => request.step(Event::Decided(ruling()), now),
        What::Settle => request.settle(now).ok_or(Refused::NotOpen { state: "not due" }),
        What::Cancel { who } => request.step(Event::Cancel(person(*who).id), now),
        What::Revoke { who } => request.step(Event::Revoke(person(*who), "done".to_owned()), now),
        What::Run { who, right } => {
            let digest = if *right { prod().command_digest(&command()) } else { Digest::of(b"other") };
            let session = format!("s{number}").parse().unwrap();
            request.run(&person(*who).id, digest, &session, 60, now)
        }
    };
    let after = match &step {
        Ok(step) => Request::after(Some(request), step).unwrap(),
        Err(_) => request.clone(),
    };
    Moment { what: act.what.clone(), now, vote, opinions, step, before: request.clone(), after }
}

fn said(answers: &[Vec<Answer>]) -> Vec<RuleOpinion> {
    let opinion = |(number, answer): (usize, &Answer)| Opinion {
        policy: format!("policy-{number}").parse().unwrap(),
        version: Some(Digest::of(b"some version")),
        config: "{}".to_owned(),
        answer: answer.clone(),
        fuel_used: 1,
        log: Vec::new(),
    };
    let rule = |(number, answers): (usize, &Vec<Answer>)| RuleOpinion {
        rule: format!("rule-{number}").parse().unwrap(),
        revision: 1,
        opinions: answers.iter().enumerate().map(opinion).collect(),
    };
    answers.iter().enumerate().map(rule).collect()
}
