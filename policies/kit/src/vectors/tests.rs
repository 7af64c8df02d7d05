use serde::Deserialize;

use super::*;
use crate::{Audience, Requirement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    group: String,
}

/// One approval by the group, for at most two hours; panics on production.
fn evaluate(config: &Config, input: &Input) -> Verdict {
    assert!(input.request.target.name != "broken", "broken as asked");
    let people = Audience::groups([&config.group]);
    let verdict = match input.approvals().find(|vote| vote.voter.is_in(&config.group)) {
        Some(_) => Verdict::approve(),
        None => Verdict::wait(vec![vec![Requirement::new(1, people.clone())]]).revisit_at(input.now + 60_000),
    };
    verdict.voters(people).max_duration(7200)
}

fn check(config: &Config) -> Vec<Finding> {
    if config.group.is_empty() { vec![Finding::new("no-group", "no group").at("/group")] } else { Vec::new() }
}

fn tried(text: &str) -> Result<Vec<Tried>, BadFile> {
    let files = File::parse(text)?;
    let mut native = Native { evaluate, check };
    Ok(files.iter().map(|file| run(file, &mut native)).collect::<Result<Vec<_>, _>>()?.concat())
}

/// A file with these cases.
fn with(cases: &str) -> String {
    format!("people: {{ann: [dev], bob: [dba], eve: []}}\nconfig: {{group: dba}}\ncases:\n{cases}")
}

fn only_failure(cases: &str) -> Failure {
    let tried = tried(&with(cases)).unwrap();
    let [Tried { result: Err(failure), .. }] = tried.as_slice() else { panic!("{tried:?}") };
    failure.clone()
}

#[test]
fn a_case_that_goes_as_expected_passes() {
    let text = with(
        "  - name: bob is enough
    requester: ann
    duration: 2h
    steps:
      - expect: {outcome: wait, missing: [[{groups: [dba]}]], revisit_after: 1m, voters: {groups: [dba]}}
      - after: 5m
      - approve: bob
        comment: fine
      - expect: {outcome: approve, max_duration: 2h, revisit_after: none, findings: [], forcers: {}}
",
    );
    let tried = tried(&text).unwrap();
    assert_eq!((tried.len(), tried[0].evaluations, &tried[0].result), (1, 2, &Ok(())));
    passes(&text, evaluate, check);
}

#[test]
fn whom_a_case_expects_to_be_told_of_what_is_said() {
    let failure = only_failure(
        "  - name: eve is told
    requester: ann
    expect: {notices: {late: {groups: [dba], users: [eve]}, again: {}}}
",
    );
    let [difference] = failure.differences.as_slice() else { panic!("{failure:?}") };
    let (expected, got) = (difference.expected.as_str(), difference.got.as_str());
    assert_eq!((difference.what, expected, got), ("notices", "again; late for dba or user eve", "none"));
}

#[test]
fn a_failure_reads_like_a_story_and_shows_the_difference() {
    let failure = only_failure(
        "  - name: eve is enough
    requester: ann
    duration: 1h30m
    reason: invoice 4711
    steps:
      - approve: eve
        comment: sure
      - after: 15m
      - expect: {outcome: approve, max_duration: 1h}
",
    );
    assert_eq!(
        failure.to_string(),
        "  ann (of dev) asks for 1h30m on prod-postgres: invoice 4711
  eve approves: sure
  15m go by
  the policy says wait: 1 of dba
    outcome
    - expected  approve
    + got       wait
    max_duration
    - expected  1h
    + got       2h
"
    );
}

#[test]
fn a_config_that_no_rule_can_have_is_none_for_a_case() {
    let failure = only_failure("  - {name: x, requester: ann, config: {group: \"\"}, expect: wait}\n");
    assert_eq!(
        failure.to_string(),
        "  the config is {\"group\":\"\"}
    config
    - expected  one that a rule can have
    + got       refused at /group: no group
"
    );
    assert_eq!((failure.place.at, &failure.differences[0].says), (At::Config, &None));
    let misspelt = only_failure("  - {name: x, requester: ann, config: {gruop: dba}, expect: wait}\n");
    assert!(misspelt.to_string().contains("refused: unknown field `gruop`"), "{misspelt}");
}

