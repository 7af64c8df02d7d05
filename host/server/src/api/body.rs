//! What a caller sends: a body of JSON with known keys, an id in the path, a
//! query; and the key under which a write is done once.
//!
//! Every way in which these can be wrong is a problem document that says where and
//! what would be right.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use quorate_core::ids::{Digest, UserId};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::{Problem, plain};
use crate::agent::Secret;
use crate::app::App;
use crate::lifecycle::Idempotency;

/// The largest body of JSON.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// How long a client may take to send a body.
const RECEIVE_MAX: Duration = Duration::from_mins(2);

/// Where a write carries its idempotency key.
pub(super) const KEY_HEADER: &str = "Idempotency-Key";

/// The longest idempotency key.
pub(super) const KEY_BYTES_MAX: usize = 128;

/// A body of JSON, and the key under which the write is done once.
pub(super) struct Input<T> {
    pub(super) body: T,
    pub(super) key: Option<Idempotency>,
}

/// A body of any bytes up to the limit of its route.
pub(super) struct Raw {
    pub(super) bytes: Bytes,
    pub(super) key: Option<Idempotency>,
}

/// The only body of a write that takes none: `{}`, or nothing at all.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Who the caller turned out to be, for what runs after the role was checked.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) UserId);

impl<T: DeserializeOwned> FromRequest<App> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (sent, bytes) = receive(request, app).await?;
        if bytes.is_empty() {
            return Ok(Self { body: parse(b"{}")?, key: sent.key(|| app.process_key.body(b"{}")) });
        }
        check_content_type(&sent.headers)?;
        let body = parse(&bytes)?;
        Ok(Self { body, key: sent.key(|| app.process_key.body(&bytes)) })
    }
}

impl FromRequest<App> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (sent, bytes) = receive(request, app).await?;
        let key = sent.key(|| Digest::of(&bytes));
        Ok(Self { bytes, key })
    }
}

/// What of a request is left when its body has been read.
struct Sent {
    method: Method,
    path: String,
    headers: HeaderMap,
    /// The idempotency key, and whose it is.
    key: Option<(String, UserId)>,
}

async fn receive(request: Request, app: &App) -> Result<(Sent, Bytes), Problem> {
    let caller = request.extensions().get::<Caller>().cloned();
    let sent = Sent {
        method: request.method().clone(),
        path: request.uri().to_string(),
        headers: request.headers().clone(),
        key: key(request.headers(), caller)?,
    };
    let received = tokio::time::timeout(RECEIVE_MAX, Bytes::from_request(request, app)).await;
    let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body took too long to arrive");
    match received.map_err(late)? {
        Ok(bytes) => Ok((sent, bytes)),
        Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "the body is larger than this route takes",
        )),
        Err(error) => Err(Problem::bad_request(format!("the body cannot be read: {}", error.body_text()))),
    }
}

/// The idempotency key of somebody who is signed in.
fn key(headers: &HeaderMap, caller: Option<Caller>) -> Result<Option<(String, UserId)>, Problem> {
    let (Some(header), Some(Caller(user))) = (headers.get(KEY_HEADER), caller) else { return Ok(None) };
    let text = header.to_str().unwrap_or("");
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > KEY_BYTES_MAX || !visible {
        let detail = format!("{KEY_HEADER}: give 1 to {KEY_BYTES_MAX} visible ASCII characters");
        return Err(Problem::bad_request(detail));
    }
    Ok(Some((text.to_owned(), user)))
}

impl Sent {
    /// The key, with a fingerprint of everything it stands for.
    fn key(self, body: impl FnOnce() -> Digest) -> Option<Idempotency> {
        let (key, user) = self.key?;
        let body = body();
        let parts: [&[u8]; 4] = [
            self.method.as_str().as_bytes(),
            self.path.as_bytes(),
            user.as_str().as_bytes(),
            body.as_bytes(),
        ];
        Some(Idempotency { user: user.to_string(), key, fingerprint: Digest::of_parts(parts) })
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = given.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = match given {
        "" => "say `Content-Type: application/json`".to_owned(),
        given => format!("`{given}` is not understood here: send `Content-Type: application/json`"),
    };
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail))
}

