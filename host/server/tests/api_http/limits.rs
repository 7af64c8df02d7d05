//! What one person can make the gateway keep.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use quorate::config::Config;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::World;

async fn world(pending_requests_max: u64) -> World {
    World::with(Config { pending_requests_max, ..Config::default() }).await
}

#[tokio::test]
async fn only_so_many_requests_of_one_person_wait_at_a_time() {
    let world = world(3).await;
    let ann = world.log_in("ann").await;
    let body = || json!({"resource": "prod", "duration": "1h"});
    let first = world.keyed(Method::POST, "/api/requests", &ann, "first", body()).await;
    let first = first.assert_ok()["id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        world.ask(&ann).await;
    }
    let refused = world.post("/api/requests", &ann, body()).await;
    assert!(refused.assert_problem(429, "too-many-pending").contains("3 of your requests wait"));
    assert_eq!(refused.header("retry-after"), "", "nobody knows when people decide");
    assert_eq!(world.get("/api/requests?inbox=mine", &ann).await.assert_ok()["total"], 3);
    // A retry asks for nothing more, and others are not kept from asking.
    let again = world.keyed(Method::POST, "/api/requests", &ann, "first", body()).await;
    assert_eq!(again.assert_ok()["id"], first.as_str());
    world.put("/api/users/bob", &world.root, json!({"groups": ["dev"]})).await.assert_ok();
    let bob = world.log_in("bob").await;
    world.ask(&bob).await;
    world.post(&format!("/api/requests/{first}/cancel"), &ann, json!({})).await.assert_ok();
    world.ask(&ann).await;
    world.post("/api/requests", &ann, body()).await.assert_problem(429, "too-many-pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_requests_at_once_no_more_than_the_limit_are_made() {
    let world = world(3).await;
    let ann = world.log_in("ann").await;
    let body = || json!({"resource": "prod", "duration": "1h"});
    let answers = join_all((0..20).map(|_| world.post("/api/requests", &ann, body()))).await;
    let mut counted: BTreeMap<StatusCode, usize> = BTreeMap::new();
    for answer in answers {
        *counted.entry(answer.status).or_default() += 1;
    }
    let wanted = BTreeMap::from([(StatusCode::CREATED, 3), (StatusCode::TOO_MANY_REQUESTS, 17)]);
    assert_eq!(counted, wanted);
}

#[tokio::test]
async fn v2_refused_votes_are_recorded_up_to_a_number_and_refused_for_ever() {
    let world = World::start().await;
    let (ann, ivy, bob) = (world.log_in("ann").await, world.log_in("ivy").await, world.log_in("bob").await);
    let id = world.ask(&ann).await;
    let votes = format!("/api/requests/{id}/votes");
    let recorded = async |who: &str| {
        let entries = world.get(&format!("/api/requests/{id}/entries?limit=200"), &world.root).await;
        let items = entries.assert_ok()["items"].as_array().unwrap().clone();
        let refused = items.iter().filter(|item| item["entry"]["type"] == "vote-refused");
        refused.filter(|item| item["entry"]["by"]["user"] == who).count()
    };
    for nth in 1..=25 {
        let refused = world.post(&votes, &ivy, json!({"choice": "approve"})).await;
        refused.assert_problem(404, "not-found");
        if nth == 19 {
            assert_eq!(recorded("ivy").await, 19);
        }
    }
    assert_eq!(recorded("ivy").await, 20);
    // Nobody else's are lost for it, and whose vote counts still votes.
    world.post(&votes, &ann, json!({"choice": "approve"})).await.assert_problem(403, "own-request");
    assert_eq!(recorded("ann").await, 1);
    let counted = world.post(&votes, &bob, json!({"choice": "approve"})).await;
    assert_eq!(counted.assert_ok()["votes"].as_array().unwrap().len(), 1);
}
