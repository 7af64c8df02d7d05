//! `quorate requests`: look at requests and decide them.

mod explain;
mod list;
mod show;

use clap::{Args, Subcommand};
use quorate_core::ids::RequestId;
use serde_json::{Value, json};

use super::Context;
use super::client::Gateway;
use super::exit::Ending;
use super::view::Request;
use super::words;

/// Look at access requests and decide them
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate requests list --inbox waiting            # what waits for my vote
  quorate requests list --stuck                    # what nobody can approve as things are
  quorate requests show 7k2m…
  quorate requests approve 7k2m… --comment 'ok until noon'
  quorate requests approve 7k2m… --force --comment 'site is down'
  quorate requests explain 7k2m…                   # which policy said what, and what is missing")]
pub(super) enum Requests {
    /// List requests, newest first
    List(list::List),
    /// Show one request
    Show(show::Show),
    /// Vote for a request
    Approve(Approve),
    /// Vote against a request: one eligible rejection ends it
    Reject(Reject),
    /// Withdraw a request of your own
    Cancel(One),
    /// Take back access that was approved; its sessions end at once
    Revoke(Revoke),
    /// Say why a request stands where it stands
    Explain(One),
}

/// One request.
#[derive(Debug, Args)]
pub(super) struct One {
    /// The request's id
    pub(super) id: RequestId,
}

/// A vote for a request.
#[derive(Debug, Args)]
pub(super) struct Approve {
    /// The request's id
    pub(super) id: RequestId,
    /// Approve now, whatever others still have to say; takes a force group and a --comment
    #[arg(long, requires = "comment")]
    pub(super) force: bool,
    /// For the requester and the record
    #[arg(long, short)]
    pub(super) comment: Option<String>,
}

/// A vote against a request.
#[derive(Debug, Args)]
pub(super) struct Reject {
    /// The request's id
    pub(super) id: RequestId,
    /// For the requester and the record
    #[arg(long, short)]
    pub(super) comment: Option<String>,
}

/// Access to be taken back.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The request's id
    pub(super) id: RequestId,
    /// Why; shown to whoever is cut off
    #[arg(long, short, default_value = "", hide_default_value = true)]
    pub(super) reason: String,
}

impl Requests {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let gateway = context.gateway()?;
        match self {
            Self::List(list) => list.run(context, &gateway).await,
            Self::Show(show) => show.run(context, &gateway).await,
            Self::Approve(Approve { id, force, comment }) => {
                let body =
                    json!({"choice": "approve", "forced": force, "comment": comment.unwrap_or_default()});
                change(context, &gateway, &id, "votes", body).await
            }
            Self::Reject(Reject { id, comment }) => {
                let body = json!({"choice": "reject", "comment": comment.unwrap_or_default()});
                change(context, &gateway, &id, "votes", body).await
            }
            Self::Cancel(One { id }) => change(context, &gateway, &id, "cancel", json!({})).await,
            Self::Revoke(Revoke { id, reason }) => {
                change(context, &gateway, &id, "revoke", json!({"reason": reason})).await
            }
            Self::Explain(One { id }) => explain::explain(context, &gateway, &id).await,
        }
    }
}

fn one_line(request: &Request) -> String {
    if request.is_pending() && !request.summary.is_empty() {
        request.summary.clone()
    } else {
        stands(request)
    }
}

/// Where a request stands, in one line.
fn stands(request: &Request) -> String {
    match (&request.state[..], &request.granted) {
        ("APPROVED", Some(granted)) => {
            format!("{}, until {}", request.approved_by(), words::time(granted.until))
        }
        ("APPROVED" | "EXECUTED", _) => request.approved_by(),
        ("PENDING", _) => request.missing().join("; "),
        _ => request.ending(),
    }
}

async fn change(context: &Context, gateway: &Gateway, id: &RequestId, verb: &str, body: Value) -> Ending {
    let answer = gateway.post(&["requests", id.as_str(), verb], body).await?;
    let request: Request = answer.read()?;
    let line = format!(
        "{}  {} asks {}: {}\n",
        context.screen.out.state(&request.state),
        request.requester,
        request.asks(),
        one_line(&request)
    );
    context.screen.result(answer.raw(), || line)
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::request;
    use super::*;

    #[test]
    fn where_a_request_stands_fits_on_a_line() {
        let approved = request(|r| {
            r["state"] = json!("APPROVED");
            r["granted"] =
                json!({"from": "2026-11-23T10:10:00Z", "until": "2026-11-23T12:10:00Z", "duration": "2h"});
            r["approval"] = json!({"by": "bob, sam", "bypasses": []});
        });
        assert_eq!(stands(&approved), "approved by bob, sam, until 2026-11-23 12:10:00 UTC");
        let skipped = request(|r| {
            r["state"] = json!("EXECUTED");
            r["approval"] =
                json!({"by": "policy bypass", "bypasses": [{"why": "skipped: eve is in oncall"}]});
        });
        assert_eq!(stands(&skipped), "approved by policy bypass (skipped: eve is in oncall)");
        assert_eq!(one_line(&request(|_| {})), "waiting for 1 of dba (bob, bea)");
    }
}
