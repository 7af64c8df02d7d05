//! Inputs for an author's tests.
//!
//! ```
//! use quorate_kit::testing::{asks, person};
//!
//! let input = asks(person("ann", &["dev"]))
//!     .lasting("2h")
//!     .with_approval(person("bob", &["dba"]), "go ahead");
//! assert_eq!(input.approvals().count(), 1);
//! ```

use crate::{Access, AccessDuration, Attribute, Choice, Command, Input, Principal, Request, Target, Vote};

/// When a request of [`asks`] was submitted: 2027-01-15T08:00:00Z.
pub const SUBMITTED_AT: crate::Instant = 1_800_000_000_000;
const MINUTE: crate::Instant = 60_000;

/// Somebody in these groups.
pub fn person(id: &str, groups: &[&str]) -> Principal {
    let mut groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    groups.sort();
    Principal { id: id.to_owned(), email: format!("{id}@example.com"), groups, attributes: Vec::new() }
}

/// `requester` asks for half an hour on `prod-postgres`; nobody has voted.
pub fn asks(requester: Principal) -> Input {
    let target = Target {
        name: "prod-postgres".to_owned(),
        kind: "postgres".to_owned(),
        max_duration: None,
        attributes: Vec::new(),
    };
    let request = Request {
        id: "req-1".to_owned(),
        requester,
        target,
        access: Access::JustInTime(1800),
        reason: "to look at an incident".to_owned(),
        submitted_at: SUBMITTED_AT,
        attributes: Vec::new(),
    };
    Input {
        now: SUBMITTED_AT,
        request,
        votes: Vec::new(),
        history: Vec::new(),
        facts: Vec::new(),
        attributes: Vec::new(),
    }
}

/// For tests: the same input, changed.
impl Input {
    /// The request is for this long, written as `2h`.
    ///
    /// # Panics
    /// When the words are no duration.
    #[must_use]
    #[allow(clippy::expect_used, reason = "a test that misspells a duration should stop there")]
    pub fn lasting(mut self, words: &str) -> Self {
        let duration: AccessDuration = words.parse().expect("a duration such as 2h");
        self.request.access = Access::JustInTime(duration.seconds());
        self
    }

    /// The request is for one run of a command that reads `text`.
    #[must_use]
    pub fn running(mut self, text: &str) -> Self {
        self.request.access = Access::Command(Command { text: text.to_owned(), arguments: Vec::new() });
        self
    }

    /// The operator wrote `name` = `value` on the resource.
    #[must_use]
    pub fn with_target_attribute(mut self, name: &str, value: &str) -> Self {
        let value = serde_json::Value::from(value).to_string();
        self.request.target.attributes.push(Attribute { name: name.to_owned(), value });
        self
    }

    /// `voter` says yes.
    #[must_use]
    pub fn with_approval(self, voter: Principal, comment: &str) -> Self {
        self.with_vote(voter, Choice::Approve, false, comment)
    }

    /// `voter` says no.
    #[must_use]
    pub fn with_rejection(self, voter: Principal, comment: &str) -> Self {
        self.with_vote(voter, Choice::Reject, false, comment)
    }

    /// `voter` says yes for everybody.
    #[must_use]
    pub fn with_forced_approval(self, voter: Principal, comment: &str) -> Self {
        self.with_vote(voter, Choice::Approve, true, comment)
    }

    fn with_vote(mut self, voter: Principal, choice: Choice, forced: bool, comment: &str) -> Self {
        // One vote a minute, so that they have an order.
        self.now += MINUTE;
        let vote = Vote {
            voter,
            choice,
            forced,
            comment: comment.to_owned(),
            cast_at: self.now,
            attributes: Vec::new(),
        };
        self.votes.push(vote);
        self
    }
}
