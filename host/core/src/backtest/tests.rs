//! What a candidate changes, without an engine.

use std::borrow::Borrow;

use serde_json::json;

use super::*;
use crate::decision::RuleOpinion;
use crate::ids::Digest;
use crate::verdict::{Audience, Fault, FaultCode, Obligation, Outcome, Requirement, Verdict};

const BOUNDS: Bounds =
    Bounds { ceiling_seconds: 86_400, resource_seconds: None, command_window_seconds: 900 };

fn place() -> Place {
    Place { policy: "quorum".parse().unwrap(), rule: None }
}

fn says(outcome: Outcome) -> Answer {
    let dba = Audience { groups: vec!["dba".into()], users: vec![] };
    Answer::Verdict(Verdict { voters: dba, ..Verdict::new(outcome) })
}

fn wait() -> Outcome {
    let people = Audience { groups: vec!["security".into()], users: vec![] };
    Outcome::Wait(vec![vec![Requirement { people, approvals: 1, message: String::new() }]])
}

fn capped(seconds: u64) -> Answer {
    Answer::Verdict(Verdict { max_duration: Some(seconds), ..Verdict::new(Outcome::Approve) })
}

fn boom() -> Answer {
    Answer::Fault(Fault { code: FaultCode::Trap, message: "boom".into() })
}

fn opinion(policy: &str, answer: Answer) -> Opinion {
    Opinion {
        policy: policy.parse().unwrap(),
        version: Some(Digest::of(policy.as_bytes())),
        config: "{}".into(),
        answer,
        fuel_used: 1,
        log: Vec::new(),
    }
}

/// A request for two hours, with one rejection by `rejected_by` where it has one.
fn record(opinions: Vec<Opinion>, rejected_by: Option<&str>) -> Record {
    let person = |id: &str, group: &str| json!({"id": id, "email": "", "groups": [group]});
    let vote = rejected_by.map(|group| {
        json!({"voter": person("bob", group), "choice": "reject", "forced": false, "comment": "",
            "cast_at": "2026-03-02T10:00:00Z"})
    });
    let input = json!({
        "now": "2026-03-02T10:00:00Z",
        "request": {
            "id": "r1", "requester": person("ann", "dev"),
            "target": {"name": "prod", "kind": "shell", "max_duration": null, "attributes": []},
            "access": {"type": "just-in-time", "seconds": 7200}, "reason": "",
            "submitted_at": "2026-03-02T10:00:00Z",
        },
        "votes": vote.into_iter().collect::<Vec<_>>(), "history": [], "facts": [],
    });
    let rule = RuleOpinion { rule: "main".parse().unwrap(), revision: 1, opinions };
    Record { input: serde_json::from_value(input).unwrap(), rules: vec![rule], engine: String::new() }
}

fn one(live: Answer, candidate: impl Borrow<Answer>) -> Outlook {
    of(vec![opinion("quorum", live)], candidate.borrow())
}

fn of(opinions: Vec<Opinion>, candidate: &Answer) -> Outlook {
    outlook(&mut record(opinions, None), &place(), &BOUNDS, |_, _| Tried::Answered(candidate.clone()))
        .unwrap()
}

#[test]
fn p5_a_candidate_that_no_longer_waits_lets_somebody_in() {
    let found = one(says(wait()), says(Outcome::Approve));
    assert_eq!((found.live, found.candidate, found.change), (Kind::Waiting, Kind::Approved, Change::LetsIn));
    assert_eq!((found.live_seconds, found.candidate_seconds), (None, Some(7200)));
    assert!(found.live_said.contains("security") && found.candidate_said == "approves", "{found:?}");
    for live in [says(Outcome::Deny("no".into())), boom(), says(Outcome::Abstain)] {
        assert_eq!(one(live.clone(), says(Outcome::Bypass("now".into()))).change, Change::LetsIn, "{live:?}");
    }
}

#[test]
fn the_same_answer_changes_nothing() {
    let found = one(says(wait()), says(wait()));
    assert_eq!((found.change, found.same_answer), (Change::Same, true));
    let found = one(says(wait()), says(Outcome::Wait(Vec::new())));
    assert_eq!((found.change, found.same_answer), (Change::Same, false), "it waits for something else");
}

