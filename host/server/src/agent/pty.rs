//! A new pseudo-terminal.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{InputModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use super::Size;

/// The two ends of a terminal: ours, and the one that the command gets.
pub(crate) struct Pty {
    pub(crate) ours: OwnedFd,
    pub(crate) theirs: File,
}

/// Opens a terminal of this size.
pub(crate) fn open(size: Size) -> io::Result<Pty> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let no_ctty = i32::try_from(OFlags::NOCTTY.bits()).map_err(io::Error::other)?;
    let theirs = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(no_ctty)
        .open(OsStr::from_bytes(name.as_bytes()))?;
    // Backspace then removes a whole character, not one byte of it.
    let mut modes = tcgetattr(&theirs)?;
    modes.input_modes |= InputModes::IUTF8;
    tcsetattr(&theirs, OptionalActions::Now, &modes)?;
    resize(&ours, size)?;
    Ok(Pty { ours, theirs })
}

/// Changes the size; the kernel tells the programs in the terminal.
pub(crate) fn resize(terminal: impl AsFd, size: Size) -> io::Result<()> {
    let size = Winsize { ws_row: size.rows(), ws_col: size.columns(), ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(terminal, size)?)
}
