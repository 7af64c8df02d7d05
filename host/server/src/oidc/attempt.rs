//! One try to sign in: begun in a browser, and ended there, once.
//!
//! What belongs to it is in a cookie of that browser, under a tag that only this process can
//! make, so that no number of tries takes memory here. State, nonce and verifier are not even in
//! the cookie: they follow from its seed and the key. What is remembered is which tries ended, as
//! long as their cookies would be good, and at most so many of them.
//!
//! After a restart the key is another, and who was at the provider begins again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use openidconnect::url::form_urlencoded;
use quorate_core::Timestamp;
use quorate_core::ids::Digest;
use quorate_core::request::after;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::agent::Secret;
use crate::random::{self, NoRandomness};

/// How long somebody may take at the provider, in seconds.
pub const SECONDS: u64 = 600;
/// How many ended tries are remembered. Where more end in that time, the one that would be
/// forgotten next is; the provider takes no code twice either.
const ENDED_MAX: usize = 10_000;
/// The longest address to go to afterwards, in bytes; a longer one is not kept.
const NEXT_BYTES_MAX: usize = 1024;
/// The longest cookie that is looked at, in bytes.
const COOKIE_BYTES_MAX: usize = 4096;

/// All tries.
pub(super) struct Attempts {
    key: [u8; 64],
    /// When each that ended would have run out, in milliseconds.
    ended: Mutex<HashMap<String, i64>>,
}

/// One try.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Where to go then; where that is, is for the web app to judge.
    pub next: String,
    /// Says which try the provider answers.
    pub(super) state: Secret,
    /// Says which try a token is for.
    pub(super) nonce: Secret,
    /// Shows that who redeems the code is who asked for it.
    pub(super) verifier: Secret,
}

/// Why a try does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// This browser did not begin it, or before the gateway was started.
    #[error("this browser has not begun to sign in here, or too long ago; begin again")]
    Unknown,
    /// Its time is over.
    #[error("signing in took longer than {} minutes; begin again", SECONDS / 60)]
    Expired,
    /// The answer is for another try.
    #[error("this answer belongs to another try to sign in; begin again")]
    Foreign,
    /// It has ended before.
    #[error("this try to sign in has ended already; begin again")]
    Used,
}

impl Attempts {
    pub(super) fn new() -> Result<Self, NoRandomness> {
        Ok(Self { key: random::bytes()?, ended: Mutex::default() })
    }

    /// Begins one, and gives the cookie for it.
    pub(super) fn begin(&self, next: &str, now: Timestamp) -> Result<(Attempt, Secret), NoRandomness> {
        let next = if next.len() > NEXT_BYTES_MAX { "" } else { next };
        let until = after(now, SECONDS).as_millisecond();
        let seed = random::id()?;
        let tag = self.tag("cookie", &[&until.to_string(), &seed, next]);
        let mut cookie = form_urlencoded::Serializer::new(String::new());
        cookie.append_pair("until", &until.to_string()).append_pair("seed", &seed);
        cookie.append_pair("next", next).append_pair("tag", &tag.to_string());
        Ok((self.attempt(&seed, next), Secret::new(cookie.finish())))
    }

    /// The try that `state` answers, in the browser with this cookie. It does not go on twice.
    pub(super) fn end(&self, cookie: Option<&str>, state: &str, now: Timestamp) -> Result<Attempt, Ended> {
        let cookie = cookie.filter(|cookie| cookie.len() <= COOKIE_BYTES_MAX).ok_or(Ended::Unknown)?;
        let fields: HashMap<_, _> = form_urlencoded::parse(cookie.as_bytes()).collect();
        let field = |name: &str| fields.get(name).map(AsRef::as_ref).ok_or(Ended::Unknown);
        let (until, seed, next) = (field("until")?, field("seed")?, field("next")?);
        let tag = self.tag("cookie", &[until, seed, next]).to_string();
        if !bool::from(tag.as_bytes().ct_eq(field("tag")?.as_bytes())) {
            return Err(Ended::Unknown);
        }
        let until: i64 = until.parse().map_err(|_| Ended::Unknown)?;
        if until <= now.as_millisecond() {
            return Err(Ended::Expired);
        }
        let attempt = self.attempt(seed, next);
        if !bool::from(attempt.state.expose().as_bytes().ct_eq(state.as_bytes())) {
            return Err(Ended::Foreign);
        }
        if self.note_end(seed, until, now.as_millisecond()) { Ok(attempt) } else { Err(Ended::Used) }
    }