#[test]
fn an_approval_for_longer_or_shorter_is_a_change() {
    let change = |live, candidate| one(capped(live), capped(candidate)).change;
    assert_eq!(change(60, 3600), Change::Longer);
    assert_eq!(change(3600, 60), Change::Shorter);
    // Two hours were asked for: more than that is given to nobody.
    assert_eq!(change(8000, 9000), Change::Same);
}

#[test]
fn who_is_kept_out_or_denied_instead_is_told_apart() {
    assert_eq!(one(says(Outcome::Approve), says(wait())).change, Change::KeepsOut);
    assert_eq!(one(says(wait()), says(Outcome::Deny("no".into()))).change, Change::Other);
    assert_eq!(one(says(Outcome::Approve), says(Outcome::Bypass("now".into()))).change, Change::Other);
}

#[test]
fn a_fault_of_the_candidate_never_agrees() {
    for live in [boom(), says(Outcome::Approve), says(Outcome::Deny("no".into()))] {
        let found = one(live, boom());
        assert_eq!((found.candidate, found.change), (Kind::CandidateFault, Change::Fault));
        assert!(found.candidate_said.contains("boom"));
    }
    // Also where another policy denies anyway.
    let deny = opinion("cap", says(Outcome::Deny("no".into())));
    assert_eq!(of(vec![opinion("quorum", says(wait())), deny], &boom()).change, Change::Fault);
}

#[test]
fn an_obligation_that_nobody_knows_is_a_fault_of_the_candidate() {
    let unknown = Obligation { kind: "telepathy".into(), params: "{}".into(), critical: true };
    let verdict = Verdict { obligations: vec![unknown], ..Verdict::new(Outcome::Approve) };
    assert_eq!(one(says(wait()), Answer::Verdict(verdict)).change, Change::Fault);
}

#[test]
fn a_config_that_the_candidate_does_not_take_is_not_an_agreement() {
    let mut record = record(vec![opinion("quorum", says(wait()))], None);
    let found =
        outlook(&mut record, &place(), &BOUNDS, |_, _| Tried::ConfigRefused("no `groups`".into())).unwrap();
    assert_eq!((found.candidate, found.change), (Kind::ConfigRefused, Change::ConfigRefused));
    assert!(found.candidate_said.contains("no `groups`"));
}

#[test]
fn what_other_policies_said_stays() {
    let others = || vec![opinion("quorum", says(wait())), opinion("hours", says(wait()))];
    assert_eq!(of(others(), &says(Outcome::Approve)).candidate, Kind::Waiting);
    assert_eq!(of(others(), &says(Outcome::Bypass("now".into()))).candidate, Kind::Bypassed);
    let faulty = vec![opinion("quorum", says(wait())), opinion("hours", boom())];
    let found = of(faulty, &says(Outcome::Approve));
    assert_eq!((found.live, found.candidate, found.change), (Kind::Faulted, Kind::Faulted, Change::Same));
}

#[test]
fn a_policy_that_took_no_part_is_not_tried() {
    let tried = |place: &Place| {
        let mut record = record(vec![opinion("quorum", says(wait()))], None);
        outlook(&mut record, place, &BOUNDS, |_, _| Tried::Answered(says(Outcome::Approve)))
    };
    assert!(tried(&Place { policy: "cap".parse().unwrap(), rule: None }).is_none());
    assert!(tried(&Place { rule: Some("other".parse().unwrap()), ..place() }).is_none());
    assert!(tried(&Place { rule: Some("main".parse().unwrap()), ..place() }).is_some());
}

#[test]
fn a_rejection_that_counts_lets_nobody_in_whatever_the_candidate_says() {
    let found = |group| {
        let mut record = record(vec![opinion("quorum", says(Outcome::Deny("no".into())))], Some(group));
        outlook(&mut record, &place(), &BOUNDS, |_, _| Tried::Answered(says(Outcome::Approve)))
            .unwrap()
            .candidate
    };
    assert_eq!(found("dba"), Kind::Denied);
    assert_eq!(found("sales"), Kind::Approved, "whose vote would not have counted");
}
