//! A write under an idempotency key is made once.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::{Answer, PASSWORD, World, rule};

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

#[tokio::test]
async fn every_write_takes_a_key_and_says_so() {
    let world = World::start().await;
    let document = world.get("/api/openapi.json", "").await.json;
    let (mut with, mut without) = (0, Vec::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(method, _)| *method != "get") {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            if !parameters.iter().any(|one| one["name"] == "Idempotency-Key" && one["in"] == "header") {
                assert!(operation["description"].as_str().unwrap().contains("idempotency key"), "{path}");
                without.push(path.as_str());
                continue;
            }
            // A key that cannot be one is refused before anything else is looked at.
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            let path = path.replace("{id}", "nobody").replace("{name}", "nothing");
            let answer = world.keyed(method, &path, &world.root, "has space", json!({})).await;
            assert!(answer.assert_problem(400, "bad-request").contains("Idempotency-Key"), "{path}");
            with += 1;
        }
    }
    let again = "/api/channels/{name}/deliveries/{entry}/again";
    assert_eq!(without, [again, "/api/channels/{name}/test", "/api/login", "/api/setup"]);
    assert!(with >= 18, "only {with} writes take a key");
}

#[tokio::test]
async fn a_group_is_changed_once_also_where_nothing_changes() {
    let world = World::start().await;
    let put = async |key: &str, members: &[&str]| {
        world.keyed(Method::PUT, "/api/groups/dba", &world.root, key, json!({"members": members})).await
    };
    for (key, members) in [("change", &["ann"]), ("nothing", &["ann"])] {
        let (first, again) = (put(key, members).await, put(key, members).await);
        assert_eq!(first.assert_ok(), again.assert_ok());
        assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
        put(key, &["bob"]).await.assert_problem(422, "key-reused");
    }
    // What others changed since stays.
    put("later", &["bob", "sue"]).await.assert_ok();
    let late = put("change", &["ann"]).await;
    assert_eq!(late.assert_ok()["members"], json!(["bob", "sue"]));
}

#[tokio::test]
async fn a_token_is_made_once_and_its_text_shown_once() {
    let world = World::start().await;
    let ann = world.log_in("ann").await;
    let body = || json!({"label": "ci", "expires_in": "1h"});
    let make = async || world.keyed(Method::POST, "/api/me/tokens", &ann, "make", body()).await;
    let first = make().await;
    let id = first.assert_ok()["id"].as_str().unwrap().to_owned();
    let text = first.json["token"].as_str().unwrap();
    let again = make().await;
    let detail = again.assert_problem(409, "shown-once");
    assert!(detail.contains(&id) && !again.text.contains(text), "{again:?}");
    let labels = world.get("/api/me/tokens", &ann).await.text.matches("\"ci\"").count();
    assert_eq!(labels, 1, "a second token was made");
    // Taking it back repeats like any other write.
    let path = format!("/api/me/tokens/{id}");
    for replayed in ["", "true"] {
        let gone = world.keyed(Method::DELETE, &path, &ann, "take-back", json!({})).await;
        assert_eq!((gone.status, gone.header("idempotent-replayed")), (StatusCode::NO_CONTENT, replayed));
    }
    world.delete("/api/me/tokens/nothing", &ann).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn a_password_is_changed_once() {
    let world = World::start().await;
    let ann = world.log_in("ann").await;
    let change = async |token: &str, new: &str| {
        let body = json!({"old": PASSWORD, "new": new});
        world.keyed(Method::POST, "/api/me/password", token, "change", body).await
    };
    assert_eq!(change(&ann, "another long one").await.status, StatusCode::NO_CONTENT);
    // The tokens ended with it; with a new one, the retry is told that it was done.
    change(&ann, "another long one").await.assert_problem(401, "unauthenticated");
    let body = json!({"user": "ann", "password": "another long one"});
    let ann = world.post("/api/login", "", body).await.assert_ok()["token"].as_str().unwrap().to_owned();
    let again = change(&ann, "another long one").await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (StatusCode::NO_CONTENT, "true"));
    change(&ann, "something else").await.assert_problem(422, "key-reused");
}

#[tokio::test]
async fn signing_out_under_one_key_ends_one_token() {
    let world = World::start().await;
    let (one, two) = (world.log_in("ann").await, world.log_in("ann").await);
    let out = async |token: &str| world.keyed(Method::POST, "/api/logout", token, "out", json!({})).await;
    assert_eq!(out(&one).await.status, StatusCode::NO_CONTENT);
    out(&one).await.assert_problem(401, "unauthenticated");
    // Never told to be out while it is not.
    out(&two).await.assert_problem(422, "key-reused");
    world.get("/api/me", &two).await.assert_ok();
}

