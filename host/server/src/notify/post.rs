//! Sending something to an address over HTTP.

use std::sync::OnceLock;
use std::time::Duration;

use quorate_core::Timestamp;
use reqwest::header::{self, HeaderMap};
use reqwest::{Client, StatusCode};

use super::Undelivered;
use crate::outgoing;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the rest of an answer may take, which is not needed.
const BODY_PATIENCE: Duration = Duration::from_secs(1);
/// How much of an answer is read: what it says is of no use, but a connection is used again.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// Posts JSON. The machine's certificates are read when the first goes over `https`.
pub(super) struct Post {
    own_network: bool,
    plain: OnceLock<Result<Client, String>>,
    tls: OnceLock<Result<Client, String>>,
}

impl Post {
    pub(super) fn new(own_network: bool) -> Self {
        Self { own_network, plain: OnceLock::new(), tls: OnceLock::new() }
    }

    /// Posts it, once; a redirect is not followed.
    pub(super) async fn send(
        &self,
        address: &str,
        headers: HeaderMap,
        body: String,
        now: Timestamp,
    ) -> Result<(), Undelivered> {
        let url = outgoing::address(address).map_err(str::to_owned)?;
        outgoing::allowed(&url, self.own_network).map_err(str::to_owned)?;
        let is_tls = url.scheme() == "https";
        let client = if is_tls { &self.tls } else { &self.plain };
        let client = client.get_or_init(|| outgoing::public_client(is_tls, self.own_network));
        let client = client.as_ref().map_err(Clone::clone)?;
        let response = client
            .post(url)
            .timeout(PATIENCE)
            .header(header::CONTENT_TYPE, "application/json")
            .headers(headers)
            .body(body)
            .send()
            .await
            .map_err(|error| outgoing::unanswered(&error).why)?;
        let (status, retry_after) = (response.status(), retry_after(response.headers(), now));
        // Whatever it says, and also where that does not end well, or soon.
        let _ = tokio::time::timeout(BODY_PATIENCE, outgoing::body(response, ANSWER_BYTES_MAX)).await;
        if status.is_success() {
            return Ok(());
        }
        let why = if status.is_redirection() {
            format!("it answered {} and wants to be asked elsewhere, which is not done", status.as_u16())
        } else {
            format!("it answered {}", status.as_u16())
        };
        Err(Undelivered { why, retry_after, gone: status == StatusCode::GONE, partly: false })
    }
}

/// How long the receiver wants to be left alone, in seconds: [RFC 9110, section 10.2.3][r].
///
/// [r]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    u64::try_from(at.as_second() - now.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receiver_asks_for_is_seconds_or_a_time() {
        let now: Timestamp = "2026-11-27T10:00:00Z".parse().unwrap();
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked("Fri, 27 Nov 2026 10:01:00 GMT"), Some(60));
        for senseless in ["-1", "soon", "Fri, 27 Nov 2026 09:00:00 GMT", ""] {
            assert_eq!(asked(senseless), None, "{senseless}");
        }
    }
}
