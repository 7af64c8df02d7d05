//! Compiles the policies of this workspace to components, and writes the tables that
//! `src/lib.rs` and `src/project.rs` include. Nothing has to be run by hand before
//! `cargo build`.
//!
//! The inner cargo has its own target folder, so that it never waits for the outer
//! one, and none of the outer one's flags, so that clippy, coverage or a sanitizer
//! of the outer build do not change what a policy is made of.

#![allow(clippy::disallowed_methods, reason = "a build script is told what to do by its environment")]

#[path = "build/project.rs"]
mod project;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use anyhow::{Context, bail};
use quorate_componentize::Metadata;
use quorate_componentize::outer::is_about_another_build;
use serde_json::Value;
use sha2::{Digest, Sha256};

const TARGET: &str = "wasm32-unknown-unknown";

/// The tables, and the packages in them.
const TABLES: [(&str, &str, &[&str]); 3] = [
    ("BUILT_IN", "The policies that the gateway comes with.", &["group-quorum", "duration-cap", "bypass"]),
    (
        "EXAMPLES",
        "Policies out of `examples/`, for the demo and the tests.",
        &["four-eyes", "escalation", "break-glass", "budget", "on-call"],
    ),
    (
        "PROBES",
        "Guests of the runtime's tests and of the benchmark; none is for use.",
        &["probes", "empty", "one-group"],
    ),
];

/// What the components are made of, from the root of the workspace.
const SOURCES: [&str; 17] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "wit/v1",
    "policies/kit",
    "policies/group-quorum",
    "policies/duration-cap",
    "policies/bypass",
    "policies/bundle",
    "examples/four-eyes",
    "examples/escalation",
    "examples/break-glass",
    "examples/budget",
    "examples/on-call",
    "tests/guests/probes",
    "tests/guests/empty",
    "tests/guests/one-group",
];

fn main() -> ExitCode {
    match bundle() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={}", format!("{error:#}").replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn bundle() -> anyhow::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set")?);
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    find_target()?;
    // OUT_DIR is <target>/<profile>/build/<package>/out.
    let target = out.ancestors().nth(4).context("OUT_DIR is not inside a target folder")?.join("policies");
    build(&root, &target)?;

    let manifests = manifests(&root)?;
    let mut code = String::new();
    for (table, about, packages) in TABLES {
        writeln!(code, "/// {about}\npub const {table}: &[Bundled] = &[")?;
        for package in packages {
            let module =
                target.join(TARGET).join("policy").join(package.replace('-', "_")).with_extension("wasm");
            let module = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
            let manifest = manifests.iter().find(|manifest| manifest["name"] == *package);
            write_entry(&mut code, &out, &module, manifest.context("a policy is not in the workspace")?)?;
        }
        writeln!(code, "];")?;
    }
    fs::write(out.join("bundled.rs"), code)?;
    let kit = manifests.iter().find(|manifest| manifest["name"] == "quorate-kit");
    let kit = kit.context("the workspace has no kit")?;
    fs::write(out.join("project.rs"), project::tables(&root, &out, kit, cargo)?)?;
    Ok(())
}

/// Makes sure that the compiler can compile to WebAssembly.
fn find_target() -> anyhow::Result<()> {
    let is_there = || {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let library =
            Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output().ok()?;
        let library = String::from_utf8(library.stdout).ok()?;
        Path::new(library.trim()).is_dir().then_some(())
    };
    if is_there().is_some() {
        return Ok(());
    }
    // `rust-toolchain.toml` asks for the target, but not every rustup installs by itself.
    let _ = Command::new("rustup").args(["target", "add", TARGET]).output();
    is_there().with_context(|| {
        format!("policies are compiled to WebAssembly, and the target for it is missing: run `rustup target add {TARGET}`")
    })
}

fn build(root: &Path, target: &Path) -> anyhow::Result<()> {
    let mut cargo = cargo(root);
    cargo.args(["build", "--locked", "--profile", "policy", "--target", TARGET, "--target-dir"]).arg(target);
    for package in TABLES.iter().flat_map(|(_, _, packages)| packages.iter()) {
        cargo.args(["--package", package]);
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(root));
    let output = cargo.output().context("cannot run cargo")?;
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        bail!("the policies do not compile; what cargo said is below");
    }
    Ok(())
}

/// A small stack, so that a fresh instance needs no more than 64 KiB, and no paths of
/// this machine in the components.
fn flags(root: &Path) -> String {
    let mut flags = vec!["-Clink-arg=-zstack-size=16384".to_owned(), remap(root, "/quorate")];
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    if let Some(cargo_home) = env::var_os("CARGO_HOME").map(PathBuf::from).or(home) {
        flags.push(remap(&cargo_home, "/cargo"));
        // Where a crate was downloaded from is no part of it. The last match holds.
        let registries = fs::read_dir(cargo_home.join("registry/src")).into_iter().flatten().flatten();
        let mut registries: Vec<PathBuf> = registries.map(|registry| registry.path()).collect();
        registries.sort();
        flags.extend(registries.iter().map(|registry| remap(registry, "/crates")));
    }
    flags.join("\u{1f}")
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

/// Name, version, description and licence of each package.
fn manifests(root: &Path) -> anyhow::Result<Vec<Value>> {
    let output =
        cargo(root).args(["metadata", "--no-deps", "--format-version", "1", "--offline"]).output()?;
    let mut metadata: Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata said nothing")?;
    match metadata["packages"].take() {
        Value::Array(packages) => Ok(packages),
        _ => bail!("cargo metadata named no packages"),
    }
}

/// The cargo that builds this, without what it was told about the outer build. The
/// job server (`CARGO_MAKEFLAGS`) stays: both share the same processors.
fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    for (name, _) in env::vars_os() {
        if is_about_another_build(&name.to_string_lossy()) {
            cargo.env_remove(&name);
        }
    }
    cargo
}

fn write_entry(code: &mut String, out: &Path, module: &[u8], manifest: &Value) -> anyhow::Result<()> {
    let text = |key: &str| manifest[key].as_str().unwrap_or_default();
    let metadata = Metadata {
        name: text("name"),
        version: text("version"),
        description: text("description"),
        licenses: text("license"),
        ..Metadata::default()
    };
    let component = quorate_componentize::encode(module, &metadata)?;
    let digest =
        Sha256::digest(&component).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let file = format!("{}.wasm", metadata.name);
    fs::write(out.join(&file), component)?;
    writeln!(
        code,
        "    Bundled {{ name: {:?}, description: {:?}, digest: {digest:?}, \
         component: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}\")) }},",
        metadata.name, metadata.description
    )?;
    Ok(())
}
