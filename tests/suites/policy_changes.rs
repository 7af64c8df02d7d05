//! A second person for an activation: asked for, approved, carried out once, and nothing else.

use quorate::config::Config;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::gateway::Gateway;
use crate::world::program::PATIENCE;
use crate::world::{Answer, World, component, noted, quorum};

const ACTIVATE: &str = "policies/group-quorum/activate";
const ASK: &str = "policies/group-quorum/activation-requests";

fn demanded() -> Config {
    Config { policy_changes: Some("policy-changes".parse().unwrap()), ..Config::default() }
}

/// A gateway that demands that one of dba approves.
pub async fn world() -> World {
    let world = World::with(demanded()).await;
    open_way(&world).await;
    world
}

async fn open_way(world: &World) {
    let more = json!({ "command": ["/bin/false"], "access_types": ["command"] });
    world.bare_resource("policy-changes", more).await;
    let rule = json!({ "access_type": "command", "resources": ["policy-changes"],
        "policies": quorum(&["dba"], true, 1) });
    world.rule("policy-changes", rule).await.good();
}

/// Another version of a policy.
async fn load(world: &World, policy: &str, component: &[u8]) -> String {
    let path = format!("policies/{policy}/versions");
    world.upload("root", &path, component.to_vec()).await.good().text("/digest").to_owned()
}

pub async fn newer(world: &World, note: &str) -> String {
    load(world, "group-quorum", &noted(component("group-quorum"), note)).await
}

async fn group_quorum(world: &World) -> Answer {
    world.get("root", "policies/group-quorum").await.good()
}

/// An activation that root asked for and bob approved.
async fn approved(world: &World, digest: &str) -> String {
    let id = world.post("root", ASK, json!({ "digest": digest, "reason": "newer" })).await.good().id();
    assert_eq!(world.approve("bob", &id).await.good().state(), "APPROVED");
    id
}

#[tokio::test]
async fn a_version_decides_once_a_second_person_approved_it_and_the_history_names_both() {
    let world = world().await;
    let digest = newer(&world, "b").await;
    let before = group_quorum(&world).await;
    let refused = world.post("root", ACTIVATE, json!({ "digest": digest, "reason": "mine alone" })).await;
    assert!(refused.refused(409, "approval-needed").contains("`quorate policy activate group-quorum"));

    let root = world.at_the_command_line("root");
    let mut asks = root.starts(&["policy", "activate", "group-quorum", &digest[..8], "-r", "it is newer"]);
    asks.says("waiting for access request to be approved at http").await;
    let request = world.newest("root").await;
    assert_eq!((request.state(), request.text("/reason")), ("PENDING", "it is newer"));
    assert_eq!(request.body["command"]["arguments"], json!(["activate", "group-quorum", digest]));
    let id = request.id();
    world.approve("root", &id).await.refused(403, "own-request");
    world.approve("eve", &id).await.refused(404, "not-found");
    assert_eq!(world.get("bob", "requests?inbox=waiting").await.texts("/items", "id"), [id.as_str()]);
    assert_eq!(group_quorum(&world).await.body, before.body, "before anybody approved");
    world.approve("bob", &id).await.good();
    let done = asks.ends().await.with(0);
    assert_eq!(done.out, format!("version {} of policy group-quorum decides now\n", &digest[..12]));

    let after = group_quorum(&world).await;
    assert_eq!(after.text("/active"), digest);
    let last = after.list("/activations").last().unwrap().clone();
    assert_eq!((&last["by"], &last["reason"]), (&json!("root"), &json!("it is newer")));
    assert_eq!(last["approved"], json!({ "request": id, "approvers": ["bob"] }));
    assert_eq!(world.request(&id).await.state(), "EXECUTED");
    let kinds: Vec<Value> = world.entries(&id).await.iter().map(|entry| entry["type"].clone()).collect();
    assert_eq!(kinds.last().unwrap(), "activation-carried-out");
    let shown = root.runs(&["policy", "inspect", "group-quorum"]).await.with(0).out;
    assert!(shown.contains(&format!("it is newer · approved by bob (request {id})")), "{shown}");

    // Again it does nothing, and going back takes nobody else.
    let again = root.runs(&["policy", "activate", "--request", &id]).await.with(0);
    assert!(again.out.contains("decides now"), "{again:?}");
    assert_eq!(group_quorum(&world).await.body, after.body);
    root.runs(&["policy", "rollback", "group-quorum", "-r", "worse"]).await.with(0);
    let again = root.runs(&["policy", "activate", "--request", &id]).await.with(0);
    assert!(again.out.contains("this was carried out before; version"), "{again:?}");
    assert_eq!(group_quorum(&world).await.text("/active"), before.text("/active"));
    world.finish().await;
}

