//! What a message to people says of a request, in words, whatever the channel looks like.
//!
//! Every text in it may come from outside: it is cut, and what would steer the eye is shown as its
//! number. Escaping is the work of what writes the message.

use std::fmt::Write as _;

use quorate_core::Timestamp;
use quorate_core::channel::EventType;
use quorate_core::entry::Happened;
use quorate_core::input::{Choice, Vote};
use quorate_core::text::steers;

use super::News;
use crate::lifecycle::{RequestView, WaitingView};

/// How much is said before it is cut; the page shows all of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of a reason or a comment, in characters.
    pub(super) reason_chars: usize,
    /// Of a command, in characters.
    pub(super) command_chars: usize,
    /// Of a list, in lines.
    pub(super) lines: usize,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// What happened, in one line.
    pub(super) headline: String,
    /// What state the request is in: `pending`, `timed out`.
    pub(super) state: String,
    /// Where it stands, in one line.
    pub(super) stands: String,
    /// Who, what, how long, why, when: each with its name.
    pub(super) facts: Vec<(&'static str, String)>,
    /// The command, as far as it is shown; empty where none was asked for.
    pub(super) command: String,
    /// What is still needed, one rule a line.
    pub(super) needs: Vec<String>,
    /// Who voted what.
    pub(super) votes: Vec<String>,
    /// How it ends, or ended.
    pub(super) ends: String,
    /// Where the request is.
    pub(super) url: String,
}

impl Told {
    /// What `news` says, within `limits`.
    pub(super) fn of(news: &News, limits: &Limits) -> Self {
        let request = &news.view;
        let mut facts = vec![("Who", request.requester.clone()), ("What", what(request))];
        if let Some(duration) = &request.duration {
            let less = request.allowed.as_ref();
            let less = less.map(|one| format!("; at most {} will be granted ({})", one.duration, one.set_by));
            facts.push(("How long", visible(&format!("{duration}{}", less.unwrap_or_default()), 200)));
        }
        if let Happened::RequestReminded { notice } = &news.sealed.entry.happened {
            facts.insert(0, ("Reminder", visible(&notice.message, limits.reason_chars)));
        }
        let reason = visible(&request.reason, limits.reason_chars);
        facts.push(("Why", if reason.is_empty() { "no reason given".to_owned() } else { reason }));
        facts.push(("Asked", time(request.submitted_at)));
        Self {
            headline: visible(&headline(news), 200),
            state: request.state.to_lowercase().replace('_', " "),
            stands: visible(&request.summary, limits.reason_chars),
            facts,
            command: command(request, limits.command_chars),
            needs: at_most(request.waiting.iter().map(needs), limits.lines),
            votes: at_most(votes(request, limits.reason_chars), limits.lines),
            ends: visible(&ends(request), limits.reason_chars),
            url: request.url.clone(),
        }
    }
}

/// What is asked for, in one line: the same for every message about a request.
pub(super) fn asks(request: &RequestView) -> String {
    let RequestView { requester, resource, .. } = request;
    let asked = match &request.duration {
        Some(duration) => format!("{requester} asks for {resource} for {duration}"),
        None => format!("{requester} asks to run a command on {resource}"),
    };
    visible(&asked, 150)
}

/// What happened.
fn headline(news: &News) -> String {
    let News { delivery, sealed, view: request, .. } = news;
    let RequestView { requester, resource, .. } = request;
    let by = &sealed.entry.by;
    match delivery.event {
        EventType::RequestSubmitted => asks(request),
        EventType::VoteCast => {
            let vote = if let Happened::VoteCast { vote } = &sealed.entry.happened {
                votes_for(vote)
            } else {
                "votes"
            };
            format!("{by} {vote}: {requester} on {resource}")
        }
        EventType::RequestDecided => format!("What {requester} needs for {resource} may have changed"),
        EventType::RequestReminded => format!("Reminder: {}", asks(request)),
        EventType::RequestApproved if request.command.is_some() => {
            format!("{requester} may run the command on {resource}")
        }
        EventType::RequestApproved => format!("{requester} has access to {resource}"),
        EventType::RequestRejected => format!("The request of {requester} for {resource} was rejected"),
        EventType::RequestCancelled => format!("{requester} withdrew the request for {resource}"),
        EventType::RequestTimedOut => format!("Nobody decided in time: {requester} on {resource}"),
        EventType::RequestRevoked => format!("{by} took the access of {requester} to {resource} away"),
        EventType::RequestExpired => format!("The access of {requester} to {resource} ended"),
        EventType::CommandStarted => format!("{requester} started the command on {resource}"),
        EventType::ActivationCarriedOut => format!("{requester} carried the activation out"),
    }
}

