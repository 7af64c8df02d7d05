//! How long access is asked for, and how people write it: `10m`, `2h`, `1h30m`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text;

/// The shortest access.
pub const SECONDS_MIN: u64 = 60;
/// The longest that can be written: 30 days. Resources and the gateway set their
/// own, lower limits.
pub const SECONDS_MAX: u64 = 30 * 24 * 3600;
/// The longest text of one, in bytes.
const BYTES_MAX: usize = 20;
/// What holds where nobody said how long, in every way in.
pub const DEFAULT: &str = "30m";

/// A length of time in the words it was given in.
///
/// Two of them are equal when they last equally long: `90m` is `1h30m`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessDuration {
    seconds: u64,
    words: String,
}

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not a duration: write hours, minutes and seconds as in 10m, 2h or 1h30m, from 60s to 720h"
)]
pub struct BadDuration {
    /// The text, cut to 40 characters, control characters replaced.
    pub given: String,
}

impl AccessDuration {
    /// `seconds` in the shortest words: 5400 is `1h30m`.
    pub fn from_seconds(seconds: u64) -> Self {
        let parts = [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
        let words: Vec<String> = parts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, unit)| format!("{count}{unit}"))
            .collect();
        let words = if words.is_empty() { "0s".to_owned() } else { words.concat() };
        Self { seconds, words }
    }

    /// Whole seconds.
    pub fn seconds(&self) -> u64 {
        self.seconds
    }
}

impl Default for AccessDuration {
    fn default() -> Self {
        Self { seconds: 1800, words: DEFAULT.to_owned() }
    }
}

impl PartialEq for AccessDuration {
    fn eq(&self, other: &Self) -> bool {
        self.seconds == other.seconds
    }
}

impl Eq for AccessDuration {}

impl fmt::Display for AccessDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.words)
    }
}

/// The seconds that `text` says, or none where it is not in the accepted form:
/// hours, then minutes, then seconds, each at most once.
fn seconds_of(text: &str) -> Option<u64> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let mut rest = text;
    let mut total: u64 = 0;
    for (unit, length) in [('h', 3600), ('m', 60), ('s', 1)] {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if let Some(after) = rest[digits..].strip_prefix(unit) {
            let count: u64 = rest[..digits].parse().ok()?;
            total = total.checked_add(count.checked_mul(length)?)?;
            rest = after;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(total)
}

impl FromStr for AccessDuration {
    type Err = BadDuration;
    fn from_str(text: &str) -> Result<Self, BadDuration> {
        match seconds_of(text) {
            Some(seconds) if (SECONDS_MIN..=SECONDS_MAX).contains(&seconds) => {
                Ok(Self { seconds, words: text.to_owned() })
            }
            _ => Err(BadDuration { given: text::shown(text, 40) }),
        }
    }
}

impl TryFrom<String> for AccessDuration {
    type Error = BadDuration;
    fn try_from(text: String) -> Result<Self, BadDuration> {
        text.parse()
    }
}

impl From<AccessDuration> for String {
    fn from(duration: AccessDuration) -> Self {
        duration.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_common_durations_are_accepted_and_shown_back_in_the_same_words() {
        for words in ["10m", "30m", "1h", "2h", "8h", "24h", "90m", "1h30m", "60s", "2h1s"] {
            assert_eq!(words.parse::<AccessDuration>().map(|d| d.to_string()), Ok(words.to_owned()));
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
            "00000000000000000000000001h",
        ] {
            let refused = words.parse::<AccessDuration>().unwrap_err().to_string();
            assert!(refused.contains("10m, 2h or 1h30m") && refused.contains("60s"), "{refused}");
        }
    }

    #[test]
    fn equal_lengths_are_equal_in_other_words() {
        assert_eq!("90m".parse::<AccessDuration>(), "1h30m".parse::<AccessDuration>());
        assert_eq!(AccessDuration::from_seconds(5400).to_string(), "1h30m");
    }

    #[test]
    fn d6_the_default_is_thirty_minutes() {
        assert_eq!(Ok(AccessDuration::default()), DEFAULT.parse());
    }
}
