//! Messages in Slack: one for each request in each conversation, brought up to date with everything
//! that changes what it shows.
//!
//! What a message shows is made from the request as it is, so it does not matter how many entries
//! were missed. A message is written down before it is posted; where nobody knows whether it was,
//! it is looked for by what it carries, so that none is posted twice.

use std::collections::BTreeMap;

use quorate_core::channel::{Channel, ChannelKind};
use quorate_core::entry::Happened;
use quorate_core::ids::{Digest, UserId};
use quorate_core::notice::Notice;
use quorate_core::request::{Request, State};
use quorate_core::user::User;

use super::{News, Notifier, Sent, Undelivered};
use crate::ledger::Copy;
use crate::lifecycle::{Error, RequestView};
use crate::slack::{Content, Slack, Trouble, content, reminder, test};

/// How far apart the clocks of Slack and of the gateway may be, in seconds, with the time that Slack
/// may take to answer.
const CLOCKS_APART: i64 = 300;

impl From<Trouble> for Undelivered {
    fn from(trouble: Trouble) -> Self {
        Self { retry_after: trouble.retry_after, ..trouble.why.into() }
    }
}

/// What there is to show of a request.
struct Messages<'a> {
    slack: &'a Slack,
    channel: &'a Channel,
    request: &'a Request,
    /// The entry that has people reminded; none: it is the request as it is.
    reminder: Option<u64>,
    content: Content,
    /// The digest of the content.
    shows: Digest,
}

impl<'a> Messages<'a> {
    fn of(slack: &'a Slack, channel: &'a Channel, request: &'a Request, content: Content) -> Self {
        let shows = Digest::of_parts([content.text.as_bytes(), content.blocks.to_string().as_bytes()]);
        Self { slack, channel, request, reminder: None, content, shows }
    }

    /// What the message in a conversation is known by to us.
    fn place(&self, conversation: &str) -> String {
        match self.reminder {
            None => conversation.to_owned(),
            Some(entry) => format!("{conversation} {entry}"),
        }
    }

    /// The conversation of such a place, where it is that of the request as it is.
    fn conversation<'b>(&self, place: &'b str) -> Option<&'b str> {
        (self.reminder.is_none() && !place.contains(' ')).then_some(place)
    }

    /// What a message carries, so that it is found again.
    fn carries(&self) -> String {
        let Self { channel, request, reminder, .. } = self;
        match reminder {
            None => format!("{}/{}", channel.name, request.id),
            Some(entry) => format!("{}/{}/{entry}", channel.name, request.id),
        }
    }
}

/// Whose conversation it is.
enum Whose<'a> {
    /// The channel's: where it cannot be told there, it is not told.
    Channel,
    /// That with somebody.
    Person(&'a UserId),
    /// Somebody's who was told before.
    Past,
}

impl Notifier {
    /// Brings every message about a request up to date, and posts those that are missing. Where
    /// people are to be reminded, they get a message of its own: one that changes is not noticed.
    pub(super) async fn tell_slack(&self, channel: &Channel, news: &News) -> Result<Sent, Error> {
        let Some(slack) = &self.slack else { return Ok(Err(no_app())) };
        let News { sealed, request, view, .. } = news;
        let is_pending = matches!(request.state, State::Pending);
        let page_only = is_pending && self.lifecycle.page_only(request)?.is_some();
        let messages = Messages::of(slack, channel, request, content(view, page_only));
        let copies = self.lifecycle.ledger().copies(&channel.name, &request.id)?;
        let users =
            if self.tells_people(channel, request)? { self.lifecycle.ledger().users()? } else { Vec::new() };
        let people = concerned(&users, request, view);
        let told = self.tell_all(&messages, &copies, &people).await?;
        let (Ok(_), Happened::RequestReminded { notice }) = (&told, &sealed.entry.happened) else {
            return Ok(told.map_err(Undelivered::from));
        };
        let people = if notice.people.is_empty() { people } else { named(&users, notice) };
        let content = reminder(view, &notice.message);
        let reminder =
            Messages { reminder: Some(sealed.seq), ..Messages::of(slack, channel, request, content) };
        Ok(self.tell_all(&reminder, &copies, &people).await?.map_err(Undelivered::from))
    }

    /// Whether it is this channel that tells people alone: of several in Slack the first does.
    fn tells_people(&self, channel: &Channel, request: &Request) -> Result<bool, Error> {
        let first = self.lifecycle.slack_channels(request)?.into_iter().next();
        Ok(first.is_none_or(|first| first.name == channel.name))
    }

