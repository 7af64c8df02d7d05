//! `kill -9` at every step on the way of a message: whoever is to be told is told, nothing is lost,
//! and nobody sees anything twice that could be known to have arrived.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::world::gateway::Gateway;
use crate::world::hearers::{CONVERSATION, Heard, Hearers};
use crate::world::postbox::FROM;
use crate::world::program::PATIENCE;
use crate::world::slack::{BOT_TOKEN, SIGNING_SECRET};
use crate::world::{just_in_time, quorum};

/// Where on its way a message is when the gateway is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It was acknowledged to whoever asked; nothing more is certain.
    Asked,
    /// It cannot be sent.
    Unsent,
    /// It was taken, and nobody was told so.
    Unanswered,
    /// It was taken.
    Taken,
    /// What is there already in Slack is to be brought up to date, and that is done; the others took
    /// the second of what they are told. Nobody was told so.
    Changed,
}

const STEPS: [Step; 5] = [Step::Asked, Step::Unsent, Step::Unanswered, Step::Taken, Step::Changed];

/// Looks until `look` finds something.
async fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < until, "not in time: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Waits until everybody took what happened last to a request.
async fn until_all_heard(hearers: &Hearers, request: &str, what: [&str; 3]) {
    let [event, headline, state] = what;
    let heard =
        |all: Vec<Heard>, what: &str| all.iter().any(|one| one.request == request && one.what == what);
    until(&format!("{event} of {request}"), || heard(hearers.by_webhook(), event).then_some(())).await;
    until(&format!("{headline} in Teams"), || heard(hearers.in_teams(), headline).then_some(())).await;
    until(&format!("{headline} by e-mail"), || heard(hearers.by_email(), headline).then_some(())).await;
    let in_slack = || {
        let mut shown = hearers.in_slack().into_iter();
        shown.any(|(one, message)| one == request && message.seen().contains(state)).then_some(())
    };
    until(&format!("{state} of {request} in Slack"), in_slack).await;
}

const ASKED: [&str; 3] = ["request.submitted", "ann asks for box for 1h", "PENDING"];
const VOTED: [&str; 3] = ["vote.cast", "bob rejects: ann on box", "REJECTED"];
const REJECTED: [&str; 3] = ["request.rejected", "The request of ann for box was rejected", "REJECTED"];

/// What each request was told of, in order, where the same may come twice in a row; gives how often
/// that was so. Two messages that are the same have the same id, and no others do.
fn repeated(channel: &str, heard: Vec<Heard>, asked: &[String], nth: usize) -> usize {
    let expected = [ASKED[nth], VOTED[nth], REJECTED[nth]];
    let all = heard.len();
    let mut by_request = BTreeMap::<String, Vec<Heard>>::new();
    for one in heard {
        by_request.entry(one.request.clone()).or_default().push(one);
    }
    assert_eq!(by_request.keys().collect::<BTreeSet<_>>(), asked.iter().collect(), "{channel}");
    for (request, mut told) in by_request {
        told.dedup();
        let what: Vec<&str> = told.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(what, expected, "{channel}, {request}");
        let ids: BTreeSet<&str> =
            told.iter().map(|one| one.id.as_str()).filter(|id| !id.is_empty()).collect();
        assert!(ids.is_empty() || ids.len() == expected.len(), "{channel}, {request}: {told:?}");
    }
    all - asked.len() * expected.len()
}

#[tokio::test]
async fn needs_smtp_killed_at_any_step_nothing_is_lost_and_nobody_sees_anything_twice() {
    let mut hearers = Hearers::start().await;
    hearers.down(false).await;
    let secrets = tempfile::tempdir().unwrap();
    let secret = |name: &str, value: &str| {
        let path = secrets.path().join(name);
        std::fs::write(&path, value).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (bot, signing) = (secret("bot", BOT_TOKEN), secret("signing", SIGNING_SECRET));
    let (api, smtp) = (hearers.slack.api(), format!("smtp://{}", hearers.postbox.address()));
    let arguments = [
        "--notify-own-network",
        "--slack-api",
        &api,
        "--slack-bot-token-file",
        &bot,
        "--slack-signing-secret-file",
        &signing,
        "--smtp-url",
        &smtp,
        "--mail-from",
        FROM,
    ];
    let mut gateway = Gateway::start(&["ann", "bob"], &arguments).await;
    gateway.put("root", "resources/box", json!({ "kind": "shell", "command": ["sh"] })).await;
    gateway.put("root", "rules/box", just_in_time("box", quorum(&["dba"], false, 1))).await;
    for (name, channel) in hearers.channels() {
        gateway.put("root", &format!("channels/{name}"), channel).await;
    }

    let steps: Vec<Step> = STEPS.into_iter().chain(STEPS).collect();
    let mut asked = Vec::new();
    for step in &steps {
        match step {
            Step::Unsent => hearers.down(true).await,
            Step::Unanswered => {
                hearers.silent(true);
                hearers.slack.accept_then_drop("chat.postMessage");
            }
            Step::Asked | Step::Taken | Step::Changed => {}
        }
        let body = json!({ "resource": "box", "duration": "1h", "reason": format!("{step:?}") });
        let id = gateway.post("ann", "requests", body).await.id();
        if !matches!(step, Step::Asked | Step::Unsent) {
            until_all_heard(&hearers, &id, ASKED).await;
        }
        if *step == Step::Changed {
            hearers.silent(true);
            hearers.slack.accept_then_drop("chat.update");
            gateway.post("bob", &format!("requests/{id}/votes"), json!({ "choice": "reject" })).await;
            until_all_heard(&hearers, &id, VOTED).await;
        }
        gateway.kill().await;
        hearers.down(false).await;
        hearers.silent(false);
        gateway.serve().await;
        if *step != Step::Changed {
            gateway.post("bob", &format!("requests/{id}/votes"), json!({ "choice": "reject" })).await;
        }
        until_all_heard(&hearers, &id, REJECTED).await;
        asked.push(id);
    }
    let (stopped, log) = (gateway.stop().await, gateway.log());
    assert_eq!(stopped, Some(0));
    assert!(!log.contains("xoxb-"), "a token is in the log");

    assert_eq!(hearers.slack.messages(CONVERSATION).len(), asked.len(), "one for each request");
    // Whoever took it and could not say so is told once more. So may be who did say so, where the kill
    // came before that was written down.
    let count = |steps_of: &[Step]| steps.iter().filter(|step| steps_of.contains(step)).count();
    let (least, most) = (count(&[Step::Unanswered, Step::Changed]), steps.len() - count(&[Step::Unsent]));
    for (channel, heard, nth) in [
        ("pager", hearers.by_webhook(), 0),
        ("teams", hearers.in_teams(), 1),
        ("post", hearers.by_email(), 1),
    ] {
        let repeated = repeated(channel, heard, &asked, nth);
        assert!((least..=most).contains(&repeated), "{channel}: {repeated} came twice");
    }
}
