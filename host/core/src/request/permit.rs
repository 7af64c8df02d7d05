//! What an approved request is good for: a permit, the one run of its command, or the one
//! activation that it was made for.

use super::{Access, Request, State, after};
use crate::Timestamp;
use crate::entry::{Actor, Approval, Happened, Step, Stream};
use crate::ids::{Digest, SessionId, UserId};
use crate::policy::{Activation, Approved, Policy};
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
        self.unused(by, digest, now)?;
        let actor = Actor::User(by.clone());
        let opened = Opened::of(self, Mode::Command, after(now, seconds_max));
        let happened = Happened::CommandStarted { session: session.clone() };
        let open = Happened::SessionOpened { opened };
        let start = self.entries(&actor, now, vec![happened]);
        Ok(start.and(Step::one(Stream::session(session), 0, actor, now, open)))
    }

    /// Makes the version decide that was approved: once, and nothing else. `digest` is that
    /// of what is to be done, `policy` what it is done to. It takes somebody's approval, and
    /// the requester's own vote is none: what a policy lets pass is not enough.
    pub fn carry_out(
        &self,
        by: &UserId,
        digest: Digest,
        activation: &Activation,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Step, Refused> {
        let approval = self.unused(by, digest, now)?;
        if policy.name != activation.policy {
            return Err(Refused::NotWhatWasApproved);
        }
        if approval.approvers.is_empty() {
            let resource = self.asked.resource.clone();
            return Err(Refused::NobodyApproved { resource, by: approval.by() });
        }
        let actor = Actor::User(by.clone());
        let approved = Approved { request: self.id.clone(), approvers: approval.approvers.clone() };
        let (version, reason) = (activation.digest, self.asked.reason.clone());
        let activated = policy.activate_approved(version, reason, approved, actor.clone(), now)?;
        let happened = Happened::ActivationCarriedOut { policy: activation.policy.clone(), digest: version };
        Ok(self.entries(&actor, now, vec![happened]).and(activated))
    }

    /// How a command was approved that `by` may use now, for the first time, to do what has
    /// this digest.
    fn unused(&self, by: &UserId, digest: Digest, now: Timestamp) -> Result<&Approval, Refused> {
        if *by != self.asked.requester {
            return Err(Refused::NotYours);
        }
        let Access::Command { digest: approved, .. } = &self.asked.access else {
            return Err(Refused::NotOpen { state: self.state_at(now) });
        };
        match &self.state {
            State::Executed { .. } => Err(Refused::AlreadyRun),
            State::Approved { grant, .. } if now < grant.until && *approved != digest => {
                Err(Refused::NotWhatWasApproved)
            }
            State::Approved { grant, approval } if now < grant.until => Ok(approval),
            _ => Err(Refused::NotOpen { state: self.state_at(now) }),
        }
    }
}
