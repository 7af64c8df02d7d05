//! How things are shown to people: cleaned text, times, tables, colours.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use quorate_core::Timestamp;
use quorate_core::text::steers;
use serde_json::Value;
use std::fmt::Write as _;

/// `text` on one line, without anything that steers a terminal or turns the writing direction:
/// what others wrote cannot pass for what this program says.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.trim_end_matches(['\n', '\r']).chars() {
        match c {
            '\n' => clean.push_str(" ⏎ "),
            '\t' => clean.push(' '),
            c if steers(c) => {}
            c => clean.push(c),
        }
    }
    clean
}

/// `text` line by line, each cleaned and set in behind a bar, for what may be long.
pub(super) fn block(text: &str) -> String {
    let lines = text.trim_end_matches(['\n', '\r']).split('\n');
    let lines: Vec<String> = lines.map(|line| format!("  │ {}\n", clean(line))).collect();
    lines.concat()
}

/// The name that was probably meant.
pub(super) fn nearest<'a>(given: &str, names: &[&'a str]) -> Option<&'a str> {
    let scored = names.iter().map(|name| (strsim::jaro_winkler(given, name), *name));
    scored
        .filter(|(score, _)| *score > 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}

/// Every text in `value`, names of fields included, cleaned.
pub(super) fn clean_value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(items) => items.iter().map(clean_value).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (clean(name), clean_value(value))).collect()
        }
        other => other.clone(),
    }
}

/// One JSON text in ASCII where a terminal could be steered by anything else.
pub(super) fn json_text(value: &Value, pretty: bool) -> String {
    let text = if pretty { format!("{value:#}") } else { value.to_string() };
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        // Outside of strings there is only ASCII, and the line breaks of the layout.
        if c != '\n' && steers(c) {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// `2026-11-23 10:00:05 UTC`.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How long from `from` to `to`, in the two largest units: `1h59m`, `2d3h`, `40s`.
pub(super) fn between(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().max(0);
    let units = [(86400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')];
    let first = units.iter().position(|(length, _)| seconds >= *length).unwrap_or(3);
    let mut rest = seconds;
    let mut words = String::new();
    for (length, unit) in units.iter().skip(first).take(2) {
        if rest / length > 0 || words.is_empty() {
            let _ = write!(words, "{}{unit}", rest / length);
        }
        rest %= length;
    }
    words
}

/// `in 2h` or `5m ago`.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    if at > now { format!("in {}", between(now, at)) } else { format!("{} ago", between(at, now)) }
}

/// `one, two and 3 more`: at most `max` names.
pub(super) fn names(names: &[String], max: usize) -> String {
    match names.len() {
        0 => "nobody".to_owned(),
        count if count <= max => names.join(", "),
        count => format!("{} and {} more", names[..max].join(", "), count - max),
    }
}

/// `1 request`, `2 requests`.
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The first `max` characters of `text`, and a mark where there is more.
pub(super) fn short(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let start: String = text.chars().take(max.saturating_sub(1)).collect();
    format!("{}…", start.trim_end())
}

/// A command as one would type it.
pub(super) fn command_line(words: &[String]) -> String {
    let plain = |word: &str| {
        !word.is_empty()
            && word.chars().all(|c| {
                c.is_ascii_alphanumeric()
                    || matches!(c, '-' | '_' | '.' | '/' | ':' | '=' | ',' | '@' | '%' | '+')
            })
    };
    let quoted = words.iter().map(|word| {
        if plain(word) { word.clone() } else { format!("'{}'", clean(word).replace('\'', r"'\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// A table without lines. `width` is that of the terminal; without one, nothing is wrapped.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec());
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// Names and values below one another, with the values in one column; empty values are left out.
pub(super) fn facts(pairs: &[(&str, String)]) -> String {
    let shown = || pairs.iter().filter(|(_, value)| !value.is_empty());
    let width = shown().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines: Vec<String> = shown().map(|(name, value)| format!("{name:width$}  {value}\n")).collect();
    lines.concat()
}

/// A scalar without quotes, anything else as JSON, on one line.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => clean(text),
        other => clean(&json_text(other, false)),
    }
}

/// Colours, where they are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    /// Good news, and what is added.
    pub(super) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// Bad news, and what is removed.
    pub(super) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    /// What waits, and what is changed.
    pub(super) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// What matters less.
    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// A request's state in its colour.
    pub(super) fn state(self, state: &str) -> String {
        match state {
            "PENDING" => self.yellow(state),
            "APPROVED" | "EXECUTED" => self.green(state),
            "REJECTED" | "REVOKED" => self.red(state),
            other => self.dim(other),
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `1,204`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn nothing_that_others_wrote_steers_the_terminal() {
        let hostile = "ann\u{1b}]0;x\u{7}\r\nAPPROVED\u{9b}2J\u{202e}\u{2066}\u{200b}\u{7f}\tend";
        let clean = clean(hostile);
        assert_eq!(clean, "ann]0;x ⏎ APPROVED2J end");
        assert!(!clean.chars().any(char::is_control));
    }

    #[test]
    fn names_of_fields_are_cleaned_as_well() {
        assert_eq!(clean_value(&json!({"a\u{1b}": ["\u{7}b"]})), json!({"a": ["b"]}));
    }

    #[test]
    fn json_keeps_every_character_and_is_safe_to_show() {
        let value = json!({"reason": "ü\u{1b}[2J\u{9b}\u{202e}\u{7f}\n"});
        for pretty in [false, true] {
            let text = json_text(&value, pretty);
            assert!(text.contains('ü') && !text.chars().any(|c| c != '\n' && steers(c)), "{text:?}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }

    #[test]
    fn a_long_text_cannot_pretend_to_be_the_next_line() {
        assert_eq!(block("select 1\nstate  APPROVED\n"), "  │ select 1\n  │ state  APPROVED\n");
    }

    #[test]
    fn lengths_of_time_are_said_in_two_units() {
        let say = |seconds| between(at(0), at(seconds));
        assert_eq!([say(0), say(59), say(60), say(7199), say(7200)], ["0s", "59s", "1m", "1h59m", "2h"]);
        assert_eq!([say(86400 + 7200), say(-5)], ["1d2h", "0s"]);
        assert_eq!(relative(at(60), at(0)), "in 1m");
        assert_eq!(relative(at(0), at(60)), "1m ago");
        assert_eq!(time(at(0)), "1970-01-01 00:00:00 UTC");
    }

    #[test]
    fn a_command_can_be_copied_into_a_shell() {
        let words = |words: &[&str]| command_line(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(words(&["psql", "-h", "localhost", "-U", "postgres"]), "psql -h localhost -U postgres");
        assert_eq!(words(&["sh", "-c", "echo 'a b'", ""]), r"sh -c 'echo '\''a b'\''' ''");
    }

    #[test]
    fn a_table_is_readable_without_lines() {
        let rows = vec![vec!["a".into(), "PENDING".into()], vec!["bcd".into(), "X".into()]];
        assert_eq!(table(&["ID", "STATE"], rows, None), "ID   STATE\na    PENDING\nbcd  X\n");
    }

    #[test]
    fn colours_are_left_out_where_they_are_not_wanted() {
        assert_eq!(Paint(false).state("PENDING"), "PENDING");
        assert_eq!(Paint(true).red("no"), "\x1b[31mno\x1b[0m");
    }

    #[test]
    fn many_names_are_counted() {
        let people: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(names(&people, 2), "a, b and 1 more");
        assert_eq!(names(&people, 3), "a, b, c");
        assert_eq!(names(&[], 3), "nobody");
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
