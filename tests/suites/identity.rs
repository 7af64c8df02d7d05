//! Who is let in, and as what.

use quorate::config::Config;
use reqwest::Method;
use serde_json::json;

use crate::world::{PEOPLE, World, quorum};

const PASSWORD: &str = "correct horse battery";

#[tokio::test]
async fn a_token_that_is_wrong_expired_or_taken_back_lets_nobody_in() {
    let world = World::new().await;
    let me = async |token: &str| world.raw(Method::GET, "/api/me", token, "").await;
    for wrong in
        ["", "qrt_", "qrt_wrong", "nonsense", &format!("qrt_{}", "x".repeat(500)), &world.token("ann")[..20]]
    {
        let refused = me(wrong).await;
        refused.refused(401, "unauthenticated");
        assert_eq!(refused.header("www-authenticate"), "Bearer");
    }
    let make = async |hours: &str| {
        let body = json!({ "label": "ci", "expires_in": hours });
        world.post("ann", "me/tokens", body).await.good()
    };
    let (hour, day) = (make("1h").await, make("24h").await);
    assert_eq!(me(hour.text("/token")).await.good().text("/id"), "ann");
    world.clock.advance(3599);
    me(hour.text("/token")).await.good();
    world.clock.advance(1);
    assert!(me(hour.text("/token")).await.refused(401, "unauthenticated").contains("expired"));
    me(day.text("/token")).await.good();
    // Only its owner takes it back.
    let path = format!("me/tokens/{}", day.id());
    world.delete("bob", &path).await.refused(404, "not-found");
    assert_eq!(world.delete("ann", &path).await.status, 204);
    me(day.text("/token")).await.refused(401, "unauthenticated");
    world.get("ann", "me").await.good();
    world.finish().await;
}

#[tokio::test]
async fn without_a_token_nothing_is_asked_voted_or_told() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    for (method, path) in [
        (Method::POST, "/api/requests".to_owned()),
        (Method::GET, "/api/requests".to_owned()),
        (Method::GET, format!("/api/requests/{id}")),
        (Method::POST, format!("/api/requests/{id}/votes")),
        (Method::GET, format!("/api/requests/{id}/events")),
        (Method::PUT, "/api/rules/r".to_owned()),
        (Method::POST, "/api/policies/mine/versions".to_owned()),
        (Method::GET, "/api/audit/export".to_owned()),
        (Method::GET, "/metrics".to_owned()),
    ] {
        world.raw(method, &path, "", "{}").await.refused(401, "unauthenticated");
    }
    for open in ["/healthz", "/readyz", "/api/openapi.json"] {
        world.raw(Method::GET, open, "", "").await.good();
    }
    world.finish().await;
}

#[tokio::test]
async fn only_admins_configure_and_only_auditors_read_everything() {
    let mut world = World::new().await;
    world.person("amy", &["auditor"]).await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let entries = async || world.get("root", "audit/entries?limit=1").await.good().body["total"].clone();
    let before = entries().await;
    for who in ["ann", "eve", "amy"] {
        for path in ["users/ann", "groups/admin", "resources/prod", "rules/r"] {
            world.put(who, path, json!({})).await.refused(403, "forbidden");
        }
        world.upload(who, "policies/mine/versions", b"junk".to_vec()).await.refused(403, "forbidden");
        world.delete(who, "rules/prod-command").await.refused(403, "forbidden");
    }
    for path in ["users", "rules", "policies", "audit/entries", "decisions/unknown"] {
        world.get("ann", path).await.refused(403, "forbidden");
        assert_ne!(world.get("amy", path).await.problem(), "forbidden");
    }
    assert_eq!(entries().await, before, "nothing was written");
    // Others' requests are as if they were not there; an auditor looks and does not act.
    world.get("eve", &format!("requests/{id}")).await.refused(404, "not-found");
    assert_eq!(world.get("eve", "requests").await.good().body["total"], 0);
    world.get("amy", &format!("requests/{id}")).await.good();
    world.approve("amy", &id).await.refused(403, "not-eligible");
    for verb in ["votes", "cancel", "revoke"] {
        let body = if verb == "votes" { json!({ "choice": "reject" }) } else { json!({}) };
        world.post("eve", &format!("requests/{id}/{verb}"), body).await.refused(404, "not-found");
    }
    world.get("eve", &format!("requests/{id}/session")).await.refused(404, "not-found");
    world.get("bob", &format!("requests/{id}/session")).await.refused(403, "not-yours");
    world.post("bob", &format!("requests/{id}/cancel"), json!({})).await.refused(403, "not-requester");
    world.get("bob", &format!("requests/{id}")).await.good();
    world.finish().await;
}

