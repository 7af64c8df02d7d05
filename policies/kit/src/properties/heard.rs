//! What a policy said, as far as properties look at it.

use crate::vectors::{Said, story};
use crate::{Outcome, Verdict, Way};

/// What a policy said in a state. Two are equal where they mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Heard {
    pub(super) said: Said,
    /// In a fixed order.
    pub(super) ways: Vec<Way>,
    pub(super) max_duration: Option<u64>,
}

impl Heard {
    pub(super) fn of(answer: Result<Verdict, String>) -> Self {
        let said = Said::of(&answer);
        let Ok(Verdict { outcome, max_duration, .. }) = answer else {
            return Self { said, ways: Vec::new(), max_duration: None };
        };
        let mut ways = if let Outcome::Wait(ways) = outcome { ways } else { Vec::new() };
        for way in &mut ways {
            way.sort_unstable();
        }
        ways.sort_unstable();
        Self { said, ways, max_duration }
    }

    /// Whether the request gets in, as far as this policy goes.
    pub(super) fn lets_in(&self) -> bool {
        matches!(self.said, Said::Approve | Said::Bypass)
    }

    pub(super) fn in_short(&self) -> String {
        match self.said {
            Said::Wait => format!("wait: {}", story::ways(&self.ways)),
            other => other.to_string(),
        }
    }
}
