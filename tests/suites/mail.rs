//! People hear of requests by e-mail: each for themselves, once, and whatever others write.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate::config::Config;
use quorate::mail::Declared;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::world::gateway::Gateway;
use crate::world::postbox::{FROM, Postbox, declared};
use crate::world::program::run;
use crate::world::{World, quorum};

/// A gateway with a resource, a mail server, and a channel that writes to whom it concerns.
async fn world(mail: Declared) -> World {
    let mut world =
        World::with(Config { mail: Some(mail), review_timeout_seconds: 24 * 3600, ..Config::default() })
            .await;
    world.person("audrey", &["auditor"]).await;
    world.resource("prod", quorum(&["dba", "security"], true, 1)).await;
    channel(&world, json!({})).await;
    world
}

async fn channel(world: &World, more: Value) {
    let mut body = json!({ "kind": "email", "all_requests": true });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.put("root", "channels/post", body).await.good();
}

async fn until_status(world: &World, field: &str, value: Value) -> Value {
    world
        .eventually(&format!("{field} is {value}"), async || {
            let status = world.get("audrey", "channels/post").await.good().body["status"].clone();
            (status[field] == value).then_some(status)
        })
        .await
}

/// Waits until nothing is left to be told, of `count` messages in all.
async fn told(world: &World, postbox: &Postbox, count: usize) -> Vec<Value> {
    world
        .eventually(&format!("{count} messages"), async || (postbox.messages().len() >= count).then_some(()))
        .await;
    until_status(world, "waiting", json!(0)).await;
    let messages = postbox.messages();
    assert_eq!(messages.len(), count, "{:?}", postbox.recipients());
    messages
}

async fn untold(world: &World, id: &str) -> Value {
    world.get("audrey", &format!("requests/{id}/explain")).await.good().body["untold"].clone()
}

fn addresses(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{name}@example.org")).collect()
}

#[tokio::test]
async fn needs_smtp_who_can_vote_is_written_to_and_then_who_asked_and_who_voted() {
    let postbox = Postbox::start(json!({})).await;
    let world = world(postbox.declared()).await;
    channel(&world, json!({ "events": ["request.submitted", "request.approved"] })).await;
    let asked = json!({ "resource": "prod", "duration": "1h", "reason": "grüße from invoice 4711" });
    let id = world.post("ann", "requests", asked).await.good().id();
    let asked = told(&world, &postbox, 4).await;
    assert_eq!(postbox.recipients(), addresses(&["bea", "bob", "sam", "sue"]));
    world.approve("bob", &id).await.good();
    world.approve("sam", &id).await.good();
    let all = told(&world, &postbox, 7).await;
    let answers = &all[4..];
    let to: BTreeSet<&str> = answers.iter().map(|one| one["to"][0].as_str().unwrap()).collect();
    assert_eq!(to, BTreeSet::from(["ann@example.org", "bob@example.org", "sam@example.org"]));

    let url = format!("{}/requests/{id}", world.url());
    for message in &all {
        // Each sees themselves and nobody else.
        assert_eq!(message["to"].as_array().unwrap().len(), 1);
        assert_eq!(message["shown_to"], message["to"][0]);
        assert_eq!((&message["from"], &message["attachments"]), (&json!("quorate@example.org"), &json!(0)));
        assert_eq!(message["shown_from"], json!("\"Quorate\" <quorate@example.org>"));
        assert_eq!(message["date"], "2026-03-02T10:00:00.000Z");
        assert_eq!(message["headers"]["auto-submitted"], "Auto-Submitted: auto-generated");
        let (text, html) = (message["text"].as_str().unwrap(), message["html"].as_str().unwrap());
        for part in ["grüße from invoice 4711", &url] {
            assert!(text.contains(part) && html.contains(part), "{part}: {text}{html}");
        }
        assert!(html.contains(&format!("<a href=\"{url}\"")), "{html}");
    }
    let first = asked[0]["text"].as_str().unwrap();
    for part in ["ann asks for prod for 1h", "How long: 1h", "1 of dba (bea, bob", "1 of security (sam"] {
        assert!(first.contains(part), "{part}: {first}");
    }
    let approved = answers[0]["text"].as_str().unwrap();
    for part in
        ["ann has access to prod", "bob approved", "sam approved", "Access ends 2026-03-02 11:00:00 UTC"]
    {
        assert!(approved.contains(part), "{part}: {approved}");
    }
    // The second message to bob answers the first.
    let of_bob: Vec<&Value> = all.iter().filter(|one| one["to"][0] == "bob@example.org").collect();
    assert_eq!(of_bob[0]["answers"], Value::Null);
    assert_eq!((&of_bob[1]["answers"], &of_bob[1]["references"]), (&of_bob[0]["id"], &of_bob[0]["id"]));
    assert_eq!(of_bob[0]["subject"], "ann asks for prod for 1h");
    assert_eq!(of_bob[1]["subject"], "Re: ann asks for prod for 1h");
    let ids: BTreeSet<&str> = all.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 7);
    assert_eq!(untold(&world, &id).await, json!([]));
    world.finish().await;
}

