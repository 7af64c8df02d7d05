//! What a restart keeps, what it settles, and what it refuses to start on.

use quorate::app::App;
use quorate::clock::Clock;
use quorate::config::Config;
use quorate::ledger::{Page, RequestFilter};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::world::{START, World, component, noted, quorum};

/// A world whose links do not name the port, which is another after each start.
async fn world() -> World {
    let public_url = Some("https://quorate.example.org".to_owned());
    World::with(Config { public_url, ..Config::default() }).await
}

/// Everything that can be seen.
async fn everything(world: &World) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in ["requests?limit=200", "users", "groups", "resources", "rules", "policies", "sessions"] {
        seen.push(world.get("root", path).await.good().body);
    }
    seen
}

/// One request in each state that time and people bring about, and something to
/// configure.
async fn lived_in(world: &World) -> [String; 4] {
    world.resource("prod", quorum(&["dba", "security"], true, 1)).await;
    world
        .put("root", "resources/other", json!({ "command": ["sh"], "secrets": { "PASSWORD": "x" } }))
        .await
        .good();
    world.activate("mine", component("group-quorum")).await.good();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(world.ask("ann", "prod", "1h").await.good().id());
    }
    let ids: [String; 4] = ids.try_into().unwrap();
    for id in &ids[..3] {
        world.approve("bob", id).await.good();
    }
    world.approve("sam", &ids[0]).await.good();
    world.reject("sam", &ids[1]).await.good();
    ids
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let mut world = world().await;
    let [open, _, half, _] = lived_in(&world).await;
    let key = Some("the-same-write");
    let ask = json!({ "resource": "prod", "duration": "2h" });
    let first = world.send(Method::POST, "ann", "requests", Some(ask.clone()), key).await.good();
    let before = everything(&world).await;
    world.restart_after(60).await;
    assert_eq!(everything(&world).await, before);
    // What was half approved is approved by the other half.
    assert_eq!(world.approve("sam", &half).await.good().state(), "APPROVED");
    assert_eq!(world.get("ann", "grants").await.good().list("").len(), 2);
    assert_eq!(world.revoke("root", &open, "done").await.good().state(), "REVOKED");
    let again = world.send(Method::POST, "ann", "requests", Some(ask), key).await.good();
    assert_eq!((again.id(), again.header("idempotent-replayed")), (first.id(), "true"));
    world.finish().await;
}

#[tokio::test]
async fn d7_t1_what_fell_due_is_settled_before_anything_is_served() {
    let mut world = world().await;
    let [open, rejected, half, untouched] = lived_in(&world).await;
    world.restart_after(3600).await;
    let state = |id: &str| world.app().ledger.request(&id.parse().unwrap()).unwrap().unwrap().state.name();
    assert_eq!(
        [&open, &rejected, &half, &untouched].map(|id| state(id)),
        ["EXPIRED", "REJECTED", "TIMED_OUT", "TIMED_OUT"]
    );
    world.approve("sam", &half).await.refused(409, "already-decided");
    world.finish().await;
}

#[tokio::test]
async fn a_clock_that_was_set_back_gives_nobody_more_time() {
    let mut world = world().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let open = world.ask("ann", "prod", "1h").await.good().id();
    world.approve("bob", &open).await.good();
    world.clock.advance(40 * 60);
    let waits = world.ask("ann", "prod", "1h").await.good();
    // Down, and up again with a clock that is two hours behind.
    let behind = "2026-03-02T08:40:00Z".parse().unwrap();
    world.restart_at(behind).await;
    assert_eq!(world.request(&open).await.state(), "APPROVED");
    world.clock.advance(20 * 60);
    world.until(&open, "EXPIRED").await;
    world.approve("bob", &open).await.refused(409, "already-decided");
    assert_eq!(world.request(&waits.id()).await.text("/closes_at"), waits.text("/closes_at"));
    world.clock.advance(40 * 60);
    world.until(&waits.id(), "TIMED_OUT").await;
    // Also where it is set back while the gateway runs.
    let last = world.ask("ann", "prod", "1h").await.good().id();
    world.approve("bob", &last).await.good();
    world.clock.set(behind);
    let entry = world.ask("ann", "prod", "1h").await.good();
    assert!(entry.text("/submitted_at") >= "2026-03-02T11:40:00Z", "{}", entry.body);
    world.finish().await;
}

