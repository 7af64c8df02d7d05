//! `quorate connect` in a real terminal: what a person sees, types, and is told when it is
//! over. With PostgreSQL and psql where the name says so.

use std::time::{Duration, Instant};

use quorate::demo::postgres::Postgres;
use quorate::demo::terminal::Terminal;
use quorate_core::Timestamp;
use serde_json::{Value, json};

use crate::world::gateway::Gateway;
use crate::world::program::{PATIENCE, eventually, is_alive, kill, postgres, query};
use crate::world::{World, quorum};

const BACKENDS: &str = "select count(*) from pg_stat_activity where application_name = 'psql'";
const HOUR: u64 = 3600;

/// Has psql compute something that was not typed.
pub fn asks_the_database(session: &mut Terminal) {
    session.wait_for("postgres=#", PATIENCE).unwrap();
    session.type_in("select 'the answer is ' || 21 * 2;\n").unwrap();
    session.wait_for("the answer is 42", PATIENCE).unwrap();
}

/// Has the shell do so.
pub fn asks_the_shell(session: &mut Terminal) {
    session.type_in("echo the answer is $((21 * 2))\n").unwrap();
    session.wait_for("the answer is 42", PATIENCE).unwrap();
}

/// The only session there was, once it has ended.
async fn only_session(world: &World) -> Value {
    world
        .eventually("the end of the session", async || {
            let sessions = world.get("root", "sessions").await.good();
            assert_eq!(sessions.body["total"], 1, "{}", sessions.body);
            Some(sessions.body["items"][0].clone()).filter(|session| session["ended"].is_object())
        })
        .await
}

/// A shell that one of dba opens, and ann's access to it for so long.
async fn granted(world: &World, command: Value, duration: &str) -> String {
    world.resource("box", quorum(&["dba"], false, 1)).await;
    world.put("root", "resources/box", json!({ "kind": "shell", "command": command })).await.good();
    grant(world, duration).await
}

async fn grant(world: &World, duration: &str) -> String {
    let id = world.ask("ann", "box", duration).await.good().id();
    assert_eq!(world.approve("bob", &id).await.good().state(), "APPROVED");
    id
}

/// A gateway in front of a shell, which one of dba opens.
async fn with_a_shell() -> Gateway {
    let gateway = Gateway::start(&["ann", "bob"], &[]).await;
    let create = ["admin", "create", "conn", "box", "--reviewers", "dba", "--", "sh"];
    gateway.at_the_command_line("root").runs(&create).await.with(0);
    gateway
}

/// A gateway in front of `postgres`, which one of dba and one of security open.
async fn before(postgres: &Postgres) -> Gateway {
    let gateway = Gateway::start(&["ann", "bob", "sam"], &[]).await;
    let folder = tempfile::TempDir::new().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, postgres.password()).unwrap();
    let secret = format!("PGPASSWORD=@{}", password.display());
    let psql = postgres.psql();
    let mut words = vec!["admin", "create", "conn", "prod-postgres", "--agent", "default"];
    words.extend(["--reviewers", "dba,security", "--secret", &secret, "--"]);
    words.extend(psql.iter().map(String::as_str));
    gateway.at_the_command_line("root").runs(&words).await.with(0);
    gateway
}

/// ann asks in a terminal and waits; bob and sam say yes on their command lines.
async fn opens(gateway: &Gateway) -> (Terminal, String) {
    let ask = ["connect", "prod-postgres", "--duration", "2h", "--reason", "fix invoice 4711"];
    let mut session = gateway.at_the_command_line("ann").sits_down(&ask);
    session.wait_for("waiting for access request to be approved at http", PATIENCE).unwrap();
    session.wait_for("1 of dba (bob) and 1 of security (sam)", PATIENCE).unwrap();
    let bob = gateway.at_the_command_line("bob");
    let waiting = bob.asks(&["requests", "list", "--inbox", "waiting"]).await;
    let id = waiting[0]["id"].as_str().unwrap().to_owned();
    bob.runs(&["requests", "approve", &id, "--comment", "ok"]).await.with(0);
    session.wait_for("1 of security (sam)", PATIENCE).unwrap();
    gateway.at_the_command_line("sam").runs(&["requests", "approve", &id]).await.with(0);
    (session, id)
}

