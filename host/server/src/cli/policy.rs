//! `quorate policy`: make a policy, look into a component, try it, load it, switch to it
//! and back.

mod activate;
mod backtest;
mod bench;
pub(super) mod build;
mod candidate;
mod check;
mod component;
mod diff;
mod docs;
mod inspect;
mod new;
mod reach;
mod run;
mod shadow;
mod sign;
mod test;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use quorate_core::ids::{Digest, PolicyName};
use quorate_core::policy::Demand;
use quorate_policy::{Limits, Runtime};
use serde_json::{Value, json};

use super::Context;
use super::client::{Answer, Gateway};
use super::environment::Environment;
use super::exit::{Ending, Failure};
use super::words;

/// Write policies, load them and switch between their versions
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate policy new my-policy                          # a project with a template, no gateway needed
  quorate policy build                                  # in the project: makes my-policy.wasm
  quorate policy docs my-policy.wasm                    # a README made from it
  quorate policy inspect four-eyes.wasm                 # the gateway's own checks, here
  quorate policy load four-eyes.wasm --name four-eyes --activate --reason 'four eyes on production'
  quorate policy list
  quorate policy inspect four-eyes                      # what the gateway knows of it
  quorate policy backtest four-eyes.wasm --policy group-quorum   # what would it have decided?
  quorate policy stage four-eyes 3f9a0c21 --reason 'checked by hand'
  quorate policy shadow start four-eyes 3f9a0c21       # beside what decides
  quorate policy rollback four-eyes --reason 'too strict'")]
pub(super) enum Policy {
    New(new::New),
    Build(build::Build),
    /// Ask a component one thing; no gateway needed
    Run(Box<run::Run>),
    /// Try vector files on a component; no gateway needed
    Test(test::Test),
    /// Look for stories in a small world in which a property does not hold; no gateway needed
    Check(check::Check),
    /// Measure what the questions of vector files cost; no gateway needed
    Bench(bench::Bench),
    /// Say where two policies answer differently; no gateway needed
    Diff(diff::Diff),
    Schema(docs::Schema),
    Docs(docs::Docs),
    Keygen(sign::Keygen),
    Sign(sign::Sign),
    Verify(sign::Verify),
    /// Check a component and add it as a version of a policy
    Load(Load),
    /// List policies
    List,
    /// Check a version against every rule that uses the policy, and put it forward
    Stage(Stage),
    #[command(subcommand)]
    Shadow(shadow::Shadow),
    Activate(activate::Activate),
    /// Make the version decide that decided before
    Rollback(Rollback),
    /// Say what a component is: a file here, or a policy on the gateway
    Inspect(Inspect),
    Backtest(backtest::Backtest),
    Reach(reach::Reach),
}

/// A component to be loaded.
#[derive(Debug, Args)]
pub(super) struct Load {
    /// The component
    pub(super) file: PathBuf,
    /// The policy's name
    #[arg(long)]
    pub(super) name: PolicyName,
    /// Make it decide at once
    #[arg(long)]
    pub(super) activate: bool,
    /// Why it is activated, for the record
    #[arg(long, short, default_value = "", hide_default_value = true, requires = "activate")]
    pub(super) reason: String,
    /// Where somebody has to approve that it decides: load it, ask, print the id of the request, and exit
    #[arg(long, requires = "activate")]
    pub(super) no_wait: bool,
}

/// A version to be put forward.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  quorate policy stage group-quorum 3f9a0c21 --reason 'one group is enough'")]
pub(super) struct Stage {
    /// The policy's name
    pub(super) name: PolicyName,
    /// The version's digest, or the first 8 or more of its digits
    #[arg(value_parser = digest_prefix)]
    pub(super) digest: String,
    /// Why, for the record
    #[arg(long, short, default_value = "", hide_default_value = true)]
    pub(super) reason: String,
}

/// A policy to be rolled back.
#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The policy's name
    pub(super) name: PolicyName,
    /// Why, for the record
    #[arg(long, short, default_value = "", hide_default_value = true)]
    pub(super) reason: String,
}

/// What to look into.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A file, or the name of a policy on the gateway
    #[arg(value_name = "FILE|NAME")]
    pub(super) what: String,
}

fn digest_prefix(text: &str) -> Result<String, String> {
    let fits = (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if fits { Ok(text.to_lowercase()) } else { Err("give 8 to 64 hexadecimal digits".to_owned()) }
}

impl Policy {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        match self {
            Self::New(new) => new.run(context),
            Self::Build(build) => build.run(context).await,
            Self::Schema(schema) => schema.run(context).await,
            Self::Docs(docs) => docs.run(context).await,
            Self::Keygen(keygen) => keygen.run(context),
            Self::Sign(sign) => sign.run(context).await,
            Self::Verify(verify) => verify.run(context),
            Self::Run(run) => run.run(context).await,
            Self::Check(check) => check.run(context).await,
            Self::Bench(bench) => bench.run(context).await,
            Self::Diff(diff) => diff.run(context).await,
            Self::Test(test) => test.run(context).await,
            Self::Load(load) => load.run(context, &context.gateway()?).await,
            Self::List => list(context, &context.gateway()?).await,
            Self::Stage(Stage { name, digest, reason }) => {
                let path = ["policies", name.as_str(), "stage"];
                let body = json!({"digest": digest, "reason": reason});
                let answer = context.gateway()?.post(&path, body).await?;
                context.screen.result(answer.raw(), || {
                    let digest = short(&digest);
                    format!(
                        "version {digest} of policy {name} is staged: every rule takes it\n  \
                         quorate policy shadow start {name} {digest}\n"
                    )
                })
            }
            Self::Shadow(shadow) => shadow.run(context).await,
            Self::Activate(activate) => activate.run(context).await,
            Self::Rollback(Rollback { name, reason }) => {
                let path = ["policies", name.as_str(), "rollback"];
                let answer = context.gateway()?.post(&path, json!({"reason": reason})).await?;
                let active = active(answer.raw()).map(short).unwrap_or_default();
                context
                    .screen
                    .result(answer.raw(), || format!("version {active} of policy {name} decides again\n"))
            }
            Self::Inspect(Inspect { what }) => inspect::run(context, &what).await,
            Self::Backtest(backtest) => backtest.run(context).await,
            Self::Reach(reach) => reach.run(context).await,
        }
    }
}

