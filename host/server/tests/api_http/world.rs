//! A gateway with people, and short ways to talk to it.

use std::collections::BTreeSet;
use std::sync::Mutex;

use quorate::app::{App, Running};
use quorate::clock::{Clock, ManualClock};
use quorate::config::Config;
use quorate_core::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Everybody who is there, with their groups.
const PEOPLE: [(&str, &[&str]); 6] = [
    ("ann", &["dev"]),
    ("bob", &["dba"]),
    ("sam", &["security"]),
    ("sue", &["security", "dba"]),
    ("ivy", &["guests"]),
    ("aud", &["auditor"]),
];

pub(crate) struct World {
    pub(crate) running: Running,
    pub(crate) hand: ManualClock,
    pub(crate) root: String,
    base: String,
    http: Client,
    /// Who has a password: a hash takes long, so people get one when they need it.
    with_password: Mutex<BTreeSet<String>>,
    _folder: tempfile::TempDir,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status, headers, text, json }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What it is, where it is this problem in every respect.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) -> &str {
        assert_eq!(
            (self.status.as_u16(), self.json["type"].as_str().unwrap_or("")),
            (status, &*format!("/problems/{code}")),
            "{self:?}"
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.json["status"], status);
        assert!(!self.json["title"].as_str().unwrap().is_empty());
        self.json["detail"].as_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn assert_ok(&self) -> &Value {
        assert!(self.status.is_success(), "{self:?}");
        &self.json
    }
}

/// A gateway that nobody has set up.
pub(crate) async fn fresh() -> (World, String) {
    fresh_with(Config::default()).await
}

async fn fresh_with(config: Config) -> (World, String) {
    // An error says that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: folder.path().to_owned(),
        // Compiled once for all tests.
        compiled: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/compiled-for-tests").into()),
        ..config
    };
    let start: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
    let (clock, hand) = Clock::manual(start);
    let running = App::start(config, clock).await.unwrap();
    let set_up = running.setup_token.clone().unwrap();
    let base = format!("http://{}", running.address());
    let http = Client::builder().build().unwrap();
    let with_password = Mutex::default();
    (World { running, hand, root: String::new(), base, http, with_password, _folder: folder }, set_up)
}

impl World {
    /// A gateway with people, a resource `prod` that devs can ask for, and a rule:
    /// one of dba and one of security must approve.
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    /// The same, run in another way.
    pub(crate) async fn with(config: Config) -> Self {
        let (mut world, set_up) = fresh_with(config).await;
        let first = json!({"setup_token": set_up, "user": "root", "password": PASSWORD});
        let answer = world.post("/api/setup", "", first).await;
        answer.assert_ok();
        world.root = answer.json["token"].as_str().unwrap().to_owned();
        for (name, groups) in PEOPLE {
            let body = json!({"groups": groups});
            world.put(&format!("/api/users/{name}"), &world.root, body).await.assert_ok();
        }
        let body = json!({"kind": "postgres", "command": ["psql"], "secrets": {"PGPASSWORD": "hunter2"}});
        world.put("/api/resources/prod", &world.root, body).await.assert_ok();
        world.put("/api/rules/prod", &world.root, rule("just-in-time")).await.assert_ok();
        world
    }

    /// The same gateway, stopped and started again.
    pub(crate) async fn restart(mut self) -> Self {
        let config =
            Config { listen: "127.0.0.1:0".parse().unwrap(), ..(*self.running.app().config).clone() };
        let clock = self.running.app().clock.clone();
        self.running.stop().await;
        self.running = App::start(config, clock).await.unwrap();
        self.base = format!("http://{}", self.running.address());
        self.http = Client::builder().build().unwrap();
        self
    }

    pub(crate) fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        if token.is_empty() { request } else { request.bearer_auth(token) }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        Answer::of(self.request(Method::GET, path, token)).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path, token).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, token: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::PUT, path, token).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path, token)).await
    }

    /// A body of any bytes that says it is JSON.
    pub(crate) async fn raw(&self, path: &str, token: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, path, token).header("content-type", "application/json");
        Answer::of(request.body(body)).await
    }

    /// The same write under an idempotency key.
    pub(crate) async fn keyed(
        &self,
        method: Method,
        path: &str,
        token: &str,
        key: &str,
        body: Value,
    ) -> Answer {
        Answer::of(self.request(method, path, token).header("idempotency-key", key).json(&body)).await
    }

    pub(crate) async fn log_in(&self, user: &str) -> String {
        self.give_password(user).await;
        let body = json!({"user": user, "password": PASSWORD});
        let answer = self.post("/api/login", "", body).await;
        answer.assert_ok()["token"].as_str().unwrap().to_owned()
    }

    /// Sees to it that somebody has the usual password.
    pub(crate) async fn give_password(&self, user: &str) {
        if self.with_password.lock().unwrap().insert(user.to_owned()) {
            let body = json!({"password": PASSWORD});
            self.put(&format!("/api/users/{user}"), &self.root, body).await.assert_ok();
        }
    }

    /// A request of somebody for `prod`, by id.
    pub(crate) async fn ask(&self, token: &str) -> String {
        let body = json!({"resource": "prod", "duration": "2h", "reason": "a look"});
        let answer = self.post("/api/requests", token, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.json["id"].as_str().unwrap().to_owned()
    }
}

/// The form of a rule for `prod`.
pub(crate) fn rule(access_type: &str) -> Value {
    json!({
        "access_type": access_type, "resources": ["prod"], "required_groups": ["dev"],
        "approval_groups": ["dba", "security"], "require_all_groups": true,
        "admins_approve_themselves": false,
    })
}
