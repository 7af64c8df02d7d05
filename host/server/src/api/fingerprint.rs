//! What an idempotency key stands for: a fingerprint of everything that a write says.
//!
//! It is kept in the ledger for a day, so that a retry is recognised as the same write,
//! also after a restart. A secret in a body counts too: somebody who sends another
//! password under the same key must not be told that it was set. But whatever can be
//! compared with a guess can be guessed, and people choose passwords that are guessed
//! quickly. So secrets enter only as a tag (HMAC-SHA-256) under a key that is made anew
//! at each start and is nowhere but in this process: in the ledger, beside the
//! fingerprints, it would serve whoever reads the ledger as well as it serves us, and
//! would undo what the slow hash of passwords is for.
//!
//! What that costs: after a restart, the retry of a write with a secret in it cannot be
//! told from one with another secret. It is refused as another use of the key, rather
//! than answered with “done” for a secret that may not have been set. Such writes say
//! what is to be, so sending one again under a new key does no harm.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use quorate_core::ids::Digest;
use serde_json::Value;
use sha2::Sha256;

use crate::random::{self, NoRandomness};

/// Keys of a body whose values are secrets: texts, or objects of texts.
const SECRET_KEYS: [&str; 4] = ["password", "old", "new", "secrets"];

/// The key under which secrets enter a fingerprint. It does not outlive the process.
pub struct ProcessKey([u8; 64]);

impl ProcessKey {
    /// A new one.
    pub fn make() -> Result<Self, NoRandomness> {
        random::bytes().map(Self)
    }

    fn tag(&self, secrets: &[Value]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new(&self.0.into());
        mac.update(Value::from(secrets).to_string().as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// What stands for a body of JSON: the same for two spellings of one body.
    pub(super) fn body(&self, bytes: &[u8]) -> Digest {
        let Ok(mut body) = serde_json::from_slice::<Value>(bytes) else { return Digest::of(bytes) };
        let mut secrets = Vec::new();
        for key in SECRET_KEYS {
            match body.get_mut(key) {
                Some(Value::Object(named)) => named.values_mut().for_each(|one| take(one, &mut secrets)),
                Some(one) => take(one, &mut secrets),
                None => {}
            }
        }
        let rest = body.to_string();
        if secrets.is_empty() {
            return Digest::of_parts([rest.as_bytes()]);
        }
        Digest::of_parts([rest.as_bytes(), self.tag(&secrets).as_slice()])
    }
}

impl fmt::Debug for ProcessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessKey(..)")
    }
}

/// Takes a secret out and leaves a sign that there was one. Null is none.
fn take(value: &mut Value, secrets: &mut Vec<Value>) {
    if !value.is_null() {
        secrets.push(std::mem::replace(value, Value::Bool(true)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> ProcessKey {
        ProcessKey([byte; 64])
    }

    #[test]
    fn two_spellings_of_one_body_are_the_same() {
        let one = key(1).body(br#"{"password": "hunter2", "email": "a"}"#);
        assert_eq!(one, key(1).body(br#"{ "email":"a", "password":"hunter2" }"#));
        assert_ne!(one, key(1).body(br#"{"password": "hunter2", "email": "b"}"#));
    }

    #[test]
    fn another_secret_makes_another_body() {
        for (one, other) in [
            (r#"{"password": "a"}"#, r#"{"password": "b"}"#),
            (r#"{"password": "a"}"#, r#"{"password": null}"#),
            (r#"{"old": "a", "new": "b"}"#, r#"{"old": "b", "new": "a"}"#),
            (r#"{"secrets": {"A": "x"}}"#, r#"{"secrets": {"A": "y"}}"#),
            (r#"{"secrets": {"A": "x"}}"#, r#"{"secrets": {"A": null}}"#),
            (r#"{"secrets": {"A": "x"}}"#, r#"{"secrets": {"B": "x"}}"#),
            (r#"{"secrets": {"A": "x", "B": "y"}}"#, r#"{"secrets": {"A": "y", "B": "x"}}"#),
        ] {
            assert_ne!(key(1).body(one.as_bytes()), key(1).body(other.as_bytes()), "{one} {other}");
        }
    }

    #[test]
    fn only_what_has_a_secret_in_it_depends_on_the_process() {
        for plain in ["{}", r#"{"secrets": {"A": null}, "password": null}"#, r#"{"reason": "x"}"#, "[]", "{"]
        {
            assert_eq!(key(1).body(plain.as_bytes()), key(2).body(plain.as_bytes()), "{plain}");
        }
        // With the fingerprint alone, nobody can check a guess.
        let secret = br#"{"password": "hunter2"}"#;
        assert_ne!(key(1).body(secret), key(2).body(secret));
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", key(7)), "ProcessKey(..)");
    }
}
