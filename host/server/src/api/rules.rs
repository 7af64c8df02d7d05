//! Access request rules: which policies decide on whose requests for what.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use quorate_core::duration::AccessDuration;
use quorate_core::entry::Actor;
use quorate_core::ids::{GroupName, PolicyName, ResourceName, RuleName};
use quorate_core::rule::{AccessType, Form, PolicyUse, Rule};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::access::{Admin, Auditor};
use super::answer::{Done, done};
use super::body::{Input, Nothing, Path, Query};
use super::page::{Listed, cut};
use super::problem::Problem;
use crate::app::App;
use crate::lifecycle::{FindingView, Warning};

/// A rule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RuleView {
    /// Its name.
    name: String,
    /// For people to read.
    description: String,
    /// `just-in-time` or `command`.
    access_type: String,
    /// The resources it covers.
    resources: Vec<String>,
    /// Narrows them: a covered resource has all of these.
    attributes: BTreeMap<String, String>,
    /// Whose requests it covers; empty: everybody's.
    required_groups: Vec<String>,
    /// Whether votes have to be cast on the page of the request.
    votes_on_page: bool,
    /// What decides, in order.
    policies: Vec<PolicyUseView>,
    /// Grows with every change.
    revision: u64,
    /// What is odd but possible; only in the answer to a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<FindingView>>,
}

/// A policy under a rule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PolicyUseView {
    /// Which policy.
    policy: String,
    /// Its config.
    #[schema(value_type = Object)]
    config: Value,
}

impl RuleView {
    fn of(rule: &Rule, warnings: Option<&[Warning]>) -> Self {
        let policies = rule.policies.iter();
        Self {
            name: rule.name.to_string(),
            description: rule.description.clone(),
            access_type: rule.access_type.to_string(),
            resources: rule.resources.iter().map(ToString::to_string).collect(),
            attributes: rule.attributes.clone(),
            required_groups: rule.required_groups.iter().map(ToString::to_string).collect(),
            votes_on_page: rule.votes_on_page,
            policies: policies
                .map(|used| PolicyUseView { policy: used.policy.to_string(), config: used.config.clone() })
                .collect(),
            revision: rule.revision,
            warnings: warnings.map(|warnings| warnings.iter().map(FindingView::of).collect()),
        }
    }
}

/// A rule as it is to be. Instead of `policies` it may have the fields of the form,
/// from `approval_groups` on: they become the configs of the built-in policies.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleBody {
    /// For people to read.
    #[serde(default)]
    description: String,
    /// `just-in-time` or `command`.
    #[schema(value_type = String, example = "just-in-time")]
    access_type: AccessType,
    /// The resources it covers.
    #[schema(value_type = Vec<String>)]
    resources: BTreeSet<ResourceName>,
    /// Narrows them: a covered resource has all of these.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// Whose requests it covers; empty: everybody's.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    required_groups: BTreeSet<GroupName>,
    /// Whether votes have to be cast on the page of the request, by somebody signed in there.
    #[serde(default)]
    votes_on_page: bool,
    /// What decides, in order.
    policies: Option<Vec<PolicyUseBody>>,
    /// Form: the groups whose members may approve.
    #[schema(value_type = Option<Vec<String>>)]
    approval_groups: Option<Vec<GroupName>>,
    /// Form: whether one member of each must, each a different person.
    require_all_groups: Option<bool>,
    /// Form: how many people must approve.
    approval_amount: Option<u32>,
    /// Form: groups whose members may force an approval.
    #[schema(value_type = Option<Vec<String>>)]
    force_approval_groups: Option<Vec<GroupName>>,
    /// Form: the longest access.
    #[schema(value_type = Option<String>, example = "8h")]
    max_duration: Option<AccessDuration>,
    /// Form: groups whose members need no approval.
    #[schema(value_type = Option<Vec<String>>)]
    skip_groups: Option<Vec<GroupName>>,
    /// Form: whether admins need no approval for their own requests; so it is where
    /// this is left out.
    admins_approve_themselves: Option<bool>,
}

/// A policy under a rule.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyUseBody {
    /// Which policy.
    #[schema(value_type = String)]
    policy: PolicyName,
    /// Its config.
    #[serde(default = "empty")]
    #[schema(value_type = Object)]
    config: Value,
}

fn empty() -> Value {
    json!({})
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RuleQuery {
    /// That cover this resource.
    resource: Option<String>,
    /// Items on a page, 1 to 200.
    limit: Option<usize>,
    /// What `next` said on the page before.
    cursor: Option<String>,
}

/// All rules
#[utoipa::path(get, path = "/api/rules", tag = "rules", security(("token" = ["auditor"])), params(RuleQuery),
    responses((status = 200, body = Listed<RuleView>)))]