fn at(text: &Value) -> Timestamp {
    text.as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_t2_a_revocation_cuts_psql_within_a_second() {
    let postgres = postgres();
    let gateway = before(&postgres).await;
    let (mut session, id) = opens(&gateway).await;
    asks_the_database(&mut session);
    assert_eq!(query(&postgres, BACKENDS), "1");

    let started = Instant::now();
    gateway.post("root", &format!("requests/{id}/revoke"), json!({ "reason": "the incident is over" })).await;
    let code = session.wait_exit(PATIENCE).unwrap();
    let took = started.elapsed();
    assert_eq!(code, 13, "{}", session.seen());
    assert!(
        session.seen().ends_with("quorate: revoked by root: the incident is over\r\n"),
        "{:?}",
        session.seen()
    );

    // By the gateway's clock a second is what is promised; the terminal of a machine that runs
    // other tests meanwhile is given more.
    let sessions = gateway.get("root", "sessions").await.body;
    let request = gateway.get("root", &format!("requests/{id}")).await.body;
    let ended = &sessions["items"][0]["ended"];
    assert_eq!(ended["reason"], "revoked");
    let in_the_ledger = at(&ended["at"]).duration_since(at(&request["ended"]["at"]));
    assert!(in_the_ledger.as_millis() <= 1000, "{in_the_ledger:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    println!("revoked and cut in {} ms", took.as_millis());
    eventually("the database to be left", || query(&postgres, BACKENDS) == "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_d5_the_end_of_the_grant_cuts_psql() {
    let postgres = postgres();
    let world = World::new().await;
    let resource = json!({
        "kind": "postgres", "command": postgres.psql(), "secrets": { "PGPASSWORD": postgres.password() },
    });
    world.resource("box", quorum(&["dba"], false, 1)).await;
    world.put("root", "resources/box", resource).await.good();
    let id = grant(&world, "2h").await;

    world.clock.advance(2 * HOUR - 60);
    let mut session = world.at_the_command_line("ann").sits_down(&["connect", "box"]);
    asks_the_database(&mut session);
    world.clock.advance(59);
    asks_the_database(&mut session);
    world.clock.advance(1);
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 12, "{}", session.seen());
    let told = "quorate: the time granted for box is over: it ended at 12:00:00Z\r\n";
    assert!(session.seen().ends_with(told), "{:?}", session.seen());

    let ended = only_session(&world).await["ended"].clone();
    assert_eq!(
        (ended["reason"].as_str(), ended["at"].as_str()),
        (Some("expired"), Some("2026-03-02T12:00:00Z"))
    );
    assert_eq!(world.request(&id).await.state(), "EXPIRED");
    eventually("the database to be left", || query(&postgres, BACKENDS) == "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_t3_a_grant_outlives_a_killed_gateway() {
    let postgres = postgres();
    let mut gateway = before(&postgres).await;
    let (mut session, id) = opens(&gateway).await;
    asks_the_database(&mut session);
    let granted = gateway.get("ann", &format!("requests/{id}")).await.body["granted"].clone();

    gateway.kill().await;
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 15, "{}", session.seen());
    assert!(session.seen().contains("quorate: the connection to the gateway broke"), "{}", session.seen());
    assert!(session.seen().contains("`quorate connect prod-postgres` goes on"), "{}", session.seen());
    eventually("the database to be left", || query(&postgres, BACKENDS) == "0").await;

    gateway.serve().await;
    let mut again = gateway.at_the_command_line("ann").sits_down(&["connect", "prod-postgres"]);
    again.wait_for(&format!("using your open access from request {id}"), PATIENCE).unwrap();
    asks_the_database(&mut again);
    let requests = gateway.get("root", "requests").await.body;
    assert_eq!(requests["total"], 1);
    assert_eq!(
        (&requests["items"][0]["state"], &requests["items"][0]["granted"]),
        (&json!("APPROVED"), &granted)
    );
    let sessions = gateway.get("root", "sessions").await.body;
    assert_eq!(sessions["items"][1]["ended"]["reason"], "gateway-stopped", "{sessions}");
    again.type_in("\\q\n").unwrap();
    assert_eq!(again.wait_exit(PATIENCE).unwrap(), 0, "{}", again.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_the_password_of_the_database_is_nowhere_to_be_read() {
    let postgres = postgres();
    let gateway = before(&postgres).await;
    let (mut session, _) = opens(&gateway).await;
    asks_the_database(&mut session);

    let password = postgres.password();
    let mut processes = 0;
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(line) = std::fs::read(process.path().join("cmdline")) else { continue };
        processes += 1;
        assert!(!String::from_utf8_lossy(&line).contains(password), "on the command line of {process:?}");
    }
    assert!(processes > 2);
    let resource = gateway.get("root", "resources/prod-postgres").await.body;
    assert_eq!(resource["secrets"], json!(["PGPASSWORD"]));
    let entries = gateway.get("root", "audit/entries?limit=200").await.body;
    for (place, text) in [
        ("the terminal", session.seen()),
        ("the log", &gateway.log()),
        ("the resource", &resource.to_string()),
        ("the ledger's entries", &entries.to_string()),
    ] {
        assert!(!text.is_empty() && !text.contains(password), "in {place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_t4_an_approved_query_runs_once_with_its_arguments() {
    let postgres = postgres();
    let gateway = before(&postgres).await;
    query(&postgres, "create table runs (at timestamptz default now())");
    let ann = gateway.at_the_command_line("ann");
    let insert = "insert into runs default values; select count(*) from runs;";
    let exec = ["exec", "prod-postgres", "-i", insert, "--no-wait", "--", "-q", "-A", "-t"];
    let id = ann.runs(&exec).await.with(0).out.trim().to_owned();
    for who in ["bob", "sam"] {
        gateway.at_the_command_line(who).runs(&["requests", "approve", &id]).await.with(0);
    }
    assert_eq!(ann.runs(&["exec", "--request", &id]).await.with(0).out, "1\n");
    ann.runs(&["exec", "--request", &id]).await.with(14);
    assert_eq!(query(&postgres, "select count(*) from runs"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn t8_a_session_goes_on_to_the_end_of_the_second_grant() {
    let world = World::new().await;
    granted(&world, json!(["sh"]), "1h").await;
    let mut session = world.at_the_command_line("ann").sits_down(&["connect", "box"]);
    asks_the_shell(&mut session);
    world.clock.advance(HOUR / 2);
    grant(&world, "2h").await;

    world.clock.advance(HOUR / 2);
    session.wait_for("goes on under your other access to box, until 12:30:00Z", PATIENCE).unwrap();
    asks_the_shell(&mut session);
    world.clock.advance(HOUR + HOUR / 2);
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 12, "{}", session.seen());
    assert!(session.seen().contains("it ended at 12:30:00Z"), "{}", session.seen());
    assert_eq!(only_session(&world).await["ended"]["at"], "2026-03-02T12:30:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_of_the_window_and_ctrl_c_reach_the_program() {
    let world = World::new().await;
    let script = "trap 'echo interrupted; exit 7' INT; while :; do stty size; sleep 0.05; done";
    granted(&world, json!(["sh", "-c", script]), "1h").await;
    let mut session = world.at_the_command_line("ann").sits_down(&["connect", "box"]);
    session.wait_for("30 100", PATIENCE).unwrap();
    session.resize(41, 123).unwrap();
    session.wait_for("41 123", PATIENCE).unwrap();
    session.type_in("\x03").unwrap();
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 7, "{}", session.seen());
    assert!(session.seen().contains("interrupted"), "{}", session.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_leaves_no_process_behind() {
    let world = World::new().await;
    let id = granted(&world, json!(["sh"]), "1h").await;
    let mut session = world.at_the_command_line("ann").sits_down(&["connect", "box"]);
    // One in the background, and one that left the terminal's session.
    // What is typed is shown, too, but with quotes in it.
    let typed = "sleep 1000 & echo a'='$!; setsid sh -c \"echo b'='\\$\\$; exec sleep 1000\" &\n";
    session.type_in(typed).unwrap();
    let mut started = |name: &str| -> u32 {
        session.wait_for(&format!("{name}="), PATIENCE).unwrap();
        session.wait_for("\r", PATIENCE).unwrap().trim().parse().unwrap()
    };
    let processes = [started("a"), started("b")];
    assert!(processes.iter().all(|process| is_alive(*process)));

    kill(session.process_id());
    eventually("the processes to be gone", || !processes.iter().any(|process| is_alive(*process))).await;
    assert_eq!(only_session(&world).await["ended"]["reason"], "connection-lost");
    assert_eq!(world.request(&id).await.state(), "APPROVED");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_goes_on_waiting_while_the_gateway_is_killed_and_started_again() {
    let mut gateway = with_a_shell().await;
    let mut session = gateway.at_the_command_line("ann").sits_down(&["connect", "box"]);
    session.wait_for("Ctrl-C cancels", PATIENCE).unwrap();
    let id = gateway.get("ann", "requests").await.text("/items/0/id").to_owned();
    gateway.kill().await;
    session.wait_for("the request lives on, trying again", PATIENCE).unwrap();
    gateway.serve().await;
    session.wait_for("the gateway is back", PATIENCE).unwrap();
    gateway.at_the_command_line("bob").runs(&["requests", "approve", &id]).await.with(0);
    asks_the_shell(&mut session);
    assert_eq!(gateway.get("root", "requests").await.body["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_an_admin_ends_is_told_why_and_the_access_stays_open() {
    let gateway = with_a_shell().await;
    let ann = gateway.at_the_command_line("ann");
    let id = ann.runs(&["connect", "box", "--no-wait"]).await.with(0).out.trim().to_owned();
    gateway.at_the_command_line("bob").runs(&["requests", "approve", &id]).await.with(0);
    let mut session = ann.sits_down(&["connect", "box"]);
    asks_the_shell(&mut session);
    let root = gateway.at_the_command_line("root");
    let open = root.asks(&["sessions", "list"]).await[0]["id"].as_str().unwrap().to_owned();
    root.runs(&["sessions", "end", &open, "--reason", "lunch"]).await.with(0);
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 13, "{}", session.seen());
    assert!(session.seen().contains("quorate: ended by root: lunch"), "{}", session.seen());
    assert!(session.seen().contains("your access stays open"), "{}", session.seen());
    assert_eq!(gateway.get("ann", &format!("requests/{id}")).await.state(), "APPROVED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_says_so_to_who_is_connected() {
    let mut gateway = with_a_shell().await;
    let ann = gateway.at_the_command_line("ann");
    let id = ann.runs(&["connect", "box", "--no-wait"]).await.with(0).out.trim().to_owned();
    gateway.at_the_command_line("bob").runs(&["requests", "approve", &id]).await.with(0);
    let mut session = ann.sits_down(&["connect", "box"]);
    asks_the_shell(&mut session);
    assert_eq!(gateway.stop().await, Some(0));
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 15, "{}", session.seen());
    assert!(session.seen().contains("quorate: the gateway stopped; connect again"), "{}", session.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_ctrl_c_while_waiting_cancels_the_request() {
    let world = World::new().await;
    world.resource("box", quorum(&["dba"], false, 1)).await;
    let mut waiting = world.at_the_command_line("ann").sits_down(&["connect", "box"]);
    waiting.wait_for("asking for 30m of access to box (the default", PATIENCE).unwrap();
    waiting.wait_for("needs 1 of dba (bea, bob, sue)", PATIENCE).unwrap();
    waiting.wait_for("Ctrl-C cancels", PATIENCE).unwrap();
    waiting.type_in("\x03").unwrap();
    assert_eq!(waiting.wait_exit(PATIENCE).unwrap(), 130, "{}", waiting.seen());
    let request = world.newest("ann").await;
    assert_eq!(request.state(), "CANCELLED");
    assert!(waiting.seen().contains(&format!("request {} is cancelled", request.id())), "{}", waiting.seen());
    assert_eq!(world.get("ann", "requests").await.body["total"], 1);
}
