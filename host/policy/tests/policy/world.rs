//! A runtime, people and requests for the tests.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use quorate_bundle::Bundled;
use quorate_core::Timestamp;
use quorate_core::input::{Access, Choice, Input, Principal, Request, Target, Vote};
use quorate_policy::{Limits, Policy, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new(Limits::default(), None).unwrap());

/// The runtime with the default limits.
pub(crate) fn runtime() -> &'static Runtime {
    &RUNTIME
}

/// The component of this name out of the bundle.
pub(crate) fn bundled(name: &str) -> &'static Bundled {
    let mut all =
        quorate_bundle::BUILT_IN.iter().chain(quorate_bundle::EXAMPLES).chain(quorate_bundle::PROBES);
    all.find(|one| one.name == name).unwrap()
}

/// It, loaded; compiled once for all tests.
pub(crate) fn policy(name: &str) -> Policy {
    static LOADED: Mutex<BTreeMap<String, Policy>> = Mutex::new(BTreeMap::new());
    let mut loaded = LOADED.lock().unwrap();
    loaded.entry(name.to_owned()).or_insert_with(|| runtime().load(bundled(name).component).unwrap()).clone()
}

/// The policy that misbehaves as its config says, under other limits.
pub(crate) fn probes_within(limits: Limits) -> Policy {
    Runtime::new(limits, None).unwrap().load(bundled("probes").component).unwrap()
}

/// A config of the group quorum: one of each of dba and security.
pub(crate) const QUORUM: &str = r#"{"groups":["dba","security"],"require_all":true}"#;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

pub(crate) fn person(id: &str, groups: &[&str]) -> Principal {
    Principal {
        id: id.parse().unwrap(),
        email: format!("{id}@example.org"),
        groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
        attributes: Vec::new(),
    }
}

/// Ann of dev asks for two hours of prod-postgres; these approve.
pub(crate) fn ann_asks(approvals: &[(&str, &[&str])]) -> Input {
    let vote = |(id, groups): &(&str, &[&str])| Vote {
        voter: person(id, groups),
        choice: Choice::Approve,
        forced: false,
        comment: "looks right".to_owned(),
        cast_at: at(60),
    };
    Input {
        now: at(120),
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
            submitted_at: at(0),
        },
        votes: approvals.iter().map(vote).collect(),
        history: Vec::new(),
        facts: Vec::new(),
    }
}
