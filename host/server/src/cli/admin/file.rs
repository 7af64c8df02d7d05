//! The files that describe a gateway: people, groups, resources, rules and policies, in YAML
//! (or JSON, which is YAML).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use quorate_core::channel::EventType;
use quorate_core::duration::AccessDuration;
use quorate_core::ids::{AgentName, ChannelName, GroupName, PolicyName, ResourceName, RuleName, UserId};
use quorate_core::rule::{AccessType, Form, PolicyUse};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::keys::{Shape, unknown_keys};
use crate::cli::environment::Environment;
use crate::cli::exit::Failure;
use crate::cli::words;

/// The largest file.
const FILE_BYTES_MAX: u64 = 4 << 20;

const SOURCE: Shape = Shape::Keys(&[("env", Shape::Any), ("file", Shape::Any)]);
const USER: Shape = Shape::Keys(&[
    ("email", Shape::Any),
    ("groups", Shape::Any),
    ("active", Shape::Any),
    ("password", SOURCE),
]);
/// The keys of a resource.
pub(super) const RESOURCE: Shape = Shape::Keys(&[
    ("name", Shape::Any),
    ("kind", Shape::Any),
    ("agent", Shape::Any),
    ("command", Shape::Any),
    ("secrets", Shape::Named(&SOURCE)),
    ("attributes", Shape::Any),
    ("access_types", Shape::Any),
    ("max_duration", Shape::Any),
    ("standing_groups", Shape::Any),
    ("plugins", Shape::Any),
]);
/// What is sent of a resource, besides its secrets.
pub(super) const RESOURCE_FIELDS: [&str; 8] =
    ["kind", "agent", "command", "attributes", "access_types", "max_duration", "standing_groups", "plugins"];
const USE: Shape = Shape::Keys(&[("policy", Shape::Any), ("config", Shape::Any)]);
/// The keys of a rule.
pub(super) const RULE: Shape = Shape::Keys(&[
    ("name", Shape::Any),
    ("description", Shape::Any),
    ("access_type", Shape::Any),
    ("resources", Shape::Any),
    ("attributes", Shape::Any),
    ("required_groups", Shape::Any),
    ("votes_on_page", Shape::Any),
    ("policies", Shape::List(&USE)),
    ("approval_groups", Shape::Any),
    ("require_all_groups", Shape::Any),
    ("approval_amount", Shape::Any),
    ("force_approval_groups", Shape::Any),
    ("max_duration", Shape::Any),
    ("skip_groups", Shape::Any),
    ("admins_approve_themselves", Shape::Any),
]);
/// The keys of a notification channel.
pub(super) const CHANNEL: Shape = Shape::Keys(&[
    ("name", Shape::Any),
    ("description", Shape::Any),
    ("kind", Shape::Any),
    ("address", SOURCE),
    ("conversation", Shape::Any),
    ("to", Shape::Any),
    ("all_requests", Shape::Any),
    ("rules", Shape::Any),
    ("events", Shape::Any),
]);
const POLICY: Shape = Shape::Keys(&[("file", Shape::Any), ("activate", Shape::Any), ("reason", Shape::Any)]);
/// The keys of a whole gateway.
pub(super) const GATEWAY: Shape = Shape::Keys(&[
    ("users", Shape::Named(&USER)),
    ("groups", Shape::Any),
    ("resources", Shape::Named(&RESOURCE)),
    ("rules", Shape::Named(&RULE)),
    ("channels", Shape::Named(&CHANNEL)),
    ("policies", Shape::Named(&POLICY)),
]);

/// A gateway, as far as the file describes it. A part that is left out is left alone.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gateway {
    /// People.
    pub(super) users: Option<BTreeMap<UserId, User>>,
    /// Groups, each with all of its members.
    pub(super) groups: Option<BTreeMap<GroupName, BTreeSet<UserId>>>,
    /// Resource roles.
    pub(super) resources: Option<BTreeMap<ResourceName, Resource>>,
    /// Access request rules.
    pub(super) rules: Option<BTreeMap<RuleName, Rule>>,
    /// Notification channels.
    pub(super) channels: Option<BTreeMap<ChannelName, Channel>>,
    /// Policies.
    pub(super) policies: Option<BTreeMap<PolicyName, Policy>>,
}

