//! Which flips a source has. By its text: the policies are formatted, so an operator
//! stands between blanks.

/// One changed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flip {
    /// Which, from 1.
    pub(crate) number: usize,
    /// As it is.
    pub(crate) line: String,
    /// What becomes of it.
    pub(crate) to: String,
}

/// What is replaced by what.
const FLIPS: [(&str, &str); 20] = [
    (" == ", " != "),
    (" != ", " == "),
    (" < ", " <= "),
    (" <= ", " < "),
    (" > ", " >= "),
    (" >= ", " > "),
    (" && ", " || "),
    (" || ", " && "),
    (".any(", ".all("),
    (".all(", ".any("),
    (".min(", ".max("),
    (".max(", ".min("),
    (".max()", ".min()"),
    ("Ord::min", "Ord::max"),
    (" + ", " - "),
    (" - ", " + "),
    ("saturating_sub(", "saturating_add("),
    ("true", "false"),
    ("false", "true"),
    ("if !", "if "),
];

impl Flip {
    /// The source with this line changed.
    pub(crate) fn apply(&self, source: &str) -> String {
        let lines = source.lines().enumerate();
        lines.map(|(nth, line)| if nth + 1 == self.number { &self.to } else { line }).fold(
            String::with_capacity(source.len() + 8),
            |mut all, line| {
                all.push_str(line);
                all.push('\n');
                all
            },
        )
    }
}

/// Every flip of `source`, without its tests, comments, attributes and imports.
pub(crate) fn all(source: &str) -> Vec<Flip> {
    let mut flips = Vec::new();
    for (nth, line) in source.lines().enumerate() {
        let code = line.trim_start();
        if code.starts_with("#[cfg(test)]") {
            break;
        }
        if code.starts_with("//") || code.starts_with('#') || code.starts_with("use ") {
            continue;
        }
        let changed = FLIPS.iter().flat_map(|(from, to)| replaced(line, from, to)).chain(numbers(line));
        flips.extend(changed.map(|to| Flip { number: nth + 1, line: line.to_owned(), to }));
    }
    flips
}

/// `line` with one place of `from` replaced, for each such place.
fn replaced(line: &str, from: &str, to: &str) -> Vec<String> {
    let places = line.match_indices(from);
    places.map(|(at, _)| format!("{}{to}{}", &line[..at], &line[at + from.len()..])).collect()
}

/// `line` with one number made larger by one, for each number in its code.
fn numbers(line: &str) -> Vec<String> {
    let bytes = line.as_bytes();
    let is_word = |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let mut found = Vec::new();
    let (mut at, mut quoted) = (0, false);
    while at < bytes.len() {
        quoted ^= bytes[at] == b'"';
        let starts = bytes[at].is_ascii_digit() && (at == 0 || !is_word(at - 1)) && !quoted;
        if !starts {
            at += 1;
            continue;
        }
        let length = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if let Ok(number) = line[at..at + length].parse::<u64>() {
            found.push(format!("{}{}{}", &line[..at], number + 1, &line[at + length..]));
        }
        at += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn becomes(line: &str) -> Vec<String> {
        all(line).into_iter().map(|flip| flip.to).collect()
    }

    #[test]
    fn each_place_of_a_line_is_flipped_alone() {
        assert_eq!(becomes("a == b && c == d"), ["a != b && c == d", "a == b && c != d", "a == b || c == d"]);
        assert_eq!(becomes("x1 + 10_u32"), ["x1 - 10_u32", "x1 + 11_u32"]);
        assert_eq!(becomes("\"7 days\" < 7"), ["\"7 days\" <= 7", "\"7 days\" < 8"]);
    }

    #[test]
    fn what_is_no_code_of_the_policy_is_left_alone() {
        for line in [
            "// a == b",
            "    /// 1",
            "#[schemars(range(min = 1))]",
            "use a::b1;",
            "#[cfg(test)]\nlet a = 1;",
        ] {
            assert_eq!(becomes(line), [""; 0], "{line}");
        }
    }

    #[test]
    fn one_line_is_changed() {
        let flip = &all("let a = 1;\nlet b = 2;\n")[1];
        assert_eq!(flip.apply("let a = 1;\nlet b = 2;\n"), "let a = 1;\nlet b = 3;\n");
    }
}
