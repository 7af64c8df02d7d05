//! Whether some people's approvals are what a way out of a wait asks for.

use crate::{Audience, Principal, Requirement, Way};

/// Whether `people` meet any one of `ways`.
pub(super) fn meet_any(people: &[&Principal], ways: &[Way]) -> bool {
    ways.iter().any(|way| meet(people, way))
}

/// Whether they meet all requirements of `way`, each person at most one of them.
fn meet(people: &[&Principal], way: &[Requirement]) -> bool {
    let places: Vec<&Audience> =
        way.iter().flat_map(|one| std::iter::repeat_n(&one.people, one.approvals as usize)).collect();
    places.len() <= people.len() && fill(&places, people, &mut vec![false; people.len()])
}

/// Puts a different person into each place: few people and places, so by trying.
fn fill(places: &[&Audience], people: &[&Principal], taken: &mut [bool]) -> bool {
    let Some((place, rest)) = places.split_first() else { return true };
    for nth in 0..people.len() {
        if !taken[nth] && is_in(people[nth], place) {
            taken[nth] = true;
            if fill(rest, people, taken) {
                return true;
            }
            taken[nth] = false;
        }
    }
    false
}

fn is_in(person: &Principal, audience: &Audience) -> bool {
    audience.users.contains(&person.id) || person.is_in_any(&audience.groups)
}
