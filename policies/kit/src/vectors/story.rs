//! Sentences about what happens in a case.

use super::expect::{Said, Ways, why_of};
use crate::{Access, AccessDuration, Choice, Finding, Input, Outcome, Verdict, Way};

/// What has happened in `input` under `config`, a sentence each.
pub fn of(config: &str, input: &Input) -> Vec<String> {
    let mut sentences = vec![format!("the config is {}", plain(config)), asked(input)];
    let votes = input.votes.iter();
    sentences.extend(votes.map(|vote| voted(&vote.voter.id, vote.choice, vote.forced, &vote.comment)));
    let waited = input.now.saturating_sub(input.request.submitted_at) / 1000;
    if waited > 0 {
        sentences.push(format!("{} go by", super::Span(waited)));
    }
    sentences
}

/// The same in a world, where reasons and comments are made up, and no part of the story.
pub fn of_world(config: &str, input: &Input) -> Vec<String> {
    let mut input = input.clone();
    input.request.reason.clear();
    input.votes.iter_mut().for_each(|vote| vote.comment.clear());
    of(config, &input)
}

/// Who asks for what.
pub(crate) fn asked(input: &Input) -> String {
    let request = &input.request;
    let what = match &request.access {
        Access::JustInTime(seconds) => format!("{} on", AccessDuration::from_seconds(*seconds)),
        Access::Command(command) => format!("one run of `{}` on", plain(&command.text)),
    };
    let groups = request.requester.groups.join(", ");
    let who = if groups.is_empty() { "in no group".to_owned() } else { format!("of {groups}") };
    let why = if request.reason.is_empty() { String::new() } else { format!(": {}", plain(&request.reason)) };
    format!("{} ({who}) asks for {what} {}{why}", request.requester.id, request.target.name)
}

/// What somebody says.
pub(crate) fn voted(id: &str, choice: Choice, forced: bool, comment: &str) -> String {
    let does = match (choice, forced) {
        (Choice::Approve, true) => "forces an approval",
        (Choice::Approve, false) => "approves",
        (Choice::Reject, _) => "rejects",
    };
    if comment.is_empty() { format!("{id} {does}") } else { format!("{id} {does}: {}", plain(comment)) }
}

/// What a policy says, in a line: `wait: 1 of dba, 1 of security`.
pub fn in_words(answer: &Result<Verdict, String>) -> String {
    let (said, why) = (Said::of(answer), why_of(answer));
    match answer.as_ref().map(|verdict| &verdict.outcome) {
        Ok(Outcome::Wait(ways)) => format!("{said}: {}", Ways::of(ways)),
        _ if why.is_empty() => said.to_string(),
        _ => format!("{said}: {}", plain(why)),
    }
}

/// Why a config is refused, and where in it: `refused at /groups/0: ...`.
pub fn refusal(finding: &Finding) -> String {
    let path = finding.path.as_deref().filter(|path| !path.is_empty());
    let place = path.map_or(String::new(), |path| format!(" at {path}"));
    plain(&format!("refused{place}: {}", finding.message))
}

/// A text that a policy or a file gave, safe to show in a terminal.
pub(crate) fn plain(text: &str) -> String {
    let steers = |c: &char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    text.chars().filter(|c| !steers(c)).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The ways out of a wait.
pub(crate) fn ways(ways: &[Way]) -> String {
    Ways::of(ways).to_string()
}
