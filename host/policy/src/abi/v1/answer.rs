//! From what a policy hands back to the core's words, once it makes sense. The
//! engine has seen to the types and the size in all; here it is about numbers that
//! nobody could mean.

use quorate_core::Timestamp;
use quorate_core::input::Attribute;
use quorate_core::verdict::{
    Audience, EvidenceNeeds, Fault, FaultCode, Finding, Obligation, Outcome, Requirement, Verdict, Way,
};
use serde::de::IgnoredAny;

use super::wit;
use crate::fault::{fault, plain};

/// Entries of any list in an answer.
const ENTRIES_MAX: usize = 256;

/// Approvals that one requirement may ask for.
const APPROVALS_MAX: u32 = 10_000;

/// Facts that a policy may ask for.
const FACTS_MAX: usize = 64;

/// How far back a policy may look: ten years.
const HISTORY_SECONDS_MAX: u64 = 10 * 366 * 24 * 3600;

pub(super) fn verdict(given: wit::Verdict) -> Result<Verdict, Fault> {
    Ok(Verdict {
        outcome: outcome(given.outcome)?,
        max_duration: given.max_duration,
        voters: audience("voters", given.voters)?,
        forcers: audience("forcers", given.forcers)?,
        revisit_at: given.revisit_at.map(revisit_at).transpose()?,
        findings: findings(given.findings)?,
        obligations: entries("obligations", given.obligations)?
            .into_iter()
            .map(obligation)
            .collect::<Result<_, _>>()?,
        attributes: entries("attributes", given.attributes)?
            .into_iter()
            .map(attribute)
            .collect::<Result<_, _>>()?,
    })
}

pub(super) fn findings(given: Vec<wit::Finding>) -> Result<Vec<Finding>, Fault> {
    entries("findings", given)?
        .into_iter()
        .map(|finding| {
            let code = word("the code of a finding", finding.code)?;
            Ok(Finding { code, message: finding.message, path: finding.path })
        })
        .collect()
}

pub(super) fn evidence(given: wit::EvidenceNeeds) -> Result<EvidenceNeeds, Fault> {
    if given.facts.len() > FACTS_MAX {
        return Err(bad(format!("{} facts are asked for, at most {FACTS_MAX}", given.facts.len())));
    }
    if let Some(seconds) = given.history_window
        && seconds > HISTORY_SECONDS_MAX
    {
        return Err(bad(format!(
            "a history of {seconds} seconds is asked for, at most {HISTORY_SECONDS_MAX}"
        )));
    }
    if given.facts.iter().any(String::is_empty) {
        return Err(bad("a fact without a name is asked for"));
    }
    Ok(EvidenceNeeds { facts: given.facts, history_window: given.history_window })
}

fn outcome(given: wit::Outcome) -> Result<Outcome, Fault> {
    Ok(match given {
        wit::Outcome::Abstain => Outcome::Abstain,
        wit::Outcome::Approve => Outcome::Approve,
        wit::Outcome::Bypass(why) => Outcome::Bypass(why),
        wit::Outcome::Deny(why) => Outcome::Deny(why),
        wit::Outcome::Wait(ways) => {
            Outcome::Wait(entries("ways", ways)?.into_iter().map(way).collect::<Result<_, _>>()?)
        }
    })
}

fn way(given: Vec<wit::Requirement>) -> Result<Way, Fault> {
    if given.is_empty() {
        return Err(bad("it waits, and one of its ways asks for nothing"));
    }
    entries("requirements", given)?.into_iter().map(requirement).collect()
}

fn requirement(given: wit::Requirement) -> Result<Requirement, Fault> {
    if !(1..=APPROVALS_MAX).contains(&given.approvals) {
        let approvals = given.approvals;
        return Err(bad(format!("a requirement of {approvals} approvals (1 to {APPROVALS_MAX})")));
    }
    Ok(Requirement {
        people: audience("people", given.people)?,
        approvals: given.approvals,
        message: given.message,
    })
}

fn audience(what: &str, given: wit::Audience) -> Result<Audience, Fault> {
    Ok(Audience { groups: entries(what, given.groups)?, users: entries(what, given.users)? })
}

fn obligation(given: wit::Obligation) -> Result<Obligation, Fault> {
    if given.kind.is_empty() {
        return Err(bad("an obligation without a kind"));
    }
    Ok(Obligation {
        kind: given.kind,
        params: json("the parameters of an obligation", given.params)?,
        critical: given.critical,
    })
}

fn attribute(given: wit::AttributeResult) -> Result<Attribute, Fault> {
    Ok(Attribute { name: given.name, value: json("the value of an attribute", given.value)? })
}

fn revisit_at(given: u64) -> Result<Timestamp, Fault> {
    i64::try_from(given)
        .ok()
        .and_then(|at| Timestamp::from_millisecond(at).ok())
        .ok_or_else(|| bad(format!("to be asked again at {given} ms lies beyond the calendar")))
}

