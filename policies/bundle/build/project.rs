//! What a policy project outside of this workspace is made of: the kit with a manifest
//! that stands alone, the contract, and the versions that are locked here. All of it
//! is read from the workspace, so that none of it can differ from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use wit_bindgen_core::{Files, WorldGenerator as _, wit_parser::Resolve};
use wit_bindgen_rust::{Opts, WithOption};

const KIT: &str = "quorate-kit";
/// What a project depends on besides the kit.
const DIRECT: [&str; 2] = ["schemars", "serde"];
/// Where the kit has the contract's exports made by a macro. A project has what comes out
/// of it instead: the macro's crates are most of what would have to be compiled.
const MACRO: &str = r#"wit_bindgen::generate!({
    path: "../../wit/v1",
    world: "approval-policy-v1",
    with: { "quorate:policy/types@1.0.0": crate },
    pub_export_macro: true,
    export_macro_name: "__export",
    default_bindings_module: "quorate_kit::__contract",
});
"#;
/// The crate of the macro, and the feature that brings it.
const GENERATOR: (&str, &str) = ("wit-bindgen", "macros");
/// Stands for the project's name.
const PROJECT: &str = "zzz-project";

/// The Rust code of the tables. `cargo` is one that works in a folder.
pub(crate) fn tables(
    root: &Path,
    out: &Path,
    kit: &Value,
    cargo: fn(&Path) -> Command,
) -> anyhow::Result<String> {
    let folder = root.join("policies/kit");
    let kit = &without_generator(kit);
    let mut code = String::new();
    writeln!(code, "/// The kit, as a project has it in `kit/`.\npub const KIT: &[Source] = &[")?;
    entry(&mut code, "Cargo.toml", &manifest(kit)?)?;
    let (mut files, mut expanded) = (Vec::new(), 0);
    let bindings = bindings(root)?;
    sources(&folder.join("src"), &mut files)?;
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        expanded += text.matches(MACRO).count();
        let path = file.strip_prefix(&folder)?.to_string_lossy().replace('\\', "/");
        entry(&mut code, &path, &text.replace(MACRO, &bindings))?;
    }
    writeln!(code, "];")?;
    if expanded != 1 {
        bail!("the kit makes its exports otherwise than written down in the bundle's build/project.rs");
    }
    let contract = fs::read_to_string(root.join("wit/v1/policy.wit")).context("cannot read the contract")?;
    text(&mut code, "CONTRACT", "The contract, `wit/policy.wit` in a project.", &contract)?;
    text(
        &mut code,
        "DEPENDENCIES",
        "What a project's manifest says it needs besides the kit.",
        &direct(kit)?,
    )?;
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("cannot read the lock file")?;
    let locked = needed(out, kit, &locked(&lock, kit)?, cargo)?;
    text(&mut code, "LOCKED", "The packages below a project, as a lock file has them.", &locked)?;
    for (name, key, about) in [
        ("EDITION", "edition", "The edition of Rust that the kit is written in."),
        ("RUST_VERSION", "rust_version", "The oldest compiler that the kit is built with."),
    ] {
        text(&mut code, name, about, kit[key].as_str().context("the kit's manifest says too little")?)?;
    }
    Ok(code)
}

/// What the kit's macro makes of the contract.
fn bindings(root: &Path) -> anyhow::Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(root.join("wit/v1"))?;
    let world = resolve.select_world(&[package], Some("approval-policy-v1"))?;
    let types = ("quorate:policy/types@1.0.0".to_owned(), WithOption::Path("crate".to_owned()));
    let generator = Opts {
        format: true,
        with: vec![types],
        pub_export_macro: true,
        export_macro_name: Some("__export".to_owned()),
        default_bindings_module: Some("quorate_kit::__contract".to_owned()),
        ..Opts::default()
    };
    let mut files = Files::default();
    generator.build().generate(&mut resolve, world, &mut files)?;
    let (_, text) = files.iter().next().context("the contract gives no code")?;
    Ok(std::str::from_utf8(text)?.to_owned())
}

