//! A rule as it is written in the form: read from a rule, or from what was sent, and made a
//! rule again.

use std::collections::BTreeSet;

use quorate_core::refused::Refused;
use quorate_core::rule::{AccessType, Form, POLICIES_MAX, PolicyUse, Rule};
use quorate_policy::ActiveSet;
use serde_json::Value;

use super::super::form::{Fields, Wrong, pairs_text};
use super::super::page::Refusal;
use super::super::schema::{self, Field, Written};
use super::super::words::names;
use crate::app::App;
use crate::lifecycle::Error;

/// The form as it is filled in.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Filled {
    /// The rule that is changed; empty for a new one.
    pub(in super::super) editing: String,
    /// As it was when the form was opened.
    pub(in super::super) revision: u64,
    pub(in super::super) name: String,
    pub(in super::super) description: String,
    pub(in super::super) access_type: String,
    pub(in super::super) resources: BTreeSet<String>,
    pub(in super::super) attributes: String,
    pub(in super::super) required_groups: BTreeSet<String>,
    pub(in super::super) votes_on_page: bool,
    /// `form`, or `policies` for those who want the list.
    pub(in super::super) decided_by: String,
    pub(in super::super) approval_groups: BTreeSet<String>,
    pub(in super::super) require_all_groups: bool,
    pub(in super::super) approval_amount: String,
    pub(in super::super) force_approval_groups: BTreeSet<String>,
    pub(in super::super) max_duration: String,
    pub(in super::super) skip_groups: BTreeSet<String>,
    pub(in super::super) admins_approve_themselves: bool,
    /// Each policy with what is written into the fields of its config.
    policies: Vec<(String, Written)>,
    /// To try it: who asks, on what, for how long.
    pub(in super::super) who: String,
    pub(in super::super) on: String,
    pub(in super::super) duration: String,
}

/// A policy of the list with the fields of its config.
pub(in super::super) struct PolicyPart {
    pub(in super::super) policy: String,
    pub(in super::super) fields: Vec<Field>,
}

impl Filled {
    /// Before anything is filled in.
    pub(super) fn blank() -> Self {
        Self {
            access_type: AccessType::JustInTime.to_string(),
            decided_by: "form".to_owned(),
            approval_amount: "1".to_owned(),
            admins_approve_themselves: true,
            duration: "1h".to_owned(),
            ..Self::default()
        }
    }

    /// A rule as it is.
    pub(super) fn of(rule: &Rule, app: &App) -> Self {
        let active = app.lifecycle.active().load();
        let form = Form::of(&rule.policies);
        let shown = form.clone().unwrap_or_default();
        let written = |used: &PolicyUse| {
            let schema = schema_of(&active, used.policy.as_str());
            (used.policy.to_string(), schema::write(&schema, Some(&used.config)))
        };
        Self {
            editing: rule.name.to_string(),
            revision: rule.revision,
            name: rule.name.to_string(),
            description: rule.description.clone(),
            access_type: rule.access_type.to_string(),
            resources: names(&rule.resources),
            attributes: pairs_text(&rule.attributes),
            required_groups: names(&rule.required_groups),
            votes_on_page: rule.votes_on_page,
            decided_by: if form.is_some() { "form" } else { "policies" }.to_owned(),
            approval_groups: names(shown.approval_groups.iter().flatten()),
            require_all_groups: shown.require_all_groups.unwrap_or(false),
            approval_amount: shown.approval_amount.unwrap_or(1).to_string(),
            force_approval_groups: names(shown.force_approval_groups.iter().flatten()),
            max_duration: shown.max_duration.map(|max| max.to_string()).unwrap_or_default(),
            skip_groups: names(shown.skip_groups.iter().flatten()),
            admins_approve_themselves: shown.admins_approve_themselves.unwrap_or(true),
            policies: rule.policies.iter().map(written).collect(),
            ..Self::blank()
        }
    }

    /// What was sent.
    pub(super) fn sent(fields: &Fields, app: &App) -> Self {
        let active = app.lifecycle.active().load();
        let mut policies = Vec::new();
        for index in 0..POLICIES_MAX {
            let policy = fields.one(&format!("policy-{index}"));
            if policy.is_empty() {
                break;
            }
            let is_same = fields.one(&format!("policy-{index}-was")) == policy;
            let written = if is_same {
                schema::sent(fields, &format!("config-{index}-"))
            } else {
                schema::write(&schema_of(&active, policy), None)
            };
            policies.push((policy.to_owned(), written));
        }
        let text = |name: &str| fields.one(name).trim().to_owned();
        Self {
            editing: text("editing"),
            revision: fields.one("revision").parse().unwrap_or(0),
            name: text("name"),
            description: fields.text("description"),
            access_type: text("access_type"),
            resources: fields.chosen("resources"),
            attributes: fields.text("attribute_lines"),
            required_groups: fields.chosen("required_groups"),
            votes_on_page: fields.is_on("votes_on_page"),
            decided_by: text("decided_by"),
            approval_groups: fields.chosen("approval_groups"),
            require_all_groups: fields.is_on("require_all_groups"),
            approval_amount: text("approval_amount"),
            force_approval_groups: fields.chosen("force_approval_groups"),
            max_duration: text("max_duration"),
            skip_groups: fields.chosen("skip_groups"),
            admins_approve_themselves: fields.is_on("admins_approve_themselves"),
            policies,
            who: text("who"),
            on: text("on"),
            duration: text("duration"),
        }
    }

