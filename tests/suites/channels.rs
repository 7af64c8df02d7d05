//! People's programs hear of requests: in order, at least once, and each channel for itself.

use std::collections::{BTreeMap, BTreeSet};

use quorate::config::Config;
use quorate_core::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::receiver::Receiver;
use crate::world::{World, quorum};

const LIFE: [&str; 4] = ["request.submitted", "vote.cast", "request.approved", "request.revoked"];

/// A gateway that may send to this machine, with a resource.
async fn world() -> World {
    with(World::with(config()).await).await
}

async fn with(mut world: World) -> World {
    world.person("audrey", &["auditor"]).await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    world
}

fn config() -> Config {
    Config { notify_own_network: true, ..Config::default() }
}

/// A channel that tells `receiver` of everything, but for what `more` says; with its key.
async fn channel(world: &World, name: &str, receiver: &Receiver, more: Value) -> String {
    let mut body = json!({ "kind": "webhook", "address": receiver.address, "all_requests": true });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = world.put("root", &format!("channels/{name}"), body).await.good();
    made.text("/key").to_owned()
}

/// Asks, is approved, and loses it again.
async fn life(world: &World, resource: &str) -> String {
    let id = world.ask("ann", resource, "1h").await.good().id();
    world.approve("bob", &id).await.good();
    world.revoke("bob", &id, "enough").await.good();
    id
}

async fn told(world: &World, receiver: &Receiver, count: usize) -> Vec<(String, String)> {
    world
        .eventually(&format!("{count} messages"), async || {
            let taken = receiver.taken();
            (taken.len() >= count).then_some(taken)
        })
        .await
}

async fn status(world: &World, name: &str) -> Value {
    world.get("audrey", &format!("channels/{name}")).await.good().body["status"].clone()
}

async fn until_status(world: &World, name: &str, field: &str, value: Value) -> Value {
    let what = format!("{field} of {name} is {value}");
    world
        .eventually(&what, async || {
            let status = status(world, name).await;
            (status[field] == value).then_some(status)
        })
        .await
}

#[tokio::test]
async fn needs_webhooks_every_message_is_signed_as_the_specification_says_and_tells_the_truth() {
    let world = with(World::today(config()).await).await;
    let receiver = Receiver::start().await;
    let key = channel(&world, "pager", &receiver, json!({})).await;
    let id = life(&world, "prod").await;
    let taken = told(&world, &receiver, 4).await;
    let expected: Vec<_> = LIFE.iter().map(|event| ((*event).to_owned(), id.clone())).collect();
    assert_eq!(taken, expected);
    let messages = receiver.messages();
    for message in &messages {
        message.verified(&key).await.unwrap();
        assert_eq!(message.header("content-type"), "application/json");
    }
    let ids: BTreeSet<&str> = messages.iter().map(|message| message.header("webhook-id")).collect();
    assert_eq!(ids.len(), 4);
    let last = messages[3].body();
    assert_eq!(last["data"]["request"]["state"], "REVOKED");
    assert_eq!((&last["data"]["by"], &last["data"]["request"]["requester"]), (&json!("bob"), &json!("ann")));

    // With another key, or another word in it, it is not what was signed.
    let mut forged = messages[0].clone();
    assert!(forged.verified("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").await.is_err());
    forged.text = forged.text.replace("ann", "eve");
    assert!(forged.verified(&key).await.is_err());
    world.finish().await;
}

