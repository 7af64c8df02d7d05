//! From a file and what the gateway has to the steps that make the gateway what the file says.
//! Pure: everything is checked here before anything is changed.

mod channels;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use quorate_core::ids::{Digest, GroupName, UserId};
use quorate_core::rule::AccessType;
use quorate_core::user::ADMIN;
use serde_json::{Value, json};

use super::diff::{Action, Change, Field};
use super::file;
use super::keys::{names, nearest};
use crate::cli::environment::Environment;
use crate::cli::policy::active;

/// What the gateway has, by name.
#[derive(Debug, Default)]
pub(super) struct State {
    /// People.
    pub(super) users: BTreeMap<String, Value>,
    /// Resource roles.
    pub(super) resources: BTreeMap<String, Value>,
    /// Rules.
    pub(super) rules: BTreeMap<String, Value>,
    /// Notification channels, where the file names any.
    pub(super) channels: BTreeMap<String, Value>,
    /// Policies.
    pub(super) policies: BTreeMap<String, Value>,
    /// The config schemas of the policies that rules in the file use.
    pub(super) schemas: BTreeMap<String, Value>,
}

/// A component that the file names, put through all checks.
#[derive(Debug)]
pub(super) struct Component {
    /// Which version it is.
    pub(super) digest: Digest,
    /// It.
    pub(super) bytes: Vec<u8>,
}

/// What else a plan depends on.
#[derive(Debug)]
pub(super) struct Given<'a> {
    /// The folder of the file.
    pub(super) folder: &'a Path,
    /// Where secrets may be.
    pub(super) environment: &'a Environment,
    /// The components that the file names.
    pub(super) components: &'a BTreeMap<String, Component>,
    /// Whether what the file does not name goes away.
    pub(super) prune: bool,
    /// Whether secrets are sent again that the gateway has.
    pub(super) set_secrets: bool,
    /// Who applies the file.
    pub(super) me: &'a str,
}

/// One step.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// For people.
    pub(super) change: Change,
    /// For the gateway.
    pub(super) call: Call,
}

/// What is asked of the gateway.
#[derive(PartialEq, Eq)]
pub(super) enum Call {
    /// Save something.
    Put {
        /// Below `/api`.
        path: [String; 2],
        /// What; it may hold secrets.
        body: Value,
    },
    /// Remove something.
    Delete {
        /// Below `/api`.
        path: [String; 2],
    },
    /// Load a version of a policy.
    Load {
        /// The policy.
        policy: String,
        /// Whether it decides at once.
        activate: bool,
        /// Why.
        reason: String,
    },
    /// Make a version decide that is there.
    Activate {
        /// The policy.
        policy: String,
        /// The version.
        digest: Digest,
        /// Why.
        reason: String,
    },
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A body may hold secrets.
        match self {
            Self::Put { path, .. } => write!(f, "Put({})", path.join("/")),
            Self::Delete { path } => write!(f, "Delete({})", path.join("/")),
            Self::Load { policy, .. } => write!(f, "Load({policy})"),
            Self::Activate { policy, digest, .. } => write!(f, "Activate({policy}, {digest})"),
        }
    }
}

/// The steps, in an order in which each finds what it needs; or everything that is wrong.
pub(super) fn plan(file: &file::Gateway, state: &State, given: &Given<'_>) -> Result<Vec<Step>, Vec<String>> {
    let mut plan = Plan { file, state, given, steps: Vec::new(), handing_over: None, wrong: Vec::new() };
    plan.policies();
    plan.people();
    plan.resources();
    plan.rules();
    plan.channels();
    if given.prune {
        plan.prune();
    }
    plan.steps.extend(plan.handing_over.take());
    if plan.wrong.is_empty() { Ok(plan.steps) } else { Err(plan.wrong) }
}

struct Plan<'a> {
    file: &'a file::Gateway,
    state: &'a State,
    given: &'a Given<'a>,
    steps: Vec<Step>,
    /// Whoever applies the file and is no admin after it: the last step, since nobody else
    /// can take the others.
    handing_over: Option<Step>,
    wrong: Vec<String>,
}

