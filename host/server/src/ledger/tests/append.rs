//! Appending: all or nothing, in order, first come first served, once.

use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use quorate_core::entry::{Actor, Stream};
use quorate_core::ids::Digest;
use quorate_core::session::Session;
use tokio::task::unconstrained;

use super::super::{
    Append, AppendError, Basis, EntryFilter, KEY_HOURS, Key, Ledger, Order, Side, Stored, TOKEN_DAYS_KEPT,
    verify,
};
use super::world::{
    World, approve, at, dump, dump_views, fill, just_in_time, person, raw, request_id, resource, save,
    submit, user_id,
};

#[tokio::test]
async fn what_is_appended_is_read_back() {
    let world = World::new();
    fill(&world.ledger).await;
    let ledger = &world.ledger;
    assert_eq!(ledger.user(&user_id("ann")).unwrap(), Some(person("ann", 2)));
    assert_eq!(ledger.resource(&"db".parse().unwrap()).unwrap().unwrap().revision, 3);
    assert_eq!(ledger.request(&request_id("q1")).unwrap().unwrap().state.name(), "APPROVED");
    assert_eq!(ledger.request(&request_id("q2")).unwrap().unwrap().state.name(), "CANCELLED");
    assert_eq!(ledger.request(&request_id("q3")).unwrap().unwrap().state.name(), "EXECUTED");
    assert_eq!(ledger.session(&"s1".parse().unwrap()).unwrap().unwrap().ended, None);
    assert_eq!(ledger.request(&request_id("q4")).unwrap(), None);
    assert_eq!(*ledger.head().borrow(), 16);
    assert_eq!(ledger.last_at(), at(10));
    assert_eq!(ledger.size().unwrap().entries, 16);
    assert_eq!(verify(&world.path()).unwrap().entries, 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_at_once_exactly_one_wins_each_revision() {
    let world = World::new();
    let wins = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..1000)
        .map(|task| {
            let (ledger, wins) = (world.ledger.clone(), Arc::clone(&wins));
            tokio::spawn(async move {
                // A hundred of them fight for each of ten revisions.
                match ledger.append(save("ann", task / 100, 1)).await {
                    Ok(_) => wins.fetch_add(1, Ordering::Relaxed),
                    Err(AppendError::Conflict) => 0,
                    Err(error) => panic!("{error}"),
                };
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let revision = world.ledger.revision(&Stream::user(&user_id("ann"))).unwrap();
    assert!(revision >= 1, "nobody won");
    assert_eq!(wins.load(Ordering::Relaxed), revision);
    assert_eq!(*world.ledger.head().borrow(), revision);
    assert_eq!(verify(&world.path()).unwrap().entries, revision);
}

#[tokio::test]
async fn appends_that_share_a_transaction_keep_their_order_and_see_each_other() {
    let world = World::new();
    // The writer waits here, first in line, until all of them stand behind it.
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let mut held = Box::pin(world.ledger.run(move |_| gate.recv().unwrap()));
    assert!(stands_in_line(&mut held).await);
    let appends = (0..100).map(|revision| {
        // The 50th comes too late, as somebody who decided on an older state does.
        let revision = if revision == 50 { 3 } else { revision - u64::from(revision > 50) };
        world.ledger.append(save("ann", revision, 1))
    });
    let mut appends: Vec<_> = appends.map(|append| Box::pin(unconstrained(append))).collect();
    for append in &mut appends {
        assert!(stands_in_line(append).await);
    }
    let commits = commits(&world.path());
    go.send(()).unwrap();
    let mut seqs = Vec::new();
    for (nth, append) in appends.into_iter().enumerate() {
        match append.await {
            Ok(appended) => seqs.push(appended.seq),
            Err(AppendError::Conflict) => assert_eq!(nth, 50),
            Err(error) => panic!("{error}"),
        }
    }
    held.await.unwrap();
    assert_eq!(seqs, (1..=99).collect::<Vec<_>>());
    assert_eq!(self::commits(&world.path()), commits + 1);
    assert_eq!(verify(&world.path()).unwrap().entries, 99);
}

/// Asks once, and that is enough to stand in line, for whether there is no answer yet.
async fn stands_in_line(append: impl Future + Unpin) -> bool {
    let mut append = append;
    std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut append).poll(context).is_pending())).await
}

/// How many transactions the log holds: each ends with a page that says how large the
/// file is then.
fn commits(ledger: &Path) -> usize {
    let log = fs::read(format!("{}-wal", ledger.display())).unwrap();
    let pages = log[32..].chunks_exact(24 + 4096);
    pages.filter(|page| page[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn the_head_changes_when_the_entry_is_there() {
    let world = World::new();
    let mut head = world.ledger.head();
    let path = world.path();
    let watcher = tokio::spawn(async move {
        head.changed().await.unwrap();
        let seq = *head.borrow();
        let rows = dump(&path, "SELECT max(seq) FROM entries");
        (seq, rows)
    });
    let appended = world.ledger.append(save("ann", 0, 1)).await.unwrap();
    let (seq, rows) = watcher.await.unwrap();
    assert_eq!(seq, appended.seq);
    assert_eq!(rows, vec![vec![rusqlite::types::Value::Integer(1)]]);
}

#[tokio::test]
async fn a_step_whose_guard_no_longer_holds_is_refused_as_a_whole() {
    let world = World::new();
    world.ledger.append(submit("q1", "ann", "db", just_in_time(), "", 1)).await.unwrap();
    let pending = world.ledger.request(&request_id("q1")).unwrap().unwrap();
    world.ledger.append(approve(&pending, 2)).await.unwrap();
    let request = world.ledger.request(&request_id("q1")).unwrap().unwrap();
    let permit = request.permit(&user_id("ann"), at(3)).unwrap();
    let admin = quorate_core::input::Principal {
        id: user_id("root"),
        email: String::new(),
        groups: vec!["admin".parse().unwrap()],
        attributes: Vec::new(),
    };
    let revoked = request.step(quorate_core::request::Event::Revoke(admin, String::new()), at(4)).unwrap();
    world.ledger.append(revoked).await.unwrap();
    let open = Session::open(&permit, &"s1".parse().unwrap(), at(5));
    assert!(matches!(world.ledger.append(open).await, Err(AppendError::Conflict)));
    assert_eq!(world.ledger.session(&"s1".parse().unwrap()).unwrap(), None);
}

#[tokio::test]
async fn a_session_opens_together_with_the_approval_that_allows_it() {
    let world = World::new();
    world.ledger.append(submit("q1", "ann", "db", just_in_time(), "", 1)).await.unwrap();
    let pending = world.ledger.request(&request_id("q1")).unwrap().unwrap();
    let mut append = approve(&pending, 2);
    let approved = quorate_core::request::Request::after(Some(&pending), &append.step).unwrap();
    let permit = approved.permit(&user_id("ann"), at(2)).unwrap();
    append.step = append.step.and(Session::open(&permit, &"s1".parse().unwrap(), at(2)));
    assert_eq!(world.ledger.append(append).await.unwrap().seq, 4);
    assert_eq!(world.ledger.open_sessions().unwrap().len(), 1);
}

#[tokio::test]
async fn what_rests_on_somebody_who_has_changed_is_a_conflict() {
    let world = World::new();
    world.ledger.append(save("ann", 0, 1)).await.unwrap();
    world.ledger.append(save("bob", 0, 1)).await.unwrap();
    let on = |head: u64| {
        let basis = Basis { head, streams: vec![Stream::user(&user_id("ann"))], decisions: false };
        let step = submit("q1", "ann", "db", just_in_time(), "", 2);
        Append { basis: Some(basis), ..Append::from(step) }
    };
    assert!(matches!(world.ledger.append(on(0)).await, Err(AppendError::Conflict)));
    // What bob is changes nothing for ann.
    assert_eq!(world.ledger.append(on(1)).await.unwrap().seq, 3);
}

#[tokio::test]
async fn what_rests_on_all_decisions_is_a_conflict_after_another_one() {
    let world = World::new();
    world.ledger.append(submit("q1", "ann", "db", just_in_time(), "", 1)).await.unwrap();
    let pending = world.ledger.request(&request_id("q1")).unwrap().unwrap();
    world.ledger.append(approve(&pending, 2)).await.unwrap();
    let decided = *world.ledger.head().borrow();
    let on = |head: u64, decisions: bool, name: &str| {
        let basis = Basis { head, streams: Vec::new(), decisions };
        Append { basis: Some(basis), ..Append::from(save(name, 0, 3)) }
    };
    assert!(matches!(world.ledger.append(on(1, true, "ann")).await, Err(AppendError::Conflict)));
    world.ledger.append(on(1, false, "ann")).await.unwrap();
    // What is no decision changes nothing for it.
    world.ledger.append(on(decided, true, "bob")).await.unwrap();
}

#[tokio::test]
async fn a_refused_append_leaves_nothing_behind() {
    let world = World::new();
    world.ledger.append(save("ann", 0, 1)).await.unwrap();
    let before = dump_views(&world.path());
    let secret = Side::Password { user: user_id("ann"), hash: "h".to_owned() };
    let step = save("bob", 0, 2).and(save("ann", 0, 2));
    let append = Append { side: vec![secret], ..Append::from(step) };
    assert!(matches!(world.ledger.append(append).await, Err(AppendError::Conflict)));
    let wrong = vec![(Digest::of(b"one"), b"another".to_vec())];
    let append = Append { blobs: wrong, ..Append::from(save("bob", 0, 2)) };
    assert!(matches!(world.ledger.append(append).await, Err(AppendError::Failed(_))));
    assert_eq!(dump_views(&world.path()), before);
    assert_eq!(world.ledger.password_hash(&user_id("ann")).unwrap(), None);
    assert_eq!(*world.ledger.head().borrow(), 1);
}

fn key(fingerprint: &[u8]) -> Key {
    Key {
        user: "ann".to_owned(),
        key: "k1".to_owned(),
        fingerprint: Digest::of(fingerprint),
        answers: "request/q1".to_owned(),
    }
}

fn keyed(id: &str, fingerprint: &[u8], second: i64) -> Append {
    let step = submit(id, "ann", "db", just_in_time(), "", second);
    Append { key: Some(key(fingerprint)), ..Append::from(step) }
}

#[tokio::test]
async fn the_same_key_appends_once_and_says_what_it_did() {
    let world = World::new();
    world.ledger.append(keyed("q1", b"a", 1)).await.unwrap();
    let repeated = world.ledger.append(keyed("q2", b"a", 2)).await.unwrap_err();
    let stored = Stored { answers: "request/q1".to_owned() };
    assert!(matches!(repeated, AppendError::Repeated(found) if found == stored));
    let reused = world.ledger.append(keyed("q3", b"b", 3)).await;
    assert!(matches!(reused, Err(AppendError::KeyReused)));
    assert_eq!(*world.ledger.head().borrow(), 1);
    let world = world.stop().start();
    let repeated = world.ledger.append(keyed("q4", b"a", 4)).await;
    assert!(matches!(repeated, Err(AppendError::Repeated(_))), "forgotten by a restart");
}

#[tokio::test]
async fn of_one_key_sent_twice_at_once_one_appends() {
    let world = World::new();
    let (first, second) =
        tokio::join!(world.ledger.append(keyed("q1", b"a", 1)), world.ledger.append(keyed("q2", b"a", 1)));
    assert_eq!(first.unwrap().seq, 1);
    assert!(matches!(second, Err(AppendError::Repeated(_))));
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let world = World::new();
    world.ledger.append(keyed("q1", b"a", 0)).await.unwrap();
    let day = KEY_HOURS * 3600;
    assert!(matches!(world.ledger.append(keyed("q2", b"b", day - 1)).await, Err(AppendError::KeyReused)));
    world.ledger.append(keyed("q3", b"b", day)).await.unwrap();
    let rows = dump(&world.path(), "SELECT fingerprint FROM keys");
    assert_eq!(rows, vec![vec![rusqlite::types::Value::Blob(Digest::of(b"b").as_bytes().to_vec())]]);
}

/// A token of ann's whose secret is its id.
fn token(id: &str, expires: i64) -> Side {
    let (user, hash, expires_at) = (user_id("ann"), Digest::of(id.as_bytes()), at(expires));
    Side::Token { id: id.to_owned(), user, hash, expires_at }
}

#[tokio::test]
async fn a_token_is_forgotten_a_month_after_it_expired() {
    let world = World::new();
    world.ledger.keep(vec![token("old", 0), token("new", 1)]).await.unwrap();
    let known = |id: &str| world.ledger.token(&Digest::of(id.as_bytes())).unwrap().is_some();
    let month = TOKEN_DAYS_KEPT * 24 * 3600;
    world.ledger.append(keyed("q1", b"a", month - 1)).await.unwrap();
    assert_eq!((known("old"), known("new")), (true, true));
    let second = Key { key: "k2".to_owned(), ..key(b"b") };
    world.ledger.remember(second, at(month)).await.unwrap();
    assert_eq!((known("old"), known("new")), (false, true));
}

#[tokio::test]
async fn what_stands_beside_the_entries_is_kept_and_forgotten() {
    let world = World::new();
    let (ann, db) = (user_id("ann"), "db".parse().unwrap());
    let secret = |value: Option<&str>| Side::Secret {
        resource: "db".parse().unwrap(),
        name: "PGPASSWORD".to_owned(),
        value: value.map(str::to_owned),
    };
    let side =
        vec![Side::Password { user: ann.clone(), hash: "h".to_owned() }, token("t1", 0), secret(Some("s"))];
    world.ledger.keep(side).await.unwrap();
    assert_eq!(world.ledger.password_hash(&ann).unwrap().as_deref(), Some("h"));
    assert_eq!(world.ledger.token(&Digest::of(b"t1")).unwrap(), Some(("t1".to_owned(), ann.clone())));
    assert_eq!(world.ledger.secrets(&db).unwrap()["PGPASSWORD"], "s");
    world.ledger.keep(vec![secret(None)]).await.unwrap();
    assert!(world.ledger.secrets(&db).unwrap().is_empty());
    assert_eq!(*world.ledger.head().borrow(), 0);
}

#[tokio::test]
async fn a_resource_takes_its_secrets_with_it() {
    let world = World::new();
    let secret = Side::Secret {
        resource: "db".parse().unwrap(),
        name: "PGPASSWORD".to_owned(),
        value: Some("s".to_owned()),
    };
    let step = resource("db").save(0, Actor::Gateway, at(1)).unwrap();
    world.ledger.append(Append { side: vec![secret], ..Append::from(step) }).await.unwrap();
    let db = world.ledger.resource(&"db".parse().unwrap()).unwrap().unwrap();
    world.ledger.append(db.remove(None, Actor::Gateway, at(2)).unwrap()).await.unwrap();
    assert!(world.ledger.secrets(&"db".parse().unwrap()).unwrap().is_empty());
    assert_eq!(world.ledger.revision(&Stream::resource(&"db".parse().unwrap())).unwrap(), 2);
}

#[tokio::test]
async fn debug_output_shows_no_secret() {
    let side = Side::Password { user: user_id("ann"), hash: "hush".to_owned() };
    assert!(!format!("{side:?}").contains("hush"));
}

#[tokio::test]
async fn views_made_anew_are_the_same_byte_for_byte() {
    let world = World::new();
    fill(&world.ledger).await;
    let before = dump_views(&world.path());
    assert!(before.len() > 10);
    world.ledger.rebuild_views().await.unwrap();
    assert_eq!(dump_views(&world.path()), before);
    let stopped = world.stop();
    stopped.tamper("DROP TABLE views; DROP TABLE requests; DROP TABLE sessions;");
    let world = stopped.start();
    assert_eq!(dump_views(&world.path()), before);
}

#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_the_writer_goes_on() {
    let world = World::new();
    world.ledger.append(save("ann", 0, 1)).await.unwrap();
    let limit = |pages: i64| {
        move |connection: &mut rusqlite::Connection| {
            let query = format!("PRAGMA max_page_count = {pages}");
            connection.query_row(&query, [], |row| row.get::<_, i64>(0)).unwrap()
        }
    };
    let pages = world.ledger.run(limit(1)).await.unwrap();
    world.ledger.run(limit(pages + 2)).await.unwrap();
    let large = vec![7; 100_000];
    let blobs = vec![(Digest::of(&large), large)];
    let append = Append { blobs: blobs.clone(), ..Append::from(save("ann", 1, 2)) };
    // Both wait together; only one of them is too large.
    let (full, small) = tokio::join!(world.ledger.append(append), world.ledger.append(save("bob", 0, 2)));
    assert!(matches!(full, Err(AppendError::Full)), "{full:?}");
    assert_eq!(small.unwrap().seq, 2);
    assert_eq!(world.ledger.blob(&blobs[0].0).unwrap(), None);
    world.ledger.run(limit(1_000_000)).await.unwrap();
    let append = Append { blobs: blobs.clone(), ..Append::from(save("ann", 1, 3)) };
    assert_eq!(world.ledger.append(append).await.unwrap().seq, 3);
    assert_eq!(world.ledger.blob(&blobs[0].0).unwrap().as_ref(), Some(&blobs[0].1));
    assert_eq!(verify(&world.path()).unwrap().entries, 3);
}

#[tokio::test]
async fn a_gateway_that_was_killed_has_lost_nothing_it_acknowledged() {
    let world = World::new();
    fill(&world.ledger).await;
    // What a killed process leaves: the file and its log, never closed.
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join("ledger.db");
    for suffix in ["", "-wal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        fs::copy(name(&world.path()), name(&left)).unwrap();
    }
    let again = Ledger::open(&left).unwrap();
    assert_eq!(*again.head().borrow(), 16);
    let all = |ledger: &Ledger| ledger.entries(&EntryFilter::default(), 100, Order::OldestFirst).unwrap();
    assert_eq!(all(&again), all(&world.ledger));
    assert_eq!(again.verify().unwrap(), world.ledger.verify().unwrap());
    assert_eq!(again.append(save("ann", 2, 11)).await.unwrap().seq, 17);
}

#[tokio::test]
async fn nobody_changes_an_entry_by_mistake() {
    let world = World::new();
    fill(&world.ledger).await;
    let connection = raw(&world.path());
    assert!(connection.execute("UPDATE entries SET at = 0", []).is_err());
    assert!(connection.execute("DELETE FROM entries", []).is_err());
}
