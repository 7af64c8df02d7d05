//! A terminal that hands over each byte as it is typed, and how it becomes itself again.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, Once, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, QueueSelector, Termios, isatty, tcflush, tcgetattr, tcsetattr};

/// How long a terminal has nothing to read before the person counts as not typing.
const QUIET: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// How often it is emptied at most: somebody may be leaning on a key.
const DISCARDS_MAX: usize = 50;

/// A terminal in raw mode, until this is dropped.
#[derive(Debug)]
pub(super) struct RawMode(Arc<Before>);

#[derive(Debug)]
struct Before {
    terminal: OwnedFd,
    modes: Termios,
}

/// Every terminal that is in raw mode now.
static RAW: Mutex<Vec<Arc<Before>>> = Mutex::new(Vec::new());

impl RawMode {
    /// Switches `terminal`, if it is one.
    pub(super) fn enter(terminal: impl AsFd) -> io::Result<Option<Self>> {
        if !isatty(&terminal) {
            return Ok(None);
        }
        restore_on_panic();
        let before = Arc::new(Before {
            terminal: terminal.as_fd().try_clone_to_owned()?,
            modes: tcgetattr(&terminal)?,
        });
        RAW.lock().unwrap_or_else(PoisonError::into_inner).push(before.clone());
        let raw = Self(before);
        let mut modes = raw.0.modes.clone();
        modes.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &modes)?;
        Ok(Some(raw))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        RAW.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(other, &self.0));
        discard_typed(&self.0.terminal);
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&self.0.terminal, OptionalActions::Flush, &self.0.modes);
    }
}

/// Throws away what was typed and not read: pasted lines must not end up in the person's shell.
/// Of a long text the terminal holds only the beginning, and the rest comes after it.
fn discard_typed(terminal: &OwnedFd) {
    for _ in 0..DISCARDS_MAX {
        if tcflush(terminal, QueueSelector::IFlush).is_err() {
            return;
        }
        let mut files = [PollFd::new(terminal, PollFlags::IN)];
        if !matches!(poll(&mut files, Some(&QUIET)), Ok(1..)) {
            return;
        }
    }
}

/// Puts terminals back before the message of a panic is printed: in raw mode it would run
/// across the screen, and where a panic ends the program nothing is dropped.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let otherwise = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Never waits: the panic may have come from where it is held.
            if let Ok(raw) = RAW.try_lock() {
                for before in raw.iter() {
                    let _ = tcsetattr(&before.terminal, OptionalActions::Now, &before.modes);
                }
            }
            otherwise(panic);
        }));
    });
}
