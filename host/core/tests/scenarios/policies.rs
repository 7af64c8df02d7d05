//! Native stand-ins for the built-in policies.

use quorate_core::decision::Answer;
use quorate_core::input::{Access, Choice, Input, Principal};
use quorate_core::people;
use quorate_core::verdict::{Audience, Fault, FaultCode, Outcome, Requirement, Verdict, Way};

/// A policy.
pub(crate) type Native = Box<dyn Fn(&Input) -> Answer>;

/// One member of each of `groups`, all different people; any eligible rejection
/// ends it.
pub(crate) fn require_all(groups: &'static [&'static str]) -> Native {
    quorum(groups, true, 0)
}

/// `amount` different people out of `groups`; any eligible rejection ends it.
pub(crate) fn amount(groups: &'static [&'static str], amount: usize) -> Native {
    quorum(groups, false, amount)
}

/// Both at once.
pub(crate) fn quorum(groups: &'static [&'static str], all: bool, amount: usize) -> Native {
    Box::new(move |input| {
        let eligible = |person: &Principal| groups.iter().any(|group| person.is_in(group));
        let (yes, no): (Vec<_>, Vec<_>) = input
            .votes
            .iter()
            .filter(|vote| eligible(&vote.voter))
            .partition(|vote| vote.choice == Choice::Approve);
        let outcome = if let Some(no) = no.first() {
            Outcome::Deny(format!("{} rejects it", no.voter.id))
        } else {
            let people: Vec<Principal> = yes.iter().map(|vote| vote.voter.clone()).collect();
            let mut way: Way = if all { empty_seats(groups, &people) } else { Vec::new() };
            let more = amount.saturating_sub(people.len() + way.len());
            if more > 0 {
                way.push(need(groups, more));
            }
            if way.is_empty() { Outcome::Approve } else { Outcome::Wait(vec![way]) }
        };
        Answer::Verdict(Verdict { voters: audience(groups), ..Verdict::new(outcome) })
    })
}

/// At most `seconds`; what is longer is refused, or shortened.
pub(crate) fn cap(seconds: u64, refuse: bool) -> Native {
    Box::new(move |input| {
        let asked = match &input.request.access {
            Access::JustInTime { seconds } => *seconds,
            Access::Command { .. } => 0,
        };
        let outcome = if refuse && asked > seconds {
            Outcome::Deny(format!("at most {seconds} seconds are allowed here"))
        } else {
            Outcome::Abstain
        };
        Answer::Verdict(Verdict { max_duration: Some(seconds), ..Verdict::new(outcome) })
    })
}

/// A forced vote of a member of `groups` is enough.
pub(crate) fn force(groups: &'static [&'static str]) -> Native {
    Box::new(move |input| {
        let by = input.votes.iter().find(|vote| vote.forced && groups.iter().any(|g| vote.voter.is_in(g)));
        let outcome = by.map_or(Outcome::Abstain, |vote| {
            Outcome::Bypass(format!("forced by {}: {}", vote.voter.id, vote.comment))
        });
        Answer::Verdict(Verdict { forcers: audience(groups), ..Verdict::new(outcome) })
    })
}

/// Requests of members of `group` pass; `why` says which kind of passing that is.
pub(crate) fn pass(group: &'static str, why: &'static str) -> Native {
    Box::new(move |input| {
        let passes = input.request.requester.is_in(group);
        said(if passes { Outcome::Bypass(why.to_owned()) } else { Outcome::Abstain })
    })
}

/// Never answers.
pub(crate) fn broken(code: FaultCode) -> Native {
    Box::new(move |_| Answer::Fault(Fault { code, message: "it is broken".to_owned() }))
}

fn said(outcome: Outcome) -> Answer {
    Answer::Verdict(Verdict::new(outcome))
}

fn audience(groups: &[&str]) -> Audience {
    Audience { groups: groups.iter().map(ToString::to_string).collect(), users: Vec::new() }
}

fn need(groups: &[&str], approvals: usize) -> Requirement {
    let approvals = u32::try_from(approvals).unwrap();
    Requirement { people: audience(groups), approvals, message: String::new() }
}

/// The groups that nobody is left for when `people` sit as well as they can.
fn empty_seats(groups: &[&str], people: &[Principal]) -> Way {
    let part = |filled: u32, wanted: bool| -> Way {
        let chosen = groups.iter().enumerate().filter(|(i, _)| (filled >> i & 1 == 1) == wanted);
        chosen.map(|(_, group)| need(&[group], 1)).collect()
    };
    let all = 1_u32 << groups.len();
    let best = (0..all).filter(|filled| people::can_be_met(&part(*filled, true), people));
    part(best.max_by_key(|filled| filled.count_ones()).unwrap(), false)
}
