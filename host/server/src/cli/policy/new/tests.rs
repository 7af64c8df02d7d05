//! What a project is made of, and what is refused.

use super::*;

/// Every project that can be made.
fn projects() -> impl Iterator<Item = (Language, Template, Vec<File>)> {
    Language::value_variants().iter().flat_map(|&language| {
        let of = move |&template| (language, template, files::of("night-shift", language, template));
        Template::value_variants().iter().map(of)
    })
}

fn file<'f>(files: &'f [File], path: &str) -> &'f str {
    let found = files.iter().find(|file| file.path == path);
    &found.unwrap_or_else(|| panic!("no {path}")).text
}

fn refused(name: &str, language: Language) -> String {
    check_name(name, language).unwrap_err().message
}

#[test]
fn every_project_is_filled_in_and_has_what_all_have() {
    for (_, _, files) in projects() {
        for File { path, text } in &files {
            let at_name =
                text.split('@').skip(1).step_by(2).find(|word| {
                    !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
                });
            assert!(at_name.is_none(), "{path} still has @{}@", at_name.unwrap_or_default());
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{path}");
        }
        assert_eq!(file(&files, "wit/policy.wit"), include_str!("../../../../../../wit/v1/policy.wit"));
        assert!(file(&files, "README.md").contains("night-shift.wasm"));
        let workflow: serde_json::Value =
            serde_saphyr::from_str(file(&files, ".github/workflows/policy.yml")).unwrap();
        assert!(workflow["jobs"]["policy"]["steps"].as_array().is_some_and(|steps| steps.len() >= 4));
        assert!(file(&files, ".gitignore").contains("*.wasm"));
    }
}

#[test]
fn the_vectors_of_every_template_are_cases_with_an_expectation() {
    for (_, template, files) in projects() {
        let text = file(&files, &format!("vectors/{}.yaml", template.word()));
        let vectors: serde_json::Value = serde_saphyr::from_str(text).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert!(!cases.is_empty() && vectors["config"].is_object(), "{text}");
        for case in cases {
            let steps = case["steps"].as_array().into_iter().flatten();
            let expects =
                case.get("expect").is_some() || steps.clone().any(|step| step.get("expect").is_some());
            assert!(
                expects && vectors["people"].get(case["requester"].as_str().unwrap()).is_some(),
                "{case}"
            );
        }
    }
}

#[test]
fn a_rust_project_has_the_whole_kit_and_the_versions_of_this_workspace() {
    let files = files::of("night-shift", Language::Rust, Template::Quorum);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = 0;
    let mut open = vec![root.join("policies/kit/src")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let inside = path.strip_prefix(root.join("policies")).unwrap().display().to_string();
            found += 1;
            // There the contract's exports are written out, without the macro that makes them here.
            if inside != "kit/src/__contract.rs" {
                assert_eq!(file(&files, &inside), fs::read_to_string(&path).unwrap(), "{inside}");
            }
        }
    }
    assert_eq!(found + 1, files.iter().filter(|file| file.path.starts_with("kit/")).count());

    let workspace = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
    let ours: Vec<&str> = lock.split("[[package]]\n").collect();
    let block = |name: &str, version: &str| {
        let start = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        ours.iter().any(|block| block.starts_with(&start))
    };
    let field = |block: &str, key: &str| {
        let line = block.lines().find(|line| line.starts_with(&format!("{key} = ")));
        line.unwrap_or_default().split('"').nth(1).unwrap_or_default().to_owned()
    };
    let theirs = file(&files, "Cargo.lock");
    let packages: Vec<&str> = theirs.split("[[package]]\n").skip(1).collect();
    assert!(packages.len() > 15);
    for package in packages {
        let (name, version) = (field(package, "name"), field(package, "version"));
        assert!(name == "night-shift" || block(&name, &version), "{name} {version}");
    }
    let serde = "serde = { version = \"1\", features = [\"derive\"] }";
    assert!(workspace.contains(serde) && file(&files, "Cargo.toml").contains(serde));
    assert!(!file(&files, "kit/Cargo.toml").contains("workspace"));
    let exports = file(&files, "kit/src/__contract.rs");
    assert!(exports.contains("quorate:policy/rule@1.0.0#evaluate") && !exports.contains("generate!({"));
    // The crates of the macro are most of what there would be to compile.
    assert!(!theirs.contains("wit-bindgen-rust"));
}

#[test]
fn every_template_is_a_policy_of_its_own_in_every_language() {
    let mut seen = Vec::new();
    for (language, template, files) in projects() {
        let (path, says) = match language {
            Language::Rust => ("src/lib.rs", "quorate_kit::policy! {"),
            Language::JavaScript => ("policy.js", "export const { rule, settings } = policy({"),
            Language::Python => ("src/policy.py", "Rule, Settings = policy("),
        };
        let source = file(&files, path).to_owned();
        assert!(source.contains(says), "{language:?} {template:?}");
        assert!(!seen.contains(&source), "{language:?} {template:?}");
        seen.push(source);
    }
    assert_eq!(seen.len(), 12);
}

#[test]
fn a_name_that_would_do_is_suggested() {
    for (name, suggested) in [
        ("My Policy", "`my-policy`"),
        ("", "`my-policy`"),
        ("../../etc", "`etc`"),
        ("2fa", "`my-2fa`"),
        ("serde", "`my-serde`"),
        ("match", "`my-match`"),
        ("Großes", "`gro-es`"),
        ("a.b@c", "`a-b-c`"),
        ("night-", "`night`"),
        (&"x".repeat(65), &format!("`{}`", "x".repeat(54))),
    ] {
        let said = refused(name, Language::Rust);
        assert!(said.contains(suggested), "{name}: {said}");
    }
    assert!(refused("My Policy", Language::Rust).contains("name of a policy"));
    assert!(refused("Night", Language::Rust).contains("name of a crate"));
    assert!(refused("policy", Language::Python).contains("name of a package"));
}

#[test]
fn a_good_name_is_taken_in_every_language() {
    for name in ["night-shift", "a", "four_eyes2"] {
        for language in [Language::Rust, Language::JavaScript, Language::Python] {
            check_name(name, language).unwrap();
        }
    }
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let project = parent.path().join("night-shift");
    let files = files::of("night-shift", Language::Rust, Template::Blank);
    fs::create_dir(&project).unwrap();
    make(parent.path(), &project, &files).unwrap();
    let again = make(parent.path(), &project, &[]).unwrap_err();
    assert!(again.message.contains("is not empty") && again.exit.code() == 2, "{}", again.message);
    assert!(project.join("src/lib.rs").is_file());

    let taken = parent.path().join("taken");
    fs::write(&taken, "mine").unwrap();
    let failure = make(parent.path(), &taken, &files).unwrap_err();
    assert!(failure.message.contains("is not a folder"), "{}", failure.message);
    assert_eq!(fs::read_to_string(&taken).unwrap(), "mine");
    // Nothing unfinished is left behind.
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 2);
}
