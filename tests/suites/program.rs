//! The program as scripts and people call it: what it prints where, and how it ends.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::world::program::{program, run};
use crate::world::{World, quorum};

/// A world with a shell that one of dba opens.
async fn with_a_shell() -> World {
    let world = World::new().await;
    world.resource("box", quorum(&["dba"], false, 1)).await;
    world
}

/// Asks for one run of `script`, and has it approved; gives the request's id.
async fn approved(world: &World, script: &str) -> String {
    let ann = world.at_the_command_line("ann");
    let id = ann.runs(&["exec", "box", "-i", script, "--no-wait"]).await.with(0).out.trim().to_owned();
    assert_eq!(world.approve("bob", &id).await.good().state(), "APPROVED");
    id
}

/// A file that a script appends a line to.
fn tally(world: &World) -> (PathBuf, String) {
    let file = world.folder().join("tally");
    let script = format!("echo ran >> '{}'", file.display());
    (file, script)
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

#[tokio::test]
async fn an_approved_command_gets_its_input_and_gives_output_errors_and_code() {
    let world = with_a_shell().await;
    let ann = world.at_the_command_line("ann");
    let script = "echo \"out $1\"\necho oops >&2; exit 3\n";
    let asking = ann.starts(&["exec", "box", "-i", script, "--", "-s", "first"]);
    let request = world.newest("ann").await;
    assert_eq!(request.body["command"]["text"], script);
    assert_eq!(request.body["command"]["arguments"], json!(["-s", "first"]));
    world.approve("bob", &request.id()).await.good();
    let ended = asking.ends().await.with(3);
    assert_eq!(ended.out, "out first\n");
    assert!(ended.err.contains("approved by bob") && ended.err.contains("\noops\n"), "{ended:?}");
    assert_eq!(world.until(&request.id(), "EXECUTED").await.state(), "EXECUTED");
}

#[tokio::test]
async fn what_is_piped_in_is_the_command_byte_for_byte() {
    let world = with_a_shell().await;
    let ann = world.at_the_command_line("ann");
    let script = "printf '%s\\n' 'ü  \ttwo\n\nlines'\n";
    let id = ann.pipes(&["exec", "box", "--no-wait"], script).await.with(0).out.trim().to_owned();
    assert_eq!(world.request(&id).await.body["command"]["text"], script);
    world.approve("bob", &id).await.good();
    assert_eq!(ann.runs(&["exec", "--request", &id]).await.with(0).out, "ü  \ttwo\n\nlines\n");
}

#[tokio::test]
async fn t4_an_approved_command_runs_once_also_when_raced() {
    let world = with_a_shell().await;
    let (file, script) = tally(&world);
    let id = approved(&world, &script).await;
    let ann = world.at_the_command_line("ann");
    let exec = ["exec", "--request", &id];
    let (one, two, three) = tokio::join!(ann.runs(&exec), ann.runs(&exec), ann.runs(&exec));
    let mut codes = [one.code, two.code, three.code];
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(14), Some(14)], "{one:?} {two:?} {three:?}");
    assert_eq!(lines(&file), 1);
    let again = ann.runs(&exec).await.with(14);
    assert!(again.err.contains("has run already"), "{again:?}");
    assert_eq!(lines(&file), 1);
}

#[tokio::test]
async fn t5_only_what_was_approved_runs() {
    let world = with_a_shell().await;
    let (file, script) = tally(&world);
    let id = approved(&world, &script).await;
    let ann = world.at_the_command_line("ann");
    let other = format!("{script}; {script}");
    for wrong in [vec!["-i", &other], vec!["-i", &script, "--", "-x"]] {
        let refused = ann.runs(&[&["exec", "--request", &id][..], &wrong].concat()).await.with(14);
        assert!(refused.err.contains("not what was approved"), "{refused:?}");
    }
    let elsewhere = ann.runs(&["exec", "elsewhere", "--request", &id]).await.with(14);
    assert!(elsewhere.err.contains("not for elsewhere"), "{elsewhere:?}");
    assert_eq!((lines(&file), world.request(&id).await.state()), (0, "APPROVED"));
    ann.runs(&["exec", "--request", &id, "-i", &script]).await.with(0);
    assert_eq!(lines(&file), 1);
}

