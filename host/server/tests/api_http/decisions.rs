//! Recorded decisions: shown, counted, and made again.

use quorate_core::ids::Digest;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::world::World;

impl World {
    /// Somebody who can write the ledger's file does.
    pub(crate) fn meddle(&self, change: impl FnOnce(&Connection)) {
        let file = Connection::open(self.running.app().config.ledger()).unwrap();
        file.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        change(&file);
    }

    /// Puts another record under the digest of the newest decision about a request.
    async fn forge(&self, id: &str, forge: impl FnOnce(&mut Value)) -> String {
        let digest = self.get(&format!("/api/requests/{id}"), &self.root).await.json["record"].clone();
        let digest = digest.as_str().unwrap().to_owned();
        let mut record = self.get(&format!("/api/decisions/{digest}"), &self.root).await.json;
        forge(&mut record);
        let key: Digest = digest.parse().unwrap();
        let bytes = serde_json::to_vec(&record).unwrap();
        self.meddle(|file| {
            let sql = "UPDATE blobs SET bytes = ?2 WHERE digest = ?1";
            assert_eq!(file.execute(sql, (key.as_bytes(), bytes)).unwrap(), 1);
        });
        digest
    }

    /// How many decisions are on record. What waits is decided again when somebody
    /// whom it concerns signs in for the first time, so there may be more than one asked
    /// for.
    pub(crate) async fn decided(&self) -> u64 {
        let history = self.get("/api/decisions?policy=group-quorum", &self.root).await;
        history.assert_ok()["decisions"].as_u64().unwrap()
    }

    /// Ann asks, and these approve.
    pub(crate) async fn approved_by(&self, names: &[&str]) -> String {
        let ann = self.log_in("ann").await;
        let id = self.ask(&ann).await;
        for name in names {
            let token = self.log_in(name).await;
            let path = format!("/api/requests/{id}/votes");
            self.post(&path, &token, json!({"choice": "approve"})).await.assert_ok();
        }
        id
    }
}

#[tokio::test]
async fn p4_old_decisions_come_out_the_same_with_findings_and_fuel() {
    let world = World::start().await;
    let id = world.approved_by(&["bob", "sam"]).await;
    let auditor = world.log_in("aud").await;
    let history = world.get("/api/decisions", &auditor).await;
    let all = history.assert_ok()["decisions"].as_u64().unwrap();
    assert!(all >= 3 && history.json["missing"] == 0, "{history:?}");
    let page = world.get("/api/decisions/replay", &auditor).await;
    let page = page.assert_ok();
    assert_eq!(
        (&page["decisions"], &page["same"], &page["other_engine"]),
        (&json!(all), &json!(all), &json!(0))
    );
    assert!(page["evaluations"].as_u64().unwrap() >= all, "{page}");
    assert_eq!((&page["listed"], &page["gaps"], &page["next"]), (&json!([]), &json!([]), &Value::Null));
    let record = world.get(&format!("/api/requests/{id}"), &world.root).await.json["record"].clone();
    let path = format!("/api/decisions/{}/replay", record.as_str().unwrap());
    let one = world.get(&path, &auditor).await;
    assert_eq!((&one.assert_ok()["result"], &one.json["same_engine"]), (&json!("same"), &json!(true)));
    let quorum = &one.json["opinions"][0];
    assert_eq!((&quorum["result"], &quorum["said"]), (&json!("same"), &json!("approves")));
    assert!(quorum["fuel_recorded"].as_u64().unwrap() > 0);
    assert_eq!(quorum["fuel_recorded"], quorum["fuel_replayed"]);
}

#[tokio::test]
async fn p4_old_decisions_are_made_again_by_the_version_that_made_them() {
    let world = World::start().await;
    let id = world.approved_by(&["bob"]).await;
    // Another version decides from now on, and everything that waits is decided again.
    let one_group = crate::backtest::component("one-group");
    let path = "/api/policies/group-quorum/versions?activate=true";
    world.upload(path, &world.root, one_group).await.assert_ok();
    let path = format!("/api/decisions/replay?request={id}");
    let page = world.get(&path, &world.root).await;
    assert_eq!(page.assert_ok()["decisions"], page.json["same"], "{page:?}");
    assert_eq!(page.json["listed"], json!([]));
}

