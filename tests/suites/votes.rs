//! Votes over HTTP: whose count, when, and what becomes of two at once.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use quorate::ledger::{EntryFilter, Order};
use quorate::lifecycle::{Ask, AskedAccess, Ballot, Error, Lifecycle};
use quorate_core::duration::AccessDuration;
use quorate_core::ids::RequestId;
use quorate_core::input::Choice;
use quorate_core::refused::Refused;
use quorate_core::request::{Request, State};
use reqwest::Method;
use serde_json::json;

use crate::world::{Answer, World, quorum};

/// Requests put to the test with two votes at once, straight to the lifecycle.
const PAIRS: usize = 1000;
/// How many of them at the same time.
const AT_ONCE: usize = 20;
/// Requests put to the same test over HTTP.
const HTTP_PAIRS: usize = 100;

#[tokio::test]
async fn v1_the_requesters_own_vote_never_counts_whoever_they_are() {
    let mut world = World::new().await;
    world.person("ann", &["dev", "dba"]).await;
    world.resource("prod", quorum(&["dba", "admin"], false, 1)).await;
    for who in ["ann", "root", "sue"] {
        let id = world.ask(who, "prod", "1h").await.good().id();
        for choice in ["approve", "reject"] {
            let refused = world.vote(who, &id, choice).await;
            assert!(refused.refused(403, "own-request").contains("never counts"), "{who}");
        }
        let still = world.request(&id).await;
        assert_eq!((still.state(), still.list("/votes").len()), ("PENDING", 0), "{who}");
        assert!(!still.body["waiting"].to_string().contains(&format!("\"{who}\"")), "{who} cannot help");
    }
    world.finish().await;
}

#[tokio::test]
async fn v2_a_vote_of_somebody_not_eligible_is_refused_and_the_attempt_kept() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    for choice in ["approve", "reject"] {
        // She may not see it: to her it is as if it was not there.
        world.vote("eve", &id, choice).await.refused(404, "not-found");
        let refused = world.vote("root", &id, choice).await;
        assert!(refused.refused(403, "not-eligible").contains("that takes dba"));
    }
    let still = world.request(&id).await;
    assert_eq!((still.state(), still.list("/votes").len()), ("PENDING", 0));
    let attempts: Vec<_> =
        world.entries(&id).await.into_iter().filter(|entry| entry["type"] == "vote-refused").collect();
    assert_eq!(attempts.len(), 4);
    assert_eq!((&attempts[2]["by"]["user"], &attempts[2]["why"]), (&json!("eve"), &json!("not-eligible")));
    assert_eq!(attempts[2]["vote"]["choice"], "reject");
    world.finish().await;
}

#[tokio::test]
async fn v3_v4_a_rejection_ends_it_at_once_and_is_final() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba", "security"], true, 3)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    world.approve("bob", &id).await.good();
    let no = json!({ "choice": "reject", "comment": "not on a Monday" });
    let rejected = world.post("sam", &format!("requests/{id}/votes"), no).await.good();
    assert_eq!(rejected.state(), "REJECTED");
    assert_eq!(rejected.texts("/votes", "voter"), ["bob", "sam"]);
    assert_eq!((rejected.text("/ended/by"), rejected.body["granted"].is_null()), ("sam", true));
    assert!(rejected.text("/ended/why").contains("not on a Monday"));
    world.clock.advance(60);
    let late = world.approve("bea", &id).await;
    let detail = late.refused(409, "already-decided");
    assert!(detail.contains("REJECTED by sam at 2026-03-02T10:00:00"), "{detail}");
    assert_eq!(world.request(&id).await.list("/votes").len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn v5_a_late_approval_is_refused_and_the_end_does_not_move() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let approved = world.approve("bob", &id).await.good();
    assert_eq!(approved.text("/granted/until"), "2026-03-02T11:00:00Z");
    world.clock.advance(50 * 60);
    for late in [world.approve("bea", &id).await, world.reject("sue", &id).await] {
        assert!(late.refused(409, "already-decided").contains("APPROVED by bob"));
    }
    let still = world.request(&id).await;
    assert_eq!(still.body["granted"], approved.body["granted"]);
    world.clock.advance(10 * 60);
    world.until(&id, "EXPIRED").await;
    world.finish().await;
}

