//! Scenario P3: what is no policy is refused with the reason, and nothing changes.

use quorate_core::ids::PolicyName;
use quorate_policy::{Active, Limits, LoadError, Runtime};

use crate::guest::{Guest, component};
use crate::world::{QUORUM, ann_asks, bundled, policy, runtime};

fn refused(component: &[u8]) -> LoadError {
    match runtime().load(component) {
        Err(error) => error,
        Ok(policy) => panic!("{policy:?} was loaded"),
    }
}

#[track_caller]
fn assert_refused(component: &[u8], code: &str, reason: &str) {
    let error = refused(component);
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(reason), "`{reason}` is not in `{error}`");
}

#[test]
fn p3_an_empty_file() {
    assert_refused(&[], "empty", "the file is empty");
}

#[test]
fn p3_a_file_of_100_mb() {
    let large = vec![0; 100 << 20];
    assert_refused(&large, "too-large", "104857600 bytes, 33554432 are allowed");
}

#[test]
fn p3_something_that_is_no_component() {
    assert_refused(b"#!/bin/sh\nexit 0\n", "not-a-component", "does not begin as one");
    assert_refused(&wat::parse_str("(module)").unwrap(), "not-a-component", "core module");
    let whole = bundled("group-quorum").component;
    for length in [9, whole.len() / 3, whole.len() - 1] {
        assert_refused(&whole[..length], "not-a-component", "");
    }
}

#[test]
fn p3_a_component_with_a_broken_byte_never_panics() {
    let whole = bundled("empty").component;
    for place in (0..whole.len()).step_by(whole.len() / 20) {
        let mut broken = whole.to_vec();
        broken[place] ^= 0x55;
        // Some bytes, such as those of texts, do not matter; those are loaded.
        let _ = runtime().load(&broken);
    }
}

