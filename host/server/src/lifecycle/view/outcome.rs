//! What came of a request: what was or will be granted, how it was approved, how it ended.

use quorate_core::Timestamp;
use quorate_core::decision::Combined;
use quorate_core::duration::AccessDuration;
use quorate_core::entry::Actor;
use quorate_core::ids::UserId;
use quorate_core::request::{Access, Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::lifecycle::Inner;

/// A window of access.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Granted {
    /// When it began.
    #[schema(value_type = String)]
    pub from: Timestamp,
    /// When it ends.
    #[schema(value_type = String)]
    pub until: Timestamp,
    /// How long that is.
    pub duration: String,
}

/// Less than was asked.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Allowed {
    /// How long.
    pub duration: String,
    /// Who says so.
    pub set_by: String,
}

/// How a request was approved.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApprovalView {
    /// By whom or what, in words.
    pub by: String,
    /// Whose approvals were on record.
    pub approvers: Vec<String>,
    /// Who forced it.
    pub forced_by: Option<String>,
    /// Why policies did not wait for people.
    pub bypasses: Vec<BypassView>,
    /// The group that may always enter.
    pub standing: Option<String>,
}

/// A policy that did not wait for people.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BypassView {
    /// Under which rule.
    pub rule: String,
    /// Which policy.
    pub policy: String,
    /// Its reason.
    pub why: String,
}

/// How a request ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Ended {
    /// Who or what ended it.
    pub by: String,
    /// Why; may be empty.
    pub why: String,
    /// When.
    #[schema(value_type = String)]
    pub at: Timestamp,
}

impl Inner {
    /// What will be granted, where that is less than was asked.
    pub(super) fn allowed(&self, request: &Request) -> Option<Allowed> {
        let Access::JustInTime { duration } = &request.asked.access else { return None };
        let decision = request.decision.as_deref()?;
        let resource = self.ledger.resource(&request.asked.resource).ok().flatten()?;
        let seconds = self.bounds(&resource).seconds(&request.asked.access, decision);
        if seconds >= duration.seconds() || matches!(decision.outcome, Combined::Denied { .. }) {
            return None;
        }
        let cap = decision.cap.as_ref().filter(|cap| cap.seconds == seconds);
        let set_by = match cap {
            Some(cap) => cap.set_by.clone(),
            None if resource.max_duration == Some(seconds) => format!("resource {}", resource.name),
            None => "the gateway".to_owned(),
        };
        Some(Allowed { duration: AccessDuration::from_seconds(seconds).to_string(), set_by })
    }
}

pub(super) fn granted(state: &State) -> Option<Granted> {
    let (State::Approved { grant, .. } | State::Revoked { grant, .. } | State::Expired { grant, .. }) = state
    else {
        return None;
    };
    let seconds = grant.until.duration_since(grant.from).as_secs().unsigned_abs();
    let duration = AccessDuration::from_seconds(seconds).to_string();
    Some(Granted { from: grant.from, until: grant.until, duration })
}

pub(super) fn approval(state: &State) -> Option<ApprovalView> {
    let (State::Approved { approval, .. }
    | State::Executed { approval, .. }
    | State::Revoked { approval, .. }
    | State::Expired { approval, .. }) = state
    else {
        return None;
    };
    let bypasses = approval.bypasses.iter().map(|one| BypassView {
        rule: one.rule.to_string(),
        policy: one.policy.to_string(),
        why: one.why.clone(),
    });
    Some(ApprovalView {
        by: approval.by(),
        approvers: approval.approvers.iter().map(ToString::to_string).collect(),
        forced_by: approval.forced_by.as_ref().map(ToString::to_string),
        bypasses: bypasses.collect(),
        standing: approval.standing.as_ref().map(ToString::to_string),
    })
}

pub(super) fn ended(request: &Request) -> Option<Ended> {
    let by_user = |user: &UserId| user.to_string();
    let (by, why, at) = match &request.state {
        State::Pending | State::Approved { .. } => return None,
        State::Rejected { by, why, at } => (by.to_string(), why.clone(), at),
        State::Cancelled { at } => (by_user(&request.asked.requester), String::new(), at),
        State::TimedOut { at } => ("the deadline".to_owned(), "nobody decided in time".to_owned(), at),
        State::Revoked { by, why, at, .. } => match by {
            Actor::User(user) => (by_user(user), why.clone(), at),
            Actor::Gateway => ("the gateway".to_owned(), why.clone(), at),
        },
        State::Expired { grant, .. } => ("the end of its time".to_owned(), String::new(), &grant.until),
        State::Executed { at, session, .. } => {
            let why = if session.is_some() { "it has run" } else { "it was carried out" };
            (by_user(&request.asked.requester), why.to_owned(), at)
        }
    };
    Some(Ended { by, why, at: *at })
}
