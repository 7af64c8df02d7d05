//! People decide on requests in Slack: the same votes, with the same refusals.

use serde_json::json;

use super::terminal::asks_the_shell;
use crate::world::in_slack::{
    DBA, bind, clicks, config, follow, in_slack, link, quiet, resource, shows, types, whispered, world,
};
use crate::world::program::PATIENCE;
use crate::world::slack::{Slack, TEAM};
use crate::world::{World, quorum};

#[tokio::test]
async fn a_request_is_told_of_decided_by_buttons_and_shown_as_it_is_to_its_end() {
    let slack = Slack::start().await;
    let world = world(&slack, Some(DBA)).await;
    for who in ["ann", "bob", "sam"] {
        bind(&slack, &world, who).await;
    }
    let asked = json!({ "resource": "prod", "duration": "2h", "reason": "ticket 4711" });
    let id = world.post("ann", "requests", asked).await.good().id();
    let message = shows(&slack, DBA, "PENDING").await;
    let seen = message.seen();
    for said in ["ann asks for prod", "2h", "ticket 4711", "1 of dba", "1 of security", "Approve", "Reject"] {
        assert!(seen.contains(said), "{said}: {seen}");
    }
    clicks(&slack, &world, "bob", &message, "approve").await;
    let message = shows(&slack, DBA, "bob approved").await;
    assert!(message.seen().contains("1 of security") && !message.seen().contains("1 of dba"));
    assert_eq!(world.request(&id).await.state(), "PENDING");
    clicks(&slack, &world, "sam", &message, "approve").await;
    let message = shows(&slack, DBA, "approved by").await;
    assert_eq!(world.request(&id).await.state(), "APPROVED");
    assert!(!message.seen().contains("Reject"), "{}", message.seen());
    let result = slack.until("the result", |slack| slack.direct(&in_slack("ann")).first().cloned()).await;
    assert!(result.seen().contains("approved by"), "{}", result.seen());

    // Every copy tells the truth afterwards.
    world.revoke("root", &id, "enough").await.good();
    shows(&slack, DBA, "REVOKED by root: enough").await;
    slack
        .until("the end of the result", |slack| {
            slack.direct(&in_slack("ann"))[0].seen().contains("REVOKED by root: enough").then_some(())
        })
        .await;
    quiet(&world).await;
    assert_eq!((slack.messages(DBA).len(), slack.direct(&in_slack("ann")).len()), (1, 1));
    assert_eq!(slack.complaints(), Vec::<String>::new());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_role_with_the_plugin_to_a_prompt_that_buttons_open_and_close() {
    let slack = Slack::start().await;
    slack.conversation(DBA, true);
    let world = World::with(config(&slack)).await;
    slack.follow(world.app().clock.clone());
    let root = world.at_the_command_line("root");
    let channel = format!("name: slack\nkind: slack\nconversation: {DBA}\n");
    root.pipes(&["admin", "channels", "put", "-f", "-"], &channel).await.with(0);
    root.runs(&["admin", "channels", "test", "slack"]).await.with(0);
    shows(&slack, DBA, "Quorate reaches this conversation").await;
    let conn = ["admin", "create", "conn", "prod", "--agent", "default", "--plugin", "slack", "--", "sh"];
    root.runs(&conn).await.with(0);
    let rule = "name: prod\naccess_type: just-in-time\nresources: [prod]\napproval_groups: [dba, security]\nrequire_all_groups: true\n";
    root.pipes(&["admin", "rules", "put", "-f", "-"], rule).await.with(0);
    for who in ["bob", "sam"] {
        bind(&slack, &world, who).await;
    }

    let ann = world.at_the_command_line("ann");
    let ask =
        |reason: &'static str| ann.sits_down(&["connect", "prod", "--duration", "2h", "--reason", reason]);
    let mut session = ask("fix invoice 4711");
    session.wait_for("waiting for access request to be approved at http", PATIENCE).unwrap();
    let message = shows(&slack, DBA, "fix invoice 4711").await;
    clicks(&slack, &world, "bob", &message, "approve").await;
    let message = shows(&slack, DBA, "bob approved").await;
    clicks(&slack, &world, "sam", &message, "approve").await;
    asks_the_shell(&mut session);
    let approved = shows(&slack, DBA, "approved by").await;
    let id = approved.metadata.unwrap()["event_payload"]["copy"].as_str().unwrap().replace("slack/", "");
    root.runs(&["requests", "revoke", &id, "--reason", "enough"]).await.with(0);
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 13, "{}", session.seen());
    shows(&slack, DBA, "REVOKED by root: enough").await;

    let mut session = ask("and invoice 4712");
    session.wait_for("waiting for access request to be approved at http", PATIENCE).unwrap();
    let message = shows(&slack, DBA, "and invoice 4712").await;
    clicks(&slack, &world, "sam", &message, "reject").await;
    let form = slack.until("the form", |slack| slack.views(&in_slack("sam")).pop()).await;
    slack.submit(&world.url(), &in_slack("sam"), &form, &[("comment", "not twice")]).await;
    session.wait_for("not twice", PATIENCE).unwrap();
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 10, "{}", session.seen());
    world.finish().await;
}

