//! Notification channels: where people, and their programs, hear of requests.
//!
//! Not here: how a message is delivered, and the secrets of a channel.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::entry::{Actor, Happened, Step, Stream};
use crate::ids::{ChannelName, RuleName};
use crate::refused::Refused;
use crate::request::Request;
use crate::resource::Resource;

/// The longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 1000;

/// How a channel delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelKind {
    /// Signed HTTP requests, by the [Standard Webhooks] specification.
    ///
    /// [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks
    Webhook,
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Webhook => "webhook",
        })
    }
}

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What a channel can be told of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum EventType { $($(#[$doc])* $variant,)* }

        impl EventType {
            /// All of them, in the order of a request's life.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As it is written.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

events! {
    /// Somebody asked.
    RequestSubmitted = "request.submitted",
    /// Somebody voted.
    VoteCast = "vote.cast",
    /// A policy has people told something about it.
    RequestReminded = "request.reminded",
    /// Access is open.
    RequestApproved = "request.approved",
    /// Access is refused.
    RequestRejected = "request.rejected",
    /// The requester withdrew it.
    RequestCancelled = "request.cancelled",
    /// Nobody answered in time.
    RequestTimedOut = "request.timed_out",
    /// Access was taken away.
    RequestRevoked = "request.revoked",
    /// Access ended on time.
    RequestExpired = "request.expired",
    /// The approved command was started.
    CommandStarted = "command.started",
    /// An approved activation was carried out.
    ActivationCarriedOut = "activation.carried_out",
}

impl EventType {
    /// What an entry is to a channel; none where channels do not hear of it.
    pub fn of(happened: &Happened) -> Option<Self> {
        Some(match happened {
            Happened::RequestSubmitted { .. } => Self::RequestSubmitted,
            Happened::VoteCast { .. } => Self::VoteCast,
            Happened::RequestReminded { .. } => Self::RequestReminded,
            Happened::RequestApproved { .. } => Self::RequestApproved,
            Happened::RequestRejected { .. } => Self::RequestRejected,
            Happened::RequestCancelled => Self::RequestCancelled,
            Happened::RequestTimedOut => Self::RequestTimedOut,
            Happened::RequestRevoked { .. } => Self::RequestRevoked,
            Happened::RequestExpired => Self::RequestExpired,
            Happened::CommandStarted { .. } => Self::CommandStarted,
            Happened::ActivationCarriedOut { .. } => Self::ActivationCarriedOut,
            _ => return None,
        })
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no event; there are {}", all())]
pub struct BadEvent {
    /// The text, cut to 80 characters, control characters replaced.
    pub given: String,
}

fn all() -> String {
    EventType::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ")
}

impl FromStr for EventType {
    type Err = BadEvent;
    fn from_str(text: &str) -> Result<Self, BadEvent> {
        let found = Self::ALL.iter().find(|one| one.as_str() == text);
        found.copied().ok_or_else(|| BadEvent { given: crate::text::shown(text, 80) })
    }
}

impl TryFrom<String> for EventType {
    type Error = BadEvent;
    fn try_from(text: String) -> Result<Self, BadEvent> {
        text.parse()
    }
}

impl From<EventType> for String {
    fn from(event: EventType) -> Self {
        event.as_str().to_owned()
    }
}

/// Where messages about requests go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Its name: what the plugins of a resource name it by.
    pub name: ChannelName,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// How it delivers.
    pub kind: ChannelKind,
    /// Where to, as far as people may see it: the host. The address may be a secret.
    pub host: String,
    /// Whether it is told of every request, whatever resource and rules.
    #[serde(default)]
    pub all_requests: bool,
    /// It is told of requests under these rules, besides those for resources that name it.
    #[serde(default)]
    pub rules: BTreeSet<RuleName>,
    /// Of what; empty: of everything.
    #[serde(default)]
    pub events: BTreeSet<EventType>,
    /// How many entries made it what it is.
    #[serde(default)]
    pub revision: u64,
}

impl Channel {
    /// Whether it is told that `event` happened to `request`. `resource` is what was asked for,
    /// where it is still there.
    pub fn hears(&self, event: EventType, request: &Request, resource: Option<&Resource>) -> bool {
        let named = || resource.is_some_and(|resource| resource.plugins.contains(self.name.as_str()));
        let ruled = || {
            let mut used = request.decision.iter().flat_map(|decision| &decision.rules);
            used.any(|used| self.rules.contains(&used.rule))
        };
        (self.events.is_empty() || self.events.contains(&event)) && (self.all_requests || named() || ruled())
    }

    /// Saves it, where its stream has `revision` entries. `unknown` is a rule that it names and
    /// that is not there.
    pub fn save(
        mut self,
        revision: u64,
        unknown: Option<&RuleName>,
        by: Actor,
        now: Timestamp,
    ) -> Result<Step, Refused> {
        if self.description.len() > DESCRIPTION_BYTES_MAX {
            return Err(Refused::TooLong {
                what: "the description",
                max: DESCRIPTION_BYTES_MAX,
                unit: "bytes",
            });
        }
        if self.description.chars().any(crate::text::steers) {
            let why = "characters that would steer what stands around them have no place in it";
            return Err(Refused::Invalid { what: "description", why: why.to_owned() });
        }
        if let Some(rule) = unknown {
            return Err(Refused::Invalid { what: "rules", why: format!("there is no rule {rule}") });
        }
        self.revision = revision + 1;
        let stream = Stream::channel(&self.name);
        Ok(Step::one(stream, revision, by, now, Happened::ChannelSaved { channel: Box::new(self) }))
    }

    /// Gives it another secret to sign with.
    pub fn rotate(&self, by: Actor, now: Timestamp) -> Step {
        Step::one(Stream::channel(&self.name), self.revision, by, now, Happened::ChannelSecretRotated)
    }

    /// Removes it. `used_by` names a resource whose plugins still name it.
    pub fn remove(&self, used_by: Option<&str>, by: Actor, now: Timestamp) -> Result<Step, Refused> {
        if let Some(resource) = used_by {
            return Err(Refused::InUse {
                what: "channel",
                name: self.name.to_string(),
                by: format!("resource {resource}"),
            });
        }
        Ok(Step::one(Stream::channel(&self.name), self.revision, by, now, Happened::ChannelRemoved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_reads_back_what_it_writes() {
        for event in EventType::ALL {
            assert_eq!(event.as_str().parse(), Ok(*event));
        }
        let refused = "request.opened\n".parse::<EventType>().unwrap_err().to_string();
        assert!(refused.contains("request.submitted") && !refused.contains('\n'), "{refused}");
    }
}
