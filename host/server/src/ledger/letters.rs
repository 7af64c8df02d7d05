//! To whom messages went that go to each person alone, kept beside the deliveries: somebody who
//! was told is not told again because somebody else could not be.
//!
//! What became of the delivery as a whole follows from it: told where anybody was told, given up
//! where everybody refused.

use quorate_core::ids::ChannelName;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::deliveries::DeliveryState;
use super::read::{ReadError, Reader};
use super::seal::{int, number};
use super::{AppendError, Ledger};

/// What became of one person's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Their address; empty where there is nobody who could be told.
    pub to: String,
    /// Why it was refused for good; none: it was taken.
    pub refused: Option<String>,
}

impl Ledger {
    /// Writes down what became of one person's message about an entry. Where the channel is gone
    /// meanwhile, nothing is.
    pub async fn note_letter(
        &self,
        channel: &ChannelName,
        entry: u64,
        letter: Letter,
    ) -> Result<(), AppendError> {
        let channel = channel.clone();
        self.beside(move |connection| {
            connection.execute(
                "INSERT OR REPLACE INTO letters (channel, entry, recipient, refused)
                 SELECT channel, entry, ?3, ?4 FROM deliveries WHERE channel = ?1 AND entry = ?2",
                params![channel.as_str(), int(entry), letter.to, letter.refused],
            )?;
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// Whose messages about an entry need no more doing.
    pub fn letters(&self, channel: &ChannelName, entry: u64) -> Result<Vec<Letter>, ReadError> {
        let sql = "SELECT recipient, refused FROM letters WHERE channel = ?1 AND entry = ?2";
        self.rows(sql, params![channel.as_str(), int(entry)], |row| {
            Ok(Letter { to: row.get(0)?, refused: row.get(1)? })
        })
    }
}

/// What a delivery that was carried out came to, and what is to be said of it.
pub(super) fn outcome(
    connection: &Connection,
    channel: &str,
    entry: u64,
) -> rusqlite::Result<(DeliveryState, Option<String>)> {
    let (all, refused): (u64, u64) = connection
        .prepare_cached("SELECT count(*), count(refused) FROM letters WHERE channel = ?1 AND entry = ?2")?
        .query_row(params![channel, int(entry)], |row| Ok((number(row.get(0)?), number(row.get(1)?))))?;
    if refused == 0 {
        return Ok((DeliveryState::Delivered, None));
    }
    let first: Option<(String, String)> = connection
        .prepare_cached(
            "SELECT recipient, refused FROM letters WHERE channel = ?1 AND entry = ?2 AND refused IS NOT NULL
             ORDER BY recipient LIMIT 1",
        )?
        .query_row(params![channel, int(entry)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let why = first.map(|(to, why)| match (to.is_empty(), all) {
        (true, _) => why,
        (false, 1) => format!("{to}: {why}"),
        (false, _) => format!("{refused} of {all} recipients were refused, the first {to}: {why}"),
    });
    let state = if refused == all { DeliveryState::Dead } else { DeliveryState::Delivered };
    Ok((state, why))
}

/// What is tried anew where an entry is to be told again: what was refused, and everything where
/// nothing was and nothing is left to tell.
pub(super) fn again(connection: &Connection, channel: &str, entry: u64) -> rusqlite::Result<()> {
    connection.execute(
        "DELETE FROM letters WHERE channel = ?1 AND entry = ?2 AND (refused IS NOT NULL OR EXISTS (
            SELECT 1 FROM deliveries d WHERE d.channel = ?1 AND d.entry = ?2 AND d.state = 'delivered'
                AND d.error IS NULL))",
        params![channel, int(entry)],
    )?;
    Ok(())
}
