//! `quorate admin apply`: make the gateway what a file says, after showing what that changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use quorate_core::ids::Digest;
use serde_json::{Value, json};

use super::diff::Change;
use super::file::{self, GATEWAY};
use super::plan::{Call, Component, Given, State, Step, plan};
use super::warnings;
use crate::cli::client::{Answer, Gateway};
use crate::cli::exit::{Ending, Failure};
use crate::cli::{Context, policy, words};

/// Make the gateway what a file says; shows the difference first
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that stands for itself")]
#[command(after_help = "\
Example file:
  users:
    ann: {email: ann@example.org, groups: [dev]}
    sam: {password: {env: SAM_FIRST_PASSWORD}}   # only where sam is new
  groups:
    security: [sam]                              # exactly these members
  resources:
    prod-postgres:
      kind: postgres
      command: [psql, -h, localhost, -U, postgres]
      max_duration: 8h
      attributes: {env: prod}
      secrets:
        PGPASSWORD: {file: prod.password}        # or {env: VARIABLE}
  rules:
    prod-postgres:
      access_type: just-in-time
      resources: [prod-postgres]
      approval_groups: [dba-team, security]
      require_all_groups: true
  channels:
    pager:
      kind: webhook                              # or slack, email, teams
      address: {env: PAGER_ADDRESS}              # or {file: path}
      rules: [prod-postgres]
  policies:
    four-eyes: {file: four-eyes.wasm, reason: four eyes on production}

Unknown keys are refused, and what the file says is checked before anything is changed. A resource, rule
or channel becomes exactly what the file says; of a person, what is left out stays. Secrets and addresses
that the gateway has are kept; --set-secrets sends them again. The key of a new webhook is printed, once.
What the file does not name stays, unless --prune.")]
pub(in crate::cli) struct Apply {
    /// The file, in YAML or JSON; `-` for standard input
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    /// Show the difference and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Take away the channels, rules and resources, and switch off the people, that the file does
    /// not name, of those kinds of which it names any
    #[arg(long)]
    prune: bool,
    /// Send the values of secrets, and the addresses of channels, that the gateway has as well
    #[arg(long)]
    set_secrets: bool,
}

impl Apply {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let text = file::read(&self.file)?;
        let wanted: file::Gateway = file::parse(&self.file, &text, &GATEWAY)?;
        let folder = self.file.parent().unwrap_or(Path::new("")).to_owned();
        let (components, schemas) = components(&wanted, &folder).await?;
        let gateway = context.gateway()?;
        let (state, me) = state(&gateway, &wanted, schemas).await?;
        let given = Given {
            folder: &folder,
            environment: &context.environment,
            components: &components,
            prune: self.prune,
            set_secrets: self.set_secrets,
            me: &me,
        };
        let steps = steps(&self.file, &wanted, &state, &given)?;
        self.show(context, &steps);
        if steps.is_empty() || self.dry_run {
            self.done(context, &steps, 0, &Said::default());
            return Ok(0);
        }
        if !self.yes && !context.screen.confirm(&format!("make {}?", words::count(steps.len(), "change")))? {
            context.screen.say("nothing was changed");
            return Ok(0);
        }
        self.make(context, &gateway, &steps, &components).await
    }

    fn show(&self, context: &Context, steps: &[Step]) {
        if context.screen.json {
            return;
        }
        let text: String = steps.iter().map(|step| step.change.show(context.screen.out)).collect();
        context.screen.print(&text);
        if steps.is_empty() {
            context.screen.say("nothing to change: the gateway is what the file says");
        } else if self.dry_run {
            context
                .screen
                .say(&format!("{} to make; nothing was changed", words::count(steps.len(), "change")));
        }
    }

    async fn make(
        &self,
        context: &Context,
        gateway: &Gateway,
        steps: &[Step],
        components: &BTreeMap<String, Component>,
    ) -> Ending {
        let mut said = Said::default();
        for (done, step) in steps.iter().enumerate() {
            match call(gateway, &step.call, components).await {
                Ok(answer) => {
                    context.screen.say(&format!("done: {}", step.change.title()));
                    for warning in warnings(&answer) {
                        context.screen.say(&format!(
                            "{} {}: {warning}",
                            context.screen.err.yellow("note:"),
                            step.change.title()
                        ));
                        said.warnings.push(warning);
                    }
                    if let Some(key) = answer.raw()["key"].as_str() {
                        said.key(context, &step.change, key);
                    }
                }
                Err(failure) => {
                    self.done(context, steps, done, &said);
                    return Err(stopped(steps, done, failure));
                }
            }
        }
        context.screen.say(&format!("{} made", words::count(steps.len(), "change")));
        self.done(context, steps, steps.len(), &said);
        Ok(0)
    }

    fn done(&self, context: &Context, steps: &[Step], done: usize, said: &Said) {
        if context.screen.json {
            let changes: Vec<_> = steps.iter().map(|step| &step.change).collect();
            let Said { warnings, keys } = said;
            context.screen.document(&json!({
                "changes": changes, "dry_run": self.dry_run, "done": done, "warnings": warnings, "keys": keys,
            }));
        }
    }
}

