//! Resource roles: what can be asked for, and what runs behind it.
//!
//! The values of secrets are typed here and never shown again, also where the rest of the form
//! is.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use quorate_core::duration::AccessDuration;
use quorate_core::entry::Actor;
use quorate_core::ids::ResourceName;
use quorate_core::refused::Refused;
use quorate_core::resource::Resource;
use quorate_core::rule::AccessType;
use quorate_core::user::User;

use super::form::{Fields, Picker, Wrong, known_groups, nobody_was_first, pairs_text};
use super::page::{After, Frame, Refusal, show};
use super::visitor::{Admin, Auditor, Nothing, Sent};
use super::words::names;
use crate::api::Problem;
use crate::app::App;
use crate::lifecycle::Error;

/// A resource in the list.
struct Row {
    resource: Resource,
    /// The rules that cover it.
    rules: Vec<String>,
}

#[derive(Template)]
#[template(path = "resources.html")]
struct ResourcesPage {
    frame: Frame,
    can_edit: bool,
    rows: Vec<Row>,
}

/// The form as it is filled in, without the values of secrets.
#[derive(Debug, Clone, Default)]
struct Filled {
    /// The resource that is changed; empty for a new one.
    editing: String,
    /// As it was when the form was opened.
    revision: u64,
    name: String,
    kind: String,
    agent: String,
    command: String,
    /// Each secret that is there, and whether it stays.
    secrets: Vec<(String, bool)>,
    new_secrets: Vec<String>,
    attributes: String,
    access_types: BTreeSet<String>,
    max_duration: String,
    standing_groups: BTreeSet<String>,
    plugins: String,
}

/// The values of secrets, where they are not to be kept.
type Values = BTreeMap<String, Option<String>>;

#[derive(Template)]
#[template(path = "resource.html")]
struct ResourcePage {
    frame: Frame,
    can_edit: bool,
    is_saved: bool,
    filled: Filled,
    wrong: Wrong,
    standing: Picker,
    rules: Vec<String>,
}

/// All resources.
pub(super) async fn list(Auditor(user): Auditor, State(app): State<App>) -> Result<Response, Refusal> {
    let rules = app.ledger.rules()?;
    let mut resources = app.ledger.resources()?;
    resources.sort_by(|one, other| one.name.cmp(&other.name));
    let row = |resource: Resource| {
        let covering = rules.iter().filter(|rule| rule.covers_resource(&resource, rule.access_type));
        Row { rules: covering.map(|rule| rule.name.to_string()).collect(), resource }
    };
    let rows = resources.into_iter().map(row).collect();
    let page = ResourcesPage { frame: Frame::of(&user, "resources"), can_edit: user.is_admin(), rows };
    Ok(show(StatusCode::OK, &page))
}

/// The form for a new resource.
pub(super) async fn blank(Admin(user): Admin, State(app): State<App>) -> Result<Response, Refusal> {
    let both = [AccessType::JustInTime, AccessType::Command];
    let filled = Filled {
        agent: "default".to_owned(),
        access_types: both.iter().map(ToString::to_string).collect(),
        ..Filled::default()
    };
    Ok(show(StatusCode::OK, &ResourcePage::of(&app, &user, filled, Wrong::default())?))
}

/// The form with a resource in it.
pub(super) async fn page(
    Auditor(user): Auditor,
    State(app): State<App>,
    Path(name): Path<ResourceName>,
    Query(After { saved }): Query<After>,
) -> Result<Response, Refusal> {
    let resource = app.ledger.resource(&name)?;
    let resource = resource.ok_or_else(|| Problem::not_found("resource", name.as_str()))?;
    let page = ResourcePage::of(&app, &user, Filled::of(&resource), Wrong::default())?;
    Ok(show(StatusCode::OK, &ResourcePage { is_saved: saved, ..page }))
}

/// Saves it.
pub(super) async fn save(
    State(app): State<App>,
    Sent { visitor: Admin(user), form }: Sent<Fields, Admin>,
) -> Result<Response, Refusal> {
    let filled = Filled::sent(&form);
    let mut wrong = Wrong::default();
    let values = secrets(&form, &mut wrong);
    let resource = filled.resource(&values, &mut wrong);
    if let (Some(resource), true) = (resource, wrong.is_empty()) {
        let there = app.ledger.resource(&resource.name)?.map(|there| there.revision);
        wrong =
            nobody_was_first(("resource", &filled.name), filled.editing.is_empty(), filled.revision, there);
        if wrong.is_empty() {
            let name = resource.name.clone();
            let by = Actor::User(user.id.clone());
            match app.lifecycle.save_resource(resource, values, by, None).await {
                Ok(_) => return Ok(Redirect::to(&format!("/resources/{name}?saved=true")).into_response()),
                Err(error) => wrong = refused(error)?,
            }
        }
    }
    Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &ResourcePage::of(&app, &user, filled, wrong)?))
}

/// Removes it, where nothing depends on it any more.
pub(super) async fn remove(
    State(app): State<App>,
    Path(name): Path<ResourceName>,
    Sent { visitor: Admin(user), form: Nothing {} }: Sent<Nothing, Admin>,
) -> Result<Response, Refusal> {
    match app.lifecycle.remove_resource(&name, Actor::User(user.id.clone()), None).await {
        Ok(()) => Ok(Redirect::to("/resources").into_response()),
        Err(Error::Refused(why)) => {
            let resource = app.ledger.resource(&name)?;
            let resource = resource.ok_or_else(|| Problem::not_found("resource", name.as_str()))?;
            let wrong = Wrong::with("remove", why.to_string());
            let page = ResourcePage::of(&app, &user, Filled::of(&resource), wrong)?;
            Ok(show(StatusCode::CONFLICT, &page))
        }
        Err(error) => Err(error.into()),
    }
}

