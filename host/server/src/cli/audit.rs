//! `quorate audit`: prove that the ledger is what was written, and take it out.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Context;
use super::client::Gateway;
use super::exit::{Ending, Failure};
use super::words;
use crate::ledger::{self, EntryFilter, Order, Reader, Sealed, VerifyError};

/// Entries that are read at once from a file.
const PAGE: usize = 1000;

/// Prove that the ledger is what was written, and take it out
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  quorate audit verify                                   # the gateway checks its own ledger
  quorate audit verify --ledger quorate-data/ledger.sqlite   # you check the file yourself
  quorate audit export > ledger.ndjson                   # every entry, one JSON document per line

Keep the head that `verify` prints somewhere else: it proves later that nothing before it was changed.
Exit codes: 0 the chain holds, 16 it is broken or cannot be read.")]
pub(super) enum Audit {
    /// Check the hash chain, and name the first broken entry
    Verify(Source),
    /// Print every entry as one JSON document per line
    Export(Source),
}

/// Which ledger.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// A ledger file, instead of the gateway; a gateway may have it open
    #[arg(long, value_name = "FILE")]
    pub(super) ledger: Option<PathBuf>,
}

impl Audit {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        match self {
            Self::Verify(Source { ledger: Some(file) }) => verify_file(context, file).await,
            Self::Verify(Source { ledger: None }) => verify(context, &context.gateway()?).await,
            Self::Export(Source { ledger: Some(file) }) => {
                let screen = context.screen.clone();
                blocking(move || export_file(&file, |value| screen.line(value))).await
            }
            Self::Export(Source { ledger: None }) => export(context, &context.gateway()?).await,
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::failed(error.to_string()))?
}

async fn verify_file(context: &Context, file: PathBuf) -> Ending {
    let verified = blocking(move || Ok(ledger::verify(&file))).await?;
    let value = match verified {
        Ok(verified) => json!({"ok": true, "entries": verified.entries, "head": verified.head}),
        Err(VerifyError::Broken { seq, why }) => json!({"ok": false, "broken": {"seq": seq, "why": why}}),
        Err(error) => {
            return Err(Failure::failed(format!("the ledger cannot be checked: {}", chain(&error))));
        }
    };
    verdict(context, &value)
}

async fn verify(context: &Context, gateway: &Gateway) -> Ending {
    let answer = gateway.get(&["audit", "verify"], Vec::new()).await?;
    verdict(context, answer.raw())
}

fn verdict(context: &Context, value: &Value) -> Ending {
    let text = |value: &Value| words::plain(value);
    if context.screen.json {
        context.screen.document(value);
    }
    if value["ok"] == json!(true) {
        if !context.screen.json {
            context.screen.print(&format!(
                "the ledger holds: {} entries\nhead  {}\n",
                text(&value["entries"]),
                text(&value["head"])
            ));
        }
        return Ok(0);
    }
    let broken = &value["broken"];
    Err(Failure::failed(format!(
        "the ledger was changed: entry {} is broken ({})",
        text(&broken["seq"]),
        text(&broken["why"])
    )))
}

async fn export(context: &Context, gateway: &Gateway) -> Ending {
    let mut response = gateway.stream(&["audit", "export"], Vec::new()).await?;
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| {
            Failure::new(
                super::exit::Exit::Unreachable,
                format!("the export broke off and is not complete: {error}"),
            )
        })?;
        let Some(chunk) = chunk else { break };
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            print_line(context, &line)?;
        }
    }
    print_line(context, &rest)?;
    Ok(0)
}

fn print_line(context: &Context, line: &[u8]) -> Result<(), Failure> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(());
    }
    let broken = |_| Failure::failed("the export is damaged: a line is no JSON document");
    let value: Value = serde_json::from_slice(line).map_err(broken)?;
    context.screen.line(&value);
    Ok(())
}

fn export_file(file: &std::path::Path, mut line: impl FnMut(&Value)) -> Ending {
    let unreadable = |error: &dyn std::error::Error| {
        Failure::failed(format!("the ledger cannot be read: {}", chain(error)))
    };
    let reader = Reader::open(file).map_err(|error| unreadable(&error))?;
    let mut filter = EntryFilter::default();
    loop {
        let entries =
            reader.entries(&filter, PAGE, Order::OldestFirst).map_err(|error| unreadable(&error))?;
        let Some(last) = entries.last() else { return Ok(0) };
        filter.after_seq = Some(last.seq);
        for Sealed { seq, entry, previous, digest } in &entries {
            line(&json!({"seq": seq, "previous": previous, "digest": digest, "entry": entry}));
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

    #[tokio::test]
    async fn an_untouched_ledger_file_holds_and_a_missing_one_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.sqlite");
        drop(Ledger::open(&file).unwrap());
        assert_eq!(verify_file(&Context::for_tests(), file.clone()).await, Ok(0));
        assert_eq!(export_file(&file, |_| {}), Ok(0));
        let missing = verify_file(&Context::for_tests(), folder.path().join("no")).await.unwrap_err();
        assert_eq!(missing.exit.code(), 16);
    }

    #[test]
    fn a_broken_entry_is_named() {
        let value = json!({"ok": false, "broken": {"seq": 7, "why": "its digest differs"}});
        let failure = verdict(&Context::for_tests(), &value).unwrap_err();
        assert_eq!(failure.line(), "the ledger was changed: entry 7 is broken (its digest differs)");
    }
}