#[tokio::test]
async fn a_new_policy_is_loaded_and_decides_nothing_before_it_is_approved() {
    let world = world().await;
    let path = "policies/mine/versions?activate=true";
    let refused = world.upload("root", path, component("empty").to_vec()).await;
    refused.refused(409, "approval-needed");
    world.get("root", "policies/mine").await.refused(404, "not-found");

    let file = world.folder().join("mine.wasm");
    std::fs::write(&file, component("empty")).unwrap();
    let root = world.at_the_command_line("root");
    let load = ["policy", "load", file.to_str().unwrap(), "--name", "mine", "--activate", "-r", "first"];
    let asked = root.runs(&[&load[..], &["--no-wait"]].concat()).await.with(0);
    let id = asked.out.trim().to_owned();
    assert!(asked.err.contains(&format!("quorate policy activate --request {id}")), "{asked:?}");
    assert_eq!(world.get("root", "policies/mine").await.good().body["active"], Value::Null);
    let cancelled = root.runs(&["requests", "cancel", &id]).await.with(0);
    assert!(cancelled.out.contains("CANCELLED"), "{cancelled:?}");
    let over = root.runs(&["policy", "activate", "--request", &id]).await.with(130);
    assert!(over.line().contains("was cancelled"), "{over:?}");

    // Whoever loads it again is asked again.
    let mut asks = root.starts(&load);
    asks.says("waiting for access request").await;
    let id = world.newest("root").await.id();
    world.reject("bea", &id).await.good();
    asks.ends().await.with(10);
    assert_eq!(world.get("root", "policies/mine").await.good().body["active"], Value::Null);
    world.finish().await;
}

#[tokio::test]
async fn nothing_but_what_was_approved_is_carried_out_and_by_nobody_else() {
    let mut world = world().await;
    world.person("lea", &["admin"]).await;
    let (digest, other) = (newer(&world, "b").await, newer(&world, "c").await);
    let id = approved(&world, &digest).await;
    let before = group_quorum(&world).await;
    let try_to = async |who: &str, body: Value| {
        let answer = world.post(who, ACTIVATE, body).await;
        assert_eq!(group_quorum(&world).await.body, before.body, "something changed");
        answer
    };
    let body = json!({ "digest": digest, "request": id });
    try_to("root", json!({ "digest": other, "request": id })).await.refused(409, "not-what-was-approved");
    let demand = json!({ "digest": digest, "request": id, "no_differences": true });
    try_to("root", demand).await.refused(409, "not-what-was-approved");
    try_to("lea", body.clone()).await.refused(403, "not-yours");
    try_to("bob", body.clone()).await.refused(403, "forbidden");
    try_to("root", json!({ "digest": digest, "request": "nothing" })).await.refused(404, "not-found");
    try_to("root", json!({ "digest": digest, "request": "no id" })).await.refused(400, "bad-request");
    let reason = json!({ "digest": digest, "request": id, "reason": "another" });
    try_to("root", reason).await.refused(400, "bad-request");
    let elsewhere = "policies/duration-cap/activate";
    world.post("root", elsewhere, body.clone()).await.refused(422, "unknown");
    // A request for something else is none for this.
    world.resource("box", quorum(&["dba"], true, 1)).await;
    let run = json!({ "resource": "box", "command": { "arguments": ["activate", "group-quorum", digest] } });
    let run = world.post("root", "requests", run).await.good().id();
    world.approve("bob", &run).await.good();
    try_to("root", json!({ "digest": digest, "request": run })).await.refused(409, "not-what-was-approved");
    // Nor is what was approved on a resource that is another since.
    world
        .bare_resource("policy-changes", json!({ "command": ["/bin/true"], "access_types": ["command"] }))
        .await;
    try_to("root", body.clone()).await.refused(409, "not-what-was-approved");
    open_way(&world).await;
    // What is taken back, or not used in time, is no approval any more.
    let late = approved(&world, &digest).await;
    world.revoke("bob", &id, "a second thought").await.good();
    try_to("root", body).await.refused(409, "not-open");
    world.clock.advance(3601);
    try_to("root", json!({ "digest": digest, "request": late })).await.refused(409, "not-open");
    world.finish().await;
}

