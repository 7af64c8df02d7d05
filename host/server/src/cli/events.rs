//! Server-sent events, as the gateway sends them.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

use super::client::Answer;
use super::exit::{Exit, Failure};

/// The gateway says something at least every 15 seconds; this much silence means that it is gone.
const SILENCE: Duration = Duration::from_secs(45);
/// The most bytes of one event.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// A stream of events.
#[derive(Debug)]
pub(crate) struct Events {
    response: Response,
    parser: Parser,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Its name.
    pub(super) name: String,
    /// Its data.
    pub(super) data: String,
}

impl Events {
    pub(super) fn new(response: Response) -> Self {
        Self { response, parser: Parser::default() }
    }

    /// The data of the next event called `name`; an error when the stream ends.
    pub(crate) async fn next(&mut self, name: &str) -> Result<Answer, Failure> {
        loop {
            while let Some(event) = self.parser.next() {
                if event.name == name
                    && let Ok(value) = serde_json::from_str::<Value>(&event.data)
                {
                    return Ok(Answer::of(value));
                }
            }
            let chunk = tokio::time::timeout(SILENCE, self.response.chunk()).await;
            match chunk {
                Ok(Ok(Some(bytes))) => self.parser.push(&bytes)?,
                Ok(Ok(None)) => return Err(lost("the gateway ended the stream")),
                Ok(Err(_)) => return Err(lost("the connection broke")),
                Err(_) => return Err(lost("the gateway fell silent")),
            }
        }
    }
}

fn lost(why: &str) -> Failure {
    Failure::new(Exit::Unreachable, why)
}

/// Bytes to events.
#[derive(Debug, Default)]
struct Parser {
    bytes: Vec<u8>,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.bytes.len() + bytes.len() > EVENT_BYTES_MAX {
            return Err(lost("the gateway sent an event without end"));
        }
        // Carriage returns only end lines here, and a line feed does that as well.
        self.bytes.extend(bytes.iter().filter(|byte| **byte != b'\r'));
        Ok(())
    }

    fn next(&mut self) -> Option<Event> {
        loop {
            let end = self.bytes.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
            let event = event(&String::from_utf8_lossy(&block));
            if !event.data.is_empty() {
                return Some(event);
            }
        }
    }
}

fn event(block: &str) -> Event {
    let mut event = Event { name: "message".to_owned(), data: String::new() };
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.name),
            "data" => {
                if !event.data.is_empty() {
                    event.data.push('\n');
                }
                event.data.push_str(value);
            }
            _ => {}
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&str]) -> Vec<(String, String)> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(chunk.as_bytes()).unwrap();
            while let Some(event) = parser.next() {
                events.push((event.name, event.data));
            }
        }
        events
    }

    #[test]
    fn events_are_read_whatever_the_cuts() {
        let stream = ": hello\n\nevent: request\ndata: {\"a\":\ndata: \"ü\"}\nid: 4\n\n:\n\ndata:x\r\n\r\n";
        let whole = events(&[stream]);
        assert_eq!(whole, [("request".into(), "{\"a\":\n\"ü\"}".into()), ("message".into(), "x".into())]);
        for cut in (0..stream.len()).filter(|cut| stream.is_char_boundary(*cut)) {
            assert_eq!(events(&[&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn half_an_event_is_none_yet() {
        assert!(events(&["event: request\ndata: {}\n"]).is_empty());
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = Parser::default();
        assert!(parser.push(&vec![b'x'; EVENT_BYTES_MAX + 1]).is_err());
    }
}
