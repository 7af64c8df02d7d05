//! Backtest: a candidate over the recorded decisions in which a policy took part.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::Timestamp;
use quorate_core::backtest::{self, Change, Kind, Outlook, Place, Tried};
use quorate_core::decision::Record;
use quorate_core::ids::{Digest, RequestId};
use quorate_core::input::{Choice, Fact, Input};
use quorate_core::request::{Bounds, State};
use quorate_policy::Series;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::compiled::Kept;
use super::replay::{Gap, ask};
use super::walk::Slice;
use super::{Error, Inner, Lifecycle};
use crate::ledger::Point;

/// How many decisions came to one pair of outcomes, and what that means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cell {
    /// What they came to: `denied`, `faulted`, `waiting`, `approved`, `bypassed`.
    pub live: String,
    /// What they would come to: the same, or `candidate-fault`, `config-refused`.
    pub candidate: String,
    /// What that means: `lets-in`, `longer`, `fault`, `config-refused`, `keeps-out`,
    /// `shorter`, `other` or `same`.
    pub change: String,
    /// How many.
    pub count: u64,
}

/// A decision that would be another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Flip {
    /// The number of its entry.
    pub seq: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Which request.
    pub request: String,
    /// Who asked.
    pub requester: String,
    /// For what.
    pub resource: String,
    /// In the requester's words.
    pub reason: String,
    /// Who had approved by then.
    pub approvers: Vec<String>,
    /// How many votes were on record.
    pub votes: usize,
    /// `lets-in`, `longer`, `fault`, `config-refused`, `keeps-out`, `shorter` or `other`.
    pub change: String,
    /// What it came to.
    pub live: String,
    /// What it would come to.
    pub candidate: String,
    /// What the policy said.
    pub live_said: String,
    /// What the candidate says.
    pub candidate_said: String,
    /// How long the access was to last, in seconds.
    pub live_seconds: Option<u64>,
    /// How long it would last.
    pub candidate_seconds: Option<u64>,
    /// What became of the request, where the candidate would let somebody in.
    pub became: Option<Became>,
}

/// What became of a request in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Became {
    /// Its state today.
    pub state: String,
    /// When it was approved; none where it never was.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub approved_at: Option<Timestamp>,
    /// Who had approved by then.
    pub approvers: Vec<String>,
}

/// One page of a backtest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct BacktestPage {
    /// How many decisions were looked at.
    pub decisions: u64,
    /// How often the candidate was asked.
    pub evaluations: u64,
    /// Live outcome against the candidate's.
    pub table: Vec<Cell>,
    /// How many have the same outcome and another answer: it waits for other people, or
    /// says something else.
    pub other_answers: u64,
    /// How many were recorded without a fact that the candidate asks for: to it, that one is
    /// not known.
    pub without_facts: u64,
    /// Every decision that would be another.
    pub flips: Vec<Flip>,
    /// Decisions without a record.
    pub gaps: Vec<Gap>,
    /// The `after` of the next page; none on the last.
    pub next: Option<u64>,
}

impl Lifecycle {
    /// A page of the decisions in `slice`, each with the candidate in the `place` of a
    /// policy.
    pub async fn backtest_page(
        &self,
        candidate: Digest,
        place: Place,
        slice: Slice,
    ) -> Result<BacktestPage, Error> {
        let page = move |inner: &Inner| {
            let kept = inner.compiled(&candidate)?;
            let not_found = || Error::NotFound { what: "candidate", name: candidate.short() };
            inner.backtest_page(&kept.ok_or_else(not_found)?, &place, &slice)
        };
        self.0.take_turn(page).await
    }
}

/// What one decision came to.
enum Seen {
    Gap,
    /// The policy took no part after all.
    Elsewhere,
    Outlook {
        outlook: Outlook,
        evaluations: u64,
        without_facts: bool,
        flip: Option<Box<Flip>>,
    },
}

