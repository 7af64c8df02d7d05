//! Who a person is in Slack, and what they want to hear of there.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::User;
use crate::Timestamp;
use crate::entry::{Actor, Happened, Step};
use crate::ids::GroupName;
use crate::refused::Refused;

/// The longest name that Slack gives to a workspace or a person, and more.
const NAME_BYTES_MAX: usize = 40;

/// Somebody in Slack, as Slack names them: a name that is never given to somebody else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlackUser {
    /// The workspace, such as `T0123456789`.
    pub team: String,
    /// The person in it, such as `U0123456789`.
    pub id: String,
}

impl SlackUser {
    /// The two names, where Slack could have given them.
    pub fn new(team: &str, id: &str) -> Option<Self> {
        let is_name = |text: &str, first: &[char]| {
            text.len() <= NAME_BYTES_MAX
                && text.starts_with(first)
                && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
        };
        let given = is_name(team, &['T', 'E']) && is_name(id, &['U', 'W']);
        given.then(|| Self { team: team.to_owned(), id: id.to_owned() })
    }
}

impl User {
    /// From now on they are `slack` there, instead of whoever they were. `other` is somebody else who
    /// is: a vote has one voter.
    pub fn bind_slack(
        &self,
        slack: SlackUser,
        other: Option<&User>,
        by: Actor,
        now: Timestamp,
    ) -> Result<Step, Refused> {
        if let Some(other) = other {
            let by = format!("user {}", other.id);
            return Err(Refused::InUse { what: "Slack user", name: slack.id, by });
        }
        if !self.profile.active {
            return Err(Refused::Inactive { user: self.id.clone() });
        }
        Ok(Step::one(self.stream(), self.revision, by, now, Happened::SlackBound { slack }))
    }

    /// They are nobody in Slack any more, and hear of nothing there.
    pub fn unbind_slack(&self, by: Actor, now: Timestamp) -> Result<Step, Refused> {
        self.in_slack()?;
        Ok(Step::one(self.stream(), self.revision, by, now, Happened::SlackUnbound))
    }

    /// They want to hear of requests that they can vote on, in a message to them alone; of those that
    /// wait for one of `groups`, or of all where none is named.
    pub fn subscribe(&self, groups: BTreeSet<GroupName>, by: Actor, now: Timestamp) -> Result<Step, Refused> {
        self.in_slack()?;
        if let Some(other) = groups.iter().find(|group| !self.profile.groups.contains(*group)) {
            let why = format!("you are not in {other}");
            return Err(Refused::Invalid { what: "group", why });
        }
        Ok(Step::one(self.stream(), self.revision, by, now, Happened::Subscribed { groups }))
    }

    /// They want to hear of nothing any more.
    pub fn unsubscribe(&self, by: Actor, now: Timestamp) -> Step {
        Step::one(self.stream(), self.revision, by, now, Happened::Unsubscribed)
    }

    /// Whether they want to hear of what waits for these groups; for nobody in particular, where
    /// there is none.
    pub fn hears_of(&self, groups: &[String]) -> bool {
        let wanted = self.subscription.as_ref().filter(|_| self.profile.active && self.slack.is_some());
        wanted.is_some_and(|wanted| {
            let theirs = |group: &String| wanted.iter().any(|one| one.as_str() == group);
            wanted.is_empty() || groups.is_empty() || groups.iter().any(theirs)
        })
    }

    fn in_slack(&self) -> Result<&SlackUser, Refused> {
        let none = || Refused::Unknown { what: "Slack user of", name: self.id.to_string() };
        self.slack.as_ref().ok_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_slack_could_name_somebody_is_a_slack_user() {
        assert!(SlackUser::new("T0QUORATE", "U0ANN").is_some());
        for (team, id) in [("T0", "ann"), ("", "U0ANN"), ("T0", ""), ("T0", "U0<ANN>"), ("U0", "T0")] {
            assert_eq!(SlackUser::new(team, id), None, "{team} {id}");
        }
        assert_eq!(SlackUser::new("T0", &format!("U{}", "0".repeat(NAME_BYTES_MAX))), None);
    }
}
