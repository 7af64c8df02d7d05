//! Links that say who somebody is in Slack: given out in Slack to them alone, opened by whoever is
//! signed in here, good for ten minutes of this process.

use quorate_core::Timestamp;
use quorate_core::user::SlackUser;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::signature;

/// How long a link is good, in seconds.
const GOOD_FOR: i64 = 10 * 60;

/// What a link says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// The workspace.
    pub team: String,
    /// The person in it.
    pub user: String,
    /// What they are called there, for people.
    pub name: String,
    /// Until when the link is good, in seconds since the Unix epoch.
    pub until: i64,
    /// That we gave it out.
    pub code: String,
}

/// What makes and knows links.
pub struct Links {
    key: [u8; 32],
}

impl Links {
    /// With a key of its own.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// What a link says to this person.
    pub fn make(&self, slack: &SlackUser, name: &str, now: Timestamp) -> Said {
        let until = now.as_second().saturating_add(GOOD_FOR);
        let (team, user) = (slack.team.clone(), slack.id.clone());
        let said = Said { team, user, name: name.to_owned(), until, code: String::new() };
        Said { code: self.code(&said), ..said }
    }

    /// Who a link says somebody is; none where we did not give it out, or it is too old.
    pub fn read(&self, said: &Said, now: Timestamp) -> Option<SlackUser> {
        let is_ours = bool::from(self.code(said).as_bytes().ct_eq(said.code.as_bytes()));
        let is_good = said.until > now.as_second();
        SlackUser::new(&said.team, &said.user).filter(|_| is_ours && is_good)
    }

    fn code(&self, said: &Said) -> String {
        signature::code(&self.key, &[&said.team, &said.user, &said.name, &said.until.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_for_ten_minutes_and_for_whom_it_was_given_to() {
        let links = Links::new([7; 32]);
        let now: Timestamp = "2026-11-27T10:00:00Z".parse().unwrap();
        let at = |seconds: i64| Timestamp::from_second(now.as_second() + seconds).unwrap();
        let ann = SlackUser::new("T0", "U0ANN").unwrap();
        let said = links.make(&ann, "ann", now);
        assert_eq!(links.read(&said, at(599)), Some(ann));
        assert_eq!(links.read(&said, at(600)), None);
        for other in [
            Said { user: "U0EVE".to_owned(), ..said.clone() },
            Said { team: "T1".to_owned(), ..said.clone() },
            Said { name: "eve".to_owned(), ..said.clone() },
            Said { until: said.until + 1, ..said.clone() },
            Said { code: String::new(), ..said.clone() },
        ] {
            assert_eq!(links.read(&other, now), None, "{other:?}");
        }
        assert_eq!(Links::new([8; 32]).read(&said, now), None);
    }
}
