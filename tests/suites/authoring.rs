//! The author's side: from `policy new` to a component that decides, with real compilers. The
//! tests named `needs_node_*` and `needs_python_*` install their builders.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::world::World;
use crate::world::program::{PROGRAM, program, run};

/// Where what every project compiles alike is kept from one test to the next.
fn shared_target() -> PathBuf {
    // The program is at <target>/<profile>/quorate-program.
    Path::new(PROGRAM).ancestors().nth(2).unwrap().join("policy-projects")
}

/// One builder of policies in Python at a time: each keeps two cores busy for a minute.
static PYTHON: Mutex<()> = Mutex::const_new(());

/// Runs the program to its end, however long a compiler takes.
async fn patiently(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = program(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

async fn project(name: &str, arguments: &[&str]) -> (TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let place = ["--in", parent.path().to_str().unwrap()];
    run(&[&["policy", "new", name], arguments, &place].concat()).await.with(0);
    let folder = parent.path().join(name);
    (parent, folder)
}

/// A copy of what is in `examples/` under this name: builders leave things in a project's folder.
fn example(name: &str) -> (TempDir, PathBuf) {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            let (path, file) = (entry.path(), entry.file_name());
            let is_made = ["node_modules", ".venv"].iter().any(|made| file == *made);
            if path.is_dir() && !is_made {
                copy(&path, &to.join(file));
            } else if path.is_file() {
                std::fs::copy(&path, to.join(file)).unwrap();
            }
        }
    }
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join(name);
    copy(&examples().join(name), &folder);
    (parent, folder)
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// Builds it, demands that the component carries what the project says, and that its vectors
/// pass on it.
async fn builds_and_passes(folder: &Path) -> Value {
    let folder_name = folder.to_str().unwrap();
    let target = shared_target();
    let (code, out, err) =
        patiently(&["policy", "build", folder_name, "--json", "--target-dir", target.to_str().unwrap()])
            .await;
    assert_eq!(code, Some(0), "{out}{err}");
    let built: Value = serde_json::from_str(&out).unwrap();
    let component = std::fs::read(built["file"].as_str().unwrap()).unwrap();
    assert_eq!(built["digest"], quorate_core::ids::Digest::of(&component).to_string());
    assert!(quorate_policy::vectors::carried(&component).unwrap().contains("requester: "));
    let holds = |text: &str| component.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds(folder_name), "the component knows where it was built");

    let (code, out, err) = patiently(&["policy", "test", built["file"].as_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("all pass"), "{out}");
    built
}

#[tokio::test]
async fn every_template_in_rust_builds_and_passes_its_own_vectors() {
    for template in ["quorum", "cap", "bypass", "blank"] {
        let (_parent, folder) = project("night-shift", &["--template", template]).await;
        let lock = std::fs::read(folder.join("Cargo.lock")).unwrap();
        let built = builds_and_passes(&folder).await;
        assert_eq!((&built["name"], &built["version"]), (&"night-shift".into(), &"0.1.0".into()));
        assert!(built["bytes"].as_u64().unwrap() < 400_000, "{built}");
        let now = std::fs::read(folder.join("Cargo.lock")).unwrap();
        assert!(now == lock, "cargo had to change the lock file of {template}");
    }
}

#[tokio::test]
async fn what_the_manifest_says_is_in_the_component_and_its_readme() {
    let (_parent, folder) = project("night-shift", &["--template", "blank"]).await;
    let manifest = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let text = text.replace(
        "version = \"0.1.0\"\nedition",
        "version = \"2.3.4\"\nlicense = \"MIT\"\nrepository = \"https://example.org/n\"\nedition",
    );
    std::fs::write(&manifest, text).unwrap();
    let built = builds_and_passes(&folder).await;
    let docs = run(&["policy", "docs", built["file"].as_str().unwrap()]).await.with(0).out;
    for said in
        ["| version | 2.3.4 |", "| licence | MIT |", "| source | https://example.org/n |", "# night-shift"]
    {
        assert!(docs.contains(said), "{said}: {docs}");
    }
    let schema = run(&["policy", "schema", built["file"].as_str().unwrap()]).await.with(0).json();
    assert_eq!(schema["additionalProperties"], false);
}

#[tokio::test]
async fn a_mistake_is_shown_as_the_compiler_says_it_and_the_last_component_stays() {
    let (_parent, folder) = project("night-shift", &["--template", "blank"]).await;
    let component = folder.join("night-shift.wasm");
    std::fs::write(&component, "the last one").unwrap();
    let source = folder.join("src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, text.replace("Verdict::abstain()\n", "Verdict::abstian()\n")).unwrap();
    let target = shared_target();
    let (code, out, err) =
        patiently(&["policy", "build", folder.to_str().unwrap(), "--target-dir", target.to_str().unwrap()])
            .await;
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("error[E0599]") && err.contains("quorate: it does not compile: see above"), "{err}");
    assert_eq!(std::fs::read_to_string(component).unwrap(), "the last one");
}

#[tokio::test]
async fn a_policy_that_fails_its_own_vectors_is_not_built() {
    let (_parent, folder) = project("night-shift", &["--template", "blank"]).await;
    let vectors = folder.join("vectors/blank.yaml");
    let text = std::fs::read_to_string(&vectors).unwrap();
    std::fs::write(&vectors, text.replace("expect: abstain", "expect: approve")).unwrap();
    let target = shared_target();
    let folder_name = folder.to_str().unwrap();
    let (code, _, err) =
        patiently(&["policy", "build", folder_name, "--target-dir", target.to_str().unwrap()]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("its own vectors do not pass") && err.contains("quorate policy test"), "{err}");
    assert!(!folder.join("night-shift.wasm").exists());
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_build_is_named() {
    let (parent, folder) = project("night-shift", &["--template", "blank"]).await;
    let folder = folder.to_str().unwrap();
    // What is compiled can be kept nowhere: a file is in its place.
    let taken = parent.path().join("taken");
    std::fs::write(&taken, "").unwrap();
    let (code, _, err) =
        patiently(&["policy", "build", folder, "--target-dir", taken.to_str().unwrap()]).await;
    assert_eq!(code, Some(16), "{err}");
    assert!(err.contains("taken` cannot be written") && !err.contains("does not compile"), "{err}");

    // rustup's stand-ins for programs that it does not have.
    let stand_ins = parent.path().join("bin");
    std::fs::create_dir(&stand_ins).unwrap();
    let build = |path: PathBuf| program(&["policy", "build", folder]).env("PATH", path).output();
    let none = build(stand_ins.clone()).await.unwrap();
    let err = String::from_utf8(none.stderr).unwrap();
    assert!(err.contains("there is no `cargo` here") && err.contains("https://rustup.rs"), "{err}");
    let stand_in = stand_ins.join("cargo");
    std::fs::write(&stand_in, "#!/bin/sh\necho 'error: no default toolchain is set' >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&stand_in, PermissionsExt::from_mode(0o755)).unwrap();
    let none = build(stand_ins).await.unwrap();
    let err = String::from_utf8(none.stderr).unwrap();
    assert_eq!(none.status.code(), Some(2), "{err}");
    assert!(err.contains("no default toolchain") && err.contains("`cargo` does not run here"), "{err}");
    assert!(!err.contains("Cargo.toml"), "{err}");
}

#[tokio::test]
async fn a_folder_that_is_no_project_and_a_name_that_is_none_are_refused_in_one_line() {
    let empty = tempfile::tempdir().unwrap();
    let ended = run(&["policy", "build", empty.path().to_str().unwrap()]).await.with(2);
    assert!(ended.line().contains("`quorate policy new NAME` makes one"), "{ended:?}");
    let place = empty.path().to_str().unwrap();
    let ended = run(&["policy", "new", "Night Shift", "--in", place]).await.with(2);
    assert!(ended.line().contains("`night-shift` would do"), "{ended:?}");
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
    run(&["policy", "new", "n", "--in", place]).await.with(0);
    let ended = run(&["policy", "new", "n", "--in", place]).await.with(2);
    assert!(ended.line().contains("is not empty"), "{ended:?}");
}

/// A mistake that an author could make: on one resource nobody is asked any more.
fn open_staging(folder: &Path, file: &str, before: &str, line: &str) {
    let source = folder.join(file);
    let text = std::fs::read_to_string(&source).unwrap();
    let changed = text.replacen(before, &format!("{line}{before}"), 1);
    assert_ne!(changed, text);
    std::fs::write(&source, changed).unwrap();
}

/// From a new project to a policy that decides, and from a changed source to a version of
/// which everybody knew beforehand what it would let in.
async fn from_new_to_active(folder: &Path, change: impl FnOnce(&Path)) -> Value {
    let built = builds_and_passes(folder).await;
    let file = built["file"].as_str().unwrap();
    let world = World::new().await;
    let root = world.at_the_command_line("root");
    root.runs(&["policy", "load", file, "--name", "night-shift", "--activate", "-r", "first"]).await.with(0);
    let config = json!({"groups": ["dba"], "approvals": 2});
    world.resource("staging", json!([{"policy": "night-shift", "config": config}])).await;
    let id = world.ask("ann", "staging", "1h").await.good().id();
    assert_eq!(world.approve("bob", &id).await.good().state(), "PENDING");

    change(folder);
    let next = builds_and_passes(folder).await;
    assert_ne!(next["digest"], built["digest"]);
    let backtest = ["policy", "backtest", file, "--policy", "night-shift"];
    let told = root.runs(&backtest).await.with(0);
    assert!(told.out.contains("newly let in: 2 decisions of 1 request"), "{told:?}");
    assert!(told.out.contains("ann"), "{told:?}");
    assert_eq!(world.request(&id).await.state(), "PENDING", "nothing came of it");

    // They want it all the same; who waits is let in by it, and the replay of what was
    // decided before is what it was.
    root.runs(&["policy", "load", file, "--name", "night-shift", "--activate", "-r", "as wished"])
        .await
        .with(0);
    world.until(&id, "APPROVED").await;
    let replayed = root.asks(&["decisions", "replay", "--all"]).await;
    assert_eq!((&replayed["differs"], &replayed["missing"]), (&json!(0), &json!(0)), "{replayed}");
    world.finish().await;
    built
}

#[tokio::test]
async fn a_policy_in_rust_goes_from_new_to_active_and_is_backtested_before_it_is_changed() {
    let (_parent, folder) = project("night-shift", &[]).await;
    let line =
        "    if input.request.target.name == \"staging\" {\n        return Verdict::approve();\n    }\n";
    let before = "    let people = Audience::groups(&config.groups);\n";
    let built = from_new_to_active(&folder, |folder| open_staging(folder, "src/lib.rs", before, line)).await;
    assert_eq!(built["language"], "Rust");
}

#[tokio::test]
async fn needs_node_a_policy_in_javascript_goes_from_new_to_active_and_is_backtested_before_it_is_changed() {
    let (_parent, folder) = project("night-shift", &["--lang", "js"]).await;
    let line = "  if (input.request.target.name === \"staging\") return approve();\n";
    let before = "  const people = groups(";
    let built = from_new_to_active(&folder, |folder| open_staging(folder, "policy.js", before, line)).await;
    assert_eq!(built["language"], "JavaScript");
}

/// The templates that no test takes from `new` to a policy that decides.
const OTHER_TEMPLATES: [&str; 3] = ["cap", "bypass", "blank"];

#[tokio::test]
async fn needs_node_the_other_templates_in_javascript_build_and_pass_their_own_vectors() {
    for template in OTHER_TEMPLATES {
        let (_parent, folder) = project("night-shift", &["--lang", "js", "--template", template]).await;
        assert_eq!(builds_and_passes(&folder).await["language"], "JavaScript", "{template}");
    }
}

#[test]
fn what_the_examples_have_of_a_template_is_as_new_makes_it() {
    for (copy, original) in [
        ("ticket-javascript/quorate.js", "policies/templates/javascript/quorate.js"),
        ("ticket-javascript/wit/policy.wit", "wit/v1/policy.wit"),
        ("weekly-python/src/quorate.py", "policies/templates/python/quorate.py"),
        ("weekly-python/wit/policy.wit", "wit/v1/policy.wit"),
    ] {
        let text = |path: PathBuf| std::fs::read_to_string(path).unwrap();
        let (copied, made) = (text(examples().join(copy)), text(examples().join("..").join(original)));
        assert!(copied == made, "{copy} is not {original}: copy it");
    }
}

#[tokio::test]
async fn needs_node_the_example_in_javascript_builds_and_passes_its_own_vectors() {
    let (_parent, folder) = example("ticket-javascript");
    assert_eq!(builds_and_passes(&folder).await["language"], "JavaScript");
}

#[tokio::test]
async fn needs_node_chance_is_a_fault_and_no_answer() {
    let (_parent, folder) = project("night-shift", &["--lang", "js"]).await;
    let source = folder.join("policy.js");
    let text = std::fs::read_to_string(&source).unwrap();
    for what in ["Math.random()", "Date.now()", "new Date()"] {
        let changed = text.replace("const people = groups", &format!("{what};\n  const people = groups"));
        assert_ne!(changed, text);
        std::fs::write(&source, changed).unwrap();
        let (code, out, err) = patiently(&["policy", "build", folder.to_str().unwrap()]).await;
        assert_eq!(code, Some(1), "{what}: {out}{err}");
        assert!(err.contains("its own vectors do not pass") && err.contains("fault"), "{what}: {err}");
    }
}

#[tokio::test]
async fn needs_python_a_policy_in_python_goes_from_new_to_active_and_is_backtested_before_it_is_changed() {
    let _alone = PYTHON.lock().await;
    let (_parent, folder) = project("night-shift", &["--lang", "python"]).await;
    let line = "    if input.request.target.name == \"staging\":\n        return approve()\n";
    let before = "    people = groups(";
    let built =
        from_new_to_active(&folder, |folder| open_staging(folder, "src/policy.py", before, line)).await;
    assert_eq!(built["language"], "Python");
}

#[tokio::test]
async fn needs_python_the_example_in_python_builds_and_passes_its_own_vectors() {
    let _alone = PYTHON.lock().await;
    let (_parent, folder) = example("weekly-python");
    assert_eq!(builds_and_passes(&folder).await["language"], "Python");
}

#[tokio::test]
async fn needs_python_the_other_templates_in_python_build_and_pass_their_own_vectors() {
    let _alone = PYTHON.lock().await;
    let mut first: Option<(TempDir, PathBuf)> = None;
    for template in OTHER_TEMPLATES {
        let (parent, folder) = project("night-shift", &["--lang", "python", "--template", template]).await;
        if let Some((_, first)) = &first {
            // The builder is the same for all: it is installed once.
            symlink(first.join(".venv"), folder.join(".venv")).unwrap();
        }
        assert_eq!(builds_and_passes(&folder).await["language"], "Python", "{template}");
        first.get_or_insert((parent, folder));
    }
}
