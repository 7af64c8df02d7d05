//! `--since`: how far back somebody wants to look.

use std::str::FromStr;

use quorate_core::Timestamp;
use quorate_core::text::shown;

/// `90d`, `2w`, `12h`, `30m`, or a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Since {
    /// As it was typed.
    pub(super) typed: String,
    start: Start,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Start {
    Ago(jiff::SignedDuration),
    At(Timestamp),
}

impl Since {
    /// The time it means at `now`.
    pub(super) fn at(&self, now: Timestamp) -> Timestamp {
        match self.start {
            Start::At(at) => at,
            Start::Ago(span) => now.checked_sub(span).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Since {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is neither a span as in 90d, 2w, 12h or 30m nor a time as in 2026-11-23T10:00:00Z",
                shown(text, 40)
            )
        };
        let start = match text.parse::<Timestamp>() {
            Ok(at) => Start::At(at),
            Err(_) => Start::Ago(span(text).ok_or_else(wrong)?),
        };
        Ok(Self { typed: text.to_owned(), start })
    }
}

fn span(text: &str) -> Option<jiff::SignedDuration> {
    let unit = text.chars().next_back()?;
    let seconds = [('w', 7 * 24 * 3600), ('d', 24 * 3600), ('h', 3600), ('m', 60)];
    let (_, seconds) = seconds.into_iter().find(|(name, _)| *name == unit)?;
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: i64 = digits.parse().ok()?;
    Some(jiff::SignedDuration::from_secs(count.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_counts_back_from_now_and_a_time_is_a_time() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Since>().unwrap().at(now).to_string();
        assert_eq!(at("30d"), "2026-10-24T10:00:00Z");
        assert_eq!(at("2w"), "2026-11-09T10:00:00Z");
        assert_eq!(at("90m"), "2026-11-23T08:30:00Z");
        assert_eq!(at("2026-01-01T00:00:00Z"), "2026-01-01T00:00:00Z");
        assert_eq!("999999999999d".parse::<Since>().unwrap().at(now), Timestamp::MIN);
    }

    #[test]
    fn anything_else_is_refused_with_the_right_forms() {
        for bad in ["", "d", "30", "30y", "-3d", "3 d", "yesterday", "+3d", "9223372036854775807w", "3é"] {
            let error = bad.parse::<Since>().unwrap_err();
            assert!(error.contains("90d") && error.contains("2026-"), "{bad}: {error}");
        }
    }
}
