//! Notification channels: where messages about requests go, and what came of them.
//!
//! An address may be a secret. It is typed here and never shown again, also where the rest of the
//! form is.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use quorate_core::Timestamp;
use quorate_core::channel::{Channel, ChannelKind, EventType};
use quorate_core::entry::Actor;
use quorate_core::ids::{ChannelName, RuleName};
use quorate_core::refused::Refused;
use quorate_core::user::User;
use serde::Deserialize;

use super::form::{Fields, Picker, Wrong, nobody_was_first};
use super::page::{Done, Frame, Refusal, show};
use super::visitor::{Admin, Auditor, Nothing, Sent};
use super::words::{self, names};
use crate::api::Problem;
use crate::app::App;
use crate::ledger::{ChannelStatus, Delivery, DeliveryState};
use crate::lifecycle::{Error, PREVIOUS_KEY_HOURS};

/// The kinds of channels, and what they are called on the page.
const KINDS: &[(&str, &str)] = &[
    ("slack", "Slack, with buttons"),
    ("email", "E-mail"),
    ("teams", "Microsoft Teams"),
    ("webhook", "Signed webhook"),
];

/// How many deliveries a page shows.
const DELIVERIES_MAX: usize = 50;

/// A channel in the list.
struct Row {
    channel: Channel,
    status: ChannelStatus,
}

#[derive(Template)]
#[template(path = "channels.html")]
struct ChannelsPage {
    frame: Frame,
    can_edit: bool,
    rows: Vec<Row>,
    now: Timestamp,
}

/// The form as it is filled in, without the address.
#[derive(Debug, Clone, Default)]
struct Filled {
    /// The channel that is changed; empty for a new one.
    editing: String,
    /// As it was when the form was opened.
    revision: u64,
    name: String,
    description: String,
    kind: String,
    conversation: String,
    /// Whom e-mail goes to, one on a line.
    to: String,
    all_requests: bool,
    rules: BTreeSet<String>,
    events: BTreeSet<String>,
}

/// What is known of a channel that is there.
struct Known {
    kind: ChannelKind,
    status: ChannelStatus,
    /// The resources whose plugins name it.
    resources: Vec<String>,
    deliveries: Vec<Delivery>,
}

#[derive(Template)]
#[template(path = "channel.html")]
struct ChannelPage {
    frame: Frame,
    can_edit: bool,
    /// What was done just now; empty: nothing.
    done: String,
    /// What messages are signed with, where that is new.
    key: Option<String>,
    filled: Filled,
    wrong: Wrong,
    rules: Picker,
    known: Option<Known>,
    now: Timestamp,
}

/// All channels.
pub(super) async fn list(Auditor(user): Auditor, State(app): State<App>) -> Result<Response, Refusal> {
    let row = |channel: Channel| {
        let status = app.ledger.channel_status(&channel.name)?.unwrap_or_default();
        Ok(Row { channel, status })
    };
    let rows = app.ledger.channels()?.into_iter().map(row).collect::<Result<_, Problem>>()?;
    let frame = Frame::of(&user, "channels");
    let page = ChannelsPage { frame, can_edit: user.is_admin(), rows, now: app.clock.now() };
    Ok(show(StatusCode::OK, &page))
}

/// The form for a new channel.
pub(super) async fn blank(Admin(user): Admin, State(app): State<App>) -> Result<Response, Refusal> {
    Ok(show(StatusCode::OK, &ChannelPage::of(&app, &user, Filled::default(), Wrong::default())?))
}

/// The form with a channel in it.
pub(super) async fn page(
    Auditor(user): Auditor,
    State(app): State<App>,
    Path(name): Path<ChannelName>,
    Query(Done { done }): Query<Done>,
) -> Result<Response, Refusal> {
    let page = ChannelPage::there(&app, &user, &name, Wrong::default())?;
    let done = match done.as_str() {
        "saved" => "Saved.",
        "again" => "It is told again, as soon as it can be.",
        _ => "",
    };
    Ok(show(StatusCode::OK, &ChannelPage { done: done.to_owned(), ..page }))
}

