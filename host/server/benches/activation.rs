//! Another version of a policy decides: how long its activation takes over HTTP, with the
//! component compiled before, and what it does to requests that come meanwhile. Two
//! versions take turns, alone and while somebody asks for access without a break.

#![allow(clippy::expect_used, reason = "a benchmark stops where it cannot go on")]

mod gateway;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gateway::{Admin, Gateway, percentile};
use quorate_bundle::Bundled;
use serde_json::json;

/// How often a version is activated in a row: every one stands in the policy's history, and
/// no policy has hundreds of them.
const ACTIVATIONS: usize = 40;
/// How many requests are timed before, with nothing else going on.
const ALONE: usize = 1000;
/// How many requests wait, and are decided again after each activation.
const WAITING: [usize; 2] = [0, 100];
/// From one activation to the next; a person needs longer.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks for what is approved at once, again and again.
async fn ask(client: Admin, over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut took = Vec::new();
    while !over.load(Ordering::Relaxed) {
        took.push(client.submit("prod").await);
    }
    took
}

/// The floor: another change that is one durable entry.
async fn save(client: &Admin) -> Duration {
    let started = Instant::now();
    client.put("resources/floor", &json!({ "command": ["true"] })).await;
    started.elapsed()
}

async fn activate(client: &Admin, digest: &str) -> Duration {
    let body = json!({ "digest": digest, "reason": "its turn" });
    let started = Instant::now();
    client.post("policies/group-quorum/activate", &body).await;
    started.elapsed()
}

fn bundled(name: &str) -> &'static Bundled {
    let mut all = quorate_bundle::BUILT_IN.iter().chain(quorate_bundle::PROBES);
    all.find(|bundled| bundled.name == name).expect("a component of this workspace")
}

fn print(what: &str, took: &mut [Duration]) {
    let of = |percent, took: &mut [Duration]| percentile(took, percent).as_secs_f64() * 1000.0;
    let (median, p99, most) = (of(50, took), of(99, took), of(100, took));
    println!("  {what}: median {median:.2} ms, p99 {p99:.2} ms, longest {most:.2} ms, {} times", took.len());
}

#[tokio::main]
async fn main() {
    let gateway = Gateway::start(true).await;
    gateway.rule("patient", false).await;
    let client = &gateway.client;
    // The gateway came with the first, which decides now.
    let (built_in, other) = (bundled("group-quorum"), bundled("one-group"));
    client.load("group-quorum", other.component).await;
    for waiting in WAITING {
        for _ in 0..waiting {
            client.submit("patient").await;
        }
        println!("with {waiting} requests that wait:");
        let mut alone = Vec::new();
        for _ in 0..ALONE {
            alone.push(client.submit("prod").await);
        }
        print("a request, without an activation", &mut alone);
        let (mut floor, mut quiet) = (Vec::new(), Vec::new());
        for nth in 0..ACTIVATIONS {
            floor.push(save(client).await);
            quiet.push(activate(client, [other, built_in][nth % 2].digest).await);
            tokio::time::sleep(PAUSE).await;
        }
        print("the floor: another change with one entry", &mut floor);
        print("an activation, without requests", &mut quiet);
        let over = Arc::new(AtomicBool::new(false));
        let asking = tokio::spawn(ask(client.clone(), Arc::clone(&over)));
        let mut took = Vec::new();
        for nth in 0..ACTIVATIONS {
            took.push(activate(client, [other, built_in][nth % 2].digest).await);
            tokio::time::sleep(PAUSE).await;
        }
        over.store(true, Ordering::Relaxed);
        print("a request, while versions change", &mut asking.await.expect("nobody to stop it"));
        print("an activation, while requests come", &mut took);
    }
    println!("wanted: an activation below 5 ms, and no pause for requests");
    gateway.stop().await;
}
