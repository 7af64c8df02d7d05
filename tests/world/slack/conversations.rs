//! The methods that say who the app is, open direct messages, and look into channels.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::arguments::{Arguments, Refusal};
use super::workspace::{Message, Workspace};
use super::{BOT, BOT_USER, TEAM, shapes};

const PAGE_MAX: u64 = 999;
const PAGE: u64 = 100;

/// `auth.test`.
pub(super) fn who(_: &mut Workspace, arguments: &mut Arguments) -> Result<Value, Refusal> {
    arguments.finish()?;
    Ok(json!({
        "url": "https://quorate.slack.com/",
        "team": "Quorate",
        "user": "quorate",
        "team_id": TEAM,
        "user_id": BOT_USER,
        "bot_id": BOT,
        "is_enterprise_install": false,
    }))
}

pub(super) fn open(workspace: &mut Workspace, arguments: &mut Arguments) -> Result<Value, Refusal> {
    let users = arguments.text("users");
    let whole = arguments.flag("return_im").unwrap_or_default();
    arguments.finish()?;
    let users =
        users.filter(|users| !users.is_empty()).ok_or_else(|| Refusal::of("users_list_not_supplied"))?;
    // Groups would need a scope that the app does not have.
    if users.contains(',') {
        return Err(Refusal::of("missing_scope"));
    }
    if !workspace.is_user(&users) {
        return Err(Refusal::of("user_not_found"));
    }
    let (id, there) = workspace.open_direct(&users);
    let mut answer = json!({ "channel": { "id": id } });
    if whole {
        answer["channel"] = json!({ "id": id, "is_im": true, "user": users, "is_open": true });
    }
    if there {
        answer["no_op"] = json!(true);
        answer["already_open"] = json!(true);
    }
    Ok(answer)
}

/// What is in a channel, the newest first, without what was said in threads.
pub(super) fn history(workspace: &mut Workspace, arguments: &mut Arguments) -> Result<Value, Refusal> {
    let channel = arguments.required("channel");
    let cursor = arguments.text("cursor");
    let metadata = arguments.flag("include_all_metadata").unwrap_or_default();
    let inclusive = arguments.flag("inclusive").unwrap_or_default();
    let limit = arguments.number("limit");
    let (latest, oldest) = (arguments.text("latest"), arguments.text("oldest"));
    arguments.finish()?;
    workspace.bot_in(&channel)?;
    let limit = limit.unwrap_or(PAGE);
    if limit == 0 || limit > PAGE_MAX {
        return Err(Refusal::of("invalid_limit"));
    }
    let before = cursor.filter(|cursor| !cursor.is_empty()).map(|cursor| read_cursor(&cursor)).transpose()?;
    let read =
        |given: Option<String>, error| given.map(|ts| micros(&ts).ok_or(Refusal::of(error))).transpose();
    let (latest, oldest) = (read(latest, "invalid_ts_latest")?, read(oldest, "invalid_ts_oldest")?);
    let inside = |message: &Message| {
        let ts = micros(&message.ts).unwrap();
        let edge = inclusive && (Some(ts) == latest || Some(ts) == oldest);
        let between = latest.is_none_or(|latest| ts < latest) && oldest.is_none_or(|oldest| ts > oldest);
        (edge || between) && before.is_none_or(|before| ts < before) && message.thread_ts.is_none()
    };
    let mut found: Vec<Message> = workspace.messages(&channel).into_iter().filter(inside).collect();
    found.reverse();
    let page = usize::try_from(limit).unwrap();
    let more = found.len() > page;
    found.truncate(page);
    let shown: Vec<Value> = found.iter().map(|message| shapes::message(message, metadata)).collect();
    let mut answer = json!({ "messages": shown, "has_more": more, "pin_count": 0 });
    if let Some(last) = found.last().filter(|_| more) {
        let cursor = STANDARD.encode(format!("next_ts:{}", micros(&last.ts).unwrap()));
        answer["response_metadata"] = json!({ "next_cursor": cursor });
    }
    Ok(answer)
}

fn read_cursor(cursor: &str) -> Result<u64, Refusal> {
    let read = STANDARD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let ts = read.and_then(|text| text.strip_prefix("next_ts:")?.parse().ok());
    ts.ok_or_else(|| Refusal::of("invalid_cursor"))
}

/// The microseconds of a time that may leave them out.
fn micros(ts: &str) -> Option<u64> {
    let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, ""));
    let digits = fraction.len() <= 6 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: u64 = if digits { format!("{fraction:0<6}").parse().ok()? } else { return None };
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction)
}
