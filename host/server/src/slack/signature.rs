//! Whether something came from Slack, just now: [how it signs what it sends][s].
//!
//! [s]: https://docs.slack.dev/authentication/verifying-requests-from-slack/

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use quorate_core::Timestamp;
use sha2::Sha256;

/// How old, or how far ahead, what is signed may be, in seconds.
const AGE_MAX: i64 = 5 * 60;

/// Whether `body` was signed with `secret` no more than five minutes ago. `timestamp` and
/// `signature` are as Slack sent them.
pub(super) fn is_signed(secret: &str, timestamp: &str, signature: &str, body: &[u8], now: Timestamp) -> bool {
    let Some(seconds) = timestamp.parse::<i64>().ok().filter(|_| timestamp.len() <= 20) else { return false };
    let is_fresh = seconds.checked_sub(now.as_second()).is_some_and(|ahead| ahead.abs() <= AGE_MAX);
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(b"v0:");
    mac.update(timestamp.as_bytes());
    mac.update(b":");
    mac.update(body);
    let given = signature.strip_prefix("v0=").and_then(bytes);
    is_fresh && given.is_some_and(|given| mac.verify_slice(&given).is_ok())
}

/// A code by which we know again what we gave out.
pub(super) fn code(key: &[u8], parts: &[&str]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part.as_bytes());
    }
    let mut text = String::new();
    for byte in mac.finalize().into_bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let digit = |one: &u8| char::from(*one).to_digit(16);
    let pair = |pair: &[u8]| u8::try_from(digit(&pair[0])? * 16 + digit(&pair[1])?).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks_exact(2).map(pair).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in Slack's documentation.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    #[test]
    fn what_slack_signed_is_believed_for_five_minutes() {
        let signed = |timestamp: &str, signature: &str, body: &str, now: i64| {
            is_signed(SECRET, timestamp, signature, body.as_bytes(), Timestamp::from_second(now).unwrap())
        };
        let at = 1_531_420_618;
        assert!(signed("1531420618", SIGNATURE, BODY, at));
        assert!(signed("1531420618", SIGNATURE, BODY, at + 300));
        assert!(!signed("1531420618", SIGNATURE, BODY, at + 301), "a replay");
        assert!(!signed("1531420618", SIGNATURE, BODY, at - 301));
        assert!(!signed("1531420619", SIGNATURE, BODY, at), "another time");
        assert!(!signed("1531420618", SIGNATURE, &BODY.replace("roadrunner", "coyote"), at));
        for (timestamp, signature) in [
            ("", SIGNATURE),
            ("soon", SIGNATURE),
            ("-9223372036854775808", SIGNATURE),
            ("1531420618", ""),
            ("1531420618", "v0="),
            ("1531420618", "v0=a2"),
            ("1531420618", "v0=zz"),
            ("1531420618", "v0=é"),
            ("1531420618", &SIGNATURE[3..]),
        ] {
            assert!(!signed(timestamp, signature, BODY, at), "{timestamp} {signature}");
        }
    }
}
