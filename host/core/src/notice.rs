//! What a policy wants people to be told about a request: its obligations of kind
//! `notify`.
//!
//! Not here: that each is told once ([`crate::request`]), and how people hear of it.

use serde::{Deserialize, Serialize};

use crate::ids::{NoticeId, PolicyName, RuleName};
use crate::text;
use crate::verdict::Audience;

/// The kind of such an obligation.
pub const NOTIFY: &str = "notify";
/// Notices that one decision keeps.
pub const NOTICES_PER_DECISION_MAX: usize = 20;
/// Notices that one request has in all its life.
pub const NOTICES_PER_REQUEST_MAX: usize = 100;
/// The longest message, in bytes; what is longer is cut.
pub const MESSAGE_BYTES_MAX: usize = 1000;

/// Groups and users that one notice names.
const NAMES_MAX: usize = 100;
/// The longest name of one, in bytes.
const NAME_BYTES_MAX: usize = crate::ids::NAME_BYTES_MAX;

/// Something that people are to be told, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Under which rule.
    pub rule: RuleName,
    /// The policy that says it.
    pub policy: PolicyName,
    /// Its name within the request, the rule and the policy.
    pub id: NoticeId,
    /// For people to read, in one line.
    pub message: String,
    /// For whom; nobody: for those who can still vote.
    #[serde(flatten)]
    pub people: Audience,
}

/// The parameters of the obligation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    id: NoticeId,
    message: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    users: Vec<String>,
}

impl Notice {
    /// The notice that `params`, a JSON text, ask for; or why they ask for none.
    pub fn read(rule: &RuleName, policy: &PolicyName, params: &str) -> Result<Self, String> {
        let Params { id, message, groups, users } =
            serde_json::from_str(params).map_err(|error| text::shown(&error.to_string(), 300))?;
        let message = text::line(&message, MESSAGE_BYTES_MAX);
        if message.is_empty() {
            return Err("its message is empty".to_owned());
        }
        if groups.len() + users.len() > NAMES_MAX {
            return Err(format!(
                "it names {} groups and users, at most {NAMES_MAX}",
                groups.len() + users.len()
            ));
        }
        let fits =
            |name: &&String| (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(text::steers);
        if let Some(name) = groups.iter().chain(&users).find(|name| !fits(name)) {
            return Err(format!("no group or user can be called `{}`", text::shown(name, 80)));
        }
        let (rule, policy) = (rule.clone(), policy.clone());
        Ok(Self { rule, policy, id, message, people: Audience { groups, users } })
    }

    /// Whether the two are one and the same to a request, whatever they say.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.rule, &self.policy, &self.id) == (&other.rule, &other.policy, &other.id)
    }

    /// For whom it is, in words.
    pub fn whom(&self) -> String {
        let names: Vec<&str> =
            self.people.groups.iter().chain(&self.people.users).map(String::as_str).collect();
        if names.is_empty() { "those who can still vote".to_owned() } else { names.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(params: &str) -> Result<Notice, String> {
        Notice::read(&"r".parse().unwrap(), &"p".parse().unwrap(), params)
    }

    #[test]
    fn a_notice_says_what_to_whom() {
        let notice =
            read(r#"{"id":"late","message":"please look","groups":["dba"],"users":["eve"]}"#).unwrap();
        assert_eq!((notice.id.as_str(), notice.message.as_str()), ("late", "please look"));
        assert_eq!(notice.whom(), "dba, eve");
        assert_eq!(read(r#"{"id":"late","message":"look"}"#).unwrap().whom(), "those who can still vote");
    }

    #[test]
    fn a_message_is_one_line_that_steers_nothing_and_is_not_too_long() {
        let params = r#"{"id":"a","message":" one\r\n two\u001b[2J\u202e "}"#;
        assert_eq!(read(params).unwrap().message, "one two\u{fffd}[2J\u{fffd}");
        let long = serde_json::json!({ "id": "a", "message": "ä".repeat(600) }).to_string();
        let message = read(&long).unwrap().message;
        assert_eq!((message.len(), message.chars().next_back()), (999, Some('…')));
        let just = serde_json::json!({ "id": "a", "message": "ä".repeat(500) }).to_string();
        assert_eq!(read(&just).unwrap().message, "ä".repeat(500));
    }

    #[test]
    fn what_is_not_of_this_form_says_why() {
        for (params, why) in [
            ("{}", "missing field `id`"),
            ("[]", "invalid length 0"),
            (r#"{"id":"a"}"#, "missing field `message`"),
            (r#"{"id":"a","message":" \n"}"#, "its message is empty"),
            (r#"{"id":"","message":"m"}"#, "is not a valid notice id"),
            (r#"{"id":"a b","message":"m"}"#, "`a b` is not a valid notice id"),
            (r#"{"id":"a","message":7}"#, "invalid type"),
            (r#"{"id":"a","message":"m","group":["dba"]}"#, "unknown field `group`"),
            (r#"{"id":"a","message":"m","groups":"dba"}"#, "invalid type"),
            (r#"{"id":"a","message":"m","groups":[""]}"#, "no group or user can be called ``"),
            (r#"{"id":"a","message":"m","users":["e\u001bve"]}"#, "can be called `e\u{fffd}ve`"),
        ] {
            let said = read(params).unwrap_err();
            assert!(said.contains(why) && !said.chars().any(text::steers), "{params}: {said}");
        }
        let many = serde_json::json!({ "id": "a", "message": "m", "users": vec!["eve"; 101] }).to_string();
        assert_eq!(read(&many).unwrap_err(), "it names 101 groups and users, at most 100");
    }
}
