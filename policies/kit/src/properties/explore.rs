//! Every order of votes in one situation, the short ones first.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::ballots::{Ballot, Ballots, VOICES_COUNT, Voice, voice, voter};
use super::heard::Heard;
use super::own::Judge;
use super::world::{Situation, World};
use super::{Counterexample, Property, missing};
use crate::vectors::{Policy, Said, story};
use crate::{Principal, Verdict};

/// One order of votes: that of an earlier state, and one more.
struct State {
    before: usize,
    last: Ballot,
    /// What was said; equal answers are kept once.
    heard: Rc<Heard>,
}

/// Looks at one situation.
pub(super) struct Explorer<'a> {
    world: &'a World,
    config: String,
    voters: Vec<Principal>,
    ballots: Ballots,
    policy: &'a mut dyn Policy,
    judge: &'a mut dyn Judge,
    /// All that were visited; the first is that before anybody votes.
    states: Vec<State>,
    answers: HashSet<Rc<Heard>>,
    /// The first state seen of each set of votes.
    first: HashMap<u128, usize>,
    pub(super) found: Vec<Counterexample>,
}

impl<'a> Explorer<'a> {
    pub(super) fn new(
        world: &'a World,
        situation: Situation,
        policy: &'a mut dyn Policy,
        judge: &'a mut dyn Judge,
    ) -> Self {
        let Situation { config, input, voters } = situation;
        judge.begin(&config, &input);
        Self {
            world,
            config,
            ballots: Ballots::new(input, &voters),
            voters,
            policy,
            judge,
            states: Vec::new(),
            answers: HashSet::new(),
            first: HashMap::new(),
            found: Vec::new(),
        }
    }

    /// Looks at every state; says how many there are.
    pub(super) fn run(&mut self) -> u64 {
        let every_ballot =
            0..Ballot::try_from(self.voters.len()).unwrap_or(Ballot::MAX / VOICES_COUNT) * VOICES_COUNT;
        let mut votes = Vec::with_capacity(self.world.votes);
        self.visit(0, &votes);
        let mut layer = 0..1;
        for _ in 0..self.world.votes {
            let next = self.states.len();
            for before in layer {
                self.votes_of(before, &mut votes);
                for ballot in every_ballot.clone() {
                    if votes.iter().all(|cast| voter(*cast) != voter(ballot)) {
                        votes.push(ballot);
                        self.visit(before, &votes);
                        votes.pop();
                    }
                }
            }
            layer = next..self.states.len();
        }
        self.states.len() as u64
    }

    /// The votes of a state, in their order.
    fn votes_of(&self, mut state: usize, votes: &mut Vec<Ballot>) {
        votes.clear();
        while state > 0 {
            votes.push(self.states[state].last);
            state = self.states[state].before;
        }
        votes.reverse();
    }

    fn visit(&mut self, before: usize, votes: &[Ballot]) {
        let input = self.ballots.with(votes);
        let answer = self.policy.evaluate(&self.config, input);
        match &answer {
            Ok(verdict) => self.look_at_own(votes, verdict),
            Err(fault) => {
                self.report(&Property::Answers, votes, &format!("the policy does not answer: {fault}"));
            }
        }
        let heard = self.kept(Heard::of(answer));
        self.look_at_people(votes, &heard);
        self.look_at_order(votes, &heard);
        self.look_at_earlier(before, votes, &heard);
        self.states.push(State { before, last: votes.last().copied().unwrap_or_default(), heard });
    }

    fn kept(&mut self, heard: Heard) -> Rc<Heard> {
        if let Some(kept) = self.answers.get(&heard) {
            return Rc::clone(kept);
        }
        let heard = Rc::new(heard);
        self.answers.insert(Rc::clone(&heard));
        heard
    }

    /// The properties that the world brings along.
    fn look_at_own(&mut self, votes: &[Ballot], verdict: &Verdict) {
        let world = self.world;
        for (nth, own) in world.properties.own.iter().enumerate() {
            if self.found.iter().any(|one| one.property == own.property()) {
                continue;
            }
            let wrong = match self.judge.holds(nth, self.ballots.with(votes), verdict) {
                Ok(true) => continue,
                Ok(false) => "is false".to_owned(),
                Err(why) => why,
            };
            let said = story::in_words(&Ok(verdict.clone()));
            self.report(
                &own.property(),
                votes,
                &format!("the policy says {said}, and `{}` {wrong}", own.holds),
            );
        }
    }

