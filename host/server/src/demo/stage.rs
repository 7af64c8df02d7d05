//! The people of the demo and what they do: each command is this program, run by
//! one of them, and printed with what it said.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use super::terminal::Terminal;
use crate::cli::client::{Gateway, address};
use crate::cli::exit::Failure;
use crate::random;

/// Who there is, and in which groups.
const PEOPLE: [(&str, &[&str]); 6] = [
    ("ann", &["dev"]),
    ("dan", &["dev"]),
    ("bob", &["dba-team"]),
    ("bea", &["dba-team"]),
    ("sam", &["security"]),
    ("eve", &["sre"]),
];

/// Somebody who is signed in.
struct Person {
    name: &'static str,
    password: String,
    token: String,
}

/// The gateway and the people around it.
pub(super) struct Stage {
    program: PathBuf,
    address: String,
    folder: PathBuf,
    people: Vec<Person>,
}

impl Stage {
    /// Makes the first admin and the others, and signs them all in.
    pub(super) async fn set(url: &str, setup_token: &str, folder: &Path) -> anyhow::Result<Self> {
        let nobody = gateway(url, None)?;
        let password = password()?;
        let first = json!({ "setup_token": setup_token, "user": "root", "password": password });
        let token = token_of(nobody.post(&["setup"], first).await.map_err(said)?.raw())?;
        let root = gateway(url, Some(token.clone()))?;
        let mut people = vec![Person { name: "root", password, token }];
        for (name, groups) in PEOPLE {
            let password = self::password()?;
            let profile = json!({ "groups": groups, "password": password });
            root.put(&["users", name], profile).await.map_err(said)?;
            let login = json!({ "user": name, "password": password });
            let token = token_of(nobody.post(&["login"], login).await.map_err(said)?.raw())?;
            people.push(Person { name, password, token });
        }
        let program = std::env::current_exe().context("this program does not know where it is")?;
        Ok(Self { program, address: url.to_owned(), folder: folder.to_owned(), people })
    }

    /// A file of the demo.
    pub(super) fn file(&self, name: &str, bytes: &[u8]) -> anyhow::Result<String> {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes)?;
        Ok(path.display().to_string())
    }

    /// `who` runs a command that must end with `code`; gives what it printed.
    pub(super) async fn runs(&self, who: &str, arguments: &[&str], code: i32) -> anyhow::Result<String> {
        self.runs_with(who, arguments, &[], code).await
    }

    /// The same, with more in its environment.
    pub(super) async fn runs_with(
        &self,
        who: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
        code: i32,
    ) -> anyhow::Result<String> {
        Self::announce(who, arguments);
        let (printed, ended) = self.output(who, arguments, environment).await?;
        for line in printed.lines() {
            println!("      {line}");
        }
        if ended != Some(code) {
            bail!("`quorate {}` ended with {ended:?}, not {code}", arguments.join(" "));
        }
        Ok(printed)
    }

    /// `who` asks for something as a program would; nothing is printed.
    pub(super) async fn asks(&self, who: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let (printed, ended) = self.output(who, &arguments, &[]).await?;
        if ended != Some(0) {
            bail!("`quorate {}` ended with {ended:?}: {printed}", arguments.join(" "));
        }
        serde_json::from_str(&printed).with_context(|| format!("not one JSON document: {printed}"))
    }

    /// `who` runs a command in a terminal.
    pub(super) fn opens(&self, who: &str, arguments: &[&str]) -> anyhow::Result<Terminal> {
        Self::announce(who, arguments);
        let person = self.person(who)?;
        let environment = [("QUORATE_URL", self.address.as_str()), ("QUORATE_TOKEN", person.token.as_str())];
        Terminal::start(&self.program, arguments, &environment)
    }

    /// The logins, and what to try next.
    pub(super) fn invite(&self, database: bool) {
        println!("\nThe gateway keeps running at {} until Ctrl-C. Its people:\n", self.address);
        println!("  {:<6} {:<12} password", "name", "groups");
        for person in &self.people {
            let groups = PEOPLE.iter().find(|(name, _)| *name == person.name);
            let groups = groups.map_or("admin".to_owned(), |(_, groups)| groups.join(", "));
            println!("  {:<6} {:<12} {}", person.name, groups, person.password);
        }
        let program = self.program.display();
        let what = if database { "psql on a real PostgreSQL" } else { "a shell" };
        println!("\nIn other terminals ({what} opens once two people have approved):\n");
        for line in [
            format!("{program} login --url {} --user dan", self.address),
            format!("{program} connect prod-postgres --duration 30m --reason 'look around'"),
            format!(
                "QUORATE_URL={} QUORATE_TOKEN={} {program} requests list --inbox waiting",
                self.address,
                self.token("bob")
            ),
            format!(
                "QUORATE_URL={} QUORATE_TOKEN={} {program} requests approve ID --comment ok",
                self.address,
                self.token("bob")
            ),
            format!(
                "QUORATE_URL={} QUORATE_TOKEN={} {program} requests approve ID --comment ok",
                self.address,
                self.token("sam")
            ),
        ] {
            println!("  {line}");
        }
    }

    async fn output(
        &self,
        who: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<(String, Option<i32>)> {
        let output = Command::new(&self.program)
            .args(arguments)
            .env("QUORATE_URL", &self.address)
            .env("QUORATE_TOKEN", &self.person(who)?.token)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        let both = [output.stdout, output.stderr].concat();
        Ok((String::from_utf8_lossy(&both).into_owned(), output.status.code()))
    }

    fn announce(who: &str, arguments: &[&str]) {
        let quoted = arguments.iter().map(|word| {
            if word.contains([' ', '\'']) {
                format!("'{}'", word.replace('\'', "'\\''"))
            } else {
                (*word).to_owned()
            }
        });
        println!("\n  {who}$ quorate {}", quoted.collect::<Vec<_>>().join(" "));
    }

    fn person(&self, who: &str) -> anyhow::Result<&Person> {
        self.people
            .iter()
            .find(|person| person.name == who)
            .with_context(|| format!("nobody is called {who}"))
    }

    fn token(&self, who: &str) -> &str {
        self.person(who).map_or("", |person| &person.token)
    }
}

fn gateway(url: &str, token: Option<String>) -> anyhow::Result<Gateway> {
    Gateway::new(address(url).map_err(said)?, token).map_err(said)
}

fn token_of(answer: &Value) -> anyhow::Result<String> {
    let token = answer.get("token").and_then(Value::as_str);
    token.map(str::to_owned).context("the gateway gave no token")
}

fn password() -> anyhow::Result<String> {
    Ok(random::secret()?.chars().take(16).collect())
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where an error is mapped")]
fn said(failure: Failure) -> anyhow::Error {
    anyhow::anyhow!("{}", failure.message)
}
