//! Facts: found out before a decision, recorded with it, and none where a source does not
//! answer.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use quorate::config::{Config, Settings};
use serde_json::{Value, json};

use crate::world::gateway::Gateway;
use crate::world::program::{in_time, program};
use crate::world::{World, component, quorum};

/// A machine that knows things, on a port of its own.
#[derive(Clone)]
struct Oracle(Arc<Mutex<Said>>);

struct Said {
    answer: Answer,
    /// Address and `Authorization` of everything it was asked.
    asked: Vec<(String, String)>,
}

#[derive(Clone)]
enum Answer {
    Says(u16, String),
    Hangs,
}

impl Oracle {
    async fn start() -> (Self, String) {
        let said = Said { answer: Answer::Says(200, "[]".to_owned()), asked: Vec::new() };
        let oracle = Self(Arc::new(Mutex::new(said)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer).with_state(oracle.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (oracle, url)
    }

    fn says(&self, status: u16, text: &str) {
        self.0.lock().unwrap().answer = Answer::Says(status, text.to_owned());
    }

    fn hangs(&self) {
        self.0.lock().unwrap().answer = Answer::Hangs;
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().asked.clone()
    }
}

async fn answer(State(oracle): State<Oracle>, request: Request) -> Response {
    let secret = request.headers().get("authorization").map_or("", |value| value.to_str().unwrap());
    let answer = {
        let mut said = oracle.0.lock().unwrap();
        said.asked.push((request.uri().to_string(), secret.to_owned()));
        said.answer.clone()
    };
    match answer {
        Answer::Says(status, text) => {
            // Where it redirects to would say who is on call.
            Response::builder().status(status).header("Location", "/moved").body(Body::from(text)).unwrap()
        }
        Answer::Hangs => std::future::pending().await,
    }
}

/// The settings in `text`, read as `serve --config` reads them.
fn config(folder: &std::path::Path, text: &str) -> Config {
    let file = folder.join("quorate.yaml");
    std::fs::write(&file, text).unwrap();
    Config::resolve(Settings::default(), Some(&file)).unwrap()
}

/// A gateway that lets whoever is on call approve requests for `prod`, and otherwise dba;
/// `source` says who is on call.
async fn on_call(folder: &tempfile::TempDir, source: &str) -> World {
    let world = World::with(config(folder.path(), &format!("facts:\n  on-call: {source}\n"))).await;
    world.activate("on-call", component("on-call")).await.good();
    let policies = json!([{ "policy": "on-call", "config": { "otherwise": ["dba"] } }]);
    world.resource("prod", policies).await;
    world
}

fn http(url: &str) -> String {
    format!(
        "{{http: {{url: '{url}/{{resource}}?user={{requester}}', timeout: 1s, cache: 0s, pointer: /people}}}}"
    )
}

/// What the policies were told of the fact when the request was last decided.
async fn told(world: &World, id: &str) -> Value {
    let digest = world.request(id).await.text("/record").to_owned();
    let record = world.get("root", &format!("decisions/{digest}")).await.good().body;
    assert_eq!(record["input"]["facts"][0]["name"], "on-call", "{record}");
    record["input"]["facts"][0].clone()
}

#[tokio::test]
async fn who_is_on_call_approves_and_the_record_says_who_that_was() {
    let (oracle, url) = Oracle::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let mut world = on_call(&folder, &http(&url)).await;
    oracle.says(200, r#"{"people": ["eve"], "until": "noon"}"#);
    let id = world.ask("ann", "prod", "1h").await.good().id();
    assert_eq!(oracle.asked()[0].0, "/prod?user=ann");
    let fact = told(&world, &id).await;
    assert_eq!((&fact["known"], &fact["as_of"]), (&json!(r#"["eve"]"#), &json!("2026-03-02T10:00:00Z")));
    let root = world.at_the_command_line("root");
    let takes = root.runs(&["requests", "explain", &id]).await.with(0).out;
    assert!(takes.contains("approvals by eve"), "{takes}");
    // Whoever would decide otherwise does not.
    assert_eq!(world.approve("bob", &id).await.status, 404);
    world.approve("eve", &id).await.good();
    world.until(&id, "APPROVED").await;

    // Later others are on call, and another gateway knows nothing: the decision is what it was.
    oracle.says(200, r#"{"people": ["sam"]}"#);
    world.restart_after(60).await;
    assert_eq!(told(&world, &id).await["known"], json!(r#"["eve"]"#));
    let before = oracle.asked().len();
    let all = world.at_the_command_line("root").asks(&["decisions", "replay", "--all"]).await;
    assert!(all["decisions"].as_u64().unwrap() >= 2, "{all}");
    assert_eq!((&all["same"], &all["differs"]), (&all["decisions"], &json!(0)), "{all}");
    assert_eq!(oracle.asked().len(), before, "a replay asks nobody");
    world.finish().await;
}

#[tokio::test]
async fn a_source_that_gives_nothing_leaves_the_decision_to_the_others() {
    let (oracle, url) = Oracle::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let world = on_call(&folder, &http(&url)).await;
    let large = format!(r#"{{"people": ["eve"], "more": "{}"}}"#, "x".repeat(70_000));
    let eve = r#"{"people": ["eve"]}"#;
    for (status, text, why) in [
        (500, eve, "answered 500"),
        (307, eve, "answered 307"),
        (200, "<html>", "no JSON"),
        (200, "", "no JSON"),
        (200, r#"{"person": "eve"}"#, "nothing at /people"),
        (200, &large, "larger than 64 KiB"),
    ] {
        oracle.says(status, text);
        let id = world.ask("ann", "prod", "1h").await.good().id();
        assert_eq!(told(&world, &id).await["known"], Value::Null, "{why}");
        let listed = world.get("root", "facts").await.good().body;
        let error = listed["items"][0]["last_error"]["why"].as_str().unwrap();
        assert!(error.contains(why), "{why}: {error}");
        assert_eq!(world.approve("eve", &id).await.status, 404, "{why}");
        world.approve("bob", &id).await.good();
        world.until(&id, "APPROVED").await;
    }
    assert!(oracle.asked().iter().all(|(url, _)| !url.contains("moved")), "a redirect was followed");
    let metrics = world.raw(reqwest::Method::GET, "/metrics", world.token("root"), "").await;
    let metrics = metrics.body.as_str().unwrap();
    assert!(metrics.contains(r#"quorate_facts_total{fact="on-call",outcome="failed"}"#), "{metrics}");
    world.finish().await;
}

#[tokio::test]
async fn a_source_that_hangs_holds_nobody_up_and_is_asked_again_when_it_may_answer() {
    let (oracle, url) = Oracle::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let world = on_call(&folder, &http(&url)).await;
    oracle.hangs();
    let ask = || async { world.ask("ann", "prod", "1h").await.good().id() };
    let all = in_time(futures_util::future::join_all((0..20).map(|_| ask()))).await;
    // They share the one question, and those that come after it do not wait again.
    let after = in_time(ask()).await;
    assert_eq!(oracle.asked().len(), 1);
    for id in all.iter().chain([&after]) {
        assert_eq!(told(&world, id).await["known"], Value::Null);
        assert_eq!(world.request(id).await.state(), "PENDING");
    }
    assert_eq!(world.approve("eve", &after).await.status, 404);
    // It is well again: the request finds whoever is on call by itself.
    oracle.says(200, r#"{"people": ["eve"]}"#);
    world.clock.advance(60);
    world
        .eventually("the fact is known", async || {
            (told(&world, &after).await["known"] == json!(r#"["eve"]"#)).then_some(())
        })
        .await;
    world.approve("eve", &after).await.good();
    world.until(&after, "APPROVED").await;
    world.finish().await;
}

#[tokio::test]
async fn a_file_says_who_is_on_call_and_is_read_for_each_decision() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("on-call.json");
    let world = on_call(&folder, "{file: {path: on-call.json, pointer: /people}}").await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    assert_eq!(told(&world, &id).await["known"], Value::Null);
    std::fs::write(&file, r#"{"people": ["eve"]}"#).unwrap();
    world.approve("eve", &id).await.good();
    world.until(&id, "APPROVED").await;
    assert_eq!(told(&world, &id).await["known"], json!(r#"["eve"]"#));
    world.finish().await;
}

#[tokio::test]
async fn the_ledger_counts_what_was_without_what_is_being_decided() {
    let folder = tempfile::TempDir::new().unwrap();
    let world = on_call(&folder, "{ledger: {count: submitted, of: both, window: 1d}}").await;
    let first = world.ask("ann", "prod", "1h").await.good().id();
    assert_eq!(told(&world, &first).await["known"], "0");
    let second = world.ask("ann", "prod", "1h").await.good().id();
    assert_eq!(told(&world, &second).await["known"], "1");
    // Of somebody else, and decided again where it is in the ledger itself.
    let other = world.ask("sam", "prod", "1h").await.good().id();
    assert_eq!(told(&world, &other).await["known"], "0");
    world.approve("bob", &second).await.good();
    assert_eq!(told(&world, &second).await["known"], "1");
    world.clock.advance(24 * 3600 + 1);
    let later = world.ask("ann", "prod", "1h").await.good().id();
    assert_eq!(told(&world, &later).await["known"], "0");
    world.finish().await;
}

#[tokio::test]
async fn a_backtest_says_how_often_the_candidate_asks_for_what_nobody_found_out_then() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("on-call.json"), r#"["eve"]"#).unwrap();
    let world = on_call(&folder, "{file: {path: on-call.json}}").await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    world.approve("eve", &id).await.good();
    // The same component: it is told what was recorded, and says what it said.
    let same = folder.path().join("same.wasm");
    std::fs::write(&same, component("on-call")).unwrap();
    let root = world.at_the_command_line("root");
    let backtest = ["policy", "backtest", same.to_str().unwrap(), "--policy", "on-call"];
    std::fs::write(folder.path().join("on-call.json"), r#"["sam"]"#).unwrap();
    let result = root.asks(&backtest).await;
    assert_eq!((&result["decisions"], &result["without_facts"]), (&json!(2), &json!(0)), "{result}");
    assert_eq!(result["flips"], json!([]), "{result}");
    // In the place of a policy that asked for nothing.
    world.resource("test", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "test", "1h").await.good().id();
    world.approve("bob", &id).await.good();
    let instead = ["policy", "backtest", same.to_str().unwrap(), "--policy", "group-quorum"];
    assert_eq!(root.asks(&instead).await["without_facts"], 2);
    let said = root.runs(&instead).await.with(0).out;
    assert!(said.contains("2 were recorded without a fact that the candidate asks for"), "{said}");
    world.finish().await;
}

#[tokio::test]
async fn what_a_source_is_asked_with_is_a_secret() {
    let (oracle, url) = Oracle::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let settings = folder.path().join("quorate.yaml");
    std::fs::write(folder.path().join("token"), "Bearer hunter2\n").unwrap();
    let text = format!(
        "facts:\n  on-call:\n    http:\n      url: '{url}/{{resource}}?key=hunter2'\n      \
         headers: {{Authorization: {{file: token}}}}\n"
    );
    std::fs::write(&settings, text).unwrap();
    let mut gateway = Gateway::start(&["ann"], &["--config", settings.to_str().unwrap()]).await;
    gateway.put("root", "resources/prod", json!({ "kind": "shell", "command": ["sh"] })).await;
    let root = gateway.at_the_command_line("root");
    let line = ["facts", "test", "on-call", "--requester", "ann", "--resource", "prod"];
    oracle.says(200, r#"["eve"]"#);
    let known = root.runs(&line).await.with(0);
    assert!(known.out.contains("eve"), "{known:?}");
    assert_eq!(oracle.asked()[0].1, "Bearer hunter2");
    // It says everything it was told.
    oracle.says(500, "hunter2");
    let failed = root.runs(&line).await.with(1);
    assert!(failed.out.contains("answered 500"), "{failed:?}");
    oracle.says(200, "hunter2");
    let no_json = root.runs(&line).await.with(1);
    let listed = root.runs(&["facts", "list"]).await.with(0);
    assert!(listed.out.contains("on-call") && listed.out.contains("1 of 3"), "{listed:?}");
    for said in [&known.out, &failed.out, &no_json.out, &listed.out, &gateway.log()] {
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert!(gateway.log().contains("a fact could not be had"), "{}", gateway.log());
    gateway.stop().await;
}

#[tokio::test]
async fn facts_that_cannot_be_tried_are_refused_in_one_line() {
    let folder = tempfile::TempDir::new().unwrap();
    let world = on_call(&folder, "{ledger: {count: approved, of: requester, window: 7d}}").await;
    let (root, ann) = (world.at_the_command_line("root"), world.at_the_command_line("ann"));
    let test = |name, who, what| ["facts", "test", name, "--requester", who, "--resource", what];
    for (arguments, says) in [
        (test("on-cal", "ann", "prod"), "there is no source of a fact"),
        (test("on-call", "nobody", "prod"), "there is no user"),
        (test("on-call", "ann", "none"), "there is no resource"),
    ] {
        let ended = root.runs(&arguments).await.with(14);
        assert!(ended.line().contains(says), "{arguments:?}: {ended:?}");
    }
    assert!(ann.runs(&test("on-call", "ann", "prod")).await.with(14).line().contains("admin"));
    assert!(ann.runs(&["facts", "list"]).await.with(14).line().contains("admin"));
    let known = root.runs(&test("on-call", "ann", "prod")).await.with(0).out;
    assert!(known.starts_with("0\n"), "{known}");
    world.finish().await;
}

#[tokio::test]
async fn the_sample_of_settings_is_right_and_its_secret_is_not_printed() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/serve.yaml");
    let check = ["serve", "--config", sample, "--check"];
    let without = in_time(program(&check).env_remove("ROTA_TOKEN").output()).await.unwrap();
    assert_eq!(without.status.code(), Some(2));
    let said = String::from_utf8(without.stderr).unwrap();
    assert!(said.contains("`on-call`") && said.contains("ROTA_TOKEN is not set"), "{said}");
    let with = in_time(program(&check).env("ROTA_TOKEN", "Bearer hunter2").output()).await.unwrap();
    let said = String::from_utf8(with.stdout).unwrap();
    assert!(said.contains("approved-this-week") && said.contains("rota.example.org"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
