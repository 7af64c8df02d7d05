//! What a workspace of Slack holds: channels, people, messages and modals.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use quorate::clock::Clock;
use quorate_core::Timestamp;
use serde_json::Value;

use super::BOT_USER;
use super::arguments::Refusal;
use super::links::Links;
use super::seen::seen;
use super::trouble::Trouble;

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub text: String,
    /// As they were sent.
    pub blocks: Vec<Value>,
    pub metadata: Option<Value>,
}

#[derive(Debug, Clone)]
pub struct Message {
    pub channel: String,
    pub ts: String,
    pub thread_ts: Option<String>,
    /// Who posted it: the app, or a person.
    pub author: String,
    pub text: String,
    pub blocks: Vec<Value>,
    pub metadata: Option<Value>,
    /// What it said before, the oldest first.
    pub earlier: Vec<Version>,
}

impl Message {
    /// How often it was changed.
    pub fn edits(&self) -> usize {
        self.earlier.len()
    }

    /// All text of it, as a person sees it.
    pub fn seen(&self) -> String {
        seen(&self.text, &self.blocks)
    }

    /// It says something else now.
    pub(super) fn change(&mut self, to: Version) {
        let text = std::mem::replace(&mut self.text, to.text);
        let blocks = std::mem::replace(&mut self.blocks, to.blocks);
        let metadata = std::mem::replace(&mut self.metadata, to.metadata);
        self.earlier.push(Version { text, blocks, metadata });
    }
}

/// What only one person was shown; or a command's answer, which may be for everybody.
#[derive(Debug, Clone)]
pub struct Ephemeral {
    pub channel: String,
    pub user: String,
    pub ts: String,
    pub thread_ts: Option<String>,
    pub text: String,
    pub blocks: Vec<Value>,
    /// `ephemeral` or `in_channel`.
    pub response_type: String,
    /// It took the place of what was clicked.
    pub replace_original: bool,
}

impl Ephemeral {
    /// All text of it, as a person sees it.
    pub fn seen(&self) -> String {
        seen(&self.text, &self.blocks)
    }
}

/// A modal that was opened.
#[derive(Debug, Clone)]
pub struct View {
    pub id: String,
    pub user: String,
    pub hash: String,
    /// As it was sent.
    pub given: Value,
    pub open: bool,
    /// What the app said was wrong with the last submission, by block.
    pub errors: Value,
}

/// What was asked of the Web API, and how it ended.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    pub arguments: Value,
    pub status: u16,
    pub answer: Value,
}

/// What lets an app open a modal, or answer later.
#[derive(Debug, Clone)]
pub(super) struct Trigger {
    pub user: String,
    pub made: Timestamp,
    pub used: bool,
}

/// Where an app can answer later.
#[derive(Debug, Clone)]
pub(super) struct Later {
    pub channel: String,
    pub user: String,
    /// The message that was clicked.
    pub clicked: Option<String>,
    pub made: Timestamp,
    pub uses: u32,
}

struct Channel {
    members: BTreeSet<String>,
    messages: Vec<Message>,
}

pub(super) struct Workspace {
    /// Where this Slack is.
    pub address: String,
    pub clock: Clock,
    channels: BTreeMap<String, Channel>,
    pub nobodies: BTreeSet<String>,
    pub ephemerals: Vec<Ephemeral>,
    pub views: Vec<View>,
    pub triggers: BTreeMap<String, Trigger>,
    pub later: BTreeMap<String, Later>,
    pub calls: Vec<Call>,
    pub trouble: Trouble,
    pub links: Links,
    pub complaints: Vec<String>,
    last_ts: i64,
    counted: u64,
}

impl Workspace {
    pub fn new(address: String) -> Self {
        Self {
            address,
            clock: Clock::system(),
            channels: BTreeMap::new(),
            nobodies: BTreeSet::new(),
            ephemerals: Vec::new(),
            views: Vec::new(),
            triggers: BTreeMap::new(),
            later: BTreeMap::new(),
            calls: Vec::new(),
            trouble: Trouble::default(),
            links: Links::default(),
            complaints: Vec::new(),
            last_ts: 0,
            counted: 0,
        }
    }

    /// The time since something.
    pub fn since(&self, then: Timestamp) -> SignedDuration {
        self.clock.now().duration_since(then)
    }

