//! Policies in operation: swapped under load, misbehaving, refused, rolled back.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};
use quorate::ledger::{EntryFilter, Order};
use quorate_core::entry::Happened;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::disk::SmallDisk;
use crate::world::{World, component, just_in_time, noted, quorum};

/// Requests made while the policy is swapped, and how many of them at the same time.
const REQUESTS: usize = 100;
const AT_ONCE: usize = 20;
const SWAPS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_no_request_fails_while_the_policy_is_swapped_and_each_decision_has_one_version() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let second = noted(component("group-quorum"), "second");
    let loaded = world.upload("root", "policies/group-quorum/versions", second).await.good();
    let first = world.get("root", "policies/group-quorum").await.text("/active").to_owned();
    let versions = [first, loaded.text("/digest").to_owned()];
    assert_ne!(versions[0], versions[1]);

    let swaps = async {
        for nth in 1..=SWAPS {
            let body = json!({ "digest": versions[nth % 2], "reason": format!("swap {nth}") });
            world.post("root", "policies/group-quorum/activate", body).await.good();
        }
    };
    // Every other one is approved, as things are swapped; the rest waits.
    let requests = stream::iter(0..REQUESTS).map(async |nth| {
        let id = world.ask("ann", "prod", "1h").await.good().id();
        if nth % 2 == 0 {
            assert_eq!(world.approve("bob", &id).await.good().state(), "APPROVED");
        }
        id
    });
    let ((), ids) = tokio::join!(swaps, requests.buffer_unordered(AT_ONCE).collect::<Vec<String>>());

    // What waits is decided again under the version that is active in the end.
    for id in &ids {
        world
            .eventually("decided under the last version", async || {
                let seen = world.request(id).await;
                let last = seen.text("/rules/0/policies/0/version") == versions[SWAPS % 2];
                (last || seen.state() == "APPROVED").then_some(())
            })
            .await;
        let seen = world.request(id).await;
        let record = world.get("root", &format!("decisions/{}", seen.text("/record"))).await.good();
        let opinion = "/rules/0/opinions/0/version";
        assert_eq!(
            record.text(opinion),
            seen.text("/rules/0/policies/0/version"),
            "the record says the same"
        );
    }
    let mut decided: BTreeMap<String, usize> = BTreeMap::new();
    let filter = EntryFilter { event: Some("request-decided".to_owned()), ..EntryFilter::default() };
    for sealed in world.app().ledger.entries(&filter, 100_000, Order::OldestFirst).unwrap() {
        let Happened::RequestDecided { decision, .. } = sealed.entry.happened else {
            panic!("{:?}", sealed.entry)
        };
        assert_eq!((decision.rules.len(), decision.rules[0].policies.len()), (1, 1));
        assert!(decision.faults().is_empty(), "{:?}", decision.faults());
        *decided.entry(decision.rules[0].policies[0].version.unwrap().to_string()).or_default() += 1;
    }
    assert_eq!(
        decided.keys().collect::<std::collections::BTreeSet<_>>(),
        versions.iter().collect(),
        "both decided"
    );
    let policy = world.get("root", "policies/group-quorum").await.good();
    assert_eq!(policy.list("/activations").len(), 1 + SWAPS);
    world.finish().await;
}

/// Ways to misbehave, how many times, and the fault that each of them is. Filling memory
/// costs fuel, which with the usual limits is what runs out first.
const MISBEHAVING: [(&str, u32, &str); 16] = [
    ("loop", 1, "out-of-fuel"),
    ("allocate", 1, "out-of-fuel"),
    ("recurse", 1, "stack-overflow"),
    ("recurse-on-stack", 1, "stack-overflow"),
    ("panic", 1, "trap"),
    ("clock", 1, "trap"),
    ("big-answer", 1, "out-of-fuel"),
    ("many-findings", 300, "bad-answer"),
    ("many-findings", 10_000, "answer-too-large"),
    ("log-flood", 1, "out-of-fuel"),
    ("wait-for-nothing", 1, "bad-answer"),
    ("wait-for-nobody", 1, "bad-answer"),
    ("bad-instant", 1, "bad-answer"),
    ("bad-obligation", 1, "bad-answer"),
    ("bad-attribute", 1, "bad-answer"),
    ("critical-obligation", 1, "unknown-obligation"),
];

