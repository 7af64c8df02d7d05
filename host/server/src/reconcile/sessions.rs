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
        let ended = super::note("ending sessions", end_closed(&lifecycle, &sessions).await);
        let cut = super::note("cutting sessions", cut_ended(&lifecycle, &sessions));
        if super::next(&mut head, ended && cut).await.is_err() {
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

/// Ends, in the ledger, every session whose grant is over or whose user was switched
/// off, and carries on those that another grant covers. One that cannot be ended does
/// not keep the others open.
async fn end_closed(lifecycle: &Lifecycle, sessions: &Sessions) -> Result<(), Error> {
    let mut failed = None;
    for session in lifecycle.ledger().open_sessions()? {
        if let Err(error) = end_if_over(lifecycle, sessions, &session).await {
            failed = Some(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn end_if_over(lifecycle: &Lifecycle, sessions: &Sessions, session: &Session) -> Result<(), Error> {
    let Some(request) = lifecycle.ledger().request(&session.opened.request)? else { return Ok(()) };
    let user = lifecycle.ledger().user(&session.opened.user)?;
    let active = user.is_some_and(|user| user.profile.active);
    let Some(mut end) = over(session, &request, active) else { return Ok(()) };
    if end.reason == EndReason::Expired {
        let now_under = lifecycle.carry_session(&session.id).await?;
        if now_under.opened.until > lifecycle.now() {
            return Ok(());
        }
        // It may have gone on under another grant that is over by now, too.
        end = session::expired(&now_under.opened);
    }
    let ended = end_once(lifecycle, session, end.clone()).await;
    if ended.is_err() {
        // It could not be written, but nobody may go on for that.
        sessions.cut(&session.id, &end);
    }
    ended
}

/// Why a session under `request` must end, if it must. A command that runs goes
/// on to its own limit, unless its user is no longer active.
fn over(session: &Session, request: &Request, active: bool) -> Option<End> {
    let (reason, message) = match &request.state {
        State::Revoked { by, why, .. } if why.is_empty() => (EndReason::Revoked, format!("revoked by {by}")),
        State::Revoked { by, why, .. } => (EndReason::Revoked, format!("revoked by {by}: {why}")),
        State::Expired { .. } => return Some(session::expired(&session.opened)),
        _ if !active => (EndReason::Revoked, format!("{} is no longer active", session.opened.user)),
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

#[cfg(test)]
mod tests;
