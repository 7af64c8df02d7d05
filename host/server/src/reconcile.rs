//! Makes the world follow the ledger. Each reconciler reads the ledger, takes no
//! input and may run twice, so that whatever a crash interrupted is done at the
//! next start.

mod people;
mod policies;
mod ready;
mod sessions;
mod shadow;
mod stuck;
mod time;

use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::lifecycle::{Error, Lifecycle};
use crate::session::Sessions;
use crate::tasks::Tasks;

/// Settles everything that fell due while the gateway was down. Called once,
/// before anything is served.
pub async fn settle(lifecycle: &Lifecycle) -> Result<(), Error> {
    sessions::end_orphans(lifecycle).await?;
    // One request that cannot be settled does not stop the gateway: the reconcilers
    // try it again.
    note("settling what is due", time::settle_due(lifecycle).await);
    note("withdrawing access", people::withdraw_inactive(lifecycle).await);
    note("deciding again", policies::decide_stale(lifecycle).await);
    Ok(())
}

/// Starts the reconcilers.
pub fn start(lifecycle: &Lifecycle, sessions: &Sessions, clock: &Clock, tasks: &Tasks) {
    tasks.run("time", time::run(lifecycle.clone(), clock.clone()));
    tasks.run("policies", policies::run(lifecycle.clone()));
    tasks.run("ready", ready::run(lifecycle.clone()));
    tasks.run("shadow", shadow::run(lifecycle.clone()));
    tasks.run("stuck", stuck::run(lifecycle.clone()));
    tasks.run("people", people::run(lifecycle.clone()));
    tasks.run("sessions", sessions::run(lifecycle.clone(), sessions.clone()));
}

/// How long a reconciler rests after something could not be done.
const REST: Duration = Duration::from_secs(1);

/// Logs what could not be done, and says whether everything was.
fn note(what: &str, result: Result<(), Error>) -> bool {
    match result {
        Ok(()) | Err(Error::Refused(_)) => true,
        Err(error) => {
            tracing::error!(%error, "{what} failed; it is tried again");
            false
        }
    }
}

/// Waits for the next entry; after a failure, not for long.
async fn next(head: &mut watch::Receiver<u64>, good: bool) -> Result<(), watch::error::RecvError> {
    if good {
        return head.changed().await;
    }
    tokio::time::timeout(REST, head.changed()).await.unwrap_or(Ok(()))
}
