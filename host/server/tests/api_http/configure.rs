//! People, groups, resources, rules, policies, the ledger: what operators do.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::{Answer, World, rule};

#[tokio::test]
async fn what_is_left_out_of_a_person_stays() {
    let world = World::start().await;
    let body = json!({"email": "ann@example.org"});
    let saved = world.put("/api/users/ann", &world.root, body).await;
    let wanted = json!({"id": "ann", "email": "ann@example.org", "groups": ["dev"], "active": true});
    assert_eq!(saved.assert_ok(), &wanted);
    assert_eq!(world.get("/api/users/ann", &world.root).await.assert_ok(), &wanted);
    world.log_in("ann").await;
    let last = world.put("/api/users/root", &world.root, json!({"active": false})).await;
    last.assert_problem(409, "last-admin");
    world
        .put("/api/users/new", &world.root, json!({"password": "short"}))
        .await
        .assert_problem(422, "invalid");
    world.get("/api/users/new", &world.root).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn an_admin_who_cannot_sign_in_does_not_count_as_one_who_is_left() {
    let world = World::start().await;
    world.put("/api/users/boss", &world.root, json!({"groups": ["admin"]})).await.assert_ok();
    let off = || world.put("/api/users/root", &world.root, json!({"active": false}));
    off().await.assert_problem(409, "last-admin");
    let only_boss = json!({"members": ["boss"]});
    world.put("/api/groups/admin", &world.root, only_boss).await.assert_problem(409, "last-admin");
    world.give_password("boss").await;
    off().await.assert_ok();
}

#[tokio::test]
async fn a_secret_that_no_environment_can_hold_is_refused_when_it_is_given() {
    let world = World::start().await;
    let body = json!({"command": ["true"], "secrets": {"TOKEN": "a\u{0}b"}});
    let refused = world.put("/api/resources/odd", &world.root, body).await;
    let said = refused.assert_problem(422, "invalid");
    assert!(said.contains("the value of `TOKEN` holds a NUL character"), "{said}");
    world.get("/api/resources/odd", &world.root).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn a_group_is_whoever_is_in_it() {
    let world = World::start().await;
    // While root can still give one.
    world.give_password("bob").await;
    let put = async |name: &str, members: &[&str]| {
        world.put(&format!("/api/groups/{name}"), &world.root, json!({"members": members})).await
    };
    let group = put("dba", &["sam", "ann"]).await;
    assert_eq!(group.assert_ok(), &json!({"name": "dba", "members": ["ann", "sam"]}));
    assert_eq!(world.get("/api/users/bob", &world.root).await.assert_ok()["groups"], json!([]));
    assert_eq!(world.get("/api/users/sue", &world.root).await.assert_ok()["groups"], json!(["security"]));
    put("dba", &["ann", "nobody"]).await.assert_problem(422, "unknown");
    assert_eq!(world.get("/api/groups/dba", &world.root).await.assert_ok()["members"], json!(["ann", "sam"]));
    put("admin", &[]).await.assert_problem(409, "last-admin");
    put("admin", &["bob"]).await.assert_ok();
    world.get("/api/groups", &world.root).await.assert_problem(403, "forbidden");
    let bob = world.log_in("bob").await;
    assert_eq!(world.get("/api/groups", &bob).await.assert_ok()["items"][0]["name"], "admin");
    world.get("/api/groups/none", &bob).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn a_group_changes_for_everybody_or_for_nobody() {
    let world = World::start().await;
    // Somebody in as many groups as one can be in; the name sorts behind all others.
    let full: Vec<String> = (0..200).map(|nth| format!("g{nth}")).collect();
    world.put("/api/users/zed", &world.root, json!({"groups": full})).await.assert_ok();
    let before = world.get("/api/users?limit=200", &world.root).await;
    let head = world.running.app().ledger.head();
    let was = *head.borrow();
    let put =
        async |members: &[&str]| world.put("/api/groups/dba", &world.root, json!({"members": members})).await;
    put(&["ann", "zed"]).await.assert_problem(422, "too-long");
    assert_eq!(*head.borrow(), was, "a part of it was written");
    assert_eq!(world.get("/api/users?limit=200", &world.root).await.assert_ok(), before.assert_ok());
    // Ann comes, bob and sue go.
    put(&["ann"]).await.assert_ok();
    let entries = world.get(&format!("/api/audit/entries?after={was}"), &world.root).await;
    let items = entries.assert_ok()["items"].as_array().unwrap();
    assert_eq!(items.len(), 3, "{entries:?}");
    assert!(items.iter().all(|item| item["entry"]["at"] == items[0]["entry"]["at"]));
}

#[tokio::test]
async fn two_changes_of_one_person_at_once_are_both_made() {
    let world = World::start().await;
    for round in 0..10 {
        let (one, two) = (format!("one-{round}"), format!("two-{round}"));
        let join = |group: String| {
            let world = &world;
            async move {
                world.put(&format!("/api/groups/{group}"), &world.root, json!({"members": ["ivy"]})).await
            }
        };
        let (first, second) = tokio::join!(join(one.clone()), join(two.clone()));
        first.assert_ok();
        second.assert_ok();
        let groups = world.get("/api/users/ivy", &world.root).await.json["groups"].to_string();
        assert!(groups.contains(&one) && groups.contains(&two), "{groups}");
    }
}

#[tokio::test]
async fn a_rule_comes_back_with_its_policies_and_warnings() {
    let world = World::start().await;
    let mut body = rule("command");
    body["max_duration"] = json!("2h");
    let saved = world.put("/api/rules/commands", &world.root, body).await;
    let policies: Vec<&str> = saved.assert_ok()["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["policy"].as_str().unwrap())
        .collect();
    // Nobody may bypass, so that policy has nothing to do here.
    assert_eq!(policies, ["group-quorum", "duration-cap"]);
    assert_eq!(saved.json["warnings"], json!([]));
    let mut many = rule("command");
    many["approval_amount"] = json!(5);
    let warned = world.put("/api/rules/many", &world.root, many).await;
    assert_eq!(
        warned.assert_ok()["warnings"][0]["code"].as_str().unwrap().split('-').next(),
        Some("warning")
    );
    assert!(world.get("/api/rules/many", &world.root).await.assert_ok()["warnings"].is_null());
    let found = world.get("/api/rules?resource=prod&limit=2", &world.root).await;
    assert_eq!((&found.assert_ok()["total"], &found.json["next"]), (&json!(3), &json!("many")));
    assert_eq!(world.delete("/api/rules/many", &world.root).await.status, StatusCode::NO_CONTENT);
    world.delete("/api/rules/many", &world.root).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn a_rule_that_could_never_work_is_refused_with_its_place() {
    let world = World::start().await;
    let put = async |body| world.put("/api/rules/bad", &world.root, body).await;
    let mut none = rule("command");
    none["approval_groups"] = json!([]);
    let answer = put(none).await;
    answer.assert_problem(422, "bad-config");
    assert_eq!(answer.json["path"], "/policies/0/config/groups");
    for amount in [0, 1_000_000_000] {
        let mut wrong = rule("command");
        wrong["approval_amount"] = json!(amount);
        put(wrong).await.assert_problem(422, "bad-config");
    }
    let mut negative = rule("command");
    negative["approval_amount"] = json!(-1);
    put(negative).await.assert_problem(400, "bad-request");
    let base = json!({"access_type": "command", "resources": ["prod"]});
    put(base.clone()).await.assert_problem(400, "bad-request");
    let with = |policies| {
        let mut body = base.clone();
        body["policies"] = policies;
        body
    };
    put(with(json!([{"policy": "no-such-policy"}]))).await.assert_problem(422, "unknown");
    put(with(json!([]))).await.assert_problem(422, "invalid");
    let unknown = put(with(json!([{"policy": "group-quorum", "config": {"group": ["dba"]}}]))).await;
    unknown.assert_problem(422, "bad-config");
    let mut nowhere = rule("command");
    nowhere["resources"] = json!(["nothing"]);
    put(nowhere).await.assert_problem(422, "unknown");
    world.get("/api/rules/bad", &world.root).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn a_resource_keeps_secrets_that_are_not_given_again() {
    let world = World::start().await;
    let put = async |body| world.put("/api/resources/prod", &world.root, body).await;
    let both = put(
        json!({"command": ["psql"], "secrets": {"PGPASSWORD": null, "TOKEN": "x"}, "max_duration": "8h"}),
    )
    .await;
    assert_eq!(both.assert_ok()["secrets"], json!(["PGPASSWORD", "TOKEN"]));
    assert_eq!(both.json["max_duration"], "8h");
    let kept = world.running.app().ledger.secrets(&"prod".parse().unwrap()).unwrap();
    assert_eq!(kept["PGPASSWORD"], "hunter2");
    put(json!({"command": ["psql"], "secrets": {"NEW": null}})).await.assert_problem(422, "invalid");
    put(json!({"command": ["psql"], "secrets": {"LD_PRELOAD": "x"}})).await.assert_problem(422, "invalid");
    put(json!({"command": []})).await.assert_problem(422, "invalid");
    let number = put(json!({"command": ["psql"], "secrets": {"PGPASSWORD": 123_456}})).await;
    assert!(!number.assert_problem(400, "bad-request").contains("123456"));
    world.delete("/api/resources/prod", &world.root).await.assert_problem(409, "in-use");
}

#[tokio::test]
async fn policies_are_listed_with_what_decides() {
    let world = World::start().await;
    let list = world.get("/api/policies", &world.root).await;
    let names: Vec<&str> = list.assert_ok()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["bypass", "duration-cap", "group-quorum"]);
    let one = world.get("/api/policies/group-quorum", &world.root).await;
    assert_eq!(one.assert_ok()["versions"][0]["built_in"], true);
    assert_eq!(one.json["activations"][0]["by"], "the gateway");
    assert_eq!(
        (&one.json["serving"], &one.json["active"]),
        (&json!(true), &one.json["versions"][0]["digest"])
    );
    assert!(one.json["limits"]["fuel_max"].as_u64().unwrap() > 0);
    let schema = world.get("/api/policies/group-quorum/schema", &world.root).await;
    assert_eq!(schema.assert_ok(), &one.json["schema"]);
    assert!(schema.json["properties"]["groups"].is_object());
}

#[tokio::test]
async fn a_policy_is_loaded_activated_and_rolled_back() {
    let world = World::start().await;
    let app = world.running.app();
    let bypass = app.ledger.policy(&"bypass".parse().unwrap()).unwrap().unwrap();
    let component = app.ledger.blob(&bypass.active().unwrap().digest).unwrap().unwrap();
    let digest = bypass.active().unwrap().digest.to_string();
    let load = async |path: &str| {
        Answer::of(world.request(Method::POST, path, &world.root).body(component.clone())).await
    };
    let staged = load("/api/policies/mine/versions?reason=trial").await;
    assert_eq!(staged.status, StatusCode::CREATED, "{staged:?}");
    assert_eq!((&staged.json["digest"], &staged.json["policy"]["active"]), (&json!(digest), &json!(null)));
    let post =
        async |verb: &str, body| world.post(&format!("/api/policies/mine/{verb}"), &world.root, body).await;
    post("rollback", json!({})).await.assert_problem(409, "nothing-before");
    post("activate", json!({"digest": "abc"})).await.assert_problem(422, "invalid");
    post("activate", json!({"digest": "00000000"})).await.assert_problem(422, "unknown");
    let active = post("activate", json!({"digest": digest[..8].to_uppercase(), "reason": "tried"})).await;
    assert_eq!((&active.assert_ok()["active"], &active.json["serving"]), (&json!(digest), &json!(true)));
    assert_eq!(active.json["activations"][0]["reason"], "tried");
    post("activate", json!({"digest": digest})).await.assert_problem(409, "already-active");
    // Another config schema: the rule's config would not be accepted any more.
    let wrong = load("/api/policies/group-quorum/versions?activate=true").await;
    wrong.assert_problem(422, "bad-config");
    let still = world.get("/api/policies/group-quorum", &world.root).await;
    assert_eq!(
        (&still.assert_ok()["serving"], still.json["activations"].as_array().unwrap().len()),
        (&json!(true), 1)
    );
}

#[tokio::test]
async fn the_ledger_is_read_verified_and_exported() {
    let world = World::start().await;
    let ann = world.log_in("ann").await;
    let id = world.ask(&ann).await;
    let aud = world.log_in("aud").await;
    let verified = world.get("/api/audit/verify", &aud).await;
    assert_eq!(verified.assert_ok()["ok"], true, "{verified:?}");
    let newest = world.get("/api/audit/entries?order=newest&limit=1", &aud).await;
    assert_eq!(newest.assert_ok()["items"][0]["digest"], verified.json["head"]);
    let entries = verified.json["entries"].as_u64().unwrap();
    assert_eq!(newest.json["total"], entries);
    let export = world.get("/api/audit/export", &aud).await;
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let mut previous = "0".repeat(64);
    for (nth, line) in export.text.lines().enumerate() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&entry["seq"], &entry["previous"]), (&json!(nth + 1), &json!(previous)));
        previous = entry["digest"].as_str().unwrap().to_owned();
    }
    assert_eq!(previous, verified.json["head"].as_str().unwrap());
    let asked = world
        .get(&format!("/api/audit/entries?stream=request/{id}&type=request-submitted&by=ann"), &aud)
        .await;
    assert_eq!(asked.assert_ok()["items"].as_array().unwrap().len(), 1);
    let first = world.get("/api/audit/entries?limit=2", &aud).await;
    let after = first.assert_ok()["next"].as_str().unwrap();
    let second = world.get(&format!("/api/audit/entries?limit=2&cursor={after}"), &aud).await;
    assert_eq!(second.assert_ok()["items"][0]["seq"], 3);
    let record =
        world.get(&format!("/api/requests/{id}"), &ann).await.json["record"].as_str().unwrap().to_owned();
    let decision = world.get(&format!("/api/decisions/{record}"), &aud).await;
    assert_eq!(decision.assert_ok()["input"]["request"]["id"], id.as_str());
    // A component is kept in the same place, and is no decision.
    let policy = world.get("/api/policies/bypass", &aud).await.json["active"].as_str().unwrap().to_owned();
    world.get(&format!("/api/decisions/{policy}"), &aud).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn the_gateway_says_whether_it_is_ready_and_what_it_counts() {
    let world = World::start().await;
    let ann = world.log_in("ann").await;
    world.ask(&ann).await;
    assert_eq!(world.get("/healthz", "").await.assert_ok()["status"], "ok");
    assert_eq!(world.get("/readyz", "").await.assert_ok()["status"], "ok");
    let metrics = world.get("/metrics", &world.log_in("aud").await).await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    for line in [
        "quorate_requests{state=\"PENDING\"} 1",
        "quorate_sessions_open 0",
        "quorate_http_requests_total{method=\"POST\",route=\"/api/requests\",status=\"201\"}",
        "quorate_ledger_head ",
        "quorate_ledger_bytes ",
        "process_resident_memory_bytes ",
    ] {
        assert!(metrics.text.contains(line), "{line} is not in\n{}", metrics.text);
    }
    assert!(metrics.text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_command_is_asked_for_and_bound_to_its_text() {
    let world = World::start().await;
    world.put("/api/rules/commands", &world.root, rule("command")).await.assert_ok();
    let ann = world.log_in("ann").await;
    let body = json!({"resource": "prod", "command": {"text": "select 1", "arguments": ["-x"]}});
    let asked = world.post("/api/requests", &ann, body).await;
    assert_eq!(asked.assert_ok()["command"]["text"], "select 1");
    assert_eq!((&asked.json["access_type"], &asked.json["duration"]), (&json!("command"), &json!(null)));
    let empty = json!({"resource": "prod", "command": {}});
    world.post("/api/requests", &ann, empty).await.assert_problem(422, "invalid");
    let path = format!("/api/requests/{}/session", asked.json["id"].as_str().unwrap());
    world.get(&path, &ann).await.assert_problem(409, "not-open");
}
