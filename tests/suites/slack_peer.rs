//! The Slack of the tests is one that Slack's own library gets along with, and refuses what
//! Slack refuses.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::world::slack::people::signature;
use crate::world::slack::sdk::{
    PeerApp, slack_sdk_calls, slack_sdk_calls_as, slack_sdk_reads, slack_sdk_says_later, slack_sdk_verifies,
};
use crate::world::slack::{
    APP_TOKEN, BOT_TOKEN, BOT_USER, EVERY_METHOD, Ephemeral, RESPONSE_URL, Slack, TEAM,
};

/// A Slack with a channel that the app is in, as ann is, and one that it is not in.
async fn slack() -> Slack {
    let slack = Slack::start().await;
    slack.conversation("C0DBA", true);
    slack.conversation("C0OPS", false);
    slack.join("C0DBA", "U0ANN");
    slack
}

/// What one call of the library came to.
async fn call(slack: &Slack, method: &str, arguments: Value) -> Value {
    slack_sdk_calls(slack, &[(method, arguments)]).await.remove(0)["answer"].clone()
}

/// The errors of many calls, in order; null where there was none.
async fn errors(slack: &Slack, calls: &[(&str, Value)]) -> Vec<Value> {
    slack_sdk_calls(slack, calls).await.iter().map(|made| made["answer"]["error"].clone()).collect()
}

fn blocks() -> Value {
    json!([
        { "type": "header", "text": { "type": "plain_text", "text": "Access to prod" } },
        { "type": "section", "text": { "type": "mrkdwn", "text": "*<@U0ANN>* asks &lt;now&gt; <https://example.org|here>" },
          "fields": [{ "type": "mrkdwn", "text": "*For*\n1 hour" }, { "type": "plain_text", "text": "a <field>" }] },
        { "type": "rich_text", "elements": [
            { "type": "rich_text_section", "elements": [
                { "type": "text", "text": "because", "style": { "bold": true } },
                { "type": "user", "user_id": "U0BOB" },
                { "type": "emoji", "name": "wave" },
                { "type": "link", "url": "https://example.org/1", "text": "a ticket" } ] },
            { "type": "rich_text_preformatted", "elements": [{ "type": "text", "text": "select <1>" }] },
            { "type": "rich_text_quote", "elements": [{ "type": "text", "text": "a quote" }] },
            { "type": "rich_text_list", "style": "bullet", "elements": [
                { "type": "rich_text_section", "elements": [{ "type": "text", "text": "one" }] } ] } ] },
        { "type": "divider" },
        { "type": "actions", "block_id": "votes", "elements": [
            { "type": "button", "action_id": "approve", "value": "r1", "style": "primary",
              "text": { "type": "plain_text", "text": "Approve" } },
            { "type": "button", "action_id": "open", "url": "https://example.org/r1",
              "text": { "type": "plain_text", "text": "Open" } } ] },
        { "type": "context", "elements": [{ "type": "mrkdwn", "text": "in *2* hours" }] },
    ])
}

fn modal() -> Value {
    json!({
        "type": "modal",
        "callback_id": "reject",
        "private_metadata": "r1",
        "title": { "type": "plain_text", "text": "Reject" },
        "submit": { "type": "plain_text", "text": "Reject" },
        "close": { "type": "plain_text", "text": "Cancel" },
        "blocks": [
            { "type": "input", "block_id": "why", "label": { "type": "plain_text", "text": "Why" },
              "element": { "type": "plain_text_input", "action_id": "reason", "multiline": true, "max_length": 500 } },
            { "type": "input", "label": { "type": "plain_text", "text": "For" }, "optional": true,
              "element": { "type": "static_select", "action_id": "long", "options": [
                { "text": { "type": "plain_text", "text": "1 hour" }, "value": "1h" } ] } },
            { "type": "input", "label": { "type": "plain_text", "text": "And" }, "optional": true,
              "element": { "type": "checkboxes", "action_id": "more", "options": [
                { "text": { "type": "plain_text", "text": "Tell all" }, "value": "all" } ] } },
        ],
    })
}

