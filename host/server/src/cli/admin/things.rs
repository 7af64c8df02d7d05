//! `quorate admin resources` and `rules`: the two things that are saved whole, from a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use quorate_core::ids::{ResourceName, RuleName};
use serde_json::{Value, json};

use super::file::{self, RESOURCE, RULE};
use super::{diff, warnings};
use crate::cli::client::{Answer, Gateway};
use crate::cli::exit::{Ending, Failure};
use crate::cli::{Context, words};

/// Resource roles
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate admin resources show prod-postgres > prod.yaml   # change it, and
  quorate admin resources put -f prod.yaml                 # put it back
Secrets are shown as names. A secret that is there is kept; one that comes in, or with --set-secrets,
is read from where the file says: {env: VARIABLE} or {file: path}.")]
pub(in crate::cli) enum Resources {
    /// List resource roles
    List,
    /// Show one as a file that can be put back
    Show(Resource),
    /// Add or replace one, as a file says
    Put(PutResource),
    /// Remove one
    Delete(DeleteResource),
}

/// Access request rules
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate admin rules show prod-postgres-command > rule.yaml   # change it, and
  quorate admin rules put -f rule.yaml                         # put it back

A rule file:
  name: prod-postgres
  access_type: just-in-time        # or command
  resources: [prod-postgres]
  required_groups: [dev]           # whose requests; nobody named: everybody's
  approval_groups: [dba-team, security]
  require_all_groups: true
  force_approval_groups: [sre]
  max_duration: 2h")]
pub(in crate::cli) enum Rules {
    /// List rules
    List,
    /// Show one as a file that can be put back
    Show(Rule),
    /// Add or replace one, as a file says
    Put(PutRule),
    /// Remove one
    Delete(DeleteRule),
}

/// A resource.
#[derive(Debug, Args)]
pub(in crate::cli) struct Resource {
    /// Its name
    name: ResourceName,
}

/// A rule.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rule {
    /// Its name
    name: RuleName,
}

/// A file with a resource.
#[derive(Debug, Args)]
pub(in crate::cli) struct PutResource {
    /// Its name, where the file has none
    name: Option<ResourceName>,
    /// The file, in YAML or JSON; `-` for standard input
    #[arg(long, short)]
    file: PathBuf,
    /// Send the values of secrets that the gateway has as well
    #[arg(long)]
    set_secrets: bool,
}

/// A file with a rule.
#[derive(Debug, Args)]
pub(in crate::cli) struct PutRule {
    /// Its name, where the file has none
    name: Option<RuleName>,
    /// The file, in YAML or JSON; `-` for standard input
    #[arg(long, short)]
    file: PathBuf,
}

/// A resource to be removed.
#[derive(Debug, Args)]
pub(in crate::cli) struct DeleteResource {
    /// Its name
    name: ResourceName,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// A rule to be removed.
#[derive(Debug, Args)]
pub(in crate::cli) struct DeleteRule {
    /// Its name
    name: RuleName,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Resources {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        match self {
            Self::List => {
                list(context, "resources", &["kind", "command", "access_types", "max_duration", "attributes"])
                    .await
            }
            Self::Show(Resource { name }) => show(context, "resources", name.as_str()).await,
            Self::Put(put) => put.run(context).await,
            Self::Delete(DeleteResource { name, yes }) => {
                delete(context, "resource", name.as_str(), yes).await
            }
        }
    }
}

impl Rules {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        match self {
            Self::List => {
                list(context, "rules", &["access_type", "resources", "required_groups", "policies"]).await
            }
            Self::Show(Rule { name }) => show(context, "rules", name.as_str()).await,
            Self::Put(put) => put.run(context).await,
            Self::Delete(DeleteRule { name, yes }) => delete(context, "rule", name.as_str(), yes).await,
        }
    }
}

/// What the gateway says of a thing, and nobody can put.
const COUNTED: [&str; 4] = ["revision", "warnings", "status", "key"];