fn entries<T>(what: &str, given: Vec<T>) -> Result<Vec<T>, Fault> {
    if given.len() > ENTRIES_MAX {
        return Err(bad(format!("{} {what}, at most {ENTRIES_MAX}", given.len())));
    }
    Ok(given)
}

fn word(what: &str, given: String) -> Result<String, Fault> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if given.is_empty() || given.len() > 64 || !given.chars().all(fits) {
        let given = plain(&given, 80);
        return Err(bad(format!("{what} is `{given}` (1 to 64 lower-case letters, digits or hyphens)")));
    }
    Ok(given)
}

fn json(what: &str, given: String) -> Result<String, Fault> {
    match serde_json::from_str::<IgnoredAny>(&given) {
        Ok(IgnoredAny) => Ok(given),
        Err(error) => Err(bad(format!("{what} is no JSON: {error}"))),
    }
}

fn bad(message: impl std::fmt::Display) -> Fault {
    fault(FaultCode::BadAnswer, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> wit::Verdict {
        let nobody = || wit::Audience { groups: Vec::new(), users: Vec::new() };
        wit::Verdict {
            outcome: wit::Outcome::Abstain,
            max_duration: None,
            voters: nobody(),
            forcers: nobody(),
            revisit_at: None,
            findings: Vec::new(),
            obligations: Vec::new(),
            attributes: Vec::new(),
        }
    }

    fn waiting_for(approvals: u32, groups: usize) -> wit::Outcome {
        let people = wit::Audience { groups: vec!["dba".to_owned(); groups], users: Vec::new() };
        wit::Outcome::Wait(vec![vec![wit::Requirement { people, approvals, message: String::new() }]])
    }

    fn finding(code: &str) -> wit::Finding {
        wit::Finding { code: code.to_owned(), message: "m\u{7}".to_owned(), path: None }
    }

    #[test]
    fn an_answer_that_makes_sense_is_taken_over_as_it_is() {
        let given = wit::Verdict {
            outcome: waiting_for(2, 1),
            revisit_at: Some(1_000),
            findings: vec![finding("warning-few")],
            ..nothing()
        };
        let verdict = verdict(given).unwrap();
        assert_eq!(verdict.revisit_at, Some(Timestamp::from_millisecond(1_000).unwrap()));
        assert_eq!(verdict.findings[0].message, "m\u{7}", "texts are escaped where they are shown");
        let Outcome::Wait(ways) = verdict.outcome else { panic!("not waiting") };
        assert_eq!((ways[0][0].approvals, ways[0][0].people.groups.len()), (2, 1));
    }

    #[test]
    fn p2_an_answer_that_nobody_could_mean_is_a_bad_answer() {
        let critical = |kind: &str, params: &str| wit::Obligation {
            kind: kind.to_owned(),
            params: params.to_owned(),
            critical: true,
        };
        let attribute = wit::AttributeResult { name: "a".to_owned(), value: "nan".to_owned() };
        let nonsense = [
            wit::Verdict { outcome: waiting_for(0, 1), ..nothing() },
            wit::Verdict { outcome: waiting_for(u32::MAX, 1), ..nothing() },
            wit::Verdict { outcome: waiting_for(1, ENTRIES_MAX + 1), ..nothing() },
            wit::Verdict { outcome: wit::Outcome::Wait(vec![Vec::new()]), ..nothing() },
            wit::Verdict { revisit_at: Some(u64::MAX), ..nothing() },
            wit::Verdict { revisit_at: Some(i64::MAX.unsigned_abs()), ..nothing() },
            wit::Verdict { findings: vec![finding("Not A Code")], ..nothing() },
            wit::Verdict { findings: vec![finding("")], ..nothing() },
            wit::Verdict { obligations: vec![critical("record", "{")], ..nothing() },
            wit::Verdict { obligations: vec![critical("", "{}")], ..nothing() },
            wit::Verdict { attributes: vec![attribute], ..nothing() },
        ];
        for given in nonsense {
            let shown = format!("{given:?}");
            assert_eq!(verdict(given).unwrap_err().code, FaultCode::BadAnswer, "{shown}");
        }
    }

    #[test]
    fn evidence_has_its_bounds() {
        let needs = |facts: Vec<String>, history_window| wit::EvidenceNeeds { facts, history_window };
        assert!(evidence(needs(vec!["on-call".to_owned()], Some(86_400))).is_ok());
        assert!(evidence(needs(vec![String::new()], None)).is_err());
        assert!(evidence(needs(vec!["f".to_owned(); FACTS_MAX + 1], None)).is_err());
        assert!(evidence(needs(Vec::new(), Some(u64::MAX))).is_err());
    }
}
