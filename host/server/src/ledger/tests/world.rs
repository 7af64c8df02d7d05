//! Ledgers in temporary folders, and steps to append to them.

use std::path::{Path, PathBuf};

use quorate_core::Timestamp;
use quorate_core::decision::{Combined, Decision};
use quorate_core::duration::AccessDuration;
use quorate_core::entry::{Actor, Step};
use quorate_core::ids::{Digest, RequestId, UserId};
use quorate_core::input::{Command, Principal};
use quorate_core::request::{Access, Asked, Bounds, Event, Request, Ruling};
use quorate_core::resource::Resource;
use quorate_core::user::{self, Profile, User};
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;

use super::super::{Append, Ledger, verify};

/// A temporary folder with a ledger in it.
pub(super) struct World {
    folder: TempDir,
    pub(super) ledger: Ledger,
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("ledger.db")).unwrap();
        Self { folder, ledger }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    /// Closes the ledger.
    pub(super) fn stop(self) -> Stopped {
        let path = self.path();
        drop(self.ledger);
        Stopped { folder: self.folder, path }
    }
}

/// A closed ledger.
pub(super) struct Stopped {
    folder: TempDir,
    pub(super) path: PathBuf,
}

impl Stopped {
    pub(super) fn start(self) -> World {
        World { ledger: Ledger::open(&self.path).unwrap(), folder: self.folder }
    }

    /// Does what no gateway would do.
    pub(super) fn tamper(&self, sql: &str) {
        let connection = raw(&self.path);
        connection
            .execute_batch(
                "DROP TRIGGER IF EXISTS entries_never_change; DROP TRIGGER IF EXISTS entries_are_kept;",
            )
            .unwrap();
        connection.execute_batch(sql).unwrap();
    }

    pub(super) fn broken(&self) -> String {
        verify(&self.path).unwrap_err().to_string()
    }
}

pub(super) fn raw(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

/// Every row of `sql`, as it is.
pub(super) fn dump(path: &Path, sql: &str) -> Vec<Vec<Value>> {
    let connection = raw(path);
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect()).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// All that is shown.
pub(super) fn dump_views(path: &Path) -> Vec<Vec<Value>> {
    ["views", "requests", "sessions"]
        .iter()
        .flat_map(|table| dump(path, &format!("SELECT * FROM {table} ORDER BY seq")))
        .collect()
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(super) fn user_id(name: &str) -> UserId {
    name.parse().unwrap()
}

/// A person as they are after `revision` entries.
pub(super) fn person(name: &str, revision: u64) -> User {
    User {
        id: user_id(name),
        profile: profile(),
        account: None,
        slack: None,
        subscription: None,
        tokens: Vec::new(),
        revision,
    }
}

pub(super) fn profile() -> Profile {
    Profile { email: "ann@example.org".to_owned(), groups: [].into(), active: true }
}

/// Saves the person `name` where they have `revision` entries.
pub(super) fn save(name: &str, revision: u64, second: i64) -> Step {
    let before = person(name, revision);
    let before = (revision > 0).then_some(&before);
    user::save(&user_id(name), before, profile(), None, Actor::Gateway, at(second)).unwrap()
}

pub(super) fn resource(name: &str) -> Resource {
    serde_json::from_value(serde_json::json!({
        "name": name, "command": ["psql"], "standing_groups": ["staff"], "secrets": ["PGPASSWORD"],
    }))
    .unwrap()
}

pub(super) fn bounds() -> Bounds {
    Bounds { ceiling_seconds: 36_000, resource_seconds: None, command_window_seconds: 3600 }
}

pub(super) fn just_in_time() -> Access {
    Access::JustInTime { duration: AccessDuration::from_seconds(3600) }
}

pub(super) fn command() -> Access {
    let command = Command { text: "select 1".to_owned(), arguments: Vec::new() };
    Access::Command { digest: resource("db").command_digest(&command), command }
}

/// A request of `user` for `to`, with nothing decided.
pub(super) fn submit(id: &str, user: &str, to: &str, access: Access, reason: &str, second: i64) -> Step {
    let requester = Principal {
        id: user_id(user),
        email: String::new(),
        groups: vec!["staff".parse().unwrap()],
        attributes: Vec::new(),
    };
    let asked = Asked {
        requester: requester.id.clone(),
        resource: to.parse().unwrap(),
        access,
        reason: reason.to_owned(),
        submitted_at: at(second),
        closes_at: at(second + 600),
    };
    Request::submit(&request_id(id), asked, &requester, &resource(to), &[], &bounds()).unwrap()
}

pub(super) fn request_id(id: &str) -> RequestId {
    id.parse().unwrap()
}

/// The approval of a request, with the record that it names.
pub(super) fn approve(request: &Request, second: i64) -> Append {
    let record = format!("the record of {} at {second}", request.id).into_bytes();
    let decision = Decision {
        outcome: Combined::Approved { bypasses: Vec::new(), standing: Some("staff".parse().unwrap()) },
        rules: Vec::new(),
        cap: None,
        voters: quorate_core::verdict::Audience::default(),
        forcers: quorate_core::verdict::Audience::default(),
        revisit_at: None,
        findings: Vec::new(),
        notices: Vec::new(),
    };
    let ruling = Ruling { decision, record: Digest::of(&record), bounds: bounds() };
    let step = request.step(Event::Decided(Box::new(ruling)), at(second)).unwrap();
    Append { blobs: vec![(Digest::of(&record), record)], ..Append::from(step) }
}

/// One of everything: people, a resource that was made anew, requests that ended
/// differently, sessions. 16 entries.
pub(super) async fn fill(ledger: &Ledger) {
    ledger.append(save("ann", 0, 1)).await.unwrap();
    ledger.append(save("ann", 1, 2)).await.unwrap();
    let db = resource("db");
    ledger.append(db.clone().save(0, Actor::Gateway, at(3)).unwrap()).await.unwrap();
    let removed = Resource { revision: 1, ..db.clone() }.remove(None, Actor::Gateway, at(4)).unwrap();
    ledger.append(removed).await.unwrap();
    ledger.append(db.save(2, Actor::User(user_id("ann")), at(5)).unwrap()).await.unwrap();
    for (id, access) in [("q1", just_in_time()), ("q2", just_in_time()), ("q3", command())] {
        ledger.append(submit(id, "ann", "db", access, "Incident 4711", 6)).await.unwrap();
    }
    for id in ["q1", "q3"] {
        let request = ledger.request(&request_id(id)).unwrap().unwrap();
        ledger.append(approve(&request, 7)).await.unwrap();
    }
    let cancelled = ledger.request(&request_id("q2")).unwrap().unwrap();
    let cancelled = cancelled.step(Event::Cancel(user_id("ann")), at(8)).unwrap();
    ledger.append(cancelled).await.unwrap();
    let request = ledger.request(&request_id("q1")).unwrap().unwrap();
    let permit = request.permit(&user_id("ann"), at(9)).unwrap();
    let opened = quorate_core::session::Session::open(&permit, &"s1".parse().unwrap(), at(9));
    ledger.append(opened).await.unwrap();
    let request = ledger.request(&request_id("q3")).unwrap().unwrap();
    let Access::Command { digest, .. } = &request.asked.access else { panic!("q3 is a command") };
    let run = request.run(&user_id("ann"), *digest, &"s2".parse().unwrap(), 60, at(10)).unwrap();
    ledger.append(run).await.unwrap();
}
