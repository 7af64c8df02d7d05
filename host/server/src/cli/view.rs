//! What the gateway answers, as far as the command line shows it. Fields that a newer gateway adds
//! are ignored, and those that it leaves out are empty.

use quorate_core::Timestamp;
use serde::Deserialize;

use super::words;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Request {
    /// Which.
    pub(super) id: String,
    /// Where it stands, in capitals.
    pub(super) state: String,
    /// Who asks.
    pub(super) requester: String,
    /// For what.
    pub(super) resource: String,
    /// In which way.
    pub(super) access_type: String,
    /// How long, in the words it was asked in.
    #[serde(default)]
    pub(super) duration: Option<String>,
    /// The command.
    #[serde(default)]
    pub(super) command: Option<Command>,
    /// Why, in the requester's words.
    #[serde(default)]
    pub(super) reason: String,
    /// When it was made.
    pub(super) submitted_at: Timestamp,
    /// When it times out.
    pub(super) closes_at: Timestamp,
    /// The window.
    #[serde(default)]
    pub(super) granted: Option<Granted>,
    /// What will be granted where that is less than asked.
    #[serde(default)]
    pub(super) allowed: Option<Allowed>,
    /// Who voted.
    #[serde(default)]
    pub(super) votes: Vec<Vote>,
    /// What is missing.
    #[serde(default)]
    pub(super) waiting: Vec<Waiting>,
    /// One line for people.
    #[serde(default)]
    pub(super) summary: String,
    /// Whether nobody who could approve is there.
    #[serde(default)]
    pub(super) nobody_can_approve: bool,
    /// Policies that do not answer.
    #[serde(default)]
    pub(super) faults: Vec<Fault>,
    /// What policies want people to know.
    #[serde(default)]
    pub(super) findings: Vec<Finding>,
    /// What policies had people told.
    #[serde(default)]
    pub(super) reminders: Vec<Reminder>,
    /// The rules and policies that take part.
    #[serde(default)]
    pub(super) rules: Vec<RuleUsed>,
    /// How it was approved.
    #[serde(default)]
    pub(super) approval: Option<Approval>,
    /// How it ended.
    #[serde(default)]
    pub(super) ended: Option<Ended>,
    /// Its page.
    #[serde(default)]
    pub(super) url: String,
}

/// One run of exactly this.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Command {
    /// What it reads.
    #[serde(default)]
    pub(super) text: String,
    /// What is added to the resource's command line.
    #[serde(default)]
    pub(super) arguments: Vec<String>,
}

/// A window.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Granted {
    /// Its start.
    pub(super) from: Timestamp,
    /// Its end.
    pub(super) until: Timestamp,
}

/// Less than what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Allowed {
    /// How much.
    pub(super) duration: String,
    /// Who or what says so.
    #[serde(default)]
    pub(super) set_by: String,
}

/// One person's vote.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Vote {
    /// Who.
    pub(super) voter: String,
    /// Their groups at that time.
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// `approve` or `reject`.
    pub(super) choice: String,
    /// Whether others were passed over.
    #[serde(default)]
    pub(super) forced: bool,
    /// In their words.
    #[serde(default)]
    pub(super) comment: String,
    /// When.
    pub(super) cast_at: Timestamp,
}

/// What one policy waits for: any of the ways.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Waiting {
    /// Under which rule.
    #[serde(default)]
    pub(super) rule: String,
    /// The ways out.
    #[serde(default)]
    pub(super) ways: Vec<Way>,
}

/// All of these together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Way {
    /// Whether there are people enough.
    #[serde(default)]
    pub(super) can_be_met: bool,
    /// What is missing.
    #[serde(default)]
    pub(super) missing: Vec<Missing>,
}

/// One thing that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Missing {
    /// In words: `1 of security`.
    pub(super) what: String,
    /// Who can give it.
    #[serde(default)]
    pub(super) people: Vec<String>,
}

/// A policy that does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Fault {
    /// Under which rule.
    #[serde(default)]
    pub(super) rule: String,
    /// Which.
    pub(super) policy: String,
    /// Stable, for programs.
    #[serde(default)]
    pub(super) code: String,
    /// For people.
    #[serde(default)]
    pub(super) message: String,
}

/// Something to know.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Finding {
    /// Stable, for programs.
    #[serde(default)]
    pub(super) code: String,
    /// For people.
    pub(super) message: String,
    /// Where in a config.
    #[serde(default)]
    pub(super) path: Option<String>,
}

/// What a policy had people told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Reminder {
    /// When.
    pub(super) at: Timestamp,
    /// For people.
    pub(super) message: String,
    /// The policy.
    pub(super) policy: String,
    /// Everybody in any of these groups is meant.
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// These people are meant.
    #[serde(default)]
    pub(super) users: Vec<String>,
}

/// A rule that takes part.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct RuleUsed {
    /// Which.
    pub(super) rule: String,
    /// Its policies.
    #[serde(default)]
    pub(super) policies: Vec<PolicyUsed>,
}

