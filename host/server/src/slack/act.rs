//! What people do in Slack, by HTTP or over a socket: buttons, forms and commands. A click is an
//! ordinary vote, through the same way as any other and with the same refusals.
//!
//! Slack gives three seconds for an answer. What takes longer goes on, and is told of where it was
//! begun.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::ids::{Digest, RequestId};
use quorate_core::input::Choice;
use quorate_core::text::shown;
use quorate_core::user::{SlackUser, User};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Slack;
use super::message::{self, APPROVE, REJECT, fallback};
use crate::api::{Problem, visible, visible_after};
use crate::app::App;
use crate::lifecycle::{self, Ballot, Idempotency};

/// How long an answer may take: Slack waits for three seconds.
const ANSWER_WITHIN: Duration = Duration::from_millis(2500);

/// Somebody, as Slack says who they are.
#[derive(Debug, Clone, Deserialize)]
struct Person {
    id: String,
    #[serde(default)]
    team_id: Option<String>,
    #[serde(default)]
    name: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Named {
    id: String,
}

/// A button that was pressed, or a form that was sent.
#[derive(Debug, Clone, Deserialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    team: Option<Named>,
    user: Person,
    #[serde(default)]
    trigger_id: String,
    channel: Option<Named>,
    #[serde(default)]
    actions: Vec<Action>,
    view: Option<View>,
}

#[derive(Debug, Clone, Deserialize)]
struct Action {
    action_id: String,
    #[serde(default)]
    value: String,
}

#[derive(Debug, Clone, Deserialize)]
struct View {
    id: String,
    callback_id: String,
    #[serde(default)]
    private_metadata: String,
    state: ViewState,
}

#[derive(Debug, Clone, Deserialize)]
struct ViewState {
    values: BTreeMap<String, BTreeMap<String, Typed>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Typed {
    value: Option<String>,
}

/// A command that was typed.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Command {
    #[serde(default)]
    pub(super) text: String,
    team_id: String,
    user_id: String,
    #[serde(default)]
    user_name: String,
}

/// Which request somebody acts on, as a button carries it: its id, and the digest of what was asked.
/// A form carries the conversation too, behind them.
struct Target {
    request: RequestId,
    digest: Digest,
}

impl Target {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (request, digest) = (words.next()?, words.next()?);
        Some(Self { request: request.parse().ok()?, digest: digest.parse().ok()? })
    }
}

/// Why something was not done, as whoever did it is told.
struct Told(String);

impl From<lifecycle::Error> for Told {
    fn from(error: lifecycle::Error) -> Self {
        Problem::from(error).into()
    }
}

impl From<Problem> for Told {
    fn from(problem: Problem) -> Self {
        Self(fallback(&problem.words().2))
    }
}

/// What somebody did with a button or a form, and what Slack is answered. None: it is nothing that
/// Slack sends.
pub(super) async fn interaction(app: &App, slack: &Arc<Slack>, payload: &Value) -> Option<Value> {
    let payload: Payload = Payload::deserialize(payload).ok()?;
    let (app, slack) = (app.clone(), Arc::clone(slack));
    let answer = match payload.kind.as_str() {
        "block_actions" => {
            let (place, user) = (payload.channel.clone()?.id, payload.user.id.clone());
            in_time(async move {
                if let Err(Told(why)) = clicked(&app, &slack, &payload).await {
                    slack.whisper(&place, &user, &why).await;
                }
                Value::Null
            })
            .await
        }
        "view_submission" => {
            let view = payload.view.clone()?;
            let until = Instant::now() + ANSWER_WITHIN;
            in_time(async move {
                let Err(Told(why)) = sent(&app, &slack, &payload, &view).await else { return Value::Null };
                if Instant::now() < until {
                    let why = shown(&why.replace('\n', " "), 1500);
                    return json!({ "response_action": "errors", "errors": { "comment": why } });
                }
                // The form is gone from their screen by now.
                if let Some((_, place)) = view.private_metadata.rsplit_once(' ') {
                    slack.whisper(place, &payload.user.id, &why).await;
                }
                Value::Null
            })
            .await
        }
        _ => Value::Null,
    };
    Some(answer)
}

/// What somebody typed, and what they are answered.
pub(super) async fn command(app: &App, slack: &Arc<Slack>, command: Command) -> Value {
    let (app, slack) = (app.clone(), Arc::clone(slack));
    let answer = in_time(async move {
        let text = match typed(&app, &slack, &command).await {
            Ok(text) | Err(Told(text)) => text,
        };
        json!({ "response_type": "ephemeral", "text": text })
    })
    .await;
    if answer.is_null() {
        return json!({ "response_type": "ephemeral", "text": "This takes a while; look again with `/quorate list`." });
    }
    answer
}

/// Does it, and says what comes of it if that is soon. Otherwise it goes on.
async fn in_time(work: impl Future<Output = Value> + Send + 'static) -> Value {
    match tokio::time::timeout(ANSWER_WITHIN, tokio::spawn(work)).await {
        Ok(Ok(answer)) => answer,
        // A panic was logged where it happened.
        Ok(Err(_)) | Err(_) => Value::Null,
    }
}

