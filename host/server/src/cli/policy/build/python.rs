//! A Python project: `pyproject.toml` says what it is, `componentize-py` makes it a
//! component. The builder lives in the project's own `.venv`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::tool::{Said, Steps};
use super::{About, text};
use crate::cli::exit::Failure;

/// The builder that is known to make components without clocks, files and network.
pub(in crate::cli) const VERSION: &str = "0.25.1";
const BUILDER: &str = "componentize-py";
const NO_PYTHON: &str = "policies in Python need Python 3.11 or later to be built";
/// The module that exports the policy, in `src`.
const MODULE: &str = "policy";
/// Python reads its own manifests.
const READ_MANIFEST: &str =
    "import json, sys, tomllib; json.dump(tomllib.load(open('pyproject.toml', 'rb')), sys.stdout)";

/// What the project is, and its component.
pub(super) async fn compile(folder: &Path, steps: &Steps<'_>) -> Result<(About, Vec<u8>), Failure> {
    let mut python = steps.program("python3", folder);
    python.args(["-c", READ_MANIFEST]);
    let said = steps.run(python, NO_PYTHON, |_| false).await?;
    let manifest: Value = match serde_json::from_slice(&said.out) {
        Ok(manifest) if said.status.success() => manifest,
        _ if said.err.contains("'tomllib'") => {
            return Err(Failure::usage(format!("this Python is too old: {NO_PYTHON}")));
        }
        _ => return Err(steps.said_no("pyproject.toml cannot be read", &said.err)),
    };
    let about = about(&manifest)?;
    if !folder.join("src").join(MODULE).with_extension("py").is_file() {
        return Err(Failure::usage(format!("there is no `src/{MODULE}.py`, where the policy begins")));
    }
    let builder = builder(folder, steps).await?;
    steps.step(&format!("compiling {} with {BUILDER} {VERSION}, which takes some ten seconds", about.name));
    let temporary = tempfile::tempdir()
        .map_err(|error| Failure::failed(format!("there is no place for temporary files: {error}")))?;
    let made = temporary.path().join("policy.wasm");
    let mut command = steps.program(builder, folder);
    // `--stub-wasi`: clocks, files and network are not imported; whoever calls them anyway, traps.
    command.args(["--wit-path", "wit", "--world", "approval-policy-v1", "componentize", "--stub-wasi"]);
    command.args(["--python-path", "src", "--output"]).arg(&made).arg(MODULE);
    let said = steps.run(command, NO_PYTHON, |_| false).await?;
    match fs::read(&made) {
        Ok(component) if said.status.success() => Ok((about, component)),
        _ => Err(steps.said_no("it does not compile", &all(&said))),
    }
}

/// The builder in the project's `.venv`, installed there if it is missing.
async fn builder(folder: &Path, steps: &Steps<'_>) -> Result<PathBuf, Failure> {
    let programs = folder.join(".venv/bin");
    let builder = programs.join(BUILDER);
    if builder.is_file() && version(&builder, folder, steps).await?.ends_with(&format!(" {VERSION}")) {
        return Ok(builder);
    }
    if !programs.join("pip").is_file() {
        steps.step("making a virtual environment in .venv");
        let mut python = steps.program("python3", folder);
        python.args(["-m", "venv", ".venv"]);
        let said = steps.run(python, NO_PYTHON, |_| false).await?;
        if !said.status.success() {
            return Err(steps.said_no("no virtual environment can be made", &all(&said)));
        }
    }
    steps.step(&format!("installing {BUILDER} {VERSION} into .venv with pip"));
    let mut pip = steps.program(programs.join("pip"), folder);
    pip.args(["install", "--quiet", "--disable-pip-version-check", &format!("{BUILDER}=={VERSION}")]);
    let said = steps.run(pip, NO_PYTHON, |_| false).await?;
    if !said.status.success() {
        return Err(steps.said_no(&format!("{BUILDER} {VERSION} cannot be installed"), &all(&said)));
    }
    Ok(builder)
}

async fn version(builder: &Path, folder: &Path, steps: &Steps<'_>) -> Result<String, Failure> {
    let mut command = steps.program(builder, folder);
    command.arg("--version");
    let said = steps.run(command, NO_PYTHON, |_| false).await?;
    Ok(String::from_utf8_lossy(&said.out).trim().to_owned())
}

fn all(said: &Said) -> String {
    format!("{}{}", String::from_utf8_lossy(&said.out), said.err)
}

fn about(manifest: &Value) -> Result<About, Failure> {
    let Some(project) = manifest.get("project") else {
        return Err(Failure::usage("pyproject.toml has no `[project]`"));
    };
    let name = text(project, "name");
    if name.is_empty() {
        return Err(Failure::usage("pyproject.toml gives the policy no `name`"));
    }
    let licenses = match project.get("license") {
        Some(Value::String(expression)) => expression.clone(),
        Some(table) => text(table, "text"),
        None => String::new(),
    };
    let urls = project.get("urls").and_then(Value::as_object);
    let is_source =
        |name: &str| matches!(name.to_lowercase().as_str(), "repository" | "source" | "source code");
    let source = urls.and_then(|urls| urls.iter().find(|(name, _)| is_source(name))?.1.as_str());
    Ok(About {
        name,
        version: text(project, "version"),
        description: text(project, "description"),
        licenses,
        source: source.unwrap_or_default().to_owned(),
        entry: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_manifest_says_what_the_component_will() {
        let said = about(&json!({"project": {
            "name": "night-shift", "version": "1.2.0", "description": "at night",
            "license": {"text": "MIT"}, "urls": {"Source": "https://example.org/night"},
        }}));
        let said = said.unwrap();
        assert_eq!((said.name.as_str(), said.licenses.as_str()), ("night-shift", "MIT"));
        assert_eq!(said.source, "https://example.org/night");
        let spdx = about(&json!({"project": {"name": "n", "license": "Apache-2.0"}})).unwrap();
        assert_eq!((spdx.licenses.as_str(), spdx.source.as_str()), ("Apache-2.0", ""));
        assert!(about(&json!({})).unwrap_err().message.contains("[project]"));
    }
}