#[test]
fn a_case_may_be_about_a_config_that_no_rule_can_have() {
    let text = with(
        "  - {name: refused, config: {group: \"\"}, check: [no-group]}
  - {name: and what it says then, requester: ann, config: {group: \"\"}, check: [no-group], expect: wait}
  - {name: not read, requester: ann, config: {gruop: dba}, expect: fault}
  - {name: nor in a step, requester: ann, config: {gruop: dba}, steps: [{expect: {outcome: fault, why: gruop}}]}
",
    );
    passes(&text, evaluate, check);
}

#[test]
fn each_row_of_a_table_is_a_case_with_its_own_name() {
    let text = with(
        "  - name: who is enough
    requester: ann
    expect: wait
    table:
      - {}
      - {approvals: [eve]}
      - {name: bob, approvals: [bob], expect: approve}
      - {requester: eve, duration: 5m, config: {group: dev}}
",
    );
    let tried = tried(&text).unwrap();
    let names: Vec<&str> = tried.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "who is enough: row 1",
            "who is enough: approved by eve",
            "who is enough: bob",
            "who is enough: eve for 5m with {\"group\":\"dev\"}",
        ]
    );
    assert!(tried.iter().all(|one| one.result.is_ok()), "{tried:?}");
}

#[test]
fn a_fault_can_be_expected_and_is_never_an_answer() {
    let broken = |cases: &str| tried(&format!("resource: {{name: broken}}\n{}", with(cases))).unwrap();
    let expected = broken("  - {name: x, requester: ann, expect: {outcome: fault, why: broken as asked}}\n");
    assert_eq!(expected[0].result, Ok(()));
    let unexpected = broken("  - {name: x, requester: ann, expect: {max_duration: 2h}}\n");
    let failure = unexpected[0].result.clone().unwrap_err();
    assert_eq!((failure.differences[0].what, failure.differences[0].got.as_str()), ("outcome", "fault"));
}

#[test]
fn the_order_of_groups_and_ways_makes_no_difference_but_what_is_in_them_does() {
    let mut native = Native {
        evaluate: |_: &Config, _| {
            let of = |group: &str| Requirement::new(1, Audience::groups([group]));
            Verdict::wait(vec![vec![of("b"), of("a")], vec![of("c")]])
        },
        check,
    };
    let mut differs = |missing: &str| {
        let cases = format!("  - {{name: x, requester: ann, expect: {{missing: {missing}}}}}\n");
        let file = File::parse(&with(&cases)).unwrap().remove(0);
        run(&file, &mut native).unwrap()[0].result.is_err()
    };
    assert!(!differs("[[{groups: [c]}], [{groups: [a]}, {groups: [b]}]]"));
    assert!(differs("[[{groups: [c]}], [{groups: [a]}]]"));
    assert!(differs("[[{groups: [c], approvals: 2}], [{groups: [a]}, {groups: [b]}]]"));
    assert!(differs("[]"));
}

#[test]
fn what_is_wrong_with_a_config_is_compared_by_code() {
    assert_eq!(
        tried(&with("  - {name: x, config: {group: ''}, check: [no-group]}\n")).unwrap()[0].result,
        Ok(())
    );
    let failure = only_failure("  - {name: x, config: {group: ''}, check: []}\n");
    assert_eq!(
        (failure.differences[0].expected.as_str(), failure.differences[0].got.as_str()),
        ("none", "no-group")
    );
}

