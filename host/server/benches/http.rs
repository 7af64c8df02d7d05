//! A request from its submission over HTTP to its decision on the disk, alone and with
//! many at once, beside the bare durable `SQLite` transaction that it cannot do
//! without; and what an idle gateway keeps in memory.

#![allow(clippy::expect_used, reason = "a benchmark stops where it cannot go on")]

mod gateway;

use std::time::{Duration, Instant};

use gateway::{Gateway, percentile};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// How often a request is submitted alone.
const ALONE: usize = 500;
/// How many clients there are at once, and how often each submits.
const CROWD: usize = 64;
const EACH: usize = 30;

/// The bare cost: one row of the size of a request's entries, durable, on the same disk.
fn bare(folder: &TempDir) -> Duration {
    let file = Connection::open(folder.path().join("bare.db")).expect("a file");
    file.pragma_update(None, "journal_mode", "WAL").expect("a log");
    file.pragma_update(None, "synchronous", "FULL").expect("durable");
    file.execute_batch("CREATE TABLE rows (seq INTEGER PRIMARY KEY, text TEXT)").expect("a table");
    let mut took: Vec<Duration> = (0..ALONE)
        .map(|_| {
            let started = Instant::now();
            file.execute("INSERT INTO rows (text) VALUES (?1)", ["x".repeat(2000)]).expect("a row");
            started.elapsed()
        })
        .collect();
    percentile(&mut took, 50)
}

/// What the process keeps in memory, in megabytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: f64 =
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0);
    kilobytes / 1024.0
}

#[tokio::main]
async fn main() {
    let gateway = Gateway::start(false).await;
    println!("idle gateway, with its clients' side: {:.0} MB", resident());
    let floor = bare(&gateway.folder);
    let mut took = Vec::new();
    for _ in 0..ALONE {
        took.push(gateway.client.submit("prod").await);
    }
    let (alone, ninety_nine) = (percentile(&mut took, 50), percentile(&mut took, 99));
    let mut crowd = JoinSet::new();
    let started = Instant::now();
    for _ in 0..CROWD {
        let client = gateway.client.clone();
        crowd.spawn(async move {
            for _ in 0..EACH {
                client.submit("prod").await;
            }
        });
    }
    crowd.join_all().await;
    let each = started.elapsed().as_secs_f64() / f64::from(u32::try_from(CROWD * EACH).unwrap_or(1));
    println!("a bare durable transaction: {} µs", floor.as_micros());
    println!(
        "submit → decided → durable over HTTP, alone: median {} µs, p99 {} µs, {:.1} times the bare one",
        alone.as_micros(),
        ninety_nine.as_micros(),
        alone.as_secs_f64() / floor.as_secs_f64(),
    );
    println!(
        "{CROWD} clients at once: {:.0} requests per second, {:.1} times the bare one each",
        1.0 / each,
        each / floor.as_secs_f64(),
    );
    gateway.stop().await;
}
