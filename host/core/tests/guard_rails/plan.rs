//! A life at random: what is asked, who does what when, and what policies answer.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use quorate_core::Timestamp;
use quorate_core::decision::Answer;
use quorate_core::notice::NOTIFY;
use quorate_core::verdict::{
    Audience, Fault, FaultCode, Finding, Obligation, Outcome, Requirement, Verdict, Way,
};

/// Everybody; the first asks. One of the groups is the requester's.
pub(crate) const PEOPLE: [(&str, &[&str]); 6] = [
    ("ann", &["dba", "dev"]),
    ("bob", &["dba"]),
    ("sam", &["security"]),
    ("sue", &["dba", "security"]),
    ("eve", &["sre"]),
    ("root", &["admin"]),
];

/// How long a request waits for people, in seconds.
pub(crate) const REVIEW_SECONDS: i64 = 3600;

/// What somebody does. People are indices into [`PEOPLE`].
#[derive(Debug, Clone)]
pub(crate) enum What {
    Vote { who: usize, approve: bool, forced: bool, comment: bool },
    Decide,
    Settle,
    Cancel { who: usize },
    Revoke { who: usize },
    Run { who: usize, right: bool },
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) what: What,
    /// How far the clock moves before it, back too.
    pub(crate) seconds: i64,
    /// What the policies answer then, rule by rule.
    pub(crate) answers: Vec<Vec<Answer>>,
}

/// A whole life.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) command: bool,
    pub(crate) asked: u64,
    /// The limits as they are when it is decided; there were none when it was asked.
    pub(crate) resource_max: Option<u64>,
    pub(crate) ceiling: u64,
    pub(crate) command_window: u64,
    pub(crate) acts: Vec<Act>,
}

/// `seconds` after the request is made.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let acts = prop::collection::vec(act(), 1..14);
    let length = || 60_u64..20_000;
    (any::<bool>(), length(), prop::option::of(length()), length(), 30_u64..5000, acts).prop_map(
        |(command, asked, resource_max, ceiling, command_window, acts)| Plan {
            command,
            asked,
            resource_max,
            ceiling,
            command_window,
            acts,
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    let seconds = prop_oneof![8 => 0_i64..120, 1 => -4000_i64..0, 1 => 0_i64..8000];
    (what(), seconds, answers()).prop_map(|(what, seconds, answers)| Act { what, seconds, answers })
}

fn what() -> impl Strategy<Value = What> {
    let who = || 0..PEOPLE.len();
    let voting = (who(), prop::bool::weighted(0.8), prop::bool::weighted(0.2), prop::bool::weighted(0.8));
    prop_oneof![
        8 => voting.prop_map(|(who, approve, forced, comment)| What::Vote { who, approve, forced, comment }),
        4 => Just(What::Decide),
        2 => Just(What::Settle),
        1 => who().prop_map(|who| What::Cancel { who }),
        1 => who().prop_map(|who| What::Revoke { who }),
        3 => (prop_oneof![3 => Just(0), 1 => who()], any::<bool>()).prop_map(|(who, right)| What::Run { who, right }),
    ]
}

/// Mostly, policies agree with each other: a request of which each policy says
/// something else does not live long.
fn answers() -> impl Strategy<Value = Vec<Vec<Answer>>> {
    let mood = prop_oneof![
        3 => Just(vec![Mood::Agreeing]),
        4 => Just(vec![Mood::Agreeing, Mood::Waiting]),
        3 => Just(vec![Mood::Agreeing, Mood::Waiting, Mood::Any]),
    ];
    mood.prop_flat_map(|moods| {
        let answer = select(moods).prop_flat_map(answer);
        prop::collection::vec(prop::collection::vec(answer, 1..3), 1..3)
    })
}

/// How a policy feels about a request.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Agreeing,
    Waiting,
    Any,
}

fn answer(mood: Mood) -> impl Strategy<Value = Answer> {
    let fault = select(vec![FaultCode::Trap, FaultCode::OutOfFuel, FaultCode::Missing, FaultCode::BadAnswer]);
    prop_oneof![
        6 => verdict(mood).prop_map(Answer::Verdict),
        u32::from(matches!(mood, Mood::Any)) => fault.prop_map(|code| Answer::Fault(Fault { code, message: "a \"fault\"\n".to_owned() })),
    ]
}

fn verdict(mood: Mood) -> impl Strategy<Value = Verdict> {
    let cap = prop_oneof![10 => Just(None), 10 => (1_u64..20_000).prop_map(Some), u32::from(matches!(mood, Mood::Any)) => Just(Some(0))];
    let revisit = prop::option::weighted(0.3, (-3600_i64..7200).prop_map(at));
    (outcome(mood), cap, audience(), audience(), revisit, obligation(), any::<bool>()).prop_map(
        |(outcome, max_duration, voters, forcers, revisit_at, obligation, tells)| {
            let finding = Finding { code: "warning-x".into(), message: "hm".into(), path: Some("/a".into()) };
            Verdict {
                max_duration,
                voters,
                forcers,
                revisit_at,
                obligations: obligation.into_iter().collect(),
                findings: tells.then_some(finding).into_iter().collect(),
                ..Verdict::new(outcome)
            }
        },
    )
}

fn outcome(mood: Mood) -> impl Strategy<Value = Outcome> {
    let [agree, wait, refuse] = match mood {
        Mood::Agreeing => [4, 0, 0],
        Mood::Waiting => [1, 6, 0],
        Mood::Any => [4, 3, 2],
    };
    prop_oneof![
        u32::from(matches!(mood, Mood::Any)) => Just(Outcome::Abstain),
        wait => prop::collection::vec(way(), 0..3).prop_map(Outcome::Wait),
        agree => Just(Outcome::Approve),
        agree / 4 => Just(Outcome::Bypass("because".to_owned())),
        refuse => Just(Outcome::Deny("no".to_owned())),
    ]
}

fn way() -> impl Strategy<Value = Way> {
    let requirement = (audience(), 0_u32..4).prop_map(|(people, approvals)| Requirement {
        people,
        approvals,
        message: "wanted".to_owned(),
    });
    prop::collection::vec(requirement, 0..3)
}

fn audience() -> impl Strategy<Value = Audience> {
    let groups = subsequence(vec!["admin", "dba", "dev", "security", "sre"], 0..=5);
    let users = subsequence(vec!["ann", "bob", "sam"], 0..=1);
    (groups, users).prop_map(|(groups, users)| Audience {
        groups: groups.into_iter().map(str::to_owned).collect(),
        users: users.into_iter().map(str::to_owned).collect(),
    })
}

fn obligation() -> impl Strategy<Value = Option<Obligation>> {
    let unknown = Just(("shred", "{}".to_owned()));
    let senseless = Just((NOTIFY, "{}".to_owned()));
    let notice = (0..3).prop_map(|nth| (NOTIFY, format!(r#"{{"id":"n{nth}","message":"look"}}"#)));
    let one = prop_oneof![2 => unknown, 1 => senseless, 6 => notice];
    let one = (one, any::<bool>()).prop_map(|((kind, params), critical)| Obligation {
        kind: kind.to_owned(),
        params,
        critical,
    });
    prop::option::weighted(0.3, one)
}
