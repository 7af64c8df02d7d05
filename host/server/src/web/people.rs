//! People and groups: who there is, and who is in what. Nobody is ever removed: what they did
//! stays theirs. Somebody who leaves is switched off.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use quorate_core::entry::Actor;
use quorate_core::ids::{Digest, GroupName, UserId};
use quorate_core::refused::Refused;
use quorate_core::rule::Rule;
use quorate_core::user::{Account, Profile, User};
use serde::Deserialize;
use serde_json::Value;

use super::form::{Fields, Picker, Wrong, known_groups};
use super::page::{After, Frame, Refusal, show};
use super::visitor::{Admin, Auditor, Sent};
use super::words::names;
use crate::agent::Secret;
use crate::api::{CHANGING, Problem};
use crate::app::App;
use crate::lifecycle::Error;

/// People on the page; who looks for somebody among more searches.
const SHOWN_MAX: usize = 200;

/// Whom to look for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    text: String,
    group: String,
}

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    can_edit: bool,
    search: Search,
    people: Vec<User>,
    left_out: usize,
    groups: Vec<(String, usize)>,
}

/// The form as it is filled in, without the password.
#[derive(Debug, Clone, Default)]
struct Filled {
    /// The person who is changed; empty for a new one.
    editing: String,
    /// What was said of them when the form was opened.
    was: String,
    id: String,
    email: String,
    groups: BTreeSet<String>,
    is_active: bool,
}

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    frame: Frame,
    can_edit: bool,
    is_saved: bool,
    filled: Filled,
    /// Who vouches for them.
    account: Option<Account>,
    wrong: Wrong,
    groups: Picker,
}

#[derive(Template)]
#[template(path = "group.html")]
struct GroupPage {
    frame: Frame,
    can_edit: bool,
    is_saved: bool,
    name: String,
    /// Everybody, and whether they are in it.
    people: Vec<(String, bool)>,
    /// The rules that name it.
    rules: Vec<String>,
    wrong: Wrong,
}

/// People and groups.
pub(super) async fn list(
    Auditor(user): Auditor,
    State(app): State<App>,
    Query(search): Query<Search>,
) -> Result<Response, Refusal> {
    let users = app.ledger.users()?;
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    for group in users.iter().flat_map(|user| &user.profile.groups) {
        *groups.entry(group.to_string()).or_default() += 1;
    }
    let wanted = search.text.trim().to_lowercase();
    let fits = |user: &User| {
        let in_group =
            search.group.is_empty() || user.profile.groups.iter().any(|one| one.as_str() == search.group);
        in_group
            && (user.id.as_str().contains(&wanted) || user.profile.email.to_lowercase().contains(&wanted))
    };
    let mut people: Vec<User> = users.into_iter().filter(fits).collect();
    people.sort_by(|one, other| one.id.cmp(&other.id));
    let left_out = people.len().saturating_sub(SHOWN_MAX);
    people.truncate(SHOWN_MAX);
    let (frame, groups) = (Frame::of(&user, "people"), groups.into_iter().collect());
    Ok(show(
        StatusCode::OK,
        &PeoplePage { frame, can_edit: user.is_admin(), search, people, left_out, groups },
    ))
}

/// The form for somebody new.
pub(super) async fn blank(Admin(user): Admin, State(app): State<App>) -> Result<Response, Refusal> {
    let filled = Filled { is_active: true, ..Filled::default() };
    Ok(show(StatusCode::OK, &PersonPage::of(&app, &user, filled, Wrong::default())?))
}

/// The form with somebody in it.
pub(super) async fn person(
    Auditor(user): Auditor,
    State(app): State<App>,
    Path(id): Path<UserId>,
    Query(After { saved }): Query<After>,
) -> Result<Response, Refusal> {
    let person = app.ledger.user(&id)?.ok_or_else(|| Problem::not_found("user", id.as_str()))?;
    let page = PersonPage::of(&app, &user, Filled::of(&person), Wrong::default())?;
    Ok(show(StatusCode::OK, &PersonPage { is_saved: saved, account: person.account, ..page }))
}

