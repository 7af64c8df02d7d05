//! Replay: recorded decisions made again, each by the very versions that made them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use quorate_core::Timestamp;
use quorate_core::decision::{Decision, Opinion, Record};
use quorate_core::ids::{Digest, RequestId};
use quorate_core::input::Input;
use quorate_core::replay::{self, Part, Replayed};
use quorate_policy::Evaluation;
use serde::Serialize;
use utoipa::ToSchema;

use super::compiled::Kept;
use super::walk::Slice;
use super::{Error, Inner, Lifecycle};
use crate::ledger::{History, Point, PointFilter};

/// How often a policy is asked again that a busy machine kept from answering.
const TRIES: u32 = 3;

/// One thing that is not as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DifferenceView {
    /// What: `outcome`, `max-duration`, `voters`, `forcers`, `revisit-at`, `findings`,
    /// `obligations`, `attributes`, `fuel`; of a whole decision `decision`, `record`.
    pub part: String,
    /// As it was recorded.
    #[schema(value_type = Object)]
    pub recorded: serde_json::Value,
    /// As it is now.
    #[schema(value_type = Object)]
    pub replayed: serde_json::Value,
}

/// What came of asking one policy again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OpinionReplay {
    /// Under which rule.
    pub rule: String,
    /// Which policy.
    pub policy: String,
    /// The digest of the version that answered.
    pub version: Option<String>,
    /// `same`, `differs`, `not-compared`, or `missing` where its component is gone.
    pub result: String,
    /// Where it differs.
    pub differences: Vec<DifferenceView>,
    /// Why it was not compared.
    pub why: Option<String>,
    /// What was said, in words.
    pub said: String,
    /// How much fuel it used then.
    pub fuel_recorded: u64,
    /// How much it used now; none where it was not asked.
    pub fuel_replayed: Option<u64>,
}

/// One decision, made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DecisionReplay {
    /// The number of its entry; none where the record was asked for by its digest.
    pub seq: Option<u64>,
    /// About which request.
    pub request: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The digest of its record.
    pub record: String,
    /// The gravest of its policies': `differs`, `missing`, `not-compared` or `same`.
    pub result: String,
    /// Whether it ran under the engine of this gateway: if not, fuel is not compared.
    pub same_engine: bool,
    /// What is wrong with the decision as a whole.
    pub differences: Vec<DifferenceView>,
    /// Its policies, in the order they were asked.
    pub opinions: Vec<OpinionReplay>,
}

/// A decision whose record is not there any more, or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Gap {
    /// The number of its entry.
    pub seq: u64,
    /// About which request.
    pub request: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The digest of its record.
    pub record: String,
}

/// One page of decisions made again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplayPage {
    /// How many decisions were made again.
    pub decisions: u64,
    /// How often a policy was asked again.
    pub evaluations: u64,
    /// How many decisions are the same in every part.
    pub same: u64,
    /// How many ran under another engine, so that fuel was not compared.
    pub other_engine: u64,
    /// Those that differ, or could not be compared in every part.
    pub listed: Vec<DecisionReplay>,
    /// Those without a record.
    pub gaps: Vec<Gap>,
    /// The `after` of the next page; none on the last.
    pub next: Option<u64>,
}

impl Gap {
    pub(super) fn at(point: &Point) -> Self {
        let Point { seq, request, at, record, .. } = point;
        Self { seq: *seq, request: request.to_string(), at: *at, record: record.to_string() }
    }
}

impl Lifecycle {
    /// How many decisions `filter` leaves, and how many of them have no record.
    pub async fn history(&self, filter: PointFilter) -> Result<History, Error> {
        self.0.take_turn(move |inner| Ok(inner.ledger.history_of_decisions(&filter)?)).await
    }

    /// Makes one recorded decision again.
    pub async fn replay(&self, digest: Digest) -> Result<DecisionReplay, Error> {
        let not_found = move || Error::NotFound { what: "decision", name: digest.short() };
        let replay = move |inner: &Inner| {
            let bytes = inner.ledger.blob(&digest)?.ok_or_else(not_found)?;
            // Components are kept in the same place.
            let record: Record = serde_json::from_slice(&bytes).map_err(|_| not_found())?;
            let request = record.input.request.id.clone();
            let versions = inner.versions_of([&record])?;
            Ok(inner.replay_record(&record, &bytes, digest, None, &request, &versions))
        };
        self.0.take_turn(replay).await
    }

    /// Makes a page of recorded decisions again.
    pub async fn replay_page(&self, slice: Slice) -> Result<ReplayPage, Error> {
        self.0.take_turn(move |inner| inner.replay_page(&slice)).await
    }
}

/// The versions that take part, none where a component is gone.
type Versions = BTreeMap<Digest, Option<Arc<Kept>>>;

impl Inner {
    fn replay_page(&self, slice: &Slice) -> Result<ReplayPage, Error> {
        let mut page = ReplayPage::default();
        let look = |point: &Point, bytes: Option<&[u8]>| {
            let bytes = bytes?;
            let record: Record = serde_json::from_slice(bytes).ok()?;
            Some(self.versions_of([&record]).map(|versions| {
                self.replay_record(&record, bytes, point.record, Some(point), &point.request, &versions)
            }))
        };
        let mut failed = None;
        let next = self.walk(slice, look, |point, seen| match seen {
            None => {
                page.gaps.push(Gap::at(&point));
                true
            }
            Some(Err(error)) => {
                failed.get_or_insert(error);
                true
            }
            Some(Ok(replay)) => page.count(replay),
        })?;
        page.next = next;
        failed.map_or(Ok(page), Err)
    }