#[tokio::test]
async fn v6_groups_are_those_at_the_time_of_the_vote() {
    let mut world = World::new().await;
    world.resource("prod", quorum(&["dba", "security"], true, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    world.approve("bob", &id).await.good();
    world.person("bob", &["retired"]).await;
    let approved = world.approve("sam", &id).await.good();
    assert_eq!(approved.state(), "APPROVED");
    assert_eq!(
        (&approved.body["votes"][0]["voter"], &approved.body["votes"][0]["groups"]),
        (&json!("bob"), &json!(["dba"]))
    );
    // And the record says the same.
    let record = world.get("root", &format!("decisions/{}", approved.text("/record"))).await.good();
    assert_eq!(record.body["input"]["votes"][0]["voter"]["groups"], json!(["dba"]));
    // For the next request he is out.
    let id = world.ask("ann", "prod", "1h").await.good().id();
    world.approve("bob", &id).await.refused(404, "not-found");
    world.finish().await;
}

/// Two people vote on a new request of ann's, as nearly at once as can be.
async fn both(
    lifecycle: Lifecycle,
    votes: [(&'static str, Choice); 2],
) -> (RequestId, [Result<Request, Error>; 2]) {
    let access = AskedAccess::JustInTime(AccessDuration::default());
    let ask = Ask { resource: "prod".parse().unwrap(), access, reason: String::new() };
    let asked = lifecycle.submit(&"ann".parse().unwrap(), ask, None).await.unwrap();
    let id: RequestId = asked.id.parse().unwrap();
    let [one, other] = votes.map(|(who, choice)| {
        let (lifecycle, id) = (lifecycle.clone(), id.clone());
        tokio::spawn(async move {
            let ballot = Ballot { choice, forced: false, comment: String::new(), on_page: false };
            lifecycle.vote(&id, &who.parse().unwrap(), ballot, None).await
        })
    });
    (id, [one.await.unwrap(), other.await.unwrap()])
}

/// How many entries of this type there are, and about how many different things.
fn count(world: &World, event: &str) -> (usize, BTreeSet<String>) {
    let filter = EntryFilter { event: Some(event.to_owned()), ..EntryFilter::default() };
    let found = world.app().ledger.entries(&filter, 100_000, Order::OldestFirst).unwrap();
    (found.len(), found.iter().map(|sealed| sealed.entry.stream.to_string()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v7_two_approvals_at_once_approve_exactly_once_a_thousand_times() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 2)).await;
    let lifecycle = &world.app().lifecycle;
    for _ in 0..PAIRS / AT_ONCE {
        let votes = [("bob", Choice::Approve), ("bea", Choice::Approve)];
        for (id, outcomes) in join_all((0..AT_ONCE).map(|_| both(lifecycle.clone(), votes))).await {
            let states = outcomes.map(|outcome| outcome.unwrap().state.name());
            assert!(states.contains(&"APPROVED") && states.contains(&"PENDING"), "{states:?}");
            let request = world.app().ledger.request(&id).unwrap().unwrap();
            assert_eq!((request.state.name(), request.votes.len()), ("APPROVED", 2));
        }
    }
    let (approvals, streams) = count(&world, "request-approved");
    assert_eq!((approvals, streams.len()), (PAIRS, PAIRS), "one grant each");
    assert_eq!(count(&world, "vote-cast").0, 2 * PAIRS);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v8_of_an_approval_and_a_rejection_at_once_one_ends_it_a_thousand_times() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let lifecycle = &world.app().lifecycle;
    for round in 0..PAIRS / AT_ONCE {
        let mut votes = [("bob", Choice::Approve), ("bea", Choice::Reject)];
        // Neither always has the start.
        votes.rotate_left(round % 2);
        for (id, outcomes) in join_all((0..AT_ONCE).map(|_| both(lifecycle.clone(), votes))).await {
            let request = world.app().ledger.request(&id).unwrap().unwrap();
            assert_eq!(request.votes.len(), 1);
            let (winner, loser) = match outcomes {
                [Ok(winner), Err(loser)] | [Err(loser), Ok(winner)] => (winner, loser),
                both => panic!("{both:?}"),
            };
            assert_eq!(winner.state, request.state);
            assert!(matches!(request.state, State::Approved { .. } | State::Rejected { .. }));
            let by = &request.votes[0].voter.id;
            assert!(
                matches!(&loser, Error::Refused(Refused::AlreadyDecided { by: ender, .. }) if ender == by.as_str()),
                "{loser}"
            );
        }
    }
    let (approvals, approved) = count(&world, "request-approved");
    let (rejections, rejected) = count(&world, "request-rejected");
    assert_eq!(approvals + rejections, PAIRS);
    assert!(approvals > 0 && rejections > 0, "{approvals} approvals, {rejections} rejections");
    assert_eq!(approved.union(&rejected).count(), PAIRS, "never both for one request");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v7_v8_the_same_over_http() {
    let world = World::new().await;
    world.resource("two", quorum(&["dba"], false, 2)).await;
    world.resource("one", quorum(&["dba"], false, 1)).await;
    let pair = async |nth: usize| {
        let two = world.ask("ann", "two", "1h").await.good().id();
        let (bob, bea) = tokio::join!(world.approve("bob", &two), world.approve("bea", &two));
        let mut states = [bob.good().state().to_owned(), bea.good().state().to_owned()];
        states.sort();
        assert_eq!(states, ["APPROVED", "PENDING"]);
        assert_eq!(world.request(&two).await.list("/votes").len(), 2);

        let one = world.ask("ann", "one", "1h").await.good().id();
        let (yes, no) = if nth.is_multiple_of(2) {
            tokio::join!(world.approve("bob", &one), world.reject("bea", &one))
        } else {
            let (no, yes) = tokio::join!(world.reject("bea", &one), world.approve("bob", &one));
            (yes, no)
        };
        let (state, loser) = if yes.status == 200 { ("APPROVED", no) } else { ("REJECTED", yes) };
        assert!(loser.refused(409, "already-decided").contains(state));
        let ended = world.request(&one).await;
        assert_eq!((ended.state(), ended.body["granted"].is_null()), (state, state == "REJECTED"));
    };
    for round in 0..HTTP_PAIRS / AT_ONCE {
        join_all((0..AT_ONCE).map(|nth| pair(round * AT_ONCE + nth))).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn v9_the_same_vote_sent_twice_is_one_vote_with_the_same_answer() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 2)).await;
    let ask = async |key: &str| {
        let body = json!({ "resource": "prod", "duration": "1h" });
        world.send(Method::POST, "ann", "requests", Some(body), Some(key)).await
    };
    let (first, second) = (ask("ask-1").await.good(), ask("ask-1").await.good());
    assert_eq!((second.status, &second.body), (first.status, &first.body));
    assert_eq!((first.header("idempotent-replayed"), second.header("idempotent-replayed")), ("", "true"));
    assert_ne!(ask("ask-2").await.good().id(), first.id());

    let path = format!("requests/{}/votes", first.id());
    let vote = async |who: &str, choice: &str, key: &str| -> Answer {
        let body = json!({ "choice": choice });
        world.send(Method::POST, who, &path, Some(body), Some(key)).await
    };
    let (one, other) = tokio::join!(vote("bob", "approve", "k"), vote("bob", "approve", "k"));
    assert_eq!(one.good().body, other.good().body);
    let again = vote("bob", "approve", "k").await.good();
    assert_eq!((again.list("/votes").len(), again.header("idempotent-replayed")), (1, "true"));
    // The key stands for that very vote, and for bob's.
    assert!(vote("bob", "reject", "k").await.refused(422, "key-reused").contains("new one"));
    assert_eq!(vote("bea", "approve", "k").await.good().state(), "APPROVED");
    for bad in ["", &"k".repeat(129), "with space"] {
        vote("sue", "approve", bad).await.refused(400, "bad-request");
    }
    world.finish().await;
}

#[tokio::test]
async fn v10_after_a_cancellation_a_vote_is_refused_naming_the_requester() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    world.cancel("bob", &id).await.refused(403, "not-requester");
    assert_eq!(world.cancel("ann", &id).await.good().state(), "CANCELLED");
    let late = world.approve("bob", &id).await;
    let detail = late.refused(409, "already-decided");
    assert!(detail.contains("CANCELLED by the requester, ann"), "{detail}");
    world.cancel("ann", &id).await.refused(409, "already-decided");
    world.finish().await;
}

#[tokio::test]
async fn a_vote_is_told_to_whoever_watches() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 2)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let mut hers = world.watch("ann", &format!("requests/{id}/events")).await;
    let mut inbox = world.watch("bea", "events").await;
    assert_eq!(hers.next().await.unwrap()["state"], "PENDING");
    world.approve("bob", &id).await.good();
    let seen = hers.next().await.unwrap();
    assert_eq!((&seen["votes"][0]["voter"], &seen["state"]), (&json!("bob"), &json!("PENDING")));
    let noticed = inbox.next().await.unwrap();
    assert_eq!((noticed["id"].as_str(), &noticed["state"]), (Some(&*id), &json!("PENDING")));
    world.approve("bea", &id).await.good();
    assert_eq!(hers.next().await.unwrap()["state"], "APPROVED");
    // Time alone is told too, and what is final ends the stream.
    world.clock.advance(3600);
    assert_eq!(hers.next().await.unwrap()["state"], "EXPIRED");
    assert_eq!(hers.next().await, None);
    world.finish().await;
}
