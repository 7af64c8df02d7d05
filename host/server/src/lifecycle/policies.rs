//! Policies in operation: loaded, activated, rolled back, all while the gateway
//! serves. What is in the ledger decides; the active set follows it.

use std::collections::BTreeMap;

use quorate_core::Timestamp;
use quorate_core::entry::{Actor, Kind, Step, View};
use quorate_core::ids::{Digest, PolicyName, RequestId};
use quorate_core::policy::{self, Activation, Demand, Policy, Version};
use quorate_core::refused::Refused;
use quorate_policy::LoadError;

use super::{Error, Idempotency, Inner, Lifecycle, Plan, follow, nothing_planned};
use crate::ledger::Append;

/// On whose word a version is made active.
pub(super) enum Word {
    /// That of whoever does it, and why.
    Own(String),
    /// That of those who approved this request.
    Approved(RequestId),
}

impl Lifecycle {
    /// Brings the active set to what the ledger says, and adds the policies that
    /// come with the gateway. Called once, before anything is served.
    ///
    /// A policy that does not load any more is left out and said so: requests
    /// that need it wait, the others go on.
    pub async fn start_policies(&self) -> Result<(), Error> {
        let mut loaded = BTreeMap::new();
        for policy in self.0.ledger.policies()? {
            let Some(version) = policy.active() else { continue };
            match self.compile(version.clone()).await {
                Ok(component) => {
                    loaded.insert(policy.name.clone(), component);
                }
                Err(error) => {
                    tracing::error!(policy = %policy.name, version = %version.digest.short(), %error,
                        "a policy does not load: requests that need it wait");
                }
            }
        }
        self.0.active.replace_all(&loaded);
        for bundled in quorate_bundle::BUILT_IN {
            if let Err(error) = self.start_built_in(bundled).await {
                tracing::error!(policy = bundled.name, %error,
                    "a built-in policy was not taken over: what was active goes on deciding");
            }
        }
        Ok(())
    }

    async fn start_built_in(&self, bundled: &quorate_bundle::Bundled) -> Result<(), Error> {
        let name: PolicyName = bundled.name.parse().map_err(anyhow::Error::new)?;
        let digest = Digest::of(bundled.component);
        let known = self.0.ledger.policy(&name)?;
        let active = known.as_ref().and_then(Policy::active);
        let there = known.as_ref().is_some_and(|one| one.versions.iter().any(|v| v.digest == digest));
        // One that was there before is not active because somebody went back.
        let wanted = active.is_none_or(|version| version.built_in && !there);
        if there && !wanted {
            return Ok(());
        }
        let reason = wanted.then(|| "came with the gateway".to_owned());
        self.load_policy(&name, bundled.component.to_vec(), reason, Actor::Gateway, None).await.map(drop)
    }

