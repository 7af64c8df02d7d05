//! Resource roles in a real browser.

use serde_json::json;

use super::web::page_of;
use crate::world::browser::Browser;
use crate::world::{World, quorum};

#[tokio::test]
async fn needs_browser_a_resource_is_made_changed_and_removed_and_its_secrets_are_never_shown() {
    let world = World::new().await;
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/resources", world.url())).await;
    root.click("a.button.main").await;
    root.types("#name", "box").await;
    root.types("#command", "sh\n-c\necho \"value=$TOKEN\"").await;
    root.types("[name=new_secret_name]", "TOKEN").await;
    root.types("[name=new_secret_value]", "hunter2").await;
    root.types("#max_duration", "soon").await;
    root.sends("button.main").await;
    root.until("document.querySelector('#max_duration-wrong')").await;
    assert_eq!(root.script("document.documentElement.outerHTML.includes('hunter2')").await, false);
    assert_eq!(
        root.script("document.querySelector('#command').value").await,
        "sh\n-c\necho \"value=$TOKEN\""
    );
    root.says("Values have to be typed again").await;
    root.script("document.querySelector('#max_duration').value = '2h'").await;
    root.types("[name=new_secret_value]", "hunter2").await;
    root.sends("button.main").await;
    root.says("Saved.").await;
    let made = world.get("root", "resources/box").await.good();
    assert_eq!(made.body["command"], json!(["sh", "-c", "echo \"value=$TOKEN\""]));
    assert_eq!((&made.body["secrets"], &made.body["max_duration"]), (&json!(["TOKEN"]), &json!("2h")));

    // Saved again, the value stays; what is not ticked any more is forgotten.
    root.types("#kind", "shell").await;
    root.sends("button.main").await;
    root.until("document.querySelector('#kind').value === 'shell' && location.search === '?saved=true'")
        .await;
    let value = |world: &World| world.app().ledger.secrets(&"box".parse().unwrap()).unwrap();
    assert_eq!(value(&world), [("TOKEN".to_owned(), "hunter2".to_owned())].into());
    root.click("[name=kept_secrets]").await;
    root.sends("button.main").await;
    assert_eq!(root.script("document.querySelector('[name=kept_secrets]')").await, serde_json::Value::Null);
    assert!(value(&world).is_empty());
    root.click("form.vote button.danger").await;
    root.says("There is nothing to ask for yet").await;
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_a_resource_that_something_depends_on_is_not_removed() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/resources/prod", world.url())).await;
    root.click("form.vote button.danger").await;
    root.says("resource `prod` is in use by rule prod-command").await;
    root.click("[name=access_types][value=command]").await;
    root.sends("button.main").await;
    root.says("rule prod-command covers command access to it").await;
    assert_eq!(
        root.script("document.querySelector('[name=access_types][value=command]').checked").await,
        false
    );
    world.get("root", "resources/prod").await.good();
    world.finish().await;
}

#[tokio::test]
async fn resources_are_read_by_auditors_changed_by_admins_and_bad_ones_are_refused() {
    let mut world = World::new().await;
    world.person("audrey", &["auditor"]).await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    for path in ["/resources", "/resources/prod"] {
        assert_eq!(world.seen("ann", path).await.0, 403, "{path}");
        assert_eq!(world.seen("audrey", path).await.0, 200, "{path}");
    }
    for who in ["ann", "audrey"] {
        assert_eq!(world.seen(who, "/new/resource").await.0, 403);
        assert_eq!(world.sent(who, "/resources", &[("name", "x"), ("command", "sh")]).await.0, 403);
        assert_eq!(world.sent(who, "/resources/prod/remove", &[]).await.0, 403);
    }
    let base = [("name", "x"), ("command", "sh"), ("access_types", "command")];
    for (field, value, says) in [
        ("name", "a b", "a b"),
        ("name", "prod", "there is a resource prod already"),
        ("command", "", "give the program to run"),
        ("access_types", "sideways", "an access type is"),
        ("access_types", "", "name `just-in-time`"),
        ("max_duration", "1s", "1s"),
        ("attribute_lines", "x", "is not of the form"),
        ("new_secret_name", "TOKEN", "give a value for `TOKEN`"),
        ("kept_secrets", "OTHER", "there is none to keep"),
        ("standing_groups", "a b", "a b"),
        ("agent", "a b", "a b"),
    ] {
        let mut fields: Vec<(&str, &str)> = base.iter().copied().filter(|(name, _)| *name != field).collect();
        fields.push((field, value));
        if field == "new_secret_name" {
            fields.push(("new_secret_value", ""));
        }
        let (status, page) = world.sent("root", "/resources", &fields).await;
        assert_eq!(status, 422, "{field} {value}");
        assert!(page.replace("&#39;", "'").contains(says), "{field} {value}: {page}");
    }
    let secret = [
        ("name", "x"),
        ("command", "sh"),
        ("access_types", "command"),
        ("new_secret_name", "PATH"),
        ("new_secret_value", "hunter2"),
    ];
    let (status, page) = world.sent("root", "/resources", &secret).await;
    assert_eq!(status, 422);
    assert!(!page.contains("hunter2"), "a secret came back");
    assert_eq!(world.seen("root", "/resources/nothing").await.0, 404);
    world.finish().await;
}
