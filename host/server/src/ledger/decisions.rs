//! Decision points: where in the ledger the policies were asked, and the records of
//! it. For those who look at very many of them: what is not needed is not read.

use quorate_core::Timestamp;
use quorate_core::entry::{Kind, Stream};
use quorate_core::ids::{Digest, PolicyName, RequestId, RuleName};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{OptionalExtension as _, params_from_iter};

use super::read::{ReadError, Reader, parse};
use super::seal::{digest_of, int, micros, number};

/// The digest of the record, which nearly always is what the text ends with: then the
/// JSON need not be taken apart.
const RECORD: &str =
    "iif(substr(e.json, -77, 11) = ',\"record\":\"', substr(e.json, -66, 64), e.json ->> '$.record')";

/// What it came to, and some of what follows that. A quote inside a text is escaped, so
/// that nothing else looks like it.
const OUTCOME: &str = "coalesce(
    substr(e.json, nullif(instr(e.json, '\"decision\":{\"outcome\":{\"kind\":\"'), 0) + 31, 12),
    e.json ->> '$.decision.outcome.kind')";

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
        let (conditions, values) = filter.conditions();
        let sql = format!(
            "SELECT count(*), count(*) - count(b.digest), (SELECT seq FROM head)
             FROM entries e LEFT JOIN blobs b ON b.digest = unhex({RECORD}) WHERE {conditions}"
        );
        let found = self.rows(&sql, params_from_iter(values), |row| {
            Ok((number(row.get(0)?), number(row.get(1)?), number(row.get(2)?)))
        })?;
        let (points, missing, head) = found.first().copied().unwrap_or_default();
        Ok(History { points, missing, head })
    }

    /// The decision points that `filter` leaves after entry `after` and up to entry
    /// `until`, at most `limit`, the oldest first.
    pub fn decision_points(
        &self,
        filter: &PointFilter,
        after: u64,
        until: u64,
        limit: usize,
    ) -> Result<Vec<Point>, ReadError> {
        let (conditions, mut values) = filter.conditions();
        values.extend([int(after), int(until), int(limit as u64)].map(Value::from));
        let sql = format!(
            "SELECT e.seq, e.stream, e.at, unhex({RECORD}), {OUTCOME}
             FROM entries e WHERE {conditions} AND e.seq > ? AND e.seq <= ? ORDER BY e.seq LIMIT ?"
        );
        let rows = self.rows(&sql, params_from_iter(values), |row| {
            let (seq, at) = (number(row.get(0)?), row.get::<_, i64>(2)?);
            Ok((seq, row.get::<_, String>(1)?, at, digest_of(row, 3)?, row.get::<_, Option<String>>(4)?))
        })?;
        let point =
            |(seq, stream, at, record, outcome): (u64, String, i64, Option<Digest>, Option<String>)| {
                let name =
                    stream.strip_prefix(Kind::Request.as_str()).and_then(|rest| rest.strip_prefix('/'));
                Ok(Point {
                    seq,
                    request: parse(name.unwrap_or(&stream))?,
                    at: Timestamp::from_microsecond(at)
                        .map_err(|error| ReadError::Unreadable(error.to_string()))?,
                    record: record.unwrap_or(Digest::ZERO),
                    outcome: outcome.unwrap_or_default().split('"').next().unwrap_or_default().to_owned(),
                })
            };
        rows.into_iter().map(point).collect()
    }

    /// Shows `each` the record of every point, in their order, where it stands: nothing
    /// is copied. None where it is not there any more.
    pub fn records_of(
        &self,
        points: &[Point],
        mut each: impl FnMut(&Point, Option<&[u8]>),
    ) -> Result<(), ReadError> {
        self.read(|connection| {
            // One transaction: it is not begun and ended once for each of them.
            let transaction = connection.unchecked_transaction()?;
            let mut one = transaction.prepare_cached("SELECT bytes FROM blobs WHERE digest = ?1")?;
            for point in points {
                let seen = one
                    .query_row([point.record.as_bytes()], |row| {
                        match row.get_ref(0)? {
                            ValueRef::Blob(bytes) => each(point, Some(bytes)),
                            _ => each(point, None),
                        }
                        Ok(())
                    })
                    .optional()?;
                if seen.is_none() {
                    each(point, None);
                }
            }
            Ok(())
        })
    }
}

impl PointFilter {
    fn conditions(&self) -> (String, Vec<Value>) {
        let mut conditions = vec!["e.type = 'request-decided'"];
        let mut values: Vec<Value> = Vec::new();
        if let Some(request) = &self.request {
            conditions.push("e.stream = ?");
            values.push(Stream::request(request).to_string().into());
        }
        if let Some(since) = self.since {
            conditions.push("e.at >= ?");
            values.push(micros(since).into());
        }
        // A quote inside a text is escaped there, so this finds names and nothing that
        // somebody wrote. It is many times faster than taking the JSON apart.
        if let Some(policy) = &self.policy {
            conditions.push("instr(e.json, ?) > 0");
            values.push(format!("\"policy\":\"{policy}\"").into());
        }
        if let Some(rule) = &self.rule {
            conditions.push("instr(e.json, ?) > 0");
            values.push(format!("\"rule\":\"{rule}\"").into());
        }
        if let (Some(policy), Some(rule)) = (&self.policy, &self.rule) {
            conditions.push(
                "EXISTS (SELECT 1 FROM json_each(e.json, '$.decision.rules') r, json_each(r.value, '$.policies') p
                         WHERE r.value ->> 'rule' = ? AND p.value ->> 'policy' = ?)",
            );
            values.extend([rule.to_string().into(), policy.to_string().into()]);
        }
        (conditions.join(" AND "), values)
    }
}