/// Saves it. The answer that makes one shows its key.
pub(super) async fn save(
    State(app): State<App>,
    Sent { visitor: Admin(user), form }: Sent<Fields, Admin>,
) -> Result<Response, Refusal> {
    let filled = Filled::sent(&form);
    let mut wrong = Wrong::default();
    let channel = filled.channel(&mut wrong);
    let address = Some(form.one("address").trim()).filter(|text| !text.is_empty()).map(str::to_owned);
    if let (Some(channel), true) = (channel, wrong.is_empty()) {
        wrong = nobody_was_first(
            ("channel", &filled.name),
            filled.editing.is_empty(),
            filled.revision,
            app.ledger.channel(&channel.name)?.map(|there| there.revision),
        );
        if wrong.is_empty() {
            let (name, by) = (channel.name.clone(), Actor::User(user.id.clone()));
            let is_new = filled.editing.is_empty();
            match app.lifecycle.save_channel(channel, address, by, None).await {
                Ok(saved) if is_new => {
                    let page = ChannelPage::there(&app, &user, &name, Wrong::default())?;
                    let done = format!("Channel {name} is there.");
                    return Ok(show(StatusCode::OK, &ChannelPage { done, key: saved.key, ..page }));
                }
                Ok(_) => return Ok(Redirect::to(&format!("/channels/{name}?done=saved")).into_response()),
                Err(error) => wrong = refused(error)?,
            }
        }
    }
    Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &ChannelPage::of(&app, &user, filled, wrong)?))
}

/// Removes it, where no resource names it any more.
pub(super) async fn remove(
    State(app): State<App>,
    Path(name): Path<ChannelName>,
    Sent { visitor: Admin(user), form: Nothing {} }: Sent<Nothing, Admin>,
) -> Result<Response, Refusal> {
    match app.lifecycle.remove_channel(&name, Actor::User(user.id.clone()), None).await {
        Ok(()) => Ok(Redirect::to("/channels").into_response()),
        Err(Error::Refused(why)) => {
            let wrong = Wrong::with("remove", why.to_string());
            Ok(show(StatusCode::CONFLICT, &ChannelPage::there(&app, &user, &name, wrong)?))
        }
        Err(error) => Err(error.into()),
    }
}

/// Gives it another key, and shows that.
pub(super) async fn rotate(
    State(app): State<App>,
    Path(name): Path<ChannelName>,
    Sent { visitor: Admin(user), form: Nothing {} }: Sent<Nothing, Admin>,
) -> Result<Response, Refusal> {
    let rotated = app.lifecycle.rotate_channel_key(&name, Actor::User(user.id.clone()), None).await?;
    let page = ChannelPage::there(&app, &user, &name, Wrong::default())?;
    let done = format!("It has another key. Messages are signed with both for {PREVIOUS_KEY_HOURS} hours.");
    Ok(show(StatusCode::OK, &ChannelPage { done, key: rotated.key, ..page }))
}

/// Sends it a message about nothing, and says what came of that.
pub(super) async fn test(
    State(app): State<App>,
    Path(name): Path<ChannelName>,
    Sent { visitor: Admin(user), form: Nothing {} }: Sent<Nothing, Admin>,
) -> Result<Response, Refusal> {
    let page = ChannelPage::there(&app, &user, &name, Wrong::default())?;
    let page = match app.notifier.test(&name).await? {
        Ok(()) => ChannelPage { done: "The message arrived.".to_owned(), ..page },
        Err(undelivered) => {
            let why = format!("The message did not arrive: {}.", undelivered.why);
            ChannelPage { wrong: Wrong::with("test", why), ..page }
        }
    };
    Ok(show(StatusCode::OK, &page))
}

#[derive(Deserialize)]
pub(super) struct Again {
    entry: u64,
}

/// Tells it once more.
pub(super) async fn again(
    State(app): State<App>,
    Path(name): Path<ChannelName>,
    Sent { visitor: Admin(_), form: Again { entry } }: Sent<Again, Admin>,
) -> Result<Response, Refusal> {
    app.notifier.deliver_again(&name, entry).await?;
    Ok(Redirect::to(&format!("/channels/{name}?done=again")).into_response())
}

/// Why it was not saved, beside the field that it is about.
fn refused(error: Error) -> Result<Wrong, Refusal> {
    let Error::Refused(refused) = error else { return Err(error.into()) };
    Ok(mistake(refused))
}

fn mistake(refused: Refused) -> Wrong {
    match refused {
        Refused::Invalid { what, why } => Wrong::with(what, why),
        refused @ Refused::TooLong { what: "the description", .. } => {
            Wrong::with("description", refused.to_string())
        }
        refused => Wrong::with("", refused.to_string()),
    }
}

/// What stands between blanks, commas and line breaks.
fn words_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn lines(words: &BTreeSet<String>) -> String {
    words.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
}

