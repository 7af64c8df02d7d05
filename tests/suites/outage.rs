//! What people hear of survives: outages of whoever is to be told, and `kill -9` of the gateway
//! at every step on the way. Nothing is lost, and nobody sees anything twice.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use quorate::config::Config;
use quorate::lifecycle::{Ask, AskedAccess};
use quorate_core::ids::UserId;
use serde_json::{Value, json};

use super::slack::{DBA, config};
use crate::world::browser::variable;
use crate::world::gateway::Gateway;
use crate::world::receiver::Receiver;
use crate::world::slack::{BOT_TOKEN, SIGNING_SECRET, Slack};
use crate::world::{World, just_in_time, quorum};

/// What happens while nobody can be told, unless the environment says more: half of it is asking,
/// half is withdrawing. `just outage` has ten thousand.
const EVENTS: usize = 1000;
/// How often in the two hours.
const BATCHES: usize = 24;
const SECONDS: u64 = 2 * 3600;
/// How much happens at the same time.
const AT_ONCE: usize = 16;

/// Asks and withdraws at once, without HTTP.
async fn ask_and_withdraw(world: &World) -> String {
    let ann: UserId = "ann".parse().unwrap();
    let access = AskedAccess::JustInTime("1h".parse().unwrap());
    let ask = Ask { resource: "prod".parse().unwrap(), access, reason: String::new() };
    let lifecycle = &world.app().lifecycle;
    let id = lifecycle.submit(&ann, ask, None).await.unwrap().id;
    lifecycle.cancel(&id.parse().unwrap(), &ann, None).await.unwrap();
    id
}

/// Waits until a channel has nothing more to tell, for as long as that goes on.
async fn until_told(world: &World, channel: &str) {
    let name = channel.parse().unwrap();
    let status = || world.app().ledger.channel_status(&name).unwrap().unwrap();
    let mut left = status().waiting;
    while left > 0 {
        let what = format!("fewer than {left} for {channel}");
        left =
            world.eventually(&what, async || Some(status().waiting).filter(|waiting| *waiting < left)).await;
    }
    let status = status();
    assert_eq!((status.dead, status.failures), (0, 0), "{channel}: {status:?}");
}

#[tokio::test]
async fn what_happens_in_an_outage_of_two_hours_is_told_once_and_in_order() {
    let slack = Slack::start().await;
    let receiver = Receiver::start().await;
    let config = Config { notify_own_network: true, pending_requests_max: 100_000, ..config(&slack) };
    let world = World::with(config).await;
    slack.conversation(DBA, true);
    slack.follow(world.app().clock.clone());
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let pager = json!({ "kind": "webhook", "address": receiver.address, "all_requests": true });
    world.put("root", "channels/pager", pager).await.good();
    let in_slack = json!({ "kind": "slack", "conversation": DBA, "all_requests": true });
    world.put("root", "channels/slack", in_slack).await.good();

    let events = variable("QUORATE_OUTAGE_EVENTS").map_or(EVENTS, |said| said.parse().unwrap());
    receiver.answers(503, &[]);
    slack.down(true);
    let mut asked = BTreeSet::new();
    for batch in 0..BATCHES {
        let left = events / 2 - asked.len();
        let now = left / (BATCHES - batch);
        let done = stream::iter(0..now).map(|_| ask_and_withdraw(&world)).buffer_unordered(AT_ONCE);
        asked.extend(done.collect::<Vec<_>>().await);
        world.clock.advance(SECONDS / BATCHES as u64);
    }
    assert_eq!(asked.len(), events / 2);
    receiver.answers(200, &[]);
    slack.down(false);
    // As long as anybody rests at most.
    world.clock.advance(15 * 60);
    until_told(&world, "pager").await;
    until_told(&world, "slack").await;

    let mut told = BTreeMap::<String, Vec<String>>::new();
    for (event, id) in receiver.taken() {
        told.entry(id).or_default().push(event);
    }
    assert_eq!(told.keys().collect::<BTreeSet<_>>(), asked.iter().collect());
    for (id, events) in told {
        assert_eq!(events, ["request.submitted", "request.cancelled"], "{id}");
    }
    let posted = slack.messages(DBA);
    assert_eq!(posted.len(), events / 2);
    assert!(posted.iter().all(|message| message.seen().contains("CANCELLED by ann")));
    world.finish().await;
}

/// Where on its way a message is when the gateway is killed.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// It was acknowledged to whoever asked; nothing more is certain.
    Asked,
    /// It cannot be sent.
    Unsent,
    /// It was taken, and nobody was told so.
    Unanswered,
    /// It was taken.
    Taken,
    /// What is there already is to be brought up to date, and that is done, and nobody was told so.
    Changed,
}