async fn clicked(app: &App, slack: &Slack, payload: &Payload) -> Result<(), Told> {
    let Some(action) = payload.actions.first().filter(|one| [APPROVE, REJECT].contains(&&*one.action_id))
    else {
        // A link, which leads where it leads.
        return Ok(());
    };
    let user = known(app, slack, &payload.user, payload.team.as_ref())?;
    let target = Target::read(&action.value).ok_or_else(|| Told("This button is not one of ours.".into()))?;
    if action.action_id == APPROVE {
        return vote(app, &user, &target, Choice::Approve, String::new(), &payload.trigger_id).await;
    }
    let request = visible(app, &user, &target.request)?;
    if let Some(rule) = app.lifecycle.page_only(&request)? {
        return Err(lifecycle::Error::Refused(quorate_core::refused::Refused::OnPageOnly { rule }).into());
    }
    let place = payload.channel.as_ref().map_or("", |channel| channel.id.as_str());
    let carries = format!("{} {place}", action.value);
    let form = message::reject_form(&app.lifecycle.view(&request)?, &carries);
    slack.api.open_form(&payload.trigger_id, &form).await.map_err(|trouble| Told(fallback(&trouble.why)))
}

async fn sent(app: &App, slack: &Slack, payload: &Payload, view: &View) -> Result<(), Told> {
    if view.callback_id != REJECT {
        return Ok(());
    }
    let user = known(app, slack, &payload.user, payload.team.as_ref())?;
    let target = Target::read(&view.private_metadata);
    let target = target.ok_or_else(|| Told("This form is not one of ours.".into()))?;
    let typed = view.state.values.get("comment").and_then(|block| block.get("comment"));
    let comment = typed.and_then(|typed| typed.value.clone()).unwrap_or_default();
    vote(app, &user, &target, Choice::Reject, comment.trim().to_owned(), &format!("{} {comment}", view.id))
        .await
}

/// Votes once, however often Slack sends it: `once` is the same each time.
async fn vote(
    app: &App,
    user: &User,
    target: &Target,
    choice: Choice,
    comment: String,
    once: &str,
) -> Result<(), Told> {
    let Target { request: id, digest } = target;
    let asked = app.ledger.request(id).map_err(lifecycle::Error::from)?;
    if asked.is_some_and(|request| request.asked.digest() != *digest) {
        return Err(Told("This message shows another request than the one it names.".into()));
    }
    let what = format!("{id} {choice:?} {comment}");
    let once = (!once.is_empty()).then(|| Idempotency {
        user: user.id.to_string(),
        key: format!("slack/{}", Digest::of(once.as_bytes())),
        fingerprint: Digest::of(what.as_bytes()),
    });
    let ballot = Ballot { choice, forced: false, comment, on_page: false };
    let voted = app.lifecycle.vote(id, &user.id, ballot, once).await;
    visible_after(app, user, id, &voted)?;
    match voted {
        Ok(_) | Err(lifecycle::Error::Repeated(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Who somebody is here. Whoever is nobody gets a link by which they can say it.
fn known(app: &App, slack: &Slack, person: &Person, team: Option<&Named>) -> Result<User, Told> {
    let team = person.team_id.as_deref().or(team.map(|team| team.id.as_str())).unwrap_or_default();
    let nobody = || Told("Slack does not say who you are.".into());
    let in_slack = SlackUser::new(team, &person.id).ok_or_else(nobody)?;
    match app.lifecycle.known_in_slack(&in_slack)? {
        Some(user) if user.profile.active => Ok(user),
        Some(user) => Err(Told(format!("{} is switched off.", user.id))),
        None => {
            let link = slack.link(&app.config.url(), &in_slack, &shown(&person.name, 40), app.clock.now());
            Err(Told(format!(
                "Quorate does not know who you are. <{link}|Say who you are>, signed in there; the link is good for ten minutes and only for you. Then do this again."
            )))
        }
    }
}

async fn typed(app: &App, slack: &Slack, command: &Command) -> Result<String, Told> {
    let Command { text, team_id, user_id, user_name } = command;
    let person = Person { id: user_id.clone(), team_id: Some(team_id.clone()), name: user_name.clone() };
    let user = known(app, slack, &person, None)?;
    let mut words = text.split_whitespace();
    let verb = words.next().unwrap_or("help");
    let groups = words.map(|word| word.parse().map_err(|_| Told(format!("{} is no group.", fallback(word)))));
    let groups = groups.collect::<Result<_, _>>()?;
    // A telephone begins with a capital.
    match verb.to_ascii_lowercase().as_str() {
        "subscribe" => app.lifecycle.subscribe(&user.id, groups).await?,
        "unsubscribe" => app.lifecycle.unsubscribe(&user.id, groups).await?,
        "list" => {}
        _ => return Ok(HELP.to_owned()),
    }
    list(app, &user)
}

const HELP: &str =
    "`/quorate subscribe`: hear of every request that you can vote on, in a message to you alone
`/quorate subscribe GROUP`: only of those that wait for this group of yours
`/quorate unsubscribe [GROUP]`: hear of no more
`/quorate list`: what you hear of, and who else hears in your groups";

/// What somebody hears of, and who else does in each of their groups.
fn list(app: &App, user: &User) -> Result<String, Told> {
    let users = app.ledger.users().map_err(lifecycle::Error::from)?;
    let user = users.iter().find(|one| one.id == user.id).unwrap_or(user);
    let mut lines = vec![match &user.subscription {
        None => "You hear of nothing here. `/quorate subscribe` changes that.".to_owned(),
        Some(groups) if groups.is_empty() => "You hear of every request that you can vote on.".to_owned(),
        Some(groups) => {
            let groups = groups.iter().map(ToString::to_string).collect::<Vec<_>>();
            format!("You hear of requests that wait for {}.", fallback(&groups.join(", ")))
        }
    }];
    for group in &user.profile.groups {
        let named = [group.to_string()];
        let hear = |one: &&User| one.profile.groups.contains(group) && one.hears_of(&named);
        let hear: Vec<&str> = users.iter().filter(hear).map(|one| one.id.as_str()).collect();
        let hear = if hear.is_empty() { "nobody".to_owned() } else { hear.join(", ") };
        lines.push(fallback(&format!("For {group} hears: {hear}")));
    }
    Ok(lines.join("\n"))
}