#[tokio::test]
async fn a_policy_that_was_swapped_stays_swapped() {
    let mut world = world().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let waits = world.ask("ann", "prod", "1h").await.good().id();
    let loaded = world.activate("group-quorum", &noted(component("group-quorum"), "mine")).await.good();
    world.restart_after(1).await;
    let policy = world.get("root", "policies/group-quorum").await.good();
    assert_eq!(
        policy.text("/active"),
        loaded.text("/digest"),
        "the built-in one does not take its place back"
    );
    assert_eq!(policy.body["serving"], true);
    // Whether or not there was time before it stopped, what waits is decided under it.
    assert_eq!(world.request(&waits).await.text("/rules/0/policies/0/version"), loaded.text("/digest"));
    world.finish().await;
}

#[tokio::test]
async fn a_policy_that_does_not_load_any_more_stops_only_what_needs_it() {
    let mut world = world().await;
    world.activate("mine", &noted(component("group-quorum"), "mine")).await.good();
    world.resource("mine", json!([{ "policy": "mine", "config": { "groups": ["dba"] } }])).await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let waits = world.ask("ann", "mine", "1h").await.good().id();
    let digest = world.get("root", "policies/mine").await.text("/active").to_owned();
    let now = world.now();
    world.stop().await;
    let connection = rusqlite::Connection::open(world.config().ledger()).unwrap();
    let blobs = connection
        .execute("UPDATE blobs SET bytes = x'00' WHERE lower(hex(digest)) = ?1", [&digest])
        .unwrap();
    assert_eq!(blobs, 1);
    drop(connection);
    fs::remove_dir_all(world.config().compiled()).unwrap();
    world.start_at(now).await.unwrap();
    assert_eq!(world.get("root", "policies/mine").await.body["serving"], false);
    let stuck = world.request(&waits).await;
    assert_eq!((stuck.state(), stuck.text("/faults/0/code")), ("PENDING", "missing"));
    let other = world.ask("ann", "prod", "1h").await.good().id();
    assert_eq!(world.approve("bob", &other).await.good().state(), "APPROVED");
    // A version that loads, and it is decided again.
    world.activate("mine", component("group-quorum")).await.good();
    let back = async || (world.request(&waits).await.list("/faults").is_empty()).then_some(());
    world.eventually("decided again", back).await;
    assert_eq!(world.approve("bob", &waits).await.good().state(), "APPROVED");
    world.stop().await;
}

#[tokio::test]
async fn views_that_are_made_anew_are_the_same() {
    let world = world().await;
    lived_in(&world).await;
    world.clock.advance(3600);
    world
        .eventually("all settled", async || {
            let waits = world.get("root", "requests?state=PENDING,APPROVED").await.good();
            (waits.body["total"] == 0).then_some(())
        })
        .await;
    let ledger = &world.app().ledger;
    let requests =
        || ledger.find_requests(&RequestFilter::default(), Page { after: None, limit: 200 }).unwrap().items;
    let (before, whole) = (everything(&world).await, requests());
    assert_eq!(whole.len(), 4);
    ledger.rebuild_views().await.unwrap();
    assert_eq!(requests(), whole);
    assert_eq!(everything(&world).await, before);
    world.finish().await;
}

