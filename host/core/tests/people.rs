//! Whether different people can meet all requirements at once, against trying
//! every seating.
#![allow(clippy::unwrap_used, reason = "a test may say what it takes for granted")]

use proptest::prelude::*;
use proptest::sample::subsequence;
use quorate_core::input::Principal;
use quorate_core::people::can_be_met;
use quorate_core::verdict::{Audience, Requirement, Way};

const GROUPS: [&str; 4] = ["dba", "dev", "security", "sre"];

fn groups() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(GROUPS.to_vec(), 0..=3)
}

fn people() -> impl Strategy<Value = Vec<Principal>> {
    prop::collection::vec(groups(), 0..6).prop_map(|people| {
        let person = |(number, groups): (usize, &Vec<&str>)| Principal {
            id: format!("p{number}").parse().unwrap(),
            email: String::new(),
            groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
            attributes: Vec::new(),
        };
        people.iter().enumerate().map(person).collect()
    })
}

fn way() -> impl Strategy<Value = Way> {
    let requirement = (groups(), prop::option::of(0..6), 0_u32..4).prop_map(|(groups, user, approvals)| {
        let users = user.map(|number| format!("p{number}")).into_iter().collect();
        let groups = groups.into_iter().map(str::to_owned).collect();
        Requirement { people: Audience { groups, users }, approvals, message: String::new() }
    });
    prop::collection::vec(requirement, 0..4)
}

/// Seats one after the other, every person who is left in turn.
fn some_seating(seats: &[&Audience], people: &[&Principal]) -> bool {
    let Some((seat, others)) = seats.split_first() else { return true };
    (0..people.len()).filter(|one| seat.includes(people[*one])).any(|one| {
        let left: Vec<&Principal> = people.iter().copied().filter(|p| p.id != people[one].id).collect();
        some_seating(others, &left)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_can_be_met_when_some_seating_meets_it(way in way(), people in people()) {
        let seats: Vec<&Audience> = way
            .iter()
            .flat_map(|one| std::iter::repeat_n(&one.people, one.approvals as usize))
            .collect();
        let people_left: Vec<&Principal> = people.iter().collect();
        let expected = seats.len() <= people.len() && some_seating(&seats, &people_left);
        prop_assert_eq!(can_be_met(&way, &people), expected);
    }
}
