//! What the gateway answered, and what it tells as things change.

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::program::PATIENCE;

/// What the gateway answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
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

    /// The list at a JSON pointer.
    #[track_caller]
    pub fn list(&self, pointer: &str) -> &[Value] {
        let list = self.body.pointer(pointer).and_then(Value::as_array);
        list.unwrap_or_else(|| panic!("no list at {pointer} of {}", self.body))
    }

    /// The texts at `field` of everything in the list at `pointer`.
    #[track_caller]
    pub fn texts(&self, pointer: &str, field: &str) -> Vec<&str> {
        self.list(pointer).iter().map(|one| one[field].as_str().unwrap_or("")).collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The request's state.
    pub fn state(&self) -> &str {
        self.text("/state")
    }

    pub fn id(&self) -> String {
        self.text("/id").to_owned()
    }

    /// Demands this refusal, and gives its words.
    #[track_caller]
    pub fn refused(&self, status: u16, problem: &str) -> &str {
        assert_eq!((self.status, self.problem()), (status, problem), "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let detail = self.text("/detail");
        assert!(!detail.is_empty() && !detail.contains(char::is_control), "{detail:?}");
        detail
    }

    /// Demands success.
    #[track_caller]
    pub fn good(self) -> Self {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self
    }
}

/// Server-sent events, as they come.
pub struct Events {
    pub(super) response: reqwest::Response,
    pub(super) text: String,
}

impl Events {
    /// The next request that is told; none where the stream has ended.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let data = event.lines().find_map(|line| line.strip_prefix("data:"));
                if let Some(data) = data {
                    return Some(serde_json::from_str(data).unwrap());
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.expect("nothing was told in time").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).unwrap_or_else(|_| text())
    };
    Answer { status, headers, body }
}
