//! What an approved request is good for: a permit, or the one run of its command.

use super::{Access, Request, State, after};
use crate::Timestamp;
use crate::entry::{Actor, Happened, Step, Stream};
use crate::ids::{Digest, SessionId, UserId};
use crate::refused::Refused;
use crate::session::{Mode, Opened, Permit};

impl Request {
    /// Proof that `by` may open a session now.
    pub fn permit(&self, by: &UserId, now: Timestamp) -> Result<Permit, Refused> {
        if *by != self.asked.requester {
            return Err(Refused::NotYours);
        }
        match (&self.state, &self.asked.access) {
            (State::Approved { grant, .. }, Access::JustInTime { .. }) if now < grant.until => {
                Ok(Permit::new(self, grant.until))
            }
            _ => Err(Refused::NotOpen { state: self.state_at(now) }),
        }
    }

    /// The one run of an approved command. `digest` is that of what would run;
    /// `seconds_max` is how long it may take.
    pub fn run(
        &self,
        by: &UserId,
        digest: Digest,
        session: &SessionId,
        seconds_max: u64,
        now: Timestamp,
    ) -> Result<Step, Refused> {
        if *by != self.asked.requester {
            return Err(Refused::NotYours);
        }
        let Access::Command { digest: approved, .. } = &self.asked.access else {
            return Err(Refused::NotOpen { state: self.state_at(now) });
        };
        match &self.state {
            State::Executed { .. } => Err(Refused::AlreadyRun),
            State::Approved { grant, .. } if now < grant.until => {
                if *approved != digest {
                    return Err(Refused::NotWhatWasApproved);
                }
                let actor = Actor::User(by.clone());
                let until = after(now, seconds_max);
                let opened = Opened::of(self, Mode::Command, until);
                let happened = Happened::CommandStarted { session: session.clone() };
                let open = Happened::SessionOpened { opened };
                let start = self.entries(&actor, now, vec![happened]);
                Ok(start.and(Step::one(Stream::session(session), 0, actor, now, open)))
            }
            _ => Err(Refused::NotOpen { state: self.state_at(now) }),
        }
    }
}
