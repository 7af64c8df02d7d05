//! What was decided, made again; and what another policy would have decided.

use std::path::Path;

use serde_json::{Value, json};

use crate::world::{World, component, noted, quorum};

/// `prod` takes one of dba and one of security. Requests of ann: approved by both, by dba
/// alone, by security alone.
async fn with_history() -> (World, [String; 3]) {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba", "security"], true, 1)).await;
    let ask = async |names: &[&str]| {
        let id = world.ask("ann", "prod", "2h").await.good().id();
        for name in names {
            world.clock.advance(60);
            world.approve(name, &id).await.good();
        }
        id
    };
    let ids = [ask(&["bob", "sam"]).await, ask(&["bea"]).await, ask(&["sam"]).await];
    (world, ids)
}

/// The component in a file.
fn file(world: &World, name: &str, component: &[u8]) -> String {
    let file = world.folder().join(name);
    std::fs::write(&file, component).unwrap();
    file.to_str().unwrap().to_owned()
}

fn forget_blob(world: &World, digest: &str) {
    let ledger = rusqlite::Connection::open(world.config().ledger()).unwrap();
    ledger.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    assert_eq!(ledger.execute("DELETE FROM blobs WHERE digest = unhex(?1)", [digest]).unwrap(), 1);
}

#[tokio::test]
async fn a_rule_that_never_was_is_no_history_without_flips() {
    let (world, _) = with_history().await;
    let root = world.at_the_command_line("root");
    let file = file(&world, "next.wasm", &noted(component("group-quorum"), "next"));
    let line = ["policy", "backtest", &file, "--policy", "group-quorum", "--rule", "prdo"];
    let refused = root.runs(&line).await.with(2);
    assert!(refused.line().contains("there is no rule `prdo`"), "{refused:?}");
    let line = ["policy", "backtest", &file, "--policy", "group-quorum", "--rule", "prod-just-in-tim"];
    let refused = root.runs(&line).await.with(2);
    assert!(refused.line().contains("did you mean `prod-just-in-time`?"), "{refused:?}");
    let refused = root.runs(&["policy", "backtest", &file, "--policy", "group-qorum"]).await.with(14);
    let line = refused.line();
    assert!(line.contains("there is no policy `group-qorum`; did you mean `group-quorum`?"), "{refused:?}");
    let refused = root.runs(&["policy", "backtest", "group-qorum@3f9a0c21"]).await.with(14);
    assert!(refused.line().contains("did you mean `group-quorum`?"), "{refused:?}");
    world.finish().await;
}

#[tokio::test]
async fn a_backtest_is_a_gate_where_it_is_asked_to_be() {
    let (world, _) = with_history().await;
    let root = world.at_the_command_line("root");
    let drops = file(&world, "drops.wasm", component("one-group"));
    let same = file(&world, "same.wasm", &noted(component("group-quorum"), "same"));
    let backtest = async |file: &str, more: &[&str]| {
        let line = [&["policy", "backtest", file, "--policy", "group-quorum"], more].concat();
        root.runs(&line).await
    };
    backtest(&drops, &[]).await.with(0);
    for gate in ["lets-in", "longer", "any"] {
        let refused = backtest(&drops, &["--fail-on", gate]).await.with(1);
        assert!(refused.line().contains("decisions change in a way that --fail-on refuses"), "{refused:?}");
        assert!(refused.out.contains("newly let in"), "{refused:?}");
        let held = backtest(&same, &["--fail-on", gate, "--json"]).await.with(0);
        assert_eq!(held.json()["refused"], json!(0));
    }
    let usage = backtest(&same, &["--fail-on", "nothing"]).await.with(2);
    assert!(usage.err.contains("lets-in"), "{usage:?}");
    world.finish().await;
}

#[tokio::test]
async fn p4_old_decisions_made_again_say_the_same_outcome_findings_and_fuel() {
    let (mut world, [id, ..]) = with_history().await;
    // Weeks go by, the gateway is started again, and another version decides.
    world.restart_after(29 * 24 * 3600).await;
    let newer = noted(component("group-quorum"), "newer");
    world.activate("group-quorum", &newer).await.good();
    let root = world.at_the_command_line("root");
    let all = root.asks(&["decisions", "replay", "--all"]).await;
    let decisions = all["decisions"].as_u64().unwrap();
    assert!(decisions >= 7, "{all}");
    assert_eq!((&all["same"], &all["other_engine"]), (&json!(decisions), &json!(0)), "{all}");
    assert_eq!((&all["differs"], &all["without_record"]), (&json!(0), &json!(0)));
    let said = root.runs(&["decisions", "replay", "--all"]).await.with(0).out;
    assert!(said.ends_with("evaluations: all the same\n"), "{said}");
    let one = root.runs(&["decisions", "replay", &id]).await.with(0).out;
    assert!(one.contains(" decisions made again") && one.contains("all the same"), "{one}");
    let none = root.asks(&["decisions", "replay", "--all", "--since", "2026-03-20T00:00:00Z"]).await;
    assert!(none["decisions"].as_u64().unwrap() < decisions, "{none}");
    let shown = root.runs(&["decisions", "show", &id]).await.with(0).out;
    assert!(shown.contains("bob approves; sam approves") && shown.contains("approves\n"), "{shown}");
    let nobody = root.runs(&["decisions", "replay", "nobody"]).await.with(14);
    assert!(nobody.line().contains("there is no request"), "{nobody:?}");
    world.finish().await;
}

