//! A session: a live connection under a grant, or the one run of an approved
//! command. It opens with a [`Permit`] and with nothing else.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::entry::{Actor, Entry, Happened, Step, Stream};
use crate::ids::{RequestId, ResourceName, SessionId, UserId};
use crate::refused::Refused;
use crate::request::Request;

/// Proof that a grant is open: only a request makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    request: RequestId,
    revision: u64,
    user: UserId,
    resource: ResourceName,
    until: Timestamp,
}

impl Permit {
    pub(crate) fn new(request: &Request, until: Timestamp) -> Self {
        Self {
            request: request.id.clone(),
            revision: request.revision,
            user: request.asked.requester.clone(),
            resource: request.asked.resource.clone(),
            until,
        }
    }

    /// The grant.
    pub fn request(&self) -> &RequestId {
        &self.request
    }

    /// Its end.
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

/// What kind of session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A terminal under a just-in-time grant.
    Terminal,
    /// The run of a command.
    Command,
}

/// How a session began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The grant.
    pub request: RequestId,
    /// Whose.
    pub user: UserId,
    /// On what.
    pub resource: ResourceName,
    /// What kind.
    pub mode: Mode,
    /// When it ends at the latest.
    pub until: Timestamp,
}

impl Opened {
    pub(crate) fn of(request: &Request, mode: Mode, until: Timestamp) -> Self {
        let user = request.asked.requester.clone();
        let resource = request.asked.resource.clone();
        Self { request: request.id.clone(), user, resource, mode, until }
    }
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The program ended by itself.
    Exited,
    /// The grant's time was over.
    Expired,
    /// The access was taken away.
    Revoked,
    /// An admin ended this session alone.
    Ended,
    /// The gateway stopped, or was found stopped when it started again.
    GatewayStopped,
    /// The client went away.
    ConnectionLost,
    /// The program could not be started.
    Failed,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// For the user to read.
    pub message: String,
    /// The program's own, where it ended by itself.
    pub exit_code: Option<i32>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Session {
    /// Which.
    pub id: SessionId,
    /// How it began; grant and end follow where it goes on under another grant.
    pub opened: Opened,
    /// When it began.
    pub opened_at: Timestamp,
    /// How and when it ended; none while it is open.
    pub ended: Option<(Timestamp, End)>,
    /// How many entries made it what it is.
    pub revision: u64,
}

impl Session {
    /// Opens a terminal session under `permit`, as long as nothing has happened to
    /// its request meanwhile.
    pub fn open(permit: &Permit, id: &SessionId, now: Timestamp) -> Step {
        let opened = Opened {
            request: permit.request.clone(),
            user: permit.user.clone(),
            resource: permit.resource.clone(),
            mode: Mode::Terminal,
            until: permit.until,
        };
        let by = Actor::User(permit.user.clone());
        Step::one(Stream::session(id), 0, by, now, Happened::SessionOpened { opened })
            .only_while(Stream::request(&permit.request), permit.revision)
    }

    /// Goes on under another grant of the same person for the same resource. The
    /// run of a command does not: it was approved as it is.
    pub fn carry(&self, permit: &Permit, now: Timestamp) -> Result<Step, Refused> {
        if self.ended.is_some() {
            return Err(Refused::SessionEnded);
        }
        if permit.user != self.opened.user || permit.resource != self.opened.resource {
            return Err(Refused::NotYours);
        }
        if self.opened.mode == Mode::Command {
            let why = "the run of a command does not go on under another grant".to_owned();
            return Err(Refused::Invalid { what: "session", why });
        }
        if permit.until <= now {
            return Err(Refused::NotOpen { state: "EXPIRED" });
        }
        let happened = Happened::SessionCarried { request: permit.request.clone(), until: permit.until };
        Ok(Step::one(self.stream(), self.revision, Actor::Gateway, now, happened)
            .only_while(Stream::request(&permit.request), permit.revision))
    }

    /// Ends it.
    pub fn end(&self, end: End, by: Actor, now: Timestamp) -> Result<Step, Refused> {
        if self.ended.is_some() {
            return Err(Refused::SessionEnded);
        }
        Ok(Step::one(self.stream(), self.revision, by, now, Happened::SessionEnded { end }))
    }

    /// From now on what it shows is not recorded, though it may go on; or what it showed last
    /// was not.
    pub fn stop_recording(&self, why: String, now: Timestamp) -> Step {
        let happened = Happened::RecordingStopped { why };
        Step::one(self.stream(), self.revision, Actor::Gateway, now, happened)
    }

    /// `by` is given its recording.
    pub fn read_recording(&self, by: Actor, now: Timestamp) -> Step {
        Step::one(self.stream(), self.revision, by, now, Happened::RecordingRead)
    }

    fn stream(&self) -> Stream {
        Stream::session(&self.id)
    }

    pub(crate) fn fold(before: Option<Self>, entry: &Entry) -> Option<Self> {
        let mut session = match (before, &entry.happened) {
            (None, Happened::SessionOpened { opened }) => Self {
                id: entry.stream.name().parse().ok()?,
                opened: opened.clone(),
                opened_at: entry.at,
                ended: None,
                revision: 0,
            },
            (Some(session), Happened::SessionCarried { request, until }) => Self {
                opened: Opened { request: request.clone(), until: *until, ..session.opened },
                ..session
            },
            (Some(session), Happened::SessionEnded { end }) if session.ended.is_none() => {
                Self { ended: Some((entry.at, end.clone())), ..session }
            }
            // Open or not: a recording is read, and may turn out to be cut short, afterwards.
            (Some(session), Happened::RecordingStopped { .. } | Happened::RecordingRead) => session,
            _ => return None,
        };
        session.revision += 1;
        Some(session)
    }
}
