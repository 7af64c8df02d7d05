//! The program as those who run a gateway call it: its configuration, its policies, its
//! ledger, its start, and the demo.

use quorate_core::ids::Digest;
use serde_json::{Value, json};

use crate::world::World;
use crate::world::gateway::Gateway;
use crate::world::program::{Ended, PROGRAM, Person, pipe, program, run};

/// A component in a file.
fn component(world: &World, name: &str) -> String {
    let all = quorate_bundle::BUILT_IN.iter().chain(quorate_bundle::EXAMPLES);
    let bundled = all.into_iter().find(|one| one.name == name).unwrap();
    let path = world.folder().join(format!("{name}.wasm"));
    std::fs::write(&path, bundled.component).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_connection_is_created_in_the_documented_form() {
    let world = World::new().await;
    let root = world.at_the_command_line("root");
    let line = [
        "admin",
        "create",
        "conn",
        "prod-postgres",
        "--agent",
        "default",
        "--reviewers",
        "dba-team,security",
        "--max-duration",
        "8h",
        "--plugin",
        "slack",
        "--",
        "psql",
        "-h",
        "localhost",
        "-U",
        "postgres",
    ];
    let made = root.runs(&line).await.with(0);
    assert_eq!(made.out, "  quorate connect prod-postgres\n");
    let resource = world.get("root", "resources/prod-postgres").await.good().body;
    assert_eq!(resource["command"], json!(["psql", "-h", "localhost", "-U", "postgres"]));
    assert_eq!((&resource["max_duration"], &resource["plugins"]), (&json!("8h"), &json!(["slack"])));
    for kind in ["just-in-time", "command"] {
        let rule = world.get("root", &format!("rules/prod-postgres-{kind}")).await.good().body;
        assert_eq!((&rule["access_type"], &rule["resources"]), (&json!(kind), &json!(["prod-postgres"])));
        let quorum = &rule["policies"][0];
        assert_eq!(quorum["policy"], "group-quorum");
        assert_eq!(
            quorum["config"],
            json!({ "groups": ["dba-team", "security"], "require_all": true, "approvals": 1 })
        );
    }
    let again = root.runs(&line).await.with(14);
    assert!(again.line().contains("there is a resource `prod-postgres` already"), "{again:?}");
}

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/gateway.yaml");

async fn applies(root: &Person, file: &str, more: &[&str]) -> Ended {
    let mut command = root.program(&[&["admin", "apply", "-f", file], more].concat());
    let output = command.env("PROD_PASSWORD", "hunter2").output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

#[tokio::test]
async fn the_example_is_applied_after_its_difference_was_shown_and_then_differs_in_nothing() {
    let world = World::new().await;
    let root = world.at_the_command_line("root");
    let shown = applies(&root, EXAMPLE, &["--dry-run"]).await.with(0);
    for line in [
        "~ user bob\n",
        "    ~ groups: [dba] → [dba-team]\n",
        "+ resource prod-postgres\n",
        "+ rule prod-sessions\n",
    ] {
        assert!(shown.out.contains(line), "{line}: {}", shown.out);
    }
    assert_eq!(world.get("root", "resources/prod-postgres").await.status, 404);

    let asked = applies(&root, EXAMPLE, &[]).await.with(2);
    assert!(asked.err.contains("--yes"), "{asked:?}");
    let applied = applies(&root, EXAMPLE, &["--yes"]).await.with(0);
    assert!(!applied.out.contains("hunter2") && !applied.err.contains("hunter2"), "{applied:?}");
    assert_eq!(world.get("root", "resources/prod-postgres").await.good().body["max_duration"], "8h");
    assert_eq!(world.get("root", "users/bob").await.good().body["groups"], json!(["dba-team"]));

    let again = applies(&root, EXAMPLE, &["--yes"]).await.with(0);
    assert_eq!(
        (again.out.as_str(), again.line()),
        ("", "nothing to change: the gateway is what the file says")
    );
    let id = world.ask("ann", "prod-postgres", "1h").await.good().id();
    assert_eq!(world.approve("bob", &id).await.good().state(), "PENDING");
    assert_eq!(world.approve("sam", &id).await.good().state(), "APPROVED");
}

#[tokio::test]
async fn what_a_file_changes_is_shown_field_by_field_and_what_it_may_not_say_is_refused() {
    let world = World::new().await;
    let root = world.at_the_command_line("root");
    applies(&root, EXAMPLE, &["--yes"]).await.with(0);
    let text = std::fs::read_to_string(EXAMPLE).unwrap();
    let file = world.folder().join("gateway.yaml");
    let path = file.display().to_string();

    std::fs::write(&file, text.replace("max_duration: 8h", "max_duration: 4h")).unwrap();
    let shown = applies(&root, &path, &["--dry-run"]).await.with(0);
    assert_eq!(shown.out, "~ resource prod-postgres\n    ~ max_duration: 8h → 4h\n");

    std::fs::write(&file, text.replace("approval_groups: [dba", "aproval_groups: [dba")).unwrap();
    let refused = applies(&root, &path, &["--yes"]).await.with(2);
    let said = refused.line();
    assert!(said.contains("`rules.prod-sessions.aproval_groups`, did you mean `approval_groups`?"), "{said}");
    assert_eq!(world.get("root", "resources/prod-postgres").await.good().body["max_duration"], "8h");
}

#[tokio::test]
async fn channels_are_applied_with_their_addresses_and_a_new_key_is_said_once() {
    let world = World::new().await;
    let root = world.at_the_command_line("root");
    let file = world.folder().join("gateway.yaml");
    let path = file.display().to_string();
    let rest = "resources: {prod: {command: [sh], plugins: [pager]}}
rules: {prod: {access_type: just-in-time, resources: [prod], approval_groups: [dba]}}\n";
    let channels = "channels:
  pager: {kind: webhook, address: {file: pager.address}, events: [vote.cast]}
  teams: {kind: teams, address: {file: teams.address}, rules: [prod]}\n";
    for (name, address) in
        [("pager", "https://hooks.example.org/hunter2"), ("teams", "https://x.org/hunter3")]
    {
        std::fs::write(world.folder().join(format!("{name}.address")), address).unwrap();
    }
    std::fs::write(&file, format!("{rest}{channels}")).unwrap();
    let applied = applies(&root, &path, &["--yes"]).await.with(0);
    let keys: Vec<&str> =
        applied.out.lines().filter_map(|line| line.strip_prefix("channel pager: whsec_")).collect();
    assert_eq!((keys.len(), applied.out.matches("whsec_").count()), (1, 1), "{applied:?}");
    assert!(applied.out.contains("+ channel teams\n") && applied.out.contains("    + address: (set)\n"));
    assert!(!applied.out.contains("hunter") && !applied.err.contains("hunter"), "{applied:?}");
    let teams = world.get("root", "channels/teams").await.good().body;
    assert_eq!((&teams["host"], &teams["rules"]), (&json!("x.org"), &json!(["prod"])));
    let again = applies(&root, &path, &["--yes"]).await.with(0);
    assert_eq!(again.line(), "nothing to change: the gateway is what the file says");

    // An address goes there again only where that is said.
    std::fs::write(world.folder().join("teams.address"), "https://y.org/hunter4").unwrap();
    std::fs::write(&file, format!("{rest}{}", channels.replace("rules: [prod]", "all_requests: true")))
        .unwrap();
    let changed = applies(&root, &path, &["--yes"]).await.with(0);
    let shown = "~ channel teams\n    ~ all_requests: false → true\n    - rules: [prod]\n";
    assert_eq!(changed.out, shown);
    assert_eq!(world.get("root", "channels/teams").await.good().body["host"], "x.org");
    applies(&root, &path, &["--yes", "--set-secrets"]).await.with(0);
    assert_eq!(world.get("root", "channels/teams").await.good().body["host"], "y.org");

    // What the file does not name goes, in an order that the gateway takes.
    std::fs::write(&file, "channels: {}\nrules: {}\nresources: {}\n").unwrap();
    let gone = applies(&root, &path, &["--yes", "--prune"]).await.with(0);
    for line in ["- channel pager\n", "- channel teams\n", "- rule prod\n", "- resource prod\n"] {
        assert!(gone.out.contains(line), "{line}: {gone:?}");
    }
    assert_eq!(world.get("root", "channels").await.good().body["total"], 0);
    assert_eq!(world.get("root", "resources/prod").await.status, 404);
}

#[tokio::test]
async fn policies_are_inspected_loaded_activated_and_rolled_back() {
    let world = World::new().await;
    let root = world.at_the_command_line("root");
    let (quorum, eyes) = (component(&world, "group-quorum"), component(&world, "four-eyes"));
    let digest = |file: &str| Digest::of(&std::fs::read(file).unwrap()).to_string();
    let active = async || world.get("root", "policies/who").await.good().text("/active").to_owned();

    let inspected = run(&["policy", "inspect", &eyes, "--json"]).await.with(0).json();
    assert_eq!(
        (inspected["digest"].as_str(), inspected["name"].as_str()),
        (Some(&*digest(&eyes)), Some("four-eyes"))
    );
    root.runs(&["policy", "load", &quorum, "--name", "who", "--activate", "--reason", "first"]).await.with(0);
    assert_eq!(active().await, digest(&quorum));
    let only_loaded = root.runs(&["policy", "load", &eyes, "--name", "who"]).await.with(0);
    assert!(only_loaded.out.contains("it decides nothing yet"), "{only_loaded:?}");
    assert_eq!(active().await, digest(&quorum));

    let prefix = &digest(&eyes)[..12];
    root.runs(&["policy", "activate", "who", prefix, "--reason", "two people"]).await.with(0);
    assert_eq!(active().await, digest(&eyes));
    let listed = root.runs(&["policy", "list"]).await.with(0).out;
    let row = listed.lines().find(|line| line.contains("who")).unwrap();
    assert!(row.contains(prefix) && row.contains('2') && row.contains("two people"), "{listed}");
    root.runs(&["policy", "rollback", "who", "--reason", "too strict"]).await.with(0);
    assert_eq!(active().await, digest(&quorum));
}

#[tokio::test]
async fn p3_what_is_no_policy_is_refused_and_the_active_one_goes_on() {
    let world = World::new().await;
    let root = world.at_the_command_line("root");
    let before = world.get("root", "policies/group-quorum").await.good();
    let file = world.folder().join("not.wasm");
    std::fs::write(&file, "#!/bin/sh\n").unwrap();
    let path = file.display().to_string();
    let refused =
        root.runs(&["policy", "load", &path, "--name", "group-quorum", "--activate"]).await.with(14);
    assert!(refused.line().contains("not a WebAssembly component"), "{refused:?}");
    assert_eq!(world.get("root", "policies/group-quorum").await.body, before.body);
    let none_before = root.runs(&["policy", "rollback", "group-quorum"]).await.with(14);
    assert!(!none_before.line().is_empty());
}

#[tokio::test]
async fn a_ledger_is_verified_by_the_gateway_and_as_a_file_and_the_entry_that_was_edited_is_named() {
    let gateway = Gateway::start(&["ann"], &[]).await;
    let root = gateway.at_the_command_line("root");
    root.runs(&["admin", "create", "conn", "box", "--reviewers", "dba", "--", "sh"]).await.with(0);
    let ask = ["connect", "box", "--reason", "fix invoice 4711", "--no-wait"];
    gateway.at_the_command_line("ann").runs(&ask).await.with(0);
    let good = root.runs(&["audit", "verify"]).await.with(0);
    assert!(good.out.contains("the ledger holds"), "{good:?}");
    assert_eq!(root.asks(&["audit", "verify"]).await["ok"], true);
    let ledger = gateway.ledger().display().to_string();
    let file = run(&["audit", "verify", "--ledger", &ledger]).await.with(0);
    assert_eq!(file.out, good.out);

    let export = root.runs(&["audit", "export"]).await.with(0);
    let entries: Vec<Value> = export.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(run(&["audit", "export", "--ledger", &ledger]).await.with(0).out, export.out);

    let copy = format!("{ledger}.copy");
    let original = rusqlite::Connection::open(&ledger).unwrap();
    original.execute("VACUUM INTO ?1", [&copy]).unwrap();
    run(&["audit", "verify", "--ledger", &copy]).await.with(0);
    let edited = rusqlite::Connection::open(&copy).unwrap();
    let first = "SELECT min(seq) FROM entries WHERE json LIKE '%4711%'";
    let seq: i64 = edited.query_row(first, [], |row| row.get(0)).unwrap();
    let edit = "DROP TRIGGER entries_never_change;
        UPDATE entries SET json = replace(json, '4711', '4712') WHERE json LIKE '%4711%';";
    edited.execute_batch(edit).unwrap();
    drop(edited);
    let broken = run(&["audit", "verify", "--ledger", &copy]).await.with(16);
    assert!(broken.line().contains(&format!("entry {seq} is broken")), "{broken:?}");
    let told = run(&["audit", "verify", "--ledger", &copy, "--json"]).await.with(16).json();
    assert_eq!((&told["ok"], &told["broken"]["seq"]), (&json!(false), &json!(seq)));
}

#[tokio::test]
async fn a_shell_takes_the_completions() {
    let script = run(&["completions", "bash"]).await.with(0).out;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), script).unwrap();
    let ask = "source \"$1\" && COMP_WORDS=(quorate con) COMP_CWORD=1 && \
        $(complete -p quorate | sed 's/.*-F \\([^ ]*\\).*/\\1/') quorate con quorate && echo \"${COMPREPLY[*]}\"";
    let said =
        std::process::Command::new("bash").args(["-c", ask, "bash"]).arg(file.path()).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&said.stdout).trim(),
        "connect",
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
}

