//! What a case expects of a verdict, and how the two differ.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::case::Happens;
use super::span::Span;
use super::story::{plain, refusal};
use crate::verdict::WARNING;
use crate::{Audience, Finding, Instant, Obligation, Outcome, Requirement, Verdict, Way};

/// What is expected; what is left out may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expect {
    /// What it says.
    pub outcome: Option<Said>,
    /// A part of the reason of a denial or a bypass, or of a fault's text.
    pub why: Option<String>,
    /// The ways out of a wait, in any order.
    pub missing: Option<Vec<Vec<Missing>>>,
    /// The longest access that the policy allows.
    pub max_duration: Option<Maybe>,
    /// Whose vote counts, in any order.
    pub voters: Option<People>,
    /// Who may force an approval, in any order.
    pub forcers: Option<People>,
    /// The codes of all findings, in any order.
    pub findings: Option<Vec<String>>,
    /// The kinds of all obligations, in any order.
    pub obligations: Option<Vec<String>>,
    /// The ids of all that people are to be told, each with those who are meant.
    pub notices: Option<BTreeMap<String, People>>,
    /// How long from now the policy wants to be asked again.
    pub revisit_after: Option<Maybe>,
}

/// What a policy says, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// Nothing about the request.
    Abstain,
    /// Not yet.
    Wait,
    /// Enough.
    Approve,
    /// Approve, whatever others wait for.
    Bypass,
    /// No.
    Deny,
    /// It does not answer.
    Fault,
}

/// So many more approvals out of these people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// The members of these groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// These people.
    #[serde(default)]
    pub users: Vec<String>,
    /// How many.
    #[serde(default = "one")]
    pub approvals: u32,
}

fn one() -> u32 {
    1
}

/// Some people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct People {
    /// The members of these groups.
    pub groups: Vec<String>,
    /// These people.
    pub users: Vec<String>,
}

/// A length of time, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maybe(pub Option<Span>);

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which, as in the file: `outcome`, `missing`, ...
    pub what: &'static str,
    /// What the file says.
    pub expected: String,
    /// What the policy says.
    pub got: String,
    /// The same as a file would say it; none where the policy does not answer, which
    /// nobody writes down as expected.
    pub says: Option<Value>,
}

impl Expect {
    /// Where `answer` at `now` is another than expected.
    pub(super) fn differences(&self, answer: &Result<Verdict, String>, now: Instant) -> Vec<Difference> {
        let mut found = Vec::new();
        let said = Said::of(answer);
        if let Some(outcome) = self.outcome {
            compare(&mut found, "outcome", &outcome, &said, || json!(said.to_string()));
        }
        if let Some(why) = &self.why {
            let got = why_of(answer);
            if !got.contains(why.as_str()) {
                let says = Some(json!(got));
                found.push(Difference {
                    what: "why", expected: format!("… {why} …"), got: plain(got), says
                });
            }
        }
        let Ok(verdict) = answer else {
            if self.outcome.is_none() && self.why.is_none() {
                found.push(Difference {
                    what: "outcome",
                    expected: "an answer".to_owned(),
                    got: said.to_string(),
                    says: None,
                });
            }
            for one in &mut found {
                one.says = None;
            }
            return found;
        };
        if let Some(missing) = &self.missing {
            let ways: &[Way] = if let Outcome::Wait(ways) = &verdict.outcome { ways } else { &[] };
            let now = Ways::of(ways);
            compare(&mut found, "missing", &Ways::expected(missing), &now, || now.as_written());
        }
        if let Some(most) = self.max_duration {
            let now = Maybe(verdict.max_duration.map(Span));
            compare(&mut found, "max_duration", &most, &now, || json!(now.to_string()));
        }
        for (what, expected, got) in
            [("voters", &self.voters, &verdict.voters), ("forcers", &self.forcers, &verdict.forcers)]
        {
            if let Some(expected) = expected {
                let now = People::of(got);
                compare(&mut found, what, &expected.clone().sorted(), &now, || now.as_written().into());
            }
        }
        let codes = verdict.findings.iter().map(|finding| finding.code.clone());
        let kinds = verdict.obligations.iter().map(|obligation| obligation.kind.clone());
        for (what, expected, got) in [
            ("findings", &self.findings, Names::of(codes)),
            ("obligations", &self.obligations, Names::of(kinds)),
        ] {
            if let Some(expected) = expected {
                compare(&mut found, what, &Names::of(expected.iter().cloned()), &got, || json!(got.0));
            }
        }
        if let Some(notices) = &self.notices {
            let now = Notices::of(&verdict.obligations);
            compare(&mut found, "notices", &Notices::expected(notices), &now, || now.as_written());
        }
        if let Some(revisit) = self.revisit_after {
            let after = Maybe(verdict.revisit_at.map(|at| Span(at.saturating_sub(now) / 1000)));
            compare(&mut found, "revisit_after", &revisit, &after, || json!(after.to_string()));
        }
        found
    }
}