#[tokio::test]
async fn needs_webhooks_a_key_that_was_replaced_is_signed_with_for_a_day() {
    let world = with(World::today(config()).await).await;
    let receiver = Receiver::start().await;
    let old = channel(&world, "pager", &receiver, json!({})).await;
    let new = world.post("root", "channels/pager/key", json!({})).await.good().text("/key").to_owned();
    assert_ne!(old, new);
    world.ask("ann", "prod", "1h").await.good();
    told(&world, &receiver, 1).await;
    let message = &receiver.messages()[0];
    message.verified(&old).await.unwrap();
    message.verified(&new).await.unwrap();
    // One more does not cut off whoever still has the first.
    let newest = world.post("root", "channels/pager/key", json!({})).await.good().text("/key").to_owned();
    world.post("root", "channels/pager/test", json!({})).await.good();
    for key in [&old, &new, &newest] {
        receiver.messages()[1].verified(key).await.unwrap();
    }
    for _ in 0..8 {
        world.post("root", "channels/pager/key", json!({})).await.good();
    }
    let refused = world.post("root", "channels/pager/key", json!({})).await;
    assert!(refused.refused(422, "invalid").contains("11 keys are in use"), "{}", refused.body);
    world.clock.advance(24 * 3600 + 1);
    world.ask("ann", "prod", "1h").await.good();
    told(&world, &receiver, 3).await;
    let signatures = |nth: usize| receiver.messages()[nth].header("webhook-signature").split(' ').count();
    assert_eq!([0, 1, 2].map(signatures), [2, 3, 1]);
    assert_eq!(world.get("root", "channels/pager").await.good().body.get("key"), None);
    world.finish().await;
}

#[tokio::test]
async fn a_channel_hears_of_what_it_is_for_and_of_nothing_else() {
    let world = world().await;
    world.bare_resource("staging", json!({ "plugins": ["pager"] })).await;
    let open = json!({ "access_type": "just-in-time", "resources": ["staging"], "policies": quorum(&["dba"], false, 1) });
    world.rule("staging", open).await.good();
    let (pager, rules, ends) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    channel(&world, "pager", &pager, json!({ "all_requests": false })).await;
    let under = json!({ "all_requests": false, "rules": ["prod-just-in-time"] });
    channel(&world, "rules", &rules, under).await;
    channel(&world, "ends", &ends, json!({ "events": ["request.revoked"] })).await;
    let (prod, staging) = (life(&world, "prod").await, life(&world, "staging").await);
    let of = |id: &str, events: &[&str]| -> Vec<(String, String)> {
        events.iter().map(|event| ((*event).to_owned(), id.to_owned())).collect()
    };
    assert_eq!(told(&world, &pager, 4).await, of(&staging, &LIFE));
    assert_eq!(told(&world, &rules, 4).await, of(&prod, &LIFE));
    let revoked = told(&world, &ends, 2).await.into_iter().collect::<BTreeMap<_, _>>().len();
    assert_eq!((revoked, ends.told()), (1, vec!["request.revoked".to_owned(); 2]));
    for name in ["pager", "rules", "ends"] {
        until_status(&world, name, "waiting", json!(0)).await;
    }
    assert_eq!((pager.messages().len(), rules.messages().len(), ends.messages().len()), (4, 4, 2));
    world.finish().await;
}

#[tokio::test]
async fn a_channel_that_is_down_loses_nothing_and_delays_nobody() {
    let world = world().await;
    let (down, up) = (Receiver::start().await, Receiver::start().await);
    channel(&world, "down", &down, json!({})).await;
    channel(&world, "up", &up, json!({})).await;
    down.answers(500, &[]);
    let mut ids = Vec::new();
    for _ in 0..25 {
        ids.push(life(&world, "prod").await);
    }
    // The request was decided, and the other told, meanwhile.
    told(&world, &up, 100).await;
    let failing = until_status(&world, "down", "waiting", json!(100)).await;
    assert_eq!(failing["last_error"], "it answered 500");
    let shown = world.get("bob", &format!("requests/{}", ids[0])).await.good();
    assert_eq!(shown.state(), "REVOKED");
    // For two hours it is tried again and again, and less and less.
    let (begun, mut failures) = (world.now(), 1);
    while world.now().duration_since(begun).as_secs() < 2 * 3600 {
        let resting = until_status(&world, "down", "failures", json!(failures)).await;
        let retry_at: Timestamp = resting["retry_at"].as_str().unwrap().parse().unwrap();
        world.clock.set(retry_at);
        failures += 1;
    }
    until_status(&world, "down", "failures", json!(failures)).await;
    assert!((15..40).contains(&failures), "{failures} attempts");
    down.answers(200, &[]);
    world.clock.advance(3600);
    told(&world, &down, 100).await;
    until_status(&world, "down", "waiting", json!(0)).await;
    // Each of them once, each request in order.
    let mut by_request: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (event, id) in down.taken() {
        by_request.entry(id).or_default().push(event);
    }
    assert_eq!(by_request.len(), 25);
    assert!(by_request.values().all(|events| events == &LIFE), "{by_request:?}");
    assert_eq!(status(&world, "down").await["failures"], 0);
    world.finish().await;
}

