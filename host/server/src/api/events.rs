//! Server-sent events: a request, or an inbox, as it changes.
//!
//! A stream waits for the ledger to grow and reads what is new; it asks nobody at
//! intervals. Before each event it looks again whether its reader may still see it.
//! The number of streams is bounded, and so is the life of each: a reader connects
//! again, from where it was.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use quorate_core::entry::Kind;
use quorate_core::ids::{RequestId, SessionId, UserId};
use quorate_core::user::User;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::ToSchema;

use self::place::Place;
use super::access::SignedIn;
use super::body::Path;
use super::problem::Problem;
use super::requests::visible;
use super::sessions;
use crate::app::App;
use crate::identity;
use crate::ledger::{EntryFilter, Order, Page, Sealed, SessionFilter};
use crate::lifecycle::{Lifecycle, RequestView, Stuck};

/// How often something is said where nothing happens.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a stream lives.
const LIFE: Duration = Duration::from_hours(1);
/// What a stream waits before it looks again, so that a busy ledger is read in
/// larger pieces.
const BREATH: Duration = Duration::from_millis(50);
/// Entries read at once.
const ENTRIES_MAX: usize = 200;
/// Entries that a reader who connects again can have missed; past that it starts
/// at the newest.
pub(crate) const MISSED_MAX: u64 = 10_000;

mod place {
    //! Places for streams, in all and for each person.

    use std::collections::HashMap;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use quorate_core::ids::UserId;

    /// Streams of one person.
    const OF_ONE_MAX: usize = 32;
    /// Streams of everybody.
    const ALL_MAX: usize = 2_000;

    static TAKEN: Mutex<Option<HashMap<UserId, usize>>> = Mutex::new(None);

    fn taken() -> MutexGuard<'static, Option<HashMap<UserId, usize>>> {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, given back when it is dropped.
    pub(super) struct Place(UserId);

    impl Place {
        /// A place for `user`; none where all are taken.
        pub(super) fn take(user: &UserId) -> Option<Self> {
            let mut taken = taken();
            let taken = taken.get_or_insert_default();
            if taken.values().sum::<usize>() >= ALL_MAX {
                return None;
            }
            let own = taken.entry(user.clone()).or_default();
            if *own >= OF_ONE_MAX {
                return None;
            }
            *own += 1;
            Some(Self(user.clone()))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            if let Some(taken) = taken().as_mut()
                && let Some(own) = taken.get_mut(&self.0)
            {
                *own -= 1;
                if *own == 0 {
                    taken.remove(&self.0);
                }
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn one_person_cannot_take_all_places() {
            let (greedy, other): (UserId, UserId) = ("greedy".parse().unwrap(), "other".parse().unwrap());
            let mut places: Vec<Place> = (0..OF_ONE_MAX).filter_map(|_| Place::take(&greedy)).collect();
            assert_eq!(places.len(), OF_ONE_MAX);
            assert!(Place::take(&greedy).is_none() && Place::take(&other).is_some());
            places.pop();
            assert!(Place::take(&greedy).is_some());
        }
    }
}

/// That a request changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changed {
    /// Which.
    id: String,
    /// Where it stands.
    state: String,
    /// For what.
    resource: String,
    /// Who asks.
    requester: String,
    /// Grows with everything that happens to it.
    revision: u64,
}

/// What was told of a request last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) revision: u64,
    /// Whether nobody could approve it.
    pub(crate) stuck: bool,
    /// How many sessions were opened under it, and how many of them are open; none: whoever reads
    /// is not told of sessions.
    pub(crate) sessions: Option<(u64, u64)>,
}

/// What both kinds of stream wait with.
pub(crate) struct Watch {
    app: App,
    session: identity::SignedIn,
    head: watch::Receiver<u64>,
    stuck: watch::Receiver<Stuck>,
    ends: Instant,
    _place: Place,
}

