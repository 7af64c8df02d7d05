//! Replay: recorded decisions made again, each by the very versions that made them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, PoisonError, RwLock};

use quorate_core::Timestamp;
use quorate_core::decision::{Decision, Opinion, Record};
use quorate_core::ids::{Digest, RuleName};
use quorate_core::input::Input;
use quorate_core::replay::{self, Part, Replayed};
use quorate_policy::{Evaluation, Series};
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
            let record = Record::from_json(&bytes).map_err(|_| not_found())?;
            let versions = Versions::default();
            let made = inner.make_again(&record, &bytes, &digest, None, &mut versions.in_series())?;
            Ok(made.view(&record, &digest, None))
        };
        self.0.take_turn(replay).await
    }

    /// Makes a page of recorded decisions again.
    pub async fn replay_page(&self, slice: Slice) -> Result<ReplayPage, Error> {
        self.0.take_turn(move |inner| inner.replay_page(&slice)).await
    }
}

/// The versions that took part, for as long as one page takes; none where a component
/// is gone or does not load any more.
#[derive(Default)]
struct Versions(RwLock<BTreeMap<Digest, Option<Arc<Kept>>>>);

impl Versions {
    fn in_series(&self) -> InSeries<'_> {
        InSeries { versions: self, series: BTreeMap::new() }
    }

    fn get(&self, inner: &Inner, digest: &Digest) -> Result<Option<Arc<Kept>>, Error> {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(digest) {
            return Ok(known.clone());
        }
        let found = match inner.compiled(digest) {
            // That it no longer loads is no reason not to look at the others.
            Err(Error::Load(_)) => None,
            found => found?,
        };
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(*digest, found.clone());
        Ok(found)
    }
}

/// The versions as one thread asks them.
struct InSeries<'a> {
    versions: &'a Versions,
    series: BTreeMap<Digest, Option<Series>>,
}

impl InSeries<'_> {
    fn get(&mut self, inner: &Inner, digest: &Digest) -> Result<Option<&mut Series>, Error> {
        let series = match self.series.entry(*digest) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let kept = self.versions.get(inner, digest)?;
                new.insert(kept.map(|kept| kept.policy.series()))
            }
        };
        Ok(series.as_mut())
    }
}

/// What asking one policy again came to.
struct Asked<'a> {
    rule: &'a RuleName,
    opinion: &'a Opinion,
    replayed: Replayed,
    is_gone: bool,
    fuel: Option<u64>,
}

/// One decision, made again, before anything of it is written out: most are the same.
struct Made<'a> {
    same_engine: bool,
    differences: Vec<DifferenceView>,
    asked: Vec<Asked<'a>>,
}

/// What a page has to know of one decision.
struct Counted {
    evaluations: u64,
    same_engine: bool,
    listed: Option<Box<DecisionReplay>>,
}

impl Inner {
    fn replay_page(&self, slice: &Slice) -> Result<ReplayPage, Error> {
        let (mut page, versions, mut failed) = (ReplayPage::default(), Versions::default(), None);
        let looker = || {
            let mut versions = versions.in_series();
            move |point: &Point, bytes: Option<&[u8]>| {
                let bytes = bytes?;
                let record = Record::from_json(bytes).ok()?;
                let outcome = Some(point.outcome.as_str());
                let made = self.make_again(&record, bytes, &point.record, outcome, &mut versions);
                Some(made.map(|made| {
                    Counted {
                        evaluations: made.asked.iter().filter(|asked| asked.fuel.is_some()).count() as u64,
                        same_engine: made.same_engine,
                        listed: (!made.is_same())
                            .then(|| Box::new(made.view(&record, &point.record, Some(point.seq)))),
                    }
                }))
            }
        };
        let next = self.walk(slice, looker, |point, seen| match seen {
            None => {
                page.gaps.push(Gap::at(&point));
                true
            }
            Some(Err(error)) => {
                failed.get_or_insert(error);
                true
            }
            Some(Ok(counted)) => page.count(counted),
        })?;
        page.next = next;
        failed.map_or(Ok(page), Err)
    }

