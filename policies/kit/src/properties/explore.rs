//! Every order of votes in one situation, the short ones first.

use std::collections::HashMap;

use super::world::{Situation, World};
use super::{Counterexample, Property, missing};
use crate::vectors::{Policy, Said, story};
use crate::{Choice, Input, Outcome, Principal, Verdict, Way};

/// How somebody votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Voice {
    Approve,
    Reject,
    Force,
}

const VOICES: [Voice; 3] = [Voice::Approve, Voice::Reject, Voice::Force];

/// One vote: which of the voters, and how.
type Ballot = (usize, Voice);

/// What the policy said in a state, as far as properties look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Heard {
    said: Said,
    ways: Vec<Way>,
    max_duration: Option<u64>,
}

impl Heard {
    fn of(answer: &Result<Verdict, String>) -> Self {
        let mut ways = match answer.as_ref().map(|verdict| &verdict.outcome) {
            Ok(Outcome::Wait(ways)) => ways.clone(),
            _ => Vec::new(),
        };
        for way in &mut ways {
            way.sort_by(|one, other| {
                let key = |of: &crate::Requirement| {
                    (of.people.groups.clone(), of.people.users.clone(), of.approvals)
                };
                key(one).cmp(&key(other))
            });
        }
        ways.sort_by_key(|way| format!("{way:?}"));
        let max_duration = answer.as_ref().ok().and_then(|verdict| verdict.max_duration);
        Self { said: Said::of(answer), ways, max_duration }
    }

    /// Whether the request gets in, as far as this policy goes.
    fn lets_in(&self) -> bool {
        matches!(self.said, Said::Approve | Said::Bypass)
    }
}

/// Looks at one situation.
pub(super) struct Explorer<'a> {
    world: &'a World,
    situation: Situation,
    policy: &'a mut dyn Policy,
    /// What was said after each order of votes.
    seen: HashMap<Vec<Ballot>, Heard>,
    /// The first order seen of each set of votes.
    first: HashMap<Vec<Ballot>, Vec<Ballot>>,
    pub(super) states: u64,
    pub(super) found: Vec<Counterexample>,
}

impl<'a> Explorer<'a> {
    pub(super) fn new(world: &'a World, situation: Situation, policy: &'a mut dyn Policy) -> Self {
        let (seen, first) = (HashMap::new(), HashMap::new());
        Self { world, situation, policy, seen, first, states: 0, found: Vec::new() }
    }

    pub(super) fn run(&mut self) {
        let mut layer: Vec<Vec<Ballot>> = vec![Vec::new()];
        for length in 0..=self.world.votes {
            let mut next = Vec::new();
            for votes in layer {
                self.visit(&votes);
                if length < self.world.votes {
                    next.extend(self.longer(&votes));
                }
            }
            layer = next;
        }
    }

    fn longer(&self, votes: &[Ballot]) -> Vec<Vec<Ballot>> {
        let fresh =
            (0..self.situation.voters.len()).filter(|nth| votes.iter().all(|(voted, _)| voted != nth));
        fresh.flat_map(|nth| VOICES.map(|voice| [votes, &[(nth, voice)]].concat())).collect()
    }

    fn visit(&mut self, votes: &[Ballot]) {
        let input = self.input(votes);
        let answer = self.policy.evaluate(&self.situation.config, &input);
        self.states += 1;
        let said = Heard::of(&answer);
        if let Err(fault) = &answer {
            self.report(Property::Answers, votes, &format!("the policy does not answer: {fault}"));
        }
        self.look_at_people(votes, &input, &said);
        self.look_at_order(votes, &said);
        self.look_at_parents(votes, &said);
        self.seen.insert(votes.to_vec(), said);
    }

