//! Requests that nobody can approve: found out when it comes to be so, told to whoever waits,
//! listed for operators, and told when it is so no more.

use serde_json::{Value, json};

use crate::world::gateway::Gateway;
use crate::world::program::{eventually, in_time};
use crate::world::{Events, World, component, just_in_time, quorum};

/// A world in which leo alone is in legal.
async fn world() -> World {
    let mut world = World::new().await;
    world.person("leo", &["legal"]).await;
    world.resource("prod", quorum(&["legal"], true, 1)).await;
    world
}

/// The ids of the requests that nobody can approve.
async fn stuck(world: &World, who: &str) -> Vec<String> {
    let found = world.get(who, "requests?nobody_can_approve=true").await.good();
    found.texts("/items", "id").iter().map(|id| (*id).to_owned()).collect()
}

/// What is told next.
async fn told(events: &mut Events) -> (bool, u64) {
    let view = in_time(events.next()).await.unwrap();
    (view["nobody_can_approve"] == true, view["revision"].as_u64().unwrap())
}

async fn metric(world: &World, name: &str) -> u64 {
    let metrics = world.raw(reqwest::Method::GET, "/metrics", world.token("root"), "").await.good();
    let line =
        metrics.text("").lines().find(|line| line.starts_with(&format!("{name} "))).unwrap().to_owned();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn whoever_waits_is_told_when_the_last_who_could_approve_is_gone_and_when_one_is_there_again() {
    let mut world = world().await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let mut events = world.watch("ann", &format!("requests/{id}/events")).await;
    let (nobody, revision) = told(&mut events).await;
    assert!(!nobody && stuck(&world, "root").await.is_empty());
    let counted = metric(&world, "quorate_requests_nobody_can_approve_total").await;

    world.put("root", "users/leo", json!({ "groups": ["legal"], "active": false })).await.good();
    assert_eq!(told(&mut events).await, (true, revision), "nothing happened to the request itself");
    assert_eq!(stuck(&world, "root").await, [id.as_str()]);
    assert_eq!(stuck(&world, "ann").await, [id.as_str()], "whoever asked finds it too");
    assert!(stuck(&world, "eve").await.is_empty(), "nobody else does");
    assert_eq!(metric(&world, "quorate_requests_stuck").await, 1);
    assert!(metric(&world, "quorate_requests_nobody_can_approve_total").await > counted);

    world.put("root", "groups/legal", json!({ "members": ["leo", "eve"] })).await.good();
    assert_eq!(told(&mut events).await, (false, revision));
    assert!(stuck(&world, "root").await.is_empty());
    assert_eq!(metric(&world, "quorate_requests_stuck").await, 0);
    let others = world.get("root", "requests?nobody_can_approve=false").await.good();
    assert_eq!(others.texts("/items", "id"), [id.as_str()]);

    // A rule can do it as well, and what is over is not stuck.
    world.rule("prod-just-in-time", just_in_time("prod", quorum(&["nobody-here"], true, 1))).await.good();
    while !told(&mut events).await.0 {}
    assert_eq!(stuck(&world, "root").await, [id.as_str()]);
    world.cancel("ann", &id).await.good();
    assert!(stuck(&world, "root").await.is_empty());
    world
        .eventually("nobody waits", async || {
            (metric(&world, "quorate_requests_stuck").await == 0).then_some(())
        })
        .await;
    world.person("lea", &["legal"]).await;
    world.finish().await;
}

#[tokio::test]
async fn the_command_that_waits_says_it_and_operators_list_it() {
    let world = world().await;
    let ann = world.at_the_command_line("ann");
    let mut waits = ann.starts(&["connect", "prod", "--duration", "1h"]);
    waits.says("needs 1 of legal (leo)").await;
    let id = world.newest("ann").await.id();
    let root = world.at_the_command_line("root");
    let none = root.runs(&["requests", "list", "--stuck"]).await.with(0);
    assert_eq!(none.line(), "no requests");
    world.put("root", "users/leo", json!({ "groups": [] })).await.good();
    waits.says("note: nobody can approve this as things are (1 of legal (nobody))").await;
    let listed = root.runs(&["requests", "list", "--stuck"]).await.with(0).out;
    assert!(listed.contains(&id) && listed.contains("nobody can approve this"), "{listed}");
    world.put("root", "users/leo", json!({ "groups": ["legal"] })).await.good();
    waits.says("note: it can be approved again").await;
    world.approve("leo", &id).await.good();
    world.finish().await;
}

#[tokio::test]
async fn a_vote_can_use_up_the_only_one_who_could_have_met_another_need() {
    let mut world = World::new().await;
    world.person("max", &["legal", "audit"]).await;
    world.resource("prod", quorum(&["legal", "audit"], true, 1)).await;
    // There is one person for two needs.
    let id = world.ask("ann", "prod", "1h").await.good().id();
    assert_eq!(stuck(&world, "root").await, [id.as_str()]);
    world.person("lea", &["legal"]).await;
    world.eventually("lea makes two", async || stuck(&world, "root").await.is_empty().then_some(())).await;
    world.approve("lea", &id).await.good();
    world.put("root", "users/max", json!({ "groups": ["legal"] })).await.good();
    assert_eq!(stuck(&world, "root").await, [id.as_str()], "nobody is left for audit");
    world.get("root", "requests?nobody_can_approve=maybe").await.refused(400, "bad-request");
    world.finish().await;
}

#[tokio::test]
async fn a_policy_that_asks_for_nobody_is_told_once_it_decides() {
    let world = World::new().await;
    world.activate("probes", component("probes")).await.good();
    let waits = |group: &str| json!([{ "policy": "probes", "config": { "do": "wait", "text": group } }]);
    world.resource("odd", waits("dba")).await;
    let id = world.ask("ann", "odd", "1h").await.good().id();
    let mut events = world.watch("ann", &format!("requests/{id}/events")).await;
    assert!(!told(&mut events).await.0);
    world.rule("odd-just-in-time", just_in_time("odd", waits("nobody-here"))).await.good();
    while !told(&mut events).await.0 {}
    world.finish().await;
}

#[tokio::test]
async fn it_is_logged_once_for_each_change_and_not_again_after_a_restart() {
    let mut gateway = Gateway::start(&["ann", "sam"], &[]).await;
    let resource = json!({ "command": ["true"], "access_types": ["just-in-time"] });
    gateway.put("root", "resources/prod", resource).await;
    gateway.put("root", "rules/prod", just_in_time("prod", quorum(&["security"], true, 1))).await;
    let ask = json!({ "resource": "prod", "duration": "1h" });
    let id = gateway.post("ann", "requests", ask).await.id();
    let says = |gateway: &Gateway, words: &str| {
        let lines = gateway.log();
        lines.lines().filter(|line| line.contains(words) && line.contains(&id)).count()
    };
    let settled = async |gateway: &Gateway, stuck: bool| {
        let path = format!("requests/{id}");
        let what = if stuck { "nobody can approve a request" } else { "a request can be approved again" };
        eventually(what, || says(gateway, what) > 0).await;
        let view: Value = gateway.get("root", &path).await.body;
        assert_eq!(view["nobody_can_approve"], stuck);
    };
    gateway.put("root", "users/sam", json!({ "groups": [] })).await;
    settled(&gateway, true).await;
    // Other changes of people say nothing new.
    gateway.put("root", "users/bob", json!({ "groups": ["dba"] })).await;
    gateway.kill().await;
    gateway.serve().await;
    gateway.put("root", "users/bea", json!({ "groups": ["dba"] })).await;
    gateway.put("root", "users/sam", json!({ "groups": ["security"] })).await;
    settled(&gateway, false).await;
    assert_eq!(says(&gateway, "nobody can approve a request as things are"), 1, "{}", gateway.log());
    assert_eq!(says(&gateway, "a request can be approved again"), 1, "{}", gateway.log());
    assert_eq!(gateway.stop().await, Some(0));
}
