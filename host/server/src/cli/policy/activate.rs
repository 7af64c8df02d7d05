//! `quorate policy activate`: another version decides, at once or, where the gateway demands it,
//! once somebody else has approved that.

use clap::Args;
use quorate_core::ids::{PolicyName, RequestId};
use quorate_core::input;
use quorate_core::policy::{Activation, Demand};
use serde_json::{Value, json};

use super::{active, digest_prefix, short};
use crate::cli::client::{Answer, Gateway};
use crate::cli::exit::{Ending, Exit, Failure};
use crate::cli::view::Request;
use crate::cli::wait::{self, Interrupt};
use crate::cli::{Context, connect};

/// What a gateway says where somebody else has to approve.
pub(super) const NEEDED: &str = "approval-needed";

/// Make another version decide; asks for approval first where the gateway demands it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate policy activate group-quorum 3f9a0c21 --reason 'one group is enough'
  quorate policy activate group-quorum 3f9a0c21 --min-samples 100 --no-differences
  quorate policy activate group-quorum 3f9a0c21 --no-wait   # ask now …
  quorate policy activate --request 7k2m…                   # … and carry out later what was approved

A gateway with QUORATE_POLICY_CHANGES demands that somebody else approves: an access request is
made for exactly that version, and carried out once it is approved. While this waits, Ctrl-C
cancels the request (exit code 130).")]
pub(in crate::cli) struct Activate {
    /// The policy's name
    #[arg(required_unless_present = "request")]
    name: Option<PolicyName>,
    /// The version's digest, or the first 8 or more of its digits
    #[arg(value_parser = digest_prefix, required_unless_present = "request")]
    digest: Option<String>,
    /// Why, for the record and for those who approve
    #[arg(long, short, default_value = "", hide_default_value = true)]
    reason: String,
    /// Only if it is the shadow and was tried on so many decisions
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    min_samples: u64,
    /// Only if it is the shadow, and each of its differences and faults was accepted
    #[arg(long)]
    no_differences: bool,
    /// Where somebody has to approve it: ask, print the id of the request, and exit
    #[arg(long)]
    no_wait: bool,
    /// Carry out what was approved under this id, once
    #[arg(long, value_name = "ID", conflicts_with_all =
        ["name", "digest", "reason", "min_samples", "no_differences", "no_wait"])]
    request: Option<RequestId>,
}

/// A version that is to decide, as it was typed.
pub(super) struct Wanted {
    pub(super) name: PolicyName,
    pub(super) digest: String,
    pub(super) reason: String,
    pub(super) demand: Demand,
}

impl Wanted {
    fn body(&self) -> Value {
        json!({
            "digest": self.digest, "reason": self.reason,
            "min_samples": self.demand.samples_min, "no_differences": self.demand.no_differences,
        })
    }
}

impl Activate {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let gateway = context.gateway()?;
        let (name, digest) = match (self.request, self.name, self.digest) {
            (Some(id), ..) => return approved(context, &gateway, &id).await,
            (None, Some(name), Some(digest)) => (name, digest),
            _ => {
                return Err(Failure::usage(
                    "name the policy and the version: quorate policy activate NAME DIGEST",
                ));
            }
        };
        let demand = Demand { samples_min: self.min_samples, no_differences: self.no_differences };
        let wanted = Wanted { name, digest, reason: self.reason, demand };
        let path = ["policies", wanted.name.as_str(), "activate"];
        match gateway.post(&path, wanted.body()).await {
            Ok(answer) => {
                let digest = short(&wanted.digest);
                let line = format!("version {digest} of policy {} decides now\n", wanted.name);
                context.screen.result(answer.raw(), || line)
            }
            Err(failure) if failure.code() == Some(NEEDED) => {
                ask(context, &gateway, &wanted, self.no_wait).await
            }
            Err(failure) => Err(failure),
        }
    }
}

/// Asks for the activation, waits, and carries it out.
pub(super) async fn ask(context: &Context, gateway: &Gateway, wanted: &Wanted, no_wait: bool) -> Ending {
    let mut interrupt = Interrupt::listen()?;
    let (digest, name) = (short(&wanted.digest), &wanted.name);
    context
        .screen
        .say(&format!("somebody else has to approve that version {digest} of policy {name} decides"));
    let path = ["policies", name.as_str(), "activation-requests"];
    let answer = wait::submit_to(gateway, &path, wanted.body(), &mut interrupt).await?;
    let request: Request = answer.read()?;
    if no_wait {
        let next = format!("quorate policy activate --request {}", request.id);
        return connect::no_wait(context, &answer, &request, &next);
    }
    let activation = activation_of(&answer)?;
    let request = wait::approval(context, gateway, request, &mut interrupt).await?;
    context.screen.say(&request.approved_by());
    drop(interrupt);
    carry_out(context, gateway, &request.id, &activation).await
}

/// Carries out what was asked for before, once it is approved.
async fn approved(context: &Context, gateway: &Gateway, id: &RequestId) -> Ending {
    let answer = gateway.get(&["requests", id.as_str()], Vec::new()).await?;
    let request: Request = answer.read()?;
    let activation = activation_of(&answer)?;
    // The gateway knows whether that was this; asked again, it does nothing.
    if request.state != "EXECUTED" {
        let mut interrupt = Interrupt::listen()?;
        wait::approval(context, gateway, request, &mut interrupt).await?;
    }
    carry_out(context, gateway, id.as_str(), &activation).await
}

/// What the request is for, byte for byte: what is cleaned is only for showing.
fn activation_of(answer: &Answer) -> Result<Activation, Failure> {
    let command = answer.raw().get("command").cloned().unwrap_or_default();
    let command = serde_json::from_value::<input::Command>(command).ok();
    command.as_ref().and_then(Activation::read).ok_or_else(|| {
        Failure::new(Exit::Refused, "this request is not for the activation of a policy: nothing was done")
    })
}

async fn carry_out(context: &Context, gateway: &Gateway, id: &str, activation: &Activation) -> Ending {
    let Activation { policy, digest, demand } = activation;
    let body = json!({
        "digest": digest, "request": id,
        "min_samples": demand.samples_min, "no_differences": demand.no_differences,
    });
    let answer = gateway.post(&["policies", policy.as_str(), "activate"], body).await.map_err(|failure| {
        let why = match failure.exit {
            Exit::Refused => format!("{}; nothing was changed", failure.message),
            _ => failure.message.clone(),
        };
        let again =
            format!("`quorate policy activate --request {id}` carries it out while the approval holds");
        Failure { message: format!("{why}: {again}"), ..failure }
    })?;
    let now = active(answer.raw()).unwrap_or_default().to_owned();
    context.screen.result(answer.raw(), || {
        if now == digest.to_string() {
            format!("version {} of policy {policy} decides now\n", digest.short())
        } else {
            let now = short(&now);
            format!("this was carried out before; version {now} of policy {policy} decides now\n")
        }
    })
}
