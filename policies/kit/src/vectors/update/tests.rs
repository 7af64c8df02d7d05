use super::*;
use crate::{Audience, Finding, Input, Obligation, Requirement, Verdict};

/// Two different people of dba; may not answer, or say that the config is odd.
struct Two;

impl Policy for Two {
    fn evaluate(&mut self, config: &str, input: &Input) -> Result<Verdict, String> {
        if config.contains("broken") {
            return Err("broken as asked".to_owned());
        }
        if let Some(vote) = input.rejections().next() {
            return Ok(Verdict::deny(format!("rejected by {}: {}", vote.voter.id, vote.comment)));
        }
        let dba = Audience::groups(["dba"]);
        let given = u32::try_from(input.approvals().count()).unwrap();
        let verdict = match 2_u32.saturating_sub(given) {
            0 => Verdict::approve().max_duration(5400),
            missing => Verdict::wait(vec![vec![Requirement::new(missing, dba.clone())]]),
        };
        let told = Obligation::notify("counted", "counted", &dba);
        Ok(verdict.voters(dba).obligation(told).finding(Finding::new("counted", "counted")))
    }

    fn check(&mut self, config: &str) -> Result<Vec<Finding>, String> {
        if config.contains("broken") {
            Err("broken".to_owned())
        } else {
            Ok(vec![Finding::new("odd", "odd")])
        }
    }

    fn refusals(&mut self, config: &str) -> Vec<Finding> {
        if config.contains("refused") {
            vec![Finding::new("schema", "as asked").at("/a")]
        } else {
            Vec::new()
        }
    }
}

const PEOPLE: &str = "# Who there is.\npeople: {ann: [dev], bob: [dba], bea: [dba]}   # three\n";

fn with(cases: &str) -> String {
    format!("{PEOPLE}cases:\n{cases}")
}

/// What becomes of these cases.
fn updated(cases: &str) -> String {
    let updated = update(&with(cases), &mut Two).unwrap();
    assert!(updated.tried.iter().all(|one| one.result.is_ok()));
    updated.text.strip_prefix(&with("")).unwrap().to_owned()
}

fn refused(cases: &str) -> String {
    update(&with(cases), &mut Two).unwrap_err().to_string()
}

#[test]
fn a_word_stays_a_word_and_everything_else_stays_as_it_was() {
    let before = "  # The first.
  - {name: 'one', requester: ann, approvals: [bob],   expect: approve}   # why not
  - name: \"two\"

    expect:    deny     # for now
    approvals: [ bob, bea ]
    requester: ann
";
    let after = before.replace("expect: approve}", "expect: wait}").replace("   deny ", "   approve ");
    assert_eq!(updated(before), after);
}

