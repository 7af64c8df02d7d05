//! Decision points: where in the ledger the policies were asked, and the records of
//! it. For those who look at very many of them: what is not needed is not read, and an
//! entry's JSON is not taken apart where what is wanted from it stands where it always does.

use std::borrow::Cow;
use std::ops::ControlFlow;

use memchr::memmem;
use quorate_core::Timestamp;
use quorate_core::decision::RuleUsed;
use quorate_core::entry::{Kind, Stream};
use quorate_core::ids::{Digest, PolicyName, RequestId, RuleName};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};
use serde::Deserialize;

use super::read::{ReadError, Reader, parse};
use super::seal::{int, micros, number};

/// What stands before the digest of the record, with which the JSON nearly always ends.
const RECORD: &[u8] = b",\"record\":\"";
/// What stands before what it came to. A quote inside a text is escaped, so that nothing
/// else looks like it.
const OUTCOME: &[u8] = b"\"decision\":{\"outcome\":{\"kind\":\"";

/// How many records that are not looked for are passed over before the next one is looked
/// for by its digest.
const OTHERS_MAX: u32 = 4;

/// Which decision points; all that is left out holds for every one.
#[derive(Debug, Clone, Default)]
pub struct PointFilter {
    /// Of one request.
    pub request: Option<RequestId>,
    /// In which this policy took part.
    pub policy: Option<PolicyName>,
    /// In which this rule took part; with a policy, those in which the rule asked it.
    pub rule: Option<RuleName>,
    /// At this time or later.
    pub since: Option<Timestamp>,
}

/// One time that the policies were asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The number of its entry.
    pub seq: u64,
    /// About which request.
    pub request: RequestId,
    /// When.
    pub at: Timestamp,
    /// The digest of its record.
    pub record: Digest,
    /// What the entry says that it came to: `approved`, `waiting`, `denied`, `faulted`.
    pub outcome: String,
}

/// How much history there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// How many decision points.
    pub points: u64,
    /// How many of them have no record any more.
    pub missing: u64,
    /// The newest entry when this was counted.
    pub head: u64,
}

