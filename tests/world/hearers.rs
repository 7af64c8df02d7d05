//! One of each kind that the gateway tells of requests: a conversation in Slack, a program, a
//! conversation in Teams, and somebody with an e-mail address.

use serde_json::{Value, json};

use super::postbox::Postbox;
use super::receiver::Receiver;
use super::slack::{Message, Slack};

/// The conversation in Slack.
pub const CONVERSATION: &str = "C0DBA";
/// Who is written to.
pub const WRITTEN_TO: &str = "dba@example.org";
/// The names of the channels.
pub const CHANNELS: [&str; 4] = ["slack", "pager", "teams", "post"];

/// Something that somebody was told: what, and of which request. Of a message that came twice both
/// have the same `id`, where its kind has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub request: String,
    pub what: String,
    pub id: String,
}

pub struct Hearers {
    pub slack: Slack,
    pub pager: Receiver,
    pub teams: Receiver,
    pub postbox: Postbox,
}

impl Hearers {
    /// Everybody can be reached, but for the mail server, which does not serve yet.
    pub async fn start() -> Self {
        let slack = Slack::start().await;
        slack.conversation(CONVERSATION, true);
        let (pager, teams) = (Receiver::start().await, Receiver::start().await);
        Self { slack, pager, teams, postbox: Postbox::down() }
    }

    /// The channels to them, each with its name, which hear of everything.
    pub fn channels(&self) -> [(&'static str, Value); 4] {
        let bodies = [
            json!({ "kind": "slack", "conversation": CONVERSATION }),
            json!({ "kind": "webhook", "address": self.pager.address }),
            json!({ "kind": "teams", "address": self.teams.address }),
            json!({ "kind": "email", "to": [WRITTEN_TO] }),
        ];
        let mut nth = 0;
        bodies.map(|mut body| {
            body["all_requests"] = json!(true);
            nth += 1;
            (CHANNELS[nth - 1], body)
        })
    }

    /// Nobody can be told, or everybody can again.
    pub async fn down(&mut self, down: bool) {
        self.slack.down(down);
        for receiver in [&self.pager, &self.teams] {
            receiver.answers(if down { 503 } else { 200 }, &[]);
        }
        match (down, self.postbox.serves()) {
            (true, true) => self.postbox.stop().await,
            (false, false) => self.postbox.serve().await,
            _ => {}
        }
    }

    /// Everybody but Slack takes what they are told and says nothing, or answers again.
    pub fn silent(&self, silent: bool) {
        self.pager.silent(silent);
        self.teams.silent(silent);
        self.postbox.set(&json!({ "silent": silent }));
    }

    /// What the program took, in order.
    pub fn by_webhook(&self) -> Vec<Heard> {
        let messages = self.pager.messages().into_iter().filter(|one| one.status == 200);
        let heard = messages.map(|message| {
            let (what, request) = message.event();
            Heard { request, what, id: message.header("webhook-id").to_owned() }
        });
        heard.collect()
    }

    /// The headlines of the cards that Teams took, in order.
    pub fn in_teams(&self) -> Vec<Heard> {
        let messages = self.teams.messages().into_iter().filter(|one| one.status == 200);
        let heard = messages.map(|message| {
            let card = &message.body()["attachments"][0]["content"];
            let what = card["body"][0]["inlines"][0]["text"].as_str().unwrap().to_owned();
            Heard {
                request: request_in(card["actions"][0]["url"].as_str().unwrap()),
                what,
                id: String::new(),
            }
        });
        heard.collect()
    }

    /// The first lines of the messages that the mail server took, in order.
    pub fn by_email(&self) -> Vec<Heard> {
        let heard = self.postbox.messages().into_iter().map(|message| {
            assert_eq!(message["to"], json!([WRITTEN_TO]));
            let (text, id) = (message["text"].as_str().unwrap(), message["id"].as_str().unwrap().to_owned());
            let what = text.lines().next().unwrap_or_default().to_owned();
            let link = text.lines().find(|line| line.starts_with("http")).unwrap();
            Heard { request: request_in(link), what, id }
        });
        heard.collect()
    }

    /// What Slack shows of each request.
    pub fn in_slack(&self) -> Vec<(String, Message)> {
        let request = |message: &Message| {
            let copy = &message.metadata.as_ref().unwrap()["event_payload"]["copy"];
            copy.as_str().unwrap().strip_prefix("slack/").unwrap().to_owned()
        };
        let messages = self.slack.messages(CONVERSATION).into_iter();
        messages.map(|message| (request(&message), message)).collect()
    }
}

/// The request to which a link leads.
fn request_in(link: &str) -> String {
    link.trim().rsplit('/').next().unwrap().to_owned()
}
