//! `kill -9` at any moment: what the gateway has acknowledged is there after a restart, once,
//! and what fell due meanwhile is settled before anything is served.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quorate::clock::Clock;
use quorate_core::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::world::gateway::{Caller, Gateway};
use crate::world::program::{PATIENCE, run};
use crate::world::{Answer, quorum};

const KILLS: usize = 30;
/// One kill in so many hits a gateway that is still starting.
const STARTING: usize = 5;
const PEOPLE: usize = 8;
/// Short, so that requests nobody votes on time out between one start and the next.
const REVIEW_TIMEOUT_SEC: &str = "3";

/// What the gateway has said about one request: it must stay true.
#[derive(Debug, Clone, Default)]
struct Acknowledged {
    id: String,
    /// Who voted.
    votes: Vec<&'static str>,
    /// The window, once approved.
    granted: Option<Value>,
    state: String,
}

/// Everything that was acknowledged, by the key under which it was asked for; the key is the
/// request's reason, too.
#[derive(Clone)]
struct Load {
    caller: Caller,
    acknowledged: Arc<Mutex<BTreeMap<String, Acknowledged>>>,
    /// How many answers there were.
    answers: Arc<watch::Sender<usize>>,
    done: Arc<AtomicBool>,
}

impl Load {
    fn note(&self, key: &str, answer: &Answer) {
        let mut acknowledged = self.acknowledged.lock().unwrap();
        let of = acknowledged.entry(key.to_owned()).or_default();
        assert!(
            of.id.is_empty() || of.id == answer.id(),
            "{key} is two requests: {of:?} and {}",
            answer.body
        );
        of.id = answer.id();
        answer.state().clone_into(&mut of.state);
        of.granted = Some(answer.body["granted"].clone()).filter(Value::is_object);
    }

    /// Sends until it is answered, over any number of crashes, always under the same key.
    async fn insist(&self, who: &str, path: &str, body: &Value, key: &str) -> Answer {
        let until = Instant::now() + PATIENCE;
        loop {
            let sent = self.caller.send(Method::POST, who, path, Some(body.clone()), Some(key)).await;
            if let Ok(answer) = sent {
                self.answers.send_modify(|count| *count += 1);
                return answer;
            }
            assert!(Instant::now() < until, "{key}: no answer within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn ask(&self, key: &str) -> Answer {
        let body = json!({ "resource": "box", "duration": "1h", "reason": key });
        self.insist("ann", "requests", &body, key).await
    }

    /// One person after another who asks and is approved by two; every fourth is forgotten.
    async fn run(self, worker: usize) {
        for round in 0_usize.. {
            if self.done.load(Ordering::Relaxed) {
                return;
            }
            let key = format!("{worker}-{round}");
            let asked = self.ask(&key).await.good();
            self.note(&key, &asked);
            for who in if round % 4 == 3 { [].iter() } else { ["bob", "sam"].iter() } {
                let path = format!("requests/{}/votes", asked.id());
                let voted = self.insist(who, &path, &json!({ "choice": "approve" }), &key).await;
                if voted.status == 409 {
                    // It timed out while the gateway was down.
                    assert_eq!(voted.problem(), "already-decided", "{}", voted.body);
                    break;
                }
                self.note(&key, &voted.good());
                self.acknowledged.lock().unwrap().get_mut(&key).unwrap().votes.push(who);
            }
        }
    }
}

/// Numbers that nobody can foresee, but that can be had again.
struct Chance {
    seed: RandomState,
    drawn: u64,
}

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.drawn += 1;
        self.seed.hash_one(self.drawn) % limit
    }
}