#[test]
fn p3_a_component_for_another_world() {
    let wit = "package acme:thing@0.1.0; interface run { run: func(); } world w { export run; }";
    let other = component(wit, "w", r#"(module (func (export "acme:thing/run@0.1.0#run")))"#);
    assert_refused(
        &other,
        "wrong-contract",
        "does not export `quorate:policy/rule`; it exports `acme:thing/run@0.1.0`",
    );
    assert_refused(&wat::parse_str("(component)").unwrap(), "wrong-contract", "it exports nothing");
}

#[test]
fn p3_a_component_of_a_newer_or_older_contract() {
    for version in ["1.1.0", "2.0.0"] {
        let newer = Guest::default().version(version).build();
        assert_refused(&newer, "wrong-contract", &format!("of version {version}"));
        assert_refused(&newer, "wrong-contract", "newer: update the gateway");
    }
    let older = Guest::default().version("0.9.0").build();
    assert_refused(&older, "wrong-contract", "older: rebuild it");
}

#[test]
fn p3_a_component_that_differs_in_one_place_names_the_place() {
    let differ = |from, to| Guest::default().contract(from, to).build();
    for (from, to, reason) in [
        (
            "    forced: bool,\n",
            "    forced: bool,\n    weight: u32,\n",
            "`rule.evaluate`: parameter `input`: record `input`: field `votes`: record `vote`: \
             field `weight` is not in the contract",
        ),
        ("    reason: string,\n", "", "field `reason` is missing"),
        (
            "record finding {\n    /// Stable, lower case, words joined by hyphens: `too-few-members`.\n    code: string,",
            "record finding {\n    code: u32,",
            "field `code`: it should be `string` and is `u32`",
        ),
        ("    abstain,\n", "    abstain,\n    maybe,\n", "case `maybe` is not in the contract"),
        ("    approve,\n    reject,\n", "    reject,\n    approve,\n", "case `approve` is out of order"),
        ("known: option<json>", "known: list<json>", "should be `option<string>` and is `list<string>`"),
        ("type seconds = u64;", "type seconds = u32;", "it should be `u64` and is `u32`"),
    ] {
        assert_refused(&differ(from, to), "wrong-contract", reason);
    }
}

#[test]
fn p3_a_component_that_imports_more_than_the_contract_offers() {
    let clock = "package wasi:clocks@0.2.0 { interface wall-clock { now: func() -> u64; } }\n";
    let reads_it = Guest::default()
        .contract(
            "world approval-policy-v1 {",
            "world approval-policy-v1 { import wasi:clocks/wall-clock@0.2.0;",
        )
        .contract("interface host {", "interface extra {}\ninterface host {")
        .contract("  export settings;\n}", &format!("  export settings;\n}}\n{clock}"))
        .imports(r#"(import "wasi:clocks/wall-clock@0.2.0" "now" (func $now (result i64)))"#)
        .evaluate("(drop (call $now)) i32.const 256")
        .build();
    assert_refused(&reads_it, "foreign-import", "wasi:clocks/wall-clock@0.2.0");

    let more_of_the_host = Guest::default()
        .contract("log: func(message: string);", "log: func(message: string); now: func() -> u64;")
        .imports(r#"(import "quorate:policy/host@1.0.0" "now" (func $now (result i64)))"#)
        .evaluate("(drop (call $now)) i32.const 256")
        .build();
    assert_refused(&more_of_the_host, "foreign-import", "host.now");

    let bare = Guest::default()
        .contract("  import host;", "  import host;\n  import now: func() -> u64;")
        .imports(r#"(import "$root" "now" (func $now (result i64)))"#)
        .evaluate("(drop (call $now)) i32.const 256")
        .build();
    assert_refused(&bare, "foreign-import", "now");
}

#[test]
fn p3_a_component_that_the_engine_does_not_accept() {
    let atomics = Guest::default().items("(func (drop (i32.atomic.load (i32.const 0))))").build();
    assert_refused(&atomics, "does-not-compile", "thread");
    // Larger from the start than it may ever get.
    assert_refused(&Guest::default().memory_pages(1000).build(), "does-not-compile", "memory");
}

#[test]
fn p3_a_component_that_does_not_start() {
    let dies = Guest::default().items("(func $boom unreachable) (start $boom)").build();
    assert_refused(&dies, "does-not-start", "trap");
    let hangs = Guest::default().items("(func $spin (loop (br 0))) (start $spin)").build();
    assert_refused(&hangs, "does-not-start", "out-of-fuel");
    assert_refused(&Guest::default().evidence("unreachable").build(), "does-not-start", "trap");
    let wants_a_million = "(i32.store (i32.const 260) (i32.const 1000000)) i32.const 256";
    assert_refused(&Guest::default().evidence(wants_a_million).build(), "does-not-start", "");
    // What is only called later shows later, as a fault.
    assert!(runtime().load(&Guest::default().check("unreachable").build()).is_ok());
}

#[test]
fn p3_a_component_whose_schema_is_none() {
    for (schema, reason) in [
        ("", "EOF"),
        ("{type: object}", "key must be a string"),
        ("[1,2]", "not an object"),
        ("true", "not an object"),
        (r#"{"type":7}"#, "`type`"),
        (r#"{"properties":[]}"#, "`properties`"),
        (r#"{"required":[1]}"#, "`required`"),
        (r#"{"$schema":{}}"#, "`$schema`"),
    ] {
        assert_refused(&Guest::default().schema(schema).build(), "bad-schema", reason);
    }
}

#[test]
fn p3_the_active_policy_keeps_serving() {
    let name: PolicyName = "quorum".parse().unwrap();
    let active = Active::default();
    active.replace(&name, Some(&policy("group-quorum")));
    let before = active.load().evaluate(&name, QUORUM, &ann_asks(&[]));
    for bad in [&b""[..], b"junk", &Guest::default().version("2.0.0").build()] {
        refused(bad);
        let set = active.load();
        assert_eq!(set.generation(), 1);
        assert_eq!(set.evaluate(&name, QUORUM, &ann_asks(&[])), before);
    }
}

#[test]
fn limits_under_which_nothing_runs_are_refused() {
    for limits in [
        Limits { fuel_max: 0, ..Limits::default() },
        Limits { evaluate_ms_max: 0, ..Limits::default() },
        Limits { memory_bytes_max: 0, ..Limits::default() },
        Limits { stack_bytes_max: 0, ..Limits::default() },
        Limits { evaluations_max: 0, ..Limits::default() },
    ] {
        assert!(Runtime::new(limits, None).is_err());
    }
}