    /// How many approved, and for how long it lets in.
    fn look_at_people(&mut self, votes: &[Ballot], input: &Input, said: &Heard) {
        if !said.lets_in() {
            return;
        }
        let approved = votes.iter().filter(|(_, voice)| *voice != Voice::Reject).count();
        if let Some(min) = self.world.properties.people_min.filter(|min| approved < *min) {
            let outcome = said.said;
            self.report(
                Property::PeopleMin,
                votes,
                &format!("the policy says {outcome}, with {approved} of at least {min} people"),
            );
        }
        let crate::Access::JustInTime(asked) = input.request.access else { return };
        let allowed = said.max_duration.map_or(asked, |most| most.min(asked));
        if let Some(cap) = self.world.properties.cap.filter(|cap| allowed > cap.seconds()) {
            let allowed = crate::AccessDuration::from_seconds(allowed);
            self.report(Property::Cap, votes, &format!("the policy allows {allowed}, more than {cap}"));
        }
    }

    /// The same votes in another order.
    fn look_at_order(&mut self, votes: &[Ballot], said: &Heard) {
        if !self.world.properties.order {
            return;
        }
        let mut set = votes.to_vec();
        set.sort_unstable();
        match self.first.get(&set) {
            None => drop(self.first.insert(set, votes.to_vec())),
            Some(first) if self.seen.get(first).is_some_and(|before| before != said) => {
                let before = self.seen.get(first).map(in_short).unwrap_or_default();
                let order: Vec<&str> =
                    first.iter().map(|(nth, _)| self.situation.voters[*nth].id.as_str()).collect();
                let text = format!(
                    "the policy says {}; but {before} in the order {}",
                    in_short(said),
                    order.join(", ")
                );
                self.report(Property::Order, votes, &text);
            }
            Some(_) => {}
        }
    }

    /// The states that this one follows by plain approvals.
    fn look_at_parents(&mut self, votes: &[Ballot], said: &Heard) {
        let mut added: Vec<usize> = Vec::new();
        for at in (0..votes.len()).rev() {
            let (nth, voice) = votes[at];
            if voice != Voice::Approve {
                return;
            }
            added.push(nth);
            let Some(before) = self.seen.get(&votes[..at]) else { return };
            if self.world.properties.monotone && added.len() == 1 && before.lets_in() && !said.lets_in() {
                let text = format!(
                    "the policy says {}; it said {} before the last approval",
                    in_short(said),
                    before.said
                );
                self.report(Property::Monotone, votes, &text);
                return;
            }
            if !self.world.properties.missing || before.said != Said::Wait || said.said == Said::Fault {
                continue;
            }
            let people: Vec<&Principal> = added.iter().map(|nth| &self.situation.voters[*nth]).collect();
            let met = missing::meet_any(&people, &before.ways);
            if met == said.lets_in() {
                continue;
            }
            let names: Vec<&str> = people.iter().rev().map(|person| person.id.as_str()).collect();
            let (names, wanted, now) = (names.join(", "), in_short(before), in_short(said));
            let text = if met {
                format!("the policy says {now}; before {names} approved it said {wanted}, which they meet")
            } else {
                format!(
                    "the policy says {now}; before {names} approved it said {wanted}, which they do not meet"
                )
            };
            self.report(Property::Missing, votes, &text);
        }
    }

    fn input(&self, votes: &[Ballot]) -> Input {
        let mut input = self.situation.input.clone();
        let asked = input.request.submitted_at;
        for (nth, voice) in votes {
            let choice = if *voice == Voice::Reject { Choice::Reject } else { Choice::Approve };
            input.votes.push(crate::Vote {
                voter: self.situation.voters[*nth].clone(),
                choice,
                forced: *voice == Voice::Force,
                comment: "because".to_owned(),
                cast_at: asked,
                attributes: Vec::new(),
            });
        }
        input
    }

    /// Keeps the first story for each property: the orders come shortest first.
    fn report(&mut self, property: Property, votes: &[Ballot], wrong: &str) {
        if self.found.iter().any(|one| one.property == property) {
            return;
        }
        let input = self.input(votes);
        let mut sentences = story::of(&self.situation.config, &input);
        sentences.push(story::plain(wrong));
        self.found.push(Counterexample { property, story: sentences, votes: votes.len() });
    }
}

fn in_short(said: &Heard) -> String {
    match said.said {
        Said::Wait => format!("wait: {}", story::ways(&said.ways)),
        other => other.to_string(),
    }
}
