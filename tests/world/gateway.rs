//! A gateway in a process of its own, which can be killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use super::program::{PATIENCE, Person, in_time, program, signal};
use super::{Answer, PEOPLE, answer, warm};

/// Everybody's password.
const PASSWORD: &str = "correct horse battery";

/// `quorate serve` in a process of its own.
pub struct Gateway {
    child: Option<Child>,
    /// Keeps the pipe open that it prints to.
    printed: Option<BufReader<tokio::process::ChildStdout>>,
    arguments: Vec<String>,
    /// What is in its environment besides.
    environment: Vec<(&'static str, PathBuf)>,
    listen: String,
    tokens: BTreeMap<String, String>,
    http: reqwest::Client,
    folder: TempDir,
}

impl Gateway {
    /// A new one that nobody has set up, and what it says first; `arguments` are those of `serve`.
    pub async fn fresh(arguments: &[&str]) -> (Self, Value) {
        Self::fresh_in(Vec::new(), arguments).await
    }

    async fn fresh_in(environment: Vec<(&'static str, PathBuf)>, arguments: &[&str]) -> (Self, Value) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut gateway = Self {
            child: None,
            printed: None,
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            environment,
            listen: free_address(),
            tokens: BTreeMap::new(),
            http: reqwest::Client::builder().timeout(PATIENCE).build().unwrap(),
            folder: TempDir::new().unwrap(),
        };
        warm(&gateway.folder().join("data/compiled"));
        let said = gateway.serve().await;
        (gateway, said)
    }

    /// A new one, with root and `people` signed in.
    pub async fn start(people: &[&str], arguments: &[&str]) -> Self {
        Self::start_in(Vec::new(), people, arguments).await
    }

    /// The same, with more in its environment.
    pub async fn start_in(
        environment: Vec<(&'static str, PathBuf)>,
        people: &[&str],
        arguments: &[&str],
    ) -> Self {
        let (mut gateway, said) = Self::fresh_in(environment, arguments).await;
        let first = json!({ "setup_token": said["setup_token"], "user": "root", "password": PASSWORD });
        gateway.sign_in("root", "setup", first).await;
        for who in people {
            let (_, groups) = PEOPLE.iter().find(|(name, _)| name == who).unwrap();
            let profile = json!({ "groups": groups, "password": PASSWORD });
            gateway.put("root", &format!("users/{who}"), profile).await;
            gateway.sign_in(who, "login", json!({ "user": who, "password": PASSWORD })).await;
        }
        gateway
    }

    async fn sign_in(&mut self, who: &str, path: &str, body: Value) {
        let request = self.http.post(format!("{}/api/{path}", self.url())).json(&body);
        let token = answer(request).await.good().text("/token").to_owned();
        self.tokens.insert(who.to_owned(), token);
    }

    /// Where it listens; the same after a restart.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn ledger(&self) -> PathBuf {
        self.folder().join("data/ledger.sqlite")
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).unwrap()
    }

    pub fn at_the_command_line(&self, who: &str) -> Person {
        Person::new(self.url(), &self.tokens[who], self.folder().join(who))
    }

    /// Starts the process. It serves when [`Gateway::serves`] returns.
    pub fn begin(&mut self) {
        let data = self.folder().join("data");
        let log = File::options().create(true).append(true).open(self.folder().join("log")).unwrap();
        let mut command = program(&["serve", "--json", "--listen", &self.listen]);
        command.arg("--data").arg(data).args(&self.arguments).stdout(Stdio::piped()).stderr(log);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().unwrap();
        self.printed = child.stdout.take().map(BufReader::new);
        self.child = Some(child);
    }

    /// Waits until it serves; gives what it says then.
    pub async fn serves(&mut self) -> Value {
        let mut line = String::new();
        in_time(self.printed.as_mut().unwrap().read_line(&mut line)).await.unwrap();
        let said: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("it does not serve ({error}): {line}\n{}", self.log()));
        assert_eq!(said["listening"], self.listen);
        said
    }

    /// Starts it and waits until it serves.
    pub async fn serve(&mut self) -> Value {
        self.begin();
        self.serves().await
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.start_kill().unwrap();
        let status = in_time(child.wait()).await.unwrap();
        assert_eq!(status.code(), None, "it had ended by itself ({status}):\n{}", self.log());
    }

    /// Tells it to stop, as a service manager does; gives its exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        signal(child.id(), Signal::TERM);
        in_time(child.wait()).await.unwrap().code()
    }

    pub async fn get(&self, who: &str, path: &str) -> Answer {
        self.send(Method::GET, who, path, None, None).await.unwrap().good()
    }

    pub async fn put(&self, who: &str, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, who, path, Some(body), None).await.unwrap().good()
    }

    pub async fn post(&self, who: &str, path: &str, body: Value) -> Answer {
        self.send(Method::POST, who, path, Some(body), None).await.unwrap().good()
    }

    /// How to talk to it from elsewhere, while it is killed and started here.
    pub fn caller(&self) -> Caller {
        Caller { url: self.url(), tokens: self.tokens.clone(), http: self.http.clone() }
    }

    async fn send(
        &self,
        method: Method,
        who: &str,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Result<Answer, reqwest::Error> {
        self.caller().send(method, who, path, body, key).await
    }
}

/// An address that can be had again after a restart. Its port is below those that the system
/// gives to clients: who tries to reach a gateway that is down must not end up in its place.
pub fn free_address() -> String {
    let chance = RandomState::new();
    let addresses = (0_u64..).map(|nth| format!("127.0.0.1:{}", 20_000 + chance.hash_one(nth) % 12_000));
    let mut free = addresses.filter(|address| std::net::TcpListener::bind(address).is_ok());
    free.next().unwrap()
}

/// Talks to a gateway that may not be there.
#[derive(Clone)]
pub struct Caller {
    url: String,
    tokens: BTreeMap<String, String>,
    http: reqwest::Client,
}

impl Caller {
    /// What the gateway answered, if the whole answer arrived.
    pub async fn send(
        &self,
        method: Method,
        who: &str,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}/api/{path}", self.url));
        request = request.bearer_auth(&self.tokens[who]);
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        Ok(Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }
}
