//! A terminal, as long as all is well.

use super::*;
use crate::agent::{Signal, Size};

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_its_size_and_its_input_and_passes_the_exit_code_through() {
    let world = World::start().await;
    let script = "stty size; read x; stty size; echo got=$x; exit 7";
    let request = world.open(&["sh", "-c", script]).await;
    let mut client = world.connect("ann", &request).await;
    client.until("40 100").await;
    client.send(FromClient::Resize(Size::new(50, 120))).await;
    client.type_in("hello\n").await;
    client.until("50 120").await;
    client.until("got=hello").await;
    let ended = client.ended().await;
    assert_eq!((ended.reason, ended.exit_code), (wire::EndReason::Exited, Some(7)));
    let end = world.ended(EndReason::Exited).await;
    assert_eq!((end.exit_code, &end.message), (Some(7), &ended.message));
    let session = world.session();
    assert_eq!((&session.opened.request, &session.opened.user), (&request, &user("ann")));
    world.nothing_lives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_is_in_the_environment_of_the_command_and_nowhere_else() {
    let world = World::start().await;
    let script = format!("test \"$PGPASSWORD\" = {SECRET} && echo it-is; cat");
    let request = world.open(&["sh", "-c", &script]).await;
    let mut client = world.connect("ann", &request).await;
    client.until("it-is").await;
    let listed = format!("{:?}", world.sessions());
    assert!(!listed.contains(SECRET) && !format!("{:?}", world.app().sessions.live()).contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_and_the_end_of_input_reach_the_program() {
    let world = World::start().await;
    let request = world.open(&["sh", "-c", "trap 'echo caught' INT; echo ready; cat; cat; echo over"]).await;
    let mut client = world.connect("ann", &request).await;
    client.until("ready").await;
    client.type_in("one\n").await;
    client.until("one\r\none").await;
    client.send(FromClient::Signal(Signal::Int)).await;
    client.until("caught").await;
    client.send(FromClient::EndOfInput).await;
    client.until("over").await;
    assert_eq!(client.ended().await.exit_code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_program_said_before_its_end_arrives_before_the_end() {
    let world = World::start().await;
    let request = world.open(&["sh", "-c", "seq 1 60000; exit 3"]).await;
    let mut client = world.connect("ann", &request).await;
    let ended = client.ended().await;
    assert_eq!(ended.exit_code, Some(3));
    let wanted = (1..=60_000).fold(String::new(), |all, n| all + &n.to_string() + "\r\n");
    assert!(client.output == wanted, "{} bytes of {}", client.output.len(), wanted.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sessions_run_under_one_grant_and_apart() {
    let world = World::start().await;
    let request = world.open(&CAT).await;
    let mut one = world.connect("ann", &request).await;
    let mut two = world.connect("ann", &request).await;
    let (first, second) = (one.pid().await, two.pid().await);
    one.type_in("uno\n").await;
    two.type_in("dos\n").await;
    one.until("uno\r\nuno").await;
    two.until("dos\r\ndos").await;
    drop(one);
    eventually("the first to be gone", || !lives(first)).await;
    two.type_in("tres\n").await;
    two.until("tres\r\ntres").await;
    assert!(lives(second));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_five_minutes_and_one_minute_before_the_end() {
    let world = World::start().await;
    let request = world.open(&CAT).await;
    let mut client = world.connect("ann", &request).await;
    client.pid().await;
    world.hand.advance(2 * 3600 - 300);
    assert_eq!(client.notice().await, "the time granted for prod is over in 5m, at 12:00:00Z");
    world.hand.advance(240);
    assert_eq!(client.notice().await, "the time granted for prod is over in 1m, at 12:00:00Z");
    client.type_in("still here\n").await;
    client.until("still here\r\nstill here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_be_started_ends_the_session_with_words() {
    let world = World::start().await;
    let request = world.open(&["/no/such/program"]).await;
    let ended = world.connect("ann", &request).await.ended().await;
    assert_eq!((ended.reason, ended.exit_code), (wire::EndReason::Failed, None));
    assert_eq!(ended.message, "the program `/no/such/program` was not found");
    assert_eq!(world.ended(EndReason::Failed).await.message, ended.message);
    world.nothing_lives().await;
}
