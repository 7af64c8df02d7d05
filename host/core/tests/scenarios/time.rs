//! What time does, what ends access early, and what runs once.

use quorate_core::entry::{Happened, Step, Stream, View};
use quorate_core::ids::SessionId;
use quorate_core::input::Command;
use quorate_core::refused::Refused;
use quorate_core::request::{Event, Request, State};
use quorate_core::rule::AccessType;
use quorate_core::session::{End, EndReason, Session};

use crate::ledger::race;
use crate::policies::{amount, require_all};
use crate::world::{World, at, person, rule, user};

fn world() -> World {
    World::new(vec![amount(&["dba"], 1)])
}

fn approved() -> World {
    let mut world = world().ask("ann", "1h");
    world.approve("bob", 0).unwrap();
    world
}

fn session(id: &str) -> SessionId {
    id.parse().unwrap()
}

fn approved_command() -> World {
    let rules = vec![(rule("commands", AccessType::Command), vec![amount(&["dba"], 1)])];
    let mut world = World::with_rules(rules).ask_to_run("ann", "select 1").unwrap();
    world.approve("bob", 0).unwrap();
    world
}

fn run(world: &World, request: &Request, text: &str, id: &str) -> Result<Step, Refused> {
    let command = Command { text: text.to_owned(), arguments: Vec::new() };
    let digest = world.resource.command_digest(&command);
    request.run(&user("ann"), digest, &session(id), 60, at(10))
}

fn folded(world: &World, id: &str) -> Session {
    match world.ledger.view(&Stream::session(&session(id))) {
        View::Session(session) => *session,
        other => panic!("{other:?} is not a session"),
    }
}

#[test]
fn a_command_that_hides_what_it_does_is_refused() {
    let ask = |text: &str| {
        let rules = vec![(rule("commands", AccessType::Command), vec![amount(&["dba"], 1)])];
        World::with_rules(rules).ask_to_run("ann", text).map(|_| ()).map_err(|refused| refused.code())
    };
    for plain in ["select 1;\n\tselect 2", "select 1;\r\n", "select 'grüße, 你好'"] {
        assert_eq!(ask(plain), Ok(()), "{plain:?}");
    }
    // A bare carriage return ends a comment that looks as if it went on; the others
    // cannot be seen, or turn the direction of writing.
    for hidden in ["select 1; -- fine\rdrop table t", "a\u{200b}b", "a\u{202e}b", "a\u{1b}[1Ab", "a\0b"] {
        assert_eq!(ask(hidden), Err("invalid"), "{hidden:?}");
    }
}

#[test]
fn t1_a_request_that_nobody_answers_times_out() {
    let mut world = world().ask("ann", "1h");
    assert_eq!(world.request().deadline(), Some(at(3600)));
    assert!(!world.settle(3599));
    assert!(world.settle(3600));
    assert_eq!(world.state(), "TIMED_OUT");
    assert_eq!(world.request().deadline(), None);
}

#[test]
fn t1_a_late_approval_does_not_win_against_the_deadline() {
    let mut world = world().ask("ann", "1h");
    // Nobody has recorded yet that the time is over.
    let refused = world.approve("bob", 3600).unwrap_err();
    assert_eq!(refused.to_string(), "already decided: TIMED_OUT by the deadline at 2026-03-02T11:00:00Z");
    assert!(world.decide(3600).is_err());
}

#[test]
fn t2_an_admin_the_requester_or_an_approver_revokes_and_nobody_else() {
    for who in ["root", "ann", "bob"] {
        let mut world = approved();
        world.step(Event::Revoke(person(who), "no longer needed".to_owned()), 60).unwrap();
        match world.request().state {
            State::Revoked { by, why, .. } => {
                assert_eq!((by.to_string().as_str(), why.as_str()), (who, "no longer needed"));
            }
            other => panic!("{} is not REVOKED", other.name()),
        }
        assert!(world.request().permit(&user("ann"), at(61)).is_err());
    }
    let mut world = approved();
    assert_eq!(world.step(Event::Revoke(person("sam"), String::new()), 60), Err(Refused::NotRevoker));
}