/// A request as it changes (server-sent events)
///
/// Event `request` with the request as data: one at once, one for each change, also where
/// nobody can approve it any more, or somebody can again. The stream ends with the state that is final, after an hour, or when the token ends.
#[utoipa::path(get, path = "/api/requests/{id}/events", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Which")),
    responses((status = 200, body = RequestView, content_type = "text/event-stream")))]
pub(super) async fn request(
    SignedIn { user, session, .. }: SignedIn,
    State(app): State<App>,
    Path(id): Path<RequestId>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    visible(&app, &user, &id)?;
    let watch = Watch::new(app, session, &user.id)?;
    let events = stream::unfold(Some((watch, None)), move |at| {
        let id = id.clone();
        async move {
            let (mut watch, seen) = at?;
            let (view, seen, is_final) = watch.next_view(&id, seen).await?;
            let id = view.revision.to_string();
            let event = Event::default().event("request").id(id).json_data(view).ok()?;
            let next = (!is_final).then_some((watch, Some(seen)));
            Some((Ok(event), next))
        }
    });
    Ok(sse(events))
}

/// My inbox as it changes (server-sent events)
///
/// Event `request` for each change of a request that I may see, from now on, or with
/// `Last-Event-ID` from there on. The stream ends after an hour, or when the token
/// ends.
#[utoipa::path(get, path = "/api/events", tag = "requests", security(("token" = [])),
    responses((status = 200, body = Changed, content_type = "text/event-stream")))]
pub(super) async fn inbox(
    SignedIn { user, session, .. }: SignedIn,
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let watch = Watch::new(app, session, &user.id)?;
    let head = *watch.head.borrow();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<u64>().ok());
    let after = last.filter(|last| *last <= head && head - *last <= MISSED_MAX).unwrap_or(head);
    let start = (watch, after, VecDeque::new());
    let events = stream::unfold(start, async |(mut watch, mut after, mut ready)| {
        loop {
            if let Some((seq, change)) = ready.pop_front() {
                let event = changed_event(seq, &change)?;
                return Some((Ok(event), (watch, after, ready)));
            }
            (after, ready) = watch.next_changes(after).await?;
        }
    });
    Ok(sse(events))
}