#[tokio::test]
async fn a_rejection_takes_a_form_and_its_comment_reaches_the_requester() {
    let slack = Slack::start().await;
    let world = world(&slack, Some(DBA)).await;
    bind(&slack, &world, "bob").await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let message = shows(&slack, DBA, "PENDING").await;
    clicks(&slack, &world, "bob", &message, "reject").await;
    let form = slack.until("the form", |slack| slack.views(&in_slack("bob")).pop()).await;
    assert_eq!(world.request(&id).await.state(), "PENDING", "nothing was decided yet");
    let answered =
        slack.submit(&world.url(), &in_slack("bob"), &form, &[("comment", "not <!channel> now")]).await;
    assert_eq!((answered.status, answered.body.as_str()), (200, ""));
    let rejected = world.request(&id).await;
    assert_eq!((rejected.state(), rejected.text("/votes/0/comment")), ("REJECTED", "not <!channel> now"));
    shows(&slack, DBA, "bob rejected: not <!channel> now").await;
    // The form that was sent too late says why nothing was done, beside the field.
    let late = slack.submit(&world.url(), &in_slack("bob"), &form, &[("comment", "again")]).await;
    assert!(late.json()["errors"]["comment"].as_str().unwrap().contains("already"), "{late:?}");
    world.finish().await;
}

#[tokio::test]
async fn a_click_is_refused_as_any_vote_is_and_whoever_made_it_is_told_alone() {
    let slack = Slack::start().await;
    let mut world = world(&slack, Some(DBA)).await;
    world.person("carl", &["dba"]).await;
    for who in ["ann", "bob", "eve", "carl", "sam"] {
        bind(&slack, &world, who).await;
    }
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let message = shows(&slack, DBA, "PENDING").await;
    clicks(&slack, &world, "ann", &message, "approve").await;
    whispered(&slack, "ann", "your own vote never counts").await;
    clicks(&slack, &world, "eve", &message, "approve").await;
    whispered(&slack, "eve", "there is no request").await;
    clicks(&slack, &world, "bea", &message, "approve").await;
    whispered(&slack, "bea", "does not know who you are").await;
    world.put("root", "users/carl", json!({ "groups": ["dba"], "active": false })).await.good();
    clicks(&slack, &world, "carl", &message, "approve").await;
    whispered(&slack, "carl", "carl is switched off").await;
    clicks(&slack, &world, "bob", &message, "approve").await;
    let decided = shows(&slack, DBA, "bob approved").await;
    clicks(&slack, &world, "bob", &decided, "approve").await;
    whispered(&slack, "bob", "already voted").await;
    assert_eq!(world.request(&id).await.body["votes"].as_array().unwrap().len(), 1);
    world.cancel("ann", &id).await.good();
    // With the message as it was, which still had buttons.
    clicks(&slack, &world, "sam", &message, "approve").await;
    whispered(&slack, "sam", "already decided: CANCELLED by the requester, ann").await;
    world.finish().await;
}