/// All requests, as root sees them.
async fn all(gateway: &Gateway, filter: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = gateway.get("root", &format!("requests?limit=200{filter}{cursor}")).await.body;
        found.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// What was due before the gateway was started is settled when it serves.
async fn nothing_is_overdue(gateway: &Gateway, started: Timestamp) {
    for request in all(gateway, "&state=PENDING").await {
        let closes: Timestamp = request["closes_at"].as_str().unwrap().parse().unwrap();
        assert!(closes > started, "started at {started}, and not settled: {request}");
    }
}

/// Everything acknowledged is there as it was acknowledged, and there once.
fn compare(acknowledged: &BTreeMap<String, Acknowledged>, requests: &[Value]) {
    let mut by_key: BTreeMap<&str, &Value> = BTreeMap::new();
    for request in requests {
        let key = request["reason"].as_str().unwrap();
        let twice = by_key.insert(key, request);
        assert!(twice.is_none(), "{key} is there twice: {request} and {twice:?}");
        let mut voters: Vec<&str> =
            request["votes"].as_array().unwrap().iter().map(|vote| vote["voter"].as_str().unwrap()).collect();
        voters.sort_unstable();
        let count = voters.len();
        voters.dedup();
        assert_eq!(voters.len(), count, "somebody voted twice: {request}");
    }
    for (key, said) in acknowledged {
        let request = by_key.get(&**key).unwrap_or_else(|| panic!("{key} is missing: {said:?}"));
        assert_eq!(request["id"], said.id, "{key}");
        for who in &said.votes {
            let has = request["votes"].as_array().unwrap().iter().any(|vote| vote["voter"] == *who);
            assert!(has, "the vote of {who} is missing: {said:?}, {request}");
        }
        if let Some(granted) = &said.granted {
            assert_eq!((&request["state"], &request["granted"]), (&json!("APPROVED"), granted), "{said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_there_twice_after_thirty_kills_under_load() {
    let mut gateway = Gateway::start(
        &["ann", "bob", "sam"],
        &["--review-timeout-sec", REVIEW_TIMEOUT_SEC, "--pending-requests-max", "10000"],
    )
    .await;
    gateway.put("root", "resources/box", json!({ "kind": "shell", "command": ["sh"] })).await;
    let policies = quorum(&["dba", "security"], true, 1);
    let rule = json!({ "access_type": "just-in-time", "resources": ["box"], "policies": policies });
    gateway.put("root", "rules/box", rule).await;

    let load = Load {
        caller: gateway.caller(),
        acknowledged: Arc::default(),
        answers: Arc::new(watch::Sender::new(0)),
        done: Arc::default(),
    };
    let mut down = Duration::ZERO;
    let people: Vec<_> = (0..PEOPLE).map(|worker| tokio::spawn(load.clone().run(worker))).collect();
    let mut chance = Chance { seed: RandomState::new(), drawn: 0 };
    let mut answers = load.answers.subscribe();
    let clock = Clock::system();
    for kill in 1..=KILLS {
        if kill % STARTING == 0 {
            tokio::time::sleep(Duration::from_millis(chance.below(150))).await;
        } else {
            // Not while nothing happens: after so many more answers, and a moment.
            let enough = *answers.borrow() + usize::try_from(chance.below(20)).unwrap() + 1;
            let patience = tokio::time::timeout(PATIENCE, answers.wait_for(|count| *count >= enough));
            patience.await.expect("the gateway answers nothing").unwrap();
            tokio::time::sleep(Duration::from_micros(chance.below(5000))).await;
        }
        gateway.kill().await;
        let (started, waited) = (clock.now(), Instant::now());
        gateway.begin();
        if (kill + 1) % STARTING != 0 {
            gateway.serves().await;
            down += waited.elapsed();
            nothing_is_overdue(&gateway, started).await;
        }
    }
    load.done.store(true, Ordering::Relaxed);
    for person in people {
        person.await.unwrap();
    }
    gateway.kill().await;
    let started = clock.now();
    gateway.serve().await;
    nothing_is_overdue(&gateway, started).await;

    let acknowledged = load.acknowledged.lock().unwrap().clone();
    let requests = all(&gateway, "").await;
    compare(&acknowledged, &requests);
    let states = |state: &str| requests.iter().filter(|request| request["state"] == state).count();
    let (approved, timed_out) = (states("APPROVED"), states("TIMED_OUT"));
    println!("{} requests, {approved} approved, {timed_out} timed out; down for {down:?}", requests.len());
    assert!(approved >= 10 && timed_out > 0, "too little happened");
    // The same keys still stand for the same requests.
    for (key, said) in acknowledged.iter().rev().take(20) {
        assert_eq!(load.ask(key).await.good().id(), said.id, "{key}");
    }
    assert_eq!(all(&gateway, "").await.len(), requests.len());
    let verified = gateway.at_the_command_line("root").asks(&["audit", "verify"]).await;
    assert_eq!(verified["ok"], true, "{verified}");
    gateway.kill().await;
    let file = gateway.ledger().display().to_string();
    run(&["audit", "verify", "--ledger", &file]).await.with(0);
}
