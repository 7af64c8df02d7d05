//! What the entries of a stream add up to.

use super::{Entry, Happened, Kind, Stream};
use crate::resource::Resource;
use crate::rule::Rule;

/// Something folded from the entries of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// A request.
    Request(Box<crate::request::Request>),
    /// A session.
    Session(Box<crate::session::Session>),
    /// A person.
    User(Box<crate::user::User>),
    /// A resource.
    Resource(Box<Resource>),
    /// A rule.
    Rule(Box<Rule>),
    /// A policy.
    Policy(Box<crate::policy::Policy>),
    /// A notification channel.
    Channel(Box<crate::channel::Channel>),
}

/// An entry that cannot follow what was there before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {revision} of {stream} does not follow what is there")]
pub struct BrokenEntry {
    /// The stream.
    pub stream: Stream,
    /// The entry's revision.
    pub revision: u64,
}

/// What a stream's thing is after `entry`: none where it was removed. `before` is
/// what [`fold`] gave for the entry before; after a removal, the revision goes on
/// counting, so `revision_before` says it where there is no thing to say it.
pub fn fold(before: Option<View>, revision_before: u64, entry: &Entry) -> Result<Option<View>, BrokenEntry> {
    let broken = || BrokenEntry { stream: entry.stream.clone(), revision: entry.revision };
    if entry.revision != revision_before + 1 {
        return Err(broken());
    }
    let Entry { stream, at, by, happened, .. } = entry;
    let view = match (stream.kind(), before) {
        (Kind::Request, before) => {
            let before = match before {
                Some(View::Request(request)) => Some(*request),
                None => None,
                Some(_) => return Err(broken()),
            };
            crate::request::Request::fold(before, entry).map(|one| View::Request(Box::new(one)))
        }
        (Kind::Session, Some(View::Session(session))) => {
            crate::session::Session::fold(Some(*session), entry).map(|one| View::Session(Box::new(one)))
        }
        (Kind::Session, None) => {
            crate::session::Session::fold(None, entry).map(|one| View::Session(Box::new(one)))
        }
        (Kind::User, Some(View::User(user))) => {
            crate::user::User::fold(Some(*user), stream, *at, happened).map(|one| View::User(Box::new(one)))
        }
        (Kind::User, None) => {
            crate::user::User::fold(None, stream, *at, happened).map(|one| View::User(Box::new(one)))
        }
        (Kind::Policy, Some(View::Policy(policy))) => {
            crate::policy::Policy::fold(Some(*policy), stream, by, *at, happened)
                .map(|one| View::Policy(Box::new(one)))
        }
        (Kind::Policy, None) => crate::policy::Policy::fold(None, stream, by, *at, happened)
            .map(|one| View::Policy(Box::new(one))),
        (Kind::Resource, before) => match happened {
            Happened::ResourceSaved { resource }
                if resource.name.as_str() == stream.name() && resource.revision == entry.revision =>
            {
                Some(View::Resource(resource.clone()))
            }
            Happened::ResourceRemoved if before.is_some() => return Ok(None),
            _ => None,
        },
        (Kind::Rule, before) => match happened {
            Happened::RuleSaved { rule }
                if rule.name.as_str() == stream.name() && rule.revision == entry.revision =>
            {
                Some(View::Rule(rule.clone()))
            }
            Happened::RuleRemoved if before.is_some() => return Ok(None),
            _ => None,
        },
        (Kind::Channel, before) => match (happened, before) {
            (Happened::ChannelSaved { channel }, _)
                if channel.name.as_str() == stream.name() && channel.revision == entry.revision =>
            {
                Some(View::Channel(channel.clone()))
            }
            (Happened::ChannelSecretRotated, Some(View::Channel(mut channel))) => {
                channel.revision = entry.revision;
                Some(View::Channel(channel))
            }
            (Happened::ChannelRemoved, Some(_)) => return Ok(None),
            _ => None,
        },
        _ => None,
    };
    view.map(Some).ok_or_else(broken)
}
