//! Sources as they are written in the gateway's settings, checked once, at the start.
//!
//! Unknown keys are refused. Secrets come from the environment or a file, never from the
//! settings themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_core::text::shown;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::template::Template;
use crate::agent::Secret;

/// The longest that a source may take, in seconds.
const TIMEOUT_SECONDS_MAX: u64 = 10;
/// The longest that an answer may be kept, in seconds.
const CACHE_SECONDS_MAX: u64 = 3600;
/// The longest window over the ledger, in seconds.
const WINDOW_SECONDS_MAX: u64 = 366 * 24 * 3600;
/// The longest name of a fact.
const NAME_BYTES_MAX: usize = 100;

/// What finds out each fact, by its name.
pub type Declared = BTreeMap<String, Source>;

/// Where a fact comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A GET that answers with JSON.
    Http(Http),
    /// A file of JSON, read each time.
    File {
        /// Which.
        path: PathBuf,
        /// What in it; empty: all of it.
        pointer: String,
    },
    /// A number of requests in the gateway's own ledger.
    Ledger(Count),
}

/// A GET that answers with JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    pub(super) url: Template,
    pub(super) headers: Vec<(String, Secret)>,
    pub(super) timeout: Duration,
    pub(super) cache_seconds: u64,
    pub(super) pointer: String,
}

/// Which requests are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Those that came to this.
    pub outcome: Outcome,
    /// Whose, or for what.
    pub of: Of,
    /// Those submitted in the last so many seconds.
    pub window_seconds: u64,
}

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Anything: it was submitted.
    Submitted,
    /// It waits.
    Pending,
    /// It was approved, whatever became of it.
    Approved,
    /// It was rejected.
    Rejected,
    /// It was withdrawn.
    Cancelled,
    /// Nobody answered in time.
    TimedOut,
    /// It was approved, and taken away.
    Revoked,
}

/// Whose requests, or for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// Of the one who asks, for anything.
    Requester,
    /// Of anybody, for what is asked for.
    Resource,
    /// Of the one who asks, for what is asked for.
    Both,
}

