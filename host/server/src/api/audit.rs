//! What happened, and proof that nobody edited it.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use quorate_core::Timestamp;
use quorate_core::entry::{Actor, Entry, Stream};
use quorate_core::ids::{Digest, UserId};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use utoipa::{IntoParams, ToSchema};

use super::access::Auditor;
use super::body::Query;
use super::page::{Listed, limit};
use super::problem::Problem;
use crate::app::App;
use crate::ledger::{EntryFilter, Ledger, Order, ReadError, Sealed, VerifyError};

/// Entries read at once for an export.
const EXPORT_ROWS: usize = 500;

/// Reading the whole ledger: one at a time, so that it never is the gateway's main
/// work.
static WHOLE: Semaphore = Semaphore::const_new(1);

/// An entry of the ledger, as it is kept, with its place in the chain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryView {
    /// Its number, from 1 without gaps.
    seq: u64,
    /// The digest of the entry before; all zeros for the first.
    #[schema(value_type = String)]
    previous: Digest,
    /// The digest of `previous`, `seq` and the entry.
    #[schema(value_type = String)]
    digest: Digest,
    /// What happened: `stream`, `revision`, `at`, `by`, `type`, and what belongs to
    /// the type.
    #[schema(value_type = Object)]
    entry: Entry,
}

impl EntryView {
    fn of(sealed: Sealed) -> Self {
        let Sealed { seq, entry, previous, digest } = sealed;
        Self { seq, previous, digest, entry }
    }

    /// A page of at most `limit`; `found` has one more where there is a next.
    pub(super) fn page(mut found: Vec<Sealed>, limit: usize, total: u64) -> Listed<Self> {
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| last.seq.to_string());
        Listed { items: found.into_iter().map(Self::of).collect(), next, total }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EntryQuery {
    /// With a number larger than this.
    after: Option<u64>,
    /// About this, as in `request/abc`.
    #[param(value_type = Option<String>)]
    stream: Option<Stream>,
    /// By this person; `gateway` for the gateway itself.
    by: Option<String>,
    /// Of this type, as in `vote-cast`.
    #[serde(rename = "type")]
    event: Option<String>,
    /// At this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// `oldest` first, or `newest`.
    #[serde(default)]
    #[param(inline)]
    order: First,
    /// Items on a page, 1 to 200.
    limit: Option<usize>,
    /// What `next` said on the page before.
    cursor: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum First {
    #[default]
    Oldest,
    Newest,
}

/// What verifying the ledger came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerifiedView {
    /// Whether every entry is what was written.
    ok: bool,
    /// How many there are, where it is.
    pub(crate) entries: Option<u64>,
    /// The digest of the newest, where it is. Whoever writes it down elsewhere can
    /// tell later whether the ledger still continues from it.
    pub(crate) head: Option<String>,
    /// The first entry that cannot be trusted.
    pub(crate) broken: Option<BrokenView>,
}

/// The first entry that cannot be trusted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrokenView {
    /// Its number.
    pub(crate) seq: u64,
    /// What is wrong with it.
    pub(crate) why: String,
}

/// The ledger's entries
///
/// `total` counts the whole ledger, whatever the filters.
#[utoipa::path(get, path = "/api/audit/entries", tag = "audit", security(("token" = ["auditor"])),
    params(EntryQuery), responses((status = 200, body = Listed<EntryView>)))]
pub(super) async fn entries(
    _: Auditor,
    State(app): State<App>,
    Query(query): Query<EntryQuery>,
) -> Result<Json<Listed<EntryView>>, Problem> {
    let limit = limit(query.limit)?;
    let (filter, order) = query.filter()?;
    let read = move || {
        let found = app.ledger.entries(&filter, limit + 1, order)?;
        Ok(Json(EntryView::page(found, limit, app.ledger.size()?.entries)))
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| Problem::internal(&error))?
}

/// Verify the whole ledger
///
/// Reads and computes everything anew; one at a time.
#[utoipa::path(get, path = "/api/audit/verify", tag = "audit", security(("token" = ["auditor"])),
    responses((status = 200, body = VerifiedView)))]