    /// Whether it had not ended before.
    fn note_end(&self, seed: &str, until: i64, now: i64) -> bool {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() >= ENDED_MAX {
            ended.retain(|_, until| *until > now);
        }
        if ended.len() >= ENDED_MAX
            && !ended.contains_key(seed)
            && let Some(next) = ended.iter().min_by_key(|(_, until)| **until).map(|(seed, _)| seed.clone())
        {
            ended.remove(&next);
        }
        ended.insert(seed.to_owned(), until).is_none()
    }

    fn attempt(&self, seed: &str, next: &str) -> Attempt {
        let secret = |what: &str| Secret::new(self.tag(what, &[seed]).to_string());
        Attempt {
            next: next.to_owned(),
            state: secret("state"),
            nonce: secret("nonce"),
            verifier: secret("verifier"),
        }
    }

    fn tag(&self, what: &str, parts: &[&str]) -> Digest {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        let parts = std::iter::once(what).chain(parts.iter().copied()).map(str::as_bytes);
        mac.update(Digest::of_parts(parts).as_bytes());
        let tag: [u8; 32] = mac.finalize().into_bytes().into();
        tag.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn begun(attempts: &Attempts, next: &str) -> (String, String) {
        let (attempt, cookie) = attempts.begin(next, NOW).unwrap();
        (cookie.expose().to_owned(), attempt.state.expose().to_owned())
    }

    #[test]
    fn a_try_ends_once_in_the_browser_that_began_it() {
        let attempts = Attempts::new().unwrap();
        let (attempt, cookie) = attempts.begin("/requests?a=ä&b=1", NOW).unwrap();
        let state = attempt.state.expose();
        assert_eq!(attempts.end(None, state, NOW).unwrap_err(), Ended::Unknown);
        let (other, _) = begun(&attempts, "");
        assert_eq!(attempts.end(Some(&other), state, NOW).unwrap_err(), Ended::Foreign);
        let ended = attempts.end(Some(cookie.expose()), state, NOW).unwrap();
        assert_eq!(ended.next, "/requests?a=ä&b=1");
        assert_eq!((&ended.nonce, &ended.verifier), (&attempt.nonce, &attempt.verifier));
        assert_eq!(attempts.end(Some(cookie.expose()), state, NOW).unwrap_err(), Ended::Used);
    }

    #[test]
    fn its_secrets_differ_and_are_not_in_the_cookie() {
        let attempts = Attempts::new().unwrap();
        let (attempt, cookie) = attempts.begin("/", NOW).unwrap();
        let secrets = [&attempt.state, &attempt.nonce, &attempt.verifier].map(Secret::expose);
        assert!(secrets.iter().all(|one| !cookie.expose().contains(one) && one.len() == 64));
        assert!(secrets[0] != secrets[1] && secrets[1] != secrets[2] && secrets[0] != secrets[2]);
        assert_ne!(attempts.begin("/", NOW).unwrap().0.state, attempt.state);
    }

    #[test]
    fn it_does_not_last() {
        let attempts = Attempts::new().unwrap();
        let (cookie, state) = begun(&attempts, "");
        let late = attempts.end(Some(&cookie), &state, after(NOW, SECONDS));
        assert_eq!(late.unwrap_err(), Ended::Expired);
        assert!(attempts.end(Some(&cookie), &state, after(NOW, SECONDS - 1)).is_ok());
    }

    #[test]
    fn a_cookie_that_was_changed_is_none() {
        let attempts = Attempts::new().unwrap();
        let (cookie, state) = begun(&attempts, "/a");
        let longer = cookie.replace("until=", "until=9");
        let elsewhere = cookie.replace("%2Fa", "%2Fb");
        for bad in ["", "until=1", &longer, &elsewhere, &"x".repeat(5000)] {
            assert_eq!(attempts.end(Some(bad), &state, NOW).unwrap_err(), Ended::Unknown, "{bad}");
        }
        let restarted = Attempts::new().unwrap();
        assert_eq!(restarted.end(Some(&cookie), &state, NOW).unwrap_err(), Ended::Unknown);
    }

    #[test]
    fn what_is_remembered_does_not_grow_without_end() {
        let attempts = Attempts::new().unwrap();
        for number in 0..ENDED_MAX + 100 {
            assert!(attempts.note_end(&number.to_string(), 1000, 0));
        }
        assert_eq!(attempts.ended.lock().unwrap().len(), ENDED_MAX);
        assert!(attempts.note_end("later", 3000, 2000));
        assert_eq!(attempts.ended.lock().unwrap().len(), 1);
    }

    #[test]
    fn an_address_that_is_too_long_is_not_kept() {
        let attempts = Attempts::new().unwrap();
        assert_eq!(attempts.begin(&"/a".repeat(600), NOW).unwrap().0.next, "");
    }
}
