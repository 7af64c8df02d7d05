//! The trouble that Slack can make, once it was told to.

use std::collections::BTreeMap;

use super::Slack;

/// Where a method is named: all of them.
pub const EVERY_METHOD: &str = "*";
/// Where a method is named: what an app says at a `response_url`.
pub const RESPONSE_URL: &str = "response_url";

/// What becomes of one call.
#[derive(Debug, PartialEq)]
pub(super) enum Fate {
    Answered,
    /// Told to come back after so many seconds.
    Limited(u64),
    /// 500, and nothing was done.
    Down,
    /// No answer, and nothing was done.
    Dropped,
    /// This error, and nothing was done.
    Refused(&'static str),
    /// It is done, and there is no answer.
    DoneAndDropped,
}

#[derive(Default)]
pub(super) struct Trouble {
    limits: BTreeMap<String, (u32, u64)>,
    errors: BTreeMap<String, Vec<&'static str>>,
    drops: Vec<String>,
    pub down: bool,
    pub unreachable: bool,
}

impl Trouble {
    /// What becomes of a call that comes now.
    pub fn fate(&mut self, method: &str) -> Fate {
        if self.unreachable {
            return Fate::Dropped;
        }
        if self.down {
            return Fate::Down;
        }
        for name in [method, EVERY_METHOD] {
            if let Some((left, seconds)) = self.limits.get_mut(name)
                && *left > 0
            {
                *left -= 1;
                return Fate::Limited(*seconds);
            }
            if let Some(errors) = self.errors.get_mut(name)
                && !errors.is_empty()
            {
                return Fate::Refused(errors.remove(0));
            }
            if let Some(at) = self.drops.iter().position(|drop| drop == name) {
                self.drops.remove(at);
                return Fate::DoneAndDropped;
            }
        }
        Fate::Answered
    }
}

impl Slack {
    /// The next `calls` of a method are told to come back after `seconds`.
    pub fn rate_limit(&self, method: &str, calls: u32, seconds: u64) {
        self.locked().trouble.limits.insert(method.to_owned(), (calls, seconds));
    }

    /// It answers 500 to everything, or does no longer.
    pub fn down(&self, down: bool) {
        self.locked().trouble.down = down;
    }

    /// It drops every connection before an answer, or does no longer.
    pub fn unreachable(&self, unreachable: bool) {
        self.locked().trouble.unreachable = unreachable;
    }

    /// The next call of a method does nothing, and fails with `error`.
    pub fn error_next(&self, method: &str, error: &'static str) {
        self.locked().trouble.errors.entry(method.to_owned()).or_default().push(error);
    }

    /// The next call of a method is carried out, and its connection dropped before the answer.
    pub fn accept_then_drop(&self, method: &str) {
        self.locked().trouble.drops.push(method.to_owned());
    }
}
