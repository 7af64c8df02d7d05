//! Replay: what a policy said when it was asked, against what the very same version
//! says when it is asked the very same again.
//!
//! Not here: who asks it again. An answer comes in, differences go out.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decision::{Answer, Combined, Decision, Opinion};
use crate::verdict::{Fault, FaultCode, Outcome, Requirement, Verdict};

/// What can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What it says: approve, wait, deny; or that it did not answer at all.
    Outcome,
    /// The longest access it allows.
    MaxDuration,
    /// Whose vote counts.
    Voters,
    /// Who may force.
    Forcers,
    /// When it wants to be asked again.
    RevisitAt,
    /// What it tells people.
    Findings,
    /// What must be done on approval.
    Obligations,
    /// Where the contract grows.
    Attributes,
    /// How much fuel it used; compared under one and the same engine only.
    Fuel,
    /// What the opinions come to together, against what the ledger's entry says.
    Decision,
    /// The bytes of the record, against the digest that they are kept under.
    Record,
}

impl Part {
    /// The part as it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::MaxDuration => "max-duration",
            Self::Voters => "voters",
            Self::Forcers => "forcers",
            Self::RevisitAt => "revisit-at",
            Self::Findings => "findings",
            Self::Obligations => "obligations",
            Self::Attributes => "attributes",
            Self::Fuel => "fuel",
            Self::Decision => "decision",
            Self::Record => "record",
        }
    }
}

/// One thing that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What.
    pub part: Part,
    /// As it was recorded.
    pub recorded: Value,
    /// As it is now.
    pub replayed: Value,
}

/// What asking again came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// The same in every part that can be compared.
    Same,
    /// Not the same.
    Differs(Vec<Difference>),
    /// There is nothing to compare; why. Neither an agreement nor a difference.
    NotCompared(String),
}

/// Whether asking `recorded` again can show anything; if not, why.
pub fn cannot_be_asked(recorded: &Opinion) -> Option<String> {
    match (&recorded.answer, recorded.version) {
        (_, None) => Some("no version of it was active then".to_owned()),
        (Answer::Fault(fault), _) if fault.code.may_pass() => Some(of_the_machine("then", fault)),
        _ => None,
    }
}

/// Compares what a policy says now with what was recorded. Fuel counts only where
/// both ran under the same engine; messages of faults, which name limits, never do.
pub fn compare(recorded: &Opinion, answer: &Answer, fuel_used: u64, same_engine: bool) -> Replayed {
    if let Some(why) = cannot_be_asked(recorded) {
        return Replayed::NotCompared(why);
    }
    let mut found = Vec::new();
    let mut compare_fuel = same_engine;
    match (&recorded.answer, answer) {
        (_, Answer::Fault(fault)) if fault.code.may_pass() => {
            return Replayed::NotCompared(of_the_machine("now", fault));
        }
        (Answer::Fault(before), Answer::Fault(after)) => {
            // All of it was used, however much that was.
            compare_fuel &= before.code != FaultCode::OutOfFuel;
            note(&mut found, Part::Outcome, &before.code, &after.code);
        }
        (Answer::Verdict(before), Answer::Verdict(after)) => verdicts(&mut found, before, after),
        (before, after) => found.push(Difference {
            part: Part::Outcome,
            recorded: before.words().into(),
            replayed: after.words().into(),
        }),
    }
    if compare_fuel {
        note(&mut found, Part::Fuel, &recorded.fuel_used, &fuel_used);
    }
    if found.is_empty() { Replayed::Same } else { Replayed::Differs(found) }
}

fn verdicts(found: &mut Vec<Difference>, before: &Verdict, after: &Verdict) {
    if before == after {
        return;
    }
    note(found, Part::Outcome, &before.outcome, &after.outcome);
    note(found, Part::MaxDuration, &before.max_duration, &after.max_duration);
    note(found, Part::Voters, &before.voters, &after.voters);
    note(found, Part::Forcers, &before.forcers, &after.forcers);
    note(found, Part::RevisitAt, &before.revisit_at, &after.revisit_at);
    note(found, Part::Findings, &before.findings, &after.findings);
    note(found, Part::Obligations, &before.obligations, &after.obligations);
    note(found, Part::Attributes, &before.attributes, &after.attributes);
}

fn note<T: PartialEq + Serialize>(found: &mut Vec<Difference>, part: Part, before: &T, after: &T) {
    if before != after {
        let value = |one: &T| serde_json::to_value(one).unwrap_or_default();
        found.push(Difference { part, recorded: value(before), replayed: value(after) });
    }
}

fn of_the_machine(when: &str, fault: &Fault) -> String {
    format!("the machine was too busy {when}: {fault}")
}

impl Combined {
    /// As the ledger writes it: `approved`, `waiting`, `denied` or `faulted`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "denied",
            Self::Faulted { .. } => "faulted",
            Self::Waiting { .. } => "waiting",
            Self::Approved { .. } => "approved",
        }
    }
}

/// Whether the opinions of a record come to what its entry in the ledger says.
pub fn contradiction(entry_says: &str, decision: &Decision) -> Option<Difference> {
    let recorded = decision.outcome.as_str();
    (entry_says != recorded).then(|| Difference {
        part: Part::Decision,
        recorded: entry_says.into(),
        replayed: recorded.into(),
    })
}

