//! Rules over HTTP: which requests they cover, and how several decide together.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _};
use quorate::ledger::{EntryFilter, Order};
use quorate_core::entry::{Happened, Stream};
use serde_json::{Value, json};

use crate::world::program::in_time;
use crate::world::{World, and, component, just_in_time, quorum};

fn one_dba() -> Value {
    quorum(&["dba"], false, 1)
}

/// `body` with one more key.
fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

#[tokio::test]
async fn r1_where_no_rule_covers_it_the_request_is_refused_saying_so() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    for who in ["ann", "root"] {
        let refused = world.ask(who, "prod", "1h").await;
        let words = format!("no access request rule covers {who} asking for just-in-time access to prod");
        assert_eq!(refused.refused(403, "not-covered"), words);
    }
    // A standing group is the one other way in.
    world.bare_resource("prod", json!({ "standing_groups": ["sre"] })).await;
    let entered = world.ask("eve", "prod", "1h").await.good();
    assert_eq!((entered.state(), entered.text("/approval/standing")), ("APPROVED", "sre"));
    world.ask("ann", "prod", "1h").await.refused(403, "not-covered");
    // A rule that covers her decides instead.
    world.rule("r", just_in_time("prod", one_dba())).await.good();
    assert_eq!(world.ask("eve", "prod", "1h").await.good().state(), "PENDING");
    world.finish().await;
}

#[tokio::test]
async fn r2_a_rule_for_one_way_in_does_not_open_the_other() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    world.rule("r", just_in_time("prod", one_dba())).await.good();
    let refused = world.ask_command("ann", "prod", "select 1").await;
    assert!(refused.refused(403, "not-covered").contains("asking for command access to prod"));
    world.rule("r", with(just_in_time("prod", one_dba()), "access_type", json!("command"))).await.good();
    assert_eq!(world.ask_command("ann", "prod", "select 1").await.good().state(), "PENDING");
    world.ask("ann", "prod", "1h").await.refused(403, "not-covered");
    world.finish().await;
}

#[tokio::test]
async fn r3_every_rule_that_matches_must_approve_and_the_smaller_duration_holds() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    let cap = |max: &str| json!({ "max": max, "on_excess": "shorten" });
    let long = and(one_dba(), "duration-cap", cap("4h"));
    let short = and(quorum(&["security"], false, 1), "duration-cap", cap("2h"));
    world.rule("databases", just_in_time("prod", long)).await.good();
    world.rule("production", just_in_time("prod", short)).await.good();
    let asked = world.ask("ann", "prod", "8h").await.good();
    assert_eq!(asked.texts("/waiting", "rule"), ["databases", "production"]);
    assert_eq!(asked.text("/allowed/duration"), "2h");
    let waiting = world.approve("bob", &asked.id()).await.good();
    assert_eq!((waiting.state(), waiting.texts("/waiting", "rule")), ("PENDING", vec!["production"]));
    let approved = world.approve("sam", &asked.id()).await.good();
    assert_eq!((approved.state(), approved.text("/granted/duration")), ("APPROVED", "2h"));
    assert_eq!(approved.texts("/rules", "rule"), ["databases", "production"]);
    // A way around one of them is none around the other.
    let open = and(one_dba(), "bypass", json!({}));
    world.rule("databases", just_in_time("prod", open)).await.good();
    let root = world.ask("root", "prod", "1h").await.good();
    assert_eq!((root.state(), root.texts("/waiting", "rule")), ("PENDING", vec!["production"]));
    world.finish().await;
}

#[tokio::test]
async fn r4_attributes_narrow_a_rule_and_never_widen_it() {
    let world = World::new().await;
    world.bare_resource("prod", json!({ "attributes": { "env": "us" } })).await;
    world.bare_resource("other", json!({ "attributes": { "env": "eu" } })).await;
    let rule = with(just_in_time("prod", one_dba()), "attributes", json!({ "env": "eu" }));
    world.rule("r", rule).await.good();
    for resource in ["prod", "other"] {
        world.ask("ann", resource, "1h").await.refused(403, "not-covered");
    }
    world.bare_resource("prod", json!({ "attributes": { "env": "eu", "tier": "1" } })).await;
    assert_eq!(world.ask("ann", "prod", "1h").await.good().state(), "PENDING");
    world.finish().await;
}

