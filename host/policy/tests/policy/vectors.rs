//! The vectors of the policies in this workspace, on their components; and components
//! that carry vectors of their own.

use quorate_kit::vectors::{File, Tried};
use quorate_policy::LoadError;
use quorate_policy::vectors::{SECTION, carried, run};
use wasm_encoder::{ComponentSection as _, CustomSection};

use crate::world::{bundled, policy, runtime};

const VECTORS: [(&str, &str); 8] = [
    ("group-quorum", include_str!("../../../../policies/group-quorum/vectors/quorum.yaml")),
    ("duration-cap", include_str!("../../../../policies/duration-cap/vectors/cap.yaml")),
    ("bypass", include_str!("../../../../policies/bypass/vectors/bypass.yaml")),
    ("four-eyes", include_str!("../../../../examples/four-eyes/vectors/four-eyes.yaml")),
    ("escalation", include_str!("../../../../examples/escalation/vectors/escalation.yaml")),
    ("break-glass", include_str!("../../../../examples/break-glass/vectors/break-glass.yaml")),
    ("budget", include_str!("../../../../examples/budget/vectors/budget.yaml")),
    ("on-call", include_str!("../../../../examples/on-call/vectors/on-call.yaml")),
];

fn tried(name: &str, text: &str) -> Vec<Tried> {
    let files = File::parse(text).unwrap();
    files.iter().flat_map(|file| run(file, &policy(name)).unwrap()).collect()
}

#[test]
fn a_component_says_what_its_source_says() {
    for (name, text) in VECTORS {
        let tried = tried(name, text);
        assert!(tried.len() >= 5, "{name}");
        for case in tried {
            assert_eq!(case.result, Ok(()), "{name}: {}", case.name);
        }
    }
}

/// The component of `name` with `text` as the vectors it carries.
fn carrying(name: &str, text: &str) -> Vec<u8> {
    let mut component = bundled(name).component.to_vec();
    CustomSection { name: SECTION.into(), data: text.as_bytes().into() }.append_to_component(&mut component);
    component
}

#[test]
fn a_component_is_loaded_where_its_own_vectors_pass() {
    let (name, text) = VECTORS[0];
    let component = carrying(name, text);
    assert_eq!(carried(&component), Some(text));
    assert_eq!(carried(bundled(name).component), None);
    assert!(runtime().load(&component).is_ok());
}

#[test]
fn a_component_whose_own_vectors_fail_is_refused_with_the_story() {
    let text = VECTORS[0].1.replace("require_all: true", "require_all: false");
    let refused = runtime().load(&carrying("group-quorum", &text)).unwrap_err();
    assert_eq!(refused.code(), "vectors-fail");
    let LoadError::VectorsFail(story) = &refused else { panic!("{refused}") };
    assert!(story.contains("ann (of dev) asks for 2h") && story.contains("expected"), "{story}");
    for unusable in ["people: {", "", "\u{0}"] {
        let refused = runtime().load(&carrying("group-quorum", unusable)).unwrap_err();
        assert!(refused.to_string().contains("cannot be used"), "{unusable}: {refused}");
    }
}

/// Cases with configs that the schema refuses, or the policy itself.
const REFUSED: &str = "\
people: {ann: [dev]}
cases:
  - {name: schema, requester: ann, config: {groups: [dba], approvals: 101}, expect: wait}
  - {name: no key of it, requester: ann, config: {groups: [dba], aprovals: 2}, expect: fault}
  - {name: both, requester: ann, config: {groups: [], approvals: two}, steps: [{expect: abstain}]}
  - {name: the policy, requester: ann, config: {groups: [dba, security, dba]}, expect: wait}
  - {name: as expected, config: {groups: [dba], approvals: 0}, check: [approvals-out-of-range]}
";

#[test]
fn a_config_that_the_schema_refuses_is_told_with_its_place_and_the_reason() {
    let got = |case: &Tried| -> Vec<String> {
        let failure = case.result.as_ref().err().map(|failure| &failure.differences);
        failure.into_iter().flatten().map(|one| format!("{} {}", one.what, one.got)).collect()
    };
    let tried: Vec<Vec<String>> = tried("group-quorum", REFUSED).iter().map(got).collect();
    let [schema, none, both, policy, expected] = tried.as_slice() else { panic!("{tried:?}") };
    assert_eq!(*schema, ["config refused at /approvals: 101 is greater than the maximum of 100"]);
    assert_eq!((none, expected), (&Vec::new(), &Vec::new()));
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(both.iter().any(|one| one.starts_with("config refused at /groups: ")), "{both:?}");
    assert!(both.iter().any(|one| one.starts_with("config refused at /approvals: ")), "{both:?}");
    assert!(policy[0].starts_with("config refused at /groups: "), "{policy:?}");
    // Nothing against it in the policy's own words, and yet no rule can have it.
    let case = "people: {}\ncases: [{name: x, config: {force_groups: [sre, sre]}, check: []}]\n";
    let own = got(&self::tried("bypass", case)[0]);
    assert!(own[0].starts_with("config refused at /force_groups: "), "{own:?}");
}

#[test]
fn a_component_from_before_is_loaded_whatever_configs_its_vectors_have() {
    let text =
        "people: {ann: [dev]}\ncases:\n  - {name: x, requester: ann, config: {groups: []}, expect: wait}\n";
    assert!(tried("group-quorum", text)[0].result.is_err());
    assert!(runtime().load(&carrying("group-quorum", text)).is_ok());
}