/// Why it was not saved, beside the field that it is about.
fn refused(error: Error) -> Result<Wrong, Refusal> {
    let Error::Refused(refused) = error else { return Err(error.into()) };
    Ok(match refused {
        Refused::Invalid { what, why } => Wrong::with(what, why),
        refused => Wrong::with("", refused.to_string()),
    })
}

/// What becomes of each secret.
fn secrets(form: &Fields, wrong: &mut Wrong) -> Values {
    let mut values = Values::new();
    for name in form.all("kept_secrets") {
        let value = form.one(&format!("secret-{name}"));
        values.insert(name.to_owned(), Some(value.to_owned()).filter(|value| !value.is_empty()));
    }
    for (name, value) in form.all("new_secret_name").map(str::trim).zip(form.all("new_secret_value")) {
        match (name.is_empty(), value.is_empty()) {
            (true, true) => {}
            (true, false) => wrong.say("secrets", "give each secret a name: that of the variable it is in"),
            (false, true) => wrong.say("secrets", format!("give a value for `{name}`")),
            (false, false) => {
                if values.insert(name.to_owned(), Some(value.to_owned())).is_some() {
                    wrong.say("secrets", format!("`{name}` is there twice"));
                }
            }
        }
    }
    values
}

impl ResourcePage {
    fn of(app: &App, user: &User, filled: Filled, wrong: Wrong) -> Result<Self, Refusal> {
        let rules = app.ledger.rules()?.into_iter();
        let names_it = rules.filter(|rule| rule.resources.iter().any(|one| one.as_str() == filled.editing));
        Ok(Self {
            frame: Frame::of(user, "resources"),
            can_edit: user.is_admin(),
            is_saved: false,
            standing: Picker::of(
                "standing_groups",
                &known_groups(&app.ledger.users()?),
                &filled.standing_groups,
            ),
            rules: names_it.map(|rule| rule.name.to_string()).collect(),
            filled,
            wrong,
        })
    }

    fn has_type(&self, access_type: &str) -> bool {
        self.filled.access_types.contains(access_type)
    }
}

impl Filled {
    fn of(resource: &Resource) -> Self {
        Self {
            editing: resource.name.to_string(),
            revision: resource.revision,
            name: resource.name.to_string(),
            kind: resource.kind.clone(),
            agent: resource.agent.to_string(),
            command: resource.command.join("\n"),
            secrets: resource.secrets.iter().map(|name| (name.clone(), true)).collect(),
            new_secrets: Vec::new(),
            attributes: pairs_text(&resource.attributes),
            access_types: names(&resource.access_types),
            max_duration: (resource.max_duration)
                .map(|seconds| AccessDuration::from_seconds(seconds).to_string())
                .unwrap_or_default(),
            standing_groups: names(&resource.standing_groups),
            plugins: resource.plugins.iter().cloned().collect::<Vec<_>>().join(", "),
        }
    }

    fn sent(form: &Fields) -> Self {
        let text = |name: &str| form.one(name).trim().to_owned();
        let kept: BTreeSet<&str> = form.all("kept_secrets").collect();
        Self {
            editing: text("editing"),
            revision: form.one("revision").parse().unwrap_or(0),
            name: text("name"),
            kind: text("kind"),
            agent: text("agent"),
            command: form.text("command"),
            secrets: form.all("secrets").map(|name| (name.to_owned(), kept.contains(name))).collect(),
            new_secrets: form
                .all("new_secret_name")
                .map(str::to_owned)
                .filter(|name| !name.is_empty())
                .collect(),
            attributes: form.text("attribute_lines"),
            access_types: form.chosen("access_types"),
            max_duration: text("max_duration"),
            standing_groups: form.chosen("standing_groups"),
            plugins: text("plugins"),
        }
    }

    fn resource(&self, values: &Values, wrong: &mut Wrong) -> Option<Resource> {
        let name = wrong.read("name", if self.editing.is_empty() { &self.name } else { &self.editing });
        let agent = wrong.read("agent", if self.agent.is_empty() { "default" } else { &self.agent });
        let max: Option<AccessDuration> = match self.max_duration.as_str() {
            "" => None,
            text => wrong.read("max_duration", text),
        };
        let plugins = self.plugins.split(',').map(str::trim).filter(|one| !one.is_empty());
        Some(Resource {
            kind: self.kind.clone(),
            // One word on each line, so that a word may hold blanks.
            command: self.command.lines().map(str::to_owned).filter(|word| !word.is_empty()).collect(),
            secrets: values.keys().cloned().collect(),
            attributes: wrong.pairs("attribute_lines", &self.attributes),
            access_types: wrong.read_all("access_types", &self.access_types),
            max_duration: max.map(|max| max.seconds()),
            standing_groups: wrong.read_all("standing_groups", &self.standing_groups),
            plugins: plugins.map(str::to_owned).collect(),
            revision: 0,
            name: name?,
            agent: agent?,
        })
    }
}
