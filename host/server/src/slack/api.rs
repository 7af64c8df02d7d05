//! Asking Slack: the few methods of its [Web API] that are needed.
//!
//! [Web API]: https://docs.slack.dev/apis/web-api/

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, Url, header};
use serde_json::{Value, json};

use crate::agent::Secret;
use crate::outgoing;

const FORM: &str = "application/x-www-form-urlencoded";

/// How long Slack may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest answer: a page of a conversation's messages.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// How many messages of a conversation are asked for at once.
const HISTORY_PAGE: usize = 100;
/// How many pages of them are looked at.
const HISTORY_PAGES_MAX: usize = 20;
/// What our messages say of themselves to programs, and which is theirs of what it holds.
const METADATA: (&str, &str) = ("quorate_request", "copy");

/// What Slack says about the app or itself, and not about what it was asked for.
const GENERAL: [&str; 8] = [
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "missing_scope",
    "ratelimited",
    "service_unavailable",
];

/// Why Slack did not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// In words, without a token.
    pub why: String,
    /// What Slack calls it; none where it did not answer.
    pub code: Option<String>,
    /// How long it wants to be left alone, in seconds.
    pub retry_after: Option<u64>,
}

impl Trouble {
    fn silent(why: String) -> Self {
        Self { why, code: None, retry_after: None }
    }

    /// Whether this is what Slack calls it.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether it concerns everything that is asked of Slack now, and not one conversation.
    pub fn is_general(&self) -> bool {
        self.code.as_deref().is_none_or(|code| GENERAL.contains(&code) || code.ends_with("_error"))
    }

    /// Whether it may have been done all the same.
    pub fn is_uncertain(&self) -> bool {
        self.code.is_none() && self.retry_after.is_none()
    }
}

/// A message as Slack takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// For notifications, and where blocks cannot be shown.
    pub text: String,
    /// What is seen.
    pub blocks: Value,
}

/// Asks Slack, as the app that the tokens are of. Cheap to clone once it has asked.
pub struct Api {
    base: Url,
    token: Secret,
    client: OnceLock<Result<Client, String>>,
}

impl Api {
    /// `base` ends in a slash: `https://slack.com/api/`.
    pub fn new(base: Url, token: Secret) -> Self {
        Self { base, token, client: OnceLock::new() }
    }

    /// Whether Slack knows the app by its token.
    pub async fn whoami(&self) -> Result<(), Trouble> {
        self.ask("auth.test", &json!({})).await.map(drop)
    }

    /// The conversation of the app with one person.
    pub async fn open(&self, user: &str) -> Result<String, Trouble> {
        let answer = self.ask_form("conversations.open", &[("users", user)]).await?;
        text(&answer["channel"]["id"])
    }

    /// Posts a message, and says what it is called there. `copy` is how it is found again.
    pub async fn post(&self, place: &str, content: &Content, copy: &str) -> Result<String, Trouble> {
        let Content { text: summary, blocks } = content;
        let answer = self
            .ask(
                "chat.postMessage",
                &json!({
                    "channel": place,
                    "text": summary,
                    "blocks": blocks,
                    "metadata": { "event_type": METADATA.0, "event_payload": { METADATA.1: copy } },
                    "unfurl_links": false,
                    "unfurl_media": false,
                }),
            )
            .await?;
        text(&answer["ts"])
    }

    /// Has a message show something else.
    pub async fn update(&self, place: &str, message: &str, content: &Content) -> Result<(), Trouble> {
        let Content { text, blocks } = content;
        let body = json!({ "channel": place, "ts": message, "text": text, "blocks": blocks });
        self.ask("chat.update", &body).await.map(drop)
    }

    /// What a message is called that was posted as `copy` between the two times, in seconds since the
    /// Unix epoch; none where there is none.
    pub async fn find(
        &self,
        place: &str,
        copy: &str,
        (from, to): (i64, i64),
    ) -> Result<Option<String>, Trouble> {
        let (from, to, limit) = (from.to_string(), to.to_string(), HISTORY_PAGE.to_string());
        let mut cursor = String::new();
        for _ in 0..HISTORY_PAGES_MAX {
            let mut asked = vec![
                ("channel", place),
                ("oldest", from.as_str()),
                ("latest", to.as_str()),
                ("limit", limit.as_str()),
                ("include_all_metadata", "true"),
            ];
            if !cursor.is_empty() {
                asked.push(("cursor", cursor.as_str()));
            }
            let answer = self.ask_form("conversations.history", &asked).await?;
            let messages = answer["messages"].as_array().map_or(&[][..], Vec::as_slice);
            let ours = messages.iter().find(|message| {
                let metadata = &message["metadata"];
                metadata["event_type"] == METADATA.0 && metadata["event_payload"][METADATA.1] == copy
            });
            if let Some(ours) = ours {
                return text(&ours["ts"]).map(Some);
            }
            let next = answer["response_metadata"]["next_cursor"].as_str().unwrap_or_default();
            next.clone_into(&mut cursor);
            if cursor.is_empty() {
                return Ok(None);
            }
        }
        let why = format!("{place} has too many messages to look through");
        Err(Trouble { why, code: Some("too_many_messages".to_owned()), retry_after: None })
    }

