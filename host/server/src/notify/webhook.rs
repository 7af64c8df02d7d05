//! Messages to programs, by the [Standard Webhooks] specification: a JSON body, an id by which a
//! repetition is known, the time of sending, and a signature over the three.
//!
//! [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use quorate_core::Timestamp;
use quorate_core::entry::Happened;
use quorate_core::ids::{ChannelName, Digest};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use sha2::Sha256;

use super::News;
use crate::lifecycle::{ChannelKeys, NoticeView};
use crate::random::{self, NoRandomness};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// A message, ready to be signed and sent.
pub(super) struct Message {
    id: String,
    body: String,
}

impl Message {
    /// What happened, and the request as it is now.
    pub(super) fn about(news: &News) -> serde_json::Result<Self> {
        let News { delivery, sealed, view: request, .. } = news;
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

    /// Its headers, signed with each of `keys`, and its body.
    pub(super) fn signed(self, keys: &ChannelKeys, now: Timestamp) -> Result<(HeaderMap, String), String> {
        let seconds = now.as_second();
        let signed = signatures(keys, &self.id, seconds, &self.body)?;
        let mut headers = HeaderMap::from_iter([(TIMESTAMP, HeaderValue::from(seconds))]);
        for (name, text) in [(ID, self.id), (SIGNATURE, signed)] {
            headers.insert(name, text.parse().map_err(|_| "it cannot be signed".to_owned())?);
        }
        Ok((headers, self.body))
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
}
