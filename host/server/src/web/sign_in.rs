//! Signing in and out.

use askama::Template;
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use super::oidc::Way;
use super::page::{Frame, Refusal, show};
use super::visitor::{Nothing, Sent, Visitor, forget_session, form, is_ours, signed_in};
use crate::agent::Secret;
use crate::api::{Problem, peer};
use crate::app::App;

/// What the token of a browser is called in the list of one's own.
pub(super) const LABEL: &str = "browser";

#[derive(Deserialize)]
pub(super) struct Next {
    /// Where to go then.
    #[serde(default)]
    pub(super) next: String,
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    #[serde(default)]
    user: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignInPage {
    frame: Frame,
    user: String,
    next: String,
    error: Option<String>,
    /// The provider beside the form.
    way: Option<Way>,
}

/// The form; anybody may see it.
pub(super) async fn page(
    visitor: Result<Visitor, Response>,
    State(app): State<App>,
    Query(Next { next }): Query<Next>,
) -> Response {
    if visitor.is_ok() {
        return Redirect::to(inside(&next)).into_response();
    }
    let way = Way::of(&app, &next);
    let page = SignInPage { frame: Frame::signed_out(), user: String::new(), next, error: None, way };
    show(StatusCode::OK, &page)
}

/// Signs in.
pub(super) async fn sign_in(State(app): State<App>, request: Request) -> Result<Response, Response> {
    is_ours(request.headers()).map_err(|problem| Refusal(problem).into_response())?;
    let peer = peer(request.extensions(), request.headers());
    let SignIn { user, password, next } = form(request, &app).await?;
    match app.identity.log_in(&user, &Secret::new(password), LABEL.to_owned(), peer).await {
        Ok(issued) => Ok(signed_in(&app.config, &issued.text, inside(&next))),
        Err(error) => {
            let (status, _, why) = Problem::from(error).words();
            let way = Way::of(&app, &next);
            let page = SignInPage { frame: Frame::signed_out(), user, next, error: Some(why), way };
            Ok(show(status, &page))
        }
    }
}

/// Signs this browser out.
pub(super) async fn sign_out(
    State(app): State<App>,
    Sent { visitor, form: Nothing {} }: Sent<Nothing>,
) -> Result<Response, Refusal> {
    app.identity.revoke(&visitor.user.id, &visitor.session.token.id, None).await?;
    Ok(signed_out(&app))
}

/// The way to the form, with nothing kept.
pub(super) fn signed_out(app: &App) -> Response {
    let cookie = forget_session(&app.config).map(|cookie| [(header::SET_COOKIE, cookie)]);
    (cookie, Redirect::to("/sign-in")).into_response()
}

/// `next`, where it leads to a page of ours.
pub(super) fn inside(next: &str) -> &str {
    let is_ours = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && !next.chars().any(char::is_control);
    if is_ours { next } else { "/requests" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_nowhere_else() {
        assert_eq!(inside("/requests/abc?x=1"), "/requests/abc?x=1");
        for outside in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "requests", "/a\r\nb"]
        {
            assert_eq!(inside(outside), "/requests", "{outside:?}");
        }
    }
}
