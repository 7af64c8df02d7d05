//! What people see and change of themselves.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use quorate_core::Timestamp;
use quorate_core::duration::AccessDuration;
use quorate_core::user::Token;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::SignedIn;
use super::answer::{NotMade as _, done};
use super::body::{Input, Nothing, Path, secret};
use super::page::Listed;
use super::problem::Problem;
use super::users::UserView;
use crate::agent::Secret;
use crate::app::App;
use crate::identity;

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    /// The one until now.
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String, format = Password)]
    old: Secret,
    /// The one from now on: at least 10 characters.
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String, format = Password)]
    new: Secret,
}

/// A new token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// What to call it.
    label: String,
    /// How long it works, up to `720h`.
    #[schema(value_type = String, example = "720h")]
    expires_in: AccessDuration,
}

/// A token.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenView {
    /// Which.
    id: String,
    /// What its owner calls it.
    label: String,
    /// When it was issued.
    #[schema(value_type = String, format = DateTime)]
    issued_at: Timestamp,
    /// When it stops working.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Its text, only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Whether this request was made with it.
    current: bool,
}

impl TokenView {
    fn of(token: Token, current: &str) -> Self {
        let Token { id, label, issued_at, expires_at, .. } = token;
        Self { current: id == current, id, label, issued_at, expires_at, token: None }
    }
}

/// Who I am
#[utoipa::path(get, path = "/api/me", tag = "people", security(("token" = [])),
    responses((status = 200, body = UserView)))]
pub(super) async fn show(SignedIn { user, .. }: SignedIn) -> Json<UserView> {
    Json(UserView::of(&user))
}

/// Change my password
///
/// All my tokens end with the old one, also that of this request.
#[utoipa::path(post, path = "/api/me/password", tag = "people", security(("token" = [])),
    request_body = NewPassword, responses((status = 204)))]
pub(super) async fn change_password(
    SignedIn { user, peer, .. }: SignedIn,
    State(app): State<App>,
    Input { body, key }: Input<NewPassword>,
) -> Result<Response, Problem> {
    let changed = app.identity.change_password(&user, &body.old, &body.new, peer, key).await;
    Ok(done(changed, |_| Ok(()))?.empty())
}

/// My tokens
///
/// Those that work. All of them are on one page.
#[utoipa::path(get, path = "/api/me/tokens", tag = "people", security(("token" = [])),
    responses((status = 200, body = Listed<TokenView>)))]
pub(super) async fn tokens(
    SignedIn { user, session, .. }: SignedIn,
    State(app): State<App>,
) -> Json<Listed<TokenView>> {
    let now = app.identity.now();
    let valid = user.tokens.into_iter().filter(|token| token.is_valid(now));
    let items: Vec<TokenView> = valid.map(|token| TokenView::of(token, &session.token.id)).collect();
    let total = items.len() as u64;
    Json(Listed { items, next: None, total })
}

/// Make a token
///
/// For programs that act as me. Its text is in this answer and nowhere else: sent again
/// under the same idempotency key, this is a 409 that names the token that was made.
#[utoipa::path(post, path = "/api/me/tokens", tag = "people", security(("token" = [])),
    request_body = NewToken, responses((status = 201, body = TokenView)))]
pub(super) async fn make_token(
    SignedIn { user, session, .. }: SignedIn,
    State(app): State<App>,
    Input { body, key }: Input<NewToken>,
) -> Result<(StatusCode, Json<TokenView>), Problem> {
    let seconds = body.expires_in.seconds();
    let issued = app.identity.issue_once(&user, body.label, seconds, key).await.map_err(shown_once)?;
    let text = issued.text.expose().to_owned();
    let view = TokenView { token: Some(text), ..TokenView::of(issued.token, &session.token.id) };
    Ok((StatusCode::CREATED, Json(view)))
}

/// Take a token of mine back
#[utoipa::path(delete, path = "/api/me/tokens/{id}", tag = "people", security(("token" = [])),
    params(("id" = String, Path, description = "Which")), responses((status = 204)))]
pub(super) async fn revoke_token(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Path(id): Path<String>,
    Input { key, .. }: Input<Nothing>,
) -> Result<Response, Problem> {
    let revoked = app.identity.revoke(&user.id, &id, key).await;
    Ok(done(revoked, |_| Ok(()))?.empty())
}

/// The token was made, and its text cannot be given again.
fn shown_once(error: identity::Error) -> Problem {
    let Some(answers) = error.before() else { return error.into() };
    let id = answers.trim_start_matches("token/");
    let detail = format!(
        "token `{id}` was made by this request before, and its text was in that answer only; where that was lost, \
         take the token back and make another under a new Idempotency-Key"
    );
    Problem::new(StatusCode::CONFLICT, "shown-once", detail)
}
