//! A write under an idempotency key is made once.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::{PASSWORD, World, rule};

#[tokio::test]
async fn v9_the_same_write_twice_is_one_write_with_the_same_answer() {
    let world = World::start().await;
    let (ann, bob) = (world.log_in("ann").await, world.log_in("bob").await);
    let body = || json!({"resource": "prod", "duration": "2h"});
    let first = world.keyed(Method::POST, "/api/requests", &ann, "k1", body()).await;
    let again = world.keyed(Method::POST, "/api/requests", &ann, "k1", body()).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    assert_eq!(first.json["id"], again.json["id"]);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(world.get("/api/requests", &ann).await.assert_ok()["total"], 1);

    let votes = format!("/api/requests/{}/votes", first.json["id"].as_str().unwrap());
    let yes = || json!({"choice": "approve"});
    let first = world.keyed(Method::POST, &votes, &bob, "k1", yes()).await;
    let again = world.keyed(Method::POST, &votes, &bob, "k1", yes()).await;
    assert_eq!(first.assert_ok()["votes"].as_array().unwrap().len(), 1);
    assert_eq!(first.json, again.json);
    assert_eq!(again.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn the_same_key_at_once_makes_one_request() {
    let world = World::start().await;
    let ann = world.log_in("ann").await;
    let body = || json!({"resource": "prod", "duration": "2h"});
    let ask = || world.keyed(Method::POST, "/api/requests", &ann, "at-once", body());
    let answers = [ask(), ask(), ask(), ask()];
    let [one, two, three, four] = answers;
    let (one, two, three, four) = tokio::join!(one, two, three, four);
    for answer in [&two, &three, &four] {
        assert_eq!(answer.assert_ok()["id"], one.assert_ok()["id"]);
    }
    assert_eq!(world.get("/api/requests", &ann).await.assert_ok()["total"], 1);
}

#[tokio::test]
async fn a_key_stands_for_one_body_one_address_and_one_person() {
    let world = World::start().await;
    let ann = world.log_in("ann").await;
    let body = |duration: &str| json!({"resource": "prod", "duration": duration});
    world.keyed(Method::POST, "/api/requests", &ann, "k", body("1h")).await.assert_ok();
    let other = world.keyed(Method::POST, "/api/requests", &ann, "k", body("2h")).await;
    other.assert_problem(422, "key-reused");
    // Spaces and the order of keys do not make it another body.
    let same = world.request(Method::POST, "/api/requests", &ann).header("idempotency-key", "k");
    let same =
        same.header("content-type", "application/json").body("{ \"duration\": \"1h\",\"resource\":\"prod\"}");
    assert_eq!(same.send().await.unwrap().headers()["idempotent-replayed"], "true");
    world
        .put("/api/users/dan", &world.root, json!({"groups": ["dev"], "password": PASSWORD}))
        .await
        .assert_ok();
    let dan = world.log_in("dan").await;
    let his = world.keyed(Method::POST, "/api/requests", &dan, "k", body("2h")).await;
    assert_eq!(his.assert_ok()["requester"], "dan");
}

#[tokio::test]
async fn a_refused_write_does_not_use_up_its_key() {
    let world = World::start().await;
    let ivy = world.log_in("ivy").await;
    let body = || json!({"resource": "prod", "duration": "2h"});
    world.keyed(Method::POST, "/api/requests", &ivy, "k", body()).await.assert_problem(403, "not-covered");
    world.put("/api/users/ivy", &world.root, json!({"groups": ["dev"]})).await.assert_ok();
    let answer = world.keyed(Method::POST, "/api/requests", &ivy, "k", body()).await;
    assert_eq!(answer.header("idempotent-replayed"), "");
    answer.assert_ok();
}

#[tokio::test]
async fn a_bad_key_is_refused() {
    let world = World::start().await;
    for key in ["", "has space", &"x".repeat(129)] {
        let answer =
            world.keyed(Method::PUT, "/api/rules/prod", &world.root, key, rule("just-in-time")).await;
        assert!(answer.assert_problem(400, "bad-request").contains("Idempotency-Key"));
    }
    let good = "x".repeat(128);
    world.keyed(Method::PUT, "/api/rules/prod", &world.root, &good, rule("just-in-time")).await.assert_ok();
}

#[tokio::test]
async fn changes_of_the_configuration_repeat_too() {
    let world = World::start().await;
    let put = async |path: &str, body| world.keyed(Method::PUT, path, &world.root, path, body).await;
    for (path, body) in [
        ("/api/users/dan", json!({"groups": ["dev"], "password": PASSWORD})),
        ("/api/resources/stage", json!({"command": ["psql"], "secrets": {"A": "one"}})),
        ("/api/rules/other", rule("command")),
    ] {
        let first = put(path, body.clone()).await;
        let again = put(path, body).await;
        assert_eq!(first.assert_ok()["revision"], again.assert_ok()["revision"], "{path}");
        assert_eq!(
            (first.header("idempotent-replayed"), again.header("idempotent-replayed")),
            ("", "true"),
            "{path}"
        );
    }
    for path in ["/api/rules/other", "/api/resources/stage"] {
        let key = format!("delete {path}").replace(' ', "-");
        for replayed in ["", "true"] {
            let request = world.request(Method::DELETE, path, &world.root).header("idempotency-key", &key);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{path}");
            let header = answer.headers().get("idempotent-replayed").map_or("", |one| one.to_str().unwrap());
            assert_eq!(header, replayed);
        }
    }
}