#[tokio::test]
async fn needs_slack_sdk_messages_are_posted_found_and_changed() {
    let slack = slack().await;
    let metadata = json!({ "event_type": "quorate_request", "event_payload": { "id": "r1", "revision": 1 } });
    let said = json!({ "channel": "C0DBA", "text": "Access", "blocks": blocks(), "metadata": metadata,
        "unfurl_links": false, "unfurl_media": false });
    let posted = call(&slack, "chat_postMessage", said).await;
    assert_eq!(posted["ok"], true, "{posted:#}");
    assert_eq!(posted["message"]["bot_id"], "B0QUORATE");
    let ts = posted["ts"].as_str().unwrap();
    let reply = json!({ "channel": "C0DBA", "text": "more", "thread_ts": ts });
    let change = json!({ "channel": "C0DBA", "ts": ts, "text": "Access was given" });
    assert_eq!(
        errors(&slack, &[("chat_postMessage", reply), ("chat_update", change)]).await,
        [Value::Null, Value::Null]
    );

    let messages = slack.messages("C0DBA");
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[1].thread_ts.as_deref(), Some(ts));
    let message = &messages[0];
    // A text alone takes the blocks away; the metadata stay.
    assert_eq!((message.text.as_str(), message.blocks.len(), message.edits()), ("Access was given", 0, 1));
    assert_eq!(message.metadata.as_ref(), Some(&metadata));
    assert_eq!(json!(message.earlier[0].blocks), blocks());

    let asked = json!({ "channel": "C0DBA", "include_all_metadata": true, "limit": 5 });
    let history = call(&slack, "conversations_history", asked).await;
    // What is in threads is elsewhere.
    assert_eq!(history["messages"].as_array().unwrap().len(), 1, "{history:#}");
    assert_eq!(history["messages"][0]["metadata"], metadata);
    let bare = call(&slack, "conversations_history", json!({ "channel": "C0DBA" })).await;
    assert_eq!(bare["messages"][0]["metadata"], Value::Null);
}

