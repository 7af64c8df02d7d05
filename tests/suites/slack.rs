//! People hear of requests in Slack, and decide them there: the same votes, with the same refusals.

use quorate::agent::Secret;
use quorate::config::Config;
use quorate::slack::Declared;
use serde_json::{Value, json};

use super::terminal::asks_the_shell;
use crate::world::program::PATIENCE;
use crate::world::slack::answers::Answered;
use crate::world::slack::people::signature;
use crate::world::slack::sdk::{slack_sdk_reads, slack_sdk_verifies};
use crate::world::slack::{APP_TOKEN, BOT_TOKEN, Message, SIGNING_SECRET, Slack, TEAM};
use crate::world::{World, component, quorum};

/// Where everybody sees it.
pub const DBA: &str = "C0DBA";

/// Who somebody is in Slack.
pub fn in_slack(who: &str) -> String {
    format!("U0{}", who.to_uppercase())
}

pub fn config(slack: &Slack) -> Config {
    let declared = Declared {
        api: slack.api().parse().unwrap(),
        bot_token: Secret::new(BOT_TOKEN),
        signing_secret: Some(Secret::new(SIGNING_SECRET)),
        app_token: None,
    };
    Config { slack: Some(declared), ..Config::default() }
}

/// A gateway with its app in Slack, a channel named `slack`, and a resource that names it.
pub async fn world(slack: &Slack, conversation: Option<&str>) -> World {
    with(slack, conversation, World::with(config(slack)).await).await
}

async fn with(slack: &Slack, conversation: Option<&str>, world: World) -> World {
    slack.conversation(DBA, true);
    slack.follow(world.app().clock.clone());
    let channel = json!({ "kind": "slack", "conversation": conversation });
    world.put("root", "channels/slack", channel).await.good();
    resource(&world, "prod", quorum(&["dba", "security"], true, 1), json!({})).await;
    world
}

async fn resource(world: &World, name: &str, policies: Value, rule: Value) {
    world.bare_resource(name, json!({ "plugins": ["slack"] })).await;
    for access_type in ["just-in-time", "command"] {
        let mut body = json!({ "access_type": access_type, "resources": [name], "policies": policies });
        body.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
        world.rule(&format!("{name}-{access_type}"), body).await.good();
    }
}

/// The link in what somebody was told, below the gateway's address.
fn link(world: &World, told: &str) -> String {
    let begin = told.find('<').unwrap_or_else(|| panic!("no link in {told}")) + 1;
    let link = &told[begin..begin + told[begin..].find('|').unwrap()];
    link.strip_prefix(&world.url()).unwrap_or_else(|| panic!("{link}")).to_owned()
}

/// The fields of the form that a link leads to.
fn fields(link: &str) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://gateway{link}")).unwrap();
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

async fn follow(world: &World, who: &str, link: &str) -> u16 {
    let fields = fields(link);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    world.sent(who, "/account/slack", &fields).await.0.as_u16()
}

async fn types(slack: &Slack, world: &World, who: &str, text: &str) -> String {
    let answered = slack.command(&world.url(), &in_slack(who), DBA, text).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    answered.json()["text"].as_str().unwrap().to_owned()
}

/// They say who they are in Slack, as everybody does: with the link that they are given there.
pub async fn bind(slack: &Slack, world: &World, who: &str) {
    let told = types(slack, world, who, "list").await;
    let link = link(world, &told);
    let (status, page) = world.seen(who, &link).await;
    assert!(status == 200 && page.contains(&in_slack(who)), "{status} {page}");
    assert_eq!(follow(world, who, &link).await, 303);
}

async fn clicks(slack: &Slack, world: &World, who: &str, message: &Message, button: &str) -> Answered {
    let answered = slack.click(&world.url(), &in_slack(who), message, button).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    answered
}

/// Waits for the message in a conversation to show this, and gives it as it is then.
async fn shows(slack: &Slack, conversation: &str, text: &str) -> Message {
    let what = format!("{text} in {conversation}");
    slack.until_message(conversation, &what, |message| message.seen().contains(text)).await
}

/// Waits until somebody is shown this where nobody else sees it.
async fn whispered(slack: &Slack, who: &str, text: &str) -> String {
    let to = in_slack(who);
    let what = format!("{text} to {who}");
    slack
        .until(&what, |slack| {
            let told = slack.ephemerals().into_iter().rev();
            told.filter(|one| one.user == to).map(|one| one.seen()).find(|seen| seen.contains(text))
        })
        .await
}

