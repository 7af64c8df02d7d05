use super::*;
use crate::input::Command;
use crate::verdict::{Fault, FaultCode};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn person(name: &str, group: &str) -> Principal {
    Principal {
        id: name.parse().unwrap(),
        email: format!("{name}@example.org"),
        groups: vec![group.parse().unwrap()],
        attributes: Vec::new(),
    }
}

fn opinion(answer: Answer) -> Opinion {
    Opinion {
        policy: "group-quorum".parse().unwrap(),
        version: Some(Digest::of(b"component")),
        config: r#"{"groups":["dba"],"text":"a \\ b"}"#.to_owned(),
        answer,
        fuel_used: 7915,
        log: Vec::new(),
    }
}

/// As most of them are.
fn usual() -> Record {
    let people = Audience { groups: vec!["security".to_owned()], users: Vec::new() };
    let missing = Requirement { people: people.clone(), approvals: 1, message: "1 more".to_owned() };
    let waits = Verdict { voters: people, ..Verdict::new(Outcome::Wait(vec![vec![missing]])) };
    Record {
        input: Input {
            now: at(60),
            request: Request {
                id: "r-1".parse().unwrap(),
                requester: person("ann", "dev"),
                target: Target {
                    name: "prod".parse().unwrap(),
                    kind: "postgres".to_owned(),
                    max_duration: Some(28_800),
                    attributes: Vec::new(),
                },
                access: Access::JustInTime { seconds: 7200 },
                reason: "an \"index\" is\tmissing\n".to_owned(),
                submitted_at: at(0),
            },
            votes: vec![Vote {
                voter: person("bob", "dba"),
                choice: Choice::Approve,
                forced: false,
                comment: "looks ünïcode 🦀".to_owned(),
                cast_at: at(60),
            }],
            history: Vec::new(),
            facts: Vec::new(),
        },
        rules: vec![RuleOpinion {
            rule: "prod".parse().unwrap(),
            revision: 3,
            opinions: vec![opinion(Answer::Verdict(waits))],
        }],
        engine: "wasmtime-1.2.3".to_owned(),
    }
}

/// With everything that can be in one.
fn full() -> Record {
    let mut record = usual();
    let attribute = |name: &str| Attribute { name: name.to_owned(), value: "\"x\"".to_owned() };
    let command = Access::Command {
        command: Command { text: "drop\u{7} table".to_owned(), arguments: vec!["-v".to_owned()] },
    };
    record.input.request.requester.attributes = vec![attribute("title")];
    record.input.request.target.attributes = vec![attribute("env")];
    record.input.request.target.max_duration = None;
    record.input.request.access = command.clone();
    record.input.votes[0].choice = Choice::Reject;
    record.input.history = vec![PastRequest {
        access: command,
        outcome: "EXECUTED".to_owned(),
        submitted_at: at(-5000),
        ended_at: Some(at(-4000)),
    }];
    record.input.facts = vec![
        Fact { name: "on-call".to_owned(), known: Some("[\"eve\"]".to_owned()), as_of: at(9) },
        Fact { name: "incident".to_owned(), known: None, as_of: at(9) },
    ];
    let mut denies = Verdict::new(Outcome::Deny("no".to_owned()));
    denies.max_duration = Some(60);
    denies.revisit_at = Some(at(100));
    denies.findings = vec![Finding {
        code: "late".to_owned(),
        message: "too late".to_owned(),
        path: Some("/x".to_owned()),
    }];
    denies.obligations =
        vec![Obligation { kind: "tell".to_owned(), params: "{}".to_owned(), critical: true }];
    denies.attributes = vec![attribute("more")];
    let fault = Fault { code: FaultCode::OutOfFuel, message: "all of it".to_owned() };
    let bypass = Verdict::new(Outcome::Bypass("on call".to_owned()));
    let answers = [Verdict::new(Outcome::Approve), Verdict::new(Outcome::Abstain), bypass, denies];
    record.rules[0].opinions.extend(answers.map(Answer::Verdict).map(opinion));
    let missing = Opinion { version: None, log: vec!["a line".to_owned()], ..opinion(Answer::Fault(fault)) };
    record.rules[0].opinions.push(missing);
    record
}

#[test]
fn what_this_program_writes_is_read_in_order() {
    let json = serde_json::to_string(&usual()).unwrap();
    assert_eq!(in_order(&json), Some(usual()), "{json}");
    let mut bare = usual();
    bare.input.votes.clear();
    bare.rules.clear();
    assert_eq!(in_order(&serde_json::to_string(&bare).unwrap()), Some(bare));
    // An escape that is rare, and all else that can stand there.
    let json = serde_json::to_string(&full()).unwrap();
    assert_eq!(Record::from_json(json.as_bytes()).unwrap(), full(), "{json}");
    assert_eq!(in_order(&json.replace("\\u0007", "")).map(|record| record.rules), Some(full().rules));
}

#[test]
fn another_order_and_other_spaces_are_the_same_record() {
    for record in [usual(), full()] {
        let value = serde_json::to_value(&record).unwrap();
        for json in [serde_json::to_string_pretty(&record).unwrap(), value.to_string()] {
            assert_eq!(in_order(&json), None, "it does stand otherwise");
            assert_eq!(Record::from_json(json.as_bytes()).unwrap(), record);
        }
    }
}

/// Whatever happens to a record, both ways of reading it say the same of it.
#[test]
fn it_is_read_as_the_usual_way_reads_it_or_not_at_all() {
    let json = serde_json::to_vec(&full()).unwrap();
    for nth in 0..json.len() {
        let cut = &json[..nth];
        assert!(Record::from_json(cut).is_err(), "{}", String::from_utf8_lossy(cut));
    }
    let usual = serde_json::to_vec(&usual()).unwrap();
    for nth in 0..usual.len() {
        for other in *b"0\" ,\x00\xff" {
            let mut changed = usual.clone();
            changed[nth] = other;
            let expected = serde_json::from_slice::<Record>(&changed).ok();
            assert_eq!(Record::from_json(&changed).ok(), expected, "{}", String::from_utf8_lossy(&changed));
        }
    }
    for wrong in ["{}", "null", "", "[]", "{\"input\":{}}"] {
        assert!(Record::from_json(wrong.as_bytes()).is_err(), "{wrong}");
    }
    let more = [json.as_slice(), b"{}"].concat();
    assert!(Record::from_json(&more).is_err(), "something stands behind it");
}
