//! The one place that asks what time it is.
//!
//! The gateway's clock never goes back and never stands still: where the
//! machine's clock is set back, also while the gateway was down, it goes on
//! counting from where it was, so that a grant cannot last longer than it was given
//! for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use quorate_core::Timestamp;
use tokio::sync::watch;

/// How long the system clock is trusted to tick evenly before a sleeper looks
/// again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// A source of the time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System(Arc<Mutex<(Instant, Timestamp)>>),
    /// Where the hand points, and how far ahead of it the clock is.
    Manual(watch::Receiver<Timestamp>, Arc<Mutex<SignedDuration>>),
}

/// Moves a manual clock.
#[derive(Debug)]
pub struct ManualClock(watch::Sender<Timestamp>);

impl Clock {
    /// The machine's clock, kept from going back.
    pub fn system() -> Self {
        Self(Source::System(Arc::new(Mutex::new((Instant::now(), machine_time())))))
    }

    /// A clock that stands until it is moved.
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let (sender, receiver) = watch::channel(start);
        (Self(Source::Manual(receiver, Arc::default())), ManualClock(sender))
    }

    /// Where it is behind `at`, it is `at` now, and counts on from there.
    pub fn catch_up(&self, at: Timestamp) {
        let behind = at.duration_since(self.now());
        if !behind.is_positive() {
            return;
        }
        match &self.0 {
            Source::Manual(_, ahead) => {
                let mut ahead = ahead.lock().unwrap_or_else(PoisonError::into_inner);
                *ahead = ahead.saturating_add(behind);
            }
            Source::System(base) => {
                *base.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), at);
            }
        }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Manual(time, ahead) => ahead_of(*time.borrow(), ahead),
            Source::System(base) => {
                let mut base = base.lock().unwrap_or_else(PoisonError::into_inner);
                let counted = base.1.checked_add(base.0.elapsed()).unwrap_or(Timestamp::MAX);
                let machine = machine_time();
                if machine > counted {
                    *base = (Instant::now(), machine);
                }
                in_milliseconds(machine.max(counted))
            }
        }
    }

    /// Waits until `at` has come.
    pub async fn sleep_until(&self, at: Timestamp) {
        match &self.0 {
            Source::Manual(time, ahead) => {
                let mut time = time.clone();
                if time.wait_for(|hand| ahead_of(*hand, ahead) >= at).await.is_err() {
                    // Nobody can move the clock any more, so `at` never comes.
                    std::future::pending::<()>().await;
                }
            }
            Source::System(_) => loop {
                let left = at.duration_since(self.now());
                if !left.is_positive() {
                    return;
                }
                tokio::time::sleep(left.unsigned_abs().min(LOOK_AGAIN)).await;
            },
        }
    }
}

impl ManualClock {
    /// Moves the clock, forwards or back.
    pub fn set(&self, to: Timestamp) {
        self.0.send_replace(to);
    }

    /// Moves the clock forwards.
    pub fn advance(&self, seconds: u64) {
        self.0.send_modify(|now| *now = quorate_core::request::after(*now, seconds));
    }
}

fn ahead_of(hand: Timestamp, ahead: &Mutex<SignedDuration>) -> Timestamp {
    let ahead = *ahead.lock().unwrap_or_else(PoisonError::into_inner);
    hand.checked_add(ahead).unwrap_or(Timestamp::MAX)
}

#[expect(clippy::disallowed_methods, reason = "this is the module that may")]
fn machine_time() -> Timestamp {
    in_milliseconds(Timestamp::now())
}

/// Milliseconds are what the contract can say: a policy and a record see the same.
fn in_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back() {
        let clock = Clock::system();
        let ahead = quorate_core::request::after(machine_time(), 3600);
        if let Source::System(base) = &clock.0 {
            // As if the machine's clock had just been set back by an hour.
            *base.lock().unwrap() = (Instant::now(), ahead);
        }
        let first = clock.now();
        assert!(first >= ahead && clock.now() >= first);
    }

    #[test]
    fn a_clock_that_is_behind_catches_up_and_counts_on() {
        let (manual, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let later = |seconds| quorate_core::request::after(Timestamp::UNIX_EPOCH, seconds);
        manual.catch_up(later(60));
        assert_eq!(manual.now(), later(60));
        hand.advance(10);
        assert_eq!(manual.now(), later(70));
        manual.catch_up(later(60));
        assert_eq!(manual.now(), later(70));

        let system = Clock::system();
        let ahead = quorate_core::request::after(machine_time(), 3600);
        system.catch_up(ahead);
        assert!(system.now() >= ahead);
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_has_come() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let until = quorate_core::request::after(Timestamp::UNIX_EPOCH, 60);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(until).await }
        });
        hand.advance(59);
        hand.advance(1);
        sleeper.await.unwrap();
        assert_eq!(clock.now(), until);
    }
}
