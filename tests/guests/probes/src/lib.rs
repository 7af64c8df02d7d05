//! A policy that misbehaves as its config says: the runtime's tests meet every fault
//! with it. `{"do": "approve"}` is the one that behaves.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use quorate_kit::{Attribute, Audience, EvidenceNeeds, Finding, Input, Obligation, Requirement, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

/// What it does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which of them.
    #[serde(rename = "do")]
    pub act: Act,
    /// Used by those that say something or do something so many times.
    #[serde(default)]
    pub text: String,
    /// How many times, for those that repeat.
    #[serde(default)]
    pub times: u32,
}

/// What it does when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Approves, and lets the group `text` vote.
    Approve,
    /// Abstains.
    Abstain,
    /// Denies, saying `text`.
    Deny,
    /// Bypasses, saying `text`.
    Bypass,
    /// Waits for one of the group `text`.
    Wait,
    /// Waits for one of the group `text`, and panics when somebody has voted.
    PanicOnVote,
    /// Waits without any way.
    WaitForTime,
    /// Waits, with a way that asks for nothing.
    WaitForNothing,
    /// Waits for no approvals of nobody.
    WaitForNobody,
    /// Loops for ever.
    Loop,
    /// Works `times` rounds, then approves.
    Work,
    /// Allocates for ever.
    Allocate,
    /// Recurses for ever, with values in linear memory.
    Recurse,
    /// Recurses for ever, on the stack of the machine alone.
    RecurseOnStack,
    /// Panics, saying `text`.
    Panic,
    /// Answers 10 MB.
    BigAnswer,
    /// Answers `times` findings.
    ManyFindings,
    /// Logs `text` `times` times, then approves.
    Log,
    /// Logs 8 KiB lines for ever.
    LogFlood,
    /// Approves with a critical obligation that nobody knows.
    CriticalObligation,
    /// Approves with an obligation that nobody knows and that is not critical.
    Obligation,
    /// Waits for time, wants to be asked again `times` milliseconds after it was asked for, and
    /// from then on has people told: the parameters are `text`.
    Remind,
    /// Approves and has people told: the parameters are `text`.
    Notify,
    /// The same, and critical.
    NotifyCritical,
    /// Approves with an obligation whose parameters are no JSON.
    BadObligation,
    /// Approves with an attribute that is no JSON.
    BadAttribute,
    /// Wants to be asked again at an instant that is in no calendar.
    BadInstant,
    /// Wants to be asked again `times` milliseconds after the input's `now`.
    Revisit,
    /// Approves for no time at all.
    NoTime,
    /// Approves for `times` seconds at most.
    Shorten,
    /// Approves and says, in a finding, all that it saw of the input.
    Echo,
    /// Approves for as many seconds as it has been asked before in this instance.
    Count,
    /// Approves; reads a clock first.
    Clock,
}