#[tokio::test]
async fn t1_a_request_that_nobody_answers_ends_the_wait_with_11() {
    let world = with_a_shell().await;
    let waiting = world.at_the_command_line("ann").starts(&["connect", "box"]);
    let id = world.newest("ann").await.id();
    world.clock.advance(3599);
    assert_eq!(world.request(&id).await.state(), "PENDING");
    world.clock.advance(1);
    let ended = waiting.ends().await.with(11);
    assert!(ended.err.contains(&format!("quorate: request {id} timed out")), "{ended:?}");
    assert_eq!(world.request(&id).await.state(), "TIMED_OUT");
}

#[tokio::test]
async fn a_rejection_ends_the_wait_with_10_and_says_who_and_why() {
    let world = with_a_shell().await;
    let waiting = world.at_the_command_line("ann").starts(&["connect", "box", "--duration", "1h"]);
    let id = world.newest("ann").await.id();
    world
        .at_the_command_line("bob")
        .runs(&["requests", "reject", &id, "--comment", "not on a Friday"])
        .await
        .with(0);
    let ended = waiting.ends().await.with(10);
    let last = ended.err.lines().last().unwrap();
    assert!(last.contains("was rejected by bob") && last.contains("not on a Friday"), "{ended:?}");
    assert_eq!(ended.out, "");
}

#[tokio::test]
async fn an_approval_that_was_not_used_in_time_ends_with_12() {
    let world = with_a_shell().await;
    let (file, script) = tally(&world);
    let id = approved(&world, &script).await;
    world.clock.advance(world.config().command_window_seconds);
    let ended = world.at_the_command_line("ann").runs(&["exec", "--request", &id]).await.with(12);
    assert!(ended.err.contains("expired"), "{ended:?}");
    assert_eq!(lines(&file), 0);
}

#[tokio::test]
async fn t6_an_interrupt_while_waiting_to_run_a_command_cancels_it() {
    let world = with_a_shell().await;
    let mut waiting = world.at_the_command_line("ann").starts(&["exec", "box", "-i", "echo no"]);
    waiting.says("waiting for access request").await;
    waiting.interrupt();
    waiting.ends().await.with(130);
    assert_eq!(world.newest("ann").await.state(), "CANCELLED");
}

#[tokio::test]
async fn without_waiting_the_id_is_all_that_is_printed_and_a_live_grant_is_used_again() {
    let world = with_a_shell().await;
    let ann = world.at_the_command_line("ann");
    let asked = ann.runs(&["connect", "box", "--duration", "1h30m", "--no-wait"]).await.with(0);
    let id = world.newest("ann").await.id();
    assert_eq!(asked.out, format!("{id}\n"));
    assert!(asked.err.contains("needs 1 of dba (bea, bob, sue)"), "{asked:?}");
    assert_eq!(world.request(&id).await.text("/duration"), "1h30m");

    world.approve("bob", &id).await.good();
    let session = ann.pipes(&["connect", "box"], "echo $((6 * 7)); exit 4\n").await.with(4);
    assert!(session.err.contains(&format!("using your open access from request {id}")), "{session:?}");
    assert!(session.out.contains("42"), "{session:?}");
    assert_eq!(ann.runs(&["connect", "box", "--no-wait"]).await.with(0).out, format!("{id}\n"));
    assert_eq!(world.get("ann", "requests").await.body["total"], 1);
    let more = ann.runs(&["connect", "box", "--new", "--no-wait"]).await.with(0);
    assert_ne!(more.out, format!("{id}\n"));
}

