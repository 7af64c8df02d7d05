//! A long history: 200,000 recorded decisions, all of them made again, and a candidate
//! tried on each. Says how many were the same, how many would be others, and how many
//! evaluations that were in a second; stops where a count is not what it must be.
//!
//! Under `cargo bench` it is 200,000, or what `QUORATE_DECISIONS` says; otherwise a few,
//! to see that it works.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a benchmark stops where it cannot go on, and is told by its environment how long it is"
)]

use std::time::{Duration, Instant};

use quorate::clock::Clock;
use quorate::config::Config;
use quorate::ledger::{Append, Ledger, PointFilter};
use quorate::lifecycle::{Lifecycle, PAGE_POINTS_MAX, Slice};
use quorate_core::Timestamp;
use quorate_core::backtest::Place;
use quorate_core::decision::{Answer, Decision, Opinion, Record, RuleOpinion};
use quorate_core::duration::AccessDuration;
use quorate_core::ids::Digest;
use quorate_core::input::{Choice, Evidence, Principal, Vote};
use quorate_core::request::{Access, Asked, Bounds, Event, Request, Ruling};
use quorate_core::resource::Resource;
use quorate_core::rule::Rule;
use quorate_policy::{Limits, Policy, Runtime};
use tokio::task::JoinSet;

/// Each request is decided when it is asked, and after each of two votes.
const DECISIONS_EACH: u64 = 3;
/// How many appends are under way at once: the writer makes them durable together.
const CROWD: usize = 256;

const CONFIG: &str = r#"{"groups":["dba","security"],"require_all":true,"approvals":1}"#;
const BOUNDS: Bounds =
    Bounds { ceiling_seconds: 86_400, resource_seconds: None, command_window_seconds: 900 };

/// What every request is made of.
struct World {
    quorum: Policy,
    engine: String,
    resource: Resource,
    rule: Rule,
}

impl World {
    fn new(runtime: &Runtime) -> Self {
        let resource = serde_json::json!({ "name": "prod", "command": ["psql"] });
        let rule = serde_json::json!({
            "name": "prod", "description": "", "access_type": "just-in-time", "resources": ["prod"], "attributes": {},
            "required_groups": [], "policies": [], "revision": 1,
        });
        Self {
            quorum: runtime.load(component("group-quorum")).expect("a built-in policy"),
            engine: runtime.fingerprint().to_owned(),
            resource: serde_json::from_value(resource).expect("a resource"),
            rule: serde_json::from_value(rule).expect("a rule"),
        }
    }

    /// A request from being asked to being approved, with the record of each decision.
    fn request(&self, nth: u64) -> Append {
        let at = |seconds: u64| Timestamp::UNIX_EPOCH + Duration::from_secs(nth * 600 + seconds);
        let requester = person("ann", "dev");
        let asked = Asked {
            requester: requester.id.clone(),
            resource: self.resource.name.clone(),
            access: Access::JustInTime { duration: AccessDuration::from_seconds(7200) },
            reason: format!("The report for day {nth} does not add up"),
            submitted_at: at(0),
            closes_at: at(3600),
        };
        let id = format!("request-{nth}").parse().expect("an id");
        let mut step = Request::submit(&id, asked, &requester, &self.resource, &[&self.rule], &BOUNDS)
            .expect("a legal request");
        let mut blobs = Vec::new();
        for (nth, voter) in [None, Some(("bob", "dba")), Some(("sam", "security"))].into_iter().enumerate() {
            let now = at(60 * nth as u64);
            let request = Request::after(None, &step).expect("a request");
            let vote = voter.map(|(name, group)| Vote {
                voter: person(name, group),
                choice: Choice::Approve,
                forced: false,
                comment: String::new(),
                cast_at: now,
            });
            let seen = vote.clone().map_or_else(|| request.clone(), |vote| request.with_vote(vote));
            let input = seen.input(requester.clone(), self.resource.target(), Evidence::default(), now);
            let evaluation = self.quorum.evaluate(CONFIG, &input);
            let opinion = Opinion {
                policy: "group-quorum".parse().expect("a name"),
                version: Some(self.quorum.digest()),
                config: CONFIG.to_owned(),
                answer: Answer::from(evaluation.verdict),
                fuel_used: evaluation.fuel_used,
                log: evaluation.log,
            };
            let rules =
                vec![RuleOpinion { rule: self.rule.name.clone(), revision: 1, opinions: vec![opinion] }];
            let decision = Decision::combine(&rules);
            let record = Record { input, rules, engine: self.engine.clone() };
            let bytes = serde_json::to_vec(&record).expect("a record");
            let digest = Digest::of(&bytes);
            let ruling = Box::new(Ruling { decision, record: digest, bounds: BOUNDS });
            let event = match vote {
                Some(vote) => Event::Vote(Box::new(vote), ruling),
                None => Event::Decided(ruling),
            };
            step = step.and(request.step(event, now).expect("a legal step"));
            blobs.push((digest, bytes));
        }
        let mut append = Append::from(step);
        append.blobs = blobs;
        append
    }
}

