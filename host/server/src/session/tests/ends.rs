//! How sessions are ended from outside, and that nothing passes afterwards.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn t2_a_revocation_ends_a_session_that_floods_within_a_second() {
    let world = World::start().await;
    let request = world.open(&FLOOD).await;
    let mut client = world.connect("ann", &request).await;
    let pid = client.pid().await;
    client.until("abcdefghijklmnopqrstuvwxyz").await;
    let why = "ann is on leave".to_owned();
    world.app().lifecycle.revoke(&request, &user("root"), why, None).await.unwrap();
    let since = Instant::now();
    let ended = client.ended().await;
    assert!(since.elapsed() < Duration::from_secs(1), "it took {:?}", since.elapsed());
    assert_eq!(ended.reason, wire::EndReason::Revoked);
    assert_eq!(ended.message, "revoked by root: ann is on leave");
    assert_eq!(world.ended(EndReason::Revoked).await.message, ended.message);
    eventually("the program to be gone", || !lives(pid)).await;
    world.nothing_lives().await;
    assert_eq!(world.refusal("ann", &request).await.1, "not-open");
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_session_ends_when_its_grant_does_however_late_it_was_opened() {
    let world = World::start().await;
    let request = world.open(&FLOOD).await;
    world.hand.advance(2 * 3600 - 60);
    let mut client = world.connect("ann", &request).await;
    let pid = client.pid().await;
    world.hand.advance(59);
    client.until("abcdefghijklmnopqrstuvwxyz").await;
    world.hand.advance(1);
    let ended = client.ended().await;
    assert_eq!(ended.reason, wire::EndReason::Expired);
    assert_eq!(ended.message, "the time granted for prod is over: it ended at 12:00:00Z");
    assert_eq!(world.ended(EndReason::Expired).await.message, ended.message);
    eventually("the program to be gone", || !lives(pid)).await;
    let request = world.app().ledger.request(&request).unwrap().unwrap();
    assert_eq!(request.state.name(), "EXPIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_nothing_that_is_typed_after_the_end_reaches_the_program() {
    let world = World::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let script = format!("trap '' HUP TERM; echo ready; cat > {}", file.path().display());
    let request = world.open(&["sh", "-c", &script]).await;
    let mut client = world.connect("ann", &request).await;
    client.until("ready").await;
    client.type_in("before\n").await;
    client.until("before").await;
    let written = || std::fs::read_to_string(file.path()).unwrap();
    eventually("what was typed before", || written() == "before\n").await;
    world.hand.advance(2 * 3600);
    // The connection may be closed already.
    let _ =
        client.socket.send(Message::Binary(FromClient::Input(Bytes::from_static(b"after\n")).encode())).await;
    assert_eq!(client.ended().await.reason, wire::EndReason::Expired);
    world.nothing_lives().await;
    assert_eq!(written(), "before\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn t8_a_session_goes_on_to_the_end_of_the_grant_that_ends_last() {
    let world = World::start().await;
    world.resource("prod", &CAT).await;
    let first = world.grant("ann", "prod", "1h").await;
    let second = world.grant("ann", "prod", "2h").await;
    let mut client = world.connect("ann", &first).await;
    let pid = client.pid().await;
    world.hand.advance(3600);
    let notice = client.notice().await;
    assert_eq!(notice, "this session goes on under your other access to prod, until 12:00:00Z");
    client.type_in("still here\n").await;
    client.until("still here\r\nstill here").await;
    assert!(lives(pid));
    let session = world.session();
    assert_eq!((&session.opened.request, session.ended), (&second, None));
    world.hand.advance(3600);
    let ended = client.ended().await;
    assert_eq!(ended.reason, wire::EndReason::Expired);
    assert_eq!(ended.message, "the time granted for prod is over: it ended at 12:00:00Z");
    eventually("the program to be gone", || !lives(pid)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t8_the_grant_of_somebody_else_carries_nothing() {
    let world = World::start().await;
    world.resource("prod", &CAT).await;
    let own = world.grant("ann", "prod", "1h").await;
    world.grant("bob", "prod", "2h").await;
    let mut client = world.connect("ann", &own).await;
    client.pid().await;
    world.hand.advance(3600);
    assert_eq!(client.ended().await.reason, wire::EndReason::Expired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_cut_all_the_same() {
    let world = World::start().await;
    let request = world.open(&FLOOD).await;
    let mut client = world.connect("ann", &request).await;
    let pid = client.pid().await;
    // From here on it does not read, and everything between the two fills up.
    world.hand.advance(2 * 3600);
    world.ended(EndReason::Expired).await;
    eventually("the program to be gone", || !lives(pid)).await;
    world.nothing_lives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_client_vanishes_is_killed() {
    let world = World::start().await;
    let request = world.open(&CAT).await;
    let mut client = world.connect("ann", &request).await;
    let pid = client.pid().await;
    drop(client);
    let end = world.ended(EndReason::ConnectionLost).await;
    assert_eq!(end.exit_code, None);
    eventually("the program to be gone", || !lives(pid)).await;
    world.nothing_lives().await;
    // The grant is as good as before.
    let mut again = world.connect("ann", &request).await;
    again.pid().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_answers_nothing_counts_as_gone() {
    let world = World::start().await;
    let limits = Limits { ping_seconds: 1, silence_seconds_max: 2, ..Limits::default() };
    world.app().sessions.limit(limits);
    let request = world.open(&CAT).await;
    let mut client = world.connect("ann", &request).await;
    let pid = client.pid().await;
    // Its connection stays open and nobody reads it, so that no ping is answered.
    let end = world.ended(EndReason::ConnectionLost).await;
    assert_eq!(end.message, "the client did not answer any more");
    eventually("the program to be gone", || !lives(pid)).await;
    drop(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_only_answers_pings_is_kept() {
    let world = World::start().await;
    let limits = Limits { ping_seconds: 1, silence_seconds_max: 4, ..Limits::default() };
    world.app().sessions.limit(limits);
    let request = world.open(&["sh", "-c", "sleep 6; echo awake; cat"]).await;
    let mut client = world.connect("ann", &request).await;
    client.until("awake").await;
    assert_eq!(world.end(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_ends_one_session_and_the_grant_stays() {
    let world = World::start().await;
    let request = world.open(&CAT).await;
    let mut client = world.connect("ann", &request).await;
    let pid = client.pid().await;
    let end =
        End { reason: EndReason::Ended, message: "ended by root: maintenance".to_owned(), exit_code: None };
    let id = world.session().id;
    world.app().lifecycle.end_session(&id, end, Actor::User(user("root"))).await.unwrap();
    let ended = client.ended().await;
    assert_eq!(
        (ended.reason, ended.message.as_str()),
        (wire::EndReason::Ended, "ended by root: maintenance")
    );
    eventually("the program to be gone", || !lives(pid)).await;
    world.connect("ann", &request).await.pid().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_tells_its_clients() {
    let world = World::start().await;
    let request = world.open(&CAT).await;
    let mut client = world.connect("ann", &request).await;
    let pid = client.pid().await;
    let token = world.token("ann").await;
    let (ended, ()) = tokio::join!(client.ended(), world.app().sessions.stop());
    assert_eq!(ended.reason, wire::EndReason::GatewayStopped);
    assert_eq!(world.end().map(|end| end.reason), Some(EndReason::GatewayStopped));
    assert!(!lives(pid), "stopping waits until the program is gone");
    let late = refusal(world.upgrade(Some(&token), request.as_str(), PROTOCOL).await);
    assert_eq!((late.0, late.1.as_str()), (503, "unavailable"));
    assert_eq!(world.sessions().len(), 1);
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_what_a_killed_gateway_left_open_is_ended_and_the_grant_holds() {
    let world = World::start().await;
    let request = world.open(&CAT).await;
    // What a gateway leaves behind that is killed between opening a session and ending it.
    let left: SessionId = world.app().lifecycle.open_session(&request, &user("ann")).await.unwrap().id;
    crate::reconcile::settle(&world.app().lifecycle).await.unwrap();
    let session = world.session();
    assert_eq!(session.id, left);
    assert_eq!(session.ended.map(|(_, end)| end.reason), Some(EndReason::GatewayStopped));
    world.connect("ann", &request).await.pid().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_speaks_nonsense_is_told_and_dropped() {
    let world = World::start().await;
    let request = world.open(&CAT).await;
    let mut client = world.connect("ann", &request).await;
    let pid = client.pid().await;
    client.socket.send(Message::Binary(Bytes::from_static(&[99, 1]))).await.unwrap();
    let ended = client.ended().await;
    assert_eq!(ended.reason, wire::EndReason::ConnectionLost);
    assert_eq!(ended.message, "the client sent an unknown kind of frame: 99");
    eventually("the program to be gone", || !lives(pid)).await;
}
