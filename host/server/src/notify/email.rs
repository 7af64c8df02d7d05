//! E-mail: to each person a message of their own, so that nobody sees whom else it went to.
//!
//! What the server took, or refused for good, is written down before the next message goes out:
//! killed in between, one person is told twice at most, under the same Message-ID.
//!
//! A policy that has people reminded says who they are, whatever else the channel would tell them.
//!
//! Further in: what a message says (`letter`), what it is on the way (`mime`).

mod letter;
mod mime;

use std::collections::BTreeSet;

use quorate_core::channel::{EventType, is_email};
use quorate_core::entry::{Happened, Stream};
use quorate_core::ids::{ChannelName, Digest, UserId};
use quorate_core::notice::Notice;
use quorate_core::user::User;

use self::letter::Letter;
use super::{News, Notifier, Sent, Undelivered};
use crate::ledger::{self, Became, EntryFilter, Ledger, Order, ReadError};
use crate::lifecycle::{Error, RequestView};
use crate::mail::{self, Server, Untaken};

/// Why nothing can be sent.
const NO_SERVER: &str = "this gateway has no mail server: it takes --smtp-url and --mail-from";
/// Why nobody is told.
const NOBODY: &str = "nobody it concerns has an e-mail address";

/// Tells everybody who was not told yet.
pub(super) async fn tell(
    notifier: &Notifier,
    channel: &ChannelName,
    to: &BTreeSet<String>,
    news: &News,
) -> Result<Sent, Error> {
    let Some(server) = &notifier.mail else { return Ok(Err(NO_SERVER.to_owned().into())) };
    let (ledger, entry) = (notifier.lifecycle.ledger(), news.delivery.entry);
    let recipients = if to.is_empty() { concerned(ledger, news)? } else { to.clone() };
    if recipients.is_empty() {
        if news.delivery.event == EventType::RequestSubmitted && waits(&news.view) {
            let nobody = ledger::Letter { to: String::new(), became: Became::Refused(NOBODY.to_owned()) };
            ledger.note_letter(channel, entry, nobody).await?;
        }
        return Ok(Ok(None));
    }
    let (letters, behind) = (ledger.letters(channel, entry)?, ledger.behind(&news.delivery)?);
    let is_done = |to: &&String| letters.get(*to).is_some_and(Option::is_none);
    let (late, mut left): (Vec<&String>, Vec<&String>) =
        recipients.iter().filter(|to| !is_done(to)).partition(|to| behind.contains_key(*to));
    // Whoever could not be told before comes last.
    left.sort_by_key(|to| letters.contains_key(*to));
    let mut deferred = Vec::new();
    for to in late {
        // What is earlier has to arrive first, and why it does not is why this does not.
        let why = behind[to].clone();
        deferred.push(format!("{to}: {why}"));
        let letter = ledger::Letter { to: to.clone(), became: Became::Deferred(why) };
        ledger.note_letter(channel, entry, letter).await?;
    }
    if left.is_empty() {
        return Ok(later(&deferred).map_or(Ok(None), Err));
    }
    let letter = match Letter::about(news, channel, first_digest(ledger, news)?) {
        Ok(letter) => letter,
        Err(error) => return Ok(Err(format!("the message cannot be written: {error}").into())),
    };
    hand_over(notifier, server, (channel, entry), &left, deferred, &letter).await
}

/// That somebody has to get it later, and why.
fn later(deferred: &[String]) -> Option<Undelivered> {
    let first = deferred.first()?;
    let why = match deferred.len() {
        1 => first.clone(),
        count => format!("{count} recipients could not be told yet, the first {first}"),
    };
    Some(Undelivered { partly: true, ..why.into() })
}

/// Sends a message about nothing: to whom the channel writes, else to whom its messages are from.
pub(super) async fn test(
    notifier: &Notifier,
    channel: &ChannelName,
    to: &BTreeSet<String>,
) -> Result<Result<(), Undelivered>, Error> {
    let Some(server) = &notifier.mail else { return Ok(Err(NO_SERVER.to_owned().into())) };
    let from = server.from().email.to_string();
    let to = if to.is_empty() { BTreeSet::from([from]) } else { to.clone() };
    let random = crate::random::bytes::<32>().map_err(anyhow::Error::new)?;
    let letter = match Letter::test(channel, Digest::of(&random)) {
        Ok(letter) => letter,
        Err(error) => return Ok(Err(format!("the message cannot be written: {error}").into())),
    };
    let mut connection = match server.connect().await {
        Ok(connection) => connection,
        Err(why) => return Ok(Err(why.into())),
    };
    let now = notifier.clock.now();
    for one in &to {
        let taken = match mail::address(one) {
            Ok(address) => connection.hand_over(&address, &letter.to(server.from(), one, now)).await,
            Err(error) => Err(Untaken::Refused(error.to_string())),
        };
        if let Err(
            Untaken::Refused(why) | Untaken::Deferred(why) | Untaken::Lost(why) | Untaken::Broken(why),
        ) = taken
        {
            return Ok(Err(format!("{one}: {why}").into()));
        }
    }
    connection.close().await;
    Ok(Ok(()))
}

