//! The pages of the web app over 100,000 requests, of which a hundredth waits: how long one takes
//! to be made and sent, and how much it weighs with everything that it loads.

#![allow(
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a benchmark stops where it cannot go on, and rounds"
)]

mod gateway;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gateway::{Gateway, percentile};
use serde_json::json;
use tokio::task::JoinSet;

/// How many requests there are, how many are made at once, and how many of them wait in the end:
/// one in so many.
const REQUESTS: usize = 100_000;
const CROWD: usize = 64;
const WAITING_ONE_IN: usize = 100;
/// How often a page is asked for.
const LOOKS: usize = 50;

#[tokio::main]
async fn main() {
    let gateway = Gateway::start(false).await;
    let root = gateway.client.clone();
    root.put("users/bob", &json!({ "groups": ["dba"], "password": "a long password" })).await;
    let bob = root.signed_in("bob", "a long password").await;
    let started = Instant::now();
    let mut crowd = JoinSet::new();
    for first in 0..CROWD {
        let root = root.clone();
        crowd.spawn(async move {
            for nth in (first..REQUESTS).step_by(CROWD) {
                let reason = format!("fix invoice {nth}");
                let asked = json!({ "resource": "prod", "duration": "1h", "reason": reason });
                let made = root.post("requests", &asked).await;
                if nth % WAITING_ONE_IN != 0 {
                    let id = made["id"].as_str().unwrap_or_default();
                    root.post(&format!("requests/{id}/cancel"), &json!({})).await;
                }
            }
        });
    }
    crowd.join_all().await;
    println!("{REQUESTS} requests made in {:.0} s", started.elapsed().as_secs_f64());

    let next = root.page("/requests?inbox=all").await;
    let cursor = next.split("cursor=").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let pages = [
        ("all", &root, "/requests?inbox=all".to_owned()),
        ("all, the second page", &root, format!("/requests?inbox=all&cursor={cursor}")),
        ("all that wait", &root, "/requests?inbox=all&state=PENDING".to_owned()),
        ("all with a word", &root, "/requests?inbox=all&text=4711".to_owned()),
        ("mine", &root, "/requests?inbox=mine".to_owned()),
        ("waiting for somebody", &bob, "/requests?inbox=waiting".to_owned()),
    ];
    for (name, who, path) in pages {
        let (mut took, mut bytes) = (Vec::new(), 0);
        for _ in 0..LOOKS {
            let looked = Instant::now();
            bytes = who.page(&path).await.len();
            took.push(looked.elapsed());
        }
        let ms = |took: Duration| took.as_secs_f64() * 1000.0;
        println!(
            "{name}: median {:.1} ms, p99 {:.1} ms, {:.0} kB",
            ms(percentile(&mut took, 50)),
            ms(percentile(&mut took, 99)),
            bytes as f64 / 1000.0,
        );
    }
    let places: BTreeSet<&str> = next.split('"').filter(|text| text.starts_with("/assets/")).collect();
    let mut assets = 0;
    for place in places {
        assets += root.page(place).await.len();
    }
    println!("what a page loads besides: {:.0} kB", assets as f64 / 1000.0);
    gateway.stop().await;
}
