//! Reminders and escalation come from policies: each is told once, at its time, to channels and
//! on the request's page, whatever the gateway does meanwhile.

use quorate::config::Config;
use serde_json::{Value, json};

use crate::world::receiver::Receiver;
use crate::world::{World, and, component, quorum};

/// A gateway that tells `receiver` of everything, with these examples.
async fn world(receiver: &Receiver, policies: &[&str]) -> World {
    let mut world = World::with(Config { notify_own_network: true, ..Config::default() }).await;
    world.person("mia", &["managers"]).await;
    for policy in policies {
        world.activate(policy, component(policy)).await.good();
    }
    let channel = json!({ "kind": "webhook", "address": receiver.address, "all_requests": true });
    world.put("root", "channels/pager", channel).await.good();
    world
}

/// First the dbas, reminded after five minutes, after a quarter of an hour the managers.
fn escalation() -> Value {
    let config =
        json!({ "groups": ["dba"], "escalate_to": ["managers"], "after": "15m", "remind_after": "5m" });
    json!([{ "policy": "escalation", "config": config }])
}

/// Has people told from `minutes` after it was asked on.
fn remind(minutes: u32) -> Value {
    let params = json!({ "id": "late", "message": "nobody decided yet" }).to_string();
    json!([{ "policy": "probes", "config": { "do": "remind", "text": params, "times": minutes * 60_000 } }])
}

