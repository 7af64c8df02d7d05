//! Ways around approval: forced, skipped, automatic; each marked as what it is, and
//! none around a limit.

use serde_json::{Value, json};

use crate::world::{World, and, just_in_time, quorum};

/// One approval out of dba, and this way around it.
fn with_bypass(config: Value) -> Value {
    and(quorum(&["dba"], false, 1), "bypass", config)
}

/// Members of sre may force.
fn forcible() -> Value {
    with_bypass(json!({ "force_groups": ["sre"] }))
}

#[tokio::test]
async fn b1_a_forced_approval_opens_at_once_and_says_by_whom_and_why() {
    let world = World::new().await;
    world.resource("prod", forcible()).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let forced = world.force("eve", &id, "the site is down").await.good();
    assert_eq!((forced.state(), forced.text("/approval/forced_by")), ("APPROVED", "eve"));
    assert_eq!(
        forced.body["approval"]["bypasses"][0],
        json!({
            "rule": "prod-just-in-time", "policy": "bypass", "why": "forced by eve: the site is down",
        })
    );
    assert_eq!(
        (&forced.body["votes"][0]["forced"], forced.text("/votes/0/comment")),
        (&json!(true), "the site is down")
    );
    assert!(forced.texts("/findings", "code").contains(&"forced"));
    // Whoever asked, and every auditor, sees it.
    assert_eq!(world.get("ann", &format!("requests/{id}")).await.text("/approval/forced_by"), "eve");
    world.finish().await;
}

#[tokio::test]
async fn who_can_force_is_somebody_who_can_get_it_approved() {
    let world = World::new().await;
    let policies = and(quorum(&["legal"], false, 1), "bypass", json!({ "force_groups": ["sre"] }));
    world.resource("prod", policies).await;
    // Nobody is in legal.
    let asked = world.ask("ann", "prod", "1h").await.good();
    assert_eq!(asked.body["nobody_can_approve"], false, "{}", asked.body);
    assert!(!asked.text("/summary").starts_with("nobody"), "{}", asked.body);
    assert_eq!(world.force("eve", &asked.id(), "the site is down").await.good().state(), "APPROVED");
    world.finish().await;
}

#[tokio::test]
async fn b2_forcing_without_a_reason_is_refused() {
    let world = World::new().await;
    world.resource("prod", forcible()).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    for wordless in ["", " \t\n"] {
        let refused = world.force("eve", &id, wordless).await;
        assert!(refused.refused(422, "reason-missing").contains("say why"));
    }
    let no = json!({ "choice": "reject", "forced": true, "comment": "no" });
    world.post("eve", &format!("requests/{id}/votes"), no).await.refused(422, "forced-rejection");
    let still = world.request(&id).await;
    assert_eq!((still.state(), still.list("/votes").len()), ("PENDING", 0));
    world.finish().await;
}

#[tokio::test]
async fn b3_who_may_not_force_may_still_approve_and_the_other_way_round() {
    let world = World::new().await;
    world.resource("prod", forcible()).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let refused = world.force("bob", &id, "please").await;
    assert!(refused.refused(403, "not-forcer").contains("that takes sre"));
    // Eve may force, which gives her no normal vote.
    world.approve("eve", &id).await.refused(403, "not-eligible");
    let approved = world.approve("bob", &id).await.good();
    assert_eq!((approved.state(), approved.body["approval"]["forced_by"].is_null()), ("APPROVED", true));
    assert_eq!(approved.list("/approval/bypasses").len(), 0);
    world.finish().await;
}

#[tokio::test]
async fn b4_nobody_forces_their_own_request() {
    let mut world = World::new().await;
    world.person("ann", &["dev", "sre"]).await;
    world.resource("prod", forcible()).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    world.force("ann", &id, "I am in a hurry").await.refused(403, "own-request");
    assert_eq!(world.request(&id).await.state(), "PENDING");
    world.finish().await;
}

#[tokio::test]
async fn b5_b6_an_admins_own_request_passes_only_where_that_is_on() {
    let world = World::new().await;
    world.resource("on", with_bypass(json!({}))).await;
    world.resource("off", with_bypass(json!({ "admins_approve_themselves": false }))).await;
    let passed = world.ask("root", "on", "1h").await.good();
    assert_eq!((passed.status, passed.state()), (201, "APPROVED"));
    assert_eq!(
        passed.body["approval"]["bypasses"][0],
        json!({
            "rule": "on-just-in-time", "policy": "bypass", "why": "automatic: root is in admin",
        })
    );
    assert_eq!((passed.list("/votes").len(), passed.list("/approval/approvers").len()), (0, 0));
    // Only their own.
    assert_eq!(world.ask("ann", "on", "1h").await.good().state(), "PENDING");
    let waits = world.ask("root", "off", "1h").await.good();
    assert_eq!(waits.state(), "PENDING");
    assert_eq!(world.approve("bob", &waits.id()).await.good().state(), "APPROVED");
    world.finish().await;
}

#[tokio::test]
async fn b7_a_bypass_skips_approval_and_no_limit() {
    let world = World::new().await;
    world.bare_resource("short", json!({ "max_duration": "2h" })).await;
    world.rule("short", just_in_time("short", with_bypass(json!({})))).await.good();
    let refused = world.ask("root", "short", "3h").await;
    assert!(refused.refused(422, "duration-too-long").contains("the maximum is 2h, set by resource short"));

    world
        .resource(
            "capped",
            and(with_bypass(json!({ "force_groups": ["sre"] })), "duration-cap", json!({ "max": "2h" })),
        )
        .await;
    let denied = world.ask("root", "capped", "3h").await.good();
    assert_eq!((denied.state(), denied.text("/ended/by")), ("REJECTED", "policy duration-cap"));
    assert!(denied.body["granted"].is_null());
    assert_eq!(denied.text("/ended/why"), "3h asked, 2h is the longest access here");
    world.force("eve", &denied.id(), "all the same").await.refused(409, "already-decided");
    let within = world.ask("root", "capped", "2h").await.good();
    assert_eq!((within.state(), within.text("/granted/duration")), ("APPROVED", "2h"));
    world.finish().await;
}

#[tokio::test]
async fn b8_a_skip_group_passes_marked_skipped() {
    let mut world = World::new().await;
    world.person("eve", &["sre", "oncall"]).await;
    world.resource("prod", with_bypass(json!({ "skip_groups": ["oncall"] }))).await;
    let passed = world.ask("eve", "prod", "1h").await.good();
    assert_eq!(passed.state(), "APPROVED");
    assert_eq!(passed.text("/approval/bypasses/0/why"), "skipped: eve is in oncall");
    assert!(passed.texts("/findings", "code").contains(&"skipped"));
    assert_eq!(world.ask("ann", "prod", "1h").await.good().state(), "PENDING");
    world.finish().await;
}
