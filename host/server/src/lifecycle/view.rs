//! A request as people see it: what state it is in, what is missing and who can
//! give it. The API answers with it and pages are made from it.
//!
//! Further in: what it waits for (`waiting`), what came of it (`outcome`).

mod outcome;
mod waiting;

use quorate_core::Timestamp;
use quorate_core::input::{Choice, Principal, Vote};
use quorate_core::notice::Notice;
use quorate_core::request::{Access, Reminder, Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use self::outcome::{Allowed, ApprovalView, approval, ended, granted};
pub use self::outcome::{Ended, Granted};
use self::waiting::summary;
pub use self::waiting::{MissingView, WaitingView, WayView};

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
    /// What policies had people told about it, in that order.
    pub reminders: Vec<ReminderView>,
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
    /// What exactly was asked: whoever decides on something else is refused.
    pub digest: String,
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

/// What a policy had people told.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReminderView {
    /// When.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// What, and whom.
    #[serde(flatten)]
    pub notice: NoticeView,
}

/// Something that a policy wants people to be told.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NoticeView {
    /// Its name within the request, the rule and the policy.
    pub id: String,
    /// For people to read.
    pub message: String,
    /// Everybody in any of these groups is meant. No groups and no users: those who can still vote.
    pub groups: Vec<String>,
    /// These people are meant.
    pub users: Vec<String>,
    /// Under which rule.
    pub rule: String,
    /// Which policy says it.
    pub policy: String,
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
        let waiting: Vec<WaitingView> = waits.iter().map(|one| WaitingView::of(one, &able)).collect();
        let asked_again = open.and_then(|decision| decision.revisit_at);
        let nobody = open.is_some_and(|decision| nobody_can_approve(decision, &able));
        let faults = open.map_or(&[][..], |decision| decision.faults());
        let faults = faults.iter().chain(request.unanswered.as_ref().filter(|_| pending));
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
            faults: faults.map(FaultView::of).collect(),
            findings: decision
                .map_or_else(Vec::new, |one| one.findings.iter().map(FindingView::of).collect()),
            reminders: request.reminders.iter().map(ReminderView::of).collect(),
            rules: decision.map_or_else(Vec::new, |one| one.rules.iter().map(RuleView::of).collect()),
            approval: approval(&request.state),
            ended: ended(request),
            record: request.record.map(|digest| digest.to_string()),
            url: format!("{}/requests/{}", self.config.url(), request.id),
            digest: request.asked.digest().to_string(),
            revision: request.revision,
        };
        view.summary = summary(&view, asked_again);
        view
    }
}

impl VoteView {
    /// What they did, in words: `approved`.
    pub fn did(&self) -> &'static str {
        match (self.choice.as_str(), self.forced) {
            ("approve", true) => "forced the approval",
            ("approve", false) => "approved",
            _ => "rejected",
        }
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

impl ReminderView {
    fn of(one: &Reminder) -> Self {
        Self { at: one.at, notice: NoticeView::of(&one.notice) }
    }
}

impl NoticeView {
    /// A notice as people see it.
    pub fn of(one: &Notice) -> Self {
        Self {
            id: one.id.to_string(),
            message: one.message.clone(),
            groups: one.people.groups.clone(),
            users: one.people.users.clone(),
            rule: one.rule.to_string(),
            policy: one.policy.to_string(),
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
