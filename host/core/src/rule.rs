//! An access request rule: which requests it covers and which policies decide.

mod form;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;
use crate::entry::{Actor, Happened, Step, Stream};
use crate::ids::{GroupName, PolicyName, ResourceName, RuleName};
use crate::input::Principal;
use crate::refused::Refused;
use crate::resource::Resource;
use crate::verdict::Finding;

pub use form::Form;

/// The rules that cover `requester` asking for `resource` in this way.
pub fn covering<'a>(
    rules: &'a [Rule],
    requester: &Principal,
    resource: &Resource,
    access_type: AccessType,
) -> Vec<&'a Rule> {
    rules.iter().filter(|rule| rule.covers(requester, resource, access_type)).collect()
}

/// The most policies one rule can have.
pub const POLICIES_MAX: usize = 16;

/// The two ways to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessType {
    /// A time window.
    JustInTime,
    /// One run of exactly one command.
    Command,
}

impl fmt::Display for AccessType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::JustInTime => "just-in-time",
            Self::Command => "command",
        })
    }
}

impl FromStr for AccessType {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "just-in-time" => Ok(Self::JustInTime),
            "command" => Ok(Self::Command),
            _ => Err("an access type is `just-in-time` or `command`".to_owned()),
        }
    }
}

/// A policy with the config that a rule gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyUse {
    /// Which policy; whatever version of it is active decides.
    pub policy: PolicyName,
    /// Its config.
    #[serde(default = "empty_object")]
    pub config: Value,
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name.
    pub name: RuleName,
    /// For people to read.
    #[serde(default)]
    pub description: String,
    /// Which way of asking it covers.
    pub access_type: AccessType,
    /// The resources it covers.
    pub resources: BTreeSet<ResourceName>,
    /// Narrows them: a covered resource has all of these attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Whose requests it covers; empty: everybody's.
    #[serde(default)]
    pub required_groups: BTreeSet<GroupName>,
    /// What decides, in order.
    pub policies: Vec<PolicyUse>,
    /// Whether votes under it have to be cast on the page of the request, by somebody signed in
    /// there: a chat, or a program with a token, is not enough.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub votes_on_page: bool,
    /// How many entries made it what it is.
    #[serde(default)]
    pub revision: u64,
}

impl Rule {
    /// Whether it covers `requester` asking for `resource` in this way.
    pub fn covers(&self, requester: &Principal, resource: &Resource, access_type: AccessType) -> bool {
        self.covers_resource(resource, access_type)
            && (self.required_groups.is_empty()
                || self.required_groups.iter().any(|group| requester.is_in(group.as_str())))
    }

    /// Whether it covers anybody asking for `resource` in this way.
    pub fn covers_resource(&self, resource: &Resource, access_type: AccessType) -> bool {
        self.access_type == access_type
            && self.resources.contains(&resource.name)
            && self.attributes.iter().all(|(name, value)| resource.attributes.get(name) == Some(value))
    }

    /// Saves it, where its stream has `revision` entries. `resources` are the
    /// existing ones it names; `findings` is what the policies say of their
    /// configs, each with the index of the policy.
    pub fn save(
        mut self,
        revision: u64,
        resources: &[Resource],
        findings: &[(usize, Finding)],
        by: Actor,
        now: Timestamp,
    ) -> Result<Step, Refused> {
        let invalid = |what, why: String| Err(Refused::Invalid { what, why });
        if self.resources.is_empty() {
            return invalid("resources", "name at least one resource".to_owned());
        }
        if self.policies.is_empty() || self.policies.len() > POLICIES_MAX {
            return invalid(
                "policies",
                format!("name 1 to {POLICIES_MAX} policies: without one nobody could ever approve"),
            );
        }
        if self.description.len() > 10_000 {
            return Err(Refused::TooLong { what: "the description", max: 10_000, unit: "bytes" });
        }
        for name in &self.resources {
            let Some(resource) = resources.iter().find(|resource| resource.name == *name) else {
                return Err(Refused::Unknown { what: "resource", name: name.to_string() });
            };
            if !resource.access_types.contains(&self.access_type) {
                return Err(Refused::UnsupportedAccess {
                    resource: name.clone(),
                    access_type: self.access_type,
                });
            }
        }
        if let Some((index, finding)) = findings.iter().find(|(_, finding)| !finding.is_warning()) {
            let policy = self.policies.get(*index).map_or("?", |used| used.policy.as_str());
            return Err(Refused::BadConfig {
                policy: policy.to_owned(),
                path: format!("/policies/{index}/config{}", finding.path.as_deref().unwrap_or("")),
                why: finding.message.clone(),
            });
        }
        self.revision = revision + 1;
        let stream = Stream::rule(&self.name);
        Ok(Step::one(stream, revision, by, now, Happened::RuleSaved { rule: Box::new(self) }))
    }

