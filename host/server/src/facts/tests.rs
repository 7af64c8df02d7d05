//! What is kept, and for how long; what rests.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::get;

use super::*;
use crate::clock::ManualClock;

fn subject(requester: &str) -> Subject {
    let (resource, access_type) = ("prod".to_owned(), "just-in-time".to_owned());
    Subject { requester: requester.to_owned(), resource, access_type }
}

/// A source on this machine that answers with how often it was asked.
async fn counting(cache: &str) -> (Sources, ManualClock, Arc<AtomicU64>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let answer = async move || (count.fetch_add(1, Ordering::SeqCst) + 1).to_string();
    let router = Router::new().route("/{who}", get(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let text = format!("n: {{http: {{url: 'http://{address}/{{requester}}', cache: {cache}}}}}");
    let around = Surroundings { folder: std::path::Path::new("/"), variable: &|_| None };
    let declared = resolve(serde_saphyr::from_str(&text).unwrap(), &around).unwrap();
    let (clock, hand) = Clock::manual("2026-03-02T10:00:00Z".parse().unwrap());
    (Sources::new(declared, clock), hand, asked)
}

async fn known(sources: &Sources, who: &str) -> String {
    sources.fetch("n", &subject(who)).await.unwrap().known.unwrap()
}

#[tokio::test]
async fn an_answer_is_kept_as_long_as_it_was_said_and_for_its_address_only() {
    let (sources, hand, _) = counting("30s").await;
    assert_eq!(known(&sources, "ann").await, "1");
    hand.advance(29);
    assert_eq!(known(&sources, "ann").await, "1");
    assert_eq!(known(&sources, "bob").await, "2");
    hand.advance(1);
    assert_eq!(known(&sources, "ann").await, "3");
    let as_of = sources.fetch("n", &subject("ann")).await.unwrap().at;
    assert_eq!(as_of.to_string(), "2026-03-02T10:00:30Z");
}

#[tokio::test]
async fn those_who_ask_at_once_share_one_question() {
    let (sources, _, asked) = counting("0s").await;
    let ann = subject("ann");
    let all = futures_util::future::join_all((0..20).map(|_| sources.fetch("n", &ann))).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(all.iter().all(|got| got.as_ref().unwrap().known.as_deref() == Ok("1")));
    assert_eq!(known(&sources, "ann").await, "2");
}

#[tokio::test]
async fn a_source_that_cannot_be_reached_rests_and_is_then_asked_again() {
    let text = "n: {http: {url: 'http://127.0.0.1:1/{requester}?key=hunter2'}}";
    let _ = rustls::crypto::ring::default_provider().install_default();
    let around = Surroundings { folder: std::path::Path::new("/"), variable: &|_| None };
    let declared = resolve(serde_saphyr::from_str(text).unwrap(), &around).unwrap();
    let (clock, hand) = Clock::manual("2026-03-02T10:00:00Z".parse().unwrap());
    let sources = Sources::new(declared, clock);
    let why = async |who: &str| sources.fetch("n", &subject(who)).await.unwrap().known.unwrap_err();
    let first = why("ann").await;
    assert!(first.contains("cannot be reached") && !first.contains("hunter2"), "{first}");
    assert!(why("bob").await.contains("a moment ago"));
    assert_eq!(sources.status("n").failed, 1);
    hand.advance(REST_SECONDS);
    assert!(why("bob").await.contains("cannot be reached"));
    assert_eq!(sources.status("n").failed, 2);
}
