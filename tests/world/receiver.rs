//! Somebody to whom the gateway sends webhooks: keeps what arrives, and answers as it is told to.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::browser::variable;
use super::program::in_time;

/// A message that arrived.
#[derive(Debug, Clone)]
pub struct Message {
    pub headers: HeaderMap,
    pub text: String,
    /// What it was answered.
    pub status: u16,
}

impl Message {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// What happened, and to which request.
    pub fn event(&self) -> (String, String) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let body = self.body();
        (text(&body["type"]), text(&body["data"]["request"]["id"]))
    }

    /// What the specification's own library, in another language, says to it under a key.
    pub async fn verified(&self, key: &str) -> Result<(), String> {
        let module = variable("QUORATE_STANDARD_WEBHOOKS");
        let module = module.expect("`tests/run` fetches standardwebhooks and says where it is");
        let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers: serde_json::Map<String, Value> =
            headers.iter().map(|name| ((*name).to_owned(), json!(self.header(name)))).collect();
        let asked = json!({ "key": key, "headers": headers, "text": self.text });
        let script = format!(
            "const {{ Webhook }} = require({module:?});
             const asked = JSON.parse(require('fs').readFileSync(0, 'utf8'));
             new Webhook(asked.key).verify(asked.text, asked.headers);"
        );
        let mut node = Command::new("node")
            .args(["-e", &script])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = node.stdin.take().unwrap();
        input.write_all(asked.to_string().as_bytes()).await.unwrap();
        drop(input);
        let output = in_time(node.wait_with_output()).await.unwrap();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
    }
}

#[derive(Default)]
struct Kept {
    messages: Vec<Message>,
    /// What is answered from now on; 200 where nothing is said.
    answer: Option<(u16, Vec<(&'static str, String)>)>,
    silent: bool,
}

#[derive(Clone)]
pub struct Receiver {
    pub address: String,
    kept: Arc<Mutex<Kept>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/hook?token=hunter2", listener.local_addr().unwrap());
        let receiver = Self { address, kept: Arc::default() };
        let router = Router::new().route("/hook", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        receiver
    }

    /// What it answers from now on.
    pub fn answers(&self, status: u16, headers: &[(&'static str, &str)]) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.kept.lock().unwrap().answer = Some((status, headers));
    }

    /// It keeps what arrives and says nothing, or does no longer.
    pub fn silent(&self, silent: bool) {
        self.kept.lock().unwrap().silent = silent;
    }

    /// Everything that arrived, in order.
    pub fn messages(&self) -> Vec<Message> {
        self.kept.lock().unwrap().messages.clone()
    }

    /// The events of what arrived and was taken, in order.
    pub fn taken(&self) -> Vec<(String, String)> {
        let messages = self.messages();
        messages.iter().filter(|one| one.status == 200).map(Message::event).collect()
    }

    /// The types of the events, of what was taken.
    pub fn told(&self) -> Vec<String> {
        self.taken().into_iter().map(|(event, _)| event).collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> (StatusCode, HeaderMap) {
    let ((status, given), silent) = {
        let mut kept = receiver.kept.lock().unwrap();
        let answer = kept.answer.clone().unwrap_or((200, Vec::new()));
        let text = String::from_utf8(body.to_vec()).unwrap();
        kept.messages.push(Message { headers, text, status: answer.0 });
        (answer, kept.silent)
    };
    if silent {
        std::future::pending::<()>().await;
    }
    let given = given.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    (StatusCode::from_u16(status).unwrap(), given.collect())
}