    /// Removes it. `used_by` names a channel that is told of requests under it.
    pub fn remove(&self, used_by: Option<&str>, by: Actor, now: Timestamp) -> Result<Step, Refused> {
        if let Some(channel) = used_by {
            return Err(Refused::InUse {
                what: "rule",
                name: self.name.to_string(),
                by: format!("channel {channel}"),
            });
        }
        Ok(Step::one(Stream::rule(&self.name), self.revision, by, now, Happened::RuleRemoved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(env: &str) -> Resource {
        serde_json::from_value(serde_json::json!({
            "name": "prod", "command": ["psql"], "attributes": {"env": env}, "access_types": ["just-in-time"],
        }))
        .unwrap()
    }

    fn rule() -> Rule {
        serde_json::from_value(serde_json::json!({
            "name": "prod-rule", "access_type": "just-in-time", "resources": ["prod"],
            "attributes": {"env": "eu"}, "required_groups": ["dev"], "policies": [{"policy": "group-quorum"}],
        }))
        .unwrap()
    }

    fn person(id: &str, group: &str) -> Principal {
        Principal {
            id: id.parse().unwrap(),
            email: String::new(),
            groups: vec![group.parse().unwrap()],
            attributes: vec![],
        }
    }

    fn save(rule: Rule, findings: &[(usize, Finding)]) -> Result<Step, Refused> {
        rule.save(0, &[resource("eu")], findings, Actor::Gateway, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn r4_attributes_narrow_and_never_widen() {
        let ann = person("ann", "dev");
        assert!(rule().covers(&ann, &resource("eu"), AccessType::JustInTime));
        assert!(!rule().covers(&ann, &resource("us"), AccessType::JustInTime));
        let mut other = resource("eu");
        other.name = "staging".parse().unwrap();
        assert!(!rule().covers(&ann, &other, AccessType::JustInTime));
    }

    #[test]
    fn r5_required_groups_say_whose_requests_are_covered() {
        assert!(!rule().covers(&person("eve", "sre"), &resource("eu"), AccessType::JustInTime));
        let open = Rule { required_groups: BTreeSet::new(), ..rule() };
        assert!(open.covers(&person("eve", "sre"), &resource("eu"), AccessType::JustInTime));
    }

    #[test]
    fn r2_a_rule_for_one_way_in_does_not_open_the_other() {
        assert!(!rule().covers(&person("ann", "dev"), &resource("eu"), AccessType::Command));
    }

    #[test]
    fn r8_a_rule_only_names_resources_that_support_its_type() {
        let refused = save(Rule { access_type: AccessType::Command, ..rule() }, &[]).unwrap_err();
        assert!(matches!(refused, Refused::UnsupportedAccess { .. }));
    }

    #[test]
    fn q10_a_rule_without_a_policy_is_refused() {
        let refused = save(Rule { policies: vec![], ..rule() }, &[]).unwrap_err();
        assert!(refused.to_string().contains("nobody could ever approve"));
    }

    #[test]
    fn a_warning_does_not_refuse_a_rule_and_another_finding_does() {
        let finding =
            |code: &str| Finding { code: code.into(), message: "hm".into(), path: Some("/groups".into()) };
        assert!(save(rule(), &[(0, finding("warning-few"))]).is_ok());
        let refused = save(rule(), &[(0, finding("too-many"))]).unwrap_err();
        assert!(matches!(refused, Refused::BadConfig { path, .. } if path == "/policies/0/config/groups"));
    }
}
