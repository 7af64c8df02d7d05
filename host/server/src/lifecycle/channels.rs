//! Notification channels: added, changed and removed, with their secrets.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use quorate_core::Timestamp;
use quorate_core::channel::{Channel, ChannelKind};
use quorate_core::entry::{Actor, Stream};
use quorate_core::ids::ChannelName;
use quorate_core::refused::Refused;
use quorate_core::request::after;
use reqwest::Url;

use super::{Error, Idempotency, Inner, Lifecycle, Plan, nothing_planned};
use crate::ledger::{Append, ChannelSecret, Side};
use crate::{outgoing, random};

/// How long a key is signed with beside the one that took its place, in hours.
pub const PREVIOUS_KEY_HOURS: u64 = 24;

/// How many keys at most are signed with beside the newest: more signatures fit into no header.
const PREVIOUS_KEYS_MAX: usize = 10;

/// What stands before a key, by the [Standard Webhooks] specification.
///
/// [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
const KEY_PREFIX: &str = "whsec_";

/// What a channel's messages are signed with, the newest first.
pub type ChannelKeys = Vec<Vec<u8>>;

/// A channel that was saved.
#[derive(Debug, Clone)]
pub struct SavedChannel {
    /// What it is now.
    pub channel: Channel,
    /// What its messages are signed with, where that is new: nobody is told again.
    pub key: Option<String>,
}

impl From<Channel> for SavedChannel {
    fn from(channel: Channel) -> Self {
        Self { channel, key: None }
    }
}