const STEPS: [Step; 5] = [Step::Asked, Step::Unsent, Step::Unanswered, Step::Taken, Step::Changed];

#[tokio::test]
async fn killed_at_any_step_nothing_is_lost_and_nobody_sees_anything_twice() {
    let slack = Slack::start().await;
    slack.conversation(DBA, true);
    let receiver = Receiver::start().await;
    let secrets = tempfile::tempdir().unwrap();
    let secret = |name: &str, value: &str| {
        let path = secrets.path().join(name);
        std::fs::write(&path, value).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (bot, signing) = (secret("bot", BOT_TOKEN), secret("signing", SIGNING_SECRET));
    let api = slack.api();
    let arguments = [
        "--notify-own-network",
        "--slack-api",
        &api,
        "--slack-bot-token-file",
        &bot,
        "--slack-signing-secret-file",
        &signing,
    ];
    let mut gateway = Gateway::start(&["ann", "bob"], &arguments).await;
    let resource = json!({ "kind": "shell", "command": ["sh"] });
    gateway.put("root", "resources/box", resource).await;
    let rule = just_in_time("box", quorum(&["dba"], false, 1));
    gateway.put("root", "rules/box", rule).await;
    let pager = json!({ "kind": "webhook", "address": receiver.address, "all_requests": true });
    gateway.put("root", "channels/pager", pager).await;
    let in_slack = json!({ "kind": "slack", "conversation": DBA, "all_requests": true });
    gateway.put("root", "channels/slack", in_slack).await;

    let mut asked = Vec::new();
    for step in STEPS.into_iter().chain(STEPS) {
        match step {
            Step::Unsent => slack.unreachable(true),
            Step::Unanswered => slack.accept_then_drop("chat.postMessage"),
            Step::Changed => slack.accept_then_drop("chat.update"),
            Step::Asked | Step::Taken => {}
        }
        let before = slack.messages(DBA).len();
        let body = json!({ "resource": "box", "duration": "1h", "reason": format!("{step:?}") });
        let id = gateway.post("ann", "requests", body).await.id();
        if matches!(step, Step::Unanswered | Step::Taken | Step::Changed) {
            slack.until("it is posted", |slack| (slack.messages(DBA).len() > before).then_some(())).await;
        }
        if matches!(step, Step::Changed) {
            gateway.post("bob", &format!("requests/{id}/votes"), json!({ "choice": "reject" })).await;
            slack
                .until("it is changed", |slack| {
                    slack
                        .messages(DBA)
                        .iter()
                        .any(|one| one.seen().contains("Changed") && one.edits() > 0)
                        .then_some(())
                })
                .await;
        }
        gateway.kill().await;
        slack.unreachable(false);
        gateway.serve().await;
        if !matches!(step, Step::Changed) {
            gateway.post("bob", &format!("requests/{id}/votes"), json!({ "choice": "reject" })).await;
        }
        asked.push(id);
    }
    for id in &asked {
        slack
            .until(&format!("the end of {id}"), |slack| {
                let carries = format!("slack/{id}");
                let ours = slack.messages(DBA).into_iter().find(|message| {
                    let metadata = message.metadata.as_ref();
                    metadata.is_some_and(|metadata| metadata["event_payload"]["copy"] == *carries)
                });
                ours.filter(|message| message.seen().contains("REJECTED")).map(drop)
            })
            .await;
    }
    assert_eq!(slack.messages(DBA).len(), asked.len(), "one for each request");

    // A program may be told twice, and knows by the id of the message.
    let mut told = BTreeMap::<String, Vec<(String, String)>>::new();
    let until = std::time::Instant::now() + crate::world::program::PATIENCE;
    let ended = |receiver: &Receiver| {
        let events = receiver.taken();
        asked.iter().all(|id| events.contains(&("request.rejected".to_owned(), id.clone())))
    };
    while !ended(&receiver) {
        assert!(std::time::Instant::now() < until, "the pager was not told of everything");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for message in receiver.messages() {
        let (event, id) = message.event();
        told.entry(id).or_default().push((message.header("webhook-id").to_owned(), event));
    }
    for (id, mut messages) in told {
        messages.dedup();
        let events: Vec<&str> = messages.iter().map(|(_, event)| event.as_str()).collect();
        assert_eq!(events, ["request.submitted", "vote.cast", "request.rejected"], "{id}");
        let ids: BTreeSet<&str> = messages.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids.len(), 3, "{id}");
    }
    let log: Value = json!(gateway.log());
    assert!(!log.as_str().unwrap().contains("xoxb-"), "a token is in the log");
    assert_eq!(gateway.stop().await, Some(0));
}
