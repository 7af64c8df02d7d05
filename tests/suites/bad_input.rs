//! What callers get wrong: refused with where and what would be right, and nothing
//! changed by it.

use reqwest::Method;
use serde_json::json;

use crate::world::{World, quorum};

#[tokio::test]
async fn an_unknown_key_is_named_with_the_nearest_that_is_known() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let vote = format!("requests/{id}/votes");
    let cancel = format!("requests/{id}/cancel");
    for (method, path, body, wrong, near) in [
        (Method::POST, "requests", json!({ "resource": "prod", "duratoin": "2h" }), "/duratoin", "duration"),
        (Method::POST, &vote, json!({ "choise": "approve" }), "/choise", "choice"),
        (Method::POST, &vote, json!({ "choice": "approve", "force": true }), "/force", "forced"),
        (Method::PUT, "rules/r", json!({ "acces_type": "command" }), "/acces_type", "access_type"),
        (
            Method::PUT,
            "rules/r",
            json!({ "policies": [{ "policy": "bypass", "confg": {} }] }),
            "/policies/0/confg",
            "config",
        ),
        (Method::PUT, "resources/r", json!({ "comand": [] }), "/comand", "command"),
        (Method::PUT, "users/u", json!({ "grops": [] }), "/grops", "groups"),
        (Method::PUT, "groups/g", json!({ "member": [] }), "/member", "members"),
    ] {
        let refused = world.send(method, "root", path, Some(body.clone()), None).await;
        let detail = refused.refused(400, "bad-request");
        assert!(detail.contains(&format!("did you mean `{near}`?")), "{body}: {detail}");
        assert_eq!(refused.text("/path"), wrong, "{body}");
    }
    let nothing = world.post("ann", &cancel, json!({ "why": "because" })).await;
    assert!(nothing.refused(400, "bad-request").contains("`why`"));
    let query = world.get("root", "requests?stat=PENDING").await;
    assert!(query.refused(400, "bad-request").contains("did you mean `state`?"));
    assert_eq!(world.request(&id).await.body["revision"], 2, "nothing was done to it");
    world.finish().await;
}

#[tokio::test]
async fn bodies_that_are_no_json_or_too_large_are_refused() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let post = async |body: Vec<u8>| world.raw(Method::POST, "/api/requests", world.token("ann"), body).await;
    for (body, words) in [
        (&b"{"[..], "EOF"),
        (b"{\"resource\": prod}", "line 1"),
        (b"[]", ""),
        (b"null", ""),
        (b"\xff\xfe", ""),
        (b"{\"resource\": \"prod\"} {}", "trailing"),
        (b"{\"resource\": \"prod\", \"resource\": \"prod\"}", "duplicate"),
        (b"{\"resource\": \"prod\", \"duration\": \"1h\", \"command\": {\"text\": \"x\"}}", "not both"),
    ] {
        let refused = post(body.to_vec()).await;
        assert!(
            refused.refused(400, "bad-request").contains(words),
            "{:?}: {}",
            String::from_utf8_lossy(body),
            refused.body
        );
    }
    // An empty body is an empty object, in which something is missing.
    assert!(post(Vec::new()).await.refused(400, "bad-request").contains("missing field `resource`"));
    let nested = "[".repeat(100_000);
    post(nested.into_bytes()).await.refused(400, "bad-request");
    let large = format!(r#"{{"resource": "prod", "reason": "{}"}}"#, "x".repeat(1 << 20));
    post(large.into_bytes()).await.refused(413, "too-large");
    let long = json!({ "resource": "prod", "reason": "x".repeat(10_001) });
    assert!(world.post("ann", "requests", long).await.refused(422, "too-long").contains("10000"));
    let just = json!({ "resource": "prod", "reason": "é".repeat(10_000) });
    let id = world.post("ann", "requests", just).await.good().id();
    let comment = json!({ "choice": "approve", "comment": "x".repeat(10_001) });
    world.post("bob", &format!("requests/{id}/votes"), comment).await.refused(422, "too-long");
    assert_eq!(world.get("root", "requests").await.body["total"], 1);
    world.finish().await;
}

#[tokio::test]
async fn commands_have_their_limits() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let ask = async |command| {
        world.post("ann", "requests", json!({ "resource": "prod", "command": command })).await
    };
    ask(json!({})).await.refused(422, "invalid");
    ask(json!({ "text": "  \n" })).await.refused(422, "invalid");
    ask(json!({ "arguments": ["a\u{0}b"] })).await.refused(422, "invalid");
    ask(json!({ "arguments": vec!["x"; 101] })).await.refused(422, "too-long");
    ask(json!({ "text": "x".repeat(65_537) })).await.refused(422, "too-long");
    ask(json!({ "text": "x".repeat(65_536) })).await.good();
    ask(json!({ "text": 7 })).await.refused(400, "bad-request");
    world.finish().await;
}

#[tokio::test]
async fn names_and_addresses_that_make_no_sense_are_refused_without_an_echo() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let long = format!("requests/{}", "x".repeat(65));
    for path in
        ["requests/has%20space", "requests/..%2f..%2fetc", "requests/%ff", "users/-x", "decisions/abc", &long]
    {
        world.get("root", path).await.refused(400, "bad-request");
    }
    for path in
        ["requests/nothing-here", "users/nobody", "resources/none", "rules/none", "policies/none", "nowhere"]
    {
        world.get("root", path).await.refused(404, "not-found");
    }
    world.delete("root", "requests").await.refused(405, "method-not-allowed");
    let red = world.post("ann", "requests", json!({ "resource": "\u{1b}[31mred\u{7}" })).await;
    assert!(!red.refused(400, "bad-request").contains('\u{1b}'));
    world.ask("ann", "nothing", "1h").await.refused(404, "not-found");
    for path in [
        "requests?limit=0",
        "requests?limit=201",
        "requests?cursor=%00",
        "requests?state=MAYBE",
        "requests?since=now",
    ] {
        world.get("root", path).await.refused(400, "bad-request");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_reason_is_kept_as_it_was_written() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let reason = "'; DROP TABLE requests; -- <script>alert(1)</script> \u{202e} 🐘\n%00\t\\";
    let asked = world.post("ann", "requests", json!({ "resource": "prod", "reason": reason })).await.good();
    assert_eq!(asked.text("/reason"), reason);
    let found = world.get("root", "requests?text=%27%3B%20DROP").await.good();
    assert_eq!(found.texts("/items", "id"), [asked.text("/id")]);
    assert_eq!(world.get("root", "requests?text=%25").await.good().body["total"], 1, "a `%` is a `%`");
    assert_eq!(world.get("root", "requests?text=_nothing_").await.good().body["total"], 0);
    world.finish().await;
}
