//! How long: what can be asked for, what is granted, and what time alone does.

use serde_json::{Value, json};

use crate::world::{World, and, just_in_time, quorum};

/// One approval out of dba, for at most this long.
fn capped(config: Value) -> Value {
    and(quorum(&["dba"], false, 1), "duration-cap", config)
}

#[tokio::test]
async fn d1_a_duration_is_shown_back_in_the_words_it_was_given_in() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    for words in ["10m", "30m", "1h", "2h", "8h", "24h", "90m", "1h30m", "60s"] {
        let asked = world.ask("ann", "prod", words).await.good();
        assert_eq!(asked.text("/duration"), words);
        assert_eq!(world.request(&asked.id()).await.text("/duration"), words);
    }
    world.finish().await;
}

#[tokio::test]
async fn d2_anything_else_is_refused_with_the_accepted_forms() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    for words in ["0s", "-1h", "2", "2 hours", "59s", "999999h", "", "2h2h", "1.5h", "2H", "\u{1b}[31m2h"] {
        let refused = world.ask("ann", "prod", words).await;
        let detail = refused.refused(400, "bad-request");
        assert!(detail.contains("10m, 2h or 1h30m") && detail.contains("60s"), "{words:?}: {detail}");
        assert_eq!(refused.text("/path"), "/duration");
        let rule = json!({ "access_type": "just-in-time", "resources": ["prod"],
            "approval_groups": ["dba"], "max_duration": words });
        let refused = world.rule("r", rule).await;
        assert!(refused.refused(400, "bad-request").contains("10m, 2h or 1h30m"), "{words:?}");
        let policies = capped(json!({ "max": words }));
        world.rule("r", just_in_time("prod", policies)).await.refused(422, "bad-config");
    }
    for number in [json!(3600), json!(-1), json!(["2h"])] {
        let body = json!({ "resource": "prod", "duration": number });
        world.post("ann", "requests", body).await.refused(400, "bad-request");
    }
    assert_eq!(world.get("root", "requests").await.body["total"], 0);
    world.finish().await;
}

#[tokio::test]
async fn d3_the_maximum_is_the_longest_and_is_named_with_whoever_set_it() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    world.bare_resource("short", json!({ "max_duration": "2h" })).await;
    world.rule("short", just_in_time("short", quorum(&["dba"], false, 1))).await.good();
    for (resource, fits, too_long, words) in [
        ("short", "2h", "2h1s", "2h1s is too long: the maximum is 2h, set by resource short"),
        ("prod", "24h", "24h1s", "24h1s is too long: the maximum is 24h, set by the gateway"),
    ] {
        let id = world.ask("ann", resource, fits).await.good().id();
        assert_eq!(world.approve("bob", &id).await.good().text("/granted/duration"), fits);
        assert_eq!(world.ask("ann", resource, too_long).await.refused(422, "duration-too-long"), words);
    }
    world.finish().await;
}

#[tokio::test]
async fn d3_a_maximum_that_shrinks_while_people_wait_holds() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "8h").await.good().id();
    world.bare_resource("prod", json!({ "max_duration": "1h" })).await;
    let told = world.request(&id).await;
    assert_eq!(told.body["allowed"], json!({ "duration": "1h", "set_by": "resource prod" }));
    assert_eq!(world.approve("bob", &id).await.good().text("/granted/duration"), "1h");
    world.finish().await;
}

#[tokio::test]
async fn d4_less_than_was_asked_is_told_before_the_wait_and_counts_from_approval() {
    let world = World::new().await;
    world.resource("prod", capped(json!({ "max": "1h", "on_excess": "shorten" }))).await;
    let asked = world.ask("ann", "prod", "2h").await.good();
    assert_eq!((asked.state(), asked.text("/duration")), ("PENDING", "2h"));
    assert_eq!(asked.body["allowed"], json!({ "duration": "1h", "set_by": "policy duration-cap" }));
    assert_eq!(asked.text("/findings/0/message"), "2h asked, 1h allowed");
    world.clock.advance(10 * 60);
    let approved = world.approve("bob", &asked.id()).await.good();
    assert_eq!(
        approved.body["granted"],
        json!({
            "from": "2026-03-02T10:10:00Z", "until": "2026-03-02T11:10:00Z", "duration": "1h",
        })
    );
    // What is not cut is not said to be.
    assert!(world.ask("ann", "prod", "1h").await.good().body["allowed"].is_null());
    world.finish().await;
}

