//! Why the rules said no. Refused is not failed: this is shown to people.

use crate::Timestamp;
use crate::ids::{Digest, PolicyName, ResourceName, RuleName, UserId};
use crate::rule::AccessType;
use crate::text::shown;
use crate::verdict::Audience;

/// The rules said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The requester voted on their own request.
    #[error("this is your own request: your own vote never counts")]
    OwnRequest {
        /// Who.
        by: UserId,
    },
    /// No policy counts this person's vote.
    #[error("{by} is not eligible to vote on this request: {}", who_is(.voters))]
    NotEligible {
        /// Who.
        by: UserId,
        /// Who is eligible.
        voters: Audience,
    },
    /// Nobody can be said to be eligible while a policy does not answer.
    #[error(
        "the vote cannot be counted now: policy {policy} does not answer ({}); vote again once it is replaced",
        shown(.fault, 200)
    )]
    NoAnswer {
        /// Which policy.
        policy: PolicyName,
        /// Its fault.
        fault: String,
    },
    /// It has to be done elsewhere.
    #[error("rule {rule} wants votes cast on the page of the request")]
    OnPageOnly {
        /// Which rule.
        rule: RuleName,
    },
    /// They have voted.
    #[error("{by} has already voted on this request, at {at:.0}")]
    AlreadyVoted {
        /// Who.
        by: UserId,
        /// When.
        at: Timestamp,
    },
    /// The request is no longer open.
    #[error("already decided: {state} by {by} at {at:.0}")]
    AlreadyDecided {
        /// Its state in capitals.
        state: &'static str,
        /// Who or what decided it.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Forcing needs a reason.
    #[error("say why: a forced approval needs a comment")]
    ReasonMissing,
    /// Only an approval can be forced.
    #[error("only an approval can be forced; any eligible rejection already ends the request")]
    ForcedRejection,
    /// Not in a force group.
    #[error("{by} may not force an approval here ({}); a normal vote may still be possible", who_is(.forcers))]
    NotForcer {
        /// Who.
        by: UserId,
        /// Who may.
        forcers: Audience,
    },
    /// No rule lets this person ask for this in this way.
    #[error("no access request rule covers {user} asking for {access_type} access to {resource}")]
    NotCovered {
        /// Who asked.
        user: UserId,
        /// For what.
        resource: ResourceName,
        /// In which way.
        access_type: AccessType,
    },
    /// The resource does not support this way of asking.
    #[error("{resource} does not support {access_type} access")]
    UnsupportedAccess {
        /// Which resource.
        resource: ResourceName,
        /// Which way.
        access_type: AccessType,
    },
    /// More time than allowed.
    #[error("{asked} is too long: the maximum is {max}, set by {set_by}")]
    DurationTooLong {
        /// What was asked.
        asked: String,
        /// What is allowed.
        max: String,
        /// Who set that.
        set_by: String,
    },
    /// They ask for more than anybody can look at.
    #[error(
        "{max} of your requests wait already: have them decided, or cancel some, before you ask for more"
    )]
    TooManyPending {
        /// How many may wait.
        max: u64,
    },
    /// Only the requester cancels.
    #[error("only the requester can cancel a request; reject it or, once approved, revoke it")]
    NotRequester,
    /// This person cannot take access away.
    #[error("only an admin, the requester or one of the approvers can revoke this access")]
    NotRevoker,
    /// There is no access to use.
    #[error("there is no open access: the request is {state}")]
    NotOpen {
        /// Its state in capitals.
        state: &'static str,
    },
    /// This is somebody else's grant.
    #[error("this access was granted to somebody else")]
    NotYours,
    /// The command was run already.
    #[error("this command was approved for one run and has run")]
    AlreadyRun,
    /// Something else was approved.
    #[error("this is not what was approved: the command, its arguments or its input differ")]
    NotWhatWasApproved,
    /// The person is switched off.
    #[error("{user} is not active")]
    Inactive {
        /// Who.
        user: UserId,
    },
    /// A name is somebody's already.
    #[error(
        "somebody here is called `{user}` already, and this account is not theirs: have the provider call you \
         something else"
    )]
    NameTaken {
        /// The name.
        user: UserId,
    },
    /// A text or list is too long.
    #[error("{what} is too long: at most {max} {unit}")]
    TooLong {
        /// What.
        what: &'static str,
        /// How long it may be.
        max: usize,
        /// In what.
        unit: &'static str,
    },
    /// A field makes no sense.
    #[error("{what}: {}", shown(.why, 500))]
    Invalid {
        /// Which field.
        what: &'static str,
        /// What would be right.
        why: String,
    },
    /// A policy refuses its config.
    #[error(
        "policy {} refuses its config at `{}`: {}",
        shown(.policy, 80),
        shown(.path, 200),
        shown(.why, 500)
    )]
    BadConfig {
        /// Which policy.
        policy: String,
        /// Where, as a JSON pointer.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// There is nothing of that name.
    #[error("there is no {what} `{}`", shown(.name, 80))]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Something else needs it.
    #[error("{what} `{}` is in use by {}", shown(.name, 80), shown(.by, 80))]
    InUse {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// What needs it.
        by: String,
    },
    /// Somebody must be able to configure the gateway.
    #[error(
        "{user} is the last active admin who can sign in; make somebody else one first, and give them a password"
    )]
    LastAdmin {
        /// Who.
        user: UserId,
    },
    /// It decides already.
    #[error("version {} of policy {policy} is active already", .digest.short())]
    AlreadyActive {
        /// Which policy.
        policy: PolicyName,
        /// Which version.
        digest: Digest,
    },
    /// There is no version to go back to.
    #[error("policy {policy} has no earlier version to go back to")]
    NothingBefore {
        /// Which policy.
        policy: PolicyName,
    },
    /// The version is at another stage of its life.
    #[error("version {} of policy {policy} is {stage}: to be {what} it must be {needed}", .digest.short())]
    WrongStage {
        /// Which policy.
        policy: PolicyName,
        /// Which version.
        digest: Digest,
        /// Where it is.
        stage: &'static str,
        /// Where it would have to be.
        needed: String,
        /// What was wanted of it.
        what: &'static str,
    },
    /// One at a time.
    #[error("version {} is the shadow of policy {policy} already: stop that first", .digest.short())]
    ShadowRuns {
        /// Which policy.
        policy: PolicyName,
        /// Which version is.
        digest: Digest,
    },
    /// There is none.
    #[error("policy {policy} has no shadow")]
    NoShadow {
        /// Which policy.
        policy: PolicyName,
    },
    /// A shadow is demanded, and this version was none.
    #[error(
        "version {} of policy {policy} is not its shadow: what it would change is not known (`quorate policy shadow start`)",
        .digest.short()
    )]
    NotShadowed {
        /// Which policy.
        policy: PolicyName,
        /// Which version.
        digest: Digest,
    },
    /// The shadow has not seen enough.
    #[error(
        "the shadow of policy {policy}, version {}, has seen {samples} decisions of {wanted} that are demanded",
        .digest.short()
    )]
    TooFewSamples {
        /// Which policy.
        policy: PolicyName,
        /// Which version.
        digest: Digest,
        /// How many it has seen.
        samples: u64,
        /// How many are demanded.
        wanted: u64,
    },
    /// It would decide otherwise, and nobody said that this is right.
    #[error(
        "the shadow of policy {policy}, version {}, has {differences} differences and {faults} faults that nobody accepted \
         (`quorate policy shadow report {policy}`)",
        .digest.short()
    )]
    Unexplained {
        /// Which policy.
        policy: PolicyName,
        /// Which version.
        digest: Digest,
        /// How many decisions would be others.
        differences: u64,
        /// In how many the candidate did not answer.
        faults: u64,
    },
    /// Somebody else has to approve that a version decides.
    #[error(
        "a version of a policy is only activated under an approved request for {resource} here: \
         `quorate policy activate {policy} {}` asks for one", .digest.short()
    )]
    ApprovalNeeded {
        /// Which policy.
        policy: PolicyName,
        /// Which version.
        digest: Digest,
        /// What stands for changes of policies.
        resource: ResourceName,
    },
    /// Nobody has to.
    #[error("no request is needed to activate a version of a policy here: activate it without one")]
    ApprovalNotNeeded,
    /// Nobody can be asked.
    #[error(
        "no version of a policy can be activated: that takes an approved request for {resource}, and {why}"
    )]
    NoWayToApprove {
        /// What stands for changes of policies.
        resource: ResourceName,
        /// What is missing.
        why: &'static str,
    },
    /// The policies let it pass.
    #[error(
        "no second person approved this ({by} let it pass): the rules for {resource} must wait for somebody, \
         with `admins_approve_themselves: false`"
    )]
    NobodyApproved {
        /// What stands for changes of policies.
        resource: ResourceName,
        /// What approved it, in words.
        by: String,
    },
    /// Nothing runs on it.
    #[error(
        "{resource} stands for changes of policies, and nothing runs on it: `quorate policy activate` asks for it"
    )]
    OnlyActivations {
        /// What stands for changes of policies.
        resource: ResourceName,
    },
    /// The session has ended.
    #[error("the session has ended")]
    SessionEnded,
}

