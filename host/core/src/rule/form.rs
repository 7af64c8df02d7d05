//! The form: what most rules say, in the words of those who write them. It stands for
//! the built-in policies and their configs, and this is the one place that knows which.
//!
//! Not here: whether the configs make sense, which the policies say themselves.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::PolicyUse;
use crate::duration::AccessDuration;
use crate::ids::{BadName, GroupName};

/// A rule without the names of policies. What is left out is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Whose members may approve.
    pub approval_groups: Option<Vec<GroupName>>,
    /// Whether one member of each of them must, each a different person; not if left out.
    pub require_all_groups: Option<bool>,
    /// How many people must approve; one if left out.
    pub approval_amount: Option<u32>,
    /// Whose members may force an approval.
    pub force_approval_groups: Option<Vec<GroupName>>,
    /// The longest access.
    pub max_duration: Option<AccessDuration>,
    /// Whose members need no approval.
    pub skip_groups: Option<Vec<GroupName>>,
    /// Whether admins need no approval for their own requests; they need none if left
    /// out.
    pub admins_approve_themselves: Option<bool>,
}

impl Form {
    /// Whether anything at all is filled in.
    pub fn is_used(&self) -> bool {
        *self != Self::default()
    }

    /// The policies that it stands for, in the order in which they decide. One that
    /// would never have a say is left out.
    pub fn policies(&self) -> Result<Vec<PolicyUse>, BadName> {
        let used =
            |policy: &str, config: Value| Ok::<_, BadName>(PolicyUse { policy: policy.parse()?, config });
        let mut policies = vec![used(
            "group-quorum",
            json!({
                "groups": self.approval_groups.as_deref().unwrap_or_default(),
                "require_all": self.require_all_groups.unwrap_or(false),
                "approvals": self.approval_amount.unwrap_or(1),
            }),
        )?];
        if let Some(max) = &self.max_duration {
            policies.push(used("duration-cap", json!({ "max": max }))?);
        }
        let force = self.force_approval_groups.as_deref().unwrap_or_default();
        let skip = self.skip_groups.as_deref().unwrap_or_default();
        let admins = self.admins_approve_themselves.unwrap_or(true);
        if admins || !force.is_empty() || !skip.is_empty() {
            policies.push(used(
                "bypass",
                json!({ "force_groups": force, "skip_groups": skip, "admins_approve_themselves": admins }),
            )?);
        }
        Ok(policies)
    }

    /// The form that stands for exactly these policies; none where they say more than a form can.
    pub fn of(policies: &[PolicyUse]) -> Option<Self> {
        let mut form = Self { admins_approve_themselves: Some(false), ..Self::default() };
        for used in policies {
            let field = |name: &str| used.config.get(name).cloned();
            match used.policy.as_str() {
                "group-quorum" => {
                    form.approval_groups = read(field("groups")).ok()?;
                    form.require_all_groups = read(field("require_all")).ok()?;
                    form.approval_amount = read(field("approvals")).ok()?;
                }
                "duration-cap" => form.max_duration = read(field("max")).ok()?,
                "bypass" => {
                    form.force_approval_groups = read(field("force_groups")).ok()?;
                    form.skip_groups = read(field("skip_groups")).ok()?;
                    form.admins_approve_themselves = read(field("admins_approve_themselves")).ok()?;
                }
                _ => return None,
            }
        }
        (form.policies().ok()? == policies).then_some(form)
    }

    /// The field of the form that became the field `name` in the config of `policy`.
    pub fn field(policy: &str, name: &str) -> Option<&'static str> {
        match (policy, name) {
            ("group-quorum", "require_all") => Some("require_all_groups"),
            ("group-quorum", "approvals") => Some("approval_amount"),
            ("group-quorum", _) => Some("approval_groups"),
            ("duration-cap", _) => Some("max_duration"),
            ("bypass", "skip_groups") => Some("skip_groups"),
            ("bypass", _) => Some("force_approval_groups"),
            _ => None,
        }
    }
}

fn read<T: DeserializeOwned>(field: Option<Value>) -> Result<Option<T>, serde_json::Error> {
    field.map(serde_json::from_value).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(names: &[&str]) -> Vec<GroupName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn policies(form: &Form) -> Value {
        serde_json::to_value(form.policies().unwrap()).unwrap()
    }

    #[test]
    fn a_form_stands_for_the_built_in_policies() {
        let form = Form {
            approval_groups: Some(groups(&["dba", "security"])),
            require_all_groups: Some(true),
            approval_amount: Some(3),
            force_approval_groups: Some(groups(&["sre"])),
            max_duration: Some("2h".parse().unwrap()),
            skip_groups: Some(groups(&["oncall"])),
            admins_approve_themselves: Some(false),
        };
        let wanted = json!([
            {"policy": "group-quorum",
             "config": {"groups": ["dba", "security"], "require_all": true, "approvals": 3}},
            {"policy": "duration-cap", "config": {"max": "2h"}},
            {"policy": "bypass", "config": {
                "force_groups": ["sre"], "skip_groups": ["oncall"], "admins_approve_themselves": false,
            }},
        ]);
        assert_eq!(policies(&form), wanted);
    }

    #[test]
    fn the_form_is_found_again_in_its_policies_and_in_no_others() {
        let form = Form {
            approval_groups: Some(groups(&["dba", "security"])),
            max_duration: Some("2h".parse().unwrap()),
            skip_groups: Some(groups(&["oncall"])),
            ..Form::default()
        };
        let policies = form.policies().unwrap();
        let found = Form::of(&policies).unwrap();
        assert_eq!(found.policies().unwrap(), policies);
        assert_eq!(found.admins_approve_themselves, Some(true));
        let mut other = policies.clone();
        other[0].config["newer"] = json!(1);
        assert_eq!(Form::of(&other), None);
        other = policies.clone();
        other.swap(0, 1);
        assert_eq!(Form::of(&other), None);
        other = policies;
        other[0].policy = "four-eyes".parse().unwrap();
        assert_eq!(Form::of(&other), None);
    }

    #[test]
    fn what_is_left_out_has_its_default_and_a_bypass_of_nothing_is_none() {
        let form = Form { approval_groups: Some(groups(&["dba"])), ..Form::default() };
        let bypass = json!({"force_groups": [], "skip_groups": [], "admins_approve_themselves": true});
        assert_eq!(policies(&form)[0]["config"]["approvals"], 1);
        assert_eq!(policies(&form)[1], json!({"policy": "bypass", "config": bypass}));
        let strict = Form { admins_approve_themselves: Some(false), ..form };
        assert_eq!(policies(&strict).as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_form_is_used_as_soon_as_one_field_is() {
        assert!(!Form::default().is_used());
        assert!(Form { approval_amount: Some(1), ..Form::default() }.is_used());
        assert!(Form { skip_groups: Some(groups(&[])), ..Form::default() }.is_used());
    }
}
