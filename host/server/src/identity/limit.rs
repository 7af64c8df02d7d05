//! How often something may be tried. Bounded in memory however many try.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use quorate_core::Timestamp;

/// Keys remembered at most; past that the one that would be free soonest is
/// forgotten.
const KEYS_MAX: usize = 10_000;

/// Allows `burst` tries at once and one more each `interval`.
#[derive(Debug)]
pub(super) struct Limiter<K> {
    interval_ms: i64,
    burst: i64,
    /// When each key has all of its tries back.
    whole_at: Mutex<HashMap<K, i64>>,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    pub(super) fn new(interval_seconds: i64, burst: i64) -> Self {
        Self { interval_ms: interval_seconds * 1000, burst, whole_at: Mutex::default() }
    }

    /// Takes one try, or says in how many seconds there is one.
    pub(super) fn take(&self, key: &K, now: Timestamp) -> Result<(), u64> {
        let now = now.as_millisecond();
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = whole_at.get(key).map_or(0, |at| (at - now).max(0));
        let over = taken + self.interval_ms - self.burst * self.interval_ms;
        if over > 0 {
            return Err(over.unsigned_abs().div_ceil(1000));
        }
        if whole_at.len() >= KEYS_MAX && !whole_at.contains_key(key) {
            whole_at.retain(|_, at| *at > now);
            if whole_at.len() >= KEYS_MAX
                && let Some(soonest) = whole_at.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone())
            {
                whole_at.remove(&soonest);
            }
        }
        whole_at.insert(key.clone(), now + taken + self.interval_ms);
        Ok(())
    }

    /// Gives one try back: it was a good one.
    pub(super) fn give_back(&self, key: &K) {
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = whole_at.get_mut(key) {
            *at -= self.interval_ms;
        }
    }
}

/// What of an address one party usually holds: all of an IPv4 address, the
/// network of an IPv6 one.
pub(super) fn party(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    #[test]
    fn tries_run_out_and_come_back_with_time() {
        let limiter = Limiter::new(10, 3);
        for _ in 0..3 {
            assert_eq!(limiter.take(&"ann", at(0)), Ok(()));
        }
        assert_eq!(limiter.take(&"ann", at(0)), Err(10));
        assert_eq!(limiter.take(&"ann", at(4)), Err(6));
        assert_eq!(limiter.take(&"bob", at(4)), Ok(()));
        assert_eq!(limiter.take(&"ann", at(10)), Ok(()));
        assert_eq!(limiter.take(&"ann", at(10)), Err(10));
        limiter.give_back(&"ann");
        assert_eq!(limiter.take(&"ann", at(10)), Ok(()));
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let limiter = Limiter::new(10, 3);
        for key in 0..KEYS_MAX + 500 {
            assert_eq!(limiter.take(&key, at(0)), Ok(()));
        }
        assert_eq!(limiter.whole_at.lock().unwrap().len(), KEYS_MAX);
    }

    #[test]
    fn one_network_is_one_party() {
        let one = party("2001:db8:1:2::1".parse().unwrap());
        assert_eq!(one, party("2001:db8:1:2:ffff::9".parse().unwrap()));
        assert_ne!(one, party("2001:db8:1:3::1".parse().unwrap()));
        assert_eq!(party("::ffff:10.0.0.1".parse().unwrap()), party("10.0.0.1".parse().unwrap()));
    }
}
