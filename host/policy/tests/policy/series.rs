//! Calls in a row: as good as calls in fresh instances, whatever was left over.

use quorate_core::input::Input;
use quorate_core::verdict::FaultCode;
use quorate_policy::{Evaluation, Policy, Series};

use crate::guest::Guest;
use crate::world::{QUORUM, ann_asks, policy, runtime};

/// Asks for each of `questions` in a row, three times over, and compares with fresh
/// instances. Gives how often the instance was kept.
fn as_fresh(policy: &Policy, questions: &[(&str, Input)]) -> usize {
    let mut series = policy.series();
    let mut kept = 0;
    for _ in 0..3 {
        for (config, input) in questions {
            assert_eq!(series.evaluate(config, input), policy.evaluate(config, input), "{config}");
            kept += usize::from(series.has_next());
        }
    }
    kept
}

#[test]
fn a_rust_policy_says_in_a_row_what_it_says_in_fresh_instances() {
    let questions = [
        (QUORUM, ann_asks(&[])),
        (QUORUM, ann_asks(&[("bob", &["dba"])])),
        ("{}", ann_asks(&[("bob", &["dba"])])),
        (QUORUM, ann_asks(&[("bob", &["dba"]), ("sam", &["security"]), ("sue", &["dba", "security"])])),
    ];
    // Without groups it fails, and the next call has a new instance.
    assert_eq!(as_fresh(&policy("group-quorum"), &questions), 9);
}

#[test]
fn every_policy_that_comes_along_or_is_an_example_can_begin_anew() {
    for name in ["group-quorum", "duration-cap", "bypass", "four-eyes", "escalation", "budget", "probes"] {
        let mut series = policy(name).series();
        let evaluation = series.evaluate("{}", &ann_asks(&[]));
        assert_eq!(series.has_next(), evaluation.verdict.is_ok(), "{name}: {evaluation:?}");
    }
}