#[tokio::test]
async fn r5_required_groups_say_whose_requests_a_rule_covers() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    let rule = with(just_in_time("prod", one_dba()), "required_groups", json!(["dev"]));
    world.rule("r", rule).await.good();
    assert_eq!(world.ask("ann", "prod", "1h").await.good().state(), "PENDING");
    world.ask("eve", "prod", "1h").await.refused(403, "not-covered");
    // Nor does she see that it exists.
    world.get("eve", "resources/prod").await.refused(404, "not-found");
    world.get("ann", "resources/prod").await.good();
    world.finish().await;
}

#[tokio::test]
async fn r6_an_edited_rule_decides_what_waits_and_both_versions_are_on_record() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    world.rule("r", just_in_time("prod", one_dba())).await.good();
    let id = world.ask("ann", "prod", "1h").await.good().id();
    world.rule("r", just_in_time("prod", quorum(&["security"], false, 1))).await.good();
    // The very next event sees the rule as it is now.
    let refused = world.approve("bob", &id).await;
    // Once it is decided again he may not even see it.
    assert!(matches!(refused.problem(), "not-eligible" | "not-found"), "{}", refused.body);
    let decided = world
        .eventually("decided under the new rule", async || {
            let seen = world.request(&id).await;
            (seen.body["rules"][0]["revision"] == 2).then_some(seen)
        })
        .await;
    assert!(decided.text("/summary").contains("1 of security"));
    assert_eq!(world.approve("sam", &id).await.good().state(), "APPROVED");
    let entries = world.entries(&id).await;
    let decisions = entries.iter().filter(|entry| entry["type"] == "request-decided");
    let revisions: Vec<_> =
        decisions.map(|entry| entry["decision"]["rules"][0]["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, [1, 2, 2]);
    // Without any rule that covers it, what waits is over.
    let orphan = world.ask("ann", "prod", "1h").await.good().id();
    world.delete("root", "rules/r").await.good();
    let ended = world.until(&orphan, "REJECTED").await;
    assert!(ended.text("/ended/why").contains("no access request rule covers"));
    world.finish().await;
}

/// How often the rule is changed, how many are decided meanwhile, how many at once.
const EDITS: usize = 60;
const DECIDED: usize = 200;
const AT_ONCE: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_nothing_is_decided_under_a_rule_that_was_changed_before() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    let rules = [just_in_time("prod", one_dba()), just_in_time("prod", quorum(&["dba", "sre"], false, 1))];
    world.rule("r", rules[0].clone()).await.good();
    let edits = async {
        for nth in 1..=EDITS {
            world.rule("r", rules[nth % 2].clone()).await.good();
        }
    };
    let decisions = stream::iter(0..DECIDED).map(async |_| {
        let id = world.ask("ann", "prod", "1h").await.good().id();
        assert_eq!(world.approve("bob", &id).await.good().state(), "APPROVED");
    });
    tokio::join!(edits, decisions.buffer_unordered(AT_ONCE).collect::<Vec<()>>());

    let rule = Stream::rule(&"r".parse().unwrap());
    let (mut newest, mut seen) = (0, BTreeSet::new());
    for sealed in world.app().ledger.entries(&EntryFilter::default(), 100_000, Order::OldestFirst).unwrap() {
        match sealed.entry.happened {
            _ if sealed.entry.stream == rule => newest = sealed.entry.revision,
            Happened::RequestDecided { decision, .. } => {
                assert_eq!(decision.rules[0].revision, newest, "entry {}", sealed.seq);
                seen.insert(newest);
            }
            _ => {}
        }
    }
    assert!(seen.len() > 2, "the rule was not changed while things were decided: {seen:?}");
    world.finish().await;
}