/// One source, as it is written: exactly one of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    http: Option<HttpSettings>,
    file: Option<FileSettings>,
    ledger: Option<LedgerSettings>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpSettings {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, SecretSettings>,
    timeout: Option<String>,
    cache: Option<String>,
    #[serde(default)]
    pointer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretSettings {
    env: Option<String>,
    file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSettings {
    path: PathBuf,
    #[serde(default)]
    pointer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerSettings {
    count: Outcome,
    of: Of,
    window: String,
}

/// From where the settings were read.
pub struct Surroundings<'a> {
    /// The folder that paths begin in.
    pub folder: &'a Path,
    /// The value of a variable of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// All sources, or what is wrong with the first that is.
pub fn resolve(
    settings: BTreeMap<String, SourceSettings>,
    around: &Surroundings<'_>,
) -> Result<Declared, String> {
    let one = |(name, settings): (String, SourceSettings)| {
        let why = |why: String| format!("facts: `{}`: {why}", shown(&name, NAME_BYTES_MAX));
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(why(format!("a name has 1 to {NAME_BYTES_MAX} visible characters")));
        }
        let source = source(settings, around).map_err(why)?;
        Ok((name, source))
    };
    settings.into_iter().map(one).collect()
}

fn source(settings: SourceSettings, around: &Surroundings<'_>) -> Result<Source, String> {
    match settings {
        SourceSettings { http: Some(http), file: None, ledger: None } => {
            Ok(Source::Http(self::http(http, around)?))
        }
        SourceSettings { http: None, file: Some(file), ledger: None } => {
            Ok(Source::File { path: around.folder.join(file.path), pointer: pointer(file.pointer)? })
        }
        SourceSettings { http: None, file: None, ledger: Some(ledger) } => Ok(Source::Ledger(Count {
            outcome: ledger.count,
            of: ledger.of,
            window_seconds: seconds("window", &ledger.window, 1, WINDOW_SECONDS_MAX)?,
        })),
        _ => Err("give exactly one of http, file and ledger".to_owned()),
    }
}

fn http(settings: HttpSettings, around: &Surroundings<'_>) -> Result<Http, String> {
    let mut headers = Vec::new();
    for (name, from) in settings.headers {
        let value = secret(&name, &from, around)?;
        let bad = HeaderName::from_bytes(name.as_bytes()).is_err();
        // The value is not shown.
        if bad || HeaderValue::from_str(value.expose()).is_err() {
            return Err(format!("header `{}` cannot be sent", shown(&name, 40)));
        }
        headers.push((name, value));
    }
    let timeout = settings.timeout.as_deref().unwrap_or("2s");
    let cache = settings.cache.as_deref().unwrap_or("10s");
    Ok(Http {
        url: Template::parse(&settings.url)?,
        headers,
        timeout: Duration::from_secs(seconds("timeout", timeout, 1, TIMEOUT_SECONDS_MAX)?),
        cache_seconds: seconds("cache", cache, 0, CACHE_SECONDS_MAX)?,
        pointer: pointer(settings.pointer)?,
    })
}

fn secret(name: &str, from: &SecretSettings, around: &Surroundings<'_>) -> Result<Secret, String> {
    match (&from.env, &from.file) {
        (Some(variable), None) => (around.variable)(variable).map(Secret::new).ok_or_else(|| {
            format!("header `{}`: the variable {} is not set", shown(name, 40), shown(variable, 40))
        }),
        (None, Some(path)) => {
            let path = around.folder.join(path);
            let text = std::fs::read_to_string(&path).map_err(|error| {
                format!("header `{}`: {} cannot be read: {error}", shown(name, 40), path.display())
            })?;
            Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
        }
        _ => Err(format!("header `{}`: give its value as {{env: NAME}} or {{file: PATH}}", shown(name, 40))),
    }
}

fn pointer(text: String) -> Result<String, String> {
    if text.is_empty() || text.starts_with('/') {
        return Ok(text);
    }
    Err(format!("pointer `{}` does not start with a slash, as in /data/0/name", shown(&text, 40)))
}

/// `2s`, `5m`, `12h` or `7d`.
fn seconds(what: &str, text: &str, min: u64, max: u64) -> Result<u64, String> {
    let unit = [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600)];
    let parsed = unit.into_iter().find_map(|(unit, seconds)| {
        let digits = text.strip_suffix(unit)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(seconds)
    });
    parsed.filter(|seconds| (min..=max).contains(seconds)).ok_or_else(|| {
        format!("{what} `{}`: write it as in 2s, 5m, 12h or 7d, from {min}s to {max}s", shown(text, 40))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Declared, String> {
        let settings = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let variable = |name: &str| (name == "TOKEN").then(|| "Bearer hunter2".to_owned());
        resolve(settings, &Surroundings { folder: Path::new("/etc/quorate"), variable: &variable })
    }

    #[test]
    fn all_three_kinds_are_read_and_secrets_do_not_print() {
        let declared = read(
            "on-call:\n  http:\n    url: https://h/{resource}?user={requester}\n    headers:\n      \
             Authorization: {env: TOKEN}\n    timeout: 3s\n    cache: 1m\n    pointer: /a/b\n\
             frozen: {file: {path: freeze.json}}\n\
             approved-this-week: {ledger: {count: approved, of: requester, window: 7d}}\n",
        )
        .unwrap();
        let Source::Http(http) = &declared["on-call"] else { panic!("{declared:?}") };
        assert_eq!((http.timeout.as_secs(), http.cache_seconds), (3, 60));
        assert_eq!(http.headers[0].1.expose(), "Bearer hunter2");
        assert!(!format!("{declared:?}").contains("hunter2"));
        let Source::File { path, .. } = &declared["frozen"] else { panic!("{declared:?}") };
        assert_eq!(path, Path::new("/etc/quorate/freeze.json"));
        let count = Count { outcome: Outcome::Approved, of: Of::Requester, window_seconds: 7 * 24 * 3600 };
        assert_eq!(declared["approved-this-week"], Source::Ledger(count));
    }

    #[test]
    fn what_is_not_right_is_refused_with_its_name_and_what_would_be() {
        for (text, says) in [
            ("a: {}", "exactly one of"),
            ("a: {file: {path: x}, ledger: {count: approved, of: both, window: 1d}}", "exactly one of"),
            ("a: {htpp: {url: 'http://h/'}}", "htpp"),
            ("a: {http: {url: 'http://h/', tiemout: 2s}}", "tiemout"),
            ("a: {http: {url: 'http://h/{user}'}}", "{requester}"),
            ("a: {http: {url: 'http://h/', timeout: 11s}}", "from 1s to 10s"),
            ("a: {http: {url: 'http://h/', timeout: 0s}}", "from 1s to 10s"),
            ("a: {http: {url: 'http://h/', timeout: s}}", "timeout `s`"),
            ("a: {http: {url: 'http://h/', cache: +5s}}", "cache `+5s`"),
            ("a: {http: {url: 'http://h/', pointer: a/b}}", "start with a slash"),
            ("a: {http: {url: 'http://h/', headers: {X: {env: NONE}}}}", "NONE is not set"),
            ("a: {http: {url: 'http://h/', headers: {X: {}}}}", "{env: NAME}"),
            ("a: {http: {url: 'http://h/', headers: {'x y': {env: TOKEN}}}}", "cannot be sent"),
            ("a: {http: {url: 'http://h/', headers: {X: {file: /none/x}}}}", "cannot be read"),
            ("a: {ledger: {count: apprved, of: both, window: 1d}}", "apprved"),
            ("a: {ledger: {count: approved, of: both, window: 999999999999999999d}}", "window"),
            ("'': {file: {path: x}}", "1 to 100"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(says), "{text}: {why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