    /// Makes a decision again. `entry_says` is what its entry in the ledger says that it
    /// came to.
    fn make_again<'a>(
        &self,
        record: &'a Record,
        bytes: &[u8],
        digest: &Digest,
        entry_says: Option<&str>,
        versions: &mut InSeries<'_>,
    ) -> Result<Made<'a>, Error> {
        let same_engine = record.engine == self.runtime.fingerprint();
        let mut asked = Vec::new();
        for rule in &record.rules {
            for opinion in &rule.opinions {
                let series = match &opinion.version {
                    Some(version) => versions.get(self, version)?,
                    None => None,
                };
                asked.push(ask_again(&rule.rule, opinion, &record.input, series, same_engine));
            }
        }
        let mut differences = Vec::new();
        let found = Digest::of(bytes);
        if found != *digest {
            differences.push(DifferenceView {
                part: Part::Record.as_str().to_owned(),
                recorded: digest.to_string().into(),
                replayed: found.to_string().into(),
            });
        }
        // Without rules it was standing access, or nothing covered it: no policy decided.
        if let Some(said) = entry_says.filter(|_| !record.rules.is_empty()) {
            let found = replay::contradiction(said, &Decision::combine(&record.rules));
            differences.extend(found.map(DifferenceView::from));
        }
        Ok(Made { same_engine, differences, asked })
    }
}

fn ask_again<'a>(
    rule: &'a RuleName,
    opinion: &'a Opinion,
    input: &Input,
    version: Option<&mut Series>,
    same_engine: bool,
) -> Asked<'a> {
    let (mut fuel, mut is_gone) = (None, false);
    let replayed = match (replay::cannot_be_asked(opinion), version) {
        (Some(why), _) => Replayed::NotCompared(why),
        (None, None) => {
            is_gone = true;
            Replayed::NotCompared("its component is not there any more, or does not load".to_owned())
        }
        (None, Some(version)) => {
            let asked = ask(|| version.evaluate(&opinion.config, input));
            let Evaluation { verdict, fuel_used, .. } = asked;
            fuel = Some(fuel_used);
            replay::compare(opinion, &verdict.into(), fuel_used, same_engine)
        }
    };
    Asked { rule, opinion, replayed, is_gone, fuel }
}

impl Asked<'_> {
    fn result(&self) -> &'static str {
        match self.replayed {
            Replayed::Same => "same",
            Replayed::Differs(_) => "differs",
            Replayed::NotCompared(_) if self.is_gone => "missing",
            Replayed::NotCompared(_) => "not-compared",
        }
    }

    fn view(self) -> OpinionReplay {
        let (result, opinion) = (self.result().to_owned(), self.opinion);
        let (differences, why) = match self.replayed {
            Replayed::Same => (Vec::new(), None),
            Replayed::Differs(found) => (found, None),
            Replayed::NotCompared(why) => (Vec::new(), Some(why)),
        };
        OpinionReplay {
            rule: self.rule.to_string(),
            policy: opinion.policy.to_string(),
            version: opinion.version.map(|digest| digest.to_string()),
            result,
            differences: differences.into_iter().map(DifferenceView::from).collect(),
            why,
            said: opinion.answer.words(),
            fuel_recorded: opinion.fuel_used,
            fuel_replayed: self.fuel,
        }
    }
}

impl Made<'_> {
    fn is_same(&self) -> bool {
        self.differences.is_empty() && self.asked.iter().all(|asked| asked.replayed == Replayed::Same)
    }

    fn view(self, record: &Record, digest: &Digest, seq: Option<u64>) -> DecisionReplay {
        let any = |result: &str| self.asked.iter().any(|asked| asked.result() == result);
        let result = match () {
            () if !self.differences.is_empty() || any("differs") => "differs",
            () if any("missing") => "missing",
            () if any("not-compared") => "not-compared",
            () => "same",
        };
        DecisionReplay {
            seq,
            request: record.input.request.id.to_string(),
            at: record.input.now,
            record: digest.to_string(),
            result: result.to_owned(),
            same_engine: self.same_engine,
            differences: self.differences,
            opinions: self.asked.into_iter().map(Asked::view).collect(),
        }
    }
}

/// Asks a policy; again where only a busy machine kept it from answering.
pub(super) fn ask(mut evaluate: impl FnMut() -> Evaluation) -> Evaluation {
    let mut evaluation = evaluate();
    for _ in 1..TRIES {
        if !matches!(&evaluation.verdict, Err(fault) if fault.code.may_pass()) {
            break;
        }
        evaluation = evaluate();
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
    fn count(&mut self, counted: Counted) -> bool {
        self.decisions += 1;
        self.evaluations += counted.evaluations;
        self.other_engine += u64::from(!counted.same_engine);
        self.same += u64::from(counted.listed.is_none());
        let told = counted.listed.is_some();
        self.listed.extend(counted.listed.map(|listed| *listed));
        told
    }
}
