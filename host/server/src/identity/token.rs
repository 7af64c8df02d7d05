//! Tokens: `qrt_`, then the secret. Only its digest is kept.

use quorate_core::ids::Digest;

use crate::agent::Secret;
use crate::random::{self, NoRandomness};

/// What every token begins with, so that a leaked one can be recognised.
const PREFIX: &str = "qrt_";

/// The longest text that is looked at.
const BYTES_MAX: usize = 128;

/// A new token.
pub(super) fn make() -> Result<Secret, NoRandomness> {
    Ok(Secret::new(format!("{PREFIX}{}", random::secret()?)))
}

/// What is kept of a token; none where the text cannot be one. A plain digest is
/// enough: nobody guesses 260 random bits.
pub(super) fn digest(text: &str) -> Option<Digest> {
    let plain = text.len() <= BYTES_MAX && text.starts_with(PREFIX);
    plain.then(|| Digest::of(text.as_bytes()))
}