    /// What a button of the list of policies does: `add`, `remove-1`, `up-1`.
    pub(super) fn act(&mut self, what: &str, app: &App) {
        let active = app.lifecycle.active().load();
        let (verb, index) = what.split_once('-').unwrap_or((what, ""));
        let index = index.parse::<usize>().ok().filter(|index| *index < self.policies.len());
        match (verb, index) {
            ("add", _) if self.policies.len() < POLICIES_MAX => {
                if let Some((name, _)) = active.iter().next() {
                    let written = schema::write(&schema_of(&active, name.as_str()), None);
                    self.policies.push((name.to_string(), written));
                }
            }
            ("remove", Some(index)) => drop(self.policies.remove(index)),
            ("up", Some(index @ 1..)) => self.policies.swap(index - 1, index),
            _ => {}
        }
    }

    /// The policies with their fields.
    pub(super) fn parts(&self, active: &ActiveSet) -> Vec<PolicyPart> {
        let part = |(policy, written): &(String, Written)| PolicyPart {
            policy: policy.clone(),
            fields: schema::fields(&schema_of(active, policy), written),
        };
        self.policies.iter().map(part).collect()
    }

    /// The rule; to try it, it needs no name yet.
    pub(super) fn rule(&self, app: &App, is_try: bool) -> Result<Rule, Wrong> {
        let mut wrong = Wrong::default();
        let name = match (self.editing.as_str(), self.name.as_str()) {
            ("", "") if is_try => "this-rule",
            ("", name) => name,
            (editing, _) => editing,
        };
        let name = wrong.read("name", name);
        let access_type = wrong.read("access_type", &self.access_type);
        let attributes = wrong.pairs("attribute_lines", &self.attributes);
        let resources = wrong.read_all("resources", &self.resources);
        let required_groups = wrong.read_all("required_groups", &self.required_groups);
        let policies = match self.decided_by.as_str() {
            "policies" => self.listed(app, &mut wrong),
            _ => self.formed(&mut wrong),
        };
        match (name, access_type) {
            (Some(name), Some(access_type)) if wrong.is_empty() => Ok(Rule {
                name,
                description: self.description.clone(),
                access_type,
                resources,
                attributes,
                required_groups,
                votes_on_page: self.votes_on_page,
                policies,
                revision: 0,
            }),
            _ => Err(wrong),
        }
    }

    fn formed(&self, wrong: &mut Wrong) -> Vec<PolicyUse> {
        let amount = self.approval_amount.parse();
        let form = Form {
            approval_groups: Some(wrong.read_all("approval_groups", &self.approval_groups)),
            require_all_groups: Some(self.require_all_groups),
            approval_amount: amount
                .map_err(|_| wrong.say("approval_amount", "say how many people must approve, as in 2"))
                .ok(),
            force_approval_groups: Some(wrong.read_all("force_approval_groups", &self.force_approval_groups)),
            max_duration: match self.max_duration.as_str() {
                "" => None,
                text => wrong.read("max_duration", text),
            },
            skip_groups: Some(wrong.read_all("skip_groups", &self.skip_groups)),
            admins_approve_themselves: Some(self.admins_approve_themselves),
        };
        form.policies().map_err(|bad| wrong.say("", bad.to_string())).unwrap_or_default()
    }

    fn listed(&self, app: &App, wrong: &mut Wrong) -> Vec<PolicyUse> {
        let active = app.lifecycle.active().load();
        let mut policies = Vec::new();
        for (index, (policy, written)) in self.policies.iter().enumerate() {
            let config =
                schema::read(&schema_of(&active, policy), written, &format!("config-{index}-"), wrong);
            let policy = wrong.read(&format!("policy-{index}"), policy);
            policies.extend(policy.map(|policy| PolicyUse { policy, config }));
        }
        policies
    }

    /// Why the rule was not saved, beside the field that it is about.
    pub(super) fn wrong(&self, error: Error, rule: &Rule) -> Result<Wrong, Refusal> {
        let Error::Refused(refused) = error else { return Err(error.into()) };
        let field = match &refused {
            Refused::BadConfig { path, .. } => self.field_of(path, rule),
            Refused::Invalid { what, .. } | Refused::Unknown { what, .. } => match *what {
                "resource" => "resources".to_owned(),
                "policies" | "policy" => "policies".to_owned(),
                what => what.to_owned(),
            },
            Refused::UnsupportedAccess { .. } => "resources".to_owned(),
            Refused::TooLong { .. } => "description".to_owned(),
            _ => String::new(),
        };
        let why = match refused {
            Refused::BadConfig { policy, why, .. } => format!("{policy}: {why}"),
            Refused::Invalid { why, .. } => why,
            refused => refused.to_string(),
        };
        Ok(Wrong::with(&field, why))
    }

    /// `/policies/1/config/max` as the name of a field.
    fn field_of(&self, path: &str, rule: &Rule) -> String {
        let mut steps = path.split('/').skip(2);
        let index = steps.next().unwrap_or_default();
        let property = steps.nth(1).unwrap_or_default();
        if self.decided_by == "policies" {
            return if property.is_empty() {
                format!("policy-{index}")
            } else {
                format!("config-{index}-{property}")
            };
        }
        let used = index.parse().ok().and_then(|index: usize| rule.policies.get(index));
        used.and_then(|used| Form::field(used.policy.as_str(), property)).unwrap_or_default().to_owned()
    }
}

/// The schema of a policy that decides now; one that says nothing where there is none.
fn schema_of(active: &ActiveSet, policy: &str) -> Value {
    let found = policy.parse().ok().and_then(|name| active.get(&name));
    found.map_or(Value::Null, |policy| policy.schema().clone())
}