#[test]
fn nothing_that_a_call_leaves_over_is_seen_by_the_next() {
    let probes = policy("probes");
    let count = r#"{"do":"count"}"#;
    let questions =
        [count, count, r#"{"do":"panic"}"#, count, r#"{"do":"log"}"#, count, r#"{"do":"loop"}"#, count];
    let questions = questions.map(|config| (config, ann_asks(&[("bob", &["dba"])])));
    as_fresh(&probes, &questions);
    let mut series = probes.series();
    let code = |evaluation: Evaluation| evaluation.verdict.unwrap_err().code;
    assert_eq!(code(series.evaluate(r#"{"do":"panic"}"#, &ann_asks(&[]))), FaultCode::Trap);
    assert!(!series.has_next(), "what trapped is not entered again");
}

/// A policy that traps where it finds what it left over.
fn forgetful(items: &'static str, evaluate: &'static str) -> Policy {
    runtime().load(&Guest::default().items(items).evaluate(evaluate).build()).unwrap()
}

/// Asks three times in a row, none of which may fail. Whether one instance served.
fn serves_a_row(items: &'static str, evaluate: &'static str) -> bool {
    let policy = forgetful(items, evaluate);
    let questions = [("{}", ann_asks(&[])), ("{}", ann_asks(&[]))];
    let mut series = policy.series();
    assert!(series.evaluate("{}", &ann_asks(&[])).verdict.is_ok(), "{evaluate}");
    as_fresh(&policy, &questions) == 6
}

#[test]
fn memory_globals_and_what_memory_begins_with_are_put_back() {
    let left =
        "(if (i32.load (i32.const 9000)) (then unreachable)) (i32.store (i32.const 9000) (i32.const 1))";
    assert!(serves_a_row("", format!("{left} i32.const 256").leak()));
    let last = "(if (i32.load8_u (i32.const 65535)) (then unreachable)) (i32.store8 (i32.const 65535) (i32.const 1))";
    assert!(serves_a_row("", format!("{last} i32.const 256").leak()));
    for (kind, value) in [("i32", "7"), ("i64", "-9"), ("f32", "1.5"), ("f64", "-0x1p-3")] {
        let global = format!("(global $g (mut {kind}) ({kind}.const {value}))");
        let test = format!(
            "(if ({kind}.ne (global.get $g) ({kind}.const {value})) (then unreachable))
             (global.set $g ({kind}.const 3)) i32.const 256"
        );
        assert!(serves_a_row(global.leak(), test.leak()), "{kind}");
    }
    // Segments that lie over each other, and what lies between and behind them.
    assert!(serves_a_row(
        r#"(data (i32.const 9001) "bcd") (data (i32.const 9000) "aB") (data (i32.const 9008) "e")"#,
        "(if (i64.ne (i64.load (i32.const 9000)) (i64.const 0x64634261)) (then unreachable))
         (if (i64.ne (i64.load (i32.const 9008)) (i64.const 0x65)) (then unreachable))
         (i64.store (i32.const 9000) (i64.const -1)) (i64.store (i32.const 9008) (i64.const -1)) i32.const 256"
    ));
    // The schema's text, which stands in memory from the beginning.
    assert!(serves_a_row(
        "",
        "(if (i32.ne (i32.load8_u (i32.const 528)) (i32.const 123)) (then unreachable))
         (i32.store8 (i32.const 528) (i32.const 7)) i32.const 256"
    ));
}

#[test]
fn what_cannot_be_put_back_gets_fresh_instances() {
    // Memory that grew.
    assert!(!serves_a_row(
        "",
        "(if (i32.ne (memory.size) (i32.const 1)) (then unreachable))
         (drop (memory.grow (i32.const 1))) i32.const 256"
    ));
    let empty = "(if (i32.eqz (ref.is_null (table.get $t (i32.const 0)))) (then unreachable))";
    let table = "(table $t 2 9 funcref) (elem $e funcref (ref.func $f)) (func $f)";
    for change in [
        "(table.set $t (i32.const 0) (ref.func $f))",
        "(table.fill $t (i32.const 0) (ref.func $f) (i32.const 1))",
        "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))",
    ] {
        assert!(!serves_a_row(table, format!("{empty} {change} i32.const 256").leak()), "{change}");
    }
    assert!(!serves_a_row(
        table,
        "(if (i32.ne (table.size $t) (i32.const 2)) (then unreachable))
         (drop (table.grow $t (ref.null func) (i32.const 1))) i32.const 256"
    ));
    assert!(!serves_a_row(
        "(data $d \"x\")",
        "(memory.init $d (i32.const 9000) (i32.const 0) (i32.const 1)) (data.drop $d) i32.const 256"
    ));
    // What the start leaves would have to be left again.
    assert!(!serves_a_row(
        "(func $s (i32.store (i32.const 9000) (i32.const 1))) (start $s)",
        "(if (i32.eqz (i32.load (i32.const 9000))) (then unreachable))
         (i32.store (i32.const 9000) (i32.const 0)) i32.const 256"
    ));
    // One that takes longer to write over than to make.
    let large = Guest::default().memory_pages(5).build();
    let large = runtime().load(&large).unwrap();
    assert_eq!(as_fresh(&large, &[("{}", ann_asks(&[]))]), 0);
}

#[test]
fn what_does_not_lie_in_memory_is_refused_and_no_trouble() {
    for items in [
        r#"(data (i32.const 70000) "x") (data (i32.const 80000) "y")"#,
        r#"(data (i32.const -1) "x") (data (i32.const 65535) "xy")"#,
        r#"(data (i32.const -2147483648) "x")"#,
    ] {
        let refused = runtime().load(&Guest::default().items(items).build()).unwrap_err();
        assert_eq!(refused.code(), "does-not-start", "{items}: {refused}");
    }
}

#[test]
fn where_too_many_are_in_a_row_every_call_makes_its_own() {
    let policy = forgetful("", "i32.const 256");
    let mut rows: Vec<Series> = (0..40).map(|_| policy.series()).collect();
    for row in &mut rows {
        assert!(row.evaluate("{}", &ann_asks(&[])).verdict.is_ok());
    }
    let kept = rows.iter().filter(|row| row.has_next()).count();
    assert!(kept < 40, "{kept} have an instance");
    drop(rows);
    let mut row = policy.series();
    row.evaluate("{}", &ann_asks(&[]));
    assert!(row.has_next(), "the places were given back");
}
