//! A request to write messages about, for tests.

use quorate_core::Timestamp;
use quorate_core::channel::EventType;
use quorate_core::entry::{Actor, Entry, Happened, Stream};
use quorate_core::ids::Digest;
use serde_json::json;

use super::News;
use crate::ledger::{Delivery, DeliveryState, Sealed};
use crate::lifecycle::{CommandView, MissingView, RequestView, VoteView, WaitingView, WayView};

/// What people could have written everywhere.
pub(super) const NASTY: &str = "<b onclick=x>&\"'</b> [a](https://evil.example) **b** <at>eve</at>\r\n\
    Open the request:\r\nhttps://evil.example\r\n.\r\nBcc: eve@example.org\u{202e}\u{7}";

fn at() -> Timestamp {
    "2026-03-02T10:00:00Z".parse().unwrap()
}

/// That `event` happened to a command that ann asked for because of `reason`.
pub(super) fn news(event: EventType, state: &str, reason: &str) -> News {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let missing = |what: &str, people: &[&str]| MissingView {
        what: what.to_owned(),
        approvals: 1,
        people: people.iter().map(|name| (*name).to_owned()).collect(),
    };
    let way = WayView {
        can_be_met: true,
        missing: vec![missing("1 of security", &["sam", "sue"]), missing("1 of dba", &[])],
    };
    let waiting = WaitingView { rule: "prod".to_owned(), policy: "group-quorum".to_owned(), ways: vec![way] };
    let vote = VoteView {
        voter: "bob".to_owned(),
        groups: vec!["dba".to_owned()],
        choice: "approve".to_owned(),
        forced: false,
        comment: reason.to_owned(),
        cast_at: at(),
    };
    let view = RequestView {
        id: id.to_owned(),
        state: state.to_owned(),
        requester: "ann".to_owned(),
        resource: "prod-postgres".to_owned(),
        access_type: "command".to_owned(),
        duration: None,
        command: Some(CommandView {
            text: format!("SELECT 1;\n{reason}"),
            arguments: vec!["--quiet".to_owned()],
            digest: "d".to_owned(),
        }),
        reason: reason.to_owned(),
        submitted_at: at(),
        closes_at: at(),
        granted: None,
        allowed: None,
        votes: vec![vote],
        waiting: if state == "PENDING" { vec![waiting] } else { Vec::new() },
        summary: "waiting for 1 of security (sam, sue)".to_owned(),
        nobody_can_approve: false,
        faults: Vec::new(),
        findings: Vec::new(),
        reminders: Vec::new(),
        rules: Vec::new(),
        approval: None,
        ended: None,
        record: None,
        url: format!("https://quorate.example.org/requests/{id}"),
        digest: "d".to_owned(),
        revision: 1,
    };
    let asked = json!({
        "requester": "ann", "resource": "prod-postgres", "reason": reason,
        "access": { "type": "just-in-time", "duration": "1h" },
        "submitted_at": at(), "closes_at": at(),
    });
    let request = json!({
        "id": id, "asked": asked, "votes": [], "decision": null, "record": null,
        "state": { "name": "PENDING" }, "revision": 1,
    });
    let id = id.parse().unwrap();
    let entry = Entry {
        stream: Stream::request(&id),
        revision: 0,
        at: at(),
        by: Actor::User("ann".parse().unwrap()),
        happened: Happened::RequestCancelled,
    };
    let delivery = Delivery {
        channel: "post".parse().unwrap(),
        entry: 7,
        event,
        request: id,
        state: DeliveryState::Waiting,
        attempts: 0,
        queued_at: at(),
        tried_at: None,
        error: None,
    };
    let sealed = Sealed { seq: 7, entry, previous: Digest::ZERO, digest: Digest::of(b"seven") };
    News { delivery, sealed, request: serde_json::from_value(request).unwrap(), view }
}
