//! Finding: filters, pages and counts, also over many requests.

use std::time::{Duration, Instant};

use quorate_core::entry::{Actor, Kind, Stream};
use quorate_core::ids::Digest;
use quorate_core::rule::AccessType;

use super::super::{
    Cursor, EntryFilter, Order, Page, Point, PointFilter, Reader, RequestFilter, SessionFilter,
};
use super::world::{World, approve, at, command, fill, just_in_time, raw, request_id, submit, user_id};

const ALL: Page = Page { after: None, limit: 100 };

fn ids(reader: &Reader, filter: &RequestFilter) -> Vec<String> {
    let found = reader.find_requests(filter, ALL).unwrap();
    assert_eq!(found.total, found.items.len() as u64);
    found.items.iter().map(|request| request.id.to_string()).collect()
}

#[tokio::test]
async fn each_filter_leaves_what_it_says() {
    let world = World::new();
    fill(&world.ledger).await;
    let ledger = &world.ledger;
    let pending = submit("q4", "bob", "web", just_in_time(), "50% off_ÄRGER", 50);
    ledger.append(pending).await.unwrap();
    let none = RequestFilter::default;
    assert_eq!(ids(ledger, &none()), ["q4", "q3", "q2", "q1"]);
    let states = vec!["PENDING".to_owned(), "EXECUTED".to_owned()];
    assert_eq!(ids(ledger, &RequestFilter { states, ..none() }), ["q4", "q3"]);
    assert_eq!(ids(ledger, &RequestFilter { requester: Some(user_id("bob")), ..none() }), ["q4"]);
    let resource = Some("db".parse().unwrap());
    assert_eq!(ids(ledger, &RequestFilter { resource, ..none() }), ["q3", "q2", "q1"]);
    let access_type = Some(AccessType::Command);
    assert_eq!(ids(ledger, &RequestFilter { access_type, ..none() }), ["q3"]);
    for text in ["incident", "CIDENT 47"] {
        let text = Some(text.to_owned());
        assert_eq!(ids(ledger, &RequestFilter { text, ..none() }), ["q3", "q2", "q1"]);
    }
    for text in ["Q4", "ärger", "50% off_"] {
        let text = Some(text.to_owned());
        assert_eq!(ids(ledger, &RequestFilter { text, ..none() }), ["q4"]);
    }
    assert_eq!(ids(ledger, &RequestFilter { text: Some("5_%".to_owned()), ..none() }), [""; 0]);
    assert_eq!(ids(ledger, &RequestFilter { since: Some(at(50)), ..none() }), ["q4"]);
    assert_eq!(ids(ledger, &RequestFilter { until: Some(at(50)), ..none() }), ["q3", "q2", "q1"]);
}

#[tokio::test]
async fn sessions_are_found() {
    let world = World::new();
    fill(&world.ledger).await;
    let ids = |filter: SessionFilter| {
        let found = world.ledger.find_sessions(&filter, ALL).unwrap();
        found.items.iter().map(|session| session.id.to_string()).collect::<Vec<_>>()
    };
    let none = SessionFilter::default;
    assert_eq!(ids(none()), ["s2", "s1"]);
    assert_eq!(ids(SessionFilter { open: Some(true), ..none() }), ["s2", "s1"]);
    assert_eq!(ids(SessionFilter { open: Some(false), ..none() }), [""; 0]);
    assert_eq!(ids(SessionFilter { request: Some(request_id("q1")), ..none() }), ["s1"]);
    assert_eq!(ids(SessionFilter { user: Some(user_id("eve")), ..none() }), [""; 0]);
    let session = world.ledger.session(&"s1".parse().unwrap()).unwrap().unwrap();
    let end = quorate_core::session::End {
        reason: quorate_core::session::EndReason::Exited,
        message: String::new(),
        exit_code: Some(0),
    };
    world.ledger.append(session.end(end, Actor::Gateway, at(20)).unwrap()).await.unwrap();
    assert_eq!(ids(SessionFilter { open: Some(false), ..none() }), ["s1"]);
    let open = world.ledger.open_sessions().unwrap();
    assert_eq!(open.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["s2"]);
}

