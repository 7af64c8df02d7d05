//! Notification channels in a real browser.

use quorate::config::Config;
use serde_json::json;

use super::web::page_of;
use crate::world::browser::Browser;
use crate::world::receiver::Receiver;
use crate::world::{World, quorum};

#[tokio::test]
async fn needs_browser_a_channel_is_made_tested_repaired_and_removed_by_clicking() {
    let world = World::with(Config { notify_own_network: true, ..Config::default() }).await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let receiver = Receiver::start().await;
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/channels", world.url())).await;
    root.says("Nobody is told of requests yet").await;
    root.click("a.button.main").await;
    root.types("#name", "pager").await;
    root.click("[name=kind][value=webhook]").await;
    root.types("#description", "The pager's way in").await;
    root.types("#address", "ftp://hunter2.example.org/").await;
    root.click("[name=all_requests]").await;
    root.sends("button.main").await;
    root.until("document.querySelector('#address-wrong')").await;
    assert_eq!(root.script("document.querySelector('#description').value").await, "The pager's way in");
    assert_eq!(root.script("document.querySelector('[name=all_requests]').checked").await, true);
    assert_eq!(root.script("document.documentElement.outerHTML.includes('hunter2')").await, false);
    root.types("#address", &receiver.address).await;
    root.sends("button.main").await;
    root.says("Channel pager is there.").await;
    let key = root.text("#key").await;
    let (lifecycle, pager) = (&world.app().lifecycle, "pager".parse().unwrap());
    assert_eq!(lifecycle.channel_address(&pager).unwrap(), receiver.address);
    assert_eq!(lifecycle.channel_keys(&pager).unwrap().len(), 1);
    assert!(key.starts_with("whsec_"), "{key}");

    // It is shown once; a test says what came of it.
    root.sends("form[action$='/test'] button").await;
    root.says("The message arrived.").await;
    assert_eq!(root.script("document.documentElement.outerHTML.includes('whsec_')").await, false);
    assert_eq!(receiver.messages()[0].body()["type"], "channel.test");
    receiver.answers(500, &[]);
    root.sends("form[action$='/test'] button").await;
    root.says("The message did not arrive: it answered 500.").await;

    // A request that it cannot be told of says so, until it can.
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let page = format!("{}/requests/{id}", world.url());
    world
        .eventually("a failure", async || {
            let (_, page) = world.seen("ann", &format!("/requests/{id}")).await;
            page.contains("could not be told").then_some(())
        })
        .await;
    root.open(&page).await;
    root.says("Channel pager could not be told: it answered 500").await;
    root.open(&format!("{}/channels", world.url())).await;
    root.says("does not arrive").await;
    // The page of the channel says so too, as it is now.
    root.open(&format!("{}/channels/pager", world.url())).await;
    root.types("#description", "half a sen").await;
    root.until("document.querySelector('#deliveries .pending')").await;
    receiver.answers(200, &[]);
    world.clock.advance(60);
    world.eventually("the message", async || (receiver.told().len() == 2).then_some(())).await;
    root.until("document.querySelector('#deliveries .approved')").await;
    root.until("document.querySelector('#status').innerText.includes('Waiting\\n0')").await;
    assert_eq!(
        root.script("document.querySelector('#description').value.includes('half a sen')").await,
        true
    );
    root.sends("form[action$='/again'] button").await;
    root.says("It is told again").await;
    world.eventually("it again", async || (receiver.told().len() == 3).then_some(())).await;
    root.sends("form[action$='/rotate'] button").await;
    root.says("It has another key").await;
    assert_ne!(root.text("#key").await, key);

    // What depends on it keeps it, and it keeps what it depends on.
    let told = json!({ "kind": "webhook", "rules": ["prod-command"] });
    world.put("root", "channels/pager", told).await.good();
    root.open(&format!("{}/rules/prod-command", world.url())).await;
    root.sends("form[action$='/remove'] button").await;
    root.says("in use by channel pager").await;
    world.bare_resource("staging", json!({ "plugins": ["pager"] })).await;
    root.open(&format!("{}/channels/pager", world.url())).await;
    root.says("Named by staging").await;
    root.sends("form[action$='/remove'] button").await;
    root.says("in use by resource staging").await;
    world.bare_resource("staging", json!({})).await;
    root.sends("form[action$='/remove'] button").await;
    root.says("Nobody is told of requests yet").await;
    world.finish().await;
}

#[tokio::test]
async fn channels_are_read_by_auditors_changed_by_admins_and_bad_ones_are_refused() {
    let mut world = World::new().await;
    world.person("audrey", &["auditor"]).await;
    let made = json!({ "kind": "webhook", "address": "https://hooks.example.org/?token=hunter2" });
    world.put("root", "channels/pager", made).await.good();
    for path in ["/channels", "/channels/pager"] {
        assert_eq!(world.seen("ann", path).await.0, 403, "{path}");
        let (status, page) = world.seen("audrey", path).await;
        assert_eq!(status, 200, "{path}");
        assert!(page.contains("hooks.example.org") && !page.contains("hunter2"), "{path}: {page}");
        assert!(!page.contains(">Save</button>") && !page.contains("New channel"), "{path}");
    }
    for who in ["ann", "audrey"] {
        assert_eq!(world.seen(who, "/new/channel").await.0, 403);
        assert_eq!(world.sent(who, "/channels", &[("name", "x"), ("address", "https://x.org")]).await.0, 403);
        for verb in ["remove", "rotate", "test", "again"] {
            let path = format!("/channels/pager/{verb}");
            assert_eq!(world.sent(who, &path, &[("entry", "1")]).await.0, 403, "{verb}");
        }
    }
    let base = [("name", "x"), ("kind", "webhook"), ("address", "https://x.org/hunter2")];
    for (field, value, says) in [
        ("name", "a b", "a b"),
        ("name", "pager", "there is a channel pager already"),
        ("kind", "", "give webhook, slack, email or teams"),
        ("kind", "slack", "has no app in Slack"),
        ("address", "", "there is none to keep"),
        ("address", "x.org/hunter2", "it is no address"),
        ("address", "http://[::1]/hunter2", "own network"),
        ("description", "a%07b", "no place in it"),
        ("rules_more", "nothing", "there is no rule nothing"),
        ("events", "request.opened", "is no event"),
    ] {
        let mut fields: Vec<(&str, &str)> = base.iter().copied().filter(|(name, _)| *name != field).collect();
        fields.push((field, value));
        let (status, page) = world.sent("root", "/channels", &fields).await;
        assert_eq!(status, 422, "{field} {value}");
        assert!(page.replace("&#39;", "'").contains(says), "{field} {value}: {page}");
        assert!(!page.contains("hunter2"), "an address came back");
    }
    let stale = [("editing", "pager"), ("kind", "webhook"), ("revision", "7"), ("description", "mine")];
    assert!(world.sent("root", "/channels", &stale).await.1.contains("somebody else has changed"));
    for path in ["/channels/nothing", "/channels/a%20b"] {
        assert!(world.seen("root", path).await.0.is_client_error(), "{path}");
    }
    assert_eq!(world.sent("root", "/channels/nothing/rotate", &[]).await.0, 404);
    world.finish().await;
}