#[tokio::test]
async fn p4_a_record_that_was_forged_differs_and_says_where() {
    let world = World::start().await;
    let id = world.approved_by(&["bob", "sam"]).await;
    let digest = world
        .forge(&id, |record| {
            let opinion = &mut record["rules"][0]["opinions"][0];
            opinion["answer"]["verdict"]["outcome"] = json!({"kind": "wait", "value": []});
            opinion["answer"]["verdict"]["findings"] = json!([{"code": "a", "message": "b", "path": null}]);
            opinion["fuel_used"] = json!(opinion["fuel_used"].as_u64().unwrap() + 1);
        })
        .await;
    let page = world.get("/api/decisions/replay", &world.root).await;
    let page = page.assert_ok();
    let all = world.decided().await;
    assert_eq!((&page["decisions"], &page["same"]), (&json!(all), &json!(all - 1)));
    let differs = &page["listed"][0];
    assert_eq!((&differs["record"], &differs["result"]), (&json!(digest), &json!("differs")));
    let parts = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["part"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(parts(&differs["differences"]), ["record", "decision"]);
    assert_eq!(parts(&differs["opinions"][0]["differences"]), ["outcome", "findings", "fuel"]);
    assert_eq!(differs["opinions"][0]["differences"][0]["replayed"], json!({"kind": "approve"}));
}

#[tokio::test]
async fn p4_fuel_is_not_compared_with_that_of_another_engine() {
    let world = World::start().await;
    let id = world.approved_by(&[]).await;
    let digest = world
        .forge(&id, |record| {
            record["engine"] = json!("wasmtime 1");
            record["rules"][0]["opinions"][0]["fuel_used"] = json!(7);
        })
        .await;
    let one = world.get(&format!("/api/decisions/{digest}/replay"), &world.root).await;
    assert_eq!(one.assert_ok()["same_engine"], json!(false));
    assert_eq!(one.json["opinions"][0]["result"], json!("same"), "{one:?}");
    let page = world.get("/api/decisions/replay", &world.root).await;
    assert!(page.assert_ok()["other_engine"].as_u64().unwrap() >= 1, "{page:?}");
}

#[tokio::test]
async fn p4_a_version_that_is_gone_is_no_agreement() {
    let world = World::start().await;
    let id = world.approved_by(&[]).await;
    let digest = world
        .forge(&id, |record| record["rules"][0]["opinions"][0]["version"] = json!("00".repeat(32)))
        .await;
    let one = world.get(&format!("/api/decisions/{digest}/replay"), &world.root).await;
    assert_eq!(one.assert_ok()["opinions"][0]["result"], json!("missing"));
    let why = one.json["opinions"][0]["why"].as_str().unwrap();
    assert!(why.contains("component is not there any more"), "{why}");
}

#[tokio::test]
async fn pages_of_replayed_decisions_add_up() {
    let world = World::start().await;
    world.approved_by(&["bob", "sam"]).await;
    let (mut after, mut seen, mut pages) = (0, 0, 0);
    loop {
        let page = world.get(&format!("/api/decisions/replay?limit=2&after={after}"), &world.root).await;
        seen += page.assert_ok()["decisions"].as_u64().unwrap();
        pages += 1;
        match page.json["next"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    let all = world.decided().await;
    assert!(all >= 3);
    assert_eq!((seen, pages), (all, all.div_ceil(2)));
    for bad in ["limit=0", "limit=50001", "until=x", "aftr=1", "request=a%20b"] {
        let refused = world.get(&format!("/api/decisions/replay?{bad}"), &world.root).await;
        refused.assert_problem(400, "bad-request");
    }
    world
        .get(&format!("/api/decisions/{}/replay", "0".repeat(64)), &world.root)
        .await
        .assert_problem(404, "not-found");
}

#[tokio::test]
async fn a_policy_took_part_where_it_was_asked_and_not_where_somebody_wrote_its_name() {
    let world = World::start().await;
    let path = "/api/policies/probes/versions?activate=true";
    world.upload(path, &world.root, crate::backtest::component("probes")).await.assert_ok();
    let written = r#","policy":"group-quorum","rule":"prod","record":""#;
    let policies = json!([{"policy": "probes", "config": {"do": "deny", "text": written}}]);
    let body = json!({"access_type": "just-in-time", "resources": ["prod"], "policies": policies});
    world.put("/api/rules/prod", &world.root, body).await.assert_ok();
    let ann = world.log_in("ann").await;
    world.ask(&ann).await;
    assert_eq!(world.decided().await, 0);
    let history = world.get("/api/decisions?policy=probes&rule=prod", &world.root).await;
    assert_eq!((&history.assert_ok()["decisions"], &history.json["missing"]), (&json!(1), &json!(0)));
    let page = world.get("/api/decisions/replay", &world.root).await;
    assert_eq!((&page.assert_ok()["same"], &page.json["listed"]), (&json!(1), &json!([])));
}
