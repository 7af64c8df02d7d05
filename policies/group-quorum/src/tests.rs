//! The rows of quorum and of votes that this policy answers for.

use quorate_kit::testing::{asks, person};
use quorate_kit::{Outcome, Principal};

use super::*;

fn config(groups: &[&str], require_all: bool, approvals: u32) -> Config {
    Config { groups: groups.iter().map(ToString::to_string).collect(), require_all, approvals }
}

fn both() -> Config {
    config(&["dba", "security"], true, 1)
}

fn bob() -> Principal {
    person("bob", &["dba"])
}

fn bea() -> Principal {
    person("bea", &["dba"])
}

fn sam() -> Principal {
    person("sam", &["security"])
}

fn sue() -> Principal {
    person("sue", &["security", "dba"])
}

fn eve() -> Principal {
    person("eve", &["sre"])
}

/// Ann asks, these approve.
fn approved_by(voters: impl IntoIterator<Item = Principal>) -> Input {
    voters.into_iter().fold(asks(person("ann", &["dev"])), |input, voter| input.with_approval(voter, ""))
}

fn outcome(config: &Config, voters: impl IntoIterator<Item = Principal>) -> Outcome {
    evaluate(config, &approved_by(voters)).outcome
}

/// `[(how many, out of which groups)]` for each way.
fn missing(outcome: Outcome) -> Vec<Vec<(u32, Vec<String>)>> {
    let Outcome::Wait(ways) = outcome else { panic!("not waiting: {outcome:?}") };
    let pair = |requirement: Requirement| (requirement.approvals, requirement.people.groups);
    ways.into_iter().map(|way| way.into_iter().map(pair).collect()).collect()
}

fn one_of(groups: &[&str]) -> (u32, Vec<String>) {
    some_of(1, groups)
}

fn some_of(count: u32, groups: &[&str]) -> (u32, Vec<String>) {
    (count, groups.iter().map(ToString::to_string).collect())
}

#[test]
fn q1_one_of_each_group_is_missing_until_each_has_approved() {
    assert_eq!(missing(outcome(&both(), [])), [[one_of(&["dba"]), one_of(&["security"])]]);
    assert_eq!(missing(outcome(&both(), [bob()])), [[one_of(&["security"])]]);
}

#[test]
fn q2_one_of_each_group_approves() {
    assert_eq!(outcome(&both(), [bob(), sam()]), Outcome::Approve);
}

#[test]
fn q3_one_person_fills_only_one_group() {
    assert_eq!(missing(outcome(&both(), [sue()])), [[one_of(&["security"])], [one_of(&["dba"])]]);
}

#[test]
fn q4_the_best_assignment_counts_whatever_the_order() {
    assert_eq!(outcome(&both(), [sue(), bob()]), Outcome::Approve);
    assert_eq!(outcome(&both(), [bob(), sue()]), Outcome::Approve);
    assert_eq!(outcome(&both(), [sue(), sam()]), Outcome::Approve);
}

#[test]
fn q5_one_approval_out_of_two_groups_is_one_approval() {
    assert_eq!(outcome(&config(&["dba", "security"], false, 1), [sue()]), Outcome::Approve);
}

#[test]
fn q6_one_approval_of_two_leaves_one_missing() {
    assert_eq!(missing(outcome(&config(&["dba"], false, 2), [bob()])), [[one_of(&["dba"])]]);
}

#[test]
fn q7_two_different_people_are_two_approvals() {
    assert_eq!(outcome(&config(&["dba"], false, 2), [bob(), bea()]), Outcome::Approve);
}

#[test]
fn q8_what_is_missing_is_said_even_where_so_many_do_not_exist() {
    let five = config(&["dba"], false, 5);
    assert_eq!(check(&five), []);
    assert_eq!(missing(outcome(&five, [bob(), bea()])), [[some_of(3, &["dba"])]]);
}

#[test]
fn q9_all_groups_and_an_amount_must_both_be_met() {
    let three = config(&["dba", "security"], true, 3);
    assert_eq!(outcome(&three, [bob(), bea(), sam()]), Outcome::Approve);
    let third = person("bill", &["dba"]);
    assert_eq!(missing(outcome(&three, [bob(), bea(), third])), [[one_of(&["security"])]]);
    // A missing member of a group is also one of the people still missing.
    let of_either = &["dba", "security"];
    assert_eq!(missing(outcome(&three, [bob()])), [[one_of(&["security"]), one_of(of_either)]]);
    assert_eq!(missing(outcome(&three, [])), [[one_of(&["dba"]), one_of(&["security"]), one_of(of_either)]]);
}

#[test]
fn q9_an_amount_out_of_one_required_group_is_one_requirement() {
    assert_eq!(missing(outcome(&config(&["dba"], true, 3), [])), [[some_of(3, &["dba"])]]);
}

fn schema() -> serde_json::Value {
    serde_json::from_str(&quorate_kit::__glue::schema::<Config>()).unwrap()
}

fn findings(config: &Config) -> Vec<(String, String)> {
    check(config).into_iter().map(|finding| (finding.message, finding.path.unwrap_or_default())).collect()
}

#[test]
fn q10_a_config_without_groups_is_refused() {
    assert_eq!(schema()["properties"]["groups"]["minItems"], 1);
    assert_eq!(schema()["required"], serde_json::json!(["groups"]));
    let expected = ("no approval groups: nobody could ever approve".to_owned(), "/groups".to_owned());
    assert_eq!(findings(&config(&[], false, 1)), [expected]);
}