#[tokio::test]
async fn what_must_hold_of_an_activation_must_hold_when_it_is_carried_out() {
    let mut world = World::new().await;
    world.activate("mine", component("empty")).await.good();
    let rule = |config: Value| {
        json!({ "access_type": "just-in-time", "resources": ["odd"],
            "policies": [{ "policy": "mine", "config": config }] })
    };
    world.bare_resource("odd", json!({})).await;
    world.rule("odd", rule(json!({ "do": "panic" }))).await.good();
    open_way(&world).await;
    world.reconfigure(|config| config.policy_changes = demanded().policy_changes);
    world.restart_after(1).await;

    let digest = load(&world, "mine", component("probes")).await;
    let ask = async |body| world.post("root", "policies/mine/activation-requests", body).await;
    let demand = json!({ "digest": digest, "min_samples": 5, "no_differences": true });
    let unseen = ask(demand).await.good();
    let words = json!(["activate", "mine", digest, "--min-samples", "5", "--no-differences"]);
    assert_eq!(unseen.body["command"]["arguments"], words);
    let plain = ask(json!({ "digest": digest })).await.good();
    let root = world.at_the_command_line("root");
    for id in [&unseen.id(), &plain.id()] {
        world.approve("bob", id).await.good();
    }
    let refused = root.runs(&["policy", "activate", "--request", &unseen.id()]).await.with(14);
    assert!(refused.line().contains("is not its shadow") && refused.line().contains("nothing was changed"));

    world.rule("odd", rule(json!({ "only": "the old one takes this" }))).await.good();
    let before = world.get("root", "policies/mine").await.good();
    let refused = root.runs(&["policy", "activate", "--request", &plain.id()]).await.with(14);
    assert!(refused.line().contains("policy mine refuses its config at `rule odd"), "{refused:?}");
    assert_eq!(world.get("root", "policies/mine").await.good().body, before.body);
    assert_eq!(world.request(&plain.id()).await.state(), "APPROVED", "the approval is not used up");
    // Nobody is asked for what could not be done.
    ask(json!({ "digest": digest })).await.refused(422, "bad-config");
    world.rule("odd", rule(json!({ "do": "panic" }))).await.good();
    root.runs(&["policy", "activate", "--request", &plain.id()]).await.with(0);
    ask(json!({ "digest": digest })).await.refused(409, "already-active");
    world.finish().await;
}

