//! Slack's own library for Python, as somebody else who knows how Slack works.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::super::browser::variable;
use super::super::program::in_time;
use super::{APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, Slack};

/// What the library makes of blocks: each of them parsed, validated, and written again. An
/// error where it finds fault with one.
pub async fn slack_sdk_reads(blocks: &Value) -> Result<Value, String> {
    let said = ask("reads", blocks).await;
    match said["refused"].as_str() {
        Some(refused) => Err(refused.to_owned()),
        None => Ok(said["blocks"].clone()),
    }
}

/// Whether the library takes a body for one that Slack sent, at a time in seconds.
pub async fn slack_sdk_verifies(body: &str, sent_at: i64, signature: &str, now: i64) -> bool {
    let headers = json!({ "X-Slack-Request-Timestamp": sent_at.to_string(), "X-Slack-Signature": signature });
    let asked = json!({ "secret": SIGNING_SECRET, "now": now, "body": body, "headers": headers });
    ask("verifies", &asked).await.as_bool().unwrap()
}

/// Has the library call methods, each with its arguments, and says what came of each: its HTTP
/// status, headers and answer, or the error that it raised.
pub async fn slack_sdk_calls(slack: &Slack, calls: &[(&str, Value)]) -> Vec<Value> {
    slack_sdk_calls_as(slack, BOT_TOKEN, calls).await
}

/// The same with another token.
pub async fn slack_sdk_calls_as(slack: &Slack, token: &str, calls: &[(&str, Value)]) -> Vec<Value> {
    let asked = json!({ "api": slack.api(), "token": token, "calls": calls });
    ask("calls", &asked).await.as_array().unwrap().clone()
}

/// Has the library say things at a `response_url`, and gives the status and body of each answer.
pub async fn slack_sdk_says_later(url: &str, bodies: &[Value]) -> Value {
    ask("later", &json!({ "url": url, "bodies": bodies })).await
}

async fn ask(mode: &str, what: &Value) -> Value {
    let (mut process, mut said) = start(mode, what).await;
    let line = in_time(said.next_line()).await.unwrap().expect("the script says something");
    assert!(in_time(process.wait()).await.unwrap().success());
    serde_json::from_str(&line).unwrap()
}

async fn start(mode: &str, what: &Value) -> (Child, Lines<BufReader<ChildStdout>>) {
    let library = variable("QUORATE_SLACK_SDK");
    let library = library.expect("`tests/run` fetches slack_sdk and says where it is");
    let mut process = Command::new("python3")
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/world/slack_peer.py"), mode])
        .env("PYTHONPATH", library)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    input.write_all(format!("{what}\n").as_bytes()).await.unwrap();
    // Its input stays open for as long as it is to run.
    if mode == "app" || mode == "socket" {
        tokio::spawn(async move {
            let _open = input;
            std::future::pending::<()>().await;
        });
    }
    let said = BufReader::new(process.stdout.take().unwrap()).lines();
    (process, said)
}

/// An app that is made of the library, and says what it gets.
pub struct PeerApp {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
    /// Where it listens, if it does.
    pub url: String,
}

impl PeerApp {
    /// One that Slack reaches over HTTP. It opens this modal when something is clicked, and
    /// answers commands and submissions with these bodies.
    pub async fn listening(slack: &Slack, modal: Value, command: Value, submission: Value) -> Self {
        let mut asked = json!({ "api": slack.api(), "token": BOT_TOKEN, "secret": SIGNING_SECRET });
        asked["modal"] = modal;
        asked["command"] = command;
        asked["submission"] = submission;
        let mut app = Self::run("app", &asked).await;
        app.next().await["listening"].as_str().unwrap().clone_into(&mut app.url);
        app
    }

    /// One that connects by itself, and acknowledges envelopes with this payload; none where it
    /// is null, and not at all where it is `false`.
    pub async fn connected(slack: &Slack, payload: Value) -> Self {
        let mut asked = json!({ "api": slack.api(), "token": APP_TOKEN });
        asked["payload"] = payload;
        let mut app = Self::run("socket", &asked).await;
        assert_eq!(app.next().await["connected"], true);
        app
    }

    async fn run(mode: &str, asked: &Value) -> Self {
        let (process, said) = start(mode, asked).await;
        Self { process, said, url: String::new() }
    }

    /// What it says next.
    pub async fn next(&mut self) -> Value {
        let line = in_time(self.said.next_line()).await.unwrap().expect("the app goes on");
        serde_json::from_str(&line).unwrap()
    }

    pub async fn stop(mut self) {
        self.process.kill().await.unwrap();
    }
}
