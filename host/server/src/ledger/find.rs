//! Finding requests and sessions: filters, pages, counts.
//!
//! Pages are cut by the number of a thing's first entry, so that nothing is shown
//! twice or left out when something new comes in between two pages.

use std::fmt;
use std::str::FromStr;

use quorate_core::Timestamp;
use quorate_core::entry::{Kind, Stream, View};
use quorate_core::ids::{RequestId, ResourceName, UserId};
use quorate_core::request::{Request, State};
use quorate_core::rule::AccessType;
use quorate_core::session::Session;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::read::{ReadError, Reader, as_request, as_session, unreadable};
use super::seal::{int, micros, micros_up, number};
use super::views;

/// The longest page.
pub const PAGE_ROWS_MAX: usize = 500;

/// The longest text that a caller should look for, in characters.
pub const TEXT_CHARS_MAX: usize = 200;

/// Which requests; all that is left out holds for every request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestFilter {
    /// In one of these states, as they are shown to people; empty: in any.
    pub states: Vec<String>,
    /// Whose.
    pub requester: Option<UserId>,
    /// For what.
    pub resource: Option<ResourceName>,
    /// In which way.
    pub access_type: Option<AccessType>,
    /// Somewhere in the reason or the id; upper and lower case are the same.
    pub text: Option<String>,
    /// Submitted at this time or later.
    pub since: Option<Timestamp>,
    /// Submitted before this time.
    pub until: Option<Timestamp>,
}

/// Which sessions; all that is left out holds for every session.
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    /// Only those that are open, or only those that ended.
    pub open: Option<bool>,
    /// Whose.
    pub user: Option<UserId>,
    /// On what.
    pub resource: Option<ResourceName>,
    /// Under which grant.
    pub request: Option<RequestId>,
}

/// Where a page ends and the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(u64);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Cursor {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// After this; none: from the newest.
    pub after: Option<Cursor>,
    /// At most this many, and never more than [`PAGE_ROWS_MAX`].
    pub limit: usize,
}

/// A part of a list, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    /// The part.
    pub items: Vec<T>,
    /// Where the next part begins; none where this was the last.
    pub next: Option<Cursor>,
    /// How many the whole list has.
    pub total: u64,
}

/// Conditions on one of the narrow tables.
struct Conditions {
    table: &'static str,
    sql: String,
    values: Vec<Value>,
}

impl Reader {
    /// The requests that `filter` leaves, the newest first.
    pub fn find_requests(&self, filter: &RequestFilter, page: Page) -> Result<Paged<Request>, ReadError> {
        self.find(filter.conditions(), page, Kind::Request, as_request)
    }

    /// The requests that `filter` leaves and `shown` is true of, the newest first.
    ///
    /// For people who see some of a list: page and total come of one look at the newest
    /// `rows_max` that `filter` leaves, and none of them is read twice. Only a page that
    /// begins behind those takes a second look, at as many from there. A page may come
    /// back short, with a place to go on from; there is none only where the list ends.
    pub fn scan_requests(
        &self,
        filter: &RequestFilter,
        page: Page,
        rows_max: usize,
        shown: impl Fn(&Request) -> bool,
    ) -> Result<Paged<Request>, ReadError> {
        let conditions = filter.conditions();
        let limit = page.limit.clamp(1, PAGE_ROWS_MAX);
        let (mut items, mut last, mut more, mut total) = (Vec::new(), None, false, 0);
        let mut take = |cursor: Cursor, request: Request| {
            if items.len() == limit {
                more = true;
            } else {
                items.push(request);
                last = Some(cursor);
            }
            !more
        };
        let end = self.read(|connection| {
            // One transaction, so that both looks are at the same list.
            let transaction = connection.unchecked_transaction()?;
            let end = look(&transaction, &conditions, None, rows_max, |cursor, request| {
                if shown(&request) {
                    total += 1;
                    if page.after.is_none_or(|after| cursor.0 < after.0) {
                        take(cursor, request);
                    }
                }
                true
            })?;
            let behind = page.after.filter(|after| end.is_some_and(|end| after.0 <= end.0));
            let Some(after) = behind else { return Ok(end) };
            look(&transaction, &conditions, Some(after), rows_max, |cursor, request| {
                !shown(&request) || take(cursor, request)
            })
        })?;
        let next = if more || (items.len() == limit && end.is_some()) { last } else { end };
        Ok(Paged { items, next, total })
    }

