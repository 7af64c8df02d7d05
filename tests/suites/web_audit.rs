//! The ledger and recorded decisions in a real browser.

use super::web::page_of;
use crate::world::browser::Browser;
use crate::world::{World, quorum};

#[tokio::test]
async fn needs_browser_an_auditor_finds_an_entry_and_verifies_the_ledger() {
    let mut world = World::new().await;
    world.person("audrey", &["auditor"]).await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    world.reject("bob", &id).await.good();
    let browser = Browser::start().await;
    let audrey = page_of(&browser, &world, "audrey").await;
    audrey.open(&format!("{}/audit", world.url())).await;
    audrey.types("[name=by]", "bob").await;
    audrey.types("[name=stream]", &format!("request/{id}")).await;
    audrey.press("Enter").await;
    audrey.until("document.querySelectorAll('.entries li').length === 3").await;
    audrey.says("bob voted to reject").await;
    audrey.click(".entries li:last-child summary").await;
    audrey.says("\"choice\": \"reject\"").await;
    audrey.click("form[action='/audit/verify'] button").await;
    audrey.says("Every entry is what was written.").await;
    let export = audrey.script("fetch('/audit/export').then((answer) => answer.text())").await;
    let lines: Vec<&str> = export.as_str().unwrap().lines().collect();
    assert_eq!(lines.len() as u64, world.get("root", "audit/entries").await.body["total"]);
    assert!(lines.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_an_entry_that_was_edited_is_found_from_the_page() {
    let world = World::new().await;
    let ledger = rusqlite::Connection::open(world.app().config.ledger()).unwrap();
    let triggers: Vec<String> = ledger
        .prepare("select name from sqlite_master where type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .flatten()
        .collect();
    for name in triggers {
        ledger.execute_batch(&format!("drop trigger \"{name}\"")).unwrap();
    }
    let changed = ledger
        .execute("update entries set json = replace(json, 'ann@', 'eve@') where json like '%ann@%'", []);
    assert!(changed.unwrap() > 0);
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/audit", world.url())).await;
    root.click("form[action='/audit/verify'] button").await;
    root.says("cannot be trusted").await;
}

#[tokio::test]
async fn needs_browser_a_decision_is_replayed_on_its_page() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/requests/{id}", world.url())).await;
    root.click("details.more summary").await;
    root.click("a[href^='/decisions/']").await;
    root.says("Decision on ann on prod").await;
    root.says("group-quorum").await;
    root.click("button.main").await;
    root.says("The same again.").await;
    world.finish().await;
}

#[tokio::test]
async fn only_auditors_read_the_ledger_and_what_they_look_for_wrongly_is_said() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let record = world.request(&id).await.text("/record").to_owned();
    for path in ["/audit", "/audit/export", &format!("/decisions/{record}")] {
        assert_eq!(world.seen("ann", path).await.0, 403, "{path}");
    }
    for path in ["/audit/verify", &format!("/decisions/{record}/replay")] {
        assert_eq!(world.sent("ann", path, &[]).await.0, 403, "{path}");
        assert_eq!(world.seen("root", path).await.0, 405, "{path}");
    }
    for (query, says) in [
        ("stream=nonsense", "is not the name of a stream"),
        ("by=a%20b", "a b"),
        ("since=yesterday", "`yesterday` is no time"),
        ("cursor=x", "this page of the list is none"),
    ] {
        let (status, page) = world.seen("root", &format!("/audit?{query}")).await;
        assert_eq!(status, 400, "{query}");
        assert!(page.contains(says), "{query}: {page}");
    }
    let none = "0".repeat(64);
    assert_eq!(world.seen("root", &format!("/decisions/{none}")).await.0, 404);
    world.finish().await;
}
