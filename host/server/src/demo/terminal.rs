//! A program in a real terminal, driven from outside: what a person at a keyboard
//! would type and see.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// A program in a terminal.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    screen: Receiver<Vec<u8>>,
    seen: String,
    /// Up to where `seen` was waited for.
    read: usize,
}

impl Terminal {
    /// Starts `program` with `environment` added to this program's own.
    pub fn start(program: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let size = PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair =
            native_pty_system().openpty(size).map_err(|error| anyhow::anyhow!("no terminal: {error}"))?;
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).map_err(|error| anyhow::anyhow!("{error}"))?;
        drop(pair.slave);
        let keyboard = pair.master.take_writer().map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut output = pair.master.try_clone_reader().map_err(|error| anyhow::anyhow!("{error}"))?;
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, master: pair.master, keyboard, screen, seen: String::new(), read: 0 })
    }

    /// Types `text`.
    pub fn type_in(&mut self, text: &str) -> anyhow::Result<()> {
        self.keyboard.write_all(text.as_bytes())?;
        Ok(self.keyboard.flush()?)
    }

    /// Waits until `text` appears after what was waited for before; gives what
    /// appeared up to and with it.
    pub fn wait_for(&mut self, text: &str, patience: Duration) -> anyhow::Result<String> {
        let until = Instant::now() + patience;
        loop {
            if let Some(at) = self.seen[self.read..].find(text) {
                let from = self.read;
                self.read += at + text.len();
                return Ok(self.seen[from..self.read].to_owned());
            }
            match self.screen.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("`{text}` did not appear within {patience:?}; the terminal showed:\n{}", self.seen)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the program ended before `{text}` appeared; the terminal showed:\n{}", self.seen)
                }
            }
        }
    }

    /// Waits for the program's end and gives its exit code.
    pub fn wait_exit(&mut self, patience: Duration) -> anyhow::Result<u32> {
        let until = Instant::now() + patience;
        loop {
            match self.screen.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the program did not end within {patience:?}; the terminal showed:\n{}", self.seen)
                }
            }
        }
        let status = self.child.wait().context("the program's end was not seen")?;
        Ok(status.exit_code())
    }

    /// Makes the window another size.
    pub fn resize(&self, rows: u16, cols: u16) -> anyhow::Result<()> {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        self.master.resize(size).map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Everything the terminal showed.
    pub fn seen(&self) -> &str {
        &self.seen
    }

    /// The program's process.
    pub fn process_id(&self) -> Option<u32> {
        self.child.process_id()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
