//! A gateway in this process with the real policies, and its clients, who share the
//! machine with it.

use std::time::{Duration, Instant};

use quorate::app::{App, Running};
use quorate::clock::Clock;
use quorate::config::Config;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A gateway that serves, and who is signed in.
pub(crate) struct Gateway {
    running: Running,
    #[allow(dead_code, reason = "not every benchmark looks into it; it is there until the gateway ends")]
    pub(crate) folder: TempDir,
    pub(crate) client: Admin,
}

/// Somebody who may do everything. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Admin {
    http: Client,
    url: String,
    token: String,
}

impl Gateway {
    /// Starts one with a resource `prod`, on which admins may approve themselves or not.
    pub(crate) async fn start(admins_approve_themselves: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data: folder.path().to_owned(),
            pending_requests_max: 100_000,
            ..Config::default()
        };
        let running = App::start(config, Clock::system()).await.expect("a gateway");
        let url = format!("http://{}/api", running.address());
        let mut client = Admin { http: Client::new(), url, token: String::new() };
        let set_up =
            json!({ "setup_token": running.setup_token, "user": "root", "password": "a long password" });
        let signed_in = client.post("setup", &set_up).await;
        signed_in["token"].as_str().expect("a token").clone_into(&mut client.token);
        let gateway = Self { running, folder, client };
        gateway.rule("prod", admins_approve_themselves).await;
        gateway
    }

    /// A resource, and the rule that covers it.
    pub(crate) async fn rule(&self, name: &str, admins_approve_themselves: bool) {
        self.client.put(&format!("resources/{name}"), &json!({ "command": ["true"] })).await;
        let quorum = json!({ "groups": ["dba", "security"], "require_all": true });
        let policies = json!([
            { "policy": "group-quorum", "config": quorum },
            { "policy": "duration-cap", "config": { "max": "8h" } },
            { "policy": "bypass", "config": { "admins_approve_themselves": admins_approve_themselves } },
        ]);
        let rule = json!({ "access_type": "just-in-time", "resources": [name], "policies": policies });
        self.client.put(&format!("rules/{name}"), &rule).await;
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await;
    }
}

impl Admin {
    pub(crate) async fn put(&self, path: &str, body: &Value) {
        let request = self.http.put(format!("{}/{path}", self.url)).bearer_auth(&self.token).json(body);
        done(request.send().await.expect("an answer")).await;
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}/{path}", self.url)).bearer_auth(&self.token).json(body);
        done(request.send().await.expect("an answer")).await
    }

    /// A component under the policy's name, which does not decide yet.
    #[allow(dead_code, reason = "not every benchmark loads policies")]
    pub(crate) async fn load(&self, policy: &str, component: &'static [u8]) {
        let request = self.http.post(format!("{}/policies/{policy}/versions", self.url));
        let answer = request.bearer_auth(&self.token).body(component).send().await.expect("an answer");
        done(answer).await;
    }

    /// Somebody else, with their password.
    #[allow(dead_code, reason = "most benchmarks have one person")]
    pub(crate) async fn signed_in(&self, user: &str, password: &str) -> Self {
        let signed_in = self.post("login", &json!({ "user": user, "password": password })).await;
        let token = signed_in["token"].as_str().expect("a token").to_owned();
        Self { token, ..self.clone() }
    }

    /// A page as a browser gets it.
    #[allow(dead_code, reason = "most benchmarks look at none")]
    pub(crate) async fn page(&self, path: &str) -> String {
        let url = format!("{}{path}", self.url.trim_end_matches("/api"));
        let request = self.http.get(url).header("cookie", format!("quorate={}", self.token));
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.text().await.expect("a page")
    }

    /// Asks for an hour on `resource`: how long it took until that was decided and durable.
    #[allow(dead_code, reason = "not every benchmark measures it")]
    pub(crate) async fn submit(&self, resource: &str) -> Duration {
        let asked = json!({ "resource": resource, "duration": "1h", "reason": "fix invoice 4711" });
        let started = Instant::now();
        self.post("requests", &asked).await;
        started.elapsed()
    }
}

async fn done(answer: Response) -> Value {
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// The value that `percent` of them do not exceed.
pub(crate) fn percentile(took: &mut [Duration], percent: usize) -> Duration {
    took.sort_unstable();
    took[(took.len() * percent / 100).min(took.len() - 1)]
}
