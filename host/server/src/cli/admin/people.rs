//! `quorate admin users` and `groups`.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use quorate_core::ids::{GroupName, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::client::{Answer, Gateway};
use crate::cli::exit::{Ending, Exit, Failure};
use crate::cli::{Context, login, words};

/// People
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate admin users create ann --email ann@example.org --group dev --group oncall
  quorate admin users set ann --add-group sre --remove-group dev
  quorate admin users disable ann      # people are switched off, never removed")]
pub(in crate::cli) enum Users {
    /// List people
    List,
    /// Show one person
    Show(One),
    /// Add somebody; asks for a first password
    Create(Create),
    /// Change somebody
    Set(Set),
    /// Switch somebody off: they can no longer sign in, ask or vote, and their tokens end
    Disable(One),
    /// Switch somebody on again
    Enable(One),
    /// Give somebody a new password; all of their tokens end
    Password(Password),
}

/// Somebody.
#[derive(Debug, Args)]
pub(in crate::cli) struct One {
    /// Their user name
    user: UserId,
}

/// Somebody new.
#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// Their user name; it can never mean somebody else
    user: UserId,
    /// Their address
    #[arg(long, default_value = "", hide_default_value = true)]
    email: String,
    /// A group they are in; can be given several times
    #[arg(long = "group", value_delimiter = ',', value_name = "GROUP")]
    groups: Vec<GroupName>,
    /// Read their first password from standard input instead of asking
    #[arg(long)]
    password_stdin: bool,
    /// Without a password: they cannot sign in until they have one
    #[arg(long, conflicts_with = "password_stdin")]
    no_password: bool,
}

/// What changes of somebody.
#[derive(Debug, Args)]
#[group(id = "what", multiple = true)]
pub(in crate::cli) struct Set {
    /// Their user name
    user: UserId,
    /// Their address
    #[arg(long)]
    email: Option<String>,
    /// All of their groups, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "GROUPS", conflicts_with_all = ["add_groups", "remove_groups"])]
    groups: Option<Vec<GroupName>>,
    /// A group they come to; can be given several times
    #[arg(long = "add-group", id = "add_groups", value_delimiter = ',', value_name = "GROUP")]
    add: Vec<GroupName>,
    /// A group they leave; can be given several times
    #[arg(long = "remove-group", id = "remove_groups", value_delimiter = ',', value_name = "GROUP")]
    remove: Vec<GroupName>,
}

/// Somebody's new password.
#[derive(Debug, Args)]
pub(in crate::cli) struct Password {
    /// Their user name
    user: UserId,
    /// Read it from standard input instead of asking
    #[arg(long)]
    password_stdin: bool,
}

/// Groups of people
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate admin groups add security sam sue
  quorate admin groups remove security sam

A group is there as soon as somebody is in it. Members of `admin` configure the gateway, members of
`auditor` read everything.")]
pub(in crate::cli) enum Groups {
    /// List groups with their members
    List,
    /// Show one group
    Show(Group),
    /// Put people into a group
    Add(Members),
    /// Take people out of a group
    Remove(Members),
}

/// A group.
#[derive(Debug, Args)]
pub(in crate::cli) struct Group {
    /// Its name
    group: GroupName,
}

/// A group and people.
#[derive(Debug, Args)]
pub(in crate::cli) struct Members {
    /// The group
    group: GroupName,
    /// Who
    #[arg(required = true, value_name = "USER")]
    users: Vec<UserId>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    active: bool,
}

impl Users {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let gateway = context.gateway()?;
        match self {
            Self::List => list(context, &gateway).await,
            Self::Show(One { user }) => {
                show(context, &gateway.get(&["users", user.as_str()], Vec::new()).await?)
            }
            Self::Create(create) => create.run(context, &gateway).await,
            Self::Set(set) => set.run(context, &gateway).await,
            Self::Disable(One { user }) => save(context, &gateway, &user, json!({"active": false})).await,
            Self::Enable(One { user }) => save(context, &gateway, &user, json!({"active": true})).await,
            Self::Password(Password { user, password_stdin }) => {
                must_exist(&gateway, &user).await?;
                let password = login::new_password(context, password_stdin, &user)?;
                save(context, &gateway, &user, json!({"password": password})).await
            }
        }
    }
}

async fn list(context: &Context, gateway: &Gateway) -> Ending {
    let (items, _) = gateway.list(&["users"], Vec::new(), 100_000).await?;
    let items = Value::Array(items);
    let users: Vec<User> = Answer::of(items.clone()).read()?;
    let rows = users.into_iter().map(|user| {
        let active = if user.active { "active" } else { "off" };
        vec![user.id, active.to_owned(), user.groups.join(", "), user.email]
    });
    let text = words::table(&["USER", "STATE", "GROUPS", "EMAIL"], rows.collect(), context.screen.width);
    context.screen.result(&items, || text)
}

fn show(context: &Context, answer: &Answer) -> Ending {
    let user: User = answer.read()?;
    let facts = [
        ("user", user.id),
        ("state", if user.active { "active".to_owned() } else { "off".to_owned() }),
        ("groups", user.groups.join(", ")),
        ("email", user.email),
    ];
    context.screen.result(answer.raw(), || words::facts(&facts))
}

async fn save(context: &Context, gateway: &Gateway, user: &UserId, body: Value) -> Ending {
    must_exist(gateway, user).await?;
    let answer = gateway.put(&["users", user.as_str()], body).await?;
    show(context, &answer)
}

/// Saving somebody who is not there would add them.
async fn must_exist(gateway: &Gateway, user: &UserId) -> Result<Answer, Failure> {
    gateway.get(&["users", user.as_str()], Vec::new()).await
}

