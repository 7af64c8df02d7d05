//! What channels have to be told: queued once, tried in order, and gone with the channel.

use quorate_core::Timestamp;
use quorate_core::channel::{Channel, ChannelKind, EventType};
use quorate_core::entry::Actor;
use quorate_core::ids::{ChannelName, RequestId};
use quorate_core::request::after;

use super::super::{Became, ChannelStatus, DeliveryState, Failed, Letter, Outcome, Tried};
use super::world::World;

const T0: Timestamp = Timestamp::UNIX_EPOCH;

fn ops() -> ChannelName {
    "ops".parse().unwrap()
}

fn channel(revision: u64) -> Channel {
    Channel {
        name: ops(),
        description: String::new(),
        kind: ChannelKind::Webhook { host: "hooks.example.org".to_owned() },
        all_requests: true,
        rules: [].into(),
        events: [].into(),
        revision,
    }
}

async fn save(world: &World, revision: u64) {
    let step = channel(revision).save(revision, None, Actor::Gateway, T0).unwrap();
    world.ledger.append(step).await.unwrap();
}

fn told(entry: u64, request: &str) -> (u64, EventType, RequestId) {
    (entry, EventType::VoteCast, request.parse().unwrap())
}

fn status(world: &World) -> ChannelStatus {
    world.ledger.channel_status(&ops()).unwrap().unwrap()
}

fn due(world: &World, seconds: u64) -> Vec<u64> {
    let due = world.ledger.due_deliveries(&ops(), after(T0, seconds), 10).unwrap();
    due.into_iter().map(|one| one.entry).collect()
}

async fn arrived(world: &World, entry: u64) {
    world
        .ledger
        .note_deliveries(&ops(), vec![Tried { entry, outcome: Outcome::Told { remark: None } }], T0)
        .await
        .unwrap();
}

/// It is tried again after so many seconds; none: it is given up.
async fn failed(world: &World, entry: u64, next: Option<u64>) {
    let failed = Failed {
        why: "it answered 500".to_owned(),
        next: next.map(|seconds| after(T0, seconds)),
        rest_until: after(T0, 1),
    };
    let tried = vec![Tried { entry, outcome: Outcome::Failed(failed) }];
    world.ledger.note_deliveries(&ops(), tried, T0).await.unwrap();
}

#[tokio::test]
async fn what_a_request_waits_for_is_its_oldest_message() {
    let world = World::new();
    save(&world, 0).await;
    let found = vec![told(2, "one"), told(3, "one"), told(4, "two")];
    assert!(world.ledger.queue_deliveries(&ops(), (1, 4), found, T0).await.unwrap());
    assert_eq!(due(&world, 0), [2, 4]);
    failed(&world, 2, Some(10)).await;
    arrived(&world, 4).await;
    // The third waits for the second, and so does whoever asks when to look again.
    assert_eq!(due(&world, 9), [] as [u64; 0]);
    assert_eq!(world.ledger.next_delivery(&ops()).unwrap(), Some(after(T0, 10)));
    assert_eq!(due(&world, 10), [2]);
    // What is given up is waited for no more.
    failed(&world, 2, None).await;
    assert_eq!((due(&world, 0), status(&world).dead), (vec![3], 1));
    arrived(&world, 3).await;
    assert_eq!(world.ledger.next_delivery(&ops()).unwrap(), None);
}

#[tokio::test]
async fn one_who_has_to_get_it_later_holds_up_nobody_else_and_is_behind_until_then() {
    let world = World::new();
    save(&world, 0).await;
    let found = vec![told(2, "one"), told(3, "one")];
    assert!(world.ledger.queue_deliveries(&ops(), (1, 3), found, T0).await.unwrap());
    let letter = async |became| {
        let letter = Letter { to: "bob@example.org".to_owned(), became };
        world.ledger.note_letter(&ops(), 2, letter).await.unwrap();
    };
    let partly = async |next: Option<u64>| {
        let (why, next) = ("greylisted".to_owned(), next.map(|seconds| after(T0, seconds)));
        let tried = vec![Tried { entry: 2, outcome: Outcome::Partly { why, next } }];
        world.ledger.note_deliveries(&ops(), tried, T0).await.unwrap();
    };
    let second = || world.ledger.deliveries(&ops(), None, None, 10).unwrap().remove(0);
    letter(Became::Deferred("greylisted".to_owned())).await;
    partly(Some(10)).await;
    // The channel does not rest, and the next message goes out, but not to bob.
    assert_eq!((status(&world).failures, due(&world, 0), due(&world, 10)), (0, vec![3], vec![3, 2]));
    assert_eq!(status(&world).error.unwrap().0, "greylisted");
    assert_eq!(
        world.ledger.behind(&second()).unwrap(),
        [("bob@example.org".to_owned(), "greylisted".to_owned())].into()
    );
    assert!(world.ledger.letters(&ops(), 2).unwrap()["bob@example.org"].is_some());
    assert_eq!(world.ledger.failed_deliveries(&"one".parse().unwrap()).unwrap().len(), 1);
    // Given up in the end, by everybody it was for.
    partly(None).await;
    let first = world.ledger.deliveries(&ops(), None, None, 10).unwrap().remove(1);
    assert_eq!(
        (first.state, first.error.as_deref()),
        (DeliveryState::Dead, Some("bob@example.org: greylisted"))
    );
    assert!(world.ledger.behind(&second()).unwrap().is_empty());
}

#[tokio::test]
async fn an_entry_is_queued_once_however_often_it_is_looked_at() {
    let world = World::new();
    save(&world, 0).await;
    for queued in [true, false] {
        let found = vec![told(2, "one")];
        assert_eq!(world.ledger.queue_deliveries(&ops(), (1, 2), found, T0).await.unwrap(), queued);
    }
    assert_eq!((status(&world).waiting, status(&world).position), (1, 2));
}

#[tokio::test]
async fn a_channel_that_was_changed_is_tried_at_once_and_one_that_was_removed_is_forgotten() {
    let world = World::new();
    save(&world, 0).await;
    assert!(world.ledger.queue_deliveries(&ops(), (1, 2), vec![told(2, "one")], T0).await.unwrap());
    failed(&world, 2, Some(600)).await;
    assert_eq!((status(&world).failures, due(&world, 0)), (1, vec![]));
    save(&world, 1).await;
    assert_eq!((status(&world).failures, due(&world, 0)), (0, vec![2]));
    world.ledger.append(channel(2).remove(None, Actor::Gateway, T0).unwrap()).await.unwrap();
    assert_eq!(world.ledger.channel_status(&ops()).unwrap(), None);
    assert!(world.ledger.deliveries(&ops(), None, None, 10).unwrap().is_empty());
    save(&world, 3).await;
    let fresh = status(&world);
    assert_eq!((fresh.waiting, fresh.dead, fresh.position), (0, 0, 4));
    assert!(world.ledger.deliveries(&ops(), Some(DeliveryState::Waiting), None, 10).unwrap().is_empty());
}