    /// How many approved, and for how long it lets in.
    fn look_at_people(&mut self, votes: &[Ballot], heard: &Heard) {
        if !heard.lets_in() {
            return;
        }
        let approved = votes.iter().filter(|ballot| !matches!(voice(**ballot), Voice::Reject)).count();
        if let Some(min) = self.world.properties.people_min.filter(|min| approved < *min) {
            let outcome = heard.said;
            let wrong = format!("the policy says {outcome}, with {approved} of at least {min} people");
            self.report(&Property::PeopleMin, votes, &wrong);
        }
        let Some(cap) = self.world.properties.cap else { return };
        let crate::Access::JustInTime(asked) = self.ballots.with(votes).request.access else { return };
        let allowed = heard.max_duration.map_or(asked, |most| most.min(asked));
        if allowed > cap.seconds() {
            let allowed = crate::AccessDuration::from_seconds(allowed);
            self.report(&Property::Cap, votes, &format!("the policy allows {allowed}, more than {cap}"));
        }
    }

    /// The same votes in another order.
    fn look_at_order(&mut self, votes: &[Ballot], heard: &Rc<Heard>) {
        if !self.world.properties.order {
            return;
        }
        let this = self.states.len();
        let first = *self.first.entry(set_of(votes)).or_insert(this);
        let Some(before) = self.states.get(first).map(|state| Rc::clone(&state.heard)) else { return };
        if Rc::ptr_eq(&before, heard) {
            return;
        }
        let mut order = Vec::new();
        self.votes_of(first, &mut order);
        let order: Vec<&str> = order.iter().map(|ballot| self.voters[voter(*ballot)].id.as_str()).collect();
        let wrong = format!(
            "the policy says {}; but {} in the order {}",
            heard.in_short(),
            before.in_short(),
            order.join(", ")
        );
        self.report(&Property::Order, votes, &wrong);
    }

    /// The states that this one follows by plain approvals.
    fn look_at_earlier(&mut self, mut before: usize, votes: &[Ballot], heard: &Heard) {
        for at in (0..votes.len()).rev() {
            if !matches!(voice(votes[at]), Voice::Approve) {
                return;
            }
            let Some(State { before: earlier, heard: then, .. }) = self.states.get(before) else { return };
            let (earlier, then) = (*earlier, Rc::clone(then));
            let is_last = at + 1 == votes.len();
            if self.world.properties.monotone && is_last && then.lets_in() && !heard.lets_in() {
                let wrong = format!(
                    "the policy says {}; it said {} before the last approval",
                    heard.in_short(),
                    then.said
                );
                self.report(&Property::Monotone, votes, &wrong);
                return;
            }
            if self.world.properties.missing && then.said == Said::Wait && heard.said != Said::Fault {
                self.look_at_missing(votes, at, &then, heard);
            }
            before = earlier;
        }
    }

    /// Whether the approvals from `from` on are what the policy said was missing.
    fn look_at_missing(&mut self, votes: &[Ballot], from: usize, then: &Heard, heard: &Heard) {
        let people: Vec<&Principal> =
            votes[from..].iter().map(|ballot| &self.voters[voter(*ballot)]).collect();
        let met = missing::meet_any(&people, &then.ways);
        if met == heard.lets_in() {
            return;
        }
        let names: Vec<&str> = people.iter().map(|person| person.id.as_str()).collect();
        let (names, wanted, now) = (names.join(", "), then.in_short(), heard.in_short());
        let which = if met { "which they meet" } else { "which they do not meet" };
        let wrong = format!("the policy says {now}; before {names} approved it said {wanted}, {which}");
        self.report(&Property::Missing, votes, &wrong);
    }

    /// Keeps the first story for each property: the orders come shortest first.
    fn report(&mut self, property: &Property, votes: &[Ballot], wrong: &str) {
        if self.found.iter().any(|one| one.property == *property) {
            return;
        }
        let mut story = story::of_world(&self.config, self.ballots.with(votes));
        story.push(story::plain(wrong));
        self.found.push(Counterexample { property: property.clone(), story, votes: votes.len() });
    }
}

/// One number for the same votes in any order: at most 6 ballots, of 21 bits each.
fn set_of(votes: &[Ballot]) -> u128 {
    let mut sorted = [0; super::world::VOTES_MAX];
    for (place, ballot) in sorted.iter_mut().zip(votes) {
        // 0 is nobody's vote.
        *place = ballot + 1;
    }
    sorted.sort_unstable();
    sorted.iter().fold(0, |set, ballot| (set << 21) | u128::from(*ballot))
}