#[tokio::test]
async fn p4_a_decision_that_was_forged_differs_and_the_command_ends_with_one() {
    let (world, [id, ..]) = with_history().await;
    let digest = world.request(&id).await.text("/record").to_owned();
    let mut record = world.get("root", &format!("decisions/{digest}")).await.good().body;
    record["input"]["votes"].as_array_mut().unwrap().pop();
    let ledger = rusqlite::Connection::open(world.config().ledger()).unwrap();
    ledger.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    let sql = "UPDATE blobs SET bytes = ?2 WHERE digest = unhex(?1)";
    assert_eq!(ledger.execute(sql, (&digest, serde_json::to_vec(&record).unwrap())).unwrap(), 1);
    let root = world.at_the_command_line("root");
    for arguments in
        [["decisions", "replay", &id], ["decisions", "replay", &digest], ["decisions", "replay", "--all"]]
    {
        let ended = root.runs(&arguments).await.with(1);
        assert!(ended.out.contains("outcome") && ended.out.contains("record"), "{ended:?}");
        assert!(ended.out.contains("recorded  {\"kind\":\"approve\"}"), "{ended:?}");
    }
}

#[tokio::test]
async fn p5_a_candidate_that_drops_security_shows_every_request_approved_sooner_and_the_difference() {
    let (world, [both, dba, security]) = with_history().await;
    let root = world.at_the_command_line("root");
    let candidate = file(&world, "group-quorum.wasm", component("one-group"));
    let before = world.get("root", "policies/group-quorum").await.good().body;
    let report = world.folder().join("report.html");
    let json_file = world.folder().join("result.json");
    let ended = root
        .runs(&[
            "policy",
            "backtest",
            &candidate,
            "--html",
            report.to_str().unwrap(),
            "--json-file",
            json_file.to_str().unwrap(),
        ])
        .await
        .with(0);
    let out = &ended.out;
    assert!(out.contains("newly let in: ") && out.contains(" of 2 requests"), "{out}");
    assert!(out.contains(&both) && out.contains(&dba) && !out.contains(&security), "{out}");
    assert!(out.contains("approved by bob; for 2h; 1m sooner, without sam"), "{out}");
    assert!(out.contains("it was never approved: PENDING"), "{out}");
    assert_eq!(world.get("root", "policies/group-quorum").await.good().body, before, "it left a trace");

    let result: Value = serde_json::from_slice(&std::fs::read(&json_file).unwrap()).unwrap();
    let sooner = result["changes"]["lets-in"].as_u64().unwrap();
    let row = out.lines().find(|line| line.starts_with("waiting")).unwrap();
    assert_eq!(row.split_whitespace().next_back().unwrap(), sooner.to_string(), "{out}");
    let mut requests: Vec<&str> =
        result["flips"].as_array().unwrap().iter().map(|flip| flip["request"].as_str().unwrap()).collect();
    assert_eq!(requests.len() as u64, sooner);
    requests.dedup();
    assert_eq!(requests, [&both, &dba]);
    let html = std::fs::read_to_string(&report).unwrap();
    assert!(html.contains("<svg") && html.contains(&both) && html.contains("without sam"), "{html}");
    // What decides is what decided.
    let live = root.asks(&["policy", "inspect", "group-quorum"]).await;
    let live = &live["active"].as_str().unwrap()[..12];
    let same = root
        .asks(&["policy", "backtest", &format!("group-quorum@{live}"), "--since", "2026-03-01T00:00:00Z"])
        .await;
    assert_eq!((&same["decisions"], &same["flips"]), (&result["decisions"], &json!([])));
    world.finish().await;
}

#[tokio::test]
async fn a_history_with_a_gap_is_refused_unless_that_is_allowed() {
    let (world, [both, ..]) = with_history().await;
    forget_blob(&world, world.request(&both).await.text("/record"));
    let root = world.at_the_command_line("root");
    let candidate = file(&world, "group-quorum.wasm", component("one-group"));
    let refused = root.runs(&["policy", "backtest", &candidate]).await.with(16);
    assert!(
        refused.line().contains("1 of 7 decisions") && refused.line().contains("--allow-gaps"),
        "{refused:?}"
    );
    assert_eq!(refused.out, "");
    let allowed = root.runs(&["policy", "backtest", &candidate, "--allow-gaps"]).await.with(0);
    assert!(allowed.out.contains("1 decisions have no record"), "{allowed:?}");
    assert!(allowed.out.contains(" of 2 requests"), "{allowed:?}");
    let replayed = root.runs(&["decisions", "replay", "--all"]).await.with(1);
    assert!(replayed.out.contains("1 without a record"), "{replayed:?}");
}

