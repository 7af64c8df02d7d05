//! Where two policies would decide recorded decisions differently: each is put in the place
//! of one policy, with the recorded config and input; what the others said stays.
//!
//! Not here: how the file is made; that is for `quorate decisions export`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use quorate_core::backtest::Kind;
use quorate_core::decision::{Answer, Decision, Record};
use quorate_core::duration::AccessDuration;
use quorate_core::ids::{Digest, PolicyName};
use quorate_core::input::{Access, Choice, Input};
use quorate_kit::vectors::story;
use quorate_policy::{Policy, vectors};

use super::{Compared, Difference, parts};
use crate::cli::exit::Failure;
use crate::cli::words;

/// A file of recorded decisions, of which every line was verified.
#[derive(Debug)]
pub(super) struct Decisions<'a> {
    file: &'a Path,
    /// In whose place the two are put.
    pub(super) policy: PolicyName,
}

impl<'a> Decisions<'a> {
    /// Verifies all of `file`, and finds out in whose place the two are put where that is not
    /// said.
    pub(super) fn of(file: &'a Path, policy: Option<PolicyName>) -> Result<Self, Failure> {
        let mut taking_part: BTreeMap<PolicyName, usize> = BTreeMap::new();
        each(file, |_, record| {
            let opinions = record.rules.into_iter().flat_map(|rule| rule.opinions);
            opinions.for_each(|opinion| *taking_part.entry(opinion.policy).or_default() += 1);
            Ok(())
        })?;
        let names: Vec<String> = taking_part.keys().map(ToString::to_string).collect();
        let policy = match (policy, taking_part.keys().next()) {
            (Some(policy), _) if taking_part.contains_key(&policy) => policy,
            (Some(policy), Some(_)) => {
                return Err(Failure::usage(format!(
                    "no decision in `{}` asked policy `{policy}`: they asked {}",
                    file.display(),
                    words::names(&names, 10)
                )));
            }
            (_, None) => {
                return Err(Failure::usage(format!("no decision in `{}` asked a policy", file.display())));
            }
            (None, Some(only)) if names.len() == 1 => only.clone(),
            (None, Some(_)) => {
                return Err(Failure::usage(format!(
                    "say with --policy in whose place the two are put: the decisions asked {}",
                    words::names(&names, 10)
                )));
            }
        };
        Ok(Self { file, policy })
    }

    /// Puts both in the place of the policy, in each decision that asked it.
    pub(super) fn compare(&self, before: &Policy, after: &Policy) -> Result<Compared, Failure> {
        let mut compared = Compared::default();
        each(self.file, |digest, mut record| {
            let mut differing = Vec::new();
            let mut kinds = Vec::new();
            let mut answers = Vec::new();
            for policy in [before, after] {
                answers.push(self.put(policy, &mut record));
                kinds.push(Kind::of(&Decision::combine(&record.rules), &record.input).as_str().to_owned());
            }
            let [first, second] = answers.as_slice() else { return Ok(()) };
            for ((config, one), (_, other)) in first.iter().zip(second) {
                compared.asked += 1;
                let (one, other) = (in_words_of_the_kit(one), in_words_of_the_kit(other));
                let parts = parts(&one, &other);
                if !parts.is_empty() {
                    differing.push(Difference {
                        story: told(digest, config, &record.input),
                        votes: record.input.votes.len(),
                        before: story::in_words(&one),
                        after: story::in_words(&other),
                        parts,
                    });
                }
            }
            if let [live, candidate] = kinds.as_slice()
                && !differing.is_empty()
            {
                compared.differences.entry((live.clone(), candidate.clone())).or_default().extend(differing);
            }
            Ok(())
        })?;
        compared.sort();
        Ok(compared)
    }