impl Inner {
    pub(super) fn backtest_page(
        &self,
        kept: &Arc<Kept>,
        place: &Place,
        slice: &Slice,
    ) -> Result<BacktestPage, Error> {
        let config = &self.config;
        let bounds = Bounds {
            ceiling_seconds: config.ceiling_seconds,
            resource_seconds: None,
            command_window_seconds: config.command_window_seconds,
        };
        let bounds = &bounds;
        let mut page = BacktestPage::default();
        let mut table: BTreeMap<(Kind, Kind, Change), u64> = BTreeMap::new();
        let next = self.walk(
            slice,
            || {
                let mut series = kept.policy.series();
                move |point: &Point, bytes: Option<&[u8]>| {
                    seen(kept, &mut series, place, bounds, point, bytes)
                }
            },
            |point, seen| match seen {
                Seen::Gap => {
                    page.gaps.push(Gap::at(&point));
                    true
                }
                Seen::Elsewhere => false,
                Seen::Outlook { outlook, evaluations, without_facts, flip } => {
                    page.decisions += 1;
                    page.without_facts += u64::from(without_facts);
                    page.evaluations += evaluations;
                    *table.entry((outlook.live, outlook.candidate, outlook.change)).or_default() += 1;
                    page.other_answers += u64::from(outlook.change == Change::Same && !outlook.same_answer);
                    let told = flip.is_some();
                    page.flips.extend(flip.map(|flip| *flip));
                    told
                }
            },
        )?;
        for flip in page.flips.iter_mut().filter(|flip| flip.change == "lets-in") {
            flip.became = self.became(&flip.request)?;
        }
        let cell = |((live, candidate, change), count): ((Kind, Kind, Change), u64)| Cell {
            live: live.as_str().to_owned(),
            candidate: candidate.as_str().to_owned(),
            change: change.as_str().to_owned(),
            count,
        };
        page.table = table.into_iter().map(cell).collect();
        page.next = next;
        Ok(page)
    }

    pub(super) fn became(&self, id: &str) -> Result<Option<Became>, Error> {
        let id: RequestId = id.parse().map_err(anyhow::Error::new)?;
        let Some(request) = self.ledger.request(&id)? else { return Ok(None) };
        let approved = match &request.state {
            State::Approved { approval, grant }
            | State::Revoked { approval, grant, .. }
            | State::Expired { approval, grant } => Some((approval, Some(grant.from))),
            State::Executed { approval, .. } => Some((approval, None)),
            _ => None,
        };
        // A command that ran keeps no grant: its last decision approved it.
        let last = request.decision.as_ref().and(request.votes.last()).map(|vote| vote.cast_at);
        Ok(Some(Became {
            state: request.state.name().to_owned(),
            approved_at: approved.and_then(|(_, at)| at.or(last)),
            approvers: approved
                .map(|(approval, _)| approval.approvers.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
        }))
    }
}

fn seen(
    kept: &Kept,
    series: &mut Series,
    place: &Place,
    bounds: &Bounds,
    point: &Point,
    bytes: Option<&[u8]>,
) -> Seen {
    let record = bytes.and_then(|bytes| Record::from_json(bytes).ok());
    let Some(mut record) = record else { return Seen::Gap };
    let without_facts = add_facts(&mut record.input, &kept.policy.evidence().facts);
    let mut evaluations = 0;
    let try_it = |config: &str, input: &Input| {
        if let Some(why) = kept.refuses(config) {
            return Tried::ConfigRefused(why);
        }
        evaluations += 1;
        Tried::Answered(ask(|| series.evaluate(config, input)).verdict.into())
    };
    let outlook = backtest::outlook(&mut record, place, bounds, try_it);
    let Some(outlook) = outlook else { return Seen::Elsewhere };
    let Input { request: asked, votes, .. } = record.input;
    let flip = (outlook.change != Change::Same).then(|| {
        let approvers = votes.iter().filter(|vote| vote.choice == Choice::Approve);
        Box::new(Flip {
            seq: point.seq,
            at: point.at,
            request: asked.id.to_string(),
            requester: asked.requester.id.to_string(),
            resource: asked.target.name.to_string(),
            reason: asked.reason,
            approvers: approvers.map(|vote| vote.voter.id.to_string()).collect(),
            votes: votes.len(),
            change: outlook.change.as_str().to_owned(),
            live: outlook.live.as_str().to_owned(),
            candidate: outlook.candidate.as_str().to_owned(),
            live_said: outlook.live_said.clone(),
            candidate_said: outlook.candidate_said.clone(),
            live_seconds: outlook.live_seconds,
            candidate_seconds: outlook.candidate_seconds,
            became: None,
        })
    });
    Seen::Outlook { outlook, evaluations, without_facts, flip }
}

/// Adds what nobody found out at the time as not known; says whether there was any. What is
/// so today says nothing of what was so then.
fn add_facts(input: &mut Input, wanted: &[String]) -> bool {
    let before = input.facts.len();
    for name in wanted {
        if input.facts.iter().all(|fact| fact.name != *name) {
            input.facts.push(Fact { name: name.clone(), known: None, as_of: input.now });
        }
    }
    input.facts.len() > before
}