#[tokio::test]
async fn an_interrupted_backtest_goes_on_where_it_was() {
    let (world, _) = with_history().await;
    let root = world.at_the_command_line("root");
    let candidate = file(&world, "group-quorum.wasm", component("one-group"));
    let cache = world.folder().join("cache");
    let run = async |more: &[&str]| {
        let arguments = [&["policy", "backtest", &candidate, "--json"], more].concat();
        let output = root.program(&arguments).env("XDG_CACHE_HOME", &cache).output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let whole = run(&[]).await;
    let saved = cache.join("quorate/backtest");
    assert_eq!(files(&saved), 0, "nothing is left of a run that came to its end");
    // What a run has written down that was killed after three of the decisions.
    let head = *world.app().ledger.head().borrow();
    let page = format!(
        "policies/group-quorum/backtest?candidate={}&limit=3&until={head}",
        whole["candidate"].as_str().unwrap()
    );
    let page = world.get("root", &page).await.good().body;
    let mut half = whole.clone();
    for name in ["decisions", "evaluations", "table", "other_answers", "flips", "gaps"] {
        half[name] = page[name].clone();
    }
    half.as_object_mut().unwrap().remove("changes");
    let state = json!({ "run": half, "after": page["next"], "head": head });
    let name = {
        let parts = [
            world.url(),
            "group-quorum".into(),
            whole["candidate"].as_str().unwrap().into(),
            String::new(),
            String::new(),
        ];
        quorate_core::ids::Digest::of_parts(parts.iter().map(String::as_bytes)).short()
    };
    std::fs::create_dir_all(&saved).unwrap();
    let state_file = saved.join(format!("{name}.json"));
    std::fs::write(&state_file, state.to_string()).unwrap();
    let resumed = run(&["--resume"]).await;
    assert_eq!(resumed, whole);
    assert_eq!(files(&saved), 0);
    // Half of another, damaged: it begins anew.
    std::fs::write(&state_file, "{").unwrap();
    assert_eq!(run(&["--resume"]).await["decisions"], whole["decisions"]);
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_backtest_that_cannot_be_made_says_what_is_wrong_in_one_line() {
    let world = World::new().await;
    let root = world.at_the_command_line("root");
    let odd = file(&world, "nothing.wasm", component("one-group"));
    let bad = file(&world, "group-quorum.wasm", b"#!/bin/sh\n");
    for (arguments, code, says) in [
        (vec!["policy", "backtest", &odd], 14, "say with --policy in whose place"),
        (vec!["policy", "backtest", &bad], 14, "not a WebAssembly component"),
        (vec!["policy", "backtest", "none.wasm"], 2, "cannot be read"),
        (vec!["policy", "backtest", "group-quorum@abc"], 2, "8 to 64 hexadecimal digits"),
        (vec!["policy", "backtest", "group-quorum@00000000"], 14, "there is no candidate"),
        (vec!["policy", "backtest", &odd, "--html", "/none/x"], 2, "cannot be written"),
        (vec!["policy", "backtest", &odd, "--since", "yesterday"], 2, "neither a span"),
        (vec!["decisions", "replay"], 2, "<DIGEST|REQUEST>"),
    ] {
        let ended = root.runs(&arguments).await.with(code);
        assert!(ended.line().contains(says), "{arguments:?}: {ended:?}");
        assert_eq!(ended.out, "", "{arguments:?}");
    }
    let empty = root.runs(&["policy", "backtest", &odd, "--policy", "group-quorum"]).await.with(0);
    assert!(empty.out.contains("0 decisions, 0 evaluations"), "{empty:?}");
    // An auditor may look, and may not send components to be run.
    let auditor = {
        let mut world = world;
        world.person("aud", &["auditor"]).await;
        world
    };
    let aud = auditor.at_the_command_line("aud");
    aud.runs(&["decisions", "replay", "--all"]).await.with(0);
    let refused = aud.runs(&["policy", "backtest", &odd, "--policy", "group-quorum"]).await.with(14);
    assert!(refused.line().contains("admin"), "{refused:?}");
}

#[tokio::test]
async fn explaining_a_request_that_waits_names_the_smallest_sets_of_people_who_can_approve_it() {
    let (world, [both, dba, _]) = with_history().await;
    let root = world.at_the_command_line("root");
    let said = root.runs(&["requests", "explain", &dba]).await.with(0).out;
    let (_, takes) = said.split_once("what it would take:\n").unwrap();
    // Bea has voted; sue, who is in both groups, does as well as sam.
    let mut lines: Vec<&str> = takes.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["  approvals by sam", "  approvals by sue"], "{said}");
    let value = root.asks(&["requests", "explain", &dba]).await;
    assert_eq!(value["what_would_it_take"]["gave_up"], json!(false));
    let said = root.runs(&["requests", "explain", &both]).await.with(0).out;
    assert!(!said.contains("what it would take"), "{said}");
}