/// What the gateway said to what was done.
#[derive(Default)]
struct Said {
    warnings: Vec<String>,
    /// The keys of new channels, which it says once.
    keys: BTreeMap<String, String>,
}

impl Said {
    /// Shows a key at once: what comes after may fail.
    fn key(&mut self, context: &Context, change: &Change, key: &str) {
        self.keys.insert(change.name.clone(), key.to_owned());
        if !context.screen.json {
            context.screen.say("give this key to whoever receives the messages: it is not shown again");
            context.screen.print(&format!("{}: {}\n", change.title(), words::clean(key)));
        }
    }
}

/// Makes a gateway that is only asked what would be what `file` says, at once; the values of
/// secrets are left out.
pub(in crate::cli) async fn rehearse(
    context: &Context,
    gateway: &Gateway,
    file: &Path,
) -> Result<(), Failure> {
    let text = file::read(file)?;
    let mut wanted: file::Gateway = file::parse(file, &text, &GATEWAY)?;
    wanted.users.iter_mut().flatten().for_each(|(_, user)| user.password = None);
    wanted.resources.iter_mut().flatten().for_each(|(_, resource)| resource.secrets.clear());
    // Nobody is told of what is only tried.
    wanted.channels = None;
    let folder = file.parent().unwrap_or(Path::new(""));
    let (components, schemas) = components(&wanted, folder).await?;
    let (state, me) = state(gateway, &wanted, schemas).await?;
    let given = Given {
        folder,
        environment: &context.environment,
        components: &components,
        prune: false,
        set_secrets: false,
        me: &me,
    };
    for step in steps(file, &wanted, &state, &given)? {
        call(gateway, &step.call, &components).await.map_err(|failure| {
            let message = format!("`{}`: {}: {}", file.display(), step.change.title(), failure.message);
            Failure { message, ..failure }
        })?;
    }
    Ok(())
}

/// What has to be done so that the gateway is what the file says.
fn steps(
    file: &Path,
    wanted: &file::Gateway,
    state: &State,
    given: &Given<'_>,
) -> Result<Vec<Step>, Failure> {
    plan(wanted, state, given).map_err(|wrong| {
        let more = wrong.len().saturating_sub(5);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let told: Vec<&str> = wrong.iter().take(5).map(String::as_str).collect();
        Failure::usage(format!("`{}`: {}{more}; nothing was changed", file.display(), told.join("; ")))
    })
}

/// Says what was done and what was not when a step fails.
fn stopped(steps: &[Step], done: usize, failure: Failure) -> Failure {
    let titles = |steps: &[Step]| match steps.len() {
        0 => "nothing".to_owned(),
        _ => steps.iter().map(|step| step.change.title()).collect::<Vec<_>>().join(", "),
    };
    let (before, rest) = steps.split_at(done);
    let failed = rest.first().map(|step| step.change.title()).unwrap_or_default();
    let message = format!(
        "{failed}: {}; done before it: {}; not done: {}; once that is mended, apply the file again",
        failure.message,
        titles(before),
        titles(rest),
    );
    Failure { message, ..failure }
}

async fn call(
    gateway: &Gateway,
    call: &Call,
    components: &BTreeMap<String, Component>,
) -> Result<Answer, Failure> {
    match call {
        Call::Put { path: [kind, name], body } => gateway.put(&[kind, name], body.clone()).await,
        Call::Delete { path: [kind, name] } => gateway.delete(&[kind, name]).await,
        Call::Load { policy, activate, reason } => {
            let bytes = components.get(policy).map(|component| component.bytes.clone()).unwrap_or_default();
            let mut query = vec![("activate", activate.to_string())];
            if !reason.is_empty() && *activate {
                query.push(("reason", reason.clone()));
            }
            gateway.upload(&["policies", policy, "versions"], query, bytes).await
        }
        Call::Activate { policy, digest, reason } => {
            gateway.post(&["policies", policy, "activate"], json!({"digest": digest, "reason": reason})).await
        }
    }
}