    /// A time that nothing else has.
    pub fn ts(&mut self) -> String {
        self.last_ts = self.clock.now().as_microsecond().max(self.last_ts + 1);
        format!("{}.{:06}", self.last_ts / 1_000_000, self.last_ts % 1_000_000)
    }

    /// A number that nothing else has.
    pub fn next(&mut self) -> u64 {
        self.counted += 1;
        self.counted
    }

    pub fn channel(&mut self, id: &str, bot_is_member: bool) {
        assert!(id.starts_with('C'), "a public channel's id begins with C: {id}");
        let members = if bot_is_member { BTreeSet::from([BOT_USER.to_owned()]) } else { BTreeSet::new() };
        let made = self.channels.insert(id.to_owned(), Channel { members, messages: Vec::new() });
        assert!(made.is_none(), "{id} is there already");
    }

    /// The channel in which the app and somebody talk, and whether it was there already.
    pub fn open_direct(&mut self, user: &str) -> (String, bool) {
        let id = direct_channel(user);
        let there = self.channels.contains_key(&id);
        let members = BTreeSet::from([BOT_USER.to_owned(), user.to_owned()]);
        self.channels.entry(id.clone()).or_insert(Channel { members, messages: Vec::new() });
        (id, there)
    }

    pub fn join(&mut self, channel: &str, user: &str) {
        self.get(channel).unwrap().members.insert(user.to_owned());
    }

    pub fn leave(&mut self, channel: &str, user: &str) {
        self.get(channel).unwrap().members.remove(user);
    }

    pub fn has_member(&self, channel: &str, user: &str) -> bool {
        self.channels.get(channel).is_some_and(|channel| channel.members.contains(user))
    }

    pub fn knows(&self, channel: &str) -> bool {
        self.channels.contains_key(channel)
    }

    /// Whether somebody has this id: everybody whom nobody said not to be there.
    pub fn is_user(&self, id: &str) -> bool {
        let shaped = id.starts_with(['U', 'W']) && id.len() > 2;
        let letters = id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        shaped && letters && id != BOT_USER && !self.nobodies.contains(id)
    }

    /// Demands that the app is in this channel.
    pub fn bot_in(&self, channel: &str) -> Result<(), Refusal> {
        match self.channels.get(channel) {
            None => Err(Refusal::of("channel_not_found")),
            Some(channel) if !channel.members.contains(BOT_USER) => Err(Refusal::of("not_in_channel")),
            Some(_) => Ok(()),
        }
    }

    pub fn messages(&self, channel: &str) -> Vec<Message> {
        self.channels.get(channel).map(|channel| channel.messages.clone()).unwrap_or_default()
    }

    pub fn message(&mut self, channel: &str, ts: &str) -> Option<&mut Message> {
        self.get(channel)?.messages.iter_mut().find(|message| message.ts == ts)
    }

    pub fn delete(&mut self, channel: &str, ts: &str) {
        self.get(channel).unwrap().messages.retain(|message| message.ts != ts);
    }

    pub fn post(&mut self, channel: &str, thread_ts: Option<String>, author: &str, says: Version) -> Message {
        let ts = self.ts();
        let message = Message {
            channel: channel.to_owned(),
            ts,
            thread_ts,
            author: author.to_owned(),
            text: says.text,
            blocks: says.blocks,
            metadata: says.metadata,
            earlier: Vec::new(),
        };
        self.get(channel).unwrap().messages.push(message.clone());
        message
    }

    /// What there is to know where somebody waited in vain.
    pub fn told(&self) -> String {
        let posted: Vec<&Message> = self.channels.values().flat_map(|channel| &channel.messages).collect();
        let calls: Vec<String> = self
            .calls
            .iter()
            .map(|call| format!("{} {} {}", call.method, call.status, call.answer))
            .collect();
        format!("posted: {posted:#?}, shown: {:#?}, calls: {calls:#?}", self.ephemerals)
    }

    fn get(&mut self, channel: &str) -> Option<&mut Channel> {
        self.channels.get_mut(channel)
    }
}

/// The channel in which the app and somebody talk.
pub(super) fn direct_channel(user: &str) -> String {
    format!("D{}", &user[1..])
}
