//! What a caller gets instead of an answer: a problem document (RFC 9457) with a
//! stable `type`.
//!
//! Whatever the caller got wrong is a 4xx that says what would be right. What the
//! machine could not do is a 5xx that says nothing else: the cause is logged here,
//! once, and never sent.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use quorate_core::ids::BadName;
use quorate_core::refused::Refused;
use quorate_policy::LoadError;
use serde::Serialize;

use crate::identity;
use crate::ledger;
use crate::lifecycle;
use crate::random::NoRandomness;

/// The longest detail, in characters: it may quote what the caller sent.
const DETAIL_CHARS_MAX: usize = 2000;

/// The media type of a problem document.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    path: Option<String>,
    retry_after_seconds: Option<u64>,
}

/// A problem document, RFC 9457.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document {
    /// `/problems/` and a stable code.
    #[serde(rename = "type")]
    #[schema(example = "/problems/already-voted")]
    kind: String,
    /// The code, for people.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What was asked and what stood in the way.
    detail: String,
    /// Where in the body, as a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), path: None, retry_after_seconds: None }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    pub(super) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    pub(crate) fn not_found(what: &str, name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("there is no {what} `{name}`"))
    }

    pub(super) fn rate_limited(seconds: u64) -> Self {
        let detail = format!("too many attempts: try again in {seconds} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail).retry_after(seconds)
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(1)
    }

    /// The machine could not. `cause` is for the log only.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(cause = format!("{cause:#}"), "failed");
        Self::crashed()
    }

    /// A handler panicked; that was logged where it happened.
    pub(super) fn crashed() -> Self {
        let detail = "the gateway failed to do this; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// Where in the body it is, as a JSON pointer.
    pub(super) fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// What it is, for programs.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// Its status, and a title and what stood in the way, for people to read.
    pub(crate) fn words(&self) -> (StatusCode, String, String) {
        (self.status, title(self.code), plain(&self.detail))
    }

    pub(super) fn document(&self) -> Document {
        Document {
            kind: format!("/problems/{}", self.code),
            title: title(self.code),
            status: self.status.as_u16(),
            detail: plain(&self.detail),
            path: self.path.clone(),
        }
    }
}

