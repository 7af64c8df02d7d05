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
            Ok(()) => lifecycle.ledger().next_deadline().unwrap_or(None),
            Err(error) => {
                tracing::error!(%error, "settling what is due failed; it is tried again");
                Some(after(clock.now(), RETRY_SECONDS))
            }
        };
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

/// Settles everything that is due now.
pub(super) async fn settle_due(lifecycle: &Lifecycle) -> Result<(), Error> {
    loop {
        let due = lifecycle.ledger().due(lifecycle.now(), BATCH)?;
        for id in &due {
            lifecycle.settle(id).await?;
        }
        if due.len() < BATCH {
            return Ok(());
        }
    }
}
