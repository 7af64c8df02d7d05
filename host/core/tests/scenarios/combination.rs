//! From verdicts to a decision, for every pair of answers.

use quorate_core::decision::{Answer, Combined, Decision, Opinion, RuleOpinion};
use quorate_core::verdict::{Fault, FaultCode, Outcome, Verdict};

const ANSWERS: [&str; 6] = ["abstain", "approve", "wait", "bypass", "fault", "deny"];

fn opinion(answer: &str) -> Opinion {
    let outcome = match answer {
        "abstain" => Some(Outcome::Abstain),
        "approve" => Some(Outcome::Approve),
        "wait" => Some(Outcome::Wait(vec![vec![]])),
        "bypass" => Some(Outcome::Bypass("now".to_owned())),
        "deny" => Some(Outcome::Deny("no".to_owned())),
        _ => None,
    };
    let fault = || Fault { code: FaultCode::OutOfFuel, message: String::new() };
    Opinion {
        policy: format!("says-{answer}").parse().unwrap(),
        version: None,
        config: "{}".to_owned(),
        answer: outcome.map_or_else(|| Answer::Fault(fault()), |one| Answer::Verdict(Verdict::new(one))),
        fuel_used: 0,
        log: Vec::new(),
    }
}

fn rule(name: &str, answers: &[&str]) -> RuleOpinion {
    let opinions = answers.iter().map(|one| opinion(one)).collect();
    RuleOpinion { rule: name.parse().unwrap(), revision: 1, opinions }
}

fn outcome(rules: &[RuleOpinion]) -> &'static str {
    match Decision::combine(rules).outcome {
        Combined::Denied { .. } => "denied",
        Combined::Faulted { .. } => "faulted",
        Combined::Waiting { .. } => "waiting",
        Combined::Approved { .. } => "approved",
    }
}

/// Rows say what the first policy answered, columns what the second did.
#[test]
fn two_policies_of_one_rule_combine_as_the_table_says() {
    #[rustfmt::skip]
    let table = [
        //             abstain     approve     wait        bypass      fault      deny
        /* abstain */ ["denied",   "approved", "waiting",  "approved", "faulted", "denied"],
        /* approve */ ["approved", "approved", "waiting",  "approved", "faulted", "denied"],
        /* wait    */ ["waiting",  "waiting",  "waiting",  "approved", "faulted", "denied"],
        /* bypass  */ ["approved", "approved", "approved", "approved", "faulted", "denied"],
        /* fault   */ ["faulted",  "faulted",  "faulted",  "faulted",  "faulted", "denied"],
        /* deny    */ ["denied",   "denied",   "denied",   "denied",   "denied",  "denied"],
    ];
    for (one, row) in ANSWERS.iter().zip(table) {
        for (other, expected) in ANSWERS.iter().zip(row) {
            assert_eq!(outcome(&[rule("r", &[one, other])]), expected, "{one} and {other}");
        }
    }
}

/// Each rule must approve, so a bypass opens its own rule and no other; a rule
/// whose only policy abstains denies.
#[test]
fn two_rules_combine_as_the_table_says() {
    #[rustfmt::skip]
    let table = [
        //             abstain   approve     wait       bypass      fault      deny
        /* abstain */ ["denied", "denied",   "denied",  "denied",   "denied",  "denied"],
        /* approve */ ["denied", "approved", "waiting", "approved", "faulted", "denied"],
        /* wait    */ ["denied", "waiting",  "waiting", "waiting",  "faulted", "denied"],
        /* bypass  */ ["denied", "approved", "waiting", "approved", "faulted", "denied"],
        /* fault   */ ["denied", "faulted",  "faulted", "faulted",  "faulted", "denied"],
        /* deny    */ ["denied", "denied",   "denied",  "denied",   "denied",  "denied"],
    ];
    for (one, row) in ANSWERS.iter().zip(table) {
        for (other, expected) in ANSWERS.iter().zip(row) {
            let rules = [rule("one", &[one]), rule("two", &[other])];
            assert_eq!(outcome(&rules), expected, "{one} and {other}");
        }
    }
}

#[test]
fn waiting_and_faults_are_told_for_all_policies() {
    let two = |answer| Decision::combine(&[rule("one", &[answer]), rule("two", &[answer, answer])]);
    assert_eq!(two("wait").waiting().len(), 3);
    assert_eq!(two("fault").faults().len(), 3);
}

#[test]
fn a_decision_names_every_rule_and_what_each_policy_said() {
    let decision = Decision::combine(&[rule("one", &ANSWERS), rule("two", &["approve"])]);
    let said: Vec<_> = decision.rules[0].policies.iter().map(|policy| policy.said.as_str()).collect();
    assert_eq!(said, ANSWERS);
    assert_eq!(decision.rules[1].rule.as_str(), "two");
}
