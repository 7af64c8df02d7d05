//! How verdicts become one answer.

use super::{Answer, Bypass, Cap, Combined, Decision, Opinion, PolicyFault, PolicyFinding, PolicyUsed};
use super::{RuleOpinion, RuleUsed, Waiting};
use crate::ids::{PolicyName, RuleName};
use crate::notice::{NOTICES_PER_DECISION_MAX, NOTIFY, Notice};
use crate::verdict::{Fault, FaultCode, Finding, Outcome, Verdict};

/// Kinds of obligation that this gateway can carry out. A critical one that is
/// not among them keeps the request from being approved.
pub const KNOWN_OBLIGATIONS: &[&str] = &[NOTIFY];

impl Decision {
    /// Combines what the policies of all rules that cover a request said.
    ///
    /// No rule at all is a denial.
    pub fn combine(rules: &[RuleOpinion]) -> Self {
        let mut decision = Self::not_covered();
        if let Some(outcome) = rules.iter().map(combine_rule).reduce(stricter) {
            decision.outcome = outcome;
        }
        for rule in rules {
            for opinion in &rule.opinions {
                if let Answer::Verdict(verdict) = &opinion.answer {
                    decision.gather(&rule.rule, &opinion.policy, verdict);
                }
            }
            decision.rules.push(RuleUsed::of(rule));
        }
        if let Some(cap) = decision.cap.as_ref().filter(|cap| cap.seconds == 0)
            && !matches!(decision.outcome, Combined::Denied { .. })
        {
            let why = format!("{} allows no time at all", cap.set_by);
            decision.outcome = Combined::Denied { why, policy: None };
        }
        decision
    }

    fn gather(&mut self, rule: &RuleName, policy: &PolicyName, verdict: &Verdict) {
        self.voters.add(&verdict.voters);
        self.forcers.add(&verdict.forcers);
        self.revisit_at = [self.revisit_at, verdict.revisit_at].into_iter().flatten().min();
        if let Some(seconds) = verdict.max_duration
            && self.cap.as_ref().is_none_or(|cap| seconds < cap.seconds)
        {
            self.cap = Some(Cap { seconds, set_by: format!("policy {policy}") });
        }
        let told = verdict.findings.iter().cloned();
        self.findings.extend(told.map(|finding| PolicyFinding { policy: policy.clone(), finding }));
        for one in verdict.obligations.iter().filter(|one| one.kind == NOTIFY) {
            match Notice::read(rule, policy, &one.params) {
                Ok(notice) if self.notices.iter().any(|other| other.is_same(&notice)) => {}
                Ok(notice) if self.notices.len() < NOTICES_PER_DECISION_MAX => self.notices.push(notice),
                Ok(_) => {
                    let why =
                        format!("at most {NOTICES_PER_DECISION_MAX} notices are told at once, not more");
                    self.add_finding(policy, "notify-too-many", why);
                }
                Err(why) => {
                    self.add_finding(policy, "notify-params", format!("people are not told of it: {why}"));
                }
            }
        }
    }

    /// One more finding, of the gateway's about a policy; each once.
    pub(crate) fn add_finding(&mut self, policy: &PolicyName, code: &str, message: String) {
        let finding = Finding { code: code.to_owned(), message, path: None };
        let found = PolicyFinding { policy: policy.clone(), finding };
        if !self.findings.contains(&found) {
            self.findings.push(found);
        }
    }
}

impl RuleUsed {
    fn of(rule: &RuleOpinion) -> Self {
        let policies = rule.opinions.iter().map(|opinion| PolicyUsed {
            policy: opinion.policy.clone(),
            version: opinion.version,
            said: match &opinion.answer {
                Answer::Fault(_) => "fault",
                Answer::Verdict(verdict) => match verdict.outcome {
                    Outcome::Abstain => "abstain",
                    Outcome::Wait(_) => "wait",
                    Outcome::Approve => "approve",
                    Outcome::Bypass(_) => "bypass",
                    Outcome::Deny(_) => "deny",
                },
            }
            .to_owned(),
        });
        Self { rule: rule.rule.clone(), revision: rule.revision, policies: policies.collect() }
    }
}

