//! A gateway in this process: real policies, a real ledger in a temporary folder,
//! HTTP on a port of its own, and a clock that is moved by hand.
//!
//! The people are those of every scenario: ann (dev), bob and bea (dba), sam
//! (security), sue (security and dba), eve (sre), root (admin).

mod answer;
pub mod browser;
pub mod disk;
pub mod gateway;
pub mod hearers;
pub mod in_slack;
mod node;
pub mod postbox;
pub mod program;
pub mod provider;
pub mod receiver;
pub mod slack;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use quorate::app::{App, Running};
use quorate::clock::{Clock, ManualClock};
use quorate::config::Config;
use quorate_core::Timestamp;
use quorate_core::entry::Actor;
use quorate_core::user::Profile;
use quorate_policy::{Limits, Runtime};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use self::answer::{Answer, Events, answer};
use self::program::PATIENCE;

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

impl World {
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    /// A world whose gateway runs with `config`, but on a port and folder of its own.
    pub async fn with(config: Config) -> Self {
        Self::peopled(config, TempDir::new().unwrap(), START.parse().unwrap()).await
    }

    /// The same, beginning now: for what others measure by a clock of their own.
    pub async fn today(config: Config) -> Self {
        Self::peopled(config, TempDir::new().unwrap(), Clock::system().now()).await
    }

    /// The same in a folder of the test's choice.
    pub async fn inside(folder: TempDir) -> Self {
        Self::peopled(Config::default(), folder, START.parse().unwrap()).await
    }

    async fn peopled(config: Config, folder: TempDir, start: Timestamp) -> Self {
        let mut world = Self::begin(config, folder, start).await;
        for (name, groups) in PEOPLE {
            world.person(name, groups).await;
        }
        world
    }

    /// A gateway that nobody has set up.
    pub async fn empty(config: Config) -> Self {
        Self::begin(config, TempDir::new().unwrap(), START.parse().unwrap()).await
    }

