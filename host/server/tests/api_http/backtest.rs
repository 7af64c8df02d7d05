//! A candidate over recorded decisions.

use quorate::ledger::{EntryFilter, Order};
use quorate_core::entry::Kind;
use quorate_core::ids::Digest;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, World, rule};

/// A component out of this workspace.
pub(crate) fn component(name: &str) -> &'static [u8] {
    let mut all = quorate_bundle::BUILT_IN.iter().chain(quorate_bundle::PROBES);
    all.find(|bundled| bundled.name == name).unwrap().component
}

impl World {
    pub(crate) async fn upload(&self, path: &str, token: &str, component: &'static [u8]) -> Answer {
        let request = self.request(Method::POST, path, token).header("content-type", "application/wasm");
        Answer::of(request.body(component)).await
    }

    /// Sends the candidate that asks one group only, and tries it.
    async fn backtest(&self, more: &str) -> Value {
        let candidate = self.candidate().await;
        let path = format!("/api/policies/group-quorum/backtest?candidate={candidate}{more}");
        self.get(&path, &self.root).await.assert_ok().clone()
    }

    async fn candidate(&self) -> String {
        let path = "/api/policies/group-quorum/candidates";
        let sent = self.upload(path, &self.root, component("one-group")).await;
        sent.assert_ok()["digest"].as_str().unwrap().to_owned()
    }
}

