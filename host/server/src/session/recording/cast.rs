//! A recording as a file: asciicast v2 (<https://docs.asciinema.org/manual/asciicast/v2/>), a line
//! of JSON for the header and one for each event, the seconds since the start first.
//!
//! The file ends with a whole line whenever nothing is being written. No line has a control
//! character in it, so that the file does nothing to a terminal that it is printed in.
//!
//! Not here: what waits to be written, and where files are.

use std::fmt::Write as _;
use std::io;

use quorate_core::Timestamp;
use tokio_util::bytes::Bytes;

use crate::agent::Size;

/// What the last line may take that says why there is no other, beside its words.
const MARK_BYTES_MAX: u64 = 256;

/// Something that a terminal showed.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    /// The command wrote this.
    Output(Bytes),
    /// It has another size from now on.
    Size(Size),
}

/// The same, and when.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) at: Timestamp,
    pub(super) shown: Shown,
}

/// What is known of a terminal at its start.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) at: Timestamp,
    pub(super) size: Size,
    /// What kind it is, as in `TERM`.
    pub(super) term: String,
    /// What it is a recording of, for people.
    pub(super) title: String,
}

/// Why nothing more is written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// It is as large as it may be.
    #[error("the recording has {0} bytes, as many as it may have")]
    Full(u64),
    /// It cannot be written.
    #[error("the recording cannot be written: {0}")]
    Failed(#[from] io::Error),
}

/// A recording that is being written.
#[derive(Debug)]
pub(super) struct Cast<W> {
    file: W,
    started: Timestamp,
    /// How large it is.
    bytes: u64,
    bytes_max: u64,
    /// The beginning of a character whose rest is still to come.
    begun: Vec<u8>,
}

impl<W: io::Write> Cast<W> {
    /// Writes the header.
    pub(super) fn start(file: W, start: &Start, bytes_max: u64) -> io::Result<Self> {
        let Start { at, size, term, title } = start;
        let mut line = format!(
            "{{\"version\":2,\"width\":{},\"height\":{},\"timestamp\":{},\"title\":",
            size.columns(),
            size.rows(),
            at.as_second()
        );
        push_string(&mut line, title);
        line.push_str(",\"env\":{\"TERM\":");
        push_string(&mut line, term);
        line.push_str("}}\n");
        let mut cast = Self { file, started: *at, bytes: 0, bytes_max, begun: Vec::new() };
        cast.put(line.as_bytes())?;
        Ok(cast)
    }

    /// Writes what was shown. Where that is too much, as much of it as there is room for, and
    /// that there is no more.
    pub(super) fn write(&mut self, events: &[Event]) -> Result<(), Stop> {
        let mut lines = String::new();
        for event in events {
            let whole = lines.len();
            match &event.shown {
                Shown::Output(bytes) => self.push_output(&mut lines, event.at, bytes),
                Shown::Size(size) => {
                    let size = format!("{}x{}", size.columns(), size.rows());
                    self.push_line(&mut lines, event.at, 'r', &size);
                }
            }
            if self.bytes + lines.len() as u64 + MARK_BYTES_MAX > self.bytes_max {
                lines.truncate(whole);
                self.put(lines.as_bytes())?;
                let full = Stop::Full(self.bytes_max);
                self.mark(event.at, &full.to_string())?;
                return Err(full);
            }
        }
        self.put(lines.as_bytes())?;
        Ok(())
    }

    /// Nothing more was shown: what is left of a character that was never finished.
    pub(super) fn end(&mut self, at: Timestamp) -> io::Result<()> {
        if self.begun.is_empty() {
            return Ok(());
        }
        self.begun.clear();
        let mut line = String::new();
        self.push_line(&mut line, at, 'o', "\u{fffd}");
        self.put(line.as_bytes())
    }

    /// Says that the recording ends here, and why.
    pub(super) fn mark(&mut self, at: Timestamp, why: &str) -> io::Result<()> {
        let mut line = String::new();
        self.push_line(&mut line, at, 'm', &format!("the recording ends here: {why}"));
        self.put(line.as_bytes())
    }