#[tokio::test]
async fn what_is_forged_replayed_late_or_sent_twice_is_not_a_vote() {
    let slack = Slack::start().await;
    let world = world(&slack, Some(DBA)).await;
    bind(&slack, &world, "bob").await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let message = shows(&slack, DBA, "PENDING").await;
    let click = slack.clicking(&in_slack("bob"), &message, "approve");
    let (url, body, now) = (world.url(), click.body(), world.now().as_second());
    let sent = |body: String, at: i64| slack.signed(&url, click.path, body, at);
    let other = body.replace("U0BOB", "U0SAM");
    let forged = sent(body.clone(), now).build().unwrap().headers()["x-slack-signature"].clone();
    let altered = slack.signed(&url, click.path, other, now).header("x-altered", "1").build().unwrap();
    let mut altered = altered;
    altered.headers_mut().insert("x-slack-signature", forged);
    let unsigned = reqwest::Client::new().post(format!("{url}{}", click.path)).body(body.clone());
    let client = reqwest::Client::new();
    for (what, request) in [
        ("altered", altered),
        ("late", sent(body.clone(), now - 301).build().unwrap()),
        ("ahead", sent(body.clone(), now + 301).build().unwrap()),
        ("unsigned", unsigned.build().unwrap()),
    ] {
        let response = client.execute(request).await.unwrap();
        assert_eq!(response.status(), 401, "{what}");
        assert!(response.text().await.unwrap().contains("not-from-slack"), "{what}");
    }
    for nonsense in [
        "",
        "payload=",
        "payload=%7B%7D",
        "payload=%5B1%5D",
        "payload=%7B%22type%22%3A%22block_actions%22%7D",
        "a=b",
        "\u{0}",
    ] {
        let response = sent(nonsense.to_owned(), now).send().await.unwrap();
        assert_eq!(response.status(), 400, "{nonsense:?}");
    }
    assert_eq!(world.request(&id).await.body["votes"], json!([]));

    // What Slack sends again, because no answer reached it, is done once, and no refusal.
    for _ in 0..3 {
        assert_eq!(sent(body.clone(), now).send().await.unwrap().status(), 200);
    }
    shows(&slack, DBA, "bob approved").await;
    assert_eq!(world.request(&id).await.body["votes"].as_array().unwrap().len(), 1);
    let told = slack.ephemerals().into_iter().filter(|one| one.user == in_slack("bob")).count();
    assert_eq!(told, 1, "only the link, at the beginning");
    world.finish().await;
}

#[tokio::test]
async fn who_subscribed_and_can_vote_hears_alone_and_of_a_group_that_nobody_hears_for_it_is_said() {
    let slack = Slack::start().await;
    let world = world(&slack, None).await;
    for who in ["ann", "bob", "sue", "sam", "eve"] {
        bind(&slack, &world, who).await;
    }
    let told = types(&slack, &world, "bob", "subscribe security").await;
    assert!(told.contains("you are not in security"), "{told}");
    let told = types(&slack, &world, "bob", "subscribe").await;
    assert!(
        told.contains("every request that you can vote on") && told.contains("For dba hears: bob"),
        "{told}"
    );
    let told = types(&slack, &world, "sue", "subscribe dba").await;
    assert!(told.contains("wait for dba") && told.contains("For security hears: nobody"), "{told}");
    // Whoever cannot vote hears of nothing, subscribed or not; so does who is none of them.
    types(&slack, &world, "eve", "subscribe").await;
    types(&slack, &world, "ann", "subscribe").await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    for who in ["bob", "sue"] {
        slack.until(who, |slack| slack.direct(&in_slack(who)).first().cloned()).await;
    }
    quiet(&world).await;
    for (who, heard) in [("bob", 1), ("sue", 1), ("ann", 0), ("eve", 0), ("sam", 0)] {
        assert_eq!(slack.direct(&in_slack(who)).len(), heard, "{who}");
    }
    let explained = world.get("ann", &format!("requests/{id}/explain")).await.good();
    assert_eq!(explained.body["unheard"], json!(["security"]));
    let (_, page) = world.seen("ann", &format!("/requests/{id}")).await;
    assert!(page.contains("Nobody of security hears of this in Slack"), "{page}");
    let told = types(&slack, &world, "sam", "subscribe").await;
    assert!(told.contains("For security hears: sam"), "{told}");
    let explained = world.get("ann", &format!("requests/{id}/explain")).await.good();
    assert_eq!(explained.body["unheard"], json!([]));

    // Their buttons are as good as any, and what they have is brought up to date too.
    let message = slack.direct(&in_slack("bob")).remove(0);
    clicks(&slack, &world, "bob", &message, "approve").await;
    slack
        .until("it at sue's", |slack| {
            slack.direct(&in_slack("sue"))[0].seen().contains("bob approved").then_some(())
        })
        .await;
    // Who hears of no more is left alone; what they have is kept true.
    for who in ["bob", "sue", "sam"] {
        types(&slack, &world, who, "unsubscribe").await;
    }
    world.reject("sam", &id).await.good();
    slack
        .until("the end at bob's", |slack| {
            slack.direct(&in_slack("bob"))[0].seen().contains("REJECTED").then_some(())
        })
        .await;
    let next = world.ask("ann", "prod", "1h").await.good().id();
    world.cancel("ann", &next).await.good();
    quiet(&world).await;
    assert_eq!(slack.direct(&in_slack("bob")).len(), 1);
    assert_eq!(slack.direct(&in_slack("ann")).len(), 2, "the results");
    world.finish().await;
}