    /// The sessions that `filter` leaves, the newest first.
    pub fn find_sessions(&self, filter: &SessionFilter, page: Page) -> Result<Paged<Session>, ReadError> {
        self.find(filter.conditions(), page, Kind::Session, as_session)
    }

    /// How many requests of `user` wait.
    pub fn pending_of(&self, user: &UserId) -> Result<u64, ReadError> {
        self.read(|connection| Ok(views::pending_of(connection, user)?))
    }

    /// How many votes of `user` on a request were refused.
    pub fn refused_votes(&self, id: &RequestId, user: &UserId) -> Result<u64, ReadError> {
        // By the stream, which is short, and not by everything that they ever did.
        let sql = "SELECT count(*) FROM entries
                   WHERE stream = ?1 AND +by_user = ?2 AND +type = 'vote-refused'";
        let params = (Stream::request(id).to_string(), user.as_str());
        self.read(|connection| {
            Ok(connection.prepare_cached(sql)?.query_row(params, |row| row.get(0)).map(number)?)
        })
    }

    /// All sessions that are open, the oldest first.
    pub fn open_sessions(&self) -> Result<Vec<Session>, ReadError> {
        let sql = "SELECT v.json FROM sessions t JOIN views v ON v.seq = t.seq
                   WHERE t.is_open = 1 ORDER BY t.seq";
        let json = self.rows(sql, [], |row| row.get(0))?;
        things(&json, Kind::Session, as_session)
    }

    /// The just-in-time grants of `user` for `resource` that are open at `now`, the
    /// one that lasts longest first.
    pub fn live_grants(
        &self,
        user: &UserId,
        resource: &ResourceName,
        now: Timestamp,
    ) -> Result<Vec<Request>, ReadError> {
        let sql = "SELECT v.json FROM requests t JOIN views v ON v.seq = t.seq
                   WHERE t.requester = ?1 AND t.resource = ?2 AND t.access_type = 'just-in-time'
                     AND t.state = 'APPROVED' AND t.until > ?3
                   ORDER BY t.until DESC, t.seq DESC";
        let json = self.rows(sql, (user.as_str(), resource.as_str(), micros(now)), |row| row.get(0))?;
        let mut grants = things(&json, Kind::Request, as_request)?;
        // The column is rounded up.
        grants.retain(
            |request: &Request| matches!(&request.state, State::Approved { grant, .. } if grant.until > now),
        );
        Ok(grants)
    }