#[tokio::test]
async fn a_session_is_ended_once() {
    let world = World::start().await;
    let lobby = json!({"command": ["cat"], "standing_groups": ["dev"]});
    world.put("/api/resources/lobby", &world.root, lobby).await.assert_ok();
    let ann = world.log_in("ann").await;
    let asked = world.post("/api/requests", &ann, json!({"resource": "lobby"})).await;
    let id = asked.assert_ok()["id"].as_str().unwrap().parse().unwrap();
    let lifecycle = &world.running.app().lifecycle;
    let session = lifecycle.open_session(&id, &"ann".parse().unwrap()).await.unwrap();
    let path = format!("/api/sessions/{}/end", session.id);
    let end = async |reason: &str| {
        world.keyed(Method::POST, &path, &world.root, "end", json!({"reason": reason})).await
    };
    let (first, again) = (end("lunch").await, end("lunch").await);
    assert_eq!(first.assert_ok()["ended"]["message"], "ended by root: lunch");
    assert_eq!(first.json, again.json);
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    end("dinner").await.assert_problem(422, "key-reused");
    world.post(&path, &world.root, json!({})).await.assert_problem(409, "session-ended");
}

#[tokio::test]
async fn a_policy_is_rolled_back_once() {
    let world = World::start().await;
    let policy = async || {
        let policy = world.get("/api/policies/bypass", &world.root).await;
        (policy.assert_ok()["active"].clone(), policy.json["activations"].as_array().unwrap().len())
    };
    // Its own component with one more section is another version of it.
    let active = policy().await.0.as_str().unwrap().parse().unwrap();
    let mut component = world.running.app().ledger.blob(&active).unwrap().unwrap();
    component.extend([0, 2, 1, b'x']);
    let request = world.request(Method::POST, "/api/policies/bypass/versions?activate=true", &world.root);
    Answer::of(request.header("content-type", "application/wasm").body(component)).await.assert_ok();
    let back = async || {
        let path = "/api/policies/bypass/rollback";
        world.keyed(Method::POST, path, &world.root, "back", json!({"reason": "no"})).await
    };
    let first = back().await;
    first.assert_ok();
    let after = policy().await;
    let again = back().await;
    assert_eq!(again.assert_ok(), first.assert_ok());
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(policy().await, after);
}

#[tokio::test]
async fn another_secret_under_the_same_key_is_another_write() {
    let world = World::start().await;
    let put = async |path: &str, body| world.keyed(Method::PUT, path, &world.root, path, body).await;
    for (path, body, other) in [
        (
            "/api/users/dan",
            json!({"password": "one long password"}),
            json!({"password": "two long passwords"}),
        ),
        (
            "/api/resources/stage",
            json!({"command": ["psql"], "secrets": {"A": "one"}}),
            json!({"command": ["psql"], "secrets": {"A": "two"}}),
        ),
    ] {
        put(path, body.clone()).await.assert_ok();
        put(path, other).await.assert_problem(422, "key-reused");
        assert_eq!(put(path, body).await.header("idempotent-replayed"), "true", "{path}");
    }
    let secrets = world.running.app().ledger.secrets(&"stage".parse().unwrap()).unwrap();
    assert_eq!(secrets["A"], "one");
}

#[tokio::test]
async fn a_retry_after_a_restart_is_recognised_unless_a_secret_is_in_it() {
    let mut world = World::start().await;
    let plain = || json!({"email": "ann@example.org"});
    let kept = || json!({"command": ["psql"], "secrets": {"PGPASSWORD": null}});
    let secret = || json!({"command": ["psql"], "secrets": {"PGPASSWORD": "hunter3"}});
    let put = async |world: &World, path: &str, key: &str, body| {
        world.keyed(Method::PUT, path, &world.root, key, body).await
    };
    put(&world, "/api/users/ann", "plain", plain()).await.assert_ok();
    put(&world, "/api/resources/prod", "kept", kept()).await.assert_ok();
    put(&world, "/api/resources/prod", "secret", secret()).await.assert_ok();
    world = world.restart().await;
    for (path, key, body) in [("/api/users/ann", "plain", plain()), ("/api/resources/prod", "kept", kept())] {
        let again = put(&world, path, key, body).await;
        again.assert_ok();
        assert_eq!(again.header("idempotent-replayed"), "true", "{path}");
    }
    // Nothing is there any more to compare it with.
    let again = put(&world, "/api/resources/prod", "secret", secret()).await;
    assert!(again.assert_problem(422, "key-reused").contains("started again"));
    put(&world, "/api/resources/prod", "a-new-key", secret()).await.assert_ok();
}
