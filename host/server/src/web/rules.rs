//! Access request rules: the list, and the form in which one is written and tried.

mod filled;

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use quorate_core::duration::AccessDuration;
use quorate_core::entry::Actor;
use quorate_core::ids::{GroupName, ResourceName, RuleName, UserId};
use quorate_core::input::Command;
use quorate_core::rule::{AccessType, Form, Rule};
use quorate_core::user::User;

use self::filled::{Filled, PolicyPart};
use super::form::{Fields, Picker, Wrong, known_groups, nobody_was_first};
use super::page::{After, Frame, Refusal, show};
use super::schema::Kind;
use super::visitor::{Admin, Auditor, Nothing, Sent};
use crate::api::Problem;
use crate::app::App;
use crate::lifecycle::{Ask, AskedAccess, Error, RequestView, Warning};

/// A rule in the list.
struct Row {
    rule: Rule,
    decided_by: String,
}

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    frame: Frame,
    can_edit: bool,
    rows: Vec<Row>,
}

/// A resource that can be ticked.
struct Offered {
    name: String,
    kind: String,
    is_chosen: bool,
    /// Those that it does not support, as classes.
    lacks: String,
}

/// What asking would come to under the rule as it is written.
struct Tried {
    who: String,
    on: String,
    how: String,
    request: Result<RequestView, String>,
}

#[derive(Template)]
#[template(path = "rule.html")]
struct RulePage {
    frame: Frame,
    can_edit: bool,
    is_saved: bool,
    filled: Filled,
    wrong: Wrong,
    resources: Vec<Offered>,
    pickers: [Picker; 4],
    policies: Vec<PolicyPart>,
    policy_names: Vec<String>,
    people: Vec<String>,
    warnings: Vec<Warning>,
    tried: Option<Tried>,
}

/// All rules.
pub(super) async fn list(Auditor(user): Auditor, State(app): State<App>) -> Result<Response, Refusal> {
    let mut rules = app.ledger.rules()?;
    rules.sort_by(|one, other| one.name.cmp(&other.name));
    let rows = rules.into_iter().map(|rule| Row { decided_by: decided_by(&rule), rule }).collect();
    let page = RulesPage { frame: Frame::of(&user, "rules"), can_edit: user.is_admin(), rows };
    Ok(show(StatusCode::OK, &page))
}

/// The form for a new rule.
pub(super) async fn blank(Admin(user): Admin, State(app): State<App>) -> Result<Response, Refusal> {
    Ok(show(StatusCode::OK, &RulePage::of(&app, &user, Filled::blank(), Wrong::default())?))
}

/// The form with a rule in it, and what is odd about the rule now.
pub(super) async fn page(
    Auditor(user): Auditor,
    State(app): State<App>,
    Path(name): Path<RuleName>,
    Query(After { saved }): Query<After>,
) -> Result<Response, Refusal> {
    let rule = find(&app, &name)?;
    let mut page = RulePage::of(&app, &user, Filled::of(&rule, &app), Wrong::default())?;
    page.is_saved = saved;
    page.attempt(&app, rule).await?;
    Ok(show(StatusCode::OK, &page))
}

/// The form as it is filled in, with what the rule would come to. Nothing is saved.
pub(super) async fn refresh(
    State(app): State<App>,
    Sent { visitor: Admin(user), form }: Sent<Fields, Admin>,
) -> Result<Response, Refusal> {
    let mut filled = Filled::sent(&form, &app);
    filled.act(form.one("do"), &app);
    let rule = filled.rule(&app, true);
    let mut page = RulePage::of(&app, &user, filled, Wrong::default())?;
    match rule {
        Ok(rule) => page.attempt(&app, rule).await?,
        Err(wrong) => page.wrong = wrong,
    }
    Ok(show(StatusCode::OK, &page))
}

/// Saves the rule.
pub(super) async fn save(
    State(app): State<App>,
    Sent { visitor: Admin(user), form }: Sent<Fields, Admin>,
) -> Result<Response, Refusal> {
    let filled = Filled::sent(&form, &app);
    let wrong = match filled.rule(&app, false) {
        Err(wrong) => wrong,
        Ok(rule) => {
            let there = app.ledger.rule(&rule.name)?.map(|there| there.revision);
            let is_new = filled.editing.is_empty();
            let wrong = nobody_was_first(("rule", rule.name.as_str()), is_new, filled.revision, there);
            if wrong.is_empty() {
                match app.lifecycle.save_rule(rule.clone(), Actor::User(user.id.clone()), None).await {
                    Ok(_) => {
                        return Ok(Redirect::to(&format!("/rules/{}?saved=true", rule.name)).into_response());
                    }
                    Err(error) => filled.wrong(error, &rule)?,
                }
            } else {
                wrong
            }
        }
    };
    Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &RulePage::of(&app, &user, filled, wrong)?))
}

/// Removes a rule.
pub(super) async fn remove(
    State(app): State<App>,
    Path(name): Path<RuleName>,
    Sent { visitor: Admin(user), form: Nothing {} }: Sent<Nothing, Admin>,
) -> Result<Response, Refusal> {
    match app.lifecycle.remove_rule(&name, Actor::User(user.id.clone()), None).await {
        Ok(()) => Ok(Redirect::to("/rules").into_response()),
        Err(Error::Refused(why)) => {
            let filled = Filled::of(&find(&app, &name)?, &app);
            let page = RulePage::of(&app, &user, filled, Wrong::with("remove", why.to_string()))?;
            Ok(show(StatusCode::CONFLICT, &page))
        }
        Err(error) => Err(error.into()),
    }
}

fn find(app: &App, name: &RuleName) -> Result<Rule, Refusal> {
    let rule = app.ledger.rule(name)?;
    rule.ok_or_else(|| Problem::not_found("rule", name.as_str()).into())
}

