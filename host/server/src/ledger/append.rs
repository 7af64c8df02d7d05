//! What is appended, and what is answered to it.

use std::fmt;

use quorate_core::Timestamp;
use quorate_core::entry::{Kind, Step, Stream};
use quorate_core::ids::{ChannelName, Digest, ResourceName, UserId};

use super::channel_secrets::ChannelSecret;

/// How long an idempotency key is known, in hours.
pub const KEY_HOURS: i64 = 24;

/// The type of an entry that says what the policies decided.
const DECIDED: &str = "request-decided";

/// How long a token is known after it has expired, in days: so long, whoever uses it is
/// told that it has expired, and not that there is none.
pub const TOKEN_DAYS_KEPT: i64 = 30;

/// An append that did not happen: nothing of it is in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody was first: load again, decide again.
    #[error("somebody else was first")]
    Conflict,
    /// The same was asked before under this key.
    #[error("this was done before, as {}", .0.answers)]
    Repeated(Stored),
    /// Something else was asked before under this key.
    #[error("this idempotency key was used for something else")]
    KeyReused,
    /// Too many requests of this requester wait.
    #[error("{max} requests of theirs wait already")]
    TooManyPending {
        /// How many may.
        max: u64,
    },
    /// There is no space. It may be tried again.
    #[error("the disk is full")]
    Full,
    /// The machine could not.
    #[error("the ledger cannot be written: {0}")]
    Failed(String),
    /// The ledger is closed.
    #[error("the ledger is closed")]
    Closed,
}

/// What is appended: all of it or nothing.
#[derive(Debug)]
pub struct Append {
    /// What happened.
    pub step: Step,
    /// What its entries name by digest.
    pub blobs: Vec<(Digest, Vec<u8>)>,
    /// What is kept beside the entries.
    pub side: Vec<Side>,
    /// What it was decided on, where that is more than the streams it writes.
    pub basis: Option<Basis>,
    /// So that a repetition is recognised.
    pub key: Option<Key>,
    /// A request is only submitted while fewer of its requester's wait. The writer
    /// counts, so that it is exact however many ask at once.
    pub pending_max: Option<u64>,
}

/// What a decision rests on besides the streams that it writes: all rules, and some
/// more. Where one of them has an entry after `head`, the append is a conflict: a
/// decision under a rule never stands in the ledger after the change of that rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// The newest entry when the first of them was read, or one before it.
    pub head: u64,
    /// The streams, besides those of the rules.
    pub streams: Vec<Stream>,
    /// Whether any later decision of the policies takes the ground away too.
    pub decisions: bool,
}

impl Basis {
    /// Whether a later entry of `stream` that is of this type takes the ground away.
    pub(super) fn includes(&self, stream: &str, kind: &str) -> bool {
        (self.decisions && kind == DECIDED)
            || stream.split_once('/').is_some_and(|(kind, _)| kind == Kind::Rule.as_str())
            || self.streams.iter().any(|one| one.to_string() == stream)
    }
}

impl From<Step> for Append {
    fn from(step: Step) -> Self {
        Self { step, blobs: Vec::new(), side: Vec::new(), basis: None, key: None, pending_max: None }
    }
}

/// What is kept beside the entries and is never part of them.
pub enum Side {
    /// The hash of a person's password.
    Password {
        /// Whose.
        user: UserId,
        /// With its parameters.
        hash: String,
    },
    /// A token.
    Token {
        /// Which.
        id: String,
        /// Whose.
        user: UserId,
        /// The SHA-256 of its secret.
        hash: Digest,
        /// When it stops working; [`TOKEN_DAYS_KEPT`] later it is forgotten.
        expires_at: Timestamp,
    },
    /// Nothing but a change: it shows whether anything can be written.
    Probe,
    /// A secret of a resource; all of them go with the resource.
    Secret {
        /// Whose.
        resource: ResourceName,
        /// Its name.
        name: String,
        /// None forgets it.
        value: Option<String>,
    },
    /// A secret of a notification channel; all of them go with the channel.
    ChannelSecret {
        /// Whose.
        channel: ChannelName,
        /// Which.
        secret: ChannelSecret,
        /// What it is.
        value: String,
        /// When it is not used any more.
        expires_at: Option<Timestamp>,
    },
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password(..)",
            Self::Token { .. } => "Token(..)",
            Self::Secret { .. } => "Secret(..)",
            Self::ChannelSecret { .. } => "ChannelSecret(..)",
            Self::Probe => "Probe",
        })
    }
}

/// An idempotency key. It is known for [`KEY_HOURS`].
#[derive(Debug, Clone)]
pub struct Key {
    /// Who chose it: two people may choose the same.
    pub user: String,
    /// Their key.
    pub key: String,
    /// The digest of what they asked.
    pub fingerprint: Digest,
    /// What to find again: `request/abc`.
    pub answers: String,
}

/// What was appended under an idempotency key before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What to find again.
    pub answers: String,
}

/// What was appended, and is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The number of its last entry.
    pub seq: u64,
}
