//! A message on the way: headers, and the same text twice, plain and as HTML ([RFC 5322], [RFC 2045]
//! to [RFC 2047]).
//!
//! Everything in it is ASCII in lines of at most 78 characters, whatever was written: texts go as
//! base64, and so does a header that is not plain. Nothing that people write can begin a header.
//!
//! [RFC 5322]: https://www.rfc-editor.org/rfc/rfc5322
//! [RFC 2045]: https://www.rfc-editor.org/rfc/rfc2045
//! [RFC 2047]: https://www.rfc-editor.org/rfc/rfc2047

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::fmt::rfc2822::DateTimePrinter;
use quorate_core::Timestamp;

use crate::mail::Sender;

/// The longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 200;
/// How much of a text goes into one encoded word, in bytes: 64 characters, so that the name of a header
/// has its place before it.
const WORD_BYTES_MAX: usize = 39;
/// The longest text that stands in a header as it is, in bytes.
const PLAIN_BYTES_MAX: usize = 64;
/// How much goes into one line of base64, in bytes: 76 characters.
const LINE_BYTES: usize = 57;

pub(super) struct Mime<'a> {
    pub(super) from: &'a Sender,
    pub(super) to: &'a str,
    pub(super) subject: &'a str,
    pub(super) date: Timestamp,
    /// With its brackets.
    pub(super) id: String,
    /// The first message of the thread; none: it is this one.
    pub(super) answers: Option<String>,
    pub(super) plain: &'a str,
    pub(super) html: &'a str,
}

impl Mime<'_> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let from = match &self.from.name {
            Some(name) => format!("{}\r\n <{}>", words(name, "-_"), self.from.email),
            None => self.from.email.to_string(),
        };
        let date = DateTimePrinter::new().timestamp_to_string(&self.date).unwrap_or_default();
        let boundary: String = format!(
            "part-{}",
            self.id.chars().filter(char::is_ascii_alphanumeric).take(32).collect::<String>()
        );
        let subject: String = self.subject.chars().take(SUBJECT_CHARS_MAX).collect();
        let mut headers = vec![
            ("From", from),
            ("To", one_line(self.to)),
            ("Subject", words(&subject, " -_/.,:()")),
            ("Date", date),
            ("Message-ID", self.id.clone()),
        ];
        if let Some(first) = &self.answers {
            headers.push(("In-Reply-To", first.clone()));
            headers.push(("References", first.clone()));
        }
        headers.extend([
            // Programs that say that somebody is away do not answer (RFC 3834; and Exchange).
            ("Auto-Submitted", "auto-generated".to_owned()),
            ("X-Auto-Response-Suppress", "All".to_owned()),
            ("MIME-Version", "1.0".to_owned()),
            ("Content-Type", format!("multipart/alternative;\r\n boundary=\"{boundary}\"")),
        ]);
        let mut text = String::new();
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        for (kind, body) in [("plain", self.plain), ("html", self.html)] {
            let _ = write!(
                text,
                "\r\n--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{}",
                lines(body)
            );
        }
        let _ = write!(text, "\r\n--{boundary}--\r\n");
        text.into_bytes()
    }
}

/// What people read of a header: letters, digits and `plain` as they are, anything else as encoded words.
fn words(text: &str, plain: &str) -> String {
    let text = one_line(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || plain.contains(c);
    if text.chars().all(is_plain) && text.len() <= PLAIN_BYTES_MAX && !text.starts_with(' ') {
        return text;
    }
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if word.len() + c.len_utf8() > WORD_BYTES_MAX {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let encoded = words.iter().map(|word| format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join("\r\n ")
}

/// Without anything that could end a line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A text as base64, in lines. Its own lines end as they do in messages.
fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    let mut lines = String::new();
    for line in text.as_bytes().chunks(LINE_BYTES) {
        let _ = write!(lines, "{}\r\n", BASE64_STANDARD.encode(line));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(subject: &str, name: Option<&str>, answers: Option<&str>) -> String {
        let from = Sender { name: name.map(str::to_owned), email: "quorate@example.org".parse().unwrap() };
        let mime = Mime {
            from: &from,
            to: "bob@example.org",
            subject,
            date: "2026-03-02T10:00:00Z".parse().unwrap(),
            id: "<0123@example.org>".to_owned(),
            answers: answers.map(str::to_owned),
            plain: "grüße\n.\nend",
            html: "<p>grüße</p>",
        };
        String::from_utf8(mime.bytes()).unwrap()
    }

    #[test]
    fn a_message_is_ascii_in_short_lines_with_the_headers_that_it_has() {
        let text = sent("ann asks", Some("Quorate"), Some("<9@example.org>"));
        assert_eq!(
            text.split("\r\n\r\n").next().unwrap(),
            "From: Quorate\r\n <quorate@example.org>\r\n\
             To: bob@example.org\r\n\
             Subject: ann asks\r\n\
             Date: Mon, 2 Mar 2026 10:00:00 -0000\r\n\
             Message-ID: <0123@example.org>\r\n\
             In-Reply-To: <9@example.org>\r\n\
             References: <9@example.org>\r\n\
             Auto-Submitted: auto-generated\r\n\
             X-Auto-Response-Suppress: All\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: multipart/alternative;\r\n boundary=\"part-0123exampleorg\""
        );
        assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 78), "{text}");
        assert!(!text.lines().any(|line| line == "."), "{text}");
    }

    #[test]
    fn nothing_that_people_write_begins_a_header() {
        for subject in ["a\r\nBcc: eve@example.org", "ü\nX: y", &"ü\r\n".repeat(500), "=?utf-8?B?Qg==?="] {
            let text = sent(subject, Some(subject), None);
            let head = text.split("\r\n\r\n").next().unwrap();
            let names: Vec<&str> = head
                .split("\r\n")
                .filter(|line| !line.starts_with(' '))
                .map(|line| line.split(':').next().unwrap())
                .collect();
            assert_eq!(names[..4], ["From", "To", "Subject", "Date"], "{head}");
            assert!(!names.contains(&"Bcc") && names.len() == 9, "{head}");
            assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 78), "{text}");
        }
    }
}
