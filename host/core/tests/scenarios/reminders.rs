//! What policies have people told: each notice once, and only about what waits or is
//! approved.

use quorate_core::decision::Answer;
use quorate_core::entry::{Actor, Happened, Stream};
use quorate_core::notice::{NOTICES_PER_DECISION_MAX, NOTICES_PER_REQUEST_MAX, NOTIFY};
use quorate_core::verdict::{Obligation, Outcome, Verdict};

use crate::policies::{Native, amount};
use crate::world::{World, at, user};

fn notify(id: &str, message: &str) -> Obligation {
    let params = format!(r#"{{"id":"{id}","message":"{message}","groups":["managers"]}}"#);
    Obligation { kind: NOTIFY.to_owned(), params, critical: false }
}

/// Says `outcome`, and has people told from `seconds` on.
fn reminds(outcome: Outcome, seconds: i64) -> Native {
    Box::new(move |input| {
        let mut verdict = Verdict::new(outcome.clone());
        if input.now >= at(seconds) {
            verdict.obligations.push(notify("late", "nobody decided yet"));
        } else {
            verdict.revisit_at = Some(at(seconds));
        }
        Answer::Verdict(verdict)
    })
}

/// Waits, and has people told as many other things each time.
fn chatters(count: usize) -> Native {
    Box::new(move |input| {
        let mut verdict = Verdict::new(Outcome::Wait(Vec::new()));
        let second = input.now.as_second();
        verdict.obligations = (0..count).map(|nth| notify(&format!("n-{second}-{nth}"), "again")).collect();
        Answer::Verdict(verdict)
    })
}

fn kinds(world: &World) -> Vec<&'static str> {
    let stream = Stream::request(&world.id);
    let kind = |one: &Happened| match one {
        Happened::RequestSubmitted { .. } => "submitted",
        Happened::VoteCast { .. } => "vote",
        Happened::RequestDecided { .. } => "decided",
        Happened::RequestReminded { .. } => "reminded",
        Happened::RequestApproved { .. } => "approved",
        Happened::RequestRejected { .. } => "rejected",
        other => panic!("{other:?}"),
    };
    world.ledger.happened(&stream).map(kind).collect()
}

#[test]
fn a_reminder_comes_at_its_time_and_once() {
    let mut world = World::new(vec![amount(&["dba"], 1), reminds(Outcome::Abstain, 900)]).ask("ann", "1h");
    assert_eq!(world.request().deadline(), Some(at(900)));
    assert!(world.request().reminders.is_empty());
    world.decide(899).unwrap();
    world.decide(900).unwrap();
    world.decide(1000).unwrap();
    assert_eq!(kinds(&world), ["submitted", "decided", "decided", "decided", "reminded", "decided"]);
    let reminders = world.request().reminders;
    assert_eq!((reminders.len(), reminders[0].at), (1, at(900)));
    let notice = &reminders[0].notice;
    assert_eq!((notice.message.as_str(), notice.whom().as_str()), ("nobody decided yet", "managers"));
    assert_eq!((notice.rule.as_str(), notice.policy.as_str()), ("main", "policy-2"));
    assert_eq!(world.state(), "PENDING");
}

#[test]
fn a_reminder_that_a_vote_brings_about_is_the_policies() {
    let mut world = World::new(vec![amount(&["dba"], 2), reminds(Outcome::Abstain, 60)]).ask("ann", "1h");
    world.approve("bob", 60).unwrap();
    assert_eq!(kinds(&world), ["submitted", "decided", "vote", "decided", "reminded"]);
    let by: Vec<Actor> =
        world.ledger.of(&Stream::request(&world.id)).iter().map(|entry| entry.by.clone()).collect();
    assert_eq!(by[2..], [Actor::User(user("bob")), Actor::User(user("bob")), Actor::Gateway]);
}

#[test]
fn what_is_approved_at_once_tells_people_in_the_same_step() {
    let world = World::new(vec![amount(&["dba"], 1), reminds(Outcome::Bypass("down".into()), 0)]);
    let world = world.ask("ann", "1h");
    assert_eq!(kinds(&world), ["submitted", "decided", "reminded", "approved"]);
    assert_eq!((world.state(), world.request().reminders.len()), ("APPROVED", 1));
}

#[test]
fn nobody_is_told_of_what_is_over() {
    let denied = World::new(vec![reminds(Outcome::Deny("no".into()), 0)]).ask("ann", "1h");
    assert_eq!(kinds(&denied), ["submitted", "decided", "rejected"]);
    assert_eq!(denied.decision().notices.len(), 1);
    let mut rejected = World::new(vec![amount(&["dba"], 1), reminds(Outcome::Abstain, 60)]).ask("ann", "1h");
    rejected.reject("bob", 60).unwrap();
    assert_eq!(kinds(&rejected), ["submitted", "decided", "vote", "decided", "rejected"]);
}

#[test]
fn one_request_has_so_many_reminders_and_then_says_so() {
    let mut world = World::new(vec![chatters(NOTICES_PER_DECISION_MAX)]).ask("ann", "1h");
    for second in 1..5 {
        world.decide(second * 60).unwrap();
    }
    assert_eq!(world.request().reminders.len(), NOTICES_PER_REQUEST_MAX);
    assert!(world.decision().findings.is_empty());
    world.decide(600).unwrap();
    assert_eq!(world.request().reminders.len(), NOTICES_PER_REQUEST_MAX);
    let findings = world.decision().findings;
    assert_eq!((findings.len(), findings[0].finding.code.as_str()), (1, "notify-too-many"));
}