fn votes_for(vote: &Vote) -> &'static str {
    match (vote.choice, vote.forced) {
        (Choice::Approve, true) => "forces the approval",
        (Choice::Approve, false) => "approves",
        (Choice::Reject, _) => "rejects",
    }
}

fn what(request: &RequestView) -> String {
    let how = if request.command.is_some() { "one command" } else { "just-in-time access" };
    format!("{}, {how}", request.resource)
}

/// What will run: what is added to the command line, an argument a line, and then the input.
fn command(request: &RequestView, chars_max: usize) -> String {
    let Some(command) = &request.command else { return String::new() };
    let mut text = String::new();
    for argument in &command.arguments {
        let _ = writeln!(text, "argument: {argument}");
    }
    text.push_str(&command.text);
    visible(&text, chars_max)
}

fn needs(waiting: &WaitingView) -> String {
    let ways = waiting.words();
    let ways = if ways.is_empty() { "time".to_owned() } else { ways };
    visible(&format!("rule {}: {ways}", waiting.rule), 500)
}

fn votes(request: &RequestView, chars_max: usize) -> impl Iterator<Item = String> {
    request.votes.iter().map(move |vote| {
        let did = format!("{} {}", vote.voter, vote.did());
        let comment = visible(&vote.comment, chars_max);
        if comment.is_empty() { did } else { format!("{did}: {comment}") }
    })
}

fn ends(request: &RequestView) -> String {
    match (&request.ended, &request.granted) {
        (Some(ended), _) if ended.why.is_empty() => format!("Ended by {}, {}", ended.by, time(ended.at)),
        (Some(ended), _) => format!("Ended by {}, {}: {}", ended.by, time(ended.at), ended.why),
        (None, Some(granted)) if request.command.is_some() => {
            format!("It has to be started before {}", time(granted.until))
        }
        (None, Some(granted)) => format!("Access ends {}, after {}", time(granted.until), granted.duration),
        (None, None) => format!("It times out {} unless somebody decides", time(request.closes_at)),
    }
}

/// The first `max` of `lines`, and how many more there are.
fn at_most(lines: impl Iterator<Item = String>, max: usize) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    let more = lines.len().saturating_sub(max);
    lines.truncate(max);
    if more > 0 {
        lines.push(format!("and {more} more, on the page"));
    }
    lines
}

/// `2026-11-23 10:00:05 UTC`.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `text`, cut to `chars_max` characters, with what would move, hide or turn what stands around it
/// as its number. Lines stay lines.
pub(super) fn visible(text: &str, chars_max: usize) -> String {
    let mut shown = String::new();
    let text = text.replace("\r\n", "\n");
    let mut chars = text.chars();
    for c in chars.by_ref().take(chars_max) {
        if steers(c) && !matches!(c, '\n' | '\t') {
            let _ = write!(shown, "[U+{:04X}]", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    if chars.next().is_some() {
        shown.push_str(" … (cut: the page shows all of it)");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_shows_what_would_steer_and_is_cut() {
        assert_eq!(visible("a\u{202e}b\r\nc\td\u{7}", 99), "a[U+202E]b\nc\td[U+0007]");
        assert_eq!(visible("äöü", 3), "äöü");
        assert_eq!(visible("äöüß", 3), "äöü … (cut: the page shows all of it)");
        let long = visible(&"\u{202e}".repeat(10_000), 1000);
        assert_eq!(long.matches("[U+202E]").count(), 1000);
    }

    #[test]
    fn a_long_list_says_how_much_is_left_out() {
        let lines = |count: usize| (0..count).map(|nth| nth.to_string());
        assert_eq!(at_most(lines(2), 2), ["0", "1"]);
        assert_eq!(at_most(lines(5), 2), ["0", "1", "and 3 more, on the page"]);
    }
}
