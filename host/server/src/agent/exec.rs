//! `quorate agent-exec`: what stands between the gateway and a resource's command.
//!
//! Hidden from the help, and called before anything else of the program is set up. It reads
//! what to do from its standard input, which is a socket: nothing of a session is on a command
//! line, and the secrets are in no environment but the command's.

mod become_command;
mod descendants;
mod supervise;
mod switch;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use rustix::fs::{FileType, fstat};
use tokio::signal::unix::{SignalKind, signal};

use super::message::{self, Role};
pub(super) use supervise::GRACE;

/// The name of the sub-command.
pub const SUBCOMMAND: &str = "agent-exec";

/// Runs the wrapper; returns when the command and everything it started is gone, or with a
/// code other than 0 if it was not started by a gateway.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quorate {SUBCOMMAND}: only the gateway can start this: {error}");
            ExitCode::from(2)
        }
    }
}

/// Plays the part that the plan on standard input says.
fn run() -> io::Result<()> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    if !FileType::from_raw_mode(fstat(&input)?.st_mode).is_socket() {
        return Err(io::Error::other("standard input is no socket"));
    }
    let mut socket = UnixStream::from(input);
    let (plan, streams) = message::receive_plan(&mut socket)?;
    take_signals()?;
    match plan.role {
        Role::Supervise => supervise::run(socket, plan, streams),
        Role::Become { supervisor } => become_command::run(&mut socket, &plan, streams, supervisor),
    }
}

/// Catches the signals that ask a process to end.
///
/// The supervisor thereby outlives them: it ends when the command has. The command gets them
/// back as they are by default, because a caught signal, unlike an ignored one, is not handed
/// on: under `nohup` or in the background of a script it would otherwise be deaf to Ctrl-C.
fn take_signals() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _guard = runtime.enter();
    for kind in [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
    ] {
        // What catches it stays when this is dropped.
        drop(signal(kind)?);
    }
    Ok(())
}