#[test]
fn t2_a_session_does_not_open_under_a_permit_from_before_the_revocation() {
    let mut world = approved();
    let permit = world.request().permit(&user("ann"), at(60)).unwrap();
    let late = Session::open(&permit, &session("s1"), at(61));
    world.step(Event::Revoke(person("root"), String::new()), 61).unwrap();
    assert!(!world.ledger.append(&late));
}

#[test]
fn t4_an_approved_command_runs_once() {
    let mut world = approved_command();
    let step = run(&world, &world.request(), "select 1", "s1").unwrap();
    assert!(world.ledger.append(&step));
    assert_eq!(world.state(), "EXECUTED");
    assert_eq!(folded(&world, "s1").opened.until, at(70));
    assert_eq!(run(&world, &world.request(), "select 1", "s2"), Err(Refused::AlreadyRun));
}

#[test]
fn t4_an_approved_command_runs_once_also_when_asked_at_once() {
    let mut collisions = 0;
    for order in 0..64 {
        let mut world = approved_command();
        let mut ledger = world.ledger.clone();
        let first = |request: &Request| run(&world, request, "select 1", "s1");
        let second = |request: &Request| run(&world, request, "select 1", "s2");
        let finish = race(&mut ledger, &world.id, [&first, &second], order);
        world.ledger = ledger;
        assert_eq!(finish.iter().filter(|one| one.result.is_ok()).count(), 1, "order {order:b}");
        let stream = Stream::request(&world.id);
        let started = world.ledger.happened(&stream);
        let started = started.filter(|one| matches!(one, Happened::CommandStarted { .. })).count();
        assert_eq!(started, 1, "order {order:b}");
        let sessions = ["s1", "s2"].map(|id| world.ledger.of(&Stream::session(&session(id))).len());
        assert_eq!(sessions.iter().sum::<usize>(), 1, "order {order:b}");
        collisions += finish.iter().map(|one| one.lost).sum::<usize>();
    }
    assert!(collisions > 10, "they met only {collisions} times");
}

#[test]
fn t5_something_else_than_what_was_approved_does_not_run() {
    let mut world = approved_command();
    assert_eq!(run(&world, &world.request(), "select 2", "s1"), Err(Refused::NotWhatWasApproved));
    // The resource was changed after the approval: the same input is another command.
    world.resource.command.push("--other-database".to_owned());
    assert_eq!(run(&world, &world.request(), "select 1", "s1"), Err(Refused::NotWhatWasApproved));
    assert_eq!(world.state(), "APPROVED");
}

#[test]
fn t5_an_argument_is_not_the_same_as_input() {
    let world = approved_command();
    let command = Command { text: String::new(), arguments: vec!["select 1".to_owned()] };
    let digest = world.resource.command_digest(&command);
    let refused = world.request().run(&user("ann"), digest, &session("s1"), 60, at(10));
    assert_eq!(refused, Err(Refused::NotWhatWasApproved));
}

#[test]
fn t5_what_waits_for_approval_does_not_run() {
    let rules = vec![(rule("commands", AccessType::Command), vec![amount(&["dba"], 1)])];
    let world = World::with_rules(rules).ask_to_run("ann", "select 1").unwrap();
    let refused = run(&world, &world.request(), "select 1", "s1");
    assert_eq!(refused, Err(Refused::NotOpen { state: "PENDING" }));
}

#[test]
fn t5_an_approved_command_does_not_wait_for_ever() {
    let world = approved_command();
    assert_eq!(world.until(), at(900));
    let digest = world.resource.command_digest(&Command { text: "select 1".into(), arguments: vec![] });
    let late = world.request().run(&user("ann"), digest, &session("s1"), 60, at(900));
    assert_eq!(late, Err(Refused::NotOpen { state: "EXPIRED" }));
}