/// What a rule takes, in one line.
fn decided_by(rule: &Rule) -> String {
    let listed = |groups: &Option<Vec<GroupName>>| {
        let groups = groups.as_deref().unwrap_or_default().iter();
        groups.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let Some(form) = Form::of(&rule.policies) else {
        let policies = rule.policies.iter().map(|used| used.policy.to_string());
        return format!("policies: {}", policies.collect::<Vec<_>>().join(", "));
    };
    let amount = form.approval_amount.unwrap_or(1);
    let mut parts = vec![if form.require_all_groups == Some(true) {
        let more = if amount > 1 { format!(", {amount} in all") } else { String::new() };
        format!("one of each of {}{more}", listed(&form.approval_groups))
    } else {
        format!("{amount} of {}", listed(&form.approval_groups))
    }];
    parts.extend(form.max_duration.map(|max| format!("at most {max}")));
    for (what, groups) in [("by force", &form.force_approval_groups), ("without approval", &form.skip_groups)]
    {
        let groups = listed(groups);
        parts.extend((!groups.is_empty()).then(|| format!("{what}: {groups}")));
    }
    parts.extend(
        (form.admins_approve_themselves == Some(true)).then(|| "admins approve themselves".to_owned()),
    );
    parts.join("; ")
}

impl RulePage {
    fn of(app: &App, user: &User, filled: Filled, wrong: Wrong) -> Result<Self, Refusal> {
        let users = app.ledger.users()?;
        let known = known_groups(&users);
        let mut resources = app.ledger.resources()?;
        resources.sort_by(|one, other| one.name.cmp(&other.name));
        let lacks = |types: &BTreeSet<AccessType>| {
            let all = [AccessType::JustInTime, AccessType::Command];
            let lacking = all.iter().filter(|one| !types.contains(one)).map(|one| format!("no-{one}"));
            lacking.collect::<Vec<_>>().join(" ")
        };
        let offered = resources.iter().map(|resource| Offered {
            name: resource.name.to_string(),
            kind: resource.kind.clone(),
            is_chosen: filled.resources.contains(resource.name.as_str()),
            lacks: lacks(&resource.access_types),
        });
        let active = app.lifecycle.active().load();
        Ok(Self {
            frame: Frame::of(user, "rules"),
            can_edit: user.is_admin(),
            is_saved: false,
            resources: offered.collect(),
            pickers: [
                Picker::of("required_groups", &known, &filled.required_groups),
                Picker::of("approval_groups", &known, &filled.approval_groups),
                Picker::of("force_approval_groups", &known, &filled.force_approval_groups),
                Picker::of("skip_groups", &known, &filled.skip_groups),
            ],
            policies: filled.parts(&active),
            policy_names: active.iter().map(|(name, _)| name.to_string()).collect(),
            people: users.iter().filter(|user| user.profile.active).map(|user| user.id.to_string()).collect(),
            warnings: Vec::new(),
            tried: None,
            filled,
            wrong,
        })
    }

    /// Tries `rule`: what is wrong or odd about it, and what asking under it would come to.
    async fn attempt(&mut self, app: &App, rule: Rule) -> Result<(), Refusal> {
        match app.lifecycle.try_rule(rule.clone()).await {
            Ok(warnings) => self.warnings = warnings,
            Err(error) => {
                self.wrong = self.filled.wrong(error, &rule)?;
                return Ok(());
            }
        }
        let usual = covered(app, &rule)?;
        let Some(who) = chosen(&self.filled.who).or(usual) else { return Ok(()) };
        let Some(on) = chosen(&self.filled.on).or_else(|| rule.resources.first().map(ToString::to_string))
        else {
            return Ok(());
        };
        let (access, how) = match rule.access_type {
            AccessType::Command => (
                AskedAccess::Command(Command { text: "…".to_owned(), arguments: Vec::new() }),
                "one command".to_owned(),
            ),
            AccessType::JustInTime => {
                match self.wrong.read::<AccessDuration>("duration", &self.filled.duration) {
                    Some(duration) => (AskedAccess::JustInTime(duration), self.filled.duration.clone()),
                    None => return Ok(()),
                }
            }
        };
        let (user, resource) =
            (self.wrong.read::<UserId>("who", &who), self.wrong.read::<ResourceName>("on", &on));
        let (Some(user), Some(resource)) = (user, resource) else { return Ok(()) };
        let ask = Ask { resource, access, reason: "to try the rule".to_owned() };
        let request = match app.lifecycle.preview_rule(rule, &user, ask).await {
            Ok(request) => Ok(request),
            Err(error @ (Error::Refused(_) | Error::NotFound { .. })) => Err(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        self.tried = Some(Tried { who, on, how, request });
        Ok(())
    }

    /// The parts of the form that are for this type of access only, or for none.
    fn picker(&self, name: &str) -> Option<&Picker> {
        self.pickers.iter().find(|picker| picker.name == name)
    }

    fn is_by_policies(&self) -> bool {
        self.filled.decided_by == "policies"
    }

    fn is_command(&self) -> bool {
        self.filled.access_type == AccessType::Command.to_string()
    }
}

fn chosen(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Somebody whose requests the rule covers; somebody who needs no approval only where there is
/// nobody else.
fn covered(app: &App, rule: &Rule) -> Result<Option<String>, Refusal> {
    let users = app.ledger.users()?;
    let is_covered = |user: &&User| {
        let groups = &user.profile.groups;
        user.profile.active
            && (rule.required_groups.is_empty()
                || rule.required_groups.iter().any(|one| groups.contains(one)))
    };
    let found = users.iter().filter(is_covered).min_by_key(|user| (user.is_admin(), user.id.clone()));
    Ok(found.map(|user| user.id.to_string()))
}
