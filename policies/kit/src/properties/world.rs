//! A small world: who is there, what can be asked for, and how it becomes situations.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Property;
use super::own::{self, Own};
use crate::vectors::story::{plain, refusal};
use crate::vectors::{BadFile, Case, File, Person, Policy, Resource, Span};
use crate::{AccessDuration, Input, Principal};

/// Votes in a row at most.
pub(super) const VOTES_MAX: usize = 6;

/// One world file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// Everybody there is; all of them vote.
    pub people: BTreeMap<String, Person>,
    /// Who asks; everybody where nobody is named.
    #[serde(default)]
    pub requesters: Vec<String>,
    /// What is asked for.
    #[serde(default)]
    pub resource: Resource,
    /// The configs.
    pub configs: Vec<Value>,
    /// How long is asked for.
    #[serde(default)]
    pub durations: Vec<AccessDuration>,
    /// Which commands are asked for.
    #[serde(default)]
    pub commands: Vec<String>,
    /// Facts by name; null: it could not be had.
    #[serde(default)]
    pub facts: BTreeMap<String, Value>,
    /// How many vote, at most.
    #[serde(default = "three")]
    pub votes: usize,
    /// How long after the request the policy is asked; at once where nothing is said.
    #[serde(default)]
    pub times: Vec<Span>,
    /// What must hold.
    #[serde(default)]
    pub properties: Opted,
}

fn three() -> usize {
    3
}

/// Which properties are looked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Opted {
    /// One more approval never takes an approval away.
    pub monotone: bool,
    /// The order of votes makes no difference.
    pub order: bool,
    /// What is said to be missing is exactly what makes it approve.
    pub missing: bool,
    /// Nobody gets in with fewer people's approvals.
    pub people_min: Option<usize>,
    /// Access is never longer.
    pub cap: Option<AccessDuration>,
    /// What else must be true in every state.
    pub own: Vec<Own>,
}

impl Default for Opted {
    fn default() -> Self {
        Self { monotone: true, order: true, missing: true, people_min: None, cap: None, own: Vec::new() }
    }
}

/// One request at one time under one config, before anybody has voted.
pub(super) struct Situation {
    pub(super) config: String,
    pub(super) input: Input,
    pub(super) voters: Vec<Principal>,
}

impl World {
    /// The worlds in `text`: one, or several YAML documents.
    ///
    /// # Errors
    /// As for a vector file.
    pub fn parse(text: &str) -> Result<Vec<Self>, BadFile> {
        let worlds: Vec<Self> = crate::vectors::documents(text)?;
        worlds.iter().try_for_each(|world| own::check(&world.properties.own))?;
        Ok(worlds)
    }

    pub(super) fn wanted(&self) -> Vec<Property> {
        let opted = &self.properties;
        let all = [
            (Property::Answers, true),
            (Property::Monotone, opted.monotone),
            (Property::Order, opted.order),
            (Property::PeopleMin, opted.people_min.is_some()),
            (Property::Cap, opted.cap.is_some()),
            (Property::Missing, opted.missing),
        ];
        let built_in = all.into_iter().filter(|(_, wanted)| *wanted).map(|(property, _)| property);
        built_in.chain(opted.own.iter().map(Own::property)).collect()
    }

    /// How many states there are.
    pub(super) fn states(&self) -> Result<u64, BadFile> {
        if self.votes > VOTES_MAX {
            return Err(BadFile::new(format!(
                "{} votes in a row are too many: at most {VOTES_MAX}",
                self.votes
            )));
        }
        if self.configs.is_empty() {
            return Err(BadFile::new("it has no `configs`"));
        }
        // Orders of up to so many different voters, three choices each.
        let voters = self.people.len().saturating_sub(1) as u64;
        let mut orders = 1_u64;
        let mut of_this_length = 1_u64;
        for nth in 0..self.votes as u64 {
            of_this_length = of_this_length.saturating_mul(voters.saturating_sub(nth)).saturating_mul(3);
            orders = orders.saturating_add(of_this_length);
        }
        let asked = (self.durations.len() + self.commands.len()).max(1);
        let situations = [self.requesters().len(), asked, self.configs.len(), self.times.len().max(1)];
        Ok(situations.into_iter().fold(orders, |states, count| states.saturating_mul(count as u64)))
    }

    /// Whether rules can have all of its configs.
    pub(super) fn takes(&self, policy: &mut dyn Policy) -> Result<(), BadFile> {
        for (nth, config) in self.configs.iter().enumerate() {
            if let Some(finding) = policy.refusals(&config.to_string()).first() {
                return Err(BadFile::new(format!(
                    "no rule can have config {}, {}: {}",
                    nth + 1,
                    plain(&config.to_string()),
                    refusal(finding)
                )));
            }
        }
        Ok(())
    }

    fn requesters(&self) -> Vec<&String> {
        if self.requesters.is_empty() {
            self.people.keys().collect()
        } else {
            self.requesters.iter().collect()
        }
    }

    /// Every request under every config at every time.
    pub(super) fn situations(&self) -> Result<Vec<Situation>, BadFile> {
        let file = File {
            people: self.people.clone(),
            resource: self.resource.clone(),
            config: None,
            cases: Vec::new(),
        };
        let commands = self.commands.iter().map(|text| Case {
            command: Some(crate::vectors::Command { text: text.clone(), arguments: Vec::new() }),
            ..Case::default()
        });
        let durations =
            self.durations.iter().map(|duration| Case { duration: Some(*duration), ..Case::default() });
        let mut asked: Vec<Case> = durations.chain(commands).collect();
        if asked.is_empty() {
            asked.push(Case::default());
        }
        let times = if self.times.is_empty() { vec![Span(0)] } else { self.times.clone() };
        let mut situations = Vec::new();
        for config in &self.configs {
            for case in &asked {
                for requester in self.requesters() {
                    let case = Case {
                        requester: Some(requester.clone()),
                        facts: Some(self.facts.clone()),
                        reason: Some("because".to_owned()),
                        ..case.clone()
                    };
                    for time in &times {
                        let mut input = file.input(&case)?;
                        input.now = input.now.saturating_add(time.milliseconds());
                        let others = self.people.keys().filter(|id| *id != requester);
                        let voters = others.map(|id| file.person(id)).collect::<Result<_, _>>()?;
                        situations.push(Situation { config: config.to_string(), input, voters });
                    }
                }
            }
        }
        Ok(situations)
    }
}