#[tokio::test]
async fn r7_a_policy_that_is_missing_or_faults_leaves_the_request_waiting_and_says_so() {
    let world = World::new().await;
    world.activate("probes", component("probes")).await.good();
    world
        .resource("panics", json!([{ "policy": "probes", "config": { "do": "panic", "text": "oh no" } }]))
        .await;
    world.resource("prod", one_dba()).await;
    let faulted = world.ask("ann", "panics", "1h").await.good();
    assert_eq!(faulted.state(), "PENDING");
    assert_eq!((faulted.text("/faults/0/policy"), faulted.text("/faults/0/code")), ("probes", "trap"));
    let summary = faulted.text("/summary");
    assert!(
        summary.contains("policy probes does not answer (trap: ") && summary.contains("oh no"),
        "{summary}"
    );
    // As where a version does not load any more: the name stays, nothing answers.
    let quorum_policy = "group-quorum".parse().unwrap();
    let active = world.app().lifecycle.active();
    let present = active.load().get(&quorum_policy).unwrap().clone();
    active.replace(&quorum_policy, None);
    let missing = world.ask("ann", "prod", "1h").await.good();
    assert_eq!((missing.state(), missing.text("/faults/0/code")), ("PENDING", "missing"));
    let refused = world.approve("bob", &missing.id()).await;
    assert!(refused.refused(409, "no-answer").contains("policy group-quorum does not answer"));
    // Operators are told: not ready, and in the list of policies.
    let ready = world.raw(reqwest::Method::GET, "/readyz", "", "").await;
    assert!(ready.refused(503, "unavailable").contains("policy group-quorum does not load"));
    assert_eq!(world.get("root", "policies/group-quorum").await.body["serving"], false);
    let metrics = world.raw(reqwest::Method::GET, "/metrics", world.token("root"), "").await.good();
    let counted = r#"quorate_evaluation_faults_total{policy="probes",fault="trap"}"#;
    assert!(metrics.text("").contains(counted), "{}", metrics.body);
    // It is back: the vote counts.
    active.replace(&quorum_policy, Some(&present));
    assert_eq!(world.approve("bob", &missing.id()).await.good().state(), "APPROVED");
    // Where it is gone by the time somebody votes, that marks the request as well.
    let waits = world.ask("ann", "prod", "1h").await.good();
    assert_eq!(waits.list("/faults").len(), 0);
    active.replace(&quorum_policy, None);
    world.approve("bob", &waits.id()).await.refused(409, "no-answer");
    let marked = world.request(&waits.id()).await;
    assert_eq!((marked.state(), marked.list("/votes").len()), ("PENDING", 0));
    assert_eq!(marked.texts("/faults", "code"), ["missing"]);
    active.replace(&quorum_policy, Some(&present));
    let approved = world.approve("bob", &waits.id()).await.good();
    assert_eq!((approved.state(), approved.list("/faults").len()), ("APPROVED", 0));
    world.raw(reqwest::Method::GET, "/readyz", "", "").await.good();
    world.finish().await;
}

#[tokio::test]
async fn r7_a_fault_that_a_vote_brings_about_marks_the_request_and_hides_it_from_nobody() {
    let world = World::new().await;
    world.activate("probes", component("probes")).await.good();
    let panics = json!([{ "policy": "probes", "config": { "do": "panic-on-vote", "text": "dba" } }]);
    world.resource("odd", panics).await;
    let id = world.ask("ann", "odd", "1h").await.good().id();
    let mut told = world.watch("ann", &format!("requests/{id}/events")).await;
    assert_eq!(in_time(told.next()).await.unwrap()["faults"], json!([]));
    for _ in 0..2 {
        let refused = world.approve("bob", &id).await;
        assert!(refused.refused(409, "no-answer").contains("policy probes does not answer"));
    }
    let view = in_time(told.next()).await.unwrap();
    assert_eq!(
        (&view["faults"][0]["policy"], &view["faults"][0]["code"]),
        (&json!("probes"), &json!("trap"))
    );
    let marked = world.request(&id).await;
    assert_eq!(
        (marked.state(), marked.list("/votes").len(), marked.list("/faults").len()),
        ("PENDING", 0, 1)
    );
    assert!(marked.text("/summary").contains("somebody voted"), "{}", marked.body);
    // Whoever may approve goes on seeing it, with what is missing.
    assert_eq!(marked.list("/waiting").len(), 1);
    assert_eq!(world.get("bea", "requests?inbox=waiting").await.texts("/items", "id"), [id.as_str()]);
    // It is decided again when the policy is replaced.
    world.activate("probes", component("empty")).await.good();
    assert_eq!(world.until(&id, "APPROVED").await.list("/faults").len(), 0);
    world.finish().await;
}