    async fn begin(config: Config, folder: TempDir, start: Timestamp) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Config { data: folder.path().join("data"), ..config };
        let (clock, hand) = Clock::manual(start);
        let config = Config { listen: ([127, 0, 0, 1], 0).into(), ..config };
        warm(&config.compiled());
        let running = App::start(config.clone(), clock).await.unwrap();
        Self { running: Some(running), config, clock: hand, tokens: BTreeMap::new(), http: client(), folder }
    }

    /// What the first admin is made with.
    pub fn setup_token(&self) -> Option<&str> {
        self.running.as_ref().unwrap().setup_token.as_deref()
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
        self.stop().await;
        self.start_at(at).await.unwrap();
    }

    /// How it runs after the next start.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
    }

    /// Stops the gateway; its folder stays.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// Starts it again.
    pub async fn start_at(&mut self, at: Timestamp) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let (clock, hand) = Clock::manual(at);
            self.clock = hand;
            match App::start(self.config.clone(), clock).await {
                Ok(running) => {
                    self.running = Some(running);
                    return Ok(());
                }
                // A thread of the gateway before is about to let go of it.
                Err(error) if format!("{error:#}").contains("in use") && Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Stops the gateway for good. Whatever happened, its ledger verifies: every entry
    /// is what was written, and every view what the entries say.
    pub async fn finish(mut self) {
        let ledger = self.app().ledger.clone();
        let verified = tokio::task::spawn_blocking(move || ledger.verify()).await.unwrap();
        assert!(verified.unwrap().entries > 0);
        self.stop().await;
    }

    pub fn now(&self) -> Timestamp {
        self.app().clock.now()
    }

    /// A resource `name` and a just-in-time rule for it with these policies.
    pub async fn resource(&self, name: &str, policies: Value) {
        self.bare_resource(name, json!({})).await;
        for access_type in ["just-in-time", "command"] {
            let rule = json!({ "access_type": access_type, "resources": [name], "policies": policies });
            self.rule(&format!("{name}-{access_type}"), rule).await.good();
        }
    }

    /// A resource `name` that no rule covers, with `more` settings.
    pub async fn bare_resource(&self, name: &str, more: Value) {
        let mut resource = json!({ "kind": "shell", "command": ["sh"] });
        resource.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.put("root", &format!("resources/{name}"), resource).await.good();
    }

    pub async fn rule(&self, name: &str, rule: Value) -> Answer {
        self.put("root", &format!("rules/{name}"), rule).await
    }

    /// Loads a component under a policy's name, and lets it decide.
    pub async fn activate(&self, policy: &str, component: &[u8]) -> Answer {
        self.upload("root", &format!("policies/{policy}/versions?activate=true"), component.to_vec()).await
    }

    /// What the ledger says of a request: type and all that belongs to it.
    pub async fn entries(&self, id: &str) -> Vec<Value> {
        let answer = self.get("root", &format!("requests/{id}/entries?limit=200")).await.good();
        answer.list("/items").iter().map(|item| item["entry"].clone()).collect()
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

    /// `who` asks to run a command with this input once.
    pub async fn ask_command(&self, who: &str, resource: &str, text: &str) -> Answer {
        self.post(who, "requests", json!({ "resource": resource, "command": { "text": text } })).await
    }

    pub async fn cancel(&self, who: &str, id: &str) -> Answer {
        self.post(who, &format!("requests/{id}/cancel"), json!({})).await
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

    /// Sends a body that may be anything, with a token that may be anything.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self.http.request(method, format!("{}{path}", self.url())).bearer_auth(token);
        answer(request.header("Content-Type", "application/json").body(body)).await
    }

    /// What somebody's browser is shown there.
    pub async fn seen(&self, who: &str, path: &str) -> (StatusCode, String) {
        let request = self.http.get(format!("{}{path}", self.url()));
        shown(request.header("cookie", format!("quorate={}", self.token(who)))).await
    }

    /// What somebody's browser is shown when it sends a form, whose values need no encoding.
    pub async fn sent(&self, who: &str, path: &str, fields: &[(&str, &str)]) -> (StatusCode, String) {
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.http.post(format!("{}{path}", self.url())).body(body.join("&"));
        let request = request.header("cookie", format!("quorate={}", self.token(who)));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        shown(request.header("sec-fetch-site", "same-origin")).await
    }

    /// What is told of changes at `path`, as it is told.
    pub async fn watch(&self, who: &str, path: &str) -> Events {
        let request = self.http.get(format!("{}/api/{path}", self.url())).bearer_auth(self.token(who));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        Events { response, text: String::new() }
    }

    /// Looks at `look` until it gives something: for what follows from the ledger a
    /// moment later. Gives up, loudly, after [`PATIENCE`].
    pub async fn eventually<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
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

/// A quorum of `groups`, as a rule's list of policies.
pub fn quorum(groups: &[&str], require_all: bool, approvals: u32) -> Value {
    let config = json!({ "groups": groups, "require_all": require_all, "approvals": approvals });
    json!([{ "policy": "group-quorum", "config": config }])
}

/// The same policies and one more.
pub fn and(mut policies: Value, policy: &str, config: Value) -> Value {
    let mut used = json!({ "policy": policy });
    used["config"] = config;
    policies.as_array_mut().unwrap().push(used);
    policies
}

/// A just-in-time rule for `resource`.
pub fn just_in_time(resource: &str, policies: Value) -> Value {
    let mut rule = json!({ "access_type": "just-in-time", "resources": [resource] });
    rule["policies"] = policies;
    rule
}

/// A component of this workspace.
pub fn component(name: &str) -> &'static [u8] {
    let all = quorate_bundle::BUILT_IN.iter().chain(quorate_bundle::EXAMPLES);
    let mut all = all.chain(quorate_bundle::PROBES);
    all.find(|bundled| bundled.name == name).unwrap().component
}

/// The same component with a note in it that changes nothing but its digest.
pub fn noted(component: &[u8], note: &str) -> Vec<u8> {
    let name = "note";
    // The id of a custom section, then lengths that fit into one byte each.
    let bytes = u8::try_from(1 + name.len() + note.len()).unwrap();
    assert!(bytes < 128);
    let mut noted = component.to_vec();
    noted.extend([0, bytes, u8::try_from(name.len()).unwrap()]);
    noted.extend(name.bytes().chain(note.bytes()));
    noted
}

async fn shown(request: reqwest::RequestBuilder) -> (StatusCode, String) {
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// A client that does not read the machine's certificates: everything here is on this
/// machine, without them.
fn client() -> reqwest::Client {
    let none = std::iter::empty::<reqwest::Certificate>();
    reqwest::Client::builder().tls_certs_only(none).no_proxy().redirect(Policy::none()).build().unwrap()
}

/// Puts the compiled built-in policies into `folder`, so that each of many gateways
/// does not compile them again.
fn warm(folder: &Path) {
    static COMPILED: OnceLock<Vec<(OsString, Vec<u8>)>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let cache = folder.path().join("compiled");
        let runtime = Runtime::new(Limits::default(), Some(cache.clone())).unwrap();
        for bundled in quorate_bundle::BUILT_IN {
            runtime.load(bundled.component).unwrap();
        }
        let files = std::fs::read_dir(cache).unwrap().map(Result::unwrap);
        files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect()
    });
    DirBuilder::new().recursive(true).mode(0o700).create(folder).unwrap();
    for (name, bytes) in compiled {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(folder.join(name)).unwrap();
        file.write_all(bytes).unwrap();
    }
}
