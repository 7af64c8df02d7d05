//! What no policy can override, shown with policies that answer at random, people
//! who do anything, and a clock that jumps.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may say what it takes for granted")]

mod life;
mod plan;

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use quorate_core::decision::{Answer, Decision, KNOWN_OBLIGATIONS, RuleOpinion};
use quorate_core::entry::{Entry, Happened, View, fold};
use quorate_core::ids::UserId;
use quorate_core::input::{Choice, Evidence, Vote};
use quorate_core::notice::Notice;
use quorate_core::request::{Access, REVISIT_SECONDS_MIN, Reminder, Request, State};
use quorate_core::verdict::{Obligation, Outcome, Verdict};

use life::{live, person, prod};
use plan::{PEOPLE, What, at, plan};

fn config() -> ProptestConfig {
    ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_requesters_own_vote_never_counts_and_nobody_counts_twice(plan in plan()) {
        let life = live(&plan);
        for moment in &life.moments {
            if let Some(vote) = &moment.vote {
                let twice = moment.before.with_vote(vote.clone()).with_vote(vote.clone());
                let requester = person(0);
                let input = twice.input(requester, prod().target(), Evidence::default(), moment.now);
                prop_assert!(all_others_and_once(&input.votes, &twice));
            }
            prop_assert!(all_others_and_once(&moment.after.votes, &moment.after));
            if let State::Approved { approval, .. } = &moment.after.state {
                let distinct: HashSet<&UserId> = approval.approvers.iter().collect();
                prop_assert_eq!(distinct.len(), approval.approvers.len());
                prop_assert!(!distinct.contains(&moment.after.asked.requester));
                prop_assert_ne!(approval.forced_by.as_ref(), Some(&moment.after.asked.requester));
            }
        }
    }

    #[test]
    fn only_those_whom_a_policy_names_are_counted(plan in plan()) {
        for moment in &live(&plan).moments {
            let (Some(vote), Ok(_)) = (&moment.vote, &moment.step) else { continue };
            let named = verdicts(&moment.opinions).any(|verdict| {
                if vote.forced { verdict.forcers.includes(&vote.voter) } else { verdict.voters.includes(&vote.voter) }
            });
            prop_assert!(named);
        }
    }

    #[test]
    fn a_grant_is_as_short_as_anybody_wants_and_its_end_never_moves(plan in plan()) {
        let mut fixed = None;
        for moment in &live(&plan).moments {
            let State::Approved { grant, .. } = &moment.after.state else { continue };
            if fixed.is_none() {
                let asked = match &moment.after.asked.access {
                    Access::JustInTime { duration } => duration.seconds(),
                    Access::Command { .. } => plan.command_window,
                };
                let caps = verdicts(&moment.opinions).filter_map(|verdict| verdict.max_duration);
                let limits = caps.chain(plan.resource_max).chain([asked, plan.ceiling]);
                prop_assert_eq!(Some(grant.until.as_second() - grant.from.as_second()), limits.min().map(signed));
                prop_assert_eq!(grant.from, moment.now);
                fixed = Some(*grant);
            }
            prop_assert_eq!(Some(*grant), fixed);
        }
    }

    #[test]
    fn nothing_changes_after_the_end(plan in plan()) {
        for moment in &live(&plan).moments {
            if moment.before.ended_at().is_some() {
                prop_assert!(moment.step.is_err());
                prop_assert!(moment.before.settle(moment.now).is_none());
                prop_assert!(same_but_for_revision(&moment.before, &moment.after));
            }
        }
    }

    #[test]
    fn an_entry_that_does_not_follow_is_not_taken(plan in plan()) {
        let life = live(&plan);
        let last = life.last();
        for entry in &life.entries {
            let late = Entry { revision: last.revision + 1, ..entry.clone() };
            let view = Some(View::Request(Box::new(last.clone())));
            let taken = fold(view, last.revision, &late).is_ok();
            let open = match &last.state {
                State::Pending => true,
                State::Approved { .. } => matches!(entry.happened, Happened::CommandStarted { .. }),
                _ => false,
            };
            let harmless = matches!(entry.happened, Happened::VoteRefused { .. });
            prop_assert!(!taken || open || harmless, "{:?} after {}", entry.happened, last.state.name());
        }
    }

    #[test]
    fn nothing_is_approved_after_a_rejection(plan in plan()) {
        let mut rejected = false;
        for entry in &live(&plan).entries {
            let approved = matches!(entry.happened, Happened::RequestApproved { .. });
            prop_assert!(!(rejected && approved));
            rejected |= match &entry.happened {
                Happened::RequestRejected { .. } => true,
                Happened::VoteCast { vote } => vote.choice == Choice::Reject,
                _ => false,
            };
        }
    }

    #[test]
    fn a_denial_ends_it_whatever_the_others_say(plan in plan()) {
        for moment in &live(&plan).moments {
            let denied = verdicts(&moment.opinions)
                .any(|verdict| matches!(verdict.outcome, Outcome::Deny(_)));
            if denied && moment.step.is_ok() {
                prop_assert_eq!(moment.after.state.name(), "REJECTED");
            }
        }
    }

    #[test]
    fn a_fault_is_never_an_approval(plan in plan()) {
        for moment in &live(&plan).moments {
            let approves = moment.happened().any(|one| matches!(one, Happened::RequestApproved { .. }));
            prop_assert!(!(approves && any_fault(&moment.opinions)));
        }
    }

    #[test]
    fn a_notice_is_told_once_while_it_waits_and_decides_nothing(plan in plan()) {
        let life = live(&plan);
        for moment in &life.moments {
            let told = moment.happened().filter(|one| matches!(one, Happened::RequestReminded { .. })).count();
            prop_assert!(told == 0 || moment.before.state.name() == "PENDING");
            let ends = matches!(moment.after.state.name(), "PENDING" | "APPROVED");
            prop_assert!(told == 0 || ends, "{} after {told} notices", moment.after.state.name());
            let without: Vec<RuleOpinion> = moment.opinions.iter().map(unobliged).collect();
            if !any_fault(&moment.opinions) {
                let (said, bare) = (Decision::combine(&moment.opinions), Decision::combine(&without));
                prop_assert_eq!(said.outcome, bare.outcome);
            }
        }
        let reminders = &life.last().reminders;
        let twice = |(nth, one): (usize, &Reminder)| {
            reminders.iter().skip(nth + 1).any(|other| other.notice.is_same(&one.notice))
        };
        prop_assert!(!reminders.iter().enumerate().any(twice));
        let entries = life.entries.iter().filter(|one| matches!(one.happened, Happened::RequestReminded { .. }));
        prop_assert_eq!(entries.count(), reminders.len());
    }

    #[test]
    fn an_approved_command_runs_once_and_as_approved(plan in plan()) {
        let mut runs = 0;
        for moment in &live(&plan).moments {
            if moment.happened().any(|one| matches!(one, Happened::CommandStarted { .. })) {
                runs += 1;
                let right = matches!(moment.what, What::Run { who: 0, right: true });
                prop_assert!(right, "{:?} was run", moment.what);
                prop_assert_eq!(moment.before.state.name(), "APPROVED");
                prop_assert!(moment.now < moment.before.deadline().unwrap());
            }
        }
        prop_assert!(runs <= 1);
    }

    #[test]
    fn a_permit_is_had_by_the_requester_while_the_grant_lasts_and_never_else(plan in plan()) {
        for moment in &live(&plan).moments {
            let request = &moment.after;
            let window = match (&request.state, &request.asked.access) {
                (State::Approved { grant, .. }, Access::JustInTime { .. }) => Some(*grant),
                _ => None,
            };
            let end = window.map_or(moment.now, |grant| grant.until);
            let instant = nanosecond();
            for when in [moment.now, at(-9999), end - instant, end, end + instant, at(99_999)] {
                for who in 0..PEOPLE.len() {
                    let permit = request.permit(&person(who).id, when);
                    let may = who == 0 && window.is_some_and(|grant| when < grant.until);
                    prop_assert_eq!(permit.is_ok(), may);
                    if let Ok(permit) = permit {
                        prop_assert_eq!(Some(permit.until()), window.map(|grant| grant.until));
                    }
                }
            }
        }
    }

    #[test]
    fn the_entries_folded_are_the_request_also_when_read_back(plan in plan()) {
        let life = live(&plan);
        prop_assert_eq!(&folded(&life.entries), life.last());
        let read: Vec<Entry> = life.entries.iter().map(read_back).collect();
        prop_assert_eq!(&read, &life.entries);
        prop_assert_eq!(&folded(&read), life.last());
        for moment in &life.moments {
            prop_assert_eq!(&read_back(&moment.after), &moment.after);
            let decision = Decision::combine(&moment.opinions);
            prop_assert_eq!(&read_back(&decision), &decision);
            prop_assert_eq!(&read_back(&moment.opinions), &moment.opinions);
        }
    }

    #[test]
    fn at_its_deadline_there_is_something_to_do_and_not_before(plan in plan()) {
        for moment in &live(&plan).moments {
            let request = &moment.after;
            prop_assert_eq!(request.deadline().is_none(), request.ended_at().is_some());
            let Some(deadline) = request.deadline() else { continue };
            prop_assert!(request.settle(deadline - nanosecond()).is_none());
            if let Some(step) = request.settle(deadline) {
                let settled = Request::after(Some(request), &step).unwrap();
                let over = matches!(settled.state, State::TimedOut { .. } | State::Expired { .. });
                prop_assert!(over, "{}", settled.state.name());
                prop_assert_eq!(settled.ended_at(), Some(deadline));
                continue;
            }
            let revisit = request.decision.as_ref().and_then(|decision| decision.revisit_at);
            prop_assert_eq!(request.state.name(), "PENDING");
            prop_assert_eq!(revisit, Some(deadline));
            if moment.happened().any(|one| matches!(one, Happened::RequestDecided { .. })) {
                prop_assert!(deadline.as_second() >= moment.now.as_second() + REVISIT_SECONDS_MIN);
            }
        }
    }
}

