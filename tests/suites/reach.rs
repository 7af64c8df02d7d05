//! Who could get into a resource, as the gateway says it and as it then goes; and the same of a
//! file, as a gate before anybody applies it.

use serde_json::{Value, json};

use crate::world::program::run;
use crate::world::{World, and, component, quorum};

impl World {
    async fn reach(&self, query: &str) -> Value {
        self.get("root", &format!("resources/prod/reach?{query}")).await.good().body
    }
}

/// Whoever gets in with so few approvals, and up to how long.
fn with(reach: &Value, approvals: u64) -> Vec<(&str, u64)> {
    let ways = reach["reached"].as_array().unwrap().iter().filter(|way| way["approvals"] == approvals);
    ways.map(|way| (way["requester"].as_str().unwrap(), way["seconds_max"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn everybody_is_told_with_the_fewest_approvals_that_let_them_in() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba", "security"], true, 1)).await;
    let reach = world.reach("durations=1h,8h&hours=3").await;
    assert_eq!(
        (&reach["asked"], &reach["faults"], &reach["gave_up"]),
        (&json!(["1h", "8h"]), &json!(0), &json!(false))
    );
    assert_eq!(reach["times"].as_array().unwrap().len(), 3);
    assert_eq!((with(&reach, 0), with(&reach, 1)), (vec![], vec![]));
    let two = with(&reach, 2);
    assert_eq!(two.len() as u64, reach["people"].as_u64().unwrap(), "{reach}");
    assert!(two.contains(&("ann", 8 * 3600)), "{reach}");

    // It goes as it was said: not with one of those, but with two.
    let ann = reach["reached"].as_array().unwrap().iter().find(|way| way["requester"] == "ann").unwrap();
    assert!(ann["by"].as_array().unwrap().contains(&json!("bob")), "{ann}");
    let id = world.ask("ann", "prod", "8h").await.good().id();
    assert_eq!(world.approve("bob", &id).await.good().state(), "PENDING");
    assert_eq!(world.approve("sam", &id).await.good().state(), "APPROVED");
}

#[tokio::test]
async fn who_needs_nobody_and_who_needs_one_is_found() {
    let world = World::new().await;
    let policies = and(quorum(&["dba", "security"], true, 1), "bypass", json!({"force_groups": ["sre"]}));
    world.resource("prod", policies).await;
    let reach = world.reach("durations=1h&hours=1").await;
    assert_eq!(with(&reach, 0), [("root", 3600)], "admins approve their own requests");
    let one = with(&reach, 1);
    assert!(one.iter().any(|(who, _)| *who == "ann") && one.iter().all(|(who, _)| *who != "eve"), "{reach}");
    let forced = reach["reached"].as_array().unwrap().iter().find(|way| way["requester"] == "ann").unwrap();
    assert_eq!((&forced["by"], &forced["forced"]), (&json!(["eve"]), &json!(true)));

    let root = world.at_the_command_line("root");
    let gate = ["policy", "reach", "prod", "--hours", "1", "--fail-on", "zero-approval"];
    let refused = root.runs(&gate).await.with(1);
    assert!(refused.out.contains("with too few approvals: root"), "{refused:?}");
    let excepted = root.runs(&[&gate[..], &["--except", "root"]].concat()).await.with(0);
    assert!(excepted.out.contains("with nobody approving\n  root "), "{excepted:?}");
    assert!(excepted.out.contains("by force of eve"), "{excepted:?}");
    let stricter = ["policy", "reach", "prod", "--fail-on", "one-approval", "--except", "root"];
    root.runs(&stricter).await.with(1);
}

#[tokio::test]
async fn a_candidate_is_compared_with_what_decides_and_changes_nothing() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba", "security"], true, 1)).await;
    let root = world.at_the_command_line("root");
    let file = world.folder().join("one-group.wasm");
    std::fs::write(&file, component("one-group")).unwrap();
    let line = [
        "policy",
        "reach",
        "prod",
        "--hours",
        "1",
        "--candidate",
        file.to_str().unwrap(),
        "--policy",
        "group-quorum",
    ];
    let told = root.runs(&line).await.with(0);
    assert!(told.out.contains("newly, or for longer, or at other times\n"), "{told:?}");
    assert!(told.out.contains("with one person approving: up to"), "{told:?}");
    let gate = [&line[..], &["--fail-on", "one-approval", "--json"]].concat();
    let refused = root.runs(&gate).await.with(1).json();
    assert!(refused["refused"].as_array().unwrap().contains(&json!("ann")), "{refused}");
    assert_eq!(with(&world.reach("hours=1").await, 1), [], "nothing came of it");
}

#[tokio::test]
async fn what_nobody_could_ask_or_answer_is_refused() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    for (query, why) in [
        ("hours=0", "hours"),
        ("hours=169", "hours"),
        ("durations=2x", "2x"),
        ("durations=", "durations"),
        ("from=1950-01-01T00:00:00Z", "1970"),
        ("policy=group-quorum", "candidate"),
        ("command=x&durations=1h", "durations"),
        ("without=!", "without"),
    ] {
        let answer = world.get("root", &format!("resources/prod/reach?{query}")).await;
        assert!((400..500).contains(&answer.status), "{query}: {}", answer.body);
        assert!(answer.body.to_string().contains(why), "{query}: {}", answer.body);
    }
    assert_eq!(world.get("root", "resources/nope/reach").await.status, 404);
    assert_eq!(world.get("ann", "resources/prod/reach").await.status, 403);
    let many = vec!["1h"; 21].join(",");
    let answer = world.get("root", &format!("resources/prod/reach?durations={many}")).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
}

/// A file of the gateway in which `require_all` is as said.
fn file(folder: &std::path::Path, name: &str, require_all: bool) -> String {
    let path = folder.join(name);
    let text = format!(
        "users:\n  ann: {{groups: [dev], password: {{env: NOT_SET}}}}\n  bob: {{groups: [dba]}}\n  sam: {{groups: [security]}}\n\
         resources:\n  prod: {{command: [psql], secrets: {{PGPASSWORD: {{env: NOT_SET}}}}}}\n\
         rules:\n  prod:\n    access_type: just-in-time\n    resources: [prod]\n    required_groups: [dev]\n    \
         approval_groups: [dba, security]\n    require_all_groups: {require_all}\n"
    );
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_file_is_a_gate_without_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let (strict, loose) =
        (file(folder.path(), "strict.yaml", true), file(folder.path(), "loose.yaml", false));
    let gate = ["policy", "reach", "prod", "--hours", "1", "--fail-on", "one-approval", "--file"];
    let held = run(&[&gate[..], &[&strict, "--json"]].concat()).await.with(0).json();
    assert_eq!((&held["people"], with(&held, 2)), (&json!(3), vec![("ann", 24 * 3600)]), "{held}");
    assert_eq!(held["not_reached"], json!(["bob", "sam"]), "the rule covers dev only");

    let refused = run(&[&gate[..], &[&loose, "--against", &strict]].concat()).await.with(1);
    assert!(refused.out.contains("ann") && refused.out.contains("(before: not at all)"), "{refused:?}");
    // What was so before is nobody's new fault.
    run(&[&gate[..], &[&loose, "--against", &loose]].concat()).await.with(0);

    let wrong = folder.path().join("wrong.yaml");
    std::fs::write(&wrong, "rulez: {}\n").unwrap();
    let refused = run(&[&gate[..], &[wrong.to_str().unwrap()]].concat()).await.with(2);
    assert!(refused.line().contains("rulez"), "{refused:?}");
}
