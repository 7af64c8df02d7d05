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
//! | its own | an expression is true |
//!
//! Not here: how a component is called, and what an expression means; whoever looks brings a
//! [`Policy`] and a [`Judge`].

mod ballots;
mod explore;
mod heard;
mod missing;
mod own;
mod world;

use std::fmt;

use crate::vectors::story::plain;
use crate::vectors::{BadFile, Policy};
use explore::Explorer;

pub use own::{Judge, Own};
pub use world::{Opted, World};

/// States of one world: some seconds of looking.
const STATES_MAX: u64 = 2_000_000;

/// What must hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// What the world says, by its name.
    Own(String),
}

impl Property {
    /// Those that need no expression.
    const BUILT_IN: [Self; 6] =
        [Self::Answers, Self::Monotone, Self::Order, Self::PeopleMin, Self::Cap, Self::Missing];
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
            Self::Own(name) => return f.write_str(&plain(name)),
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
/// As [`look_with`], and where it has properties of its own, which need a judge.
pub fn look(world: &World, policy: &mut dyn Policy) -> Result<Found, BadFile> {
    if let Some(Own { name, .. }) = world.properties.own.first() {
        return Err(BadFile::new(plain(&format!(
            "`{name}` is an expression, which `quorate policy check` can tell and this cannot"
        ))));
    }
    look_with(world, policy, &mut own::Nobody)
}

/// Looks at every state of `world`, whose own properties `judge` knows.
///
/// # Errors
/// Where the world does not fit together, is too large to be looked at, or has a config that
/// no rule can have.
pub fn look_with(world: &World, policy: &mut dyn Policy, judge: &mut dyn Judge) -> Result<Found, BadFile> {
    let states = world.states()?;
    if states > STATES_MAX {
        return Err(BadFile::new(format!(
            "this world has {states} states, at most {STATES_MAX} are looked at: take fewer people, votes, durations or configs"
        )));
    }
    world.takes(policy)?;
    let mut found = Found { states: 0, properties: world.wanted(), counterexamples: Vec::new() };
    for situation in world.situations()? {
        let mut explorer = Explorer::new(world, situation, policy, judge);
        found.states += explorer.run();
        for new in explorer.found {
            match found.counterexamples.iter_mut().find(|old| old.property == new.property) {
                Some(old) if old.votes <= new.votes => {}
                Some(old) => *old = new,
                None => found.counterexamples.push(new),
            }
        }
    }
    found.counterexamples.sort_by_key(|one| found.properties.iter().position(|known| *known == one.property));
    Ok(found)
}

#[cfg(test)]
mod tests;