/// The properties above say nothing where lives are dull.
#[test]
fn random_lives_reach_every_state() {
    let mut runner = TestRunner::deterministic();
    let mut states = std::collections::BTreeMap::new();
    let mut faults = 0;
    let mut rejections = 0;
    let mut approved = 0;
    let mut reminders = 0;
    for _ in 0..800 {
        let life = live(&plan().new_tree(&mut runner).unwrap().current());
        *states.entry(life.last().state.name()).or_insert(0) += 1;
        let grants = |entry: &Entry| matches!(entry.happened, Happened::RequestApproved { .. });
        approved += usize::from(life.entries.iter().any(grants));
        reminders += life.last().reminders.len();
        faults += life.moments.iter().filter(|moment| any_fault(&moment.opinions)).count();
        rejections += life.last().votes.iter().filter(|vote| vote.choice == Choice::Reject).count();
    }
    assert_eq!(states.len(), 8, "{states:?}");
    assert!(states.values().all(|count| *count >= 8), "{states:?}");
    assert!(approved > 250, "{approved} were approved");
    assert!(reminders > 100, "{reminders} were told");
    assert!(faults > 100 && rejections > 50, "{faults} faults, {rejections} rejections");
}

fn all_others_and_once(votes: &[Vote], request: &Request) -> bool {
    let distinct: HashSet<&UserId> = votes.iter().map(|vote| &vote.voter.id).collect();
    distinct.len() == votes.len() && !distinct.contains(&request.asked.requester)
}

