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

/// The most addresses that one channel writes to.
const TO_MAX: usize = 50;
/// The longest e-mail address ([RFC 5321, section 4.5.3.1.3][r], without the brackets).
///
/// [r]: https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.3
const EMAIL_BYTES_MAX: usize = 254;
/// The longest name of a conversation that Slack gives, and more.
const CONVERSATION_BYTES_MAX: usize = 40;

/// How a channel delivers, and where to, as far as people may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ChannelKind {
    /// Signed HTTP requests, by the [Standard Webhooks] specification.
    ///
    /// [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks
    Webhook {
        /// The host; the whole address may be a secret.
        host: String,
    },
    /// Messages in Slack, with buttons.
    Slack {
        /// The conversation that every message goes to, as Slack names it; none: only those hear of
        /// it who subscribed.
        #[serde(default)]
        conversation: Option<String>,
    },
    /// E-mail.
    Email {
        /// Whom every message goes to; empty: whom it concerns, which is those who can vote while it
        /// waits, and then the requester.
        #[serde(default)]
        to: BTreeSet<String>,
    },
    /// Cards in Microsoft Teams.
    Teams {
        /// The host; the whole address is a secret.
        host: String,
    },
}

impl ChannelKind {
    /// What the kinds are called.
    pub const NAMES: [&str; 4] = ["webhook", "slack", "email", "teams"];

    /// The kind of that name. Where it delivers to is said by `to` or `conversation`, and elsewhere
    /// for kinds with an address.
    pub fn named(name: &str, to: BTreeSet<String>, conversation: Option<String>) -> Result<Self, Refused> {
        let conversation = conversation.filter(|text| !text.is_empty());
        if conversation.is_some() && Self::NAMES.contains(&name) && name != "slack" {
            return Err(invalid("conversation", "only a channel of kind slack has one"));
        }
        if !to.is_empty() && Self::NAMES.contains(&name) && name != "email" {
            return Err(invalid("to", "only a channel of kind email has it"));
        }
        match name {
            "webhook" => Ok(Self::Webhook { host: String::new() }),
            "slack" => Ok(Self::Slack { conversation }),
            "email" => Ok(Self::Email { to }),
            "teams" => Ok(Self::Teams { host: String::new() }),
            _ => Err(invalid("kind", "give webhook, slack, email or teams")),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::Email { .. } => "email",
            Self::Teams { .. } => "teams",
        }
    }

    /// Whether it delivers to an address that may be a secret.
    pub fn has_address(&self) -> bool {
        matches!(self, Self::Webhook { .. } | Self::Teams { .. })
    }

    /// Whether its messages are signed.
    pub fn has_key(&self) -> bool {
        matches!(self, Self::Webhook { .. })
    }

    /// Where it delivers to, in words.
    pub fn destination(&self) -> String {
        match self {
            Self::Webhook { host } | Self::Teams { host } => host.clone(),
            Self::Slack { conversation: Some(conversation) } => conversation.clone(),
            Self::Slack { conversation: None } => "whoever subscribed".to_owned(),
            Self::Email { to } if to.is_empty() => "whom it concerns".to_owned(),
            Self::Email { to } => to.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        }
    }

    fn check(&self) -> Result<(), Refused> {
        match self {
            Self::Slack { conversation: Some(name) } if !is_conversation(name) => {
                Err(invalid("conversation", "give its ID, such as C0123456789: Slack shows it in \"About\""))
            }
            Self::Email { to } if to.len() > TO_MAX => {
                Err(Refused::TooLong { what: "the list of addresses", max: TO_MAX, unit: "addresses" })
            }
            Self::Email { to } => match to.iter().find(|address| !is_email(address)) {
                Some(_) => Err(invalid("to", "each is an address such as dba@example.org")),
                None => Ok(()),
            },
            Self::Webhook { .. } | Self::Slack { .. } | Self::Teams { .. } => Ok(()),
        }
    }
}

/// Whether somebody can be written to at `text`, as far as its form goes.
pub fn is_email(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !"<>()[]\\,;:\"".contains(c);
    let split = text.rsplit_once('@');
    text.len() <= EMAIL_BYTES_MAX
        && text.chars().all(plain)
        && split.is_some_and(|(name, host)| {
            let whole = |text: &str| text.split('.').all(|part| !part.is_empty());
            name.len() <= 64 && whole(name) && !name.contains('@') && whole(host) && !host.starts_with('-')
        })
}

