//! One session from its first byte to its last entry: opened in the ledger, started, pumped,
//! ended in the ledger, killed, the client told.

use std::time::Duration;

use axum::extract::ws::WebSocket;
use quorate_core::entry::Actor;
use quorate_core::ids::{RequestId, SessionId};
use quorate_core::input::Command;
use quorate_core::refused::Refused;
use quorate_core::request::Access;
use quorate_core::session::{End, EndReason, Session};

use super::connection::{Connection, Lost};
use super::end::{connection_lost, exited, expired, failed, gateway_stopped, on_the_wire};
use super::pump::{Parts, Pump, Stopped};
use super::recording::Recorder;
use super::wire::{self, Ended, FromClient};
use super::{Entered, Inner, Sessions, Slot, Way};
use crate::agent::{self, Mode, Outputs, Process, Secret, Spec};
use crate::lifecycle::{Error, Lifecycle};

/// The agent that is part of the gateway.
const EMBEDDED: &str = "default";
/// When to try again to write down an end that could not be written.
const RETRY: Duration = Duration::from_secs(5);

/// What the client is told instead of a cause that is for the log.
const INTERNAL: &str = "the gateway failed to open the session; its log says why";

/// What the client is told where there would be no recording.
const NOT_RECORDED: &str =
    "the gateway cannot record this session, and starts none without; its log says why";

/// Serves one client until its session is over. `slot` is given back at the very end.
pub(crate) async fn serve(slot: Slot, request: RequestId, way: Way, socket: WebSocket) {
    let sessions = slot.sessions.clone();
    let mut connection = Connection::new(socket);
    let opened = open(&slot, &request, way, &mut connection).await;
    let (session, mode) = match opened {
        Ok(opened) => opened,
        Err(ended) => return connection.farewell(ended).await,
    };
    let opened = &session.opened;
    let (id, user, resource) = (session.id.clone(), &opened.user, &opened.resource);
    tracing::info!(session = %id, %request, %user, %resource, mode = ?opened.mode, "session opened");
    let lifecycle = sessions.0.lifecycle.clone();
    // In a task of its own: also where it panics the session ends in the ledger.
    let running = tokio::spawn(run(sessions, session, mode, connection));
    if running.await.is_err() {
        let end = end_in_ledger(&lifecycle, &id, failed("the gateway failed")).await;
        note(&lifecycle, &id, end.as_ref());
    }
    drop(slot);
}

/// Opens the session in the ledger.
async fn open(
    slot: &Slot,
    request: &RequestId,
    way: Way,
    connection: &mut Connection,
) -> Result<(Session, Mode), Ended> {
    let lifecycle = &slot.sessions.0.lifecycle;
    match way {
        Way::Terminal { size, term } => {
            let opened = lifecycle.open_session(request, &slot.user).await;
            Ok((opened.map_err(|error| not_opened(&error))?, Mode::Terminal { size, term }))
        }
        Way::Command => {
            let command = first_command(&slot.sessions, connection).await?;
            let opened = lifecycle.run_command(request, &slot.user, &command).await;
            let session = opened.map_err(|error| not_opened(&error))?;
            Ok((session, Mode::Pipe { input: command.text.into_bytes() }))
        }
    }
}

async fn first_command(sessions: &Sessions, connection: &mut Connection) -> Result<Command, Ended> {
    let seconds = sessions.settings().limits.first_frame_seconds_max;
    let refused = |why: String| Ended { reason: wire::EndReason::Refused, message: why, exit_code: None };
    let first = tokio::select! {
        () = sessions.0.stopping.cancelled() => return Err(on_the_wire(&gateway_stopped())),
        first = tokio::time::timeout(Duration::from_secs(seconds), connection.first()) => first,
    };
    match first {
        Ok(Ok(FromClient::Command(command))) => Ok(command),
        Ok(Ok(_)) => Err(refused("the first frame must say which command is to run".to_owned())),
        Ok(Err(Lost(why))) => Err(refused(why)),
        Err(_) => Err(refused(format!("the client did not say within {seconds} s which command is to run"))),
    }
}