#[tokio::test]
async fn deadlines_come_due_when_they_are_reached_and_not_before() {
    let world = World::new();
    let ledger = &world.ledger;
    assert_eq!(ledger.next_deadline().unwrap(), None);
    // Closes at 601 s.
    ledger.append(submit("q1", "ann", "db", just_in_time(), "", 1)).await.unwrap();
    ledger.append(submit("q2", "ann", "db", command(), "", 2)).await.unwrap();
    assert_eq!(ledger.pending().unwrap(), [request_id("q1"), request_id("q2")]);
    assert_eq!(ledger.next_deadline().unwrap(), Some(at(601)));
    let nanosecond = jiff::SignedDuration::from_nanos(1);
    assert_eq!(ledger.due(at(601) - nanosecond, 9).unwrap(), []);
    assert_eq!(ledger.due(at(601), 9).unwrap(), [request_id("q1")]);
    assert_eq!(ledger.due(at(9999), 9).unwrap(), [request_id("q1"), request_id("q2")]);
    assert_eq!(ledger.due(at(9999), 1).unwrap(), [request_id("q1")]);
    let request = ledger.request(&request_id("q1")).unwrap().unwrap();
    ledger.append(approve(&request, 3)).await.unwrap();
    assert_eq!(ledger.next_deadline().unwrap(), Some(at(602)));
    let (ann, db) = (user_id("ann"), "db".parse().unwrap());
    assert_eq!(ledger.live_grants(&ann, &db, at(3602)).unwrap().len(), 1);
    assert_eq!(ledger.live_grants(&ann, &db, at(3603)).unwrap(), []);
    assert_eq!(ledger.live_grants(&user_id("bob"), &db, at(4)).unwrap(), []);
    let history = |since, max| ledger.history(&ann, &db, at(since), max).unwrap();
    assert_eq!(history(0, 9).iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["q2", "q1"]);
    assert_eq!(history(2, 9).len(), 1);
    assert_eq!(history(0, 1)[0].id, request_id("q2"));
}

#[tokio::test]
async fn entries_are_found_by_what_they_are_about() {
    let world = World::new();
    fill(&world.ledger).await;
    let seqs = |filter: EntryFilter, limit, order| {
        let found = world.ledger.entries(&filter, limit, order).unwrap();
        found.iter().map(|sealed| sealed.seq).collect::<Vec<_>>()
    };
    let none = EntryFilter::default;
    let all = |filter| seqs(filter, 99, Order::OldestFirst);
    assert_eq!(all(none()), (1..=16).collect::<Vec<_>>());
    assert_eq!(seqs(none(), 2, Order::NewestFirst), [16, 15]);
    assert_eq!(all(EntryFilter { after_seq: Some(3), before_seq: Some(6), ..none() }), [4, 5]);
    assert_eq!(all(EntryFilter { stream: Some(Stream::user(&user_id("ann"))), ..none() }), [1, 2]);
    assert_eq!(all(EntryFilter { kind: Some(Kind::Resource), ..none() }), [3, 4, 5]);
    assert_eq!(all(EntryFilter { by: Some(Actor::Gateway), kind: Some(Kind::Resource), ..none() }), [3, 4]);
    assert_eq!(all(EntryFilter { by: Some(Actor::User(user_id("ann"))), ..none() })[0], 5);
    let event = Some("request-cancelled".to_owned());
    assert_eq!(all(EntryFilter { event, ..none() }), [13]);
    assert_eq!(all(EntryFilter { since: Some(at(2)), until: Some(at(4)), ..none() }), [2, 3]);
}

