//! Every route says who may use it, and keeps to that.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Answer, World};

/// A route, and who the document says may use it.
struct Route {
    method: Method,
    path: String,
    takes: Takes,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Takes {
    Nothing,
    Token,
    Auditor,
    Admin,
}

async fn routes(world: &World) -> Vec<Route> {
    let document = world.get("/api/openapi.json", "").await;
    let mut routes = Vec::new();
    for (path, item) in document.assert_ok()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            let takes = match &operation["security"] {
                Value::Array(all) if *all == [json!({})] => Takes::Nothing,
                Value::Array(all) if *all == [json!({"token": []})] => Takes::Token,
                Value::Array(all) if *all == [json!({"token": ["auditor"]})] => Takes::Auditor,
                Value::Array(all) if *all == [json!({"token": ["admin"]})] => Takes::Admin,
                other => panic!("{method} {path} does not say who may use it: {other}"),
            };
            let mut filled = path.clone();
            let digest = "0".repeat(64);
            let parts = [("{id}", "nobody"), ("{name}", "nothing"), ("{digest}", &digest), ("{entry}", "1")];
            for (name, value) in parts {
                filled = filled.replace(name, value);
            }
            assert!(!filled.contains('{'), "{path} has a part that this test does not know");
            routes.push(Route { method, path: filled, takes });
        }
    }
    assert!(routes.len() > 40, "only {} routes are in the document", routes.len());
    routes
}

impl Route {
    async fn call(&self, world: &World, token: &str) -> Answer {
        let mut request = world.request(self.method.clone(), &self.path, token);
        if matches!(self.method, Method::POST | Method::PUT) {
            request = request.json(&json!({}));
        }
        let response = request.send().await.unwrap();
        if response.status().is_success() && self.path == "/api/events" {
            // It goes on for as long as somebody listens.
            let (status, headers) = (response.status(), response.headers().clone());
            return Answer { status, headers, text: String::new(), json: Value::Null };
        }
        Answer::read(response).await
    }
}

#[tokio::test]
async fn without_a_token_every_route_but_the_open_ones_refuses() {
    let world = World::start().await;
    let mut open = Vec::new();
    for route in routes(&world).await {
        for token in ["", "qrt_0000", "nonsense"] {
            let answer = route.call(&world, token).await;
            if route.takes == Takes::Nothing {
                assert_ne!(answer.status, StatusCode::FORBIDDEN, "{} {}", route.method, route.path);
            } else {
                answer.assert_problem(401, "unauthenticated");
                assert_eq!(answer.header("www-authenticate"), "Bearer");
            }
        }
        if route.takes == Takes::Nothing {
            open.push(route.path);
        }
    }
    open.sort();
    assert_eq!(open, ["/api/login", "/api/setup", "/healthz", "/readyz"]);
}

#[tokio::test]
async fn a_role_opens_its_own_routes_and_no_others() {
    let world = World::start().await;
    let (plain, auditor) = (world.log_in("ann").await, world.log_in("aud").await);
    let (mut for_auditors, mut for_admins) = (0, 0);
    for route in routes(&world).await {
        let name = format!("{} {}", route.method, route.path);
        if matches!(name.as_str(), "POST /api/logout") {
            continue;
        }
        let plain = route.call(&world, &plain).await;
        let auditor = route.call(&world, &auditor).await;
        let root = route.call(&world, &world.root).await;
        let refused = |answer: &Answer| answer.status == StatusCode::FORBIDDEN;
        let wanted = match route.takes {
            Takes::Nothing | Takes::Token => (false, false, false),
            Takes::Auditor => (true, false, false),
            Takes::Admin => (true, true, false),
        };
        assert_eq!((refused(&plain), refused(&auditor), refused(&root)), wanted, "{name}");
        for_auditors += usize::from(route.takes == Takes::Auditor);
        for_admins += usize::from(route.takes == Takes::Admin);
        for answer in [plain, auditor, root] {
            assert!(!answer.status.is_server_error(), "{name}: {answer:?}");
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{name}");
        }
    }
    assert!(for_auditors >= 12 && for_admins >= 9, "{for_auditors} and {for_admins}");
}

#[tokio::test]
async fn what_changes_the_configuration_takes_an_admin() {
    let world = World::start().await;
    for route in routes(&world).await {
        let configures = ["/api/users", "/api/groups", "/api/rules", "/api/policies", "/api/resources"];
        if route.method != Method::GET && configures.iter().any(|under| route.path.starts_with(under)) {
            assert_eq!(route.takes, Takes::Admin, "{} {}", route.method, route.path);
        }
    }
}

#[tokio::test]
async fn every_documented_route_is_there_and_describes_its_errors() {
    let world = World::start().await;
    let document = world.get("/api/openapi.json", "").await.json;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert_eq!(
                operation["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"],
                "#/components/schemas/Problem",
                "{name}"
            );
            assert!(!operation["summary"].as_str().unwrap_or("").is_empty(), "{name} has no summary");
        }
    }
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "there is no schema {name}");
    }
    for route in routes(&world).await {
        let answer = route.call(&world, &world.root).await;
        let detail = answer.json["detail"].as_str().unwrap_or("");
        assert!(!detail.contains("such address"), "{} {}: {detail}", route.method, route.path);
    }
}

#[tokio::test]
async fn an_unknown_address_or_method_is_a_problem_too() {
    let world = World::start().await;
    for path in ["/api/nothing", "/nothing", "/api/requests/x/y/z", "/api//requests", "/api/%00"] {
        world.get(path, &world.root).await.assert_problem(404, "not-found");
    }
    let answer = world.delete("/api/requests", &world.root).await;
    answer.assert_problem(405, "method-not-allowed");
    assert!(answer.header("allow").contains("POST"), "{answer:?}");
}

#[tokio::test]
async fn every_answer_has_an_id_and_is_not_kept_by_browsers() {
    let world = World::start().await;
    for path in ["/api/me", "/healthz", "/nothing"] {
        let answer = world.get(path, &world.root).await;
        assert_eq!(answer.header("x-request-id").len(), 26);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn people_see_their_own_requests_and_those_they_can_vote_on() {
    let world = World::start().await;
    let (ann, bob, ivy, aud) = (
        world.log_in("ann").await,
        world.log_in("bob").await,
        world.log_in("ivy").await,
        world.log_in("aud").await,
    );
    let id = world.ask(&ann).await;
    for part in ["", "/entries", "/explain"] {
        let path = format!("/api/requests/{id}{part}");
        for token in [&ann, &bob, &aud] {
            world.get(&path, token).await.assert_ok();
        }
        world.get(&path, &ivy).await.assert_problem(404, "not-found");
    }
    world.get(&format!("/api/requests/{id}/events"), &ivy).await.assert_problem(404, "not-found");
    for (token, total) in [(&ann, 1), (&bob, 1), (&aud, 1), (&ivy, 0)] {
        assert_eq!(world.get("/api/requests", token).await.assert_ok()["total"], total);
    }
}

#[tokio::test]
async fn secrets_are_named_and_never_shown() {
    let world = World::start().await;
    let resource = world.get("/api/resources/prod", &world.root).await;
    assert_eq!(resource.assert_ok()["secrets"], json!(["PGPASSWORD"]));
    for path in ["/api/resources", "/api/audit/entries", "/api/audit/export", "/metrics", "/api/users"] {
        let answer = world.get(path, &world.root).await;
        assert!(answer.status.is_success(), "{answer:?}");
        for secret in ["hunter2", "argon2", crate::world::PASSWORD, &world.root] {
            assert!(!answer.text.contains(secret), "{path} shows {secret}");
        }
    }
}