pub(super) async fn list(
    _: Auditor,
    State(app): State<App>,
    Query(query): Query<RuleQuery>,
) -> Result<Json<Listed<RuleView>>, Problem> {
    let covers = |rule: &Rule| match &query.resource {
        Some(name) => rule.resources.iter().any(|one| one.as_str() == name),
        None => true,
    };
    let rules = app.ledger.rules()?.into_iter().filter(covers).collect();
    let page = cut(rules, |rule: &Rule| rule.name.as_str(), query.limit, query.cursor.as_deref())?;
    Ok(Json(page.map(|rule| RuleView::of(&rule, None))))
}

/// One rule
#[utoipa::path(get, path = "/api/rules/{name}", tag = "rules", security(("token" = ["auditor"])),
    params(("name" = String, Path, description = "Which")), responses((status = 200, body = RuleView)))]
pub(super) async fn show(
    _: Auditor,
    State(app): State<App>,
    Path(name): Path<RuleName>,
) -> Result<Json<RuleView>, Problem> {
    Ok(Json(RuleView::of(&find(&app, name.as_str())?, None)))
}

/// Add or change a rule
///
/// The policies are asked whether they accept their configs.
#[utoipa::path(put, path = "/api/rules/{name}", tag = "rules", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which")), request_body = RuleBody,
    responses((status = 200, body = RuleView)))]
pub(super) async fn save(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<RuleName>,
    Input { body, key }: Input<RuleBody>,
) -> Result<Done<RuleView>, Problem> {
    let saved = app.lifecycle.save_rule(body.rule(name)?, Actor::User(by.id), key).await;
    let saved = done(saved, |name| Ok((find(&app, name)?, Vec::new())))?;
    Ok(saved.map(|(rule, warnings)| RuleView::of(&rule, Some(&warnings))))
}

/// Remove a rule
#[utoipa::path(delete, path = "/api/rules/{name}", tag = "rules", security(("token" = ["admin"])),
    params(("name" = String, Path, description = "Which")), responses((status = 204)))]
pub(super) async fn remove(
    Admin(by): Admin,
    State(app): State<App>,
    Path(name): Path<RuleName>,
    Input { key, .. }: Input<Nothing>,
) -> Result<Response, Problem> {
    let removed = app.lifecycle.remove_rule(&name, Actor::User(by.id), key).await;
    Ok(done(removed, |_| Ok(()))?.empty())
}

impl RuleBody {
    fn rule(self, name: RuleName) -> Result<Rule, Problem> {
        let form = Form {
            approval_groups: self.approval_groups,
            require_all_groups: self.require_all_groups,
            approval_amount: self.approval_amount,
            force_approval_groups: self.force_approval_groups,
            max_duration: self.max_duration,
            skip_groups: self.skip_groups,
            admins_approve_themselves: self.admins_approve_themselves,
        };
        let policies = match (self.policies, form.is_used()) {
            (Some(_), true) => {
                let detail = "give `policies` or the fields of the form, not both";
                return Err(Problem::bad_request(detail).at("/policies"));
            }
            (None, false) => {
                return Err(Problem::bad_request("give `policies`, or at least `approval_groups`"));
            }
            (Some(policies), false) => policies
                .into_iter()
                .map(|PolicyUseBody { policy, config }| PolicyUse { policy, config })
                .collect(),
            (None, true) => form.policies()?,
        };
        Ok(Rule {
            name,
            description: self.description,
            access_type: self.access_type,
            resources: self.resources,
            attributes: self.attributes,
            required_groups: self.required_groups,
            votes_on_page: self.votes_on_page,
            policies,
            revision: 0,
        })
    }
}

fn find(app: &App, name: &str) -> Result<Rule, Problem> {
    let rule = app.ledger.rule(&name.parse()?)?;
    rule.ok_or_else(|| Problem::not_found("rule", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(body: Value) -> Result<Rule, Problem> {
        serde_json::from_value::<RuleBody>(body).unwrap().rule("r".parse().unwrap())
    }

    #[test]
    fn the_form_becomes_the_built_in_policies() {
        let rule = rule(json!({
            "access_type": "just-in-time", "resources": ["prod"], "approval_groups": ["dba", "security"],
            "require_all_groups": true, "force_approval_groups": ["sre"], "max_duration": "2h",
        }))
        .unwrap();
        let named: Vec<&str> = rule.policies.iter().map(|used| used.policy.as_str()).collect();
        assert_eq!(named, ["group-quorum", "duration-cap", "bypass"]);
        assert_eq!(
            rule.policies[0].config,
            json!({"groups": ["dba", "security"], "require_all": true, "approvals": 1})
        );
        assert_eq!(rule.policies[1].config, json!({"max": "2h"}));
        assert_eq!(rule.policies[2].config["force_groups"], json!(["sre"]));
    }

    #[test]
    fn a_rule_has_policies_or_the_form() {
        let base = || json!({"access_type": "command", "resources": ["prod"]});
        assert!(rule(base()).is_err());
        let mut both = base();
        both["policies"] = json!([{"policy": "bypass"}]);
        both["approval_groups"] = json!(["dba"]);
        assert!(rule(both).is_err());
    }
}
