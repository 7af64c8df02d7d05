//! Approved commands: exactly what was approved, once.

use super::*;

async fn run(world: &World, request: &RequestId, command: &Command) -> (String, String, Ended) {
    run_by(world.connect("ann", request).await, command).await
}

async fn run_by(mut client: Client, command: &Command) -> (String, String, Ended) {
    client.send(FromClient::Command(command.clone())).await;
    let (mut stdout, mut stderr) = (String::new(), String::new());
    loop {
        match client.next().await.unwrap() {
            FromGateway::Stdout(bytes) => stdout += std::str::from_utf8(&bytes).unwrap(),
            FromGateway::Stderr(bytes) => stderr += std::str::from_utf8(&bytes).unwrap(),
            FromGateway::Notice(text) => panic!("{text}"),
            FromGateway::Ended(ended) => return (stdout, stderr, ended),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_gets_its_input_and_arguments_and_keeps_its_streams_apart() {
    let world = World::start().await;
    world.resource("prod", &["sh", "-c", "cat; echo \"$1\" >&2; exit 3", "sh"]).await;
    let what = command("select 1;\n", &["--csv ü"]);
    let request = world.approved("ann", "prod", &what).await;
    let (stdout, stderr, ended) = run(&world, &request, &what).await;
    assert_eq!((stdout.as_str(), stderr.as_str()), ("select 1;\n", "--csv ü\n"));
    assert_eq!((ended.reason, ended.exit_code), (wire::EndReason::Exited, Some(3)));
    assert_eq!(world.ended(EndReason::Exited).await.exit_code, Some(3));
    let request = world.app().ledger.request(&request).unwrap().unwrap();
    assert_eq!(request.state.name(), "EXECUTED");
}

#[tokio::test(flavor = "multi_thread")]
async fn t4_a_command_runs_once_also_where_four_clients_are_there_at_once() {
    let world = World::start().await;
    let runs = tempfile::NamedTempFile::new().unwrap();
    world.resource("prod", &["sh", "-c", &format!("echo run >> {}; cat", runs.path().display())]).await;
    let what = command("select 1;\n", &[]);
    let request = world.approved("ann", "prod", &what).await;
    // All are let in, because it has not run yet.
    let clients = futures_util::future::join_all([(); 4].map(|()| world.connect("ann", &request))).await;
    let runs_at_once = clients.into_iter().map(|client| run_by(client, &what));
    let (ran, refused): (Vec<_>, Vec<_>) = futures_util::future::join_all(runs_at_once)
        .await
        .into_iter()
        .partition(|(_, _, ended)| ended.reason == wire::EndReason::Exited);
    assert_eq!((ran.len(), refused.len()), (1, 3));
    assert_eq!(ran[0].0, "select 1;\n");
    for (stdout, _, ended) in refused {
        assert_eq!((stdout.as_str(), ended.reason), ("", wire::EndReason::Refused));
        assert_eq!(ended.message, "this command was approved for one run and has run");
    }
    assert_eq!(std::fs::read_to_string(runs.path()).unwrap(), "run\n");
    assert_eq!(world.sessions().len(), 1);
    let (status, code, _) = world.refusal("ann", &request).await;
    assert_eq!((status, code.as_str()), (409, "already-run"));
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_nothing_but_what_was_approved_is_run() {
    let world = World::start().await;
    world.resource("prod", &["cat"]).await;
    let what = command("select 1;\n", &[]);
    let request = world.approved("ann", "prod", &what).await;
    for other in [command("select 2;\n", &[]), command("select 1;\n", &["-n"]), command("", &[])] {
        let (stdout, _, ended) = run(&world, &request, &other).await;
        assert_eq!((stdout.as_str(), ended.reason), ("", wire::EndReason::Refused));
        assert!(ended.message.starts_with("this is not what was approved"), "{}", ended.message);
        assert_eq!(world.sessions(), Vec::new());
    }
    // Its one run is still to be had.
    assert_eq!(run(&world, &request, &what).await.0, "select 1;\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_a_resource_that_was_changed_is_not_what_was_approved() {
    let world = World::start().await;
    world.resource("prod", &["cat"]).await;
    let what = command("select 1;\n", &[]);
    let request = world.approved("ann", "prod", &what).await;
    world.resource("prod", &["sh"]).await;
    let (_, _, ended) = run(&world, &request, &what).await;
    assert_eq!(ended.reason, wire::EndReason::Refused);
    assert_eq!(world.sessions(), Vec::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_what_a_client_types_is_not_part_of_the_input() {
    let world = World::start().await;
    world.resource("prod", &["sh", "-c", "echo pid=$$; sleep 1; cat"]).await;
    let what = command("select 1;\n", &[]);
    let request = world.approved("ann", "prod", &what).await;
    let mut client = world.connect("ann", &request).await;
    client.send(FromClient::Command(what)).await;
    client.until("pid=").await;
    client.type_in("drop table invoices;\n").await;
    let ended = client.ended().await;
    assert_eq!(ended.exit_code, Some(0));
    assert!(client.output.ends_with("\nselect 1;\n"), "{}", client.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_client_vanishes_is_killed_and_not_run_again() {
    let world = World::start().await;
    world.resource("prod", &["sh", "-c", "echo pid=$$; exec sleep 1000"]).await;
    let what = command("select 1;\n", &[]);
    let request = world.approved("ann", "prod", &what).await;
    let mut client = world.connect("ann", &request).await;
    client.send(FromClient::Command(what)).await;
    client.until("pid=").await;
    let pid: u32 = client.until("\n").await.trim().parse().unwrap();
    drop(client);
    world.ended(EndReason::ConnectionLost).await;
    eventually("the command to be gone", || !lives(pid)).await;
    assert_eq!(world.refusal("ann", &request).await.1, "already-run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_a_time_of_its_own() {
    let world = World::start().await;
    world.resource("prod", &["sh", "-c", "echo pid=$$; exec sleep 1000"]).await;
    let what = command("select 1;\n", &[]);
    let request = world.approved("ann", "prod", &what).await;
    let mut client = world.connect("ann", &request).await;
    client.send(FromClient::Command(what)).await;
    client.until("pid=").await;
    world.hand.advance(3600);
    let ended = client.ended().await;
    assert_eq!(ended.reason, wire::EndReason::Expired);
    assert_eq!(ended.message, "the command was ended at 11:00:00Z: it took longer than a command may");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_say_what_to_run_runs_nothing() {
    let world = World::start().await;
    world.resource("prod", &["cat"]).await;
    world.app().sessions.limit(Limits { first_frame_seconds_max: 1, ..Limits::default() });
    let request = world.approved("ann", "prod", &command("select 1;\n", &[])).await;
    let ended = world.connect("ann", &request).await.ended().await;
    assert_eq!(ended.reason, wire::EndReason::Refused);
    assert_eq!(ended.message, "the client did not say within 1 s which command is to run");
    let mut typing = world.connect("ann", &request).await;
    typing.type_in("select 2;\n").await;
    assert_eq!(typing.ended().await.message, "the first frame must say which command is to run");
    assert_eq!(world.sessions(), Vec::new());
}
