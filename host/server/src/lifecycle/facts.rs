//! Facts on their way to a decision: what comes from outside is found out before the
//! policies are asked, and waits for nobody who writes; what the ledger knows is counted
//! when they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use quorate_core::Timestamp;
use quorate_core::ids::{RequestId, ResourceName, UserId};
use quorate_core::input::Fact;
use quorate_core::request::Request;
use quorate_core::rule::AccessType;
use quorate_policy::ActiveSet;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Error, Inner, Lifecycle, Plan};
use crate::facts::{Count, Of, Outcome, Source, Subject};
use crate::ledger::{Key, Page, RequestFilter};

/// How often facts are found out for one change: more are wanted each time only where
/// policies are replaced meanwhile.
const ROUNDS_MAX: u32 = 8;

/// Facts that are to be found out.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanting {
    names: Vec<String>,
    subject: Subject,
}

/// Facts that were found out for one change.
#[derive(Debug, Clone, Default)]
pub(super) struct Gathered {
    facts: BTreeMap<String, Fact>,
    rounds: u32,
}

impl Gathered {
    /// Nothing that comes from outside is known: for questions about other times than now.
    pub(super) fn nothing(active: &ActiveSet, now: Timestamp) -> Self {
        let names = active.iter().flat_map(|(_, policy)| &policy.evidence().facts);
        let none = names.map(|name| (name.clone(), Fact { name: name.clone(), known: None, as_of: now }));
        Self { facts: none.collect(), rounds: 0 }
    }
}

/// A fact, where it comes from and how that has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FactSource {
    /// Its name.
    pub name: String,
    /// `http`, `file`, `ledger`, or `none`: it is never known.
    pub kind: String,
    /// Which, without secrets and without what is behind the question mark.
    pub source: String,
    /// The active policies that ask for it.
    pub asked_by: Vec<String>,
    /// How often the source gave a value since the gateway was started.
    pub answered: u64,
    /// How often it did not.
    pub failed: u64,
    /// When it last gave one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    /// Why it last did not.
    pub last_error: Option<LastError>,
}

/// Why a source last gave no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LastError {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