fn verdicts(opinions: &[RuleOpinion]) -> impl Iterator<Item = &Verdict> {
    opinions.iter().flat_map(|rule| &rule.opinions).filter_map(|opinion| match &opinion.answer {
        Answer::Verdict(verdict) => Some(verdict),
        Answer::Fault(_) => None,
    })
}

fn any_fault(opinions: &[RuleOpinion]) -> bool {
    let (rule, policy) = ("r".parse().unwrap(), "p".parse().unwrap());
    let unmet = |one: &Obligation| {
        !KNOWN_OBLIGATIONS.contains(&one.kind.as_str()) || Notice::read(&rule, &policy, &one.params).is_err()
    };
    opinions.iter().flat_map(|rule| &rule.opinions).any(|opinion| match &opinion.answer {
        Answer::Fault(_) => true,
        Answer::Verdict(verdict) => verdict.obligations.iter().any(|one| one.critical && unmet(one)),
    })
}

/// The same without what is to be done.
fn unobliged(rule: &RuleOpinion) -> RuleOpinion {
    let mut rule = rule.clone();
    for opinion in &mut rule.opinions {
        if let Answer::Verdict(verdict) = &mut opinion.answer {
            verdict.obligations.clear();
        }
    }
    rule
}

fn same_but_for_revision(one: &Request, other: &Request) -> bool {
    let mut one = one.clone();
    one.revision = other.revision;
    one == *other
}

fn folded(entries: &[Entry]) -> Request {
    let mut view = None;
    for (before, entry) in (0..).zip(entries) {
        view = fold(view, before, entry).unwrap();
    }
    match view {
        Some(View::Request(request)) => *request,
        other => panic!("{other:?} is not a request"),
    }
}

fn read_back<T: serde::Serialize + serde::de::DeserializeOwned>(thing: &T) -> T {
    let text = serde_json::to_string(thing).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap()
}

fn nanosecond() -> std::time::Duration {
    std::time::Duration::from_nanos(1)
}
