//! What only the gateway may know of notification channels, kept beside the entries: where they
//! deliver, and what they sign with.

use quorate_core::Timestamp;
use quorate_core::ids::ChannelName;
use rusqlite::{Connection, params};

use super::read::{ReadError, Reader};
use super::seal::{micros, micros_up};

/// What the secrets of a channel are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelSecret {
    /// Where to deliver.
    Address,
    /// What to sign with.
    Key,
    /// What was signed with before, up to this revision of the channel, and is for a while still.
    PreviousKey(u64),
}

impl ChannelSecret {
    fn name(self) -> String {
        match self {
            Self::Address => "address".to_owned(),
            Self::Key => "key".to_owned(),
            Self::PreviousKey(revision) => format!("previous-key/{revision}"),
        }
    }
}

impl Reader {
    /// Where a channel delivers.
    pub fn channel_address(&self, channel: &ChannelName) -> Result<Option<String>, ReadError> {
        let sql = "SELECT value FROM channel_secrets WHERE channel = ?1 AND name = 'address'";
        Ok(self.rows(sql, [channel.as_str()], |row| row.get(0))?.into_iter().next())
    }

    /// What the messages of a channel are signed with at `now`, the newest first.
    pub fn channel_keys(&self, channel: &ChannelName, now: Timestamp) -> Result<Vec<String>, ReadError> {
        let sql = "SELECT value FROM channel_secrets WHERE channel = ?1 AND name != 'address'
                   AND (expires IS NULL OR expires > ?2) ORDER BY expires IS NULL DESC, expires DESC, name DESC";
        self.rows(sql, params![channel.as_str(), micros(now)], |row| row.get(0))
    }
}

/// Keeps a secret of a channel.
pub(super) fn keep_secret(
    connection: &Connection,
    channel: &ChannelName,
    secret: ChannelSecret,
    value: &str,
    expires_at: Option<Timestamp>,
) -> rusqlite::Result<usize> {
    connection.execute(
        "INSERT OR REPLACE INTO channel_secrets (channel, name, value, expires) VALUES (?1, ?2, ?3, ?4)",
        params![channel.as_str(), secret.name(), value, expires_at.map(micros_up)],
    )
}