#[tokio::test]
async fn a_second_gateway_on_the_same_ledger_says_who_has_it() {
    let gateway = Gateway::start(&[], &[]).await;
    let data = gateway.ledger().parent().unwrap().display().to_string();
    let second = run(&["serve", "--listen", "127.0.0.1:0", "--data", &data]).await.with(16);
    let said = second.err.lines().last().unwrap();
    assert!(said.contains(&format!("process {}", gateway.process().unwrap())), "{second:?}");
    assert_eq!(gateway.get("root", "me").await.text("/id"), "root");
}

#[tokio::test]
async fn a_config_is_checked_without_serving_and_an_unknown_key_in_it_is_refused() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("quorate.yaml");
    let path = file.display().to_string();
    std::fs::write(&file, "review_timeout_sec: 60\n").unwrap();
    let shown = run(&["serve", "--check", "--config", &path]).await.with(0);
    assert!(shown.out.contains("review_timeout_seconds: 60"), "{shown:?}");
    std::fs::write(&file, "review_timout_sec: 60\n").unwrap();
    let refused = run(&["serve", "--check", "--config", &path]).await.with(2);
    assert!(refused.err.contains("review_timeout_sec"), "{refused:?}");
}

#[tokio::test]
async fn the_first_admin_is_made_and_signs_in_as_the_readme_says() {
    let (gateway, said) = Gateway::fresh(&[]).await;
    let url = &gateway.url();
    let at_home = async |line: &[&str], input: &str| {
        let token = said["setup_token"].as_str().unwrap();
        let variables =
            [("XDG_CONFIG_HOME", gateway.folder().to_str().unwrap()), ("QUORATE_SETUP_TOKEN", token)];
        let mut command = program(line);
        pipe(command.envs(variables), input).await
    };
    let setup = ["setup", "--url", url, "--user", "root", "--password-stdin"];
    let mut wrong = program(&setup);
    wrong.envs([("XDG_CONFIG_HOME", gateway.folder().to_str().unwrap()), ("QUORATE_SETUP_TOKEN", "wrong")]);
    let refused = pipe(&mut wrong, "correct horse battery\n").await.with(14);
    assert!(refused.line().starts_with("quorate: the set-up token is wrong: give the one"), "{refused:?}");
    assert!(!refused.err.contains("quorate login"), "{refused:?}");
    at_home(&setup, "correct horse battery\n").await.with(0);
    assert_eq!(at_home(&["me", "--json"], "").await.with(0).json()["groups"], json!(["admin"]));
    at_home(&setup, "correct horse battery\n").await.with(14);
    at_home(&["logout"], "").await.with(0);
    at_home(&["me"], "").await.with(14);
    let login = ["login", "--url", url, "--user", "root", "--password-stdin"];
    at_home(&login, "wrong horse battery\n").await.with(14);
    at_home(&login, "correct horse battery\n").await.with(0);
    assert_eq!(at_home(&["me", "--json"], "").await.with(0).json()["id"], "root");
}

#[tokio::test]
async fn the_demo_plays_its_story_to_the_end() {
    let told = run(&["demo", "--once"]).await.with(0);
    for part in [
        "root names the resource, and who must approve",
        "two people approve, one of each group, and the session opens",
        "root swaps the rule's policy for another component",
        "revoked by root: the incident is over",
        "the ledger holds",
        "Everything went as it should.",
    ] {
        assert!(told.out.contains(part), "{part}: {told:?}");
    }
    assert!(!told.out.contains(PROGRAM), "the commands are shown as they are typed: {told:?}");
}
