//! The limits that hold whatever policies say.

use super::Access;
use crate::Timestamp;
use crate::decision::Decision;
use crate::duration::AccessDuration;
use crate::input::Command;
use crate::refused::Refused;
use crate::resource::Resource;

/// The longest reason or comment, in characters.
pub const REASON_CHARS_MAX: usize = 10_000;
/// The longest input of a command, in bytes.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;
/// The most arguments of a command.
pub const ARGUMENTS_MAX: usize = 100;
/// A policy that wants to be asked again sooner than this waits this long, in
/// seconds.
pub const REVISIT_SECONDS_MIN: i64 = 5;

/// The limits that hold whatever policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// The longest access that the gateway gives, in seconds.
    pub ceiling_seconds: u64,
    /// The resource's own limit, in seconds.
    pub resource_seconds: Option<u64>,
    /// How long an approved command may wait for its run, in seconds.
    pub command_window_seconds: u64,
}

/// Seconds from `at`, or the last representable instant.
pub fn after(at: Timestamp, seconds: u64) -> Timestamp {
    let span = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

impl Bounds {
    /// Refuses what is longer than the resource or the gateway allows.
    pub(super) fn check(&self, asked: &AccessDuration, resource: &Resource) -> Result<(), Refused> {
        // What cannot be written cannot be read back from the ledger either.
        if let Err(bad) = asked.to_string().parse::<AccessDuration>() {
            return Err(Refused::Invalid { what: "duration", why: bad.to_string() });
        }
        let own = self.resource_seconds.map(|max| (max, format!("resource {}", resource.name)));
        let limits = own.into_iter().chain([(self.ceiling_seconds, "the gateway".to_owned())]);
        match limits.min_by_key(|(max, _)| *max) {
            Some((max, set_by)) if asked.seconds() > max => Err(Refused::DurationTooLong {
                asked: asked.to_string(),
                max: AccessDuration::from_seconds(max).to_string(),
                set_by,
            }),
            _ => Ok(()),
        }
    }

    /// How long a grant lasts: the smallest of what was asked and what anybody
    /// allows.
    pub fn seconds(&self, access: &Access, decision: &Decision) -> u64 {
        let asked = match access {
            Access::JustInTime { duration } => duration.seconds(),
            Access::Command { .. } => self.command_window_seconds,
        };
        let cap = decision.cap.as_ref().map(|cap| cap.seconds);
        let limits = [cap, self.resource_seconds, Some(self.ceiling_seconds)];
        limits.into_iter().flatten().fold(asked, u64::min)
    }
}

pub(super) fn check_text(what: &'static str, text: &str) -> Result<(), Refused> {
    if text.chars().count() > REASON_CHARS_MAX {
        return Err(Refused::TooLong { what, max: REASON_CHARS_MAX, unit: "characters" });
    }
    Ok(())
}

pub(super) fn check_command(command: &Command) -> Result<(), Refused> {
    let bytes = command.text.len() + command.arguments.iter().map(String::len).sum::<usize>();
    if bytes > COMMAND_BYTES_MAX {
        return Err(Refused::TooLong { what: "the command", max: COMMAND_BYTES_MAX, unit: "bytes" });
    }
    if command.arguments.len() > ARGUMENTS_MAX {
        return Err(Refused::TooLong {
            what: "the list of arguments",
            max: ARGUMENTS_MAX,
            unit: "arguments",
        });
    }
    // What approvers see must be what runs, and a bare carriage return ends a comment
    // that looks as if it went on.
    let text = command.text.replace("\r\n", "\n");
    let hides = |text: &str| text.chars().any(|c| !matches!(c, '\n' | '\t') && crate::text::steers(c));
    if hides(&text) || command.arguments.iter().any(|one| hides(one)) {
        return Err(Refused::Invalid {
            what: "command",
            why: "it holds a character that nobody would see when they approve it".to_owned(),
        });
    }
    if command.text.trim().is_empty() && command.arguments.is_empty() {
        return Err(Refused::Invalid {
            what: "command",
            why: "give the input or arguments to run".to_owned(),
        });
    }
    Ok(())
}
