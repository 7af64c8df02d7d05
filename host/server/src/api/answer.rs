//! What a write answers: the thing as it is now, also where the same write was
//! made before under the same idempotency key.

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::problem::Problem;
use crate::{identity, lifecycle};

/// What came of a write.
pub(super) struct Done<T> {
    pub(super) thing: T,
    replayed: bool,
}

impl<T> Done<T> {
    /// What `shown` makes of it.
    pub(super) fn map<U>(self, shown: impl FnOnce(T) -> U) -> Done<U> {
        Done { thing: shown(self.thing), replayed: self.replayed }
    }

    /// What `shown` makes of it, where that can go wrong.
    pub(super) fn try_map<U>(self, shown: impl FnOnce(T) -> Result<U, Problem>) -> Result<Done<U>, Problem> {
        Ok(Done { thing: shown(self.thing)?, replayed: self.replayed })
    }

    fn mark(&self, mut response: Response) -> Response {
        if self.replayed {
            response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
        }
        response
    }
}

impl<T: Serialize> Done<T> {
    /// With another status than 200.
    pub(super) fn with_status(self, status: StatusCode) -> Response {
        let response = (status, Json(&self.thing)).into_response();
        self.mark(response)
    }
}

impl Done<()> {
    /// Without a body.
    pub(super) fn empty(self) -> Response {
        self.mark(StatusCode::NO_CONTENT.into_response())
    }
}

impl<T: Serialize> IntoResponse for Done<T> {
    fn into_response(self) -> Response {
        self.with_status(StatusCode::OK)
    }
}

/// Why a write was not made now.
pub(super) trait NotMade: Into<Problem> {
    /// What came of it before, as in `request/abc`, where it was made then.
    fn before(&self) -> Option<&str>;
}

impl NotMade for lifecycle::Error {
    fn before(&self) -> Option<&str> {
        if let Self::Repeated(answers) = self { Some(answers) } else { None }
    }
}

impl NotMade for identity::Error {
    fn before(&self) -> Option<&str> {
        if let Self::Change(error) = self { error.before() } else { None }
    }
}

/// What came of a write, now or before: `find` looks up the thing that was named
/// then, as in `request/abc`.
pub(super) fn done<T>(
    result: Result<T, impl NotMade>,
    find: impl FnOnce(&str) -> Result<T, Problem>,
) -> Result<Done<T>, Problem> {
    let error = match result {
        Ok(thing) => return Ok(Done { thing, replayed: false }),
        Err(error) => error,
    };
    let Some(answers) = error.before() else { return Err(error.into()) };
    let name = answers.split_once('/').map_or(answers, |(_, name)| name);
    Ok(Done { thing: find(name)?, replayed: true })
}
