//! The vectors, and texts that are too long to be written down in them.

use quorate_kit::testing::{asks, person};
use quorate_kit::{Access, Command, Outcome, Verdict};

use super::*;

#[test]
fn the_vectors_pass() {
    quorate_kit::vectors::passes(include_str!("../vectors/sql-guard.yaml"), evaluate, check);
}

fn said(text: &str) -> Verdict {
    let config = Config {
        groups: vec!["dba".to_owned()],
        write_approvals: 1,
        strict_approvals: 2,
        functions: Vec::new(),
        arguments: Vec::new(),
    };
    let mut input = asks(person("ann", &["dev"]));
    input.request.access = Access::Command(Command { text: text.to_owned(), arguments: Vec::new() });
    evaluate(&config, &input)
}

/// Whether it waits for two people, the first finding being about `part`.
fn is_strict(text: &str, part: &str) {
    let verdict = said(text);
    let Outcome::Wait(ways) = &verdict.outcome else { panic!("{:?}: {:.60}", verdict.outcome, text) };
    assert_eq!(ways[0][0].approvals, 2, "{text:.60}");
    assert!(verdict.findings[0].message.contains(part), "{:?}: {text:.60}", verdict.findings[0]);
}

/// The frames of a parser that is not optimised are larger than a test's stack.
fn with_a_large_stack(test: fn()) {
    std::thread::Builder::new().stack_size(64 << 20).spawn(test).unwrap().join().unwrap();
}

#[test]
fn what_is_nested_without_end_is_for_people_and_no_fault() {
    with_a_large_stack(nested);
}

fn nested() {
    for depth in [17, 100, 5_000] {
        is_strict(&format!("select {}1{}", "(".repeat(depth), ")".repeat(depth)), "parentheses");
        is_strict(&format!("select {}1", "(".repeat(depth)), "parenthes");
    }
    is_strict(&format!("select {} true", "not ".repeat(1000)), "too long without");
    is_strict(&format!("select {} true", "not ".repeat(150)), "not understood");
    is_strict(&format!("select {}1", "- ".repeat(150)), "recursion limit");
    is_strict(&"select 1;".repeat(51), "too many statements");
    is_strict(&format!("select 1{}", " + 1".repeat(1000)), "too long without");
    is_strict(&format!("select 1 {}", "union select 1 ".repeat(1000)), "too long without");
    is_strict(&format!("select {} 1 {}", "case when true then ".repeat(70), "end ".repeat(70)), "");
    is_strict(&format!("select 1 {}", "/*".repeat(5000)), "comment is not closed");
}

#[test]
fn a_long_chain_that_is_short_enough_is_read() {
    assert_eq!(said(&format!("select 1{}", " + 1".repeat(140))).outcome, Outcome::Approve);
    assert_eq!(said(&format!("select {}1{}", "(".repeat(16), ")".repeat(16))).outcome, Outcome::Approve);
    assert_eq!(said(&format!("select 1 {}", "/* */".repeat(2000))).outcome, Outcome::Approve);
    assert_eq!(
        said(&format!("select 1 {0}{1}", "/*".repeat(2000), "*/".repeat(2000))).outcome,
        Outcome::Approve
    );
}

#[test]
fn a_hundred_thousand_bytes_are_for_people() {
    is_strict(&format!("select '{}'", "x".repeat(100_000)), "bytes");
    is_strict(&format!("select {}1", "1, ".repeat(33_000)), "bytes");
    // And what comes at their end is seen.
    let Outcome::Deny(why) = said(&format!("select '{}'; \\! id", "x".repeat(100_000))).outcome else {
        panic!("not denied");
    };
    assert!(why.contains("command of psql"), "{why}");
}