impl Plan<'_> {
    fn policies(&mut self) {
        for (name, policy) in self.file.policies.iter().flatten() {
            let Some(component) = self.given.components.get(name.as_str()) else { continue };
            let known = self.state.policies.get(name.as_str());
            let digest = component.digest.to_string();
            let loaded = known.and_then(|known| known.get("versions")?.as_array()).is_some_and(|versions| {
                versions.iter().any(|version| version.get("digest").and_then(Value::as_str) == Some(&digest))
            });
            let decides = known.and_then(active).map(str::to_owned);
            let is_active = decides.as_deref() == Some(&digest);
            if is_active || (loaded && !policy.activate) {
                continue;
            }
            let (policy_name, reason) = (name.to_string(), policy.reason.clone());
            let call = if loaded {
                Call::Activate { policy: policy_name, digest: component.digest, reason }
            } else {
                Call::Load { policy: policy_name, activate: policy.activate, reason }
            };
            let path = if policy.activate { "decides" } else { "version" };
            let before = decides.filter(|_| policy.activate).map(|digest| json!(short(&digest)));
            let fields = vec![Field { path: path.to_owned(), before, after: Some(json!(short(&digest))) }];
            let action = if known.is_some() { Action::Change } else { Action::Add };
            let change = Change { action, what: "policy", name: name.to_string(), fields };
            self.steps.push(Step { change, call });
        }
    }

    fn people(&mut self) {
        let wanted = self.wanted_groups();
        let named = self.file.users.iter().flatten().map(|(id, _)| id.to_string());
        let everybody: BTreeSet<String> = named.chain(wanted.keys().cloned()).collect();
        let nothing = file::User::default();
        let mut steps = Vec::new();
        for id in everybody {
            let before = self.state.users.get(&id);
            let said = self
                .file
                .users
                .iter()
                .flatten()
                .find(|(name, _)| name.as_str() == id)
                .map_or(&nothing, |(_, said)| said);
            let kept = |name: &str, other: Value| {
                before.and_then(|before| before.get(name)).cloned().unwrap_or(other)
            };
            let groups = wanted.get(&id).map_or_else(|| kept("groups", json!([])), |groups| json!(groups));
            let after = json!({
                "email": said.email.as_ref().map_or_else(|| kept("email", json!("")), |email| json!(email)),
                "groups": groups,
                "active": said.active.map_or_else(|| kept("active", json!(true)), |active| json!(active)),
            });
            let Some(mut change) = Change::between("user", &id, only(before, &after).as_ref(), &after) else {
                continue;
            };
            let mut body = after;
            if let (None, Some(password)) = (before, &said.password) {
                match password.value(self.given.folder, self.given.environment) {
                    Ok(password) => body["password"] = json!(password),
                    Err(why) => self.wrong.push(format!("users.{id}.password: {why}")),
                }
                change.fields.push(Field {
                    path: "password".to_owned(),
                    before: None,
                    after: Some(json!("(set)")),
                });
            }
            let is_admin = body["active"] == true && groups_of(&body).contains(ADMIN);
            let hands_over = id == self.given.me && !is_admin;
            let step = Step { change, call: Call::Put { path: ["users".to_owned(), id], body } };
            if hands_over {
                self.handing_over = Some(step);
            } else {
                steps.push((is_admin, step));
            }
        }
        // New admins first, so that there always is one.
        steps.sort_by_key(|(is_admin, _)| !is_admin);
        self.steps.extend(steps.into_iter().map(|(_, step)| step));
    }

    /// The groups of everybody for whom the file says something about them. It can be said under
    /// the person and under the group; both must agree.
    fn wanted_groups(&mut self) -> BTreeMap<String, BTreeSet<String>> {
        let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (id, user) in self.file.users.iter().flatten() {
            if let Some(groups) = &user.groups {
                wanted.insert(id.to_string(), groups.iter().map(ToString::to_string).collect());
            }
        }
        let said_of = |id: &str| wanted.contains_key(id);
        let said_by_person: BTreeSet<String> = wanted.keys().filter(|id| said_of(id)).cloned().collect();
        for (group, members) in self.file.groups.iter().flatten() {
            self.check_members(group, members);
            let current =
                self.state.users.iter().filter(|(_, user)| groups_of(user).contains(group.as_str()));
            let concerned: BTreeSet<String> = members
                .iter()
                .map(ToString::to_string)
                .chain(current.map(|(id, _)| id.clone()))
                .chain(said_by_person.iter().filter(|id| wanted[*id].contains(group.as_str())).cloned())
                .collect();
            for id in concerned {
                let is_member = members.iter().any(|member| member.as_str() == id);
                if said_by_person.contains(&id) {
                    if wanted[&id].contains(group.as_str()) != is_member {
                        self.wrong.push(format!(
                            "users.{id}.groups and groups.{group} do not agree on whether {id} is in {group}"
                        ));
                    }
                    continue;
                }
                let before = self.state.users.get(&id).map(groups_of).unwrap_or_default();
                let groups = wanted.entry(id).or_insert(before);
                if is_member {
                    groups.insert(group.to_string());
                } else {
                    groups.remove(group.as_str());
                }
            }
        }
        wanted
    }

    fn check_members(&mut self, group: &GroupName, members: &BTreeSet<UserId>) {
        for member in members {
            let in_file = self.file.users.as_ref().is_some_and(|users| users.contains_key(member));
            if !in_file && !self.state.users.contains_key(member.as_str()) {
                let mut known = names(&self.state.users);
                known.extend(self.file.users.iter().flatten().map(|(id, _)| id.to_string()));
                self.wrong.push(format!(
                    "groups.{group}: there is no user `{member}`{}",
                    hint(member.as_str(), &known)
                ));
            }
        }
    }

    fn resources(&mut self) {
        for (name, resource) in self.file.resources.iter().flatten() {
            let before = self.state.resources.get(name.as_str());
            let after = resource.canonical();
            let kept: BTreeSet<&str> = before
                .and_then(|before| before.get("secrets")?.as_array())
                .map(|secrets| secrets.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            let mut change =
                Change::between("resource", name.as_str(), only(before, &after).as_ref(), &after);
            let mut secrets = serde_json::Map::new();
            for (secret, source) in &resource.secrets {
                if kept.contains(secret.as_str()) && !self.given.set_secrets {
                    secrets.insert(secret.clone(), Value::Null);
                    continue;
                }
                match source.value(self.given.folder, self.given.environment) {
                    Ok(value) => secrets.insert(secret.clone(), json!(value)),
                    Err(why) => {
                        self.wrong.push(format!("resources.{name}.secrets.{secret}: {why}"));
                        None
                    }
                };
                if kept.contains(secret.as_str()) {
                    let change = change.get_or_insert_with(|| Change {
                        action: Action::Change,
                        what: "resource",
                        name: name.to_string(),
                        fields: Vec::new(),
                    });
                    let (before, after) = (Some(json!("(set)")), Some(json!("(set again)")));
                    change.fields.push(Field { path: format!("secrets.{secret}"), before, after });
                }
            }
            if resource.command.first().is_none_or(String::is_empty) {
                self.wrong.push(format!("resources.{name}.command: name the program to run"));
            }
            if let Some(change) = change {
                let mut body = after;
                body["secrets"] = Value::Object(secrets);
                let path = ["resources".to_owned(), name.to_string()];
                self.steps.push(Step { change, call: Call::Put { path, body } });
            }
        }
    }

    fn rules(&mut self) {
        for (name, rule) in self.file.rules.iter().flatten() {
            let after = match rule.canonical() {
                Ok(after) => after,
                Err(why) => {
                    self.wrong.push(format!("rules.{name}: {why}"));
                    continue;
                }
            };
            self.check_resources(name.as_str(), rule);
            self.check_policies(name.as_str(), &after);
            let before = only(self.state.rules.get(name.as_str()), &after);
            if let Some(change) = Change::between("rule", name.as_str(), before.as_ref(), &after) {
                let path = ["rules".to_owned(), name.to_string()];
                self.steps.push(Step { change, call: Call::Put { path, body: after } });
            }
        }
    }

    fn check_resources(&mut self, rule_name: &str, rule: &file::Rule) {
        if rule.resources.is_empty() {
            self.wrong.push(format!("rules.{rule_name}.resources: name at least one resource"));
        }
        for name in &rule.resources {
            let in_file =
                self.file.resources.as_ref().and_then(|all| all.get(name)).map(file::Resource::canonical);
            let stays = self.state.resources.get(name.as_str()).filter(|_| !self.is_pruned(name.as_str()));
            let Some(resource) = in_file.or_else(|| stays.cloned()) else {
                let mut known = names(&self.state.resources);
                known.extend(self.file.resources.iter().flatten().map(|(name, _)| name.to_string()));
                self.wrong.push(format!(
                    "rules.{rule_name}.resources: there is no resource `{name}`{}",
                    hint(name.as_str(), &known)
                ));
                continue;
            };
            if !supports(&resource, rule.access_type) {
                let kind = rule.access_type;
                self.wrong.push(format!("rules.{rule_name}: {name} does not support {kind} access"));
            }
        }
    }

    /// Whether `--prune` takes the resource away.
    fn is_pruned(&self, name: &str) -> bool {
        let named = |all: &BTreeMap<_, _>| {
            all.keys().any(|one: &quorate_core::ids::ResourceName| one.as_str() == name)
        };
        self.given.prune && self.file.resources.as_ref().is_some_and(|all| !named(all))
    }

    fn check_policies(&mut self, rule_name: &str, rule: &Value) {
        let policies = rule["policies"].as_array().map_or(&[][..], Vec::as_slice);
        if policies.is_empty() {
            self.wrong.push(format!("rules.{rule_name}.policies: without a policy nobody could approve"));
        }
        for (index, used) in policies.iter().enumerate() {
            let name = used["policy"].as_str().unwrap_or_default();
            let in_file = self.file.policies.iter().flatten().any(|(known, _)| known.as_str() == name);
            if !in_file && !self.state.policies.contains_key(name) {
                let mut known = names(&self.state.policies);
                known.extend(self.file.policies.iter().flatten().map(|(name, _)| name.to_string()));
                self.wrong
                    .push(format!("rules.{rule_name}: there is no policy `{name}`{}", hint(name, &known)));
                continue;
            }
            if let Some(schema) = self.state.schemas.get(name) {
                let errors = against_schema(schema, &used["config"]);
                let place = format!("rules.{rule_name}.policies[{index}].config ({name})");
                self.wrong.extend(errors.into_iter().map(|why| format!("{place}{why}")));
            }
        }
    }

    /// What the file does not name, of those kinds of which it names any. People are switched off,
    /// not removed; policies stay.
    fn prune(&mut self) {
        self.prune_channels();
        let gone = |path: &str, what: &'static str, name: &String| Step {
            change: Change::removal(what, name),
            call: Call::Delete { path: [path.to_owned(), name.clone()] },
        };
        if let Some(rules) = &self.file.rules {
            let rest =
                self.state.rules.keys().filter(|name| !rules.keys().any(|one| one.as_str() == name.as_str()));
            self.steps.extend(rest.map(|name| gone("rules", "rule", name)));
        }
        if self.file.resources.is_some() {
            let rest: Vec<&String> =
                self.state.resources.keys().filter(|name| self.is_pruned(name)).collect();
            self.steps.extend(rest.into_iter().map(|name| gone("resources", "resource", name)));
        }
        if let Some(users) = &self.file.users {
            let in_groups = |id: &str| {
                self.file.groups.iter().flatten().any(|(_, all)| all.iter().any(|one| one.as_str() == id))
            };
            let rest = self.state.users.iter().filter(|(id, user)| {
                let named = users.keys().any(|one| one.as_str() == id.as_str()) || in_groups(id);
                !named && user["active"] != json!(false) && id.as_str() != self.given.me
            });
            self.steps.extend(rest.map(|(id, _)| {
                let fields = vec![Field {
                    path: "active".to_owned(),
                    before: Some(json!(true)),
                    after: Some(json!(false)),
                }];
                let change = Change { action: Action::Change, what: "user", name: id.clone(), fields };
                Step {
                    change,
                    call: Call::Put {
                        path: ["users".to_owned(), id.clone()],
                        body: json!({"active": false}),
                    },
                }
            }));
        }
    }
}

/// The parts of `before` that `after` speaks about.
fn only(before: Option<&Value>, after: &Value) -> Option<Value> {
    let (before, after) = (before?.as_object()?, after.as_object()?);
    let fields = before.iter().filter(|(name, _)| after.contains_key(*name));
    Some(Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect()))
}

fn groups_of(user: &Value) -> BTreeSet<String> {
    let groups = user.get("groups").and_then(Value::as_array);
    groups
        .map(|groups| groups.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default()
}

fn supports(resource: &Value, kind: AccessType) -> bool {
    let kinds = resource.get("access_types").and_then(Value::as_array);
    kinds.is_none_or(|kinds| kinds.iter().any(|one| one.as_str() == Some(&kind.to_string())))
}

/// What is wrong with `config`, each with its place.
fn against_schema(schema: &Value, config: &Value) -> Vec<String> {
    let Ok(validator) = jsonschema::validator_for(schema) else { return Vec::new() };
    let errors = validator.iter_errors(config);
    errors
        .map(|error| format!("{}: {error}", error.instance_path().to_string().replace('/', ".")))
        .take(3)
        .collect()
}

fn hint(given: &str, known: &[String]) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    nearest(given, &known).map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests;
