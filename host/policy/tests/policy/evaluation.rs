//! What an evaluation gives, and what it is charged.

use quorate_core::input::{Access, Attribute, Command, Fact, PastRequest};
use quorate_core::verdict::{FaultCode, Outcome};
use quorate_policy::{Limits, Policy, Runtime};

use crate::guest::Guest;
use crate::world::{QUORUM, ann_asks, at, bundled, policy, runtime};

#[test]
fn a_quorum_is_counted_by_the_real_component() {
    let quorum = policy("group-quorum");
    let pending = quorum.evaluate(QUORUM, &ann_asks(&[("bob", &["dba"])])).verdict.unwrap();
    let Outcome::Wait(ways) = pending.outcome else { panic!("{:?}", pending.outcome) };
    assert_eq!(ways[0][0].people.groups, ["security"]);
    let both = ann_asks(&[("bob", &["dba"]), ("sam", &["security"])]);
    assert_eq!(quorum.evaluate(QUORUM, &both).verdict.unwrap().outcome, Outcome::Approve);
}

#[test]
fn the_same_input_gives_the_same_answer_for_the_same_fuel() {
    let quorum = policy("group-quorum");
    let again = Runtime::new(Limits::default(), None).unwrap();
    assert_eq!(again.fingerprint(), runtime().fingerprint());
    let again = again.load(bundled("group-quorum").component).unwrap();
    let input = ann_asks(&[("bob", &["dba"]), ("sue", &["dba", "security"])]);
    let first = quorum.evaluate(QUORUM, &input);
    assert!(first.verdict.is_ok() && first.fuel_used > 1000, "{first:?}");
    for _ in 0..100 {
        // Others in between leave no trace.
        let _ = quorum.evaluate("{}", &input);
        assert_eq!(quorum.evaluate(QUORUM, &input), first);
    }
    assert_eq!(again.evaluate(QUORUM, &input), first, "another runtime of the same fingerprint");
}