#[tokio::test]
async fn a_link_says_who_somebody_is_once_they_are_signed_in_and_only_whom_it_was_given_to() {
    let slack = Slack::start().await;
    let world = world(&slack, Some(DBA)).await;
    let told = types(&slack, &world, "bob", "list").await;
    let bobs = link(&world, &told);
    // Nobody is signed in: it leads there first, and back.
    let response = world.raw(reqwest::Method::GET, &bobs, "", "").await;
    assert_eq!(response.status, 303);
    let (status, page) = world.seen("bob", &bobs).await;
    assert!(status == 200 && page.contains("votes there <strong>as you</strong>"), "{page}");
    assert_eq!(world.app().ledger.user(&"bob".parse().unwrap()).unwrap().unwrap().slack, None);
    let (status, page) = world.seen("eve", &bobs.replace("U0BOB", "U0EVE")).await;
    assert!(status == 410 && page.contains("not good"), "{status} {page}");
    assert_eq!(follow(&world, "eve", &bobs.replace("U0BOB", "U0EVE")).await, 410);
    assert_eq!(follow(&world, "bob", &bobs).await, 303);
    let bob = world.app().ledger.user(&"bob".parse().unwrap()).unwrap().unwrap();
    let there = bob.slack.unwrap();
    assert_eq!((there.team.as_str(), there.id.as_str()), (TEAM, "U0BOB"));
    // One person in Slack is one person here.
    assert_eq!(follow(&world, "eve", &bobs).await, 409);
    let (_, page) = world.seen("bob", "/account").await;
    assert!(page.contains("U0BOB"), "{page}");
    world.sent("bob", "/account/slack/remove", &[]).await;
    assert_eq!(follow(&world, "eve", &bobs).await, 303);
    world.clock.advance(600);
    assert_eq!(follow(&world, "bob", &bobs).await, 410, "it is too old");
    world.finish().await;
}

#[tokio::test]
async fn a_rule_can_want_votes_on_the_page_of_the_very_request_that_was_shown() {
    let slack = Slack::start().await;
    let world = world(&slack, Some(DBA)).await;
    resource(&world, "crown", quorum(&["dba"], false, 1), json!({ "votes_on_page": true })).await;
    bind(&slack, &world, "bob").await;
    let id = world.ask("ann", "crown", "1h").await.good().id();
    let message = shows(&slack, DBA, "ann asks for crown").await;
    assert!(message.seen().contains("Open to decide") && !message.seen().contains("Approve"));
    // A button that is not there, made up by somebody who can sign as Slack; and one that names what
    // it does not show.
    world.ask("ann", "prod", "1h").await.good();
    let other = shows(&slack, DBA, "ann asks for prod").await;
    let mut click = slack.clicking(&in_slack("bob"), &other, "approve");
    let shown = world.request(&id).await.text("/digest").to_owned();
    let named = click.payload["actions"][0]["value"].as_str().unwrap().replace(' ', "");
    for (value, why) in [
        (format!("{id} {shown}"), "wants votes cast on the page"),
        (format!("{} {shown}", &named[..named.len() - shown.len()]), "shows another request"),
    ] {
        click.payload["actions"][0]["value"] = json!(value);
        slack.send(&world.url(), &click).await;
        whispered(&slack, "bob", why).await;
    }
    let refused = world.approve("bob", &id).await;
    assert_eq!((refused.status, refused.text("/type")), (403, "/problems/on-page-only"));
    let url = message.blocks.last().unwrap()["elements"][0]["url"].as_str().unwrap().to_owned();
    let page = url.strip_prefix(&world.url()).unwrap();
    let (status, seen) = world.seen("bob", page).await;
    assert!(status == 200 && seen.contains("Your vote"), "{seen}");
    let digest = page.split_once("digest=").unwrap().1.to_owned();
    let other = if digest.starts_with('0') { "1" } else { "0" }.to_owned() + &digest[1..];
    let (_, seen) = world.seen("bob", &page.replace(&digest, &other)).await;
    assert!(seen.contains("another request than this one") && !seen.contains("Your vote"), "{seen}");
    let vote = format!("/requests/{id}/vote");
    let (status, _) = world.sent("bob", &vote, &[("choice", "approve"), ("digest", &other)]).await;
    assert_eq!(status, 409);
    assert_eq!(world.request(&id).await.state(), "PENDING");
    let (status, _) = world.sent("bob", &vote, &[("choice", "approve"), ("digest", &digest)]).await;
    assert_eq!(status, 303);
    assert_eq!(world.request(&id).await.state(), "APPROVED");
    world.finish().await;
}
