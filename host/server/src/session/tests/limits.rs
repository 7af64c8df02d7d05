//! Who is refused before anything is opened.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn without_open_access_nothing_is_opened() {
    let world = World::start().await;
    let request = world.open(&CAT).await;
    let (status, code, detail) = world.refusal("root", &request).await;
    assert_eq!((status, code.as_str()), (403, "not-yours"), "{detail}");
    // To somebody who may not see it, it is not there.
    let (status, code, detail) = world.refusal("bob", &request).await;
    assert_eq!((status, code.as_str()), (404, "not-found"), "{detail}");
    let (status, code, _) = world.refusal("ann", &"no-such-request".parse().unwrap()).await;
    assert_eq!((status, code.as_str()), (404, "not-found"));
    for (token, code) in [(None, "unauthenticated"), (Some("qrt_nonsense"), "unauthenticated")] {
        let refused = refusal(world.upgrade(token, request.as_str(), PROTOCOL).await);
        assert_eq!((refused.0, refused.1.as_str()), (401, code));
    }
    let token = world.token("ann").await;
    let other = refusal(world.upgrade(Some(&token), request.as_str(), "quorate.session.v2").await);
    assert_eq!((other.0, other.1.as_str()), (400, "bad-request"));
    assert!(other.2.contains(PROTOCOL), "{}", other.2);
    world.hand.advance(2 * 3600);
    let (status, code, detail) = world.refusal("ann", &request).await;
    assert_eq!((status, code.as_str()), (409, "not-open"));
    assert_eq!(detail, "there is no open access: the request is EXPIRED");
    assert_eq!(world.sessions(), Vec::new());
    assert!(world.app().sessions.live().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_and_the_gateway_have_only_so_many_sessions() {
    let world = World::start().await;
    let limits = Limits { sessions_max: 2, sessions_per_user_max: 1, ..Limits::default() };
    world.app().sessions.limit(limits);
    world.resource("prod", &CAT).await;
    let anns = world.grant("ann", "prod", "2h").await;
    let bobs = world.grant("bob", "prod", "2h").await;
    let mut first = world.connect("ann", &anns).await;
    first.pid().await;
    let (status, code, detail) = world.refusal("ann", &anns).await;
    assert_eq!((status, code.as_str()), (409, "conflict"));
    assert_eq!(detail, "ann has 1 sessions open, as many as one person may have; end one first");
    world.app().sessions.limit(Limits { sessions_max: 1, ..limits });
    let (status, code, _) = world.refusal("bob", &bobs).await;
    assert_eq!((status, code.as_str()), (503, "unavailable"));
    assert_eq!(world.sessions().len(), 1);
    first.type_in("\u{4}").await;
    assert_eq!(first.ended().await.exit_code, Some(0));
    world.nothing_lives().await;
    let free = || *world.app().sessions.0.taken.borrow() == 0;
    eventually("room", free).await;
    world.connect("bob", &bobs).await.pid().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_larger_than_any_ends_the_connection() {
    let world = World::start().await;
    let request = world.open(&CAT).await;
    let mut client = world.connect("ann", &request).await;
    let pid = client.pid().await;
    let huge = vec![1; wire::FRAME_BYTES_MAX + 1];
    // The gateway may have hung up before all of it is sent.
    let _ = client.socket.send(Message::Binary(Bytes::from(huge))).await;
    world.ended(EndReason::ConnectionLost).await;
    eventually("the program to be gone", || !lives(pid)).await;
}
