//! The one escaper of everything that is HTML: pages, and messages by e-mail. `askama.toml` names it.

use std::fmt::{self, Write};

use quorate_core::text::steers;

/// Writes a text so that it can only show itself: markup as text, and each character that
/// would move, hide or turn what stands around it as its number, so that nothing is left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Harmless;

impl askama::filters::Escaper for Harmless {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        let mut plain_from = 0;
        for (at, c) in text.char_indices() {
            let entity = match c {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                c if steers(c) && !matches!(c, '\n' | '\t') => "",
                _ => continue,
            };
            dest.write_str(&text[plain_from..at])?;
            if entity.is_empty() {
                write!(dest, "[U+{:04X}]", u32::from(c))?;
            } else {
                dest.write_str(entity)?;
            }
            plain_from = at + c.len_utf8();
        }
        dest.write_str(&text[plain_from..])
    }
}

#[cfg(test)]
mod tests {
    use askama::filters::Escaper as _;

    use super::*;

    fn shown(text: &str) -> String {
        let mut out = String::new();
        Harmless.write_escaped_str(&mut out, text).unwrap();
        out
    }

    #[test]
    fn a_text_shows_itself_whatever_is_in_it() {
        assert_eq!(
            shown("<b id=\"x\" class='y'>&amp;"),
            "&lt;b id=&quot;x&quot; class=&#39;y&#39;&gt;&amp;amp;"
        );
        assert_eq!(shown("a\u{202e}b\u{7}\r\n\tc\u{200b}"), "a[U+202E]b[U+0007][U+000D]\n\tc[U+200B]");
        let long = "ä".repeat(10_000);
        assert_eq!(shown(&long), long);
    }
}