/// The kit's package without the crates of its macro.
fn without_generator(kit: &Value) -> Value {
    let mut kit = kit.clone();
    for needed in kit["dependencies"].as_array_mut().into_iter().flatten() {
        if needed["name"] == GENERATOR.0 {
            let features = needed["features"].as_array().into_iter().flatten();
            needed["features"] =
                features.filter(|feature| **feature != json!(GENERATOR.1)).cloned().collect();
        }
    }
    kit
}

/// Of the packages in `locked` those that a project needs: cargo says which, of a project
/// that has nothing but a manifest.
fn needed(out: &Path, kit: &Value, locked: &str, cargo: fn(&Path) -> Command) -> anyhow::Result<String> {
    let folder = out.join("project");
    for inside in ["src", "kit/src"] {
        fs::create_dir_all(folder.join(inside))?;
        fs::write(folder.join(inside).join("lib.rs"), "")?;
    }
    let edition = kit["edition"].as_str().unwrap_or_default();
    let project = format!(
        "[package]\nname = {PROJECT:?}\nversion = \"0.0.0\"\nedition = {edition:?}\n[workspace]\n\
         [dependencies]\n{KIT} = {{ path = \"kit\" }}\n{}",
        direct(kit)?
    );
    fs::write(folder.join("Cargo.toml"), project)?;
    fs::write(folder.join("kit/Cargo.toml"), manifest(kit)?)?;
    let lock = folder.join("Cargo.lock");
    fs::write(&lock, format!("version = 4\n{locked}"))?;
    // It only resolves: `metadata` would want every package there, also those for other
    // platforms, which a machine that builds this for the first time does not have.
    let said = cargo(&folder).args(["update", "--workspace", "--offline"]).output()?;
    if !said.status.success() {
        bail!("cargo does not resolve a policy project: {}", String::from_utf8_lossy(&said.stderr));
    }
    let lock = fs::read_to_string(lock)?;
    let blocks = lock.split("\n[[package]]\n").skip(1).filter(|block| !block.contains(PROJECT));
    let blocks: Vec<String> = blocks.map(|block| format!("\n[[package]]\n{}\n", block.trim_end())).collect();
    Ok(blocks.concat())
}

fn entry(code: &mut String, path: &str, text: &str) -> anyhow::Result<()> {
    writeln!(code, "    Source {{ path: {path:?}, text: {text:?} }},")?;
    Ok(())
}

fn text(code: &mut String, name: &str, about: &str, text: &str) -> anyhow::Result<()> {
    writeln!(code, "/// {about}\npub const {name}: &str = {text:?};")?;
    Ok(())
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// What `package` needs to be built, tests left out.
fn needs(package: &Value) -> impl Iterator<Item = &Value> {
    package["dependencies"].as_array().into_iter().flatten().filter(|needed| needed["kind"].is_null())
}

/// The kit's manifest without what it inherits from the workspace.
fn manifest(kit: &Value) -> anyhow::Result<String> {
    let mut manifest = "[package]\n".to_owned();
    for (key, field) in [
        ("name", "name"),
        ("description", "description"),
        ("version", "version"),
        ("edition", "edition"),
        ("rust-version", "rust_version"),
        ("license", "license"),
    ] {
        let value = kit[field].as_str().with_context(|| format!("the kit has no {key}"))?;
        writeln!(manifest, "{key} = {value:?}")?;
    }
    manifest.push_str("publish = false\n");
    let mut tables: BTreeMap<String, String> = BTreeMap::new();
    for needed in needs(kit) {
        let table = match needed["target"].as_str() {
            Some(target) => format!("[target.'{target}'.dependencies]"),
            None => "[dependencies]".to_owned(),
        };
        let line = format!("{} = {}\n", needed["name"].as_str().unwrap_or_default(), spec(needed)?);
        tables.entry(table).or_default().push_str(&line);
    }
    for (table, lines) in tables {
        write!(manifest, "\n{table}\n{lines}")?;
    }
    let features = kit["features"].as_object().context("the kit's features are no table")?;
    if !features.is_empty() {
        manifest.push_str("\n[features]\n");
        for (feature, enables) in features {
            // A list of texts is written alike in JSON and in TOML.
            writeln!(manifest, "{feature} = {enables}")?;
        }
    }
    Ok(manifest)
}

/// One dependency, as a manifest has it.
fn spec(needed: &Value) -> anyhow::Result<String> {
    let text = |key: &str| needed[key].as_str();
    if text("path").is_some() || text("rename").is_some() {
        bail!("the kit needs {}, which a project could not have", needed["name"]);
    }
    let req = text("req").context("a dependency without a version")?.trim_start_matches('^');
    let mut parts = vec![format!("version = {req:?}")];
    if needed["uses_default_features"] == false {
        parts.push("default-features = false".to_owned());
    }
    if needed["features"].as_array().is_some_and(|features| !features.is_empty()) {
        parts.push(format!("features = {}", needed["features"]));
    }
    if needed["optional"] == true {
        parts.push("optional = true".to_owned());
    }
    Ok(if parts.len() == 1 { format!("{req:?}") } else { format!("{{ {} }}", parts.join(", ")) })
}

fn direct(kit: &Value) -> anyhow::Result<String> {
    let mut lines = String::new();
    for name in DIRECT {
        let needed = needs(kit).find(|needed| needed["name"] == name);
        let spec = spec(needed.with_context(|| format!("the kit does not need {name}"))?)?;
        writeln!(lines, "{name} = {spec}")?;
    }
    Ok(lines)
}

/// One package of a lock file.
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    /// Its lines up to the dependencies.
    head: &'a str,
    needs: Vec<&'a str>,
}

