//! Which rules cover a request, and what follows where none or several do.

use quorate_core::decision::Decision;
use quorate_core::entry::{Actor, Happened, Stream};
use quorate_core::refused::Refused;
use quorate_core::request::{Event, Ruling};
use quorate_core::rule::AccessType;
use quorate_core::verdict::FaultCode;

use crate::policies::{amount, broken, cap, force, require_all};
use crate::world::{World, at, person, prod, rule};

#[test]
fn r1_where_no_rule_covers_it_the_request_is_refused() {
    let refused = World::with_rules(vec![]).try_ask("ann", "1h").err().unwrap();
    assert_eq!(
        refused.to_string(),
        "no access request rule covers ann asking for just-in-time access to prod"
    );
}

#[test]
fn r1_a_group_with_standing_access_enters_without_a_rule_and_nobody_else_does() {
    let standing = || {
        let mut world = World::with_rules(vec![]);
        world.resource.standing_groups.insert("dba".parse().unwrap());
        world
    };
    assert!(standing().try_ask("ann", "1h").is_err());
    let mut world = standing().submit_only("bob", "1h").unwrap();
    let group = world.resource.standing_group(&person("bob")).cloned().unwrap();
    let ruling = Ruling { decision: Decision::standing(group), ..world.ruling(&world.request(), at(0)) };
    world.step(Event::Decided(Box::new(ruling)), 0).unwrap();
    assert_eq!(world.approval().by(), "the standing access of dba");
    assert_eq!(world.until(), at(3600));
}

#[test]
fn r2_a_rule_for_one_way_in_does_not_open_the_other() {
    let refused = World::new(vec![amount(&["dba"], 1)]).ask_to_run("ann", "select 1").err().unwrap();
    assert!(matches!(refused, Refused::NotCovered { access_type: AccessType::Command, .. }), "{refused}");
}

#[test]
fn r3_every_rule_that_matches_must_approve_and_the_smaller_duration_holds() {
    let rules = vec![
        (rule("one", AccessType::JustInTime), vec![amount(&["dba"], 1), cap(7200, false)]),
        (rule("two", AccessType::JustInTime), vec![amount(&["security"], 1), cap(3600, false)]),
    ];
    let mut world = World::with_rules(rules).ask("ann", "8h");
    assert_eq!(world.missing(), ["1 of dba", "1 of security"]);
    world.approve("bob", 60).unwrap();
    assert_eq!(world.missing(), ["1 of security"]);
    world.approve("sam", 61).unwrap();
    assert_eq!(world.until(), at(61 + 3600));
    let named: Vec<_> = world.approval().rules.iter().map(|used| used.rule.to_string()).collect();
    assert_eq!(named, ["one", "two"]);
}

#[test]
fn r3_a_bypass_in_one_rule_does_not_open_the_other() {
    let rules = vec![
        (rule("one", AccessType::JustInTime), vec![amount(&["dba"], 1), force(&["sre"])]),
        (rule("two", AccessType::JustInTime), vec![amount(&["security"], 1)]),
    ];
    let mut world = World::with_rules(rules).ask("ann", "1h");
    world.force("eve", "the site is down", 60).unwrap();
    assert_eq!((world.state(), world.missing()), ("PENDING", vec!["1 of security".to_owned()]));
}

#[test]
fn r4_attributes_narrow_a_rule() {
    let narrowed = |env: &str| {
        let mut rule = rule("eu", AccessType::JustInTime);
        rule.attributes.insert("env".to_owned(), "eu".to_owned());
        let mut world = World::with_rules(vec![(rule, vec![amount(&["dba"], 1)])]);
        world.resource.attributes.insert("env".to_owned(), env.to_owned());
        world.try_ask("ann", "1h")
    };
    assert!(narrowed("eu").is_ok());
    assert!(matches!(narrowed("us").err(), Some(Refused::NotCovered { .. })));
}

#[test]
fn r5_required_groups_say_whose_requests_a_rule_covers() {
    let for_dev = || {
        let mut rule = rule("dev", AccessType::JustInTime);
        rule.required_groups.insert("dev".parse().unwrap());
        World::with_rules(vec![(rule, vec![amount(&["dba"], 1)])])
    };
    assert!(for_dev().try_ask("ann", "1h").is_ok());
    assert!(matches!(for_dev().try_ask("eve", "1h").err(), Some(Refused::NotCovered { .. })));
}

#[test]
fn r6_an_edited_rule_decides_from_the_next_event_on_and_both_versions_are_on_record() {
    let mut world = World::new(vec![require_all(&["dba", "security"])]).ask("ann", "1h");
    world.rules[0].0.revision = 2;
    world.rules[0].1 = vec![amount(&["dba"], 1)];
    assert_eq!(world.state(), "PENDING");
    world.approve("bob", 60).unwrap();
    assert_eq!(world.state(), "APPROVED");
    let stream = Stream::request(&world.id);
    let decided = world.ledger.happened(&stream).filter_map(|happened| match happened {
        Happened::RequestDecided { decision, .. } => Some(decision.rules[0].revision),
        _ => None,
    });
    assert_eq!(decided.collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn r7_a_fault_leaves_the_request_pending_and_marked() {
    for code in [FaultCode::Missing, FaultCode::Trap, FaultCode::OutOfFuel, FaultCode::UnknownObligation] {
        let mut world = World::new(vec![amount(&["dba"], 1), broken(code)]).ask("ann", "1h");
        assert_eq!((world.state(), world.faults()), ("PENDING", 1));
        world.approve("bob", 60).unwrap();
        assert_eq!((world.state(), world.faults()), ("PENDING", 1));
        assert_eq!(world.decision().faults()[0].policy.as_str(), "policy-2");
    }
}

#[test]
fn r7_a_vote_that_the_broken_policy_might_count_is_refused_saying_so() {
    let mut world = World::new(vec![broken(FaultCode::Trap)]).ask("ann", "1h");
    let refused = world.approve("bob", 60).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the vote cannot be counted now: policy policy-1 does not answer (trap: it is broken); \
         vote again once it is replaced"
    );
    assert_eq!(world.request().votes.len(), 0);
}

#[test]
fn r7_a_replaced_policy_decides_with_the_votes_that_are_there() {
    let mut world = World::new(vec![amount(&["dba"], 1), broken(FaultCode::Trap)]).ask("ann", "1h");
    world.approve("bob", 60).unwrap();
    world.rules[0].1.pop();
    world.decide(120).unwrap();
    assert_eq!((world.state(), world.until()), ("APPROVED", at(120 + 3600)));
}

#[test]
fn r7_a_rejection_holds_beside_a_fault() {
    let mut world = World::new(vec![amount(&["dba"], 1), broken(FaultCode::Trap)]).ask("ann", "1h");
    world.reject("bob", 60).unwrap();
    assert_eq!(world.rejection().0, "bob");
}

#[test]
fn r8_a_rule_does_not_name_a_resource_that_lacks_its_way_in() {
    let mut resource = prod();
    resource.access_types = [AccessType::JustInTime].into();
    let mut rule = rule("commands", AccessType::Command);
    rule.policies = serde_json::from_value(serde_json::json!([{"policy": "group-quorum"}])).unwrap();
    let refused = rule.save(0, &[resource], &[], Actor::Gateway, at(0)).unwrap_err();
    assert_eq!(refused.to_string(), "prod does not support command access");
}
