//! What the shadows of policies have seen, kept beside the entries: it follows from
//! them and from the components, and is never part of them.
//!
//! How far a shadow has come is written in one transaction with what it found, and only
//! where nobody was first: so looking twice counts once.

use quorate_core::entry::Stream;
use quorate_core::ids::{PolicyName, RequestId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::read::{ReadError, Reader};
use super::seal::{int, number};
use super::{AppendError, Ledger};

/// What is kept.
pub(super) const TABLES: &str = "
CREATE TABLE shadows (
    policy TEXT PRIMARY KEY,
    began INTEGER NOT NULL,        -- the revision of the policy's entry
    position INTEGER NOT NULL,     -- every entry up to this one was looked at
    samples INTEGER NOT NULL,
    agreed INTEGER NOT NULL,
    other_answers INTEGER NOT NULL,
    missing INTEGER NOT NULL
) STRICT;
CREATE TABLE shadow_differences (
    policy TEXT NOT NULL,
    began INTEGER NOT NULL,
    decision INTEGER NOT NULL,     -- the number of its entry
    request TEXT NOT NULL,
    change TEXT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (policy, began, decision)
) STRICT;
";

/// What a shadow has seen up to some entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShadowCount {
    /// Up to which entry.
    pub position: u64,
    /// How many decisions the candidate was tried on.
    pub samples: u64,
    /// How many of them come to the same.
    pub agreed: u64,
    /// How many of those with another answer.
    pub other_answers: u64,
    /// How many decisions had no record.
    pub missing: u64,
}

/// A decision that the candidate would make otherwise, or could not make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowFound {
    /// The number of its entry.
    pub decision: u64,
    /// About which request.
    pub request: RequestId,
    /// `lets-in` and so on.
    pub change: String,
    /// The rest.
    pub json: String,
}

/// What is to be added.
#[derive(Debug, Clone)]
pub struct ShadowStep {
    /// Whose shadow.
    pub policy: PolicyName,
    /// The revision of the policy's entry that began it.
    pub began: u64,
    /// Where it was.
    pub from: u64,
    /// Where it is then, and how many more there are of each.
    pub more: ShadowCount,
    /// What was found.
    pub found: Vec<ShadowFound>,
}

impl Ledger {
    /// Adds what a shadow saw. False where somebody else has added it: nothing is added.
    pub async fn keep_shadow(&self, step: ShadowStep) -> Result<bool, AppendError> {
        let kept = self.run(move |connection| keep(connection, &step)).await?;
        kept.map_err(|error| {
            if super::schema::is_full(&error) {
                AppendError::Full
            } else {
                AppendError::Failed(error.to_string())
            }
        })
    }
}

impl Reader {
    /// What the shadow that began with this entry of the policy has seen.
    pub fn shadow_count(&self, policy: &PolicyName, began: u64) -> Result<Option<ShadowCount>, ReadError> {
        let sql = "SELECT position, samples, agreed, other_answers, missing FROM shadows
                   WHERE policy = ?1 AND began = ?2";
        let found = self.rows(sql, params![policy.as_str(), int(began)], |row| {
            Ok(ShadowCount {
                position: number(row.get(0)?),
                samples: number(row.get(1)?),
                agreed: number(row.get(2)?),
                other_answers: number(row.get(3)?),
                missing: number(row.get(4)?),
            })
        })?;
        Ok(found.first().copied())
    }

    /// What it found, in the order of the decisions.
    pub fn shadow_found(&self, policy: &PolicyName, began: u64) -> Result<Vec<ShadowFound>, ReadError> {
        let sql = "SELECT decision, request, change, json FROM shadow_differences
                   WHERE policy = ?1 AND began = ?2 ORDER BY decision";
        let rows = self.rows(sql, params![policy.as_str(), int(began)], |row| {
            Ok((number(row.get(0)?), row.get::<_, String>(1)?, row.get(2)?, row.get(3)?))
        })?;
        let found = rows.into_iter().map(|(decision, request, change, json)| {
            Ok(ShadowFound { decision, request: super::read::parse(&request)?, change, json })
        });
        found.collect()
    }

    /// The number of the entry that is the `revision`th of `stream`.
    pub fn seq_of(&self, stream: &Stream, revision: u64) -> Result<Option<u64>, ReadError> {
        let sql = "SELECT seq FROM entries WHERE stream = ?1 AND revision = ?2";
        let found =
            self.rows(sql, params![stream.to_string(), int(revision)], |row| Ok(number(row.get(0)?)))?;
        Ok(found.first().copied())
    }
}

fn keep(connection: &mut Connection, step: &ShadowStep) -> rusqlite::Result<bool> {
    let transaction = connection.transaction()?;
    let policy = step.policy.as_str();
    let known: Option<(u64, u64)> = transaction
        .query_row("SELECT began, position FROM shadows WHERE policy = ?1", [policy], |row| {
            Ok((number(row.get(0)?), number(row.get(1)?)))
        })
        .optional()?;
    match known {
        Some((began, _)) if began > step.began => return Ok(false),
        Some((began, position)) if began == step.began => {
            if position != step.from {
                return Ok(false);
            }
        }
        _ => {
            // Another shadow: of the one before, nothing is asked any more.
            transaction.execute("DELETE FROM shadow_differences WHERE policy = ?1", [policy])?;
            transaction.execute(
                "INSERT OR REPLACE INTO shadows VALUES (?1, ?2, ?3, 0, 0, 0, 0)",
                params![policy, int(step.began), int(step.from)],
            )?;
        }
    }
    let more = &step.more;
    transaction.execute(
        "UPDATE shadows SET position = ?2, samples = samples + ?3, agreed = agreed + ?4,
             other_answers = other_answers + ?5, missing = missing + ?6 WHERE policy = ?1",
        params![
            policy,
            int(more.position),
            int(more.samples),
            int(more.agreed),
            int(more.other_answers),
            int(more.missing)
        ],
    )?;
    for found in &step.found {
        transaction
            .prepare_cached("INSERT INTO shadow_differences VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                policy,
                int(step.began),
                int(found.decision),
                found.request.as_str(),
                found.change,
                found.json
            ])?;
    }
    transaction.commit()?;
    Ok(true)
}
