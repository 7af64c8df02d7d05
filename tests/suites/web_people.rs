//! People and groups in a real browser.

use serde_json::json;

use super::web::page_of;
use crate::world::browser::Browser;
use crate::world::{World, quorum};

#[tokio::test]
async fn needs_browser_somebody_new_is_added_signs_in_and_is_switched_off() {
    let world = World::new().await;
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/people", world.url())).await;
    root.click("a.button.main").await;
    root.types("#id", "nora").await;
    root.types("#email", "nora@example.org").await;
    root.click("[name=groups][value=dba]").await;
    root.types("[name=groups_more]", "night-shift").await;
    root.types("#password", "short").await;
    root.sends("button.main").await;
    root.until("document.querySelector('#password-wrong')").await;
    assert_eq!(root.script("document.querySelector('#email').value").await, "nora@example.org");
    assert_eq!(root.script("document.querySelector('#password').value").await, "", "a password came back");
    root.types("#password", "correct horse battery").await;
    root.sends("button.main").await;
    root.says("Saved.").await;
    let nora = world.get("root", "users/nora").await.good();
    assert_eq!(nora.body["groups"], json!(["dba", "night-shift"]));

    let page = browser.person().await;
    page.open(&format!("{}/sign-in", world.url())).await;
    page.types("#user", "nora").await;
    page.types("#password", "correct horse battery").await;
    page.press("Enter").await;
    page.until("location.pathname === '/requests'").await;
    root.click("[name=active]").await;
    root.sends("button.main").await;
    let off = async || (world.get("root", "users/nora").await.body["active"] == false).then_some(());
    world.eventually("nora is switched off", off).await;
    page.open(&format!("{}/requests", world.url())).await;
    page.says("nora is not active").await;
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_a_group_gets_its_members_and_one_that_a_rule_names_is_not_emptied() {
    let world = World::new().await;
    world.resource("prod", quorum(&["security"], false, 1)).await;
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/groups/security", world.url())).await;
    root.says("Named by prod-command, prod-just-in-time.").await;
    root.click("[name=members][value=eve]").await;
    root.sends("button.main").await;
    root.says("Saved.").await;
    assert_eq!(world.get("root", "groups/security").await.body["members"], json!(["eve", "sam", "sue"]));
    for name in ["eve", "sam", "sue"] {
        root.click(&format!("[name=members][value={name}]")).await;
    }
    root.sends("button.main").await;
    root.says("nobody would be in it, and these rules name it: prod-command, prod-just-in-time").await;
    assert_eq!(world.get("root", "groups/security").await.body["members"], json!(["eve", "sam", "sue"]));
    root.open(&format!("{}/groups/sre", world.url())).await;
    root.click("[name=members][value=eve]").await;
    root.sends("button.main").await;
    root.until("location.pathname === '/people'").await;
    world.get("root", "groups/sre").await.refused(404, "not-found");
    world.finish().await;
}

#[tokio::test]
async fn people_are_read_by_auditors_changed_by_admins_and_the_last_admin_stays() {
    let mut world = World::new().await;
    world.person("audrey", &["auditor"]).await;
    for path in ["/people", "/people/ann", "/groups/dba"] {
        assert_eq!(world.seen("ann", path).await.0, 403, "{path}");
        let (status, page) = world.seen("audrey", path).await;
        assert_eq!(status, 200, "{path}");
        assert!(!page.contains(">Save</button>"), "{path}");
    }
    for who in ["ann", "audrey"] {
        assert_eq!(world.seen(who, "/new/person").await.0, 403);
        assert_eq!(world.sent(who, "/people", &[("id", "x"), ("groups", "admin")]).await.0, 403);
        assert_eq!(world.sent(who, "/groups/admin", &[("members", who)]).await.0, 403);
    }
    let (_, form) = world.seen("root", "/people/root").await;
    let was = form.split("name=\"was\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    for (fields, says) in [
        (vec![("id", "a b"), ("active", "on")], "a b"),
        (vec![("id", "ann"), ("active", "on")], "there is somebody called ann already"),
        (vec![("id", "x"), ("groups", "a b")], "a b"),
        (vec![("editing", "root"), ("was", was), ("active", "on")], "the last active admin"),
        (
            vec![("editing", "root"), ("was", "1"), ("active", "on"), ("groups", "admin")],
            "somebody else has changed",
        ),
    ] {
        let (status, page) = world.sent("root", "/people", &fields).await;
        assert_eq!(status, 422, "{fields:?}");
        assert!(page.contains(says), "{fields:?}: {page}");
    }
    let (status, page) = world.sent("root", "/groups/admin", &[]).await;
    assert_eq!(status, 422);
    assert!(page.contains("the last active admin"), "{page}");
    assert_eq!(world.seen("root", "/people/nobody").await.0, 404);
    assert_eq!(world.sent("root", "/people", &[("editing", "nobody"), ("active", "on")]).await.0, 404);
    let (_, found) = world.seen("root", "/people?text=BO&group=dba").await;
    assert!(found.contains("/people/bob") && !found.contains("/people/bea"), "{found}");
    world.finish().await;
}
