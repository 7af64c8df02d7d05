//! What the person sees: the command's output as it is, and the gateway's words on lines of
//! their own.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::termios::isatty;
use tokio::io::AsyncWriteExt;

use super::Terminal;
use super::modes::Modes;
use crate::cli::words::clean;
use crate::session::wire::Ended;

/// Standard output and standard error.
pub(super) struct Screen {
    stdout: Sheet,
    stderr: Sheet,
    modes: Modes,
    /// Whether lines do not begin at the left by themselves.
    raw: bool,
    /// Whether the last thing on the terminal is no end of a line.
    within_line: bool,
}

struct Sheet {
    file: tokio::fs::File,
    is_terminal: bool,
}

impl Sheet {
    fn new(file: &OwnedFd) -> io::Result<Self> {
        let is_terminal = isatty(file);
        Ok(Self { file: tokio::fs::File::from_std(File::from(file.try_clone()?)), is_terminal })
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await?;
        self.file.flush().await
    }
}

impl Screen {
    pub(super) fn new(terminal: &Terminal, raw: bool) -> io::Result<Self> {
        Ok(Self {
            stdout: Sheet::new(&terminal.stdout)?,
            stderr: Sheet::new(&terminal.stderr)?,
            modes: Modes::default(),
            raw,
            within_line: false,
        })
    }

    /// Shows what the command wrote.
    pub(super) async fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.stdout.is_terminal {
            self.modes.follow(bytes);
            self.within_line = bytes.last().map_or(self.within_line, |last| *last != b'\n');
        }
        self.stdout.write(bytes).await
    }

    /// Shows what the command wrote to standard error.
    pub(super) async fn stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.stderr.is_terminal {
            self.within_line = bytes.last().map_or(self.within_line, |last| *last != b'\n');
        }
        self.stderr.write(bytes).await
    }

    /// Shows what the gateway has to say, while the session goes on.
    pub(super) async fn notice(&mut self, text: &str) -> io::Result<()> {
        let end = if self.raw { "\r\n" } else { "\n" };
        self.line(text, end).await
    }

    /// Leaves the terminal as it was, after the raw mode has ended, and says why it is over.
    pub(super) async fn last_words(&mut self, ended: &Ended) -> io::Result<()> {
        self.restore().await?;
        if ended.message.is_empty() { Ok(()) } else { self.line(&ended.message, "\n").await }
    }

    /// Switches off what the command left on.
    pub(super) async fn restore(&mut self) -> io::Result<()> {
        self.raw = false;
        let undo = self.modes.undo();
        if undo.is_empty() { Ok(()) } else { self.stdout.write(&undo).await }
    }

    async fn line(&mut self, text: &str, end: &str) -> io::Result<()> {
        let before = if self.within_line && self.stderr.is_terminal { end } else { "" };
        self.within_line = false;
        self.stderr.write(format!("{before}quorate: {}{end}", clean(text)).as_bytes()).await
    }
}
