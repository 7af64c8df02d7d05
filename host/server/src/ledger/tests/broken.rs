//! `verify` names the first entry that was touched, whatever was done to it.

use super::super::{EntryFilter, Ledger, OpenError, Order, Sealed, verify};
use super::world::{Stopped, World, fill};

async fn filled() -> Stopped {
    let world = World::new();
    fill(&world.ledger).await;
    world.stop()
}

fn starts_with(found: &str, expected: &str) {
    assert!(found.starts_with(expected), "`{found}` does not start with `{expected}`");
}

#[tokio::test]
async fn a_flipped_byte() {
    let stopped = filled().await;
    stopped.tamper("UPDATE entries SET json = replace(json, '4711', '4712') WHERE seq IN (7, 8)");
    starts_with(&stopped.broken(), "entry 7 is broken: its text");
}

#[tokio::test]
async fn a_byte_that_leaves_no_text() {
    let stopped = filled().await;
    stopped.tamper("UPDATE entries SET json = CAST(x'ff' || CAST(json AS BLOB) AS TEXT) WHERE seq = 7");
    starts_with(&stopped.broken(), "entry 7 is broken: its text");
}

#[tokio::test]
async fn a_changed_digest() {
    let stopped = filled().await;
    stopped.tamper("UPDATE entries SET digest = zeroblob(32) WHERE seq = 5");
    starts_with(&stopped.broken(), "entry 5 is broken");
}

#[tokio::test]
async fn a_dropped_entry() {
    let stopped = filled().await;
    stopped.tamper("DELETE FROM entries WHERE seq = 4");
    assert_eq!(stopped.broken(), "entry 4 is broken: it is missing");
}

#[tokio::test]
async fn a_dropped_entry_whose_place_was_closed() {
    let stopped = filled().await;
    stopped.tamper("DELETE FROM entries WHERE seq = 4; UPDATE entries SET seq = seq - 1 WHERE seq > 4");
    starts_with(&stopped.broken(), "entry 4 is broken");
}

#[tokio::test]
async fn two_that_changed_places() {
    let stopped = filled().await;
    stopped.tamper(
        "UPDATE entries SET seq = -6 WHERE seq = 6; UPDATE entries SET seq = 6 WHERE seq = 9;
         UPDATE entries SET seq = 9 WHERE seq = -6;",
    );
    starts_with(&stopped.broken(), "entry 6 is broken");
}

#[tokio::test]
async fn an_entry_that_is_found_by_something_else() {
    let stopped = filled().await;
    stopped.tamper("UPDATE entries SET by_user = 'eve' WHERE seq = 6");
    assert_eq!(stopped.broken(), "entry 6 is broken: what it is found by was changed");
}

#[tokio::test]
async fn a_tail_that_was_cut_off() {
    let stopped = filled().await;
    stopped.tamper("DELETE FROM entries WHERE seq > 14");
    starts_with(&stopped.broken(), "entry 15 is broken: it and what followed are missing");
    let refused = Ledger::open(&stopped.path).unwrap_err();
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}");
}

#[tokio::test]
async fn an_entry_added_by_hand() {
    let stopped = filled().await;
    stopped.tamper(
        "INSERT INTO entries SELECT 17, stream, 9, at, by_user, type, json, digest FROM entries WHERE seq = 16",
    );
    starts_with(&stopped.broken(), "entry 17 is broken");
    assert!(matches!(Ledger::open(&stopped.path), Err(OpenError::Corrupt { .. })));
}

#[tokio::test]
async fn a_record_that_was_changed() {
    let stopped = filled().await;
    // The first decision is entry 9.
    stopped.tamper("UPDATE blobs SET bytes = x'00'");
    starts_with(&stopped.broken(), "entry 9 is broken: the record");
}

#[tokio::test]
async fn a_record_that_was_removed() {
    let stopped = filled().await;
    stopped.tamper("DELETE FROM blobs");
    let found = stopped.broken();
    starts_with(&found, "entry 9 is broken: the record");
    assert!(found.ends_with("is missing"), "{found}");
}

#[tokio::test]
async fn a_view_that_says_something_else() {
    let stopped = filled().await;
    stopped
        .tamper("UPDATE views SET json = replace(json, 'CANCELLED', 'REVOKED') WHERE stream = 'request/q2'");
    let found = stopped.broken();
    assert!(found.contains("what is shown of request/q2 does not follow"), "{found}");
}

#[tokio::test]
async fn a_grant_that_would_be_found_for_ever() {
    let stopped = filled().await;
    stopped.tamper("UPDATE requests SET deadline = NULL WHERE id = 'q1'");
    let found = stopped.broken();
    assert!(found.contains("what is shown of request/q1 does not follow"), "{found}");
}

#[tokio::test]
async fn a_view_of_nothing() {
    let stopped = filled().await;
    stopped.tamper("INSERT INTO views SELECT 99, 'user/eve', json FROM views WHERE stream = 'user/ann'");
    assert!(stopped.broken().contains("follows from no entry"));
}

#[tokio::test]
async fn a_sound_ledger_is_verified_while_a_gateway_writes_to_it() {
    let world = World::new();
    fill(&world.ledger).await;
    let verified = verify(&world.path()).unwrap();
    let newest = EntryFilter { after_seq: Some(15), ..EntryFilter::default() };
    let Sealed { digest, .. } = world.ledger.entries(&newest, 1, Order::OldestFirst).unwrap()[0];
    assert_eq!((verified.entries, verified.head, verified.views_checked), (16, digest, true));
    assert_eq!(world.stop().start().ledger.verify().unwrap(), verified);
}

#[tokio::test]
async fn entries_are_chained_from_zero() {
    let world = World::new();
    fill(&world.ledger).await;
    let entries = world.ledger.entries(&EntryFilter::default(), 100, Order::OldestFirst).unwrap();
    let mut previous = quorate_core::ids::Digest::ZERO;
    for (seq, sealed) in (1..).zip(&entries) {
        assert_eq!((sealed.seq, sealed.previous), (seq, previous));
        previous = sealed.digest;
    }
}