/// One rule's answer.
fn combine_rule(rule: &RuleOpinion) -> Combined {
    let mut faults = Vec::new();
    let mut bypasses = Vec::new();
    let mut waiting = Vec::new();
    let mut approved = false;
    for Opinion { policy, answer, .. } in &rule.opinions {
        let (rule, policy) = (rule.rule.clone(), policy.clone());
        let verdict = match answer {
            Answer::Fault(fault) => {
                faults.push(PolicyFault { rule, policy, fault: fault.clone() });
                continue;
            }
            Answer::Verdict(verdict) => verdict,
        };
        if let Some(fault) = unmet_obligation(&rule, &policy, verdict) {
            faults.push(PolicyFault { rule: rule.clone(), policy: policy.clone(), fault });
        }
        match &verdict.outcome {
            // A denial is final, so it holds even where another policy faulted.
            Outcome::Deny(why) => {
                return Combined::Denied { why: why.clone(), policy: Some(policy) };
            }
            Outcome::Bypass(why) => bypasses.push(Bypass { rule, policy, why: why.clone() }),
            Outcome::Wait(ways) => waiting.push(Waiting { rule, policy, ways: ways.clone() }),
            Outcome::Approve => approved = true,
            Outcome::Abstain => {}
        }
    }
    if !faults.is_empty() {
        Combined::Faulted { faults }
    } else if !bypasses.is_empty() {
        Combined::Approved { bypasses, standing: None }
    } else if !waiting.is_empty() {
        Combined::Waiting { waiting }
    } else if approved {
        Combined::Approved { bypasses, standing: None }
    } else {
        let why = format!("no policy of rule {} decides this request", rule.rule);
        Combined::Denied { why, policy: None }
    }
}

/// The first critical obligation that this gateway cannot carry out: of a kind that it does not
/// know, or with parameters that are not those of its kind.
fn unmet_obligation(rule: &RuleName, policy: &PolicyName, verdict: &Verdict) -> Option<Fault> {
    verdict.obligations.iter().filter(|one| one.critical).find_map(|one| {
        let kind = &one.kind;
        if !KNOWN_OBLIGATIONS.contains(&kind.as_str()) {
            let message = format!("demands `{kind}`, which this gateway does not know");
            return Some(Fault { code: FaultCode::UnknownObligation, message });
        }
        let why = Notice::read(rule, policy, &one.params).err()?;
        let message = format!("demands `{kind}` with parameters that are not those of `{kind}`: {why}");
        Some(Fault { code: FaultCode::BadAnswer, message })
    })
}

