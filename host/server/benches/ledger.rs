//! What a durable append costs, alone and with a hundred at once, beside the bare
//! durable `SQLite` transaction that it cannot do without; and a page of a long list.

#![allow(clippy::expect_used, reason = "a benchmark stops where it cannot go on")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use quorate::ledger::{Ledger, Page, RequestFilter};
use quorate_core::Timestamp;
use quorate_core::duration::AccessDuration;
use quorate_core::entry::Step;
use quorate_core::input::Principal;
use quorate_core::request::{Access, Asked, Bounds, Request};
use quorate_core::resource::Resource;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// How many append at once.
const CROWD: u64 = 100;

/// How long the list is that pages are read from.
const LIST: u64 = 100_000;

/// How often each is done for the ratios.
const ROUNDS: usize = 500;

/// A ledger and, in another file on the same disk, a table with a row of the size of
/// an entry.
struct Bench {
    _folder: TempDir,
    runtime: Runtime,
    ledger: Ledger,
    bare: Connection,
    next: AtomicU64,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
        let ledger = Ledger::open(&folder.path().join("ledger.db")).expect("a ledger");
        let bare = Connection::open(folder.path().join("bare.db")).expect("a file");
        bare.pragma_update(None, "journal_mode", "WAL").expect("a log");
        bare.pragma_update(None, "synchronous", "FULL").expect("durable");
        bare.execute_batch("CREATE TABLE rows (seq INTEGER PRIMARY KEY, text TEXT)").expect("a table");
        let runtime = Runtime::new().expect("a runtime");
        Self { _folder: folder, runtime, ledger, bare, next: AtomicU64::new(0) }
    }

    fn bare(&self) {
        let mut statement =
            self.bare.prepare_cached("INSERT INTO rows (text) VALUES (?1)").expect("a statement");
        statement.execute(["x".repeat(400)]).expect("a row");
    }

    fn step(&self) -> Step {
        submit(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn alone(&self) {
        self.runtime.block_on(self.ledger.append(self.step())).expect("an append");
    }

    fn crowd(&self) {
        self.runtime.block_on(async {
            let mut crowd = JoinSet::new();
            for _ in 0..CROWD {
                let (ledger, step) = (self.ledger.clone(), self.step());
                crowd.spawn(async move { ledger.append(step).await.expect("an append") });
            }
            crowd.join_all().await;
        });
    }
}

fn submit(nth: u64) -> Step {
    let requester = Principal {
        id: "ann".parse().expect("a name"),
        email: String::new(),
        groups: vec!["staff".parse().expect("a name")],
        attributes: Vec::new(),
    };
    let resource = serde_json::json!({ "name": "db", "command": ["psql"], "standing_groups": ["staff"] });
    let resource: Resource = serde_json::from_value(resource).expect("a resource");
    let asked = Asked {
        requester: requester.id.clone(),
        resource: resource.name.clone(),
        access: Access::JustInTime { duration: AccessDuration::from_seconds(3600) },
        reason: "The report for Monday does not add up".to_owned(),
        submitted_at: Timestamp::UNIX_EPOCH,
        closes_at: Timestamp::UNIX_EPOCH + Duration::from_hours(1),
    };
    let bounds = Bounds { ceiling_seconds: 36_000, resource_seconds: None, command_window_seconds: 3600 };
    let id = format!("request-{nth}").parse().expect("an id");
    Request::submit(&id, asked, &requester, &resource, &[], &bounds).expect("a legal request")
}

/// The median of many rounds.
fn median(mut round: impl FnMut()) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        round();
        start.elapsed()
    });
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}

fn pages(criterion: &mut Criterion, bench: &Bench) {
    while bench.next.load(Ordering::Relaxed) < LIST {
        bench.crowd();
    }
    let none = RequestFilter::default;
    let filters = [
        ("of all", none()),
        ("of one state", RequestFilter { states: vec!["PENDING".to_owned()], ..none() }),
        ("of a word", RequestFilter { text: Some("Monday".to_owned()), ..none() }),
        ("since a time", RequestFilter { since: Some(Timestamp::UNIX_EPOCH), ..none() }),
    ];
    let mut group = criterion.benchmark_group("a page of 50 out of 100,000");
    for (name, filter) in filters {
        let page = Page { after: None, limit: 50 };
        group.bench_function(name, |bencher| bencher.iter(|| bench.ledger.find_requests(&filter, page)));
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("ledger");
    group.throughput(Throughput::Elements(1));
    group.bench_function("a bare durable transaction", |bencher| bencher.iter(|| bench.bare()));
    group.bench_function("one append", |bencher| bencher.iter(|| bench.alone()));
    group.throughput(Throughput::Elements(CROWD));
    group.bench_function("a hundred at once", |bencher| bencher.iter(|| bench.crowd()));
    group.finish();

    let (bare, alone, crowd) = (median(|| bench.bare()), median(|| bench.alone()), median(|| bench.crowd()));
    let ratio = |time: Duration| time.as_secs_f64() / bare.as_secs_f64();
    println!("a bare durable transaction: {bare:?}");
    println!("one append:                 {alone:?}, {:.2} of it", ratio(alone));
    println!("a hundred at once:          {crowd:?}, {:.2} of it for each", ratio(crowd) / 100.0);
    pages(&mut criterion, &bench);
    criterion.final_summary();
}
