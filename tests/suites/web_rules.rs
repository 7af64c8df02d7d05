//! Access request rules in a real browser: written in a form, tried, saved, removed.

use serde_json::json;

use super::web::page_of;
use crate::world::browser::Browser;
use crate::world::{World, quorum};

#[tokio::test]
async fn needs_browser_a_rule_is_written_in_a_form_tried_and_decides() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/rules", world.url())).await;
    root.says("There are no rules").await;
    root.click("a.button.main").await;
    root.types("#name", "prod-two").await;
    root.types("#description", "Two pairs of eyes").await;
    root.click("[name=resources][value=prod]").await;
    root.click("[name=approval_groups][value=dba]").await;
    root.click("[name=approval_groups][value=security]").await;
    root.click("[name=require_all_groups]").await;
    root.click("[name=force_approval_groups][value=sre]").await;
    root.types("#max_duration", "2h").await;
    root.says("For ann on prod, 1h: waiting for 1 of dba (bea, bob, sue) and 1 of security (sam, sue).")
        .await;
    root.sends("button.main").await;
    root.says("Saved. It decides from now on").await;
    assert_eq!(root.script("document.querySelector('#max_duration').value").await, "2h");

    let rule = world.get("root", "rules/prod-two").await.good();
    assert_eq!(
        rule.body["policies"][0]["config"],
        json!({ "groups": ["dba", "security"], "require_all": true, "approvals": 1 })
    );
    assert_eq!(rule.body["policies"][1]["config"], json!({ "max": "2h" }));
    let asked = world.ask("ann", "prod", "1h").await.good();
    assert!(asked.text("/summary").contains("1 of dba"), "{asked:?}");

    root.open(&format!("{}/rules", world.url())).await;
    root.says("one of each of dba, security; at most 2h; by force: sre; admins approve themselves").await;
    root.click("a.row").await;
    root.click("form.vote button.danger").await;
    root.says("There are no rules").await;
    world.get("root", "rules/prod-two").await.refused(404, "not-found");
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_a_list_of_policies_has_a_form_for_each_config() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/new/rule", world.url())).await;
    root.types("#name", "listed").await;
    root.click("[name=resources][value=prod]").await;
    root.click("[name=decided_by][value=policies]").await;
    root.click("button[value=add]").await;
    root.until("document.querySelector('[name=policy-0]')").await;
    root.choose("[name=policy-0]", "group-quorum").await;
    root.until("document.querySelector('[name=config-0-groups]')").await;
    root.types("[name=config-0-groups]", "dba\nsecurity").await;
    root.click("button[value=add]").await;
    root.until("document.querySelector('[name=policy-1]')").await;
    root.choose("[name=policy-1]", "duration-cap").await;
    root.until("document.querySelector('[name=config-1-max]')").await;
    root.types("[name=config-1-max]", "soon").await;
    root.sends("button.main").await;
    // The reason stands beside the field, and nothing that was typed is lost.
    root.until("document.querySelector('[name=config-1-max][aria-invalid]')").await;
    assert_eq!(root.script("document.querySelector('[name=config-1-max]').value").await, "soon");
    assert_eq!(root.script("document.querySelector('[name=config-0-groups]').value").await, "dba\nsecurity");
    assert_eq!(root.script("document.querySelector('#name').value").await, "listed");
    root.script("document.querySelector('[name=config-1-max]').value = ''").await;
    root.types("[name=config-1-max]", "90m").await;
    root.click("button[value=up-1]").await;
    root.until("document.querySelector('[name=policy-0]').value === 'duration-cap'").await;
    root.sends("button.main").await;
    root.says("Saved. It decides from now on").await;
    let rule = world.get("root", "rules/listed").await.good();
    assert_eq!(rule.body["policies"][0]["policy"], "duration-cap");
    assert_eq!(rule.body["policies"][0]["config"]["max"], "90m");
    assert_eq!(rule.body["policies"][1]["config"]["groups"], json!(["dba", "security"]));
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_a_rule_that_nobody_could_approve_is_warned_of() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/new/rule", world.url())).await;
    root.types("#name", "nobody").await;
    root.click("[name=resources][value=prod]").await;
    root.types("[name=approval_groups_more]", "nobody-is-here").await;
    root.press("Tab").await;
    root.says("nobody could get this approved: it needs 1 of nobody-is-here and there are 0").await;
    root.sends("button.main").await;
    root.says("Saved.").await;
    root.says("nobody could get this approved").await;
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_without_scripts_a_rule_is_written_and_tried() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.scripts(false).await;
    root.open(&format!("{}/new/rule", world.url())).await;
    root.types("#name", "quiet").await;
    root.click("[name=resources][value=prod]").await;
    root.click("[name=approval_groups][value=dba]").await;
    root.types("[name=who]", "ann").await;
    root.click("button[formaction='/new/rule']:not([name])").await;
    root.says("For ann on prod, 1h: waiting for 1 of dba").await;
    root.types("#description", "typed").await;
    root.press("Tab").await;
    root.sends("button.main").await;
    root.says("Saved.").await;
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_what_somebody_else_saved_meanwhile_is_not_written_over() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/rules/prod-just-in-time", world.url())).await;
    let other = json!({ "access_type": "just-in-time", "resources": ["prod"], "policies": quorum(&["security"], false, 1) });
    world.rule("prod-just-in-time", other).await.good();
    root.types("#description", "mine").await;
    root.sends("button.main").await;
    root.says("somebody else has changed this rule since you opened it").await;
    assert_eq!(root.script("document.querySelector('#description').value").await, "mine");
    let rule = world.get("root", "rules/prod-just-in-time").await.good();
    assert_eq!(rule.body["policies"][0]["config"]["groups"], json!(["security"]));
    world.finish().await;
}

