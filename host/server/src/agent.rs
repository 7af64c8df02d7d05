//! The embedded agent: runs a resource's command for one session and ends it, with
//! everything it started.
//!
//! ```text
//! gateway ── socket, terminal or pipes ── supervisor ── the command ── what it starts
//! ```
//!
//! [`start`] runs this program again as a *supervisor* (`quorate agent-exec`, [`exec`]), one
//! for each session. The supervisor adopts whatever the command leaves behind, and its socket
//! to the gateway is the lifeline: when that closes, because the session was ended or because
//! the gateway was killed, every process below it is told to go and then made to.
//!
//! The command runs as the launcher's [`User`], if there is one; the gateway and the supervisor
//! stay who they are, so that they can end it and it cannot end them.
//!
//! Limit: without such a user the command is the gateway's own user. It can then read what the
//! gateway can and kill its supervisor, and one that changes its user cannot be killed. With
//! one, all sessions share it: they are kept from the gateway, not from each other.
//!
//! Not here: who may run what, and until when; the frames to the client (`session::wire`).

pub mod exec;
mod launch;
mod message;
mod process;
pub(crate) mod pty;
mod secret;
#[cfg(test)]
pub(crate) mod tests;
mod user;

pub use launch::{Launcher, StartError, rehearse, start};
pub use process::{Closed, Outputs, Process};
pub use secret::Secret;
pub use user::{User, UserError};

use tokio_util::bytes::Bytes;

/// One run of a resource's command.
#[derive(Debug)]
pub struct Spec {
    /// The program, looked up in `PATH`, and its arguments.
    pub argv: Vec<String>,
    /// The resource's secrets; they win over what the launcher adds.
    pub env: Vec<(String, Secret)>,
    /// What the command reads from and writes to.
    pub mode: Mode,
}

/// What a command reads from and writes to.
#[derive(Debug)]
pub enum Mode {
    /// A terminal of its own.
    Terminal {
        /// How large it is at the start.
        size: Size,
        /// What kind the client's is, as in `TERM`.
        term: String,
    },
    /// Exactly `input`, then the end; standard output and standard error kept apart.
    Pipe {
        /// What was approved.
        input: Vec<u8>,
    },
}

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    rows: u16,
    columns: u16,
}

impl Size {
    /// The most rows and columns. Programs keep a buffer of the whole screen, and the size
    /// comes from the client.
    pub const MAX: u16 = 4096;

    /// A size, brought into the range from 1 to [`Size::MAX`].
    pub fn new(rows: u16, columns: u16) -> Self {
        Self { rows: rows.clamp(1, Self::MAX), columns: columns.clamp(1, Self::MAX) }
    }

    /// Its height.
    pub fn rows(self) -> u16 {
        self.rows
    }

    /// Its width.
    pub fn columns(self) -> u16 {
        self.columns
    }
}

impl Default for Size {
    fn default() -> Self {
        Self { rows: 24, columns: 80 }
    }
}

/// The signals that a client may send to its command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Signal {
    /// Ctrl-C.
    Int,
    /// Please end.
    Term,
    /// Ctrl-\.
    Quit,
    /// The terminal is gone.
    Hup,
}

impl Signal {
    /// What the kernel calls it.
    pub(crate) fn native(self) -> rustix::process::Signal {
        match self {
            Self::Int => rustix::process::Signal::INT,
            Self::Term => rustix::process::Signal::TERM,
            Self::Quit => rustix::process::Signal::QUIT,
            Self::Hup => rustix::process::Signal::HUP,
        }
    }
}

/// What a command wrote. A terminal has only the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// To standard output, or to its terminal.
    Stdout(Bytes),
    /// To standard error.
    Stderr(Bytes),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its own exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Exit {
    /// The exit code that a shell would show: 128 and the signal where one ended it.
    pub fn shell_code(self) -> i32 {
        match (self.code, self.signal) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => 255,
        }
    }
}
