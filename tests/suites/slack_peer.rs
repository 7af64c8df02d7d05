//! The Slack of the tests is one that Slack's own library gets along with, and refuses what
//! Slack refuses. What people do in it is in `slack_peer_people`.

use serde_json::{Value, json};

use crate::world::slack::sdk::{slack_sdk_calls, slack_sdk_calls_as, slack_sdk_reads};
use crate::world::slack::{APP_TOKEN, BOT_TOKEN, BOT_USER, EVERY_METHOD, Slack, TEAM};

/// A Slack with a channel that the app is in, as ann is, and one that it is not in.
pub(super) async fn slack() -> Slack {
    let slack = Slack::start().await;
    slack.conversation("C0DBA", true);
    slack.conversation("C0OPS", false);
    slack.join("C0DBA", "U0ANN");
    slack
}

/// What one call of the library came to.
pub(super) async fn call(slack: &Slack, method: &str, arguments: Value) -> Value {
    slack_sdk_calls(slack, &[(method, arguments)]).await.remove(0)["answer"].clone()
}

/// The errors of many calls, in order; null where there was none.
pub(super) async fn errors(slack: &Slack, calls: &[(&str, Value)]) -> Vec<Value> {
    slack_sdk_calls(slack, calls).await.iter().map(|made| made["answer"]["error"].clone()).collect()
}

pub(super) fn blocks() -> Value {
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

pub(super) fn modal() -> Value {
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
