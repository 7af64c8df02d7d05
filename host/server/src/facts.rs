//! Facts: what policies ask for and the gateway finds out, from sources that the operator
//! configures.
//!
//! A source costs at most its timeout; what it does not answer in time is not known. People
//! who ask for the same at once share one question, and answers are kept for a while.
//!
//! Not here: counts over the ledger, which whoever reads it makes; and who asks for which
//! fact.

mod fetch;
mod settings;
mod template;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::Timestamp;
use quorate_core::request::after;
use tokio::sync::OnceCell;

use self::fetch::Why;
pub use self::settings::{Count, Declared, Http, Of, Outcome, Source, SourceSettings, Surroundings, resolve};
use crate::clock::Clock;
use crate::{outgoing, telemetry};

/// For so many seconds a source that hung is not asked again: people who ask one after the
/// other do not wait for it one after the other.
const REST_SECONDS: u64 = 10;
/// How long a file may take.
const FILE_TIMEOUT: Duration = Duration::from_secs(2);
/// How many answers are kept.
const KEPT_MAX: usize = 10_000;

/// Whom and what a fact is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Who asks.
    pub requester: String,
    /// For what.
    pub resource: String,
    /// In which way.
    pub access_type: String,
}

/// What a source gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// A JSON text, or why there is none.
    pub known: Result<String, String>,
    /// When.
    pub at: Timestamp,
}

/// How a source has done since the gateway was started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// How often it gave a value.
    pub answered: u64,
    /// How often it did not.
    pub failed: u64,
    /// When it last gave one.
    pub answered_at: Option<Timestamp>,
    /// Why it last did not, and when.
    pub error: Option<(String, Timestamp)>,
    rests_until: Option<Timestamp>,
}

/// Answers by fact and address. A cell without one is being asked for.
type Kept = HashMap<(String, String), Arc<OnceCell<Got>>>;

/// The sources of facts.
pub struct Sources {
    declared: Declared,
    clock: Clock,
    http: OnceLock<Result<reqwest::Client, String>>,
    kept: Mutex<Kept>,
    statuses: Mutex<BTreeMap<String, Status>>,
    /// Facts without a source that somebody asked for.
    missing: Mutex<BTreeSet<String>>,
}

impl Sources {
    /// The sources in `declared`.
    pub fn new(declared: Declared, clock: Clock) -> Self {
        Self {
            declared,
            clock,
            http: OnceLock::new(),
            kept: Mutex::default(),
            statuses: Mutex::default(),
            missing: Mutex::default(),
        }
    }

    /// All of them, by the names of their facts.
    pub fn declared(&self) -> &Declared {
        &self.declared
    }

    /// The source of a fact.
    pub fn get(&self, name: &str) -> Option<&Source> {
        self.declared.get(name)
    }

    /// How the source of a fact has done.
    pub fn status(&self, name: &str) -> Status {
        lock(&self.statuses).get(name).cloned().unwrap_or_default()
    }

    /// Says once that a fact has no source.
    pub fn note_missing(&self, name: &str) {
        if lock(&self.missing).insert(name.to_owned()) {
            tracing::warn!(fact = name, "a policy asks for a fact that has no source: it is never known");
        }
    }

    /// A fact as it is known now, from what is kept where that is fresh. None where it comes
    /// from no place outside.
    pub async fn fetch(&self, name: &str, subject: &Subject) -> Option<Got> {
        match self.get(name)? {
            Source::Ledger(_) => None,
            Source::File { .. } => self.ask(name, subject).await,
            Source::Http(http) => {
                let Ok(url) = http.url.render(subject) else { return self.ask(name, subject).await };
                let cell = self.cell(name, url, http.cache_seconds);
                let got = cell.get_or_init(|| async {
                    if let Some(got) = self.resting(name) {
                        return got;
                    }
                    // It is one from outside, so there is an answer.
                    let got = self.ask(name, subject).await;
                    got.unwrap_or_else(|| self.nothing("it has no source"))
                });
                Some(got.await.clone())
            }
        }
    }

