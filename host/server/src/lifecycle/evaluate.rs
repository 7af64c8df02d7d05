//! Puts a request to the policies of all rules that cover it: gathers what they
//! may see, asks each in a fresh instance, combines, and seals the record.

use quorate_core::Timestamp;
use quorate_core::decision::{Answer, Decision, Opinion, Record, RuleOpinion, RuleUsed};
use quorate_core::entry::{Step, Stream};
use quorate_core::ids::{Digest, RuleName};
use quorate_core::input::{Evidence, Input};
use quorate_core::request::{Request, Ruling, after};
use quorate_core::resource::Resource;
use quorate_core::rule::{PolicyUse, Rule, covering};
use quorate_core::user::User;
use quorate_core::verdict::{Fault, FaultCode};
use quorate_policy::ActiveSet;

use super::facts::Gathered;
use super::{Error, Inner};
use crate::ledger::{Append, Basis};
use crate::telemetry;

/// How much of the history a policy gets at most.
const HISTORY_MAX: usize = 200;
/// When to ask again after a fault that may pass by itself, in seconds.
const RETRY_SECONDS: u64 = 30;
/// When to ask again after a source of facts did not answer, in seconds.
const FACTS_RETRY_SECONDS: u64 = 60;

/// A ruling, and what it rests on.
pub(super) struct Evaluated {
    pub(super) ruling: Ruling,
    pub(super) ground: Ground,
}

/// What a ruling rests on: its record, as it is kept under its digest, and what must
/// not have changed until it is in the ledger.
pub(super) struct Ground {
    digest: Digest,
    record: Vec<u8>,
    basis: Basis,
}

impl Ground {
    /// `step` together with what it rests on.
    pub(super) fn with(self, step: Step) -> Append {
        let mut append = Append::from(step);
        append.blobs.push((self.digest, self.record));
        append.basis = Some(self.basis);
        append
    }
}

/// What decides a request now.
pub(super) struct Deciders {
    pub(super) requester: User,
    pub(super) resource: Option<Resource>,
    pub(super) rules: Vec<Rule>,
}

impl Deciders {
    /// A rule that wants votes cast on the page of the request.
    pub(super) fn page_only(&self) -> Option<RuleName> {
        self.rules.iter().find(|rule| rule.votes_on_page).map(|rule| rule.name.clone())
    }
}

impl Inner {
    /// What holds now: taken before anything is read that a decision rests on.
    pub(super) fn basis(&self) -> Basis {
        Basis { head: *self.ledger.head().borrow(), streams: Vec::new(), decisions: false }
    }

    pub(super) fn evaluate(
        &self,
        request: &Request,
        basis: Basis,
        now: Timestamp,
        gathered: &Gathered,
    ) -> Result<Evaluated, Error> {
        self.evaluate_under(request, self.deciders(request)?, basis, now, gathered)
    }

    /// The same, under these rules.
    pub(super) fn evaluate_under(
        &self,
        request: &Request,
        deciders: Deciders,
        mut basis: Basis,
        now: Timestamp,
        gathered: &Gathered,
    ) -> Result<Evaluated, Error> {
        basis.streams.push(Stream::user(&request.asked.requester));
        basis.streams.push(Stream::resource(&request.asked.resource));
        let Deciders { requester, resource, rules } = deciders;
        let Some(resource) = resource.filter(|_| requester.profile.active) else {
            return self.seal_uncovered(request, &requester, basis, now);
        };
        let active = self.active.load();
        let evidence = self.evidence(request, &rules, &active, now, gathered)?;
        let input = request.input(requester.principal(), resource.target(), evidence, now);
        let opinions: Vec<RuleOpinion> = rules.iter().map(|rule| ask_rule(rule, &active, &input)).collect();
        let mut decision = match resource.standing_group(&input.request.requester) {
            Some(group) if rules.is_empty() => Decision::standing(group.clone()),
            _ => Decision::combine(&opinions),
        };
        // Once the source answers again, other people may be the ones to approve.
        if input.facts.iter().any(|fact| fact.known.is_none() && self.sources.get(&fact.name).is_some()) {
            let retry = after(now, FACTS_RETRY_SECONDS);
            decision.revisit_at = Some(decision.revisit_at.map_or(retry, |at| at.min(retry)));
        }
        if decision.faults().iter().any(|one| one.fault.code.may_pass()) {
            let retry = after(now, RETRY_SECONDS);
            decision.revisit_at = Some(decision.revisit_at.map_or(retry, |at| at.min(retry)));
        }
        self.seal(decision, input, opinions, &resource, basis)
    }