impl Lifecycle {
    /// Adds or changes a channel; what is as it was is not written again. `address` is where it
    /// delivers, for kinds that have one; none keeps what is there. What the channel says of its
    /// host is not looked at.
    pub async fn save_channel(
        &self,
        channel: Channel,
        address: Option<String>,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<SavedChannel, Error> {
        let answers = format!("channel/{}", channel.name);
        let signed_with = new_key()?;
        let (name, key) = (channel.name.clone(), key.map(|key| key.answering(answers)));
        let changed = self.change(key.clone(), move |inner, now| {
            inner.save_channel(channel.clone(), address.as_deref(), &signed_with, by.clone(), now)
        });
        if let Some(saved) = changed.await? {
            return Ok(saved);
        }
        if let Some(key) = key {
            self.0.ledger.remember(key, self.now()).await?;
        }
        Ok(SavedChannel { channel: self.0.channel(&name)?, key: None })
    }

    /// Gives a channel another key; the one before is used beside it for
    /// [`PREVIOUS_KEY_HOURS`].
    pub async fn rotate_channel_key(
        &self,
        name: &ChannelName,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<SavedChannel, Error> {
        let (name, fresh) = (name.clone(), new_key()?);
        self.change(key.map(|key| key.answering(format!("channel/{name}"))), move |inner, now| {
            let mut channel = inner.channel(&name)?;
            if !channel.kind.has_key() {
                let why = format!("messages of kind {} are not signed", channel.kind);
                return Err(Refused::Invalid { what: "key", why }.into());
            }
            let mut append = Append::from(channel.rotate(by.clone(), now));
            let side = |secret, value, expires_at| Side::ChannelSecret {
                channel: name.clone(),
                secret,
                value,
                expires_at,
            };
            let keys = inner.ledger.channel_keys(&name, now)?;
            if keys.len() > PREVIOUS_KEYS_MAX {
                let why = format!(
                    "{} keys are in use; each is for {PREVIOUS_KEY_HOURS} hours after another took its place",
                    keys.len()
                );
                return Err(Refused::Invalid { what: "key", why }.into());
            }
            if let Some(previous) = keys.into_iter().next() {
                let until = after(now, PREVIOUS_KEY_HOURS * 3600);
                let secret = ChannelSecret::PreviousKey(channel.revision);
                append.side.push(side(secret, previous, Some(until)));
            }
            append.side.push(side(ChannelSecret::Key, fresh.clone(), None));
            channel.revision += 1;
            Ok(Some(Plan::to(append, SavedChannel { channel, key: Some(fresh.clone()) })))
        })
        .await?
        .ok_or_else(nothing_planned)
    }

    /// Removes a channel that no resource names, with its secrets and everything that it had
    /// still to be told.
    pub async fn remove_channel(
        &self,
        name: &ChannelName,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<(), Error> {
        let name = name.clone();
        self.change(key.map(|key| key.answering(format!("channel/{name}"))), move |inner, now| {
            let resources = inner.ledger.resources()?;
            let user = resources.iter().find(|resource| resource.plugins.contains(name.as_str()));
            let user = user.map(|resource| resource.name.as_str());
            Ok(Some(Plan::to(inner.channel(&name)?.remove(user, by.clone(), now)?, ())))
        })
        .await
        .map(drop)
    }

    /// The address that a channel delivers to.
    pub fn channel_address(&self, name: &ChannelName) -> Result<String, Error> {
        let gone = || Error::NotFound { what: "channel", name: name.to_string() };
        self.ledger().channel_address(name)?.ok_or_else(gone)
    }

    /// What a channel signs with.
    pub fn channel_keys(&self, name: &ChannelName) -> Result<ChannelKeys, Error> {
        self.ledger().channel_keys(name, self.now())?.iter().map(|text| read_key(text)).collect()
    }
}

impl Inner {
    fn channel(&self, name: &ChannelName) -> Result<Channel, Error> {
        let found = self.ledger.channel(name)?;
        found.ok_or_else(|| Error::NotFound { what: "channel", name: name.to_string() })
    }

    /// Has a channel say its host, where it delivers to an address.
    fn locate(
        &self,
        channel: &mut Channel,
        address: Option<&str>,
        before: Option<&Channel>,
    ) -> Result<(), Refused> {
        let invalid = |why: &str| Refused::Invalid { what: "address", why: why.to_owned() };
        let kind = channel.kind.name();
        match (&mut channel.kind, address, before.map(|before| &before.kind)) {
            (ChannelKind::Webhook { host } | ChannelKind::Teams { host }, Some(address), _) => {
                let url = outgoing::address(address).and_then(|url| {
                    outgoing::allowed(&url, self.config.notify_own_network)?;
                    Ok(url)
                });
                *host = shown_host(&url.map_err(invalid)?);
            }
            (ChannelKind::Webhook { .. } | ChannelKind::Teams { .. }, None, None) => {
                return Err(invalid("give one: there is none to keep"));
            }
            (
                ChannelKind::Webhook { host } | ChannelKind::Teams { host },
                None,
                Some(ChannelKind::Webhook { host: before } | ChannelKind::Teams { host: before }),
            ) => host.clone_from(before),
            (_, Some(_), _) => return Err(invalid(&format!("a channel of kind {kind} has none"))),
            (_, None, _) => {}
        }
        Ok(())
    }

    fn save_channel(
        &self,
        mut channel: Channel,
        address: Option<&str>,
        fresh: &str,
        by: Actor,
        now: Timestamp,
    ) -> Result<Option<Plan<SavedChannel>>, Error> {
        let before = self.ledger.channel(&channel.name)?;
        if let Some(before) = before.as_ref().filter(|before| before.kind.name() != channel.kind.name()) {
            let why = format!("it is of kind {}: remove it and add another", before.kind);
            return Err(Refused::Invalid { what: "kind", why }.into());
        }
        if matches!(channel.kind, ChannelKind::Slack { .. }) && self.config.slack.is_none() {
            let why = "this gateway has no app in Slack: set --slack-bot-token-file, see docs/slack.md";
            return Err(Refused::Invalid { what: "kind", why: why.to_owned() }.into());
        }
        if matches!(channel.kind, ChannelKind::Email { .. }) && self.config.mail.is_none() {
            let why = "this gateway has no mail server: it takes --smtp-url and --mail-from".to_owned();
            return Err(Refused::Invalid { what: "kind", why }.into());
        }
        self.locate(&mut channel, address, before.as_ref())?;
        let rules = self.ledger.rules()?;
        let unknown = channel.rules.iter().find(|name| rules.iter().all(|rule| rule.name != **name));
        if let Some(before) = &before {
            let same = Channel { revision: before.revision, ..channel.clone() } == *before;
            let there = self.ledger.channel_address(&channel.name)?;
            if same && address.is_none_or(|address| there.as_deref() == Some(address.trim())) {
                return Ok(None);
            }
        }
        let revision = self.ledger.revision(&Stream::channel(&channel.name))?;
        let saved = Channel { revision: revision + 1, ..channel.clone() };
        let mut append = Append::from(channel.clone().save(revision, unknown, by, now)?);
        let key = (before.is_none() && saved.kind.has_key()).then(|| fresh.to_owned());
        let secrets =
            [(ChannelSecret::Address, address.map(str::trim)), (ChannelSecret::Key, key.as_deref())];
        append.side.extend(secrets.into_iter().filter_map(|(secret, value)| {
            let value = value?.to_owned();
            Some(Side::ChannelSecret { channel: saved.name.clone(), secret, value, expires_at: None })
        }));
        Ok(Some(Plan::to(append, SavedChannel { channel: saved, key })))
    }
}

/// The host and port of an address, as people may see it.
fn shown_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn new_key() -> Result<String, Error> {
    let bytes = random::bytes::<32>().map_err(anyhow::Error::new)?;
    Ok(format!("{KEY_PREFIX}{}", BASE64_STANDARD.encode(bytes)))
}

fn read_key(text: &str) -> Result<Vec<u8>, Error> {
    let bytes = text.strip_prefix(KEY_PREFIX).and_then(|text| BASE64_STANDARD.decode(text).ok());
    bytes.ok_or_else(|| anyhow::anyhow!("the key of a channel is not in the form that it was kept in").into())
}
