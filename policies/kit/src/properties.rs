//! Properties over a small world: everything that can happen in it is tried, and what
//! must never be is looked for.
//!
//! A world is a YAML file: who is there, what can be asked for, how many vote. Every
//! order of votes up to that many is put to the policy, and the shortest story in which
//! a property does not hold is told. What holds in a small world need not hold in a
//! larger one; the count of states says how far it was looked.
//!
//! | property | holds where |
//! |---|---|
//! | `answers` | the policy always answers |
//! | `monotone` | one more approval never takes an approval away |
//! | `order` | the order of votes makes no difference to outcome, ways and duration |
//! | `people_min` | nobody gets in with fewer people's approvals |
//! | `cap` | access is never longer |
//! | `missing` | what is said to be missing is exactly what makes it approve |
//!
//! Not here: how a component is called; whoever looks brings a [`Policy`].

mod explore;
mod missing;
mod world;

use std::fmt;

use crate::vectors::{BadFile, Policy};
use explore::Explorer;

pub use world::{Opted, World};

/// States of one world: some seconds of looking.
const STATES_MAX: u64 = 2_000_000;

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Property {
    /// It always answers.
    Answers,
    /// One more approval never takes an approval away.
    Monotone,
    /// The order of votes makes no difference.
    Order,
    /// Nobody gets in with fewer people's approvals.
    PeopleMin,
    /// Access is never longer.
    Cap,
    /// What is said to be missing is exactly what makes it approve.
    Missing,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answers => "answers",
            Self::Monotone => "monotone",
            Self::Order => "order",
            Self::PeopleMin => "people_min",
            Self::Cap => "cap",
            Self::Missing => "missing",
        })
    }
}

/// The shortest story found in which a property does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counterexample {
    /// Which property.
    pub property: Property,
    /// What happens, a sentence each; the last says what is wrong.
    pub story: Vec<String>,
    /// How many votes it takes.
    pub votes: usize,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.property)?;
        self.story.iter().try_for_each(|sentence| writeln!(f, "  {sentence}"))
    }
}

/// What was found in one world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// States that were visited: one order of votes at one time each.
    pub states: u64,
    /// What was looked for.
    pub properties: Vec<Property>,
    /// For each property that does not hold, the shortest story.
    pub counterexamples: Vec<Counterexample>,
}

/// Looks at every state of `world`.
///
/// # Errors
/// Where the world does not fit together, or is too large to be looked at.
pub fn look(world: &World, policy: &mut dyn Policy) -> Result<Found, BadFile> {
    let states = world.states()?;
    if states > STATES_MAX {
        return Err(BadFile::new(format!(
            "this world has {states} states, at most {STATES_MAX} are looked at: take fewer people, votes, durations or configs"
        )));
    }
    let mut found = Found { states: 0, properties: world.wanted(), counterexamples: Vec::new() };
    for situation in world.situations()? {
        let mut explorer = Explorer::new(world, situation, policy);
        explorer.run();
        found.states += explorer.states;
        for new in explorer.found {
            match found.counterexamples.iter_mut().find(|old| old.property == new.property) {
                Some(old) if old.votes <= new.votes => {}
                Some(old) => *old = new,
                None => found.counterexamples.push(new),
            }
        }
    }
    found.counterexamples.sort_by_key(|one| one.property);
    Ok(found)
}

#[cfg(test)]
mod tests;