    /// The rules, and the versions of policies, that would decide the request now
    /// are others than those that did.
    pub(super) fn is_stale(&self, request: &Request) -> Result<bool, Error> {
        let Some(decision) = &request.decision else { return Ok(true) };
        let Deciders { requester, resource, rules } = self.deciders(request)?;
        if resource.is_none() || !requester.profile.active {
            return Ok(true);
        }
        let active = self.active.load();
        let same = |used: &RuleUsed, rule: &Rule| {
            let versions = used.policies.iter().map(|one| (&one.policy, one.version));
            let current = rule
                .policies
                .iter()
                .map(|one| (&one.policy, active.get(&one.policy).map(quorate_policy::Policy::digest)));
            used.rule == rule.name && used.revision == rule.revision && versions.eq(current)
        };
        let unchanged = decision.rules.len() == rules.len()
            && decision.rules.iter().zip(&rules).all(|(used, rule)| same(used, rule));
        Ok(!unchanged)
    }

    pub(super) fn deciders(&self, request: &Request) -> Result<Deciders, Error> {
        let requester = self.user(&request.asked.requester)?;
        let resource = self.ledger.resource(&request.asked.resource)?;
        let rules = match &resource {
            None => Vec::new(),
            Some(resource) => {
                let all = self.ledger.rules()?;
                let access_type = request.asked.access.access_type();
                let covering = covering(&all, &requester.principal(), resource, access_type);
                covering.into_iter().cloned().collect()
            }
        };
        Ok(Deciders { requester, resource, rules })
    }

    pub(super) fn evidence(
        &self,
        request: &Request,
        rules: &[Rule],
        active: &ActiveSet,
        now: Timestamp,
        gathered: &Gathered,
    ) -> Result<Evidence, Error> {
        let mut names: Vec<&str> = Vec::new();
        let mut window = None;
        for used in rules.iter().flat_map(|rule| &rule.policies) {
            let Some(policy) = active.get(&used.policy) else { continue };
            window = window.max(policy.evidence().history_window);
            for name in &policy.evidence().facts {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
        }
        let facts = self.facts(request, &names, gathered, now)?;
        let Some(window) = window else { return Ok(Evidence { history: Vec::new(), facts }) };
        let back = i64::try_from(window).unwrap_or(i64::MAX);
        let since = now.checked_sub(jiff::SignedDuration::from_secs(back)).unwrap_or(Timestamp::MIN);
        let asked = &request.asked;
        let past = self.ledger.history(&asked.requester, &asked.resource, since, HISTORY_MAX)?;
        let others = past.iter().filter(|one| one.id != request.id);
        Ok(Evidence { history: others.map(Request::as_past).collect(), facts })
    }

    /// The denial of a request whose resource is gone or whose requester may no
    /// longer ask.
    fn seal_uncovered(
        &self,
        request: &Request,
        requester: &User,
        basis: Basis,
        now: Timestamp,
    ) -> Result<Evaluated, Error> {
        let gone: Resource = serde_json::from_value(serde_json::json!({
            "name": request.asked.resource, "command": ["-"],
        }))
        .map_err(anyhow::Error::new)?;
        let input = request.input(requester.principal(), gone.target(), Evidence::default(), now);
        self.seal(Decision::not_covered(), input, Vec::new(), &gone, basis)
    }

    fn seal(
        &self,
        decision: Decision,
        input: Input,
        rules: Vec<RuleOpinion>,
        resource: &Resource,
        basis: Basis,
    ) -> Result<Evaluated, Error> {
        let record = Record { input, rules, engine: self.runtime.fingerprint().to_owned() };
        let record = serde_json::to_vec(&record).map_err(anyhow::Error::new)?;
        let digest = Digest::of(&record);
        let bounds = self.bounds(resource);
        let ruling = Ruling { decision, record: digest, bounds };
        Ok(Evaluated { ruling, ground: Ground { digest, record, basis } })
    }
}

/// Asks the policies of one rule, in order, each in a fresh instance.
pub(super) fn ask_rule(rule: &Rule, active: &ActiveSet, input: &Input) -> RuleOpinion {
    let opinions = rule.policies.iter().map(|used| ask(used, active, input));
    RuleOpinion { rule: rule.name.clone(), revision: rule.revision, opinions: opinions.collect() }
}

fn ask(used: &PolicyUse, active: &ActiveSet, input: &Input) -> Opinion {
    let config = used.config.to_string();
    let Some(policy) = active.get(&used.policy) else {
        let message = format!("no version of policy {} is active", used.policy);
        return Opinion {
            policy: used.policy.clone(),
            version: None,
            config,
            answer: Answer::Fault(Fault { code: FaultCode::Missing, message }),
            fuel_used: 0,
            log: Vec::new(),
        };
    };
    let started = std::time::Instant::now();
    let evaluation = policy.evaluate(&config, input);
    let fault = evaluation.verdict.as_ref().err().map(|fault| fault.code);
    telemetry::evaluated(&used.policy, started.elapsed(), evaluation.fuel_used, fault);
    let answer = match evaluation.verdict {
        Ok(verdict) => Answer::Verdict(verdict),
        Err(fault) => {
            tracing::warn!(policy = %used.policy, request = %input.request.id, %fault, "a policy did not answer");
            Answer::Fault(fault)
        }
    };
    Opinion {
        policy: used.policy.clone(),
        version: Some(policy.digest()),
        config,
        answer,
        fuel_used: evaluation.fuel_used,
        log: evaluation.log,
    }
}