#[tokio::test]
async fn r7_a_rule_cannot_name_a_policy_that_is_not_there() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    let unknown = just_in_time("prod", json!([{ "policy": "group-qorum" }]));
    assert!(world.rule("r", unknown).await.refused(422, "unknown").contains("`group-qorum`"));
    // Loaded is not active.
    let path = "policies/mine/versions";
    world.upload("root", path, component("empty").to_vec()).await.good();
    world.rule("r", just_in_time("prod", json!([{ "policy": "mine" }]))).await.refused(422, "unknown");
    world.finish().await;
}

#[tokio::test]
async fn r8_a_rule_only_names_resources_that_support_its_way_in() {
    let world = World::new().await;
    world.bare_resource("prod", json!({ "access_types": ["just-in-time"] })).await;
    let rule = with(just_in_time("prod", one_dba()), "access_type", json!("command"));
    let refused = world.rule("r", rule.clone()).await;
    assert_eq!(refused.refused(422, "unsupported-access"), "prod does not support command access");
    world.ask_command("ann", "prod", "select 1").await.refused(422, "unsupported-access");
    let elsewhere = with(rule.clone(), "resources", json!(["nowhere"]));
    world.rule("r", elsewhere).await.refused(422, "unknown");
    // Nor does a resource lose a way in that a rule needs.
    world.bare_resource("prod", json!({})).await;
    world.rule("r", rule).await.good();
    let narrower = json!({ "command": ["sh"], "access_types": ["just-in-time"] });
    world.put("root", "resources/prod", narrower).await.refused(422, "invalid");
    world.delete("root", "resources/prod").await.refused(409, "in-use");
    world.finish().await;
}

#[tokio::test]
async fn the_form_is_the_three_built_in_policies() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    let form = json!({
        "access_type": "just-in-time", "resources": ["prod"], "approval_groups": ["dba", "security"],
        "require_all_groups": true, "force_approval_groups": ["sre"], "max_duration": "2h",
        "skip_groups": ["oncall"],
    });
    let saved = world.rule("r", form).await.good();
    assert_eq!(
        saved.body["policies"],
        json!([
            { "policy": "group-quorum",
              "config": { "groups": ["dba", "security"], "require_all": true, "approvals": 1 } },
            { "policy": "duration-cap", "config": { "max": "2h" } },
            { "policy": "bypass",
              "config": { "force_groups": ["sre"], "skip_groups": ["oncall"], "admins_approve_themselves": true } },
        ])
    );
    assert_eq!(world.get("root", "rules/r").await.good().body["policies"], saved.body["policies"]);
    // And they decide as it says.
    let asked = world.ask("ann", "prod", "2h").await.good();
    world.approve("sue", &asked.id()).await.good();
    assert_eq!(world.approve("bob", &asked.id()).await.good().state(), "APPROVED");
    let forced = world.ask("ann", "prod", "2h").await.good();
    assert_eq!(world.force("eve", &forced.id(), "fire").await.good().state(), "APPROVED");
    assert_eq!(world.ask("ann", "prod", "3h").await.good().text("/ended/by"), "policy duration-cap");
    assert_eq!(world.ask("root", "prod", "1h").await.good().state(), "APPROVED");
    // One or the other.
    let both = json!({ "access_type": "command", "resources": ["prod"], "policies": [], "approval_groups": ["dba"] });
    assert!(world.rule("both", both).await.refused(400, "bad-request").contains("not both"));
    let neither = json!({ "access_type": "command", "resources": ["prod"] });
    world.rule("neither", neither).await.refused(400, "bad-request");
    world.finish().await;
}
