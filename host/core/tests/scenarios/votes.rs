//! Whose vote counts, until when, and what happens when two arrive at once.

use quorate_core::entry::{Happened, Step, Stream};
use quorate_core::input::{Choice, Vote};
use quorate_core::refused::Refused;
use quorate_core::request::{Event, Request, State};

use crate::ledger::{Finish, race};
use crate::policies::{amount, require_all};
use crate::world::{World, at, in_groups, person, user, vote};

fn asked() -> World {
    World::new(vec![require_all(&["dba", "security"])]).ask("ann", "1h")
}

fn approved() -> World {
    let mut world = asked();
    world.approve("bob", 60).unwrap();
    world.approve("sam", 120).unwrap();
    world
}

/// Two voters race; returns the world after it and how each fared.
fn race_votes(world: &mut World, votes: &[Vote; 2], order: u32) -> [Finish; 2] {
    let mut ledger = world.ledger.clone();
    let first = |request: &Request| -> Result<Step, Refused> { world.decide_vote(request, &votes[0]) };
    let second = |request: &Request| -> Result<Step, Refused> { world.decide_vote(request, &votes[1]) };
    let finish = race(&mut ledger, &world.id, [&first, &second], order);
    world.ledger = ledger;
    finish
}

#[test]
fn v1_the_requesters_own_vote_never_counts() {
    let mut world = World::new(vec![amount(&["dba"], 1)]).ask("bob", "1h");
    assert_eq!(world.approve("bob", 60), Err(Refused::OwnRequest { by: user("bob") }));
    assert_eq!(world.reject("bob", 60), Err(Refused::OwnRequest { by: user("bob") }));
    assert_eq!((world.state(), world.request().votes.len()), ("PENDING", 0));
}

#[test]
fn v1_an_admin_is_no_exception() {
    let mut world = World::new(vec![amount(&["admin"], 1)]).ask("root", "1h");
    assert!(matches!(world.approve("root", 60), Err(Refused::OwnRequest { .. })));
}

#[test]
fn v2_a_vote_of_somebody_not_eligible_is_refused_and_the_attempt_recorded() {
    for choice in [Choice::Approve, Choice::Reject] {
        let mut world = asked();
        let attempt = vote(person("eve"), choice, 60);
        let refused = world.cast(&attempt).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "eve is not eligible to vote on this request: that takes dba or security"
        );
        let mut expected = world.request();
        assert!(world.ledger.append(&expected.note_refused(attempt, &refused, at(60))));
        expected.revision += 1;
        assert_eq!(world.request(), expected);
        let stream = Stream::request(&world.id);
        let last = world.ledger.happened(&stream).last().unwrap();
        assert!(matches!(last, Happened::VoteRefused { why, .. } if why == "not-eligible"));
    }
}

#[test]
fn v3_a_rejection_ends_it_at_once_and_earlier_votes_stay_on_record() {
    let mut world = asked();
    world.approve("bob", 60).unwrap();
    world.reject("sam", 120).unwrap();
    assert_eq!(world.rejection(), ("sam".to_owned(), "sam rejects it".to_owned()));
    let voters: Vec<_> = world.request().votes.iter().map(|vote| vote.voter.id.clone()).collect();
    assert_eq!(voters, [user("bob"), user("sam")]);
}

#[test]
fn v4_after_a_rejection_a_vote_is_refused_naming_who_and_when() {
    let mut world = asked();
    world.reject("sam", 60).unwrap();
    let refused = world.approve("bea", 120).unwrap_err();
    assert_eq!(refused.to_string(), "already decided: REJECTED by sam at 2026-03-02T10:01:00Z");
}

#[test]
fn v5_a_late_approval_does_not_move_the_end() {
    let mut world = approved();
    let until = world.until();
    assert_eq!(until, at(120 + 3600));
    let refused = world.approve("bea", 120 + 3000).unwrap_err();
    assert_eq!(refused.to_string(), "already decided: APPROVED by bob, sam at 2026-03-02T10:02:00Z");
    assert!(matches!(world.decide(120 + 3000), Err(Refused::AlreadyDecided { .. })));
    assert_eq!(world.until(), until);
}

