//! People hear of requests in Slack: what is shown, and that it is told once, whatever Slack does.

use quorate::agent::Secret;
use serde_json::json;

use crate::world::in_slack::{
    DBA, bind, clicks, config, follow, in_slack, link, quiet, resource, shows, types, with, world,
};
use crate::world::slack::people::signature;
use crate::world::slack::sdk::{slack_sdk_reads, slack_sdk_verifies};
use crate::world::slack::{APP_TOKEN, Message, Slack};
use crate::world::{World, component};

#[tokio::test]
async fn what_is_asked_is_shown_harmless_and_what_is_not_shown_whole_is_decided_on_the_page() {
    let slack = Slack::start().await;
    let world = world(&slack, Some(DBA)).await;
    let reason = "<!channel> *now* <https://evil.example.org|here> & @here `x` \u{202e}gnp";
    let asked = json!({ "resource": "prod", "duration": "1h", "reason": reason });
    world.post("ann", "requests", asked).await.good();
    let message = shows(&slack, DBA, "<!channel> *now* <https://evil.example.org|here> & @here `x`").await;
    assert!(!message.text.contains("<!channel>") && !message.seen().contains('\u{202e}'), "{message:?}");
    let exact = "select '<&>' from t;\n-- *bold* \\ end";
    world.ask_command("ann", "prod", exact).await.good();
    let message = shows(&slack, DBA, exact).await;
    assert!(message.seen().contains("Approve"));
    // Longer than a message can show.
    world.ask_command("ann", "prod", &format!("select {};", "x".repeat(5000))).await.good();
    let message = shows(&slack, DBA, "the page shows all of it").await;
    assert!(!message.seen().contains("Approve") && message.seen().contains("Reject"));
    world.finish().await;
}

#[tokio::test]
async fn an_outage_loses_nothing_repeats_nothing_and_is_named_on_the_request() {
    let slack = Slack::start().await;
    let world = world(&slack, Some(DBA)).await;
    let before = world.ask("ann", "prod", "1h").await.good().id();
    shows(&slack, DBA, "PENDING").await;
    quiet(&world).await;
    slack.down(true);
    let during = world.ask("bob", "prod", "1h").await.good().id();
    world.reject("bea", &before).await.good();
    world
        .eventually("the failure", async || {
            let explained = world.get("root", &format!("requests/{during}/explain")).await.good();
            explained.text("/untold/0/error").contains("Slack answered 500").then_some(())
        })
        .await;
    for _ in 0..24 {
        world.clock.advance(300);
    }
    slack.down(false);
    world.clock.advance(900);
    quiet(&world).await;
    let seen: Vec<String> = slack.messages(DBA).iter().map(Message::seen).collect();
    assert_eq!(seen.len(), 2, "{seen:#?}");
    assert!(seen[0].contains("REJECTED") && seen[1].contains("TIMED_OUT"), "{seen:#?}");
    world.finish().await;
}

