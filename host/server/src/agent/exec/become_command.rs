//! The last step before a resource's command: a session of its own, then `exec`.

use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::agent::message::{self, Plan, Report, Streams};

/// Becomes the command. Returns only if that was not possible, having said why.
pub(super) fn run(socket: &mut UnixStream, plan: &Plan, streams: Streams, supervisor: i32) -> io::Result<()> {
    let error = try_run(plan, streams, supervisor);
    message::send(socket, &Report::Failed { errno: error.raw_os_error().unwrap_or(0) })
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