impl Load {
    async fn run(self, context: &Context, gateway: &Gateway) -> Ending {
        let bytes = read(&self.file)?;
        let digest = Digest::of(&bytes);
        let mut query = vec![("activate", self.activate.to_string())];
        if !self.reason.is_empty() {
            query.push(("reason", self.reason.clone()));
        }
        let path = ["policies", self.name.as_str(), "versions"];
        let answer = match gateway.upload(&path, query, bytes.clone()).await {
            Err(failure) if failure.code() == Some(activate::NEEDED) => {
                match gateway.upload(&path, Vec::new(), bytes).await {
                    // It was loaded before; whether it decides is said below.
                    Err(failure) if failure.code() == Some("already-active") => {}
                    loaded => drop(loaded?),
                }
                context.screen.say(&format!("version {} of policy {} is loaded", digest.short(), self.name));
                let (name, digest, reason) = (self.name, digest.to_string(), self.reason);
                let wanted = activate::Wanted { name, digest, reason, demand: Demand::default() };
                return activate::ask(context, gateway, &wanted, self.no_wait).await;
            }
            answer => answer?,
        };
        let what = if self.activate { "loaded, and decides now" } else { "loaded; it decides nothing yet" };
        let next = if self.activate {
            String::new()
        } else {
            format!("  quorate policy activate {} {}\n", self.name, digest.short())
        };
        context.screen.result(answer.raw(), || {
            format!("version {} of policy {} is {what}\n{next}", digest.short(), self.name)
        })
    }
}

/// A component's bytes.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let max = Limits::default().component_bytes_max;
    let size = std::fs::metadata(file).map(|file| file.len());
    let bytes = size.and_then(|size| {
        // Not read whole where that is of no use.
        if size > max as u64 { Ok(None) } else { std::fs::read(file).map(Some) }
    });
    match bytes {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Failure::usage(format!(
            "`{}` is larger than the {max} bytes that a policy may have",
            file.display()
        ))),
        Err(error) => Err(Failure::usage(format!("`{}` cannot be read: {error}", file.display()))),
    }
}

async fn list(context: &Context, gateway: &Gateway) -> Ending {
    let (items, _) = gateway.list(&["policies"], Vec::new(), 10_000).await?;
    let items = Value::Array(items);
    let text = list_text(context, &Answer::of(items.clone()))?;
    context.screen.result(&items, || text)
}

fn list_text(context: &Context, answer: &Answer) -> Result<String, Failure> {
    let policies: Vec<Value> = answer.read()?;
    let text = |value: &Value, name: &str| value.get(name).map(words::plain).unwrap_or_default();
    let rows = policies.iter().map(|policy| {
        let versions = policy.get("versions").and_then(Value::as_array).map_or(0, Vec::len);
        let decides = active(policy).map_or("none decides".to_owned(), short);
        let last = policy.get("activations").and_then(Value::as_array).and_then(|all| all.last());
        let reason = last.map(|last| text(last, "reason")).unwrap_or_default();
        vec![text(policy, "name"), decides, versions.to_string(), words::short(&reason, 60)]
    });
    Ok(words::table(&["POLICY", "DECIDES", "VERSIONS", "WHY"], rows.collect(), context.screen.width))
}

/// The digest of the version that decides.
pub(super) fn active(policy: &Value) -> Option<&str> {
    let direct =
        policy.get("active").and_then(|active| active.as_str().or_else(|| active.get("digest")?.as_str()));
    direct.or_else(|| policy.get("activations")?.as_array()?.last()?.get("digest")?.as_str())
}

fn short(digest: &str) -> String {
    digest.get(..12).unwrap_or(digest).to_owned()
}

/// A component that passed every check of the gateway.
fn loaded(component: &[u8]) -> Result<quorate_policy::Policy, Failure> {
    runtime()?.load(component).map_err(|error| {
        let problem = json!({"type": format!("/problems/{}", error.code())});
        Failure { problem: Some(problem), ..Failure::usage(error.to_string()) }
    })
}

/// The policy runtime as the gateway has it. What it compiled it finds again, among what this
/// program keeps of the person who runs it.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    let kept = Environment::of_process().cache_folder().map(|folder| folder.join("compiled"));
    Runtime::new(Limits::default(), kept)
        .map_err(|error| Failure::failed(format!("no policy can be run here: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_active_version_is_found_in_either_form() {
        assert_eq!(active(&json!({"active": "abc"})), Some("abc"));
        assert_eq!(active(&json!({"active": {"digest": "abc"}})), Some("abc"));
        assert_eq!(
            active(&json!({"active": null, "activations": [{"digest": "x"}, {"digest": "y"}]})),
            Some("y")
        );
        assert_eq!(active(&json!({})), None);
    }

    #[test]
    fn a_prefix_of_a_digest_has_at_least_eight_digits() {
        assert_eq!(digest_prefix("ABCDEF12"), Ok("abcdef12".to_owned()));
        assert!(digest_prefix("abc").is_err() && digest_prefix("not-hexadecimal").is_err());
    }
}
