//! Activations that somebody else has to approve, where the gateway is set so.
//!
//! One is asked for as a command on the resource that stands for changes of policies: an
//! ordinary request, decided by ordinary rules. Whoever asked carries it out once it is
//! approved, as they would run a command; the end of the request and the activation are one
//! append, so that a gateway that is killed has done both or neither. What holds for every
//! activation is checked then, and a failure leaves the approval as it is. Nothing ever runs
//! on that resource.

use quorate_core::Timestamp;
use quorate_core::entry::{Actor, Step};
use quorate_core::ids::{Digest, PolicyName, RequestId, ResourceName, UserId};
use quorate_core::policy::{Activation, Policy};
use quorate_core::refused::Refused;
use quorate_core::request::{Access, Request, State};
use quorate_core::rule::AccessType;

use super::policies::Word;
use super::{Ask, AskedAccess, Error, Idempotency, Inner, Lifecycle, RequestView};

impl Lifecycle {
    /// Asks for a version to be made active.
    pub async fn ask_to_activate(
        &self,
        by: &UserId,
        activation: Activation,
        reason: String,
        key: Option<Idempotency>,
    ) -> Result<RequestView, Error> {
        self.check_key(key.as_ref())?;
        let resource = self.0.for_changes()?;
        self.check_way_to_approve()?;
        // Nobody is asked for what could not be done as things are.
        self.0.policy(&activation.policy)?.check_activation(activation.digest)?;
        self.check_candidate(&activation.policy, activation.digest).await?;
        let ask = Ask { resource, access: AskedAccess::Command(activation.command()), reason };
        self.submit_any(by, ask, key).await
    }

    /// Makes a version active under the request that was approved for exactly that. Where
    /// that was done before, nothing is done.
    pub async fn activate_approved(
        &self,
        id: &RequestId,
        activation: Activation,
        by: &UserId,
        key: Option<Idempotency>,
    ) -> Result<Policy, Error> {
        self.0.for_changes()?;
        self.settle(id).await?;
        if self.0.was_carried_out(id, &activation, by)? {
            return self.0.policy(&activation.policy);
        }
        self.switch(activation, Word::Approved(id.clone()), Actor::User(by.clone()), key).await
    }

    /// Refuses where activations have to be approved and nobody could.
    pub fn check_way_to_approve(&self) -> Result<(), Error> {
        let Some(name) = self.0.config.policy_changes.clone() else { return Ok(()) };
        let closed = |resource, why| Err(Refused::NoWayToApprove { resource, why }.into());
        let Some(resource) = self.0.ledger.resource(&name)? else {
            return closed(name, "there is no such resource");
        };
        if !resource.access_types.contains(&AccessType::Command) {
            return closed(name, "it does not support command access");
        }
        let rules = self.0.ledger.rules()?;
        if !rules.iter().any(|rule| rule.covers_resource(&resource, AccessType::Command)) {
            return closed(name, "no access request rule covers command access to it");
        }
        Ok(())
    }

    /// Refuses an activation on somebody's own word where others have to approve it. The
    /// gateway itself goes on bringing its own policies.
    pub(super) fn check_own_word(
        &self,
        policy: &PolicyName,
        digest: Digest,
        by: &Actor,
    ) -> Result<(), Error> {
        let Some(resource) = self.0.config.policy_changes.clone().filter(|_| *by != Actor::Gateway) else {
            return Ok(());
        };
        self.check_way_to_approve()?;
        Err(Refused::ApprovalNeeded { policy: policy.clone(), digest, resource }.into())
    }

    /// Refuses where nothing may run on this resource.
    pub(crate) fn check_runs(&self, resource: &ResourceName) -> Result<(), Refused> {
        self.0.check_runs(resource)
    }
}

impl Inner {
    pub(super) fn check_runs(&self, resource: &ResourceName) -> Result<(), Refused> {
        if self.config.policy_changes.as_ref() == Some(resource) {
            return Err(Refused::OnlyActivations { resource: resource.clone() });
        }
        Ok(())
    }

    /// The resource that stands for changes of policies.
    fn for_changes(&self) -> Result<ResourceName, Refused> {
        self.config.policy_changes.clone().ok_or(Refused::ApprovalNotNeeded)
    }

    /// The end of the request and the activation, in one step.
    pub(super) fn carry_out(
        &self,
        id: &RequestId,
        activation: &Activation,
        policy: &Policy,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let Actor::User(by) = by else { return Err(Refused::NotYours.into()) };
        self.active_user(by)?;
        let request = self.request(id)?;
        let digest = self.digest_on(&request, activation)?;
        Ok(request.carry_out(by, digest, activation, policy, now)?)
    }

    fn was_carried_out(&self, id: &RequestId, activation: &Activation, by: &UserId) -> Result<bool, Error> {
        let request = self.request(id)?;
        if request.asked.requester != *by || !matches!(request.state, State::Executed { session: None, .. }) {
            return Ok(false);
        }
        let asked = match &request.asked.access {
            Access::Command { command, .. } => Activation::read(command),
            Access::JustInTime { .. } => None,
        };
        Ok(asked.as_ref() == Some(activation))
    }

    /// What is to be done, in one digest, on the resource as it is now.
    fn digest_on(&self, request: &Request, activation: &Activation) -> Result<Digest, Error> {
        let name = self.for_changes()?;
        if request.asked.resource != name {
            return Err(Refused::NotWhatWasApproved.into());
        }
        let resource = self.ledger.resource(&name)?;
        let resource =
            resource.ok_or_else(|| Error::NotFound { what: "resource", name: name.to_string() })?;
        Ok(resource.command_digest(&activation.command()))
    }
}
