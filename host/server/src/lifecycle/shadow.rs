//! Shadow: a candidate asked beside the version that decides, on every decision, after it
//! was made. It never acts, and nobody waits for it: it follows the records in the ledger,
//! as a backtest does, and what it found is kept beside them.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::Timestamp;
use quorate_core::backtest::{Change, Place};
use quorate_core::entry::{Actor, Step, Stream};
use quorate_core::ids::{Digest, PolicyName, RequestId};
use quorate_core::policy::{Demand, Policy, Seen, Shadow};
use serde::Serialize;
use utoipa::ToSchema;

use super::policies::policy_after;
use super::walk::{PAGE_POINTS_MAX, Slice};
use super::{BacktestPage, Error, Flip, Idempotency, Inner, Lifecycle, Plan, nothing_planned};
use crate::ledger::{Basis, Key, PointFilter, ShadowCount, ShadowFound, ShadowStep};

/// Where there was nothing to see, so many entries later it is written down.
const UNWRITTEN_MAX: u64 = 500;

/// How often an activation waits for the shadow to see what was decided meanwhile.
const ROUNDS_MAX: u32 = 100;

/// How many differences a report lists.
const LISTED_MAX: usize = 1000;

/// How many decisions that were not looked at yet are counted.
const BEHIND_MAX: usize = 1000;

/// What a shadow has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShadowReport {
    /// The digest of the candidate.
    pub digest: String,
    /// Whether it goes on.
    pub running: bool,
    /// Who began it.
    pub by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Why.
    pub reason: String,
    /// How many decisions it was tried on.
    pub samples: u64,
    /// How many of them come to the same.
    pub agreed: u64,
    /// How many of those have another answer: it waits for other people, or says something
    /// else.
    pub other_answers: u64,
    /// How many of each change: `lets-in`, `longer`, `fault`, `config-refused`,
    /// `keeps-out`, `shorter`, `other`.
    pub changes: BTreeMap<String, u64>,
    /// How many decisions would be others, and nobody has accepted that.
    pub unaccepted_differences: u64,
    /// How often the candidate did not answer or did not take the config, and nobody has
    /// accepted that.
    pub unaccepted_faults: u64,
    /// How many decisions had no record.
    pub missing: u64,
    /// How many decisions it has not looked at yet; at most 1000 are counted.
    pub behind: u64,
    /// Every decision that would be another or could not be made, those that would newly
    /// let somebody in first; at most 1000.
    pub differences: Vec<ShadowDifference>,
    /// How many more there are.
    pub left_out: u64,
}

/// A decision that would be another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShadowDifference {
    /// Which, and how.
    #[serde(flatten)]
    pub flip: Flip,
    /// Who accepted it and why; none: nobody did.
    pub accepted: Option<AcceptedView>,
}

/// Who accepted a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AcceptedView {
    /// Who.
    pub by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

