//! The author's tools on a component and files, without a compiler: vectors brought up to date,
//! properties of a world's own, and two policies against recorded decisions.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::world::program::{Ended, in_time, program, run};
use crate::world::{World, component};

const VECTORS: &str = "\
# Who there is.
people: {ann: [dev], bob: [dba], sam: [security]}
config: {groups: [dba, security]}
cases:
  - name: one is enough      # for now
    requester: ann
    approvals: [bob]
    expect: wait
  - name: nobody is not
    requester: ann
    expect: {outcome: approve, missing: []}   # hm
";

const UP_TO_DATE: &str = "\
# Who there is.
people: {ann: [dev], bob: [dba], sam: [security]}
config: {groups: [dba, security]}
cases:
  - name: one is enough      # for now
    requester: ann
    approvals: [bob]
    expect: approve
  - name: nobody is not
    requester: ann
    expect: {outcome: wait, missing: [[{groups: [dba, security]}]]}   # hm
";

/// A folder with the built-in quorum, and a file with this in it.
fn with(file: &str, text: &str) -> (TempDir, String, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("quorum.wasm");
    std::fs::write(&policy, component("group-quorum")).unwrap();
    let file = folder.path().join(file);
    std::fs::write(&file, text).unwrap();
    (folder, policy.to_str().unwrap().to_owned(), file)
}

/// Runs `policy test --update` as a person would, or as a CI system.
async fn updates(policy: &str, vectors: &Path, more: &[&str], ci: bool) -> Ended {
    let line =
        [&["policy", "test", policy, "--vectors", vectors.to_str().unwrap(), "--update"], more].concat();
    let mut command = program(&line);
    command.env_remove("CI");
    if ci {
        command.env("CI", "true");
    }
    Ended::of(in_time(command.output()).await.unwrap())
}

#[tokio::test]
async fn vectors_are_brought_up_to_date_in_place_and_each_change_is_shown() {
    let (folder, policy, vectors) = with("a.yaml", VECTORS);
    std::fs::set_permissions(&vectors, PermissionsExt::from_mode(0o640)).unwrap();
    let ended = updates(&policy, &vectors, &[], false).await.with(0);
    assert_eq!(std::fs::read_to_string(&vectors).unwrap(), UP_TO_DATE);
    assert_eq!(std::fs::metadata(&vectors).unwrap().permissions().mode() & 0o777, 0o640);
    let said = "  line 8, one is enough\n    - outcome: wait\n    + outcome: approve\n";
    assert!(ended.out.contains(said), "{}", ended.out);
    assert!(ended.out.ends_with("3 values changed; 2 cases: all pass\n"), "{}", ended.out);
    // Nothing is left beside it, and there is nothing more to do, in CI neither.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    let again = updates(&policy, &vectors, &["--json"], true).await.with(0).json();
    assert_eq!(again["files"][0]["changes"], json!([]));
}

#[tokio::test]
async fn what_a_policy_should_say_is_not_decided_by_a_machine() {
    let (_folder, policy, vectors) = with("a.yaml", VECTORS);
    let refused = updates(&policy, &vectors, &[], true).await.with(2);
    assert!(refused.line().contains("changes nothing where CI is set"), "{refused:?}");
    for senseless in [&["--watch"][..], &["--junit", "x.xml"]] {
        let refused = updates(&policy, &vectors, senseless, false).await.with(2);
        assert!(refused.err.contains("cannot be used with"), "{refused:?}");
    }
    let refused = run(&["policy", "test", &policy, "--update"]).await.with(2);
    assert!(refused.line().contains("inside of a component cannot be changed"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&vectors).unwrap(), VECTORS);
}

#[tokio::test]
async fn a_file_that_cannot_be_changed_safely_stays_as_it_is() {
    let shared = VECTORS.replace("    approvals: [bob]\n", "    table: [{approvals: [bob]}]\n");
    let (_folder, policy, vectors) = with("a.yaml", &shared);
    let ended = updates(&policy, &vectors, &[], false).await.with(1);
    assert!(ended.out.contains("nothing is changed: in `one is enough: approved by bob`"), "{}", ended.out);
    assert!(
        ended.out.contains("shares `expect`") && ended.out.contains("1 file left as it was"),
        "{}",
        ended.out
    );
    assert_eq!(std::fs::read_to_string(&vectors).unwrap(), shared);
    let twice = VECTORS.replace("nobody is not", "one is enough");
    std::fs::write(&vectors, &twice).unwrap();
    let refused = updates(&policy, &vectors, &[], false).await.with(2);
    assert!(refused.line().contains("case 1 and case 2 are both called `one is enough`"), "{refused:?}");
}