fn compare<T: PartialEq + fmt::Display>(
    found: &mut Vec<Difference>,
    what: &'static str,
    expected: &T,
    got: &T,
    as_written: impl FnOnce() -> Value,
) {
    if expected != got {
        let says = Some(as_written());
        found.push(Difference { what, expected: expected.to_string(), got: got.to_string(), says });
    }
}

/// The codes of findings on a config, against those that are expected.
pub(super) fn codes(expected: &[String], got: Result<Vec<Finding>, String>) -> Option<Difference> {
    let mut found = Vec::new();
    let expected = Names::of(expected.iter().cloned());
    match got {
        Ok(got) => {
            let got = Names::of(got.into_iter().map(|finding| finding.code));
            compare(&mut found, "check", &expected, &got, || json!(got.0));
        }
        Err(fault) => {
            let got = format!("fault: {}", plain(&fault));
            found.push(Difference { what: "check", expected: expected.to_string(), got, says: None });
        }
    }
    found.pop()
}

/// Whether a case is about a config that a rule can have: most are, but for those that
/// expect the policy to refuse it or not to answer.
pub(super) fn is_for_rules(check: Option<&[String]>, happens: &[Happens]) -> bool {
    let refuses = check.unwrap_or_default().iter().any(|code| !code.starts_with(WARNING));
    let faults = |one: &Happens| matches!(one, Happens::Expect(Expect { outcome: Some(Said::Fault), .. }, _));
    !refuses && !happens.iter().any(faults)
}

/// What speaks against a config that no rule can have.
pub(super) fn refused(findings: &[Finding]) -> Vec<Difference> {
    let difference = |finding: &Finding| Difference {
        what: "config",
        expected: "one that a rule can have".to_owned(),
        got: refusal(finding),
        says: None,
    };
    findings.iter().map(difference).collect()
}

impl Said {
    /// What `answer` says; a fault is one.
    pub fn of(answer: &Result<Verdict, String>) -> Self {
        match answer.as_ref().map(|verdict| &verdict.outcome) {
            Err(_) => Self::Fault,
            Ok(Outcome::Abstain) => Self::Abstain,
            Ok(Outcome::Wait(_)) => Self::Wait,
            Ok(Outcome::Approve) => Self::Approve,
            Ok(Outcome::Bypass(_)) => Self::Bypass,
            Ok(Outcome::Deny(_)) => Self::Deny,
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Abstain => "abstain",
            Self::Wait => "wait",
            Self::Approve => "approve",
            Self::Bypass => "bypass",
            Self::Deny => "deny",
            Self::Fault => "fault",
        })
    }
}

pub(super) fn why_of(answer: &Result<Verdict, String>) -> &str {
    match answer.as_ref().map(|verdict| &verdict.outcome) {
        Err(text) | Ok(Outcome::Bypass(text) | Outcome::Deny(text)) => text,
        Ok(_) => "",
    }
}

/// Names in alphabetical order.
#[derive(PartialEq, Eq)]
struct Names(Vec<String>);

impl Names {
    fn of(names: impl Iterator<Item = String>) -> Self {
        let mut names: Vec<String> = names.collect();
        names.sort();
        Self(names)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("none") } else { f.write_str(&plain(&self.0.join(", "))) }
    }
}

impl People {
    fn of(audience: &Audience) -> Self {
        Self { groups: audience.groups.clone(), users: audience.users.clone() }.sorted()
    }

    fn sorted(mut self) -> Self {
        self.groups.sort();
        self.users.sort();
        self
    }

    /// As in a file: what is empty is left out.
    fn as_written(&self) -> Map<String, Value> {
        let parts = [("groups", &self.groups), ("users", &self.users)];
        parts
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(part, names)| (part.to_owned(), json!(names)))
            .collect()
    }
}

impl fmt::Display for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users = self.users.iter().map(|user| format!("user {user}"));
        let all: Vec<String> = self.groups.iter().cloned().chain(users).collect();
        if all.is_empty() { f.write_str("nobody") } else { f.write_str(&plain(&all.join(" or "))) }
    }
}

/// What people are to be told: ids, and those who are meant.
#[derive(PartialEq, Eq)]
struct Notices(Vec<(String, People)>);

impl Notices {
    fn expected(notices: &BTreeMap<String, People>) -> Self {
        Self(notices.iter().map(|(id, people)| (id.clone(), people.clone().sorted())).collect())
    }