/// A person. What is left out stays as it is.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    /// Their address.
    pub(super) email: Option<String>,
    /// All of their groups.
    pub(super) groups: Option<BTreeSet<GroupName>>,
    /// Whether they can sign in, ask and vote.
    pub(super) active: Option<bool>,
    /// Their first password; one that they have is never replaced.
    pub(super) password: Option<Source>,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    /// In this environment variable.
    pub(super) env: Option<String>,
    /// In this file.
    pub(super) file: Option<PathBuf>,
}

/// A resource role, whole: what is left out is not there.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resource {
    /// Its name, in a file of its own.
    pub(super) name: Option<ResourceName>,
    /// What stands behind it.
    #[serde(default)]
    pub(super) kind: String,
    /// Which agent runs it.
    pub(super) agent: Option<AgentName>,
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    /// The environment variables in which the program finds its secrets.
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, Source>,
    /// What rules can narrow by.
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, String>,
    /// The ways in which it can be asked for; both if left out.
    pub(super) access_types: Option<BTreeSet<AccessType>>,
    /// The longest access.
    pub(super) max_duration: Option<AccessDuration>,
    /// Members may enter where no rule covers them.
    #[serde(default)]
    pub(super) standing_groups: BTreeSet<GroupName>,
    /// Notification plugins.
    #[serde(default)]
    pub(super) plugins: BTreeSet<String>,
}

/// An access request rule, whole: with `policies`, or with the form that stands for the three
/// built-in ones.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// Its name, in a file of its own.
    pub(super) name: Option<RuleName>,
    /// For people to read.
    #[serde(default)]
    pub(super) description: String,
    /// Which way of asking it covers.
    pub(super) access_type: AccessType,
    /// The resources it covers.
    pub(super) resources: BTreeSet<ResourceName>,
    /// Narrows them.
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, String>,
    /// Whose requests it covers; empty: everybody's.
    #[serde(default)]
    pub(super) required_groups: BTreeSet<GroupName>,
    /// Whether votes have to be cast on the page.
    #[serde(default)]
    pub(super) votes_on_page: bool,
    /// What decides, in order.
    pub(super) policies: Option<Vec<PolicyUse>>,
    /// Form: who may approve.
    pub(super) approval_groups: Option<Vec<GroupName>>,
    /// Form: one member of each group.
    pub(super) require_all_groups: Option<bool>,
    /// Form: so many people.
    pub(super) approval_amount: Option<u32>,
    /// Form: who may force an approval.
    pub(super) force_approval_groups: Option<Vec<GroupName>>,
    /// Form: the longest access.
    pub(super) max_duration: Option<AccessDuration>,
    /// Form: who needs no approval.
    pub(super) skip_groups: Option<Vec<GroupName>>,
    /// Form: whether admins need no approval; they need none if left out.
    pub(super) admins_approve_themselves: Option<bool>,
}

/// A notification channel, whole but for its address.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Channel {
    /// Its name.
    pub(super) name: Option<ChannelName>,
    /// For people to read.
    #[serde(default)]
    pub(super) description: String,
    /// How it delivers.
    pub(super) kind: String,
    /// Where to, for kinds with an address; what is there is kept if left out.
    pub(super) address: Option<Source>,
    /// The conversation in Slack.
    pub(super) conversation: Option<String>,
    /// Whom e-mail goes to.
    #[serde(default)]
    pub(super) to: BTreeSet<String>,
    /// Whether it is told of every request.
    #[serde(default)]
    pub(super) all_requests: bool,
    /// It is told of requests under these.
    #[serde(default)]
    pub(super) rules: BTreeSet<RuleName>,
    /// Of what; everything if left out.
    #[serde(default)]
    pub(super) events: BTreeSet<EventType>,
}

/// A policy's component.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    /// The component, from the folder of this file.
    pub(super) file: PathBuf,
    /// Whether it decides; it does if left out.
    #[serde(default = "yes")]
    pub(super) activate: bool,
    /// Why, for the record.
    #[serde(default)]
    pub(super) reason: String,
}

fn yes() -> bool {
    true
}