pub(super) async fn list(context: &Context, what: &str, columns: &[&str]) -> Ending {
    let (items, _) = context.gateway()?.list(&[what], Vec::new(), 100_000).await?;
    let items = Value::Array(items);
    let shown: Vec<Value> = Answer::of(items.clone()).read()?;
    let text = list_text(&shown, columns, context.screen.width);
    context.screen.result(&items, || text)
}

fn list_text(items: &[Value], columns: &[&str], width: Option<u16>) -> String {
    let header: Vec<String> = columns.iter().map(|name| name.replace('_', " ").to_uppercase()).collect();
    let mut names = vec!["NAME"];
    names.extend(header.iter().map(String::as_str));
    let rows = items.iter().map(|item| {
        let cells = columns.iter().map(|column| words::short(&cell(column, &item[*column]), 60));
        std::iter::once(words::plain(&item["name"])).chain(cells).collect()
    });
    words::table(&names, rows.collect(), width)
}

fn cell(column: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Array(items) => {
            let items: Vec<String> =
                items.iter().map(|item| words::plain(item.get("policy").unwrap_or(item))).collect();
            if column == "command" { words::command_line(&items) } else { items.join(", ") }
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name}={}", words::plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => words::plain(other),
    }
}

pub(super) async fn show(context: &Context, what: &str, name: &str) -> Ending {
    let answer = context.gateway()?.get(&[what, name], Vec::new()).await?;
    let text = as_file(&answer.read()?)?;
    context.screen.result(answer.raw(), || text)
}

/// As a file that `put` takes: without what the gateway counts, and with a place for each secret.
fn as_file(thing: &Value) -> Result<String, Failure> {
    let mut file = serde_json::Map::new();
    for (name, value) in thing.as_object().into_iter().flatten() {
        let is_empty = value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
            || value.as_str() == Some("");
        if is_empty || name == "host" || COUNTED.contains(&name.as_str()) {
            continue;
        }
        let value = match (name.as_str(), value.as_array()) {
            ("secrets", Some(names)) => {
                let sources = names
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|name| (name.to_owned(), json!({"env": name})));
                Value::Object(sources.collect())
            }
            _ => value.clone(),
        };
        file.insert(name.clone(), value);
    }
    serde_saphyr::to_string(&Value::Object(file))
        .map_err(|error| Failure::failed(format!("it cannot be shown: {error}")))
}

pub(super) async fn delete(context: &Context, what: &str, name: &str, yes: bool) -> Ending {
    if !yes && !context.screen.confirm(&format!("remove {what} {name}?"))? {
        context.screen.say("nothing was changed");
        return Ok(0);
    }
    context.gateway()?.delete(&[&format!("{what}s"), name]).await?;
    context.screen.result(&json!({"removed": name}), || format!("{what} {name} is removed\n"))
}

/// The name that the file or the command line gives; where both do, they must agree.
pub(super) fn one_name(given: Option<&str>, in_file: Option<&str>) -> Result<String, Failure> {
    match (given, in_file) {
        (Some(given), Some(in_file)) if given != in_file => {
            Err(Failure::usage(format!("the file is for `{in_file}`, not for `{given}`")))
        }
        (Some(name), _) | (None, Some(name)) => Ok(name.to_owned()),
        (None, None) => Err(Failure::usage("say which: `name:` in the file, or the name before -f")),
    }
}

impl PutResource {
    async fn run(self, context: &Context) -> Ending {
        let resource: file::Resource = file::parse(&self.file, &file::read(&self.file)?, &RESOURCE)?;
        let given = self.name.as_ref().map(ResourceName::as_str);
        let name = one_name(given, resource.name.as_ref().map(ResourceName::as_str))?;
        let gateway = context.gateway()?;
        let before = gateway.find(&["resources", &name]).await?;
        let known = before.as_ref().and_then(|before| before.raw()["secrets"].as_array());
        let known: Vec<&str> = known.into_iter().flatten().filter_map(Value::as_str).collect();
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let mut secrets: BTreeMap<&str, Option<String>> = BTreeMap::new();
        for (secret, source) in &resource.secrets {
            let value = if known.contains(&secret.as_str()) && !self.set_secrets {
                None
            } else {
                let value = source.value(folder, &context.environment);
                Some(value.map_err(|why| Failure::usage(format!("secrets.{secret}: {why}")))?)
            };
            secrets.insert(secret, value);
        }
        let mut body = resource.canonical();
        body["secrets"] = json!(secrets);
        let (answer, text) = put(context, &gateway, "resource", &name, before.as_ref(), body).await?;
        context.screen.result(answer.raw(), || text)
    }
}