#[test]
fn an_instance_made_ahead_is_as_fresh_as_any_other() {
    let (quorum, probes) = (policy("group-quorum"), policy("probes"));
    let input = ann_asks(&[("bob", &["dba"])]);
    let expected = quorum.evaluate(QUORUM, &input);
    let asked_before = || probes.evaluate(r#"{"do":"count"}"#, &input).verdict.unwrap().max_duration;
    for _ in 0..100 {
        quorum.get_ready();
        probes.get_ready();
        assert_eq!(quorum.evaluate(QUORUM, &input), expected);
        assert_eq!(asked_before(), Some(0), "made ahead");
        assert_eq!(asked_before(), Some(0), "made when it was needed");
        probes.get_ready();
        assert_eq!(probes.evaluate(r#"{"do":"panic"}"#, &input).verdict.unwrap_err().code, FaultCode::Trap);
        probes.get_ready();
        assert_eq!(asked_before(), Some(0), "after a fault");
    }
}

#[test]
fn where_there_is_no_place_to_make_one_ahead_the_call_makes_its_own() {
    let runtime = Runtime::new(Limits { evaluations_max: 1, ..Limits::default() }, None).unwrap();
    let component = Guest::default().build();
    let policies: Vec<Policy> = (0..100).map(|_| runtime.load(&component).unwrap()).collect();
    policies.iter().for_each(Policy::get_ready);
    for policy in &policies {
        assert!(policy.evaluate("{}", &ann_asks(&[])).verdict.is_ok());
    }
}

#[test]
fn every_part_of_the_input_reaches_the_policy() {
    let mut input = ann_asks(&[("bob", &["dba"])]);
    input.request.requester.attributes = vec![attribute("title", "\"lead\"")];
    input.request.target.attributes = vec![attribute("env", "\"eu\"")];
    input.request.access = Access::Command {
        command: Command { text: "select 1".to_owned(), arguments: vec!["--csv".to_owned()] },
    };
    input.votes[0].comment = "bell\u{7} and ünïcode 🦀".to_owned();
    input.history = vec![PastRequest {
        access: Access::Command {
            command: Command { text: "vacuum".to_owned(), arguments: vec!["-v".to_owned()] },
        },
        outcome: "EXECUTED".to_owned(),
        submitted_at: at(-5000),
        ended_at: Some(at(-4000)),
    }];
    input.facts = vec![
        Fact { name: "on-call".to_owned(), known: Some("[\"eve\"]".to_owned()), as_of: at(90) },
        Fact { name: "incident".to_owned(), known: None, as_of: at(91) },
    ];
    let verdict = policy("probes").evaluate(r#"{"do":"echo"}"#, &input).verdict.unwrap();
    let seen = &verdict.findings[0].message;
    for part in [
        "\"ann\"",
        "ann@example.org",
        "\"dev\"",
        "title",
        "lead",
        "prod-postgres",
        "\"postgres\"",
        "28800",
        "env",
        "eu",
        "select 1",
        "--csv",
        "invoice 4711 is stuck",
        "\"bob\"",
        "\"dba\"",
        "bell\\u{7} and ünïcode 🦀",
        "vacuum",
        "-v",
        "EXECUTED",
        "1799995000000",
        "1799996000000",
        "on-call",
        "eve",
        "1800000090000",
        "incident",
        "1800000120000",
        "1800000060000",
    ] {
        assert!(seen.contains(part), "`{part}` is missing in {seen}");
    }
}

#[test]
fn a_component_says_what_it_is_and_what_it_needs() {
    let probes = policy("probes");
    assert_eq!(probes.digest().to_string(), bundled("probes").digest);
    assert_eq!(probes.bytes(), bundled("probes").component.len());
    assert_eq!(probes.evidence().history_window, Some(7 * 24 * 3600));
    assert_eq!(probes.schema()["properties"]["do"]["description"], "Which of them.");
    let metadata = policy("group-quorum").metadata().clone();
    assert_eq!(metadata.name.as_deref(), Some("group-quorum"));
    assert_eq!(metadata.version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert!(metadata.description.is_some());
}

#[test]
fn a_component_without_metadata_is_as_good() {
    let policy = runtime().load(&Guest::default().build()).unwrap();
    assert_eq!(*policy.metadata(), quorate_policy::Metadata::default());
    let evaluation = policy.evaluate("{}", &ann_asks(&[]));
    assert_eq!(evaluation.verdict.unwrap().outcome, Outcome::Abstain);
    assert_eq!(evaluation.memory_bytes, 64 << 10);
}

#[test]
fn check_gives_the_findings_of_the_policy() {
    let probes = policy("probes");
    let of = |text: &str| probes.check(&format!(r#"{{"do":"approve","text":"{text}"}}"#));
    assert_eq!(of("").unwrap(), []);
    let findings = of("warn").unwrap();
    assert!(findings[0].is_warning() && findings[0].path.as_deref() == Some("/text"));
    assert!(!of("refuse").unwrap()[0].is_warning());
    let fault = of("panic in check").unwrap_err();
    assert_eq!(fault.code, FaultCode::Trap);
    assert!(fault.message.contains("in check"), "{fault}");
}

#[test]
fn what_a_policy_logs_is_kept_within_the_limits() {
    let probes = policy("probes");
    let log = |text: &str, times: u32| {
        let config = format!(r#"{{"do":"log","text":"{text}","times":{times}}}"#);
        let evaluation = probes.evaluate(&config, &ann_asks(&[]));
        assert_eq!(evaluation.verdict.unwrap().outcome, Outcome::Approve);
        evaluation.log
    };
    assert_eq!(log("hello", 2), ["hello", "hello"]);
    let lines = log("hello", 1000);
    assert_eq!(lines.len(), 65);
    assert_eq!(lines[64], "(more was logged; 64 lines and 8192 bytes are kept)");
    let lines = log(&"x".repeat(5000), 3);
    assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>()[..2], [5000, 3192]);
}

#[test]
fn a_log_call_costs_fuel() {
    let probes = policy("probes");
    let fuel = |text: &str| {
        let config = format!(r#"{{"do":"log","text":"{text}","times":1000}}"#);
        probes.evaluate(&config, &ann_asks(&[])).fuel_used
    };
    assert!(fuel(&"x".repeat(1000)) > fuel("x") + 999_000);
}

#[test]
fn more_evaluations_than_places_wait_for_each_other() {
    let runtime = Runtime::new(Limits { evaluations_max: 1, ..Limits::default() }, None).unwrap();
    let quorum = runtime.load(bundled("group-quorum").component).unwrap();
    let input = ann_asks(&[("bob", &["dba"])]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(quorum.evaluate(QUORUM, &input).verdict.is_ok());
                }
            });
        }
    });
}

fn attribute(name: &str, value: &str) -> Attribute {
    Attribute { name: name.to_owned(), value: value.to_owned() }
}
