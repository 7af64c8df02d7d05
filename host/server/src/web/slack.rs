//! Saying who one is in Slack, with a link that was given out there, and taking it back.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::page::{Frame, Refusal, show};
use super::visitor::{Nothing, Sent, Visitor};
use crate::api::Problem;
use crate::app::App;
use crate::slack::Said;
use quorate_core::user::SlackUser;

#[derive(Template)]
#[template(path = "slack.html")]
struct SlackPage {
    frame: Frame,
    said: Said,
    /// Who they are there as yet.
    before: Option<SlackUser>,
    wrong: Option<String>,
}

/// Asks whether they are who the link says.
pub(super) async fn page(
    Visitor { user, .. }: Visitor,
    State(app): State<App>,
    Query(said): Query<Said>,
) -> Result<Response, Refusal> {
    who(&app, &said)?;
    let before = user.slack.clone();
    Ok(show(StatusCode::OK, &SlackPage { frame: Frame::of(&user, "account"), said, before, wrong: None }))
}

/// They say so.
pub(super) async fn bind(
    State(app): State<App>,
    Sent { visitor: Visitor { user, .. }, form: said }: Sent<Said>,
) -> Result<Response, Refusal> {
    let slack = who(&app, &said)?;
    match app.lifecycle.bind_slack(&user.id, slack).await {
        Ok(()) => Ok(Redirect::to("/account").into_response()),
        Err(error) => {
            let (status, _, why) = Problem::from(error).words();
            let before = user.slack.clone();
            let frame = Frame::of(&user, "account");
            Ok(show(status, &SlackPage { frame, said, before, wrong: Some(why) }))
        }
    }
}

/// They are nobody there any more.
pub(super) async fn unbind(
    State(app): State<App>,
    Sent { visitor: Visitor { user, .. }, form: Nothing {} }: Sent<Nothing>,
) -> Result<Response, Refusal> {
    if user.slack.is_some() {
        app.lifecycle.unbind_slack(&user.id, &user.id).await?;
    }
    Ok(Redirect::to("/account").into_response())
}

/// Who a link says somebody is.
fn who(app: &App, said: &Said) -> Result<SlackUser, Problem> {
    let none = || Problem::not_found("such address here,", "/account/slack");
    let slack = app.slack.as_ref().ok_or_else(none)?;
    let old = "this link is not good, or not any more: press the button in Slack again for another";
    let read = slack.links.read(said, app.clock.now());
    read.ok_or_else(|| Problem::new(StatusCode::GONE, "link-not-good", old))
}
