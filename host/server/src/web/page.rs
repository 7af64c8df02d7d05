//! What all pages have in common: the frame around them, and what is shown in the place of one
//! that cannot be.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use quorate_core::user::User;
use serde::Deserialize;

use crate::api::Problem;

/// The frame around a page.
pub(super) struct Frame {
    /// Who looks; nobody is signed in where there is none.
    pub(super) user: Option<String>,
    /// Whether they may read everything.
    pub(super) is_auditor: bool,
    /// Which part of the app it is.
    here: &'static str,
}

impl Frame {
    /// The frame of a page in the part `here`, for `user`.
    pub(super) fn of(user: &User, here: &'static str) -> Self {
        Self { user: Some(user.id.to_string()), is_auditor: user.is_auditor(), here }
    }

    /// The frame for somebody who is not signed in.
    pub(super) fn signed_out() -> Self {
        Self { user: None, is_auditor: false, here: "" }
    }

    /// Whether the page is in this part.
    pub(super) fn is_in(&self, here: &str) -> bool {
        self.here == here
    }
}

/// Says that something cannot be shown or done, and why.
#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage {
    frame: Frame,
    title: String,
    why: String,
}

/// Why there is no page.
pub(super) struct Refusal(pub(super) Problem);

impl<E: Into<Problem>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, title, why) = self.0.words();
        show(status, &RefusalPage { frame: Frame::signed_out(), title, why })
    }
}

/// What takes reading much, made off the threads that answer.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(&error))?
}

/// A page of what was looked for; `error` says where that cannot be looked for.
pub(super) fn show_found(error: Option<&String>, page: &impl Template) -> Response {
    show(if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK }, page)
}

/// What a page is told by the one before it.
#[derive(Deserialize)]
pub(super) struct After {
    /// Whether it was saved just now.
    #[serde(default)]
    pub(super) saved: bool,
}

/// The same, where several things can have been done.
#[derive(Deserialize)]
pub(super) struct Done {
    /// What was done just now; empty: nothing.
    #[serde(default)]
    pub(super) done: String,
}

/// A page under a status.
pub(super) fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be made");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                [(header::CONTENT_TYPE, "text/plain")],
                "this page cannot be made; the gateway's log says why",
            )
                .into_response()
        }
    }
}
