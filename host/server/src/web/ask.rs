//! Asking for access: the form, and what asking would come to.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use quorate_core::duration::AccessDuration;
use quorate_core::ids::ResourceName;
use quorate_core::input::Command;
use quorate_core::resource::Resource;
use quorate_core::rule::AccessType;
use quorate_core::user::User;
use serde::Deserialize;

use super::page::{Frame, Refusal, show};
use super::visitor::{Sent, Visitor};
use super::words::lines;
use crate::api::Problem;
use crate::app::App;
use crate::lifecycle::{Ask, AskedAccess, Lifecycle, RequestView};

/// What people ask for most.
const DURATIONS: [&str; 6] = ["10m", "30m", "1h", "2h", "8h", "24h"];

/// The form as it was filled in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filled {
    resource: String,
    access_type: String,
    duration: String,
    /// Another than those that are offered.
    own_duration: String,
    command: String,
    /// Further arguments, one on each line.
    arguments: String,
    reason: String,
}

/// What is wrong with what was filled in, beside the field that it is about.
#[derive(Debug, Default)]
struct Wrong {
    resource: Option<String>,
    duration: Option<String>,
    reason: Option<String>,
    /// With none of them.
    all: Option<String>,
}

#[derive(Template)]
#[template(path = "ask.html")]
struct AskPage {
    frame: Frame,
    filled: Filled,
    wrong: Wrong,
    resources: Vec<Resource>,
    preview: Option<RequestView>,
}

/// The form, for whoever is signed in; what can be asked for is theirs.
pub(super) async fn page(
    Visitor { user, .. }: Visitor,
    State(app): State<App>,
    Query(filled): Query<Filled>,
) -> Result<Response, Refusal> {
    Ok(show(StatusCode::OK, &AskPage::of(&app, &user, filled)?))
}

/// The same form, with what asking would come to. Nothing is asked.
pub(super) async fn preview(
    State(app): State<App>,
    Sent { visitor: Visitor { user, .. }, form: filled }: Sent<Filled>,
) -> Result<Response, Refusal> {
    let mut page = AskPage::of(&app, &user, filled)?;
    match page.filled.ask() {
        Ok(ask) => match app.lifecycle.preview(&user.id, ask).await {
            Ok(preview) => page.preview = Some(preview),
            Err(error) => page.wrong = Wrong::of(&error.into()),
        },
        Err(wrong) => page.wrong = wrong,
    }
    Ok(show(StatusCode::OK, &page))
}

/// Asks.
pub(super) async fn submit(
    State(app): State<App>,
    Sent { visitor: Visitor { user, .. }, form: filled }: Sent<Filled>,
) -> Result<Response, Refusal> {
    let mut page = AskPage::of(&app, &user, filled)?;
    let status = match page.filled.ask() {
        Ok(ask) => match app.lifecycle.submit(&user.id, ask, None).await {
            Ok(request) => {
                return Ok(Redirect::to(&format!("/requests/{}", request.id)).into_response());
            }
            Err(error) => {
                let problem = Problem::from(error);
                let status = problem.words().0;
                page.wrong = Wrong::of(&problem);
                status
            }
        },
        Err(wrong) => {
            page.wrong = wrong;
            StatusCode::UNPROCESSABLE_ENTITY
        }
    };
    Ok(show(status, &page))
}

impl AskPage {
    fn of(app: &App, user: &User, filled: Filled) -> Result<Self, Refusal> {
        let rules = app.ledger.rules()?;
        let mut resources = app.ledger.resources()?;
        resources.retain(|resource| Lifecycle::may_ask(resource, &rules, user));
        resources.sort_by(|one, other| one.name.cmp(&other.name));
        let frame = Frame::of(user, "new");
        Ok(Self { frame, filled, wrong: Wrong::default(), resources, preview: None })
    }

