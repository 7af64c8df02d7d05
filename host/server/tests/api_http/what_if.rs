//! What it would take to approve a request.

use serde_json::{Value, json};

use crate::world::World;

impl World {
    async fn takes(&self, id: &str) -> Value {
        let path = format!("/api/requests/{id}/what-would-it-take");
        self.get(&path, &self.root).await.assert_ok().clone()
    }
}

#[tokio::test]
async fn the_smallest_sets_of_people_are_those_that_approve_it() {
    let world = World::start().await;
    let id = world.approved_by(&[]).await;
    let one_of = |names: &[&str]| json!({"approvals": 1, "out_of": names});
    let takes = world.takes(&id).await;
    // Sue is in both groups and fills one of them.
    let mut sets = takes["sets"].as_array().unwrap().clone();
    for set in &mut sets {
        set.as_array_mut().unwrap().sort_by_key(|votes| votes["out_of"][0].to_string());
    }
    sets.sort_by_key(Value::to_string);
    let wanted = [
        json!([one_of(&["bob"]), one_of(&["sam"])]),
        json!([one_of(&["bob"]), one_of(&["sue"])]),
        json!([one_of(&["sam"]), one_of(&["sue"])]),
    ];
    assert_eq!(sets, wanted, "{takes}");
    assert_eq!((&takes["nobody_can"], &takes["gave_up"]), (&json!(false), &json!(false)));
    // Nothing came of it.
    let seen = world.get(&format!("/api/requests/{id}"), &world.root).await;
    assert_eq!((&seen.json["state"], &seen.json["votes"]), (&json!("PENDING"), &json!([])));
    // What it says is so.
    for (name, state) in [("sam", "PENDING"), ("bob", "APPROVED")] {
        let token = world.log_in(name).await;
        let path = format!("/api/requests/{id}/votes");
        let voted = world.post(&path, &token, json!({"choice": "approve"})).await;
        assert_eq!(voted.assert_ok()["state"], state);
    }
    let takes = world.takes(&id).await;
    assert_eq!((&takes["state"], &takes["sets"]), (&json!("APPROVED"), &json!([])));
}

#[tokio::test]
async fn where_nobody_can_approve_it_that_is_said() {
    let world = World::start().await;
    let id = world.approved_by(&[]).await;
    for name in ["sam", "sue"] {
        world.put(&format!("/api/users/{name}"), &world.root, json!({"active": false})).await.assert_ok();
    }
    let takes = world.takes(&id).await;
    assert_eq!((&takes["sets"], &takes["nobody_can"]), (&json!([]), &json!(true)), "{takes}");
    // Only those who may see the request.
    let ivy = world.log_in("ivy").await;
    let path = format!("/api/requests/{id}/what-would-it-take");
    world.get(&path, &ivy).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn what_time_alone_will_do_is_said() {
    let world = World::start().await;
    let path = "/api/policies/probes/versions?activate=true";
    world.upload(path, &world.root, crate::backtest::component("probes")).await.assert_ok();
    let policies = json!([{"policy": "probes", "config": {"do": "revisit", "times": 60_000}}]);
    let body = json!({"access_type": "just-in-time", "resources": ["prod"], "policies": policies});
    world.put("/api/rules/prod", &world.root, body).await.assert_ok();
    let id = world.approved_by(&[]).await;
    let takes = world.takes(&id).await;
    assert_eq!((&takes["changes_at"], &takes["then"]), (&json!("2026-03-02T10:01:00Z"), &json!("waiting")));
    assert_eq!((&takes["nobody_can"], &takes["tried"]), (&json!(true), &json!(0)));
}