/// `already-voted` as `Already voted`.
fn title(code: &str) -> String {
    let words = code.replace('-', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// `text` without control characters, cut to the longest detail.
pub(super) fn plain(text: &str) -> String {
    let cut = text.chars().take(DETAIL_CHARS_MAX);
    cut.map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.document())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// 422 for what can never be right in the body, 403 for who, 409 for the state, 429 for
/// too much of it.
fn status_of(refused: &Refused) -> StatusCode {
    match refused {
        Refused::TooLong { .. }
        | Refused::Invalid { .. }
        | Refused::BadConfig { .. }
        | Refused::UnsupportedAccess { .. }
        | Refused::DurationTooLong { .. }
        | Refused::ReasonMissing
        | Refused::ForcedRejection
        | Refused::Unknown { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::OwnRequest { .. }
        | Refused::NotEligible { .. }
        | Refused::NotForcer { .. }
        | Refused::OnPageOnly { .. }
        | Refused::NotCovered { .. }
        | Refused::NotRequester
        | Refused::NotRevoker
        | Refused::NotYours
        | Refused::OnlyActivations { .. }
        | Refused::NameTaken { .. }
        | Refused::Inactive { .. } => StatusCode::FORBIDDEN,
        // Without `Retry-After`: nobody knows when people will have decided.
        Refused::TooManyPending { .. } => StatusCode::TOO_MANY_REQUESTS,
        Refused::NoAnswer { .. }
        | Refused::AlreadyVoted { .. }
        | Refused::AlreadyDecided { .. }
        | Refused::AlreadyRun
        | Refused::AlreadyActive { .. }
        | Refused::NotOpen { .. }
        | Refused::NotWhatWasApproved
        | Refused::InUse { .. }
        | Refused::LastAdmin { .. }
        | Refused::NothingBefore { .. }
        | Refused::WrongStage { .. }
        | Refused::ShadowRuns { .. }
        | Refused::NoShadow { .. }
        | Refused::NotShadowed { .. }
        | Refused::TooFewSamples { .. }
        | Refused::Unexplained { .. }
        | Refused::ApprovalNeeded { .. }
        | Refused::ApprovalNotNeeded
        | Refused::NoWayToApprove { .. }
        | Refused::NobodyApproved { .. }
        | Refused::SessionEnded => StatusCode::CONFLICT,
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let problem = Self::new(status_of(&refused), refused.code(), refused.to_string());
        match refused {
            Refused::BadConfig { path, .. } => problem.at(path),
            _ => problem,
        }
    }
}

impl From<BadName> for Problem {
    fn from(bad: BadName) -> Self {
        Self::bad_request(bad.to_string())
    }
}

impl From<lifecycle::Error> for Problem {
    fn from(error: lifecycle::Error) -> Self {
        use lifecycle::Error;
        match error {
            Error::Refused(refused) => refused.into(),
            Error::NotFound { what, name } => Self::not_found(what, &name),
            Error::Load(error) => error.into(),
            // Handlers answer a repetition with what came of it; where one does not,
            // nothing was changed a second time.
            Error::Repeated(answers) => Self::conflict(format!("this was done before, as {answers}")),
            Error::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key-reused",
                "this Idempotency-Key was used for another request, or for one with a password or secret in it before \
                 the gateway was started again; choose a new one",
            ),
            Error::Busy | Error::ShadowBehind => Self::unavailable(error.to_string()),
            Error::Full => Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage-full", error.to_string()),
            Error::Wanting(_) => Self::internal(&error),
            Error::Failed(error) => Self::internal(&format!("{error:#}")),
        }
    }
}

impl From<LoadError> for Problem {
    fn from(error: LoadError) -> Self {
        let status = match &error {
            LoadError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            LoadError::Host(_) => return Self::internal(&error),
            LoadError::Empty
            | LoadError::NotAComponent(_)
            | LoadError::WrongContract(_)
            | LoadError::ForeignImport(_)
            | LoadError::DoesNotCompile(_)
            | LoadError::DoesNotStart(_)
            | LoadError::BadSchema(_)
            | LoadError::BadSignature(_)
            | LoadError::VectorsFail(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, error.code(), format!("this cannot be a policy: {error}"))
    }
}

impl From<ledger::ReadError> for Problem {
    fn from(error: ledger::ReadError) -> Self {
        lifecycle::Error::from(error).into()
    }
}

impl From<identity::Error> for Problem {
    fn from(error: identity::Error) -> Self {
        use identity::Error;
        match error {
            Error::WrongPassword
            | Error::UnknownToken
            | Error::ExpiredToken
            | Error::RevokedToken
            | Error::WrongSetUpToken => Self::unauthenticated(error.to_string()),
            Error::SetUpAlready | Error::TooManyTokens => Self::conflict(error.to_string()),
            Error::TooMany { seconds } => Self::rate_limited(seconds),
            Error::Overloaded => Self::unavailable(error.to_string()),
            Error::Change(error) => error.into(),
            Error::Failed(error) => Self::internal(&format!("{error:#}")),
        }
    }
}

impl From<NoRandomness> for Problem {
    fn from(error: NoRandomness) -> Self {
        Self::internal(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_code_and_its_place() {
        let refused = Refused::BadConfig {
            policy: "group-quorum".into(),
            path: "/policies/0/config/groups".into(),
            why: "name\u{7}one".into(),
        };
        let document = serde_json::to_value(Problem::from(refused).document()).unwrap();
        assert_eq!(document["type"], "/problems/bad-config");
        assert_eq!(document["title"], "Bad config");
        assert_eq!(document["status"], 422);
        assert_eq!(document["path"], "/policies/0/config/groups");
        assert!(!document["detail"].as_str().unwrap().contains('\u{7}'));
    }

    #[test]
    fn the_cause_of_a_failure_is_not_sent() {
        let document = Problem::internal(&"the password is hunter2").document();
        assert!(!serde_json::to_string(&document).unwrap().contains("hunter2"));
    }
}
