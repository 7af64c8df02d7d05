//! A length of access in a config, written as people write it: `10m`, `2h`, `1h30m`.
//!
//! The same words as in the gateway; a policy does not depend on the gateway, so
//! they stand here once more.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Seconds;

const SECONDS_MIN: Seconds = 60;
/// 30 days.
const SECONDS_MAX: Seconds = 30 * 24 * 3600;
/// Hours, then minutes, then seconds, each at most once, and not none of them.
const PATTERN: &str = "^([0-9]+h([0-9]+m)?([0-9]+s)?|[0-9]+m([0-9]+s)?|[0-9]+s)$";

/// A length of access: `60s` to `720h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessDuration(Seconds);

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadDuration {
    /// The text, cut to 40 characters, control characters replaced.
    pub given: String,
}

impl AccessDuration {
    /// A length of access that need not be one that people can ask for.
    pub const fn from_seconds(seconds: Seconds) -> Self {
        Self(seconds)
    }

    /// Whole seconds.
    pub const fn seconds(self) -> Seconds {
        self.0
    }
}

/// In the shortest words: 5400 seconds are `1h30m`.
impl fmt::Display for AccessDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        for (count, unit) in [(self.0 / 3600, 'h'), (self.0 / 60 % 60, 'm'), (self.0 % 60, 's')] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for AccessDuration {
    type Err = BadDuration;
    fn from_str(text: &str) -> Result<Self, BadDuration> {
        match seconds_of(text) {
            Some(seconds) if (SECONDS_MIN..=SECONDS_MAX).contains(&seconds) => Ok(Self(seconds)),
            _ => Err(BadDuration {
                given: text.chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
            }),
        }
    }
}

impl fmt::Display for BadDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { given } = self;
        write!(
            f,
            "`{given}` is not a duration: write hours, minutes and seconds as in 10m, 2h or 1h30m, from 60s to 720h"
        )
    }
}

impl std::error::Error for BadDuration {}

impl<'de> Deserialize<'de> for AccessDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for AccessDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for AccessDuration {
    fn schema_name() -> Cow<'static, str> {
        "AccessDuration".into()
    }

    fn inline_schema() -> bool {
        // Each field says in its own words what its duration is for.
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": PATTERN,
            "description": "Hours, minutes and seconds, as in 10m, 2h or 1h30m; from 60s to 720h.",
            "examples": ["30m", "2h", "1h30m"],
        })
    }
}

/// The seconds that `text` says, or none where it is not in the accepted form.
fn seconds_of(text: &str) -> Option<Seconds> {
    let mut rest = text;
    let mut total: Seconds = 0;
    for (unit, length) in [('h', 3600), ('m', 60), ('s', 1)] {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if let Some(after) = rest[digits..].strip_prefix(unit) {
            let count: Seconds = rest[..digits].parse().ok()?;
            total = total.checked_add(count.checked_mul(length)?)?;
            rest = after;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_common_durations_are_accepted() {
        for (words, seconds) in [
            ("10m", 600),
            ("2h", 7200),
            ("24h", 86400),
            ("90m", 5400),
            ("1h30m", 5400),
            ("60s", 60),
            ("2h1s", 7201),
        ] {
            assert_eq!(words.parse(), Ok(AccessDuration(seconds)), "{words}");
        }
    }

    #[test]
    fn d2_anything_else_is_refused_with_the_accepted_forms() {
        for words in [
            "0s",
            "-1h",
            "2",
            "2 hours",
            "59s",
            "999999h",
            "",
            "2h2h",
            "h",
            "30m1h",
            "1.5h",
            "+1h",
            "٣h",
            "99999999999999999999h",
            "2H",
        ] {
            let refused = words.parse::<AccessDuration>().unwrap_err().to_string();
            assert!(refused.contains("10m, 2h or 1h30m") && refused.contains("60s"), "{refused}");
        }
    }

    #[test]
    fn it_is_shown_in_the_shortest_words() {
        assert_eq!(AccessDuration(5400).to_string(), "1h30m");
        assert_eq!(AccessDuration(0).to_string(), "0s");
        assert_eq!(serde_json::to_string(&AccessDuration(7201)).unwrap(), r#""2h1s""#);
    }

    #[test]
    fn its_schema_stands_where_it_is_used_under_the_words_of_the_field() {
        #[derive(JsonSchema)]
        #[allow(dead_code, reason = "only its schema is read")]
        struct Config {
            /// The longest.
            max: AccessDuration,
        }
        let schema = schemars::schema_for!(Config);
        let max = schema.pointer("/properties/max").unwrap();
        assert_eq!((&max["type"], &max["pattern"]), (&"string".into(), &PATTERN.into()));
        assert_eq!(max["description"], "The longest.");
    }

    #[test]
    fn control_characters_of_a_refused_text_are_not_repeated() {
        assert_eq!("\u{1b}[2J".parse::<AccessDuration>().unwrap_err().given, "\u{fffd}[2J");
    }
}