pub(crate) fn sse<S>(events: S) -> Sse<impl Stream<Item = Result<Event, Infallible>>>
where
    S: Stream<Item = Result<Event, Infallible>> + Send + 'static,
{
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

fn changed_event(seq: u64, change: &Changed) -> Option<Event> {
    Event::default().event("request").id(seq.to_string()).json_data(change).ok()
}

/// How many sessions were opened under a request, and how many of them are open.
pub(crate) fn sessions_under(app: &App, id: &RequestId) -> Option<(u64, u64)> {
    let count = |open| {
        let filter = SessionFilter { request: Some(id.clone()), open, ..SessionFilter::default() };
        app.ledger.find_sessions(&filter, Page { after: None, limit: 1 }).ok().map(|found| found.total)
    };
    count(None).zip(count(Some(true)))
}

impl Watch {
    pub(crate) fn new(app: App, session: identity::SignedIn, user: &UserId) -> Result<Self, Problem> {
        let place = Place::take(user);
        let place = place.ok_or_else(|| Problem::unavailable("too many event streams; close some"))?;
        let mut head = app.ledger.head();
        head.mark_unchanged();
        let mut stuck = app.lifecycle.stuck();
        stuck.mark_unchanged();
        Ok(Self { app, session, head, stuck, ends: Instant::now() + LIFE, _place: place })
    }

    /// The request as soon as it is not the one that was seen, and whether it is
    /// final; none where the stream ends.
    pub(crate) async fn next_view(
        &mut self,
        id: &RequestId,
        seen: Option<Seen>,
    ) -> Option<(RequestView, Seen, bool)> {
        if seen.is_some() {
            tokio::time::sleep(BREATH).await;
        }
        let mut stuck = self.stuck.clone();
        loop {
            let user = self.reader()?;
            let request = self.app.ledger.request(id).ok().flatten()?;
            if !Lifecycle::may_see(&request, &user) {
                return None;
            }
            let sessions = match seen.and_then(|seen| seen.sessions) {
                Some(_) => Some(sessions_under(&self.app, id)?),
                None => None,
            };
            let stuck_now = stuck.borrow_and_update().contains(id);
            let now = Seen { revision: request.revision, stuck: stuck_now, sessions };
            if seen != Some(now) {
                let is_over = sessions.is_none_or(|(_, open)| open == 0);
                let is_final = request.ended_at().is_some() && is_over;
                return Some((self.app.lifecycle.view(&request).ok()?, now, is_final));
            }
            tokio::select! {
                grown = self.grown() => grown?,
                changed = stuck.changed() => changed.ok()?,
            }
        }
    }

    /// What changed after entry `after`, with the number of the entry that has been
    /// looked at last; none where the stream ends.
    pub(crate) async fn next_changes(&mut self, after: u64) -> Option<(u64, VecDeque<(u64, Changed)>)> {
        let (user, read_to, entries) = self.next_entries(Kind::Request, after).await?;
        let mut changes = VecDeque::new();
        let mut seen = BTreeSet::new();
        for sealed in entries.iter().rev() {
            let Ok(id) = sealed.entry.stream.name().parse::<RequestId>() else { continue };
            if seen.insert(id.clone()) {
                let request = self.app.ledger.request(&id).ok().flatten();
                let request = request.filter(|request| Lifecycle::may_see(request, &user));
                changes.extend(request.map(|request| {
                    let change = Changed {
                        id: id.to_string(),
                        state: request.state.name().to_owned(),
                        resource: request.asked.resource.to_string(),
                        requester: request.asked.requester.to_string(),
                        revision: request.revision,
                    };
                    (sealed.seq, change)
                }));
            }
        }
        changes.make_contiguous().reverse();
        Some((read_to, changes))
    }

    /// Whether anything happened after entry `after` to a session that I may see, or to that one,
    /// with the number of the entry that has been looked at last; none where the stream ends.
    pub(crate) async fn next_sessions(
        &mut self,
        after: u64,
        only: Option<&SessionId>,
    ) -> Option<(u64, bool)> {
        let (user, read_to, entries) = self.next_entries(Kind::Session, after).await?;
        let ids: BTreeSet<SessionId> =
            entries.iter().filter_map(|sealed| sealed.entry.stream.name().parse().ok()).collect();
        let mut ids = ids.into_iter().filter(|id| only.is_none_or(|only| only == id));
        Some((read_to, ids.any(|id| sessions::visible(&self.app, &user, &id).is_ok())))
    }

    /// What was appended about things of this kind after entry `after`, for whoever reads, with the
    /// number of the entry that has been looked at last; none where the stream ends.
    async fn next_entries(&mut self, kind: Kind, after: u64) -> Option<(User, u64, Vec<Sealed>)> {
        if *self.head.borrow_and_update() <= after {
            self.grown().await?;
            tokio::time::sleep(BREATH).await;
        }
        let user = self.reader()?;
        let filter = EntryFilter { after_seq: Some(after), kind: Some(kind), ..EntryFilter::default() };
        let head = *self.head.borrow_and_update();
        let entries = self.app.ledger.entries(&filter, ENTRIES_MAX, Order::OldestFirst).ok()?;
        // All of them were read: nothing up to the head is left to look at.
        let read_to = match entries.last() {
            Some(last) if entries.len() == ENTRIES_MAX => last.seq,
            Some(last) => last.seq.max(head),
            None => head,
        };
        Some((user, read_to.max(after), entries))
    }

    /// Whoever reads, as they are now; none where they may not any more.
    fn reader(&self) -> Option<User> {
        self.app.identity.still(&self.session).ok().flatten()
    }

    /// Waits until the ledger has grown; none where the stream has lived long
    /// enough or the gateway stops.
    async fn grown(&mut self) -> Option<()> {
        tokio::select! {
            () = self.app.stopping.cancelled() => None,
            grown = tokio::time::timeout_at(self.ends, self.head.changed()) => grown.ok()?.ok(),
        }
    }
}
