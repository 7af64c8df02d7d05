//! A gateway with its app in Slack, and what people do there and see.

use quorate::agent::Secret;
use quorate::config::Config;
use quorate::slack::Declared;
use serde_json::{Value, json};

use super::slack::answers::Answered;
use super::slack::{BOT_TOKEN, Message, SIGNING_SECRET, Slack};
use super::{World, quorum};

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

pub async fn with(slack: &Slack, conversation: Option<&str>, world: World) -> World {
    slack.conversation(DBA, true);
    slack.follow(world.app().clock.clone());
    let channel = json!({ "kind": "slack", "conversation": conversation });
    world.put("root", "channels/slack", channel).await.good();
    resource(&world, "prod", quorum(&["dba", "security"], true, 1), json!({})).await;
    world
}

pub async fn resource(world: &World, name: &str, policies: Value, rule: Value) {
    world.bare_resource(name, json!({ "plugins": ["slack"] })).await;
    for access_type in ["just-in-time", "command"] {
        let mut body = json!({ "access_type": access_type, "resources": [name], "policies": policies });
        body.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
        world.rule(&format!("{name}-{access_type}"), body).await.good();
    }
}

/// The link in what somebody was told, below the gateway's address.
pub fn link(world: &World, told: &str) -> String {
    let begin = told.find('<').unwrap_or_else(|| panic!("no link in {told}")) + 1;
    let link = &told[begin..begin + told[begin..].find('|').unwrap()];
    link.strip_prefix(&world.url()).unwrap_or_else(|| panic!("{link}")).to_owned()
}

/// The fields of the form that a link leads to.
fn fields(link: &str) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://gateway{link}")).unwrap();
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

pub async fn follow(world: &World, who: &str, link: &str) -> u16 {
    let fields = fields(link);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    world.sent(who, "/account/slack", &fields).await.0.as_u16()
}

pub async fn types(slack: &Slack, world: &World, who: &str, text: &str) -> String {
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

pub async fn clicks(slack: &Slack, world: &World, who: &str, message: &Message, button: &str) -> Answered {
    let answered = slack.click(&world.url(), &in_slack(who), message, button).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    answered
}

/// Waits for the message in a conversation to show this, and gives it as it is then.
pub async fn shows(slack: &Slack, conversation: &str, text: &str) -> Message {
    let what = format!("{text} in {conversation}");
    slack.until_message(conversation, &what, |message| message.seen().contains(text)).await
}

/// Waits until somebody is shown this where nobody else sees it.
pub async fn whispered(slack: &Slack, who: &str, text: &str) -> String {
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
pub async fn quiet(world: &World) {
    world
        .eventually("nothing waits", async || {
            let channel = world.get("root", "channels/slack").await.good().body;
            (channel["status"]["waiting"] == 0).then_some(())
        })
        .await;
}
