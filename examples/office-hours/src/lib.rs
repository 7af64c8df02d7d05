//! Office hours: within them nobody is asked, outside of them people are.
//!
//! The time zones of the world are in the component, so a decision that is made again
//! later is made with the same ones.
//!
//! Not here: public holidays. Where they matter, a fact can say whether today is one.

mod hours;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use quorate_kit::{Audience, Finding, Input, Requirement, Verdict, Vote};
use schemars::JsonSchema;
use serde::Deserialize;

pub use hours::{Day, Hours, TimeOfDay};

/// When the office is open, and who decides when it is not.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose clock counts: a name out of the IANA database, such as `Europe/Berlin`.
    #[schemars(length(min = 1))]
    pub time_zone: String,
    /// The days on which hours begin.
    #[serde(default = "weekdays")]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub days: Vec<Day>,
    /// When they begin, as in `09:00`.
    pub from: TimeOfDay,
    /// When they end, as in `17:00` or `24:00`: that minute is outside. Not after `from`:
    /// they end on the next day.
    pub to: TimeOfDay,
    /// Whether access that nobody was asked for ends with the hours.
    #[serde(default = "yes")]
    pub end_with_hours: bool,
    /// Who decides outside of the hours.
    pub otherwise: Otherwise,
}

/// Who decides outside of the hours.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Otherwise {
    /// The groups whose members approve.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub groups: Vec<String>,
    /// How many of them.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    pub approvals: u32,
}

fn weekdays() -> Vec<Day> {
    vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri]
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

impl Config {
    fn zone(&self) -> Option<TimeZone> {
        TimeZoneDatabase::bundled().get(&self.time_zone).ok()
    }
}

/// What this policy says about the request.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    let Otherwise { groups, approvals } = &config.otherwise;
    let people = Audience::groups(groups);
    let eligible = |vote: &&Vote| vote.voter.is_in_any(groups);
    let given = input.approvals().filter(eligible).count();
    let missing = approvals.saturating_sub(u32::try_from(given).unwrap_or(u32::MAX));
    let verdict = if let Some(vote) = input.rejections().find(eligible) {
        Verdict::deny(format!("rejected by {}", vote.voter.id))
    } else if missing == 0 {
        // People said yes: then it does not end with the hours.
        Verdict::approve()
    } else {
        match now(config, input) {
            Hours::Open { until } => open(config, input, until),
            Hours::Closed { until } => {
                let wait = Verdict::wait(vec![vec![Requirement::new(missing, people.clone())]])
                    .finding(Finding::new("outside-hours", outside(config)));
                match instant(until) {
                    Some(opens) => wait.revisit_at(opens),
                    None => wait,
                }
            }
        }
    };
    verdict.voters(people)
}

/// Nobody has to be asked.
fn open(config: &Config, input: &Input, until: Option<Timestamp>) -> Verdict {
    let Some(closes) = instant(until) else { return Verdict::approve() };
    // The answer will be another then, for whatever still waits for other policies.
    let approve = Verdict::approve().revisit_at(closes);
    if config.end_with_hours {
        // A command, too, must be run until then.
        approve.max_duration((closes - input.now) / 1000)
    } else {
        approve
    }
}

/// Where the clock of the config stands.
fn now(config: &Config, input: &Input) -> Hours {
    let now = i64::try_from(input.now).ok().and_then(|now| Timestamp::from_millisecond(now).ok());
    match (config.zone(), now) {
        (Some(zone), Some(now)) => Hours::at(config, &zone, now),
        // `check` refuses such a zone; whoever does not ask it gets people, not a fault.
        _ => Hours::Closed { until: None },
    }
}

fn instant(at: Option<Timestamp>) -> Option<quorate_kit::Instant> {
    at.and_then(|at| u64::try_from(at.as_millisecond()).ok())
}

fn outside(config: &Config) -> String {
    let Config { from, to, time_zone, .. } = config;
    let days: Vec<&str> = config.days.iter().map(|day| day.name()).collect();
    format!("outside of office hours: {} from {from} to {to}, {time_zone}", days.join(", "))
}

/// What the schema cannot say.
pub fn check(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    if config.zone().is_none() {
        let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let given: String = config.time_zone.chars().take(40).map(plain).collect();
        let message =
            format!("`{given}` is no time zone: a name such as Europe/Berlin, America/New_York or UTC");
        found.push(Finding::new("unknown-time-zone", message).at("/time_zone"));
    }
    if config.from == TimeOfDay::MIDNIGHT_AFTER {
        found.push(Finding::new("no-hours", "no day begins at 24:00: write 00:00 of the next").at("/from"));
    } else if config.from == config.to {
        let message = "the hours end when they begin: for a whole day write 00:00 and 24:00";
        found.push(Finding::new("no-hours", message).at("/to"));
    }
    if config.days.is_empty() {
        found.push(Finding::new("no-hours", "there is no day on which hours begin").at("/days"));
    }
    if config.otherwise.groups.is_empty() || config.otherwise.approvals == 0 {
        found.push(
            Finding::new("nobody-decides", "outside of the hours nobody could approve").at("/otherwise"),
        );
    }
    found
}

quorate_kit::policy! {
    config: Config,
    evaluate: evaluate,
    check: check,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_vectors_pass() {
        quorate_kit::vectors::passes(
            include_str!("../vectors/office-hours.yaml"),
            super::evaluate,
            super::check,
        );
    }
}