#[tokio::test]
async fn somebody_switched_off_is_out_at_once_and_loses_what_they_have() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let open = world.ask("ann", "prod", "1h").await.good().id();
    world.approve("bob", &open).await.good();
    let waits = world.ask("ann", "prod", "1h").await.good().id();
    world.put("root", "users/ann", json!({ "active": false })).await.good();
    world.ask("ann", "prod", "1h").await.refused(403, "inactive");
    let revoked = world.until(&open, "REVOKED").await;
    assert!(revoked.text("/ended/why").contains("ann is no longer active"));
    let ended = world.until(&waits, "REJECTED").await;
    assert!(ended.body["granted"].is_null());
    // The last admin stays.
    world.put("root", "users/root", json!({ "active": false })).await.refused(409, "last-admin");
    world.put("root", "users/root", json!({ "groups": [] })).await.refused(409, "last-admin");
    world.finish().await;
}

#[tokio::test]
async fn passwords_log_people_in_and_a_new_one_ends_all_tokens() {
    let world = World::new().await;
    for (weak, why) in [("short", "10"), ("ann", "10")] {
        let refused = world.put("root", "users/ann", json!({ "password": weak })).await;
        assert!(refused.refused(422, "invalid").contains(why));
    }
    world.put("root", "users/ann", json!({ "password": PASSWORD })).await.good();
    let login = async |user: &str, password: &str| {
        let body = json!({ "user": user, "password": password }).to_string();
        world.raw(Method::POST, "/api/login", "", body).await
    };
    let wrong = login("ann", "something else").await;
    let unknown = login("nobody", PASSWORD).await;
    assert_eq!(wrong.refused(401, "unauthenticated"), unknown.refused(401, "unauthenticated"));
    let signed_in = login("ann", PASSWORD).await.good();
    let token = signed_in.text("/token");
    let me = async |token: &str| world.raw(Method::GET, "/api/me", token, "").await;
    assert_eq!(me(token).await.good().body["groups"], json!(["dev"]));
    // The password ended the token that she had before, and so does the next one.
    world.get("ann", "me").await.refused(401, "unauthenticated");
    let change = json!({ "old": PASSWORD, "new": "quite another one" }).to_string();
    assert_eq!(world.raw(Method::POST, "/api/me/password", token, change).await.status, 204);
    me(token).await.refused(401, "unauthenticated");
    login("ann", PASSWORD).await.refused(401, "unauthenticated");
    login("ann", "quite another one").await.good();
    // Nothing of it is in the ledger.
    let export = async || {
        let answer = world.raw(Method::GET, "/api/audit/export", world.token("root"), "").await;
        // One at a time in this process, other tests included.
        (answer.status == 200).then(|| answer.body.to_string())
    };
    let text = world.eventually("an export", export).await;
    assert!(text.contains("password-set") && !text.contains("another one") && !text.contains("argon2"));
    assert!(!text.contains("qrt_"));
    world.finish().await;
}

#[tokio::test]
async fn the_first_start_makes_one_admin_once() {
    let world = World::empty(Config::default()).await;
    let token = world.setup_token().unwrap().to_owned();
    let set_up = async |token: &str, user: &str| {
        let body = json!({ "setup_token": token, "user": user, "password": PASSWORD }).to_string();
        world.raw(Method::POST, "/api/setup", "", body).await
    };
    set_up("setup_wrong", "root").await.refused(401, "unauthenticated");
    let made = set_up(&token, "root").await.good();
    assert_eq!(made.body["user"]["groups"], json!(["admin"]));
    let users = world.raw(Method::GET, "/api/users", made.text("/token"), "").await.good();
    assert_eq!(users.body["total"], 1);
    set_up(&token, "mallory").await.refused(409, "conflict");
    world.finish().await;
    // Where there is an admin there is nothing to set up.
    let mut world = World::new().await;
    world.restart_after(1).await;
    assert_eq!(world.setup_token(), None);
    assert_eq!(world.get("root", "users").await.good().body["total"], PEOPLE.len());
    world.finish().await;
}
