//! Messages about requests that stay where they are and are brought up to date: which there are,
//! where, and what they show, kept beside the entries.
//!
//! A copy is written down before it is made and once more when it is known what it is called. What
//! is between the two after a crash may be there or not, and has to be looked for.

use quorate_core::Timestamp;
use quorate_core::ids::{ChannelName, Digest, RequestId};
use rusqlite::{Connection, params};

use super::deliveries::time;
use super::read::{ReadError, Reader, parse};
use super::seal::micros;
use super::{AppendError, Ledger};

/// What is kept.
pub(super) const TABLES: &str = "
CREATE TABLE copies (
    channel TEXT NOT NULL,
    request TEXT NOT NULL,
    place TEXT NOT NULL,                   -- the conversation that it is in
    message TEXT,                          -- what it is called there; null: it may be there
    shows TEXT,                            -- the digest of what it shows; null: that may be anything
    noted INTEGER NOT NULL,
    PRIMARY KEY (channel, request, place)
) STRICT;
CREATE INDEX copies_noted ON copies (noted);
";

/// How long a copy that nothing happens to is known, in days: longer than any access lasts.
const DAYS_KEPT: i64 = 90;

/// A message about a request, somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The conversation that it is in.
    pub place: String,
    /// What it is called there; none: it may be there, or not.
    pub message: Option<String>,
    /// The digest of what it shows; none: that is not known.
    pub shows: Option<Digest>,
    /// Since when that is so.
    pub noted_at: Timestamp,
}

impl Ledger {
    /// Writes down a copy as it is from now on.
    pub async fn note_copy(
        &self,
        channel: &ChannelName,
        request: &RequestId,
        copy: Copy,
    ) -> Result<(), AppendError> {
        let (channel, request) = (channel.clone(), request.clone());
        self.beside(move |connection| {
            let Copy { place, message, shows, noted_at } = copy;
            let shows = shows.map(|digest| digest.to_string());
            connection.execute(
                "INSERT OR REPLACE INTO copies (channel, request, place, message, shows, noted)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![channel.as_str(), request.as_str(), place, message, shows, micros(noted_at)],
            )?;
            let old = micros(noted_at).saturating_sub(DAYS_KEPT * 24 * 3600 * 1_000_000);
            connection.execute("DELETE FROM copies WHERE noted < ?1", [old])?;
            Ok(())
        })
        .await
    }

    /// Forgets a copy: it is not there any more, or never was.
    pub async fn forget_copy(
        &self,
        channel: &ChannelName,
        request: &RequestId,
        place: &str,
    ) -> Result<(), AppendError> {
        let (channel, request, place) = (channel.clone(), request.clone(), place.to_owned());
        self.beside(move |connection| {
            connection.execute(
                "DELETE FROM copies WHERE channel = ?1 AND request = ?2 AND place = ?3",
                params![channel.as_str(), request.as_str(), place],
            )?;
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// The copies that a channel has of a request.
    pub fn copies(&self, channel: &ChannelName, request: &RequestId) -> Result<Vec<Copy>, ReadError> {
        let sql = "SELECT place, message, shows, noted FROM copies
                   WHERE channel = ?1 AND request = ?2 ORDER BY place";
        let rows = self.rows(sql, [channel.as_str(), request.as_str()], |row| {
            let noted_at = time(row, 3)?.unwrap_or(Timestamp::UNIX_EPOCH);
            Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?, noted_at))
        })?;
        let copies = rows.into_iter().map(|(place, message, shows, noted_at)| {
            Ok(Copy { place, message, shows: shows.map(|text| parse(&text)).transpose()?, noted_at })
        });
        copies.collect()
    }
}

/// Forgets all copies of a channel.
pub(super) fn forget_all(connection: &Connection, channel: &str) -> rusqlite::Result<usize> {
    connection.execute("DELETE FROM copies WHERE channel = ?1", [channel])
}
