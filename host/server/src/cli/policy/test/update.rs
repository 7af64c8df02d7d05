//! `quorate policy test --update`: what the policy says now becomes what its vector files
//! expect. A file is replaced whole, after every case in it has passed, or not at all.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use quorate_kit::vectors::File;
use quorate_kit::vectors::update::{Change, Updated, update};
use quorate_policy::vectors::Component;
use serde_json::{Value, json};

use super::component;
use crate::cli::Context;
use crate::cli::exit::{Ending, Failure, NOT_HELD};
use crate::cli::words::{self, Paint};

/// One vector file, and what becomes of it; a sentence where it is left as it is.
struct Report {
    file: String,
    path: PathBuf,
    text: String,
    updated: Result<Updated, String>,
}

pub(super) async fn run(context: &Context, path: &Path, vectors: &[PathBuf]) -> Ending {
    if vectors.is_empty() && path.is_file() {
        return Err(Failure::usage(
            "the vectors inside of a component cannot be changed: give their files with --vectors, \
             or the project's folder",
        ));
    }
    let component = component::of(context, path).await?;
    let files = match vectors {
        [] => component.vectors.into_iter().map(|(name, text)| (path.join(&name), name, text)).collect(),
        some => with_paths(component::vector_files(some)?),
    };
    if files.is_empty() {
        return Err(Failure::usage(format!("`{}` has no vectors: give some with --vectors", path.display())));
    }
    let bytes = component.bytes;
    let reports = tokio::task::spawn_blocking(move || reports(&bytes, files)).await;
    let mut reports = reports.map_err(|error| Failure::failed(error.to_string()))??;
    refuse_in_ci(context, &reports)?;
    let mut broken = None;
    for report in &mut reports {
        if let Err(error) = report.write() {
            let why = format!("it cannot be written: {error}");
            broken = Some(Failure::failed(format!("`{}`: {why}", report.file)));
            report.updated = Err(why);
        }
    }
    context.screen.result(&as_json(&reports), || in_words(&reports, context.screen.out))?;
    match broken {
        Some(failure) => Err(failure),
        None if reports.iter().any(|report| report.updated.is_err()) => Ok(NOT_HELD),
        None => Ok(0),
    }
}

fn with_paths(files: Vec<(String, String)>) -> Vec<(PathBuf, String, String)> {
    files.into_iter().map(|(name, text)| (PathBuf::from(&name), name, text)).collect()
}

/// What becomes of each file. Nothing is written, and nothing is done where one of them is
/// no vector file.
fn reports(component: &[u8], files: Vec<(PathBuf, String, String)>) -> Result<Vec<Report>, Failure> {
    let policy = crate::cli::policy::loaded(component)?;
    for (_, file, text) in &files {
        File::parse_strictly(text).map_err(|error| component::refused(file, error))?;
    }
    let report = |(path, file, text): (PathBuf, String, String)| {
        let updated = update(&text, &mut Component::new(&policy)).map_err(|error| error.to_string());
        Report { file, path, text, updated }
    };
    Ok(files.into_iter().map(report).collect())
}

/// What a policy should say is for people to decide, not for a machine that tests it.
fn refuse_in_ci(context: &Context, reports: &[Report]) -> Result<(), Failure> {
    let is_ci = context.environment.text("CI").is_some_and(|value| !["false", "0"].contains(&value));
    let changed: Vec<String> = reports
        .iter()
        .filter(|report| !report.changes().is_empty())
        .map(|report| report.file.clone())
        .collect();
    if !is_ci || changed.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "`--update` changes nothing where CI is set, and {} would change: update where people read the \
         changes, and commit them",
        words::names(&changed, 3)
    )))
}

impl Report {
    fn changes(&self) -> &[Change] {
        self.updated.as_ref().map(|updated| updated.changes.as_slice()).unwrap_or_default()
    }

    /// Replaces the file, where something in it is to change.
    fn write(&self) -> io::Result<()> {
        let Ok(Updated { text, changes, .. }) = &self.updated else { return Ok(()) };
        if changes.is_empty() {
            return Ok(());
        }
        // Not the link, but what it leads to.
        let path = fs::canonicalize(&self.path)?;
        if fs::read(&path)? != self.text.as_bytes() {
            return Err(io::Error::other("somebody else changed it meanwhile"));
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        let permissions = fs::metadata(&path)?.permissions();
        let mut unfinished = tempfile::Builder::new().prefix(".quorate-update-").tempfile_in(folder)?;
        unfinished.write_all(text.as_bytes())?;
        unfinished.as_file().set_permissions(permissions)?;
        unfinished.as_file().sync_all()?;
        unfinished.persist(&path).map_err(|error| error.error)?;
        Ok(())
    }
}

fn in_words(reports: &[Report], paint: Paint) -> String {
    let mut text = String::new();
    let (mut changed, mut cases, mut refused) = (0, 0, 0);
    for report in reports {
        let _ = writeln!(text, "{}", words::clean(&report.file));
        match &report.updated {
            Err(why) => {
                refused += 1;
                let _ = writeln!(text, "  {} nothing is changed: {}", paint.red("✗"), words::clean(why));
            }
            Ok(updated) if updated.changes.is_empty() => {
                let _ = writeln!(text, "  {} nothing to change", paint.green("✓"));
            }
            Ok(updated) => updated.changes.iter().for_each(|change| {
                let Change { case, line, what, before, after } = change;
                let _ = writeln!(text, "  line {line}, {}", words::clean(case));
                let _ = writeln!(text, "    {}", paint.red(&words::clean(&format!("- {what}: {before}"))));
                let _ = writeln!(text, "    {}", paint.green(&words::clean(&format!("+ {what}: {after}"))));
            }),
        }
        changed += report.changes().len();
        cases += report.updated.as_ref().map_or(0, |updated| updated.tried.len());
    }
    let outcome = match refused {
        0 => paint.green(&format!("{}: all pass", words::count(cases, "case"))),
        refused => paint.red(&format!("{} left as it was", words::count(refused, "file"))),
    };
    let _ = writeln!(text, "{} changed; {outcome}", words::count(changed, "value"));
    text
}

fn as_json(reports: &[Report]) -> Value {
    let change = |one: &Change| {
        json!({
            "case": one.case, "line": one.line, "what": one.what, "before": one.before, "after": one.after,
        })
    };
    let file = |report: &Report| {
        json!({
            "file": report.file, "refused": report.updated.as_ref().err(),
            "cases": report.updated.as_ref().map_or(0, |updated| updated.tried.len()),
            "changes": report.changes().iter().map(change).collect::<Vec<_>>(),
        })
    };
    json!({"files": reports.iter().map(file).collect::<Vec<_>>()})
}