    /// Loads a component under a policy's name and, given a reason, lets it
    /// decide. What the gateway itself loads is built in.
    pub async fn load_policy(
        &self,
        name: &PolicyName,
        component: Vec<u8>,
        activate: Option<String>,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<(Policy, Version), Error> {
        let inner = self.0.clone();
        let built_in = by == Actor::Gateway;
        if activate.is_some() {
            self.check_own_word(name, Digest::of(&component), &by)?;
        }
        let (compiled, component) = tokio::task::spawn_blocking(move || {
            let compiled = inner.load(&component, built_in)?;
            inner.compiled.put(compiled.clone(), inner.clock.now());
            Ok::<_, LoadError>((compiled, component))
        })
        .await
        .map_err(anyhow::Error::new)??;
        let version = Version {
            digest: compiled.digest(),
            label: compiled.metadata().version.clone().unwrap_or_default(),
            bytes: component.len() as u64,
            built_in,
        };
        let _swapping = self.0.swapping.lock().await;
        let mut demand = Demand::default();
        if activate.is_some() {
            self.check_key(key.as_ref())?;
            self.0.check_rules_accept(name, &compiled)?;
            if let Some(policy) = self.0.ledger.policy(name)? {
                demand = self.demand(&policy, version.digest, &by, demand);
            }
        }
        let (policy_name, activates) = (name.clone(), activate.is_some());
        let answers = format!("policy/{name}");
        let made = version.clone();
        let key = key.map(|key| key.answering(answers));
        let policy = self
            .change_seen(name, demand, key, move |inner, now| {
                inner.plan_load(&policy_name, &made, &component, (activate.as_deref(), demand), &by, now)
            })
            .await?
            .ok_or_else(|| Refused::AlreadyActive { policy: name.clone(), digest: version.digest })?;
        if activates {
            self.put(name, &compiled);
        }
        Ok((policy, version))
    }

    /// Lets another loaded version decide, if its shadow has seen what is demanded, and if
    /// nobody else has to approve that.
    pub async fn activate_policy(
        &self,
        activation: Activation,
        reason: String,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<Policy, Error> {
        self.check_own_word(&activation.policy, activation.digest, &by)?;
        self.switch(activation, Word::Own(reason), by, key).await
    }

    /// Lets the version decide that decided before. Nobody else has to approve that: it was
    /// approved, or needed no approval, when it was made to decide, and going back cannot wait.
    pub async fn roll_back_policy(
        &self,
        name: &PolicyName,
        reason: String,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<Policy, Error> {
        let previous = self.0.policy(name)?.previous();
        let digest = previous.ok_or_else(|| Refused::NothingBefore { policy: name.clone() })?;
        let back = Activation { policy: name.clone(), digest, demand: Demand::default() };
        self.switch(back, Word::Own(reason), by, key).await
    }

    pub(super) async fn switch(
        &self,
        activation: Activation,
        word: Word,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<Policy, Error> {
        let Activation { policy: name, digest, demand } = activation.clone();
        self.check_key(key.as_ref())?;
        // Compiled before anything is appended: a version that does not load any
        // more changes nothing.
        let Some(version) = self.0.policy(&name)?.versions.into_iter().find(|one| one.digest == digest)
        else {
            return Err(Refused::Unknown { what: "policy version", name: digest.short() }.into());
        };
        let compiled = self.compile(version).await?;
        let _swapping = self.0.swapping.lock().await;
        self.0.check_rules_accept(&name, &compiled)?;
        let demand = self.demand(&self.0.policy(&name)?, digest, &by, demand);
        let answers = format!("policy/{name}");
        let key = key.map(|key| key.answering(answers));
        let policy = self
            .change_seen(&name, demand, key, move |inner, now| {
                let policy = inner.policy(&activation.policy)?;
                let step = match &word {
                    Word::Own(reason) => policy.activate(digest, reason.clone(), by.clone(), now)?,
                    Word::Approved(request) => inner.carry_out(request, &activation, &policy, &by, now)?,
                };
                let basis = inner.check_demand(&policy, digest, demand)?;
                let left = policy_after(Some(policy), &step)?;
                Ok(Some(Plan::to(Append { basis, ..Append::from(step) }, left)))
            })
            .await?
            .ok_or_else(nothing_planned)?;
        self.put(&name, &compiled);
        Ok(policy)
    }

    fn put(&self, name: &PolicyName, compiled: &quorate_policy::Policy) {
        // Going back to what decided until now is not to wait for it to be taken in again.
        if let Some(before) = self.0.active.load().get(name) {
            self.0.compiled.put(before.clone(), self.0.clock.now());
        }
        self.0.active.replace(name, Some(compiled));
        self.0.swapped.notify_waiters();
        self.0.swapped.notify_one();
        tracing::info!(policy = %name, version = %compiled.digest().short(), "a policy version decides now");
    }

    async fn compile(&self, version: Version) -> Result<quorate_policy::Policy, Error> {
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || {
            let not_found = || Error::NotFound { what: "component", name: version.digest.short() };
            // To look back, nobody has to have signed it; to decide, somebody has.
            if !version.built_in && inner.runtime.wants_signatures() {
                let component = inner.ledger.blob(&version.digest)?.ok_or_else(not_found)?;
                inner.runtime.check_signature(&component)?;
            }
            let kept = inner.compiled(&version.digest)?.ok_or_else(not_found)?;
            Ok(kept.policy.clone())
        })
        .await
        .map_err(anyhow::Error::new)?
    }
}

impl Inner {
    /// What came with a gateway is vouched for by the program itself; everything else by
    /// the keys, where there are any.
    fn load(&self, component: &[u8], built_in: bool) -> Result<quorate_policy::Policy, LoadError> {
        if built_in { self.runtime.load_vouched(component) } else { self.runtime.load(component) }
    }

    pub(super) fn policy(&self, name: &PolicyName) -> Result<Policy, Error> {
        let found = self.ledger.policy(name)?;
        found.ok_or_else(|| Error::NotFound { what: "policy", name: name.to_string() })
    }

    /// Nothing to do where the version is there and nobody wants it to decide.
    fn plan_load(
        &self,
        name: &PolicyName,
        version: &Version,
        component: &[u8],
        (activate, demand): (Option<&str>, Demand),
        by: &Actor,
        now: Timestamp,
    ) -> Result<Option<Plan<Policy>>, Error> {
        let before = self.ledger.policy(name)?;
        let load = policy::load(name, before.as_ref(), version.clone(), by.clone(), now);
        let loaded = match (&load, &before) {
            (Some(step), _) => policy_after(before.clone(), step)?,
            (None, Some(policy)) => policy.clone(),
            (None, None) => return Err(nothing_planned()),
        };
        let Some(reason) = activate else {
            return Ok(load.map(|step| Plan::to(with_component(step, version, component), loaded)));
        };
        let switch = loaded.activate(version.digest, reason.to_owned(), by.clone(), now)?;
        let basis = self.check_demand(&loaded, version.digest, demand)?;
        let left = policy_after(Some(loaded), &switch)?;
        let append = match load {
            Some(load) => with_component(load.and(switch), version, component),
            None => Append::from(switch),
        };
        Ok(Some(Plan::to(Append { basis, ..append }, left)))
    }

    /// Every rule that uses the policy must go on having a config it accepts.
    pub(super) fn check_rules_accept(
        &self,
        name: &PolicyName,
        candidate: &quorate_policy::Policy,
    ) -> Result<(), Error> {
        for rule in self.ledger.rules()? {
            for used in rule.policies.iter().filter(|used| used.policy == *name) {
                let findings = quorate_policy::config::findings(candidate, &used.config);
                if let Some(refused) = findings.iter().find(|finding| !finding.is_warning()) {
                    return Err(Error::Refused(Refused::BadConfig {
                        policy: name.to_string(),
                        path: format!("rule {}{}", rule.name, refused.path.as_deref().unwrap_or("")),
                        why: refused.message.clone(),
                    }));
                }
            }
        }
        Ok(())
    }
}

fn with_component(step: Step, version: &Version, component: &[u8]) -> Append {
    let mut append = Append::from(step);
    append.blobs.push((version.digest, component.to_vec()));
    append
}

pub(super) fn policy_after(before: Option<Policy>, step: &Step) -> Result<Policy, Error> {
    let revision = before.as_ref().map_or(0, |policy| policy.revision);
    let before = before.map(|policy| View::Policy(Box::new(policy)));
    match follow(before, revision, Kind::Policy, step)? {
        Some(View::Policy(policy)) => Ok(*policy),
        _ => Err(nothing_planned()),
    }
}
