//! Microsoft Teams hears of requests, in cards that its own library reads.

use std::process::Stdio;

use quorate::config::Config;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::world::browser::variable;
use crate::world::program::in_time;
use crate::world::receiver::{Message, Receiver};
use crate::world::{World, quorum};

/// A gateway with a resource and a channel to `receiver`.
async fn world(receiver: &Receiver) -> World {
    let world = World::with(Config { notify_own_network: true, ..Config::default() }).await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let body = json!({ "kind": "teams", "address": receiver.address, "all_requests": true });
    world.put("root", "channels/teams", body).await.good();
    world
}

async fn told(world: &World, receiver: &Receiver, count: usize) -> Vec<Message> {
    let what = format!("{count} cards");
    let look = async || Some(receiver.messages()).filter(|messages| messages.len() >= count);
    world.eventually(&what, look).await
}

/// The card in a message.
fn card(message: &Message) -> Value {
    let attachment = &message.body()["attachments"][0];
    assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
    attachment["content"].clone()
}

/// What Microsoft's library finds wrong in a card.
async fn wrong_in(card: &Value) -> Vec<String> {
    let module = variable("QUORATE_ADAPTIVE_CARDS");
    let module = module.expect("`tests/run` fetches adaptivecards and says where it is");
    let script = format!(
        "const {{ AdaptiveCard, SerializationContext }} = require({module:?});
         const [card, context] = [new AdaptiveCard(), new SerializationContext()];
         card.parse(JSON.parse(require('fs').readFileSync(0, 'utf8')), context);
         const wrong = card.validateProperties().validationEvents.map(one => one.message);
         for (let nth = 0; nth < context.eventCount; nth++) wrong.push(context.getEventAt(nth).message);
         console.log(JSON.stringify(wrong));"
    );
    let mut node = Command::new("node")
        .args(["-e", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = node.stdin.take().unwrap();
    input.write_all(card.to_string().as_bytes()).await.unwrap();
    drop(input);
    let output = in_time(node.wait_with_output()).await.unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn needs_cards_every_card_of_a_request_is_one_that_teams_reads() {
    let receiver = Receiver::start().await;
    let world = world(&receiver).await;
    let nasty = "[click](https://evil.example) <at>eve</at> **now**";
    let asked = json!({ "resource": "prod", "duration": "1h", "reason": nasty });
    let id = world.post("ann", "requests", asked).await.good().id();
    world.approve("bob", &id).await.good();
    world.revoke("bob", &id, nasty).await.good();
    world.ask_command("ann", "prod", &format!("SELECT 1;\n{}", "ü\"".repeat(10_000))).await.good();
    let tested = world.post("root", "channels/teams/test", json!({})).await.good();
    assert_eq!(tested.body, json!({ "delivered": true, "error": null }));
    let messages = told(&world, &receiver, 6).await;
    for message in &messages {
        assert_eq!(message.header("content-type"), "application/json");
        assert!(message.text.len() <= 28_000, "{} bytes", message.text.len());
        assert_eq!(wrong_in(&card(message)).await, [] as [String; 0], "{}", message.text);
    }
    // A library that finds nothing in anything would prove nothing.
    let mut broken = card(&messages[0]);
    broken["body"][1]["style"] = json!("pink");
    broken["body"][2]["type"] = json!("Fact");
    assert_eq!(wrong_in(&broken).await.len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn a_card_says_what_happened_and_leads_to_the_page() {
    let receiver = Receiver::start().await;
    let world = world(&receiver).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    world.approve("bob", &id).await.good();
    let messages = told(&world, &receiver, 3).await;
    for (message, (headline, style)) in messages.iter().zip([
        ("ann asks for prod for 1h", "warning"),
        ("bob approves: ann on prod", "good"),
        ("ann has access to prod", "good"),
    ]) {
        let card = card(message);
        assert_eq!(card["body"][0]["inlines"][0]["text"], headline);
        let url = format!("{}/requests/{id}", world.url());
        assert_eq!(
            card["actions"],
            json!([{ "type": "Action.OpenUrl", "title": "Open the request", "url": url }])
        );
        if headline.contains("has access") {
            assert_eq!(card["body"][1]["style"], style);
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn a_workflow_that_is_gone_is_seen() {
    let receiver = Receiver::start().await;
    let world = world(&receiver).await;
    receiver.answers(404, &[]);
    let tested = world.post("root", "channels/teams/test", json!({})).await.good();
    assert_eq!(tested.body["error"], "it answered 404");
    let channel = world.get("root", "channels/teams").await.good().body;
    assert!(!channel.to_string().contains("hunter2"), "{channel}");
    world.finish().await;
}