#[tokio::test]
async fn p2_a_policy_that_misbehaves_approves_nothing_and_harms_nobody_else() {
    let world = World::new().await;
    world.activate("probes", component("probes")).await.good();
    world.resource("healthy", quorum(&["dba"], false, 1)).await;
    let mut waiting = Vec::new();
    for (act, times, fault) in MISBEHAVING {
        let config = json!({ "do": act, "text": "x", "times": times });
        let name = format!("{act}-{times}");
        world.resource(&name, json!([{ "policy": "probes", "config": config }])).await;
        let asked = world.ask("ann", &name, "1h").await.good();
        assert_eq!(asked.state(), "PENDING", "{name}: {}", asked.body);
        assert_eq!(asked.text("/faults/0/code"), fault, "{name}");
        assert_eq!(asked.texts("/faults", "policy"), ["probes"], "{act}");
        // Nobody's vote, not even a forced one, opens it.
        world.approve("bob", &asked.id()).await.refused(409, "no-answer");
        world.force("root", &asked.id(), "now").await.refused(409, "no-answer");
        let other = world.ask("ann", "healthy", "1h").await.good();
        assert_eq!(world.approve("bob", &other.id()).await.good().state(), "APPROVED", "beside {act}");
        waiting.push(asked.id());
    }
    for id in &waiting {
        assert_eq!(world.request(id).await.state(), "PENDING");
    }
    // Another version of it, and all of them are decided again.
    world.activate("probes", component("empty")).await.good();
    for id in &waiting {
        let approved = world.until(id, "APPROVED").await;
        assert_eq!(approved.list("/faults").len(), 0);
    }
    world.finish().await;
}

#[tokio::test]
async fn p2_a_fault_beside_a_bypass_or_a_rejection_is_no_approval() {
    let world = World::new().await;
    world.activate("probes", component("probes")).await.good();
    let faulty = json!([
        { "policy": "group-quorum", "config": { "groups": ["dba"] } },
        { "policy": "bypass", "config": {} },
        { "policy": "probes", "config": { "do": "panic" } },
    ]);
    world.resource("prod", faulty).await;
    assert_eq!(world.ask("root", "prod", "1h").await.good().state(), "PENDING");
    let asked = world.ask("ann", "prod", "1h").await.good().id();
    // An eligible approval is kept for later, a rejection is final at once.
    let kept = world.approve("bob", &asked).await.good();
    assert_eq!((kept.state(), kept.list("/votes").len()), ("PENDING", 1));
    assert_eq!(world.reject("bea", &asked).await.good().state(), "REJECTED");
    world.finish().await;
}

#[tokio::test]
async fn p3_what_is_no_policy_is_refused_with_the_reason_and_the_active_one_serves_on() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let before = world.get("root", "policies/group-quorum").await.good();
    let whole = component("group-quorum");
    let refused: [(Vec<u8>, u16, &str, &str); 7] = [
        (Vec::new(), 422, "empty", "the file is empty"),
        (b"#!/bin/sh\n".to_vec(), 422, "not-a-component", "does not begin as one"),
        (b"\0asm\x01\0\0\0".to_vec(), 422, "not-a-component", "core module"),
        (whole[..whole.len() / 2].to_vec(), 422, "not-a-component", ""),
        // A component, for no world at all.
        (b"\0asm\x0d\0\x01\0".to_vec(), 422, "wrong-contract", "it exports nothing"),
        (vec![0; 33 << 20], 413, "too-large", "33554432 are allowed"),
        // A policy, which cannot read what the rules say.
        (component("probes").to_vec(), 422, "bad-config", "rule prod-"),
    ];
    for (bytes, status, problem, words) in refused {
        let refused = world.activate("group-quorum", &bytes).await;
        let detail = refused.refused(status, problem);
        assert!(detail.contains(words), "{problem}: {detail}");
        assert_eq!(world.get("root", "policies/group-quorum").await.body, before.body, "{problem}");
        let asked = world.ask("ann", "prod", "1h").await.good();
        assert_eq!(world.approve("bob", &asked.id()).await.good().state(), "APPROVED", "after {problem}");
    }
    // Under a new name nothing comes to be.
    world.activate("mine", b"junk").await.refused(422, "not-a-component");
    world.get("root", "policies/mine").await.refused(404, "not-found");
    world.finish().await;
}

#[tokio::test]
async fn a_policy_is_activated_by_a_beginning_of_its_digest_and_rolled_back() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let waits = world.ask("ann", "prod", "1h").await.good().id();
    let built_in = world.request(&waits).await.text("/rules/0/policies/0/version").to_owned();
    let body = json!({ "reason": "never was another" });
    world.post("root", "policies/group-quorum/rollback", body.clone()).await.refused(409, "nothing-before");

    let loaded =
        world.upload("root", "policies/group-quorum/versions", noted(component("group-quorum"), "b")).await;
    let digest = loaded.good().text("/digest").to_owned();
    let path = "policies/group-quorum/activate";
    for bad in [&digest[..7], "zzzzzzzz", ""] {
        world.post("root", path, json!({ "digest": bad })).await.refused(422, "invalid");
    }
    world.post("root", path, json!({ "digest": "00000000" })).await.refused(422, "unknown");
    world.post("ann", path, json!({ "digest": digest })).await.refused(403, "forbidden");
    world.post("root", path, json!({ "digest": &digest[..8], "reason": "trying b" })).await.good();
    world.post("root", path, json!({ "digest": &digest[..8] })).await.refused(409, "already-active");
    let version = async |wanted: &str| {
        world
            .eventually("decided again", async || {
                let seen = world.request(&waits).await;
                (seen.text("/rules/0/policies/0/version") == wanted).then_some(())
            })
            .await;
    };
    version(&digest).await;
    world.post("root", "policies/group-quorum/rollback", body).await.good();
    version(&built_in).await;
    let policy = world.get("root", "policies/group-quorum").await.good();
    assert_eq!(policy.texts("/activations", "by"), ["the gateway", "root", "root"]);
    assert_eq!(policy.texts("/activations", "reason")[1], "trying b");
    assert_eq!(world.approve("bob", &waits).await.good().state(), "APPROVED");
    world.finish().await;
}

