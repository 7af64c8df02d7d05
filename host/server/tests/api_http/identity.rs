//! The first start, signing in, tokens.

use quorate_core::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{PASSWORD, World, fresh};

#[tokio::test]
async fn the_set_up_token_makes_exactly_one_admin_also_when_used_twice_at_once() {
    let (world, token) = fresh().await;
    let with = |token: &str, user: &str| json!({"setup_token": token, "user": user, "password": PASSWORD});
    world.post("/api/setup", "", with("setup_wrong", "root")).await.assert_problem(401, "unauthenticated");
    let weak = json!({"setup_token": token, "user": "root", "password": "short"});
    world.post("/api/setup", "", weak).await.assert_problem(422, "invalid");
    let (one, two) = tokio::join!(
        world.post("/api/setup", "", with(&token, "one")),
        world.post("/api/setup", "", with(&token, "two"))
    );
    let (winner, loser) = if one.status.is_success() { (one, two) } else { (two, one) };
    loser.assert_problem(409, "conflict");
    assert_eq!(winner.assert_ok()["user"]["groups"], json!(["admin"]));
    let root = winner.json["token"].as_str().unwrap();
    assert_eq!(world.get("/api/users", root).await.assert_ok()["total"], 1);
    world.post("/api/setup", "", with(&token, "three")).await.assert_problem(409, "conflict");
}

#[tokio::test]
async fn a_gateway_with_an_admin_offers_no_set_up() {
    let world = World::start().await;
    let (again, token) = quorate::identity::Identity::start(&world.running.app().lifecycle).unwrap();
    drop(again);
    assert_eq!(token, None);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_get_the_same_answer() {
    let world = World::start().await;
    world.give_password("ann").await;
    let login = |user: &str, password: &str| json!({"user": user, "password": password});
    let mut details = Vec::new();
    for (user, password) in
        [("ann", "wrong password"), ("nobody", PASSWORD), ("not a name!", PASSWORD), ("ann", ""), ("", "")]
    {
        let answer = world.post("/api/login", "", login(user, password)).await;
        details.push(answer.assert_problem(401, "unauthenticated").to_owned());
    }
    assert!(details.iter().all(|detail| *detail == details[0]), "{details:?}");
    let answer = world.post("/api/login", "", json!({"user": "ann", "password": 12_345_678})).await;
    assert!(!answer.assert_problem(400, "bad-request").contains("12345678"));
}

#[tokio::test]
async fn logins_are_limited_by_name_and_come_back_with_time() {
    let world = World::start().await;
    world.give_password("ann").await;
    let wrong = || json!({"user": "ann", "password": "wrong password"});
    let mut limited = None;
    for tries in 0..20 {
        let answer = world.post("/api/login", "", wrong()).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            limited = Some((tries, answer));
            break;
        }
    }
    let (tries, answer) = limited.unwrap();
    assert_eq!(tries, 10);
    answer.assert_problem(429, "rate-limited");
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
    // The right password does not help, and others are not concerned.
    let right = json!({"user": "ann", "password": PASSWORD});
    world.post("/api/login", "", right.clone()).await.assert_problem(429, "rate-limited");
    world.log_in("bob").await;
    world.hand.advance(seconds);
    world.post("/api/login", "", right).await.assert_ok();
}