#[tokio::test]
async fn where_nobody_could_approve_nothing_is_activated_and_it_says_why() {
    let world = World::with(demanded()).await;
    let digest = newer(&world, "b").await;
    let refused = async |why: &str| {
        for path in [ACTIVATE, ASK] {
            let answer = world.post("root", path, json!({ "digest": digest })).await;
            let detail = answer.refused(409, "no-way-to-approve");
            assert!(detail.contains(why), "{detail}");
        }
    };
    refused("there is no such resource").await;
    world.bare_resource("policy-changes", json!({ "access_types": ["just-in-time"] })).await;
    refused("it does not support command access").await;
    world.bare_resource("policy-changes", json!({})).await;
    refused("no access request rule covers command access to it").await;
    let rule = json!({ "access_type": "command", "resources": ["policy-changes"],
        "required_groups": ["sre"], "policies": quorum(&["dba"], true, 1) });
    world.rule("policy-changes", rule).await.good();
    // There is a way, but not for root.
    world.post("root", ASK, json!({ "digest": digest })).await.refused(403, "not-covered");
    assert_eq!(group_quorum(&world).await.list("/activations").len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn nothing_ever_runs_on_what_stands_for_changes() {
    let world = world().await;
    let digest = newer(&world, "b").await;
    for what in [json!({}), json!({ "command": { "arguments": ["activate", "group-quorum", digest] } })] {
        let mut ask = json!({ "resource": "policy-changes" });
        ask.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        let refused = world.post("root", "requests", ask).await;
        assert!(refused.refused(403, "only-activations").contains("nothing runs on it"));
    }
    let root = world.at_the_command_line("root");
    for verb in [&["connect", "policy-changes"][..], &["exec", "policy-changes", "-i", "x"]] {
        let refused = root.runs(verb).await.with(14);
        assert!(refused.err.contains("nothing runs on it: `quorate policy activate`"), "{refused:?}");
    }
    let id = approved(&world, &digest).await;
    let refused = root.runs(&["exec", "--request", &id]).await.with(14);
    assert!(refused.err.contains("nothing runs on it"), "{refused:?}");
    assert_eq!(world.request(&id).await.state(), "APPROVED");
    assert_eq!(world.get("root", "sessions").await.good().body["total"], 0);
    // Only admins ask: nobody else could carry it out.
    world.post("ann", ASK, json!({ "digest": digest })).await.refused(403, "forbidden");
    for bad in [json!({ "digest": "abc" }), json!({ "digest": "zzzzzzzz" })] {
        world.post("root", ASK, bad).await.refused(422, "invalid");
    }
    world.post("root", ASK, json!({ "digest": "00000000" })).await.refused(422, "unknown");
    world.post("root", ASK, json!({ "digset": digest })).await.refused(400, "bad-request");
    world
        .post("root", "policies/none/activation-requests", json!({ "digest": digest }))
        .await
        .refused(404, "not-found");
    let usage = root.runs(&["policy", "activate", "--request", &id, "--reason", "x"]).await.with(2);
    assert!(usage.err.contains("cannot be used with"), "{usage:?}");
    world.finish().await;
}

#[tokio::test]
async fn what_a_policy_lets_pass_is_no_second_person() {
    let world = World::with(demanded()).await;
    world.bare_resource("policy-changes", json!({})).await;
    // The form lets admins approve themselves unless it says otherwise.
    let mut form =
        json!({ "access_type": "command", "resources": ["policy-changes"], "approval_groups": ["dba"] });
    world.rule("policy-changes", form.clone()).await.good();
    let digest = newer(&world, "b").await;
    let root = world.at_the_command_line("root");
    let refused = root.runs(&["policy", "activate", "group-quorum", &digest]).await.with(14);
    assert!(
        refused.err.contains("no second person approved this (policy bypass let it pass)"),
        "{refused:?}"
    );
    assert_eq!(group_quorum(&world).await.list("/activations").len(), 1);
    form["admins_approve_themselves"] = json!(false);
    world.rule("policy-changes", form).await.good();
    let id = approved(&world, &digest).await;
    root.runs(&["policy", "activate", "--request", &id]).await.with(0);
    world.finish().await;
}

#[tokio::test]
async fn without_the_setting_an_admin_activates_as_ever() {
    let world = World::new().await;
    let digest = newer(&world, "b").await;
    world.post("root", ASK, json!({ "digest": digest })).await.refused(409, "approval-not-needed");
    let body = json!({ "digest": digest, "request": "r-1" });
    world.post("root", ACTIVATE, body).await.refused(409, "approval-not-needed");
    let root = world.at_the_command_line("root");
    root.runs(&["policy", "activate", "group-quorum", &digest]).await.with(0);
    let last = group_quorum(&world).await.list("/activations").last().unwrap().clone();
    assert_eq!((&last["by"], &last["approved"]), (&json!("root"), &Value::Null));
    world.finish().await;
}

#[tokio::test]
async fn a_gateway_that_is_killed_in_between_carries_it_out_once() {
    let setting = ["--policy-changes", "policy-changes"];
    let mut gateway = Gateway::start(&["bob"], &setting).await;
    assert!(
        gateway.log().contains("no version of a policy can be activated: that takes an approved request")
    );
    let resource = json!({ "command": ["/bin/false"], "access_types": ["command"] });
    gateway.put("root", "resources/policy-changes", resource).await;
    let rule = json!({ "access_type": "command", "resources": ["policy-changes"],
        "policies": quorum(&["dba"], true, 1) });
    gateway.put("root", "rules/policy-changes", rule).await;
    let root = gateway.at_the_command_line("root");
    for round in 1..=4_u64 {
        let file = gateway.folder().join("newer.wasm");
        std::fs::write(&file, noted(component("group-quorum"), &format!("round {round}"))).unwrap();
        let load =
            ["policy", "load", file.to_str().unwrap(), "--name", "group-quorum", "--activate", "--no-wait"];
        let id = root.runs(&load).await.with(0).out.trim().to_owned();
        gateway.post("bob", &format!("requests/{id}/votes"), json!({ "choice": "approve" })).await;
        let policy = gateway.get("root", "policies/group-quorum").await.body;
        let digest = policy["versions"].as_array().unwrap().last().unwrap()["digest"].clone();
        // Between the approval and the activation; then somewhere within it.
        gateway.kill().await;
        gateway.serve().await;
        let body = json!({ "digest": digest, "request": id });
        let caller = gateway.caller();
        let sent =
            tokio::spawn(async move { caller.send(Method::POST, "root", ACTIVATE, Some(body), None).await });
        if round % 2 == 0 {
            tokio::time::timeout(PATIENCE, sent).await.unwrap().unwrap().unwrap().good();
        } else {
            tokio::task::yield_now().await;
        }
        gateway.kill().await;
        gateway.serve().await;
        root.runs(&["policy", "activate", "--request", &id]).await.with(0);
        let policy = gateway.get("root", "policies/group-quorum").await.body;
        assert_eq!(policy["active"], digest);
        assert_eq!(
            policy["activations"].as_array().unwrap().len() as u64,
            1 + round,
            "once, in round {round}"
        );
    }
    assert_eq!(gateway.stop().await, Some(0));
}
