//! Slack: what the gateway asks it, what it sends, and what a message there shows.
//!
//! ```text
//! buttons, forms, commands ─→ http (signed) or socket ─→ act ─→ lifecycle, as from any page
//! ledger ─→ notify ─→ message ─→ api ─→ copies of it in conversations
//! ```
//!
//! Whoever acts in Slack is somebody here because they opened a link while signed in (`link`), and
//! for no other reason: a name or an e-mail address in Slack says nothing.
//!
//! Not here: when messages are posted and brought up to date (`notify`).

mod act;
mod api;
mod http;
mod link;
mod message;
mod settings;
mod signature;
mod socket;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use quorate_core::Timestamp;
use quorate_core::user::SlackUser;

pub use self::api::{Api, Content, Trouble};
pub use self::http::router;
pub use self::link::{Links, Said};
pub use self::message::{content, reminder, test};
pub use self::settings::{Declared, Settings, resolve};
pub use self::socket::run;
use crate::agent::Secret;
use crate::random::{self, NoRandomness};

/// Our app in a workspace.
pub struct Slack {
    /// Asks it.
    pub api: Api,
    /// What links say.
    pub links: Links,
    /// What Slack signs with what it sends; none: it sends nothing but over a socket.
    signing_secret: Option<Secret>,
    /// What a socket is asked for with; none: there is none.
    app_token: Option<Secret>,
    /// The conversations with people that were asked for.
    conversations: Mutex<HashMap<String, String>>,
}

impl Slack {
    /// The app that was declared.
    pub fn new(declared: Declared) -> Result<Self, NoRandomness> {
        let Declared { api, bot_token, signing_secret, app_token } = declared;
        Ok(Self {
            api: Api::new(api, bot_token),
            links: Links::new(random::bytes()?),
            signing_secret,
            app_token,
            conversations: Mutex::default(),
        })
    }

    /// Whether Slack sends things over a connection that the gateway opens.
    pub fn has_socket(&self) -> bool {
        self.app_token.is_some()
    }

    /// The conversation with one person alone.
    pub async fn conversation_with(&self, slack: &SlackUser) -> Result<String, Trouble> {
        let known = || self.conversations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(conversation) = known().get(&slack.id) {
            return Ok(conversation.clone());
        }
        let conversation = self.api.open(&slack.id).await?;
        known().insert(slack.id.clone(), conversation.clone());
        Ok(conversation)
    }

    /// Tells one person something where nobody else sees it. `text` has nothing in it that Slack
    /// could take for more.
    async fn whisper(&self, place: &str, user: &str, text: &str) {
        if let Err(trouble) = self.api.whisper(place, user, text).await {
            tracing::warn!(why = trouble.why, "somebody in Slack was not told why nothing was done");
        }
    }

    /// Where somebody says that they are this person in Slack.
    fn link(&self, gateway: &str, slack: &SlackUser, name: &str, now: Timestamp) -> String {
        let said = self.links.make(slack, name, now);
        let query = serde_urlencoded::to_string(&said).unwrap_or_default();
        format!("{gateway}/account/slack?{query}")
    }
}