/// Reads a file, or standard input for `-`.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let wrong = |why: String| Failure::usage(format!("`{}` {why}", path.display()));
    let mut bytes = Vec::new();
    let done = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    done.map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong(format!("is too large: at most {FILE_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| wrong("is not text in UTF-8".to_owned()))
}

/// What `text` says, where every key in it is one of `shape`.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, text: &str, shape: &Shape) -> Result<T, Failure> {
    let unknown = unknown_keys(text, shape);
    if !unknown.is_empty() {
        let told: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        return Err(Failure::usage(format!("`{}`, {}", path.display(), told.join("; and "))));
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error
            .location()
            .map(|at| format!(", line {}, column {}", at.line(), at.column()))
            .unwrap_or_default();
        let why = error.without_snippet().to_string();
        let why = why.split(" at line ").next().unwrap_or_default();
        Failure::usage(format!("`{}`{place}: {}", path.display(), words::clean(why)))
    })
}

impl Source {
    /// The secret itself. Files are looked for from `folder`; the line break at their end is not
    /// part of it.
    pub(super) fn value(&self, folder: &Path, environment: &Environment) -> Result<String, String> {
        match (&self.env, &self.file) {
            (Some(name), None) => {
                let value = environment.text(name);
                value
                    .map(str::to_owned)
                    .ok_or_else(|| format!("the environment variable `{name}` is not set"))
            }
            (None, Some(file)) => {
                let text = fs::read_to_string(folder.join(file));
                let text = text.map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
                Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
            }
            _ => Err("give {env: VARIABLE} or {file: path}".to_owned()),
        }
    }
}

impl Resource {
    /// It, as the gateway says it, and with it nothing of its secrets but their names.
    pub(super) fn canonical(&self) -> Value {
        let both = BTreeSet::from([AccessType::JustInTime, AccessType::Command]);
        json!({
            "kind": self.kind,
            "agent": self.agent.as_ref().map_or("default", AgentName::as_str),
            "command": self.command,
            "secrets": self.secrets.keys().collect::<Vec<_>>(),
            "attributes": self.attributes,
            "access_types": self.access_types.as_ref().unwrap_or(&both),
            // In the gateway's words, so that 90m and 1h30m are the same.
            "max_duration": self.max_duration.as_ref().map(|max| AccessDuration::from_seconds(max.seconds())),
            "standing_groups": self.standing_groups,
            "plugins": self.plugins,
        })
    }
}

impl Channel {
    /// It, as the gateway says it, without its address.
    pub(super) fn canonical(&self) -> Value {
        json!({
            "description": self.description,
            "kind": self.kind,
            "conversation": self.conversation,
            "to": self.to,
            "all_requests": self.all_requests,
            "rules": self.rules,
            "events": self.events,
        })
    }
}

impl Rule {
    /// It, as the gateway says it: the form becomes the configs of the built-in policies.
    pub(super) fn canonical(&self) -> Result<Value, String> {
        let form = self.form();
        let policies = match (&self.policies, form.is_used()) {
            (Some(_), true) => return Err("give `policies` or the fields of the form, not both".to_owned()),
            (None, false) => {
                return Err(
                    "give `approval_groups`, or `policies`: without one nobody could approve".to_owned()
                );
            }
            (Some(policies), false) => policies.clone(),
            (None, true) => form.policies().map_err(|error| error.to_string())?,
        };
        Ok(json!({
            "description": self.description,
            "access_type": self.access_type,
            "resources": self.resources,
            "attributes": self.attributes,
            "required_groups": self.required_groups,
            "votes_on_page": self.votes_on_page,
            "policies": policies,
        }))
    }