fn packages(lock: &str) -> Vec<Package<'_>> {
    let blocks = lock.split("[[package]]\n").skip(1);
    let value = |block: &'_ str, key: &str| -> Option<(usize, usize)> {
        let start = block.find(&format!("{key} = \""))? + key.len() + 4;
        Some((start, start + block[start..].find('"')?))
    };
    let parsed = blocks.filter_map(|block| {
        let (name, version) = (value(block, "name")?, value(block, "version")?);
        let (head, rest) = block.split_once("dependencies = [\n").unwrap_or((block, ""));
        let needs = rest.lines().map_while(|line| line.trim().strip_prefix('"')?.strip_suffix("\","));
        Some(Package {
            name: &block[name.0..name.1],
            version: &block[version.0..version.1],
            head: head.trim_end(),
            needs: needs.collect(),
        })
    });
    parsed.collect()
}

/// The package that a line of a lock file's dependencies means.
fn meant(all: &[Package<'_>], line: &str) -> anyhow::Result<usize> {
    let mut words = line.split(' ');
    let (name, version) = (words.next().unwrap_or_default(), words.next());
    let found = all.iter().position(|one| one.name == name && version.is_none_or(|v| v == one.version));
    found.with_context(|| format!("the lock file has no {line}"))
}

/// The kit and everything below it, with the kit's tests left out.
fn locked(lock: &str, kit: &Value) -> anyhow::Result<String> {
    let mut all = packages(lock);
    let top = meant(&all, KIT)?;
    let direct: BTreeSet<&str> = needs(kit).filter_map(|needed| needed["name"].as_str()).collect();
    all[top].needs.retain(|line| direct.contains(line.split(' ').next().unwrap_or_default()));
    let (mut reached, mut open) = (BTreeSet::new(), vec![top]);
    while let Some(nth) = open.pop() {
        if reached.insert(nth) {
            for line in &all[nth].needs {
                open.push(meant(&all, line)?);
            }
        }
    }
    let of_name = |name: &str| reached.iter().filter(|nth| all[**nth].name == name).count();
    let mut text = String::new();
    for nth in &reached {
        let package = &all[*nth];
        write!(text, "\n[[package]]\n{}\n", package.head.trim())?;
        if !package.needs.is_empty() {
            text.push_str("dependencies = [\n");
            for line in &package.needs {
                let needed = &all[meant(&all, line)?];
                // The version is written only where the name alone would not do.
                let line = if of_name(needed.name) == 1 { needed.name } else { line };
                writeln!(text, " {line:?},")?;
            }
            text.push_str("]\n");
        }
    }
    Ok(text)
}