/// Saves somebody.
pub(super) async fn save(
    State(app): State<App>,
    Sent { visitor: Admin(user), form }: Sent<Fields, Admin>,
) -> Result<Response, Refusal> {
    let filled = Filled::sent(&form);
    let wrong = match save_person(&app, &user, &filled, form.one("password")).await {
        Ok(id) => return Ok(Redirect::to(&format!("/people/{id}?saved=true")).into_response()),
        Err(Unsaved::Wrong(wrong)) => wrong,
        Err(Unsaved::Problem(problem)) => return Err(Refusal(problem)),
    };
    Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &PersonPage::of(&app, &user, filled, wrong)?))
}

/// Why somebody was not saved.
enum Unsaved {
    Wrong(Wrong),
    Problem(Problem),
}

impl<E: Into<Problem>> From<E> for Unsaved {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

async fn save_person(app: &App, by: &User, filled: &Filled, password: &str) -> Result<UserId, Unsaved> {
    let mut wrong = Wrong::default();
    let id: Option<UserId> =
        wrong.read("id", if filled.editing.is_empty() { &filled.id } else { &filled.editing });
    let groups = wrong.read_all("groups", &filled.groups);
    let Some(id) = id.filter(|_| wrong.is_empty()) else { return Err(Unsaved::Wrong(wrong)) };
    let hash = match password {
        "" => None,
        password => match app.identity.hash(&Secret::new(password), &id).await {
            Ok(hash) => Some(hash),
            Err(crate::identity::Error::Change(Error::Refused(why))) => {
                return Err(Unsaved::Wrong(Wrong::with("password", said(why))));
            }
            Err(error) => return Err(error.into()),
        },
    };
    let _changing = CHANGING.lock().await;
    match app.ledger.user(&id)? {
        Some(_) if filled.editing.is_empty() => {
            return Err(Unsaved::Wrong(Wrong::with("id", format!("there is somebody called {id} already"))));
        }
        Some(there) if mark(&there.profile) != filled.was => {
            let why =
                "somebody else has changed this person since you opened the form; open it again and compare";
            return Err(Unsaved::Wrong(Wrong::with("", why)));
        }
        None if !filled.editing.is_empty() => return Err(Problem::not_found("user", id.as_str()).into()),
        _ => {}
    }
    let profile = Profile { email: filled.email.clone(), groups, active: filled.is_active };
    match app.lifecycle.save_user(&id, profile, hash, Actor::User(by.id.clone()), None).await {
        Ok(_) => Ok(id),
        Err(Error::Refused(why)) => {
            let field = match &why {
                Refused::Invalid { what, .. } => what,
                Refused::TooLong { what, .. } if what.contains("mail") => "email",
                _ => "groups",
            };
            Err(Unsaved::Wrong(Wrong::with(field, said(why))))
        }
        Err(error) => Err(error.into()),
    }
}

/// Stands for what is said of somebody. Their revision does not: it also grows when they sign in.
fn mark(profile: &Profile) -> String {
    let Profile { email, groups, active } = profile;
    let parts = groups.iter().map(|group| group.as_str().as_bytes());
    Digest::of_parts(parts.chain([email.as_bytes(), &[u8::from(*active)]])).short()
}

fn said(refused: Refused) -> String {
    match refused {
        Refused::Invalid { why, .. } => why,
        refused => refused.to_string(),
    }
}

/// Who is in a group.
pub(super) async fn group(
    Auditor(user): Auditor,
    State(app): State<App>,
    Path(name): Path<GroupName>,
    Query(After { saved }): Query<After>,
) -> Result<Response, Refusal> {
    let page = GroupPage::of(&app, &user, &name, Wrong::default())?;
    Ok(show(StatusCode::OK, &GroupPage { is_saved: saved, ..page }))
}

/// Says who is in it. A group that a rule names is not emptied: nobody could approve then.
pub(super) async fn save_group(
    State(app): State<App>,
    Path(name): Path<GroupName>,
    Sent { visitor: Admin(user), form }: Sent<Fields, Admin>,
) -> Result<Response, Refusal> {
    let mut wrong = Wrong::default();
    let members: BTreeSet<UserId> = wrong.read_all("members", &form.chosen("members"));
    let rules = naming(&app.ledger.rules()?, &name);
    if members.is_empty() && !rules.is_empty() {
        wrong.say("members", format!("nobody would be in it, and these rules name it: {}", rules.join(", ")));
    }
    if wrong.is_empty() {
        let _changing = CHANGING.lock().await;
        match app.lifecycle.save_group(&name, members.clone(), Actor::User(user.id.clone()), None).await {
            Ok(()) if members.is_empty() => return Ok(Redirect::to("/people").into_response()),
            Ok(()) => return Ok(Redirect::to(&format!("/groups/{name}?saved=true")).into_response()),
            Err(Error::Refused(why)) => wrong.say("members", said(why)),
            Err(error) => return Err(error.into()),
        }
    }
    let mut page = GroupPage::of(&app, &user, &name, wrong)?;
    for (person, is_in) in &mut page.people {
        *is_in = form.all("members").any(|one| one == person);
    }
    Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &page))
}

