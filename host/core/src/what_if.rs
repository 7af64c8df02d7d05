//! What would it take: the smallest sets of people whose votes would do, for any policy,
//! found by trying.
//!
//! Not here: what trying is. A function says whether these people's votes would do.

/// How many sets are told; where there are more, that is said.
pub const SETS_MAX: usize = 20;
/// The largest sets that are worth trying.
pub const PEOPLE_MAX: usize = 6;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The smallest sets that would do, all of one size: how many people of each kind.
    pub sets: Vec<Vec<usize>>,
    /// How many sets were tried.
    pub tried: usize,
    /// Not everything was tried: there may be more sets, or smaller ones than none.
    pub gave_up: bool,
}

/// Looks for the smallest sets of people that `would_do`. `kinds` says how many people
/// there are of each kind, whose votes are worth the same; a set is how many of each.
/// Sets of up to `people_max` are tried, smallest first, at most `tries_max` of them.
pub fn smallest(
    kinds: &[usize],
    people_max: usize,
    tries_max: usize,
    mut would_do: impl FnMut(&[usize]) -> bool,
) -> Found {
    let mut found = Found::default();
    let everybody = kinds.iter().sum::<usize>();
    for size in 1..=everybody.min(people_max) {
        let mut set = vec![0; kinds.len()];
        let mut look = |set: &[usize]| {
            if found.tried >= tries_max || found.sets.len() >= SETS_MAX {
                found.gave_up = true;
                return false;
            }
            found.tried += 1;
            if would_do(set) {
                found.sets.push(set.to_vec());
            }
            true
        };
        let all = each_of(size, kinds, 0, &mut set, &mut look);
        if !found.sets.is_empty() || !all {
            return found;
        }
    }
    found.gave_up = everybody > people_max;
    found
}

/// Shows `look` every way to choose `left` more people from the kind `nth` on, until it
/// has enough. Says whether it has seen all of them.
fn each_of(
    left: usize,
    kinds: &[usize],
    nth: usize,
    set: &mut [usize],
    look: &mut impl FnMut(&[usize]) -> bool,
) -> bool {
    if left == 0 {
        return look(set);
    }
    let (Some(there), Some(_)) = (kinds.get(nth), set.get(nth)) else { return true };
    for count in (0..=left.min(*there)).rev() {
        set[nth] = count;
        if !each_of(left - count, kinds, nth + 1, set, look) {
            return false;
        }
    }
    set[nth] = 0;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_sets_are_found_and_no_larger_ones() {
        // One of each of the first two kinds, or three of the last.
        let would_do = |set: &[usize]| (set[0] >= 1 && set[1] >= 1) || set[2] >= 3;
        let found = smallest(&[5, 2, 9], PEOPLE_MAX, 1000, would_do);
        assert_eq!((found.sets, found.gave_up), (vec![vec![1, 1, 0]], false));
        assert_eq!(smallest(&[0, 2, 9], PEOPLE_MAX, 1000, would_do).sets, [vec![0, 0, 3]]);
    }

    #[test]
    fn all_sets_of_the_smallest_size_are_told() {
        let found = smallest(&[3, 3], PEOPLE_MAX, 1000, |set| set.iter().sum::<usize>() == 2);
        assert_eq!(found.sets, [vec![2, 0], vec![1, 1], vec![0, 2]]);
    }

    #[test]
    fn where_nobody_can_help_everything_was_tried() {
        let found = smallest(&[2, 1], PEOPLE_MAX, 1000, |_| false);
        // Two sets of one, two of two, one of three.
        assert_eq!(found, Found { sets: Vec::new(), tried: 5, gave_up: false });
        assert_eq!(smallest(&[], PEOPLE_MAX, 1000, |_| true), Found::default());
    }

    #[test]
    fn a_search_that_stops_early_says_so() {
        let found = smallest(&[1; 40], PEOPLE_MAX, 100, |_| false);
        assert_eq!((found.tried, found.gave_up), (100, true));
        assert!(smallest(&[50], PEOPLE_MAX, 1000, |set| set[0] > PEOPLE_MAX).gave_up);
        let many = smallest(&[1; 40], PEOPLE_MAX, 1000, |_| true);
        assert_eq!((many.sets.len(), many.gave_up), (SETS_MAX, true));
    }
}
