//! Messages to programs, by the [Standard Webhooks] specification: a JSON body, an id by which a
//! repetition is known, the time of sending, and a signature over the three.
//!
//! [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use quorate_core::Timestamp;
use quorate_core::entry::Happened;
use quorate_core::ids::{ChannelName, Digest};
use reqwest::{Client, StatusCode, header};
use serde_json::json;
use sha2::Sha256;

use super::Undelivered;
use crate::ledger::{Delivery, Sealed};
use crate::lifecycle::{ChannelKeys, NoticeView, RequestView};
use crate::outgoing;
use crate::random::{self, NoRandomness};

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the rest of an answer may take, which is not needed.
const BODY_PATIENCE: Duration = Duration::from_secs(1);
/// How much of an answer is read: what it says is of no use, but a connection is used again.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// A message, ready to be signed and sent.
pub(super) struct Message {
    id: String,
    body: String,
}

impl Message {
    /// What happened, and the request as it is now.
    pub(super) fn about(
        delivery: &Delivery,
        sealed: &Sealed,
        request: &RequestView,
    ) -> serde_json::Result<Self> {
        // The same for every attempt, and for no other entry of no other ledger.
        let parts = [delivery.channel.as_str().as_bytes(), sealed.digest.as_bytes().as_slice()];
        let id = format!("msg_{}", &Digest::of_parts(parts).to_string()[..32]);
        let mut body = json!({
            "type": delivery.event,
            "timestamp": sealed.entry.at,
            "data": {
                "entry": sealed.seq,
                "by": sealed.entry.by.to_string(),
                "request": request,
            },
        });
        if let Happened::RequestReminded { notice } = &sealed.entry.happened {
            body["data"]["notice"] = serde_json::to_value(NoticeView::of(notice))?;
        }
        Ok(Self { id, body: serde_json::to_string(&body)? })
    }

    /// About nothing, to see whether it arrives.
    pub(super) fn test(channel: &ChannelName, now: Timestamp) -> Result<Self, crate::lifecycle::Error> {
        let made = |id: Result<String, NoRandomness>| id.map_err(anyhow::Error::new);
        let body = json!({ "type": "channel.test", "timestamp": now, "data": { "channel": channel } });
        Ok(Self { id: format!("msg_{}", made(random::id())?), body: body.to_string() })
    }
}

/// Sends messages. The machine's certificates are read when the first goes over `https`.
pub(super) struct Webhooks {
    own_network: bool,
    plain: OnceLock<Result<Client, String>>,
    tls: OnceLock<Result<Client, String>>,
}

impl Webhooks {
    pub(super) fn new(own_network: bool) -> Self {
        Self { own_network, plain: OnceLock::new(), tls: OnceLock::new() }
    }

    /// Sends a message, signed with each of `keys`.
    pub(super) async fn send(
        &self,
        address: &str,
        keys: &ChannelKeys,
        message: &Message,
        now: Timestamp,
    ) -> Result<(), Undelivered> {
        let url = outgoing::address(address).map_err(str::to_owned)?;
        if !self.own_network && outgoing::literal(&url).is_some_and(|ip| !outgoing::is_public(ip)) {
            return Err(outgoing::OWN_NETWORK.to_owned().into());
        }
        let is_tls = url.scheme() == "https";
        let client = if is_tls { &self.tls } else { &self.plain };
        let client = client.get_or_init(|| outgoing::public_client(is_tls, self.own_network));
        let client = client.as_ref().map_err(Clone::clone)?;
        let seconds = now.as_second();
        let response = client
            .post(url)
            .timeout(PATIENCE)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signatures(keys, &message.id, seconds, &message.body)?)
            .body(message.body.clone())
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
        Err(Undelivered { why, retry_after, gone: status == StatusCode::GONE })
    }
}

/// A signature for each key, with blanks between them.
fn signatures(keys: &ChannelKeys, id: &str, seconds: i64, body: &str) -> Result<String, String> {
    let sign = |key: &Vec<u8>| {
        let mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| "its key cannot be used".to_owned());
        let mut mac = mac?;
        mac.update(format!("{id}.{seconds}.{body}").as_bytes());
        Ok(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
    };
    Ok(keys.iter().map(sign).collect::<Result<Vec<_>, String>>()?.join(" "))
}

/// How long the receiver wants to be left alone, in seconds: [RFC 9110, section 10.2.3][r].
///
/// [r]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
fn retry_after(headers: &header::HeaderMap, now: Timestamp) -> Option<u64> {
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

    /// The example in the specification's own test suite.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let key = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signatures(
            &vec![key.clone(), key],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        let one = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed.unwrap(), format!("{one} {one}"));
    }

    #[test]
    fn what_a_receiver_asks_for_is_seconds_or_a_time() {
        let now: Timestamp = "2026-11-27T10:00:00Z".parse().unwrap();
        let asked = |text: &str| {
            let mut headers = header::HeaderMap::new();
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
