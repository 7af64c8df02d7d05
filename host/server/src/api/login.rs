//! Signing in and out, and the first admin.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use quorate_core::Timestamp;
use quorate_core::ids::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Anonymous, SignedIn};
use super::answer::done;
use super::body::{Input, Nothing, secret};
use super::problem::Problem;
use super::users::UserView;
use crate::agent::Secret;
use crate::app::App;
use crate::identity::Issued;

/// A name and a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// The name.
    user: String,
    /// The password.
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String, format = Password)]
    password: Secret,
    /// What to call the token in the list of one's own.
    #[serde(default)]
    label: String,
}

/// The first admin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetUp {
    /// What the gateway printed when it started.
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String, format = Password)]
    setup_token: Secret,
    /// The name of the first admin.
    #[schema(value_type = String)]
    user: UserId,
    /// Their password: at least 10 characters.
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String, format = Password)]
    password: Secret,
    /// Their address; may be left out.
    #[serde(default)]
    email: String,
}

/// A token. Its text is not seen again.
#[derive(Serialize, ToSchema)]
pub(super) struct LoggedIn {
    /// To be sent as `Authorization: Bearer …`.
    token: String,
    /// When it stops working.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Whose it is.
    user: UserView,
}

impl LoggedIn {
    fn of(issued: &Issued) -> Self {
        Self {
            token: issued.text.expose().to_owned(),
            expires_at: issued.token.expires_at,
            user: UserView::of(&issued.user),
        }
    }
}

/// Sign in
///
/// The token works for 24 hours. Tries are limited by name and by address. An
/// idempotency key is ignored: nobody is signed in yet whose key it could be, and the
/// token's text could not be given a second time. Signing in again makes another token.
#[utoipa::path(post, path = "/api/login", tag = "people", security(()), request_body = Login,
    responses((status = 200, body = LoggedIn)))]
pub(super) async fn log_in(
    Anonymous { peer }: Anonymous,
    State(app): State<App>,
    Input { body, .. }: Input<Login>,
) -> Result<Json<LoggedIn>, Problem> {
    let issued = app.identity.log_in(&body.user, &body.password, body.label, peer).await?;
    Ok(Json(LoggedIn::of(&issued)))
}

/// Create the first admin
///
/// With the token that the gateway prints when it starts and has no admin. It works
/// once, and so needs no idempotency key: sent again, this is a 409, and the admin
/// signs in with the password.
#[utoipa::path(post, path = "/api/setup", tag = "people", security(()), request_body = SetUp,
    responses((status = 200, body = LoggedIn)))]
pub(super) async fn set_up(
    Anonymous { peer }: Anonymous,
    State(app): State<App>,
    Input { body, .. }: Input<SetUp>,
) -> Result<Json<LoggedIn>, Problem> {
    let SetUp { setup_token, user, password, email } = body;
    let issued = app.identity.set_up(&setup_token, &user, &password, email, peer).await?;
    Ok(Json(LoggedIn::of(&issued)))
}

/// Sign out
///
/// The token of this very request stops working; so whoever sends this again gets a
/// 401, and is out.
#[utoipa::path(post, path = "/api/logout", tag = "people", security(("token" = [])),
    responses((status = 204)))]
pub(super) async fn log_out(
    SignedIn { user, session, .. }: SignedIn,
    State(app): State<App>,
    Input { key, .. }: Input<Nothing>,
) -> Result<Response, Problem> {
    // The token is what is to end, and the body does not name it.
    let key = key.map(|key| key.with(&session.token.id));
    let out = app.identity.revoke(&user.id, &session.token.id, key).await;
    Ok(done(out, |_| Ok(()))?.empty())
}
