use std::io::Write as _;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::*;
use crate::cli::words::Paint;

fn policy(name: &str) -> Policy {
    let mut all = quorate_bundle::BUILT_IN.iter().chain(quorate_bundle::EXAMPLES);
    crate::cli::policy::loaded(all.find(|one| one.name == name).unwrap().component).unwrap()
}

fn person(id: &str, groups: &[&str]) -> Value {
    json!({"id": id, "email": "", "groups": groups, "attributes": []})
}

/// A record in which rule prod asked `policies`, with these people's approvals.
fn record(policies: &[&str], config: &Value, approvals: &[&str]) -> Record {
    let at = "2027-01-15T08:00:00Z";
    let votes = approvals.iter().map(|id| {
        json!({"voter": person(id, &["dba"]), "choice": "approve", "forced": false, "comment": "fine", "cast_at": at})
    });
    let opinions = policies.iter().map(|policy| {
        json!({
            "policy": policy, "version": null, "config": config.to_string(), "fuel_used": 1,
            "answer": {"verdict": {
                "outcome": {"kind": "abstain"}, "max_duration": null, "voters": {"groups": [], "users": []},
                "forcers": {"groups": [], "users": []}, "revisit_at": null, "findings": [], "obligations": [],
                "attributes": [],
            }},
        })
    });
    serde_json::from_value(json!({
        "input": {
            "now": at, "votes": votes.collect::<Vec<_>>(), "history": [], "facts": [],
            "request": {
                "id": "r1", "requester": person("ann", &["dev"]), "reason": "ticket 7", "submitted_at": at,
                "target": {"name": "prod", "kind": "postgres", "max_duration": null, "attributes": []},
                "access": {"type": "just-in-time", "seconds": 7200},
            },
        },
        "rules": [{"rule": "prod", "revision": 1, "opinions": opinions.collect::<Vec<_>>()}],
        "engine": "e",
    }))
    .unwrap()
}

fn line(record: &Record) -> String {
    let text = serde_json::to_string(record).unwrap();
    format!("{{\"digest\":\"{}\",\"record\":{text}}}", Digest::of(text.as_bytes()))
}

fn file(lines: &[String]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    file
}

fn quorum() -> Value {
    json!({"groups": ["dba"]})
}

#[test]
fn where_two_decide_otherwise_is_grouped_with_the_smallest_first() {
    let lines = [&["bob", "bea"][..], &["bob"], &[]].map(|by| line(&record(&["quorum"], &quorum(), by)));
    let file = file(&lines);
    let decisions = Decisions::of(file.path(), None).unwrap();
    assert_eq!(decisions.policy.as_str(), "quorum");
    let same = decisions.compare(&policy("group-quorum"), &policy("group-quorum")).unwrap();
    assert_eq!((same.asked, same.differences.len()), (3, 0));

    // With one approval the one approves, where the other wants another.
    let compared = decisions.compare(&policy("group-quorum"), &policy("four-eyes")).unwrap();
    let flips = &compared.differences[&("approved".to_owned(), "waiting".to_owned())];
    assert_eq!(flips.len(), 1, "{:?}", compared.differences.keys());
    assert_eq!(flips[0].story.last().unwrap(), "bob approves: fine");
    let text = compared.in_words("recorded answer", 3, Paint(false));
    assert!(
        text.contains("approved → waiting: 1 time") && text.contains("request r1, decided 2027-01-15"),
        "{text}"
    );
}

#[test]
fn one_that_does_not_answer_never_agrees() {
    let file = file(&[line(&record(&["quorum"], &json!({"nonsense": 1}), &[]))]);
    let decisions = Decisions::of(file.path(), None).unwrap();
    let compared = decisions.compare(&policy("group-quorum"), &policy("group-quorum")).unwrap();
    let faults = &compared.differences[&("faulted".to_owned(), "faulted".to_owned())];
    assert_eq!(faults[0].parts, ["fault"]);
}

#[test]
fn what_the_other_policies_said_stays() {
    let file = file(&[line(&record(&["quorum", "cap"], &quorum(), &["bob"]))]);
    let failure = Decisions::of(file.path(), None).unwrap_err();
    assert!(
        failure.message.contains("--policy") && failure.message.contains("cap, quorum"),
        "{}",
        failure.message
    );
    let decisions = Decisions::of(file.path(), Some("quorum".parse().unwrap())).unwrap();
    assert_eq!(decisions.compare(&policy("group-quorum"), &policy("four-eyes")).unwrap().asked, 1);
    let failure = Decisions::of(file.path(), Some("other".parse().unwrap())).unwrap_err();
    assert!(failure.message.contains("asked policy `other`"), "{}", failure.message);
}

#[test]
fn a_line_that_is_broken_or_was_changed_is_named_and_nothing_is_compared() {
    let good = line(&record(&["quorum"], &quorum(), &["bob"]));
    for (bad, why) in [
        (good.replace("ticket 7", "ticket 8"), "line 2 of"),
        (good.replace("ticket 7", "ticket 8"), "was changed: its digest is another"),
        ("{}".to_owned(), "is no recorded decision"),
        (String::new(), "is no recorded decision"),
        (good[..good.len() - 9].to_owned(), "line 2 of"),
        (line(&record(&[], &quorum(), &[])).replace("\"engine\"", "\"motor\""), "was changed"),
    ] {
        let file = file(&[good.clone(), bad]);
        let failure = Decisions::of(file.path(), None).unwrap_err();
        assert!(failure.message.contains(why), "{}", failure.message);
    }
    let other = "{\"a\":1}";
    let sealed = format!("{{\"digest\":\"{}\",\"record\":{other}}}", Digest::of(other.as_bytes()));
    let failure = Decisions::of(file(&[sealed]).path(), None).unwrap_err();
    assert!(
        failure.message.contains("line 1") && failure.message.contains("cannot read"),
        "{}",
        failure.message
    );
    assert!(Decisions::of(Path::new("/nowhere"), None).unwrap_err().message.contains("cannot be read"));
}
