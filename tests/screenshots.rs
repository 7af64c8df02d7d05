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

use quorate::agent::Secret;
use quorate::config::Config;
use quorate::slack::Declared;
use world::browser::Browser;
use world::program::PATIENCE;
use world::provider::{declared, settings};
use world::receiver::Receiver;
use world::slack::{BOT_TOKEN, SIGNING_SECRET, Slack};
use world::{World, component, noted, quorum};

const COMMAND: &str = "update invoices\n   set paid_at = now()\n where number = 4711;\n";

#[tokio::main]
async fn main() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let mut provider = settings("https://id.example.org", "quorate");
    provider.label = Some("Example".to_owned());
    let oidc = Some(declared(provider, None));
    let slack = Slack::start().await;
    slack.conversation("C0DBA", true);
    let in_slack = Some(Declared {
        api: slack.api().parse().unwrap(),
        bot_token: Secret::new(BOT_TOKEN),
        signing_secret: Some(Secret::new(SIGNING_SECRET)),
        app_token: None,
    });
    let config = Config { oidc, slack: in_slack, notify_own_network: true, ..Config::default() };
    let world = World::with(config).await;
    slack.follow(world.app().clock.clone());
    let channel = json!({ "kind": "slack", "conversation": "C0DBA", "rules": [],
        "description": "The dba team's conversation" });
    world.put("root", "channels/slack", channel).await.good();
    let receiver = Receiver::start().await;
    for name in ["pager", "audit-trail"] {
        let channel = json!({ "kind": "webhook", "address": receiver.address, "all_requests": true,
            "description": "Whoever is on call" });
        world.put("root", &format!("channels/{name}"), channel).await.good();
    }
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

    let ann = world.at_the_command_line("ann");
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let mut terminal = ann.sits_down(&["connect", "billing-shell"]);
        terminal.type_in("printf 'invoice  amount\\n4711     12.50\\n'; echo do''ne\n").unwrap();
        terminal.wait_for("done", PATIENCE).unwrap();
        sessions.push(terminal);
        world.clock.advance(60);
    }
    let mut first = sessions.remove(0);
    first.type_in("exit\n").unwrap();
    first.wait_exit(PATIENCE).unwrap();
    let ended = world.eventually("the end of the session", async || {
        let ended = world.get("root", "sessions?open=false").await.good().text("/items/0/id").to_owned();
        Some(ended).filter(|id| !id.is_empty())
    });
    let ended = ended.await;
    let open_session = world.get("root", "sessions?open=true").await.good().text("/items/0/id").to_owned();

    let browser = Browser::start().await;
    let (bob, root, nobody) = (browser.person().await, browser.person().await, browser.person().await);
    bob.signed_in(&world.url(), world.token("bob")).await;
    root.signed_in(&world.url(), world.token("root")).await;
    let record = world.request(&waits).await.text("/record").to_owned();
    let candidate = noted(component("one-group"), "screenshots");
    let candidate = world.upload("root", "policies/group-quorum/versions", candidate).await.good();
    let candidate = candidate.text("/digest").to_owned();
    let told = slack.command(&world.url(), "U0BOB", "C0DBA", "list").await.json();
    let told = told["text"].as_str().unwrap().to_owned();
    let link = told.split_once('<').unwrap().1.split_once('|').unwrap().0;
    let link = link.strip_prefix(&format!("{}/", world.url())).unwrap().to_owned();
    let pages = [
        ("sign-in", "sign-in".to_owned(), &nobody),
        ("sign-in-refused", "sign-in/oidc/callback".to_owned(), &nobody),
        ("inbox", "requests?inbox=all".to_owned(), &bob),
        ("request", format!("requests/{waits}"), &bob),
        ("command", format!("requests/{command}"), &bob),
        ("approved", format!("requests/{open}"), &bob),
        ("new", "requests/new?resource=billing-shell".to_owned(), &bob),
        ("account", "account".to_owned(), &bob),
        ("slack", link, &bob),
        ("rules", "rules".to_owned(), &root),
        ("rule", "rules/prod-postgres-just-in-time".to_owned(), &root),
        ("resources", "resources".to_owned(), &root),
        ("resource", "resources/prod-postgres".to_owned(), &root),
        ("channels", "channels".to_owned(), &root),
        ("channel", "channels/pager".to_owned(), &root),
        ("channel-slack", "channels/slack".to_owned(), &root),
        ("new-channel", "new/channel".to_owned(), &root),
        ("people", "people".to_owned(), &root),
        ("person", "people/ann".to_owned(), &root),
        ("policies", "policies".to_owned(), &root),
        ("policy", "policies/group-quorum".to_owned(), &root),
        ("backtest", format!("policies/group-quorum/backtest?candidate={candidate}"), &root),
        ("playground", format!("policies/group-quorum/playground?record={record}"), &root),
        ("audit", "audit".to_owned(), &root),
        ("decision", format!("decisions/{record}"), &root),
        ("sessions", "sessions".to_owned(), &root),
        ("session", format!("sessions/{open_session}"), &root),
        ("recording", format!("sessions/{ended}/recording"), &root),
    ];
    for (name, path, page) in pages {
        for scheme in ["light", "dark"] {
            for (width, kind) in [(1100, "wide"), (400, "narrow")] {
                page.colours(scheme).await;
                page.size(width, 800).await;
                page.open(&format!("{}/{path}", world.url())).await;
                if name == "recording" {
                    page.until("document.querySelector('#player .ap-time-remaining')?.innerText").await;
                    page.click("#player .ap-overlay-start").await;
                    page.says("4711     12.50").await;
                }
                let file = folder.join(format!("{name}-{scheme}-{kind}.png"));
                std::fs::write(&file, STANDARD.decode(page.picture().await).unwrap()).unwrap();
            }
        }
    }
    println!("{}", folder.display());
    world.finish().await;
}
