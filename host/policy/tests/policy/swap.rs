//! Scenario P1, as far as it is about the set: a decision sees the old one or the
//! new one, never a mix.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use quorate_core::ids::PolicyName;
use quorate_core::verdict::FaultCode;
use quorate_policy::{Active, Policy};

use crate::world::{QUORUM, ann_asks, policy};

fn name(text: &str) -> PolicyName {
    text.parse().unwrap()
}

#[test]
fn p1_a_decision_sees_the_old_set_or_the_new_one_never_a_mix() {
    let versions = [policy("group-quorum"), policy("empty")];
    let of = |version: &Policy| -> BTreeMap<_, _> {
        ["first", "second", "third"].map(|one| (name(one), version.clone())).into()
    };
    let sets = versions.each_ref().map(of);
    let active = Active::default();
    active.replace_all(&sets[0]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let decide = || {
            let mut generations = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let set = active.load();
                let digests: Vec<_> = set.iter().map(|(_, policy)| policy.digest()).collect();
                assert!(digests.len() == 3 && digests.iter().all(|one| *one == digests[0]), "a mix");
                for one in ["first", "second", "third"] {
                    assert!(set.evaluate(&name(one), QUORUM, &ann_asks(&[])).verdict.is_ok());
                }
                generations.push(set.generation());
            }
            assert!(generations.is_sorted(), "a later look saw an earlier set");
            generations.len()
        };
        let deciders = [scope.spawn(decide), scope.spawn(decide)];
        for round in 0..1200 {
            active.replace_all(&sets[round % 2]);
            std::thread::yield_now();
        }
        over.store(true, Ordering::Relaxed);
        for decider in deciders {
            assert!(decider.join().unwrap() > 0);
        }
    });
    assert_eq!(active.load().generation(), 1201);
}

#[test]
fn p1_of_several_writers_at_once_none_undoes_another() {
    let active = Active::default();
    let empty = policy("empty");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (active, empty) = (&active, &empty);
            scope.spawn(move || {
                for round in 0..50 {
                    active.replace(&name(&format!("p{writer}-{round}")), Some(empty));
                }
            });
        }
    });
    let set = active.load();
    assert_eq!((set.iter().count(), set.generation()), (200, 200));
}

#[test]
fn a_policy_that_is_not_active_is_a_fault() {
    let active = Active::default();
    let gone = name("gone");
    active.replace(&gone, Some(&policy("empty")));
    let held = active.load();
    assert!(active.replace(&gone, None).get(&gone).is_none());
    let evaluation = active.load().evaluate(&gone, "{}", &ann_asks(&[]));
    assert_eq!(evaluation.verdict.unwrap_err().code, FaultCode::Missing);
    assert!(
        held.evaluate(&gone, "{}", &ann_asks(&[])).verdict.is_ok(),
        "who held the old set finishes with it"
    );
}