#[test]
fn q11_a_group_listed_twice_is_refused() {
    assert_eq!(schema()["properties"]["groups"]["uniqueItems"], true);
    let expected = ("`dba` is listed twice".to_owned(), "/groups/2".to_owned());
    assert_eq!(findings(&config(&["dba", "security", "dba"], false, 1)), [expected]);
}

#[test]
fn q12_an_amount_out_of_range_is_refused_with_the_range() {
    assert_eq!(schema()["properties"]["approvals"]["minimum"], 1);
    assert_eq!(schema()["properties"]["approvals"]["maximum"], APPROVALS_MAX);
    for approvals in [0, 101, 1_000_000_000] {
        let found = findings(&config(&["dba"], false, approvals));
        assert!(found[0].0.contains("1 to 100") && found[0].1 == "/approvals", "{found:?}");
    }
    for approvals in [1, 100] {
        assert_eq!(findings(&config(&["dba"], false, approvals)), []);
    }
    let negative = quorate_kit::__glue::check::<Config>(r#"{"groups":["dba"],"approvals":-1}"#, check);
    assert_eq!(negative[0].code, "invalid-config");
}

#[test]
fn too_many_or_nameless_groups_are_refused() {
    let many: Vec<String> = (0..=GROUPS_MAX).map(|nth| format!("g{nth}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(check(&config(&many, true, 1))[0].code, "too-many-groups");
    assert_eq!(schema()["properties"]["groups"]["maxItems"], GROUPS_MAX);
    assert_eq!(check(&config(&["dba", ""], true, 1))[0].path.as_deref(), Some("/groups/1"));
}

#[test]
fn v2_a_vote_from_outside_the_groups_changes_nothing() {
    assert_eq!(outcome(&both(), [eve(), bob()]), outcome(&both(), [bob()]));
    let rejected = approved_by([bob(), sam()]).with_rejection(eve(), "no");
    assert_eq!(evaluate(&both(), &rejected).outcome, Outcome::Approve);
}

#[test]
fn v3_one_rejection_ends_it_whoever_approved() {
    let rejected = approved_by([bob(), sue()]).with_rejection(sam(), "not today");
    assert_eq!(evaluate(&both(), &rejected).outcome, Outcome::Deny("rejected by sam: not today".to_owned()));
    let wordless = approved_by([bob()]).with_rejection(sam(), "");
    assert_eq!(evaluate(&both(), &wordless).outcome, Outcome::Deny("rejected by sam".to_owned()));
}

#[test]
fn v6_groups_are_those_at_the_time_of_the_vote() {
    // Bob's vote carries dba; that he has left it since is not in the input at all.
    assert_eq!(outcome(&both(), [bob(), sam()]), Outcome::Approve);
    let left_before_voting = person("bob", &[]);
    assert_eq!(missing(outcome(&both(), [left_before_voting, sam()])), [[one_of(&["dba"])]]);
}

#[test]
fn b3_a_forced_approval_counts_as_a_normal_one() {
    let input = approved_by([sam()]).with_forced_approval(bob(), "now");
    assert_eq!(evaluate(&both(), &input).outcome, Outcome::Approve);
}

#[test]
fn voters_are_the_groups_whatever_the_outcome() {
    let groups = Audience::groups(["dba", "security"]);
    for input in [
        approved_by([]),
        approved_by([bob()]),
        approved_by([bob(), sam()]),
        approved_by([]).with_rejection(sam(), "no"),
    ] {
        assert_eq!(evaluate(&both(), &input).voters, groups);
    }
}

#[test]
fn every_way_that_is_listed_is_enough_and_none_that_would_do_is_left_out() {
    // All of 3 approvers over 4 groups, against trying every assignment.
    let groups = ["a", "b", "c", "d"];
    let all = config(&groups, true, 1);
    let members = |bits: usize| -> Vec<&str> {
        groups.iter().enumerate().filter(|(nth, _)| bits & (1 << nth) != 0).map(|(_, group)| *group).collect()
    };
    for case in 0..16_usize.pow(3) {
        let people: Vec<Principal> =
            (0..3).map(|nth| person(&format!("p{nth}"), &members(case >> (4 * nth) & 15))).collect();
        let listed: Vec<u32> = fillings(&all.groups, &people.iter().collect::<Vec<_>>());
        assert_eq!(listed, tried(&people, &groups), "{case}");
    }
}

/// The largest fillings, by trying each person on each group and on none.
fn tried(people: &[Principal], groups: &[&str]) -> Vec<u32> {
    let mut reached = vec![0_u32];
    for person in people {
        for filled in reached.clone() {
            for (nth, group) in groups.iter().enumerate() {
                if person.is_in(group) && filled & (1 << nth) == 0 {
                    reached.push(filled | (1 << nth));
                }
            }
        }
    }
    let most = reached.iter().map(|filled| filled.count_ones()).max().unwrap();
    reached.retain(|filled| filled.count_ones() == most);
    reached.sort_unstable();
    reached.dedup();
    reached
}

#[test]
fn where_very_many_ways_are_left_a_finding_says_so() {
    let names: Vec<String> = (0..GROUPS_MAX).map(|nth| format!("g{nth:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let everywhere = (0..6).map(|nth| person(&format!("p{nth}"), &names));
    let verdict = evaluate(&config(&names, true, 1), &approved_by(everywhere));
    assert_eq!(verdict.findings[0].code, "more-ways");
    assert_eq!(verdict.findings[0].message, "904 more combinations of groups would do");
    assert_eq!(missing(verdict.outcome).len(), WAYS_MAX);
}

#[test]
fn the_vectors_pass() {
    quorate_kit::vectors::passes(include_str!("../vectors/quorum.yaml"), evaluate, check);
}
