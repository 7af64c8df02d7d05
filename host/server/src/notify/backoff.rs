//! When something that failed is tried again, and when it is given up.

use std::time::Duration;

use quorate_core::Timestamp;
use quorate_core::request::after;

use crate::ledger::Delivery;

/// The longest rest between two attempts, in seconds.
const REST_MAX: u64 = 15 * 60;
/// The longest rest that a receiver can ask for, in seconds.
const ASKED_MAX: u64 = 24 * 3600;
/// How long a message is tried, in seconds: three days.
pub(super) const GIVE_UP_AFTER: u64 = 3 * 24 * 3600;

/// How long to rest after the failure that follows `failures` others: a second, then twice as
/// long each time; as long as the receiver asks for, where that is longer. `jitter`, from 0 to 1,
/// shortens it by up to a half.
pub(super) fn rest(failures: u64, retry_after: Option<u64>, jitter: f64) -> Duration {
    let doubled = 1_u64.checked_shl(u32::try_from(failures).unwrap_or(u32::MAX)).unwrap_or(REST_MAX);
    let own = Duration::from_secs(doubled.min(REST_MAX)).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0);
    own.max(Duration::from_secs(retry_after.unwrap_or(0).min(ASKED_MAX)))
}

/// When a message is tried again; none: it is given up.
pub(super) fn next(
    delivery: &Delivery,
    now: Timestamp,
    retry_after: Option<u64>,
    jitter: f64,
) -> Option<Timestamp> {
    let next = at(now, rest(delivery.attempts, retry_after, jitter));
    (next < after(delivery.queued_at, GIVE_UP_AFTER)).then_some(next)
}

/// So much later; the end of time where that is beyond it.
pub(super) fn at(now: Timestamp, rest: Duration) -> Timestamp {
    now.checked_add(rest).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use quorate_core::channel::EventType;

    use super::*;

    fn delivery(attempts: u64) -> Delivery {
        Delivery {
            channel: "ops".parse().unwrap(),
            entry: 7,
            event: EventType::VoteCast,
            request: "r".parse().unwrap(),
            state: crate::ledger::DeliveryState::Waiting,
            attempts,
            queued_at: Timestamp::UNIX_EPOCH,
            tried_at: None,
            error: None,
        }
    }

    #[test]
    fn each_rest_is_twice_the_one_before_up_to_a_limit() {
        let seconds = |failures| rest(failures, None, 0.0).as_secs();
        assert_eq!([0, 1, 2, 9, 10, 64, u64::MAX].map(seconds), [1, 2, 4, 512, 900, 900, 900]);
        assert_eq!(rest(3, None, 1.0), Duration::from_secs(4));
    }

    #[test]
    fn the_receiver_is_left_alone_as_long_as_it_asks_for() {
        assert_eq!(rest(0, Some(120), 0.5), Duration::from_mins(2));
        assert_eq!(rest(10, Some(5), 0.0), Duration::from_secs(REST_MAX));
        assert_eq!(rest(0, Some(u64::MAX), 0.0), Duration::from_hours(24));
    }

    #[test]
    fn a_message_is_tried_for_three_days_and_then_given_up() {
        let last = after(Timestamp::UNIX_EPOCH, GIVE_UP_AFTER - 2 * REST_MAX);
        assert!(next(&delivery(300), last, None, 0.0).is_some());
        assert_eq!(next(&delivery(300), after(Timestamp::UNIX_EPOCH, GIVE_UP_AFTER), None, 0.0), None);
    }
}