impl Reader {
    /// Counts what `filter` leaves.
    pub fn history_of_decisions(&self, filter: &PointFilter) -> Result<History, ReadError> {
        self.read(|connection| {
            // One transaction: the newest entry and those up to it are of one moment.
            let transaction = connection.unchecked_transaction()?;
            let head: i64 = transaction.query_row("SELECT seq FROM head", [], |row| row.get(0))?;
            let mut history = History { points: 0, missing: 0, head: number(head) };
            let mut record = transaction.prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1")?;
            filter.each(&transaction, 0, history.head, |found| {
                history.points += 1;
                history.missing += u64::from(!record.exists([found.record().as_bytes()])?);
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(history)
        })
    }

    /// The decision points that `filter` leaves after entry `after` and up to entry
    /// `until`, at most `limit`, which is not zero, the oldest first.
    pub fn decision_points(
        &self,
        filter: &PointFilter,
        after: u64,
        until: u64,
        limit: usize,
    ) -> Result<Vec<Point>, ReadError> {
        self.read(|connection| {
            let mut points = Vec::new();
            filter.each(connection, after, until, |found| {
                points.push(found.point()?);
                // The next one may lie far behind.
                let is_enough = points.len() >= limit;
                Ok(if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            Ok(points)
        })
    }

    /// Shows `each` the record of every point, in their order, where it stands: nothing
    /// is copied. None where it is not there any more.
    ///
    /// Records lie in the order in which they were written, which is that of the decisions
    /// unless one record serves several: so each is looked for behind the one before, and
    /// by its digest only where it is not there.
    pub fn records_of(
        &self,
        points: &[Point],
        mut each: impl FnMut(&Point, Option<&[u8]>),
    ) -> Result<(), ReadError> {
        self.read(|connection| {
            // One transaction: it is not begun and ended once for each of them.
            let transaction = connection.unchecked_transaction()?;
            let mut by_digest =
                transaction.prepare_cached("SELECT rowid, bytes FROM blobs WHERE digest = ?1")?;
            let mut behind = transaction
                .prepare_cached("SELECT digest, bytes FROM blobs WHERE rowid > ?1 ORDER BY rowid")?;
            let mut points = points.iter().peekable();
            while let Some(point) = points.next() {
                let found = by_digest
                    .query_row([point.record.as_bytes()], |row| {
                        each(point, row.get_ref(1)?.as_blob().ok());
                        row.get::<_, i64>(0)
                    })
                    .optional()?;
                let Some(rowid) = found else {
                    each(point, None);
                    continue;
                };
                let (mut rows, mut others) = (behind.query([rowid])?, 0);
                while let Some(point) = points.peek()
                    && others < OTHERS_MAX
                    && let Some(row) = rows.next()?
                {
                    if row.get_ref(0)?.as_blob().is_ok_and(|digest| digest == point.record.as_bytes()) {
                        each(point, row.get_ref(1)?.as_blob().ok());
                        points.next();
                        others = 0;
                    } else {
                        others += 1;
                    }
                }
            }
            Ok(())
        })
    }
}

/// A decision point as its row says it.
struct Found<'a> {
    seq: u64,
    stream: &'a str,
    /// Microseconds since 1970.
    at: i64,
    json: &'a str,
    /// Finds [`OUTCOME`].
    outcome: &'a memmem::Finder<'static>,
}

impl Found<'_> {
    fn point(&self) -> Result<Point, ReadError> {
        let name = self.stream.strip_prefix(Kind::Request.as_str()).and_then(|rest| rest.strip_prefix('/'));
        Ok(Point {
            seq: self.seq,
            request: parse(name.unwrap_or(self.stream))?,
            at: Timestamp::from_microsecond(self.at)
                .map_err(|error| ReadError::Unreadable(error.to_string()))?,
            record: self.record(),
            outcome: self.outcome().into_owned(),
        })
    }

    fn record(&self) -> Digest {
        let json = self.json.as_bytes();
        // The digest's 64 digits, and what closes it and the object.
        let last = json.strip_suffix(b"\"}").and_then(|rest| rest.split_last_chunk::<64>());
        let digits = match last {
            Some((before, digits)) if before.ends_with(RECORD) => str::from_utf8(digits).ok(),
            _ => None,
        };
        let digest = match digits {
            Some(digits) => digits.parse().ok(),
            None => said::<Recorded>(self.json).map(|recorded| recorded.record),
        };
        digest.unwrap_or(Digest::ZERO)
    }

    fn outcome(&self) -> Cow<'_, str> {
        let begins = self.outcome.find(self.json.as_bytes()).map(|at| at + OUTCOME.len());
        let stands = begins.and_then(|begins| self.json.get(begins..)?.split('"').next());
        stands.map_or_else(
            || said::<Decided>(self.json).map(|said| said.decision.outcome.kind).unwrap_or_default().into(),
            Cow::Borrowed,
        )
    }

    /// Whether this policy took part, and this rule. A quote inside a text is escaped, so
    /// this finds names and nothing that somebody wrote.
    fn is_of(&self, policy: Option<&memmem::Finder<'_>>, rule: Option<&memmem::Finder<'_>>) -> bool {
        let names = |finder: &memmem::Finder<'_>| finder.find(self.json.as_bytes()).is_some();
        policy.is_none_or(names) && rule.is_none_or(names)
    }

    /// Whether the rule asked the policy.
    fn asked(&self, policy: &PolicyName, rule: &RuleName) -> bool {
        said::<Decided>(self.json).is_some_and(|said| {
            let mut rules = said.decision.rules.iter().filter(|used| used.rule == *rule);
            rules.any(|used| used.policies.iter().any(|used| used.policy == *policy))
        })
    }
}

/// Of an entry, the digest of the record.
#[derive(Deserialize)]
struct Recorded {
    record: Digest,
}

/// Of an entry, what was decided.
#[derive(Deserialize)]
struct Decided {
    decision: Said,
}

#[derive(Deserialize)]
struct Said {
    outcome: Outcome,
    rules: Vec<RuleUsed>,
}

#[derive(Deserialize)]
struct Outcome {
    kind: String,
}

fn said<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    serde_json::from_str(json).ok()
}

impl PointFilter {
    /// Shows `each` what this leaves after entry `after` and up to entry `until`, the oldest
    /// first, until it breaks off.
    fn each(
        &self,
        connection: &Connection,
        after: u64,
        until: u64,
        mut each: impl FnMut(&Found<'_>) -> Result<ControlFlow<()>, ReadError>,
    ) -> Result<(), ReadError> {
        let mut values: Vec<Value> = vec![int(after).into(), int(until).into()];
        let mut conditions = String::from("type = 'request-decided' AND seq > ? AND seq <= ?");
        if let Some(request) = &self.request {
            conditions.push_str(" AND stream = ?");
            values.push(Stream::request(request).to_string().into());
        }
        if let Some(since) = self.since {
            conditions.push_str(" AND at >= ?");
            values.push(micros(since).into());
        }
        let policy = self.policy.as_ref().map(|policy| format!("\"policy\":\"{policy}\""));
        let rule = self.rule.as_ref().map(|rule| format!("\"rule\":\"{rule}\""));
        let (policy, rule) =
            (policy.as_ref().map(memmem::Finder::new), rule.as_ref().map(memmem::Finder::new));
        let outcome = memmem::Finder::new(OUTCOME);
        let sql = format!("SELECT seq, stream, at, json FROM entries WHERE {conditions} ORDER BY seq");
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let text = |nth: usize| -> Result<&str, ReadError> {
                let text = row.get_ref(nth)?.as_str();
                text.map_err(|error| ReadError::Unreadable(error.to_string()))
            };
            let (seq, at) = (number(row.get(0)?), row.get(2)?);
            let found = Found { seq, stream: text(1)?, at, json: text(3)?, outcome: &outcome };
            let both = self.policy.as_ref().zip(self.rule.as_ref());
            if found.is_of(policy.as_ref(), rule.as_ref())
                && both.is_none_or(|(policy, rule)| found.asked(policy, rule))
                && each(&found)?.is_break()
            {
                break;
            }
        }
        Ok(())
    }
}
