//! Tells notification channels what happened: at least once, in order per request, each channel
//! for itself, so that one that is down delays no request and no other channel.
//!
//! ```text
//! ledger ─→ queue (what this channel has to be told, and how far it was looked at)
//!        ─→ send ─→ note (delivered, or when to try again, or given up)
//! ```
//!
//! All of it is in the ledger's file, so a gateway that was killed between two of these goes on
//! where it was. Killed between sending and noting, it sends the same message with the same id
//! once more: that is how receivers know it.
//!
//! Not here: which channels there are (`lifecycle`), and what a message looks like (`webhook` and
//! the others; `told` is what those to people say).

mod backoff;
mod email;
mod post;
#[cfg(test)]
mod sample;
mod slack;
mod teams;
mod told;
mod webhook;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use quorate_core::Timestamp;
use quorate_core::channel::{Channel, ChannelKind, EventType};
use quorate_core::entry::Kind;
use quorate_core::ids::{ChannelName, RequestId};
use quorate_core::request::Request;
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

use self::post::Post;
use crate::clock::Clock;
use crate::config::Config;
use crate::ledger::{ChannelStatus, Delivery, EntryFilter, Failed, Order, Outcome, Sealed, Tried};
use crate::lifecycle::{Error, Lifecycle, RequestView};
use crate::mail::Server;
use crate::slack::Slack;

/// How many entries are looked at in one go.
const BATCH: usize = 500;
/// How many entries a channel can have been looked at without that being written down, where there
/// was nothing to tell it: after a start they are looked at once more.
const UNWRITTEN_MAX: u64 = 10_000;
/// How many messages are on their way to one channel at once, each about another request.
const AT_ONCE: usize = 8;
/// How long a channel's task rests after the gateway itself could not do something.
const REST: Duration = Duration::from_secs(1);

/// Why a message did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// In words, without the address, which may be a secret.
    pub why: String,
    /// How long the receiver wants to be left alone, in seconds.
    pub retry_after: Option<u64>,
    /// The receiver wants no more of it.
    pub gone: bool,
    /// It arrived at some of those it is for, and the others have to get it later.
    pub partly: bool,
}

/// What came of telling a channel: who was not told and never will be, or why it has to be tried again.
type Sent = Result<Option<String>, Undelivered>;

impl From<String> for Undelivered {
    fn from(why: String) -> Self {
        Self { why, retry_after: None, gone: false, partly: false }
    }
}

/// What a channel is told.
struct News {
    delivery: Delivery,
    /// The entry that it is about.
    sealed: Sealed,
    /// The request, as it is now.
    request: Request,
    /// The same, as people see it.
    view: RequestView,
}

/// What tells channels. Cheap to clone.
#[derive(Clone)]
pub struct Notifier {
    lifecycle: Lifecycle,
    clock: Clock,
    slack: Option<Arc<Slack>>,
    post: Arc<Post>,
    mail: Option<Arc<Server>>,
    /// Told when something is due that no entry says.
    woken: watch::Sender<()>,
}

impl Notifier {
    /// What tells the channels of a gateway that runs with `config`.
    pub fn new(lifecycle: Lifecycle, clock: Clock, slack: Option<Arc<Slack>>, config: &Config) -> Self {
        let mail = config.mail.clone().map(|declared| Arc::new(Server::new(declared)));
        let post = Arc::new(Post::new(config.notify_own_network));
        Self { lifecycle, clock, slack, post, mail, woken: watch::Sender::default() }
    }

