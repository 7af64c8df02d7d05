//! A request as people see it: what state it is in, what is missing and who can
//! give it. The API answers with it and pages are made from it.

use quorate_core::Timestamp;
use quorate_core::decision::{Combined, Waiting};
use quorate_core::duration::AccessDuration;
use quorate_core::entry::Actor;
use quorate_core::ids::UserId;
use quorate_core::input::{Choice, Principal, Vote};
use quorate_core::people::{WayOut, ways_out};
use quorate_core::request::{Access, Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::stuck::{may_vote, nobody_can_approve};
use super::{Error, Inner, Lifecycle};

/// A request as people see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RequestView {
    /// Which.
    pub id: String,
    /// `PENDING`, `APPROVED`, `REJECTED`, `CANCELLED`, `TIMED_OUT`, `REVOKED`,
    /// `EXPIRED` or `EXECUTED`.
    pub state: String,
    /// Who asks.
    pub requester: String,
    /// For what.
    pub resource: String,
    /// `just-in-time` or `command`.
    pub access_type: String,
    /// How long was asked for, in the requester's words.
    pub duration: Option<String>,
    /// The command that was asked for.
    pub command: Option<CommandView>,
    /// Why; may be empty.
    pub reason: String,
    /// When it was asked.
    #[schema(value_type = String)]
    pub submitted_at: Timestamp,
    /// When it times out unless somebody decides.
    #[schema(value_type = String)]
    pub closes_at: Timestamp,
    /// The window, once approved.
    pub granted: Option<Granted>,
    /// What will be granted, where that is less than was asked.
    pub allowed: Option<Allowed>,
    /// In the order they were cast.
    pub votes: Vec<VoteView>,
    /// What is waited for; each must get one of its ways.
    pub waiting: Vec<WaitingView>,
    /// Where it stands, in one line.
    pub summary: String,
    /// Nobody who can vote now could get it approved.
    pub nobody_can_approve: bool,
    /// Policies that do not answer.
    pub faults: Vec<FaultView>,
    /// What the policies tell people.
    pub findings: Vec<FindingView>,
    /// The rules and policy versions that decided last.
    pub rules: Vec<RuleView>,
    /// How it was approved.
    pub approval: Option<ApprovalView>,
    /// How and when it ended.
    pub ended: Option<Ended>,
    /// The digest of the last decision's record.
    pub record: Option<String>,
    /// Where people can look at it.
    pub url: String,
    /// Grows with everything that happens to it.
    pub revision: u64,
}

/// A command as it was asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CommandView {
    /// What it reads from its standard input.
    pub text: String,
    /// What is added to the resource's command line.
    pub arguments: Vec<String>,
    /// What binds the approval to exactly this on exactly that resource.
    pub digest: String,
}

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

/// A vote.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct VoteView {
    /// Who.
    pub voter: String,
    /// Their groups when they voted.
    pub groups: Vec<String>,
    /// `approve` or `reject`.
    pub choice: String,
    /// Whether it skips what others still have to say.
    pub forced: bool,
    /// In their words.
    pub comment: String,
    /// When.
    #[schema(value_type = String)]
    pub cast_at: Timestamp,
}

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

/// A policy that does not answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FaultView {
    /// Under which rule.
    pub rule: String,
    /// Which policy.
    pub policy: String,
    /// What kind of fault.
    pub code: String,
    /// For people to read.
    pub message: String,
}

/// Something a policy tells people.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FindingView {
    /// Which policy.
    pub policy: String,
    /// Stable, for programs.
    pub code: String,
    /// For people to read.
    pub message: String,
    /// Where in the config, as a JSON pointer.
    pub path: Option<String>,
}

/// A rule that took part in a decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RuleView {
    /// Which.
    pub rule: String,
    /// Which version of it.
    pub revision: u64,
    /// Its policies.
    pub policies: Vec<PolicyUsedView>,
}

/// A policy that took part in a decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PolicyUsedView {
    /// Which.
    pub policy: String,
    /// The digest of the version; none where it was missing.
    pub version: Option<String>,
    /// `abstain`, `wait`, `approve`, `bypass`, `deny` or `fault`.
    pub said: String,
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

impl Lifecycle {
    /// A request as people see it.
    pub fn view(&self, request: &Request) -> Result<RequestView, Error> {
        let people = self.0.electorate(&[])?;
        Ok(self.0.view(request, &people))
    }

    /// Several requests as people see them.
    pub fn views(&self, requests: &[Request]) -> Result<Vec<RequestView>, Error> {
        let people = self.0.electorate(&[])?;
        Ok(requests.iter().map(|request| self.0.view(request, &people)).collect())
    }
}