    fn versions_of<'a>(&self, records: impl IntoIterator<Item = &'a Record>) -> Result<Versions, Error> {
        let mut versions = Versions::new();
        let rules = records.into_iter().flat_map(|record| &record.rules);
        for digest in rules.flat_map(|rule| &rule.opinions).filter_map(|opinion| opinion.version) {
            let Entry::Vacant(vacant) = versions.entry(digest) else { continue };
            vacant.insert(match self.compiled(&digest) {
                // That it no longer loads is no reason not to look at the others.
                Err(Error::Load(_)) => None,
                found => found?,
            });
        }
        Ok(versions)
    }

    fn replay_record(
        &self,
        record: &Record,
        bytes: &[u8],
        digest: Digest,
        point: Option<&Point>,
        request: &RequestId,
        versions: &Versions,
    ) -> DecisionReplay {
        let same_engine = record.engine == self.runtime.fingerprint();
        let mut opinions = Vec::new();
        for rule in &record.rules {
            for opinion in &rule.opinions {
                let kept = opinion.version.and_then(|version| versions.get(&version)?.as_deref());
                opinions.push(replay_opinion(rule.rule.as_str(), opinion, &record.input, kept, same_engine));
            }
        }
        let mut differences = Vec::new();
        let found = Digest::of(bytes);
        if found != digest {
            differences.push(DifferenceView {
                part: Part::Record.as_str().to_owned(),
                recorded: digest.to_string().into(),
                replayed: found.to_string().into(),
            });
        }
        // Without rules it was standing access, or nothing covered it: no policy decided.
        if let Some(point) = point.filter(|_| !record.rules.is_empty()) {
            let found = replay::contradiction(&point.outcome, &Decision::combine(&record.rules));
            differences.extend(found.map(DifferenceView::from));
        }
        let any = |result: &str| opinions.iter().any(|opinion| opinion.result == result);
        let result = match () {
            () if !differences.is_empty() || any("differs") => "differs",
            () if any("missing") => "missing",
            () if any("not-compared") => "not-compared",
            () => "same",
        };
        DecisionReplay {
            seq: point.map(|point| point.seq),
            request: request.to_string(),
            at: record.input.now,
            record: digest.to_string(),
            result: result.to_owned(),
            same_engine,
            differences,
            opinions,
        }
    }
}

fn replay_opinion(
    rule: &str,
    opinion: &Opinion,
    input: &Input,
    kept: Option<&Kept>,
    same_engine: bool,
) -> OpinionReplay {
    let mut fuel_replayed = None;
    let is_gone = kept.is_none() && replay::cannot_be_asked(opinion).is_none();
    let replayed = match (replay::cannot_be_asked(opinion), kept) {
        (Some(why), _) => Replayed::NotCompared(why),
        (None, None) => {
            Replayed::NotCompared("its component is not there any more, or does not load".to_owned())
        }
        (None, Some(kept)) => {
            let Evaluation { verdict, fuel_used, .. } = ask(&kept.policy, &opinion.config, input);
            fuel_replayed = Some(fuel_used);
            replay::compare(opinion, &verdict.into(), fuel_used, same_engine)
        }
    };
    let (result, differences, why) = match replayed {
        Replayed::NotCompared(why) if is_gone => ("missing", Vec::new(), Some(why)),
        Replayed::Same => ("same", Vec::new(), None),
        Replayed::Differs(found) => ("differs", found, None),
        Replayed::NotCompared(why) => ("not-compared", Vec::new(), Some(why)),
    };
    OpinionReplay {
        rule: rule.to_owned(),
        policy: opinion.policy.to_string(),
        version: opinion.version.map(|digest| digest.to_string()),
        result: result.to_owned(),
        differences: differences.into_iter().map(DifferenceView::from).collect(),
        why,
        said: opinion.answer.words(),
        fuel_recorded: opinion.fuel_used,
        fuel_replayed,
    }
}

/// Asks a policy; again where only a busy machine kept it from answering.
pub(super) fn ask(policy: &quorate_policy::Policy, config: &str, input: &Input) -> Evaluation {
    let mut evaluation = policy.evaluate(config, input);
    for _ in 1..TRIES {
        if !matches!(&evaluation.verdict, Err(fault) if fault.code.may_pass()) {
            break;
        }
        evaluation = policy.evaluate(config, input);
    }
    evaluation
}

impl From<replay::Difference> for DifferenceView {
    fn from(found: replay::Difference) -> Self {
        let replay::Difference { part, recorded, replayed } = found;
        Self { part: part.as_str().to_owned(), recorded, replayed }
    }
}

impl ReplayPage {
    /// Adds a decision; says whether it has to be told.
    fn count(&mut self, replay: DecisionReplay) -> bool {
        self.decisions += 1;
        self.evaluations += replay.opinions.iter().filter(|one| one.fuel_replayed.is_some()).count() as u64;
        self.other_engine += u64::from(!replay.same_engine);
        if replay.result == "same" {
            self.same += 1;
            return false;
        }
        self.listed.push(replay);
        true
    }
}