#[tokio::test]
async fn a_receiver_that_wants_to_be_left_alone_is() {
    let world = world().await;
    let receiver = Receiver::start().await;
    channel(&world, "pager", &receiver, json!({})).await;
    receiver.answers(429, &[("retry-after", "600")]);
    world.ask("ann", "prod", "1h").await.good();
    let resting = until_status(&world, "pager", "failures", json!(1)).await;
    assert_eq!(resting["retry_at"], "2026-03-02T10:10:00Z", "{resting}");
    receiver.answers(200, &[]);
    world.clock.advance(599);
    world.ask("ann", "prod", "2h").await.good();
    until_status(&world, "pager", "waiting", json!(2)).await;
    assert_eq!(receiver.messages().len(), 1);
    world.clock.advance(1);
    told(&world, &receiver, 2).await;
    world.finish().await;
}

#[tokio::test]
async fn what_is_given_up_is_kept_and_can_be_told_again() {
    let world = world().await;
    let receiver = Receiver::start().await;
    channel(&world, "pager", &receiver, json!({})).await;
    receiver.answers(410, &[]);
    let id = world.ask("ann", "prod", "1h").await.good().id();
    until_status(&world, "pager", "dead", json!(1)).await;
    let dead = world.get("audrey", "channels/pager/deliveries?state=dead").await.good();
    assert_eq!(dead.texts("/items", "request"), [id.as_str()]);
    let item = &dead.body["items"][0];
    assert_eq!((&item["error"], &item["event"]), (&json!("it answered 410"), &json!("request.submitted")));
    let entry = dead.body["items"][0]["entry"].as_u64().unwrap();
    receiver.answers(200, &[]);
    world.clock.advance(60);
    let again = format!("channels/pager/deliveries/{entry}/again");
    assert_eq!(world.post("root", &again, json!({})).await.status, 202);
    told(&world, &receiver, 1).await;
    until_status(&world, "pager", "dead", json!(0)).await;
    // The same message, by its id, also when it is told a third time.
    assert_eq!(world.post("root", &again, json!({})).await.status, 202);
    told(&world, &receiver, 2).await;
    let ids: BTreeSet<String> =
        receiver.messages().iter().map(|one| one.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 1);
    world.post("root", "channels/pager/deliveries/1/again", json!({})).await.refused(404, "not-found");
    world.post("ann", &again, json!({})).await.refused(403, "forbidden");

    // Three days are long enough.
    receiver.answers(500, &[]);
    world.ask("ann", "prod", "1h").await.good();
    until_status(&world, "pager", "failures", json!(1)).await;
    world.clock.advance(3 * 24 * 3600);
    // The request has timed out meanwhile, which is one more to be told.
    until_status(&world, "pager", "dead", json!(1)).await;
    world.finish().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let world = world().await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    channel(&world, "pager", &receiver, json!({})).await;
    receiver.answers(307, &[("location", &elsewhere.address)]);
    let tested = world.post("root", "channels/pager/test", json!({})).await.good();
    assert_eq!(tested.body["delivered"], false);
    assert!(tested.text("/error").contains("which is not done"), "{}", tested.body);
    receiver.answers(204, &[]);
    let tested = world.post("root", "channels/pager/test", json!({})).await.good();
    assert_eq!(tested.body, json!({ "delivered": true, "error": null }));
    assert_eq!(receiver.messages()[1].body()["type"], "channel.test");
    assert!(elsewhere.messages().is_empty());
    world.finish().await;
}

