//! A gateway in this process: real policies, a real ledger in a temporary folder,
//! HTTP on a port of its own, and a clock that is moved by hand.
//!
//! The people are those of every scenario: ann (dev), bob and bea (dba), sam
//! (security), sue (security and dba), eve (sre), root (admin).

use std::collections::BTreeMap;

use quorate::app::{App, Running};
use quorate::clock::{Clock, ManualClock};
use quorate::config::Config;
use quorate_core::Timestamp;
use quorate_core::entry::Actor;
use quorate_core::user::Profile;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// When every world begins: a Monday morning.
pub const START: &str = "2026-03-02T10:00:00Z";

pub const PEOPLE: [(&str, &[&str]); 7] = [
    ("ann", &["dev"]),
    ("bob", &["dba"]),
    ("bea", &["dba"]),
    ("sam", &["security"]),
    ("sue", &["security", "dba"]),
    ("eve", &["sre"]),
    ("root", &["admin"]),
];

pub struct World {
    running: Option<Running>,
    config: Config,
    pub clock: ManualClock,
    tokens: BTreeMap<String, String>,
    http: reqwest::Client,
    folder: TempDir,
}

/// What the gateway answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// The text at a JSON pointer; empty where there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or("")
    }

    /// The code of the problem, such as `own-request`.
    pub fn problem(&self) -> &str {
        self.text("/type").trim_start_matches("/problems/")
    }

    /// The request's state.
    pub fn state(&self) -> &str {
        self.text("/state")
    }

    pub fn id(&self) -> String {
        self.text("/id").to_owned()
    }

    /// Demands success.
    #[track_caller]
    pub fn good(self) -> Self {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    /// A world whose gateway runs with `config`, but on a port and folder of its own.
    pub async fn with(config: Config) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = TempDir::new().unwrap();
        let config = Config { data: folder.path().join("data"), ..config };
        let (clock, hand) = Clock::manual(START.parse().unwrap());
        let config = Config { listen: ([127, 0, 0, 1], 0).into(), ..config };
        let running = App::start(config.clone(), clock).await.unwrap();
        let mut world = Self {
            running: Some(running),
            config,
            clock: hand,
            tokens: BTreeMap::new(),
            http: reqwest::Client::new(),
            folder,
        };
        for (name, groups) in PEOPLE {
            world.person(name, groups).await;
        }
        world
    }

    pub fn app(&self) -> &App {
        self.running.as_ref().unwrap().app()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Where the gateway listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.running.as_ref().unwrap().address())
    }

    pub fn token(&self, who: &str) -> &str {
        &self.tokens[who]
    }

    /// Adds somebody, or puts them into other groups; they are signed in.
    pub async fn person(&mut self, name: &str, groups: &[&str]) {
        let id = name.parse().unwrap();
        let groups = groups.iter().map(|group| group.parse().unwrap()).collect();
        let profile = Profile { email: format!("{name}@example.org"), groups, active: true };
        let user = self.app().lifecycle.save_user(&id, profile, None, Actor::Gateway, None).await.unwrap();
        if !self.tokens.contains_key(name) {
            let issued = self.app().identity.issue(&user, "tests".to_owned(), 30 * 24 * 3600).await.unwrap();
            self.tokens.insert(name.to_owned(), issued.text.expose().to_owned());
        }
    }

    /// Stops the gateway and starts another on the same ledger, `seconds` later.
    pub async fn restart_after(&mut self, seconds: u64) {
        self.restart_at(quorate_core::request::after(self.now(), seconds)).await;
    }

    /// The same, at a time that may lie before.
    pub async fn restart_at(&mut self, at: Timestamp) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        let (clock, hand) = Clock::manual(at);
        self.clock = hand;
        self.running = Some(App::start(self.config.clone(), clock).await.unwrap());
    }

    pub fn now(&self) -> Timestamp {
        self.app().clock.now()
    }

    /// A resource `name` and a just-in-time rule for it with these policies.
    pub async fn resource(&self, name: &str, policies: Value) {
        let resource = json!({ "kind": "shell", "command": ["sh"] });
        self.put("root", &format!("resources/{name}"), resource).await.good();
        for access_type in ["just-in-time", "command"] {
            let rule = json!({ "access_type": access_type, "resources": [name], "policies": policies });
            self.put("root", &format!("rules/{name}-{access_type}"), rule).await.good();
        }
    }

    /// `who` asks for a window on `resource`.
    pub async fn ask(&self, who: &str, resource: &str, duration: &str) -> Answer {
        self.post(who, "requests", json!({ "resource": resource, "duration": duration })).await
    }

    pub async fn vote(&self, who: &str, id: &str, choice: &str) -> Answer {
        self.post(who, &format!("requests/{id}/votes"), json!({ "choice": choice })).await
    }

    pub async fn approve(&self, who: &str, id: &str) -> Answer {
        self.vote(who, id, "approve").await
    }

    pub async fn reject(&self, who: &str, id: &str) -> Answer {
        self.vote(who, id, "reject").await
    }

    pub async fn force(&self, who: &str, id: &str, comment: &str) -> Answer {
        let ballot = json!({ "choice": "approve", "forced": true, "comment": comment });
        self.post(who, &format!("requests/{id}/votes"), ballot).await
    }

    pub async fn revoke(&self, who: &str, id: &str, reason: &str) -> Answer {
        self.post(who, &format!("requests/{id}/revoke"), json!({ "reason": reason })).await
    }

    pub async fn request(&self, id: &str) -> Answer {
        self.get("root", &format!("requests/{id}")).await
    }

    pub async fn get(&self, who: &str, path: &str) -> Answer {
        self.send(Method::GET, who, path, None, None).await
    }

    pub async fn post(&self, who: &str, path: &str, body: Value) -> Answer {
        self.send(Method::POST, who, path, Some(body), None).await
    }

    pub async fn put(&self, who: &str, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, who, path, Some(body), None).await
    }

    pub async fn delete(&self, who: &str, path: &str) -> Answer {
        self.send(Method::DELETE, who, path, None, None).await
    }

    /// Sends a component.
    pub async fn upload(&self, who: &str, path: &str, component: Vec<u8>) -> Answer {
        let request = self.http.post(format!("{}/api/{path}", self.url())).bearer_auth(self.token(who));
        answer(request.header("Content-Type", "application/wasm").body(component)).await
    }

    pub async fn send(
        &self,
        method: Method,
        who: &str,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}/api/{path}", self.url()));
        request = request.bearer_auth(self.token(who));
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        answer(request).await
    }

    /// Looks at `look` until it gives something: for what follows from the ledger a
    /// moment later. Gives up, loudly, after half a minute.
    pub async fn eventually<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(std::time::Instant::now() < until, "{what}: not within half a minute");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Waits until the request is in `state`.
    pub async fn until(&self, id: &str, state: &str) -> Answer {
        self.eventually(&format!("request {id} in state {state}"), async || {
            let answer = self.request(id).await;
            (answer.state() == state).then_some(answer)
        })
        .await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or_else(|_| text()) };
    Answer { status, body }
}

/// A quorum of `groups`, as a rule's list of policies.
pub fn quorum(groups: &[&str], require_all: bool, approvals: u32) -> Value {
    let config = json!({ "groups": groups, "require_all": require_all, "approvals": approvals });
    json!([{ "policy": "group-quorum", "config": config }])
}
