//! Sessions in the ledger: opened with a permit, carried on under another grant,
//! ended once. The processes themselves are [`crate::session`]'s.

use quorate_core::Timestamp;
use quorate_core::entry::{Actor, Step, View};
use quorate_core::ids::{RequestId, SessionId, UserId};
use quorate_core::input::Command;
use quorate_core::refused::Refused;
use quorate_core::request::Request;
use quorate_core::session::{End, Session};

use super::{Error, Idempotency, Inner, Lifecycle, Plan, nothing_planned};
use crate::random;

impl Lifecycle {
    /// Opens a terminal session under the grant `id`.
    pub async fn open_session(&self, id: &RequestId, by: &UserId) -> Result<Session, Error> {
        self.settle(id).await?;
        let session: SessionId = random::id()?.parse().map_err(anyhow::Error::new)?;
        let (id, by) = (id.clone(), by.clone());
        self.change(None, move |inner, now| {
            inner.active_user(&by)?;
            let request = inner.request(&id)?;
            inner.check_runs(&request.asked.resource)?;
            let permit = request.permit(&by, now)?;
            let step = Session::open(&permit, &session, now);
            let opened = session_after(None, &step)?;
            Ok(Some(Plan::to(step, opened)))
        })
        .await?
        .ok_or_else(nothing_planned)
    }

    /// Starts the one run of the approved command `id`. `command` is what the
    /// client wants to run: it must be what was approved, on the resource as it
    /// was approved.
    pub async fn run_command(
        &self,
        id: &RequestId,
        by: &UserId,
        command: &Command,
    ) -> Result<Session, Error> {
        self.settle(id).await?;
        let session: SessionId = random::id()?.parse().map_err(anyhow::Error::new)?;
        let (id, by, command) = (id.clone(), by.clone(), command.clone());
        self.change(None, move |inner, now| {
            inner.active_user(&by)?;
            let request = inner.request(&id)?;
            let name = &request.asked.resource;
            inner.check_runs(name)?;
            let Some(resource) = inner.ledger.resource(name)? else {
                return Err(Error::NotFound { what: "resource", name: name.to_string() });
            };
            let digest = resource.command_digest(&command);
            let step = request.run(&by, digest, &session, inner.config.command_run_seconds, now)?;
            let opened = session_after(None, &step)?;
            Ok(Some(Plan::to(step, opened)))
        })
        .await?
        .ok_or_else(nothing_planned)
    }

    /// Ends a session in the ledger.
    pub async fn end_session(&self, id: &SessionId, end: End, by: Actor) -> Result<Session, Error> {
        self.end_session_once(id, end, by, None).await
    }

    /// The same, under an idempotency key.
    pub async fn end_session_once(
        &self,
        id: &SessionId,
        end: End,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<Session, Error> {
        let id = id.clone();
        let answers = format!("session/{id}");
        self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            let session = inner.session(&id)?;
            let step = session.end(end.clone(), by.clone(), now)?;
            let ended = session_after(Some(&session), &step)?;
            Ok(Some(Plan::to(step, ended)))
        })
        .await?
        .ok_or_else(nothing_planned)
    }

    /// Writes down that the recording of a session ends before it does.
    pub async fn recording_stopped(&self, id: &SessionId, why: String) -> Result<(), Error> {
        let id = id.clone();
        let stopped = self.change(None, move |inner, now| {
            Ok(Some(Plan::to(inner.session(&id)?.stop_recording(why.clone(), now), ())))
        });
        stopped.await?.ok_or_else(nothing_planned)
    }

    /// Writes down that `by` is given the recording of a session: before it is.
    pub async fn read_recording(&self, id: &SessionId, by: Actor) -> Result<(), Error> {
        let id = id.clone();
        let read = self.change(None, move |inner, now| {
            Ok(Some(Plan::to(inner.session(&id)?.read_recording(by.clone(), now), ())))
        });
        read.await?.ok_or_else(nothing_planned)
    }

    /// Carries a session over to the live grant of the same person for the same
    /// resource that ends last, if there is one that ends later than its own. Returns
    /// the session as it is then, carried or not: it is over where its `until` is.
    pub async fn carry_session(&self, id: &SessionId) -> Result<Session, Error> {
        let to_carry = id.clone();
        let carried = self.change(None, move |inner, now| {
            let session = inner.session(&to_carry)?;
            if session.ended.is_some() {
                return Err(Refused::SessionEnded.into());
            }
            let Some(request) = inner.other_grant(&session, now)? else { return Ok(None) };
            let step = session.carry(&request.permit(&session.opened.user, now)?, now)?;
            let carried = session_after(Some(&session), &step)?;
            Ok(Some(Plan::to(step, carried)))
        });
        match carried.await? {
            Some(carried) => Ok(carried),
            // Several look after the same end: another may have carried it just now.
            None => self.0.session(id),
        }
    }
}

impl Inner {
    fn session(&self, id: &SessionId) -> Result<Session, Error> {
        let found = self.ledger.session(id)?;
        found.ok_or_else(|| Error::NotFound { what: "session", name: id.to_string() })
    }

    fn other_grant(&self, session: &Session, now: Timestamp) -> Result<Option<Request>, Error> {
        let opened = &session.opened;
        if opened.mode == quorate_core::session::Mode::Command {
            return Ok(None);
        }
        let live = self.ledger.live_grants(&opened.user, &opened.resource, now)?;
        let later = |request: &Request| {
            request.id != opened.request && request.deadline().is_some_and(|end| end > opened.until)
        };
        Ok(live.into_iter().find(later))
    }
}

fn session_after(before: Option<&Session>, step: &Step) -> Result<Session, Error> {
    let mut view = before.map(|session| View::Session(Box::new(session.clone())));
    let mut revision = before.map_or(0, |session| session.revision);
    let sessions =
        step.entries().iter().filter(|entry| entry.stream.kind() == quorate_core::entry::Kind::Session);
    for entry in sessions {
        view = quorate_core::entry::fold(view, revision, entry).map_err(anyhow::Error::new)?;
        revision = entry.revision;
    }
    match view {
        Some(View::Session(session)) => Ok(*session),
        _ => Err(nothing_planned()),
    }
}
