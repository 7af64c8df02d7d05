//! A request from its submission over HTTP to its decision on the disk, alone and with
//! many at once, beside the bare durable `SQLite` transaction that it cannot do
//! without; and what an idle gateway keeps in memory.
//!
//! The gateway runs in this process with the real policies; its clients share the
//! machine with it.

#![allow(clippy::expect_used, reason = "a benchmark stops where it cannot go on")]

use std::time::{Duration, Instant};

use quorate::app::{App, Running};
use quorate::clock::Clock;
use quorate::config::Config;
use reqwest::Client;
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// How often a request is submitted alone.
const ALONE: usize = 500;
/// How many clients there are at once, and how often each submits.
const CROWD: usize = 64;
const EACH: usize = 30;

struct Bench {
    gateway: Running,
    http: Client,
    url: String,
    token: String,
    folder: TempDir,
}

impl Bench {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data: folder.path().to_owned(),
            pending_requests_max: 100_000,
            ..Config::default()
        };
        let gateway = App::start(config, Clock::system()).await.expect("a gateway");
        let http = Client::new();
        let url = format!("http://{}/api", gateway.address());
        let set_up =
            json!({ "setup_token": gateway.setup_token, "user": "root", "password": "a long password" });
        let answer = http.post(format!("{url}/setup")).json(&set_up).send().await.expect("an answer");
        let answer: serde_json::Value = answer.json().await.expect("a document");
        let token = answer["token"].as_str().expect("a token").to_owned();
        let bench = Self { gateway, http, url, token, folder };
        bench.put("resources/prod", json!({ "command": ["true"] })).await;
        let quorum = json!({ "groups": ["dba", "security"], "require_all": true });
        let policies = json!([
            { "policy": "group-quorum", "config": quorum },
            { "policy": "duration-cap", "config": { "max": "8h" } },
            { "policy": "bypass", "config": { "admins_approve_themselves": false } },
        ]);
        let rule = json!({ "access_type": "just-in-time", "resources": ["prod"], "policies": policies });
        bench.put("rules/prod", rule).await;
        bench
    }

    async fn put(&self, path: &str, body: serde_json::Value) {
        let request = self.http.put(format!("{}/{path}", self.url)).bearer_auth(&self.token).json(&body);
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
    }
}

async fn submit(http: &Client, url: &str, token: &str) -> Duration {
    let asked = json!({ "resource": "prod", "duration": "1h", "reason": "fix invoice 4711" });
    let started = Instant::now();
    let request = http.post(format!("{url}/requests")).bearer_auth(token).json(&asked);
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 201);
    answer.bytes().await.expect("a body");
    started.elapsed()
}

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
    median(&mut took)
}

fn median(took: &mut [Duration]) -> Duration {
    took.sort_unstable();
    took[took.len() / 2]
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
    let bench = Bench::start().await;
    println!("idle gateway, with its clients' side: {:.0} MB", resident());
    let floor = bare(&bench.folder);
    let mut took = Vec::new();
    for _ in 0..ALONE {
        took.push(submit(&bench.http, &bench.url, &bench.token).await);
    }
    let alone = median(&mut took);
    let ninety_nine = took[took.len() * 99 / 100];
    let mut crowd = JoinSet::new();
    let started = Instant::now();
    for _ in 0..CROWD {
        let (http, url, token) = (bench.http.clone(), bench.url.clone(), bench.token.clone());
        crowd.spawn(async move {
            for _ in 0..EACH {
                submit(&http, &url, &token).await;
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
    bench.gateway.stop().await;
}