/// Whether Slack could have given this name to a conversation.
fn is_conversation(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    plain && text.starts_with(['C', 'G', 'D']) && (3..=CONVERSATION_BYTES_MAX).contains(&text.len())
}

fn invalid(what: &'static str, why: &str) -> Refused {
    Refused::Invalid { what, why: why.to_owned() }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
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
    /// The policies were asked, and what is missing may be something else. Only told of where it is
    /// named.
    RequestDecided = "request.decided",
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
            Happened::RequestDecided { .. } => Self::RequestDecided,
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
    /// How it delivers, and where to.
    #[serde(flatten)]
    pub kind: ChannelKind,
    /// Whether it is told of every request, whatever resource and rules.
    #[serde(default)]
    pub all_requests: bool,
    /// It is told of requests under these rules, besides those for resources that name it.
    #[serde(default)]
    pub rules: BTreeSet<RuleName>,
    /// Of what; empty: of everything. One in Slack is told of everything.
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
        self.wants(event) && (self.all_requests || named() || ruled())
    }

    fn wants(&self, event: EventType) -> bool {
        match &self.kind {
            // Its messages are brought up to date with everything that changes what they show.
            ChannelKind::Slack { .. } => true,
            _ if self.events.is_empty() => event != EventType::RequestDecided,
            _ => self.events.contains(&event),
        }
    }

    /// Saves it, where its stream has `revision` entries. `unknown` is a rule that it names and
    /// that is not there. A channel keeps its kind: that is the caller's to see to.
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
            return Err(invalid("description", why));
        }
        if let Some(rule) = unknown {
            return Err(invalid("rules", &format!("there is no rule {rule}")));
        }
        self.kind.check()?;
        if matches!(self.kind, ChannelKind::Slack { .. }) && !self.events.is_empty() {
            let why = "messages in Slack are brought up to date with everything: name none";
            return Err(invalid("events", why));
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
    fn a_kind_has_what_belongs_to_it_and_nothing_else() {
        let to = || BTreeSet::from(["dba@example.org".to_owned()]);
        for name in ChannelKind::NAMES {
            assert_eq!(ChannelKind::named(name, BTreeSet::new(), None).unwrap().name(), name);
        }
        let email = ChannelKind::named("email", to(), Some(String::new())).unwrap();
        assert_eq!((email.check(), email.destination()), (Ok(()), "dba@example.org".to_owned()));
        for (name, to, conversation, what) in [
            ("pigeon", BTreeSet::new(), None, "kind"),
            ("slack", to(), None, "to"),
            ("email", to(), Some("C0123"), "conversation"),
        ] {
            let refused = ChannelKind::named(name, to, conversation.map(str::to_owned)).unwrap_err();
            assert!(refused.to_string().starts_with(what), "{name}: {refused}");
        }
    }

    #[test]
    fn somebody_can_be_written_to_at_an_address() {
        for good in ["dba@example.org", "d.b+a@x", "o'neil@mail.example.org"] {
            assert!(is_email(good), "{good}");
        }
        let long = format!("{}@example.org", "a".repeat(250));
        let breaking = "a@example.org\r\nBcc: eve@example.org";
        for bad in ["", "dba", "@x", "a@", "a@@x", "a b@x", "a@x, b@x", "Ann <a@x>", "a@.x", breaking, &long]
        {
            assert!(!is_email(bad), "{bad:?}");
        }
        for (conversation, is_one) in [("C0123ABC", true), ("#dba", false), ("c0123", false), ("C0", false)] {
            assert_eq!(is_conversation(conversation), is_one, "{conversation}");
        }
    }

    #[test]
    fn every_event_reads_back_what_it_writes() {
        for event in EventType::ALL {
            assert_eq!(event.as_str().parse(), Ok(*event));
        }
        let refused = "request.opened\n".parse::<EventType>().unwrap_err().to_string();
        assert!(refused.contains("request.submitted") && !refused.contains('\n'), "{refused}");
    }
}
