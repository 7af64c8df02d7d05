//! Texts from outside, made fit to be shown in one line of a terminal or a log.
//! Escaping for a page or a message is the work of what writes those.

/// `text`, cut to `chars_max` characters. What would move a cursor, break a line or
/// turn the direction of writing is replaced by `\u{fffd}`.
pub fn shown(text: &str, chars_max: usize) -> String {
    let mut chars = text.chars().map(|c| if is_plain(c) { c } else { '\u{fffd}' });
    let mut shown: String = chars.by_ref().take(chars_max).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

fn is_plain(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = matches!(c, '\u{2028}' | '\u{2029}');
    !(c.is_control() || turns || breaks)
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
