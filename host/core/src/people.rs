//! Who could meet a requirement. Nothing here decides: it tells people whom they
//! wait for, and that nobody can help where that is so.

use serde::Serialize;

use crate::decision::Waiting;
use crate::ids::UserId;
use crate::input::Principal;
use crate::text::shown;
use crate::verdict::{Requirement, Way};

/// A requirement with the people who can meet it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// What is missing, in words: `1 of security`.
    pub what: String,
    /// How many approvals are missing.
    pub approvals: u32,
    /// Who can give them.
    pub people: Vec<UserId>,
}

/// One way out, and whether there are people enough for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WayOut {
    /// All of these are needed, from different people.
    pub missing: Vec<Missing>,
    /// Whether the people who can vote now are enough.
    pub can_be_met: bool,
}

impl Requirement {
    /// What is missing, in words.
    pub fn words(&self) -> String {
        let names: Vec<&str> =
            self.people.groups.iter().chain(&self.people.users).map(String::as_str).collect();
        match names.as_slice() {
            [] => format!("{} of nobody", self.approvals),
            names => format!("{} of {}", self.approvals, shown(&names.join(" or "), 200)),
        }
    }
}

/// The ways out of `waiting`, for the people who may still vote: `electorate` is
/// everybody active but the requester and those who have voted.
pub fn ways_out(waiting: &Waiting, electorate: &[Principal]) -> Vec<WayOut> {
    waiting
        .ways
        .iter()
        .map(|way| WayOut {
            missing: way.iter().map(|one| missing(one, electorate)).collect(),
            can_be_met: can_be_met(way, electorate),
        })
        .collect()
}

fn missing(requirement: &Requirement, electorate: &[Principal]) -> Missing {
    let able = electorate.iter().filter(|person| requirement.people.includes(person));
    Missing {
        what: requirement.words(),
        approvals: requirement.approvals,
        people: able.map(|person| person.id.clone()).collect(),
    }
}

/// Whether different people out of `electorate` can meet all requirements of
/// `way` at once.
pub fn can_be_met(way: &Way, electorate: &[Principal]) -> bool {
    let able = |requirement: &Requirement| -> Vec<usize> {
        let people = electorate.iter().enumerate();
        people.filter(|(_, p)| requirement.people.includes(p)).map(|(i, _)| i).collect()
    };
    let mut taken: Vec<Option<usize>> = vec![None; electorate.len()];
    let mut seats: Vec<Vec<usize>> = Vec::new();
    for requirement in way {
        let people = able(requirement);
        if people.len() < requirement.approvals as usize {
            return false;
        }
        seats.extend((0..requirement.approvals).map(|_| people.clone()));
    }
    (0..seats.len()).all(|seat| seat_somebody(seat, &seats, &mut taken))
}

/// Fills `seat`, moving people who already sit where that helps (Kuhn's
/// algorithm, breadth first so that depth does not depend on input).
fn seat_somebody(seat: usize, seats: &[Vec<usize>], taken: &mut [Option<usize>]) -> bool {
    let mut came_from: Vec<Option<usize>> = vec![None; taken.len()];
    let mut queue = std::collections::VecDeque::from([seat]);
    while let Some(asking) = queue.pop_front() {
        for &person in &seats[asking] {
            if came_from[person].is_some() {
                continue;
            }
            came_from[person] = Some(asking);
            let Some(sits) = taken[person] else {
                // Everybody along the path moves over by one seat.
                let mut free = person;
                while let Some(to) = came_from[free] {
                    let before = taken.iter().position(|seat| *seat == Some(to));
                    taken[free] = Some(to);
                    match before {
                        Some(next) if to != seat => free = next,
                        _ => break,
                    }
                }
                return true;
            };
            queue.push_back(sits);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Audience;

    fn person(id: &str, groups: &[&str]) -> Principal {
        Principal {
            id: id.parse().unwrap(),
            email: String::new(),
            groups: groups.iter().map(|g| g.parse().unwrap()).collect(),
            attributes: Vec::new(),
        }
    }

    fn need(approvals: u32, groups: &[&str]) -> Requirement {
        let groups = groups.iter().map(ToString::to_string).collect();
        Requirement { people: Audience { groups, users: Vec::new() }, approvals, message: String::new() }
    }

    #[test]
    fn one_person_does_not_fill_two_seats() {
        let sue = person("sue", &["dba", "security"]);
        let way = vec![need(1, &["dba"]), need(1, &["security"])];
        assert!(!can_be_met(&way, std::slice::from_ref(&sue)));
        assert!(can_be_met(&way, &[sue.clone(), person("bob", &["dba"])]));
        assert!(can_be_met(&way, &[person("bob", &["dba"]), sue]));
    }

    #[test]
    fn people_move_over_where_that_helps() {
        let people = [
            person("a", &["x", "y"]),
            person("b", &["y", "z"]),
            person("c", &["x"]),
            person("d", &["z", "x"]),
        ];
        let way = vec![need(1, &["x"]), need(1, &["y"]), need(2, &["z"])];
        assert!(can_be_met(&way, &people));
        assert!(!can_be_met(&vec![need(3, &["z"])], &people));
    }

    #[test]
    fn q8_more_approvals_than_people_cannot_be_met() {
        let people = [person("bob", &["dba"]), person("bea", &["dba"])];
        let waiting = Waiting {
            rule: "r".parse().unwrap(),
            policy: "group-quorum".parse().unwrap(),
            ways: vec![vec![need(5, &["dba"])]],
        };
        let ways = ways_out(&waiting, &people);
        assert!(!ways[0].can_be_met);
        assert_eq!(ways[0].missing[0].what, "5 of dba");
        assert_eq!(ways[0].missing[0].people.len(), 2);
    }
}
