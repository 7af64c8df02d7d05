//! What people do in the Slack of the tests comes to apps as Slack's own library expects it: by
//! HTTP and by a socket.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::slack_peer::{blocks, call, errors, modal, slack};
use crate::world::slack::people::signature;
use crate::world::slack::sdk::{PeerApp, slack_sdk_calls, slack_sdk_says_later, slack_sdk_verifies};
use crate::world::slack::{APP_TOKEN, Ephemeral, RESPONSE_URL, Slack};

#[tokio::test]
async fn needs_slack_sdk_a_signature_is_one_of_slack() {
    let body = "payload=%7B%7D";
    let signed = signature(1_772_445_600, body);
    assert!(slack_sdk_verifies(body, 1_772_445_600, &signed, 1_772_445_600 + 299).await);
    assert!(!slack_sdk_verifies(body, 1_772_445_600, &signed, 1_772_445_600 + 301).await);
    assert!(!slack_sdk_verifies("payload=%7b%7D", 1_772_445_600, &signed, 1_772_445_600).await);
    assert!(!slack_sdk_verifies(body, 1_772_445_601, &signed, 1_772_445_600).await);
}

#[tokio::test]
async fn needs_slack_sdk_an_app_is_told_what_people_do_and_answers() {
    let slack = slack().await;
    let answer = json!({ "response_type": "ephemeral", "text": "C0DBA hears of dba" });
    let errors = json!({ "response_action": "errors", "errors": { "why": "say more" } });
    let mut app = PeerApp::listening(&slack, modal(), answer, errors).await;
    call(&slack, "chat_postMessage", json!({ "channel": "C0DBA", "text": "Access", "blocks": blocks() }))
        .await;
    let message = slack.until_message("C0DBA", "a message", |message| !message.blocks.is_empty()).await;

    let clicked = slack.click(&app.url, "U0BOB", &message, "approve").await;
    assert_eq!((clicked.status, clicked.body.as_str()), (200, ""));
    let told = app.next().await;
    let got = &told["got"];
    assert_eq!((&told["later"], &told["opened"]["answer"]["ok"]), (&json!(200), &json!(true)), "{told:#}");
    assert_eq!((&got["user"]["id"], &got["user"]["username"]), (&json!("U0BOB"), &json!("bob")));
    assert_eq!(
        (&got["container"]["message_ts"], &got["channel"]["id"]),
        (&json!(message.ts), &json!("C0DBA"))
    );
    let action = &got["actions"][0];
    assert_eq!(
        (&action["value"], &action["block_id"], &action["style"]),
        (&json!("r1"), &json!("votes"), &json!("primary"))
    );
    assert_eq!(got["message"]["blocks"][4]["elements"][0]["action_id"], "approve");
    assert_eq!(slack.ephemerals()[0].text, "noted");

    let view = slack.views("U0BOB").remove(0);
    assert_eq!(view.given, modal());
    let values = [("reason", "no"), ("long", "1h"), ("more", "all")];
    let submitted = slack.submit(&app.url, "U0BOB", &view, &values).await;
    assert_eq!(submitted.json()["errors"]["why"], "say more");
    assert_eq!(slack.views("U0BOB")[0].errors["why"], "say more");
    let got = app.next().await["got"].clone();
    assert_eq!(
        got["view"]["state"]["values"]["why"]["reason"],
        json!({ "type": "plain_text_input", "value": "no" })
    );
    assert_eq!(
        (&got["view"]["callback_id"], &got["view"]["private_metadata"]),
        (&json!("reject"), &json!("r1"))
    );

    slack.command(&app.url, "U0BOB", "C0DBA", "subscribe dba").await;
    let got = app.next().await["got"].clone();
    assert_eq!(
        (&got["command"], &got["text"], &got["channel_name"]),
        (&json!("/quorate"), &json!("subscribe dba"), &json!("dba"))
    );
    assert_eq!(slack.ephemerals()[1].text, "C0DBA hears of dba");

    let click = slack.clicking("U0BOB", &message, "open");
    let stale = slack.signed(&app.url, click.path, click.body(), 1_700_000_000).send().await.unwrap();
    assert_eq!(
        (stale.status().as_u16(), app.next().await["refused"].clone()),
        (401, json!("/slack/interactions"))
    );
    app.stop().await;
}

/// A trigger of ann, as a command makes one.
fn trigger(slack: &Slack) -> Value {
    slack.commanding("U0ANN", "C0DBA", "").payload["trigger_id"].clone()
}

