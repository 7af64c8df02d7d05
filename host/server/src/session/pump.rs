//! Moves bytes between a client and a command until something ends that. All of it is one
//! task that looks at the clock and at the cut before each piece, so that stopping is nothing
//! more than not taking the next one.
//!
//! Not here: what follows from the end.

use std::collections::VecDeque;
use std::time::Duration;

use quorate_core::Timestamp;
use quorate_core::duration::AccessDuration;
use quorate_core::session::{Mode, Opened, Session};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::bytes::Bytes;

use super::connection::{Connection, Io, Lost};
use super::end::time_of_day;
use super::recording::Recorder;
use super::wire::{FromClient, FromGateway};
use super::{Limits, Live};
use crate::agent::{Exit, Output, Outputs, Process};
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;

/// How many bytes of input wait for a command that does not read before no more is taken from
/// its client.
const BACKLOG_BYTES_MAX: usize = 256 * 1024;
/// How long before its end people are told, in seconds, the earliest first.
const NOTICE_SECONDS: [u64; 2] = [300, 60];

/// Why bytes do not move any more.
pub(super) enum Stopped {
    /// The command has ended, and the client has all that it said.
    Exited(Exit),
    /// The client is gone.
    Lost(String),
    /// The time is over.
    Due,
    /// Somebody ended the session.
    Cut,
}

/// What a pump works with.
pub(super) struct Parts<'a> {
    pub(super) lifecycle: &'a Lifecycle,
    pub(super) clock: &'a Clock,
    pub(super) limits: Limits,
    pub(super) live: &'a Live,
    pub(super) connection: &'a mut Connection,
    pub(super) process: &'a Process,
    pub(super) outputs: &'a mut Outputs,
    pub(super) recorder: &'a mut Recorder,
}

pub(super) struct Pump<'a> {
    parts: Parts<'a>,
    opened: Opened,
    /// When people are told that the end is near; those that were are gone from here.
    notices: VecDeque<Timestamp>,
    to_client: VecDeque<FromGateway>,
    to_command: VecDeque<Typed>,
    backlog_bytes: usize,
}

#[derive(Clone)]
enum Typed {
    Bytes(Bytes),
    End,
}

impl Typed {
    /// What it counts for in the backlog: nothing is free.
    fn cost(&self) -> usize {
        let bytes = match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::End => 0,
        };
        bytes + 64
    }
}

impl<'a> Pump<'a> {
    pub(super) fn new(session: &Session, parts: Parts<'a>) -> Self {
        let mut pump = Self {
            parts,
            opened: session.opened.clone(),
            notices: VecDeque::new(),
            to_client: VecDeque::new(),
            to_command: VecDeque::new(),
            backlog_bytes: 0,
        };
        pump.plan_notices();
        pump
    }

    /// The session goes on under another grant.
    pub(super) fn carry_on(&mut self, session: &Session) {
        self.opened = session.opened.clone();
        self.plan_notices();
        let until = time_of_day(self.opened.until);
        let resource = &self.opened.resource;
        let text = format!("this session goes on under your other access to {resource}, until {until}");
        self.to_client.push_back(FromGateway::Notice(text));
    }

    fn plan_notices(&mut self) {
        let now = self.parts.lifecycle.now();
        let before = |seconds| self.opened.until.checked_sub(Duration::from_secs(seconds)).unwrap_or(now);
        let ahead = NOTICE_SECONDS.into_iter().map(before).filter(|at| *at > now);
        // Nobody sits before a command, and it cannot hurry.
        self.notices = ahead.filter(|_| self.opened.mode == Mode::Terminal).collect();
    }

    /// Moves bytes until that ends. It may be called again after that.
    pub(super) async fn run(&mut self) -> Stopped {
        match self.moving().await {
            Ok(stopped) => stopped,
            Err(Lost(why)) => Stopped::Lost(why),
        }
    }

