//! Says to pages that are open that they should look again (server-sent events).
//!
//! The event carries nothing: the page asks for itself again, as whoever looks at it, so that
//! there is one way to make it.

use std::convert::Infallible;

use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, Stream};
use quorate_core::ids::{RequestId, SessionId};
use serde::Deserialize;

use super::page::Refusal;
use super::visitor::Visitor;
use crate::api::{self, MISSED_MAX, Seen, Watch, sse, visible};
use crate::app::App;

/// What is on the page of a list.
#[derive(Deserialize)]
pub(super) struct UpTo {
    /// The newest entry of the ledger when it was made.
    after: u64,
}

/// What is on the page of a request.
#[derive(Deserialize)]
pub(super) struct OnPage {
    #[serde(default)]
    revision: u64,
    #[serde(default)]
    stuck: bool,
    /// How many sessions were opened under it, and how many of them were open.
    #[serde(default)]
    sessions: u64,
    #[serde(default)]
    open: u64,
}

fn changed() -> Event {
    Event::default().event("changed").data("")
}

/// Each change of a request that the visitor may see, after those that are on the page.
pub(super) async fn inbox(
    visitor: Visitor,
    State(app): State<App>,
    Query(UpTo { after }): Query<UpTo>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    list(visitor, app, after, List::Requests)
}

/// Each change of a session that the visitor may see, after those that are on the page.
pub(super) async fn sessions(
    visitor: Visitor,
    State(app): State<App>,
    Query(UpTo { after }): Query<UpTo>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    list(visitor, app, after, List::Sessions(None))
}

/// Each change of one session that the visitor may see, after those that are on the page.
pub(super) async fn session(
    visitor: Visitor,
    State(app): State<App>,
    Path(id): Path<SessionId>,
    Query(UpTo { after }): Query<UpTo>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    api::sessions::visible(&app, &visitor.user, &id)?;
    list(visitor, app, after, List::Sessions(Some(id)))
}

/// What a page shows.
enum List {
    Requests,
    /// All of them, or one.
    Sessions(Option<SessionId>),
}

impl List {
    /// Whether it changed after entry `after`, as [`Watch`] says it.
    async fn next(&self, watch: &mut Watch, after: u64) -> Option<(u64, bool)> {
        match self {
            Self::Requests => {
                let (read_to, changes) = watch.next_changes(after).await?;
                Some((read_to, !changes.is_empty()))
            }
            Self::Sessions(only) => watch.next_sessions(after, only.as_ref()).await,
        }
    }
}

fn list(
    Visitor { user, session, .. }: Visitor,
    app: App,
    after: u64,
    list: List,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let head = *app.ledger.head().borrow();
    let watch = Watch::new(app, session, &user.id)?;
    let events =
        stream::unfold((watch, list, after.min(head)), move |(mut watch, list, mut after)| async move {
            // So many are not read to find out whether the list has changed: it has.
            if head - after.min(head) > MISSED_MAX {
                return Some((Ok(changed()), (watch, list, head)));
            }
            loop {
                let (read_to, has_changed) = list.next(&mut watch, after).await?;
                after = read_to;
                if has_changed {
                    return Some((Ok(changed()), (watch, list, after)));
                }
            }
        });
    Ok(sse(events))
}

/// Each change of one request that the visitor may see, after the one that is on the page.
pub(super) async fn request(
    Visitor { user, session, .. }: Visitor,
    State(app): State<App>,
    Path(id): Path<RequestId>,
    Query(OnPage { revision, stuck, sessions, open }): Query<OnPage>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    visible(&app, &user, &id)?;
    let watch = Watch::new(app, session, &user.id)?;
    let seen = Seen { revision, stuck, sessions: Some((sessions, open)) };
    let events = stream::unfold(Some((watch, seen)), move |at| {
        let id = id.clone();
        async move {
            let (mut watch, seen) = at?;
            let (_, seen, is_final) = watch.next_view(&id, Some(seen)).await?;
            Some((Ok(changed()), (!is_final).then_some((watch, seen))))
        }
    });
    Ok(sse(events))
}
