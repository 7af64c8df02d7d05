//! As many evaluations at a time as the pool has room for. Whoever comes later
//! waits: a full pool is overload, never a policy's fault.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The free places.
pub(crate) struct Permits {
    free: Mutex<u32>,
    freed: Condvar,
    wait_max: Duration,
}

/// One place, given back when dropped.
pub(crate) struct Permit<'a>(&'a Permits);

impl Permits {
    pub(crate) fn new(count: u32, wait_max: Duration) -> Self {
        Self { free: Mutex::new(count), freed: Condvar::new(), wait_max }
    }

    /// A place, or none when nobody left one in time.
    pub(crate) fn take(&self) -> Option<Permit<'_>> {
        // The number is changed in one statement, so a poisoned lock still guards
        // a right number.
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if *free == 0 {
            (free, _) = self
                .freed
                .wait_timeout_while(free, self.wait_max, |free| *free == 0)
                .unwrap_or_else(PoisonError::into_inner);
            if *free == 0 {
                return None;
            }
        }
        *free -= 1;
        Some(Permit(self))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_after_it_is_given_back() {
        let permits = Permits::new(1, Duration::ZERO);
        let first = permits.take();
        assert!(first.is_some());
        assert!(permits.take().is_none(), "there is only one");
        drop(first);
        assert!(permits.take().is_some());
    }

    #[test]
    fn who_waits_gets_the_place_that_is_given_back() {
        let permits = Permits::new(1, Duration::from_mins(1));
        let first = permits.take();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| permits.take().is_some());
            drop(first);
            assert!(second.join().unwrap());
        });
    }
}
