//! What time alone does: requests time out, grants expire, policies are asked
//! again when they wanted to be.

use crate::clock::Clock;
use crate::lifecycle::{Error, Lifecycle};
use quorate_core::request::after;

/// How many requests are settled in one go.
const BATCH: usize = 200;
/// When to look again after a failure, in seconds.
const RETRY_SECONDS: u64 = 5;

/// Runs for ever.
pub(super) async fn run(lifecycle: Lifecycle, clock: Clock) {
    let mut head = lifecycle.ledger().head();
    loop {
        head.borrow_and_update();
        let next = match settle_due(&lifecycle).await {
            Ok(()) => lifecycle.ledger().next_deadline().map_err(Error::from),
            Err(error) => Err(error),
        };
        let next = next.unwrap_or_else(|error| {
            tracing::error!(%error, "settling what is due failed; it is tried again");
            Some(after(clock.now(), RETRY_SECONDS))
        });
        let due = async {
            match next {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            changed = head.changed() => if changed.is_err() { return },
        }
    }
}

/// Settles everything that is due now. A request that cannot be settled does not keep
/// the others from it.
pub(super) async fn settle_due(lifecycle: &Lifecycle) -> Result<(), Error> {
    loop {
        let due = lifecycle.ledger().due(lifecycle.now(), BATCH)?;
        let mut failed = None;
        for id in &due {
            if let Err(error) = lifecycle.settle(id).await {
                failed = Some(error);
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if due.len() < BATCH {
            return Ok(());
        }
    }
}