    /// Asks the source of a fact, whatever is kept. None where it comes from no place outside.
    pub async fn ask(&self, name: &str, subject: &Subject) -> Option<Got> {
        let began = Instant::now();
        let known = match self.get(name)? {
            Source::Ledger(_) => return None,
            Source::File { path, pointer } => in_time(FILE_TIMEOUT, fetch::file(path, pointer)).await,
            Source::Http(http) => match (self.client(), http.url.render(subject)) {
                (Err(why), _) | (_, Err(why)) => Err(Why::from(why)),
                (Ok(client), Ok(url)) => in_time(http.timeout, fetch::http(client, http, &url)).await,
            },
        };
        let at = self.clock.now();
        self.note(name, &known, at, began.elapsed());
        Some(Got { known: known.map_err(|why| why.text), at })
    }

    fn client(&self) -> Result<&reqwest::Client, String> {
        let https = |source: &Source| matches!(source, Source::Http(http) if http.url.is_https());
        let made = self.http.get_or_init(|| outgoing::client(self.declared.values().any(https)));
        made.as_ref().map_err(Clone::clone)
    }

    /// The cell of an answer that is fresh or on its way, or an empty one.
    fn cell(&self, name: &str, url: String, cache_seconds: u64) -> Arc<OnceCell<Got>> {
        let now = self.clock.now();
        let is_good = |cell: &OnceCell<Got>| match cell.get() {
            None => true,
            Some(got) => got.known.is_ok() && now < after(got.at, cache_seconds),
        };
        let mut kept = lock(&self.kept);
        if kept.len() >= KEPT_MAX {
            // Whoever waits for one that is on its way keeps it.
            kept.clear();
        }
        let cell = kept.entry((name.to_owned(), url)).or_default();
        if !is_good(cell) {
            *cell = Arc::default();
        }
        Arc::clone(cell)
    }

    fn resting(&self, name: &str) -> Option<Got> {
        let until = self.status(name).rests_until?;
        (self.clock.now() < until).then(|| self.nothing("it did not answer a moment ago"))
    }

    fn nothing(&self, why: &str) -> Got {
        Got { known: Err(why.to_owned()), at: self.clock.now() }
    }

    fn note(&self, name: &str, known: &Result<String, Why>, at: Timestamp, took: Duration) {
        telemetry::fact(name, known.is_ok());
        let ms = took.as_millis();
        let mut statuses = lock(&self.statuses);
        let status = statuses.entry(name.to_owned()).or_default();
        match known {
            Ok(_) => {
                status.answered += 1;
                status.answered_at = Some(at);
                status.rests_until = None;
                tracing::debug!(fact = name, ms, "a fact was found out");
            }
            Err(why) => {
                status.failed += 1;
                status.error = Some((why.text.clone(), at));
                status.rests_until = why.hung.then(|| after(at, REST_SECONDS));
                tracing::warn!(fact = name, ms, why = why.text, "a fact could not be had");
            }
        }
    }
}

impl Source {
    /// What it is, in a few words, without secrets.
    pub fn shown(&self) -> String {
        match self {
            Self::Http(http) => http.url.without_query(),
            Self::File { path, .. } => path.display().to_string(),
            Self::Ledger(count) => {
                let Count { outcome, of, window_seconds } = count;
                let window = quorate_core::duration::AccessDuration::from_seconds(*window_seconds);
                format!("requests {outcome:?}, of {of:?}, in {window}").to_lowercase()
            }
        }
    }

    /// `http`, `file` or `ledger`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::File { .. } => "file",
            Self::Ledger(_) => "ledger",
        }
    }
}

async fn in_time(timeout: Duration, work: impl Future<Output = Result<String, Why>>) -> Result<String, Why> {
    let late = || Why { text: format!("it did not answer within {}s", timeout.as_secs()), hung: true };
    tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| Err(late()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
