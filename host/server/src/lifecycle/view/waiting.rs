//! What a request waits for, and who can give it.

use quorate_core::Timestamp;
use quorate_core::decision::Waiting;
use quorate_core::input::Principal;
use quorate_core::people::{WayOut, ways_out};
use serde::Serialize;
use utoipa::ToSchema;

use super::RequestView;

/// How many of those who can vote are named.
const NAMED_MAX: usize = 5;

/// What one policy waits for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WaitingView {
    /// Under which rule.
    pub rule: String,
    /// Which policy.
    pub policy: String,
    /// Any one of these is enough.
    pub ways: Vec<WayView>,
}

/// One way out.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WayView {
    /// Whether the people who can vote now are enough.
    pub can_be_met: bool,
    /// All of these, from different people.
    pub missing: Vec<MissingView>,
}

/// Approvals that are missing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MissingView {
    /// In words: `1 of security`.
    pub what: String,
    /// How many.
    pub approvals: u32,
    /// Who can give them.
    pub people: Vec<String>,
}

impl WaitingView {
    pub(super) fn of(waiting: &Waiting, able: &[Principal]) -> Self {
        let way = |way: WayOut| WayView {
            can_be_met: way.can_be_met,
            missing: (way.missing.into_iter())
                .map(|one| MissingView {
                    what: one.what,
                    approvals: one.approvals,
                    people: one.people.iter().map(ToString::to_string).collect(),
                })
                .collect(),
        };
        Self {
            rule: waiting.rule.to_string(),
            policy: waiting.policy.to_string(),
            ways: ways_out(waiting, able).into_iter().map(way).collect(),
        }
    }

    /// What it waits for, in words: `1 of dba (bob, bea); or 1 of leads (lea)`. Empty where nobody's
    /// approval would help.
    pub fn words(&self) -> String {
        let way = |way: &WayView| way.missing.iter().map(missing_words).collect::<Vec<_>>().join(" and ");
        self.ways.iter().map(way).collect::<Vec<_>>().join("; or ")
    }
}

fn missing_words(missing: &MissingView) -> String {
    let MissingView { what, approvals, people } = missing;
    if people.len() < *approvals as usize {
        let are = if people.len() == 1 { "1 person".to_owned() } else { format!("{} people", people.len()) };
        return format!("{what} (cannot be met: {approvals} needed, {are})");
    }
    let shown = people.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match people.len().saturating_sub(NAMED_MAX) {
        0 => format!("{what} ({shown})"),
        more => format!("{what} ({shown} and {more} more)"),
    }
}

/// Where a request stands, in one line; `asked_again` is when the policies wanted to be.
pub(super) fn summary(view: &RequestView, asked_again: Option<Timestamp>) -> String {
    if let Some(fault) = view.faults.first() {
        return format!(
            "policy {} does not answer ({}: {}); the operators have to replace it",
            fault.policy, fault.code, fault.message
        );
    }
    if view.state == "PENDING" {
        let each = view.waiting.iter().map(|one| match (one.ways.is_empty(), asked_again) {
            (false, _) => one.words(),
            (true, Some(at)) => format!("time to pass (the policies are asked again at {at:.0})"),
            (true, None) => "time: nobody can help".to_owned(),
        });
        let each = each.collect::<Vec<_>>().join("; and ");
        let nobody =
            if view.nobody_can_approve { "nobody can approve this: it waits for " } else { "waiting for " };
        return format!("{nobody}{each}");
    }
    if let Some(granted) = view.granted.as_ref().filter(|_| view.state == "APPROVED") {
        let by = view.approval.as_ref().map_or("", |approval| approval.by.as_str());
        return format!("approved by {by} for {}, until {:.0}", granted.duration, granted.until);
    }
    match &view.ended {
        Some(ended) if ended.why.is_empty() => format!("{} by {}", view.state, ended.by),
        Some(ended) => format!("{} by {}: {}", view.state, ended.by, ended.why),
        None => view.state.clone(),
    }
}