impl Refused {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OwnRequest { .. } => "own-request",
            Self::NotEligible { .. } => "not-eligible",
            Self::NoAnswer { .. } => "no-answer",
            Self::OnPageOnly { .. } => "on-page-only",
            Self::AlreadyVoted { .. } => "already-voted",
            Self::AlreadyDecided { .. } => "already-decided",
            Self::ReasonMissing => "reason-missing",
            Self::ForcedRejection => "forced-rejection",
            Self::NotForcer { .. } => "not-forcer",
            Self::NotCovered { .. } => "not-covered",
            Self::UnsupportedAccess { .. } => "unsupported-access",
            Self::DurationTooLong { .. } => "duration-too-long",
            Self::TooManyPending { .. } => "too-many-pending",
            Self::NotRequester => "not-requester",
            Self::NotRevoker => "not-revoker",
            Self::NotOpen { .. } => "not-open",
            Self::NotYours => "not-yours",
            Self::AlreadyRun => "already-run",
            Self::NotWhatWasApproved => "not-what-was-approved",
            Self::Inactive { .. } => "inactive",
            Self::NameTaken { .. } => "name-taken",
            Self::TooLong { .. } => "too-long",
            Self::Invalid { .. } => "invalid",
            Self::BadConfig { .. } => "bad-config",
            Self::Unknown { .. } => "unknown",
            Self::InUse { .. } => "in-use",
            Self::LastAdmin { .. } => "last-admin",
            Self::AlreadyActive { .. } => "already-active",
            Self::NothingBefore { .. } => "nothing-before",
            Self::WrongStage { .. } => "wrong-stage",
            Self::ShadowRuns { .. } => "shadow-runs",
            Self::NoShadow { .. } => "no-shadow",
            Self::NotShadowed { .. } => "not-shadowed",
            Self::TooFewSamples { .. } => "too-few-samples",
            Self::Unexplained { .. } => "unexplained-differences",
            Self::ApprovalNeeded { .. } => "approval-needed",
            Self::ApprovalNotNeeded => "approval-not-needed",
            Self::NoWayToApprove { .. } => "no-way-to-approve",
            Self::NobodyApproved { .. } => "nobody-approved",
            Self::OnlyActivations { .. } => "only-activations",
            Self::SessionEnded => "session-ended",
        }
    }
}

fn who_is(audience: &Audience) -> String {
    let names: Vec<&str> = audience.groups.iter().chain(&audience.users).map(String::as_str).collect();
    if names.is_empty() {
        "nobody is".to_owned()
    } else {
        format!("that takes {}", shown(&names.join(" or "), 200))
    }
}
