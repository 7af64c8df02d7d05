//! What a person reads of a message: marks of formatting stay, what Slack shows instead of
//! something is shown.

use serde_json::Value;

/// Where there are blocks, they are what is shown.
pub(super) fn seen(text: &str, blocks: &[Value]) -> String {
    if blocks.is_empty() {
        return unescaped(text);
    }
    let lines: Vec<String> = blocks.iter().map(block).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

fn block(block: &Value) -> String {
    match block["type"].as_str().unwrap_or_default() {
        "divider" => String::new(),
        "rich_text" => block["elements"].as_array().unwrap().iter().map(rich).collect::<Vec<_>>().join("\n"),
        _ => {
            let parts = ["text", "label", "fields", "elements", "element", "accessory", "hint"];
            let texts: Vec<String> = parts.iter().flat_map(|part| texts(&block[*part])).collect();
            texts.join("\n")
        }
    }
}

/// The texts of a text object, or of an element with one, or of a list of them.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Object(object) => match (object["type"].as_str(), object.get("text")) {
            (Some("mrkdwn"), Some(Value::String(text))) => vec![unescaped(text)],
            (_, Some(Value::String(text))) => vec![text.clone()],
            _ => ["text", "placeholder", "options"]
                .iter()
                .filter_map(|part| object.get(*part))
                .flat_map(texts)
                .collect(),
        },
        _ => Vec::new(),
    }
}

fn rich(element: &Value) -> String {
    let inner = || element["elements"].as_array().unwrap().iter();
    match element["type"].as_str().unwrap_or_default() {
        "rich_text_list" => inner().map(rich).collect::<Vec<_>>().join("\n"),
        "rich_text_section" | "rich_text_preformatted" | "rich_text_quote" => inner().map(rich).collect(),
        "user" => format!("@{}", text(&element["user_id"])),
        "usergroup" => format!("@{}", text(&element["usergroup_id"])),
        "broadcast" => format!("@{}", text(&element["range"])),
        "channel" => format!("#{}", text(&element["channel_id"])),
        "emoji" => format!(":{}:", text(&element["name"])),
        "date" => text(element.get("fallback").unwrap_or(&element["timestamp"])),
        "link" => text(element.get("text").unwrap_or(&element["url"])),
        _ => text(&element["text"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Mrkdwn with its links, mentions and entities as they are shown.
fn unescaped(mrkdwn: &str) -> String {
    let mut seen = String::new();
    let mut rest = mrkdwn;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((inside, behind)) = after.split_once('>') else { break };
        seen.push_str(before);
        let (target, label) =
            inside.split_once('|').map_or((inside, None), |(target, label)| (target, Some(label)));
        match (target.split_at_checked(1), label) {
            (Some(("@" | "#", id)), None) => seen.extend([&target[..1], id]),
            (Some(("!", special)), None) => seen.extend(["@", special]),
            (_, Some(label)) => seen.push_str(label),
            (_, None) => seen.push_str(target),
        }
        rest = behind;
    }
    seen.push_str(rest);
    seen.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
