//! A Rust project: cargo says what it is, and compiles it to a module.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::tool::{Said, Steps};
use super::{About, text};
use crate::cli::exit::Failure;

const TARGET: &str = "wasm32-unknown-unknown";
const NO_CARGO: &str = "policies in Rust need it, see https://rustup.rs";

/// What the project is, and the module that cargo makes of it.
pub(super) async fn compile(
    folder: &Path,
    target: Option<&Path>,
    steps: &Steps<'_>,
) -> Result<(About, Vec<u8>), Failure> {
    let manifest = folder.join("Cargo.toml");
    let about = about(&manifest, steps).await?;
    find_target(folder, steps).await?;
    steps.step(&format!("compiling {} to WebAssembly", about.name));
    let said = cargo_build(folder, target, steps).await?;
    if !said.status.success() {
        let made_in = target.map_or_else(|| folder.join("target"), Path::to_path_buf);
        can_be_written(&made_in)?;
        return Err(steps.said_no("it does not compile", &said.err));
    }
    // Warnings.
    steps.show(&said.err);
    let module = module(&said.out, &manifest).ok_or_else(|| {
        Failure::usage("cargo made no module of it: its Cargo.toml needs `crate-type = [\"cdylib\", \"rlib\"]` under `[lib]`")
    })?;
    let bytes = fs::read(&module)
        .map_err(|error| Failure::failed(format!("`{}` cannot be read: {error}", module.display())))?;
    Ok((about, bytes))
}

async fn about(manifest: &Path, steps: &Steps<'_>) -> Result<About, Failure> {
    let folder = manifest.parent().unwrap_or(manifest);
    let mut cargo = steps.program("cargo", folder);
    cargo.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let said = steps.run(cargo, NO_CARGO, |_| false).await?;
    let read: Option<Value> = serde_json::from_slice(&said.out).ok();
    let packages = read.as_ref().and_then(|read| read.get("packages")?.as_array());
    let Some(packages) = packages else {
        has_toolchain(folder, steps).await?;
        return Err(steps.said_no("its Cargo.toml cannot be used", &said.err));
    };
    let package = packages
        .iter()
        .find(|package| is_of(package, manifest))
        .ok_or_else(|| Failure::usage(format!("`{}` is the manifest of no package", manifest.display())))?;
    Ok(About {
        name: text(package, "name"),
        version: text(package, "version"),
        description: text(package, "description"),
        licenses: text(package, "license"),
        source: text(package, "repository"),
        entry: None,
    })
}

fn is_of(said: &Value, manifest: &Path) -> bool {
    let named = said.get("manifest_path").and_then(Value::as_str);
    named.is_some_and(|named| {
        Path::new(named) == manifest || fs::canonicalize(named).is_ok_and(|named| named == manifest)
    })
}

/// Makes sure that there are cargo and a compiler: rustup puts programs of their names where
/// it has none.
async fn has_toolchain(folder: &Path, steps: &Steps<'_>) -> Result<(), Failure> {
    for program in ["cargo", "rustc"] {
        let mut asked = steps.program(program, folder);
        asked.arg("--version");
        let said = steps.run(asked, NO_CARGO, |_| false).await?;
        if !said.status.success() {
            return Err(steps.said_no(&format!("`{program}` does not run here: {NO_CARGO}"), &said.err));
        }
    }
    Ok(())
}

/// Makes sure that what is compiled can be kept in `folder`.
fn can_be_written(folder: &Path) -> Result<(), Failure> {
    let tried = fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    tried.map(drop).map_err(|error| {
        Failure::failed(format!(
            "`{}` cannot be written, and cargo keeps there what it compiles: {error}; say with --target-dir where else",
            folder.display()
        ))
    })
}

/// Makes sure that the compiler can compile to WebAssembly.
async fn find_target(folder: &Path, steps: &Steps<'_>) -> Result<(), Failure> {
    if has_target(folder, steps).await? {
        return Ok(());
    }
    has_toolchain(folder, steps).await?;
    steps.step(&format!("installing the compiler's target {TARGET} with rustup"));
    let mut rustup = steps.program("rustup", folder);
    rustup.args(["target", "add", TARGET]);
    let said =
        steps.run(rustup, &format!("your compiler has no target {TARGET}, install that"), |_| false).await?;
    if said.status.success() && has_target(folder, steps).await? {
        return Ok(());
    }
    let what = format!("the compiler has no target {TARGET}, and `rustup target add {TARGET}` does not help");
    Err(steps.said_no(&what, &said.err))
}