impl Lifecycle {
    /// Checks a version against every rule that uses the policy, and puts it forward.
    pub async fn stage_policy(
        &self,
        name: &PolicyName,
        digest: Digest,
        reason: String,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<Policy, Error> {
        self.check_key(key.as_ref())?;
        self.check_candidate(name, digest).await?;
        self.step(name, key, move |policy, now| policy.stage(digest, reason.clone(), by.clone(), now)).await
    }

    /// Has a staged version asked beside the one that decides.
    pub async fn start_shadow(
        &self,
        name: &PolicyName,
        digest: Digest,
        reason: String,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<Policy, Error> {
        self.check_key(key.as_ref())?;
        // Rules may have changed since it was staged.
        self.check_candidate(name, digest).await?;
        self.step(name, key, move |policy, now| policy.start_shadow(digest, reason.clone(), by.clone(), now))
            .await
    }

    /// Ends the shadow of a policy. What it found stays.
    pub async fn stop_shadow(
        &self,
        name: &PolicyName,
        reason: String,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<Policy, Error> {
        self.step(name, key, move |policy, now| policy.stop_shadow(reason.clone(), by.clone(), now)).await
    }

    /// Takes differences of the shadow: one decision, or all of one request so far.
    pub async fn accept_difference(
        &self,
        name: &PolicyName,
        which: &str,
        reason: String,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<Policy, Error> {
        self.check_key(key.as_ref())?;
        let policy = self.0.policy(name)?;
        let found = match &policy.shadow {
            Some(shadow) => self.0.ledger.shadow_found(name, shadow.began)?,
            None => Vec::new(),
        };
        let number: Option<u64> = which.parse().ok();
        let fits = |one: &&ShadowFound| number == Some(one.decision) || one.request.as_str() == which;
        let decisions: Vec<u64> = found.iter().filter(fits).map(|one| one.decision).collect();
        if policy.shadow.is_some() && decisions.is_empty() {
            return Err(Error::NotFound { what: "difference of the shadow", name: which.to_owned() });
        }
        self.step(name, key, move |policy, now| {
            policy.accept(decisions.clone(), reason.clone(), by.clone(), now)
        })
        .await
    }

    async fn step(
        &self,
        name: &PolicyName,
        key: Option<Idempotency>,
        step: impl Fn(&Policy, Timestamp) -> Result<Step, quorate_core::refused::Refused> + Send + Sync + 'static,
    ) -> Result<Policy, Error> {
        let (wanted, answers) = (name.clone(), format!("policy/{name}"));
        let changed = self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            let policy = inner.policy(&wanted)?;
            let step = step(&policy, now)?;
            let left = policy_after(Some(policy), &step)?;
            Ok(Some(Plan::to(step, left)))
        });
        changed.await?.ok_or_else(nothing_planned)
    }

    /// It compiles, starts, and every rule's config is one that it takes.
    pub(super) async fn check_candidate(&self, name: &PolicyName, digest: Digest) -> Result<(), Error> {
        let policy = self.0.policy(name)?;
        if policy.last_of(digest).is_none() {
            return Err(Error::NotFound { what: "policy version", name: digest.short() });
        }
        let inner = std::sync::Arc::clone(&self.0);
        let kept = tokio::task::spawn_blocking(move || inner.compiled(&digest)).await;
        let kept = kept.map_err(anyhow::Error::new)??;
        let kept = kept.ok_or_else(|| Error::NotFound { what: "component", name: digest.short() })?;
        self.0.check_rules_accept(name, &kept.policy)
    }

    /// Brings every shadow up to the newest decision. One that cannot be does not keep
    /// the others.
    pub async fn follow_shadows(&self) -> Result<(), Error> {
        let mut failed = None;
        for policy in self.0.ledger.policies()?.iter().filter(|policy| policy.shadow.is_some()) {
            if let Err(error) = self.follow_shadow(&policy.name).await {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Brings the shadow of one policy up to the newest decision, or to its end. May run
    /// twice, also at once: what was seen counts once.
    pub async fn follow_shadow(&self, name: &PolicyName) -> Result<(), Error> {
        loop {
            let Some(shadow) = self.0.ledger.policy(name)?.and_then(|policy| policy.shadow) else {
                return Ok(());
            };
            let count = self.0.ledger.shadow_count(name, shadow.began)?;
            let (from, until) = self.0.stretch(name, &shadow, count.as_ref())?;
            if from >= until {
                return Ok(());
            }
            let (policy, digest) = (name.clone(), shadow.digest);
            let look = move |inner: &Inner| inner.shadow_page(policy, digest, from, until);
            let page = self.0.take_turn(look).await?;
            let goes_on = page.next.is_some();
            let step = step_of(name, &shadow, (from, page.next.unwrap_or(until)), page)?;
            let saw_nothing = step.more.samples + step.more.missing == 0;
            if saw_nothing && !goes_on && until - from < UNWRITTEN_MAX {
                return Ok(());
            }
            self.0.ledger.keep_shadow(step).await?;
        }
    }

    /// Makes a change that demands something of the shadow of `name`: once that has seen all
    /// there is to see, and again where the policies were asked in between.
    pub(super) async fn change_seen<T, F>(
        &self,
        name: &PolicyName,
        demand: Demand,
        key: Option<Key>,
        plan: F,
    ) -> Result<Option<T>, Error>
    where
        T: Send + 'static,
        F: Fn(&Inner, Timestamp) -> Result<Option<Plan<T>>, Error> + Send + Sync + 'static,
    {
        let plan = std::sync::Arc::new(plan);
        for _ in 0..ROUNDS_MAX {
            if !demand.is_none() {
                self.follow_shadow(name).await?;
            }
            let plan = std::sync::Arc::clone(&plan);
            match self.change(key.clone(), move |inner, now| plan(inner, now)).await {
                Err(Error::ShadowBehind) => {}
                done => return done,
            }
        }
        Err(Error::Busy)
    }

    /// What the latest shadow of a policy has seen.
    pub fn shadow_report(&self, name: &PolicyName) -> Result<ShadowReport, Error> {
        self.0.shadow_report(name)
    }

    /// Whether every rule that uses the policy has a config that `version` takes.
    pub fn rules_accept(&self, name: &PolicyName, version: &quorate_policy::Policy) -> Result<(), Error> {
        self.0.check_rules_accept(name, version)
    }

    /// What must hold for `digest` to be made active: what is asked, and what this gateway
    /// demands of versions that never decided where another one does.
    pub(super) fn demand(&self, policy: &Policy, digest: Digest, by: &Actor, asked: Demand) -> Demand {
        let samples_min = self.0.config.shadow_min_samples;
        let free = samples_min == 0
            || *by == Actor::Gateway
            || policy.active().is_none()
            || policy.has_decided(digest);
        if free {
            return asked;
        }
        Demand { samples_min: samples_min.max(asked.samples_min), no_differences: true }
    }
}

impl Inner {
    /// The entries that a shadow has still to look at after `count`: after the one, up to
    /// the other.
    fn stretch(
        &self,
        name: &PolicyName,
        shadow: &Shadow,
        count: Option<&ShadowCount>,
    ) -> Result<(u64, u64), Error> {
        let stream = Stream::policy(name);
        let seq = |revision| {
            let found = self.ledger.seq_of(&stream, revision)?;
            found.ok_or_else(|| Error::Failed(anyhow::anyhow!("entry {revision} of {stream} is missing")))
        };
        let from = count.map_or_else(|| seq(shadow.began), |count| Ok(count.position))?;
        let until = shadow.ended.map_or_else(|| Ok(*self.ledger.head().borrow()), seq)?;
        Ok((from, until))
    }

    fn shadow_page(
        &self,
        policy: PolicyName,
        candidate: Digest,
        after: u64,
        until: u64,
    ) -> Result<BacktestPage, Error> {
        let kept = self.compiled(&candidate)?;
        let kept = kept.ok_or_else(|| Error::NotFound { what: "component", name: candidate.short() })?;
        let filter = PointFilter { policy: Some(policy.clone()), ..PointFilter::default() };
        let slice = Slice { filter, after, until: Some(until), limit: PAGE_POINTS_MAX };
        self.backtest_page(&kept, &Place { policy, rule: None }, &slice)
    }

    /// Refuses the version `digest` unless its shadow has seen what is demanded. Gives what
    /// that rests on: no decision may come between this and the entry.
    pub(super) fn check_demand(
        &self,
        policy: &Policy,
        digest: Digest,
        demand: Demand,
    ) -> Result<Option<Basis>, Error> {
        if demand.is_none() {
            return Ok(None);
        }
        let basis = Basis { decisions: true, ..self.basis() };
        demand.check(&policy.name, digest, self.seen_by_shadow(policy, digest)?)?;
        Ok(Some(basis))
    }

    /// What the shadow `digest`, if it goes on, has seen; all of it, or
    /// [`Error::ShadowBehind`].
    fn seen_by_shadow(&self, policy: &Policy, digest: Digest) -> Result<Option<Seen>, Error> {
        let Some(shadow) = policy.shadowing().filter(|shadow| shadow.digest == digest) else {
            return Ok(None);
        };
        let count = self.ledger.shadow_count(&policy.name, shadow.began)?;
        let (from, until) = self.stretch(&policy.name, shadow, count.as_ref())?;
        let filter = PointFilter { policy: Some(policy.name.clone()), ..PointFilter::default() };
        if !self.ledger.decision_points(&filter, from, until, 1)?.is_empty() {
            return Err(Error::ShadowBehind);
        }
        let count = count.unwrap_or_default();
        let found = self.ledger.shadow_found(&policy.name, shadow.began)?;
        let (differences, faults) = unaccepted(shadow, &found);
        Ok(Some(Seen { samples: count.samples, differences, faults }))
    }

    fn shadow_report(&self, name: &PolicyName) -> Result<ShadowReport, Error> {
        let policy = self.policy(name)?;
        let no_shadow = || Error::NotFound { what: "shadow of policy", name: name.to_string() };
        let shadow = policy.shadow.as_ref().ok_or_else(no_shadow)?;
        let began = policy.transitions.iter().rev();
        let mut began = began.filter(|one| one.to == quorate_core::policy::Stage::Shadow);
        let began = began.find(|one| one.digest == shadow.digest).ok_or_else(no_shadow)?;
        // Read once: what it has seen and what it is behind belong together while it goes on.
        let count = self.ledger.shadow_count(name, shadow.began)?;
        let (from, until) = self.stretch(name, shadow, count.as_ref())?;
        let count = count.unwrap_or_default();
        let found = self.ledger.shadow_found(name, shadow.began)?;
        let filter = PointFilter { policy: Some(name.clone()), ..PointFilter::default() };
        let behind = self.ledger.decision_points(&filter, from, until, BEHIND_MAX)?.len() as u64;
        let (unaccepted_differences, unaccepted_faults) = unaccepted(shadow, &found);
        let mut changes = BTreeMap::new();
        for one in &found {
            *changes.entry(one.change.clone()).or_default() += 1;
        }
        let left_out = found.len().saturating_sub(LISTED_MAX) as u64;
        Ok(ShadowReport {
            digest: shadow.digest.to_string(),
            running: shadow.ended.is_none(),
            by: began.by.to_string(),
            since: began.at,
            reason: began.reason.clone(),
            samples: count.samples,
            agreed: count.agreed,
            other_answers: count.other_answers,
            changes,
            unaccepted_differences,
            unaccepted_faults,
            missing: count.missing,
            behind,
            differences: self.listed(shadow, found)?,
            left_out,
        })
    }

    /// The gravest first.
    fn listed(&self, shadow: &Shadow, mut found: Vec<ShadowFound>) -> Result<Vec<ShadowDifference>, Error> {
        let gravity = |one: &ShadowFound| Change::ALL.iter().position(|it| it.as_str() == one.change);
        found.sort_by_key(|one| (gravity(one), one.decision));
        found.truncate(LISTED_MAX);
        let listed = found.into_iter().map(|one| {
            let mut flip: Flip = serde_json::from_str(&one.json).map_err(anyhow::Error::new)?;
            if flip.change == Change::LetsIn.as_str() {
                flip.became = self.became(&flip.request)?;
            }
            let accepted = shadow.accepted.iter().rev().find(|it| it.decisions.contains(&one.decision));
            let accepted = accepted.map(|it| AcceptedView {
                by: it.by.to_string(),
                at: it.at,
                reason: it.reason.clone(),
            });
            Ok(ShadowDifference { flip, accepted })
        });
        listed.collect()
    }
}

/// How many of `found` nobody accepted: decisions that would be others, and faults.
fn unaccepted(shadow: &Shadow, found: &[ShadowFound]) -> (u64, u64) {
    let accepted: BTreeSet<u64> = shadow.accepted.iter().flat_map(|one| one.decisions.clone()).collect();
    let open = found.iter().filter(|one| !accepted.contains(&one.decision));
    let (faults, differences): (Vec<_>, Vec<_>) = open.partition(|one| {
        [Change::Fault, Change::ConfigRefused].iter().any(|change| change.as_str() == one.change)
    });
    (differences.len() as u64, faults.len() as u64)
}

fn step_of(
    name: &PolicyName,
    shadow: &Shadow,
    (from, position): (u64, u64),
    page: BacktestPage,
) -> Result<ShadowStep, Error> {
    let same = page.table.iter().filter(|cell| cell.change == Change::Same.as_str());
    let more = ShadowCount {
        position,
        samples: page.decisions,
        agreed: same.map(|cell| cell.count).sum(),
        other_answers: page.other_answers,
        missing: page.gaps.len() as u64,
    };
    let found = page.flips.into_iter().map(|flip| {
        // What became of the request is looked up when it is shown.
        let flip = Flip { became: None, ..flip };
        let request: RequestId = flip.request.parse().map_err(anyhow::Error::new)?;
        let json = serde_json::to_string(&flip).map_err(anyhow::Error::new)?;
        Ok(ShadowFound { decision: flip.seq, request, change: flip.change, json })
    });
    let found = found.collect::<Result<Vec<_>, Error>>()?;
    Ok(ShadowStep { policy: name.clone(), began: shadow.began, from, more, found })
}