#[tokio::test]
async fn a_config_that_no_rule_can_have_is_refused_with_place_and_reason() {
    const PLACE: &str = "refused at /approvals: 101 is greater than the maximum of 100";
    let config = "{groups: [dba], approvals: 101}";
    let people = "people: {ann: [dev], bob: [dba]}\n";
    let cases = format!("{people}config: {config}\ncases:\n  - {{name: x, requester: ann, expect: wait}}\n");
    let (folder, policy, vectors) = with("a.yaml", &cases);
    let vectors = vectors.to_str().unwrap();
    let tested = run(&["policy", "test", &policy, "--vectors", vectors]).await.with(1);
    assert!(tested.out.contains(PLACE), "{}", tested.out);
    let updated = updates(&policy, Path::new(vectors), &[], false).await.with(1);
    assert!(updated.out.contains(PLACE), "{}", updated.out);
    let world = folder.path().join("world.yaml");
    std::fs::write(&world, format!("{people}configs: [{config}]\n")).unwrap();
    let checked = run(&["policy", "check", &policy, "--world", world.to_str().unwrap()]).await.with(2);
    assert!(checked.err.contains(PLACE), "{}", checked.err);
    let asked = ["policy", "run", &policy, "--config", r#"{"groups":["dba"],"approvals":101}"#];
    let told = run(&asked).await.with(1);
    assert!(told.err.contains("at /approvals: 101 is greater"), "{}", told.err);
    let told = run(&[&asked[..], &["--json"]].concat()).await.with(1).json();
    assert_eq!(told["config"]["findings"][0]["path"], "/approvals", "{told}");
    assert_eq!(told["verdict"]["outcome"]["kind"], "wait", "{told}");
}

fn world(own: &str) -> String {
    format!(
        "people: {{ann: [dev], bob: [dba], bea: [dba], sam: [security]}}\nrequesters: [ann]\n\
         configs: [{{groups: [dba, security], require_all: true}}]\nvotes: 2\nproperties: {{own: [{own}]}}\n"
    )
}

#[tokio::test]
async fn a_property_of_ones_own_is_checked_and_its_counterexample_is_a_story() {
    let holds = "verdict.outcome != 'approve' || config.groups.all(group, votes.exists(vote, group in vote.voter.groups))";
    let (_folder, policy, file) =
        with("w.yaml", &world(&format!("{{name: one-of-each, holds: \"{holds}\"}}")));
    let line = ["policy", "check", &policy, "--world", file.to_str().unwrap()];
    let ended = run(&line).await.with(0);
    assert!(ended.out.contains("✓ one-of-each"), "{}", ended.out);

    std::fs::write(&file, world("{name: three, holds: verdict.outcome != 'approve' || approvals > 2}"))
        .unwrap();
    let ended = run(&line).await.with(1);
    let story = "  ✗ three\n      the config is {\"groups\":[\"dba\",\"security\"],\"require_all\":true}\n      \
                 ann (of dev) asks for 30m on prod-postgres\n      bea approves\n      sam approves\n      \
                 the policy says approve, and `verdict.outcome != 'approve' || approvals > 2` is false\n";
    assert!(ended.out.contains(story), "{}", ended.out);

    std::fs::write(&file, world("{name: typo, holds: verdit.outcome != 'approve'}")).unwrap();
    let refused = run(&line).await.with(2);
    let why = "`typo`, line 1, column 1: there is no `verdit`, did you mean `verdict`?";
    assert!(refused.err.contains(why), "{refused:?}");
}

#[tokio::test]
async fn recorded_decisions_are_exported_and_tell_two_policies_apart() {
    let world = World::new().await;
    let config = json!({"groups": ["dba", "security"]});
    world.resource("prod", json!([{"policy": "group-quorum", "config": config}])).await;
    let id = world.ask("ann", "prod", "2h").await.good().id();
    world.approve("bob", &id).await.good();
    let root = world.at_the_command_line("root");
    let file = world.folder().join("decisions.jsonl");
    let out = file.to_str().unwrap();
    let exported = root.asks(&["decisions", "export", "-o", out]).await;
    assert_eq!(exported["decisions"], 2, "{exported}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 2);

    let component_of = |name: &str| {
        let path = world.folder().join(format!("{name}.wasm"));
        std::fs::write(&path, component(name)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (old, new) = (component_of("group-quorum"), component_of("four-eyes"));
    let same = run(&["policy", "diff", &old, &old, "--decisions", out]).await.with(0);
    assert_eq!(same.out, "2 recorded answers: 0 answered otherwise\n");
    let differ = run(&["policy", "diff", &old, &new, "--decisions", out]).await.with(1);
    assert!(differ.out.contains("approved → waiting: 1 time\n    request "), "{}", differ.out);

    std::fs::write(&file, text.replace("\"dba\"", "\"dbb\"")).unwrap();
    let refused = run(&["policy", "diff", &old, &new, "--decisions", out]).await.with(2);
    assert!(refused.line().contains("line 1 of") && refused.line().contains("was changed"), "{refused:?}");

    // Of another rule, or of later, there are none.
    let none = root.asks(&["decisions", "export", "--rule", "other", "-o", out]).await;
    assert_eq!(none["decisions"], 0);
    let refused = run(&["policy", "diff", &old, &new, "--decisions", out]).await.with(2);
    assert!(refused.line().contains("asked a policy"), "{refused:?}");
    let nobody = world.at_the_command_line("ann").runs(&["decisions", "export", "-o", out]).await.with(14);
    assert!(!nobody.line().is_empty());
    let nowhere = root.runs(&["decisions", "export", "-o", "/nowhere/x.jsonl"]).await.with(16);
    assert!(nowhere.line().contains("cannot be written"), "{nowhere:?}");
}
