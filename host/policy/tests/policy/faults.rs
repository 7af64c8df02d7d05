//! Scenario P2: whatever a policy does, it is a fault with its own code, and only
//! its own.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use quorate_core::verdict::{Fault, FaultCode};
use quorate_policy::{Evaluation, Limits, Policy};

use crate::guest::Guest;
use crate::world::{QUORUM, ann_asks, policy, probes_within, runtime};

fn probe(config: &str) -> Evaluation {
    policy("probes").evaluate(config, &ann_asks(&[]))
}

fn fault(act: &str) -> Fault {
    // Filling memory costs fuel as well; here it is the memory that must run out.
    static PROBES: LazyLock<Policy> = LazyLock::new(|| {
        probes_within(Limits { fuel_max: 50_000_000, evaluate_ms_max: 5000, ..Limits::default() })
    });
    let config = format!(r#"{{"do":"{act}","text":"as asked","times":10}}"#);
    match PROBES.evaluate(&config, &ann_asks(&[])).verdict {
        Err(fault) => fault,
        Ok(verdict) => panic!("`{act}` gave {verdict:?}"),
    }
}

#[test]
fn p2_each_way_to_misbehave_has_its_own_fault() {
    for (act, code) in [
        ("loop", FaultCode::OutOfFuel),
        ("allocate", FaultCode::OutOfMemory),
        ("recurse", FaultCode::StackOverflow),
        ("recurse-on-stack", FaultCode::StackOverflow),
        ("panic", FaultCode::Trap),
        ("clock", FaultCode::Trap),
        ("big-answer", FaultCode::AnswerTooLarge),
        ("log-flood", FaultCode::OutOfFuel),
        ("wait-for-nothing", FaultCode::BadAnswer),
        ("wait-for-nobody", FaultCode::BadAnswer),
        ("bad-instant", FaultCode::BadAnswer),
        ("bad-obligation", FaultCode::BadAnswer),
        ("bad-attribute", FaultCode::BadAnswer),
    ] {
        let fault = fault(act);
        assert_eq!(fault.code, code, "`{act}` gave {fault}");
    }
}

#[test]
fn p2_a_fault_says_what_the_panic_said() {
    assert!(fault("panic").message.contains("as asked"), "{}", fault("panic"));
    let hidden = probe(r#"{"do":"panic","text":"\u001b[2Jred\nline"}"#).verdict.unwrap_err();
    assert!(hidden.message.contains("red line") && !hidden.message.contains('\u{1b}'), "{hidden}");
    let unreadable = probe("{}").verdict.unwrap_err();
    assert_eq!(unreadable.code, FaultCode::Trap);
    assert!(unreadable.message.contains("missing field `do`"), "{unreadable}");
}

#[test]
fn p2_a_policy_that_uses_no_fuel_worth_mentioning_meets_the_deadline() {
    let probes = probes_within(Limits { fuel_max: u64::MAX / 2, evaluate_ms_max: 20, ..Limits::default() });
    let fault = probes.evaluate(r#"{"do":"loop"}"#, &ann_asks(&[])).verdict.unwrap_err();
    assert_eq!((fault.code, fault.message.as_str()), (FaultCode::Deadline, "more than 20 ms"));
}

#[test]
fn p2_what_was_used_stays_within_the_limits() {
    let limits = Limits::default();
    assert_eq!(probe(r#"{"do":"loop"}"#).fuel_used, limits.fuel_max);
    let memory = probe(r#"{"do":"allocate"}"#).memory_bytes;
    assert!(memory <= limits.memory_bytes_max as u64 && memory > 8 << 20, "{memory}");
    let flood = probe(r#"{"do":"log-flood"}"#).log;
    assert!(flood.iter().map(String::len).sum::<usize>() < limits.log_bytes_max + 100);
}

#[test]
fn p2_an_answer_just_under_the_limit_is_none_of_it() {
    let findings =
        |times: u32| probe(&format!(r#"{{"do":"many-findings","text":"x","times":{times}}}"#)).verdict;
    assert_eq!(findings(200).unwrap().findings.len(), 200);
    assert_eq!(findings(300).unwrap_err().code, FaultCode::BadAnswer);
    assert_eq!(findings(10_000).unwrap_err().code, FaultCode::AnswerTooLarge);
}

#[test]
fn p2_what_goes_in_has_its_limits_too() {
    let quorum = policy("group-quorum");
    let mut input = ann_asks(&[("bob", &["dba"])]);
    input.votes[0].comment = "x".repeat(256 << 10);
    let evaluation = quorum.evaluate(QUORUM, &input);
    assert_eq!(evaluation.verdict.unwrap_err().code, FaultCode::InputTooLarge);
    assert_eq!(evaluation.fuel_used, 0, "it was not even started");
    input.votes[0].comment = "x".repeat(250 << 10);
    assert!(quorum.evaluate(QUORUM, &input).verdict.is_ok());
    let config = " ".repeat((64 << 10) + 1);
    assert_eq!(quorum.evaluate(&config, &input).verdict.unwrap_err().code, FaultCode::BadConfig);
    assert_eq!(quorum.check(&config).unwrap_err().code, FaultCode::BadConfig);
}

#[test]
fn p2_an_answer_the_engine_cannot_read_is_a_bad_answer() {
    let cases = [
        ("beyond its memory", "i32.const 0x7fffffff"),
        ("no such outcome", "(i32.store8 (i32.const 256) (i32.const 9)) i32.const 256"),
        (
            "text beyond its memory",
            "(i32.store8 (i32.const 256) (i32.const 4)) (i32.store (i32.const 260) (i32.const -8)) (i32.store (i32.const 264) (i32.const 100)) i32.const 256",
        ),
        (
            "text that is none",
            "(i32.store8 (i32.const 256) (i32.const 4)) (i32.store (i32.const 260) (i32.const 300)) (i32.store (i32.const 264) (i32.const 1)) (i32.store8 (i32.const 300) (i32.const 255)) i32.const 256",
        ),
    ];
    for (what, evaluate) in cases {
        let policy = runtime().load(&Guest::default().evaluate(evaluate).build()).unwrap();
        let fault = policy.evaluate("{}", &ann_asks(&[])).verdict.unwrap_err();
        assert_eq!(fault.code, FaultCode::BadAnswer, "{what}: {fault}");
    }
}

#[test]
fn p2_an_access_outside_of_memory_without_recursion_is_a_trap() {
    let wild = Guest::default().evaluate("(drop (i32.load (i32.const -4))) i32.const 256").build();
    let fault = runtime().load(&wild).unwrap().evaluate("{}", &ann_asks(&[])).verdict.unwrap_err();
    assert_eq!(fault.code, FaultCode::Trap, "{fault}");
}

#[test]
fn p2_more_memory_than_allowed_is_out_of_memory_at_once() {
    let greedy = Guest::default().evaluate("(drop (memory.grow (i32.const 1000))) i32.const 256").build();
    let evaluation = runtime().load(&greedy).unwrap().evaluate("{}", &ann_asks(&[]));
    assert_eq!(evaluation.verdict.unwrap_err().code, FaultCode::OutOfMemory);
    assert!(evaluation.fuel_used < 10_000 && evaluation.memory_bytes == 64 << 10);
}

#[test]
fn p2_a_call_leaves_nothing_behind_for_the_next() {
    let counts = Guest::default()
        .evaluate(
            "(i32.store (i32.const 400) (i32.add (i32.load (i32.const 400)) (i32.const 1)))
             (if (i32.ne (i32.load (i32.const 400)) (i32.const 1)) (then unreachable)) i32.const 256",
        )
        .build();
    let counts = runtime().load(&counts).unwrap();
    for call in 0..1000 {
        assert!(counts.evaluate("{}", &ann_asks(&[])).verdict.is_ok(), "call {call} saw an earlier one");
    }
}

#[test]
fn p2_others_are_unaffected_and_memory_is_flat() {
    let quorum = policy("group-quorum");
    let probes = policy("probes");
    let input = ann_asks(&[("bob", &["dba"]), ("sam", &["security"])]);
    let expected = quorum.evaluate(QUORUM, &input);
    let misbehave = || {
        for act in ["loop", "allocate", "recurse", "panic", "big-answer", "log-flood"] {
            let config = format!(r#"{{"do":"{act}","text":"boom"}}"#);
            assert!(probes.evaluate(&config, &ann_asks(&[])).verdict.is_err());
        }
    };
    // The pool and the allocator settle before the first look.
    (0..5).for_each(|_| misbehave());
    let before = resident_bytes();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let decide = || {
            let mut count = 0_u32;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(quorum.evaluate(QUORUM, &input), expected);
                count += 1;
            }
            count
        };
        let decided = scope.spawn(decide);
        (0..20).for_each(|_| misbehave());
        over.store(true, Ordering::Relaxed);
        assert!(decided.join().unwrap() > 0);
    });
    let grown = resident_bytes().saturating_sub(before);
    // 20 times 16 MiB were allocated. Other tests run in this process as well.
    assert!(grown < 128 << 20, "{grown} bytes more");
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