/// Reads JSON, or says where it is wrong.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let wrong = |error: &serde_json::Error, path: String| {
        let text = explain(&error.to_string());
        let problem = Problem::bad_request(text);
        if path.is_empty() { problem } else { problem.at(path) }
    };
    let body = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| wrong(error.inner(), pointer(error.path())))?;
    json.end().map_err(|error| wrong(&error, String::new()))?;
    Ok(body)
}

/// A path as a JSON pointer.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&plain(key).replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => {}
        }
    }
    pointer
}

/// The parser's words, with the nearest valid name after an unknown one.
fn explain(error: &str) -> String {
    let (Some((given, rest)), Some((_, names))) = (
        error.strip_prefix("unknown field `").and_then(|rest| rest.rsplit_once("`, expected ")),
        error.rsplit_once("`, expected "),
    ) else {
        return error.to_owned();
    };
    let names = names.split('`').skip(1).step_by(2);
    let near = names.map(|name| (strsim::damerau_levenshtein(given, name), name)).min();
    match near {
        Some((distance, name)) if distance <= 3.max(name.len() / 2) && given.len() <= 64 => {
            format!("unknown key `{given}`: did you mean `{name}`? Expected {rest}")
        }
        _ => format!("unknown key `{given}`: expected {rest}"),
    }
}

/// Reads a secret; what was there instead of a text is not repeated.
pub(super) fn secret<'de, D: serde::Deserializer<'de>>(json: D) -> Result<Secret, D::Error> {
    match serde::Deserialize::deserialize(json)? {
        Value::String(text) => Ok(Secret::new(text)),
        _ => Err(serde::de::Error::custom("a text is expected here")),
    }
}

/// Like [`secret`]; null is none.
pub(super) fn maybe_secret<'de, D: serde::Deserializer<'de>>(json: D) -> Result<Option<Secret>, D::Error> {
    match serde::Deserialize::deserialize(json)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(Secret::new(text))),
        _ => Err(serde::de::Error::custom("a text is expected here")),
    }
}

/// What stands in the path for `{name}`, or two of them.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, app).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::bad_request(format!("the path is wrong: {}", error.body_text()))),
        }
    }
}

/// What stands behind the question mark.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, app).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(error) => {
                let text = error.body_text();
                let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                let text = text.split_once("unknown field").map_or(text, |(_, rest)| rest);
                let text =
                    if text.starts_with(" `") { format!("unknown field{text}") } else { text.to_owned() };
                Err(Problem::bad_request(format!("the query is wrong: {}", explain(&text))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only its name counts")]
        resource: Option<String>,
        #[expect(dead_code, reason = "only its name counts")]
        inner: Option<Vec<Inner>>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its name counts")]
        config: Option<u8>,
    }

    fn wrong(json: &str) -> Value {
        serde_json::to_value(parse::<Sample>(json.as_bytes()).unwrap_err().document()).unwrap()
    }

    #[test]
    fn an_unknown_key_names_the_nearest_valid_one_and_its_place() {
        let document = wrong(r#"{"inner": [{}, {"confg": 1}]}"#);
        assert!(document["detail"].as_str().unwrap().contains("did you mean `config`?"), "{document}");
        assert_eq!(document["path"], "/inner/1/confg");
        let document = wrong(r#"{"`, expected `x`": 1}"#);
        assert!(document["detail"].as_str().unwrap().starts_with("unknown key"), "{document}");
    }

    #[test]
    fn bad_json_says_where() {
        let document = wrong("{\"resource\": \n  nope}");
        assert!(document["detail"].as_str().unwrap().contains("line 2"), "{document}");
        assert!(wrong("{} {}")["detail"].as_str().unwrap().contains("trailing"));
        assert_eq!(wrong(r#"{"inner": [{"config": 300}]}"#)["path"], "/inner/0/config");
    }
}
