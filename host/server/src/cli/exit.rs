//! How the program ends: the exit codes, and the one line that says why.

use serde_json::{Value, json};

use super::words;

/// How a verb ends that did its work and found that something does not hold.
pub(crate) const NOT_HELD: u8 = 1;

/// Why the program ends with something other than success. A command's own exit code is none of
/// these: it passes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was checked does not hold.
    NotHeld,
    /// The command line, a file or an answer to a question is not right.
    Usage,
    /// A person or a policy said no.
    Rejected,
    /// Nobody decided in time.
    TimedOut,
    /// The access is over.
    Expired,
    /// The access was taken back.
    Revoked,
    /// The gateway refuses.
    Refused,
    /// The gateway cannot be reached, or the connection broke.
    Unreachable,
    /// The gateway or this machine could not.
    Failed,
    /// The request was cancelled.
    Cancelled,
}

impl Exit {
    /// All of them, with what the help says.
    pub(crate) const ALL: [(Self, &'static str); 10] = [
        (
            Self::NotHeld,
            "done, and what was checked does not hold: a vector, a property, a signature, a replay, a gate",
        ),
        (Self::Usage, "the command line or a file given is not right"),
        (Self::Rejected, "the request was rejected"),
        (Self::TimedOut, "the request timed out: nobody decided"),
        (Self::Expired, "the access expired"),
        (Self::Revoked, "the access was revoked, or the session ended by somebody else"),
        (Self::Refused, "the gateway refused: not allowed, not found, or not in this state"),
        (Self::Unreachable, "the gateway cannot be reached, or the connection broke"),
        (Self::Failed, "something failed in the gateway or on this machine"),
        (Self::Cancelled, "the request was cancelled (Ctrl-C)"),
    ];

    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::NotHeld => NOT_HELD,
            Self::Usage => 2,
            Self::Rejected => 10,
            Self::TimedOut => 11,
            Self::Expired => 12,
            Self::Revoked => 13,
            Self::Refused => 14,
            Self::Unreachable => 15,
            Self::Failed => 16,
            Self::Cancelled => 130,
        }
    }
}

/// Why the program ends, in one line for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// One line that says what to do.
    pub(crate) message: String,
    /// The gateway's problem document, where that is the reason.
    pub(crate) problem: Option<Value>,
}

/// What a verb ends with: an exit code, 0 or that of a command, or a failure.
pub(crate) type Ending = Result<u8, Failure>;

impl Failure {
    /// A failure with this exit code.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), problem: None }
    }

    /// What was typed is not right.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// This machine could not.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The gateway's stable word for what went wrong, such as `not-found`.
    pub(crate) fn code(&self) -> Option<&str> {
        self.problem.as_ref()?.get("type")?.as_str()?.rsplit('/').next()
    }

    /// The line for a person: no control characters, no line breaks.
    pub(crate) fn line(&self) -> String {
        words::clean(&self.message)
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let mut problem = match &self.problem {
            Some(Value::Object(problem)) => problem.clone(),
            _ => serde_json::Map::new(),
        };
        problem.insert("error".to_owned(), json!(self.message));
        problem.insert("exit_code".to_owned(), json!(self.exit.code()));
        Value::Object(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_codes_are_the_documented_ones_and_differ() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, [1, 2, 10, 11, 12, 13, 14, 15, 16, 130]);
    }

    #[test]
    fn a_hostile_message_stays_on_one_line() {
        let failure = Failure::failed("no\n\u{1b}[2Jquorate: approved\u{202e}");
        assert_eq!(failure.line(), "no ⏎ [2Jquorate: approved");
    }
}