    /// Tells every channel what it has to be told. Runs for ever.
    pub async fn run(self) {
        let mut head = self.lifecycle.ledger().head();
        let (mut tasks, mut names) = (JoinSet::new(), Vec::<(Id, ChannelName)>::new());
        loop {
            head.borrow_and_update();
            match self.lifecycle.ledger().channels() {
                Ok(channels) => {
                    let running: BTreeSet<_> = names.iter().map(|(_, name)| name.clone()).collect();
                    for channel in channels.into_iter().filter(|one| !running.contains(&one.name)) {
                        let task = tasks.spawn(self.clone().follow(channel.name.clone()));
                        names.push((task.id(), channel.name));
                    }
                }
                Err(error) => tracing::error!(%error, "the channels cannot be read; it is tried again"),
            }
            tokio::select! {
                changed = head.changed() => if changed.is_err() { return },
                Some(ended) = tasks.join_next_with_id() => {
                    // A panic was logged where it happened; the channel gets another task.
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    names.retain(|(one, _)| *one != id);
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    /// Tells one channel, until it is removed.
    async fn follow(self, name: ChannelName) {
        let (mut head, mut woken) = (self.lifecycle.ledger().head(), self.woken.subscribe());
        let mut looked = 0;
        loop {
            head.borrow_and_update();
            woken.borrow_and_update();
            let next = match self.turn(&name, &mut looked).await {
                Ok(Turn::Gone) => return,
                Ok(Turn::Until(next)) => next,
                Err(error) => {
                    tracing::error!(%error, channel = %name, "a channel cannot be told; it is tried again");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            let due = async {
                match next {
                    Some(at) => self.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                _ = woken.changed() => {}
                changed = head.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Queues what is new, and sends what is due, until nothing is.
    async fn turn(&self, name: &ChannelName, looked: &mut u64) -> Result<Turn, Error> {
        loop {
            let ledger = self.lifecycle.ledger();
            // Before the channel is read: whatever stands up to there is told as the channel is now.
            let head = *ledger.head().borrow();
            let Some((channel, status)) = ledger.channel(name)?.zip(ledger.channel_status(name)?) else {
                return Ok(Turn::Gone);
            };
            *looked = self.queue(&channel, status.position, *looked, head).await?;
            let now = self.clock.now();
            if let Some(retry_at) = status.retry_at.filter(|at| *at > now) {
                return Ok(Turn::Until(Some(retry_at)));
            }
            // One goes ahead to see whether the others can follow.
            let most = if status.failures > 0 { 1 } else { AT_ONCE };
            let due = ledger.due_deliveries(name, now, most)?;
            if due.is_empty() {
                if let (ChannelKind::Email { .. }, Some(mail)) = (&channel.kind, &self.mail) {
                    mail.leave();
                }
                return Ok(Turn::Until(ledger.next_delivery(name)?.filter(|next| *next > now)));
            }
            let tried = join_all(due.iter().map(|one| self.deliver(&channel, &status, one))).await;
            let tried = tried.into_iter().collect::<Result<Vec<_>, _>>()?;
            ledger.note_deliveries(name, tried, self.clock.now()).await?;
        }
    }

    /// Looks at what was appended after entry `looked`, or after the written `position`, up to
    /// `head`, and says up to where it has looked.
    async fn queue(
        &self,
        channel: &Channel,
        mut position: u64,
        looked: u64,
        head: u64,
    ) -> Result<u64, Error> {
        let ledger = self.lifecycle.ledger();
        let mut looked = looked.max(position);
        loop {
            let filter = EntryFilter {
                after_seq: Some(looked),
                before_seq: Some(head + 1),
                kind: Some(Kind::Request),
                ..EntryFilter::default()
            };
            let entries = ledger.entries(&filter, BATCH, Order::OldestFirst)?;
            let to = match entries.last() {
                Some(last) if entries.len() == BATCH => last.seq,
                _ => head,
            };
            if to <= looked {
                return Ok(looked);
            }
            let mut found = Vec::new();
            for sealed in &entries {
                if let Some((event, request)) = self.hears(channel, sealed)? {
                    found.push((sealed.seq, event, request));
                }
            }
            looked = to;
            if !found.is_empty() || to - position >= UNWRITTEN_MAX {
                let now = self.clock.now();
                if !ledger.queue_deliveries(&channel.name, (position, to), found, now).await? {
                    // Somebody else wrote further, or the channel is a new one of that name.
                    return Ok(0);
                }
                position = to;
            }
        }
    }

    /// What a channel is told of by this entry, and about which request; none where it is not.
    fn hears(&self, channel: &Channel, sealed: &Sealed) -> Result<Option<(EventType, RequestId)>, Error> {
        let ledger = self.lifecycle.ledger();
        let Some(event) = EventType::of(&sealed.entry.happened) else { return Ok(None) };
        let Ok(id) = sealed.entry.stream.name().parse::<RequestId>() else { return Ok(None) };
        let Some(request) = ledger.request(&id)? else { return Ok(None) };
        let resource = ledger.resource(&request.asked.resource)?;
        Ok(channel.hears(event, &request, resource.as_ref()).then_some((event, id)))
    }

    async fn deliver(
        &self,
        channel: &Channel,
        status: &ChannelStatus,
        delivery: &Delivery,
    ) -> Result<Tried, Error> {
        let sent = match self.news(delivery)? {
            Some(news) => self.tell(channel, &news).await?,
            None => Err("what it was about is not in the ledger".to_owned().into()),
        };
        let now = self.clock.now();
        let failed = |undelivered| {
            let Undelivered { why, retry_after, gone, partly } = undelivered;
            tracing::warn!(channel = %channel.name, entry = delivery.entry, why, "a message did not arrive");
            let rest = backoff::rest(status.failures, retry_after, jitter());
            let next = backoff::next(delivery, now, retry_after, jitter()).filter(|_| !gone);
            if partly {
                return Outcome::Partly { why, next };
            }
            Outcome::Failed(Failed { why, next, rest_until: backoff::at(now, rest) })
        };
        let outcome = sent.map_or_else(failed, |remark| Outcome::Told { remark });
        Ok(Tried { entry: delivery.entry, outcome })
    }

    /// Tells a channel in its own way.
    async fn tell(&self, channel: &Channel, news: &News) -> Result<Sent, Error> {
        match &channel.kind {
            ChannelKind::Webhook { .. } => {
                let message = webhook::Message::about(news).map_err(anyhow::Error::new)?;
                Ok(self.post_webhook(&channel.name, message).await?.map(|()| None))
            }
            ChannelKind::Slack { .. } => self.tell_slack(channel, news).await,
            ChannelKind::Email { to } => email::tell(self, &channel.name, to, news).await,
            ChannelKind::Teams { .. } => Ok(teams::tell(self, &channel.name, news).await?.map(|()| None)),
        }
    }

    async fn post_webhook(
        &self,
        name: &ChannelName,
        message: webhook::Message,
    ) -> Result<Result<(), Undelivered>, Error> {
        let now = self.clock.now();
        let (headers, body) = match message.signed(&self.lifecycle.channel_keys(name)?, now) {
            Ok(signed) => signed,
            Err(why) => return Ok(Err(why.into())),
        };
        Ok(self.post.send(&self.lifecycle.channel_address(name)?, headers, body, now).await)
    }

    /// What a channel is told of an entry.
    fn news(&self, delivery: &Delivery) -> Result<Option<News>, Error> {
        let ledger = self.lifecycle.ledger();
        let filter =
            EntryFilter { after_seq: Some(delivery.entry.saturating_sub(1)), ..EntryFilter::default() };
        let found = ledger.entries(&filter, 1, Order::OldestFirst)?;
        let sealed = found.into_iter().find(|sealed| sealed.seq == delivery.entry);
        let Some((sealed, request)) = sealed.zip(ledger.request(&delivery.request)?) else { return Ok(None) };
        let view = self.lifecycle.view(&request)?;
        Ok(Some(News { delivery: delivery.clone(), sealed, request, view }))
    }

    /// Has a channel told of an entry as soon as it can be, also where it was told or that was given
    /// up. False where there is no such delivery.
    pub async fn deliver_again(&self, name: &ChannelName, entry: u64) -> Result<bool, Error> {
        let again = self.lifecycle.ledger().deliver_again(name, entry, self.clock.now()).await?;
        self.woken.send_replace(());
        Ok(again)
    }

    /// Sends a message that is about nothing, at once, and says what came of it. Where it arrived,
    /// what waits is sent at once too.
    pub async fn test(&self, name: &ChannelName) -> Result<Result<(), Undelivered>, Error> {
        let channel = self.lifecycle.ledger().channel(name)?;
        let gone = || Error::NotFound { what: "channel", name: name.to_string() };
        let sent = match channel.ok_or_else(gone)?.kind {
            ChannelKind::Webhook { .. } => {
                let message = webhook::Message::test(name, self.clock.now())?;
                self.post_webhook(name, message).await?
            }
            ChannelKind::Slack { conversation } => self.test_slack(conversation.as_deref()).await,
            ChannelKind::Email { to } => email::test(self, name, &to).await?,
            ChannelKind::Teams { .. } => teams::test(self, name).await?,
        };
        let error = sent.as_ref().err().map(|undelivered| undelivered.why.clone());
        self.lifecycle.ledger().note_test(name, error, self.clock.now()).await?;
        self.woken.send_replace(());
        Ok(sent)
    }
}

enum Turn {
    Gone,
    /// Nothing to do before then, unless something is appended.
    Until(Option<Timestamp>),
}

/// Between 0 and 1, so that not everybody comes back at the same time.
fn jitter() -> f64 {
    let bytes = crate::random::bytes::<4>().unwrap_or_default();
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}