    /// Where it is written.
    pub(super) fn file(&self) -> &W {
        &self.file
    }

    /// How large it is. After a failure the file can be larger, by a part of a line.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines)?;
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// A character can come in pieces. What is none at all is shown as U+FFFD.
    fn push_output(&mut self, lines: &mut String, at: Timestamp, bytes: &[u8]) {
        let joined;
        let mut rest = if self.begun.is_empty() {
            bytes
        } else {
            self.begun.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.begun);
            &joined
        };
        let mut text = String::with_capacity(rest.len());
        while let Some(chunk) = rest.utf8_chunks().next() {
            text.push_str(chunk.valid());
            let (used, invalid) = (chunk.valid().len(), chunk.invalid());
            rest = &rest[used + invalid.len()..];
            if rest.is_empty() && is_begun(invalid) {
                self.begun = invalid.to_vec();
            } else if !invalid.is_empty() {
                text.push('\u{fffd}');
            }
        }
        if !text.is_empty() {
            self.push_line(lines, at, 'o', &text);
        }
    }

    fn push_line(&self, lines: &mut String, at: Timestamp, kind: char, text: &str) {
        let passed = at.duration_since(self.started).as_millis().max(0);
        // Writing into a text does not fail.
        let _ = write!(lines, "[{}.{:03},\"{kind}\",", passed / 1000, passed % 1000);
        push_string(lines, text);
        lines.push_str("]\n");
    }
}