impl Row {
    /// Whom it tells of what, in words.
    fn hears(&self) -> String {
        let Channel { all_requests, rules, .. } = &self.channel;
        if *all_requests {
            return "told of every request".to_owned();
        }
        if rules.is_empty() {
            return "told of requests for resources that name it".to_owned();
        }
        let rules: Vec<&str> = rules.iter().map(RuleName::as_str).collect();
        format!("told of requests under {}, and for resources that name it", rules.join(", "))
    }
}

impl ChannelPage {
    fn of(app: &App, user: &User, filled: Filled, wrong: Wrong) -> Result<Self, Refusal> {
        let all_rules = app.ledger.rules()?.iter().map(|rule| rule.name.to_string()).collect();
        let editing = filled.editing.parse::<ChannelName>().ok();
        let there = editing.and_then(|name| app.ledger.channel(&name).transpose()).transpose()?;
        Ok(Self {
            frame: Frame::of(user, "channels"),
            can_edit: user.is_admin(),
            done: String::new(),
            key: None,
            rules: Picker::of("rules", &all_rules, &filled.rules),
            known: there.map(|channel| Known::of(app, channel)).transpose()?,
            filled,
            wrong,
            now: app.clock.now(),
        })
    }

    /// The page of a channel as it is.
    fn there(app: &App, user: &User, name: &ChannelName, wrong: Wrong) -> Result<Self, Refusal> {
        let channel = app.ledger.channel(name)?;
        let channel = channel.ok_or_else(|| Problem::not_found("channel", name.as_str()))?;
        Self::of(app, user, Filled::of(&channel), wrong)
    }

    fn is_ahead(&self, at: &Timestamp) -> bool {
        *at > self.now
    }

    /// Whether the form has the field of this kind: of a new channel that of each.
    fn shows(&self, kind: &str) -> bool {
        self.filled.editing.is_empty() || self.filled.kind == kind
    }

    /// Each event, and whether it is ticked.
    fn events(&self) -> Vec<(&'static str, bool)> {
        let all = EventType::ALL.iter().map(|event| event.as_str());
        all.map(|event| (event, self.filled.events.contains(event))).collect()
    }
}

impl Known {
    fn of(app: &App, channel: Channel) -> Result<Self, Problem> {
        let name = channel.name.as_str();
        let resources = app.ledger.resources()?.into_iter();
        let resources = resources.filter(|resource| resource.plugins.contains(name));
        Ok(Self {
            status: app.ledger.channel_status(&channel.name)?.unwrap_or_default(),
            resources: resources.map(|resource| resource.name.to_string()).collect(),
            deliveries: app.ledger.deliveries(&channel.name, None, None, DELIVERIES_MAX)?,
            kind: channel.kind,
        })
    }
}

impl Filled {
    fn of(channel: &Channel) -> Self {
        let (mut conversation, mut to) = (String::new(), String::new());
        match &channel.kind {
            ChannelKind::Slack { conversation: named } => conversation = named.clone().unwrap_or_default(),
            ChannelKind::Email { to: addresses } => to = lines(addresses),
            ChannelKind::Webhook { .. } | ChannelKind::Teams { .. } => {}
        }
        Self {
            kind: channel.kind.name().to_owned(),
            conversation,
            to,
            editing: channel.name.to_string(),
            revision: channel.revision,
            name: channel.name.to_string(),
            description: channel.description.clone(),
            all_requests: channel.all_requests,
            rules: names(&channel.rules),
            events: names(&channel.events),
        }
    }

    fn sent(form: &Fields) -> Self {
        let text = |name: &str| form.one(name).trim().to_owned();
        Self {
            editing: text("editing"),
            revision: text("revision").parse().unwrap_or_default(),
            name: text("name"),
            description: form.text("description"),
            kind: text("kind"),
            conversation: text("conversation"),
            to: form.text("to"),
            all_requests: form.is_on("all_requests"),
            rules: form.chosen("rules"),
            events: form.chosen("events"),
        }
    }

    fn channel(&self, wrong: &mut Wrong) -> Option<Channel> {
        let name = wrong.read("name", if self.editing.is_empty() { &self.name } else { &self.editing });
        // Fields of other kinds are there too, out of sight.
        let to = if self.kind == "email" { words_in(&self.to) } else { BTreeSet::new() };
        let conversation = Some(self.conversation.clone()).filter(|_| self.kind == "slack");
        let kind = ChannelKind::named(&self.kind, to, conversation);
        let kind = kind.map_err(|refused| *wrong = mistake(refused)).ok();
        Some(Channel {
            description: self.description.clone(),
            kind: kind?,
            all_requests: self.all_requests,
            rules: wrong.read_all("rules", &self.rules),
            events: wrong.read_all("events", &self.events),
            revision: 0,
            name: name?,
        })
    }
}
