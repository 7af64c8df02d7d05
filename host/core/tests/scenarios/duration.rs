//! How long access lasts, and who says so.

use quorate_core::duration::{AccessDuration, DEFAULT};
use quorate_core::refused::Refused;
use quorate_core::request::{Access, State};
use quorate_core::session::Session;

use crate::policies::{amount, cap};
use crate::world::{World, at, user};

fn world() -> World {
    World::new(vec![amount(&["dba"], 1)])
}

fn refusal(world: World, duration: &str) -> String {
    world.try_ask("ann", duration).err().unwrap().to_string()
}

#[test]
fn d1_a_duration_is_kept_in_the_words_it_was_given_in() {
    for words in ["10m", "30m", "1h", "2h", "8h", "24h", "90m", "1h30m"] {
        match world().ask("ann", words).request().asked.access {
            Access::JustInTime { duration } => assert_eq!(duration.to_string(), words),
            Access::Command { .. } => panic!("a command was asked for"),
        }
    }
}

#[test]
fn d2_sixty_seconds_is_the_smallest_however_a_request_is_made() {
    assert_eq!("60s".parse::<AccessDuration>().unwrap().seconds(), 60);
    for seconds in [0, 59, 999_999 * 3600] {
        let world = world();
        let duration = AccessDuration::from_seconds(seconds);
        let asked = quorate_core::request::Asked {
            requester: user("ann"),
            resource: world.resource.name.clone(),
            access: Access::JustInTime { duration },
            reason: String::new(),
            submitted_at: at(0),
            closes_at: at(60),
        };
        let rules = [&world.rules[0].0];
        let refused = quorate_core::request::Request::submit(
            &world.id,
            asked,
            &world.requester,
            &world.resource,
            &rules,
            &world.bounds,
        );
        let told = refused.unwrap_err().to_string();
        assert!(told.contains("write hours, minutes and seconds as in 10m, 2h or 1h30m, from 60s"), "{told}");
    }
}

#[test]
fn d3_the_resources_maximum_is_the_longest_and_is_named() {
    let limited = || {
        let mut world = world();
        world.bounds.resource_seconds = Some(7200);
        world
    };
    assert_eq!(limited().ask("ann", "2h").state(), "PENDING");
    assert_eq!(refusal(limited(), "2h1s"), "2h1s is too long: the maximum is 2h, set by resource prod");
    assert_eq!(refusal(world(), "25h"), "25h is too long: the maximum is 24h, set by the gateway");
}

#[test]
fn d4_a_shorter_maximum_is_known_before_the_wait_and_holds_from_approval() {
    let mut world = World::new(vec![amount(&["dba"], 1), cap(3600, false)]).ask("ann", "2h");
    let told = world.decision().cap.unwrap();
    assert_eq!((world.state(), told.seconds, told.set_by.as_str()), ("PENDING", 3600, "policy policy-2"));
    world.approve("bob", 600).unwrap();
    assert_eq!(world.until(), at(600 + 3600));
}

#[test]
fn d5_a_session_opened_late_ends_with_the_grant() {
    let mut world = world().ask("ann", "2h");
    world.approve("bob", 0).unwrap();
    let permit = world.request().permit(&user("ann"), at(7199)).unwrap();
    assert_eq!(permit.until(), at(7200));
    let opened = Session::open(&permit, &"s1".parse().unwrap(), at(7199));
    assert!(world.ledger.append(&opened));
    let refused = world.request().permit(&user("ann"), at(7200)).unwrap_err();
    assert_eq!(refused, Refused::NotOpen { state: "EXPIRED" });
}

#[test]
fn d6_one_default_holds_where_nobody_said_how_long() {
    assert_eq!((AccessDuration::default().to_string().as_str(), DEFAULT), ("30m", "30m"));
    assert_eq!(AccessDuration::default().seconds(), 1800);
}

#[test]
fn d7_a_grant_that_ended_while_nobody_looked_is_expired_before_it_is_used() {
    let mut world = world().ask("ann", "1h");
    world.approve("bob", 0).unwrap();
    // The gateway was down from before the end until long after.
    assert!(world.request().permit(&user("ann"), at(90_000)).is_err());
    assert!(world.settle(90_000));
    assert!(matches!(world.request().state, State::Expired { .. }));
    assert_eq!(world.request().ended_at(), Some(at(3600)));
    assert!(!world.settle(90_001));
}

#[test]
fn a_clock_that_jumps_back_does_not_move_the_end() {
    let mut world = world().ask("ann", "1h");
    world.approve("bob", 600).unwrap();
    let permit = world.request().permit(&user("ann"), at(-5000)).unwrap();
    assert_eq!(permit.until(), at(600 + 3600));
    assert!(world.settle(600 + 3600));
    assert!(world.request().permit(&user("ann"), at(0)).is_err());
}
