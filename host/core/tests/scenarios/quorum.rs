//! The quorum cases, as far as the core has a part in them: votes reach a policy
//! once each, and what is missing reaches people.

use quorate_core::refused::Refused;

use crate::policies::{amount, quorum, require_all};
use crate::world::World;

#[test]
fn q1_one_of_two_groups_leaves_the_other_missing() {
    let mut world = World::new(vec![require_all(&["dba", "security"])]).ask("ann", "1h");
    world.approve("bob", 60).unwrap();
    assert_eq!((world.state(), world.missing()), ("PENDING", vec!["1 of security".to_owned()]));
}

#[test]
fn q2_one_of_each_group_approves() {
    let mut world = World::new(vec![require_all(&["dba", "security"])]).ask("ann", "1h");
    world.approve("bob", 60).unwrap();
    world.approve("sam", 61).unwrap();
    assert_eq!(world.state(), "APPROVED");
}

#[test]
fn q3_q4_one_person_does_not_fill_two_groups_whatever_the_order() {
    for order in [["sue", "bob"], ["bob", "sue"]] {
        let mut world = World::new(vec![require_all(&["dba", "security"])]).ask("ann", "1h");
        world.approve(order[0], 60).unwrap();
        assert_eq!((world.state(), world.missing().len()), ("PENDING", 1));
        world.approve(order[1], 61).unwrap();
        assert_eq!(world.state(), "APPROVED");
    }
}

#[test]
fn q5_somebody_in_two_groups_is_one_approval_and_enough_where_one_is() {
    let mut world = World::new(vec![amount(&["dba", "security"], 1)]).ask("ann", "1h");
    world.approve("sue", 60).unwrap();
    assert_eq!(world.state(), "APPROVED");
}

#[test]
fn q6_a_second_vote_of_the_same_person_is_refused() {
    let mut world = World::new(vec![amount(&["dba"], 2)]).ask("ann", "1h");
    world.approve("bob", 60).unwrap();
    assert!(matches!(world.approve("bob", 61), Err(Refused::AlreadyVoted { .. })));
    assert!(matches!(world.reject("bob", 62), Err(Refused::AlreadyVoted { .. })));
    assert_eq!(world.state(), "PENDING");
}

#[test]
fn q7_two_people_are_two_approvals() {
    let mut world = World::new(vec![amount(&["dba"], 2)]).ask("ann", "1h");
    world.approve("bob", 60).unwrap();
    world.approve("bea", 61).unwrap();
    assert_eq!(world.approval().by(), "bob, bea");
}

#[test]
fn q8_more_approvals_than_people_is_told_as_not_to_be_met() {
    let world = World::new(vec![amount(&["dba"], 5)]).ask("ann", "1h");
    let ways = world.ways_out(&["bob", "bea", "sam"]);
    assert!(!ways[0].can_be_met);
    assert_eq!((ways[0].missing[0].approvals, ways[0].missing[0].people.len()), (5, 2));
}

#[test]
fn q9_an_amount_and_all_groups_must_both_be_met() {
    let asked = || World::new(vec![quorum(&["dba", "security"], true, 3)]).ask("ann", "1h");
    for (last, state) in [("sam", "APPROVED"), ("ben", "PENDING")] {
        let mut world = asked();
        for (seconds, who) in [(60, "bob"), (61, "bea"), (62, last)] {
            world.approve(who, seconds).unwrap();
        }
        assert_eq!(world.state(), state);
    }
    let mut world = asked();
    for (seconds, who) in [(60, "bob"), (61, "bea"), (62, "ben")] {
        world.approve(who, seconds).unwrap();
    }
    assert_eq!(world.missing(), ["1 of security"]);
}