#[tokio::test]
async fn slack_is_left_alone_for_as_long_as_it_asks_for() {
    let slack = Slack::start().await;
    let world = world(&slack, Some(DBA)).await;
    slack.rate_limit("chat.postMessage", 1, 120);
    world.ask("ann", "prod", "1h").await.good();
    let status = world
        .eventually("the limit", async || {
            let channel = world.get("root", "channels/slack").await.good().body;
            channel["status"]["last_error"].is_string().then_some(channel["status"].clone())
        })
        .await;
    assert_eq!(status["last_error"], "Slack wants to be asked less often");
    let calls = slack.calls().len();
    world.clock.advance(119);
    world.cancel("ann", &world.ask("ann", "prod", "1h").await.good().id()).await.good();
    assert_eq!((slack.calls().len(), slack.messages(DBA).len()), (calls, 0));
    world.clock.advance(1);
    quiet(&world).await;
    assert_eq!(slack.messages(DBA).len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn a_message_of_which_nobody_knows_whether_it_was_posted_is_found_again_and_not_posted_twice() {
    let slack = Slack::start().await;
    let mut world = world(&slack, Some(DBA)).await;
    slack.accept_then_drop("chat.postMessage");
    let id = world.ask("ann", "prod", "1h").await.good().id();
    slack.until_message(DBA, "it is posted", |_| true).await;
    world
        .eventually("the failure", async || {
            let channel = world.get("root", "channels/slack").await.good().body;
            channel["status"]["last_error"].is_string().then_some(())
        })
        .await;
    // What is in a conversation already is kept true after a restart as well.
    world.restart_after(60).await;
    slack.follow(world.app().clock.clone());
    quiet(&world).await;
    world.cancel("ann", &id).await.good();
    let message = shows(&slack, DBA, "CANCELLED").await;
    assert_eq!(slack.messages(DBA).len(), 1);
    assert!(message.edits() >= 1);
    world.finish().await;
}

#[tokio::test]
async fn one_who_cannot_be_told_is_nobody_elses_trouble() {
    let slack = Slack::start().await;
    let world = world(&slack, None).await;
    for who in ["bob", "bea"] {
        bind(&slack, &world, who).await;
        types(&slack, &world, who, "subscribe").await;
    }
    slack.nobody(&in_slack("bea"));
    let id = world.ask("ann", "prod", "1h").await.good().id();
    slack.until("bob's", |slack| slack.direct(&in_slack("bob")).first().cloned()).await;
    quiet(&world).await;
    // The request says so.
    let explained = world.get("root", &format!("requests/{id}/explain")).await.good();
    let error = explained.text("/untold/0/error");
    assert!(error.starts_with("bea could not be told: Slack: user_not_found"), "{}", explained.body);
    // The channel's own conversation is another matter: that it cannot be told shows.
    world.put("root", "channels/slack", json!({ "kind": "slack", "conversation": "C0NONE" })).await.good();
    let id = world.ask("ann", "prod", "1h").await.good().id();
    world
        .eventually("the failure", async || {
            let explained = world.get("root", &format!("requests/{id}/explain")).await.good();
            explained.text("/untold/0/error").contains("channel_not_found").then_some(())
        })
        .await;
    world.finish().await;
}

#[tokio::test]
async fn over_a_socket_it_is_all_the_same() {
    let slack = Slack::start().await;
    let mut config = config(&slack);
    let declared = config.slack.as_mut().unwrap();
    declared.signing_secret = None;
    declared.app_token = Some(Secret::new(APP_TOKEN));
    let world = with(&slack, Some(DBA), World::with(config).await).await;
    slack.until("a socket", |slack| (slack.sockets() == 1).then_some(())).await;
    let told = slack.by_socket(&slack.commanding(&in_slack("bob"), DBA, "list")).await;
    let link = link(&world, told.json()["text"].as_str().unwrap());
    assert_eq!(follow(&world, "bob", &link).await, 303);
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let message = shows(&slack, DBA, "PENDING").await;
    slack.by_socket(&slack.clicking(&in_slack("bob"), &message, "approve")).await;
    let message = shows(&slack, DBA, "bob approved").await;
    // Slack ends each connection after a while; another is made.
    slack.disconnect();
    slack.until("another socket", |slack| (slack.sockets() == 1).then_some(())).await;
    slack.by_socket(&slack.clicking(&in_slack("bob"), &message, "reject")).await;
    let form = slack.until("the form", |slack| slack.views(&in_slack("bob")).pop()).await;
    let answered = slack.by_socket(&slack.submitting(&in_slack("bob"), &form, &[("comment", "no")])).await;
    assert!(answered.json()["errors"]["comment"].as_str().unwrap().contains("already voted"), "{answered:?}");
    assert_eq!(world.request(&id).await.state(), "PENDING");
    // There is no other way in.
    let unsigned = slack.signed(&world.url(), "/slack/commands", String::new(), world.now().as_second());
    assert_eq!(unsigned.send().await.unwrap().status(), 404);
    assert_eq!(slack.complaints(), Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn whom_a_policy_has_reminded_gets_a_message_of_its_own_once() {
    let slack = Slack::start().await;
    let mut world = world(&slack, Some(DBA)).await;
    world.activate("escalation", component("escalation")).await.good();
    world.person("mia", &["managers"]).await;
    let config =
        json!({ "groups": ["dba"], "escalate_to": ["managers"], "after": "15m", "remind_after": "5m" });
    let policies = json!([{ "policy": "escalation", "config": config }]);
    resource(&world, "staging", policies, json!({})).await;
    for who in ["bob", "mia"] {
        bind(&slack, &world, who).await;
        types(&slack, &world, who, "subscribe").await;
    }
    world.ask("ann", "staging", "1h").await.good();
    slack.until("bob's", |slack| slack.direct(&in_slack("bob")).first().cloned()).await;
    world.clock.advance(300);
    let reminded =
        slack.until("bob's reminder", |slack| slack.direct(&in_slack("bob")).get(1).cloned()).await;
    assert!(reminded.seen().contains("Reminder: "), "{}", reminded.seen());
    assert_eq!(slack.direct(&in_slack("mia")).len(), 0);
    world.clock.advance(600);
    let reached =
        slack.until("mia's", |slack| Some(slack.direct(&in_slack("mia"))).filter(|all| all.len() == 2)).await;
    let seen: Vec<String> = reached.iter().map(Message::seen).collect();
    assert!(seen.iter().any(|one| one.contains("Approve")), "{seen:?}");
    assert!(seen.iter().any(|one| one.contains("Reminder: ")), "{seen:?}");
    quiet(&world).await;
    assert_eq!((slack.direct(&in_slack("bob")).len(), slack.messages(DBA).len()), (2, 3));
    world.finish().await;
}

#[tokio::test]
async fn needs_slack_sdk_what_is_posted_is_what_slacks_own_library_reads_and_what_it_signs_is_believed() {
    let slack = Slack::start().await;
    let world = world(&slack, Some(DBA)).await;
    bind(&slack, &world, "bob").await;
    let asked = json!({ "resource": "prod", "duration": "1h", "reason": "<b> & \"quotes\" ".repeat(50) });
    let id = world.post("ann", "requests", asked).await.good().id();
    let message = shows(&slack, DBA, "PENDING").await;
    clicks(&slack, &world, "bob", &message, "reject").await;
    let form = slack.until("the form", |slack| slack.views(&in_slack("bob")).pop()).await;
    world.ask_command("ann", "prod", "select 1;\nselect 2;").await.good();
    shows(&slack, DBA, "select 2;").await;
    world.reject("bob", &id).await.good();
    shows(&slack, DBA, "REJECTED").await;
    let mut posted = vec![form.given["blocks"].clone()];
    for message in slack.messages(DBA) {
        posted.extend(message.earlier.into_iter().map(|version| json!(version.blocks)));
        posted.push(json!(message.blocks));
    }
    assert!(posted.len() >= 4);
    for blocks in posted {
        assert_eq!(slack_sdk_reads(&blocks).await.as_ref(), Ok(&blocks));
    }

    // The library and the gateway agree on what Slack signed.
    let typed = slack.commanding(&in_slack("bob"), DBA, "list");
    let (body, now) = (typed.body(), world.now().as_second());
    for (at, altered) in [(now, false), (now - 299, false), (now - 301, false), (now, true)] {
        let (signature, mut sent) = (signature(at, &body), body.clone());
        if altered {
            sent = sent.replace("U0BOB", "U0SAM");
        }
        let theirs = slack_sdk_verifies(&sent, at, &signature, now).await;
        let mut request = slack.signed(&world.url(), typed.path, sent, at).build().unwrap();
        request.headers_mut().insert("x-slack-signature", signature.parse().unwrap());
        let ours = reqwest::Client::new().execute(request).await.unwrap().status();
        assert_eq!((ours == 200, ours == 401), (theirs, !theirs), "{at} {altered}");
    }
    world.finish().await;
}

#[tokio::test]
async fn without_an_app_there_is_no_channel_in_slack_and_bad_ones_are_refused() {
    let world = World::new().await;
    let refused = world.put("root", "channels/slack", json!({ "kind": "slack" })).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text("/detail").contains("no app in Slack"), "{refused:?}");
    assert_eq!(world.seen("ann", "/account/slack?code=x").await.0, 404);
    world.finish().await;
    let slack = Slack::start().await;
    let world = World::with(config(&slack)).await;
    for (channel, why) in [
        (json!({ "kind": "slack", "conversation": "#dba" }), "C0123456789"),
        (json!({ "kind": "slack", "address": "https://hooks.example.org/x" }), "has none"),
        (json!({ "kind": "slack", "to": ["a@example.org"] }), "only a channel of kind email"),
        (json!({ "kind": "slack", "events": ["vote.cast"] }), "name none"),
        (json!({ "kind": "pigeon" }), "webhook, slack, email or teams"),
    ] {
        let refused = world.put("root", "channels/slack", channel.clone()).await;
        assert_eq!(refused.status, 422, "{channel}");
        assert!(refused.text("/detail").contains(why), "{channel}: {refused:?}");
    }
    world.put("root", "channels/slack", json!({ "kind": "slack" })).await.good();
    let refused = world
        .put("root", "channels/slack", json!({ "kind": "webhook", "address": "https://x.example.org/" }))
        .await;
    assert!(refused.text("/detail").contains("remove it and add another"), "{refused:?}");
    let refused = world.post("root", "channels/slack/key", json!({})).await;
    assert!(refused.status == 422 && refused.text("/detail").contains("not signed"), "{refused:?}");
    world.finish().await;
}
