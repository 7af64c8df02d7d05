//! Components built from the contract as it was released must load for ever.

use quorate_core::verdict::Outcome;

use crate::world::{QUORUM, ann_asks, runtime};

#[test]
fn every_component_of_the_released_contract_still_loads() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/v1");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            let component = std::fs::read(&path).unwrap();
            let policy = runtime().load(&component).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let verdict = policy.evaluate(QUORUM, &ann_asks(&[])).verdict.unwrap();
            assert!(!matches!(verdict.outcome, Outcome::Abstain), "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 0, "there is none in tests/guests/v1");
}
