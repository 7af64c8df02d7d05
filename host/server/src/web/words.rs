//! How pages write: times, names and addresses in one form. Texts are escaped by `harmless`.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use quorate_core::Timestamp;
use quorate_core::duration::AccessDuration;
use quorate_core::ids::BadName;
use quorate_core::session::{EndReason, Mode};
use quorate_core::verdict::Audience;

use super::visitor::encoded;

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