#[tokio::test]
async fn needs_slack_sdk_a_trigger_opens_one_modal_within_three_seconds() {
    let slack = slack().await;
    slack.at("2026-03-02T10:00:00Z".parse().unwrap());
    let (one, other) = (trigger(&slack), trigger(&slack));
    let open = |trigger: &Value| ("views_open", json!({ "trigger_id": trigger, "view": modal() }));
    slack.at("2026-03-02T10:00:03Z".parse().unwrap());
    assert_eq!(errors(&slack, &[open(&one), open(&one)]).await, [Value::Null, json!("exchanged_trigger_id")]);
    slack.at("2026-03-02T10:00:04Z".parse().unwrap());
    assert_eq!(errors(&slack, &[open(&other)]).await, ["expired_trigger_id"]);
    assert_eq!(slack.views("U0ANN").len(), 1);
}

#[tokio::test]
async fn needs_slack_sdk_limits_of_modals_are_those_of_the_documentation() {
    let slack = slack().await;
    let with = |pointer: &str, value: Value| {
        let mut view = modal();
        *view.pointer_mut(pointer).unwrap() = value;
        ("views_open", json!({ "trigger_id": trigger(&slack), "view": view }))
    };
    let text = |count: usize| json!("x".repeat(count));
    let mut without = modal();
    without.as_object_mut().unwrap().remove("submit");
    let calls = [
        with("/title/text", text(24)),
        with("/title/text", text(25)),
        with("/submit/text", text(25)),
        with("/private_metadata", text(3000)),
        with("/private_metadata", text(3001)),
        with("/callback_id", text(256)),
        with("/blocks/0/label/text", text(2001)),
        with("/blocks/0/element/max_length", json!(3001)),
        with("/blocks/0/element/multiline", json!("yes")),
        with("/blocks/0/element/type", json!("text")),
        ("views_open", json!({ "trigger_id": trigger(&slack), "view": without })),
    ];
    let good = [0, 3];
    let expected =
        (0..calls.len()).map(|at| if good.contains(&at) { Value::Null } else { json!("invalid_arguments") });
    assert_eq!(errors(&slack, &calls).await, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn needs_slack_sdk_a_modal_becomes_what_the_app_answers() {
    let slack = slack().await;
    let mut other = modal();
    other["callback_id"] = json!("other");
    let cases = [
        (Value::Null, vec![]),
        (json!({ "response_action": "update", "view": other }), vec!["other"]),
        (json!({ "response_action": "push", "view": other }), vec!["other", "reject", "other"]),
        (json!({ "response_action": "clear" }), vec![]),
    ];
    for (answer, left) in cases {
        let mut app = PeerApp::listening(&slack, modal(), Value::Null, answer).await;
        call(&slack, "views_open", json!({ "trigger_id": trigger(&slack), "view": modal() })).await;
        let view = slack.views("U0ANN").pop().unwrap();
        assert_eq!(slack.submit(&app.url, "U0ANN", &view, &[("reason", "no")]).await.status, 200);
        let got = app.next().await["got"]["view"].clone();
        assert_eq!((&got["id"], &got["hash"]), (&json!(view.id), &json!(view.hash)));
        let views = slack.views("U0ANN");
        assert_eq!(
            views.iter().map(|view| view.given["callback_id"].as_str().unwrap()).collect::<Vec<_>>(),
            left
        );
        app.stop().await;
    }
}

#[tokio::test]
async fn needs_slack_sdk_an_app_answers_later_five_times_in_half_an_hour() {
    let slack = slack().await;
    slack.at("2026-03-02T10:00:00Z".parse().unwrap());
    let post = json!({ "channel": "C0DBA", "text": "Access", "blocks": blocks() });
    slack_sdk_calls(&slack, &[("chat_postMessage", post.clone()), ("chat_postMessage", post)]).await;
    let message = slack.messages("C0DBA").remove(0);
    let url = |payload: &Value| payload["response_url"].as_str().unwrap().to_owned();
    let click = url(&slack.clicking("U0ANN", &message, "approve").payload);
    let question = json!([{ "type": "section", "text": { "type": "mrkdwn", "text": "Sure?" }, "accessory":
        { "type": "button", "action_id": "sure", "text": { "type": "plain_text", "text": "Yes" } } }]);
    let said = [
        json!({ "text": "a", "response_type": "in_channel", "thread_ts": message.ts }),
        json!({ "text": "", "blocks": question, "replace_original": false }),
        json!({ "text": "voted", "replace_original": true }),
        json!({ "delete_original": true }),
        json!({ "text": "b" }),
        json!({ "text": "c" }),
    ];
    let answers = slack_sdk_says_later(&click, &said).await;
    let taken = json!([200, "ok"]);
    assert_eq!(answers, json!([taken, taken, taken, taken, taken, [404, "used_url"]]));
    assert_eq!(slack.messages("C0DBA").len(), 1);
    let shown = slack.ephemerals();
    assert_eq!(shown.iter().map(Ephemeral::seen).collect::<Vec<_>>(), ["a", "Sure?\nYes", "b"]);
    assert_eq!((shown[0].response_type.as_str(), &shown[0].thread_ts), ("in_channel", &Some(message.ts)));

    let again = slack.clicking_ephemeral(&shown[1], "sure").payload;
    assert_eq!((&again["container"]["is_ephemeral"], again.get("message")), (&json!(true), None));
    let bad = [json!({ "text": "x", "as_user": true }), json!({ "blocks": [{ "type": "x" }] }), json!({})];
    let answers = slack_sdk_says_later(&url(&again), &bad).await;
    assert!(answers.as_array().unwrap().iter().all(|answer| answer[0] == 400), "{answers:#}");
    let last = json!({ "text": "done", "replace_original": true });
    assert_eq!(slack_sdk_says_later(&url(&again), std::slice::from_ref(&last)).await, json!([taken]));
    assert!(slack.ephemerals()[3].replace_original);
    slack.error_next(RESPONSE_URL, "action_prohibited");
    slack.at("2026-03-02T10:30:01Z".parse().unwrap());
    let late = slack_sdk_says_later(&url(&again), &[last.clone(), last]).await;
    assert_eq!(late, json!([[400, "action_prohibited"], [404, "expired_url"]]));
}

#[tokio::test]
async fn needs_slack_sdk_a_socket_brings_what_people_do() {
    let slack = slack().await;
    call(&slack, "chat_postMessage", json!({ "channel": "C0DBA", "text": "Access", "blocks": blocks() }))
        .await;
    let message = slack.messages("C0DBA").remove(0);
    let mut app = PeerApp::connected(&slack, json!({ "text": "done" })).await;
    slack.until("a socket", |slack| (slack.sockets() == 1).then_some(())).await;
    let command = slack.commanding("U0ANN", "C0DBA", "list");
    assert_eq!(slack.by_socket(&command).await.json()["text"], "done");
    let told = app.next().await;
    assert_eq!((&told["type"], &told["got"]), (&json!("slash_commands"), &command.payload));
    assert_eq!(slack.ephemerals()[0].seen(), "done");

    slack.disconnect();
    slack.until("another socket", |slack| (slack.sockets() == 1).then_some(())).await;
    slack.by_socket(&slack.clicking("U0ANN", &message, "approve")).await;
    let told = app.next().await;
    assert_eq!((&told["type"], &told["got"]["type"]), (&json!("interactive"), &json!("block_actions")));
    assert_eq!(slack.complaints(), Vec::<String>::new());
    app.stop().await;
}

#[tokio::test]
async fn needs_slack_sdk_what_no_socket_acknowledged_the_next_one_brings_again() {
    let slack = slack().await;
    let mut silent = PeerApp::connected(&slack, json!(false)).await;
    slack.until("a socket", |slack| (slack.sockets() == 1).then_some(())).await;
    let envelope = slack.put_on_socket(&slack.commanding("U0ANN", "C0DBA", "list"));
    assert_eq!(silent.next().await["retry"], Value::Null);
    slack.cut();
    assert_eq!(silent.next().await["retry"], 1);
    assert!(slack.acknowledged(&envelope).is_none());
    silent.stop().await;
    let mut app = PeerApp::connected(&slack, Value::Null).await;
    assert_eq!(app.next().await["retry"], 2);
    let answered = slack.until("an acknowledgement", |slack| slack.acknowledged(&envelope)).await;
    assert_eq!(answered.json(), Value::Null);
    app.stop().await;
}

#[tokio::test]
async fn needs_slack_sdk_a_ticket_opens_one_socket_and_odd_frames_are_noticed() {
    let slack = slack().await;
    let opened = call(&slack, "apps_connections_open", json!({ "app_token": APP_TOKEN })).await;
    let url = opened["url"].as_str().unwrap();
    let (mut socket, _) = connect_async(url).await.unwrap();
    assert!(connect_async(url).await.is_err());
    let hello = socket.next().await.unwrap().unwrap();
    let hello: Value = serde_json::from_str(hello.to_text().unwrap()).unwrap();
    assert_eq!((&hello["type"], &hello["num_connections"]), (&json!("hello"), &json!(1)));
    for frame in ["hello", r#"{"envelope_id":"none"}"#, r#"{"envelope_id":"none","ok":true}"#] {
        socket.send(Frame::text(frame)).await.unwrap();
    }
    let noticed =
        slack.until("complaints", |slack| Some(slack.complaints()).filter(|all| all.len() == 3)).await;
    assert!(
        noticed[1].starts_with("no such envelope") && noticed[2].starts_with("not an acknowledgement"),
        "{noticed:?}"
    );
}