/// Two rules' answers together: each must approve.
fn stricter(one: Combined, other: Combined) -> Combined {
    use Combined::{Approved, Denied, Faulted, Waiting};
    match (one, other) {
        (denied @ Denied { .. }, _) | (_, denied @ Denied { .. }) => denied,
        (Faulted { mut faults }, Faulted { faults: more }) => {
            faults.extend(more);
            Faulted { faults }
        }
        (faulted @ Faulted { .. }, _) | (_, faulted @ Faulted { .. }) => faulted,
        (Waiting { mut waiting }, Waiting { waiting: more }) => {
            waiting.extend(more);
            Waiting { waiting }
        }
        (still @ Waiting { .. }, _) | (_, still @ Waiting { .. }) => still,
        (Approved { mut bypasses, standing }, Approved { bypasses: more, .. }) => {
            bypasses.extend(more);
            Approved { bypasses, standing }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Digest;
    use crate::verdict::{Audience, Obligation, Requirement};

    fn opinion(policy: &str, outcome: Outcome) -> Opinion {
        said(policy, Verdict::new(outcome))
    }

    fn said(policy: &str, verdict: Verdict) -> Opinion {
        Opinion {
            policy: policy.parse().unwrap(),
            version: Some(Digest::of(policy.as_bytes())),
            config: "{}".into(),
            answer: Answer::Verdict(verdict),
            fuel_used: 1,
            log: Vec::new(),
        }
    }

    fn fault(policy: &str) -> Opinion {
        let fault = Fault { code: FaultCode::Trap, message: "boom".into() };
        Opinion { answer: Answer::Fault(fault), ..opinion(policy, Outcome::Abstain) }
    }

    fn rule(name: &str, opinions: Vec<Opinion>) -> RuleOpinion {
        RuleOpinion { rule: name.parse().unwrap(), revision: 1, opinions }
    }

    fn wait() -> Outcome {
        let people = Audience { groups: vec!["dba".into()], users: vec![] };
        Outcome::Wait(vec![vec![Requirement { people, approvals: 1, message: String::new() }]])
    }

    fn kind(rules: &[RuleOpinion]) -> &'static str {
        match Decision::combine(rules).outcome {
            Combined::Denied { .. } => "denied",
            Combined::Faulted { .. } => "faulted",
            Combined::Waiting { .. } => "waiting",
            Combined::Approved { .. } => "approved",
        }
    }

    #[test]
    fn deny_wins_over_bypass_over_wait_over_approve() {
        let deny = || opinion("a", Outcome::Deny("no".into()));
        let bypass = || opinion("b", Outcome::Bypass("now".into()));
        let waits = || opinion("c", wait());
        let yes = || opinion("d", Outcome::Approve);
        let nothing = || opinion("e", Outcome::Abstain);
        for (opinions, expected) in [
            (vec![yes(), waits(), bypass(), deny()], "denied"),
            (vec![yes(), waits(), bypass()], "approved"),
            (vec![yes(), waits()], "waiting"),
            (vec![nothing(), yes()], "approved"),
            (vec![nothing(), nothing()], "denied"),
            (vec![], "denied"),
        ] {
            assert_eq!(kind(&[rule("r", opinions)]), expected);
        }
    }

    #[test]
    fn a_fault_is_never_an_approval_but_a_denial_stands() {
        for (other, expected) in [
            (Outcome::Approve, "faulted"),
            (Outcome::Bypass("now".into()), "faulted"),
            (wait(), "faulted"),
            (Outcome::Deny("no".into()), "denied"),
        ] {
            assert_eq!(kind(&[rule("r", vec![fault("a"), opinion("b", other)])]), expected);
        }
    }

    #[test]
    fn an_unknown_critical_obligation_is_a_fault() {
        let mut verdict = Verdict::new(Outcome::Approve);
        verdict.obligations.push(Obligation { kind: "shred".into(), params: "{}".into(), critical: false });
        assert_eq!(kind(&[rule("r", vec![said("a", verdict.clone())])]), "approved");
        verdict.obligations[0].critical = true;
        assert_eq!(kind(&[rule("r", vec![said("a", verdict)])]), "faulted");
    }

    fn notify(params: &str) -> Obligation {
        Obligation { kind: NOTIFY.into(), params: params.into(), critical: false }
    }

    fn notifies(outcome: Outcome, params: &[&str]) -> Verdict {
        let obligations = params.iter().map(|params| notify(params)).collect();
        Verdict { obligations, ..Verdict::new(outcome) }
    }

    fn codes(decision: &Decision) -> Vec<&str> {
        decision.findings.iter().map(|one| one.finding.code.as_str()).collect()
    }

    #[test]
    fn a_notice_is_kept_once_for_each_rule_and_policy() {
        let twice = notifies(
            wait(),
            &[
                r#"{"id":"a","message":"first"}"#,
                r#"{"id":"a","message":"second"}"#,
                r#"{"id":"b","message":"b"}"#,
            ],
        );
        let once = notifies(Outcome::Approve, &[r#"{"id":"a","message":"other","groups":["dba"]}"#]);
        let decision = Decision::combine(&[
            rule("one", vec![said("p", twice), said("q", once.clone())]),
            rule("two", vec![said("p", once)]),
        ]);
        let kept: Vec<_> = decision
            .notices
            .iter()
            .map(|one| (one.rule.as_str(), one.policy.as_str(), one.id.as_str(), one.message.as_str()))
            .collect();
        let expected = [
            ("one", "p", "a", "first"),
            ("one", "p", "b", "b"),
            ("one", "q", "a", "other"),
            ("two", "p", "a", "other"),
        ];
        assert_eq!(kept, expected);
        assert!(decision.findings.is_empty());
    }

    #[test]
    fn a_notice_changes_no_outcome() {
        for outcome in [wait(), Outcome::Approve, Outcome::Bypass("b".into()), Outcome::Deny("d".into())] {
            let mut verdict = notifies(outcome.clone(), &[r#"{"id":"a","message":"m"}"#]);
            verdict.obligations[0].critical = true;
            let plain = kind(&[rule("r", vec![opinion("a", outcome)])]);
            assert_eq!(kind(&[rule("r", vec![said("a", verdict)])]), plain);
        }
    }

    #[test]
    fn a_notice_that_makes_no_sense_is_a_finding_and_where_it_is_critical_a_fault() {
        let mut verdict = notifies(Outcome::Approve, &[r#"{"id":"a"}"#]);
        let decision = Decision::combine(&[rule("r", vec![said("a", verdict.clone())])]);
        assert_eq!((decision.outcome.as_str(), codes(&decision)), ("approved", vec!["notify-params"]));
        assert!(decision.findings[0].finding.message.contains("missing field `message`"));
        verdict.obligations[0].critical = true;
        let decision = Decision::combine(&[rule("r", vec![said("a", verdict)])]);
        let fault = &decision.faults()[0].fault;
        assert_eq!(fault.code, FaultCode::BadAnswer);
        assert!(fault.message.contains("missing field `message`"), "{fault}");
        assert!(decision.notices.is_empty());
    }

    #[test]
    fn more_notices_than_a_decision_keeps_are_a_finding() {
        let params: Vec<String> =
            (0..=NOTICES_PER_DECISION_MAX).map(|nth| format!(r#"{{"id":"n{nth}","message":"m"}}"#)).collect();
        let params: Vec<&str> = params.iter().map(String::as_str).collect();
        let all = notifies(wait(), &params);
        let decision = Decision::combine(&[rule("r", vec![said("a", all)])]);
        assert_eq!(decision.notices.len(), NOTICES_PER_DECISION_MAX);
        assert_eq!(codes(&decision), ["notify-too-many"]);
        let fits = notifies(wait(), &params[1..]);
        let decision = Decision::combine(&[rule("r", vec![said("a", fits)])]);
        assert_eq!((decision.notices.len(), codes(&decision).len()), (NOTICES_PER_DECISION_MAX, 0));
    }

    #[test]
    fn r3_every_matching_rule_must_approve_and_the_smaller_duration_holds() {
        let mut long = Verdict::new(Outcome::Approve);
        long.max_duration = Some(7200);
        let mut short = Verdict::new(wait());
        short.max_duration = Some(3600);
        let one = rule("one", vec![said("a", long)]);
        let two = rule("two", vec![said("b", short)]);
        let decision = Decision::combine(&[one, two]);
        assert_eq!(decision.waiting().len(), 1);
        assert_eq!(decision.cap, Some(Cap { seconds: 3600, set_by: "policy b".into() }));
        let named: Vec<_> = decision.rules.iter().map(|r| r.rule.as_str()).collect();
        assert_eq!(named, ["one", "two"]);
    }

    #[test]
    fn a_bypass_in_one_rule_does_not_open_another() {
        let open = rule("one", vec![opinion("a", Outcome::Bypass("now".into()))]);
        assert_eq!(kind(&[open, rule("two", vec![opinion("b", wait())])]), "waiting");
    }

    #[test]
    fn no_time_at_all_is_a_denial() {
        let mut verdict = Verdict::new(Outcome::Approve);
        verdict.max_duration = Some(0);
        assert_eq!(kind(&[rule("r", vec![said("a", verdict)])]), "denied");
    }
}
