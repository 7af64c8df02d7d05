//! `quorate decisions export`: recorded decisions into a file, a line each, exactly as they
//! were recorded.
//!
//! Not here: reading it; that is for `quorate policy diff --decisions`.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::{StreamExt as _, stream};
use quorate_core::decision::Record;
use quorate_core::ids::{Digest, PolicyName, RuleName};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::cli::Context;
use crate::cli::bar::Bar;
use crate::cli::client::{Gateway, Query};
use crate::cli::exit::{Ending, Exit, Failure, NOT_HELD};
use crate::cli::since::Since;
use crate::cli::wait::Interrupt;
use crate::cli::words;

/// How many records are asked for at once.
const AT_ONCE: usize = 8;
/// Entries on a page.
const PAGE: usize = 200;

/// Write recorded decisions to a file, a line each
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is a record with its digest, whole: what every policy saw, reasons, comments and commands
included. Only you can read the file.

Examples:
  quorate decisions export --since 90d -o decisions.jsonl
  quorate policy diff old.wasm new.wasm --decisions decisions.jsonl --policy group-quorum

Exit codes: 0 all were written, 1 some have no record any more.")]
pub(in crate::cli) struct Export {
    /// Made after this: 90d, 2w, 12h, 30m, or a time
    #[arg(long, value_name = "SPAN|TIME")]
    since: Option<Since>,
    /// In which this policy took part
    #[arg(long)]
    policy: Option<PolicyName>,
    /// In which this rule took part; with --policy, those in which the rule asked it
    #[arg(long)]
    rule: Option<RuleName>,
    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

/// What was written so far.
#[derive(Default)]
struct Written {
    seen: HashSet<Digest>,
    decisions: u64,
    bytes: u64,
    missing: Vec<String>,
}

impl Export {
    pub(super) async fn run(self, context: &Context, gateway: &Gateway) -> Ending {
        let mut interrupt = Interrupt::listen()?;
        let unwritable = |error: std::io::Error| {
            Failure::failed(format!("`{}` cannot be written: {error}", self.out.display()))
        };
        let folder = self.out.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        // Readable by its owner alone, and only there when it is whole.
        let file = NamedTempFile::with_prefix_in(".quorate-export-", folder).map_err(unwritable)?;
        let mut out = BufWriter::new(file);
        let mut written = Written::default();
        tokio::select! {
            all = self.write(context, gateway, &mut out, &mut written) => all?,
            () = interrupt.pressed() => {
                return Err(Failure::new(Exit::Cancelled, "interrupted: nothing is written"));
            }
        }
        let file = out.into_inner().map_err(|error| unwritable(error.into_error()))?;
        file.as_file().sync_all().map_err(unwritable)?;
        file.persist(&self.out).map_err(|error| unwritable(error.error))?;
        let Written { decisions, bytes, missing, .. } = written;
        let value = json!({"file": self.out, "decisions": decisions, "bytes": bytes, "missing": missing});
        context.screen.result(&value, || {
            let count = words::count(usize::try_from(decisions).unwrap_or(usize::MAX), "decision");
            let mut text = words::facts(&[
                ("file", words::clean(&self.out.display().to_string())),
                ("holds", count),
                ("size", format!("{} bytes, which only you can read", words::grouped(bytes))),
            ]);
            if !missing.is_empty() {
                let gone = words::names(&missing, 3);
                let count = words::count(missing.len(), "record");
                let _ = writeln!(text, "{count} not there any more: {gone}");
            }
            text
        })?;
        Ok(if missing.is_empty() { 0 } else { NOT_HELD })
    }

    async fn write(
        &self,
        context: &Context,
        gateway: &Gateway,
        out: &mut BufWriter<NamedTempFile>,
        written: &mut Written,
    ) -> Result<(), Failure> {
        let since = self.since.as_ref().map(|since| since.at(context.clock.now()).to_string());
        let mut count: Query<'_> = since.iter().map(|since| ("since", since.clone())).collect();
        count.extend(self.policy.iter().map(|policy| ("policy", policy.to_string())));
        count.extend(self.rule.iter().map(|rule| ("rule", rule.to_string())));
        let history = gateway.get(&["decisions"], count).await?;
        let total = history.raw().get("decisions").and_then(Value::as_u64).unwrap_or(0);
        let bar = Bar::start(&context.screen, 0, total);
        let mut cursor: Option<String> = None;
        loop {
            let mut query = vec![("type", "request-decided".to_owned()), ("limit", PAGE.to_string())];
            query.extend(since.iter().map(|since| ("since", since.clone())));
            query.extend(cursor.iter().map(|cursor| ("cursor", cursor.clone())));
            let page = gateway.get(&["audit", "entries"], query).await?;
            let digests =
                page.items().iter().filter_map(|item| item["entry"]["record"].as_str()?.parse().ok());
            let digests: Vec<Digest> = digests.filter(|digest| written.seen.insert(*digest)).collect();
            let mut records =
                stream::iter(digests).map(|digest| async move { (digest, record(gateway, digest).await) });
            let mut records = std::pin::pin!(records.by_ref().buffered(AT_ONCE));
            while let Some((digest, record)) = records.next().await {
                match record? {
                    Some((bytes, record)) if self.wants(&record) => written.line(out, digest, &bytes)?,
                    Some(_) => {}
                    None => written.missing.push(digest.short()),
                }
                bar.set(written.decisions, String::new());
            }
            let next = page.raw().get("next").and_then(Value::as_str).map(str::to_owned);
            if next.is_none() || next == cursor {
                return Ok(());
            }
            cursor = next;
        }
    }

    fn wants(&self, record: &Record) -> bool {
        if self.policy.is_none() && self.rule.is_none() {
            return true;
        }
        let rules =
            record.rules.iter().filter(|rule| self.rule.as_ref().is_none_or(|only| rule.rule == *only));
        rules.into_iter().any(|rule| match &self.policy {
            Some(policy) => rule.opinions.iter().any(|opinion| opinion.policy == *policy),
            None => true,
        })
    }
}

impl Written {
    fn line(
        &mut self,
        out: &mut BufWriter<NamedTempFile>,
        digest: Digest,
        record: &[u8],
    ) -> Result<(), Failure> {
        let before = format!("{{\"digest\":\"{digest}\",\"record\":");
        let parts = [before.as_bytes(), record, b"}\n"];
        for part in parts {
            out.write_all(part).map_err(|error| Failure::failed(format!("it cannot be written: {error}")))?;
            self.bytes += part.len() as u64;
        }
        self.decisions += 1;
        Ok(())
    }
}

/// The bytes of a record, and what they say; none where it is not there any more.
async fn record(gateway: &Gateway, digest: Digest) -> Result<Option<(Vec<u8>, Record)>, Failure> {
    let text = digest.to_string();
    let response = match gateway.stream(&["decisions", &text], Vec::new()).await {
        Err(failure) if failure.code() == Some("not-found") => return Ok(None),
        other => other?,
    };
    let bytes = response.bytes().await.map_err(|error| {
        Failure::new(Exit::Unreachable, format!("the connection to the gateway broke: {error}"))
    })?;
    let wrong =
        || Failure::failed(format!("the gateway's record {} is not what its digest says", digest.short()));
    if Digest::of(&bytes) != digest || bytes.contains(&b'\n') {
        return Err(wrong());
    }
    let record = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
    Ok(Some((bytes.to_vec(), record)))
}