#[test]
fn a_file_that_does_not_fit_is_refused_with_the_reason() {
    let refused = |cases: &str| tried(&with(cases)).unwrap_err().to_string();
    for (cases, reason) in [
        ("  - {name: x, requestor: ann}\n", "did you mean `requester`?"),
        ("  - {name: x, requester: ann, expect: {outcome: wait, mising: []}}\n", "did you mean `missing`?"),
        ("  - {name: x, requester: ann, expect: aprove}\n", "did you mean `approve`?"),
        (
            "  - {name: x, requester: anne, expect: wait}\n",
            "`anne` is not among the people, did you mean `ann`?",
        ),
        (
            "  - {name: x, requester: ann, approvals: [ann], expect: wait}\n",
            "own vote never reaches a policy",
        ),
        ("  - {name: x, requester: ann, approvals: [bob, bob], expect: wait}\n", "bob votes twice"),
        ("  - {name: x, requester: ann}\n", "in `x`: it expects nothing"),
        ("  - {name: x, expect: wait}\n", "it does not say who asks"),
        ("  - {name: x, requester: ann, duration: 5x, expect: wait}\n", "`5x` is not a duration"),
        ("  - {name: x, requester: ann, at: noon, expect: wait}\n", "`noon` is no time"),
        (
            "  - {name: x, requester: ann, steps: [{approve: bob, reject: eve}], expect: wait}\n",
            "exactly one of",
        ),
        ("  - {name: x, requester: ann, steps: [{force: bob}], expect: wait}\n", "without a `comment`"),
        (
            "  - {name: x, requester: ann, duration: 1h, command: {text: x}, expect: wait}\n",
            "a duration and for a command",
        ),
        ("  - {name: x, requester: ann, expect: wait, table: []}\n", "its table has no rows"),
        ("  - {name: x, requester: ann, expect: wait, table: [{table: []}]}\n", "a table of its own"),
        ("  []\n", "it has no cases"),
    ] {
        let error = refused(cases);
        assert!(error.contains(reason), "{cases}: {error}");
    }
    assert!(File::parse("").unwrap_err().to_string().contains("holds nothing"));
    assert!(File::parse(&"#".repeat(2 << 20)).unwrap_err().to_string().contains("are allowed"));
    assert!(File::parse("people: {").is_err());
}

#[test]
fn two_cases_or_rows_of_one_name_are_refused_where_they_are_written() {
    let strictly = |cases: &str| File::parse_strictly(&with(cases));
    let case = |name: &str| format!("  - {{name: {name}, requester: ann, expect: wait}}\n");
    let same = [case("x"), case("y"), case("x")].concat();
    let error = strictly(&same).unwrap_err().to_string();
    assert!(error.starts_with("case 1 and case 3 are both called `x`"), "{error}");
    let rows = "  - {name: t, requester: ann, expect: wait, table: [{name: r}, {name: r}]}\n";
    let error = strictly(rows).unwrap_err().to_string();
    assert!(error.starts_with("in `t`: row 1 and row 2 are both called `r`"), "{error}");
    // What a component carries goes on being what it was.
    assert_eq!(tried(&with(&same)).unwrap().len(), 3);
    assert!(strictly(&[case("x"), case("y")].concat()).is_ok());
}

#[test]
fn nothing_in_a_story_steers_a_terminal() {
    let failure = only_failure(
        "  - name: x\n    requester: ann\n    reason: \"a\\e[31m\\u202Eb\"\n    expect: approve\n",
    );
    assert_eq!(failure.story[0], "ann (of dev) asks for 30m on prod-postgres: a [31mb");
}

#[test]
fn several_documents_are_several_files() {
    let one = with("  - {name: x, requester: ann, expect: wait}\n");
    assert_eq!(tried(&format!("{one}---\n{one}")).unwrap().len(), 2);
}

#[test]
#[should_panic(expected = "1 of 1 cases fail")]
fn a_native_run_panics_where_a_case_fails() {
    passes(&with("  - {name: x, requester: ann, expect: approve}\n"), evaluate, check);
}

#[test]
fn the_inputs_of_a_file_are_all_that_a_policy_is_asked() {
    let file = File::parse(&with(
        "  - {name: x, requester: ann, steps: [{expect: approve}, {approve: bob}], expect: deny}\n",
    ));
    let inputs = inputs(&file.unwrap()[0]).unwrap();
    assert_eq!(inputs.iter().map(|(_, input)| input.votes.len()).collect::<Vec<_>>(), [0, 1]);
}