fn not_opened(error: &Error) -> Ended {
    let (reason, message) = match error {
        Error::Failed(cause) => {
            tracing::error!(cause = format!("{cause:#}"), "a session could not be opened");
            (wire::EndReason::Failed, INTERNAL.to_owned())
        }
        Error::Busy | Error::Full | Error::Wanting(_) => (wire::EndReason::Failed, error.to_string()),
        _ => (wire::EndReason::Refused, error.to_string()),
    };
    Ended { reason, message, exit_code: None }
}

/// Runs a session that is in the ledger.
async fn run(sessions: Sessions, session: Session, mode: Mode, mut connection: Connection) {
    let lifecycle = &sessions.0.lifecycle;
    let entered = sessions.enter(&session.id);
    let mut finishing = None;
    let end = match start(&sessions, &session, mode, &entered).await {
        Err(end) => end,
        Ok(Started { process, mut outputs, mut recorder }) => {
            let parts = Parts {
                lifecycle,
                clock: &sessions.0.clock,
                limits: sessions.settings().limits,
                live: &entered.live,
                connection: &mut connection,
                process: &process,
                outputs: &mut outputs,
                recorder: &mut recorder,
            };
            let end = pumped(&session, parts).await;
            // Before anything is waited for.
            process.kill();
            // It is written while the end is.
            finishing = Some(tokio::spawn(recorder.finish()));
            end
        }
    };
    let ended = end_in_ledger(lifecycle, &session.id, end.clone()).await;
    note(lifecycle, &session.id, ended.as_ref());
    connection.farewell(on_the_wire(ended.as_ref().unwrap_or(&end))).await;
    if let Some(process) = entered.live.process.get() {
        process.wait().await;
    }
    if let Some(finishing) = finishing {
        // Where it panicked, that is logged.
        let _ = finishing.await;
    }
}

/// A command that runs, and what is recorded of it.
struct Started {
    process: Process,
    outputs: Outputs,
    recorder: Recorder,
}

/// Starts what the session is for.
async fn start(
    sessions: &Sessions,
    session: &Session,
    mode: Mode,
    entered: &Entered,
) -> Result<Started, End> {
    let live = &entered.live;
    let recorder = record(sessions, session, &mode).await?;
    let spec = spec(&sessions.0.lifecycle, session, mode).map_err(|why| failed(&why))?;
    let launcher = sessions.settings().launcher;
    let started = tokio::select! {
        biased;
        () = live.cut.cancelled() => return Err(cut(live)),
        started = agent::start(&launcher, spec) => started,
    };
    let (process, outputs) = started.map_err(|error| failed(&format!("{:#}", anyhow::Error::new(error))))?;
    let _ = live.process.set(process.clone());
    if live.cut.is_cancelled() {
        process.kill();
    }
    Ok(Started { process, outputs, recorder })
}

/// Starts the recording. What cannot be recorded does not start.
async fn record(sessions: &Sessions, session: &Session, mode: &Mode) -> Result<Recorder, End> {
    let Inner { lifecycle, clock, recordings, .. } = &*sessions.0;
    let Mode::Terminal { size, term } = mode else { return Ok(Recorder::off(clock)) };
    recordings.start(lifecycle, clock, session, *size, term).await.map_err(|error| {
        tracing::error!(session = %session.id, %error, "a session does not start, because it cannot be recorded");
        failed(NOT_RECORDED)
    })
}

