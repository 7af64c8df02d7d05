//! `quorate policy build`: from a project's folder to a component that a gateway takes.
//!
//! | file | is |
//! |---|---|
//! | `rust`, `javascript`, `python` | a project's manifest, and its compiler |
//! | `tool` | running a compiler: its environment, its output, progress |
//!
//! Not here: running the vectors; that is `quorate policy test`.

pub(in crate::cli) mod javascript;
pub(in crate::cli) mod python;
mod rust;
mod tool;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use quorate_componentize::Metadata;
use quorate_kit::vectors::File;
use quorate_policy::{LoadError, Policy};
use serde_json::{Value, json};

use super::new::Language;
use super::{component, runtime};
use crate::cli::Context;
use crate::cli::exit::{Ending, Exit, Failure};
use crate::cli::words;
use tool::Steps;

/// Compile a project to a component, and check it as a gateway would
#[derive(Debug, Args)]
#[command(after_help = "\
The language is told by the manifest: Cargo.toml (Rust), package.json (JavaScript), pyproject.toml
(Python). Name, version, description, licence and source in it become part of the component, and so
do the vector files in vectors/.

Examples:
  quorate policy build                          # this folder: makes NAME.wasm in it
  quorate policy build ~/policies/night-shift --out night-shift.wasm
  quorate policy build --json | jq -r .digest

Exit codes: 0 built, 1 its own vectors fail, 2 it does not compile, or a gateway would refuse it.")]
pub(in crate::cli) struct Build {
    /// The project's folder
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
    /// The component to write [default: NAME.wasm in the project's folder]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where cargo keeps what it has compiled (Rust only) [default: target in the project's folder]
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
}

/// What a project's manifest says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::cli) struct About {
    pub(in crate::cli) name: String,
    version: String,
    description: String,
    licenses: String,
    source: String,
    /// The file that the compiler begins with, where the manifest names it.
    entry: Option<String>,
}

/// A component as a project's compiler made it, described, and not checked yet.
pub(in crate::cli) struct Compiled {
    /// What the project says about it.
    pub(in crate::cli) about: About,
    /// What it is written in.
    pub(in crate::cli) language: Language,
    /// Its bytes.
    pub(in crate::cli) component: Vec<u8>,
    /// The project's vector files, by name.
    pub(in crate::cli) vectors: Vec<(String, String)>,
}

impl Build {
    /// Runs the verb.
    pub(in crate::cli) async fn run(self, context: &Context) -> Ending {
        let started = Instant::now();
        let (built, policy) = build(context, &self.folder, self.target_dir.as_deref()).await?;
        let file = self.out.unwrap_or_else(|| match file_name(&built.about.name) {
            name if self.folder == Path::new(".") => PathBuf::from(name),
            name => self.folder.join(name),
        });
        write(&file, &built.component)?;
        let took = started.elapsed();
        let digest = policy.digest();
        let value = json!({
            "file": file, "bytes": built.component.len(), "digest": digest,
            "name": built.about.name, "version": built.about.version, "language": built.language.name(),
            "vector_files": built.vectors.len(), "seconds": (took.as_secs_f64() * 10.0).round() / 10.0,
        });
        context.screen.result(&value, || {
            let vectors = match built.vectors.len() {
                0 => "none: put requests and expectations into vectors/*.yaml".to_owned(),
                1 => "1 file".to_owned(),
                many => format!("{many} files"),
            };
            words::facts(&[
                ("file", words::clean(&file.display().to_string())),
                ("policy", words::clean(format!("{} {}", built.about.name, built.about.version).trim())),
                ("size", format!("{} bytes", words::grouped(built.component.len() as u64))),
                ("digest", digest.to_string()),
                ("vectors", vectors),
                ("contract", "quorate:policy@1.0.0: it keeps to it, compiles and starts".to_owned()),
                ("took", format!("{:.1} s, from {}", took.as_secs_f64(), built.language.name())),
            ])
        })
    }
}

/// Compiles the project in `folder` and puts the component, with its vectors, through the
/// gateway's checks.
pub(in crate::cli) async fn build(
    context: &Context,
    folder: &Path,
    target: Option<&Path>,
) -> Result<(Compiled, Policy), Failure> {
    let steps = Steps::start(context);
    let compiled = compiled(folder, target, true, &steps).await?;
    steps.step("checking it as a gateway would");
    let component = compiled.component.clone();
    let policy = tokio::task::spawn_blocking(move || check(&component)).await;
    let policy = policy.map_err(|error| Failure::failed(error.to_string()))??;
    Ok((compiled, policy))
}

/// Compiles the project in `folder` to a component without its vectors, so that they can be
/// tried one by one.
pub(in crate::cli) async fn compile(context: &Context, folder: &Path) -> Result<Compiled, Failure> {
    compiled(folder, None, false, &Steps::start(context)).await
}