#[tokio::test]
async fn what_waits_survives_the_gateway_and_a_channel_begins_when_it_is_made() {
    let mut world = world().await;
    life(&world, "prod").await;
    let receiver = Receiver::start().await;
    channel(&world, "pager", &receiver, json!({})).await;
    receiver.answers(503, &[]);
    let id = life(&world, "prod").await;
    until_status(&world, "pager", "waiting", json!(4)).await;
    world.restart_after(30).await;
    receiver.answers(200, &[]);
    world.clock.advance(3600);
    let taken = told(&world, &receiver, 4).await;
    let expected: Vec<_> = LIFE.iter().map(|event| ((*event).to_owned(), id.clone())).collect();
    assert_eq!(taken, expected);
    // Killed before it has written down that they arrived, it would send the last once more.
    until_status(&world, "pager", "waiting", json!(0)).await;
    world.restart_after(30).await;
    let next = world.ask("ann", "prod", "1h").await.good().id();
    let taken = told(&world, &receiver, 5).await;
    assert_eq!(taken[4..], [("request.submitted".to_owned(), next)]);
    world.finish().await;
}

#[tokio::test]
async fn a_channel_is_changed_by_admins_and_guarded_by_what_depends_on_it() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let under = json!({ "rules": ["prod-just-in-time"], "description": "the pager's" });
    channel(&world, "pager", &receiver, under).await;
    world.bare_resource("staging", json!({ "plugins": ["pager"] })).await;
    let used = world.delete("root", "channels/pager").await;
    assert!(used.refused(409, "in-use").contains("resource staging"), "{}", used.body);
    let used = world.delete("root", "rules/prod-just-in-time").await;
    assert!(used.refused(409, "in-use").contains("channel pager"), "{}", used.body);

    // What is as it was is not written again.
    let same = json!({ "kind": "webhook", "address": receiver.address, "all_requests": true,
        "rules": ["prod-just-in-time"], "description": "the pager's" });
    let again = world.put("root", "channels/pager", same).await.good();
    assert_eq!((&again.body["revision"], again.body.get("key")), (&json!(1), None));

    // What is not said again of the address stays; nobody is shown it, nor the key.
    let body = json!({ "kind": "webhook", "all_requests": true });
    let saved = world.put("root", "channels/pager", body).await.good();
    let port = receiver.address.split(':').nth(2).unwrap().split('/').next().unwrap();
    assert_eq!(saved.body["host"], format!("127.0.0.1:{port}"));
    world.ask("ann", "prod", "1h").await.good();
    told(&world, &receiver, 1).await;
    for path in ["channels", "channels/pager", "audit/entries?limit=200", "channels/pager/deliveries"] {
        let shown = world.get("audrey", path).await.good().body.to_string();
        assert!(!shown.contains("hunter2") && !shown.contains("whsec_"), "{path}: {shown}");
    }
    for (method, path) in [
        (Method::GET, "channels"),
        (Method::GET, "channels/pager"),
        (Method::PUT, "channels/pager"),
        (Method::DELETE, "channels/pager"),
        (Method::POST, "channels/pager/key"),
        (Method::POST, "channels/pager/test"),
        (Method::GET, "channels/pager/deliveries"),
    ] {
        let sent = json!({ "kind": "webhook" });
        let body = (method == Method::PUT).then_some(sent);
        let refused = world.send(method, "ann", path, body, None).await;
        assert_eq!(refused.status, 403, "{path}");
    }
    world.put("audrey", "channels/pager", json!({ "kind": "webhook" })).await.refused(403, "forbidden");

    world.bare_resource("staging", json!({})).await;
    assert_eq!(world.delete("root", "channels/pager").await.status, 204);
    world.get("root", "channels/pager").await.refused(404, "not-found");
    assert_eq!(world.delete("root", "rules/prod-just-in-time").await.status, 204);
    // One of the same name is another: with an address and a key of its own, and nothing to tell.
    let nothing = world.put("root", "channels/pager", json!({ "kind": "webhook" })).await;
    assert!(nothing.refused(422, "invalid").contains("there is none to keep"), "{}", nothing.body);
    channel(&world, "pager", &receiver, json!({})).await;
    assert_eq!(world.get("root", "channels/pager/deliveries").await.good().list("/items"), [] as [Value; 0]);
    world.finish().await;
}