#[tokio::test]
async fn needs_smtp_what_people_write_stays_text() {
    let postbox = Postbox::start(json!({})).await;
    let world = world(postbox.declared()).await;
    channel(&world, json!({ "to": ["dba@example.org"] })).await;
    let nasty = "<script>alert(1)</script><a href=\"https://evil.example\">Open the request</a>\r\n\r\n\
        .\r\nBcc: eve@example.org\r\nOpen the request:\r\nhttps://evil.example";
    for reason in [nasty, &format!("{nasty}{}", "x".repeat(9_000))] {
        let asked = json!({ "resource": "prod", "duration": "1h", "reason": reason });
        let answer = world.post("ann", "requests", asked).await.good();
        world.cancel("ann", &answer.id()).await.good();
    }
    let text = format!("SELECT 1;\n{}", "ü".repeat(10_000));
    world.ask_command("ann", "prod", &text).await.good();
    let messages = told(&world, &postbox, 5).await;
    for message in &messages {
        assert_eq!((&message["to"], &message["attachments"]), (&json!(["dba@example.org"]), &json!(0)));
        let names: Vec<&str> =
            message["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert!(!names.contains(&"bcc") && names.len() <= 12, "{names:?}");
        let (html, text) = (message["html"].as_str().unwrap(), message["text"].as_str().unwrap());
        assert!(!html.contains("<script") && html.matches("<a ").count() == 1, "{html}");
        assert_eq!(text.lines().filter(|line| *line == "Open the request:").count(), 1, "{text}");
        let source = message["source"].as_str().unwrap();
        assert!(source.is_ascii() && source.lines().all(|line| line.len() <= 78), "{source}");
    }
    let texts: Vec<&str> = messages.iter().map(|one| one["text"].as_str().unwrap()).collect();
    let command = texts.iter().find(|text| text.contains("    | SELECT 1;")).unwrap();
    assert!(command.contains("cut: the page shows all of it"));
    world.finish().await;
}

#[tokio::test]
async fn needs_smtp_one_who_is_refused_keeps_nobody_from_being_told() {
    let postbox = Postbox::start(json!({ "refuse": ["bob@example.org"] })).await;
    let world = world(postbox.declared()).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    told(&world, &postbox, 3).await;
    assert_eq!(postbox.recipients(), addresses(&["bea", "sam", "sue"]));
    let why = "1 of 4 recipients were refused, the first bob@example.org: it answered 550 no such mailbox";
    assert_eq!(untold(&world, &id).await, json!([{ "channel": "post", "error": why, "given_up": true }]));
    let page = world.seen("root", &format!("/requests/{id}")).await.1;
    assert!(page.contains("no such mailbox"), "{page}");
    let status = until_status(&world, "failures", json!(0)).await;
    assert_eq!(status["dead"], 0);
    // Once that is mended, only bob is told.
    postbox.set(&json!({}));
    let entry = world.get("root", "channels/post/deliveries").await.good().body["items"][0]["entry"].clone();
    world.post("root", &format!("channels/post/deliveries/{entry}/again"), json!({})).await;
    told(&world, &postbox, 4).await;
    assert_eq!(postbox.recipients(), addresses(&["bea", "bob", "sam", "sue"]));
    assert_eq!(untold(&world, &id).await, json!([]));

    // Everybody refused is given up.
    postbox.set(&json!({ "refuse": addresses(&["bea", "bob", "sam", "sue"]) }));
    world.ask("ann", "prod", "2h").await.good();
    until_status(&world, "dead", json!(1)).await;
    world.finish().await;
}

#[tokio::test]
async fn needs_smtp_one_who_has_to_wait_holds_up_nobody_else_and_gets_everything_in_order() {
    let postbox = Postbox::start(json!({ "defer": ["bob@example.org"] })).await;
    let mut world = world(postbox.declared()).await;
    channel(&world, json!({ "to": ["bob@example.org", "sam@example.org"] })).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let waiting =
        until_status(&world, "last_error", json!("bob@example.org: it answered 451 come back later"));
    assert_eq!(waiting.await["failures"], 0);
    // What follows goes to the other, also of other requests.
    world.approve("sam", &id).await.good();
    world.approve("bob", &id).await.good();
    let other = world.ask("ann", "prod", "2h").await.good().id();
    let to = |who: &str| -> Vec<(String, String)> {
        let address = format!("{who}@example.org");
        let all = postbox.messages().into_iter().filter(|one| one["to"][0] == *address);
        let heard = all.map(|one| {
            let text = one["text"].as_str().unwrap();
            let request = if text.contains(&other) { &other } else { &id };
            (request.clone(), text.lines().next().unwrap().to_owned())
        });
        heard.collect()
    };
    let of_first = |heard: Vec<(String, String)>| -> Vec<String> {
        heard.into_iter().filter(|(request, _)| *request == id).map(|(_, what)| what).collect()
    };
    world.eventually("sam has all of it", async || (to("sam").len() == 5).then_some(())).await;
    let told = of_first(to("sam"));
    assert_eq!(told[0], "ann asks for prod for 1h");
    assert_eq!(told.last().unwrap(), "ann has access to prod");
    assert!(to("bob").is_empty());
    for id in [&id, &other] {
        assert!(untold(&world, id).await[0]["error"].as_str().unwrap().contains("bob@example.org"));
    }
    // Who was told is not told again, also by a gateway that was started anew; and bob hears of
    // everything in its order.
    postbox.set(&json!({}));
    world.restart_after(60).await;
    world
        .eventually("bob has all of it, one right behind the other", async || {
            (to("bob").len() == 5).then_some(())
        })
        .await;
    until_status(&world, "waiting", json!(0)).await;
    assert_eq!(of_first(to("bob")), told);
    assert_eq!((to("bob").len(), to("sam").len()), (5, 5));
    for id in [&id, &other] {
        assert_eq!(untold(&world, id).await, json!([]));
    }
    world.finish().await;
}

#[tokio::test]
async fn needs_smtp_a_server_that_is_down_for_two_hours_loses_nothing() {
    let mut postbox = Postbox::down();
    let world = world(postbox.declared()).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.ask("ann", "prod", "1h").await.good().id());
    }
    for failures in 1..=8 {
        let resting = until_status(&world, "failures", json!(failures)).await;
        world.clock.set(resting["retry_at"].as_str().unwrap().parse().unwrap());
    }
    until_status(&world, "failures", json!(9)).await;
    world.clock.advance(2 * 3600);
    until_status(&world, "failures", json!(10)).await;
    postbox.serve().await;
    world.clock.advance(3600);
    let messages = told(&world, &postbox, 20).await;
    let each: BTreeSet<(String, String)> = messages
        .iter()
        .map(|one| {
            let text = one["text"].as_str().unwrap();
            let id = ids.iter().find(|id| text.contains(id.as_str())).unwrap();
            (id.clone(), one["to"][0].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(each.len(), 20, "somebody was told twice");
    world.finish().await;
}

#[tokio::test]
async fn needs_smtp_one_whom_the_server_never_answers_about_comes_last() {
    let postbox = Postbox::start(json!({ "hang": ["bob@example.org"] })).await;
    let world = world(Declared { patience: Duration::from_secs(1), ..postbox.declared() }).await;
    channel(&world, json!({ "to": ["bob@example.org", "sam@example.org"] })).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    until_status(&world, "failures", json!(1)).await;
    world.clock.advance(60);
    // The others are told, also of what follows.
    world.cancel("ann", &id).await.good();
    world.eventually("both for sam", async || (postbox.messages().len() == 2).then_some(())).await;
    assert_eq!(postbox.recipients(), addresses(&["sam", "sam"]));
    let error = untold(&world, &id).await[0]["error"].as_str().unwrap().to_owned();
    assert_eq!(error, "bob@example.org: it did not answer within 1 seconds");
    world.finish().await;
}

#[tokio::test]
async fn needs_smtp_messages_go_over_few_connections_as_long_as_the_server_lets_them() {
    let mut postbox = Postbox::down();
    postbox.set(&json!({ "most": 5 }));
    let world = world(postbox.declared()).await;
    channel(&world, json!({ "to": ["dba@example.org"], "events": ["request.submitted"] })).await;
    for _ in 0..16 {
        world.ask("ann", "prod", "1h").await.good();
    }
    until_status(&world, "failures", json!(1)).await;
    postbox.serve().await;
    world.clock.advance(60);
    let mut by_connection = BTreeMap::<String, usize>::new();
    for message in told(&world, &postbox, 16).await {
        *by_connection.entry(message["connection"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(by_connection.values().all(|count| *count <= 5), "{by_connection:?}");
    assert!(by_connection.len() <= 8, "{by_connection:?}");
    let status = until_status(&world, "failures", json!(0)).await;
    assert_eq!(status["dead"], 0);
    world.finish().await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", silent.local_addr().unwrap());
    let world = world(Declared { patience: Duration::from_secs(1), ..declared(&url, None) }).await;
    world.ask("ann", "prod", "1h").await.good();
    let resting = until_status(&world, "failures", json!(1)).await;
    assert_eq!(resting["last_error"], "it did not answer within 1 seconds");
    world.finish().await;
}

#[tokio::test]
async fn needs_smtp_a_wrong_password_is_said_without_it() {
    let postbox = Postbox::start(json!({ "user": "quorate", "password": "correct horse" })).await;
    let world = world(postbox.declared_as("quorate", "hunter2hunter2")).await;
    let tested = world.post("root", "channels/post/test", json!({})).await.good();
    assert_eq!(tested.body["error"], "it answered 535 no quorate with *** here");
    world.ask("ann", "prod", "1h").await.good();
    let resting = until_status(&world, "failures", json!(1)).await;
    assert!(!resting.to_string().contains("hunter2"), "{resting}");
    // It may be mended there: it is tried again.
    postbox.set(&json!({ "user": "quorate", "password": "hunter2hunter2" }));
    world.clock.advance(60);
    told(&world, &postbox, 4).await;
    world.finish().await;
}

#[tokio::test]
async fn needs_smtp_nothing_is_said_where_tls_is_demanded_and_cannot_be_had() {
    let mut postbox = Postbox::start(json!({ "user": "quorate", "password": "hunter2" })).await;
    let url = format!("smtp+starttls://quorate@{}", postbox.address());
    let world = world(declared(&url, Some("hunter2"))).await;
    let test = async || world.post("root", "channels/post/test", json!({})).await.good();
    let none = test().await;
    assert_eq!(none.body["error"], "STARTTLS is not supported on this server");
    // A certificate that nobody vouches for is none.
    postbox.stop().await;
    postbox.set(&json!({ "user": "quorate", "password": "hunter2", "starttls": true }));
    postbox.serve().await;
    let unknown = test().await;
    assert!(unknown.text("/error").contains("certificate"), "{}", unknown.body);
    assert!(postbox.messages().is_empty());
    world.finish().await;
}

#[tokio::test]
async fn needs_smtp_over_tls_it_signs_in_at_a_server_whose_certificate_is_vouched_for() {
    let folder = tempfile::tempdir().unwrap();
    let kept = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let [authority, cert, key] = certified("localhost");
    let authority = kept("authority", &authority);
    let (cert, key, password) = (kept("cert", &cert), kept("key", &key), kept("password", "hunter2hunter2"));
    for (scheme, more) in [("smtps", json!({ "tls": true })), ("smtp+starttls", json!({ "starttls": true }))]
    {
        let mut settings =
            json!({ "user": "quorate", "password": "hunter2hunter2", "key": key, "cert": cert });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let postbox = Postbox::start(settings).await;
        let (_, port) = postbox.address().split_once(':').unwrap();
        let url = format!("{scheme}://quorate@localhost:{port}");
        let arguments =
            ["--smtp-url", &url, "--mail-from", FROM, "--smtp-password-file", password.to_str().unwrap()];
        let body = json!({ "kind": "email", "all_requests": true, "to": ["dba@example.org"] });
        let tested = async |environment| {
            let mut gateway = Gateway::start_in(environment, &[], &arguments).await;
            gateway.put("root", "channels/post", body.clone()).await;
            let tested = gateway.post("root", "channels/post/test", json!({})).await;
            assert!(!gateway.log().contains("hunter2"), "{}", gateway.log());
            assert_eq!(gateway.stop().await, Some(0));
            tested.body["error"].clone()
        };
        // Nobody on this machine vouches for it.
        let unknown = tested(Vec::new()).await;
        assert!(unknown.as_str().unwrap().contains("certificate"), "{scheme}: {unknown}");
        assert!(postbox.messages().is_empty());
        assert_eq!(tested(vec![("SSL_CERT_FILE", authority.clone())]).await, Value::Null, "{scheme}");
        let messages = postbox.messages();
        assert_eq!((messages.len(), &messages[0]["secure"]), (1, &json!(true)), "{scheme}");
    }
}

/// An authority, and a certificate for `host` by it with its key, in PEM.
fn certified(host: &str) -> [String; 3] {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let signed = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    [signed.pem(), cert.pem(), key.serialize_pem()]
}

#[tokio::test]
async fn needs_smtp_a_test_goes_to_whom_the_channel_writes_or_to_the_gateway_itself() {
    let postbox = Postbox::start(json!({})).await;
    let world = world(postbox.declared()).await;
    let test = async || world.post("root", "channels/post/test", json!({})).await.good();
    assert_eq!(test().await.body, json!({ "delivered": true, "error": null }));
    channel(&world, json!({ "to": ["dba@example.org", "ops@example.org"] })).await;
    assert_eq!(test().await.body["delivered"], true);
    assert_eq!(postbox.recipients(), addresses(&["dba", "ops", "quorate"]));
    assert_eq!(postbox.messages()[0]["subject"], "Test of channel post");
    world.finish().await;
}

#[tokio::test]
async fn needs_smtp_nobody_who_could_be_written_to_is_said_on_the_request() {
    let postbox = Postbox::start(json!({})).await;
    let world = world(postbox.declared()).await;
    for name in ["bob", "bea", "sam", "sue"] {
        world.put("root", &format!("users/{name}"), json!({ "email": "" })).await.good();
    }
    let id = world.ask("ann", "prod", "1h").await.good().id();
    until_status(&world, "dead", json!(1)).await;
    let error = "nobody it concerns has an e-mail address";
    let why = json!([{ "channel": "post", "error": error, "given_up": true }]);
    assert_eq!(untold(&world, &id).await, why);
    // That is not the channel's fault, and later messages have somebody.
    world.cancel("ann", &id).await.good();
    told(&world, &postbox, 1).await;
    assert_eq!(postbox.recipients(), addresses(&["ann"]));
    assert_eq!(until_status(&world, "failures", json!(0)).await["last_error"], Value::Null);
    world.finish().await;
}

#[tokio::test]
async fn needs_smtp_a_gateway_that_is_killed_tells_one_person_twice_at_most() {
    let postbox = Postbox::start(json!({ "delay_ms": 20 })).await;
    let url = format!("smtp://{}", postbox.address());
    let mut gateway = Gateway::start(&["ann", "bob"], &["--smtp-url", &url, "--mail-from", FROM]).await;
    let to: Vec<String> = (0..40).map(|nth| format!("dba{nth:02}@example.org")).collect();
    let body = json!({ "kind": "email", "all_requests": true, "to": to });
    gateway.put("root", "channels/post", body).await;
    let root = gateway.at_the_command_line("root");
    root.runs(&["admin", "create", "conn", "box", "--reviewers", "dba", "--", "sh"]).await.with(0);
    let asked = json!({ "resource": "box", "duration": "1h" });
    gateway.post("ann", "requests", asked).await;
    let until = async |count: usize| {
        for _ in 0..3000 {
            if postbox.messages().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} of {count} messages", postbox.messages().len());
    };
    until(5).await;
    gateway.kill().await;
    assert!(postbox.messages().len() < 40, "it was killed too late");
    gateway.serve().await;
    until(40).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let messages = postbox.messages();
    let ids: BTreeSet<&str> = messages.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 40, "each has one id, however often it was sent");
    assert!(messages.len() <= 41, "{} messages", messages.len());
    gateway.stop().await;
}

#[tokio::test]
async fn a_channel_of_this_kind_takes_a_mail_server_and_a_gateway_takes_all_of_one() {
    let world = World::new().await;
    let refused = world.put("root", "channels/post", json!({ "kind": "email" })).await;
    assert!(refused.refused(422, "invalid").contains("--smtp-url and --mail-from"), "{}", refused.body);
    world.finish().await;

    let checked = async |more: &[&str]| run(&[&["serve", "--check"], more].concat()).await;
    let half = checked(&["--smtp-url", "smtp://localhost"]).await.with(2);
    assert!(half.err.contains("--mail-from"), "{half:?}");
    let open =
        checked(&["--smtp-url", "smtp://mx.example.org", "--mail-from", "q@example.org"]).await.with(0);
    assert!(open.out.contains("mx.example.org") && open.out.contains("security: None"), "{open:?}");
}
