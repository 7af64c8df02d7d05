//! What an app answers to something that somebody did, at once or later, and what Slack makes
//! of it.

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::line::Line;
use super::people::Interaction;
use super::trouble::{Fate, RESPONSE_URL};
use super::workspace::{Ephemeral, Later, Version, Workspace};
use super::{Slack, blocks};

const LATER_USES_MAX: u32 = 5;
const LATER: SignedDuration = SignedDuration::from_mins(30);

/// What the app answered.
#[derive(Debug, Clone)]
pub struct Answered {
    pub status: u16,
    /// Its content type.
    pub kind: String,
    pub body: String,
}

impl Answered {
    /// The body as JSON; null where there is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        assert!(self.kind.starts_with("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A message that answers.
struct Reply {
    says: Version,
    everybody: bool,
    replace: bool,
    delete: bool,
    thread_ts: Option<String>,
}

impl Workspace {
    /// Takes an answer, and demands that it is a good one.
    pub fn answered(&mut self, interaction: &Interaction, answered: &Answered) {
        let payload = &interaction.payload;
        match payload["type"].as_str() {
            // Nothing is looked at but the status.
            Some("block_actions") => {}
            Some("view_submission") => {
                let answer = answered.json();
                let faults = response_action(&payload["view"], &answer);
                assert!(faults.is_empty(), "{faults:#?} in {answer:#}");
                self.submitted(payload["view"]["id"].as_str().unwrap(), &answer);
            }
            _ if answered.body.is_empty() => {}
            _ => {
                let reply = Reply::read(&answered.json())
                    .unwrap_or_else(|faults| panic!("{faults:#?} in {answered:?}"));
                let text = |field: &str| payload[field].as_str().unwrap().to_owned();
                self.reply(text("channel_id"), text("user_id"), None, reply);
            }
        }
    }

    fn reply(&mut self, channel: String, user: String, clicked: Option<&str>, reply: Reply) {
        let Reply { says, everybody, replace, delete, thread_ts } = reply;
        if let Some(ts) = clicked
            && (replace || delete)
        {
            match self.message(&channel, ts) {
                Some(_) if delete => self.delete(&channel, ts),
                Some(message) => message.change(says),
                None => {}
            }
            return;
        }
        let ts = self.ts();
        let response_type = if everybody { "in_channel" } else { "ephemeral" }.to_owned();
        let Version { text, blocks, .. } = says;
        let shown = Ephemeral {
            channel,
            user,
            ts,
            thread_ts,
            text,
            blocks,
            response_type,
            replace_original: replace || delete,
        };
        self.ephemerals.push(shown);
    }

    /// Takes what is said at an address that was given for later.
    fn take_later(&mut self, id: &str, body: &[u8]) -> Result<(), (StatusCode, String)> {
        let bad = |text: String| (StatusCode::BAD_REQUEST, text);
        let body = serde_json::from_slice(body).map_err(|_| bad("invalid_payload".to_owned()))?;
        let reply = Reply::read(&body).map_err(|faults| bad(faults.join("; ")))?;
        let used = self.use_later(id);
        let Later { channel, user, clicked, .. } =
            used.map_err(|error| (StatusCode::NOT_FOUND, error.to_owned()))?;
        self.reply(channel, user, clicked.as_deref(), reply);
        Ok(())
    }

    /// Uses an address that was given for later.
    fn use_later(&mut self, id: &str) -> Result<Later, &'static str> {
        let made = self.later.get(id).ok_or("no_such_url")?.made;
        if self.since(made) > LATER {
            return Err("expired_url");
        }
        let later = self.later.get_mut(id).unwrap();
        if later.uses >= LATER_USES_MAX {
            return Err("used_url");
        }
        later.uses += 1;
        Ok(later.clone())
    }
}

