//! What the pages of a backtest come to.

use quorate_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::client::Answer;
use crate::cli::exit::Failure;

/// How many flips are kept that let nobody in. Those that do are all kept.
const KEPT_MAX: usize = 20_000;
/// How many gaps are kept.
const GAPS_MAX: usize = 1000;

/// One page, as the gateway sends it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Page {
    pub(super) decisions: u64,
    pub(super) evaluations: u64,
    pub(super) table: Vec<Cell>,
    pub(super) other_answers: u64,
    #[serde(default)]
    pub(super) without_facts: u64,
    pub(super) flips: Vec<Flip>,
    pub(super) gaps: Vec<Gap>,
    pub(super) next: Option<u64>,
}

/// How many decisions came to one pair of outcomes, and what that means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cell {
    pub(super) live: String,
    pub(super) candidate: String,
    pub(super) change: String,
    pub(super) count: u64,
}

/// A decision that would be another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Flip {
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    pub(super) request: String,
    pub(super) requester: String,
    pub(super) resource: String,
    pub(super) reason: String,
    pub(super) approvers: Vec<String>,
    pub(super) votes: usize,
    pub(super) change: String,
    pub(super) live: String,
    pub(super) candidate: String,
    pub(super) live_said: String,
    pub(super) candidate_said: String,
    pub(super) live_seconds: Option<u64>,
    pub(super) candidate_seconds: Option<u64>,
    pub(super) became: Option<Became>,
}

/// What became of the request in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Became {
    pub(super) state: String,
    pub(super) approved_at: Option<Timestamp>,
    pub(super) approvers: Vec<String>,
}

/// A decision without a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gap {
    pub(super) seq: u64,
    pub(super) request: String,
    pub(super) at: Timestamp,
    pub(super) record: String,
}

/// All pages together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) candidate: String,
    pub(super) policy: String,
    pub(super) rule: Option<String>,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Timestamp,
    /// How many decisions there are, and how many of them have no record.
    pub(super) total: u64,
    pub(super) missing: u64,
    pub(super) decisions: u64,
    pub(super) evaluations: u64,
    pub(super) table: Vec<Cell>,
    pub(super) other_answers: u64,
    /// How many were recorded without a fact that the candidate asks for.
    #[serde(default)]
    pub(super) without_facts: u64,
    pub(super) flips: Vec<Flip>,
    /// Flips that were counted and not kept.
    pub(super) flips_left_out: u64,
    pub(super) gaps: Vec<Gap>,
    pub(super) gap_count: u64,
}

/// A run that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) run: Run,
    /// The entry after which it goes on, and the one up to which it goes.
    pub(super) after: u64,
    pub(super) head: u64,
}

impl Flip {
    /// Whether it lets somebody in, or for longer.
    pub(super) fn is_grave(&self) -> bool {
        matches!(self.change.as_str(), "lets-in" | "longer")
    }

    /// What an earlier approval would have come to.
    pub(super) fn difference(&self) -> String {
        let Some(became) = &self.became else { return String::new() };
        let Some(approved) = became.approved_at else {
            return format!("it was never approved: {}", became.state);
        };
        let without: Vec<String> =
            became.approvers.iter().filter(|one| !self.approvers.contains(one)).cloned().collect();
        let sooner = crate::cli::words::between(self.at, approved);
        match without.as_slice() {
            [] => format!("{sooner} sooner"),
            names => format!("{sooner} sooner, without {}", crate::cli::words::names(names, 5)),
        }
    }
}

impl Run {
    /// How many decisions were looked at.
    pub(super) fn done(&self) -> u64 {
        self.decisions + self.gap_count
    }

    /// How many decisions would change like this.
    pub(super) fn changed(&self, change: &str) -> u64 {
        self.table.iter().filter(|cell| cell.change == change).map(|cell| cell.count).sum()
    }

    /// How many came to `live`, and would come to `candidate`.
    pub(super) fn count(&self, live: &str, candidate: &str) -> u64 {
        let cells = self.table.iter().filter(|cell| cell.live == live && cell.candidate == candidate);
        cells.map(|cell| cell.count).sum()
    }

    /// Adds a page.
    pub(super) fn add(&mut self, page: Page) {
        self.decisions += page.decisions;
        self.evaluations += page.evaluations;
        self.other_answers += page.other_answers;
        self.without_facts += page.without_facts;
        for cell in page.table {
            let same = |one: &&mut Cell| {
                (&one.live, &one.candidate, &one.change) == (&cell.live, &cell.candidate, &cell.change)
            };
            match self.table.iter_mut().find(same) {
                Some(known) => known.count += cell.count,
                None => self.table.push(cell),
            }
        }
        let mut kept = self.flips.iter().filter(|flip| !flip.is_grave()).count();
        for flip in page.flips {
            if flip.is_grave() {
                self.flips.push(flip);
            } else if kept < KEPT_MAX {
                kept += 1;
                self.flips.push(flip);
            } else {
                self.flips_left_out += 1;
            }
        }
        self.gap_count += page.gaps.len() as u64;
        let room = GAPS_MAX.saturating_sub(self.gaps.len());
        self.gaps.extend(page.gaps.into_iter().take(room));
    }