    async fn moving(&mut self) -> Result<Stopped, Lost> {
        let every = Duration::from_secs(self.parts.limits.ping_seconds);
        let mut ping = interval_at(Instant::now() + every, every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The one piece of output that waits for the connection, whether there is more, and
        // how the command ended.
        let (mut output, mut said_all, mut exit) = (None, false, None);
        loop {
            if self.parts.live.cut.is_cancelled() {
                return Ok(Stopped::Cut);
            }
            if self.parts.lifecycle.now() >= self.opened.until {
                // Where the session goes on, it goes on with this.
                self.to_client.extend(output.map(frame));
                return Ok(Stopped::Due);
            }
            if self.parts.connection.is_ready() {
                match self.to_client.pop_front().or_else(|| output.take().map(frame)) {
                    Some(frame) => self.parts.connection.put(&frame)?,
                    None => {
                        if let Some(exit) = exit {
                            return Ok(Stopped::Exited(exit));
                        }
                    }
                }
            }
            let reading = self.backlog_bytes < BACKLOG_BYTES_MAX;
            let silent_at = self.silent_at();
            let notice_at = self.notices.front().copied();
            let typed = self.to_command.front().cloned();
            let has_room = self.parts.recorder.has_room();
            let Parts { clock, live, process, .. } = self.parts;
            tokio::select! {
                biased;
                () = live.cut.cancelled() => {}
                () = clock.sleep_until(self.opened.until) => {}
                () = clock.sleep_until(notice_at.unwrap_or(self.opened.until)), if notice_at.is_some() => self.notice(),
                io = self.parts.connection.io(reading) => {
                    if let Io::Frame(frame) = io? {
                        self.take(frame)?;
                    }
                }
                () = hand_over(process, typed) => self.handed_over(),
                _ = ping.tick(), if self.parts.connection.is_ready() => self.parts.connection.ping()?,
                () = sleep_until(silent_at), if reading => {
                    return Err(Lost("the client did not answer any more".to_owned()));
                }
                // Nothing is shown that is not recorded first, as long as there is a recording.
                () = self.parts.recorder.room(), if !has_room => {}
                next = self.parts.outputs.next(), if has_room && output.is_none() && !said_all => match next {
                    Some(piece) => {
                        self.parts.recorder.output(&piece);
                        output = Some(piece);
                    }
                    // A command that was killed says nothing either; that is seen above.
                    None => said_all = !live.cut.is_cancelled(),
                },
                ended = process.wait(), if said_all && exit.is_none() => exit = Some(ended),
            }
        }
    }

    /// When a client that is not heard of counts as gone.
    fn silent_at(&self) -> Instant {
        let Parts { connection, limits, .. } = &self.parts;
        let seconds =
            if connection.is_ready() { limits.silence_seconds_max } else { limits.stall_seconds_max };
        connection.heard() + Duration::from_secs(seconds)
    }

    fn notice(&mut self) {
        let now = self.parts.lifecycle.now();
        while self.notices.front().is_some_and(|at| *at <= now) {
            self.notices.pop_front();
        }
        // Rounded up: a timer is never early.
        let left = (self.opened.until.duration_since(now).as_millis() + 999) / 1000;
        if let Ok(seconds @ 1..) = u64::try_from(left) {
            let (left, until) = (AccessDuration::from_seconds(seconds), time_of_day(self.opened.until));
            let text = format!("the time granted for {} is over in {left}, at {until}", self.opened.resource);
            self.to_client.push_back(FromGateway::Notice(text));
        }
    }

    fn take(&mut self, frame: FromClient) -> Result<(), Lost> {
        let process = self.parts.process;
        match frame {
            // What a command reads is what was approved, and nothing that comes later.
            FromClient::Input(_) | FromClient::EndOfInput if self.opened.mode == Mode::Command => {}
            // Copied, so that a short one does not keep all that was received with it.
            FromClient::Input(bytes) => self.keep(Typed::Bytes(Bytes::copy_from_slice(&bytes))),
            FromClient::EndOfInput => self.keep(Typed::End),
            FromClient::Resize(size) => {
                process.resize(size);
                self.parts.recorder.resize(size);
            }
            FromClient::Signal(signal) => process.signal(signal),
            FromClient::Command(_) => {
                return Err(Lost("the client sent a command where none is expected".to_owned()));
            }
        }
        Ok(())
    }

    fn keep(&mut self, typed: Typed) {
        self.backlog_bytes += typed.cost();
        self.to_command.push_back(typed);
    }

    fn handed_over(&mut self) {
        if let Some(typed) = self.to_command.pop_front() {
            self.backlog_bytes -= typed.cost();
        }
    }
}

fn frame(output: Output) -> FromGateway {
    match output {
        Output::Stdout(bytes) => FromGateway::Stdout(bytes),
        Output::Stderr(bytes) => FromGateway::Stderr(bytes),
    }
}

/// Hands `typed` to the command. A command that takes no input any more takes it all.
async fn hand_over(process: &Process, typed: Option<Typed>) {
    let _ = match typed {
        None => std::future::pending().await,
        Some(Typed::Bytes(bytes)) => process.write(bytes).await,
        Some(Typed::End) => process.end_input().await,
    };
}
