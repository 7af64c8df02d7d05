//! `quorate admin create conn`: a resource role with its reviewers, in one line.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use clap::Args;
use quorate_core::duration::AccessDuration;
use quorate_core::ids::{AgentName, GroupName, ResourceName, RuleName};
use quorate_core::rule::AccessType;
use serde_json::{Value, json};

use super::warnings;
use crate::cli::client::Gateway;
use crate::cli::environment::Environment;
use crate::cli::exit::{Ending, Exit, Failure};
use crate::cli::{Context, words};

/// Create a resource role
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate admin create conn prod-postgres \\
    --agent default \\
    --reviewers 'dba-team,security' \\
    -- psql -h localhost -U postgres

  quorate admin create conn prod-postgres --kind postgres --reviewers dba-team --max-duration 8h \\
    --secret PGPASSWORD=@prod.password --attribute env=prod --plugin slack \\
    -- psql -h localhost -U postgres

With --reviewers, one member of each group must approve, each a different person: two rules say so,
NAME-just-in-time for `quorate connect` and NAME-command for `quorate exec`. Admins need no
approval; `quorate admin rules` changes that.")]
pub(in crate::cli) struct Conn {
    /// Its name
    name: ResourceName,
    /// The agent that runs it
    #[arg(long, default_value = "default")]
    agent: AgentName,
    /// What stands behind it, in your words, such as postgres or ssh
    #[arg(long, default_value = "", hide_default_value = true)]
    kind: String,
    /// The groups that must all approve, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "GROUPS")]
    reviewers: Vec<GroupName>,
    /// The longest access, such as 8h
    #[arg(long, value_name = "DURATION")]
    max_duration: Option<AccessDuration>,
    /// Only this way of asking: just-in-time or command [default: both]
    #[arg(long = "type", value_name = "TYPE")]
    access_type: Option<AccessType>,
    /// A notification plugin, such as slack; can be given several times
    #[arg(long = "plugin", value_delimiter = ',', value_name = "PLUGIN")]
    plugins: Vec<String>,
    /// A secret for the program's environment: NAME=@file, NAME=env:VARIABLE or NAME=- for
    /// standard input; can be given several times
    // Read further on: the parser's own message would show what may be a secret.
    #[arg(long = "secret", value_name = "NAME=FROM")]
    secrets: Vec<String>,
    /// Something that rules can narrow by; can be given several times
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// Groups whose members may enter where no rule covers them
    #[arg(long, value_delimiter = ',', value_name = "GROUPS")]
    standing_groups: Vec<GroupName>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    File(String),
    Variable(String),
    Stdin,
}

fn secret(text: &str) -> Result<(String, From), String> {
    // Never the text itself: it may be the secret.
    let form =
        "write NAME=@file, NAME=env:VARIABLE or NAME=-; a secret on the command line could be read by others";
    let (name, from) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(form)?;
    let from = match (from, from.strip_prefix('@'), from.strip_prefix("env:")) {
        ("-", _, _) => From::Stdin,
        (_, Some(file), _) if !file.is_empty() => From::File(file.to_owned()),
        (_, _, Some(variable)) if !variable.is_empty() => From::Variable(variable.to_owned()),
        _ => return Err(form.to_owned()),
    };
    Ok((name.to_owned(), from))
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write KEY=VALUE, as in env=prod")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl From {
    fn value(&self, environment: &Environment) -> Result<String, Failure> {
        let text = match self {
            Self::Variable(name) => {
                let value = environment.text(name).map(str::to_owned);
                return value
                    .ok_or_else(|| Failure::usage(format!("the environment variable `{name}` is not set")));
            }
            Self::File(path) => std::fs::read_to_string(Path::new(path))
                .map_err(|error| Failure::usage(format!("`{path}` cannot be read: {error}")))?,
            Self::Stdin => {
                let mut text = String::new();
                let read = std::io::stdin().lock().take(64 << 10).read_to_string(&mut text);
                read.map_err(|error| Failure::usage(format!("standard input cannot be read: {error}")))?;
                text
            }
        };
        Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
    }
}