impl PutRule {
    async fn run(self, context: &Context) -> Ending {
        let rule: file::Rule = file::parse(&self.file, &file::read(&self.file)?, &RULE)?;
        let given = self.name.as_ref().map(RuleName::as_str);
        let name = one_name(given, rule.name.as_ref().map(RuleName::as_str))?;
        let body = rule.canonical().map_err(Failure::usage)?;
        let gateway = context.gateway()?;
        let before = gateway.find(&["rules", &name]).await?;
        let (answer, text) = put(context, &gateway, "rule", &name, before.as_ref(), body).await?;
        context.screen.result(answer.raw(), || text)
    }
}

/// Saves a thing, and says in words what changed.
pub(super) async fn put(
    context: &Context,
    gateway: &Gateway,
    what: &'static str,
    name: &str,
    before: Option<&Answer>,
    body: Value,
) -> Result<(Answer, String), Failure> {
    let answer = gateway.put(&[&format!("{what}s"), name], body).await?;
    for warning in warnings(&answer) {
        context.screen.say(&format!("{} {warning}", context.screen.err.yellow("note:")));
    }
    let shown = |value: &Value| {
        let mut value = value.clone();
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| name != "name" && !COUNTED.contains(&name.as_str()));
        }
        value
    };
    let change = diff::Change::between(
        what,
        name,
        before.map(|before| shown(before.raw())).as_ref(),
        &shown(answer.raw()),
    );
    let paint = context.screen.out;
    let text = change.map_or(format!("{what} {name} is as it was\n"), |change| change.show(paint));
    Ok((answer, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_put_back() {
        let rule = json!({
            "name": "prod", "description": "", "access_type": "just-in-time", "resources": ["prod-postgres"],
            "attributes": {"env": "true", "n": "1"}, "required_groups": [], "revision": 4,
            "policies": [{"policy": "group-quorum", "config": {"groups": ["dba"], "approvals": 2}}],
        });
        let back: file::Rule = file::parse(Path::new("r"), &as_file(&rule).unwrap(), &RULE).unwrap();
        let canonical = back.canonical().unwrap();
        for field in ["access_type", "resources", "attributes", "policies"] {
            assert_eq!(canonical[field], rule[field], "{field}");
        }
        let resource = json!({
            "name": "prod", "kind": "postgres", "agent": "default", "command": ["psql", "-c", "a: b # c\n"], "secrets": ["PW"],
            "attributes": {}, "access_types": ["command"], "max_duration": "8h", "standing_groups": [], "plugins": ["slack"], "revision": 1,
        });
        let back: file::Resource =
            file::parse(Path::new("r"), &as_file(&resource).unwrap(), &RESOURCE).unwrap();
        let mut expected = resource.clone();
        expected.as_object_mut().unwrap().retain(|name, _| !matches!(name.as_str(), "name" | "revision"));
        assert_eq!(back.canonical(), expected);
    }

    #[test]
    fn a_list_shows_commands_policies_and_attributes_in_short() {
        let items = [json!({"name": "prod", "command": ["psql", "-h", "my db"], "attributes": {"env": "eu"},
            "policies": [{"policy": "group-quorum"}, {"policy": "bypass"}]})];
        let text = list_text(&items, &["command", "attributes", "policies"], None);
        assert!(text.contains("psql -h 'my db'  env=eu      group-quorum, bypass\n"), "{text}");
    }

    #[test]
    fn a_file_and_the_command_line_must_not_disagree_on_the_name() {
        assert_eq!(one_name(Some("a"), Some("a")).unwrap(), "a");
        assert_eq!(one_name(None, Some("b")).unwrap(), "b");
        assert!(one_name(Some("a"), Some("b")).is_err() && one_name(None, None).is_err());
    }
}
