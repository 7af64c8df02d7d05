//! A session ends in the ledger first; then its process is cut. What was open
//! when the gateway stopped is ended at the next start.

use quorate_core::entry::Actor;
use quorate_core::refused::Refused;
use quorate_core::request::{Request, State};
use quorate_core::session::{End, EndReason, Session};

use crate::lifecycle::{Error, Lifecycle};
use crate::session::{self, Sessions};

/// Runs for ever.
pub(super) async fn run(lifecycle: Lifecycle, sessions: Sessions) {
    let mut head = lifecycle.ledger().head();
    loop {
        head.borrow_and_update();
        super::note("ending sessions", end_closed(&lifecycle).await);
        super::note("cutting sessions", cut_ended(&lifecycle, &sessions));
        if head.changed().await.is_err() {
            return;
        }
    }
}

/// Ends, in the ledger, every session that a gateway left open when it stopped:
/// this one has just started and has none.
pub(super) async fn end_orphans(lifecycle: &Lifecycle) -> Result<(), Error> {
    for session in lifecycle.ledger().open_sessions()? {
        end_once(lifecycle, &session, session::gateway_stopped()).await?;
    }
    Ok(())
}

/// Ends, in the ledger, every session whose grant is over, and carries on those
/// that another grant covers.
async fn end_closed(lifecycle: &Lifecycle) -> Result<(), Error> {
    for session in lifecycle.ledger().open_sessions()? {
        let Some(request) = lifecycle.ledger().request(&session.opened.request)? else { continue };
        let Some(end) = over(&session, &request) else { continue };
        if end.reason == EndReason::Expired && lifecycle.carry_session(&session.id).await?.is_some() {
            continue;
        }
        end_once(lifecycle, &session, end).await?;
    }
    Ok(())
}

/// Why a session under `request` must end, if it must. A command that runs goes
/// on to its own limit.
fn over(session: &Session, request: &Request) -> Option<End> {
    let (reason, message) = match &request.state {
        State::Revoked { by, why, .. } if why.is_empty() => (EndReason::Revoked, format!("revoked by {by}")),
        State::Revoked { by, why, .. } => (EndReason::Revoked, format!("revoked by {by}: {why}")),
        State::Expired { .. } => return Some(session::expired(&session.opened)),
        _ => return None,
    };
    Some(End { reason, message, exit_code: None })
}

async fn end_once(lifecycle: &Lifecycle, session: &Session, end: End) -> Result<(), Error> {
    match lifecycle.end_session(&session.id, end, Actor::Gateway).await {
        Ok(_) | Err(Error::Refused(Refused::SessionEnded)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Cuts the processes of sessions that have ended in the ledger.
fn cut_ended(lifecycle: &Lifecycle, sessions: &Sessions) -> Result<(), Error> {
    for id in sessions.live() {
        if let Some(Session { ended: Some((_, end)), .. }) = lifecycle.ledger().session(&id)? {
            sessions.cut(&id, &end);
        }
    }
    Ok(())
}