async fn compiled(
    folder: &Path,
    target: Option<&Path>,
    with_vectors: bool,
    steps: &Steps<'_>,
) -> Result<Compiled, Failure> {
    let language = language(folder)?;
    let folder = &fs::canonicalize(folder)
        .map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", folder.display())))?;
    let vectors = vectors(folder)?;
    component::documents(&vectors, File::parse_strictly)?;
    let (about, compiled) = match language {
        Language::Rust => rust::compile(folder, target, steps).await?,
        Language::JavaScript => javascript::compile(folder, steps).await?,
        Language::Python => python::compile(folder, steps).await?,
    };
    let texts = vectors.iter().filter(|_| with_vectors).map(|(_, text)| text);
    let metadata = Metadata {
        name: &about.name,
        version: &about.version,
        description: &about.description,
        licenses: &about.licenses,
        source: &about.source,
        vectors: &quorate_componentize::join_vectors(texts),
    };
    let component = match language {
        Language::Rust => quorate_componentize::encode(&compiled, &metadata),
        Language::JavaScript | Language::Python => quorate_componentize::describe(&compiled, &metadata),
    };
    let component = component.map_err(|error| Failure::usage(format!("it is no component: {error:#}")))?;
    Ok(Compiled { about, language, component, vectors })
}

fn check(component: &[u8]) -> Result<Policy, Failure> {
    runtime()?.load(component).map_err(|error| {
        let problem = json!({"type": format!("/problems/{}", error.code())});
        let (exit, help) = match error {
            LoadError::VectorsFail(_) => (Exit::NotHeld, "; `quorate policy test` tells it as a story"),
            _ => (Exit::Usage, ""),
        };
        let message = format!("a gateway would refuse it: {error}{help}");
        Failure { problem: Some(problem), ..Failure::new(exit, message) }
    })
}

/// Which language the project in `folder` is written in, by its manifest.
fn language(folder: &Path) -> Result<Language, Failure> {
    let manifests = [
        ("Cargo.toml", Language::Rust),
        ("package.json", Language::JavaScript),
        ("pyproject.toml", Language::Python),
    ];
    let found: Vec<_> = manifests.iter().filter(|(manifest, _)| folder.join(manifest).is_file()).collect();
    match found.as_slice() {
        [(_, language)] => Ok(*language),
        [] if !folder.is_dir() => Err(Failure::usage(format!("there is no folder `{}`", folder.display()))),
        [] => Err(Failure::usage(format!(
            "`{}` is no policy project: it has no Cargo.toml, package.json or pyproject.toml; `quorate policy new NAME` makes one",
            folder.display()
        ))),
        several => {
            let names: Vec<&str> = several.iter().map(|(manifest, _)| *manifest).collect();
            Err(Failure::usage(format!(
                "`{}` could be in several languages: it has {}",
                folder.display(),
                names.join(" and ")
            )))
        }
    }
}

/// The project's vector files, in the order of their names.
fn vectors(folder: &Path) -> Result<Vec<(String, String)>, Failure> {
    let unreadable = |path: &Path, error: std::io::Error| {
        Failure::usage(format!("`{}` cannot be read: {error}", path.display()))
    };
    let vectors = folder.join("vectors");
    let entries = match fs::read_dir(&vectors) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(&vectors, error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut paths = paths.map_err(|error| unreadable(&vectors, error))?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml"));
    paths.sort();
    let read = |path: &PathBuf| {
        let name = format!("vectors/{}", path.file_name().unwrap_or_default().to_string_lossy());
        Ok((name, fs::read_to_string(path).map_err(|error| unreadable(path, error))?))
    };
    paths.iter().map(read).collect()
}

/// The component's file: the package's name without its scope, in plain letters.
fn file_name(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = last.chars().map(plain).collect();
    match name.trim_matches('.') {
        "" => "policy.wasm".to_owned(),
        name => format!("{name}.wasm"),
    }
}

/// Writes all of it, or leaves what was there.
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = || {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut unfinished = tempfile::Builder::new();
        // As any file that a program makes, not readable by its owner alone.
        let unfinished = unfinished.prefix(".quorate-build-").permissions(permissions());
        let temporary = unfinished.tempfile_in(folder.unwrap_or_else(|| Path::new(".")))?;
        fs::write(temporary.path(), bytes)?;
        temporary.persist(file).map_err(|error| error.error)?;
        Ok::<(), std::io::Error>(())
    };
    written().map_err(|error| Failure::failed(format!("`{}` cannot be written: {error}", file.display())))
}

fn permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    fs::Permissions::from_mode(0o644)
}

/// What stands under `key`, or nothing.
fn text(manifest: &Value, key: &str) -> String {
    manifest.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
