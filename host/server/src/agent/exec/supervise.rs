//! Starts a resource's command, and ends it with everything below it.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group, wait};

use super::descendants::descendants;
use crate::agent::Launcher;
use crate::agent::message::{self, Order, Plan, Report, Role, Streams};

/// How long a process has between being asked to end and being made to.
pub(in crate::agent) const GRACE: Duration = Duration::from_millis(250);
/// How often those that are left are killed again: they may be starting others.
const ROUND: Duration = Duration::from_millis(10);

enum Event {
    Ordered(Order),
    /// The session is over, or the gateway is gone.
    Hangup,
    Ended(Pid, WaitStatus),
    NobodyLeft,
}

/// Runs until the command and everything it started is gone.
pub(super) fn run(mut gateway: UnixStream, plan: Plan, streams: Streams) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let (command, report) = match start(plan, streams) {
        Ok((command, report)) => (Some(command), report),
        Err(error) => (None, Report::Failed { errno: error.raw_os_error().unwrap_or(0) }),
    };
    message::send(&mut gateway, &report)?;
    let (Some(command), Report::Started) = (command, report) else { return Ok(()) };

    let (events, inbox) = channel();
    let orders = gateway.try_clone()?;
    let from_gateway = events.clone();
    thread::Builder::new().spawn(move || forward_orders(orders, &from_gateway))?;
    thread::Builder::new().spawn(move || reap(&events))?;
    Watch { command, running: true, kill_at: None, asked: false }.run(&inbox, &mut gateway);
    Ok(())
}

/// Starts the command, from the thread that stays to the end: the command is killed when
/// *that thread* is gone. The report says whether it became the command.
fn start(mut plan: Plan, streams: Streams) -> io::Result<(Pid, Report)> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let child = Command::new(Launcher::this_program())
        .arg0("quorate")
        .args(arguments)
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // Reaped with all the others, by `reap`.
    let pid = Pid::from_child(&child);
    drop(child);
    plan.role = Role::Become { supervisor: Pid::as_raw(Some(getpid())) };
    message::send_plan(&mut ours, &plan, &streams)?;
    // From here on only the command writes to them, and their end is its end.
    drop(streams);
    // Its copy of the socket closes when it becomes the command.
    match message::receive(&mut ours)? {
        None => Ok((pid, Report::Started)),
        Some(failed @ (Report::Failed { .. } | Report::NotSwitched { .. })) => Ok((pid, failed)),
        Some(_) => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

fn forward_orders(mut gateway: UnixStream, events: &Sender<Event>) {
    while let Ok(Some(order)) = message::receive(&mut gateway) {
        if events.send(Event::Ordered(order)).is_err() {
            return;
        }
    }
    // Nobody listens where the command has ended first.
    let _ = events.send(Event::Hangup);
}

fn reap(events: &Sender<Event>) {
    loop {
        let event = match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => Event::Ended(pid, status),
            Ok(None) | Err(Errno::INTR) => continue,
            Err(_) => Event::NobodyLeft,
        };
        let last = matches!(event, Event::NobodyLeft);
        if events.send(event).is_err() || last {
            return;
        }
    }
}

/// The command and what is left of it.
struct Watch {
    command: Pid,
    /// Whether the command itself has not been seen to end; its number is then still its own.
    running: bool,
    /// When everything that is left is killed.
    kill_at: Option<Instant>,
    /// Whether everybody was asked to end.
    asked: bool,
}

impl Watch {
    fn run(mut self, inbox: &Receiver<Event>, gateway: &mut UnixStream) {
        loop {
            let event = match self.kill_at {
                None => inbox.recv().map_err(RecvTimeoutError::from),
                Some(at) => inbox.recv_timeout(at.saturating_duration_since(Instant::now()).max(ROUND)),
            };
            match event {
                Ok(Event::Ordered(Order::Signal { signal, group })) => self.signal(signal.native(), group),
                Ok(Event::Hangup) => self.ask(),
                Ok(Event::Ended(pid, status)) if pid == self.command => self.ended(status, gateway),
                Ok(Event::Ended(..)) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::NobodyLeft) | Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                self.everybody(Signal::KILL);
            }
        }
    }

    fn signal(&self, signal: Signal, group: Option<i32>) {
        let group = group.and_then(Pid::from_raw).or(self.running.then_some(self.command));
        if let Some(group) = group {
            // It may have ended: then there is nothing to do.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Asks everybody to end, once.
    fn ask(&mut self) {
        if self.asked {
            return;
        }
        self.asked = true;
        for signal in [Signal::HUP, Signal::TERM, Signal::CONT] {
            self.everybody(signal);
        }
        self.kill_at.get_or_insert(Instant::now() + GRACE);
    }

    /// The command has ended. What it left behind may finish what it is writing.
    fn ended(&mut self, status: WaitStatus, gateway: &mut UnixStream) {
        self.running = false;
        let report = Report::Exited { code: status.exit_status(), signal: status.terminating_signal() };
        // A gateway that is gone does not want to know.
        let _ = message::send(gateway, &report);
        self.kill_at.get_or_insert(Instant::now() + GRACE);
    }

    fn everybody(&self, signal: Signal) {
        for pid in descendants() {
            // It may have ended by itself; others are found again in the next round.
            let _ = kill_process(pid, signal);
        }
        if self.running {
            let _ = kill_process_group(self.command, signal);
        }
    }
}