fn person(name: &str, group: &str) -> Principal {
    Principal {
        id: name.parse().expect("a name"),
        email: format!("{name}@example.org"),
        groups: vec![group.parse().expect("a name")],
        attributes: Vec::new(),
    }
}

fn component(name: &str) -> &'static [u8] {
    let mut all = quorate_bundle::BUILT_IN.iter().chain(quorate_bundle::PROBES);
    all.find(|bundled| bundled.name == name).expect("a component of this workspace").component
}

async fn make(ledger: &Ledger, world: &World, requests: u64) {
    let mut crowd = JoinSet::new();
    for nth in 0..requests {
        let (ledger, append) = (ledger.clone(), world.request(nth));
        crowd.spawn(async move { ledger.append(append).await.expect("an append") });
        while crowd.len() >= CROWD {
            crowd.join_next().await;
        }
    }
    crowd.join_all().await;
}

fn slice(after: u64) -> Slice {
    let policy = Some("group-quorum".parse().expect("a name"));
    let filter = PointFilter { policy, ..PointFilter::default() };
    Slice { filter, after, until: None, limit: PAGE_POINTS_MAX }
}

/// Counts of one kind of look back.
#[derive(Debug, Default)]
struct Seen {
    decisions: u64,
    evaluations: u64,
    others: u64,
    pages: u64,
}

async fn replay(lifecycle: &Lifecycle) -> Seen {
    let (mut seen, mut next) = (Seen::default(), Some(0));
    while let Some(after) = next {
        let page = lifecycle.replay_page(slice(after)).await.expect("a page");
        seen.decisions += page.decisions;
        seen.evaluations += page.evaluations;
        seen.others += page.decisions - page.same;
        seen.pages += 1;
        next = page.next;
    }
    seen
}

async fn backtest(lifecycle: &Lifecycle, candidate: Digest) -> Seen {
    let (mut seen, mut next) = (Seen::default(), Some(0));
    let place = Place { policy: "group-quorum".parse().expect("a name"), rule: None };
    while let Some(after) = next {
        let page = lifecycle.backtest_page(candidate, place.clone(), slice(after)).await.expect("a page");
        seen.decisions += page.decisions;
        seen.evaluations += page.evaluations;
        seen.others += page.flips.len() as u64;
        seen.pages += 1;
        next = page.next;
    }
    seen
}

async fn timed(what: &str, work: impl Future<Output = Seen>) -> Seen {
    let began = Instant::now();
    let seen = work.await;
    let took = began.elapsed();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    #[expect(clippy::cast_precision_loss, reason = "a rate is rounded anyway")]
    let rate = seen.evaluations as f64 / took.as_secs_f64();
    println!(
        "{what}: {} decisions on {} pages, {} others, {took:.1?}: {rate:.0} evaluations/s on {cores} cores",
        seen.decisions, seen.pages, seen.others
    );
    seen
}

#[tokio::main]
async fn main() {
    let whole = std::env::args().any(|argument| argument == "--bench");
    let told = std::env::var("QUORATE_DECISIONS").ok().and_then(|number| number.parse().ok());
    let requests = told.unwrap_or(if whole { 200_000_u64 } else { 300 }).div_ceil(DECISIONS_EACH);

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    let ledger = Ledger::open(&folder.path().join("ledger.sqlite")).expect("a ledger");
    let runtime = Runtime::new(Limits::default(), None).expect("a runtime");
    let lifecycle = Lifecycle::new(ledger.clone(), runtime.clone(), Clock::system(), Config::default());
    let began = Instant::now();
    make(&ledger, &World::new(&runtime), requests).await;
    println!("{} decisions appended in {:.1?}", requests * DECISIONS_EACH, began.elapsed());
    // The versions that decided are in the ledger, as everywhere.
    lifecycle.start_policies().await.expect("policies");

    let history = lifecycle.history(slice(0).filter).await.expect("a count");
    assert_eq!((history.points, history.missing), (requests * DECISIONS_EACH, 0));
    let began = Instant::now();
    let (mut read, mut after) = (0, 0);
    loop {
        let points = ledger.decision_points(&slice(0).filter, after, history.head, 2048).expect("points");
        let Some(last) = points.last() else { break };
        after = last.seq;
        ledger.records_of(&points, |_, bytes| read += u64::from(bytes.is_some())).expect("records");
    }
    println!("{read} records read on one core in {:.1?}", began.elapsed());
    let again = timed("replay", replay(&lifecycle)).await;
    assert_eq!((again.decisions, again.others), (history.points, 0));
    let candidate = lifecycle.offer_candidate(component("group-quorum").to_vec()).await.expect("a candidate");
    let same = timed("backtest, nothing changes", backtest(&lifecycle, candidate.digest)).await;
    assert_eq!((same.decisions, same.others), (history.points, 0));
    let candidate = lifecycle.offer_candidate(component("one-group").to_vec()).await.expect("a candidate");
    let sooner = timed("backtest, every request sooner", backtest(&lifecycle, candidate.digest)).await;
    assert_eq!((sooner.decisions, sooner.others), (history.points, requests));
}
