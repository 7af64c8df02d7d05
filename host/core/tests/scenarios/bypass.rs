//! Who may skip the others, and what that leaves on record.

use quorate_core::refused::Refused;
use quorate_core::request::State;

use crate::policies::{Native, amount, cap, force, pass};
use crate::world::{World, at, user, vote};
use quorate_core::input::{Choice, Vote};

fn with(more: Vec<Native>) -> World {
    World::new([vec![amount(&["dba"], 2)], more].into_iter().flatten().collect())
}

fn forcible() -> World {
    with(vec![force(&["sre"])]).ask("ann", "1h")
}

#[test]
fn b1_a_forced_vote_approves_at_once_marked_with_who_and_why() {
    let mut world = forcible();
    world.force("eve", "the site is down", 60).unwrap();
    assert_eq!(world.state(), "APPROVED");
    let approval = world.approval();
    assert_eq!(approval.forced_by, Some(user("eve")));
    assert_eq!(approval.bypasses[0].why, "forced by eve: the site is down");
    assert_eq!(approval.by(), "eve, forced");
}

#[test]
fn b2_forcing_needs_a_reason() {
    let mut world = forcible();
    for empty in ["", "  \n"] {
        assert_eq!(world.force("eve", empty, 60), Err(Refused::ReasonMissing));
    }
    assert_eq!((world.state(), world.request().votes.len()), ("PENDING", 0));
}

#[test]
fn b3_who_is_in_no_force_group_does_not_force_and_may_still_approve() {
    let mut world = forcible();
    let refused = world.force("bob", "let me", 60).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "bob may not force an approval here (that takes sre); a normal vote may still be possible"
    );
    world.approve("bob", 61).unwrap();
    assert_eq!(world.missing(), ["1 of dba"]);
}

#[test]
fn b3_who_may_force_has_no_normal_vote_by_that() {
    assert!(matches!(forcible().approve("eve", 60), Err(Refused::NotEligible { .. })));
}

#[test]
fn b4_nobody_forces_their_own_request() {
    let mut world = with(vec![force(&["sre"])]).ask("eve", "1h");
    assert_eq!(world.force("eve", "it is urgent", 60), Err(Refused::OwnRequest { by: user("eve") }));
}

#[test]
fn b5_an_admins_own_request_passes_marked_automatic_with_the_rule() {
    let world = with(vec![pass("admin", "automatic: admins approve their own")]).ask("root", "1h");
    assert_eq!(world.state(), "APPROVED");
    let approval = world.approval();
    assert_eq!(approval.bypasses[0].why, "automatic: admins approve their own");
    assert_eq!(approval.bypasses[0].rule.as_str(), "main");
    assert_eq!((approval.forced_by, approval.approvers.len()), (None, 0));
}

#[test]
fn b6_switched_off_an_admin_waits_like_everybody() {
    assert_eq!(with(vec![]).ask("root", "1h").state(), "PENDING");
}

#[test]
fn b7_a_bypass_skips_approval_and_not_the_cap() {
    let policies = |refuse| vec![pass("admin", "automatic"), cap(7200, refuse)];
    let refused = with(policies(true)).ask("root", "3h");
    assert!(matches!(refused.request().state, State::Rejected { .. }));
    let shortened = with(policies(false)).ask("root", "3h");
    assert_eq!(shortened.until(), at(7200));
    assert_eq!(with(policies(true)).ask("root", "2h").state(), "APPROVED");
}

#[test]
fn b8_a_skip_group_passes_marked_skipped() {
    let world = with(vec![pass("oncall", "skipped: oncall")]).ask("eve", "1h");
    assert_eq!(world.approval().bypasses[0].why, "skipped: oncall");
    assert_eq!(with(vec![pass("oncall", "skipped: oncall")]).ask("ann", "1h").state(), "PENDING");
}

#[test]
fn only_an_approval_can_be_forced() {
    let mut world = forcible();
    let plain = vote(crate::world::person("eve"), Choice::Reject, 60);
    let forced = Vote { forced: true, comment: "no".to_owned(), ..plain };
    assert_eq!(world.cast(&forced), Err(Refused::ForcedRejection));
}