#[tokio::test]
async fn d6_where_nobody_said_how_long_it_is_half_an_hour() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let asked = world.post("ann", "requests", json!({ "resource": "prod" })).await.good();
    assert_eq!(asked.text("/duration"), "30m");
    let approved = world.approve("bob", &asked.id()).await.good();
    assert_eq!(approved.text("/granted/until"), "2026-03-02T10:30:00Z");
    world.finish().await;
}

#[tokio::test]
async fn d7_a_grant_that_ended_while_the_gateway_was_down_is_expired_before_it_serves() {
    let mut world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let longer = world.ask("ann", "prod", "2h").await.good().id();
    for id in [&id, &longer] {
        world.approve("bob", id).await.good();
    }
    world.restart_after(3600).await;
    // Looked up in the ledger: no request can have settled it.
    let state = |id: &str| world.app().ledger.request(&id.parse().unwrap()).unwrap().unwrap().state.name();
    assert_eq!((state(&id), state(&longer)), ("EXPIRED", "APPROVED"));
    assert_eq!(world.request(&id).await.text("/ended/at"), "2026-03-02T11:00:00Z");
    let grants = world.get("ann", "grants?resource=prod").await.good();
    assert_eq!(grants.texts("", "id"), [longer.as_str()]);
    world.finish().await;
}

#[tokio::test]
async fn a_grant_is_listed_until_its_end_and_not_a_second_longer() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let live = async || world.get("ann", "grants").await.good().list("").len();
    assert_eq!(live().await, 0);
    world.approve("bob", &id).await.good();
    world.clock.advance(3599);
    assert_eq!((live().await, world.request(&id).await.state()), (1, "APPROVED"));
    world.clock.advance(1);
    assert_eq!(live().await, 0);
    let expired = world.until(&id, "EXPIRED").await;
    assert_eq!(expired.text("/ended/at"), "2026-03-02T11:00:00Z");
    world.revoke("root", &id, "too late").await.refused(409, "not-open");
    world.finish().await;
}

#[tokio::test]
async fn t1_a_request_that_nobody_answers_times_out_and_no_late_vote_opens_it() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let asked = world.ask("ann", "prod", "1h").await.good();
    assert_eq!(asked.text("/closes_at"), "2026-03-02T11:00:00Z");
    world.clock.advance(3599);
    assert_eq!(world.request(&asked.id()).await.state(), "PENDING");
    world.clock.advance(1);
    // The vote races with the timer, and loses either way.
    let late = world.approve("bob", &asked.id()).await;
    assert!(late.refused(409, "already-decided").contains("TIMED_OUT by the deadline"));
    let ended = world.until(&asked.id(), "TIMED_OUT").await;
    assert_eq!((ended.text("/ended/by"), ended.text("/ended/at")), ("the deadline", "2026-03-02T11:00:00Z"));
    world.finish().await;
}

#[tokio::test]
async fn a_policy_that_wants_to_be_asked_again_is_asked_when_it_is_time() {
    let world = World::new().await;
    world.activate("probes", crate::world::component("probes")).await.good();
    let later = json!([{ "policy": "probes", "config": { "do": "revisit", "times": 600_000 } }]);
    world.resource("prod", later).await;
    let asked = world.ask("ann", "prod", "1h").await.good();
    assert_eq!((asked.state(), &asked.body["nobody_can_approve"]), ("PENDING", &json!(false)));
    let words = "waiting for time to pass (the policies are asked again at 2026-03-02T10:10:00Z)";
    assert_eq!(asked.text("/summary"), words);
    let decided = async || {
        let entries = world.entries(&asked.id()).await;
        entries.iter().filter(|entry| entry["type"] == "request-decided").count()
    };
    world.clock.advance(599);
    assert_eq!(decided().await, 1);
    for times in 2..=3 {
        world.clock.advance(if times == 2 { 1 } else { 600 });
        world.eventually("asked again", async || (decided().await == times).then_some(())).await;
    }
    // Its end comes all the same.
    world.clock.advance(2400);
    world.until(&asked.id(), "TIMED_OUT").await;
    world.finish().await;
}