#[tokio::test]
async fn rules_are_read_by_auditors_written_by_admins_and_hidden_from_others() {
    let mut world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    world.person("audrey", &["auditor"]).await;
    for path in ["/rules", "/rules/prod-just-in-time"] {
        assert_eq!(world.seen("ann", path).await.0, 403, "{path}");
        let (status, page) = world.seen("audrey", path).await;
        assert_eq!(status, 200, "{path}");
        assert!(!page.contains(">Save</button>") && !page.contains("New rule"), "{path}");
    }
    for who in ["ann", "audrey"] {
        assert_eq!(world.seen(who, "/new/rule").await.0, 403);
        for path in ["/rules", "/new/rule", "/rules/prod-just-in-time/remove"] {
            assert_eq!(
                world.sent(who, path, &[("editing", "prod-just-in-time")]).await.0,
                403,
                "{who} {path}"
            );
        }
    }
    assert_eq!(world.get("root", "rules").await.body["total"], 2);
    assert_eq!(world.seen("root", "/rules/nothing").await.0, 404);
    world.finish().await;
}

#[tokio::test]
async fn what_no_form_of_ours_sends_is_refused_beside_its_field() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let base = [
        ("name", "r"),
        ("access_type", "just-in-time"),
        ("resources", "prod"),
        ("approval_groups", "dba"),
        ("approval_amount", "1"),
    ];
    for (field, value, says) in [
        ("name", "a b", "a b"),
        ("name", "prod-command", "there is a rule prod-command already"),
        ("access_type", "sideways", "an access type is"),
        ("resources", "nothing", "there is no resource `nothing`"),
        ("resources", "", "name at least one resource"),
        ("approval_amount", "many", "say how many people must approve"),
        ("approval_amount", "0", "group-quorum:"),
        ("approval_amount", "99999999999", "say how many people must approve"),
        ("approval_groups", "a b", "a b"),
        ("max_duration", "soon", "soon"),
        ("attribute_lines", "env", "is not of the form name=value"),
        ("description", &"x".repeat(10_001), "the description is too long"),
    ] {
        let mut fields: Vec<(&str, &str)> = base.iter().copied().filter(|(name, _)| *name != field).collect();
        fields.push((field, value));
        let (status, page) = world.sent("root", "/rules", &fields).await;
        assert_eq!(status, 422, "{field}");
        let beside = format!("{field}-wrong");
        assert!(page.contains(says), "{field}: {page}");
        assert!(page.contains(&beside) || field == "approval_groups", "{field} {value}: {page}");
        // The same while it is tried.
        assert_eq!(world.sent("root", "/new/rule", &fields).await.0, 200, "{field}");
    }
    let many: Vec<String> = (0..200).map(|index| format!("policy-{index}")).collect();
    let mut fields =
        vec![("name", "r"), ("access_type", "command"), ("resources", "prod"), ("decided_by", "policies")];
    fields.extend(many.iter().map(|name| (name.as_str(), "no-such-policy")));
    let (status, page) = world.sent("root", "/rules", &fields).await;
    assert_eq!(status, 422);
    assert!(page.contains("there is no policy `no-such-policy`"), "{page}");
    for verb in ["remove-7", "up-0", "up-99999999999999999999", "add-x", "nonsense", ""] {
        assert_eq!(world.sent("root", "/new/rule", &[("do", verb)]).await.0, 200, "{verb}");
    }
    assert_eq!(world.get("root", "rules").await.body["total"], 2);
    world.finish().await;
}