/// A fact that was asked for by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FactTried {
    /// Its name.
    pub name: String,
    /// Whether it could be had.
    pub known: bool,
    /// What it is; null where it could not be had.
    #[schema(value_type = Object)]
    pub value: Value,
    /// Why it could not be had.
    pub why: Option<String>,
    /// When that was so.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Lifecycle {
    /// A change that rests on what policies say: planned once without facts from outside,
    /// and again with those that turn out to be wanted.
    pub(super) async fn decide<T, F>(&self, key: Option<Key>, plan: F) -> Result<Option<T>, Error>
    where
        T: Send + 'static,
        F: Fn(&Inner, Timestamp, &Gathered) -> Result<Option<Plan<T>>, Error> + Send + Sync + 'static,
    {
        let plan = Arc::new(plan);
        self.with_facts(|known| {
            let plan = Arc::clone(&plan);
            self.change(key.clone(), move |inner, now| plan(inner, now, &known))
        })
        .await
    }

    /// Does `work` without facts from outside, and again with those that turn out to be wanted.
    pub(super) async fn with_facts<T, F>(&self, work: impl Fn(Arc<Gathered>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut gathered = Arc::new(Gathered::default());
        loop {
            match work(Arc::clone(&gathered)).await {
                Err(Error::Wanting(wanting)) => gathered = self.gather(&gathered, *wanting).await?,
                done => return done,
            }
        }
    }

    /// What was gathered, and what is wanted besides; all of it is asked for at once.
    async fn gather(&self, before: &Gathered, wanting: Wanting) -> Result<Arc<Gathered>, Error> {
        if before.rounds >= ROUNDS_MAX {
            return Err(Error::Busy);
        }
        let Wanting { names, subject } = wanting;
        let sources = &self.0.sources;
        let got = join_all(names.iter().map(|name| sources.fetch(name, &subject))).await;
        let mut gathered = Gathered { rounds: before.rounds + 1, ..before.clone() };
        for (name, got) in names.into_iter().zip(got) {
            let (known, as_of) = match got {
                Some(got) => (got.known.ok(), got.at),
                None => (None, self.now()),
            };
            gathered.facts.insert(name.clone(), Fact { name, known, as_of });
        }
        Ok(Arc::new(gathered))
    }

    /// Every fact that has a source or is asked for by an active policy.
    pub fn fact_sources(&self) -> Vec<FactSource> {
        let (sources, active) = (&self.0.sources, self.0.active.load());
        let mut asked: BTreeMap<&str, Vec<String>> =
            sources.declared().keys().map(|name| (name.as_str(), Vec::new())).collect();
        for (policy, loaded) in active.iter() {
            for name in &loaded.evidence().facts {
                asked.entry(name).or_default().push(policy.to_string());
            }
        }
        let view = |(name, asked_by): (&str, Vec<String>)| {
            let (source, status) = (sources.get(name), sources.status(name));
            FactSource {
                name: name.to_owned(),
                kind: source.map_or("none", Source::kind).to_owned(),
                source: source.map(Source::shown).unwrap_or_default(),
                asked_by,
                answered: status.answered,
                failed: status.failed,
                answered_at: status.answered_at,
                last_error: status.error.map(|(why, at)| LastError { at, why }),
            }
        };
        asked.into_iter().map(view).collect()
    }

    /// Asks the source of a fact now, whatever is kept.
    pub async fn try_fact(
        &self,
        name: &str,
        requester: &UserId,
        resource: &ResourceName,
        access_type: AccessType,
    ) -> Result<FactTried, Error> {
        let inner = &self.0;
        let Some(source) = inner.sources.get(name) else {
            return Err(Error::NotFound { what: "source of a fact", name: name.to_owned() });
        };
        inner.user(requester)?;
        if inner.ledger.resource(resource)?.is_none() {
            return Err(Error::NotFound { what: "resource", name: resource.to_string() });
        }
        let subject = subject(requester, resource, access_type);
        let (began, now) = (Instant::now(), self.now());
        let (known, as_of) = match (source, inner.sources.ask(name, &subject).await) {
            (Source::Ledger(count), _) => {
                let counted = inner.count(count, requester, resource, None, now)?;
                (Ok(counted.to_string()), now)
            }
            (_, Some(got)) => (got.known, got.at),
            (_, None) => (Err("it has no source".to_owned()), now),
        };
        let value = known.as_ref().ok().and_then(|text| serde_json::from_str(text).ok());
        Ok(FactTried {
            name: name.to_owned(),
            known: known.is_ok(),
            value: value.unwrap_or_default(),
            why: known.err(),
            as_of,
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

impl Inner {
    /// The facts of these names, for one request. [`Error::Wanting`] where some have to be
    /// found out first.
    pub(super) fn facts(
        &self,
        request: &Request,
        names: &[&str],
        gathered: &Gathered,
        now: Timestamp,
    ) -> Result<Vec<Fact>, Error> {
        let asked = &request.asked;
        let (mut facts, mut wanted) = (Vec::new(), Vec::new());
        for name in names {
            let fact = |known| Fact { name: (*name).to_owned(), known, as_of: now };
            match self.sources.get(name) {
                None => {
                    self.sources.note_missing(name);
                    facts.push(fact(None));
                }
                Some(Source::Ledger(count)) => {
                    let counted =
                        self.count(count, &asked.requester, &asked.resource, Some(&request.id), now)?;
                    facts.push(fact(Some(counted.to_string())));
                }
                Some(_) => match gathered.facts.get(*name) {
                    Some(fact) => facts.push(fact.clone()),
                    None => wanted.push((*name).to_owned()),
                },
            }
        }
        if wanted.is_empty() {
            return Ok(facts);
        }
        let subject = subject(&asked.requester, &asked.resource, asked.access.access_type());
        Err(Error::Wanting(Box::new(Wanting { names: wanted, subject })))
    }

    /// How many requests there are, without the one that is being decided.
    fn count(
        &self,
        count: &Count,
        requester: &UserId,
        resource: &ResourceName,
        without: Option<&RequestId>,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let back = i64::try_from(count.window_seconds).unwrap_or(i64::MAX);
        let since = now.checked_sub(jiff::SignedDuration::from_secs(back)).unwrap_or(Timestamp::MIN);
        let filter = RequestFilter {
            states: states(count.outcome).iter().map(|state| (*state).to_owned()).collect(),
            requester: (count.of != Of::Resource).then(|| requester.clone()),
            resource: (count.of != Of::Requester).then(|| resource.clone()),
            since: Some(since),
            ..RequestFilter::default()
        };
        let total = self.ledger.find_requests(&filter, Page { after: None, limit: 1 })?.total;
        // It is only there once it has been asked; it waits as long as it is decided.
        let waits = matches!(count.outcome, Outcome::Submitted | Outcome::Pending);
        let this = without.filter(|_| waits).map(|id| self.ledger.request(id)).transpose()?.flatten();
        let counted = this.is_some_and(|this| this.asked.submitted_at >= since);
        Ok(total.saturating_sub(u64::from(counted)))
    }
}

fn subject(requester: &UserId, resource: &ResourceName, access_type: AccessType) -> Subject {
    let (requester, resource) = (requester.to_string(), resource.to_string());
    Subject { requester, resource, access_type: access_type.to_string() }
}

/// The states of requests that came to this; none: any.
fn states(outcome: Outcome) -> &'static [&'static str] {
    match outcome {
        Outcome::Submitted => &[],
        Outcome::Pending => &["PENDING"],
        Outcome::Approved => &["APPROVED", "REVOKED", "EXPIRED", "EXECUTED"],
        Outcome::Rejected => &["REJECTED"],
        Outcome::Cancelled => &["CANCELLED"],
        Outcome::TimedOut => &["TIMED_OUT"],
        Outcome::Revoked => &["REVOKED"],
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::request::STATE_NAMES;

    use super::*;

    #[test]
    fn every_outcome_is_counted_by_states_that_there_are() {
        use Outcome::{Approved, Cancelled, Pending, Rejected, Revoked, TimedOut};
        let all = [Pending, Approved, Rejected, Cancelled, TimedOut, Revoked];
        let mut counted: Vec<&str> = all.into_iter().flat_map(states).copied().collect();
        counted.sort_unstable();
        counted.dedup();
        let mut there = STATE_NAMES.to_vec();
        there.sort_unstable();
        assert_eq!(counted, there);
    }
}
