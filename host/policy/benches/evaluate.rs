//! What one evaluation costs: the group quorum with three votes, in a fresh instance
//! under all limits, against the least that a component can do, called the same way
//! in the same run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark ends where it fails")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use quorate_core::Timestamp;
use quorate_core::input::{Access, Choice, Input, Principal, Request, Target, Vote};
use quorate_policy::{Limits, Policy, Runtime};

const CONFIG: &str = r#"{"groups":["dba","security"],"require_all":true}"#;

fn person(id: &str, groups: &[&str]) -> Principal {
    Principal {
        id: id.parse().unwrap(),
        email: format!("{id}@example.org"),
        groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
        attributes: Vec::new(),
    }
}

fn input() -> Input {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let vote = |id: &str, groups: &[&str]| Vote {
        voter: person(id, groups),
        choice: Choice::Approve,
        forced: false,
        comment: "fine".to_owned(),
        cast_at: now,
    };
    Input {
        now,
        request: Request {
            id: "r1".parse().unwrap(),
            requester: person("ann", &["dev"]),
            target: Target {
                name: "prod-postgres".parse().unwrap(),
                kind: "postgres".to_owned(),
                max_duration: Some(8 * 3600),
                attributes: Vec::new(),
            },
            access: Access::JustInTime { seconds: 7200 },
            reason: "invoice 4711 is stuck".to_owned(),
            submitted_at: now,
        },
        votes: vec![vote("bob", &["dba"]), vote("bea", &["dba"]), vote("sam", &["security"])],
        history: Vec::new(),
        facts: Vec::new(),
    }
}

fn load(runtime: &Runtime, name: &str) -> Policy {
    let mut all = quorate_bundle::BUILT_IN.iter().chain(quorate_bundle::PROBES);
    let bundled = all.find(|one| one.name == name).unwrap();
    runtime.load(bundled.component).unwrap()
}

/// How an evaluation gets its instance.
#[derive(Clone, Copy)]
enum Instance {
    /// As the gateway does it: made ahead, and cleared away once the answer is there.
    Ahead,
    /// Made and cleared away by the evaluation itself.
    Within,
}

/// Median and 99th percentile of single evaluations of each policy, taken in turns so
/// that all see the same machine.
fn single(policies: [&Policy; 2], input: &Input, instance: Instance) -> [(Duration, Duration); 2] {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..50_000 {
        for (policy, times) in policies.into_iter().zip(&mut times) {
            if matches!(instance, Instance::Ahead) {
                policy.get_ready();
            }
            let start = Instant::now();
            let evaluation = policy.evaluate(black_box(CONFIG), black_box(input));
            times.push(start.elapsed());
            assert!(evaluation.verdict.is_ok());
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        (times[times.len() / 2], times[times.len() * 99 / 100])
    })
}

fn evaluate(criterion: &mut Criterion) {
    let runtime = Runtime::new(Limits::default(), None).unwrap();
    let (quorum, empty) = (load(&runtime, "group-quorum"), load(&runtime, "empty"));
    let input = input();
    let mut group = criterion.benchmark_group("evaluate");
    group.bench_function("group-quorum, 3 votes", |bencher| {
        bencher.iter(|| quorum.evaluate(black_box(CONFIG), black_box(&input)));
    });
    group.bench_function("empty, 3 votes", |bencher| {
        bencher.iter(|| empty.evaluate(black_box(CONFIG), black_box(&input)));
    });
    group.finish();

    for (what, instance) in [("made ahead", Instance::Ahead), ("made within", Instance::Within)] {
        let [quorum, empty] = single([&quorum, &empty], &input, instance);
        let ratio = quorum.0.as_secs_f64() / empty.0.as_secs_f64();
        println!(
            "fresh instance {what}: group-quorum {:?} (p99 {:?}), empty {:?} (p99 {:?}), ratio {ratio:.2}",
            quorum.0, quorum.1, empty.0, empty.1
        );
    }
    println!("wanted: a median of at most 10 µs, and at most 4 times the empty component");
}

criterion_group!(benches, evaluate);
criterion_main!(benches);
