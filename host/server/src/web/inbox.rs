//! Access requests: what waits for me, what is mine, all that I may see.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use quorate_core::Timestamp;
use quorate_core::ids::{ResourceName, UserId};
use quorate_core::request::STATE_NAMES;
use quorate_core::user::User;
use serde::Deserialize;

use super::page::{Frame, Refusal, apart, show_found};
use super::visitor::Visitor;
use super::words::{self, cursor, name, query};
use crate::app::App;
use crate::ledger::{Cursor, Page, Paged, RequestFilter, TEXT_CHARS_MAX};
use crate::lifecycle::{Inbox, RequestView};

/// Requests on a page.
const PAGE_ROWS: usize = 50;
/// In the order in which they are shown.
const INBOXES: [Inbox; 3] = [Inbox::Waiting, Inbox::Mine, Inbox::All];

/// What is looked for. What is empty is not asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    inbox: String,
    state: String,
    resource: String,
    requester: String,
    text: String,
    cursor: String,
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    frame: Frame,
    search: Search,
    inbox: Inbox,
    waiting: u64,
    pending: u64,
    total: u64,
    rows: Vec<RequestView>,
    next: Option<String>,
    /// What is wrong with the search.
    error: Option<String>,
    now: Timestamp,
    /// The newest entry of the ledger when the page was made.
    head: u64,
}

/// The inbox, for whoever is signed in: each sees what they may.
pub(super) async fn page(
    Visitor { user, .. }: Visitor,
    State(app): State<App>,
    Query(search): Query<Search>,
) -> Result<Response, Refusal> {
    let page = apart(move || make(&app, &user, search)).await?;
    Ok(show_found(page.error.as_ref(), &page))
}

fn make(app: &App, user: &User, mut search: Search) -> Result<InboxPage, Refusal> {
    // Before anything is read: what comes in between is told of, and not missed.
    let head = *app.ledger.head().borrow();
    let asked = INBOXES.into_iter().find(|one| inbox_name(*one) == search.inbox);
    let page = |inbox, filter: &RequestFilter, after| {
        app.lifecycle.inbox(inbox, user, filter, Page { after, limit: PAGE_ROWS })
    };
    let everything = RequestFilter::default();
    let all_waiting = page(Inbox::Waiting, &everything, None)?;
    let (waiting, pending) = (all_waiting.total, app.ledger.pending_of(&user.id)?);
    let inbox = asked.unwrap_or(if waiting > 0 { Inbox::Waiting } else { Inbox::Mine });
    // The page stays on this list, however many come to wait on another.
    inbox_name(inbox).clone_into(&mut search.inbox);
    let (found, error) = match search.filter() {
        // They were looked at to be counted.
        Ok((filter, None)) if inbox == Inbox::Waiting && filter == everything => (all_waiting, None),
        Ok((filter, after)) => (page(inbox, &filter, after)?, None),
        Err(why) => (Paged { items: Vec::new(), next: None, total: 0 }, Some(why)),
    };
    Ok(InboxPage {
        frame: Frame::of(user, "requests"),
        inbox,
        waiting,
        pending,
        total: found.total,
        rows: app.lifecycle.views(&found.items)?,
        next: found.next.map(|cursor| cursor.to_string()),
        search,
        error,
        now: app.lifecycle.now(),
        head,
    })
}

impl Search {
    fn filter(&self) -> Result<(RequestFilter, Option<Cursor>), String> {
        let states = match self.state.trim().to_uppercase() {
            state if state.is_empty() => Vec::new(),
            state if STATE_NAMES.contains(&state.as_str()) => vec![state],
            other => return Err(format!("`{other}` is no state of a request")),
        };
        if self.text.chars().count() > TEXT_CHARS_MAX {
            return Err(format!("a text to look for has at most {TEXT_CHARS_MAX} characters"));
        }
        let resource = name::<ResourceName>(&self.resource)?;
        let requester = name::<UserId>(&self.requester)?;
        let text = Some(self.text.trim().to_owned()).filter(|text| !text.is_empty());
        let cursor = cursor(&self.cursor)?;
        Ok((RequestFilter { states, requester, resource, text, ..RequestFilter::default() }, cursor))
    }

    /// The address of the list with one more thing said.
    fn with(&self, key: &str, value: &str) -> String {
        let known = [
            ("inbox", self.inbox.as_str()),
            ("state", &self.state),
            ("resource", &self.resource),
            ("requester", &self.requester),
            ("text", &self.text),
        ];
        let pairs = known.into_iter().filter(|(name, _)| *name != key).chain([(key, value)]);
        query("/requests", &pairs.collect::<Vec<_>>())
    }
}

fn inbox_name(inbox: Inbox) -> &'static str {
    match inbox {
        Inbox::Waiting => "waiting",
        Inbox::Mine => "mine",
        Inbox::All => "all",
    }
}

impl InboxPage {
    /// The three lists: name, title, and how many wait there.
    fn tabs(&self) -> [(&'static str, &'static str, Option<u64>, bool); 3] {
        let tab = |inbox, title, count| (inbox_name(inbox), title, count, self.inbox == inbox);
        [
            tab(Inbox::Waiting, "Waiting for me", Some(self.waiting)),
            tab(Inbox::Mine, "Mine", Some(self.pending)),
            tab(Inbox::All, "All", None),
        ]
    }

    fn inbox(&self) -> &'static str {
        inbox_name(self.inbox)
    }

    fn states(&self) -> impl Iterator<Item = (&'static str, String, bool)> {
        STATE_NAMES
            .iter()
            .map(|name| (*name, words::state(name), self.search.state.eq_ignore_ascii_case(name)))
    }

    fn is_filtered(&self) -> bool {
        let Search { state, resource, requester, text, cursor, .. } = &self.search;
        [state, resource, requester, text, cursor].into_iter().any(|one| !one.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_what_is_looked_for() {
        let search = Search { state: "PENDING".to_owned(), text: "a&b=c".to_owned(), ..Search::default() };
        assert_eq!(search.with("cursor", "17"), "/requests?state=PENDING&text=a%26b%3Dc&cursor=17");
        assert_eq!(search.with("state", "EXPIRED"), "/requests?text=a%26b%3Dc&state=EXPIRED");
    }

    #[test]
    fn a_search_that_is_none_says_what_is_wrong() {
        let with = |state: &str, resource: &str| {
            let search =
                Search { state: state.to_owned(), resource: resource.to_owned(), ..Search::default() };
            search.filter().err().unwrap_or_default()
        };
        assert_eq!(with("nope", ""), "`NOPE` is no state of a request");
        assert!(with("", "a b").contains("a b"), "{}", with("", "a b"));
        assert_eq!(with("pending", "prod"), "");
    }
}
