//! As many evaluations at a time as the pool has room for. Whoever comes later
//! waits: a full pool is overload, never a policy's fault.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The free places. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Permits(Arc<Inner>);

struct Inner {
    places: Mutex<Places>,
    freed: Condvar,
    wait_max: Duration,
}

struct Places {
    free: u32,
    /// How many wait for one: waking nobody costs as much as waking somebody.
    waiting: u32,
}

/// One place, given back when dropped.
pub(crate) struct Permit(Arc<Inner>);

impl Permits {
    pub(crate) fn new(count: u32, wait_max: Duration) -> Self {
        let places = Mutex::new(Places { free: count, waiting: 0 });
        Self(Arc::new(Inner { places, freed: Condvar::new(), wait_max }))
    }

    /// A place, or none when nobody left one in time.
    pub(crate) fn take(&self) -> Option<Permit> {
        let mut places = self.0.lock();
        if places.free == 0 {
            places.waiting += 1;
            (places, _) = self
                .0
                .freed
                .wait_timeout_while(places, self.0.wait_max, |places| places.free == 0)
                .unwrap_or_else(PoisonError::into_inner);
            places.waiting -= 1;
            if places.free == 0 {
                return None;
            }
        }
        places.free -= 1;
        Some(Permit(Arc::clone(&self.0)))
    }
}

impl Inner {
    /// Nothing in between can panic, so a poisoned lock still guards right numbers.
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut places = self.0.lock();
        places.free += 1;
        if places.waiting > 0 {
            self.0.freed.notify_one();
        }
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
