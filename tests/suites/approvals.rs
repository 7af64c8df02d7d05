//! Quorum over HTTP, decided by the real policy: who is enough, and what people are
//! told of who is missing.

use serde_json::{Value, json};

use crate::world::{Answer, World, just_in_time, quorum};

/// Ann's request under such a quorum.
async fn asked(groups: &[&str], require_all: bool, approvals: u32) -> (World, String) {
    let world = World::new().await;
    world.resource("prod", quorum(groups, require_all, approvals)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    (world, id)
}

/// What is missing on each of the ways out, in words, sorted.
fn missing(answer: &Answer) -> Vec<String> {
    let ways = answer.list("/waiting/0/ways").iter();
    let words = |way: &Value| {
        let each = way["missing"].as_array().unwrap().iter();
        each.map(|one| one["what"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" and ")
    };
    let mut all: Vec<String> = ways.map(words).collect();
    all.sort();
    all
}

#[tokio::test]
async fn q1_q2_one_of_each_group_is_enough_and_less_is_not() {
    let (world, id) = asked(&["dba", "security"], true, 1).await;
    let waiting = world.approve("bob", &id).await.good();
    assert_eq!(waiting.state(), "PENDING");
    assert_eq!(missing(&waiting), ["1 of security"]);
    assert_eq!(waiting.body["waiting"][0]["ways"][0]["missing"][0]["people"], json!(["sam", "sue"]));
    assert!(waiting.text("/summary").contains("1 of security (sam, sue)"), "{}", waiting.text("/summary"));
    let approved = world.approve("sam", &id).await.good();
    assert_eq!(approved.state(), "APPROVED");
    assert_eq!(approved.body["approval"]["approvers"], json!(["bob", "sam"]));
    world.finish().await;
}

#[tokio::test]
async fn q3_one_person_fills_one_group_and_not_both() {
    let (world, id) = asked(&["dba", "security"], true, 1).await;
    let waiting = world.approve("sue", &id).await.good();
    assert_eq!(waiting.state(), "PENDING");
    assert_eq!(missing(&waiting), ["1 of dba", "1 of security"]);
    assert!(!waiting.body["waiting"].to_string().contains("sue"), "she has voted");
    assert_eq!(waiting.body["nobody_can_approve"], false);
    world.finish().await;
}

#[tokio::test]
async fn q4_the_best_assignment_counts_whatever_the_order() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba", "security"], true, 1)).await;
    for (first, second) in [("sue", "bob"), ("bob", "sue"), ("sue", "sam"), ("sam", "sue")] {
        let id = world.ask("ann", "prod", "1h").await.good().id();
        assert_eq!(world.approve(first, &id).await.good().state(), "PENDING", "{first}");
        assert_eq!(world.approve(second, &id).await.good().state(), "APPROVED", "{first}, then {second}");
    }
    world.finish().await;
}

#[tokio::test]
async fn q5_somebody_in_two_groups_is_enough_where_one_is() {
    let (world, id) = asked(&["dba", "security"], false, 1).await;
    let approved = world.approve("sue", &id).await.good();
    assert_eq!(approved.state(), "APPROVED");
    assert_eq!(approved.list("/votes").len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn q6_q7_two_approvals_are_two_people() {
    let (world, id) = asked(&["dba"], false, 2).await;
    assert_eq!(missing(&world.approve("bob", &id).await.good()), ["1 of dba"]);
    let again = world.approve("bob", &id).await;
    assert!(again.refused(409, "already-voted").contains("bob has already voted"));
    let still = world.request(&id).await;
    assert_eq!((still.state(), still.list("/votes").len()), ("PENDING", 1));
    assert_eq!(world.approve("bea", &id).await.good().state(), "APPROVED");
    world.finish().await;
}

#[tokio::test]
async fn q8_more_approvals_than_people_is_warned_of_and_told() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    let saved = world.rule("r", just_in_time("prod", quorum(&["security"], false, 5))).await.good();
    assert_eq!(saved.text("/warnings/0/code"), "warning-cannot-be-met");
    let warning = saved.text("/warnings/0/message");
    assert!(warning.contains("5 of security") && warning.contains("there are 2"), "{warning}");
    let asked = world.ask("ann", "prod", "1h").await.good();
    assert_eq!((asked.state(), &asked.body["nobody_can_approve"]), ("PENDING", &json!(true)));
    let summary = asked.text("/summary");
    assert!(summary.contains("cannot be met: 5 needed, 2 people"), "{summary}");
    world.finish().await;
}

#[tokio::test]
async fn q9_an_amount_and_all_groups_must_both_be_met() {
    let mut world = World::new().await;
    world.resource("prod", quorum(&["dba", "security"], true, 3)).await;
    world.person("ben", &["dba"]).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    for (who, state) in [("bob", "PENDING"), ("bea", "PENDING"), ("sam", "APPROVED")] {
        assert_eq!(world.approve(who, &id).await.good().state(), state, "{who}");
    }
    let id = world.ask("ann", "prod", "1h").await.good().id();
    for who in ["bob", "bea"] {
        world.approve(who, &id).await.good();
    }
    let waiting = world.approve("ben", &id).await.good();
    assert_eq!((waiting.state(), missing(&waiting)), ("PENDING", vec!["1 of security".to_owned()]));
    assert_eq!(world.approve("sue", &id).await.good().state(), "APPROVED");
    world.finish().await;
}

#[tokio::test]
async fn q10_q11_q12_a_quorum_that_makes_no_sense_is_refused_where_it_stands() {
    let world = World::new().await;
    world.bare_resource("prod", json!({})).await;
    for (config, path, words) in [
        (json!({ "groups": [] }), "/groups", "less than 1 item"),
        (json!({}), "", "groups"),
        (json!({ "groups": ["dba", "dba"] }), "/groups", "unique"),
        (json!({ "groups": [""] }), "/groups/0", "1 character"),
        (json!({ "groups": ["dba"], "approvals": 0 }), "/approvals", "minimum of 1"),
        (json!({ "groups": ["dba"], "approvals": -1 }), "/approvals", "minimum of"),
        (json!({ "groups": ["dba"], "approvals": 1_000_000_000 }), "/approvals", "maximum of 100"),
        (json!({ "groups": ["dba"], "approvals": "two" }), "/approvals", "integer"),
        (json!({ "groups": ["dba"], "aprovals": 2 }), "", "aprovals"),
    ] {
        let policies = json!([{ "policy": "group-quorum", "config": config }]);
        let refused = world.rule("r", just_in_time("prod", policies)).await;
        let detail = refused.refused(422, "bad-config");
        assert!(detail.contains(words), "{config}: {detail}");
        assert_eq!(refused.text("/path"), format!("/policies/0/config{path}"), "{config}");
    }
    let nobody = world.rule("r", just_in_time("prod", json!([]))).await;
    assert!(nobody.refused(422, "invalid").contains("nobody could ever approve"));
    // The form has the same limits.
    for form in [
        json!({ "approval_groups": [] }),
        json!({ "approval_amount": 1 }),
        json!({ "approval_groups": ["dba", "dba"] }),
        json!({ "approval_groups": ["dba"], "approval_amount": 0 }),
        json!({ "approval_groups": ["dba"], "approval_amount": 1_000_000_000 }),
    ] {
        let mut rule = json!({ "access_type": "just-in-time", "resources": ["prod"] });
        rule.as_object_mut().unwrap().extend(form.as_object().unwrap().clone());
        world.rule("r", rule).await.refused(422, "bad-config");
    }
    let negative = json!({ "access_type": "command", "resources": ["prod"],
        "approval_groups": ["dba"], "approval_amount": -1 });
    let refused = world.rule("r", negative).await;
    refused.refused(400, "bad-request");
    assert_eq!(refused.text("/path"), "/approval_amount");
    world.get("root", "rules/r").await.refused(404, "not-found");
    world.finish().await;
}

#[tokio::test]
async fn t7_nobody_who_can_approve_is_told_at_once_with_what_is_missing() {
    let mut world = World::new().await;
    world.resource("prod", quorum(&["dba", "legal"], true, 1)).await;
    world.person("leo", &["legal"]).await;
    let id = world.ask("leo", "prod", "1h").await.good().id();
    // Leo is the only one in legal, and it is his own request.
    let asked = world.get("leo", &format!("requests/{id}")).await.good();
    assert_eq!((asked.state(), &asked.body["nobody_can_approve"]), ("PENDING", &json!(true)));
    let summary = asked.text("/summary");
    assert!(summary.starts_with("nobody can approve this"), "{summary}");
    assert!(summary.contains("1 of legal (cannot be met: 1 needed, 0 people)"), "{summary}");
    // Operators see it too, and somebody switched off is nobody.
    world.put("root", "users/leo", json!({ "active": false })).await.good();
    let other = world.ask("ann", "prod", "1h").await.good();
    assert_eq!(other.body["nobody_can_approve"], true);
    let inbox = world.get("root", "requests?state=PENDING").await.good();
    assert!(
        inbox
            .list("/items")
            .iter()
            .any(|one| one["id"] == other.body["id"] && one["nobody_can_approve"] == true)
    );
    let metrics = world.raw(reqwest::Method::GET, "/metrics", world.token("root"), "").await.good();
    let counted = |line: &&str| line.starts_with("quorate_requests_nobody_can_approve_total ");
    let line = metrics.text("").lines().find(counted).expect("the metric");
    assert!(!line.ends_with(" 0"), "{line}");
    // One more person, and it can be met.
    world.person("lea", &["legal"]).await;
    let better = world.request(&other.id()).await.good();
    assert_eq!(better.body["nobody_can_approve"], false);
    world.approve("bob", &other.id()).await.good();
    assert_eq!(world.approve("lea", &other.id()).await.good().state(), "APPROVED");
    world.finish().await;
}