#[tokio::test]
async fn logins_are_limited_by_address_whatever_the_name() {
    let world = World::start().await;
    let login = async |name: &str, address: &str| {
        let request = world.request(Method::POST, "/api/login", "").header("x-forwarded-for", address);
        let answer = request.json(&json!({"user": name, "password": "wrong password"})).send().await;
        answer.unwrap().status()
    };
    let mut refused = None;
    for nth in 0..60 {
        if login(&format!("guess-{nth}"), "10.1.1.1").await == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(nth);
            break;
        }
    }
    assert_eq!(refused, Some(50));
    assert_eq!(login("guess", "10.1.1.2").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_ends_with_its_time() {
    let world = World::start().await;
    world.give_password("ann").await;
    let answer = world.post("/api/login", "", json!({"user": "ann", "password": PASSWORD})).await;
    let ends: Timestamp = answer.assert_ok()["expires_at"].as_str().unwrap().parse().unwrap();
    let token = answer.json["token"].as_str().unwrap();
    assert!(token.starts_with("qrt_"));
    world.get("/api/me", token).await.assert_ok();
    world.hand.set(ends);
    let detail = world.get("/api/me", token).await;
    assert!(detail.assert_problem(401, "unauthenticated").contains("expired"));
}

#[tokio::test]
async fn tokens_are_made_listed_and_taken_back_by_their_owner() {
    let world = World::start().await;
    let (ann, bob) = (world.log_in("ann").await, world.log_in("bob").await);
    let made = world.post("/api/me/tokens", &ann, json!({"label": "ci", "expires_in": "720h"})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let (id, text) = (made.json["id"].as_str().unwrap(), made.json["token"].as_str().unwrap());
    assert_eq!(world.get("/api/me", text).await.assert_ok()["id"], "ann");
    let list = world.get("/api/me/tokens", &ann).await;
    assert_eq!(list.assert_ok()["total"], 2);
    assert!(!list.text.contains(text) && list.json["items"][1]["token"].is_null());
    let path = format!("/api/me/tokens/{id}");
    world.delete(&path, &bob).await.assert_problem(404, "not-found");
    assert_eq!(world.delete(&path, &ann).await.status, StatusCode::NO_CONTENT);
    world.get("/api/me", text).await.assert_problem(401, "unauthenticated");
    assert!(world.delete(&path, &ann).await.status.is_client_error());
    for bad in [json!({"label": "x", "expires_in": "721h"}), json!({"label": "x"})] {
        world.post("/api/me/tokens", &ann, bad).await.assert_problem(400, "bad-request");
    }
    let long = json!({"label": "x".repeat(101), "expires_in": "1h"});
    world.post("/api/me/tokens", &ann, long).await.assert_problem(422, "invalid");
}

#[tokio::test]
async fn signing_out_ends_this_token_only() {
    let world = World::start().await;
    let (one, two) = (world.log_in("ann").await, world.log_in("ann").await);
    let answer = world.post("/api/logout", &one, json!({})).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    world.get("/api/me", &one).await.assert_problem(401, "unauthenticated");
    world.get("/api/me", &two).await.assert_ok();
}

#[tokio::test]
async fn a_new_password_ends_all_tokens_and_the_old_password() {
    let world = World::start().await;
    let ann = world.log_in("ann").await;
    let change = |old: &str, new: &str| json!({"old": old, "new": new});
    let path = "/api/me/password";
    world
        .post(path, &ann, change("wrong password", "another password"))
        .await
        .assert_problem(401, "unauthenticated");
    world.post(path, &ann, change(PASSWORD, "short")).await.assert_problem(422, "invalid");
    let answer = world.post(path, &ann, change(PASSWORD, "another password")).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    world.get("/api/me", &ann).await.assert_problem(401, "unauthenticated");
    let login = |password: &str| json!({"user": "ann", "password": password});
    world.post("/api/login", "", login(PASSWORD)).await.assert_problem(401, "unauthenticated");
    world.post("/api/login", "", login("another password")).await.assert_ok();
}

#[tokio::test]
async fn somebody_switched_off_is_out_at_once() {
    let world = World::start().await;
    let ann = world.log_in("ann").await;
    world.put("/api/users/ann", &world.root, json!({"active": false})).await.assert_ok();
    world.get("/api/me", &ann).await.assert_problem(403, "inactive");
    let right = json!({"user": "ann", "password": PASSWORD});
    world.post("/api/login", "", right).await.assert_problem(403, "inactive");
    // A wrong password does not tell.
    let wrong = json!({"user": "ann", "password": "wrong password"});
    world.post("/api/login", "", wrong).await.assert_problem(401, "unauthenticated");
    // Back again, but not with a token from before.
    world.put("/api/users/ann", &world.root, json!({"active": true})).await.assert_ok();
    world.get("/api/me", &ann).await.assert_problem(401, "unauthenticated");
    let again = world.log_in("ann").await;
    world.get("/api/me", &again).await.assert_ok();
}

#[tokio::test]
async fn logging_in_works_however_many_tokens_there_are() {
    let world = World::start().await;
    let ann = world.log_in("ann").await;
    let body = || json!({"label": "x", "expires_in": "720h"});
    let mut refused = None;
    for _ in 0..quorate::identity::TOKENS_MAX {
        let answer = world.post("/api/me/tokens", &ann, body()).await;
        if !answer.status.is_success() {
            refused = Some(answer);
        }
    }
    refused.unwrap().assert_problem(409, "conflict");
    let again = world.log_in("ann").await;
    let tokens = world.get("/api/me/tokens", &again).await;
    assert_eq!(tokens.assert_ok()["total"], Value::from(quorate::identity::TOKENS_MAX));
}

#[tokio::test]
async fn a_token_is_forgotten_long_after_it_expired() {
    let world = World::start().await;
    let ann = world.log_in("ann").await;
    let digest = quorate_core::ids::Digest::of(ann.as_bytes());
    let known = || world.running.app().ledger.token(&digest).unwrap().is_some();
    let sweep = async || {
        // Any write under a key does it.
        let body = json!({"user": "root", "password": PASSWORD});
        let root = world.post("/api/login", "", body).await.assert_ok()["token"].as_str().unwrap().to_owned();
        let key = format!("{}", world.running.app().clock.now());
        world
            .keyed(reqwest::Method::PUT, "/api/groups/dba", &root, &key, json!({"members": []}))
            .await
            .assert_ok();
    };
    world.hand.advance(2 * 24 * 3600);
    sweep().await;
    assert!(known());
    let late = world.get("/api/me", &ann).await;
    assert!(late.assert_problem(401, "unauthenticated").contains("expired"), "{late:?}");
    world.hand.advance(30 * 24 * 3600);
    sweep().await;
    assert!(!known(), "it is never forgotten");
    world.get("/api/me", &ann).await.assert_problem(401, "unauthenticated");
}
