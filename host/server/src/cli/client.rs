//! The HTTP side: one request, its answer, its problem document.
//!
//! What an answer says is shown only through [`Answer::read`], which cleans every text in it.

use std::fmt::Write as _;
use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::events::Events;
use super::exit::{Exit, Failure};
use super::words;
use crate::random;

const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_mins(1);
/// How long the gateway may take over bytes that are sent to it: a component is compiled first, one in
/// Python for a minute on a busy machine.
const TAKEN_IN: Duration = Duration::from_mins(10);
/// How often a request is sent that did not reach the gateway, and the pause in between.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);
/// The most that is read of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A gateway, as somebody or as nobody.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

/// What the gateway answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer(Value);

/// A query: names and values.
pub(crate) type Query<'a> = Vec<(&'a str, String)>;

impl Answer {
    /// As it came, for programs.
    pub(crate) fn raw(&self) -> &Value {
        &self.0
    }

    /// For people: every text in it cleaned.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_value(words::clean_value(&self.0)).map_err(|error| {
            Failure::failed(format!(
                "the gateway's answer is not understood ({error}): is this program as new as the gateway?"
            ))
        })
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> &[Value] {
        let items = self.0.as_array().or_else(|| self.0.get("items")?.as_array());
        items.map_or(&[], Vec::as_slice)
    }

    /// One of the items, or a part, as an answer of its own.
    pub(crate) fn of(value: Value) -> Self {
        Self(value)
    }
}