#[tokio::test]
async fn bad_channels_are_refused_and_messages_stay_out_of_the_own_network() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let put = async |body: Value| world.put("root", "channels/pager", body).await;
    let with = |address: &str| json!({ "kind": "webhook", "address": address });
    for (address, why) in [
        ("hooks.example.org", "it is no address"),
        ("ftp://hooks.example.org/", "begin with https://"),
        ("https://ann:hunter2@hooks.example.org/", "do not belong"),
        ("http://127.0.0.1:8600/api/setup", "own network"),
        ("http://169.254.169.254/latest/meta-data/", "own network"),
        ("http://[::ffff:10.0.0.1]/", "own network"),
    ] {
        let refused = put(with(address)).await;
        let said = refused.refused(422, "invalid");
        assert!(said.contains(why) && !said.contains("hunter2"), "{address}: {said}");
    }
    let unknown = put(json!({ "kind": "webhook", "address": "https://x.org", "rules": ["none"] })).await;
    assert!(unknown.refused(422, "invalid").contains("there is no rule none"));
    for body in [
        json!({}),
        json!({ "kind": "pigeon" }),
        json!({ "kind": "webhook", "adress": "https://x.org" }),
        json!({ "kind": "webhook", "address": 7 }),
        json!({ "kind": "webhook", "address": "https://x.org", "events": ["request.opened"] }),
        json!({ "kind": "webhook", "address": "https://x.org", "description": "x".repeat(2000) }),
        json!({ "kind": "webhook", "address": "https://x.org", "description": "a\u{202e}b" }),
    ] {
        let refused = put(body.clone()).await;
        assert!(matches!(refused.status, 400 | 422), "{body}: {}", refused.body);
    }
    assert_eq!(world.get("root", "channels").await.good().body["total"], 0);

    // A name is looked up when something is sent, and only then.
    put(with("http://localhost:9/")).await.good();
    let tested = world.post("root", "channels/pager/test", json!({})).await.good();
    assert!(tested.text("/error").contains("own network"), "{}", tested.body);
    world.finish().await;
}

#[tokio::test]
async fn what_a_channel_was_not_told_shows_in_the_metrics_and_on_the_request() {
    let world = world().await;
    let receiver = Receiver::start().await;
    channel(&world, "pager", &receiver, json!({})).await;
    receiver.answers(500, &[]);
    let id = world.ask("ann", "prod", "1h").await.good().id();
    until_status(&world, "pager", "failures", json!(1)).await;
    let metrics = world.raw(Method::GET, "/metrics", world.token("audrey"), "").await.good();
    let metrics = metrics.text("");
    for line in
        [r#"quorate_channel_waiting{channel="pager"} 1"#, r#"quorate_channel_failures{channel="pager"} 1"#]
    {
        assert!(metrics.contains(line), "{metrics}");
    }
    let explained = async |who: &str| {
        world.get(who, &format!("requests/{id}/explain")).await.good().body["untold"].clone()
    };
    assert_eq!(
        explained("audrey").await,
        json!([{ "channel": "pager", "error": "it answered 500", "given_up": false }])
    );
    assert_eq!(explained("ann").await, json!([{ "channel": "pager", "error": null, "given_up": false }]));
    receiver.answers(200, &[]);
    world.clock.advance(60);
    told(&world, &receiver, 1).await;
    until_status(&world, "pager", "failures", json!(0)).await;
    assert_eq!(explained("audrey").await, json!([]));

    // A channel that a resource names and that is not there hears of nothing, and that is said too.
    world.bare_resource("prod", json!({ "plugins": ["nobody"] })).await;
    let missing = json!([{ "channel": "nobody", "error": "there is no such channel", "given_up": true }]);
    assert_eq!(explained("audrey").await, missing);
    world.cancel("ann", &id).await.good();
    assert_eq!(explained("audrey").await, json!([]));
    world.finish().await;
}