    /// What `user` asked of `resource` at `since` or later, the newest first.
    pub fn history(
        &self,
        user: &UserId,
        resource: &ResourceName,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<Request>, ReadError> {
        let sql = "SELECT v.json FROM requests t JOIN views v ON v.seq = t.seq
                   WHERE t.requester = ?1 AND t.resource = ?2 AND t.submitted >= ?3
                   ORDER BY t.seq DESC LIMIT ?4";
        let params = (user.as_str(), resource.as_str(), micros(since), int(max as u64));
        let json = self.rows(sql, params, |row| row.get(0))?;
        things(&json, Kind::Request, as_request)
    }

    fn find<T>(
        &self,
        conditions: Conditions,
        page: Page,
        kind: Kind,
        pick: fn(View) -> Option<T>,
    ) -> Result<Paged<T>, ReadError> {
        let Conditions { table, sql, mut values } = conditions;
        let limit = page.limit.clamp(1, PAGE_ROWS_MAX);
        let count = format!("SELECT count(*) FROM {table} t WHERE {sql}");
        let before = if page.after.is_some() { "AND t.seq < ?" } else { "" };
        let rows = format!(
            "SELECT p.seq, v.json FROM
                 (SELECT t.seq FROM {table} t WHERE {sql} {before} ORDER BY t.seq DESC LIMIT ?) p
             JOIN views v ON v.seq = p.seq ORDER BY p.seq DESC"
        );
        self.read(|connection| {
            // One transaction, so that the count is that of the same list.
            let transaction = connection.unchecked_transaction()?;
            let of_all = values.len();
            values.extend(page.after.map(|Cursor(seq)| int(seq).into()));
            values.push(int(limit as u64 + 1).into());
            let mut found = transaction
                .prepare_cached(&rows)?
                .query_map(params_from_iter(&values), |row| Ok((number(row.get(0)?), row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<(u64, String)>>>()?;
            let more = found.len() > limit;
            // A list on one page has been counted; to find that few has taken a look at all.
            let total = match page.after {
                None if !more => found.len() as u64,
                _ => transaction
                    .prepare_cached(&count)?
                    .query_row(params_from_iter(&values[..of_all]), |row| row.get(0))
                    .map(number)?,
            };
            found.truncate(limit);
            let next = found.last().filter(|_| more).map(|(seq, _)| Cursor(*seq));
            let json: Vec<String> = found.into_iter().map(|(_, json)| json).collect();
            let items = things(&json, kind, pick)?;
            Ok(Paged { items, next, total })
        })
    }
}

/// Reads at most `rows_max` requests behind `after`, the newest first, until `each` has
/// enough. Says where it stopped; none where there are no more.
fn look(
    connection: &Connection,
    conditions: &Conditions,
    after: Option<Cursor>,
    rows_max: usize,
    mut each: impl FnMut(Cursor, Request) -> bool,
) -> Result<Option<Cursor>, ReadError> {
    let Conditions { table, sql, values } = conditions;
    let before = if after.is_some() { "AND t.seq < ?" } else { "" };
    // The numbers first: where they have to be sorted, the things themselves need not be.
    let numbers = format!("SELECT t.seq FROM {table} t WHERE {sql} {before} ORDER BY t.seq DESC LIMIT ?");
    let mut values = values.clone();
    values.extend(after.map(|Cursor(seq)| int(seq).into()));
    values.push(int(rows_max as u64 + 1).into());
    let seqs = connection
        .prepare_cached(&numbers)?
        .query_map(params_from_iter(&values), |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut one = connection.prepare_cached("SELECT json FROM views WHERE seq = ?1")?;
    for (nth, seq) in seqs.iter().enumerate().take(rows_max) {
        let cursor = Cursor(number(*seq));
        let json = one.query_row([seq], |row| row.get(0))?;
        let request = things(&[json], Kind::Request, as_request)?.pop();
        if request.is_some_and(|request| !each(cursor, request))
            || (nth + 1 == rows_max && nth + 1 < seqs.len())
        {
            return Ok(Some(cursor));
        }
    }
    Ok(None)
}

fn things<T>(json: &[String], kind: Kind, pick: fn(View) -> Option<T>) -> Result<Vec<T>, ReadError> {
    let views = json.iter().map(|json| views::decode(kind, json).map_err(|error| unreadable(&error)));
    views.filter_map(|view| view.map(pick).transpose()).collect()
}

impl Conditions {
    fn on(table: &'static str) -> Self {
        Self { table, sql: "true".to_owned(), values: Vec::new() }
    }

    fn and(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.sql.push_str(" AND ");
            self.sql.push_str(condition);
            self.values.push(value.into());
        }
    }
}

impl RequestFilter {
    fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::on("requests");
        if !self.states.is_empty() {
            let marks = vec!["?"; self.states.len()].join(", ");
            conditions.sql.push_str(&[" AND t.state IN (", &marks, ")"].concat());
            conditions.values.extend(self.states.iter().map(|state| Value::from(state.clone())));
        }
        conditions.and("t.requester = ?", self.requester.as_ref().map(ToString::to_string));
        conditions.and("t.resource = ?", self.resource.as_ref().map(ToString::to_string));
        conditions.and("t.access_type = ?", self.access_type.map(|access_type| access_type.to_string()));
        conditions.and("instr(t.text, ?) > 0", self.text.as_ref().map(|text| text.to_lowercase()));
        conditions.and("t.submitted >= ?", self.since.map(micros));
        conditions.and("t.submitted < ?", self.until.map(micros_up));
        conditions
    }
}

impl SessionFilter {
    fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::on("sessions");
        conditions.and("t.is_open = ?", self.open.map(i64::from));
        conditions.and("t.user = ?", self.user.as_ref().map(ToString::to_string));
        conditions.and("t.resource = ?", self.resource.as_ref().map(ToString::to_string));
        conditions.and("t.request = ?", self.request.as_ref().map(ToString::to_string));
        conditions
    }
}
