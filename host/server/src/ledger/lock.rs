//! One gateway for each ledger: a lock on a file beside it, which the system gives
//! back when the process ends, however it ends.
//!
//! The lock is not on the ledger itself: closing any handle of that file would give
//! back the locks that `SQLite` holds on it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::OpenError;

/// The right to write a ledger, for as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, or says who has it. Never waits.
    pub(super) fn take(ledger: &Path) -> Result<Self, OpenError> {
        let failed = |source: std::io::Error| match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                OpenError::ReadOnly { path: ledger.to_owned() }
            }
            ErrorKind::StorageFull => OpenError::Full { path: ledger.to_owned() },
            _ => OpenError::Io { path: ledger.to_owned(), source },
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(lock_path(ledger)).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(OpenError::InUse { path: ledger.to_owned(), by: holder(&mut file) });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        // Only for the message above: a full disk must not stand in the way.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

fn lock_path(ledger: &Path) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if text.parse::<u32>().is_ok() => format!(" (process {text})"),
        _ => String::new(),
    }
}
