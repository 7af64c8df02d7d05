//! What an engine said about an input, as far as it can say it.

use std::fmt;

/// One engine's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Enough.
    Approve,
    /// Not yet. Any one of these ways would do, each a list of what is [`missing`]; none
    /// where the engine cannot say.
    Wait(Option<Vec<Vec<String>>>),
    /// Final; why, where the engine can say.
    Deny(Option<String>),
}

impl Answer {
    /// Whether both say the same, as far as both can say it.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Approve, Self::Approve) => true,
            (Self::Wait(mine), Self::Wait(theirs)) => same(mine.as_ref(), theirs.as_ref()),
            (Self::Deny(mine), Self::Deny(theirs)) => same(mine.as_ref(), theirs.as_ref()),
            _ => false,
        }
    }
}

/// What is missing, in words: the name of a group where it is one more person out of it.
pub(crate) fn missing(approvals: u32, groups: &[String]) -> String {
    match (approvals, groups) {
        (1, [group]) => group.clone(),
        _ => format!("{approvals} of {}", groups.join(" or ")),
    }
}

/// What is not said contradicts nothing.
fn same<T: PartialEq>(mine: Option<&T>, theirs: Option<&T>) -> bool {
    mine.is_none() || theirs.is_none() || mine == theirs
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approve => f.write_str("approve"),
            Self::Wait(None) => f.write_str("wait"),
            Self::Wait(Some(ways)) => {
                let ways: Vec<String> = ways.iter().map(|way| way.join(" and ")).collect();
                write!(f, "wait for {}", ways.join(", or for "))
            }
            Self::Deny(None) => f.write_str("deny"),
            Self::Deny(Some(why)) => write!(f, "deny: {why}"),
        }
    }
}
