//! What stands in a ledger is read for ever. The files beside this one were
//! written once and are not edited: each must parse, and be written again as it
//! stands there. A new shape is a new file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may say what it takes for granted")]

use std::collections::BTreeSet;
use std::path::Path;

use quorate_core::entry::{Entry, Happened};
use serde_json::Value;

/// Every kind of entry there is.
const KINDS: [&str; 40] = [
    "account-bound",
    "activation-carried-out",
    "channel-removed",
    "channel-saved",
    "channel-secret-rotated",
    "command-started",
    "password-set",
    "policy-activated",
    "policy-loaded",
    "policy-shadow-ended",
    "policy-shadowed",
    "policy-staged",
    "recording-read",
    "recording-stopped",
    "request-approved",
    "request-cancelled",
    "request-decided",
    "request-expired",
    "request-rejected",
    "request-reminded",
    "request-revoked",
    "request-submitted",
    "request-timed-out",
    "resource-removed",
    "resource-saved",
    "rule-removed",
    "rule-saved",
    "session-carried",
    "session-ended",
    "session-opened",
    "shadow-difference-accepted",
    "slack-bound",
    "slack-unbound",
    "subscribed",
    "token-issued",
    "token-revoked",
    "unsubscribed",
    "user-saved",
    "vote-cast",
    "vote-refused",
];

/// The kind of `happened`. A new variant does not compile without a line here, a
/// name in [`KINDS`] and so a file.
fn kind(happened: &Happened) -> &'static str {
    match happened {
        Happened::RequestSubmitted { .. } => "request-submitted",
        Happened::VoteCast { .. } => "vote-cast",
        Happened::VoteRefused { .. } => "vote-refused",
        Happened::RequestDecided { .. } => "request-decided",
        Happened::RequestReminded { .. } => "request-reminded",
        Happened::RequestApproved { .. } => "request-approved",
        Happened::RequestRejected { .. } => "request-rejected",
        Happened::RequestCancelled => "request-cancelled",
        Happened::RequestTimedOut => "request-timed-out",
        Happened::RequestRevoked { .. } => "request-revoked",
        Happened::RequestExpired => "request-expired",
        Happened::CommandStarted { .. } => "command-started",
        Happened::ActivationCarriedOut { .. } => "activation-carried-out",
        Happened::SessionOpened { .. } => "session-opened",
        Happened::SessionCarried { .. } => "session-carried",
        Happened::SessionEnded { .. } => "session-ended",
        Happened::RecordingStopped { .. } => "recording-stopped",
        Happened::RecordingRead => "recording-read",
        Happened::UserSaved { .. } => "user-saved",
        Happened::AccountBound { .. } => "account-bound",
        Happened::SlackBound { .. } => "slack-bound",
        Happened::SlackUnbound => "slack-unbound",
        Happened::Subscribed { .. } => "subscribed",
        Happened::Unsubscribed => "unsubscribed",
        Happened::TokenIssued { .. } => "token-issued",
        Happened::TokenRevoked { .. } => "token-revoked",
        Happened::PasswordSet => "password-set",
        Happened::ResourceSaved { .. } => "resource-saved",
        Happened::ResourceRemoved => "resource-removed",
        Happened::RuleSaved { .. } => "rule-saved",
        Happened::RuleRemoved => "rule-removed",
        Happened::ChannelSaved { .. } => "channel-saved",
        Happened::ChannelRemoved => "channel-removed",
        Happened::ChannelSecretRotated => "channel-secret-rotated",
        Happened::PolicyLoaded { .. } => "policy-loaded",
        Happened::PolicyStaged { .. } => "policy-staged",
        Happened::PolicyShadowed { .. } => "policy-shadowed",
        Happened::PolicyShadowEnded { .. } => "policy-shadow-ended",
        Happened::ShadowDifferenceAccepted { .. } => "shadow-difference-accepted",
        Happened::PolicyActivated { .. } => "policy-activated",
    }
}

/// The files with their names up to the first dot: `request-decided.denied.json`
/// is one more `request-decided`.
fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/entries");
    let files = std::fs::read_dir(folder).unwrap().map(|file| {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap();
        (name.to_owned(), std::fs::read_to_string(&path).unwrap())
    });
    files.collect()
}

#[test]
fn every_kind_of_entry_has_a_file() {
    let found: BTreeSet<String> = files().into_iter().map(|(name, _)| name).collect();
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), KINDS);
}

#[test]
fn an_entry_is_read_and_written_as_ever() {
    for (name, text) in files() {
        let entry: Entry = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(kind(&entry.happened), name);
        let written = serde_json::to_string(&entry).unwrap();
        let (stands, now): (Value, Value) =
            (serde_json::from_str(&text).unwrap(), serde_json::from_str(&written).unwrap());
        assert_eq!(now, stands, "{name}");
        assert_eq!(serde_json::from_str::<Entry>(&written).unwrap(), entry, "{name}");
    }
}

/// An older gateway meets what a newer one wrote: a field it does not know is
/// passed over, a kind of entry it does not know stops it.
#[test]
fn what_a_newer_gateway_wrote_is_never_taken_for_something_else() {
    for (name, text) in files() {
        let mut newer: Value = serde_json::from_str(&text).unwrap();
        newer["novelty"] = Value::from(1);
        assert_eq!(kind(&serde_json::from_value::<Entry>(newer.clone()).unwrap().happened), name);
        newer["type"] = Value::from("something-new");
        assert!(serde_json::from_value::<Entry>(newer).is_err(), "{name}");
    }
}