#[test]
fn t7_a_group_without_people_is_told_from_the_start() {
    let world = World::new(vec![require_all(&["dba", "security"])]).ask("ann", "1h");
    let ways = world.ways_out(&["bob", "bea", "eve"]);
    assert!(!ways[0].can_be_met);
    let missing: Vec<_> = ways[0].missing.iter().map(|one| (one.what.as_str(), one.people.len())).collect();
    assert_eq!(missing, [("1 of dba", 2), ("1 of security", 0)]);
    assert!(world.ways_out(&["bob", "sam"])[0].can_be_met);
    assert!(!world.ways_out(&["sue"])[0].can_be_met);
}

/// A session under a grant of an hour, and a permit under one of two.
fn overlapping() -> (World, Session, quorate_core::session::Permit) {
    let mut world = approved();
    let permit = world.request().permit(&user("ann"), at(60)).unwrap();
    assert!(world.ledger.append(&Session::open(&permit, &session("s1"), at(60))));
    let opened = folded(&world, "s1");
    world.id = "r2".parse().unwrap();
    let mut world = world.ask("ann", "2h");
    world.approve("bob", 600).unwrap();
    let other = world.request().permit(&user("ann"), at(3600)).unwrap();
    (world, opened, other)
}

#[test]
fn t8_a_session_goes_on_to_the_end_of_an_overlapping_grant() {
    let (mut world, opened, other) = overlapping();
    assert_eq!(opened.opened.until, at(3600));
    assert!(world.ledger.append(&opened.carry(&other, at(3600)).unwrap()));
    let carried = folded(&world, "s1");
    assert_eq!((carried.opened.until, carried.opened.request), (at(600 + 7200), world.id));
    assert_eq!(carried.opened_at, at(60));
}

#[test]
fn t8_a_session_does_not_go_on_under_a_grant_that_was_revoked_meanwhile() {
    let (mut world, opened, other) = overlapping();
    let carry = opened.carry(&other, at(3600)).unwrap();
    world.step(Event::Revoke(person("root"), String::new()), 3600).unwrap();
    assert!(!world.ledger.append(&carry));
}

#[test]
fn t8_a_session_goes_on_only_while_it_and_the_other_grant_last() {
    let (mut world, opened, other) = overlapping();
    assert_eq!(opened.carry(&other, at(600 + 7200)), Err(Refused::NotOpen { state: "EXPIRED" }));
    let end = End { reason: EndReason::Exited, message: String::new(), exit_code: Some(0) };
    let step = opened.end(end.clone(), quorate_core::entry::Actor::Gateway, at(61)).unwrap();
    assert!(world.ledger.append(&step));
    let ended = folded(&world, "s1");
    assert_eq!(ended.carry(&other, at(62)), Err(Refused::SessionEnded));
    assert_eq!(ended.end(end, quorate_core::entry::Actor::Gateway, at(62)), Err(Refused::SessionEnded));
}

#[test]
fn t8_the_run_of_a_command_does_not_go_on_under_a_grant() {
    let (mut world, _, other) = overlapping();
    world.rules = vec![(rule("commands", AccessType::Command), vec![amount(&["dba"], 1)])];
    world.id = "r3".parse().unwrap();
    let mut world = world.ask_to_run("ann", "select 1").unwrap();
    world.approve("bob", 0).unwrap();
    let step = run(&world, &world.request(), "select 1", "s3").unwrap();
    assert!(world.ledger.append(&step));
    assert!(matches!(folded(&world, "s3").carry(&other, at(20)), Err(Refused::Invalid { .. })));
}

#[test]
fn a_permit_is_for_the_requester_and_for_a_window_only() {
    let world = approved();
    assert_eq!(world.request().permit(&user("bob"), at(60)), Err(Refused::NotYours));
    let command = approved_command();
    assert!(matches!(command.request().permit(&user("ann"), at(1)), Err(Refused::NotOpen { .. })));
}
