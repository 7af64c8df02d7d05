//! Server-sent events.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::world::{PASSWORD, World};

/// A stream as it is read.
struct Events {
    response: Response,
    text: String,
}

impl Events {
    async fn open(world: &World, path: &str, token: &str, last: Option<&str>) -> Self {
        let mut request = world.request(Method::GET, path, token);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event's id and data; none where the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
                if let Some(data) = field("data:") {
                    assert_eq!(field("event:"), Some("request"));
                    return Some((field("id:").unwrap().to_owned(), serde_json::from_str(data).unwrap()));
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.response.chunk()).await;
            let chunk = chunk.expect("nothing was said for too long").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test]
async fn a_request_is_told_at_once_and_at_each_change_until_it_is_final() {
    let world = World::start().await;
    let (ann, bob, sam) = (world.log_in("ann").await, world.log_in("bob").await, world.log_in("sam").await);
    let id = world.ask(&ann).await;
    let mut events = Events::open(&world, &format!("/api/requests/{id}/events"), &ann, None).await;
    assert_eq!(events.next().await.unwrap().1["state"], "PENDING");
    let votes = format!("/api/requests/{id}/votes");
    world.post(&votes, &bob, json!({"choice": "approve"})).await.assert_ok();
    let (_, seen) = events.next().await.unwrap();
    assert_eq!((seen["votes"].as_array().unwrap().len(), &seen["state"]), (1, &json!("PENDING")));
    world.post(&votes, &sam, json!({"choice": "approve"})).await.assert_ok();
    assert_eq!(events.next().await.unwrap().1["state"], "APPROVED");
    // Time alone changes it too.
    world.hand.advance(2 * 3600);
    assert_eq!(events.next().await.unwrap().1["state"], "EXPIRED");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn an_inbox_tells_what_its_owner_may_see_and_goes_on_where_it_was() {
    let world = World::start().await;
    let (ann, bob) = (world.log_in("ann").await, world.log_in("bob").await);
    let ivy = world.log_in("ivy").await;
    let mut inbox = Events::open(&world, "/api/events", &bob, None).await;
    let mut others = Events::open(&world, "/api/events", &ivy, None).await;
    let first = world.ask(&ann).await;
    let (last, seen) = inbox.next().await.unwrap();
    assert_eq!(
        (&seen["id"], &seen["state"], &seen["requester"]),
        (&json!(first), &json!("PENDING"), &json!("ann"))
    );
    drop(inbox);
    world.post(&format!("/api/requests/{first}/cancel"), &ann, json!({})).await.assert_ok();
    let second = world.ask(&ann).await;
    let mut inbox = Events::open(&world, "/api/events", &bob, Some(&last)).await;
    assert_eq!(inbox.next().await.unwrap().1["state"], "CANCELLED");
    assert_eq!(inbox.next().await.unwrap().1["id"], json!(second));
    // The stranger hears first of what concerns her.
    world.put("/api/users/ivy", &world.root, json!({"groups": ["dev"]})).await.assert_ok();
    let third = world.ask(&ivy).await;
    assert_eq!(others.next().await.unwrap().1["id"], json!(third));
}

#[tokio::test]
async fn a_stream_ends_when_its_reader_is_out() {
    let world = World::start().await;
    let (ann, bob) = (world.log_in("ann").await, world.log_in("bob").await);
    let mut inbox = Events::open(&world, "/api/events", &bob, None).await;
    world.ask(&ann).await;
    assert!(inbox.next().await.is_some());
    world.put("/api/users/bob", &world.root, json!({"active": false})).await.assert_ok();
    world.ask(&ann).await;
    assert!(inbox.next().await.is_none());
}

#[tokio::test]
async fn one_person_cannot_open_streams_without_end() {
    let world = World::start().await;
    world
        .put("/api/users/many", &world.root, json!({"groups": ["dev"], "password": PASSWORD}))
        .await
        .assert_ok();
    let token = world.log_in("many").await;
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(Events::open(&world, "/api/events", &token, None).await);
    }
    world.get("/api/events", &token).await.assert_problem(503, "unavailable");
}

#[tokio::test]
async fn a_gateway_that_stops_does_not_wait_for_streams() {
    let world = World::start().await;
    let ann = world.log_in("ann").await;
    let mut inbox = Events::open(&world, "/api/events", &ann, None).await;
    let id = world.ask(&ann).await;
    let mut request = Events::open(&world, &format!("/api/requests/{id}/events"), &ann, None).await;
    assert!(request.next().await.is_some());
    world.running.app().stopping.cancel();
    while inbox.next().await.is_some() {}
    assert!(request.next().await.is_none());
}
