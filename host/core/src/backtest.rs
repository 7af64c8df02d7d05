//! Backtest: a recorded decision once more, with a candidate in the place of one
//! policy. What the others said stays as it was recorded.
//!
//! Not here: asking the candidate. It comes in as a function, so that this runs
//! without an engine.

use serde::{Deserialize, Serialize};

use crate::decision::{Answer, Combined, Decision, Opinion, Record};
use crate::ids::{PolicyName, RuleName};
use crate::input::{Access, Choice, Input};
use crate::request::Bounds;

/// What a decision came to, or why it came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Refused for good.
    Denied,
    /// Not decided: a policy, other than the candidate, did not answer.
    Faulted,
    /// Not yet.
    Waiting,
    /// Yes.
    Approved,
    /// Yes, without waiting for others.
    Bypassed,
    /// The candidate did not answer.
    CandidateFault,
    /// The candidate does not take the recorded config, so it was not asked.
    ConfigRefused,
}

impl Kind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Denied,
        Self::Faulted,
        Self::Waiting,
        Self::Approved,
        Self::Bypassed,
        Self::CandidateFault,
        Self::ConfigRefused,
    ];

    /// As it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Faulted => "faulted",
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Bypassed => "bypassed",
            Self::CandidateFault => "candidate-fault",
            Self::ConfigRefused => "config-refused",
        }
    }

    /// Whether somebody gets in.
    pub fn lets_in(self) -> bool {
        matches!(self, Self::Approved | Self::Bypassed)
    }

    /// What `decision` comes to. A rejection that counts is final, whatever else the
    /// policies make of it: as in [`crate::request::Request::step`].
    pub fn of(decision: &Decision, input: &Input) -> Self {
        let mut rejections = input.votes.iter().filter(|vote| vote.choice == Choice::Reject);
        if rejections.any(|vote| decision.voters.includes(&vote.voter)) {
            return Self::Denied;
        }
        match &decision.outcome {
            Combined::Denied { .. } => Self::Denied,
            Combined::Faulted { .. } => Self::Faulted,
            Combined::Waiting { .. } => Self::Waiting,
            Combined::Approved { bypasses, .. } if bypasses.is_empty() => Self::Approved,
            Combined::Approved { .. } => Self::Bypassed,
        }
    }
}

/// What the candidate changes, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Lets somebody in where they were not.
    LetsIn,
    /// Lets them in for longer.
    Longer,
    /// Does not answer.
    Fault,
    /// Does not take the config.
    ConfigRefused,
    /// Does not let somebody in who was.
    KeepsOut,
    /// Lets them in for a shorter time.
    Shorter,
    /// Another outcome that lets in as many as before.
    Other,
    /// Nothing.
    Same,
}

impl Change {
    /// All of them, the gravest first.
    pub const ALL: [Self; 8] = [
        Self::LetsIn,
        Self::Longer,
        Self::Fault,
        Self::ConfigRefused,
        Self::KeepsOut,
        Self::Shorter,
        Self::Other,
        Self::Same,
    ];

    /// As it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LetsIn => "lets-in",
            Self::Longer => "longer",
            Self::Fault => "fault",
            Self::ConfigRefused => "config-refused",
            Self::KeepsOut => "keeps-out",
            Self::Shorter => "shorter",
            Self::Other => "other",
            Self::Same => "same",
        }
    }
}

/// Whose place the candidate takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The policy's.
    pub policy: PolicyName,
    /// Under this rule only; none: under every rule.
    pub rule: Option<RuleName>,
}

/// What the candidate made of an input.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are answers")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It was asked.
    Answered(Answer),
    /// It does not take the config; why.
    ConfigRefused(String),
}

/// One decision, as it was and as it would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// What it came to.
    pub live: Kind,
    /// What it would come to.
    pub candidate: Kind,
    /// What that means.
    pub change: Change,
    /// The candidate said exactly what was recorded.
    pub same_answer: bool,
    /// How long the access was to last, in seconds, where there was any.
    pub live_seconds: Option<u64>,
    /// How long it would last.
    pub candidate_seconds: Option<u64>,
    /// What the policy said, in words; empty where nothing changes.
    pub live_said: String,
    /// What the candidate says.
    pub candidate_said: String,
}

impl Place {
    fn takes(&self, rule: &RuleName, opinion: &Opinion) -> bool {
        opinion.policy == self.policy && self.rule.as_ref().is_none_or(|only| only == rule)
    }

    fn of<'a>(&'a self, record: &'a mut Record) -> impl Iterator<Item = &'a mut Opinion> {
        let opinions = record.rules.iter_mut().flat_map(|rule| {
            let name = &rule.rule;
            rule.opinions.iter_mut().map(move |opinion| (name, opinion))
        });
        opinions.filter(|(rule, opinion)| self.takes(rule, opinion)).map(|(_, opinion)| opinion)
    }
}

