//! SQL guard: what the SQL of a command does decides who must approve it.
//!
//! | a command that | needs |
//! |---|---|
//! | reads, with functions that are known to do nothing else | nobody |
//! | writes rows | somebody out of `groups` |
//! | changes the schema, or does what is not known here | several of them |
//! | is no SQL, changes all rows of a table, or reaches files and programs | is denied |
//!
//! | module | is |
//! |---|---|
//! | `text` | from a text to single statements, as psql and PostgreSQL would divide it |
//! | `judge` | what one statement does, by its parsed form |
//! | `functions` | those that only read |
//!
//! Not here: what a view, an operator or a function in the database does that somebody
//! created there before; creating it needed several people.

mod functions;
mod judge;
mod text;

use quorate_kit::{Access, Audience, Command, Finding, Input, Requirement, Verdict, Vote};
use schemars::JsonSchema;
use serde::Deserialize;

use judge::{Judged, Level};

/// Who approves what is more than reading.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The groups whose members approve.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub groups: Vec<String>,
    /// How many of them for a change of rows.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    pub write_approvals: u32,
    /// How many for a change of the schema, and for all that is not known here.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 20))]
    pub strict_approvals: u32,
    /// Functions that only read, besides the usual ones: in lower case, with their schema
    /// where a command names it.
    #[serde(default)]
    #[schemars(inner(length(min = 1)), extend("uniqueItems" = true))]
    pub functions: Vec<String>,
    /// Arguments that a command may have, each exactly as it is written.
    #[serde(default = "formats")]
    #[schemars(extend("uniqueItems" = true))]
    pub arguments: Vec<String>,
}

fn one() -> u32 {
    1
}

fn two() -> u32 {
    2
}

/// psql's, for how rows are written.
fn formats() -> Vec<String> {
    ["--csv", "--no-align", "-A", "--tuples-only", "-t", "--expanded", "-x", "--html", "-H", "--quiet", "-q"]
        .map(str::to_owned)
        .to_vec()
}

/// What this policy says about the request.
pub fn evaluate(config: &Config, input: &Input) -> Verdict {
    let people = Audience::groups(&config.groups);
    let eligible = |vote: &&Vote| vote.voter.is_in_any(&config.groups);
    let Judged { level, findings } = match &input.request.access {
        Access::Command(command) => judged(config, command),
        // In a session anything can be run.
        Access::JustInTime(_) => {
            Judged::of(Level::Strict, "session", "in a session anything can be run: ask for a command")
        }
    };
    let needed = match level {
        Level::Read => 0,
        Level::Write => config.write_approvals,
        Level::Strict => config.strict_approvals,
        Level::Refused => {
            let why: Vec<String> = findings.into_iter().map(|finding| finding.message).collect();
            return Verdict::deny(why.join("; ")).voters(people);
        }
    };
    let given = u32::try_from(input.approvals().filter(eligible).count()).unwrap_or(u32::MAX);
    let missing = needed.saturating_sub(given);
    let mut verdict = if let Some(vote) = input.rejections().find(eligible) {
        Verdict::deny(format!("rejected by {}", vote.voter.id))
    } else if missing == 0 {
        Verdict::approve()
    } else {
        Verdict::wait(vec![vec![Requirement::new(missing, people.clone())]])
    };
    verdict.findings = findings;
    verdict.voters(people)
}

fn judged(config: &Config, command: &Command) -> Judged {
    if let Some(other) = command.arguments.iter().find(|argument| !config.arguments.contains(argument)) {
        let message = format!(
            "the argument `{}` is not allowed: the SQL is what the command reads (-i), not an argument",
            plain(other)
        );
        return Judged::of(Level::Refused, "argument", message);
    }
    match text::statements(&command.text) {
        Ok(statements) => judge::all(&statements, &config.functions),
        Err(judged) => judged,
    }
}

/// The beginning of what somebody wrote, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What the schema cannot say.
pub fn check(config: &Config) -> Vec<Finding> {
    /// With these, psql takes SQL from elsewhere, or does more than to write rows.
    const MORE: [&str; 10] = ["c", "f", "v", "o", "L", "P", "command", "file", "set", "variable"];
    let mut found = Vec::new();
    for (nth, argument) in config.arguments.iter().enumerate() {
        let name = argument.trim_start_matches('-').split('=').next().unwrap_or_default();
        let short = argument.starts_with('-') && !argument.starts_with("--");
        let more = MORE.iter().any(|more| name == *more || (short && more.len() == 1 && name.contains(more)));
        if more || !argument.starts_with('-') {
            let message = format!("with `{}` more than the text would be run", plain(argument));
            found.push(Finding::new("argument", message).at(format!("/arguments/{nth}")));
        }
    }
    for (nth, name) in config.functions.iter().enumerate() {
        let written = |c: char| c.is_alphanumeric() && !c.is_uppercase() || "_.$".contains(c);
        if name.is_empty() || !name.chars().all(written) {
            let message = format!("`{}` is no name in lower case", plain(name));
            found.push(Finding::new("function", message).at(format!("/functions/{nth}")));
        }
    }
    if config.groups.is_empty() {
        found.push(Finding::new("nobody-decides", "nobody could approve").at("/groups"));
    }
    for (approvals, path) in
        [(config.write_approvals, "/write_approvals"), (config.strict_approvals, "/strict_approvals")]
    {
        if approvals == 0 {
            found.push(Finding::new("nobody-decides", "nobody would have to approve").at(path));
        }
    }
    found
}

quorate_kit::policy! {
    config: Config,
    evaluate: evaluate,
    check: check,
}

#[cfg(test)]
mod tests;