/// Waits until the channel has nothing more to tell.
async fn quiet(world: &World) {
    world
        .eventually("nothing waits", async || {
            let channel = world.get("root", "channels/slack").await.good().body;
            (channel["status"]["waiting"] == 0).then_some(())
        })
        .await;
}

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

#[tokio::test]
async fn what_is_asked_is_shown_harmless_and_what_is_not_shown_whole_is_decided_on_the_page() {
    let slack = Slack::start().await;
    let world = world(&slack, Some(DBA)).await;
    let reason = "<!channel> *now* <https://evil.example.org|here> & @here `x` \u{202e}gnp";
    let asked = json!({ "resource": "prod", "duration": "1h", "reason": reason });
    world.post("ann", "requests", asked).await.good();
    let message = shows(&slack, DBA, "<!channel> *now* <https://evil.example.org|here> & @here `x`").await;
    assert!(!message.text.contains("<!channel>") && !message.seen().contains('\u{202e}'), "{message:?}");
    let exact = "select '<&>' from t;\n-- *bold* \\ end";
    world.ask_command("ann", "prod", exact).await.good();
    let message = shows(&slack, DBA, exact).await;
    assert!(message.seen().contains("Approve"));
    // Longer than a message can show.
    world.ask_command("ann", "prod", &format!("select {};", "x".repeat(5000))).await.good();
    let message = shows(&slack, DBA, "the page shows all of it").await;
    assert!(!message.seen().contains("Approve") && message.seen().contains("Reject"));
    world.finish().await;
}

#[tokio::test]
async fn an_outage_loses_nothing_repeats_nothing_and_is_named_on_the_request() {
    let slack = Slack::start().await;
    let world = world(&slack, Some(DBA)).await;
    let before = world.ask("ann", "prod", "1h").await.good().id();
    shows(&slack, DBA, "PENDING").await;
    quiet(&world).await;
    slack.down(true);
    let during = world.ask("bob", "prod", "1h").await.good().id();
    world.reject("bea", &before).await.good();
    world
        .eventually("the failure", async || {
            let explained = world.get("root", &format!("requests/{during}/explain")).await.good();
            explained.text("/untold/0/error").contains("Slack answered 500").then_some(())
        })
        .await;
    for _ in 0..24 {
        world.clock.advance(300);
    }
    slack.down(false);
    world.clock.advance(900);
    quiet(&world).await;
    let seen: Vec<String> = slack.messages(DBA).iter().map(Message::seen).collect();
    assert_eq!(seen.len(), 2, "{seen:#?}");
    assert!(seen[0].contains("REJECTED") && seen[1].contains("TIMED_OUT"), "{seen:#?}");
    world.finish().await;
}

