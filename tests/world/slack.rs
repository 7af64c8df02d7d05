//! Slack in this process, as its documentation describes it, and as strict as it: the Web API,
//! people who click, submit and type commands, Socket Mode, and the trouble it can make.
//!
//! Nothing in here knows how the gateway does its part. Where the documentation leaves
//! something open, this Slack refuses.

pub mod answers;
mod arguments;
mod blocks;
mod chat;
mod conversations;
mod line;
mod links;
mod payloads;
pub mod people;
pub mod sdk;
mod seen;
mod shapes;
mod socket;
mod trouble;
mod views;
mod web_api;
mod workspace;

use std::sync::{Arc, Mutex, MutexGuard};

use quorate::clock::Clock;
use quorate_core::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::line::{Line, Lines};
use self::workspace::Workspace;
use super::program::PATIENCE;

pub use self::trouble::{EVERY_METHOD, RESPONSE_URL};
pub use self::workspace::{Call, Ephemeral, Message, Version, View};

/// What the gateway calls the Web API with.
pub const BOT_TOKEN: &str = "xoxb-2147483647-3141592653-notARealBotToken";
/// What it opens a socket with.
pub const APP_TOKEN: &str = "xapp-1-A0QUORATE-3141592653-notARealAppToken";
/// What Slack signs with.
pub const SIGNING_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
pub const TEAM: &str = "T0QUORATE";
pub const APP: &str = "A0QUORATE";
/// Who the app is where it posts.
pub const BOT_USER: &str = "U0QUORATE";
pub const BOT: &str = "B0QUORATE";

#[derive(Clone)]
pub struct Slack {
    address: String,
    workspace: Arc<Mutex<Workspace>>,
    /// Told of everything that happens.
    changed: Arc<watch::Sender<()>>,
    http: reqwest::Client,
}

impl Slack {
    pub async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let workspace = Arc::new(Mutex::new(Workspace::new(format!("http://{address}"))));
        let slack = Self { address, workspace, changed: Arc::default(), http: super::client() };
        let router = web_api::router(slack.clone()).into_make_service_with_connect_info::<Line>();
        tokio::spawn(async move { axum::serve(Lines(listener), router).await.unwrap() });
        slack
    }

    /// Where its Web API is.
    pub fn api(&self) -> String {
        format!("http://{}/api/", self.address)
    }

    /// It is this time, and stays so.
    pub fn at(&self, now: Timestamp) {
        self.follow(Clock::manual(now).0);
    }

    /// It goes by this clock from now on, and not by the machine's.
    pub fn follow(&self, clock: Clock) {
        self.locked().clock = clock;
    }

    /// A public channel.
    pub fn conversation(&self, channel: &str, bot_is_member: bool) {
        self.locked().channel(channel, bot_is_member);
    }

    /// Somebody joins a channel.
    pub fn join(&self, channel: &str, user: &str) {
        self.locked().join(channel, user);
    }

    /// Somebody, or the app, leaves a channel.
    pub fn leave(&self, channel: &str, user: &str) {
        self.locked().leave(channel, user);
    }

    /// Nobody has this id.
    pub fn nobody(&self, user: &str) {
        self.locked().nobodies.insert(user.to_owned());
    }

    /// Somebody says something in a channel.
    pub fn says(&self, channel: &str, user: &str, text: &str) -> Message {
        let says = Version { text: text.to_owned(), blocks: Vec::new(), metadata: None };
        self.change(|workspace| workspace.post(channel, None, user, says))
    }

    /// What was posted in a channel, in order, as it is now.
    pub fn messages(&self, channel: &str) -> Vec<Message> {
        self.locked().messages(channel)
    }

    /// The same of what was said to somebody directly.
    pub fn direct(&self, user: &str) -> Vec<Message> {
        self.messages(&workspace::direct_channel(user))
    }

    /// What only one person was shown, and all answers to commands, in order.
    pub fn ephemerals(&self) -> Vec<Ephemeral> {
        self.locked().ephemerals.clone()
    }

    /// The modals that somebody has before them, the newest last.
    pub fn views(&self, user: &str) -> Vec<View> {
        let mut views = self.locked().views.clone();
        views.retain(|view| view.open && view.user == user);
        views
    }

    /// What was asked of the Web API, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.locked().calls.clone()
    }

    /// What the app did on a socket that it should not have.
    pub fn complaints(&self) -> Vec<String> {
        self.locked().complaints.clone()
    }

    /// Waits until `look` finds something.
    pub async fn until<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = look(self) {
                    return found;
                }
                changes.changed().await.unwrap();
            }
        });
        let Ok(found) = found.await else {
            panic!("{what}: not within {PATIENCE:?}; {}", self.locked().told())
        };
        found
    }

    /// Waits for a message in a channel of which this is true.
    pub async fn until_message(&self, channel: &str, what: &str, is: impl Fn(&Message) -> bool) -> Message {
        self.until(what, |slack| slack.messages(channel).into_iter().find(|message| is(message))).await
    }

    fn locked(&self) -> MutexGuard<'_, Workspace> {
        self.workspace.lock().unwrap()
    }

    /// Does something to the workspace, and tells whoever waits.
    fn change<T>(&self, work: impl FnOnce(&mut Workspace) -> T) -> T {
        let done = work(&mut self.locked());
        self.changed.send_replace(());
        done
    }
}

/// A form's body.
fn form(fields: &[(&str, &str)]) -> String {
    let url = reqwest::Url::parse_with_params("http://form", fields).unwrap();
    url.query().unwrap_or_default().to_owned()
}

/// The fields of a form's body.
fn fields(body: &str) -> Vec<(String, Value)> {
    let mut url = reqwest::Url::parse("http://form").unwrap();
    url.set_query(Some(body));
    url.query_pairs().map(|(name, value)| (name.into_owned(), Value::from(value.into_owned()))).collect()
}
