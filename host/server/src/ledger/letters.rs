//! To whom messages went that go to each person alone, kept beside the deliveries: somebody who
//! was told is not told again because somebody else could not be.
//!
//! What became of the delivery as a whole follows from it: told where anybody was told, given up
//! where everybody refused.

use std::collections::BTreeMap;

use quorate_core::ids::ChannelName;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::deliveries::{Delivery, DeliveryState};
use super::read::{ReadError, Reader};
use super::seal::{int, number};
use super::{AppendError, Ledger};

/// One person's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Their address; empty where there is nobody who could be told.
    pub to: String,
    /// What became of it.
    pub became: Became,
}

/// What became of one person's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// It was taken.
    Taken,
    /// It was refused for good, and why.
    Refused(String),
    /// It has to be tried again, and why.
    Deferred(String),
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
            let (refused, deferred) = match letter.became {
                Became::Taken => (None, None),
                Became::Refused(why) => (Some(why), None),
                Became::Deferred(why) => (None, Some(why)),
            };
            connection.execute(
                "INSERT OR REPLACE INTO letters (channel, entry, recipient, refused, deferred)
                 SELECT channel, entry, ?3, ?4, ?5 FROM deliveries WHERE channel = ?1 AND entry = ?2",
                params![channel.as_str(), int(entry), letter.to, refused, deferred],
            )?;
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// To whom a message about an entry was handed over, and why they have to get it later; none: it
    /// needs no more doing.
    pub fn letters(
        &self,
        channel: &ChannelName,
        entry: u64,
    ) -> Result<BTreeMap<String, Option<String>>, ReadError> {
        let sql = "SELECT recipient, deferred FROM letters WHERE channel = ?1 AND entry = ?2";
        let of = params![channel.as_str(), int(entry)];
        Ok(self.rows(sql, of, |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect())
    }

    /// Who has still to get a message about an earlier entry of the same request, and why.
    pub fn behind(&self, delivery: &Delivery) -> Result<BTreeMap<String, String>, ReadError> {
        let sql = "SELECT l.recipient, l.deferred FROM deliveries d
                   JOIN letters l ON l.channel = d.channel AND l.entry = d.entry
                   WHERE d.channel = ?1 AND d.request = ?2 AND d.state = 'waiting' AND d.entry < ?3
                       AND l.deferred IS NOT NULL";
        let of = params![delivery.channel.as_str(), delivery.request.as_str(), int(delivery.entry)];
        Ok(self.rows(sql, of, |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect())
    }
}

/// What a delivery that was carried out came to, and what is to be said of it.
pub(super) fn outcome(
    connection: &Connection,
    channel: &str,
    entry: u64,
) -> rusqlite::Result<(DeliveryState, Option<String>)> {
    let (all, refused): (u64, u64) = connection
        .prepare_cached(
            "SELECT count(*), count(refused) FROM letters
             WHERE channel = ?1 AND entry = ?2 AND deferred IS NULL",
        )?
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

/// Nobody has to get it later any more.
pub(super) fn give_up(connection: &Connection, channel: &str, entry: u64) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE letters SET refused = deferred, deferred = NULL
         WHERE channel = ?1 AND entry = ?2 AND deferred IS NOT NULL",
        params![channel, int(entry)],
    )
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