/// Hands a message over for each of `left`, and writes down what became of it before the next.
async fn hand_over(
    notifier: &Notifier,
    server: &Server,
    (channel, entry): (&ChannelName, u64),
    left: &[&String],
    mut deferred: Vec<String>,
    letter: &Letter,
) -> Result<Sent, Error> {
    let mut connection = match server.connect().await {
        Ok(connection) => connection,
        Err(why) => return Ok(Err(why.into())),
    };
    let (ledger, now) = (notifier.lifecycle.ledger(), notifier.clock.now());
    for (nth, &to) in left.iter().enumerate() {
        let taken = match mail::address(to) {
            Ok(address) => connection.hand_over(&address, &letter.to(server.from(), to, now)).await,
            Err(error) => Err(Untaken::Refused(error.to_string())),
        };
        let became = match taken {
            Ok(()) => Became::Taken,
            Err(Untaken::Refused(why)) => {
                tracing::warn!(%channel, entry, why, "a recipient of e-mail was refused");
                Became::Refused(why)
            }
            // The others may be told all the same.
            Err(Untaken::Deferred(why)) => {
                deferred.push(format!("{to}: {why}"));
                Became::Deferred(why)
            }
            // It may be about this one: the others come first the next time.
            Err(Untaken::Lost(why)) => {
                deferred.push(format!("{to}: {why}"));
                let became = Became::Deferred(why.clone());
                ledger.note_letter(channel, entry, ledger::Letter { to: to.clone(), became }).await?;
                let was_last = nth + 1 == left.len();
                return Ok(later(&deferred).filter(|_| was_last).map_or(Err(why.into()), Err));
            }
            Err(Untaken::Broken(why)) => return Ok(Err(why.into())),
        };
        ledger.note_letter(channel, entry, ledger::Letter { to: to.clone(), became }).await?;
    }
    connection.keep().await;
    Ok(later(&deferred).map_or(Ok(None), Err))
}

/// The addresses of those whom it concerns: whom a policy has reminded; otherwise who can vote while
/// it waits, and then who asked and who voted.
fn concerned(ledger: &Ledger, news: &News) -> Result<BTreeSet<String>, ReadError> {
    let request = &news.view;
    if let Happened::RequestReminded { notice: Notice { people, .. } } = &news.sealed.entry.happened
        && !people.is_empty()
    {
        let reminded = ledger.users()?.into_iter().filter(|user| people.includes(&user.principal()));
        return Ok(reminded.filter_map(reached).collect());
    }
    let people: BTreeSet<&String> = match (waits(request), opens(news.delivery.event)) {
        (true, _) => {
            let ways = request.waiting.iter().flat_map(|waiting| &waiting.ways);
            ways.flat_map(|way| &way.missing).flat_map(|missing| &missing.people).collect()
        }
        // What came of it is another message.
        (false, true) => BTreeSet::new(),
        (false, false) => {
            let voters = request.votes.iter().map(|vote| &vote.voter);
            std::iter::once(&request.requester).chain(voters).collect()
        }
    };
    let mut addresses = BTreeSet::new();
    for person in people {
        let Ok(id) = person.parse::<UserId>() else { continue };
        addresses.extend(ledger.user(&id)?.and_then(reached));
    }
    Ok(addresses)
}

/// Where somebody can be written to.
fn reached(user: User) -> Option<String> {
    Some(user.profile)
        .filter(|profile| profile.active && is_email(&profile.email))
        .map(|profile| profile.email)
}

/// What is of use to people only while a request waits.
fn opens(event: EventType) -> bool {
    matches!(
        event,
        EventType::RequestSubmitted
            | EventType::RequestDecided
            | EventType::VoteCast
            | EventType::RequestReminded
    )
}

fn waits(request: &RequestView) -> bool {
    request.state == "PENDING"
}

/// The digest of the entry with which the request began: the messages about it are one thread.
fn first_digest(ledger: &Ledger, news: &News) -> Result<Digest, ReadError> {
    let stream = Some(Stream::request(&news.delivery.request));
    let filter = EntryFilter { stream, ..EntryFilter::default() };
    let first = ledger.entries(&filter, 1, Order::OldestFirst)?.into_iter().next();
    Ok(first.map_or(news.sealed.digest, |first| first.digest))
}
