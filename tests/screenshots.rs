//! Takes a picture of every page, light and dark, wide and narrow: `just screenshots`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "it shares the world of the tests, of which it uses a part"
)]

mod world;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use world::browser::Browser;
use world::{World, component, noted, quorum};

const COMMAND: &str = "update invoices\n   set paid_at = now()\n where number = 4711;\n";

#[tokio::main]
async fn main() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let world = World::new().await;
    for (name, policies) in [
        ("prod-postgres", quorum(&["dba", "security"], true, 1)),
        ("billing-shell", quorum(&["dba"], false, 1)),
        ("staging-redis", quorum(&["dba"], false, 1)),
    ] {
        world.resource(name, policies).await;
    }
    let ask = async |who: &str, what: serde_json::Value| world.post(who, "requests", what).await.good().id();
    let old =
        ask("eve", json!({"resource": "staging-redis", "duration": "30m", "reason": "stuck queue"})).await;
    world.reject("bea", &old).await.good();
    let open =
        ask("ann", json!({"resource": "billing-shell", "duration": "8h", "reason": "quarter close"})).await;
    world.approve("bob", &open).await.good();
    world.clock.advance(420);
    let command = json!({"text": COMMAND, "arguments": ["--single-transaction"]});
    let reason = "Invoice 4711 was paid twice, see ticket BIL-23";
    let command =
        ask("ann", json!({"resource": "prod-postgres", "command": command, "reason": reason})).await;
    let waits =
        json!({"resource": "prod-postgres", "duration": "2h", "reason": "Slow checkout: look at the locks"});
    let waits = ask("eve", waits).await;
    let vote = json!({"choice": "approve", "comment": "fine until noon"});
    world.post("sam", &format!("requests/{waits}/votes"), vote).await.good();

    let browser = Browser::start().await;
    let (bob, root, nobody) = (browser.person().await, browser.person().await, browser.person().await);
    bob.signed_in(&world.url(), world.token("bob")).await;
    root.signed_in(&world.url(), world.token("root")).await;
    let record = world.request(&waits).await.text("/record").to_owned();
    let candidate = noted(component("one-group"), "screenshots");
    let candidate = world.upload("root", "policies/group-quorum/versions", candidate).await.good();
    let candidate = candidate.text("/digest").to_owned();
    let pages = [
        ("sign-in", "sign-in".to_owned(), &nobody),
        ("inbox", "requests?inbox=all".to_owned(), &bob),
        ("request", format!("requests/{waits}"), &bob),
        ("command", format!("requests/{command}"), &bob),
        ("approved", format!("requests/{open}"), &bob),
        ("new", "requests/new?resource=billing-shell".to_owned(), &bob),
        ("account", "account".to_owned(), &bob),
        ("rules", "rules".to_owned(), &root),
        ("rule", "rules/prod-postgres-just-in-time".to_owned(), &root),
        ("resources", "resources".to_owned(), &root),
        ("resource", "resources/prod-postgres".to_owned(), &root),
        ("people", "people".to_owned(), &root),
        ("person", "people/ann".to_owned(), &root),
        ("policies", "policies".to_owned(), &root),
        ("policy", "policies/group-quorum".to_owned(), &root),
        ("backtest", format!("policies/group-quorum/backtest?candidate={candidate}"), &root),
        ("playground", format!("policies/group-quorum/playground?record={record}"), &root),
        ("audit", "audit".to_owned(), &root),
        ("decision", format!("decisions/{record}"), &root),
    ];
    for (name, path, page) in pages {
        for scheme in ["light", "dark"] {
            for (width, kind) in [(1100, "wide"), (400, "narrow")] {
                page.colours(scheme).await;
                page.size(width, 800).await;
                page.open(&format!("{}/{path}", world.url())).await;
                let file = folder.join(format!("{name}-{scheme}-{kind}.png"));
                std::fs::write(&file, STANDARD.decode(page.picture().await).unwrap()).unwrap();
            }
        }
    }
    println!("{}", folder.display());
    world.finish().await;
}
