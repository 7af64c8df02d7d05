//! What people see of themselves: their groups, and where they are signed in.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use quorate_core::user::Token;

use super::page::{Frame, Refusal, show};
use super::sign_in::signed_out;
use super::visitor::{Nothing, Sent, Visitor};
use super::words;
use crate::app::App;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    email: String,
    groups: Vec<String>,
    tokens: Vec<Token>,
    /// The one that this browser holds.
    current: String,
}

/// Me.
pub(super) async fn page(Visitor { user, session }: Visitor, State(app): State<App>) -> Response {
    let now = app.identity.now();
    let page = AccountPage {
        frame: Frame::of(&user, "account"),
        email: user.profile.email,
        groups: user.profile.groups.iter().map(ToString::to_string).collect(),
        tokens: user.tokens.into_iter().filter(|token| token.is_valid(now)).collect(),
        current: session.token.id,
    };
    show(StatusCode::OK, &page)
}

/// Takes back every token, that of this browser last: whoever is cut off in between can go on.
pub(super) async fn sign_out_everywhere(
    State(app): State<App>,
    Sent { visitor, form: Nothing {} }: Sent<Nothing>,
) -> Result<Response, Refusal> {
    let Visitor { user, session } = visitor;
    let now = app.identity.now();
    let mut tokens: Vec<&Token> = user.tokens.iter().filter(|token| token.is_valid(now)).collect();
    tokens.sort_by_key(|token| token.id == session.token.id);
    for token in tokens {
        app.identity.revoke(&user.id, &token.id, None).await?;
    }
    Ok(signed_out(&app))
}