impl Inner {
    fn view(&self, request: &Request, people: &[Principal]) -> RequestView {
        let asked = &request.asked;
        let (duration, command) = match &asked.access {
            Access::JustInTime { duration } => (Some(duration.to_string()), None),
            Access::Command { command, digest } => {
                let (text, arguments) = (command.text.clone(), command.arguments.clone());
                (None, Some(CommandView { text, arguments, digest: digest.to_string() }))
            }
        };
        let able: Vec<Principal> = people.iter().filter(|one| may_vote(request, one)).cloned().collect();
        let pending = matches!(request.state, State::Pending);
        let decision = request.decision.as_deref();
        // What it still says about a request that is over is of no use to anybody.
        let open = decision.filter(|_| pending);
        let waits = open.map_or(&[][..], |decision| decision.waiting());
        let waiting: Vec<WaitingView> = waits.iter().map(|one| waiting_view(one, &able)).collect();
        let asked_again = open.and_then(|decision| decision.revisit_at);
        let nobody = open.is_some_and(|decision| nobody_can_approve(decision, &able));
        let faults = open.map_or(&[][..], |decision| decision.faults());
        let mut view = RequestView {
            id: request.id.to_string(),
            state: request.state.name().to_owned(),
            requester: asked.requester.to_string(),
            resource: asked.resource.to_string(),
            access_type: asked.access.access_type().to_string(),
            duration,
            command,
            reason: asked.reason.clone(),
            submitted_at: asked.submitted_at,
            closes_at: asked.closes_at,
            granted: granted(&request.state),
            allowed: self.allowed(request),
            votes: request.votes.iter().map(vote_view).collect(),
            waiting,
            summary: String::new(),
            nobody_can_approve: nobody,
            faults: faults.iter().map(FaultView::of).collect(),
            findings: decision
                .map_or_else(Vec::new, |one| one.findings.iter().map(FindingView::of).collect()),
            rules: decision.map_or_else(Vec::new, |one| one.rules.iter().map(RuleView::of).collect()),
            approval: approval(&request.state),
            ended: ended(request),
            record: request.record.map(|digest| digest.to_string()),
            url: format!("{}/requests/{}", self.url(), request.id),
            revision: request.revision,
        };
        view.summary = summary(&view, asked_again);
        view
    }

    /// What will be granted, where that is less than was asked.
    fn allowed(&self, request: &Request) -> Option<Allowed> {
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

    fn url(&self) -> String {
        let listen = || format!("http://{}", self.config.listen);
        self.config.public_url.clone().unwrap_or_else(listen)
    }
}

fn vote_view(vote: &Vote) -> VoteView {
    VoteView {
        voter: vote.voter.id.to_string(),
        groups: vote.voter.groups.iter().map(ToString::to_string).collect(),
        choice: match vote.choice {
            Choice::Approve => "approve",
            Choice::Reject => "reject",
        }
        .to_owned(),
        forced: vote.forced,
        comment: vote.comment.clone(),
        cast_at: vote.cast_at,
    }
}

fn waiting_view(waiting: &Waiting, able: &[Principal]) -> WaitingView {
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
    WaitingView {
        rule: waiting.rule.to_string(),
        policy: waiting.policy.to_string(),
        ways: ways_out(waiting, able).into_iter().map(way).collect(),
    }
}

impl FaultView {
    fn of(one: &quorate_core::decision::PolicyFault) -> Self {
        Self {
            rule: one.rule.to_string(),
            policy: one.policy.to_string(),
            code: one.fault.code.as_str().to_owned(),
            message: one.fault.message.clone(),
        }
    }
}

impl FindingView {
    /// A finding, with the policy that made it.
    pub fn of(one: &quorate_core::decision::PolicyFinding) -> Self {
        Self {
            policy: one.policy.to_string(),
            code: one.finding.code.clone(),
            message: one.finding.message.clone(),
            path: one.finding.path.clone(),
        }
    }
}

impl RuleView {
    fn of(one: &quorate_core::decision::RuleUsed) -> Self {
        let policies = one.policies.iter().map(|used| PolicyUsedView {
            policy: used.policy.to_string(),
            version: used.version.map(|digest| digest.to_string()),
            said: used.said.clone(),
        });
        Self { rule: one.rule.to_string(), revision: one.revision, policies: policies.collect() }
    }
}

fn granted(state: &State) -> Option<Granted> {
    let (State::Approved { grant, .. } | State::Revoked { grant, .. } | State::Expired { grant, .. }) = state
    else {
        return None;
    };
    let seconds = grant.until.duration_since(grant.from).as_secs().unsigned_abs();
    let duration = AccessDuration::from_seconds(seconds).to_string();
    Some(Granted { from: grant.from, until: grant.until, duration })
}

fn approval(state: &State) -> Option<ApprovalView> {
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

fn ended(request: &Request) -> Option<Ended> {
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

/// Where a request stands, in one line; `asked_again` is when the policies wanted to be.
fn summary(view: &RequestView, asked_again: Option<Timestamp>) -> String {
    if let Some(fault) = view.faults.first() {
        return format!(
            "policy {} does not answer ({}: {}); the operators have to replace it",
            fault.policy, fault.code, fault.message
        );
    }
    if view.state == "PENDING" {
        let each = view.waiting.iter().map(|one| {
            let ways = one.ways.iter().map(way_words).collect::<Vec<_>>();
            match (ways.is_empty(), asked_again) {
                (false, _) => ways.join("; or "),
                (true, Some(at)) => format!("time to pass (the policies are asked again at {at:.0})"),
                (true, None) => "time: nobody can help".to_owned(),
            }
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

fn way_words(way: &WayView) -> String {
    let missing = way.missing.iter().map(|one| {
        let people = one.people.len();
        if people < one.approvals as usize {
            let are = if people == 1 { "1 person".to_owned() } else { format!("{people} people") };
            format!("{} (cannot be met: {} needed, {are})", one.what, one.approvals)
        } else {
            let shown = one.people.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if people > 5 { format!(" and {} more", people - 5) } else { String::new() };
            format!("{} ({shown}{more})", one.what)
        }
    });
    missing.collect::<Vec<_>>().join(" and ")
}
