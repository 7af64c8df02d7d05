//! The life of a version over HTTP: what is refused, and what a gateway demands before a
//! version decides.

use quorate::config::Config;
use serde_json::{Value, json};

use crate::backtest::component;
use crate::world::{Answer, World};

const POLICY: &str = "/api/policies/group-quorum";

impl World {
    /// The candidate that asks one group only, as a version.
    async fn one_group(&self) -> String {
        let path = format!("{POLICY}/versions");
        let loaded = self.upload(&path, &self.root, component("one-group")).await;
        loaded.assert_ok()["digest"].as_str().unwrap().to_owned()
    }

    async fn does(&self, what: &str, body: Value) -> Answer {
        self.post(&format!("{POLICY}/{what}"), &self.root, body).await
    }

    async fn report(&self) -> Value {
        self.get(&format!("{POLICY}/shadow"), &self.root).await.assert_ok().clone()
    }

    /// In the shadow, and it has seen what there was.
    async fn shadowed(&self) -> String {
        let digest = self.one_group().await;
        self.does("stage", json!({"digest": digest})).await.assert_ok();
        self.does("shadow", json!({"digest": digest})).await.assert_ok();
        digest
    }
}

#[tokio::test]
async fn nothing_is_put_forward_or_shadowed_out_of_turn() {
    let world = World::start().await;
    let digest = world.one_group().await;
    for (what, body, status, problem) in [
        ("stage", json!({"digest": "00000000"}), 422, "unknown"),
        ("stage", json!({"digest": digest, "why": "x"}), 400, "bad-request"),
        ("shadow", json!({"digest": digest}), 409, "wrong-stage"),
        ("shadow/stop", json!({}), 409, "no-shadow"),
        ("shadow/accept", json!({"difference": "1", "reason": "x"}), 409, "no-shadow"),
        ("activate", json!({"digest": digest, "no_differences": true}), 409, "not-shadowed"),
        ("activate", json!({"digest": digest, "min_samples": -1}), 400, "bad-request"),
    ] {
        let answer = world.does(what, body.clone()).await;
        assert_eq!(answer.status, status, "{what} {body}: {answer:?}");
        assert!(answer.json["type"].as_str().unwrap().ends_with(problem), "{what} {body}: {answer:?}");
    }
    world.get(&format!("{POLICY}/shadow"), &world.root).await.assert_problem(404, "not-found");
    // Nothing of it left a trace.
    let policy = world.get(POLICY, &world.root).await;
    let version = policy.json["versions"].as_array().unwrap().iter().find(|one| one["digest"] == *digest);
    assert_eq!(version.unwrap()["stage"], "loaded", "{policy:?}");
}

#[tokio::test]
async fn only_admins_change_the_life_of_a_version_and_auditors_may_read_it() {
    let world = World::start().await;
    let digest = world.shadowed().await;
    for name in ["ann", "aud"] {
        let token = world.log_in(name).await;
        for what in ["stage", "shadow", "shadow/stop", "shadow/accept"] {
            let body = json!({"digest": digest, "difference": "1", "reason": "x"});
            assert_eq!(
                world.post(&format!("{POLICY}/{what}"), &token, body).await.status,
                403,
                "{name} {what}"
            );
        }
        let read = world.get(&format!("{POLICY}/shadow"), &token).await;
        assert_eq!(read.status, if name == "aud" { 200 } else { 403 }, "{name}");
    }
    assert_eq!(world.report().await["running"], true);
}

#[tokio::test]
async fn a_gateway_can_demand_a_shadow_of_every_activation_and_what_decided_before_is_free() {
    let world = World::with(Config { shadow_min_samples: 3, ..Config::default() }).await;
    let first = world.get(POLICY, &world.root).await.json["active"].as_str().unwrap().to_owned();
    let digest = world.one_group().await;
    let activate = json!({"digest": digest});
    let refused = world.does("activate", activate.clone()).await;
    refused.assert_problem(409, "not-shadowed");
    // Nor at once with loading.
    let path = format!("{POLICY}/versions?activate=true");
    let again = world.upload(&path, &world.root, component("one-group")).await;
    again.assert_problem(409, "not-shadowed");

    world.does("stage", json!({"digest": digest})).await.assert_ok();
    world.does("shadow", json!({"digest": digest})).await.assert_ok();
    world.does("activate", activate.clone()).await.assert_problem(409, "too-few-samples");
    let id = world.approved_by(&["bob"]).await;
    world.approved_by(&["bob"]).await;
    let refused = world.does("activate", activate.clone()).await;
    refused.assert_problem(409, "unexplained-differences");
    let report = world.report().await;
    assert!(report["samples"].as_u64().unwrap() >= 3, "{report}");
    assert_eq!(report["differences"][0]["change"], "lets-in", "{report}");

    // Accepted without a reason is not accepted; one request at a time, each with its reason.
    let bare = world.does("shadow/accept", json!({"difference": id, "reason": ""})).await;
    assert!(bare.status.is_client_error(), "{bare:?}");
    for request in report["differences"].as_array().unwrap().iter().map(|one| one["request"].clone()) {
        world.does("shadow/accept", json!({"difference": request, "reason": "as we want it"})).await;
    }
    assert_eq!(world.report().await["unaccepted_differences"], 0);
    world.does("activate", activate).await.assert_ok();
    // Back to what decided before, at once.
    world.does("activate", json!({"digest": first})).await.assert_ok();
}

#[tokio::test]
async fn a_shadow_that_is_stopped_keeps_what_it_found_and_sees_no_more() {
    let world = World::start().await;
    let digest = world.shadowed().await;
    world.approved_by(&["bob"]).await;
    world.does("shadow/stop", json!({"reason": "seen enough"})).await.assert_ok();
    // Whoever follows the ledger gets to the stop, and no further.
    let lifecycle = &world.running.app().lifecycle;
    lifecycle.follow_shadows().await.unwrap();
    let seen = world.report().await;
    world.approved_by(&["bob"]).await;
    lifecycle.follow_shadows().await.unwrap();
    let after = world.report().await;
    assert_eq!((&after["running"], &after["digest"]), (&json!(false), &json!(digest)));
    assert_eq!(after["samples"], seen["samples"]);
    assert_eq!(seen["samples"], 2, "asked, and bob's vote: {seen}");
}
