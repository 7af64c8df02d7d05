//! A candidate beside the version that decides.

use serde_json::{Value, json};

use crate::world::gateway::Gateway;
use crate::world::{World, component, noted, quorum};

async fn load(world: &World, policy: &str, component: &[u8]) -> String {
    let path = format!("policies/{policy}/versions");
    world.upload("root", &path, component.to_vec()).await.good().text("/digest")[..12].to_owned()
}

/// What the shadow has seen once it has looked at everything.
async fn report(world: &World, policy: &str) -> Value {
    let look = async || {
        let report = world.get("root", &format!("policies/{policy}/shadow")).await.good().body;
        (report["behind"] == 0 && report["samples"] != 0).then_some(report)
    };
    world.eventually("the shadow looked at everything", look).await
}

#[tokio::test]
async fn a_shadow_decides_nothing_and_tells_who_would_newly_be_let_in() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba", "security"], true, 1)).await;
    let root = world.at_the_command_line("root");
    let before = world.get("root", "policies/group-quorum").await.good().text("/active").to_owned();
    let digest = load(&world, "group-quorum", component("one-group")).await;
    let start = ["policy", "shadow", "start", "group-quorum", &digest, "-r", "a trial"];
    let early = root.runs(&start).await.with(14);
    assert!(early.line().contains("must be staged"), "{early:?}");
    root.runs(&["policy", "stage", "group-quorum", &digest, "-r", "one is enough"]).await.with(0);
    root.runs(&start).await.with(0);
    let twice = root.runs(&start).await.with(14);
    assert!(twice.line().contains("stop that first"), "{twice:?}");

    let id = world.ask("ann", "prod", "2h").await.good().id();
    world.approve("bea", &id).await.good();
    assert_eq!(world.request(&id).await.state(), "PENDING", "the shadow decided");
    let seen = report(&world, "group-quorum").await;
    assert_eq!(seen["differences"][0]["change"], "lets-in", "{seen}");
    assert_eq!(seen["differences"][0]["request"], json!(id));
    let out = root.runs(&["policy", "shadow", "report", "group-quorum"]).await.with(0).out;
    assert!(out.contains("newly let in: 1") && out.contains(&id), "{out}");

    let activate = ["policy", "activate", "group-quorum", &digest, "--min-samples", "2", "--no-differences"];
    let refused = root.runs(&activate).await.with(14);
    assert!(refused.line().contains("1 differences and 0 faults that nobody accepted"), "{refused:?}");
    assert_eq!(world.get("root", "policies/group-quorum").await.good().text("/active"), before);
    let nothing =
        root.runs(&["policy", "shadow", "accept", "group-quorum", "nobody", "-r", "x"]).await.with(14);
    assert!(nothing.line().contains("there is no difference"), "{nothing:?}");
    root.runs(&["policy", "shadow", "accept", "group-quorum", &id, "-r", "dba is enough"]).await.with(0);
    let few =
        root.runs(&["policy", "activate", "group-quorum", &digest, "--min-samples", "99"]).await.with(14);
    assert!(few.line().contains("of 99 that are demanded"), "{few:?}");
    let status = root.runs(&["policy", "inspect", "group-quorum"]).await.with(0).out;
    assert!(status.contains("Shadowing") && status.contains("one is enough"), "{status}");
    root.runs(&activate).await.with(0);
    assert_eq!(world.until(&id, "APPROVED").await.state(), "APPROVED", "the candidate decides now");
    let policy = world.get("root", "policies/group-quorum").await.good();
    assert_eq!(policy.texts("/versions", "stage"), ["superseded", "active"]);
    assert_eq!(policy.text("/last_good"), before);
    assert_eq!(policy.body["shadow"], Value::Null);
    world.finish().await;
}

#[tokio::test]
async fn a_candidate_that_traps_is_a_fault_and_requests_are_decided_as_ever() {
    let world = World::new().await;
    world.activate("probes", component("empty")).await.good();
    world.resource("odd", json!([{ "policy": "probes", "config": { "do": "panic" } }])).await;
    let digest = load(&world, "probes", component("probes")).await;
    let root = world.at_the_command_line("root");
    root.runs(&["policy", "stage", "probes", &digest]).await.with(0);
    root.runs(&["policy", "shadow", "start", "probes", &digest]).await.with(0);
    let asked = world.ask("ann", "odd", "2h").await.good();
    assert_eq!(asked.state(), "APPROVED");
    let seen = report(&world, "probes").await;
    assert_eq!((&seen["agreed"], &seen["changes"]["fault"]), (&json!(0), &seen["samples"]), "{seen}");
    let activate = ["policy", "activate", "probes", &digest, "--no-differences"];
    let refused = root.runs(&activate).await.with(14);
    assert!(refused.line().contains("0 differences and 1 faults"), "{refused:?}");
    world.finish().await;
}

#[tokio::test]
async fn a_version_that_a_rule_has_no_config_for_is_not_staged_and_nothing_changes() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], true, 1)).await;
    let digest = load(&world, "group-quorum", component("probes")).await;
    let before = world.get("root", "policies/group-quorum").await.good().body;
    let body = json!({ "digest": digest });
    world.post("root", "policies/group-quorum/stage", body).await.refused(422, "bad-config");
    assert_eq!(world.get("root", "policies/group-quorum").await.good().body, before);
    world.finish().await;
}

#[tokio::test]
async fn a_gateway_that_is_killed_neither_loses_nor_repeats_what_a_shadow_saw() {
    let mut gateway = Gateway::start(&["ann"], &[]).await;
    let resource = json!({ "kind": "demo", "command": ["true"], "access_types": ["just-in-time"] });
    gateway.put("root", "resources/prod", resource).await;
    let rule = json!({ "access_type": "just-in-time", "resources": ["prod"],
        "policies": quorum(&["dba"], true, 1) });
    gateway.put("root", "rules/prod", rule).await;
    let candidate = noted(component("group-quorum"), "newer");
    let file = gateway.folder().join("newer.wasm");
    std::fs::write(&file, candidate).unwrap();
    let root = gateway.at_the_command_line("root");
    let file = file.to_str().unwrap();
    let digest = root.asks(&["policy", "load", file, "--name", "group-quorum"]).await["digest"]
        .as_str()
        .unwrap()[..12]
        .to_owned();
    root.runs(&["policy", "stage", "group-quorum", &digest]).await.with(0);
    root.runs(&["policy", "shadow", "start", "group-quorum", &digest]).await.with(0);
    let asked = |nth: u64| json!({ "resource": "prod", "duration": "1h", "reason": nth.to_string() });
    for nth in 1..=6_u64 {
        gateway.post("ann", "requests", asked(nth)).await;
        // Whatever it was at, it is begun again.
        gateway.kill().await;
        gateway.serve().await;
        let report = loop {
            let report = gateway.get("root", "policies/group-quorum/shadow").await.body;
            if report["behind"] == 0 {
                break report;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((&report["samples"], &report["agreed"]), (&json!(nth), &json!(nth)), "{report}");
    }
    assert_eq!(gateway.stop().await, Some(0));
}
