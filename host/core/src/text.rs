//! Texts from outside, made fit to be shown in one line of a terminal or a log.
//! Escaping for a page or a message is the work of what writes those.

/// `text`, cut to `chars_max` characters. What would move a cursor, break a line or
/// turn the direction of writing is replaced by `\u{fffd}`.
pub fn shown(text: &str, chars_max: usize) -> String {
    let mut chars = text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c });
    let mut shown: String = chars.by_ref().take(chars_max).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// `text` in one line of at most `bytes_max` bytes: what breaks lines becomes a blank, what
/// else would steer is replaced, and what is too long is cut between characters.
pub fn line(text: &str, bytes_max: usize) -> String {
    const CUT: char = '…';
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut line = shown(&words.join(" "), usize::MAX);
    if line.len() > bytes_max {
        line.truncate(line.floor_char_boundary(bytes_max.saturating_sub(CUT.len_utf8())));
        line.push(CUT);
    }
    line
}

/// Whether `c` does something else than show itself: moves a cursor, breaks a line,
/// turns the direction of writing, or cannot be seen at all.
pub fn steers(c: char) -> bool {
    let unseen = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let breaks_or_turns = matches!(c, '\u{61c}' | '\u{2028}'..='\u{202e}');
    c.is_control() || unseen || breaks_or_turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_the_screen_is_replaced() {
        assert_eq!(
            shown("a\x1b[2Jb\r\nc\u{202e}d\u{9b}e", 80),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d\u{fffd}e"
        );
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        assert_eq!(shown("äöü", 2), "äö…");
        assert_eq!(shown("äöü", 3), "äöü");
    }
}