#[tokio::test]
async fn pages_have_no_gap_and_no_repetition_while_new_ones_come_in() {
    let world = World::new();
    for nth in 0..25 {
        let step = submit(&format!("q{nth}"), "ann", "db", just_in_time(), "", nth);
        world.ledger.append(step).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = Page { after, limit: 10 };
        let found = world.ledger.find_requests(&RequestFilter::default(), page).unwrap();
        seen.extend(found.items.iter().map(|request| request.id.to_string()));
        let step = submit(&format!("new{}", seen.len()), "ann", "db", just_in_time(), "", 30);
        world.ledger.append(step).await.unwrap();
        after = found.next.map(|next| next.to_string().parse::<Cursor>().unwrap());
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..25).rev().map(|nth| format!("q{nth}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_hundred_thousand_requests_are_paged_without_reading_them_all() {
    let world = World::new();
    fill(&world.ledger).await;
    // Copies of a real one: their entries do not matter here.
    let connection = raw(&world.path());
    connection
        .execute_batch(
            "BEGIN;
             CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS
                 (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 100099) SELECT i FROM n;
             INSERT INTO views SELECT i, 'request/r' || i, replace(json, '\"q1\"', '\"r' || i || '\"')
                 FROM n, views WHERE stream = 'request/q1';
             INSERT INTO requests SELECT i, 'r' || i,
                 CASE WHEN i % 1000 = 0 THEN 'PENDING' WHEN i % 2 = 0 THEN 'EXPIRED' ELSE 'TIMED_OUT' END,
                 'user' || (i % 50), 'db' || (i % 20), access_type, submitted + i, NULL, NULL,
                 'r' || i || char(10) || 'the reason number ' || i
                 FROM n, requests WHERE id = 'q1';
             COMMIT;",
        )
        .unwrap();
    let none = RequestFilter::default;
    let many = vec!["EXPIRED".to_owned(), "TIMED_OUT".to_owned(), "PENDING".to_owned()];
    let filters = [
        (none(), 100_003),
        (RequestFilter { states: vec!["PENDING".to_owned()], ..none() }, 100),
        (RequestFilter { states: vec!["EXPIRED".to_owned()], ..none() }, 49_900),
        (RequestFilter { states: many, ..none() }, 100_000),
        (RequestFilter { requester: Some(user_id("user7")), ..none() }, 2000),
        (RequestFilter { resource: Some("db7".parse().unwrap()), ..none() }, 5000),
        (RequestFilter { text: Some("number 4242".to_owned()), ..none() }, 11),
        (RequestFilter { since: Some(at(6)), ..none() }, 100_003),
    ];
    for (filter, total) in filters {
        let (mut after, mut slowest, mut before) = (None, Duration::ZERO, u64::MAX);
        for _ in 0..5 {
            let start = Instant::now();
            let found = world.ledger.find_requests(&filter, Page { after, limit: 50 }).unwrap();
            slowest = slowest.max(start.elapsed());
            assert_eq!(found.total, total, "{filter:?}");
            for request in &found.items {
                let number = request.id.as_str()[1..].parse().unwrap();
                assert!(number < before, "{filter:?}");
                before = number;
            }
            after = found.next;
            if after.is_none() {
                break;
            }
        }
        // The benchmark says how fast it is. Reading all of them takes longer than this.
        assert!(slowest < Duration::from_secs(5), "{slowest:?}: {filter:?}");
    }
}

#[tokio::test]
async fn who_sees_some_of_a_list_gets_each_of_them_once_with_bounded_work() {
    let world = World::new();
    // q0 to q29; whoever looks sees every seventh, and the last five not at all.
    for nth in 0..30 {
        let append = submit(&format!("q{nth}"), "ann", "db", just_in_time(), "", nth);
        world.ledger.append(append).await.unwrap();
    }
    let number = |id: &str| id[1..].parse::<usize>().unwrap();
    let seen = |id: &str| number(id).is_multiple_of(7) && number(id) < 25;
    let wanted = ["q21", "q14", "q7", "q0"];
    for rows_max in [1, 2, 5, 10, 29, 30, 31, 100] {
        for limit in [1, 2, 3, 4, 5] {
            let (mut found, mut after, mut calls) = (Vec::new(), None, 0);
            loop {
                let looked = std::cell::RefCell::new(Vec::new());
                let shown = |request: &quorate_core::request::Request| {
                    looked.borrow_mut().push(request.id.to_string());
                    seen(request.id.as_str())
                };
                let filter = RequestFilter::default();
                let page =
                    world.ledger.scan_requests(&filter, Page { after, limit }, rows_max, shown).unwrap();
                let looked = looked.into_inner();
                let newest = (30_usize.saturating_sub(rows_max)..30).map(|nth| format!("q{nth}"));
                assert_eq!(page.total, newest.filter(|id| seen(id)).count() as u64, "{rows_max}");
                assert!(looked.len() <= 2 * rows_max && page.items.len() <= limit);
                let distinct: std::collections::BTreeSet<_> = looked.iter().collect();
                assert_eq!(distinct.len(), looked.len(), "one was read twice: {looked:?}");
                found.extend(page.items.iter().map(|request| request.id.to_string()));
                calls += 1;
                assert!(page.next.is_none() || page.next != after, "it does not go on");
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, wanted, "{limit} a page, {rows_max} rows");
            // Where all of it is looked at, no page is short, and none follows the last.
            assert!(rows_max < 30 || calls == 4_usize.div_ceil(limit), "{calls} calls");
        }
    }
}

#[tokio::test]
async fn every_decision_point_is_shown_its_own_record_wherever_that_lies() {
    let world = World::new();
    let mut records = Vec::new();
    // Before the records of some, others lie that nobody asks about: of a few, or of many.
    for (nth, others) in [0, 1, 0, 9, 0, 0].into_iter().enumerate() {
        let id = format!("q{nth}");
        world.ledger.append(submit(&id, "ann", "db", just_in_time(), "", 1)).await.unwrap();
        let request = world.ledger.request(&request_id(&id)).unwrap().unwrap();
        let mut append = approve(&request, 2);
        let other = |other: usize| format!("{nth} {other}").into_bytes();
        let others = (0..others).map(|nth| (Digest::of(&other(nth)), other(nth)));
        records.push(append.blobs[0].1.clone());
        append.blobs = others.chain(append.blobs).collect();
        world.ledger.append(append).await.unwrap();
    }
    let all = PointFilter::default();
    let points = |ledger: &Reader| ledger.decision_points(&all, 0, u64::MAX, 100).unwrap();
    let shown = |ledger: &Reader, points: &[Point]| {
        let mut shown = Vec::new();
        let each = |point: &Point, bytes: Option<&[u8]>| shown.push((point.seq, bytes.map(<[u8]>::to_vec)));
        ledger.records_of(points, each).unwrap();
        shown
    };
    let found = points(&world.ledger);
    let of = |nth: usize| (found[nth].seq, Some(records[nth].clone()));
    assert_eq!(shown(&world.ledger, &found), (0..6).map(of).collect::<Vec<_>>());
    // In another order, and one of them twice.
    let other_order = [4, 2, 2, 5, 0, 1].map(|nth| found[nth].clone());
    assert_eq!(shown(&world.ledger, &other_order), [4, 2, 2, 5, 0, 1].map(of));
    assert_eq!(shown(&world.ledger, &[]), []);

    let stopped = world.stop();
    let lost = [1, 5].map(|nth| format!("DELETE FROM blobs WHERE digest = x'{}';", found[nth].record));
    stopped.tamper(&lost.concat());
    let world = stopped.start();
    let or_lost = |nth| if [1, 5].contains(&nth) { (found[nth].seq, None) } else { of(nth) };
    assert_eq!(shown(&world.ledger, &found), (0..6).map(or_lost).collect::<Vec<_>>());
    let history = world.ledger.history_of_decisions(&all).unwrap();
    assert_eq!((history.points, history.missing), (6, 2));
}
