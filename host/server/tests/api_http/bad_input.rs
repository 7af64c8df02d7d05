//! Whatever is sent, the answer says what would be right and is never a 5xx.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Answer, World};

#[tokio::test]
async fn a_body_that_is_not_json_is_a_problem_that_says_where() {
    let world = World::start().await;
    let token = world.log_in("ann").await;
    let deep_lists = "[".repeat(10_000);
    let deep_objects = r#"{"resource":"#.repeat(10_000);
    let nested = format!(r#"{{"resource":"prod","command":{}1{}}}"#, r#"{"x":"#.repeat(500), "}".repeat(500));
    let bodies: Vec<Vec<u8>> = [
        "{",
        "nope",
        "[]",
        "1e999",
        "\"text\"",
        "{} {}",
        "null",
        r#"{"resource": }"#,
        r#"{"resource": "prod", "duration": 1e400}"#,
        &deep_lists,
        &deep_objects,
        &nested,
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([b"{\"resource\": \"\xff\xfe\"}".to_vec(), vec![0; 100], b"\xef\xbb\xbf{}".to_vec()])
    .collect();
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = world.raw("/api/requests", &token, body).await;
        let detail = answer.assert_problem(400, "bad-request");
        assert!(!detail.is_empty() && detail.len() < 4000, "{shown}");
    }
    let answer = world.raw("/api/requests", &token, "{\"resource\": \"prod\",\n  oops}").await;
    assert!(answer.assert_problem(400, "bad-request").contains("line 2"), "{answer:?}");
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_named() {
    let world = World::start().await;
    let token = world.log_in("ann").await;
    for (body, path) in [
        (json!({"resource": 7}), "/resource"),
        (json!({"resource": ["prod"]}), "/resource"),
        (json!({"resource": "prod", "duration": 3600}), "/duration"),
        (json!({"resource": "prod", "duration": "2 hours"}), "/duration"),
        (json!({"resource": "prod", "duration": "59s"}), "/duration"),
        (json!({"resource": "prod", "command": "select 1"}), "/command"),
        (json!({"resource": "prod", "command": {"arguments": [1]}}), "/command/arguments/0"),
        (json!({"resource": "../etc/passwd"}), "/resource"),
        (json!({"resource": "prod", "reason": null}), "/reason"),
        (json!({"resource": "x".repeat(65)}), "/resource"),
    ] {
        let answer = world.post("/api/requests", &token, body.clone()).await;
        answer.assert_problem(400, "bad-request");
        assert_eq!(answer.json["path"], path, "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_the_nearest_valid_one() {
    let world = World::start().await;
    let body = json!({"resource": "prod", "duratoin": "2h"});
    let answer = world.post("/api/requests", &world.root, body).await;
    assert!(answer.assert_problem(400, "bad-request").contains("did you mean `duration`?"));
    assert_eq!(answer.json["path"], "/duratoin");
    let answer = world.get("/api/requests?limt=5", &world.root).await;
    assert!(answer.assert_problem(400, "bad-request").contains("did you mean `limit`?"), "{answer:?}");
}

#[tokio::test]
async fn a_body_needs_the_right_type_and_size() {
    let world = World::start().await;
    let form = world.request(Method::POST, "/api/requests", &world.root).body("resource=prod");
    Answer::of(form).await.assert_problem(415, "unsupported-media-type");
    let large = format!(r#"{{"resource": "prod", "reason": "{}"}}"#, "x".repeat(1 << 20));
    world.raw("/api/requests", &world.root, large).await.assert_problem(413, "too-large");
    let long = json!({"resource": "prod", "reason": "x".repeat(10_001)});
    let ann = world.log_in("ann").await;
    world.post("/api/requests", &ann, long).await.assert_problem(422, "too-long");
    // More than a policy may have, and less than the route takes.
    let path = "/api/policies/mine/versions";
    let request = world.request(Method::POST, path, &world.root).body(vec![0_u8; (32 << 20) + 1]);
    Answer::of(request).await.assert_problem(413, "too-large");
}

#[tokio::test]
async fn what_the_rules_refuse_keeps_its_code() {
    let world = World::start().await;
    let (ann, bob, ivy) = (world.log_in("ann").await, world.log_in("bob").await, world.log_in("ivy").await);
    let ask = |resource: &str| json!({"resource": resource, "duration": "2h"});
    world.post("/api/requests", &ann, ask("nothing")).await.assert_problem(404, "not-found");
    world.post("/api/requests", &ivy, ask("prod")).await.assert_problem(403, "not-covered");
    let long = json!({"resource": "prod", "duration": "48h"});
    world.post("/api/requests", &ann, long).await.assert_problem(422, "duration-too-long");
    let both = json!({"resource": "prod", "duration": "2h", "command": {"text": "select 1"}});
    world.post("/api/requests", &ann, both).await.assert_problem(400, "bad-request");
    let id = world.ask(&ann).await;
    let votes = format!("/api/requests/{id}/votes");
    let yes = || json!({"choice": "approve"});
    world.post(&votes, &ann, yes()).await.assert_problem(403, "own-request");
    world.post(&votes, &ivy, yes()).await.assert_problem(404, "not-found");
    world.post(&votes, &bob, json!({"choice": "maybe"})).await.assert_problem(400, "bad-request");
    let forced = json!({"choice": "approve", "forced": true});
    world.post(&votes, &bob, forced).await.assert_problem(422, "reason-missing");
    world.post(&votes, &bob, yes()).await.assert_ok();
    world.post(&votes, &bob, yes()).await.assert_problem(409, "already-voted");
    let revoke = format!("/api/requests/{id}/revoke");
    world.post(&revoke, &bob, json!({})).await.assert_problem(409, "not-open");
    let cancel = format!("/api/requests/{id}/cancel");
    world.post(&cancel, &bob, json!({})).await.assert_problem(403, "not-requester");
    let cancelled = world.post(&cancel, &ann, json!({})).await;
    assert_eq!(cancelled.assert_ok()["state"], "CANCELLED");
    let sam = world.log_in("sam").await;
    world.post(&votes, &sam, yes()).await.assert_problem(409, "already-decided");
}

#[tokio::test]
async fn a_path_or_query_that_makes_no_sense_is_a_400() {
    let world = World::start().await;
    for path in [
        "/api/requests/has%20space",
        "/api/requests/%ff",
        "/api/requests/..%2f..%2fetc",
        "/api/users/-x",
        "/api/decisions/abc",
        "/api/requests?limit=0",
        "/api/requests?limit=201",
        "/api/requests?limit=-1",
        "/api/requests?limit=99999999999999999999",
        "/api/requests?cursor=garbage",
        "/api/requests?cursor=-1",
        "/api/requests?state=MAYBE",
        "/api/requests?since=yesterday",
        "/api/requests?inbox=theirs",
        "/api/requests?access_type=root",
        "/api/sessions?open=perhaps",
        "/api/sessions?cursor=%00",
        "/api/audit/entries?after=x",
        "/api/audit/entries?stream=nothing",
        "/api/audit/entries?order=random",
    ] {
        let answer = world.get(path, &world.root).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {answer:?}");
        answer.assert_problem(400, "bad-request");
    }
    let text = "x".repeat(201);
    world.get(&format!("/api/requests?text={text}"), &world.root).await.assert_problem(400, "bad-request");
    // Anything can be looked for, and is taken literally.
    for text in ["%25", "%27%20OR%201=1%20--", "%00", "_"] {
        assert_eq!(
            world.get(&format!("/api/requests?text={text}"), &world.root).await.assert_ok()["total"],
            0
        );
    }
}

#[tokio::test]
async fn what_no_policy_is_cannot_be_loaded() {
    let world = World::start().await;
    let load = async |bytes: Vec<u8>| {
        let request = world.request(Method::POST, "/api/policies/mine/versions?activate=true", &world.root);
        Answer::of(request.body(bytes)).await
    };
    load(Vec::new()).await.assert_problem(422, "empty");
    load(b"hello".to_vec()).await.assert_problem(422, "not-a-component");
    load(b"\0asm\x01\0\0\0".to_vec()).await.assert_problem(422, "not-a-component");
    world.get("/api/policies/mine", &world.root).await.assert_problem(404, "not-found");
    world.get("/readyz", "").await.assert_ok();
}

#[tokio::test]
async fn control_characters_do_not_come_back() {
    let world = World::start().await;
    let body = json!({"resource": "a\u{1b}[31mred\u{0}"});
    let answer = world.post("/api/requests", &world.root, body).await;
    let detail = answer.assert_problem(400, "bad-request");
    assert!(!detail.chars().any(char::is_control), "{detail:?}");
    let answer = world.put("/api/rules/x", &world.root, Value::from("\u{7}")).await;
    assert!(!answer.assert_problem(400, "bad-request").chars().any(char::is_control));
}
