//! Where output goes: results to standard output, everything said along the way to standard
//! error. With `--json` both speak JSON.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use super::environment::Environment;
use super::exit::{Ending, Failure};
use super::words::{self, Paint};

/// What is known about the two outputs.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    /// Whether programs read the output.
    pub(super) json: bool,
    /// Whether a person looks at standard error.
    pub(super) is_watched: bool,
    /// Whether a person can be asked.
    pub(super) can_ask: bool,
    /// Colours on standard output.
    pub(super) out: Paint,
    /// Colours on standard error.
    pub(super) err: Paint,
    /// The width of the terminal, where standard output is one.
    pub(super) width: Option<u16>,
}

impl Screen {
    /// That of this process.
    pub(super) fn of_process(json: bool, environment: &Environment) -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let dumb = environment.text("TERM") == Some("dumb");
        let colours = environment.get("NO_COLOR").is_none() && !dumb && !json;
        let width = if out { crossterm::terminal::size().ok().map(|(columns, _)| columns) } else { None };
        Self {
            json,
            is_watched: err && !json && !dumb,
            can_ask: io::stdin().is_terminal() && err,
            out: Paint(colours && out),
            err: Paint(colours && err),
            width: width.filter(|width| *width >= 40),
        }
    }

    /// Writes `text` to standard output. Whoever closed it does not want more: that is no error.
    #[expect(clippy::unused_self, reason = "whoever prints has a screen")]
    pub(super) fn print(&self, text: &str) {
        let _ = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    }

    /// Passes on a part of a document as it is, to people and programs alike.
    #[expect(clippy::unused_self, reason = "whoever prints has a screen")]
    pub(super) fn pass(&self, part: &[u8]) {
        let _ = io::stdout().write_all(part).and_then(|()| io::stdout().flush());
    }

    /// Says something along the way, for people.
    pub(super) fn say(&self, line: &str) {
        if !self.json {
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    /// Tells programs something along the way.
    pub(super) fn note(&self, value: &Value) {
        if self.json {
            let _ = writeln!(io::stderr(), "{}", words::json_text(value, false));
        }
    }

    /// The result, with which a verb ends: one JSON document for programs, what `text` makes for people.
    #[expect(clippy::unnecessary_wraps, reason = "it is the last line of most verbs")]
    pub(super) fn result(&self, value: &Value, text: impl FnOnce() -> String) -> Ending {
        if self.json {
            self.document(value);
        } else {
            self.print(&text());
        }
        Ok(0)
    }

    /// One JSON document.
    pub(super) fn document(&self, value: &Value) {
        self.print(&format!("{}\n", words::json_text(value, true)));
    }

    /// One line of a stream of JSON documents.
    pub(super) fn line(&self, value: &Value) {
        self.print(&format!("{}\n", words::json_text(value, false)));
    }

    /// Says why the program ends.
    pub(super) fn fail(&self, failure: &Failure) {
        if self.json {
            self.note(&failure.json());
        } else {
            let _ = writeln!(io::stderr(), "{} {}", self.err.red("quorate:"), failure.line());
        }
    }

    /// Asks a question that can be answered with yes; anything else is no.
    pub(super) fn confirm(&self, question: &str) -> Result<bool, Failure> {
        if !self.can_ask || self.json {
            return Err(Failure::usage("nobody can be asked here: add --yes to go on without a question"));
        }
        let _ = write!(io::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map_err(|error| Failure::failed(format!("no answer: {error}")))?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

#[cfg(test)]
impl Screen {
    /// One without a terminal.
    pub(super) fn plain() -> Self {
        Self {
            json: false,
            is_watched: false,
            can_ask: false,
            out: Paint(false),
            err: Paint(false),
            width: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_a_question_is_a_usage_error() {
        let failure = Screen::plain().confirm("sure?").unwrap_err();
        assert!(failure.message.contains("--yes"));
        assert_eq!(failure.exit.code(), 2);
    }
}
