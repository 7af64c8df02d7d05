//! Just-in-time access from the first click to the last: the rule is made in the page, asked under
//! with the command line, approved in the page; and what people of such products run into.

use serde_json::json;

use super::terminal::{asks_the_database, asks_the_shell};
use super::web::page_of;
use crate::world::browser::{Browser, Page};
use crate::world::gateway::Gateway;
use crate::world::program::{PATIENCE, postgres};
use crate::world::{World, quorum};

/// A page of `who`, who signs in with their password.
async fn signs_in(browser: &Browser, gateway: &Gateway, who: &str) -> Page {
    let page = browser.person().await;
    page.open(&format!("{}/sign-in", gateway.url())).await;
    page.types("#user", who).await;
    page.types("#password", "correct horse battery").await;
    page.press("Enter").await;
    page.until("location.pathname === '/requests'").await;
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_browser_postgres_from_a_rule_made_by_clicking_to_psql_and_its_end() {
    let postgres = postgres();
    let gateway = Gateway::start(&["ann", "bob", "sam"], &[]).await;
    let browser = Browser::start().await;
    let root = signs_in(&browser, &gateway, "root").await;
    root.open(&format!("{}/new/resource", gateway.url())).await;
    root.types("#name", "prod-postgres").await;
    root.types("#kind", "postgres").await;
    root.types("#command", &postgres.psql().join("\n")).await;
    root.types("[name=new_secret_name]", "PGPASSWORD").await;
    root.types("[name=new_secret_value]", postgres.password()).await;
    root.sends("button.main").await;
    root.says("Saved.").await;

    root.open(&format!("{}/rules", gateway.url())).await;
    root.click("a.button.main").await;
    root.types("#name", "prod").await;
    root.types("#description", "A person of each team").await;
    root.click("[name=access_type][value=just-in-time]").await;
    root.click("[name=resources][value=prod-postgres]").await;
    root.click("[name=required_groups][value=dev]").await;
    root.click("[name=approval_groups][value=dba]").await;
    root.click("[name=approval_groups][value=security]").await;
    root.click("[name=require_all_groups]").await;
    root.types("#max_duration", "8h").await;
    root.says("For ann on prod-postgres, 1h: waiting for 1 of dba (bob) and 1 of security (sam).").await;
    root.sends("button.main").await;
    root.says("Saved.").await;

    let ask = ["connect", "prod-postgres", "--duration", "2h", "--reason", "fix invoice 4711"];
    let mut session = gateway.at_the_command_line("ann").sits_down(&ask);
    session.wait_for("waiting for access request to be approved at http", PATIENCE).unwrap();
    let (bob, sam) = tokio::join!(signs_in(&browser, &gateway, "bob"), signs_in(&browser, &gateway, "sam"));
    for (page, comment) in [(&bob, "ok"), (&sam, "fine")] {
        page.click("a.row").await;
        page.says("fix invoice 4711").await;
        page.types("#comment", comment).await;
        page.click("button[value=approve]").await;
    }
    // Whoever looks why it waits sees whom it waits for.
    bob.until("document.querySelector('#state').innerText === 'approved'").await;
    asks_the_database(&mut session);

    let place = sam.script("location.href").await;
    root.open(place.as_str().unwrap()).await;
    root.types("#reason", "enough").await;
    root.click("form[action$='/revoke'] button").await;
    root.says("REVOKED by root: enough").await;
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 13, "{}", session.seen());
    bob.says("REVOKED by root: enough").await;
}

#[tokio::test]
async fn needs_browser_a_request_that_is_stuck_says_who_is_missing_or_that_nobody_can() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba", "security"], true, 1)).await;
    world.resource("void", quorum(&["nobody-is-here"], false, 1)).await;
    let waits = world.ask("ann", "prod", "1h").await.good().id();
    let stuck = world.ask("ann", "void", "1h").await.good().id();
    let browser = Browser::start().await;
    let ann = page_of(&browser, &world, "ann").await;
    ann.open(&format!("{}/requests/{waits}", world.url())).await;
    ann.says("waiting for 1 of dba (bea, bob, sue) and 1 of security (sam, sue)").await;
    world.approve("bob", &waits).await.good();
    ann.until("!document.querySelector('#summary').innerText.includes('dba')").await;
    ann.says("waiting for 1 of security (sam, sue)").await;
    ann.open(&format!("{}/requests/{stuck}", world.url())).await;
    ann.says("Nobody who can vote now could get this approved.").await;
    // Somebody who joins the group can.
    world.put("root", "groups/nobody-is-here", json!({ "members": ["eve"] })).await.good();
    ann.says("waiting for 1 of nobody-is-here (eve)").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_browser_access_does_not_work_after_its_time() {
    let world = World::new().await;
    world.resource("box", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "box", "1h").await.good().id();
    let browser = Browser::start().await;
    let (ann, bob) = tokio::join!(page_of(&browser, &world, "ann"), page_of(&browser, &world, "bob"));
    let request = format!("{}/requests/{id}", world.url());
    tokio::join!(ann.open(&request), bob.open(&request));
    bob.click("button[value=approve]").await;
    ann.until("document.querySelector('#state').innerText === 'approved'").await;
    let mut session = world.at_the_command_line("ann").sits_down(&["connect", "box"]);
    asks_the_shell(&mut session);
    world.clock.advance(3600);
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 12, "{}", session.seen());
    for page in [&ann, &bob] {
        page.until("document.querySelector('#state').innerText === 'expired'").await;
    }
    world.finish().await;
}