pub(super) async fn verify(_: Auditor, State(app): State<App>) -> Result<Json<VerifiedView>, Problem> {
    verified(&app).await.map(Json)
}

/// Verifies the whole ledger, if nobody else does just now.
pub(crate) async fn verified(app: &App) -> Result<VerifiedView, Problem> {
    let ledger = app.ledger.clone();
    let turn = WHOLE.try_acquire().map_err(|_| busy())?;
    let verify = move || {
        let _turn = turn;
        ledger.verify()
    };
    let verified = tokio::task::spawn_blocking(verify).await.map_err(|error| Problem::internal(&error))?;
    Ok(match verified {
        Ok(verified) => VerifiedView {
            ok: true,
            entries: Some(verified.entries),
            head: Some(verified.head.to_string()),
            broken: None,
        },
        Err(VerifyError::Broken { seq, why }) => {
            VerifiedView { ok: false, entries: None, head: None, broken: Some(BrokenView { seq, why }) }
        }
        Err(error) => return Err(Problem::internal(&error)),
    })
}

/// Export the whole ledger
///
/// One entry per line (newline-delimited JSON), the oldest first, up to what was
/// the newest at the start. An answer that ends before it is not complete.
#[utoipa::path(get, path = "/api/audit/export", tag = "audit", security(("token" = ["auditor"])),
    responses((status = 200, body = EntryView, content_type = "application/x-ndjson")))]
pub(super) async fn export(_: Auditor, State(app): State<App>) -> Result<Response, Problem> {
    exported(app)
}

/// The whole ledger as a file, if nobody else reads it just now.
pub(crate) fn exported(app: App) -> Result<Response, Problem> {
    let turn = WHOLE.try_acquire().map_err(|_| busy())?;
    let (lines, ready) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        if let Err(error) = write_lines(&app.ledger, &lines) {
            tracing::error!(%error, "an export was cut short");
            // Nobody listens any more where this fails.
            let _ = lines.blocking_send(Err(error));
        }
    });
    let lines = stream::unfold(ready, async |mut ready| Some((ready.recv().await?, ready)));
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"quorate-ledger.ndjson\""),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

impl EntryQuery {
    fn filter(self) -> Result<(EntryFilter, Order), Problem> {
        let by = match self.by.as_deref() {
            None => None,
            Some("gateway") => Some(Actor::Gateway),
            Some(name) => Some(Actor::User(name.parse::<UserId>()?)),
        };
        let (after, before, order) = match self.order {
            First::Oldest => (self.after.max(self.cursor), None, Order::OldestFirst),
            First::Newest => (self.after, self.cursor, Order::NewestFirst),
        };
        let filter = EntryFilter {
            after_seq: after,
            before_seq: before,
            stream: self.stream,
            kind: None,
            by,
            event: self.event,
            since: self.since,
            until: self.until,
        };
        Ok((filter, order))
    }
}

/// Writes one line for each entry until nobody listens.
fn write_lines(ledger: &Ledger, lines: &mpsc::Sender<Result<Bytes, ReadError>>) -> Result<(), ReadError> {
    let (mut after, head) = (0, *ledger.head().borrow());
    while after < head {
        let filter = EntryFilter { after_seq: Some(after), ..EntryFilter::default() };
        let found = ledger.entries(&filter, EXPORT_ROWS, Order::OldestFirst)?;
        let Some(last) = found.last().map(|last| last.seq) else { break };
        let mut chunk = Vec::new();
        for sealed in found.into_iter().filter(|sealed| sealed.seq <= head) {
            let line = serde_json::to_vec(&EntryView::of(sealed));
            chunk.extend(line.map_err(|error| ReadError::Unreadable(error.to_string()))?);
            chunk.push(b'\n');
        }
        if lines.blocking_send(Ok(chunk.into())).is_err() {
            break;
        }
        after = last;
    }
    Ok(())
}

fn busy() -> Problem {
    Problem::unavailable("somebody else reads the whole ledger just now; try again")
}