impl Reply {
    fn read(body: &Value) -> Result<Self, Vec<String>> {
        let object = body.as_object().ok_or_else(|| vec!["invalid_payload".to_owned()])?;
        let known = ["response_type", "text", "blocks", "replace_original", "delete_original", "thread_ts"];
        let unknown = object.keys().filter(|name| !known.contains(&name.as_str()));
        let mut faults: Vec<String> = unknown.map(|name| format!("no such field: {name}")).collect();
        let blocks = object.get("blocks").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        faults.extend(blocks::message(&blocks));
        let text = |name: &str, faults: &mut Vec<String>| match object.get(name) {
            None => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => {
                faults.push(format!("{name} must be a string"));
                None
            }
        };
        let said = text("text", &mut faults).unwrap_or_default();
        let thread_ts = text("thread_ts", &mut faults);
        let everybody = match object.get("response_type").map(Value::as_str) {
            None | Some(Some("ephemeral")) => false,
            Some(Some("in_channel")) => true,
            Some(_) => {
                faults.push("response_type must be ephemeral or in_channel".to_owned());
                false
            }
        };
        let replace = flag(object, "replace_original", &mut faults);
        let delete = flag(object, "delete_original", &mut faults);
        let blocks = blocks.as_array().cloned().unwrap_or_default();
        if said.is_empty() && blocks.is_empty() && !delete {
            faults.push("no_text".to_owned());
        }
        if said.chars().count() > 40_000 {
            faults.push("msg_too_long".to_owned());
        }
        let says = Version { text: said, blocks, metadata: None };
        if faults.is_empty() { Ok(Self { says, everybody, replace, delete, thread_ts }) } else { Err(faults) }
    }
}

fn flag(object: &Map<String, Value>, name: &str, faults: &mut Vec<String>) -> bool {
    let given = object.get(name);
    if given.is_some_and(|value| !value.is_boolean()) {
        faults.push(format!("{name} must be a boolean"));
    }
    given.and_then(Value::as_bool).unwrap_or_default()
}

/// What is wrong with the answer to a submission.
fn response_action(view: &Value, answer: &Value) -> Vec<String> {
    if answer.is_null() {
        return Vec::new();
    }
    let fields: Vec<&str> =
        answer.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default();
    match answer["response_action"].as_str() {
        Some("clear") if fields == ["response_action"] => Vec::new(),
        Some("update" | "push") if fields == ["response_action", "view"] => blocks::view(&answer["view"]),
        Some("errors") if fields == ["errors", "response_action"] => {
            let inputs = view["blocks"].as_array().unwrap().iter().filter(|block| block["type"] == "input");
            let inputs: Vec<&Value> = inputs.map(|block| &block["block_id"]).collect();
            let errors = answer["errors"].as_object().cloned().unwrap_or_default();
            let wrong = errors.iter().filter(|(id, text)| {
                !inputs.iter().any(|input| input.as_str() == Some(id.as_str())) || !text.is_string()
            });
            let mut faults: Vec<String> =
                wrong.map(|(id, _)| format!("no input block to say this at: {id}")).collect();
            if errors.is_empty() {
                faults.push("no errors".to_owned());
            }
            faults
        }
        _ => vec![format!("not an answer to a submission: {answer}")],
    }
}

/// Takes what an app says at a `response_url`.
pub(super) async fn later(
    State(slack): State<Slack>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path(id): Path<String>,
    body: Bytes,
) -> (StatusCode, String) {
    slack.change(|workspace| {
        let fate = workspace.trouble.fate(RESPONSE_URL);
        if matches!(fate, Fate::Dropped | Fate::DoneAndDropped) {
            line.cut();
        }
        match fate {
            Fate::Answered | Fate::DoneAndDropped => {
                let taken = workspace.take_later(&id, &body);
                taken.map_or_else(|refused| refused, |()| (StatusCode::OK, "ok".to_owned()))
            }
            Fate::Limited(_) => (StatusCode::TOO_MANY_REQUESTS, "rate_limited".to_owned()),
            Fate::Refused(error) => (StatusCode::BAD_REQUEST, error.to_owned()),
            Fate::Down | Fate::Dropped => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error".to_owned()),
        }
    })
}