#[test]
fn a_map_keeps_its_keys_and_their_order() {
    let before = "  - name: one
    requester: ann
    steps:
      - expect: {max_duration: 2h, missing: [[{groups: [dba]}]], outcome: wait, findings: []}   # first
      - {approve: bob, comment: \"fine: by me\"}
      - after: 15m
      - approve: bea
      - expect: {outcome: wait, voters: {users: [bob]}, max_duration: 1h}
      - expect:
          voters: {}
          # Nobody else.
          forcers: {groups: [dba]}
          revisit_after: 5m
          missing:
            - - groups:
                  - dba

              - groups: [security]
                approvals: 2
          outcome: approve
";
    let after = "  - name: one
    requester: ann
    steps:
      - expect: {max_duration: none, missing: [[{groups: [dba], approvals: 2}]], outcome: wait, findings: [counted]}   # first
      - {approve: bob, comment: \"fine: by me\"}
      - after: 15m
      - approve: bea
      - expect: {outcome: approve, voters: {groups: [dba]}, max_duration: 1h30m}
      - expect:
          voters: {groups: [dba]}
          # Nobody else.
          forcers: {}
          revisit_after: none
          missing: []
          outcome: approve
";
    assert_eq!(updated(before), after);
}

#[test]
fn who_is_told_is_written_with_what_they_are_told_of() {
    let before = "  - {name: one, requester: ann, expect: {outcome: wait, notices: {late: {users: [bob]}, counted: {}}}}\n";
    let after =
        "  - {name: one, requester: ann, expect: {outcome: wait, notices: {counted: {groups: [dba]}}}}\n";
    assert_eq!(updated(before), after);
}

#[test]
fn what_is_written_means_what_was_said_whatever_is_in_it() {
    let before = "  - name: a word with much in it
    requester: ann
    steps: [{reject: bob, comment: \"no: [x] # y \\\"z\\\" \\u202e\"}]
    expect: {outcome: deny, why: approve}
  - name: über längere Zeit
    requester: ann
    expect:
      why: |
        some text
        of several lines
      outcome: deny
  - {name: after, requester: ann, check: [], config: {x: 1}}
";
    let after = updated(before);
    assert!(after.contains(r#"why: "rejected by bob: no: [x] # y \"z\" \u202e"}"#), "{after}");
    assert!(after.contains("expect:\n      why: \"\"\n      outcome: wait\n  - {name: after"), "{after}");
    assert!(after.contains("check: [odd], config: {x: 1}}"), "{after}");
}

#[test]
fn rows_with_expectations_of_their_own_and_several_documents() {
    let before = "  - name: table
    requester: ann
    expect: wait
    table:
      - {approvals: []}
      - {approvals: [bob, bea], expect: wait}
";
    let twice = format!("{}---\n{}", with(before), with(before));
    let after = update(&twice, &mut Two).unwrap();
    assert_eq!(after.text, twice.replace("bea], expect: wait", "bea], expect: approve"));
    let [first, second] = after.changes.as_slice() else { panic!("{:?}", after.changes) };
    assert_eq!(first.case, "table: approved by bob, bea");
    assert_eq!(
        (first.line, first.what, first.before.as_str(), first.after.as_str()),
        (9, "outcome", "wait", "approve")
    );
    assert_eq!(second.line, 19);
}

#[test]
fn the_lines_are_those_of_the_new_text_however_many_fewer_it_has() {
    let before = "  - name: one
    requester: ann
    steps:
      - expect: {outcome: wait, findings: []}
      - expect:
          missing:
            - - groups:
                  - dba
              - groups: [security]
          outcome: approve
  - {name: two, requester: ann, expect: deny}
";
    let after = update(&with(before), &mut Two).unwrap();
    assert_eq!(after.changes.len(), 4);
    for change in after.changes {
        let line = after.text.lines().nth(change.line - 1).unwrap();
        assert!(line.contains(&change.after), "{change:?}: {line}");
    }
}

#[test]
fn a_text_that_is_up_to_date_stays_byte_for_byte() {
    let text = with("  - {name: x, requester: ann, expect: wait}\r\n\n\n# The end.");
    let updated = update(&text, &mut Two).unwrap();
    assert_eq!((updated.text, updated.changes), (text, Vec::new()));
}

#[test]
fn what_is_not_safe_is_refused_with_the_reason() {
    for (cases, reason) in [
        ("  - {name: x, requester: ann, expect: deny, table: [{}, {approvals: [bob]}]}\n", "shares `expect`"),
        ("  - {name: x, requester: ann, steps: [{expect: deny}], table: [{}]}\n", "shares `steps`"),
        ("  - {name: x, config: {a: 1}, check: [], table: [{}]}\n", "shares `check`"),
        ("  - {name: x, requester: ann, config: broken, expect: wait}\n", "a fault is never written"),
        (
            "  - {name: x, requester: ann, config: broken, expect: {max_duration: 1h}}\n",
            "a fault is never written",
        ),
        (
            "  - {name: x, requester: ann, config: broken, expect: {outcome: fault, why: other}}\n",
            "a fault is never",
        ),
        ("  - {name: x, config: broken, check: [odd]}\n", "a fault is never written"),
        ("  - {name: &n x, requester: ann, reason: *n, expect: deny}\n", "uses `*`"),
        (
            "  - name: x\n    requester: ann\n    expect:\n      findings:\n        - a # as ever\n        - b\n",
            "the comment in line 8 stands inside",
        ),
        ("  - {name: x, requester: nobody, expect: deny}\n", "not among the people"),
        (
            "  - {name: x, requester: ann, config: {a: refused}, expect: deny}\n",
            "in `x`: its config is refused at /a: as asked",
        ),
    ] {
        let error = refused(cases);
        assert!(error.contains(reason), "{cases}: {error}");
    }
}

#[test]
fn a_policy_that_answers_otherwise_each_time_is_not_followed() {
    struct Moody(bool);
    impl Policy for Moody {
        fn evaluate(&mut self, _: &str, _: &Input) -> Result<Verdict, String> {
            self.0 = !self.0;
            Ok(if self.0 { Verdict::approve() } else { Verdict::abstain() })
        }
        fn check(&mut self, _: &str) -> Result<Vec<Finding>, String> {
            Ok(Vec::new())
        }
    }
    let error =
        update(&with("  - {name: x, requester: ann, expect: deny}\n"), &mut Moody(false)).unwrap_err();
    assert!(error.to_string().contains("still goes otherwise"), "{error}");
}