#[test]
fn v6_groups_are_those_at_the_time_of_the_vote() {
    let mut world = asked();
    world.approve("bob", 60).unwrap();
    // Bob leaves dba; what he may do from now on is another matter.
    let now_elsewhere = vote(in_groups("bob", &["sales"]), Choice::Approve, 90);
    assert!(matches!(world.cast(&now_elsewhere), Err(Refused::AlreadyVoted { .. })));
    world.approve("sam", 120).unwrap();
    assert_eq!(world.state(), "APPROVED");
    assert!(world.request().votes[0].voter.is_in("dba"));
}

#[test]
fn v7_two_approvals_at_once_approve_exactly_once_and_both_are_kept() {
    let mut collisions = 0;
    for order in 0..1024 {
        let mut world = asked();
        let votes = ["bob", "sam"].map(|who| vote(person(who), Choice::Approve, 60));
        let finish = race_votes(&mut world, &votes, order);
        assert!(finish.iter().all(|one| one.result.is_ok()), "order {order:b}");
        assert_eq!((world.state(), world.approvals()), ("APPROVED", 1), "order {order:b}");
        assert_eq!(world.request().votes.len(), 2, "order {order:b}");
        collisions += finish.iter().map(|one| one.lost).sum::<usize>();
    }
    assert!(collisions > 100, "they met only {collisions} times");
}

#[test]
fn v8_of_an_approval_and_a_rejection_at_once_exactly_one_ends_it() {
    let mut ends = [0, 0];
    for order in 0..1024 {
        let mut world = asked();
        world.approve("bob", 30).unwrap();
        let votes = [vote(person("sam"), Choice::Approve, 60), vote(person("sue"), Choice::Reject, 60)];
        let finish = race_votes(&mut world, &votes, order);
        let winner = usize::from(finish[1].result.is_ok());
        assert!(finish[winner].result.is_ok(), "order {order:b}");
        let told = finish[1 - winner].result.clone().unwrap_err();
        assert!(matches!(told, Refused::AlreadyDecided { .. }), "order {order:b}: {told}");
        assert_eq!(world.state(), ["APPROVED", "REJECTED"][winner], "order {order:b}");
        assert_eq!(world.approvals(), 1 - winner, "order {order:b}");
        ends[winner] += 1;
    }
    assert!(ends.iter().all(|count| *count > 100), "{ends:?}");
}

#[test]
fn v9_the_same_vote_sent_twice_is_one_vote() {
    let mut world = World::new(vec![amount(&["dba"], 2)]).ask("ann", "1h");
    world.approve("bob", 60).unwrap();
    let refused = world.approve("bob", 61).unwrap_err();
    assert_eq!(refused, Refused::AlreadyVoted { by: user("bob"), at: at(60) });
    assert_eq!((world.state(), world.request().votes.len()), ("PENDING", 1));
}

#[test]
fn v9_the_same_vote_sent_twice_at_once_is_one_vote() {
    for order in 0..64 {
        let mut world = World::new(vec![amount(&["dba"], 2)]).ask("ann", "1h");
        let votes = ["bob", "bob"].map(|who| vote(person(who), Choice::Approve, 60));
        let finish = race_votes(&mut world, &votes, order);
        assert_eq!(finish.iter().filter(|one| one.result.is_ok()).count(), 1, "order {order:b}");
        assert_eq!((world.state(), world.request().votes.len()), ("PENDING", 1), "order {order:b}");
    }
}

#[test]
fn v10_after_a_cancellation_a_vote_is_refused() {
    let mut world = asked();
    world.step(Event::Cancel(user("ann")), 60).unwrap();
    assert!(matches!(world.request().state, State::Cancelled { .. }));
    let refused = world.approve("bob", 120).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "already decided: CANCELLED by the requester, ann at 2026-03-02T10:01:00Z"
    );
}

#[test]
fn only_the_requester_cancels() {
    let mut world = asked();
    assert_eq!(world.step(Event::Cancel(user("root")), 60), Err(Refused::NotRequester));
    assert_eq!(world.state(), "PENDING");
}