#[tokio::test]
async fn a_guest_of_the_first_contract_still_decides() {
    let world = World::new().await;
    let frozen = concat!(env!("CARGO_MANIFEST_DIR"), "/guests/v1/group-quorum.wasm");
    world.activate("frozen", &std::fs::read(frozen).unwrap()).await.good();
    world.resource("prod", json!([{ "policy": "frozen", "config": { "groups": ["dba"] } }])).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    world.approve("eve", &id).await.refused(404, "not-found");
    assert_eq!(world.approve("bob", &id).await.good().state(), "APPROVED");
    world.finish().await;
}

#[tokio::test]
async fn a_swap_touches_no_open_access_and_votes_that_were_cast_still_count() {
    let world = World::new().await;
    world.activate("mine", component("group-quorum")).await.good();
    let mine = |config: Value| json!([{ "policy": "mine", "config": config }]);
    world.resource("prod", mine(json!({ "groups": ["dba"], "approvals": 2 }))).await;
    let open = world.ask("ann", "prod", "1h").await.good().id();
    world.approve("bob", &open).await.good();
    let granted = world.approve("bea", &open).await.good();
    let waits = world.ask("ann", "prod", "1h").await.good().id();
    world.approve("bob", &waits).await.good();
    world.activate("mine", &noted(component("group-quorum"), "new")).await.good();
    assert_eq!(world.request(&open).await.body["granted"], granted.body["granted"]);
    // A rule that is content with what is there approves by itself.
    let content = mine(json!({ "groups": ["dba"], "approvals": 1 }));
    world.rule("prod-just-in-time", just_in_time("prod", content)).await.good();
    let approved = world.until(&waits, "APPROVED").await;
    assert_eq!(approved.body["approval"]["approvers"], json!(["bob"]));
    world.finish().await;
}

#[tokio::test]
async fn explain_says_what_each_policy_said() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba", "security"], true, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    world.approve("bob", &id).await.good();
    let why = world.get("ann", &format!("requests/{id}/explain")).await.good();
    assert_eq!(why.text("/policies/0/said"), "waits for 1 of security");
    assert_eq!(why.body["policies"][0]["config"]["groups"], json!(["dba", "security"]));
    assert!(why.body["policies"][0]["fuel_used"].as_u64().unwrap() > 0);
    assert_eq!(why.body["policies"][0]["version"], why.body["request"]["rules"][0]["policies"][0]["version"]);
    world.get("eve", &format!("requests/{id}/explain")).await.refused(404, "not-found");
    world.finish().await;
}

#[tokio::test]
async fn needs_root_a_full_disk_is_said_and_what_was_acknowledged_stays() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mounted_at(folder.path());
    let world = World::inside(tempfile::tempdir_in(folder.path()).unwrap()).await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let mut made = vec![world.ask("ann", "prod", "1h").await.good().id()];
    world.raw(Method::GET, "/readyz", "", "").await.good();

    let filled = disk.fill();
    let ready = world.raw(Method::GET, "/readyz", "", "").await;
    assert_eq!(ready.refused(503, "unavailable"), "the ledger's disk is full");
    // The log file has some room left in itself.
    let refused = loop {
        let asked = world.ask("ann", "prod", "1h").await;
        if asked.status != 201 {
            break asked;
        }
        made.push(asked.id());
        assert!(made.len() < 90, "the disk is full, and everything still fits");
    };
    assert!(refused.refused(507, "storage-full").contains("nothing was changed"), "{}", refused.body);

    std::fs::remove_file(filled).unwrap();
    world.raw(Method::GET, "/readyz", "", "").await.good();
    made.push(world.ask("ann", "prod", "1h").await.good().id());
    for id in &made {
        assert_eq!(world.request(id).await.good().state(), "PENDING");
    }
    let listed = world.get("root", "requests?limit=200").await.good();
    assert_eq!(listed.list("/items").len(), made.len());
    world.finish().await;
}
