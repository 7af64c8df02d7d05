//! Policies in a real browser: loaded, tried on recorded decisions, beside the one that decides,
//! activated and taken back; and one evaluation by itself.

use super::policy_changes;
use super::web::page_of;
use crate::world::browser::Browser;
use crate::world::{World, component, noted, quorum};

#[tokio::test]
async fn needs_browser_a_component_is_loaded_tried_activated_and_taken_back() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba", "security"], true, 1)).await;
    let let_in = world.ask("ann", "prod", "2h").await.good().id();
    world.approve("bea", &let_in).await.good();
    let before = world.get("root", "policies/group-quorum").await.good().text("/active").to_owned();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one-group.wasm");
    std::fs::write(&file, component("one-group")).unwrap();

    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/policies", world.url())).await;
    root.types("#name", "group-quorum").await;
    root.gives("#component", &file).await;
    root.click("form button.main").await;
    root.says("Loaded and checked. It decides nothing yet").await;
    assert_eq!(world.get("root", "policies/group-quorum").await.good().text("/active"), before);

    root.click("section.version a").await;
    root.says("would newly let somebody in").await;
    root.says("ann on prod").await;
    root.says("In the end: pending.").await;
    root.click(".crumbs a:last-child").await;
    root.click("button[value=stage]").await;
    root.says("Staged: every rule").await;
    root.click("button[value=shadow]").await;
    root.says("It is asked beside the version that decides from now on").await;
    let second = world.ask("ann", "prod", "1h").await.good().id();
    world.approve("bea", &second).await.good();
    let page = format!("{}/policies/group-quorum", world.url());
    world
        .eventually("the shadow saw the difference", async || {
            root.open(&page).await;
            root.text("main").await.contains("ann on prod").then_some(())
        })
        .await;
    root.types("[name=difference] ~ label input", "dba is enough").await;
    root.click("button[value=accept]").await;
    root.says("accepted by root: dba is enough").await;
    root.click("button[value=activate]").await;
    root.says("It decides from now on").await;
    assert_eq!(world.until(&let_in, "APPROVED").await.state(), "APPROVED");
    root.click("button[value=roll-back]").await;
    root.says("The version before decides again").await;
    assert_eq!(world.get("root", "policies/group-quorum").await.good().text("/active"), before);
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_what_is_no_policy_is_refused_and_the_name_is_kept() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nothing.wasm");
    std::fs::write(&file, b"not a component").unwrap();
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/policies", world.url())).await;
    root.types("#name", "mine").await;
    root.gives("#component", &file).await;
    root.click("form button.main").await;
    root.says("this cannot be a policy").await;
    assert_eq!(root.script("document.querySelector('#name').value").await, "mine");
    world.get("root", "policies/mine").await.refused(404, "not-found");
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_a_policy_is_asked_once_with_an_input_of_ones_own() {
    let world = World::new().await;
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/policies/group-quorum/playground", world.url())).await;
    root.types("[name=config-groups]", "dba\nsecurity").await;
    root.click("[name=config-require_all]").await;
    root.until("document.querySelector('#outcome')?.innerText === 'wait'").await;
    root.says("missing: 1 of security").await;
    root.script("document.querySelector('#votes').value = 'approve bob=dba: fine\\nreject sam=security: no'")
        .await;
    root.sends("button.main").await;
    root.until("document.querySelector('#outcome')?.innerText === 'deny'").await;
    root.script("document.querySelector('#votes').value = 'approve ann=dev'").await;
    root.sends("button.main").await;
    root.says("`ann` asks or has voted").await;
    root.script("document.querySelector('#votes').value = 'approve bob=dba\\napprove sam=security'").await;
    root.sends("button.main").await;
    root.until("document.querySelector('#outcome')?.innerText === 'approve'").await;
    root.says("of 10000000").await;
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_a_recorded_decision_is_asked_again_with_another_vote() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let record = world.request(&id).await.text("/record").to_owned();
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/policies/group-quorum/playground?record={record}", world.url())).await;
    assert_eq!(root.script("document.querySelector('[name=config-groups]').value").await, "dba");
    root.sends("button.main").await;
    root.until("document.querySelector('#outcome')?.innerText === 'wait'").await;
    world.finish().await;
}