    fn of(obligations: &[Obligation]) -> Self {
        let mut notices: Vec<_> = obligations.iter().filter_map(Self::read).collect();
        notices.sort_by(|(one, _), (other, _)| one.cmp(other));
        // Said again, it is not told again.
        notices.dedup_by(|(one, _), (other, _)| one == other);
        Self(notices)
    }

    fn read(obligation: &Obligation) -> Option<(String, People)> {
        if obligation.kind != "notify" {
            return None;
        }
        let params: Value = serde_json::from_str(&obligation.params).unwrap_or_default();
        let names = |part: &str| -> Vec<String> {
            let names = params[part].as_array().into_iter().flatten();
            names.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let id = params["id"].as_str().unwrap_or("one without an id").to_owned();
        Some((id, People { groups: names("groups"), users: names("users") }.sorted()))
    }

    fn as_written(&self) -> Value {
        let notices = self.0.iter().map(|(id, people)| (id.clone(), people.as_written().into()));
        Value::Object(notices.collect())
    }
}

impl fmt::Display for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let notices = self.0.iter().map(|(id, people)| {
            let id = plain(id);
            if *people == People::default() { id } else { format!("{id} for {people}") }
        });
        f.write_str(&notices.collect::<Vec<_>>().join("; "))
    }
}

/// The ways out of a wait, in a fixed order.
#[derive(PartialEq, Eq)]
pub(super) struct Ways(Vec<Vec<Missing>>);

impl Ways {
    fn expected(ways: &[Vec<Missing>]) -> Self {
        Self::sorted(ways.to_vec())
    }

    pub(super) fn of(ways: &[Way]) -> Self {
        let missing = |requirement: &Requirement| Missing {
            groups: requirement.people.groups.clone(),
            users: requirement.people.users.clone(),
            approvals: requirement.approvals,
        };
        Self::sorted(ways.iter().map(|way| way.iter().map(missing).collect()).collect())
    }

    fn sorted(mut ways: Vec<Vec<Missing>>) -> Self {
        for way in &mut ways {
            for missing in way.iter_mut() {
                missing.groups.sort();
                missing.users.sort();
            }
            way.sort();
        }
        ways.sort();
        Self(ways)
    }

    /// As in a file: one approval is not counted.
    fn as_written(&self) -> Value {
        let missing = |Missing { groups, users, approvals }: &Missing| {
            let people = People { groups: groups.clone(), users: users.clone() };
            let mut written = people.as_written();
            if *approvals != 1 {
                written.insert("approvals".to_owned(), json!(approvals));
            }
            Value::Object(written)
        };
        self.0.iter().map(|way| way.iter().map(missing).collect::<Value>()).collect()
    }
}

impl fmt::Display for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing that people could do");
        }
        let missing = |Missing { groups, users, approvals }: &Missing| {
            let people = People { groups: groups.clone(), users: users.clone() };
            format!("{approvals} of {people}")
        };
        let way = |way: &Vec<Missing>| way.iter().map(missing).collect::<Vec<_>>().join(", ");
        f.write_str(&self.0.iter().map(way).collect::<Vec<_>>().join("; or "))
    }
}

impl fmt::Display for Maybe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(span) => span.fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl<'de> Deserialize<'de> for Maybe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "none" {
            return Ok(Self(None));
        }
        let span = Span::parse(&text).ok_or_else(|| {
            let given = plain(&text.chars().take(40).collect::<String>());
            serde::de::Error::custom(format!(
                "`{given}` is neither `none` nor a length of time as in 15m or 2h30m"
            ))
        })?;
        Ok(Self(Some(span)))
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize, Default)]
        #[serde(deny_unknown_fields, default)]
        struct Whole {
            outcome: Option<Said>,
            why: Option<String>,
            missing: Option<Vec<Vec<Missing>>>,
            max_duration: Option<Maybe>,
            voters: Option<People>,
            forcers: Option<People>,
            findings: Option<Vec<String>>,
            obligations: Option<Vec<String>>,
            notices: Option<BTreeMap<String, People>>,
            revisit_after: Option<Maybe>,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Expect;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("abstain, wait, approve, bypass, deny, fault, or a map of what is expected")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Expect, E> {
                let said = serde::de::value::StrDeserializer::<E>::new(word);
                Ok(Expect { outcome: Some(Said::deserialize(said)?), ..Expect::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Expect, A::Error> {
                let whole = Whole::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Expect {
                    outcome: whole.outcome,
                    why: whole.why,
                    missing: whole.missing,
                    max_duration: whole.max_duration,
                    voters: whole.voters,
                    forcers: whole.forcers,
                    findings: whole.findings,
                    obligations: whole.obligations,
                    notices: whole.notices,
                    revisit_after: whole.revisit_after,
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}