/// Whether these bytes, which are no character, could become one.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// The text as JSON has it, each control character as its number: also those that JSON would take
/// as they are.
fn push_string(to: &mut String, text: &str) {
    to.push('"');
    let mut plain_from = 0;
    for (place, c) in text.char_indices() {
        if !c.is_control() && !matches!(c, '"' | '\\') {
            continue;
        }
        to.push_str(&text[plain_from..place]);
        if c.is_control() {
            let _ = write!(to, "\\u{:04x}", u32::from(c));
        } else {
            to.push('\\');
            to.push(c);
        }
        plain_from = place + c.len_utf8();
    }
    to.push_str(&text[plain_from..]);
    to.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A part of memory that takes only so much.
    struct Memory {
        bytes: Vec<u8>,
        room: usize,
    }

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room - self.bytes.len());
            if fits == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_000_000 + millis).unwrap()
    }

    fn cast(bytes_max: u64, room: usize) -> Cast<Memory> {
        let start = Start {
            at: at(0),
            size: Size::new(24, 80),
            term: "x\"\u{1b}\u{9b}".to_owned(),
            title: "ann on prod".to_owned(),
        };
        Cast::start(Memory { bytes: Vec::new(), room }, &start, bytes_max).unwrap()
    }

    fn wrote(millis: i64, bytes: &'static [u8]) -> Event {
        Event { at: at(millis), shown: Shown::Output(Bytes::from_static(bytes)) }
    }

    /// The lines, each of them a JSON document, of which none has a control character.
    fn lines(cast: &Cast<Memory>) -> Vec<Value> {
        let text = std::str::from_utf8(&cast.file.bytes).unwrap();
        assert!(text.ends_with('\n') && !text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The output of all events in a row.
    fn output(cast: &Cast<Memory>) -> String {
        lines(cast).iter().skip(1).map(|line| line[2].as_str().unwrap()).collect()
    }

    const LARGE: u64 = 1 << 20;

    #[test]
    fn a_recording_is_a_header_and_events_each_a_line_of_json() {
        let mut cast = cast(LARGE, 1 << 20);
        let resize = Event { at: at(1500), shown: Shown::Size(Size::new(50, 120)) };
        let odd = b"\"a\\b\"\r\n\x1b[31m\x07\x7f\xc2\x9b\xf0\x9f\xa6\x80";
        cast.write(&[wrote(12, b"$ "), resize, wrote(61_000, odd)]).unwrap();
        let header = json!({"version": 2, "width": 80, "height": 24, "timestamp": 1000, "title": "ann on prod",
            "env": {"TERM": "x\"\u{1b}\u{9b}"}});
        let odd = "\"a\\b\"\r\n\u{1b}[31m\u{7}\u{7f}\u{9b}\u{1f980}";
        let events = [json!([0.012, "o", "$ "]), json!([1.5, "r", "120x50"]), json!([61.0, "o", odd])];
        assert_eq!(lines(&cast), [&[header][..], &events].concat());
    }

    #[test]
    fn a_character_is_put_together_wherever_it_is_cut() {
        let text = "aä€🦀z".as_bytes();
        for cut in 0..=text.len() {
            let mut cast = cast(LARGE, 1 << 20);
            let (one, other) = (text[..cut].to_vec(), text[cut..].to_vec());
            cast.write(&[wrote(0, one.leak())]).unwrap();
            cast.write(&[wrote(1, other.leak())]).unwrap();
            cast.end(at(2)).unwrap();
            assert_eq!(output(&cast), "aä€🦀z", "cut at {cut}");
        }
        let mut cast = cast(LARGE, 1 << 20);
        let single: Vec<Event> = text.iter().map(|byte| wrote(0, vec![*byte].leak())).collect();
        cast.write(&single).unwrap();
        assert_eq!(output(&cast), "aä€🦀z");
    }

    #[test]
    fn bytes_that_are_no_character_are_shown_as_such_and_nothing_around_them_is_lost() {
        let mut cast = cast(LARGE, 1 << 20);
        let events = [wrote(0, b"a\xff\xfeb\xe2\x82"), wrote(0, b"c\xc3"), wrote(0, b"\xa4d\xf0\x9f")];
        cast.write(&events).unwrap();
        cast.end(at(1)).unwrap();
        assert_eq!(output(&cast), "a\u{fffd}\u{fffd}b\u{fffd}cäd\u{fffd}");
        cast.end(at(2)).unwrap();
        assert_eq!(output(&cast), "a\u{fffd}\u{fffd}b\u{fffd}cäd\u{fffd}");
    }

    #[test]
    fn at_its_limit_it_says_that_it_ends_and_is_no_larger() {
        let mut cast = cast(1024, 1 << 20);
        let more: Vec<Event> = (0..100).map(|nth| wrote(nth, b"0123456789")).collect();
        let stopped = cast.write(&more).unwrap_err();
        assert!(matches!(stopped, Stop::Full(1024)));
        assert!(cast.file.bytes.len() <= 1024);
        let lines = lines(&cast);
        assert!(lines.len() > 10 && lines[1..lines.len() - 1].iter().all(|line| line[2] == "0123456789"));
        let last = lines.last().unwrap();
        assert_eq!((&last[1], last[2].as_str().unwrap()), (&json!("m"), mark("1024 bytes").as_str()));
    }

    fn mark(bytes: &str) -> String {
        format!("the recording ends here: the recording has {bytes}, as many as it may have")
    }

    #[test]
    fn where_the_disk_is_full_it_is_known_where_the_last_whole_line_ends() {
        let mut cast = cast(LARGE, 300);
        cast.write(&[wrote(0, b"0123456789")]).unwrap();
        let failed = cast.write(&(0..100).map(|nth| wrote(nth, b"0123456789")).collect::<Vec<_>>());
        assert!(matches!(failed, Err(Stop::Failed(error)) if error.kind() == io::ErrorKind::StorageFull));
        assert_eq!(cast.file.bytes.len(), 300);
        cast.file.bytes.truncate(usize::try_from(cast.bytes()).unwrap());
        assert_eq!(lines(&cast).len(), 2);
        cast.mark(at(9), "the disk is full").unwrap();
        assert_eq!(lines(&cast)[2], json!([0.009, "m", "the recording ends here: the disk is full"]));
    }
}
