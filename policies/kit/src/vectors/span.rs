//! A length of time as people write it in a vector file: `90s`, `15m`, `2h30m`, `7d`.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer};

/// A length of time in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub u64);

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

impl Span {
    /// Read from its words; none where they are no length of time.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut sum, mut rest, mut units) = (0_u64, text, UNITS.as_slice());
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
            let unit = rest[digits..].chars().next()?;
            // Large units first, each at most once.
            let at = units.iter().position(|(name, _)| *name == unit)?;
            let count: u64 = rest[..digits].parse().ok()?;
            sum = sum.checked_add(count.checked_mul(units[at].1)?)?;
            (units, rest) = (&units[at + 1..], &rest[digits + 1..]);
        }
        Some(Self(sum))
    }

    /// In milliseconds.
    pub fn milliseconds(self) -> u64 {
        self.0.saturating_mul(1000)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, seconds) in UNITS {
            if rest >= seconds {
                write!(f, "{}{unit}", rest / seconds)?;
                rest %= seconds;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            let given: String =
                text.chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            serde::de::Error::custom(format!(
                "`{given}` is no length of time: write it as in 90s, 15m, 2h30m or 7d"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_read_and_written_in_the_same_words() {
        for (words, seconds) in
            [("90s", 90), ("15m", 900), ("2h30m", 9000), ("7d", 604_800), ("1d1s", 86_401)]
        {
            assert_eq!(Span::parse(words), Some(Span(seconds)), "{words}");
        }
        assert_eq!(Span(9000).to_string(), "2h30m");
        assert_eq!((Span(0).to_string(), Span(90).to_string()), ("0s".to_owned(), "1m30s".to_owned()));
    }

    #[test]
    fn what_is_none_is_refused() {
        for words in [
            "",
            "5",
            "m",
            "5x",
            "5m5m",
            "5s5m",
            "-5m",
            "5 m",
            "99999999999999999999s",
            "9999999999999999999d",
        ] {
            assert_eq!(Span::parse(words), None, "{words}");
        }
    }
}