/// Decides `record` once more with a candidate in `place`, whose answers it then holds;
/// none where that policy took no part. `try_it` asks the candidate; `bounds` are the gateway's.
pub fn outlook(
    record: &mut Record,
    place: &Place,
    bounds: &Bounds,
    mut try_it: impl FnMut(&str, &Input) -> Tried,
) -> Option<Outlook> {
    let input = &record.input;
    let asked = record.rules.iter().flat_map(|rule| rule.opinions.iter().map(move |one| (&rule.rule, one)));
    let asked = asked.filter(|(rule, opinion)| place.takes(rule, opinion));
    let tried: Vec<Tried> = asked.map(|(_, opinion)| try_it(&opinion.config, input)).collect();
    if tried.is_empty() {
        return None;
    }
    let decision = Decision::combine(&record.rules);
    let live = Kind::of(&decision, &record.input);
    let live_seconds = live.lets_in().then(|| seconds(&record.input, &decision, bounds));

    let answers: Vec<&Answer> = place.of(record).map(|opinion| &opinion.answer).collect();
    let same = |(tried, before): (&Tried, &&Answer)| matches!(tried, Tried::Answered(now) if now == *before);
    let same_answer = tried.iter().zip(&answers).all(same);
    let faulted = tried.iter().any(|one| matches!(one, Tried::Answered(Answer::Fault(_))));
    if same_answer && !faulted && live != Kind::Faulted {
        return Some(Outlook::same(live, live_seconds));
    }
    let live_said = answers.iter().map(|answer| answer.words()).collect::<Vec<_>>().join("; ");
    let candidate_said = tried.iter().map(Tried::words).collect::<Vec<_>>().join("; ");
    let refused = tried.iter().any(|one| matches!(one, Tried::ConfigRefused(_)));
    for (opinion, tried) in place.of(record).zip(tried) {
        if let Tried::Answered(answer) = tried {
            opinion.answer = answer;
        }
    }
    let decision = Decision::combine(&record.rules);
    // An obligation that nobody knows is a fault too.
    let faulted = faulted || decision.faults().iter().any(|fault| place.is_of(&fault.rule, &fault.policy));
    let candidate = match Kind::of(&decision, &record.input) {
        _ if refused => Kind::ConfigRefused,
        _ if faulted => Kind::CandidateFault,
        kind => kind,
    };
    let candidate_seconds = candidate.lets_in().then(|| seconds(&record.input, &decision, bounds));
    let change = change((live, live_seconds), (candidate, candidate_seconds));
    let (live_said, candidate_said) = match change {
        Change::Same => Default::default(),
        _ => (live_said, candidate_said),
    };
    Some(Outlook {
        live,
        candidate,
        change,
        same_answer,
        live_seconds,
        candidate_seconds,
        live_said,
        candidate_said,
    })
}

impl Place {
    fn is_of(&self, rule: &RuleName, policy: &PolicyName) -> bool {
        *policy == self.policy && self.rule.as_ref().is_none_or(|only| only == rule)
    }
}

impl Tried {
    fn words(&self) -> String {
        match self {
            Self::Answered(answer) => answer.words(),
            Self::ConfigRefused(why) => format!("does not take the config: {why}"),
        }
    }
}

impl Outlook {
    fn same(kind: Kind, seconds: Option<u64>) -> Self {
        Self {
            live: kind,
            candidate: kind,
            change: Change::Same,
            same_answer: true,
            live_seconds: seconds,
            candidate_seconds: seconds,
            live_said: String::new(),
            candidate_said: String::new(),
        }
    }
}

fn change((live, before): (Kind, Option<u64>), (candidate, after): (Kind, Option<u64>)) -> Change {
    match (live.lets_in(), candidate.lets_in()) {
        _ if candidate == Kind::CandidateFault => Change::Fault,
        _ if candidate == Kind::ConfigRefused => Change::ConfigRefused,
        (false, true) => Change::LetsIn,
        (true, false) => Change::KeepsOut,
        (true, true) if after > before => Change::Longer,
        (true, true) if after < before => Change::Shorter,
        _ if live != candidate => Change::Other,
        _ => Change::Same,
    }
}

/// How long the grant would last: as [`Bounds::seconds`] has it, with the resource's
/// own limit as it was recorded.
fn seconds(input: &Input, decision: &Decision, bounds: &Bounds) -> u64 {
    let asked = match input.request.access {
        Access::JustInTime { seconds } => seconds,
        Access::Command { .. } => bounds.command_window_seconds,
    };
    let cap = decision.cap.as_ref().map(|cap| cap.seconds);
    let limits = [cap, input.request.target.max_duration, Some(bounds.ceiling_seconds)];
    limits.into_iter().flatten().fold(asked, u64::min)
}

#[cfg(test)]
mod tests;
