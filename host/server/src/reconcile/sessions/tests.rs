//! Sessions that are carried while somebody else looks at them.

use std::collections::BTreeMap;

use quorate_core::user::Profile;
use quorate_policy::{Limits, Runtime};
use serde_json::json;

use super::*;
use crate::agent::Launcher;
use crate::clock::Clock;
use crate::config::Config;
use crate::ledger::Ledger;
use crate::lifecycle::{Ask, AskedAccess};
use crate::session::Recordings;

#[tokio::test]
async fn t8_who_looked_before_a_session_was_carried_says_when_the_later_grant_ended() {
    let folder = tempfile::tempdir().unwrap();
    let compiled = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/compiled-for-tests");
    let (clock, hand) = Clock::manual("2026-03-02T10:00:00Z".parse().unwrap());
    let runtime = Runtime::new(Limits::default(), Some(compiled.into())).unwrap();
    let ledger = Ledger::open(&folder.path().join("ledger.db")).unwrap();
    let lifecycle = Lifecycle::new(ledger.clone(), runtime, clock.clone(), Config::default());
    lifecycle.start_policies().await.unwrap();
    let ann = "ann".parse().unwrap();
    let profile = Profile { email: String::new(), groups: ["dev".parse().unwrap()].into(), active: true };
    lifecycle.save_user(&ann, profile, None, Actor::Gateway, None).await.unwrap();
    let prod = json!({ "name": "prod", "command": ["cat"], "standing_groups": ["dev"] });
    let prod = serde_json::from_value(prod).unwrap();
    lifecycle.save_resource(prod, BTreeMap::new(), Actor::Gateway, None).await.unwrap();
    let mut grants = Vec::new();
    for duration in ["1h", "2h"] {
        let access = AskedAccess::JustInTime(duration.parse().unwrap());
        let ask = Ask { resource: "prod".parse().unwrap(), access, reason: String::new() };
        let asked = lifecycle.submit(&ann, ask, None).await.unwrap();
        grants.push(asked.id.parse().unwrap());
    }
    let seen_early = lifecycle.open_session(&grants[0], &ann).await.unwrap();
    hand.advance(3600);
    lifecycle.settle(&grants[0]).await.unwrap();
    assert_eq!(lifecycle.carry_session(&seen_early.id).await.unwrap().opened.request, grants[1]);
    hand.advance(3600);

    let recordings = Recordings::new(folder.path().join("recordings"), 0);
    let launcher = Launcher::new(std::iter::empty());
    let sessions = Sessions::new(lifecycle.clone(), clock, launcher, recordings);
    end_if_over(&lifecycle, &sessions, &seen_early).await.unwrap();
    let (_, end) = ledger.session(&seen_early.id).unwrap().unwrap().ended.unwrap();
    assert_eq!(end.message, "the time granted for prod is over: it ended at 12:00:00Z");
}
