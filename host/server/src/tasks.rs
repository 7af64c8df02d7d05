//! What the gateway does all the time. Each task runs until the gateway stops. One
//! that ends before that takes the gateway down with it: what it would have done,
//! such as ending access on time, nobody else does.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of one gateway. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tasks {
    running: TaskTracker,
    stopping: CancellationToken,
    broken: CancellationToken,
}

impl Tasks {
    /// None yet; they end when `stopping` is cancelled.
    pub fn new(stopping: CancellationToken) -> Self {
        Self { running: TaskTracker::new(), stopping, broken: CancellationToken::new() }
    }

    /// Runs `work` until the gateway stops.
    pub fn run(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        self.run_to_end(name, async move {
            stopping.run_until_cancelled(work).await;
        });
    }

    /// Runs `work`, which ends by itself once the gateway stops.
    pub fn run_to_end(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let (stopping, broken) = (self.stopping.clone(), self.broken.clone());
        self.running.spawn(async move {
            // A panic is logged where it happens; what is left of the task is dropped.
            let panicked = AssertUnwindSafe(work).catch_unwind().await.is_err();
            if panicked || !stopping.is_cancelled() {
                tracing::error!(task = name, panicked, "a task of the gateway ended by itself");
                broken.cancel();
            }
        });
    }

    /// Waits until a task has ended that should not have.
    pub async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Stops them all. False where some have not ended within `patience`.
    pub async fn stop(&self, patience: Duration) -> bool {
        self.stopping.cancel();
        self.running.close();
        tokio::time::timeout(patience, self.running.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_task_that_panics_or_ends_by_itself_breaks_the_gateway() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.run("panics", async { panic!("for the test") });
        tasks.broken().await;
        let tasks = Tasks::new(CancellationToken::new());
        tasks.run_to_end("ends", async {});
        tasks.broken().await;
    }

    #[tokio::test]
    async fn a_task_that_ends_with_the_gateway_breaks_nothing() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.run("waits", std::future::pending());
        let stopping = tasks.stopping.clone();
        tasks.run_to_end("drains", async move { stopping.cancelled().await });
        assert!(tasks.stop(LONG).await);
        assert!(tasks.broken().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_is_not_waited_for_without_end() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.run_to_end("stays", std::future::pending());
        assert!(!tasks.stop(Duration::ZERO).await);
    }
}
