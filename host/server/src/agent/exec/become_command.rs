//! The last step before a resource's command: its user, a session of its own, then `exec`.

use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::switch::switch;
use crate::agent::message::{self, Plan, Report, Streams};

/// Becomes the command. Returns only if that was not possible, having said why.
pub(super) fn run(socket: &mut UnixStream, plan: &Plan, streams: Streams, supervisor: i32) -> io::Result<()> {
    let errno = |error: &io::Error| error.raw_os_error().unwrap_or(0);
    // First of all: a process that changes its user is no longer killed with its parent.
    let switched = plan.user.as_ref().map_or(Ok(()), |user| switch(user, &streams));
    let report = match switched {
        Ok(()) => Report::Failed { errno: errno(&try_run(plan, streams, supervisor)) },
        Err(error) => Report::NotSwitched { errno: errno(&error) },
    };
    message::send(socket, &report)
}

fn try_run(plan: &Plan, streams: Streams, supervisor: i32) -> io::Error {
    if let Err(error) = prepare(plan, &streams, supervisor) {
        return error;
    }
    let Some((program, arguments)) = plan.argv.split_first() else {
        return io::Error::from(io::ErrorKind::InvalidInput);
    };
    let [stdin, stdout, stderr] = streams;
    Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(plan.env.iter().map(|(name, value)| (name, value)))
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr)
        .exec()
}

fn prepare(plan: &Plan, streams: &Streams, supervisor: i32) -> io::Result<()> {
    // A supervisor that is killed takes the command with it. One that was killed before this
    // call is no longer our parent.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    if rustix::process::Pid::as_raw(rustix::process::getppid()) != supervisor {
        return Err(io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()));
    }
    rustix::process::setsid()?;
    if plan.terminal {
        rustix::process::ioctl_tiocsctty(&streams[0])?;
    }
    Ok(())
}
