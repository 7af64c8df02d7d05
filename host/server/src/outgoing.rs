//! Asking other machines over HTTP: a client that follows no redirect, answers that are bounded
//! in size, and errors that hold no address, which may be a secret.
//!
//! Not here: whom to ask, and how long; callers bound the time.

use reqwest::{Certificate, Client, Response};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// In words, without the address.
    pub why: String,
    /// It could not be reached, or did not answer in time.
    pub hung: bool,
}

/// A client; `tls` where it meets somebody who has to show a certificate.
pub fn client(tls: bool) -> Result<Client, String> {
    let builder = Client::builder()
        // A redirect would carry headers to somebody else.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")));
    // The machine's certificates are only read where somebody needs them.
    let none = std::iter::empty::<Certificate>();
    let builder = if tls { builder } else { builder.tls_certs_only(none) };
    builder.build().map_err(|error| format!("no HTTPS: {error}"))
}

/// The body of an answer, of at most so many bytes.
pub async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, Unanswered> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unanswered(&error))? {
        if bytes.len() + chunk.len() > bytes_max {
            return Err(Unanswered { why: too_large(bytes_max), hung: false });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// That an answer is larger than it may be.
pub fn too_large(bytes_max: usize) -> String {
    format!("its answer is larger than {} KiB", bytes_max >> 10)
}

/// What went wrong on the way.
pub fn unanswered(error: &reqwest::Error) -> Unanswered {
    let mut why = if error.is_connect() { "it cannot be reached" } else { "it does not answer" }.to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        cause = inner.source();
        if cause.is_none() {
            why = format!("{why}: {inner}");
        }
    }
    Unanswered { why, hung: error.is_connect() || error.is_timeout() }
}