/// The ids of the notices that the ledger has of a request.
async fn reminders(world: &World, id: &str) -> Vec<String> {
    let entries = world.entries(id).await;
    let reminded = entries.iter().filter(|entry| entry["type"] == "request-reminded");
    reminded.map(|entry| entry["notice"]["id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the ledger has so many of them.
async fn until_reminded(world: &World, id: &str, count: usize) -> Vec<String> {
    world
        .eventually(&format!("{count} reminders"), async || {
            let found = reminders(world, id).await;
            (found.len() >= count).then_some(found)
        })
        .await
}

/// Waits until everything that waits is told, and says what was told.
async fn told(world: &World, receiver: &Receiver, last: &str) -> Vec<String> {
    world
        .eventually(&format!("{last} is told"), async || {
            let told = receiver.told();
            (told.last().map(String::as_str) == Some(last)).then_some(told)
        })
        .await
}

/// Waits until what was sent is noted as sent: a gateway that stops before sends it once more.
async fn until_noted(world: &World) {
    world
        .eventually("nothing waits to be told", async || {
            let channel = world.get("root", "channels/pager").await.good();
            (channel.body["status"]["waiting"] == 0).then_some(())
        })
        .await;
}

#[tokio::test]
async fn the_first_are_reminded_and_then_the_others_told_each_once() {
    let receiver = Receiver::start().await;
    let world = world(&receiver, &["escalation"]).await;
    world.resource("prod", escalation()).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    told(&world, &receiver, "request.submitted").await;
    world.clock.advance(299);
    assert!(reminders(&world, &id).await.is_empty());
    world.clock.advance(1);
    assert_eq!(until_reminded(&world, &id, 1).await, ["reminder"]);
    told(&world, &receiver, "request.reminded").await;
    let message = receiver.messages()[1].body();
    let expected = json!({
        "id": "reminder", "message": "ann asks for prod: nobody decided yet", "groups": ["dba"], "users": [],
        "rule": "prod-just-in-time", "policy": "escalation",
    });
    assert_eq!(message["data"]["notice"], expected);
    assert_eq!(
        (&message["data"]["by"], &message["timestamp"]),
        (&json!("the gateway"), &json!("2026-03-02T10:05:00Z"))
    );
    assert_eq!(message["data"]["request"]["id"], json!(id));
    assert_eq!(receiver.messages()[0].body()["data"].get("notice"), None);

    world.approve("mia", &id).await.refused(404, "not-found");
    world.clock.advance(600);
    assert_eq!(until_reminded(&world, &id, 2).await, ["reminder", "escalated"]);
    let shown = world.request(&id).await.good();
    assert_eq!(shown.state(), "PENDING", "a notice decides nothing");
    assert_eq!(shown.texts("/reminders", "id"), ["reminder", "escalated"]);
    assert_eq!(shown.body["reminders"][1]["groups"], json!(["managers"]));
    assert_eq!(world.approve("mia", &id).await.good().state(), "APPROVED");
    let events =
        ["request.submitted", "request.reminded", "request.reminded", "vote.cast", "request.approved"];
    assert_eq!(told(&world, &receiver, "request.approved").await, events);
    assert_eq!(reminders(&world, &id).await.len(), 2);

    // In words: on its page, in the ledger, at the command line.
    let line = "ann asks for prod: nobody decided within 15m";
    let (_, page) = world.seen("ann", &format!("/requests/{id}")).await;
    assert!(
        page.contains("policy escalation") && page.contains("told managers") && page.contains(line),
        "{page}"
    );
    let (_, audit) = world.seen("root", "/audit?type=request-reminded").await;
    assert!(audit.contains("told managers") && audit.contains(line), "{audit}");
    let root = world.at_the_command_line("root");
    let said = format!("policy escalation told managers: {line}");
    for line in [&["requests", "show", &id][..], &["requests", "show", &id, "--timeline"]] {
        let out = root.runs(line).await.with(0).out;
        assert!(out.contains(&said), "{out}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_gateway_that_was_down_at_the_time_tells_once_after_it_starts() {
    let receiver = Receiver::start().await;
    let mut world = world(&receiver, &["probes"]).await;
    world.resource("prod", remind(15)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let request = world.request(&id).await.good();
    assert_eq!(request.body["reminders"], json!([]));
    told(&world, &receiver, "request.submitted").await;
    until_noted(&world).await;
    world.restart_after(20 * 60).await;
    assert_eq!(until_reminded(&world, &id, 1).await, ["late"]);
    told(&world, &receiver, "request.reminded").await;
    // It is asked again and again, and says the same.
    for _ in 0..3 {
        let before = world.request(&id).await.good().body["revision"].clone();
        world.clock.advance(60);
        world
            .eventually("it is decided again", async || {
                let revision = world.request(&id).await.good().body["revision"].clone();
                (revision != before).then_some(())
            })
            .await;
    }
    until_noted(&world).await;
    world.restart_after(60).await;
    assert_eq!(reminders(&world, &id).await, ["late"]);
    world.cancel("ann", &id).await.good();
    let events = ["request.submitted", "request.reminded", "request.cancelled"];
    assert_eq!(told(&world, &receiver, "request.cancelled").await, events);
    world.finish().await;
}

#[tokio::test]
async fn whoever_breaks_the_glass_is_in_and_everybody_is_told_in_the_same_step() {
    let receiver = Receiver::start().await;
    let world = world(&receiver, &["break-glass"]).await;
    let config = json!({ "groups": ["sre"], "reviewers": "security", "tell": ["managers"] });
    world.resource("prod", and(quorum(&["dba"], false, 1), "break-glass", config)).await;
    let ask = json!({ "resource": "prod", "duration": "1h", "reason": "the checkout\nis down" });
    let asked = world.post("eve", "requests", ask).await.good();
    assert_eq!(asked.state(), "APPROVED");
    let entries = world.entries(&asked.id()).await;
    let types: Vec<&str> = entries.iter().map(|entry| entry["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["request-submitted", "request-decided", "request-reminded", "request-approved"]);
    assert_eq!(told(&world, &receiver, "request.approved").await[1], "request.reminded");
    let notice = &receiver.messages()[1].body()["data"]["notice"];
    assert_eq!(notice["message"], "prod: eve (sre) broke the glass: the checkout is down");
    assert_eq!(notice["groups"], json!(["security", "managers"]));
    // Whoever was told can look at it, and nobody else by that.
    for (who, status) in [("mia", 200), ("sam", 200), ("ann", 404)] {
        assert_eq!(world.get(who, &format!("requests/{}", asked.id())).await.status, status, "{who}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_notice_that_makes_no_sense_is_said_and_never_approved_where_it_is_critical() {
    let receiver = Receiver::start().await;
    let world = world(&receiver, &["probes"]).await;
    let says =
        |act: &str, params: &str| json!([{ "policy": "probes", "config": { "do": act, "text": params } }]);
    let cases = [
        ("plain", "notify", r#"{"id":"a","message":""}"#, "APPROVED", 0),
        ("critical", "notify-critical", r#"{"id":"a","message":""}"#, "PENDING", 0),
        ("sense", "notify-critical", r#"{"id":"a","message":"look"}"#, "APPROVED", 1),
    ];
    for (name, act, params, state, told) in cases {
        world.resource(name, says(act, params)).await;
        let asked = world.ask("ann", name, "1h").await.good();
        assert_eq!((asked.state(), reminders(&world, &asked.id()).await.len()), (state, told), "{name}");
        assert_eq!(asked.texts("/findings", "code").contains(&"notify-params"), told == 0, "{name}");
        if state == "PENDING" {
            assert_eq!(asked.text("/faults/0/code"), "bad-answer");
            assert!(asked.text("/faults/0/message").contains("its message is empty"), "{}", asked.body);
            world.force("root", &asked.id(), "now").await.refused(409, "no-answer");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn what_only_looks_tells_nobody() {
    let receiver = Receiver::start().await;
    let world = world(&receiver, &[]).await;
    // The version that decides approves and says nothing; the candidate has people told.
    world.activate("probes", component("empty")).await.good();
    let params = json!({ "id": "a", "message": "look" }).to_string();
    world
        .resource("prod", json!([{ "policy": "probes", "config": { "do": "notify", "text": params } }]))
        .await;
    let root = world.at_the_command_line("root");
    let candidate = component("probes").to_vec();
    let loaded = world.upload("root", "policies/probes/versions", candidate.clone()).await.good();
    let digest = loaded.text("/digest")[..12].to_owned();
    root.runs(&["policy", "stage", "probes", &digest]).await.with(0);
    root.runs(&["policy", "shadow", "start", "probes", &digest]).await.with(0);
    let asked = world.ask("ann", "prod", "1h").await.good();
    assert_eq!(asked.state(), "APPROVED");
    world
        .eventually("the shadow looked at it", async || {
            let report = world.get("root", "policies/probes/shadow").await.good().body;
            (report["behind"] == 0 && report["samples"] == 1).then_some(())
        })
        .await;
    let file = world.folder().join("next.wasm");
    std::fs::write(&file, candidate).unwrap();
    let tried =
        root.runs(&["policy", "backtest", file.to_str().unwrap(), "--policy", "probes"]).await.with(0).out;
    assert!(tried.contains('1'), "{tried}");
    root.runs(&["decisions", "replay", "--all"]).await.with(0);

    // And of one that was told, none of them tells again.
    root.runs(&["policy", "activate", "probes", &digest]).await.with(0);
    world.resource("slow", remind(1)).await;
    let slow = world.ask("ann", "slow", "1h").await.good().id();
    world.clock.advance(60);
    until_reminded(&world, &slow, 1).await;
    root.runs(&["requests", "explain", &slow]).await.with(0);
    world.get("root", &format!("requests/{slow}/what-would-it-take")).await.good();
    root.runs(&["decisions", "replay", "--all"]).await.with(0);
    root.runs(&["policy", "backtest", file.to_str().unwrap(), "--policy", "probes"]).await.with(0);
    world.cancel("ann", &slow).await.good();
    let told = told(&world, &receiver, "request.cancelled").await;
    assert_eq!(told.iter().filter(|event| *event == "request.reminded").count(), 1, "{told:?}");
    let found = world.get("root", "audit/entries?type=request-reminded&limit=200").await.good();
    assert_eq!(found.list("/items").len(), 1);
    world.finish().await;
}
