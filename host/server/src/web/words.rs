//! How pages write: every text escaped, times in one form.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Write};
use std::str::FromStr;

use quorate_core::Timestamp;
use quorate_core::duration::AccessDuration;
use quorate_core::ids::BadName;
use quorate_core::session::{EndReason, Mode};
use quorate_core::text::steers;
use quorate_core::verdict::Audience;

use super::visitor::encoded;

/// Writes a text so that it can only show itself: markup as text, and each character that
/// would move, hide or turn what stands around it as its number, so that nothing is left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Harmless;

impl askama::filters::Escaper for Harmless {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        let mut plain_from = 0;
        for (at, c) in text.char_indices() {
            let entity = match c {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                c if steers(c) && !matches!(c, '\n' | '\t') => "",
                _ => continue,
            };
            dest.write_str(&text[plain_from..at])?;
            if entity.is_empty() {
                write!(dest, "[U+{:04X}]", u32::from(c))?;
            } else {
                dest.write_str(entity)?;
            }
            plain_from = at + c.len_utf8();
        }
        dest.write_str(&text[plain_from..])
    }
}

/// `2026-11-23 10:00:05 UTC`.
pub(super) fn time(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How long ago `at` was: `just now`, `5m ago`.
pub(super) fn ago(at: &Timestamp, now: &Timestamp) -> String {
    if now.duration_since(*at).as_secs() < 1 {
        "just now".to_owned()
    } else {
        format!("{} ago", between(at, now))
    }
}

/// How long it is from `from` to `to`, without seconds where there are minutes: `1h59m`.
pub(super) fn between(from: &Timestamp, to: &Timestamp) -> String {
    let seconds = to.duration_since(*from).as_secs().max(0).unsigned_abs();
    let whole = if seconds > 60 { seconds - seconds % 60 } else { seconds };
    AccessDuration::from_seconds(whole).to_string()
}

/// So many seconds: ` for 2h`; nothing where there are none.
pub(super) fn lasting(seconds: Option<u64>) -> String {
    seconds.map(|seconds| format!(" for {}", AccessDuration::from_seconds(seconds))).unwrap_or_default()
}

/// Each as it is written.
pub(super) fn names<'a, T: Display + 'a>(all: impl IntoIterator<Item = &'a T>) -> BTreeSet<String> {
    all.into_iter().map(ToString::to_string).collect()
}

/// Some people: `group dba, ann`.
pub(super) fn people(audience: &Audience) -> String {
    let groups = audience.groups.iter().map(|group| format!("group {group}"));
    let all: Vec<String> = groups.chain(audience.users.iter().cloned()).collect();
    if all.is_empty() { "nobody".to_owned() } else { all.join(", ") }
}

/// `PENDING` as `pending`, `TIMED_OUT` as `timed out`: for a class and for people.
pub(super) fn state(state: &str) -> String {
    state.to_lowercase().replace('_', " ")
}

/// Why a session ended, in short.
pub(super) fn end_reason(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Exited => "exited",
        EndReason::Expired => "expired",
        EndReason::Revoked => "revoked",
        EndReason::Ended => "ended",
        EndReason::GatewayStopped => "gateway stopped",
        EndReason::ConnectionLost => "connection lost",
        EndReason::Failed => "failed",
    }
}

/// What kind of session it is.
pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Terminal => "terminal",
        Mode::Command => "command",
    }
}

/// A name as a form sends it; none where nothing was typed.
pub(super) fn name<T: FromStr<Err = BadName>>(text: &str) -> Result<Option<T>, String> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|bad: BadName| bad.to_string()),
    }
}

/// Where a page of a list begins, as an address says it; none: with the first.
pub(super) fn cursor<T: FromStr>(text: &str) -> Result<Option<T>, String> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| "this page of the list is none".to_owned()),
    }
}

/// An address with those of `pairs` that are not empty.
pub(super) fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// A text as a form sends it, with its line breaks as everywhere else.
pub(super) fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

#[cfg(test)]
mod tests {
    use askama::filters::Escaper as _;

    use super::*;

    fn shown(text: &str) -> String {
        let mut out = String::new();
        Harmless.write_escaped_str(&mut out, text).unwrap();
        out
    }

    #[test]
    fn a_text_shows_itself_whatever_is_in_it() {
        assert_eq!(
            shown("<b id=\"x\" class='y'>&amp;"),
            "&lt;b id=&quot;x&quot; class=&#39;y&#39;&gt;&amp;amp;"
        );
        assert_eq!(shown("a\u{202e}b\u{7}\r\n\tc\u{200b}"), "a[U+202E]b[U+0007][U+000D]\n\tc[U+200B]");
        let long = "ä".repeat(10_000);
        assert_eq!(shown(&long), long);
    }
}
