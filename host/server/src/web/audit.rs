//! The ledger as auditors read it: filtered, exported, verified.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use quorate_core::Timestamp;
use quorate_core::entry::{Actor, Stream};
use quorate_core::ids::UserId;
use quorate_core::user::User;
use serde::Deserialize;

use super::happened::Line;
use super::page::{Frame, Refusal, apart, show, show_found};
use super::visitor::{Auditor, Nothing, Sent, encoded};
use super::words::{self, cursor, query};
use crate::api::{VerifiedView, exported, verified};
use crate::app::App;
use crate::ledger::{EntryFilter, Order, Sealed};

/// Entries on a page.
const PAGE_ROWS: usize = 100;

/// What is looked for. What is empty is not asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    stream: String,
    by: String,
    #[serde(rename = "type")]
    event: String,
    since: String,
    until: String,
    cursor: String,
}

/// An entry.
struct Row {
    seq: u64,
    line: Line,
    stream: String,
    /// Where what it is about is shown.
    link: Option<String>,
    digest: String,
    /// All of it.
    json: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    search: Search,
    rows: Vec<Row>,
    total: u64,
    /// Where the entries before these are.
    older: Option<String>,
    error: Option<String>,
    verified: Option<VerifiedView>,
}

/// The newest entries that fit.
pub(super) async fn page(
    Auditor(user): Auditor,
    State(app): State<App>,
    Query(search): Query<Search>,
) -> Result<Response, Refusal> {
    let page = apart(move || AuditPage::of(&app, &user, search)).await?;
    Ok(show_found(page.error.as_ref(), &page))
}

/// Reads and computes the whole ledger anew, and says what came of it.
pub(super) async fn verify(
    State(app): State<App>,
    Sent { visitor: Auditor(user), form: Nothing {} }: Sent<Nothing, Auditor>,
) -> Result<Response, Refusal> {
    let verified = verified(&app).await?;
    let mut page = apart(move || AuditPage::of(&app, &user, Search::default())).await?;
    page.verified = Some(verified);
    Ok(show(StatusCode::OK, &page))
}

/// All of it as a file.
pub(super) async fn export(_: Auditor, State(app): State<App>) -> Result<Response, Refusal> {
    Ok(exported(app)?)
}

impl AuditPage {
    fn of(app: &App, user: &User, search: Search) -> Result<Self, Refusal> {
        let (found, error) = match search.filter() {
            Ok(filter) => (app.ledger.entries(&filter, PAGE_ROWS + 1, Order::NewestFirst)?, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let more = found.len() > PAGE_ROWS;
        let rows: Vec<Row> = found.iter().take(PAGE_ROWS).map(Row::of).collect();
        Ok(Self {
            frame: Frame::of(user, "audit"),
            older: rows.last().filter(|_| more).map(|row| search.older(row.seq)),
            rows,
            total: app.ledger.size()?.entries,
            search,
            error,
            verified: None,
        })
    }
}

impl Row {
    fn of(sealed: &Sealed) -> Self {
        let stream = sealed.entry.stream.to_string();
        Self {
            seq: sealed.seq,
            line: Line::of(&sealed.entry),
            link: place(&stream),
            stream,
            digest: sealed.digest.to_string(),
            json: serde_json::to_string_pretty(&sealed.entry).unwrap_or_default(),
        }
    }
}

/// Where `request/abc` is shown.
fn place(stream: &str) -> Option<String> {
    let (kind, name) = stream.split_once('/')?;
    let part = match kind {
        "request" => "requests",
        "rule" => "rules",
        "policy" => "policies",
        _ => return None,
    };
    Some(format!("/{part}/{}", encoded(name)))
}

impl Search {
    fn filter(&self) -> Result<EntryFilter, String> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let stream = given(&self.stream).map(Stream::try_from);
        let by = given(&self.by).map(|name| match name.as_str() {
            "gateway" => Ok(Actor::Gateway),
            name => name.parse::<UserId>().map(Actor::User).map_err(|bad| bad.to_string()),
        });
        Ok(EntryFilter {
            after_seq: None,
            before_seq: cursor(&self.cursor)?,
            stream: stream.transpose()?,
            kind: None,
            by: by.transpose()?,
            event: given(&self.event),
            since: given(&self.since).map(|text| moment(&text)).transpose()?,
            until: given(&self.until).map(|text| moment(&text)).transpose()?,
        })
    }

    /// The address of the page behind this one.
    fn older(&self, cursor: u64) -> String {
        let pairs = [
            ("stream", self.stream.as_str()),
            ("by", &self.by),
            ("type", &self.event),
            ("since", &self.since),
            ("until", &self.until),
            ("cursor", &cursor.to_string()),
        ];
        query("/audit", &pairs)
    }

    fn is_filtered(&self) -> bool {
        let Self { stream, by, event, since, until, cursor } = self;
        [stream, by, event, since, until, cursor].into_iter().any(|one| !one.is_empty())
    }
}

/// A time as it is written here: as in an entry, or, in UTC, as a browser's field has it.
fn moment(text: &str) -> Result<Timestamp, String> {
    let whole = || text.parse::<Timestamp>().ok();
    let utc = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    whole()
        .or_else(|| utc().map(|zoned| zoned.timestamp()))
        .ok_or_else(|| format!("`{text}` is no time: write it as in 2026-11-23T10:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_and_browsers_write_them() {
        let whole: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        for text in
            ["2026-11-23T10:00:00Z", "2026-11-23T11:00:00+01:00", "2026-11-23T10:00", "2026-11-23 10:00"]
        {
            assert_eq!(moment(text), Ok(whole), "{text}");
        }
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn the_next_page_keeps_what_is_looked_for() {
        let search =
            Search { by: "ann".to_owned(), since: "2026-11-23T10:00".to_owned(), ..Search::default() };
        assert_eq!(search.older(7), "/audit?by=ann&since=2026-11-23T10%3A00&cursor=7");
    }
}