type Components = (BTreeMap<String, Component>, BTreeMap<String, Value>);

/// The components that the file names, put through the gateway's own checks here; and the schemas
/// of their configs.
async fn components(wanted: &file::Gateway, folder: &Path) -> Result<Components, Failure> {
    let files: Vec<(String, PathBuf)> = wanted
        .policies
        .iter()
        .flatten()
        .map(|(name, policy)| (name.to_string(), folder.join(&policy.file)))
        .collect();
    if files.is_empty() {
        return Ok(Components::default());
    }
    let checked = tokio::task::spawn_blocking(move || {
        let runtime = policy::runtime()?;
        let (mut components, mut schemas) = Components::default();
        for (name, path) in files {
            let bytes = policy::read(&path)?;
            let loaded = runtime.load(&bytes);
            let loaded = loaded
                .map_err(|error| Failure::usage(format!("policies.{name}: `{}`: {error}", path.display())))?;
            schemas.insert(name.clone(), loaded.schema().clone());
            components.insert(name, Component { digest: Digest::of(&bytes), bytes });
        }
        Ok((components, schemas))
    });
    checked.await.map_err(|error| Failure::failed(error.to_string()))?
}

/// What the gateway has of what the file speaks about, and who asks.
async fn state(
    gateway: &Gateway,
    wanted: &file::Gateway,
    mut schemas: BTreeMap<String, Value>,
) -> Result<(State, String), Failure> {
    let me = gateway.get(&["me"], Vec::new()).await?;
    let me = me.raw()["id"].as_str().unwrap_or_default().to_owned();
    let mut state = State {
        users: by_name(gateway, "users", "id").await?,
        resources: by_name(gateway, "resources", "name").await?,
        rules: by_name(gateway, "rules", "name").await?,
        channels: match wanted.channels {
            Some(_) => by_name(gateway, "channels", "name").await?,
            None => BTreeMap::new(),
        },
        policies: by_name(gateway, "policies", "name").await?,
        schemas: BTreeMap::new(),
    };
    let used = wanted.rules.iter().flatten().filter_map(|(_, rule)| rule.canonical().ok());
    let used: Vec<String> = used
        .flat_map(|rule| rule["policies"].as_array().cloned().unwrap_or_default())
        .filter_map(|used| used["policy"].as_str().map(str::to_owned))
        .collect();
    for name in used {
        if !schemas.contains_key(&name)
            && let Some(schema) = gateway.find(&["policies", &name, "schema"]).await?
        {
            schemas.insert(name, schema.raw().clone());
        }
    }
    state.schemas = schemas;
    Ok((state, me))
}

async fn by_name(gateway: &Gateway, path: &str, key: &str) -> Result<BTreeMap<String, Value>, Failure> {
    let (items, total) = gateway.list(&[path], Vec::new(), 100_000).await?;
    if items.len() < total {
        return Err(Failure::failed(format!("the gateway has {total} {path}: too many to compare")));
    }
    Ok(items.into_iter().filter_map(|item| Some((item.get(key)?.as_str()?.to_owned(), item))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    #[test]
    fn a_failure_midway_says_what_was_done_and_what_was_not() {
        let step = |name: &str| Step {
            change: Change::removal("rule", name),
            call: Call::Delete { path: ["rules".to_owned(), name.to_owned()] },
        };
        let steps = [step("a"), step("b"), step("c")];
        let failure = stopped(&steps, 1, Failure::new(Exit::Refused, "it is in use"));
        assert_eq!(
            failure.line(),
            "rule b: it is in use; done before it: rule a; not done: rule b, rule c; once that is mended, apply the file again"
        );
        assert_eq!(failure.exit, Exit::Refused);
    }

    #[tokio::test]
    async fn a_component_that_is_none_is_refused_before_the_gateway_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.wasm"), "no component").unwrap();
        let wanted = file::parse(Path::new("g"), "policies: {eyes: {file: x.wasm}}\n", &GATEWAY).unwrap();
        let failure = components(&wanted, folder.path()).await.unwrap_err();
        assert!(
            failure.message.starts_with("policies.eyes: ") && failure.exit == Exit::Usage,
            "{}",
            failure.message
        );
    }
}
