//! Policies: what is loaded, which version decides, and how another one comes to.
//!
//! Further in: a candidate tried on the recorded decisions (`backtest`), and one evaluation
//! with whatever input somebody likes (`playground`).

pub(super) mod backtest;
pub(super) mod playground;

use askama::Template;
use axum::extract::{FromRequest as _, FromRequestParts as _, Multipart, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use quorate_core::Timestamp;
use quorate_core::entry::Actor;
use quorate_core::ids::{Digest, PolicyName};
use quorate_core::policy::{Activation, Demand, Policy, Stage, Transition, Version};
use quorate_core::user::User;
use quorate_policy::{Limits, Metadata};

use super::form::Fields;
use super::page::{Done, Frame, Refusal, show};
use super::visitor::{Admin, Auditor, Sent, is_ours};
use super::words;
use crate::api::{ConditionView, Problem, conditions, resolve};
use crate::app::App;
use crate::lifecycle::ShadowReport;

/// A policy in the list.
struct Row {
    name: PolicyName,
    active: Option<Version>,
    is_serving: bool,
    shadow: Option<String>,
    versions: usize,
    about: String,
}

#[derive(Template)]
#[template(path = "policies.html")]
struct PoliciesPage {
    frame: Frame,
    can_edit: bool,
    rows: Vec<Row>,
    /// Under which name somebody wanted to load a component, and why it was not.
    name: String,
    refused: Option<String>,
}

/// A version with where it is in its life.
struct VersionRow {
    version: Version,
    stage: &'static str,
    last: Option<Transition>,
    is_active: bool,
    is_shadow: bool,
    is_last_good: bool,
}

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage {
    frame: Frame,
    can_edit: bool,
    policy: Policy,
    conditions: Vec<ConditionView>,
    versions: Vec<VersionRow>,
    last_good: Option<Digest>,
    /// What the version that decides says of itself.
    metadata: Option<Metadata>,
    schema: Option<String>,
    limits: Vec<(&'static str, String)>,
    shadow: Option<ShadowReport>,
    /// The rules that use it.
    rules: Vec<String>,
    /// Somebody else has to approve an activation.
    is_approved_by_others: bool,
    done: String,
    refused: Option<String>,
    reason: String,
    now: Timestamp,
}

/// All policies.
pub(super) async fn list(Auditor(user): Auditor, State(app): State<App>) -> Result<Response, Refusal> {
    Ok(show(StatusCode::OK, &PoliciesPage::of(&app, &user)?))
}

/// One policy.
pub(super) async fn page(
    Auditor(user): Auditor,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Query(Done { done }): Query<Done>,
) -> Result<Response, Refusal> {
    let page = PolicyPage::of(&app, &user, &name)?;
    Ok(show(StatusCode::OK, &PolicyPage { done: said(&done).to_owned(), ..page }))
}

/// Loads a component under a name. It decides nothing yet.
pub(super) async fn load(State(app): State<App>, request: Request) -> Result<Response, Response> {
    is_ours(request.headers()).map_err(|problem| Refusal(problem).into_response())?;
    let (mut parts, body) = request.into_parts();
    let Admin(user) = Admin::from_request_parts(&mut parts, &app).await?;
    let unreadable = |why: String| Refusal(Problem::bad_request(why)).into_response();
    let mut sent = Multipart::from_request(Request::from_parts(parts, body), &app)
        .await
        .map_err(|error| unreadable(error.body_text()))?;
    let (mut name, mut component) = (String::new(), None);
    while let Some(field) = sent.next_field().await.map_err(|error| unreadable(error.body_text()))? {
        let field_name = field.name().unwrap_or_default().to_owned();
        let bytes = field.bytes().await.map_err(|error| unreadable(error.body_text()))?;
        match field_name.as_str() {
            "name" => String::from_utf8_lossy(&bytes).trim().clone_into(&mut name),
            "component" if !bytes.is_empty() => component = Some(bytes),
            _ => {}
        }
    }
    let problem = match (name.parse::<PolicyName>(), component) {
        (Err(bad), _) => Problem::from(bad),
        (Ok(_), None) => Problem::bad_request("choose the component: a file whose name ends with .wasm"),
        (Ok(name), Some(component)) => {
            let by = Actor::User(user.id.clone());
            match app.lifecycle.load_policy(&name, component.into(), None, by, None).await {
                Ok(_) => return Ok(Redirect::to(&format!("/policies/{name}?done=loaded")).into_response()),
                Err(error) => Problem::from(error),
            }
        }
    };
    let (status, _, why) = problem.words();
    let page = PoliciesPage::of(&app, &user).map_err(Refusal::into_response)?;
    Ok(show(status, &PoliciesPage { name, refused: Some(why), ..page }))
}

/// What a button of a version does.
pub(super) async fn act(
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Sent { visitor: Admin(user), form }: Sent<Fields, Admin>,
) -> Result<Response, Refusal> {
    let problem = match carry_out(&app, &user, &name, &form).await {
        Ok(place) => return Ok(Redirect::to(&place).into_response()),
        Err(problem) => problem,
    };
    let (status, _, why) = problem.words();
    let page = PolicyPage::of(&app, &user, &name)?;
    Ok(show(status, &PolicyPage { refused: Some(why), reason: form.text("reason"), ..page }))
}

/// Does it, and says where to go then.
async fn carry_out(app: &App, user: &User, name: &PolicyName, form: &Fields) -> Result<String, Problem> {
    let (lifecycle, by, reason) = (&app.lifecycle, Actor::User(user.id.clone()), form.text("reason"));
    let policy = find(app, name)?;
    let digest = || resolve(&policy, form.one("digest"));
    let done = match form.one("do") {
        "stage" => lifecycle.stage_policy(name, digest()?, reason, by, None).await.map(|_| "staged")?,
        "shadow" => lifecycle.start_shadow(name, digest()?, reason, by, None).await.map(|_| "shadow")?,
        "stop-shadow" => lifecycle.stop_shadow(name, reason, by, None).await.map(|_| "shadow-ended")?,
        "roll-back" => lifecycle.roll_back_policy(name, reason, by, None).await.map(|_| "rolled-back")?,
        "accept" => {
            let difference = form.one("difference");
            lifecycle.accept_difference(name, difference, reason, by, None).await.map(|_| "accepted")?
        }
        "activate" => {
            let activation =
                Activation { policy: name.clone(), digest: digest()?, demand: Demand::default() };
            match form.one("request").trim() {
                "" if app.config.policy_changes.is_some() => {
                    let asked = lifecycle.ask_to_activate(&user.id, activation, reason, None).await?;
                    return Ok(format!("/requests/{}", asked.id));
                }
                "" => lifecycle.activate_policy(activation, reason, by, None).await.map(|_| "activated")?,
                request => {
                    let request = request.parse()?;
                    lifecycle
                        .activate_approved(&request, activation, &user.id, None)
                        .await
                        .map(|_| "activated")?
                }
            }
        }
        other => {
            return Err(Problem::bad_request(format!(
                "`{other}` is nothing that can be done with a version"
            )));
        }
    };
    Ok(format!("/policies/{name}?done={done}"))
}

/// What was done, in words; nothing that is not known here is said.
fn said(done: &str) -> &'static str {
    match done {
        "loaded" => {
            "Loaded and checked. It decides nothing yet: try it on the recorded decisions, or stage it."
        }
        "staged" => "Staged: every rule that uses the policy has a config that it takes.",
        "shadow" => "It is asked beside the version that decides from now on, and never acts.",
        "shadow-ended" => "The shadow has ended. What it found stays.",
        "activated" => {
            "It decides from now on. Requests that wait are decided again; open access stays open."
        }
        "rolled-back" => "The version before decides again.",
        "accepted" => "The difference is accepted; the ledger says by whom and why.",
        _ => "",
    }
}

fn find(app: &App, name: &PolicyName) -> Result<Policy, Problem> {
    app.ledger.policy(name)?.ok_or_else(|| Problem::not_found("policy", name.as_str()))
}

impl PoliciesPage {
    fn of(app: &App, user: &User) -> Result<Self, Refusal> {
        let serving = app.lifecycle.active().load();
        let row = |policy: Policy| {
            let serves = serving.get(&policy.name);
            let active = policy.active().cloned();
            Row {
                is_serving: active.as_ref().map(|version| version.digest)
                    == serves.map(quorate_policy::Policy::digest),
                about: serves.and_then(|one| one.metadata().description.clone()).unwrap_or_default(),
                shadow: policy.shadowing().map(|shadow| shadow.digest.short()),
                versions: policy.versions.len(),
                name: policy.name,
                active,
            }
        };
        let rows = app.ledger.policies()?.into_iter().map(row).collect();
        let frame = Frame::of(user, "policies");
        Ok(Self { frame, can_edit: user.is_admin(), rows, name: String::new(), refused: None })
    }
}

impl PolicyPage {
    fn of(app: &App, user: &User, name: &PolicyName) -> Result<Self, Refusal> {
        let policy = find(app, name)?;
        let serving = app.lifecycle.active().load();
        let serves = serving.get(name);
        let active = policy.active().map(|version| version.digest);
        let shadowing = policy.shadowing().map(|shadow| shadow.digest);
        let row = |version: &Version| VersionRow {
            stage: policy.last_of(version.digest).map_or(Stage::Loaded, |last| last.to).as_str(),
            last: policy.last_of(version.digest).cloned(),
            is_active: Some(version.digest) == active,
            is_shadow: Some(version.digest) == shadowing,
            is_last_good: Some(version.digest) == policy.previous(),
            version: version.clone(),
        };
        let rules = app.ledger.rules()?.into_iter();
        let using = rules.filter(|rule| rule.policies.iter().any(|used| used.policy == *name));
        Ok(Self {
            frame: Frame::of(user, "policies"),
            can_edit: user.is_admin(),
            conditions: conditions(app, &policy),
            versions: policy.versions.iter().rev().map(row).collect(),
            last_good: policy.previous(),
            metadata: serves.map(|policy| policy.metadata().clone()),
            schema: serves.and_then(|policy| serde_json::to_string_pretty(policy.schema()).ok()),
            limits: limits(app.lifecycle.runtime().limits()),
            shadow: policy.shadow.is_some().then(|| app.lifecycle.shadow_report(name)).transpose()?,
            rules: using.map(|rule| rule.name.to_string()).collect(),
            is_approved_by_others: app.config.policy_changes.is_some(),
            done: String::new(),
            refused: None,
            reason: String::new(),
            now: app.lifecycle.now(),
            policy,
        })
    }

    /// What happened to its versions, the newest first.
    fn history(&self) -> impl Iterator<Item = &Transition> {
        self.policy.transitions.iter().rev()
    }
}

/// What one evaluation may use.
fn limits(limits: &Limits) -> Vec<(&'static str, String)> {
    let kib = |bytes: usize| format!("{} KiB", bytes / 1024);
    vec![
        ("fuel", limits.fuel_max.to_string()),
        ("time", format!("{} ms", limits.evaluate_ms_max)),
        ("memory", kib(limits.memory_bytes_max)),
        ("input", kib(limits.input_bytes_max)),
        ("config", kib(limits.config_bytes_max)),
        ("answer", kib(limits.answer_bytes_max)),
    ]
}
