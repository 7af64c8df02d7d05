//! Signing in with a provider: to it, and back from it.
//!
//! Both ways are plain links and redirects, without a form: a page's policy would not let a form
//! lead elsewhere. What belongs to one try is in a cookie of its own, for a few minutes.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use quorate_core::refused::Refused;

use super::page::{Frame, Refusal, show};
use super::sign_in::{LABEL, Next, inside};
use super::visitor::{self, Visitor, cookie, encoded, forget, keep};
use crate::api::{Problem, peer};
use crate::app::App;
use crate::identity;
use crate::lifecycle;
use crate::oidc::{Answer, Error, Provider, SECONDS};

/// The cookie of a try.
const COOKIE: &str = "quorate-oidc";

/// The way to the provider, as it stands on the sign-in page.
pub(super) struct Way {
    pub(super) label: String,
    pub(super) href: String,
}

impl Way {
    /// The one there is, if there is one; it leads to `next` in the end.
    pub(super) fn of(app: &App, next: &str) -> Option<Self> {
        let provider = app.provider.as_ref()?;
        Some(Self {
            label: provider.label().to_owned(),
            href: format!("/sign-in/oidc?next={}", encoded(next)),
        })
    }
}

#[derive(Template)]
#[template(path = "sign-in-refused.html")]
struct NotSignedIn {
    frame: Frame,
    why: String,
    back: String,
}

/// Sends somebody to the provider.
pub(super) async fn begin(
    visitor: Result<Visitor, Response>,
    State(app): State<App>,
    Query(Next { next }): Query<Next>,
) -> Result<Response, Refusal> {
    let provider = provider(&app)?;
    if visitor.is_ok() {
        return Ok(Redirect::to(inside(&next)).into_response());
    }
    match provider.begin(&next).await {
        Ok((place, text)) => {
            let kept = keep(&app.config, COOKIE, &text, SECONDS).map(|kept| [(header::SET_COOKIE, kept)]);
            Ok((kept, Redirect::to(&place)).into_response())
        }
        Err(error) => Ok(not_begun_or_ended(&error, &next)),
    }
}

/// Takes what the provider says of somebody, once.
pub(super) async fn end(
    State(app): State<App>,
    answer: Result<Query<Answer>, QueryRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    let provider = provider(&app)?;
    let Query(answer) = answer.map_err(|why| Refusal(Problem::bad_request(why.body_text())))?;
    let peer = peer(request.extensions(), request.headers());
    app.identity.take_try(peer)?;
    let mut response = match signed_in(&app, provider, request.headers(), answer, peer).await {
        Ok(response) | Err(response) => response,
    };
    if let Some(gone) = forget(&app.config, COOKIE) {
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    Ok(response)
}

async fn signed_in(
    app: &App,
    provider: &Provider,
    headers: &HeaderMap,
    answer: Answer,
    peer: Option<std::net::IpAddr>,
) -> Result<Response, Response> {
    let attempt = provider.end(cookie(headers, &app.config, COOKIE), &answer);
    let attempt = attempt.map_err(|ended| not_begun_or_ended(&ended.into(), ""))?;
    let vouched = provider.redeem(&attempt, answer).await;
    let vouched = vouched.map_err(|error| not_begun_or_ended(&error, &attempt.next))?;
    let account = vouched.account.clone();
    let issued = app.identity.admit(vouched, LABEL.to_owned(), peer).await.map_err(|error| {
        tracing::warn!(issuer = account.issuer, subject = account.subject, %error, "not let in with a provider");
        let (status, why) = not_let_in(error, provider.label());
        not_signed_in(status, why, &attempt.next)
    })?;
    Ok(visitor::signed_in(&app.config, &issued.text, inside(&attempt.next)))
}

fn provider(app: &App) -> Result<&Provider, Refusal> {
    let provider = app.provider.as_deref();
    provider.ok_or_else(|| Refusal(Problem::not_found("provider to sign in with", "oidc")))
}

fn not_begun_or_ended(error: &Error, next: &str) -> Response {
    let status = match error {
        Error::Ended(_) => StatusCode::BAD_REQUEST,
        Error::Denied { .. } => StatusCode::FORBIDDEN,
        Error::Refused { .. } | Error::Untrusted { .. } => StatusCode::BAD_GATEWAY,
        Error::Unreachable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Error::Failed(error) => {
            let (status, _, why) = Problem::internal(error).words();
            return not_signed_in(status, why, next);
        }
    };
    tracing::warn!(why = error.why(), %error, "nobody was signed in with the provider");
    not_signed_in(status, error.to_string(), next)
}

/// Why somebody for whom the provider vouches does not come in.
fn not_let_in(error: identity::Error, provider: &str) -> (StatusCode, String) {
    let is_last =
        matches!(&error, identity::Error::Change(lifecycle::Error::Refused(Refused::LastAdmin { .. })));
    let (status, _, why) = Problem::from(error).words();
    if is_last {
        return (
            status,
            format!("By the groups that {provider} says you would be no admin any more, but {why}"),
        );
    }
    (status, why)
}

fn not_signed_in(status: StatusCode, why: String, next: &str) -> Response {
    let back = format!("/sign-in?next={}", encoded(next));
    show(status, &NotSignedIn { frame: Frame::signed_out(), why, back })
}
