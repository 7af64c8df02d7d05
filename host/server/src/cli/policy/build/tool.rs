//! Running a compiler: its environment, its output, and what is shown meanwhile.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use indicatif::ProgressBar;
use quorate_componentize::outer::is_about_another_build;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use crate::cli::Context;
use crate::cli::exit::Failure;
use crate::cli::wait::spinner;
use crate::cli::words;

/// The longest name of a thing being compiled that is shown beside the spinner.
const DETAIL_CHARS_MAX: usize = 60;

/// What is being done, shown until this is dropped.
pub(super) struct Steps<'a> {
    pub(super) context: &'a Context,
    bar: Option<ProgressBar>,
    step: RefCell<String>,
}

/// A program that ended, and what it said.
pub(super) struct Said {
    pub(super) status: ExitStatus,
    /// On standard output.
    pub(super) out: Vec<u8>,
    /// On standard error, without what was only progress.
    pub(super) err: String,
}

impl<'a> Steps<'a> {
    pub(super) fn start(context: &'a Context) -> Self {
        let bar = context.screen.is_watched.then(spinner);
        Self { context, bar, step: RefCell::default() }
    }

    /// Something else is being done now.
    pub(super) fn step(&self, what: &str) {
        what.clone_into(&mut self.step.borrow_mut());
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => self.context.screen.say(what),
        }
        self.context.screen.note(&json!({"step": what}));
    }

    /// What of it, for whoever looks.
    fn detail(&self, what: &str) {
        if let Some(bar) = &self.bar {
            let what = words::short(&words::clean(what), DETAIL_CHARS_MAX);
            bar.set_message(format!("{} · {}", self.step.borrow(), self.context.screen.err.dim(&what)));
        }
    }

    /// Shows what a program said, as it is.
    pub(super) fn show(&self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| self.context.screen.say(text.trim_end())),
            None => self.context.screen.say(text.trim_end()),
        }
    }

    /// A program in `folder`, without what the outside was told about another build.
    pub(super) fn program(&self, program: impl AsRef<OsStr>, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
        for name in self.context.environment.names() {
            let known = name.to_string_lossy();
            if known == "VIRTUAL_ENV" || is_about_another_build(&known) {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs `command` to its end. Lines on standard error that are progress are shown and
    /// forgotten; the others are kept. `missing` says what to do where there is no such program.
    pub(super) async fn run(
        &self,
        mut command: Command,
        missing: &str,
        is_progress: fn(&str) -> bool,
    ) -> Result<Said, Failure> {
        let failed = |error: std::io::Error| Failure::failed(format!("it does not go on: {error}"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| {
            let program = command.as_std().get_program().to_string_lossy().into_owned();
            match error.kind() {
                std::io::ErrorKind::NotFound => {
                    Failure::usage(format!("there is no `{program}` here: {missing}"))
                }
                _ => Failure::failed(format!("`{program}` does not start: {error}")),
            }
        })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let read_out = async {
            let mut bytes = Vec::new();
            if let Some(mut stdout) = stdout {
                stdout.read_to_end(&mut bytes).await?;
            }
            Ok::<_, std::io::Error>(bytes)
        };
        let read_err = async {
            let mut kept = String::new();
            let Some(stderr) = stderr else { return Ok(kept) };
            let mut lines = BufReader::new(stderr).split(b'\n');
            while let Some(line) = lines.next_segment().await? {
                let line = String::from_utf8_lossy(&line);
                if is_progress(&without_colours(&line)) {
                    self.detail(without_colours(&line).trim());
                } else {
                    kept.push_str(&line);
                    kept.push('\n');
                }
            }
            Ok::<_, std::io::Error>(kept)
        };
        let (out, err) = tokio::try_join!(read_out, read_err).map_err(failed)?;
        let status = child.wait().await.map_err(failed)?;
        Ok(Said { status, out, err })
    }

    /// The failure of a program that says itself what is wrong: people read it as it is, programs
    /// get it as `output`.
    pub(super) fn said_no(&self, what: &str, text: &str) -> Failure {
        self.show(text);
        let message = if self.context.screen.json { what.to_owned() } else { format!("{what}: see above") };
        let problem = json!({"type": "/problems/does-not-compile", "output": without_colours(text)});
        Failure { problem: Some(problem), ..Failure::usage(message) }
    }
}

impl Drop for Steps<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `text` without the sequences that colour it.
pub(super) fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        rest = rest.get(1..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}