    /// How long can be asked for, and what is chosen.
    fn durations(&self) -> impl Iterator<Item = (&'static str, bool)> {
        DURATIONS.iter().map(|one| (*one, *one == self.filled.chosen()))
    }

    fn is_command(&self) -> bool {
        self.filled.access_type == AccessType::Command.to_string()
    }
}

impl Filled {
    /// The duration of those that are offered, where none was chosen the usual one.
    fn chosen(&self) -> &str {
        if self.duration.is_empty() { "30m" } else { &self.duration }
    }

    fn is_own(&self) -> bool {
        self.duration == "own"
    }

    fn ask(&self) -> Result<Ask, Wrong> {
        let mut wrong = Wrong::default();
        let resource: Option<ResourceName> = match self.resource.trim() {
            "" => {
                wrong.resource = Some("say what you want to have access to".to_owned());
                None
            }
            text => text.parse().map_err(|bad| wrong.resource = Some(format!("{bad}"))).ok(),
        };
        let access = if self.access_type == AccessType::Command.to_string() {
            let arguments = lines(&self.arguments);
            let arguments = arguments.lines().map(str::to_owned).filter(|one| !one.is_empty()).collect();
            Some(AskedAccess::Command(Command { text: lines(&self.command), arguments }))
        } else {
            let text = if self.is_own() { self.own_duration.trim() } else { self.chosen() };
            match text.parse::<AccessDuration>() {
                Ok(duration) => Some(AskedAccess::JustInTime(duration)),
                Err(bad) => {
                    wrong.duration = Some(bad.to_string());
                    None
                }
            }
        };
        match (resource, access) {
            (Some(resource), Some(access)) => Ok(Ask { resource, access, reason: lines(&self.reason) }),
            _ => Err(wrong),
        }
    }
}

impl Wrong {
    /// All of it.
    fn any(&self) -> impl Iterator<Item = &String> {
        let Self { resource, duration, reason, all } = self;
        [resource, duration, reason, all].into_iter().flatten()
    }

    fn of(problem: &Problem) -> Self {
        let (_, _, why) = problem.words();
        let why = Some(why);
        match problem.code() {
            "not-found" | "not-covered" | "unsupported-access" => Self { resource: why, ..Self::default() },
            "duration-too-long" => Self { duration: why, ..Self::default() },
            "reason-missing" => Self { reason: why, ..Self::default() },
            _ => Self { all: why, ..Self::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(access_type: &str, duration: &str, own: &str) -> Filled {
        Filled {
            resource: "db".to_owned(),
            access_type: access_type.to_owned(),
            duration: duration.to_owned(),
            own_duration: own.to_owned(),
            command: "select 1;\r\nselect 2;".to_owned(),
            arguments: "--csv\r\n\r\n-A".to_owned(),
            reason: String::new(),
        }
    }

    #[test]
    fn what_is_filled_in_becomes_what_is_asked() {
        let seconds = |filled: Filled| match filled.ask().unwrap().access {
            AskedAccess::JustInTime(duration) => duration.seconds(),
            AskedAccess::Command(_) => 0,
        };
        assert_eq!(seconds(filled("just-in-time", "2h", "")), 7200);
        assert_eq!(seconds(filled("", "", "")), 1800);
        assert_eq!(seconds(filled("just-in-time", "own", " 90m ")), 5400);
        let AskedAccess::Command(command) = filled("command", "", "").ask().unwrap().access else { panic!() };
        assert_eq!(
            (command.text.as_str(), command.arguments.join(",").as_str()),
            ("select 1;\nselect 2;", "--csv,-A")
        );
    }

    #[test]
    fn what_is_wrong_is_said_beside_its_field() {
        let wrong =
            Filled { resource: String::new(), ..filled("just-in-time", "own", "soon") }.ask().unwrap_err();
        assert!(wrong.resource.is_some() && wrong.duration.unwrap().contains("soon"));
        assert!(filled("just-in-time", "own", "").ask().unwrap_err().duration.is_some());
    }
}