    fn form(&self) -> Form {
        Form {
            approval_groups: self.approval_groups.clone(),
            require_all_groups: self.require_all_groups,
            approval_amount: self.approval_amount,
            force_approval_groups: self.force_approval_groups.clone(),
            max_duration: self.max_duration.clone(),
            skip_groups: self.skip_groups.clone(),
            admins_approve_themselves: self.admins_approve_themselves,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(text: &str) -> Result<Gateway, Failure> {
        parse(Path::new("gateway.yaml"), text, &GATEWAY)
    }

    fn refused(text: &str) -> String {
        gateway(text).unwrap_err().line()
    }

    const WHOLE: &str = "\
users:
  ann: {email: ann@example.org, groups: [dev]}
  bob: {}
groups:
  dba: [bob]
resources:
  prod-postgres:
    kind: postgres
    command: [psql, -h, localhost, -U, postgres]
    max_duration: 8h
    secrets: {PGPASSWORD: {env: PROD_PASSWORD}}
    attributes: {env: prod}
rules:
  prod-postgres:
    access_type: just-in-time
    resources: [prod-postgres]
    approval_groups: [dba, security]
    require_all_groups: true
channels:
  pager: {kind: webhook, address: {env: PAGER_ADDRESS}, rules: [prod-postgres], events: [request.submitted]}
policies:
  four-eyes: {file: four-eyes.wasm, reason: four eyes}
";

    #[test]
    fn a_whole_gateway_is_read() {
        let gateway = gateway(WHOLE).unwrap();
        let resource = &gateway.resources.as_ref().unwrap()[&"prod-postgres".parse().unwrap()];
        assert_eq!(resource.canonical()["max_duration"], "8h");
        assert_eq!(resource.canonical()["access_types"], json!(["just-in-time", "command"]));
        let rule = &gateway.rules.as_ref().unwrap()[&"prod-postgres".parse().unwrap()];
        let rule = rule.canonical().unwrap();
        assert_eq!(
            rule["policies"][0]["config"],
            json!({"groups": ["dba", "security"], "require_all": true, "approvals": 1})
        );
        assert_eq!(rule["policies"][1]["config"]["admins_approve_themselves"], true);
        let channel = &gateway.channels.as_ref().unwrap()[&"pager".parse().unwrap()].canonical();
        assert_eq!((&channel["events"], channel.get("address")), (&json!(["request.submitted"]), None));
    }

    #[test]
    fn an_unknown_key_is_refused_with_place_path_and_the_nearest_name() {
        let line = refused("resources:\n  prod:\n    comand: [psql]\n");
        assert_eq!(
            line,
            "`gateway.yaml`, line 3, column 5: unknown key `resources.prod.comand`, did you mean `command`?"
        );
        let line = refused("resources:\n  prod:\n    command: [psql]\n    secrets: {PW: {enviroment: X}}\n");
        assert!(line.contains("`resources.prod.secrets.PW.enviroment`"), "{line}");
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_place() {
        let line = refused("resources:\n  prod:\n    command: [psql]\n    max_duration: 2 hours\n");
        assert!(
            line.starts_with("`gateway.yaml`, line 4, column 19: ") && line.contains("10m, 2h or 1h30m"),
            "{line}"
        );
        for text in [
            "users: [ann]\n",
            "users:\n  'a b': {}\n",
            "rules: {r: {access_type: sometimes, resources: []}}\n",
            "users: {a: {}, a: {}}\n",
            "a: [\n",
        ] {
            let line = refused(text);
            assert!(line.contains("line ") && !line.contains('\n'), "{text:?}: {line}");
        }
    }

    #[test]
    fn a_rule_has_policies_or_the_form_and_one_of_them() {
        let rule = |more: &str| {
            let text = format!("access_type: command\nresources: [prod]\n{more}\n");
            parse::<Rule>(Path::new("rule.yaml"), &text, &RULE).unwrap().canonical()
        };
        assert!(rule("").unwrap_err().contains("nobody could approve"));
        assert!(rule("policies: []\nskip_groups: [a]").unwrap_err().contains("not both"));
        let capped =
            rule("approval_groups: [dba]\nmax_duration: 2h\nadmins_approve_themselves: false").unwrap();
        let names: Vec<&str> =
            capped["policies"].as_array().unwrap().iter().filter_map(|p| p["policy"].as_str()).collect();
        // A bypass that would let nobody by is none, as the gateway has it too.
        assert_eq!(names, ["group-quorum", "duration-cap"]);
    }

    #[test]
    fn a_secret_is_taken_from_where_it_is_and_never_from_the_file_itself() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("pw"), "s3cret\n").unwrap();
        let environment = Environment::from([("PW", "from-env")]);
        let value = |env: Option<&str>, file: Option<&str>| {
            let source = Source { env: env.map(str::to_owned), file: file.map(PathBuf::from) };
            source.value(folder.path(), &environment)
        };
        assert_eq!(value(Some("PW"), None), Ok("from-env".to_owned()));
        assert_eq!(value(None, Some("pw")), Ok("s3cret".to_owned()));
        assert!(value(Some("NOT_SET"), None).unwrap_err().contains("`NOT_SET` is not set"));
        assert!(value(None, Some("none")).is_err() && value(None, None).is_err());
        let line = refused("resources: {p: {command: [psql], secrets: {PW: s3cret}}}\n");
        assert!(!line.contains("s3cret"), "{line}");
    }
}