/// Reads the address of a gateway.
pub(crate) fn address(text: &str) -> Result<Url, Failure> {
    let shown = words::clean(text);
    let wrong = |why: &str| {
        Failure::usage(format!(
            "`{shown}` is not the address of a gateway ({why}): give it as http://host:8600 or https://host"
        ))
    };
    let mut url = Url::parse(text.trim()).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds a name or password"));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

impl Gateway {
    /// The gateway at `base`.
    pub(crate) fn new(base: Url, token: Option<String>) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            // A redirect would carry what is sent to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::failed(format!("no HTTPS: {}", causes(&error))))?;
        Ok(Self { http, base, token })
    }

    /// Its address, without a slash at the end.
    pub(crate) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The token.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// `/api/` and the segments of `path`, each of them escaped.
    pub(crate) fn url(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // A dot segment would be resolved, and name something else.
            let dots = |part: &&&str| !matches!(**part, "." | "..");
            segments.pop_if_empty().push("api").extend(path.iter().filter(dots));
        }
        for (name, value) in query {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }

    /// Asks for something.
    pub(crate) async fn get(&self, path: &[&str], query: Query<'_>) -> Result<Answer, Failure> {
        self.send(Method::GET, path, &query, Body::Empty).await
    }

    /// Asks for something that need not be there.
    pub(crate) async fn find(&self, path: &[&str]) -> Result<Option<Answer>, Failure> {
        match self.get(path, Vec::new()).await {
            Err(failure) if failure.code() == Some("not-found") => Ok(None),
            other => other.map(Some),
        }
    }

    /// Does something.
    pub(crate) async fn post(&self, path: &[&str], body: Value) -> Result<Answer, Failure> {
        self.send(Method::POST, path, &[], Body::Json(body)).await
    }

    /// Saves something under its name.
    pub(crate) async fn put(&self, path: &[&str], body: Value) -> Result<Answer, Failure> {
        self.send(Method::PUT, path, &[], Body::Json(body)).await
    }

    /// Removes something.
    pub(crate) async fn delete(&self, path: &[&str]) -> Result<Answer, Failure> {
        self.send(Method::DELETE, path, &[], Body::Empty).await
    }

    /// Sends bytes.
    pub(crate) async fn upload(
        &self,
        path: &[&str],
        query: Query<'_>,
        bytes: Vec<u8>,
    ) -> Result<Answer, Failure> {
        self.send(Method::POST, path, &query, Body::Bytes(bytes)).await
    }

    /// A list from its first page on, up to `max` items; and how many there are in all.
    pub(crate) async fn list(
        &self,
        path: &[&str],
        query: Query<'_>,
        max: usize,
    ) -> Result<(Vec<Value>, usize), Failure> {
        let mut items: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.clone();
            query.push(("limit", (max - items.len()).clamp(1, 200).to_string()));
            let before = cursor.take();
            query.extend(before.clone().map(|cursor| ("cursor", cursor)));
            let page = self.get(path, query).await?;
            items.extend_from_slice(page.items());
            let total =
                page.raw().get("total").and_then(Value::as_u64).and_then(|total| total.try_into().ok());
            cursor = page.raw().get("next").and_then(Value::as_str).map(str::to_owned);
            // An empty page with another after it is no end; one that leads nowhere is.
            if cursor.is_none() || items.len() >= max || cursor == before {
                items.truncate(max);
                let total = total.unwrap_or(items.len()).max(items.len());
                return Ok((items, total));
            }
        }
    }

    /// Follows a stream of events.
    pub(crate) async fn events(&self, path: &[&str]) -> Result<Events, Failure> {
        let request = self.request(Method::GET, self.url(path, &[])).header("Accept", "text/event-stream");
        let sent = tokio::time::timeout(ANSWER, request.send()).await;
        let response = sent.map_err(|_| self.silent())?.map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return Err(self.problem(response).await);
        }
        Ok(Events::new(response))
    }

    /// A body that is passed on as it arrives.
    pub(crate) async fn stream(&self, path: &[&str], query: Query<'_>) -> Result<reqwest::Response, Failure> {
        let sent = self.request(Method::GET, self.url(path, &query)).send().await;
        let response = sent.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.problem(response).await) }
    }

    /// Sends a request; one that did not reach the gateway is sent again. A write carries a key
    /// under which the gateway does it once, however often it arrives.
    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Body,
    ) -> Result<Answer, Failure> {
        let url = self.url(path, query);
        let key = if method == Method::GET {
            None
        } else {
            Some(random::id().map_err(|e| Failure::failed(e.to_string()))?)
        };
        let mut pause = PAUSE;
        for attempt in 1.. {
            let patience = if matches!(body, Body::Bytes(_)) { TAKEN_IN } else { ANSWER };
            let mut request = self.request(method.clone(), url.clone()).timeout(patience);
            if let Some(key) = &key {
                request = request.header("Idempotency-Key", key);
            }
            request = match &body {
                Body::Empty => request,
                Body::Json(value) => request.json(value),
                Body::Bytes(bytes) => request.header("Content-Type", "application/wasm").body(bytes.clone()),
            };
            let failure = match request.send().await {
                Ok(response) if response.status().is_success() => return self.answer(response).await,
                Ok(response) => self.problem(response).await,
                Err(error) => self.unreachable(&error),
            };
            let again = failure.exit == Exit::Unreachable || failure.code() == Some("unavailable");
            if !again || attempt >= ATTEMPTS {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            pause *= 3;
        }
        Err(self.silent())
    }

    fn request(&self, method: Method, url: Url) -> reqwest::RequestBuilder {
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn answer(&self, response: reqwest::Response) -> Result<Answer, Failure> {
        let bytes = self.body(response).await?;
        if bytes.is_empty() {
            return Ok(Answer(Value::Null));
        }
        serde_json::from_slice(&bytes).map(Answer).map_err(|_| {
            Failure::failed(format!(
                "{} does not answer like a gateway: is the address right?",
                self.address()
            ))
        })
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Failure::failed("the gateway's answer is too large"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn problem(&self, response: reqwest::Response) -> Failure {
        let status = response.status();
        let header =
            |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(words::clean);
        let (location, later) = (header("Location"), header("Retry-After"));
        let document =
            self.body(response).await.ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let document = document.filter(|document| document.get("type").is_some_and(Value::is_string));
        let mut failure = refusal(status, document, self.address());
        if status.is_redirection() {
            let to = location.unwrap_or_default();
            failure.message =
                format!("{} redirects to {to}: sign in there with `quorate login --url`", self.address());
        }
        if status == StatusCode::TOO_MANY_REQUESTS
            && let Some(seconds) = later
        {
            let _ = write!(failure.message, "; try again in {seconds} s");
        }
        failure
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let why = if error.is_timeout() { "no answer in time".to_owned() } else { causes(error) };
        let message = format!(
            "the gateway at {} cannot be reached ({why}): is it running, and is the address right?",
            self.address()
        );
        Failure::new(Exit::Unreachable, message)
    }

    fn silent(&self) -> Failure {
        Failure::new(Exit::Unreachable, format!("the gateway at {} does not answer", self.address()))
    }
}

enum Body {
    Empty,
    Json(Value),
    Bytes(Vec<u8>),
}

/// What an answer that is no success means.
pub(crate) fn refusal(status: StatusCode, document: Option<Value>, address: &str) -> Failure {
    let text = |name: &str| {
        document.as_ref()?.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let said = text("detail").or_else(|| text("title"));
    let message = match (status, said) {
        (StatusCode::UNAUTHORIZED, _) if document.is_some() && text("detail").is_none() => sign_in(address),
        (StatusCode::UNAUTHORIZED, Some(said)) => format!("{said}: sign in with `quorate login`"),
        (_, Some(said)) => said,
        (status, None) => format!("{address} answers {status}: is that a gateway?"),
    };
    let exit = match status.as_u16() {
        400..500 => Exit::Refused,
        502..=504 if document.is_none() => Exit::Unreachable,
        _ => Exit::Failed,
    };
    Failure { exit, message, problem: document }
}

/// What to do without a token.
pub(crate) fn sign_in(address: &str) -> String {
    format!("you are not signed in at {address}: run `quorate login --url {address}`")
}

/// An error and what caused it, on one line, each said once.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = error.source().or(Some(error));
    while let Some(error) = next {
        let text = error.to_string();
        // Which layer of the client it was says nothing to people.
        if !text.starts_with("client error") && !words.iter().any(|said| said.contains(&text)) {
            words.push(text);
        }
        next = error.source();
    }
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn gateway(base: &str) -> Gateway {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Gateway::new(address(base).unwrap(), None).unwrap()
    }

    #[test]
    fn a_hostile_name_stays_one_segment_of_the_path() {
        let url = |path: &[&str]| gateway("http://g:1/").url(path, &[]).to_string();
        assert_eq!(
            url(&["requests", "../users?x=1#f", "votes"]),
            "http://g:1/api/requests/..%2Fusers%3Fx=1%23f/votes"
        );
        assert_eq!(url(&["users", ".."]), "http://g:1/api/users");
    }

    #[test]
    fn a_gateway_can_live_below_a_path() {
        let query = [("state", "PENDING,APPROVED".to_owned())];
        let url = gateway("https://g/quorate/").url(&["requests"], &query);
        assert_eq!(url.as_str(), "https://g/quorate/api/requests?state=PENDING%2CAPPROVED");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_right_form() {
        for wrong in ["", "localhost:8600", "ftp://g", "http://", "http://ann:pw@g", "g"] {
            let failure = address(wrong).unwrap_err();
            assert!(failure.message.contains("http://host:8600") && failure.exit == Exit::Usage, "{wrong}");
            assert!(!failure.line().contains('\u{1b}'));
        }
    }

    #[test]
    fn a_problem_document_says_what_happened_and_which_exit_code_it_is() {
        let document = json!({"type": "/problems/not-covered", "title": "Not covered", "status": 403, "detail": "no rule covers ann"});
        let failure = refusal(StatusCode::FORBIDDEN, Some(document), "http://g");
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Refused, "no rule covers ann"));
        assert_eq!(failure.code(), Some("not-covered"));
        let failed = refusal(StatusCode::INTERNAL_SERVER_ERROR, None, "http://g");
        assert_eq!(failed.exit, Exit::Failed);
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, None, "http://g").exit, Exit::Unreachable);
    }

    #[test]
    fn without_a_token_the_next_command_is_named() {
        let document =
            json!({"type": "/problems/unauthenticated", "title": "Unauthenticated", "status": 401});
        let failure = refusal(StatusCode::UNAUTHORIZED, Some(document), "http://g");
        assert!(failure.message.contains("quorate login"), "{}", failure.message);
    }

    #[test]
    fn what_is_read_for_people_is_cleaned() {
        let answer = Answer(json!({"id": "a\u{1b}[31m\nb"}));
        let value: Value = answer.read().unwrap();
        assert_eq!(value, json!({"id": "a[31m ⏎ b"}));
    }

    #[tokio::test]
    async fn a_gateway_that_is_not_there_has_its_own_exit_code() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let failure = gateway(&address).get(&["me"], Vec::new()).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.message.contains("is it running"), "{}", failure.message);
    }
}
