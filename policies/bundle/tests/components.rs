//! What is embedded keeps the contract, says what it is, and is the same on every
//! machine; and the frozen guest still fits the contract as it is written today.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use quorate_bundle::{BUILT_IN, Bundled, EXAMPLES, PROBES};
use sha2::{Digest, Sha256};
use wit_component::DecodedWasm;
use wit_parser::Resolve;

fn all() -> impl Iterator<Item = &'static Bundled> {
    [BUILT_IN, EXAMPLES, PROBES].into_iter().flatten()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// Fails, naming what differs, where `component` does not fit `wit/v1`.
fn fits_the_contract(component: &[u8]) -> anyhow::Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(root().join("wit/v1"))?;
    let world = resolve.select_world(&[package], Some("approval-policy-v1"))?;
    wit_component::targets(&resolve, world, component)
}

#[test]
fn the_tables_name_each_policy_once() {
    let names: Vec<&str> = all().map(|bundled| bundled.name).collect();
    assert_eq!(
        names,
        [
            "group-quorum",
            "duration-cap",
            "bypass",
            "four-eyes",
            "escalation",
            "break-glass",
            "budget",
            "on-call",
            "probes",
            "empty",
            "one-group",
        ]
    );
    assert!(all().all(|bundled| !bundled.description.is_empty()));
}

#[test]
fn a_digest_is_that_of_its_component() {
    for bundled in all() {
        assert_eq!(bundled.digest, digest(bundled.component), "{}", bundled.name);
    }
}

#[test]
fn each_component_fits_the_contract() {
    for bundled in all() {
        fits_the_contract(bundled.component).unwrap_or_else(|error| panic!("{}: {error:#}", bundled.name));
    }
}

#[test]
fn a_component_imports_nothing_but_the_contract() {
    for bundled in all() {
        let DecodedWasm::Component(resolve, world) = wit_component::decode(bundled.component).unwrap() else {
            panic!("{} is a package, not a component", bundled.name);
        };
        let imports: BTreeSet<String> =
            resolve.worlds[world].imports.keys().map(|name| resolve.name_world_key(name)).collect();
        let allowed = ["quorate:policy/host@1.0.0", "quorate:policy/types@1.0.0"].map(str::to_owned);
        assert!(imports.is_subset(&BTreeSet::from(allowed)), "{}: {imports:?}", bundled.name);
    }
}

#[test]
fn a_component_carries_its_name_and_no_path_of_the_machine_that_built_it() {
    let root = root().canonicalize().unwrap();
    let registry = "registry/src";
    for bundled in all() {
        let holds =
            |text: &str| bundled.component.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds(bundled.name) && holds(bundled.description) && holds("Apache-2.0"), "{}", bundled.name);
        assert!(!holds(root.to_str().unwrap()) && !holds(registry), "{}", bundled.name);
    }
}

#[test]
fn a_built_in_policy_stays_small() {
    for bundled in BUILT_IN.iter().chain(EXAMPLES) {
        let kib = bundled.component.len() / 1024;
        assert!(kib < 512, "{} has {kib} KiB: every gateway compiles it when it starts", bundled.name);
    }
}

#[test]
fn the_frozen_guest_is_the_one_that_was_frozen_and_still_fits_the_contract() {
    let folder = root().join("tests/guests/v1");
    let component = std::fs::read(folder.join("group-quorum.wasm")).unwrap();
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(readme.contains(&digest(&component)), "the digest is {}", digest(&component));
    fits_the_contract(&component).unwrap();
}
