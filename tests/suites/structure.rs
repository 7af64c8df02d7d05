//! Which module of the program may use which: the drawing in ARCHITECTURE.md, held
//! against the code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each module may use besides itself.
const EDGES: &[(&str, &[&str])] = &[
    ("agent", &[]),
    ("api", &["agent", "app", "identity", "ledger", "lifecycle", "notify", "random", "session", "telemetry"]),
    (
        "app",
        &[
            "agent",
            "api",
            "clock",
            "config",
            "identity",
            "ledger",
            "lifecycle",
            "notify",
            "oidc",
            "reconcile",
            "session",
            "slack",
            "tasks",
            "telemetry",
            "web",
        ],
    ),
    ("cli", &["agent", "app", "clock", "config", "demo", "ledger", "random", "session", "telemetry"]),
    ("clock", &[]),
    ("config", &["facts", "mail", "oidc", "slack"]),
    ("demo", &["app", "cli", "clock", "config", "random"]),
    ("facts", &["agent", "clock", "outgoing", "telemetry"]),
    ("given", &["agent"]),
    ("harmless", &[]),
    ("identity", &["agent", "ledger", "lifecycle", "random"]),
    ("ledger", &[]),
    ("lifecycle", &["clock", "config", "facts", "ledger", "outgoing", "random", "telemetry"]),
    ("mail", &["agent", "given"]),
    ("notify", &["clock", "config", "ledger", "lifecycle", "mail", "outgoing", "random", "slack"]),
    ("oidc", &["agent", "clock", "given", "outgoing", "random"]),
    ("outgoing", &[]),
    ("random", &[]),
    ("reconcile", &["clock", "ledger", "lifecycle", "session", "tasks"]),
    ("session", &["agent", "api", "app", "clock", "identity", "ledger", "lifecycle", "random"]),
    ("slack", &["agent", "api", "app", "given", "ledger", "lifecycle", "outgoing", "random"]),
    ("tasks", &[]),
    ("telemetry", &["random"]),
    ("web", &["agent", "api", "app", "config", "identity", "ledger", "lifecycle", "oidc", "slack"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The modules named right behind `crate::` in a source.
fn uses(source: &str) -> BTreeSet<String> {
    let word =
        |text: &str| text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    let mut names = BTreeSet::new();
    for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for rest in line.split("crate::").skip(1) {
            match rest.strip_prefix('{') {
                Some(list) => names.extend(list.split(',').map(|one| word(one.trim()))),
                None => {
                    names.insert(word(rest));
                }
            }
        }
    }
    names.remove("");
    names
}

#[test]
fn modules_use_only_what_the_map_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/server/src");
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 50, "the sources were not found");
    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        let test = inside
            .components()
            .any(|part| part.as_os_str().to_str().unwrap().trim_end_matches(".rs") == "tests");
        if test || matches!(module, "main" | "lib") {
            continue;
        }
        let Some(may) = allowed.get(module) else {
            wrong.push(format!("{module} is not on the map"));
            continue;
        };
        for used in uses(&std::fs::read_to_string(&file).unwrap()) {
            if used != module && allowed.contains_key(used.as_str()) && !may.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_use_is_found_however_it_is_written() {
    let source = "use crate::ledger::Ledger;\nuse crate::{clock, api::router};\n// crate::agent\nlet x = crate::random::id();";
    let found: Vec<String> = uses(source).into_iter().collect();
    assert_eq!(found, ["api", "clock", "ledger", "random"]);
}

#[test]
fn the_core_and_the_policy_crate_stay_small_in_what_they_depend_on() {
    let manifest = |path: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
    };
    let dependencies = |text: &str| -> BTreeSet<String> {
        let section = text.split("[dependencies]").nth(1).unwrap_or("");
        let own = section.split("\n[").next().unwrap_or("");
        own.lines()
            .filter_map(|line| line.split(['.', '=', ' ']).next())
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let core = dependencies(&manifest("host/core/Cargo.toml"));
    assert_eq!(core, ["jiff", "serde", "serde_json", "sha2", "thiserror"].map(str::to_owned).into());
    let policy = dependencies(&manifest("host/policy/Cargo.toml"));
    for forbidden in ["axum", "rusqlite", "tokio", "clap", "reqwest", "quorate"] {
        assert!(!policy.contains(forbidden), "host/policy depends on {forbidden}");
    }
}