impl From<Result<Verdict, Fault>> for Answer {
    fn from(answer: Result<Verdict, Fault>) -> Self {
        match answer {
            Ok(verdict) => Self::Verdict(verdict),
            Err(fault) => Self::Fault(fault),
        }
    }
}

impl Answer {
    /// What was said, in words that follow the policy's name.
    pub fn words(&self) -> String {
        let verdict = match self {
            Self::Fault(fault) => return format!("did not answer: {fault}"),
            Self::Verdict(verdict) => verdict,
        };
        match &verdict.outcome {
            Outcome::Abstain => "has nothing to say".to_owned(),
            Outcome::Approve => "approves".to_owned(),
            Outcome::Bypass(why) => format!("approves without waiting: {why}"),
            Outcome::Deny(why) => format!("denies: {why}"),
            Outcome::Wait(ways) if ways.is_empty() => "waits for time to pass".to_owned(),
            Outcome::Wait(ways) => {
                let way = |way: &Vec<Requirement>| {
                    way.iter().map(Requirement::words).collect::<Vec<_>>().join(" and ")
                };
                format!("waits for {}", ways.iter().map(way).collect::<Vec<_>>().join("; or "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Digest;
    use crate::verdict::Finding;

    fn opinion(answer: Answer) -> Opinion {
        Opinion {
            policy: "quorum".parse().unwrap(),
            version: Some(Digest::of(b"quorum")),
            config: "{}".into(),
            answer,
            fuel_used: 1000,
            log: Vec::new(),
        }
    }

    fn says(outcome: Outcome) -> Answer {
        Answer::Verdict(Verdict::new(outcome))
    }

    fn fault(code: FaultCode) -> Answer {
        Answer::Fault(Fault { code, message: "10 units".into() })
    }

    fn parts(replayed: Replayed) -> Vec<Part> {
        match replayed {
            Replayed::Same => Vec::new(),
            Replayed::Differs(found) => found.iter().map(|one| one.part).collect(),
            Replayed::NotCompared(why) => panic!("{why}"),
        }
    }

    #[test]
    fn p4_the_same_answer_with_the_same_fuel_is_the_same() {
        let recorded = opinion(says(Outcome::Approve));
        assert_eq!(compare(&recorded, &recorded.answer.clone(), 1000, true), Replayed::Same);
    }

    #[test]
    fn p4_each_part_that_differs_is_named_with_both_values() {
        let recorded = opinion(says(Outcome::Wait(Vec::new())));
        let mut verdict = Verdict::new(Outcome::Approve);
        verdict.findings = vec![Finding { code: "new".into(), message: "news".into(), path: None }];
        let replayed = compare(&recorded, &Answer::Verdict(verdict), 1001, true);
        assert_eq!(parts(replayed.clone()), [Part::Outcome, Part::Findings, Part::Fuel]);
        let Replayed::Differs(found) = replayed else { panic!("it is the same") };
        assert_eq!(found[0].recorded["kind"], "wait");
        assert_eq!(found[0].replayed["kind"], "approve");
        assert_eq!((&found[2].recorded, &found[2].replayed), (&1000.into(), &1001.into()));
    }

    #[test]
    fn p4_fuel_counts_under_one_engine_only() {
        let recorded = opinion(says(Outcome::Approve));
        assert_eq!(compare(&recorded, &says(Outcome::Approve), 7, false), Replayed::Same);
        assert_eq!(parts(compare(&recorded, &says(Outcome::Approve), 7, true)), [Part::Fuel]);
    }

    #[test]
    fn a_fault_is_the_same_fault_again_and_never_an_answer() {
        let recorded = opinion(fault(FaultCode::Trap));
        assert_eq!(compare(&recorded, &fault(FaultCode::Trap), 1000, true), Replayed::Same);
        assert_eq!(parts(compare(&recorded, &fault(FaultCode::OutOfFuel), 1000, true)), [Part::Outcome]);
        assert_eq!(parts(compare(&recorded, &says(Outcome::Approve), 1000, true)), [Part::Outcome]);
        // A gateway with another limit uses another amount of it up.
        let spent = opinion(fault(FaultCode::OutOfFuel));
        assert_eq!(compare(&spent, &fault(FaultCode::OutOfFuel), 7, true), Replayed::Same);
    }

    #[test]
    fn what_a_busy_machine_caused_is_not_compared() {
        let busy = opinion(fault(FaultCode::Deadline));
        assert!(matches!(compare(&busy, &says(Outcome::Approve), 1, true), Replayed::NotCompared(_)));
        let sound = opinion(says(Outcome::Approve));
        assert!(matches!(compare(&sound, &fault(FaultCode::Host), 1, true), Replayed::NotCompared(_)));
        let missing = Opinion { version: None, ..opinion(fault(FaultCode::Missing)) };
        assert!(matches!(compare(&missing, &says(Outcome::Approve), 1, true), Replayed::NotCompared(_)));
    }

    #[test]
    fn an_entry_that_says_something_else_than_its_record_is_seen() {
        let decision = Decision::not_covered();
        assert_eq!(contradiction("denied", &decision), None);
        let found = contradiction("approved", &decision).unwrap();
        assert_eq!((found.part, found.replayed), (Part::Decision, "denied".into()));
    }
}