/// A policy that takes part.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct PolicyUsed {
    /// Which.
    pub(super) policy: String,
    /// The digest of its component.
    #[serde(default)]
    pub(super) version: Option<String>,
    /// What it said, in one word.
    #[serde(default)]
    pub(super) said: String,
}

/// How a request was approved.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Approval {
    /// By whom or what, in words.
    #[serde(default)]
    pub(super) by: String,
    /// The policies that let it pass without waiting.
    #[serde(default)]
    pub(super) bypasses: Vec<Bypass>,
}

/// A policy that let a request pass without waiting for others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Bypass {
    /// Its reason.
    #[serde(default)]
    pub(super) why: String,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Ended {
    /// By whom or what.
    #[serde(default)]
    pub(super) by: String,
    /// Why; may be empty.
    #[serde(default)]
    pub(super) why: String,
    /// When.
    pub(super) at: Timestamp,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Session {
    /// Which.
    pub(super) id: String,
    /// Under which grant.
    #[serde(default)]
    pub(super) request: String,
    /// Whose.
    #[serde(default)]
    pub(super) user: String,
    /// On what.
    #[serde(default)]
    pub(super) resource: String,
    /// `terminal` or `command`.
    #[serde(default)]
    pub(super) mode: String,
    /// Since when.
    #[serde(default)]
    pub(super) opened_at: Option<Timestamp>,
    /// Until when at the latest.
    #[serde(default)]
    pub(super) until: Option<Timestamp>,
    /// How it ended.
    #[serde(default)]
    pub(super) ended: Option<SessionEnd>,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct SessionEnd {
    /// In one word.
    #[serde(default)]
    pub(super) reason: String,
    /// For people.
    #[serde(default)]
    pub(super) message: String,
    /// When.
    #[serde(default)]
    pub(super) at: Option<Timestamp>,
}

impl Request {
    /// Whether it waits to be decided.
    pub(super) fn is_pending(&self) -> bool {
        self.state == "PENDING"
    }

    /// What is asked, in a few words: `2h of access to prod` or `` `select 1` on prod ``.
    pub(super) fn asks(&self) -> String {
        match (&self.duration, &self.command) {
            (_, Some(command)) => format!("to run {} on {}", command.in_short(), self.resource),
            (Some(duration), None) => format!("for {duration} of access to {}", self.resource),
            (None, None) => format!("for {} access to {}", self.access_type, self.resource),
        }
    }

    /// What is missing and who can give it, one line for each policy that waits.
    pub(super) fn missing(&self) -> Vec<String> {
        let said = self.waiting.iter().filter_map(|waiting| {
            let ways: Vec<String> =
                waiting.ways.iter().map(Way::words).filter(|way| !way.is_empty()).collect();
            (!ways.is_empty()).then(|| ways.join(", or "))
        });
        let mut lines: Vec<String> = said.collect();
        lines.dedup();
        if lines.is_empty() && !self.summary.is_empty() && self.is_pending() {
            lines.push(self.summary.clone());
        }
        lines
    }

    /// What should be known before waiting: less than asked, nobody there, policies that do not
    /// answer.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(allowed) = &self.allowed {
            let asked = self.duration.as_deref().unwrap_or("what was asked");
            let by = if allowed.set_by.is_empty() { String::new() } else { format!(" ({})", allowed.set_by) };
            warnings.push(format!("you will get {} from the approval on, not {asked}{by}", allowed.duration));
        }
        if self.nobody_can_approve {
            let missing = self.missing().join("; ");
            let missing = if missing.is_empty() { "no policy names anybody".to_owned() } else { missing };
            warnings.push(format!(
                "nobody can approve this as things are ({missing}): tell those who run the gateway"
            ));
        }
        for fault in &self.faults {
            warnings.push(format!(
                "policy {} does not answer ({}): this waits until the policy is replaced",
                fault.policy,
                if fault.message.is_empty() { &fault.code } else { &fault.message },
            ));
        }
        let notes = self.findings.iter().filter(|finding| finding.code.starts_with("warning-"));
        warnings.extend(notes.map(|finding| finding.message.clone()));
        warnings
    }

    /// How it was approved: `approved by bob, sam` or `approved at once: admin`.
    pub(super) fn approved_by(&self) -> String {
        let Some(approval) = &self.approval else { return "approved".to_owned() };
        let why: Vec<&str> = approval.bypasses.iter().map(|one| one.why.as_str()).collect();
        let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
        format!("approved by {}{why}", approval.by)
    }

    /// How it ended: `rejected by sam at 10:00: too long`.
    pub(super) fn ending(&self) -> String {
        let what = self.state.to_lowercase().replace('_', " ");
        let Some(ended) = &self.ended else { return what };
        let by = if ended.by.is_empty() { String::new() } else { format!(" by {}", ended.by) };
        // Policies say who rejected as well; once is enough.
        let said = format!("{what}{by}");
        let why = ended
            .why
            .strip_prefix(&said)
            .map_or(ended.why.as_str(), |rest| rest.trim_start_matches([':', ' ']));
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        format!("{what}{by} at {}{why}", words::time(ended.at))
    }
}