#[tokio::test]
async fn slack_is_left_alone_for_as_long_as_it_asks_for() {
    let slack = Slack::start().await;
    let world = world(&slack, Some(DBA)).await;
    slack.rate_limit("chat.postMessage", 1, 120);
    world.ask("ann", "prod", "1h").await.good();
    let status = world
        .eventually("the limit", async || {
            let channel = world.get("root", "channels/slack").await.good().body;
            channel["status"]["last_error"].is_string().then_some(channel["status"].clone())
        })
        .await;
    assert_eq!(status["last_error"], "Slack wants to be asked less often");
    let calls = slack.calls().len();
    world.clock.advance(119);
    world.cancel("ann", &world.ask("ann", "prod", "1h").await.good().id()).await.good();
    assert_eq!((slack.calls().len(), slack.messages(DBA).len()), (calls, 0));
    world.clock.advance(1);
    quiet(&world).await;
    assert_eq!(slack.messages(DBA).len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn a_message_of_which_nobody_knows_whether_it_was_posted_is_found_again_and_not_posted_twice() {
    let slack = Slack::start().await;
    let mut world = world(&slack, Some(DBA)).await;
    slack.accept_then_drop("chat.postMessage");
    let id = world.ask("ann", "prod", "1h").await.good().id();
    slack.until_message(DBA, "it is posted", |_| true).await;
    world
        .eventually("the failure", async || {
            let channel = world.get("root", "channels/slack").await.good().body;
            channel["status"]["last_error"].is_string().then_some(())
        })
        .await;
    // What is in a conversation already is kept true after a restart as well.
    world.restart_after(60).await;
    slack.follow(world.app().clock.clone());
    quiet(&world).await;
    world.cancel("ann", &id).await.good();
    let message = shows(&slack, DBA, "CANCELLED").await;
    assert_eq!(slack.messages(DBA).len(), 1);
    assert!(message.edits() >= 1);
    world.finish().await;
}

#[tokio::test]
async fn one_who_cannot_be_told_is_nobody_elses_trouble() {
    let slack = Slack::start().await;
    let world = world(&slack, None).await;
    for who in ["bob", "bea"] {
        bind(&slack, &world, who).await;
        types(&slack, &world, who, "subscribe").await;
    }
    slack.nobody(&in_slack("bea"));
    world.ask("ann", "prod", "1h").await.good();
    slack.until("bob's", |slack| slack.direct(&in_slack("bob")).first().cloned()).await;
    quiet(&world).await;
    // The channel's own conversation is another matter: that it cannot be told shows.
    world.put("root", "channels/slack", json!({ "kind": "slack", "conversation": "C0NONE" })).await.good();
    let id = world.ask("ann", "prod", "1h").await.good().id();
    world
        .eventually("the failure", async || {
            let explained = world.get("root", &format!("requests/{id}/explain")).await.good();
            explained.text("/untold/0/error").contains("channel_not_found").then_some(())
        })
        .await;
    world.finish().await;
}

#[tokio::test]
async fn over_a_socket_it_is_all_the_same() {
    let slack = Slack::start().await;
    let mut config = config(&slack);
    let declared = config.slack.as_mut().unwrap();
    declared.signing_secret = None;
    declared.app_token = Some(Secret::new(APP_TOKEN));
    let world = with(&slack, Some(DBA), World::with(config).await).await;
    slack.until("a socket", |slack| (slack.sockets() == 1).then_some(())).await;
    let told = slack.by_socket(&slack.commanding(&in_slack("bob"), DBA, "list")).await;
    let link = link(&world, told.json()["text"].as_str().unwrap());
    assert_eq!(follow(&world, "bob", &link).await, 303);
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let message = shows(&slack, DBA, "PENDING").await;
    slack.by_socket(&slack.clicking(&in_slack("bob"), &message, "approve")).await;
    let message = shows(&slack, DBA, "bob approved").await;
    // Slack ends each connection after a while; another is made.
    slack.disconnect();
    slack.until("another socket", |slack| (slack.sockets() == 1).then_some(())).await;
    slack.by_socket(&slack.clicking(&in_slack("bob"), &message, "reject")).await;
    let form = slack.until("the form", |slack| slack.views(&in_slack("bob")).pop()).await;
    let answered = slack.by_socket(&slack.submitting(&in_slack("bob"), &form, &[("comment", "no")])).await;
    assert!(answered.json()["errors"]["comment"].as_str().unwrap().contains("already voted"), "{answered:?}");
    assert_eq!(world.request(&id).await.state(), "PENDING");
    // There is no other way in.
    let unsigned = slack.signed(&world.url(), "/slack/commands", String::new(), world.now().as_second());
    assert_eq!(unsigned.send().await.unwrap().status(), 404);
    assert_eq!(slack.complaints(), Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn whom_a_policy_has_reminded_gets_a_message_of_its_own_once() {
    let slack = Slack::start().await;
    let mut world = world(&slack, Some(DBA)).await;
    world.activate("escalation", component("escalation")).await.good();
    world.person("mia", &["managers"]).await;
    let config =
        json!({ "groups": ["dba"], "escalate_to": ["managers"], "after": "15m", "remind_after": "5m" });
    let policies = json!([{ "policy": "escalation", "config": config }]);
    resource(&world, "staging", policies, json!({})).await;
    for who in ["bob", "mia"] {
        bind(&slack, &world, who).await;
        types(&slack, &world, who, "subscribe").await;
    }
    world.ask("ann", "staging", "1h").await.good();
    slack.until("bob's", |slack| slack.direct(&in_slack("bob")).first().cloned()).await;
    world.clock.advance(300);
    let reminded =
        slack.until("bob's reminder", |slack| slack.direct(&in_slack("bob")).get(1).cloned()).await;
    assert!(reminded.seen().contains("Reminder: "), "{}", reminded.seen());
    assert_eq!(slack.direct(&in_slack("mia")).len(), 0);
    world.clock.advance(600);
    let reached =
        slack.until("mia's", |slack| Some(slack.direct(&in_slack("mia"))).filter(|all| all.len() == 2)).await;
    let seen: Vec<String> = reached.iter().map(Message::seen).collect();
    assert!(seen.iter().any(|one| one.contains("Approve")), "{seen:?}");
    assert!(seen.iter().any(|one| one.contains("Reminder: ")), "{seen:?}");
    quiet(&world).await;
    assert_eq!((slack.direct(&in_slack("bob")).len(), slack.messages(DBA).len()), (2, 3));
    world.finish().await;
}

#[tokio::test]
async fn needs_slack_sdk_what_is_posted_is_what_slacks_own_library_reads_and_what_it_signs_is_believed() {
    let slack = Slack::start().await;
    let world = world(&slack, Some(DBA)).await;
    bind(&slack, &world, "bob").await;
    let asked = json!({ "resource": "prod", "duration": "1h", "reason": "<b> & \"quotes\" ".repeat(50) });
    let id = world.post("ann", "requests", asked).await.good().id();
    let message = shows(&slack, DBA, "PENDING").await;
    clicks(&slack, &world, "bob", &message, "reject").await;
    let form = slack.until("the form", |slack| slack.views(&in_slack("bob")).pop()).await;
    world.ask_command("ann", "prod", "select 1;\nselect 2;").await.good();
    shows(&slack, DBA, "select 2;").await;
    world.reject("bob", &id).await.good();
    shows(&slack, DBA, "REJECTED").await;
    let mut posted = vec![form.given["blocks"].clone()];
    for message in slack.messages(DBA) {
        posted.extend(message.earlier.into_iter().map(|version| json!(version.blocks)));
        posted.push(json!(message.blocks));
    }
    assert!(posted.len() >= 4);
    for blocks in posted {
        assert_eq!(slack_sdk_reads(&blocks).await.as_ref(), Ok(&blocks));
    }

    // The library and the gateway agree on what Slack signed.
    let typed = slack.commanding(&in_slack("bob"), DBA, "list");
    let (body, now) = (typed.body(), world.now().as_second());
    for (at, altered) in [(now, false), (now - 299, false), (now - 301, false), (now, true)] {
        let (signature, mut sent) = (signature(at, &body), body.clone());
        if altered {
            sent = sent.replace("U0BOB", "U0SAM");
        }
        let theirs = slack_sdk_verifies(&sent, at, &signature, now).await;
        let mut request = slack.signed(&world.url(), typed.path, sent, at).build().unwrap();
        request.headers_mut().insert("x-slack-signature", signature.parse().unwrap());
        let ours = reqwest::Client::new().execute(request).await.unwrap().status();
        assert_eq!((ours == 200, ours == 401), (theirs, !theirs), "{at} {altered}");
    }
    world.finish().await;
}

#[tokio::test]
async fn without_an_app_there_is_no_channel_in_slack_and_bad_ones_are_refused() {
    let world = World::new().await;
    let refused = world.put("root", "channels/slack", json!({ "kind": "slack" })).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text("/detail").contains("no app in Slack"), "{refused:?}");
    assert_eq!(world.seen("ann", "/account/slack?code=x").await.0, 404);
    world.finish().await;
    let slack = Slack::start().await;
    let world = World::with(config(&slack)).await;
    for (channel, why) in [
        (json!({ "kind": "slack", "conversation": "#dba" }), "C0123456789"),
        (json!({ "kind": "slack", "address": "https://hooks.example.org/x" }), "has none"),
        (json!({ "kind": "slack", "to": ["a@example.org"] }), "only a channel of kind email"),
        (json!({ "kind": "slack", "events": ["vote.cast"] }), "name none"),
        (json!({ "kind": "pigeon" }), "webhook, slack, email or teams"),
    ] {
        let refused = world.put("root", "channels/slack", channel.clone()).await;
        assert_eq!(refused.status, 422, "{channel}");
        assert!(refused.text("/detail").contains(why), "{channel}: {refused:?}");
    }
    world.put("root", "channels/slack", json!({ "kind": "slack" })).await.good();
    let refused = world
        .put("root", "channels/slack", json!({ "kind": "webhook", "address": "https://x.example.org/" }))
        .await;
    assert!(refused.text("/detail").contains("remove it and add another"), "{refused:?}");
    let refused = world.post("root", "channels/slack/key", json!({})).await;
    assert!(refused.status == 422 && refused.text("/detail").contains("not signed"), "{refused:?}");
    world.finish().await;
}