/// How many came to `live` and would come to `candidate`.
fn count(page: &Value, live: &str, candidate: &str) -> u64 {
    let cells = page["table"].as_array().unwrap().iter();
    let cells = cells.filter(|cell| cell["live"] == live && cell["candidate"] == candidate);
    cells.map(|cell| cell["count"].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn p5_a_candidate_that_drops_a_group_shows_who_would_be_let_in_sooner() {
    let world = World::start().await;
    let id = world.approved_by(&["bob", "sam"]).await;
    let never = world.approved_by(&["bob"]).await;
    world.approved_by(&["sam"]).await;
    let page = world.backtest("").await;
    let all = world.decided().await;
    // Asked three times, then bob, sam, bob, sam.
    assert!(all >= 7, "{all}");
    assert_eq!((&page["decisions"], &page["evaluations"]), (&json!(all), &json!(all)));
    let mut flips = page["flips"].as_array().unwrap().clone();
    let sooner = flips.len() as u64;
    assert_eq!(count(&page, "waiting", "approved"), sooner);
    assert_eq!(count(&page, "approved", "approved"), 1);
    assert_eq!(count(&page, "waiting", "waiting"), all - sooner - 1);
    flips.dedup_by_key(|flip| flip["request"].clone());
    assert_eq!(flips.iter().map(|flip| flip["request"].as_str().unwrap()).collect::<Vec<_>>(), [&id, &never]);
    let flip = &flips[0];
    assert_eq!((&flip["change"], &flip["requester"]), (&json!("lets-in"), &json!("ann")));
    assert_eq!((&flip["resource"], &flip["reason"]), (&json!("prod"), &json!("a look")));
    assert_eq!((&flip["approvers"], &flip["votes"]), (&json!(["bob"]), &json!(1)));
    assert!(flip["live_said"].as_str().unwrap().contains("security"), "{flip}");
    assert_eq!(flip["candidate_said"], "approves");
    assert_eq!(flip["became"]["state"], "APPROVED");
    assert_eq!(flip["became"]["approvers"], json!(["bob", "sam"]));
    assert_eq!(flips[1]["became"], json!({"state": "PENDING", "approved_at": null, "approvers": []}));
}

#[tokio::test]
async fn p5_trying_a_candidate_leaves_no_trace() {
    let world = World::start().await;
    world.approved_by(&["bob"]).await;
    let before = world.get("/api/policies/group-quorum", &world.root).await.json;
    let ledger = &world.running.app().ledger;
    let filter = EntryFilter { kind: Some(Kind::Policy), ..EntryFilter::default() };
    let policies = || ledger.entries(&filter, 1000, Order::OldestFirst).unwrap().len();
    let head = policies();
    let page = world.backtest("").await;
    assert!(!page["flips"].as_array().unwrap().is_empty());
    assert_eq!(policies(), head);
    let digest: Digest = Digest::of(component("one-group"));
    assert_eq!(ledger.blob(&digest).unwrap(), None);
    assert_eq!(world.get("/api/policies/group-quorum", &world.root).await.json, before);
}

#[tokio::test]
async fn p5_the_live_version_against_itself_changes_nothing() {
    let world = World::start().await;
    world.approved_by(&["bob", "sam"]).await;
    let active = world.get("/api/policies/group-quorum", &world.root).await.json["active"].clone();
    let active = &active.as_str().unwrap()[..12];
    let path = format!("/api/policies/group-quorum/backtest?candidate={active}");
    let auditor = world.log_in("aud").await;
    let page = world.get(&path, &auditor).await;
    let all = world.decided().await;
    assert_eq!((&page.assert_ok()["decisions"], &page.json["flips"]), (&json!(all), &json!([])));
    assert_eq!((count(&page.json, "waiting", "waiting"), &page.json["other_answers"]), (all - 1, &json!(0)));
}

#[tokio::test]
async fn a_candidate_that_faults_is_counted_and_listed_and_agrees_with_nothing() {
    let world = World::start().await;
    let ann = world.log_in("ann").await;
    world.ask(&ann).await;
    let body = json!({"resource": "prod", "duration": "2h", "reason": "don't panic"});
    let asked = world.post("/api/requests", &ann, body).await;
    let page = world.backtest("").await;
    let faults = page["flips"].as_array().unwrap().len() as u64;
    assert!(faults > 0 && count(&page, "waiting", "waiting") > 0, "{page}");
    assert_eq!(count(&page, "waiting", "candidate-fault"), faults);
    assert_eq!(count(&page, "waiting", "waiting"), world.decided().await - faults);
    let flip = &page["flips"][0];
    assert_eq!((&flip["change"], &flip["request"]), (&json!("fault"), &asked.json["id"]));
    let said = flip["candidate_said"].as_str().unwrap();
    assert!(said.contains("did not answer: trap") && said.contains("as the reason says"), "{said}");
}

#[tokio::test]
async fn a_config_that_the_candidate_does_not_take_is_counted_and_listed() {
    let world = World::start().await;
    let policies =
        json!([{"policy": "group-quorum", "config": {"groups": ["dba", "security"], "approvals": 3}}]);
    let body = json!({"access_type": "just-in-time", "resources": ["prod"], "policies": policies});
    world.put("/api/rules/prod", &world.root, body).await.assert_ok();
    world.approved_by(&[]).await;
    let page = world.backtest("").await;
    let refused = count(&page, "waiting", "config-refused");
    assert_eq!((refused, &page["evaluations"]), (world.decided().await, &json!(0)));
    let said = page["flips"][0]["candidate_said"].as_str().unwrap();
    assert!(said.contains("does not take the config: /approvals: more than two"), "{said}");
}

#[tokio::test]
async fn a_record_that_is_gone_is_a_gap_and_no_agreement() {
    let world = World::start().await;
    let id = world.approved_by(&["bob"]).await;
    let record = world.get(&format!("/api/requests/{id}"), &world.root).await.json["record"].clone();
    let digest: Digest = record.as_str().unwrap().parse().unwrap();
    world.meddle(|file| {
        assert_eq!(file.execute("DELETE FROM blobs WHERE digest = ?1", [digest.as_bytes()]).unwrap(), 1);
    });
    let all = world.decided().await;
    let history = world.get("/api/decisions", &world.root).await;
    let missing = history.assert_ok()["missing"].as_u64().unwrap();
    assert!(missing > 0 && missing < all, "{history:?}");
    for filter in ["policy=group-quorum", "policy=group-quorum&rule=prod", "", &format!("request={id}")] {
        let history = world.get(&format!("/api/decisions?{filter}"), &world.root).await;
        let counts = (&history.assert_ok()["decisions"], &history.json["missing"]);
        assert_eq!(counts, (&json!(all), &json!(missing)), "{filter}");
    }
    let page = world.backtest("").await;
    assert_eq!((&page["decisions"], &page["flips"]), (&json!(all - missing), &json!([])));
    assert_eq!(page["gaps"].as_array().unwrap().len() as u64, missing);
    let gap = &page["gaps"][0];
    assert_eq!((&gap["request"], &gap["record"]), (&json!(id), &record));
    let replayed = world.get("/api/decisions/replay", &world.root).await;
    assert_eq!(
        (&replayed.json["same"], &replayed.json["gaps"][0]["request"]),
        (&json!(all - missing), &json!(id))
    );
}

#[tokio::test]
async fn only_what_is_asked_for_is_tried() {
    let world = World::start().await;
    world.put("/api/rules/also", &world.root, rule("just-in-time")).await.assert_ok();
    world.approved_by(&["bob"]).await;
    // Both rules ask the policy.
    let all = world.decided().await;
    let page = world.backtest("").await;
    assert_eq!((&page["decisions"], &page["evaluations"]), (&json!(all), &json!(2 * all)));
    let page = world.backtest("&rule=also").await;
    assert_eq!(page["evaluations"], json!(all));
    assert_eq!(count(&page, "waiting", "approved"), 0, "the other rule still waits: {page}");
    for none in ["&rule=none", "&since=2027-01-01T00:00:00Z", "&after=1000000"] {
        assert_eq!(world.backtest(none).await["decisions"], json!(0), "{none}");
    }
    let first = world.backtest("&limit=1").await;
    assert_eq!(first["decisions"], json!(1));
    let rest = world.backtest(&format!("&after={}", first["next"])).await;
    assert_eq!((&rest["decisions"], &rest["next"]), (&json!(all - 1), &Value::Null));
}

#[tokio::test]
async fn a_candidate_that_is_not_there_or_no_policy_says_so() {
    let world = World::start().await;
    let get = async |path: &str| world.get(path, &world.root).await;
    let path = "/api/policies/group-quorum/backtest?candidate=";
    get(&format!("{path}00000000")).await.assert_problem(404, "not-found");
    get(&format!("{path}abc")).await.assert_problem(422, "invalid");
    get("/api/policies/nothing/backtest?candidate=00000000").await.assert_problem(404, "not-found");
    let sent = world.upload("/api/policies/group-quorum/candidates", &world.root, b"nonsense").await;
    assert!(sent.status.is_client_error(), "{sent:?}");
    let sent = world.upload("/api/policies/nothing/candidates", &world.root, component("one-group")).await;
    sent.assert_problem(404, "not-found");
    // Nobody has used it for an hour.
    let candidate = world.candidate().await;
    get(&format!("{path}{candidate}")).await.assert_ok();
    world.hand.advance(3600);
    get(&format!("{path}{candidate}")).await.assert_problem(404, "not-found");
}