#[tokio::test]
async fn an_entry_that_was_edited_is_found() {
    let mut world = world().await;
    let [open, ..] = lived_in(&world).await;
    let verify = async |world: &World| {
        world
            .eventually("a verdict", async || {
                let answer = world.get("root", "audit/verify").await;
                (answer.status == 200).then_some(answer)
            })
            .await
    };
    let whole = verify(&world).await;
    assert_eq!((&whole.body["ok"], whole.body["broken"].is_null()), (&json!(true), true));
    let now = world.now();
    world.stop().await;
    let connection = rusqlite::Connection::open(world.config().ledger()).unwrap();
    // Whoever can write the file can also take away what guards it.
    connection.execute_batch("DROP TRIGGER entries_never_change").unwrap();
    let edited = connection
        .execute(
            "UPDATE entries SET json = replace(json, '\"ann\"', '\"eve\"')
             WHERE stream = ?1 AND type = 'request-submitted'",
            [format!("request/{open}")],
        )
        .unwrap();
    assert_eq!(edited, 1);
    let seq: i64 = connection
        .query_row(
            "SELECT seq FROM entries WHERE json LIKE '%\"eve\"%' AND type = 'request-submitted'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    drop(connection);
    world.start_at(now).await.unwrap();
    let found = verify(&world).await;
    assert_eq!((&found.body["ok"], &found.body["broken"]["seq"]), (&json!(false), &json!(seq)));
    world.stop().await;
}

/// Why no gateway starts on this config.
async fn refusal(config: &Config) -> String {
    let (clock, _hand) = Clock::manual(START.parse().unwrap());
    match App::start(config.clone(), clock).await {
        Ok(_) => panic!("it started"),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test]
async fn a_second_gateway_on_the_same_ledger_is_refused_and_the_first_serves_on() {
    let world = world().await;
    let words = refusal(world.config()).await;
    assert!(words.contains("in use by another gateway") && words.contains("ledger.sqlite"), "{words}");
    lived_in(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn a_damaged_ledger_is_refused_and_left_as_it_is() {
    let mut world = world().await;
    lived_in(&world).await;
    let now = world.now();
    world.stop().await;
    let path = world.config().ledger();
    let whole = fs::read(&path).unwrap();
    let mut garbage = whole.clone();
    garbage[4096..].fill(0xa5);
    let text = b"no ledger at all\n".repeat(1000);
    for (bytes, words) in
        [(&garbage, "damaged"), (&whole[..whole.len() / 2].to_vec(), "damaged"), (&text, "not a ledger")]
    {
        fs::write(&path, bytes).unwrap();
        let refused = refusal(world.config()).await;
        assert!(refused.contains(words) && refused.contains("ledger.sqlite"), "{refused}");
        assert!(fs::read(&path).unwrap() == *bytes, "it was changed");
    }
    fs::write(&path, whole).unwrap();
    world.start_at(now).await.unwrap();
    assert_eq!(world.get("root", "requests").await.good().body["total"], 4);
    world.finish().await;
}

/// Does it without the rights of an administrator, who may write everywhere.
fn as_nobody<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        if rustix::process::geteuid().is_root() {
            let nobody = Some(rustix::thread::Uid::from_raw(65534));
            rustix::thread::set_thread_res_uid(None, nobody, None).unwrap();
        }
        work()
    });
    thread.join().unwrap()
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_is_refused() {
    let mut world = world().await;
    world.stop().await;
    let ledger = world.config().ledger();
    let allow = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    allow(world.folder(), 0o755);
    allow(&world.config().data, 0o755);
    allow(&ledger, 0o444);
    allow(&ledger.with_file_name("ledger.sqlite.lock"), 0o666);
    let config = world.config().clone();
    let words = as_nobody(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(refusal(&config))
    });
    assert!(words.contains("cannot be written") && words.contains("ledger.sqlite"), "{words}");
    allow(&ledger, 0o600);
    allow(&ledger.with_file_name("ledger.sqlite.lock"), 0o600);
    world.start_at(START.parse().unwrap()).await.unwrap();
    world.finish().await;
}