impl Way {
    fn words(&self) -> String {
        let missing =
            self.missing.iter().map(|one| format!("{} ({})", one.what, words::names(&one.people, 5)));
        missing.collect::<Vec<_>>().join(" and ")
    }
}

impl Command {
    /// On one line, not too long.
    pub(super) fn in_short(&self) -> String {
        let text = words::short(&words::clean(&self.text), 60);
        let arguments = words::command_line(&self.arguments);
        match (text.is_empty(), arguments.is_empty()) {
            (false, true) => format!("`{text}`"),
            (true, _) => format!("`{}`", words::short(&arguments, 60)),
            (false, false) => format!("`{text}` with {}", words::short(&arguments, 60)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(in crate::cli) fn pending() -> Value {
        json!({
            "id": "r1", "state": "PENDING", "requester": "ann", "resource": "prod-postgres",
            "access_type": "just-in-time", "duration": "2h", "command": null, "reason": "a fix",
            "submitted_at": "2026-11-23T10:00:00Z", "closes_at": "2026-11-23T11:00:00Z",
            "granted": null, "allowed": null, "votes": [],
            "waiting": [{"rule": "prod", "policy": "group-quorum", "ways": [{"can_be_met": true, "missing": [
                {"what": "1 of dba", "approvals": 1, "people": ["bob", "bea"]},
                {"what": "1 of security", "approvals": 1, "people": ["sam"]},
            ]}]}],
            "summary": "waiting for 1 of dba (bob, bea)", "nobody_can_approve": false, "faults": [], "findings": [],
            "rules": [], "approval": null, "ended": null, "record": null, "url": "http://g/requests/r1", "revision": 2,
        })
    }

    pub(in crate::cli) fn request(change: impl FnOnce(&mut Value)) -> Request {
        let mut value = pending();
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_missing_names_who_can_give_it() {
        let request = request(|_| {});
        assert_eq!(request.missing(), ["1 of dba (bob, bea) and 1 of security (sam)"]);
        assert_eq!(request.asks(), "for 2h of access to prod-postgres");
        assert!(request.warnings().is_empty());
    }

    #[test]
    fn d4_less_than_asked_is_said_before_the_wait() {
        let request = request(|r| r["allowed"] = json!({"duration": "1h", "set_by": "policy duration-cap"}));
        assert_eq!(
            request.warnings(),
            ["you will get 1h from the approval on, not 2h (policy duration-cap)"]
        );
    }

    #[test]
    fn t7_nobody_who_can_approve_is_said_with_what_is_missing() {
        let request = request(|r| {
            r["nobody_can_approve"] = json!(true);
            r["waiting"] =
                json!([{"rule": "p", "ways": [{"missing": [{"what": "1 of security", "people": []}]}]}]);
        });
        assert!(
            request.warnings()[0].contains("nobody can approve this as things are (1 of security (nobody))")
        );
    }

    #[test]
    fn r7_a_fault_names_its_policy() {
        let faults =
            json!([{"rule": "p", "policy": "four-eyes", "code": "out-of-fuel", "message": "out of fuel"}]);
        let request = request(|r| r["faults"] = faults);
        assert!(request.warnings()[0].starts_with("policy four-eyes does not answer (out of fuel)"));
    }

    #[test]
    fn an_ending_says_who_when_and_why() {
        let request = request(|r| {
            r["state"] = json!("TIMED_OUT");
            r["ended"] = json!({"by": "the deadline", "why": "", "at": "2026-11-23T11:00:00Z"});
        });
        assert_eq!(request.ending(), "timed out by the deadline at 2026-11-23 11:00:00 UTC");
    }

    #[test]
    fn who_rejected_is_said_once() {
        let ending = |why: &str| {
            let ended = json!({"by": "bob", "why": why, "at": "2026-11-23T11:00:00Z"});
            request(|r| {
                r["state"] = json!("REJECTED");
                r["ended"] = ended;
            })
            .ending()
        };
        assert_eq!(
            ending("rejected by bob: not today"),
            "rejected by bob at 2026-11-23 11:00:00 UTC: not today"
        );
        assert_eq!(ending("rejected by bob"), "rejected by bob at 2026-11-23 11:00:00 UTC");
    }

    #[test]
    fn a_request_with_few_and_unknown_fields_is_read() {
        let value = json!({
            "id": "r", "state": "NEW_STATE", "requester": "a", "resource": "b", "access_type": "c", "later": {},
            "submitted_at": "2026-11-23T10:00:00Z", "closes_at": "2026-11-23T11:00:00Z",
        });
        assert_eq!(serde_json::from_value::<Request>(value).unwrap().ending(), "new state");
    }
}
