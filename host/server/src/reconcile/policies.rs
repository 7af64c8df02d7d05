//! Requests that wait are decided again when a rule, a resource, the requester or
//! the active version of a policy has changed.

use crate::lifecycle::{Error, Lifecycle};

/// Runs for ever.
pub(super) async fn run(lifecycle: Lifecycle) {
    let mut head = lifecycle.ledger().head();
    loop {
        head.borrow_and_update();
        super::note("deciding again", decide_stale(&lifecycle).await);
        tokio::select! {
            () = lifecycle.swapped() => {}
            changed = head.changed() => if changed.is_err() { return },
        }
    }
}

/// Decides again what other versions decided than would decide it now.
pub(super) async fn decide_stale(lifecycle: &Lifecycle) -> Result<(), Error> {
    for id in lifecycle.ledger().pending()? {
        let Some(request) = lifecycle.ledger().request(&id)? else { continue };
        if lifecycle.is_stale(&request)? {
            lifecycle.decide_again(&id).await?;
        }
    }
    Ok(())
}
