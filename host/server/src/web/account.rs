//! What people see of themselves: their groups, and where they are signed in.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use quorate_core::refused::Refused;
use quorate_core::user::{SlackUser, Token};
use serde::Deserialize;

use super::form::Wrong;
use super::page::{Frame, Refusal, show};
use super::sign_in::signed_out;
use super::visitor::{Nothing, Sent, Visitor};
use super::words;
use crate::agent::Secret;
use crate::app::App;
use crate::{identity, lifecycle};

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    email: String,
    groups: Vec<String>,
    slack: Option<SlackUser>,
    tokens: Vec<Token>,
    /// The one that this browser holds.
    current: String,
    wrong: Wrong,
}

/// A new password, as the form sends it.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct NewPassword {
    old: String,
    new: String,
    again: String,
}

/// Me.
pub(super) async fn page(visitor: Visitor, State(app): State<App>) -> Response {
    show(StatusCode::OK, &AccountPage::of(&app, visitor, Wrong::default()))
}

impl AccountPage {
    fn of(app: &App, Visitor { user, session, .. }: Visitor, wrong: Wrong) -> Self {
        let now = app.identity.now();
        Self {
            frame: Frame::of(&user, "account"),
            email: user.profile.email,
            groups: user.profile.groups.iter().map(ToString::to_string).collect(),
            slack: user.slack,
            tokens: user.tokens.into_iter().filter(|token| token.is_valid(now)).collect(),
            current: session.token.id,
            wrong,
        }
    }
}

/// Sets another password. All tokens end with the old one, also that of this browser.
pub(super) async fn change_password(
    State(app): State<App>,
    Sent { visitor, form: NewPassword { old, new, again } }: Sent<NewPassword>,
) -> Result<Response, Refusal> {
    let wrong = if new == again {
        let (old, new) = (Secret::new(old), Secret::new(new));
        match app.identity.change_password(&visitor.user, &old, &new, visitor.peer, None).await {
            Ok(()) => return Ok(signed_out(&app)),
            Err(error @ (identity::Error::WrongPassword | identity::Error::TooMany { .. })) => {
                let why = match error {
                    identity::Error::WrongPassword => "this is not your password".to_owned(),
                    error => error.to_string(),
                };
                Wrong::with("old", why)
            }
            Err(identity::Error::Change(lifecycle::Error::Refused(Refused::Invalid { why, .. }))) => {
                Wrong::with("new", why)
            }
            Err(error) => return Err(error.into()),
        }
    } else {
        Wrong::with("again", "this is not the same")
    };
    Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &AccountPage::of(&app, visitor, wrong)))
}

/// Takes back every token, that of this browser last: whoever is cut off in between can go on.
pub(super) async fn sign_out_everywhere(
    State(app): State<App>,
    Sent { visitor, form: Nothing {} }: Sent<Nothing>,
) -> Result<Response, Refusal> {
    let Visitor { user, session, .. } = visitor;
    let now = app.identity.now();
    let mut tokens: Vec<&Token> = user.tokens.iter().filter(|token| token.is_valid(now)).collect();
    tokens.sort_by_key(|token| token.id == session.token.id);
    for token in tokens {
        app.identity.revoke(&user.id, &token.id, None).await?;
    }
    Ok(signed_out(&app))
}
