//! What happened, in words.

use quorate_core::Timestamp;
use quorate_core::entry::{Entry, Happened, Stream};
use quorate_core::input::{Choice, Vote};

use super::words::time;
use crate::api::Problem;
use crate::app::App;
use crate::ledger::{EntryFilter, Order};

/// One thing that happened.
pub(super) struct Line {
    pub(super) at: Timestamp,
    /// Who did it.
    pub(super) by: String,
    /// What, as in `approved`.
    pub(super) what: String,
    /// More of it; may be empty.
    pub(super) detail: String,
}

impl Line {
    pub(super) fn of(entry: &Entry) -> Self {
        let (what, detail) = words(&entry.happened);
        // Whoever had them asked says nothing by that.
        let by = match &entry.happened {
            Happened::RequestDecided { .. } => "the policies".to_owned(),
            Happened::RequestReminded { notice } => format!("policy {}", notice.policy),
            _ => entry.by.to_string(),
        };
        Self { at: entry.at, by, what, detail }
    }
}

/// What happened is shown up to so many entries, the newest of them.
const ENTRIES_MAX: usize = 200;

/// What happened to something, the newest entries, in order.
pub(super) fn timeline(app: &App, stream: Stream) -> Result<Vec<Line>, Problem> {
    let filter = EntryFilter { stream: Some(stream), ..EntryFilter::default() };
    let mut entries = app.ledger.entries(&filter, ENTRIES_MAX, Order::NewestFirst)?;
    entries.reverse();
    Ok(entries.iter().map(|sealed| Line::of(&sealed.entry)).collect())
}

fn words(happened: &Happened) -> (String, String) {
    let said = |what: &str, detail: String| (what.to_owned(), detail);
    match happened {
        Happened::RequestSubmitted { asked } => said("asked", asked.reason.clone()),
        Happened::VoteCast { vote } => said(voted(vote), vote.comment.clone()),
        Happened::VoteRefused { vote, why, .. } => {
            said("tried to vote and was refused", format!("{} ({})", voted(vote), why.replace('-', " ")))
        }
        Happened::RequestDecided { decision, .. } => {
            let rules = decision
                .rules
                .iter()
                .flat_map(|rule| rule.policies.iter().map(|one| format!("{} {}", one.policy, one.said)));
            said("were asked", rules.collect::<Vec<_>>().join(", "))
        }
        Happened::RequestReminded { notice } => {
            said(&format!("told {}", notice.whom()), notice.message.clone())
        }
        Happened::RequestApproved { approval, grant } => {
            said("approved it", format!("by {}, until {:.0}", approval.by(), grant.until))
        }
        Happened::RequestRejected { by, why } => said("rejected it", reason(&format!("by {by}"), why)),
        Happened::RequestCancelled => said("withdrew it", String::new()),
        Happened::RequestTimedOut => said("closed it", "nobody decided in time".to_owned()),
        Happened::RequestRevoked { why } => said("took the access back", why.clone()),
        Happened::RequestExpired => said("ended the access", "its time was over".to_owned()),
        Happened::CommandStarted { session } => said("ran the command", format!("session {session}")),
        Happened::ActivationCarriedOut { policy, digest } => {
            said("activated the policy", format!("{policy} {}", digest.short()))
        }
        Happened::SessionOpened { opened } => {
            said("connected", format!("until {} at the latest", time(&opened.until)))
        }
        Happened::SessionCarried { request, until } => {
            said("carried it on", format!("under request {request}, until {}", time(until)))
        }
        Happened::SessionEnded { end } => said("ended it", end.message.clone()),
        Happened::RecordingStopped { why } => said("stopped recording it", why.clone()),
        Happened::RecordingRead => said("read the recording", String::new()),
        // The audit shows all of it.
        other => {
            let kind = serde_json::to_value(other).ok();
            let kind = kind.as_ref().and_then(|value| value["type"].as_str()).unwrap_or("something else");
            (kind.replace('-', " "), String::new())
        }
    }
}

fn voted(vote: &Vote) -> &'static str {
    match (vote.choice, vote.forced) {
        (Choice::Approve, true) => "forced an approval",
        (Choice::Approve, false) => "voted to approve",
        (Choice::Reject, _) => "voted to reject",
    }
}

fn reason(by: &str, why: &str) -> String {
    if why.is_empty() { by.to_owned() } else { format!("{by}: {why}") }
}
