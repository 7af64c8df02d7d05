//! `quorate sessions`: who is connected, ending that, and what was recorded of it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use quorate_core::ids::{ResourceName, SessionId, UserId};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::Context;
use super::client::{Answer, Gateway};
use super::exit::{Ending, Exit, Failure};
use super::view::Session;
use super::words;

/// Look at sessions and their recordings, and end them
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate sessions list
  quorate sessions list --all --user ann
  quorate sessions end 4hq8… --reason 'found what we looked for'
  quorate sessions recording 4hq8… --output session.cast   # what the terminal showed, never what was typed

Ending a session leaves the access open: `quorate requests revoke` takes that back.")]
pub(super) enum Sessions {
    /// List sessions: your own, or everybody's for admins and auditors
    List(List),
    /// End a session
    End(End),
    /// What a terminal showed, as asciicast v2; for admins and auditors, and noted in the ledger
    Recording(Recording),
}

/// Which sessions.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Those that have ended as well
    #[arg(long)]
    pub(super) all: bool,
    /// Only of this person
    #[arg(long)]
    pub(super) user: Option<UserId>,
    /// Only on this resource
    #[arg(long)]
    pub(super) resource: Option<ResourceName>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) limit: u16,
}

/// A session to be ended.
#[derive(Debug, Args)]
pub(super) struct End {
    /// The session's id
    pub(super) id: SessionId,
    /// Why; shown to whoever is cut off
    #[arg(long, short, default_value = "", hide_default_value = true)]
    pub(super) reason: String,
}

/// A recording to be read.
#[derive(Debug, Args)]
pub(super) struct Recording {
    /// The session's id
    pub(super) id: SessionId,
    /// A file to write, for you alone to read; otherwise it is printed
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

impl Sessions {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let gateway = context.gateway()?;
        match self {
            Self::List(list) => list.run(context, &gateway).await,
            Self::Recording(recording) => recording.run(context, &gateway).await,
            Self::End(End { id, reason }) => {
                let path = ["sessions", id.as_str(), "end"];
                let answer = gateway.post(&path, json!({"reason": reason})).await?;
                context.screen.result(answer.raw(), || format!("session {id} is ended\n"))
            }
        }
    }
}

impl List {
    async fn run(self, context: &Context, gateway: &Gateway) -> Ending {
        let mut query = Vec::new();
        if !self.all {
            query.push(("open", "true".to_owned()));
        }
        query.extend(self.user.map(|user| ("user", user.to_string())));
        query.extend(self.resource.map(|resource| ("resource", resource.to_string())));
        let (items, _) = gateway.list(&["sessions"], query, usize::from(self.limit)).await?;
        let items = Value::Array(items);
        let text = list_text(context, &Answer::of(items.clone()))?;
        context.screen.result(&items, || text)
    }
}

impl Recording {
    async fn run(self, context: &Context, gateway: &Gateway) -> Ending {
        let Some(path) = &self.output else {
            self.each_part(gateway, |part| {
                context.screen.pass(part);
                Ok(())
            })
            .await?;
            return Ok(0);
        };
        let unwritable = |error: std::io::Error| {
            Failure::failed(format!("`{}` cannot be written: {error}", path.display()))
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Readable by its owner alone, and only there when it is whole.
        let file = NamedTempFile::with_prefix_in(".quorate-recording-", folder.unwrap_or(Path::new(".")));
        let mut file = file.map_err(unwritable)?;
        let mut bytes = 0;
        self.each_part(gateway, |part| {
            bytes += part.len();
            file.write_all(part).map_err(unwritable)
        })
        .await?;
        file.persist(path).map_err(|error| unwritable(error.error))?;
        let shown = words::clean(&path.display().to_string());
        context.screen.result(&json!({"file": path, "bytes": bytes}), || {
            format!("{shown} holds the recording of session {}, which only you can read\n", self.id)
        })
    }

    async fn each_part(
        &self,
        gateway: &Gateway,
        mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let path = ["sessions", self.id.as_str(), "recording"];
        let mut response = gateway.stream(&path, Vec::new()).await?;
        let broken = |error| {
            let message = format!("the recording broke off and is not complete: {error}");
            Failure::new(Exit::Unreachable, message)
        };
        while let Some(part) = response.chunk().await.map_err(broken)? {
            each(&part)?;
        }
        Ok(())
    }
}

fn list_text(context: &Context, answer: &Answer) -> Result<String, Failure> {
    let sessions: Vec<Session> = answer.read()?;
    if sessions.is_empty() {
        return Ok("no sessions\n".to_owned());
    }
    let now = context.clock.now();
    let rows = sessions.into_iter().map(|session| {
        let since = session.opened_at.map(|at| words::relative(at, now)).unwrap_or_default();
        let ends = match (&session.ended, session.until) {
            (Some(ended), _) => format!("{} {}", ended.reason, ended.message).trim().to_owned(),
            (None, Some(until)) => format!("open, ends {}", words::relative(until, now)),
            (None, None) => "open".to_owned(),
        };
        vec![session.id, session.user, session.resource, session.mode, since, words::short(&ends, 80)]
    });
    let header = ["ID", "USER", "RESOURCE", "KIND", "OPENED", "END"];
    Ok(words::table(&header, rows.collect(), context.screen.width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_when_sessions_end_or_why_they_ended() {
        let items = json!([
            {"id": "s1", "user": "ann", "resource": "prod", "mode": "terminal", "opened_at": "1970-01-01T00:00:00Z",
             "until": "1970-01-01T02:00:00Z", "ended": null},
            {"id": "s2", "user": "ann\u{1b}", "resource": "prod", "mode": "command",
             "ended": {"reason": "revoked", "message": "revoked by root", "at": "1970-01-01T00:00:00Z"}},
        ]);
        let text = list_text(&Context::for_tests(), &Answer::of(items)).unwrap();
        assert!(text.contains("open, ends in 1h59m") && text.contains("revoked revoked by root"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