    /// Brings the messages up to date that are there, and posts them where these people and the
    /// channel's own conversation have none.
    async fn tell_all(
        &self,
        messages: &Messages<'_>,
        copies: &[Copy],
        people: &[&User],
    ) -> Result<Result<Option<String>, Trouble>, Error> {
        let there = copies.iter().filter_map(|copy| messages.conversation(&copy.place));
        let mut places: BTreeMap<String, Whose> =
            there.map(|place| (place.to_owned(), Whose::Past)).collect();
        // That will not go better another time, and is nobody else's trouble.
        let mut untold = Vec::new();
        let never = |person: &UserId, trouble: &Trouble| {
            tracing::warn!(user = %person, why = trouble.why, "somebody cannot be told in Slack");
            format!("{person} could not be told: {}", trouble.why)
        };
        for person in people {
            let Some(in_slack) = &person.slack else { continue };
            match messages.slack.conversation_with(in_slack).await {
                Ok(conversation) => drop(places.insert(conversation, Whose::Person(&person.id))),
                Err(trouble) if trouble.is_general() => return Ok(Err(trouble)),
                Err(trouble) => untold.push(never(&person.id, &trouble)),
            }
        }
        if let ChannelKind::Slack { conversation: Some(conversation) } = &messages.channel.kind {
            places.insert(conversation.clone(), Whose::Channel);
        }
        let mut failed = None;
        for (conversation, whose) in places {
            let place = messages.place(&conversation);
            let there = copies.iter().find(|copy| copy.place == place);
            let Err(trouble) = self.bring(messages, &conversation, there).await? else { continue };
            match whose {
                _ if trouble.is_general() => return Ok(Err(trouble)),
                Whose::Channel => failed = Some(trouble),
                Whose::Person(person) => untold.push(never(person, &trouble)),
                Whose::Past => {
                    tracing::warn!(conversation, why = trouble.why, "a message in Slack stays as it is");
                }
            }
        }
        let remark = untold.first().map(|first| match untold.len() {
            1 => first.clone(),
            count => format!("{count} people could not be told, the first: {first}"),
        });
        Ok(failed.map_or(Ok(remark), Err))
    }

    /// Sends a message about nothing, to the channel's own conversation; where it has none, asks
    /// Slack who we are.
    pub(super) async fn test_slack(&self, conversation: Option<&str>) -> Result<(), Undelivered> {
        let Some(slack) = &self.slack else { return Err(no_app()) };
        match conversation {
            Some(conversation) => slack.api.post(conversation, &test(), "test").await.map(drop)?,
            None => slack.api.whoami().await?,
        }
        Ok(())
    }

    /// Brings the message in one conversation up to date, or posts it.
    async fn bring(
        &self,
        messages: &Messages<'_>,
        conversation: &str,
        there: Option<&Copy>,
    ) -> Result<Result<(), Trouble>, Error> {
        let Messages { slack, channel, request, content, shows, .. } = messages;
        let ledger = self.lifecycle.ledger();
        let (place, carries) = (messages.place(conversation), messages.carries());
        let note = async |message: Option<String>, shows: Option<Digest>| {
            let copy = Copy { place: place.clone(), message, shows, noted_at: self.clock.now() };
            ledger.note_copy(&channel.name, &request.id, copy).await
        };
        let message = match there {
            Some(Copy { message: Some(_), shows: Some(before), .. }) if before == shows => {
                return Ok(Ok(()));
            }
            Some(Copy { message: Some(message), .. }) => Some(message.clone()),
            Some(Copy { message: None, noted_at, .. }) => {
                let tried = noted_at.as_second();
                let window = (tried - CLOCKS_APART, tried + CLOCKS_APART);
                match slack.api.find(conversation, &carries, window).await {
                    Ok(found) => found,
                    Err(trouble) => return Ok(Err(trouble)),
                }
            }
            None => None,
        };
        if message.is_none() {
            note(None, None).await?;
        }
        let told = match &message {
            Some(message) => slack.api.update(conversation, message, content).await.map(|()| message.clone()),
            None => slack.api.post(conversation, content, &carries).await,
        };
        match told {
            Ok(message) => note(Some(message), Some(*shows)).await?,
            // Somebody deleted it, or nothing was posted, and that is certain.
            Err(trouble)
                if trouble.code.is_some() && (message.is_none() || trouble.is("message_not_found")) =>
            {
                ledger.forget_copy(&channel.name, &request.id, &place).await?;
                return Ok(if message.is_none() { Err(trouble) } else { Ok(()) });
            }
            Err(trouble) => return Ok(Err(trouble)),
        }
        Ok(Ok(()))
    }
}

/// Who is told of a request alone: while it waits, who subscribed and can vote; then, the requester.
fn concerned<'a>(users: &'a [User], request: &Request, view: &RequestView) -> Vec<&'a User> {
    let decision = request.decision.as_deref().filter(|_| matches!(request.state, State::Pending));
    let Some(decision) = decision else {
        return users.iter().filter(|user| user.id == request.asked.requester).collect();
    };
    let ways = view.waiting.iter().flat_map(|waiting| &waiting.ways);
    let missing = ways.flat_map(|way| &way.missing);
    let able: Vec<&str> = missing.flat_map(|one| &one.people).map(String::as_str).collect();
    let wanted: Vec<_> = decision.waiting().iter().flat_map(|one| one.ways.iter().flatten()).collect();
    let hears = |user: &&User| {
        let of = |groups: &[String]| user.hears_of(groups);
        let by_name = |users: &[String]| users.iter().any(|one| one == user.id.as_str());
        able.contains(&user.id.as_str())
            && wanted.iter().any(|one| of(&one.people.groups) || (by_name(&one.people.users) && of(&[])))
    };
    users.iter().filter(hears).collect()
}

/// Whom a notice names, of those who subscribed.
fn named<'a>(users: &'a [User], notice: &Notice) -> Vec<&'a User> {
    let named = |user: &&User| notice.people.includes(&user.principal()) && user.hears_of(&[]);
    users.iter().filter(named).collect()
}

fn no_app() -> Undelivered {
    "this gateway has no app in Slack: set --slack-bot-token-file".to_owned().into()
}