/// What an instance would remember if it were asked twice.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Does what the config says.
#[allow(clippy::missing_panics_doc, reason = "to panic is what it is asked for")]
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    let text = config.text.as_str();
    match config.act {
        Act::Approve => Verdict::approve().voters(Audience::groups([text])),
        Act::Abstain => Verdict::abstain(),
        Act::Deny => Verdict::deny(text),
        Act::Bypass => Verdict::bypass(text),
        Act::Wait => {
            let people = Audience::groups([text]);
            Verdict::wait(vec![vec![Requirement::new(1, people.clone())]]).voters(people)
        }
        Act::PanicOnVote => {
            assert!(input.votes.is_empty(), "somebody voted");
            let people = Audience::groups([text]);
            Verdict::wait(vec![vec![Requirement::new(1, people.clone())]]).voters(people)
        }
        Act::WaitForTime => Verdict::wait(Vec::new()),
        Act::WaitForNothing => Verdict::wait(vec![Vec::new()]),
        Act::WaitForNobody => Verdict::wait(vec![vec![Requirement::new(0, Audience::default())]]),
        Act::Shorten => Verdict::approve().max_duration(u64::from(config.times)),
        Act::Count => Verdict::approve().max_duration(ASKED.fetch_add(1, Ordering::Relaxed)),
        Act::NoTime => Verdict::approve().max_duration(0),
        Act::BadInstant => Verdict::approve().revisit_at(u64::MAX),
        Act::Revisit => Verdict::wait(Vec::new()).revisit_at(input.now + u64::from(config.times)),
        Act::Echo => Verdict::approve().finding(Finding::new("echo", format!("{input:?}"))),
        Act::CriticalObligation => obliged("no-such-thing", "{}", true),
        Act::Obligation => obliged("no-such-thing", "{}", false),
        Act::Remind => {
            let at = input.request.submitted_at + u64::from(config.times);
            let wait = Verdict::wait(Vec::new()).revisit_at(at);
            if input.now < at { wait } else { wait.obligation(obligation("notify", text, false)) }
        }
        Act::Notify => obliged("notify", text, false),
        Act::NotifyCritical => obliged("notify", text, true),
        Act::BadObligation => obliged("no-such-thing", "{", true),
        Act::BadAttribute => {
            let attribute = Attribute { name: "broken".to_owned(), value: "{".to_owned() };
            Verdict { attributes: vec![attribute], ..Verdict::approve() }
        }
        Act::ManyFindings => (0..config.times)
            .fold(Verdict::approve(), |verdict, _| verdict.finding(Finding::new("one-of-many", text))),
        Act::BigAnswer => Verdict::deny("x".repeat(10_000_000)),
        Act::Log => {
            (0..config.times).for_each(|_| quorate_kit::log(text));
            Verdict::approve()
        }
        Act::Work => {
            (0..config.times).fold(0, |sum: u64, round| black_box(sum ^ u64::from(round)));
            Verdict::approve()
        }
        Act::Loop
        | Act::Allocate
        | Act::Recurse
        | Act::RecurseOnStack
        | Act::LogFlood
        | Act::Panic
        | Act::Clock => fail(config.act, text),
    }
}

fn obliged(kind: &str, params: &str, critical: bool) -> Verdict {
    Verdict::approve().obligation(obligation(kind, params, critical))
}

fn obligation(kind: &str, params: &str, critical: bool) -> Obligation {
    Obligation { kind: kind.to_owned(), params: params.to_owned(), critical }
}

/// Those that never answer.
#[allow(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "to panic, and to reach for a clock, is what it is asked for"
)]
fn fail(act: Act, text: &str) -> Verdict {
    match act {
        Act::Allocate => {
            let mut held: Vec<Vec<u8>> = Vec::new();
            loop {
                held.push(black_box(vec![1; 65_536]));
            }
        }
        Act::Recurse => Verdict::deny(in_memory(&[0; 16]).to_string()),
        Act::RecurseOnStack => Verdict::deny(on_stack(black_box(1)).to_string()),
        Act::LogFlood => {
            let line = "x".repeat(8192);
            loop {
                quorate_kit::log(&line);
            }
        }
        Act::Clock => Verdict::deny(format!("{:?}", std::time::SystemTime::now())),
        Act::Panic => panic!("{text}"),
        _ => loop {
            black_box(());
        },
    }
}

#[allow(unconditional_recursion, reason = "it ends with the memory")]
#[inline(never)]
fn in_memory(above: &[u64; 16]) -> u64 {
    let mine = black_box(above.map(|value| value + 1));
    in_memory(&mine) ^ mine[3]
}

#[inline(never)]
fn on_stack(depth: u64) -> u64 {
    if depth == 0 { 0 } else { on_stack(depth + 1).rotate_left(1) ^ depth }
}

/// Nothing, unless it is asked for more.
#[allow(clippy::missing_panics_doc, reason = "to panic is what it is asked for")]
pub fn check(config: &Config) -> Vec<Finding> {
    assert!(config.text != "panic in check", "panicked in check as asked");
    match config.text.as_str() {
        "refuse" => vec![Finding::new("refused", "refused as asked").at("/text")],
        "warn" => vec![Finding::new("warning-careful", "warned as asked").at("/text")],
        _ => Vec::new(),
    }
}

/// A week of history, so that a test sees some.
pub fn evidence() -> EvidenceNeeds {
    EvidenceNeeds { facts: Vec::new(), history_window: Some(7 * 24 * 3600) }
}

quorate_kit::policy! {
    config: Config,
    evaluate: evaluate,
    check: check,
    evidence: evidence,
}