async fn has_target(folder: &Path, steps: &Steps<'_>) -> Result<bool, Failure> {
    let mut rustc = steps.program("rustc", folder);
    rustc.args(["--print", "target-libdir", "--target", TARGET]);
    let said = steps.run(rustc, NO_CARGO, |_| false).await?;
    Ok(Path::new(String::from_utf8_lossy(&said.out).trim()).is_dir())
}

async fn cargo_build(folder: &Path, target: Option<&Path>, steps: &Steps<'_>) -> Result<Said, Failure> {
    let mut cargo = steps.program("cargo", folder);
    cargo.args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"]);
    cargo.arg("--color").arg(if steps.context.screen.err.0 { "always" } else { "never" });
    if let Some(target) = target {
        // Seen from here, not from the project.
        let target = std::path::absolute(target)
            .map_err(|error| Failure::usage(format!("`{}`: {error}", target.display())))?;
        cargo.arg("--target-dir").arg(target);
    }
    // Added to the flags in `.cargo/config.toml`; the environment's would replace those.
    cargo.arg("--config").arg(format!("target.{TARGET}.rustflags={}", Value::from(remaps(folder, steps))));
    steps.run(cargo, NO_CARGO, is_progress).await
}

/// No path of this machine in the component.
fn remaps(folder: &Path, steps: &Steps<'_>) -> Vec<String> {
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let mut flags = vec![remap(folder, "/policy")];
    let environment = &steps.context.environment;
    let home = environment.get("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    if let Some(cargo_home) = environment.get("CARGO_HOME").map(PathBuf::from).or(home) {
        flags.push(remap(&cargo_home, "/cargo"));
        // Where a crate was downloaded from is no part of it. The last match holds.
        let registries = fs::read_dir(cargo_home.join("registry/src")).into_iter().flatten().flatten();
        let mut registries: Vec<PathBuf> = registries.map(|registry| registry.path()).collect();
        registries.sort();
        flags.extend(registries.iter().map(|registry| remap(registry, "/crates")));
    }
    flags
}

/// Cargo's lines that say what it is doing, not what is wrong.
fn is_progress(line: &str) -> bool {
    const VERBS: [&str; 12] = [
        "Compiling",
        "Checking",
        "Finished",
        "Downloading",
        "Downloaded",
        "Updating",
        "Locking",
        "Adding",
        "Blocking",
        "Fresh",
        "Removing",
        "Building",
    ];
    line.starts_with(' ') && line.split_whitespace().next().is_some_and(|first| VERBS.contains(&first))
}

/// The module among what cargo says it made.
fn module(messages: &[u8], manifest: &Path) -> Option<PathBuf> {
    let lines = messages.split(|byte| *byte == b'\n');
    let made = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let ours = made.filter(|message| message["reason"] == "compiler-artifact" && is_of(message, manifest));
    let mut files = ours.filter_map(|message| {
        let files = message["filenames"].as_array()?.iter().filter_map(Value::as_str).map(PathBuf::from);
        files.into_iter().find(|file| file.extension().is_some_and(|ending| ending == "wasm"))
    });
    files.next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_found_among_what_cargo_made() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/p/kit/Cargo.toml","filenames":["/t/kit.wasm"]}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/p/Cargo.toml","filenames":["/t/p.rlib","/t/p.wasm"]}"#,
            "\nnot json\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = module(messages.as_bytes(), Path::new("/p/Cargo.toml"));
        assert_eq!(found, Some(PathBuf::from("/t/p.wasm")));
        assert_eq!(module(messages.as_bytes(), Path::new("/q/Cargo.toml")), None);
    }

    #[test]
    fn what_is_wrong_is_not_taken_for_progress() {
        assert!(is_progress("   Compiling serde v1.0.229"));
        for line in ["error[E0308]: mismatched types", " --> src/lib.rs:3:1", "  |", "Compiling"] {
            assert!(!is_progress(line), "{line}");
        }
    }
}
