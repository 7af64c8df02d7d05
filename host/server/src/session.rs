//! Sessions: live connections under a grant, and the one run of an approved command.
//!
//! ```text
//! client ── WebSocket ── connection ── pump ── process (agent) ── the command
//!                                       │ ↑ cut: the grant ended, was revoked, the gateway stops
//!                                       └ recording
//! ```
//!
//! A session is in the ledger before its command starts, and its end is in the ledger before
//! its client is told. Whoever ends it first decides why; everybody else reads that. What this
//! keeps in memory is only what can be cut: the processes of this gateway.
//!
//! Not here: who may have access, and until when (`lifecycle`); how a command is started and
//! killed (`agent`); the HTTP route (`api`).

mod connection;
mod end;
mod pump;
mod recording;
mod run;
#[cfg(test)]
mod tests;
pub mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use quorate_core::ids::{RequestId, SessionId, UserId};
use quorate_core::request::{Access, Request};
use quorate_core::session::End;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use end::{expired, gateway_stopped};
pub use recording::Recordings;
pub(crate) use run::serve;

use crate::agent::{Launcher, Process, Size};
use crate::clock::Clock;
use crate::lifecycle::{Error, Lifecycle};

/// How long a gateway that stops waits for its sessions to be gone: longer than the agent
/// takes to end what does not want to go.
const STOP_MAX: Duration = Duration::from_secs(8);

/// What sessions may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sessions of this gateway.
    pub sessions_max: usize,
    /// Sessions of one person.
    pub sessions_per_user_max: usize,
    /// How long a client may take to say which command it wants to run.
    pub first_frame_seconds_max: u64,
    /// How often a client is asked whether it is still there.
    pub ping_seconds: u64,
    /// How long a client that reads may say nothing at all, not even that it is there.
    pub silence_seconds_max: u64,
    /// How long a client may read nothing of what waits for it.
    pub stall_seconds_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_max: 200,
            sessions_per_user_max: 20,
            first_frame_seconds_max: 10,
            ping_seconds: 15,
            silence_seconds_max: 60,
            stall_seconds_max: 600,
        }
    }
}

/// The live sessions of this gateway. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    lifecycle: Lifecycle,
    clock: Clock,
    settings: RwLock<Settings>,
    recordings: Recordings,
    table: Mutex<Table>,
    /// How many slots are taken.
    taken: watch::Sender<usize>,
    /// The gateway is going down.
    stopping: CancellationToken,
}

#[derive(Clone)]
struct Settings {
    limits: Limits,
    launcher: Launcher,
}

#[derive(Default)]
struct Table {
    live: HashMap<SessionId, Arc<Live>>,
    /// Sessions of each person, those that are only about to open included.
    slots: HashMap<UserId, usize>,
}

/// What of a session can be cut.
#[derive(Debug, Default)]
struct Live {
    cut: CancellationToken,
    /// Set before `cut`.
    end: OnceLock<End>,
    process: OnceLock<Process>,
}

impl Live {
    fn cut(&self, end: &End) {
        // The first end is the one in the ledger.
        let _ = self.end.set(end.clone());
        self.cut.cancel();
        if let Some(process) = self.process.get() {
            process.kill();
        }
    }
}

/// Room for one session; given back when it is dropped.
pub(crate) struct Slot {
    sessions: Sessions,
    user: UserId,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.sessions.table();
        if let Some(count) = table.slots.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                table.slots.remove(&self.user);
            }
        }
        self.sessions.0.taken.send_modify(|taken| *taken -= 1);
    }
}

/// A live session as long as it can be cut; its process is killed when this is dropped.
struct Entered {
    sessions: Sessions,
    id: SessionId,
    live: Arc<Live>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(process) = self.live.process.get() {
            process.kill();
        }
        self.sessions.table().live.remove(&self.id);
    }
}

/// What is to be opened.
#[derive(Debug)]
pub(crate) enum Way {
    /// A terminal under a grant.
    Terminal {
        /// How large it is.
        size: Size,
        /// What kind, as in `TERM`.
        term: String,
    },
    /// An approved command; the client says which.
    Command,
}

/// Why no session is opened now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotNow {
    /// The rules said no, or the machine could not.
    #[error(transparent)]
    Lifecycle(#[from] Error),
    /// One person has too many.
    #[error("{user} has {max} sessions open, as many as one person may have; end one first")]
    TooMany {
        /// Who.
        user: UserId,
        /// How many.
        max: usize,
    },
    /// The gateway has too many.
    #[error("the gateway has {max} sessions open, as many as it takes; try again later")]
    Full {
        /// How many.
        max: usize,
    },
    /// The gateway goes down.
    #[error("the gateway is going down; try again in a moment")]
    Stopping,
}

impl Sessions {
    /// No sessions yet. Commands are started by `launcher`; what terminals show goes into
    /// `recordings`.
    pub fn new(lifecycle: Lifecycle, clock: Clock, launcher: Launcher, recordings: Recordings) -> Self {
        Self(Arc::new(Inner {
            lifecycle,
            clock,
            settings: RwLock::new(Settings { limits: Limits::default(), launcher }),
            recordings,
            table: Mutex::default(),
            taken: watch::Sender::new(0),
            stopping: CancellationToken::new(),
        }))
    }