impl Create {
    async fn run(self, context: &Context, gateway: &Gateway) -> Ending {
        let Self { user, email, groups, password_stdin, no_password } = self;
        if gateway.find(&["users", user.as_str()]).await?.is_some() {
            let message =
                format!("there is a user `{user}` already: `quorate admin users set {user}` changes them");
            return Err(Failure::new(Exit::Refused, message));
        }
        let mut body = json!({"email": email, "groups": groups, "active": true});
        if !no_password {
            body["password"] = json!(login::new_password(context, password_stdin, &user)?);
        }
        let answer = gateway.put(&["users", user.as_str()], body).await?;
        show(context, &answer)
    }
}

impl Set {
    async fn run(self, context: &Context, gateway: &Gateway) -> Ending {
        if self.email.is_none() && self.groups.is_none() && self.add.is_empty() && self.remove.is_empty() {
            return Err(Failure::usage("say what changes: --email, --groups, --add-group or --remove-group"));
        }
        let before: User = must_exist(gateway, &self.user).await?.read()?;
        let mut body = json!({});
        if let Some(email) = &self.email {
            body["email"] = json!(email);
        }
        if let Some(groups) = self.groups(before.groups) {
            body["groups"] = json!(groups);
        }
        let answer = gateway.put(&["users", self.user.as_str()], body).await?;
        show(context, &answer)
    }

    fn groups(&self, before: Vec<String>) -> Option<BTreeSet<String>> {
        if let Some(groups) = &self.groups {
            return Some(groups.iter().map(ToString::to_string).collect());
        }
        let mut groups: BTreeSet<String> = before.into_iter().collect();
        groups.extend(self.add.iter().map(ToString::to_string));
        groups.retain(|group| !self.remove.iter().any(|left| left.as_str() == group));
        (!self.add.is_empty() || !self.remove.is_empty()).then_some(groups)
    }
}

#[derive(Deserialize)]
struct GroupShown {
    name: String,
    #[serde(default)]
    members: Vec<String>,
}

impl Groups {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let gateway = context.gateway()?;
        match self {
            Self::List => {
                let (items, _) = gateway.list(&["groups"], Vec::new(), 100_000).await?;
                let items = Value::Array(items);
                let groups: Vec<GroupShown> = Answer::of(items.clone()).read()?;
                let rows = groups.into_iter().map(|group| vec![group.name, group.members.join(", ")]);
                let text = words::table(&["GROUP", "MEMBERS"], rows.collect(), context.screen.width);
                context.screen.result(&items, || text)
            }
            Self::Show(Group { group }) => {
                show_group(context, &gateway.get(&["groups", group.as_str()], Vec::new()).await?)
            }
            Self::Add(members) => members.change(context, &gateway, true).await,
            Self::Remove(members) => members.change(context, &gateway, false).await,
        }
    }
}

fn show_group(context: &Context, answer: &Answer) -> Ending {
    let group: GroupShown = answer.read()?;
    context.screen.result(answer.raw(), || {
        words::facts(&[("group", group.name), ("members", words::names(&group.members, usize::MAX))])
    })
}

impl Members {
    async fn change(self, context: &Context, gateway: &Gateway, comes: bool) -> Ending {
        let path = ["groups", self.group.as_str()];
        let before = match gateway.find(&path).await? {
            Some(answer) => answer.read::<GroupShown>()?.members,
            None if comes => Vec::new(),
            None => return Err(Failure::new(Exit::Refused, format!("there is no group `{}`", self.group))),
        };
        let answer = gateway.put(&path, json!({"members": self.members(before, comes)})).await?;
        show_group(context, &answer)
    }

    fn members(&self, before: Vec<String>, comes: bool) -> BTreeSet<String> {
        let mut members: BTreeSet<String> = before.into_iter().collect();
        for user in &self.users {
            if comes {
                members.insert(user.to_string());
            } else {
                members.remove(user.as_str());
            }
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn groups_are_added_removed_or_replaced() {
        let names = |list: &[&str]| list.iter().map(|name| name.parse().unwrap()).collect::<Vec<GroupName>>();
        let set = |groups: Option<&[&str]>, add: &[&str], remove: &[&str]| {
            let set = Set {
                user: "ann".parse().unwrap(),
                email: None,
                groups: groups.map(names),
                add: names(add),
                remove: names(remove),
            };
            set.groups(strings(&["dev", "old"])).map(|groups| groups.into_iter().collect::<Vec<_>>())
        };
        assert_eq!(set(None, &["sre"], &["old", "none"]), Some(strings(&["dev", "sre"])));
        assert_eq!(set(Some(&["qa"]), &[], &[]), Some(strings(&["qa"])));
        assert_eq!(set(None, &[], &[]), None);
    }

    #[test]
    fn members_come_and_go() {
        let members = Members { group: "dba".parse().unwrap(), users: vec!["bob".parse().unwrap()] };
        assert_eq!(members.members(strings(&["ann"]), true).into_iter().collect::<Vec<_>>(), ["ann", "bob"]);
        assert!(members.members(strings(&["bob"]), false).is_empty());
    }

    #[test]
    fn no_password_is_taken_from_the_command_line() {
        for line in [
            &["quorate", "admin", "users", "create", "ann", "--password", "x"][..],
            &["quorate", "admin", "users", "password", "ann", "x"],
            &["quorate", "login", "--password", "x"],
            &["quorate", "login", "--token", "x"],
            &["quorate", "setup", "--setup-token", "x"],
        ] {
            assert!(Cli::try_parse_from(line).is_err(), "{line:?} was accepted");
        }
    }
}