    /// What `policy` answers where the named one was asked, with the config; `record` holds it
    /// from now on.
    fn put(&self, policy: &Policy, record: &mut Record) -> Vec<(String, Answer)> {
        let opinions = record.rules.iter_mut().flat_map(|rule| rule.opinions.iter_mut());
        let asked = opinions.filter(|opinion| opinion.policy == self.policy);
        let answers = asked.map(|opinion| {
            opinion.answer = match policy.evaluate(&opinion.config, &record.input).verdict {
                Ok(verdict) => Answer::Verdict(verdict),
                Err(fault) => Answer::Fault(fault),
            };
            (opinion.config.clone(), opinion.answer.clone())
        });
        answers.collect()
    }
}

fn in_words_of_the_kit(answer: &Answer) -> Result<quorate_kit::Verdict, String> {
    match answer {
        Answer::Verdict(verdict) => Ok(vectors::verdict(verdict.clone())),
        Answer::Fault(fault) => Err(fault.to_string()),
    }
}

/// Every record in `file`, after its digest was verified.
fn each(file: &Path, mut with: impl FnMut(Digest, Record) -> Result<(), Failure>) -> Result<(), Failure> {
    let unreadable = |error| Failure::usage(format!("`{}` cannot be read: {error}", file.display()));
    let lines = BufReader::new(File::open(file).map_err(unreadable)?).lines();
    for (nth, line) in lines.enumerate() {
        let (digest, record) = read(&line.map_err(unreadable)?)
            .map_err(|why| Failure::usage(format!("line {} of `{}` {why}", nth + 1, file.display())))?;
        with(digest, record)?;
    }
    Ok(())
}

/// One line: a digest, and exactly what it is of.
fn read(line: &str) -> Result<(Digest, Record), &'static str> {
    const NONE: &str = "is no recorded decision: make the file with `quorate decisions export`";
    let (digest, rest) =
        line.strip_prefix("{\"digest\":\"").and_then(|rest| rest.split_once('"')).ok_or(NONE)?;
    let digest: Digest = digest.parse().map_err(|_| NONE)?;
    let bytes = rest.strip_prefix(",\"record\":").and_then(|rest| rest.strip_suffix('}')).ok_or(NONE)?;
    if Digest::of(bytes.as_bytes()) != digest {
        return Err("was changed: its digest is another");
    }
    let record = serde_json::from_str(bytes).map_err(|_| "holds a record that this version cannot read")?;
    Ok((digest, record))
}

/// What the policies saw, a sentence each.
fn told(digest: Digest, config: &str, input: &Input) -> Vec<String> {
    let request = &input.request;
    let what = match &request.access {
        Access::JustInTime { seconds } => format!("{} on", AccessDuration::from_seconds(*seconds)),
        Access::Command { command } => format!("one run of `{}` on", command.text),
    };
    let groups: Vec<String> = request.requester.groups.iter().map(ToString::to_string).collect();
    let why = if request.reason.is_empty() { String::new() } else { format!(": {}", request.reason) };
    let who = if groups.is_empty() { "in no group".to_owned() } else { format!("of {}", groups.join(", ")) };
    let mut story = vec![
        format!("request {}, decided {}, record {}", request.id, words::time(input.now), digest.short()),
        format!("the config is {config}"),
        format!("{} ({who}) asks for {what} {}{why}", request.requester.id, request.target.name),
    ];
    story.extend(
        input
            .facts
            .iter()
            .map(|fact| format!("{} is {}", fact.name, fact.known.as_deref().unwrap_or("not to be had"))),
    );
    story.extend(input.votes.iter().map(|vote| {
        let does = match (vote.choice, vote.forced) {
            (Choice::Reject, _) => "rejects",
            (Choice::Approve, true) => "forces an approval",
            (Choice::Approve, false) => "approves",
        };
        let comment = if vote.comment.is_empty() { String::new() } else { format!(": {}", vote.comment) };
        format!("{} {does}{comment}", vote.voter.id)
    }));
    story
}

#[cfg(test)]
mod tests;