    /// Other limits from now on.
    pub fn limit(&self, limits: Limits) {
        self.0.settings.write().unwrap_or_else(PoisonError::into_inner).limits = limits;
    }

    /// Another launcher from now on: a program that only embeds the gateway cannot become
    /// the agent's helper itself.
    pub fn launch_with(&self, launcher: Launcher) {
        self.0.settings.write().unwrap_or_else(PoisonError::into_inner).launcher = launcher;
    }

    /// The sessions that have, or are about to have, a process here.
    pub fn live(&self) -> Vec<SessionId> {
        self.table().live.keys().cloned().collect()
    }

    /// What terminals showed.
    pub(crate) fn recordings(&self) -> &Recordings {
        &self.0.recordings
    }

    /// Ends a session here: from this call on no byte passes, the process and everything it
    /// started is killed, the client is told `end`, which is how it ended in the ledger.
    ///
    /// A frame that is on its way to the client already is finished first: half of one would
    /// break the connection over which the client is told why.
    pub fn cut(&self, id: &SessionId, end: &End) {
        let live = self.table().live.get(id).cloned();
        if let Some(live) = live {
            live.cut(end);
        }
    }

    /// Ends all sessions because the gateway goes down, and lets no new ones begin. Returns
    /// when all processes are gone, or after a few seconds.
    pub async fn stop(&self) {
        // Under the lock: a session enters either before, and is in the ledger when it is
        // read below, or after, and sees that the gateway is going down.
        let table = self.table();
        self.0.stopping.cancel();
        drop(table);
        match self.0.lifecycle.ledger().open_sessions() {
            Ok(open) => {
                for session in open {
                    let end = run::end_in_ledger(&self.0.lifecycle, &session.id, gateway_stopped()).await;
                    self.cut(&session.id, &end.unwrap_or_else(gateway_stopped));
                }
            }
            Err(error) => tracing::error!(%error, "the sessions to end cannot be read"),
        }
        // Also those that the ledger could not be read for.
        for id in self.live() {
            self.cut(&id, &gateway_stopped());
        }
        let mut taken = self.0.taken.subscribe();
        if tokio::time::timeout(STOP_MAX, taken.wait_for(|taken| *taken == 0)).await.is_err() {
            tracing::warn!(sessions = *taken.borrow(), "stopping while sessions are still ending");
        }
    }

    /// What `user` can open under the request `id` now, and room for it. Nothing is opened
    /// yet: the rules are asked again when it is.
    pub(crate) async fn prepare(
        &self,
        id: &RequestId,
        user: &UserId,
        size: Size,
        term: &str,
    ) -> Result<(Slot, Way), NotNow> {
        let lifecycle = &self.0.lifecycle;
        lifecycle.settle(id).await?;
        let found = lifecycle.ledger().request(id).map_err(Error::from)?;
        let request = found.ok_or_else(|| Error::NotFound { what: "request", name: id.to_string() })?;
        let way = self.way(&request, user, size, term)?;
        Ok((self.reserve(user)?, way))
    }

    fn way(&self, request: &Request, user: &UserId, size: Size, term: &str) -> Result<Way, Error> {
        let now = self.0.lifecycle.now();
        self.0.lifecycle.check_runs(&request.asked.resource)?;
        match &request.asked.access {
            Access::JustInTime { .. } => {
                request.permit(user, now)?;
                Ok(Way::Terminal { size, term: term.to_owned() })
            }
            Access::Command { digest, .. } => {
                // As if what was approved were run; that step is thrown away.
                let nobody: SessionId = "not-opened".parse().map_err(anyhow::Error::new)?;
                let _ = request.run(user, *digest, &nobody, 1, now)?;
                Ok(Way::Command)
            }
        }
    }

    fn reserve(&self, user: &UserId) -> Result<Slot, NotNow> {
        let limits = self.settings().limits;
        let mut table = self.table();
        if self.0.stopping.is_cancelled() {
            return Err(NotNow::Stopping);
        }
        if *self.0.taken.borrow() >= limits.sessions_max {
            return Err(NotNow::Full { max: limits.sessions_max });
        }
        let count = table.slots.entry(user.clone()).or_default();
        if *count >= limits.sessions_per_user_max {
            return Err(NotNow::TooMany { user: user.clone(), max: limits.sessions_per_user_max });
        }
        *count += 1;
        self.0.taken.send_modify(|taken| *taken += 1);
        Ok(Slot { sessions: self.clone(), user: user.clone() })
    }

    /// From now on `id`, which is in the ledger, can be cut; it is at once where it has ended
    /// there meanwhile.
    fn enter(&self, id: &SessionId) -> Entered {
        let live = Arc::new(Live::default());
        let stopping = {
            let mut table = self.table();
            table.live.insert(id.clone(), Arc::clone(&live));
            self.0.stopping.is_cancelled()
        };
        match self.0.lifecycle.ledger().session(id) {
            Ok(Some(session)) => {
                if let Some((_, end)) = &session.ended {
                    live.cut(end);
                }
            }
            Ok(None) => {}
            Err(error) => tracing::error!(session = %id, %error, "a session cannot be read"),
        }
        if stopping {
            live.cut(&gateway_stopped());
        }
        Entered { sessions: self.clone(), id: id.clone(), live }
    }

    fn settings(&self) -> Settings {
        self.0.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
