//! Somebody who is switched off loses the access they have.

use crate::ledger::{Page, RequestFilter};
use crate::lifecycle::{Error, Lifecycle};

/// How many grants are withdrawn in one go; the rest follows with the next change.
const BATCH: usize = 200;

/// Runs for ever.
pub(super) async fn run(lifecycle: Lifecycle) {
    let mut head = lifecycle.ledger().head();
    loop {
        head.borrow_and_update();
        let good = super::note("withdrawing access", withdraw_inactive(&lifecycle).await);
        if super::next(&mut head, good).await.is_err() {
            return;
        }
    }
}

/// Takes away every open grant of people who are not active.
pub(super) async fn withdraw_inactive(lifecycle: &Lifecycle) -> Result<(), Error> {
    for user in lifecycle.ledger().users()?.into_iter().filter(|user| !user.profile.active) {
        let open = RequestFilter {
            requester: Some(user.id.clone()),
            states: vec!["APPROVED".to_owned()],
            ..RequestFilter::default()
        };
        for request in lifecycle.ledger().find_requests(&open, Page { after: None, limit: BATCH })?.items {
            lifecycle.withdraw(&request.id, &format!("{} is no longer active", user.id)).await?;
        }
    }
    Ok(())
}
