//! A candidate tried on the recorded decisions, on a page that says how far it is while it is
//! made: the answer is sent piece by piece, and needs no script.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};
use quorate_core::Timestamp;
use quorate_core::backtest::Place;
use quorate_core::ids::{Digest, PolicyName, RuleName};
use serde::Deserialize;

use super::super::page::{Frame, Refusal, show};
use super::super::visitor::Auditor;
use super::super::words;
use super::find;
use crate::api::{Problem, find_candidate};
use crate::app::App;
use crate::ledger::PointFilter;
use crate::lifecycle::{Cell, Flip, PAGE_POINTS_MAX, Slice};

/// Flips that are shown; the command line lists all.
const FLIPS_SHOWN_MAX: usize = 500;
/// Where the page is cut: what is in front of it is sent at once.
const HERE: &str = "<!-- the answer -->";

/// What is tried, and on which decisions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Asked {
    candidate: String,
    rule: String,
    /// Of the last so many days; empty: of all time.
    days: String,
}

/// The page around the answer.
#[derive(Template)]
#[template(path = "backtest.html")]
struct BacktestPage {
    frame: Frame,
    name: PolicyName,
    asked: Asked,
    /// Its first digits; none before one was chosen.
    candidate: Option<String>,
    versions: Vec<(String, String)>,
    rules: Vec<String>,
    wrong: Option<String>,
}

/// The answer.
#[derive(Template)]
#[template(path = "backtest-answer.html")]
struct Answer<'a> {
    tally: &'a Tally,
    failed: Option<String>,
}

/// What was found so far.
#[derive(Default)]
struct Tally {
    decisions: u64,
    evaluations: u64,
    table: BTreeMap<(String, String, String), u64>,
    other_answers: u64,
    without_facts: u64,
    gaps: usize,
    flips: Vec<Flip>,
    left_out: usize,
}

/// The walk over the decisions, between two pieces of the answer.
struct Walk {
    app: App,
    candidate: Digest,
    place: Place,
    filter: PointFilter,
    tally: Tally,
    total: u64,
    until: u64,
    /// Where it goes on; none when it has come to the end.
    after: Option<u64>,
    head: Option<String>,
    tail: String,
}

/// Tries it.
pub(in super::super) async fn page(
    Auditor(user): Auditor,
    State(app): State<App>,
    Path(name): Path<PolicyName>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let policy = find(&app, &name)?;
    let rules = app.ledger.rules()?.into_iter();
    let using = rules.filter(|rule| rule.policies.iter().any(|used| used.policy == name));
    let mut page = BacktestPage {
        frame: Frame::of(&user, "policies"),
        versions: (policy.versions.iter().rev())
            .map(|one| (one.digest.to_string(), format!("{} {}", one.digest.short(), one.label)))
            .collect(),
        rules: using.map(|rule| rule.name.to_string()).collect(),
        name: name.clone(),
        asked: asked.clone(),
        candidate: None,
        wrong: None,
    };
    if asked.candidate.is_empty() {
        return Ok(show(StatusCode::OK, &page));
    }
    let read = asked.read(&app, &name);
    let (candidate, rule, since) = match read {
        Ok(read) => read,
        Err(problem) => {
            let (status, _, why) = problem.words();
            page.wrong = Some(why);
            return Ok(show(status, &page));
        }
    };
    page.candidate = Some(candidate.short());
    let filter = PointFilter { request: None, policy: Some(name.clone()), rule: rule.clone(), since };
    let total = app.lifecycle.history(filter.clone()).await?.points;
    let html = page.render().map_err(|error| Problem::internal(&error))?;
    let (head, tail) = html.split_once(HERE).unwrap_or((html.as_str(), ""));
    let until = *app.ledger.head().borrow();
    let walk = Walk {
        app,
        candidate,
        place: Place { policy: name, rule },
        filter,
        tally: Tally::default(),
        total,
        until,
        after: Some(0),
        head: Some(head.to_owned()),
        tail: tail.to_owned(),
    };
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    Ok((headers, Body::from_stream(pieces(walk))).into_response())
}

/// The page in pieces: its head, how far it is, and in the end what was found.
fn pieces(walk: Walk) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    stream::unfold(Some(walk), async |walk| {
        let mut walk = walk?;
        if let Some(head) = walk.head.take() {
            return Some((Ok(Bytes::from(head)), Some(walk)));
        }
        match walk.step().await {
            Ok(()) if walk.after.is_some() => {
                let (done, total) = (walk.tally.decisions + walk.tally.gaps as u64, walk.total);
                // A later one covers those before it.
                let piece = format!(
                    "<p class=\"progress\"><progress value=\"{done}\" max=\"{total}\" aria-label=\"Decisions\"></progress> {done} of {total} decisions</p>\n"
                );
                Some((Ok(Bytes::from(piece)), Some(walk)))
            }
            ended => {
                let failed = ended.err().map(|error| Problem::from(error).words().2);
                let answer = Answer { tally: &walk.tally, failed }.render().unwrap_or_default();
                Some((Ok(Bytes::from(answer + &walk.tail)), None))
            }
        }
    })
}

impl Walk {
    async fn step(&mut self) -> Result<(), crate::lifecycle::Error> {
        let Some(after) = self.after.take() else { return Ok(()) };
        let slice =
            Slice { filter: self.filter.clone(), after, until: Some(self.until), limit: PAGE_POINTS_MAX };
        let page = self.app.lifecycle.backtest_page(self.candidate, self.place.clone(), slice).await?;
        let tally = &mut self.tally;
        tally.decisions += page.decisions;
        tally.evaluations += page.evaluations;
        tally.other_answers += page.other_answers;
        tally.without_facts += page.without_facts;
        tally.gaps += page.gaps.len();
        for Cell { live, candidate, change, count } in page.table {
            *tally.table.entry((change, live, candidate)).or_default() += count;
        }
        // Those that would newly let somebody in come first, and are never left out for others.
        let (mut first, mut others): (Vec<Flip>, Vec<Flip>) =
            tally.flips.drain(..).chain(page.flips).partition(|flip| flip.change == "lets-in");
        first.append(&mut others);
        tally.left_out += first.len().saturating_sub(FLIPS_SHOWN_MAX);
        first.truncate(FLIPS_SHOWN_MAX);
        tally.flips = first;
        self.after = page.next;
        Ok(())
    }
}

impl Tally {
    /// How many decisions would be others.
    fn changed(&self) -> u64 {
        let others = self.table.iter().filter(|((change, ..), _)| change != "same");
        others.map(|(_, count)| count).sum()
    }

    /// How many would newly let somebody in.
    fn lets_in(&self) -> u64 {
        let found = self.table.iter().filter(|((change, ..), _)| change == "lets-in");
        found.map(|(_, count)| count).sum()
    }
}

impl Asked {
    fn read(
        &self,
        app: &App,
        name: &PolicyName,
    ) -> Result<(Digest, Option<RuleName>, Option<Timestamp>), Problem> {
        let candidate = find_candidate(app, name, self.candidate.trim())?;
        let rule = match self.rule.trim() {
            "" => None,
            rule => Some(rule.parse()?),
        };
        let since = match self.days.trim() {
            "" => None,
            days => {
                let days: i64 = days
                    .parse()
                    .ok()
                    .filter(|days| (1..=36_500).contains(days))
                    .ok_or_else(|| Problem::bad_request("say how many days back, as in 90"))?;
                let span = jiff::SignedDuration::from_hours(days * 24);
                Some(app.lifecycle.now().checked_sub(span).unwrap_or(Timestamp::MIN))
            }
        };
        Ok((candidate, rule, since))
    }
}
