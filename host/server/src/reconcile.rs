//! Makes the world follow the ledger. Each reconciler reads the ledger, takes no
//! input and may run twice, so that whatever a crash interrupted is done at the
//! next start.

mod people;
mod policies;
mod sessions;
mod time;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::lifecycle::{Error, Lifecycle};
use crate::session::Sessions;

/// Settles everything that fell due while the gateway was down. Called once,
/// before anything is served.
pub async fn settle(lifecycle: &Lifecycle) -> Result<(), Error> {
    sessions::end_orphans(lifecycle).await?;
    time::settle_due(lifecycle).await?;
    people::withdraw_inactive(lifecycle).await?;
    policies::decide_stale(lifecycle).await
}

/// Starts the reconcilers; they stop with `stop`.
pub fn start(
    lifecycle: &Lifecycle,
    sessions: &Sessions,
    clock: &Clock,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let run = |name: &'static str, work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
        let stop = stop.clone();
        tasks.spawn(async move {
            if stop.run_until_cancelled(work).await.is_some() {
                tracing::error!(reconciler = name, "a reconciler ended by itself");
            }
        });
    };
    run("time", Box::pin(time::run(lifecycle.clone(), clock.clone())));
    run("policies", Box::pin(policies::run(lifecycle.clone())));
    run("people", Box::pin(people::run(lifecycle.clone())));
    run("sessions", Box::pin(sessions::run(lifecycle.clone(), sessions.clone())));
}

/// Logs what could not be done; the next round tries again.
fn note(what: &str, result: Result<(), Error>) {
    match result {
        Ok(()) | Err(Error::Refused(_)) => {}
        Err(error) => tracing::error!(%error, "{what} failed; it is tried again"),
    }
}