/// What to run: the resource's command line, and for a command exactly what was approved, also
/// where the resource was changed a moment ago.
fn spec(lifecycle: &Lifecycle, session: &Session, mode: Mode) -> Result<Spec, String> {
    let unreadable = |error: crate::ledger::ReadError| {
        tracing::error!(session = %session.id, %error, "what a session is for cannot be read");
        INTERNAL.to_owned()
    };
    let opened = &session.opened;
    let ledger = lifecycle.ledger();
    let Some(resource) = ledger.resource(&opened.resource).map_err(unreadable)? else {
        return Err(format!("the resource {} was removed", opened.resource));
    };
    if resource.agent.as_str() != EMBEDDED {
        return Err(format!("agent {} of resource {} is not connected", resource.agent, resource.name));
    }
    let mut argv = resource.command.clone();
    if let Mode::Pipe { input } = &mode {
        let request = ledger.request(&opened.request).map_err(unreadable)?;
        let access = request.map(|request| request.asked.access);
        let Some(Access::Command { command, digest }) = access else {
            return Err("the approved command is not to be found".to_owned());
        };
        if resource.command_digest(&command) != digest || command.text.as_bytes() != input.as_slice() {
            return Err(format!("the resource {} was changed after the command was approved", resource.name));
        }
        argv.extend(command.arguments);
    }
    let secrets = ledger.secrets(&resource.name).map_err(unreadable)?;
    let env = secrets.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    Ok(Spec { argv, env, mode })
}

/// Moves bytes until the session is over, for whatever reason. When this returns no byte
/// passes any more.
async fn pumped(session: &Session, parts: Parts<'_>) -> End {
    let (lifecycle, live) = (parts.lifecycle, parts.live);
    let mut now_under = session.clone();
    let mut pump = Pump::new(session, parts);
    loop {
        match pump.run().await {
            Stopped::Exited(exit) => return exited(exit),
            Stopped::Lost(why) => return connection_lost(&why),
            Stopped::Cut => return cut(live),
            Stopped::Due => match lifecycle.carry_session(&session.id).await {
                Ok(carried) if carried.ended.is_none() && carried.opened.until > lifecycle.now() => {
                    let (id, request) = (&carried.id, &carried.opened.request);
                    tracing::info!(session = %id, %request, "session goes on under another grant");
                    pump.carry_on(&carried);
                    now_under = carried;
                }
                Ok(over) => return expired(&over.opened),
                // Access that cannot be shown has ended.
                Err(_) => return expired(&now_under.opened),
            },
        }
    }
}

/// What a session that was cut ended with.
fn cut(live: &super::Live) -> End {
    live.end.get().cloned().unwrap_or_else(gateway_stopped)
}

/// Ends a session in the ledger and says how it ended there: whoever was first decides. None
/// where the ledger cannot be written; it is tried again until it can.
pub(super) async fn end_in_ledger(lifecycle: &Lifecycle, id: &SessionId, end: End) -> Option<End> {
    if end.reason == EndReason::Expired
        && let Ok(Some(session)) = lifecycle.ledger().session(id)
        && let Err(error) = lifecycle.settle(&session.opened.request).await
    {
        // The reconciler settles it as well.
        tracing::warn!(session = %id, %error, "the end of a grant was not settled");
    }
    match try_end(lifecycle, id, &end).await {
        Ok(end) => Some(end),
        Err(error) => {
            tracing::error!(session = %id, error = format!("{error:#}"), "a session's end was not written; it is tried again");
            let (lifecycle, id) = (lifecycle.clone(), id.clone());
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(RETRY).await;
                    if try_end(&lifecycle, &id, &end).await.is_ok() {
                        return;
                    }
                }
            });
            None
        }
    }
}

async fn try_end(lifecycle: &Lifecycle, id: &SessionId, end: &End) -> Result<End, Error> {
    match lifecycle.end_session(id, end.clone(), Actor::Gateway).await {
        Ok(_) => Ok(end.clone()),
        Err(Error::Refused(Refused::SessionEnded)) => {
            let session = lifecycle.ledger().session(id)?;
            Ok(session.and_then(|session| session.ended).map_or_else(|| end.clone(), |(_, end)| end))
        }
        Err(error) => Err(error),
    }
}

/// One line for the end of a session.
fn note(lifecycle: &Lifecycle, id: &SessionId, end: Option<&End>) {
    let session = lifecycle.ledger().session(id).ok().flatten();
    let request = session.map(|session| session.opened.request.to_string()).unwrap_or_default();
    if let Some(End { reason, exit_code, .. }) = end {
        tracing::info!(session = %id, request, ?reason, exit_code, "session ended");
    }
}
