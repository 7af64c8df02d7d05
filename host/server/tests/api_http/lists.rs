//! Lists: pages, filters, and who sees what.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn pages_hold_every_request_once_the_newest_first() {
    let world = World::start().await;
    let ann = world.log_in("ann").await;
    let mut asked = Vec::new();
    for _ in 0..7 {
        asked.push(world.ask(&ann).await);
    }
    asked.reverse();
    for token in [&ann, &world.root] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.get(&format!("/api/requests?limit=3{cursor}"), token).await;
            assert_eq!(page.assert_ok()["total"], 7);
            let items = page.json["items"].as_array().unwrap();
            seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            match page.json["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, asked);
    }
}

#[tokio::test]
async fn inboxes_hold_what_waits_and_what_is_mine() {
    let world = World::start().await;
    let (ann, bob, sue) = (world.log_in("ann").await, world.log_in("bob").await, world.log_in("sue").await);
    let (first, _second) = (world.ask(&ann).await, world.ask(&ann).await);
    let total = async |token: &str, query: &str| {
        world.get(&format!("/api/requests?{query}"), token).await.assert_ok()["total"].as_u64().unwrap()
    };
    assert_eq!(total(&bob, "inbox=waiting").await, 2);
    world.post(&format!("/api/requests/{first}/votes"), &bob, json!({"choice": "approve"})).await.assert_ok();
    assert_eq!(total(&bob, "inbox=waiting").await, 1);
    assert_eq!(total(&bob, "inbox=mine").await, 0);
    assert_eq!(total(&ann, "inbox=mine").await, 2);
    assert_eq!(total(&ann, "inbox=waiting").await, 0);
    world.post(&format!("/api/requests/{first}/votes"), &sue, json!({"choice": "reject"})).await.assert_ok();
    assert_eq!(total(&sue, "inbox=waiting").await, 1);
    assert_eq!(total(&ann, "state=REJECTED").await, 1);
    assert_eq!(total(&ann, "state=rejected,PENDING").await, 2);
    assert_eq!(total(&bob, "state=REJECTED").await, 1);
    assert_eq!(total(&world.root, "requester=ann&resource=prod&access_type=just-in-time&text=LOOK").await, 2);
    assert_eq!(total(&world.root, "text=nowhere").await, 0);
    assert_eq!(total(&world.root, "since=2026-03-02T10:00:00Z&until=2026-03-02T10:00:01Z").await, 2);
    assert_eq!(total(&world.root, "since=2026-03-02T10:00:01Z").await, 0);
}

#[tokio::test]
async fn who_sees_some_requests_pages_through_exactly_those() {
    let world = World::start().await;
    let body = json!({"command": ["sh"], "standing_groups": ["dev"]});
    world.put("/api/resources/lobby", &world.root, body).await.assert_ok();
    let (ann, bob) = (world.log_in("ann").await, world.log_in("bob").await);
    // Bob may vote on those for prod, and sees nothing of the others.
    let mut seen = Vec::new();
    for nth in 0..9 {
        if nth % 3 == 1 {
            seen.insert(0, world.ask(&ann).await);
        } else {
            world.post("/api/requests", &ann, json!({"resource": "lobby"})).await.assert_ok();
        }
    }
    for (inbox, limit) in [("all", 1), ("all", 2), ("waiting", 1), ("waiting", 3), ("all", 50)] {
        let (mut found, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let path = format!("/api/requests?inbox={inbox}&limit={limit}{cursor}");
            let page = world.get(&path, &bob).await;
            assert_eq!(page.assert_ok()["total"], 3, "{path}");
            let items = page.json["items"].as_array().unwrap();
            found.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            pages += 1;
            assert!(pages < 10, "it does not end: {found:?}");
            match page.json["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!((found, pages), (seen.clone(), 3_usize.div_ceil(limit)), "{inbox}, {limit} a page");
    }
}

#[tokio::test]
async fn open_access_is_listed_until_it_ends() {
    let world = World::start().await;
    let (ann, bob, sam) = (world.log_in("ann").await, world.log_in("bob").await, world.log_in("sam").await);
    let id = world.ask(&ann).await;
    let votes = format!("/api/requests/{id}/votes");
    world.post(&votes, &bob, json!({"choice": "approve"})).await.assert_ok();
    let approved = world.post(&votes, &sam, json!({"choice": "approve"})).await;
    assert_eq!(approved.assert_ok()["state"], "APPROVED");
    for path in ["/api/grants", "/api/grants?resource=prod"] {
        let grants = world.get(path, &ann).await;
        assert_eq!(grants.assert_ok()[0]["id"], id.as_str());
        assert_eq!(world.get(path, &bob).await.assert_ok(), &json!([]));
    }
    assert_eq!(world.get("/api/grants?resource=other", &ann).await.assert_ok(), &json!([]));
    let revoked = world.post(&format!("/api/requests/{id}/revoke"), &sam, json!({"reason": "enough"})).await;
    assert_eq!(revoked.assert_ok()["state"], "REVOKED");
    assert_eq!(world.get("/api/grants", &ann).await.assert_ok(), &json!([]));
    let timeline = world.get(&format!("/api/requests/{id}/entries?limit=2"), &ann).await;
    assert_eq!(timeline.assert_ok()["items"][0]["entry"]["type"], "request-submitted");
    let next = timeline.json["next"].as_str().unwrap();
    let rest = world.get(&format!("/api/requests/{id}/entries?cursor={next}"), &ann).await;
    let last = rest.assert_ok()["items"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["entry"]["type"], &last["entry"]["why"]),
        (&json!("request-revoked"), &json!("enough"))
    );
    assert_eq!(rest.json["total"], approved.json["revision"].as_u64().unwrap() + 1);
}

#[tokio::test]
async fn resources_are_listed_for_those_who_can_ask_for_them() {
    let world = World::start().await;
    let (ann, ivy, aud) = (world.log_in("ann").await, world.log_in("ivy").await, world.log_in("aud").await);
    let open = json!({"command": ["sh"], "standing_groups": ["guests"]});
    world.put("/api/resources/lobby", &world.root, open).await.assert_ok();
    let names = async |token: &str| {
        let list = world.get("/api/resources", token).await;
        let items = list.assert_ok()["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&ann).await, ["prod"]);
    assert_eq!(names(&ivy).await, ["lobby"]);
    assert_eq!(names(&aud).await, ["lobby", "prod"]);
    world.get("/api/resources/prod", &ivy).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn sessions_of_others_are_for_auditors() {
    let world = World::start().await;
    let (ann, aud) = (world.log_in("ann").await, world.log_in("aud").await);
    for (token, path) in [
        (&ann, "/api/sessions"),
        (&ann, "/api/sessions?user=ann&open=true"),
        (&aud, "/api/sessions?user=ann"),
    ] {
        assert_eq!(world.get(path, token).await.assert_ok()["items"], json!([]));
    }
    world.get("/api/sessions?user=bob", &ann).await.assert_problem(403, "forbidden");
    world.get("/api/sessions/nothing", &ann).await.assert_problem(404, "not-found");
}
