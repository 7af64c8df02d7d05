//! The component that an author's verb is about, and the vector files that belong to it.

use std::path::{Path, PathBuf};

use quorate_kit::vectors::BadFile;
use quorate_policy::vectors;

use super::build;
use crate::cli::Context;
use crate::cli::exit::Failure;

/// A component and its vector files, by name.
pub(super) struct Component {
    pub(super) bytes: Vec<u8>,
    pub(super) vectors: Vec<(String, String)>,
}

/// The component at `path`: a file, with the vectors that it carries; or the folder of a
/// project, which is built first, with the vectors in it.
pub(super) async fn of(context: &Context, path: &Path) -> Result<Component, Failure> {
    if path.is_dir() {
        let compiled = build::compile(context, path).await?;
        return Ok(Component { bytes: compiled.component, vectors: compiled.vectors });
    }
    let bytes = super::read(path)?;
    let carried = vectors::carried(&bytes).map(|text| (path.display().to_string(), text.to_owned()));
    let vectors = carried.into_iter().collect();
    Ok(Component { bytes, vectors })
}

/// Every document in `files`, in order, with the name of its file.
pub(super) fn documents<T>(
    files: &[(String, String)],
    parse: fn(&str) -> Result<Vec<T>, BadFile>,
) -> Result<Vec<(&str, T)>, Failure> {
    let mut all = Vec::new();
    for (file, text) in files {
        let parsed = parse(text).map_err(|error| refused(file, error))?;
        all.extend(parsed.into_iter().map(|document| (file.as_str(), document)));
    }
    Ok(all)
}

/// The failure of a file that cannot be used.
pub(super) fn refused(file: &str, why: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("`{file}`: {why}"))
}

/// The vector files at `paths`: files, or all YAML files of a folder.
pub(super) fn vector_files(paths: &[PathBuf]) -> Result<Vec<(String, String)>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(in_folder(path)?);
        } else {
            files.push(path.clone());
        }
    }
    files.into_iter().map(|path| Ok((path.display().to_string(), text_of(&path)?))).collect()
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", folder.display())))?;
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_yaml).collect();
    files.sort();
    Ok(files)
}

fn text_of(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", path.display())))
}
