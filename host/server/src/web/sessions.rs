//! Sessions: who is connected, and who was.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use quorate_core::Timestamp;
use quorate_core::ids::{ResourceName, UserId};
use quorate_core::session::Session;
use quorate_core::user::User;
use serde::Deserialize;

use super::page::{Frame, Refusal, apart, show_found};
use super::visitor::Visitor;
use super::words::{self, between, cursor, name, query};
use crate::api::{recordings, sessions};
use crate::app::App;
use crate::ledger::{Cursor, Page, SessionFilter};

/// Sessions on a page, of those that ended.
const PAGE_ROWS: usize = 50;
/// Those that are open are shown at once; a gateway has fewer of them.
const OPEN_MAX: usize = 500;
/// Which can be looked for: the value, and in words.
const STATES: [(&str, &str); 3] = [("", "all"), ("open", "open"), ("ended", "ended")];

/// What is looked for. What is empty is not asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    state: String,
    user: String,
    resource: String,
    cursor: String,
}

/// A session in the list.
struct Row {
    session: Session,
    /// Whether the visitor can look at a recording of it.
    recorded: bool,
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    frame: Frame,
    search: Search,
    /// Whether the visitor sees those of others.
    sees_all: bool,
    open: Vec<Row>,
    ended: Vec<Row>,
    /// How many ended, on all pages.
    total: u64,
    next: Option<String>,
    /// What is wrong with the search.
    error: Option<String>,
    now: Timestamp,
    /// The newest entry of the ledger when the page was made.
    head: u64,
}

/// The list, for whoever is signed in: each sees what the API would show them.
pub(super) async fn page(
    Visitor { user, .. }: Visitor,
    State(app): State<App>,
    Query(search): Query<Search>,
) -> Result<Response, Refusal> {
    let page = apart(move || make(&app, &user, search)).await?;
    Ok(show_found(page.error.as_ref(), &page))
}

fn make(app: &App, user: &User, search: Search) -> Result<SessionsPage, Refusal> {
    // Before anything is read: what comes in between is told of, and not missed.
    let head = *app.ledger.head().borrow();
    let mut page = SessionsPage {
        frame: Frame::of(user, "sessions"),
        sees_all: user.is_auditor(),
        open: Vec::new(),
        ended: Vec::new(),
        total: 0,
        next: None,
        error: None,
        now: app.lifecycle.now(),
        head,
        search,
    };
    let (filter, after) = match page.search.filter() {
        Ok(asked) => asked,
        Err(why) => {
            page.error = Some(why);
            return Ok(page);
        }
    };
    let filter = SessionFilter { user: sessions::whose(user, filter.user.clone())?, ..filter };
    let may_read = recordings::may_read(user).is_ok();
    let find =
        |open, page| app.ledger.find_sessions(&SessionFilter { open: Some(open), ..filter.clone() }, page);
    let rows = |found: Vec<Session>| -> Vec<Row> {
        let recorded = |session: &Session| may_read && app.sessions.recordings().has(&session.id);
        found.into_iter().map(|session| Row { recorded: recorded(&session), session }).collect()
    };
    if filter.open != Some(false) && after.is_none() {
        page.open = rows(find(true, Page { after: None, limit: OPEN_MAX })?.items);
    }
    if filter.open != Some(true) {
        let found = find(false, Page { after, limit: PAGE_ROWS })?;
        page.ended = rows(found.items);
        page.total = found.total;
        page.next = found.next.map(|cursor| cursor.to_string());
    }
    Ok(page)
}

impl Search {
    fn filter(&self) -> Result<(SessionFilter, Option<Cursor>), String> {
        let open = match self.state.as_str() {
            "" => None,
            "open" => Some(true),
            "ended" => Some(false),
            other => return Err(format!("`{other}` is no state of a session: give open or ended")),
        };
        let user = name::<UserId>(&self.user)?;
        let resource = name::<ResourceName>(&self.resource)?;
        let cursor = cursor(&self.cursor)?;
        Ok((SessionFilter { open, user, resource, request: None }, cursor))
    }

    /// The address of this part of the list, or of the one behind `cursor`.
    fn at(&self, cursor: &str) -> String {
        let pairs =
            [("state", &*self.state), ("user", &self.user), ("resource", &self.resource), ("cursor", cursor)];
        query("/sessions", &pairs)
    }
}

impl Row {
    /// How long it can go on: in seconds, and in words.
    fn left(&self, now: &Timestamp) -> (i64, String) {
        left(&self.session, now)
    }
}

/// How long a session can go on: in seconds, and in words.
pub(super) fn left(session: &Session, now: &Timestamp) -> (i64, String) {
    let until = &session.opened.until;
    (until.duration_since(*now).as_secs().max(0), between(now, until))
}

impl SessionsPage {
    fn is_filtered(&self) -> bool {
        let Search { state, user, resource, cursor } = &self.search;
        [state, user, resource, cursor].into_iter().any(|one| !one.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_what_is_looked_for() {
        let search = Search { state: "ended".to_owned(), user: "ann".to_owned(), ..Search::default() };
        assert_eq!(search.at("17"), "/sessions?state=ended&user=ann&cursor=17");
        assert_eq!(Search::default().at(""), "/sessions");
    }

    #[test]
    fn a_search_that_is_none_says_what_is_wrong() {
        let with = |state: &str, user: &str| {
            let search = Search { state: state.to_owned(), user: user.to_owned(), ..Search::default() };
            search.filter().err().unwrap_or_default()
        };
        assert_eq!(with("nope", ""), "`nope` is no state of a session: give open or ended");
        assert!(with("", "a b").contains("a b"), "{}", with("", "a b"));
        assert_eq!(with("open", "ann"), "");
    }
}