    /// Tells one person something, in a conversation, where nobody else sees it.
    pub async fn whisper(&self, place: &str, user: &str, text: &str) -> Result<(), Trouble> {
        let body = json!({ "channel": place, "user": user, "text": text });
        self.ask("chat.postEphemeral", &body).await.map(drop)
    }

    /// Opens a form before whoever has just pressed a button.
    pub async fn open_form(&self, trigger: &str, form: &Value) -> Result<(), Trouble> {
        self.ask("views.open", &json!({ "trigger_id": trigger, "view": form })).await.map(drop)
    }

    /// An address for a socket, asked for with the app's own token. Whoever knows it is the app.
    pub async fn open_socket(&self, app_token: &Secret) -> Result<Secret, Trouble> {
        let request = self.request("apps.connections.open")?.bearer_auth(app_token.expose());
        let request = request.header(header::CONTENT_TYPE, FORM);
        let answer = self.answered(request).await?;
        text(&answer["url"]).map(Secret::new)
    }

    async fn ask(&self, method: &str, body: &Value) -> Result<Value, Trouble> {
        let request = self.request(method)?.bearer_auth(self.token.expose());
        let request = request.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        self.answered(request.body(body.to_string())).await
    }

    async fn ask_form(&self, method: &str, fields: &[(&str, &str)]) -> Result<Value, Trouble> {
        let request = self.request(method)?.bearer_auth(self.token.expose());
        let body = serde_urlencoded::to_string(fields).map_err(|error| Trouble::silent(error.to_string()))?;
        self.answered(request.header(header::CONTENT_TYPE, FORM).body(body)).await
    }

    fn request(&self, method: &str) -> Result<RequestBuilder, Trouble> {
        let client = self.client.get_or_init(|| outgoing::client(self.base.scheme() == "https"));
        let client = client.as_ref().map_err(|why| Trouble::silent(why.clone()))?;
        let url = self.base.join(method).map_err(|error| Trouble::silent(error.to_string()))?;
        Ok(client.post(url).timeout(PATIENCE))
    }

    async fn answered(&self, request: RequestBuilder) -> Result<Value, Trouble> {
        let unanswered = |why: outgoing::Unanswered| Trouble::silent(format!("Slack: {}", why.why));
        let response = request.send().await.map_err(|error| unanswered(outgoing::unanswered(&error)))?;
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|text| text.to_str().ok()?.trim().parse().ok());
        if status == StatusCode::TOO_MANY_REQUESTS {
            let why = "Slack wants to be asked less often".to_owned();
            return Err(Trouble { why, code: None, retry_after: retry_after.or(Some(1)) });
        }
        let body = outgoing::body(response, ANSWER_BYTES_MAX).await.map_err(unanswered)?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !status.is_success() || !answer["ok"].is_boolean() {
            return Err(Trouble::silent(format!("Slack answered {}", status.as_u16())));
        }
        if answer["ok"] == true {
            return Ok(answer);
        }
        let code = answer["error"].as_str().unwrap_or("unknown_error");
        let code: String = code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(80).collect();
        let why = match meaning(&code) {
            Some(meaning) => format!("Slack: {code}: {meaning}"),
            None => format!("Slack: {code}"),
        };
        Err(Trouble { why, code: Some(code), retry_after: None })
    }
}

/// What to do about what Slack says.
fn meaning(code: &str) -> Option<&'static str> {
    Some(match code {
        "not_in_channel" => "invite the app into the conversation",
        "channel_not_found" => "there is no such conversation, or the app is not in it",
        "is_archived" => "the conversation is archived",
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            "the token is not right"
        }
        "missing_scope" => "the app may not do this: install it again with the manifest",
        _ => return None,
    })
}

fn text(value: &Value) -> Result<String, Trouble> {
    let none = || Trouble::silent("Slack left out what it was asked for".to_owned());
    value.as_str().map(str::to_owned).ok_or_else(none)
}
