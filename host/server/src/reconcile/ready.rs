//! After each change, the instances of the next evaluations are made ahead, so that
//! no decision waits for them.

use crate::lifecycle::Lifecycle;

/// Runs for ever.
pub(super) async fn run(lifecycle: Lifecycle) {
    let mut head = lifecycle.ledger().head();
    loop {
        head.borrow_and_update();
        let active = lifecycle.active().load();
        // Not doing it only makes the next evaluation a little slower.
        let _ = tokio::task::spawn_blocking(move || active.get_ready()).await;
        if head.changed().await.is_err() {
            return;
        }
    }
}