/// The rules that name a group: as whose requests they cover, or in a config.
fn naming(rules: &[Rule], group: &GroupName) -> Vec<String> {
    let names = |rule: &&Rule| {
        rule.required_groups.contains(group)
            || rule.policies.iter().any(|used| holds(&used.config, group.as_str()))
    };
    rules.iter().filter(names).map(|rule| rule.name.to_string()).collect()
}

fn holds(config: &Value, text: &str) -> bool {
    match config {
        Value::String(one) => one == text,
        Value::Array(all) => all.iter().any(|one| holds(one, text)),
        Value::Object(all) => all.iter().any(|(key, one)| key == text || holds(one, text)),
        _ => false,
    }
}

impl PersonPage {
    fn of(app: &App, user: &User, filled: Filled, wrong: Wrong) -> Result<Self, Refusal> {
        Ok(Self {
            frame: Frame::of(user, "people"),
            can_edit: user.is_admin(),
            is_saved: false,
            groups: Picker::of("groups", &known_groups(&app.ledger.users()?), &filled.groups),
            filled,
            account: None,
            wrong,
        })
    }
}

impl GroupPage {
    fn of(app: &App, user: &User, name: &GroupName, wrong: Wrong) -> Result<Self, Refusal> {
        let mut users = app.ledger.users()?;
        users.sort_by(|one, other| one.id.cmp(&other.id));
        let is_in = |user: &User| user.profile.groups.contains(name);
        Ok(Self {
            frame: Frame::of(user, "people"),
            can_edit: user.is_admin(),
            is_saved: false,
            name: name.to_string(),
            people: users.iter().map(|user| (user.id.to_string(), is_in(user))).collect(),
            rules: naming(&app.ledger.rules()?, name),
            wrong,
        })
    }
}

impl Filled {
    fn of(person: &User) -> Self {
        Self {
            editing: person.id.to_string(),
            was: mark(&person.profile),
            id: person.id.to_string(),
            email: person.profile.email.clone(),
            groups: names(&person.profile.groups),
            is_active: person.profile.active,
        }
    }

    fn sent(form: &Fields) -> Self {
        Self {
            editing: form.one("editing").trim().to_owned(),
            was: form.one("was").to_owned(),
            id: form.one("id").trim().to_owned(),
            email: form.one("email").trim().to_owned(),
            groups: form.chosen("groups"),
            is_active: form.is_on("active"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_group_is_found_wherever_a_rule_names_it() {
        let rule = |name: &str, required: &[&str], config: Value| -> Rule {
            let policies = json!([{ "policy": "p", "config": config }]);
            serde_json::from_value(json!({
                "name": name, "access_type": "command", "resources": ["prod"], "required_groups": required,
                "policies": policies,
            }))
            .unwrap()
        };
        let rules = [
            rule("covers", &["dba"], json!({})),
            rule("listed", &[], json!({ "a": [{ "groups": ["ops", "dba"] }] })),
            rule("keyed", &[], json!({ "hours": { "dba": 9 } })),
            rule("other", &["ops"], json!({ "about": "dba-team" })),
        ];
        assert_eq!(naming(&rules, &"dba".parse().unwrap()), ["covers", "listed", "keyed"]);
    }
}