#[tokio::test]
async fn every_answer_is_one_json_document_where_one_is_asked_for() {
    let world = with_a_shell().await;
    let id = approved(&world, "exit 0").await;
    let (ann, root) = (world.at_the_command_line("ann"), world.at_the_command_line("root"));
    assert_eq!(ann.asks(&["me"]).await["id"], "ann");
    assert_eq!(ann.asks(&["requests", "list"]).await[0]["id"], *id);
    assert_eq!(ann.asks(&["requests", "show", &id]).await["state"], "APPROVED");
    assert_eq!(ann.asks(&["requests", "show", &id, "--timeline"]).await["request"]["id"], *id);
    assert!(ann.asks(&["requests", "explain", &id]).await.is_object());
    ann.runs(&["exec", "--request", &id]).await.with(0);
    assert_eq!(ann.asks(&["sessions", "list", "--all"]).await[0]["request"], *id);
    for list in ["users", "groups", "resources", "rules"] {
        let items = root.asks(&["admin", list, "list"]).await;
        assert!(items.as_array().is_some_and(|items| !items.is_empty()), "{list}: {items}");
    }
    assert!(root.asks(&["admin", "tokens", "list"]).await.is_array());
    assert_eq!(root.asks(&["policy", "list"]).await.as_array().unwrap().len(), 3);
    assert!(root.asks(&["policy", "inspect", "group-quorum"]).await.is_object());
    let refused = ann.runs(&["requests", "show", "nothing", "--json"]).await.with(14);
    let error: Value = serde_json::from_str(refused.line()).unwrap();
    assert_eq!((&error["exit_code"], &error["type"]), (&json!(14), &json!("/problems/not-found")));
    assert_eq!(refused.out, "");
}

#[tokio::test]
async fn a_command_line_that_is_not_right_ends_with_2_and_one_line() {
    for (line, says) in [
        (&["connect", "box", "--duration", "2 hours"][..], "10m, 2h or 1h30m"),
        (&["connect", "box", "--duraton", "2h"], "--duration"),
        (&["conect", "box"], "connect"),
        (&["exec"], "RESOURCE"),
        (&["requests", "list", "--state", "OPEN"], "PENDING"),
        (&["admin", "create", "conn", "box", "--secret", "PW=hunter2", "--", "sh"], "NAME=@file"),
        (&["policy", "inspect", "no such file.wasm"], "no such file.wasm"),
        (&["policy", "inspect", "nope.wasm"], "there is no file `nope.wasm`"),
        (&["serve", "--config", "/nowhere/quorate.yaml"], "/nowhere/quorate.yaml"),
        (&["me", "--url", "gopher://g"], "http://host:8600"),
    ] {
        let ended = run(line).await.with(2);
        let said = ended.line();
        assert!(
            said.starts_with("quorate: ") && said.contains(says) && !said.contains("hunter2"),
            "{line:?}: {said}"
        );
        assert_eq!(ended.out, "", "{line:?}");
    }
}

#[tokio::test]
async fn who_is_not_signed_in_or_not_covered_is_refused_with_14_and_no_gateway_is_15() {
    let world = with_a_shell().await;
    let nobody = program(&["me", "--url", &world.url()])
        .env("XDG_CONFIG_HOME", world.folder())
        .output()
        .await
        .unwrap();
    assert_eq!(nobody.status.code(), Some(14));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("quorate login --url"));

    world.put("root", "resources/bare", json!({ "kind": "shell", "command": ["sh"] })).await.good();
    let ann = world.at_the_command_line("ann");
    let refused = ann.runs(&["connect", "bare"]).await.with(14);
    assert!(refused.err.contains("no access request rule covers ann"), "{refused:?}");
    let unknown = ann.runs(&["connect", "bix"]).await.with(14);
    assert!(unknown.err.contains("bix"), "{unknown:?}");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = ann.runs(&["me", "--url", &format!("http://{free}")]).await.with(15);
    assert!(nowhere.line().contains(&free.to_string()), "{nowhere:?}");
}