    /// The gravest first; among them those with the fewest votes, the oldest first.
    pub(super) fn sort(&mut self) {
        let order = quorate_core::backtest::Change::ALL.map(quorate_core::backtest::Change::as_str);
        let nth = |change: &str| order.iter().position(|one| *one == change);
        self.flips.sort_by_key(|flip| (nth(&flip.change), flip.votes, flip.seq));
        let key = |cell: &Cell| (cell.live.clone(), cell.candidate.clone(), cell.change.clone());
        self.table.sort_by_key(key);
    }

    /// The flips of one kind.
    pub(super) fn of(&self, change: &str) -> Vec<&Flip> {
        self.flips.iter().filter(|flip| flip.change == change).collect()
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let mut value = json!(self);
        let changes = quorate_core::backtest::Change::ALL.map(quorate_core::backtest::Change::as_str);
        value["changes"] = changes.iter().map(|one| ((*one).to_owned(), json!(self.changed(one)))).collect();
        value
    }

    /// For people: every text in it cleaned.
    pub(super) fn cleaned(&self) -> Result<Self, Failure> {
        Answer::of(json!(self)).read()
    }
}

/// How many different requests are among these.
pub(super) fn requests(flips: &[&Flip]) -> usize {
    let mut ids: Vec<&str> = flips.iter().map(|flip| flip.request.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Somebody who would be let in, by a `votes`-th vote.
    pub(in super::super) fn flip(seq: u64, votes: usize, change: &str) -> Flip {
        Flip {
            seq,
            at: "2026-03-02T10:00:00Z".parse().unwrap(),
            request: format!("r{seq}"),
            requester: "ann".into(),
            resource: "prod".into(),
            reason: "<script>alert(1)</script>".into(),
            approvers: vec!["bob".into()],
            votes,
            change: change.into(),
            live: "waiting".into(),
            candidate: "approved".into(),
            live_said: "waits for 1 of security".into(),
            candidate_said: "approves".into(),
            live_seconds: None,
            candidate_seconds: Some(7200),
            became: Some(Became {
                state: "EXPIRED".into(),
                approved_at: Some("2026-03-02T10:05:00Z".parse().unwrap()),
                approvers: vec!["bob".into(), "sam".into()],
            }),
        }
    }

    fn cell(live: &str, candidate: &str, change: &str, count: u64) -> Cell {
        Cell { live: live.into(), candidate: candidate.into(), change: change.into(), count }
    }

    /// A run of two pages.
    pub(in super::super) fn run() -> Run {
        let page = |flips: Vec<Flip>| Page {
            decisions: 10,
            evaluations: 10,
            table: vec![
                cell("waiting", "approved", "lets-in", flips.len() as u64),
                cell("waiting", "waiting", "same", 10 - flips.len() as u64),
            ],
            flips,
            ..Page::default()
        };
        let mut run =
            Run { policy: "quorum".into(), candidate: "ab".repeat(32), total: 20, ..Run::default() };
        run.add(page(vec![flip(1, 2, "lets-in"), flip(2, 0, "lets-in")]));
        run.add(page(vec![flip(3, 1, "lets-in")]));
        run.sort();
        run
    }

    #[test]
    fn pages_add_up_and_the_smallest_come_first() {
        let run = run();
        assert_eq!((run.done(), run.changed("lets-in"), run.count("waiting", "waiting")), (20, 3, 17));
        let order: Vec<usize> = run.flips.iter().map(|flip| flip.votes).collect();
        assert_eq!(order, [0, 1, 2]);
    }

    #[test]
    fn those_that_let_somebody_in_are_all_kept_and_others_are_counted() {
        let others = || (0..15_000).map(|nth| flip(nth, 0, "keeps-out"));
        let mut run = Run::default();
        for _ in 0..2 {
            let flips = others().chain([flip(1, 0, "lets-in")]).collect();
            run.add(Page { flips, ..Page::default() });
        }
        assert_eq!(run.of("lets-in").len(), 2);
        assert_eq!((run.of("keeps-out").len(), run.flips_left_out), (KEPT_MAX, 10_000));
    }

    #[test]
    fn p5_the_difference_says_how_much_sooner_and_without_whom() {
        assert_eq!(flip(1, 1, "lets-in").difference(), "5m sooner, without sam");
        let never = Became { state: "TIMED_OUT".into(), approved_at: None, approvers: vec![] };
        let never = Flip { became: Some(never), ..flip(1, 1, "lets-in") };
        assert_eq!(never.difference(), "it was never approved: TIMED_OUT");
    }
}
