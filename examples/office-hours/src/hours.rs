//! When hours begin and end on the clocks of a time zone.
//!
//! They begin when the clock first shows `from` or more, and end when it first shows `to`
//! or more. That settles the nights on which clocks are set: a time that is skipped is
//! the moment of the jump, and of a time that comes twice the first one counts.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::Config;

/// Further than this nobody looks ahead: hours on one day a week that a jump of the
/// clock swallows are back within two weeks.
const DAYS_AHEAD: usize = 16;

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// As in a config.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }

    fn of(date: Date) -> Self {
        match date.weekday() {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

/// Minutes since midnight; `24:00` is the midnight at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(i16);

impl TimeOfDay {
    /// `24:00`.
    pub const MIDNIGHT_AFTER: Self = Self(24 * 60);

    fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let number = |text: &str| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<i16>().ok()).flatten()
        };
        let (hour, minute) = (number(hour)?, number(minute)?);
        let at = Self(hour * 60 + minute);
        (minute < 60 && at <= Self::MIDNIGHT_AFTER).then_some(at)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom("a time of the day is written as in 09:00, from 00:00 to 24:00")
        })
    }
}

impl JsonSchema for TimeOfDay {
    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }

    fn inline_schema() -> bool {
        // Each field says in its own words what its time is.
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
            "examples": ["09:00", "17:30"],
        })
    }
}

/// Whether it is within the hours, and until when; none: for ever, or further than is
/// looked ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "said above")]
pub enum Hours {
    Open { until: Option<Timestamp> },
    Closed { until: Option<Timestamp> },
}

impl Hours {
    /// At `now`, on the clocks of `zone`.
    pub fn at(config: &Config, zone: &TimeZone, now: Timestamp) -> Self {
        // Yesterday's may go on over midnight.
        let Ok(yesterday) = zone.to_datetime(now).date().yesterday() else {
            return Self::Closed { until: None };
        };
        let dates = std::iter::successors(Some(yesterday), |date| date.tomorrow().ok()).take(DAYS_AHEAD);
        let windows = dates.filter_map(|date| window(config, zone, date));
        let mut coming = windows.skip_while(|(_, end)| *end <= now);
        match coming.next() {
            None => Self::Closed { until: None },
            Some((start, _)) if start > now => Self::Closed { until: Some(start) },
            Some((_, mut until)) => {
                // Those that begin where these end go on with them, as in 00:00 to 24:00.
                for (start, end) in coming {
                    if start > until {
                        return Self::Open { until: Some(until) };
                    }
                    until = end;
                }
                let days_all = until.duration_since(now).as_hours() > 24 * 13;
                Self::Open { until: (!days_all).then_some(until) }
            }
        }
    }
}

/// The hours that begin on `date`.
fn window(config: &Config, zone: &TimeZone, date: Date) -> Option<(Timestamp, Timestamp)> {
    if !config.days.contains(&Day::of(date)) {
        return None;
    }
    let last = if config.to >= config.from { date } else { date.tomorrow().ok()? };
    let start = first_shown(zone, on(date, config.from)?)?;
    let end = first_shown(zone, on(last, config.to)?)?;
    (start < end).then_some((start, end))
}

fn on(date: Date, time: TimeOfDay) -> Option<DateTime> {
    let (date, minutes) =
        if time == TimeOfDay::MIDNIGHT_AFTER { (date.tomorrow().ok()?, 0) } else { (date, time.0) };
    Some(date.at(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0))
}

/// When the clocks of `zone` first show `time` or more.
fn first_shown(zone: &TimeZone, time: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(time).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(time).ok(),
        // With the offset of afterwards it would have been before the jump.
        AmbiguousOffset::Gap { after, .. } => {
            let before_jump = after.to_timestamp(time).ok()?;
            zone.following(before_jump).next().map(|jump| jump.timestamp())
        }
    }
}