#[tokio::test]
async fn needs_slack_sdk_history_is_read_in_pages_from_the_newest() {
    let slack = slack().await;
    let say = |text: &str| ("chat_postMessage", json!({ "channel": "C0DBA", "text": text }));
    slack_sdk_calls(&slack, &[say("one"), say("two"), say("three"), say("four")]).await;
    let oldest = slack.messages("C0DBA")[0].ts.clone();
    let asked = json!({ "channel": "C0DBA", "limit": 2, "oldest": oldest });
    let first = call(&slack, "conversations_history", asked.clone()).await;
    let texts = |page: &Value| -> Vec<String> {
        let messages = page["messages"].as_array().unwrap().iter();
        messages.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(texts(&first), ["four", "three"]);
    assert_eq!(first["has_more"], true);
    let mut next = asked;
    next["cursor"] = first["response_metadata"]["next_cursor"].clone();
    let second = call(&slack, "conversations_history", next).await;
    assert_eq!((texts(&second), &second["has_more"]), (vec!["two".to_owned()], &json!(false)));
}

#[tokio::test]
async fn needs_slack_sdk_people_are_written_to_directly_and_shown_what_others_are_not() {
    let slack = slack().await;
    slack.nobody("U0GONE");
    let made = slack_sdk_calls(
        &slack,
        &[
            ("auth_test", json!({})),
            ("conversations_open", json!({ "users": "U0ANN" })),
            ("conversations_open", json!({ "users": "U0ANN", "return_im": true })),
            ("chat_postMessage", json!({ "channel": "D0ANN", "text": "you were let in" })),
            ("chat_postEphemeral", json!({ "channel": "C0DBA", "user": "U0ANN", "text": "not yours" })),
        ],
    )
    .await;
    let answers: Vec<&Value> = made.iter().map(|made| &made["answer"]).collect();
    assert_eq!((&answers[0]["team_id"], &answers[0]["user_id"]), (&json!(TEAM), &json!(BOT_USER)));
    assert_eq!(answers[1]["channel"]["id"], "D0ANN");
    assert_eq!(
        (&answers[2]["already_open"], &answers[2]["channel"]["user"]),
        (&json!(true), &json!("U0ANN"))
    );
    assert_eq!(slack.direct("U0ANN")[0].text, "you were let in");
    let shown = slack.ephemerals().remove(0);
    assert_eq!((shown.user.as_str(), shown.seen().as_str()), ("U0ANN", "not yours"));
    assert_eq!((shown.channel.as_str(), shown.response_type.as_str()), ("C0DBA", "ephemeral"));
    slack.leave("C0DBA", "U0ANN");
    let refused = errors(
        &slack,
        &[
            ("chat_postEphemeral", json!({ "channel": "C0DBA", "user": "U0ANN", "text": "not yours" })),
            ("conversations_open", json!({ "users": "U0GONE" })),
            ("conversations_open", json!({ "users": "U0ANN,U0BOB" })),
        ],
    )
    .await;
    assert_eq!(refused, ["user_not_in_channel", "user_not_found", "missing_scope"]);
}

#[tokio::test]
async fn needs_slack_sdk_what_slack_refuses_is_refused() {
    let slack = slack().await;
    let theirs = slack.says("C0DBA", "U0ANN", "hello");
    let post = |more: Value| {
        let mut said = json!({ "channel": "C0DBA" });
        said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("chat_postMessage", said)
    };
    let bad =
        json!([{ "type": "header", "text": { "type": "mrkdwn", "text": "x".repeat(151) }, "color": "red" }]);
    let change =
        |ts: &str, text: &str| ("chat_update", json!({ "channel": "C0DBA", "ts": ts, "text": text }));
    let cases = [
        (post(json!({ "channel": "C0NONE", "text": "x" })), "channel_not_found"),
        (post(json!({ "channel": "U0ANN", "text": "x" })), "channel_not_found"),
        (post(json!({ "channel": "C0OPS", "text": "x" })), "not_in_channel"),
        (post(json!({ "text": "" })), "no_text"),
        (post(json!({ "blocks": [] })), "no_text"),
        (post(json!({ "text": "x".repeat(40_001) })), "msg_too_long"),
        (post(json!({ "text": "x", "blocks": bad })), "invalid_blocks"),
        (post(json!({ "text": "x", "colour": "red" })), "invalid_arguments"),
        (post(json!({ "text": "x", "thread_ts": 5 })), "invalid_arguments"),
        (post(json!({ "text": "x", "unfurl_links": "maybe" })), "invalid_arguments"),
        (post(json!({ "text": "x", "thread_ts": "1.000001" })), "cannot_reply_to_message"),
        (
            post(json!({ "text": "x", "metadata": { "event_type": "a b", "event_payload": {} } })),
            "invalid_metadata_format",
        ),
        (
            post(json!({ "text": "x", "metadata": { "event_type": "a", "event_payload": { "b": [1] } } })),
            "invalid_metadata_schema",
        ),
        (
            post(
                json!({ "text": "x", "metadata": { "event_type": "a", "event_payload": { "b": "x".repeat(17_000) } } }),
            ),
            "metadata_too_large",
        ),
        (change("1.000001", "x"), "message_not_found"),
        (change(&theirs.ts, "x"), "cant_update_message"),
        (change(&slack.says("C0DBA", BOT_USER, "ours").ts, &"x".repeat(4001)), "msg_too_long"),
        (("conversations_history", json!({ "channel": "C0DBA", "cursor": "x" })), "invalid_cursor"),
        (("conversations_history", json!({ "channel": "C0DBA", "limit": 1000 })), "invalid_limit"),
        (
            ("conversations_history", json!({ "channel": "C0DBA", "oldest": "yesterday" })),
            "invalid_ts_oldest",
        ),
        (("conversations_history", json!({ "channel": "C0OPS" })), "not_in_channel"),
        (("views_open", json!({ "trigger_id": "1.2.3", "view": modal() })), "invalid_trigger_id"),
        (
            ("views_open", json!({ "trigger_id": "1.2.3", "view": { "type": "home", "blocks": [] } })),
            "invalid_arguments",
        ),
        (("apps_connections_open", json!({ "app_token": "xapp-1-another" })), "invalid_auth"),
        (("users_list", json!({})), "unknown_method"),
    ];
    let (calls, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let made = slack_sdk_calls(&slack, &calls).await;
    let errors: Vec<&Value> = made.iter().map(|made| &made["answer"]["error"]).collect();
    assert_eq!(errors, expected);
    assert!(made.iter().all(|made| made["status"] == 200));
    let reasons = &made[6]["answer"]["response_metadata"]["messages"];
    let reasons = reasons.as_array().unwrap().iter().map(|reason| reason.as_str().unwrap());
    assert_eq!(
        reasons.collect::<Vec<_>>(),
        [
            "[ERROR] no more fields allowed: color [json-pointer:/blocks/0]",
            "[ERROR] must be a valid enum value, one of plain_text [json-pointer:/blocks/0/text/type]",
            "[ERROR] must be less than 151 characters [json-pointer:/blocks/0/text/text]",
        ]
    );
    assert_eq!(slack.messages("C0DBA").len(), 2);
    let said = slack.calls();
    assert_eq!((said.len(), said[0].method.as_str(), said[0].status), (calls.len(), "chat.postMessage", 200));
    assert_eq!(
        (&said[0].arguments["channel"], &said[0].answer["error"]),
        (&json!("C0NONE"), &json!("channel_not_found"))
    );
}

#[tokio::test]
async fn needs_slack_sdk_every_token_opens_only_what_it_is_for() {
    let slack = slack().await;
    let who = [("auth_test", json!({}))];
    let mut errors = Vec::new();
    for token in ["xoxb-another", APP_TOKEN] {
        errors.push(slack_sdk_calls_as(&slack, token, &who).await.remove(0)["answer"]["error"].clone());
    }
    let open = ("apps_connections_open", json!({ "app_token": BOT_TOKEN }));
    errors.push(slack_sdk_calls(&slack, &[open]).await.remove(0)["answer"]["error"].clone());
    assert_eq!(errors, ["invalid_auth", "not_allowed_token_type", "not_allowed_token_type"]);
}

#[tokio::test]
async fn needs_slack_sdk_blocks_are_read_whole_by_the_library_and_seen_by_people() {
    assert_eq!(slack_sdk_reads(&blocks()).await, Ok(blocks()));
    let long = json!([{ "type": "header", "text": { "type": "plain_text", "text": "x".repeat(151) } }]);
    assert!(slack_sdk_reads(&long).await.unwrap_err().contains("150"));
    let slack = slack().await;
    call(&slack, "chat_postMessage", json!({ "channel": "C0DBA", "text": "Access", "blocks": blocks() }))
        .await;
    let seen = slack.messages("C0DBA")[0].seen();
    let lines = [
        "Access to prod",
        "*@U0ANN* asks <now> here",
        "*For*",
        "1 hour",
        "a <field>",
        "because@U0BOB:wave:a ticket",
        "select <1>",
        "a quote",
        "one",
        "Approve",
        "Open",
        "in *2* hours",
    ];
    assert_eq!(seen, lines.join("\n"));
}

#[tokio::test]
async fn needs_slack_sdk_limits_of_blocks_are_those_of_the_documentation() {
    let slack = slack().await;
    let text = |count: usize| json!({ "type": "plain_text", "text": "x".repeat(count) });
    let button = |id: String, value: usize| json!({ "type": "button", "action_id": id, "text": text(75), "value": "x".repeat(value) });
    let buttons = |count: usize, value: usize| -> Value {
        (0..count).map(|at| button(format!("b{at}"), value)).collect()
    };
    let rich = |kind: &str, span: Value| json!({ "type": "rich_text", "elements": [{ "type": kind, "elements": [span] }] });
    let section = |count: usize| json!({ "type": "section", "text": text(count) });
    let fields = |count: usize, characters: usize| json!({ "type": "section", "fields": vec![text(characters); count] });
    let actions = |elements: Value| json!({ "type": "actions", "elements": elements });
    // Each with what is still taken before it.
    let pairs = [
        (json!(vec![section(1); 50]), json!(vec![section(1); 51])),
        (json!([section(3000)]), json!([section(3001)])),
        (json!([fields(10, 2000)]), json!([fields(11, 2000)])),
        (json!([fields(1, 1)]), json!([fields(1, 2001)])),
        (json!([actions(buttons(25, 2000))]), json!([actions(buttons(26, 1))])),
        (json!([actions(buttons(1, 1))]), json!([actions(buttons(1, 2001))])),
        (
            json!([actions(json!([button("a".repeat(255), 1)]))]),
            json!([actions(json!([button("a".repeat(256), 1)]))]),
        ),
        (
            json!([actions(json!([button("a".into(), 1), button("b".into(), 1)]))]),
            json!([actions(json!([button("a".into(), 1), button("a".into(), 1)]))]),
        ),
        (
            json!([{ "type": "context", "elements": vec![text(1); 10] }]),
            json!([{ "type": "context", "elements": vec![text(1); 11] }]),
        ),
        (
            json!([rich("rich_text_section", json!({ "type": "emoji", "name": "x" }))]),
            json!([rich("rich_text_preformatted", json!({ "type": "emoji", "name": "x" }))]),
        ),
        (
            json!([rich(
                "rich_text_quote",
                json!({ "type": "text", "text": "x", "style": { "bold": true } })
            )]),
            json!([rich(
                "rich_text_quote",
                json!({ "type": "text", "text": "x", "style": { "big": true } })
            )]),
        ),
        (json!([{ "type": "divider" }]), json!([{ "type": "divider", "text": text(1) }])),
        (json!([{ "type": "divider" }]), json!([{ "type": "carousel" }])),
    ];
    let post =
        |blocks: &Value| ("chat_postMessage", json!({ "channel": "C0DBA", "text": "x", "blocks": blocks }));
    let calls: Vec<_> = pairs.iter().flat_map(|(good, bad)| [post(good), post(bad)]).collect();
    let expected: Vec<Value> = pairs.iter().flat_map(|_| [Value::Null, json!("invalid_blocks")]).collect();
    assert_eq!(errors(&slack, &calls).await, expected);
}

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
async fn needs_slack_sdk_slack_makes_the_trouble_that_it_is_told_to() {
    let slack = slack().await;
    let post = || ("chat_postMessage", json!({ "channel": "C0DBA", "text": "x" }));
    let who = || ("auth_test", json!({}));
    slack.rate_limit("chat.postMessage", 1, 7);
    slack.error_next("chat.postMessage", "fatal_error");
    slack.accept_then_drop("chat.postMessage");
    let made = slack_sdk_calls(&slack, &[post(), who(), post(), post(), post()]).await;
    assert_eq!((&made[0]["status"], &made[0]["answer"]["error"]), (&json!(429), &json!("ratelimited")));
    assert_eq!((&made[0]["headers"]["retry-after"], &made[1]["answer"]["ok"]), (&json!("7"), &json!(true)));
    assert_eq!(made[2]["answer"]["error"], "fatal_error");
    // It is there, and the app cannot know.
    assert!(made[3]["raised"].is_string(), "{:#}", made[3]);
    assert_eq!((&made[4]["answer"]["ok"], slack.messages("C0DBA").len()), (&json!(true), 2));

    slack.rate_limit(EVERY_METHOD, 2, 1);
    let made = slack_sdk_calls(&slack, &[post(), who(), who()]).await;
    assert_eq!(made.iter().map(|made| made["status"].as_u64().unwrap()).collect::<Vec<_>>(), [429, 429, 200]);
    slack.down(true);
    assert_eq!(slack_sdk_calls(&slack, &[post()]).await[0]["status"], 500);
    slack.down(false);
    slack.unreachable(true);
    assert!(slack_sdk_calls(&slack, &[post()]).await[0]["raised"].is_string());
    slack.unreachable(false);
    assert_eq!(slack_sdk_calls(&slack, &[who()]).await[0]["status"], 200);
    assert_eq!(slack.messages("C0DBA").len(), 2);
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
