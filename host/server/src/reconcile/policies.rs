//! Requests that wait are decided again when a rule, a resource, a person or the
//! active version of a policy has changed.

use quorate_core::entry::Kind;
use quorate_core::ids::RequestId;
use quorate_core::request::Request;

use crate::ledger::{EntryFilter, Order};
use crate::lifecycle::{Error, Lifecycle};

/// How many entries are looked at in one go.
const BATCH: usize = 500;

/// What changed since the last look.
#[derive(Default)]
struct Changes {
    /// A rule, or the version of a policy: whom that concerns is found out.
    rules: bool,
    /// People and resources by name; what concerns them is decided again.
    users: Vec<String>,
    resources: Vec<String>,
}

/// Runs for ever.
pub(super) async fn run(lifecycle: Lifecycle) {
    let mut head = lifecycle.ledger().head();
    // What happened before was looked at when the gateway started.
    let mut seen = *head.borrow_and_update();
    loop {
        let swapped = tokio::select! {
            () = lifecycle.swapped() => true,
            changed = head.changed() => {
                if changed.is_err() {
                    return;
                }
                false
            }
        };
        head.borrow_and_update();
        let round = async {
            let (mut changes, upto) = changes_since(&lifecycle, seen)?;
            changes.rules |= swapped;
            decide(&lifecycle, &changes).await?;
            Ok(upto)
        };
        match round.await {
            Ok(upto) => seen = upto,
            Err(error) => {
                super::note("deciding again", Err(error));
                tokio::time::sleep(super::REST).await;
            }
        }
    }
}

/// Decides again what other versions decided than would decide it now.
pub(super) async fn decide_stale(lifecycle: &Lifecycle) -> Result<(), Error> {
    decide(lifecycle, &Changes { rules: true, ..Changes::default() }).await
}

fn changes_since(lifecycle: &Lifecycle, seen: u64) -> Result<(Changes, u64), Error> {
    let (mut changes, mut upto) = (Changes::default(), seen);
    loop {
        let filter = EntryFilter { after_seq: Some(upto), ..EntryFilter::default() };
        let found = lifecycle.ledger().entries(&filter, BATCH, Order::OldestFirst)?;
        let Some(last) = found.last() else { return Ok((changes, upto)) };
        upto = last.seq;
        for sealed in &found {
            let stream = &sealed.entry.stream;
            match stream.kind() {
                Kind::Rule | Kind::Policy => changes.rules = true,
                Kind::User => changes.users.push(stream.name().to_owned()),
                Kind::Resource => changes.resources.push(stream.name().to_owned()),
                Kind::Request | Kind::Session | Kind::Channel => {}
            }
        }
    }
}

/// Decides again what waits and is concerned. One request that cannot be decided does
/// not keep the others waiting.
async fn decide(lifecycle: &Lifecycle, changes: &Changes) -> Result<(), Error> {
    if !changes.rules && changes.users.is_empty() && changes.resources.is_empty() {
        return Ok(());
    }
    let mut failed = None;
    for id in lifecycle.ledger().pending()? {
        if let Err(error) = decide_if_concerned(lifecycle, &id, changes).await {
            failed = Some(error);
        }
        // Many may wait; nobody else waits for them.
        tokio::task::yield_now().await;
    }
    failed.map_or(Ok(()), Err)
}

async fn decide_if_concerned(lifecycle: &Lifecycle, id: &RequestId, changes: &Changes) -> Result<(), Error> {
    let Some(request) = lifecycle.ledger().request(id)? else { return Ok(()) };
    let named = |Request { asked, .. }: &Request| {
        changes.users.iter().any(|user| user == asked.requester.as_str())
            || changes.resources.iter().any(|resource| resource == asked.resource.as_str())
    };
    if named(&request) || (changes.rules && lifecycle.is_stale(&request)?) {
        lifecycle.decide_again(id).await?;
    }
    Ok(())
}
