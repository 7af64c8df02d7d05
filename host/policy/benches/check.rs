//! How fast a small world is looked at: every order of up to four votes by eight people on
//! the group quorum, 145,681 states, on one core.
//!
//! Under `cargo bench` it is that; otherwise a few states, to see that it works.
#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark stops where it cannot go on")]

use std::time::Instant;

use quorate_kit::properties::World;
use quorate_policy::{Limits, Runtime, vectors};

/// The people of a world in which everything holds.
const PEOPLE: &str = "\
people: {ann: [dev], bob: [dba], bea: [dba], bill: [dba], sam: [security], sue: [dba, security], sid: [security],
         eve: [sre], kim: [sre]}
requesters: [ann]
configs: [{groups: [dba, security], require_all: true}]
durations: [1h]
properties: {people_min: 2}
";

fn main() {
    let whole = std::env::args().any(|argument| argument == "--bench");
    let (votes, states) = if whole { (4, 145_681) } else { (2, 1 + 24 + 24 * 21) };
    let runtime = Runtime::new(Limits::default(), None).expect("a runtime");
    let quorum =
        quorate_bundle::BUILT_IN.iter().find(|one| one.name == "group-quorum").expect("it is built in");
    let policy = runtime.load(quorum.component).expect("a policy");
    let world = World::parse(&format!("{PEOPLE}votes: {votes}\n")).expect("a world").remove(0);

    let began = Instant::now();
    let found = vectors::look(&world, &policy).expect("a world that fits");
    let took = began.elapsed();
    assert_eq!((found.states, found.counterexamples.len()), (states, 0), "{:?}", found.counterexamples);
    // Each state is one evaluation.
    let per_second = f64::from(u32::try_from(found.states).unwrap_or(u32::MAX)) / took.as_secs_f64();
    println!(
        "{} states, an evaluation each, in {took:.2?}: {per_second:.0} a second on one core",
        found.states
    );
}