impl Conn {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let secrets = self.secret_values(&context.environment)?;
        let rules = self.rules()?;
        let gateway = context.gateway()?;
        self.check_new(&gateway, &rules).await?;
        let name = self.name.as_str();
        let resource = gateway.put(&["resources", name], self.body(&secrets)).await?;
        context.screen.say(&format!("resource {name} created"));
        let mut made = Vec::new();
        for (rule, body) in rules {
            let saved = gateway.put(&["rules", rule.as_str()], body).await.map_err(|failure| {
                let message =
                    format!("resource {name} was created, but not rule {rule}: {}", failure.message);
                Failure { message, ..failure }
            })?;
            for warning in warnings(&saved) {
                context.screen.say(&format!("{} rule {rule}: {warning}", context.screen.err.yellow("note:")));
            }
            context.screen.say(&format!(
                "rule {rule} created: one member of each of {} must approve",
                self.reviewer_names()
            ));
            made.push(saved.raw().clone());
        }
        if made.is_empty() && self.standing_groups.is_empty() {
            context.screen.say(
                "note: no rule covers it yet, so nobody can ask for it: `quorate admin rules put` adds one",
            );
        }
        let both = json!({"resource": resource.raw(), "rules": made});
        context.screen.result(&both, || format!("  quorate connect {name}\n"))
    }

    fn reviewer_names(&self) -> String {
        self.reviewers.iter().map(GroupName::as_str).collect::<Vec<_>>().join(" and ")
    }

    fn secret_values(&self, environment: &Environment) -> Result<BTreeMap<String, String>, Failure> {
        let sources = self.secrets.iter().map(|text| secret(text)).collect::<Result<Vec<_>, _>>();
        let sources = sources.map_err(|form| Failure::usage(format!("--secret: {form}")))?;
        if sources.iter().filter(|(_, from)| *from == From::Stdin).count() > 1 {
            return Err(Failure::usage("only one secret can come from standard input"));
        }
        let mut values = BTreeMap::new();
        for (name, from) in &sources {
            if values.insert(name.clone(), from.value(environment)?).is_some() {
                return Err(Failure::usage(format!("the secret `{name}` is given twice")));
            }
        }
        Ok(values)
    }

    fn access_types(&self) -> BTreeSet<AccessType> {
        match self.access_type {
            Some(only) => BTreeSet::from([only]),
            None => BTreeSet::from([AccessType::JustInTime, AccessType::Command]),
        }
    }

    fn body(&self, secrets: &BTreeMap<String, String>) -> Value {
        let attributes: BTreeMap<&str, &str> =
            self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        json!({
            "kind": self.kind, "agent": self.agent, "command": self.command, "secrets": secrets,
            "attributes": attributes, "access_types": self.access_types(), "max_duration": self.max_duration,
            "standing_groups": self.standing_groups, "plugins": self.plugins,
        })
    }

    /// One rule for each way of asking: a rule for one does not open the other.
    fn rules(&self) -> Result<Vec<(RuleName, Value)>, Failure> {
        if self.reviewers.is_empty() {
            return Ok(Vec::new());
        }
        let mut rules = Vec::new();
        for kind in self.access_types() {
            let name = format!("{}-{kind}", self.name);
            let name = name.parse().map_err(|error: quorate_core::ids::BadName| {
                Failure::usage(format!("the name is too long for a rule to be called after it: {error}"))
            })?;
            let body = json!({
                "description": format!("Reviewers of {}", self.name),
                "access_type": kind,
                "resources": [self.name],
                "approval_groups": self.reviewers,
                "require_all_groups": true,
            });
            rules.push((name, body));
        }
        Ok(rules)
    }

    /// What is created must be new: what is there is not changed by accident.
    async fn check_new(&self, gateway: &Gateway, rules: &[(RuleName, Value)]) -> Result<(), Failure> {
        let exists = |what: &str, name: &str| {
            let message = format!(
                "there is a {what} `{name}` already: `quorate admin {what}s show {name}` shows it, and `put` changes it"
            );
            Failure::new(Exit::Refused, words::clean(&message))
        };
        if gateway.find(&["resources", self.name.as_str()]).await?.is_some() {
            return Err(exists("resource", self.name.as_str()));
        }
        for (name, _) in rules {
            if gateway.find(&["rules", name.as_str()]).await?.is_some() {
                return Err(exists("rule", name.as_str()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Admin, Create};
    use super::*;
    use crate::cli::{Cli, Verb};

    fn conn(line: &[&str]) -> Conn {
        match Cli::try_parse_from(line).unwrap().verb {
            Verb::Admin(Admin::Create(Create::Conn(conn))) => conn,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_documented_form_is_read_exactly() {
        let conn = conn(&[
            "quorate",
            "admin",
            "create",
            "conn",
            "prod-postgres",
            "--agent",
            "default",
            "--reviewers",
            "dba-team,security",
            "--",
            "psql",
            "-h",
            "localhost",
            "-U",
            "postgres",
        ]);
        let body = conn.body(&BTreeMap::new());
        assert_eq!(body["command"], json!(["psql", "-h", "localhost", "-U", "postgres"]));
        assert_eq!(
            (&body["agent"], &body["access_types"]),
            (&json!("default"), &json!(["just-in-time", "command"]))
        );
        let rules = conn.rules().unwrap();
        let names: Vec<&str> = rules.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["prod-postgres-just-in-time", "prod-postgres-command"]);
        for (_, rule) in &rules {
            assert_eq!(rule["approval_groups"], json!(["dba-team", "security"]));
            assert_eq!(rule["require_all_groups"], true);
        }
    }

    #[test]
    fn the_documented_form_with_a_plugin_is_read_exactly() {
        let conn = conn(&[
            "quorate",
            "admin",
            "create",
            "conn",
            "prod-postgres",
            "--agent",
            "default",
            "--reviewers",
            "dba-team",
            "--plugin",
            "slack",
            "--max-duration",
            "8h",
            "--type",
            "just-in-time",
            "--secret",
            "PGPASSWORD=env:PW",
            "--attribute",
            "env=prod",
            "--",
            "psql",
        ]);
        let environment = crate::cli::environment::Environment::from([("PW", "s3cret")]);
        let body = conn.body(&conn.secret_values(&environment).unwrap());
        assert_eq!((&body["plugins"], &body["max_duration"]), (&json!(["slack"]), &json!("8h")));
        assert_eq!(
            (&body["secrets"], &body["attributes"]),
            (&json!({"PGPASSWORD": "s3cret"}), &json!({"env": "prod"}))
        );
        assert_eq!(conn.rules().unwrap().len(), 1);
    }

    #[test]
    fn a_secret_is_never_taken_from_the_command_line_and_never_shown() {
        assert_eq!(secret("A=@file").unwrap().1, From::File("file".into()));
        assert_eq!(secret("A=env:B").unwrap().1, From::Variable("B".into()));
        assert_eq!(secret("A=-").unwrap().1, From::Stdin);
        for wrong in ["A=s3cret", "s3cret", "=s3cret", "A=@", "A=env:", "A="] {
            let why = secret(wrong).unwrap_err();
            assert!(why.contains("NAME=@file") && !why.contains("s3cret"), "{why}");
            let line = ["quorate", "admin", "create", "conn", "x", "--secret", wrong, "--", "sh"];
            let told =
                conn(&line).secret_values(&crate::cli::environment::Environment::default()).unwrap_err();
            assert!(told.exit == Exit::Usage && !told.message.contains("s3cret"), "{}", told.message);
        }
    }

    #[test]
    fn without_reviewers_there_is_no_rule_and_without_a_command_nothing() {
        assert!(conn(&["quorate", "admin", "create", "conn", "x", "--", "sh"]).rules().unwrap().is_empty());
        assert!(Cli::try_parse_from(["quorate", "admin", "create", "conn", "x"]).is_err());
    }
}