#[tokio::test]
async fn policies_are_read_by_auditors_changed_by_admins_and_hidden_from_others() {
    let mut world = World::new().await;
    world.person("audrey", &["auditor"]).await;
    let loaded =
        world.upload("root", "policies/group-quorum/versions", noted(component("group-quorum"), "x")).await;
    let digest = loaded.good().text("/digest").to_owned();
    let pages = [
        "/policies",
        "/policies/group-quorum",
        "/policies/group-quorum/backtest",
        "/policies/group-quorum/playground",
    ];
    for path in pages {
        assert_eq!(world.seen("ann", path).await.0, 403, "{path}");
        assert_eq!(world.seen("audrey", path).await.0, 200, "{path}");
    }
    assert!(!world.seen("audrey", "/policies/group-quorum").await.1.contains("<button name=\"do\""));
    for verb in ["stage", "shadow", "stop-shadow", "activate", "roll-back", "accept"] {
        for who in ["ann", "audrey"] {
            let fields = [("do", verb), ("digest", &digest), ("reason", "x")];
            assert_eq!(world.sent(who, "/policies/group-quorum", &fields).await.0, 403, "{who} {verb}");
        }
    }
    for (fields, status, says) in [
        (vec![("do", "stage"), ("digest", "zz")], 422, "hexadecimal digits"),
        (vec![("do", "activate"), ("digest", "00000000")], 422, "there is no policy version"),
        (vec![("do", "roll-back")], 409, "no earlier version to go back to"),
        (vec![("do", "sing")], 400, "nothing that can be done with a version"),
        (vec![("do", "shadow"), ("digest", digest.as_str())], 409, "must be staged"),
        (vec![("do", "accept"), ("difference", "1"), ("reason", "x")], 409, "shadow"),
        (vec![], 400, "nothing that can be done"),
    ] {
        let (got, page) = world.sent("root", "/policies/group-quorum", &fields).await;
        assert_eq!(got, status, "{fields:?}");
        assert!(page.contains(says), "{fields:?}: {page}");
    }
    for (path, status) in [
        ("/policies/nothing", 404),
        ("/policies/nothing/playground", 404),
        ("/policies/group-quorum/backtest?candidate=00000000", 404),
        ("/policies/group-quorum/backtest?candidate=zz", 422),
        ("/policies/group-quorum/playground?version=zz", 422),
        ("/policies/group-quorum/playground?record=zz", 400),
    ] {
        assert_eq!(world.seen("root", path).await.0, status, "{path}");
    }
    let days = format!("/policies/group-quorum/backtest?candidate={digest}&days=soon");
    assert_eq!(world.seen("root", &days).await.0, 400);
    for input in ["nothing", "{}", "{\"now\":1}"] {
        let fields = [("as_json", "on"), ("input", input)];
        assert_eq!(world.sent("root", "/policies/group-quorum/playground", &fields).await.0, 422, "{input}");
    }
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_an_activation_that_somebody_else_must_approve_is_asked_for_on_the_page() {
    let world = policy_changes::world().await;
    let digest = policy_changes::newer(&world, "b").await;
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    let page = format!("{}/policies/group-quorum", world.url());
    root.open(&page).await;
    root.types("[name=reason]", "newer").await;
    root.click("button[value=activate]").await;
    root.says("root on policy-changes").await;
    root.says(&digest).await;
    let id = root.script("location.pathname.split('/')[2]").await.as_str().unwrap().to_owned();
    world.approve("bob", &id).await.good();
    root.open(&page).await;
    root.types("[name=request]", &id).await;
    root.click("button[value=activate]").await;
    root.says("It decides from now on").await;
    assert_eq!(world.get("root", "policies/group-quorum").await.good().text("/active"), digest);
    world.finish().await;
}
