//! Shadows follow the ledger: every decision in which their policy took part is made
//! once more with the candidate, after it was made.

use crate::lifecycle::Lifecycle;

/// Runs for ever.
pub(super) async fn run(lifecycle: Lifecycle) {
    let mut head = lifecycle.ledger().head();
    loop {
        head.borrow_and_update();
        let good = super::note("following shadows", lifecycle.follow_shadows().await);
        if super::next(&mut head, good).await.is_err() {
            return;
        }
    }
}
