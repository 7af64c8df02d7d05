//! The first start: whoever has the set-up token becomes the first admin.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use quorate_core::ids::UserId;
use quorate_core::refused::Refused;
use serde::Deserialize;

use super::form::Wrong;
use super::page::{Frame, Refusal, show};
use super::visitor::{form, is_ours, signed_in};
use crate::agent::Secret;
use crate::api::peer;
use crate::app::App;
use crate::identity;
use crate::lifecycle;

#[derive(Template)]
#[template(path = "set-up.html")]
struct SetUpPage {
    frame: Frame,
    user: String,
    email: String,
    wrong: Wrong,
}

/// What the form holds. The token and the password are never sent back.
#[derive(Default, Deserialize)]
#[serde(default)]
struct SetUp {
    setup_token: String,
    user: String,
    email: String,
    password: String,
}

/// The form; anybody may see it.
pub(super) async fn page() -> Response {
    let page = SetUpPage {
        frame: Frame::signed_out(),
        user: String::new(),
        email: String::new(),
        wrong: Wrong::default(),
    };
    show(StatusCode::OK, &page)
}

/// Makes the first admin, and signs them in.
pub(super) async fn set_up(State(app): State<App>, request: Request) -> Result<Response, Response> {
    is_ours(request.headers()).map_err(|problem| Refusal(problem).into_response())?;
    let peer = peer(request.extensions(), request.headers());
    let SetUp { setup_token, user, email, password } = form(request, &app).await?;
    let mut wrong = Wrong::default();
    let id: Option<UserId> = wrong.read("user", &user);
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if let Some(id) = id {
        let (token, password) = (Secret::new(setup_token), Secret::new(password));
        match app.identity.set_up(&token, &id, &password, email.clone(), peer).await {
            Ok(issued) => return Ok(signed_in(&app.config, &issued.text, "/resources")),
            Err(error) => {
                let field = match &error {
                    identity::Error::WrongSetUpToken => "setup_token",
                    identity::Error::Change(lifecycle::Error::Refused(Refused::Invalid {
                        what: "password",
                        ..
                    })) => "password",
                    _ => "",
                };
                let (said, _, why) = crate::api::Problem::from(error).words();
                status = said;
                wrong.say(field, why);
            }
        }
    }
    Ok(show(status, &SetUpPage { frame: Frame::signed_out(), user, email, wrong }))
}
