use quorate_kit::Requirement;
use quorate_kit::testing::{asks, person};

use super::*;

fn own(holds: &str) -> Own {
    Own { name: "nights-need-two".to_owned(), holds: holds.to_owned() }
}

fn refused(holds: &str) -> String {
    Expressions::compile(&[own(holds)]).err().unwrap().to_string()
}

/// What `holds` says of a request with an approval by bob, for which the policy waits.
fn told(holds: &str) -> Result<bool, String> {
    let mut expressions = Expressions::compile(&[own(holds)]).unwrap();
    let bob = person("bob", &["dba"]);
    let mut input = asks(person("ann", &["dev"])).lasting("2h");
    expressions.begin(r#"{"approvals": 2, "groups": ["dba", "security"]}"#, &input);
    input = input.with_approval(bob, "fine");
    let missing = Requirement::new(1, quorate_kit::Audience::groups(["security"]));
    expressions.holds(0, &input, &Verdict::wait(vec![vec![missing]]).max_duration(3600))
}

#[test]
fn everything_has_the_words_of_the_contract() {
    for holds in [
        "request.requester.id == 'ann' && 'dev' in request.requester.groups",
        "request.access.just_in_time == 7200 && !has(request.access.command)",
        "request.target.name.startsWith('prod') && request.target.max_duration == null",
        "votes.all(vote, vote.choice == 'approve' && !vote.forced && vote.voter.groups == ['dba'])",
        "config.approvals - approvals == 1 && size(config.groups) == 2 && rejections == 0",
        "verdict.outcome == 'wait' && verdict.missing[0][0].groups == ['security']",
        "verdict.max_duration <= request.access.just_in_time && verdict.findings == []",
        "now >= request.submitted_at && size(facts) == 0",
        "config.groups.exists(group, votes.exists(vote, group in vote.voter.groups))",
        "request.requester.email.matches('^ann@') && type(approvals) == int",
    ] {
        assert_eq!(told(holds), Ok(true), "{holds}");
        assert_eq!(told(&format!("!({holds})")), Ok(false), "{holds}");
    }
}

#[test]
fn what_is_no_expression_is_refused_with_its_place() {
    for (holds, reason) in [
        ("verdict.outcome ==", "line 1, column 19"),
        (
            "true &&\n  verdit.outcome == 'wait'",
            "line 2, column 3: there is no `verdit`, did you mean `verdict`?",
        ),
        ("votes.all(vote, vot.forced)", "column 17: there is no `vot`"),
        ("vote.forced || votes.all(vote, true)", "column 1: there is no `vote`, did you mean `votes`?"),
        ("quux > 1", "there are request, config, facts, now and votes, approvals, rejections, verdict"),
        ("true || missing(votes)", "there is no function `missing`"),
        ("", "line 1"),
    ] {
        let error = refused(holds);
        assert!(error.starts_with("in the expression of `nights-need-two`, "), "{error}");
        assert!(error.contains(reason), "{holds}: {error}");
    }
    assert!(refused(&"!".repeat(5000)).contains("4096 are allowed"));
}

#[test]
fn what_cannot_be_told_is_never_true() {
    for (holds, why) in [
        ("verdict.outcom == 'wait'", "fails: No such key: outcom"),
        ("approvals", "is Int(1), neither true nor false"),
        ("approvals / 0 == 1", "fails: "),
        ("votes[7].forced", "fails: "),
        ("config.approvals > 'x'", "fails: "),
    ] {
        let told = told(holds).unwrap_err();
        assert!(told.starts_with(why), "{holds}: {told}");
    }
}
