//! A person who can sign in. People are never removed, only switched off: a name
//! in the ledger must not come to mean somebody else.

mod slack;
mod vouched;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::channel::is_email;
use crate::entry::{Actor, Happened, Step, Stream};
use crate::ids::{GroupName, UserId};
use crate::input::Principal;
use crate::refused::Refused;

pub use slack::SlackUser;
pub use vouched::{Account, Vouched, admit};

/// Members may configure the gateway.
pub const ADMIN: &str = "admin";
/// Members may read everything and change nothing.
pub const AUDITOR: &str = "auditor";

/// The most groups one person can be in.
pub const GROUPS_MAX: usize = 200;

/// What an operator says of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Empty if none is known.
    #[serde(default)]
    pub email: String,
    /// The groups they are in.
    #[serde(default)]
    pub groups: BTreeSet<GroupName>,
    /// Whether they can sign in, ask and vote.
    #[serde(default = "yes")]
    pub active: bool,
}

fn yes() -> bool {
    true
}

/// A token that stands for its owner. The secret itself is never here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Which token.
    pub id: String,
    /// What its owner calls it.
    pub label: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
    /// The provider that said who its owner is; none: a password or another token did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched_by: Option<String>,
}

impl Token {
    /// Whether it works at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Their name.
    pub id: UserId,
    /// What the operator says of them.
    #[serde(flatten)]
    pub profile: Profile,
    /// Who they are at a provider that vouches for them; none: nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// Who they are in Slack; none: nobody that is known of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<SlackUser>,
    /// What they want to hear of in messages to them alone: requests that wait for these groups of
    /// theirs, all that they can vote on where it is empty; none: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<BTreeSet<GroupName>>,
    /// Their tokens; those that ended are dropped when another is issued.
    #[serde(default)]
    pub tokens: Vec<Token>,
    /// How many entries made them what they are.
    pub revision: u64,
}

impl User {
    /// Them, as policies see them.
    pub fn principal(&self) -> Principal {
        Principal {
            id: self.id.clone(),
            email: self.profile.email.clone(),
            groups: self.profile.groups.iter().cloned().collect(),
            attributes: Vec::new(),
        }
    }

    /// Whether they may configure the gateway.
    pub fn is_admin(&self) -> bool {
        self.profile.active && self.profile.groups.iter().any(|group| group.as_str() == ADMIN)
    }

    /// Whether they may read everything.
    pub fn is_auditor(&self) -> bool {
        let groups = &self.profile.groups;
        self.profile.active && groups.iter().any(|g| g.as_str() == ADMIN || g.as_str() == AUDITOR)
    }

    /// A token was issued.
    pub fn issue(&self, token: Token, by: Actor, now: Timestamp) -> Step {
        Step::one(self.stream(), self.revision, by, now, Happened::TokenIssued { token })
    }

    /// A token is taken back.
    pub fn revoke(&self, id: &str, by: Actor, now: Timestamp) -> Result<Step, Refused> {
        match self.tokens.iter().find(|token| token.id == id) {
            Some(token) if token.revoked_at.is_none() => {
                let happened = Happened::TokenRevoked { id: id.to_owned() };
                Ok(Step::one(self.stream(), self.revision, by, now, happened))
            }
            _ => Err(Refused::Unknown { what: "token", name: id.to_owned() }),
        }
    }

    /// A new password was set; the hash is kept elsewhere. All tokens end with
    /// the old password.
    pub fn set_password(&self, by: Actor, now: Timestamp) -> Step {
        Step::one(self.stream(), self.revision, by, now, Happened::PasswordSet)
    }

    /// They are as an operator says from now on. Whoever is switched off keeps no token:
    /// one that was stolen does not work again when they are switched on.
    fn save_profile(&mut self, profile: Profile, now: Timestamp) {
        self.profile = profile;
        if !self.profile.active {
            self.end_tokens(now);
        }
    }

    fn end_tokens(&mut self, now: Timestamp) {
        for token in self.tokens.iter_mut().filter(|token| token.revoked_at.is_none()) {
            token.revoked_at = Some(now);
        }
    }

    fn stream(&self) -> Stream {
        Stream::user(&self.id)
    }

    /// The person after `happened`, or nobody where the two do not fit.
    pub(crate) fn fold(
        before: Option<Self>,
        stream: &Stream,
        at: Timestamp,
        happened: &Happened,
    ) -> Option<Self> {
        let mut user = match (before, happened) {
            (Some(user), _) => user,
            (None, Happened::UserSaved { profile }) => Self {
                id: stream.name().parse().ok()?,
                profile: profile.clone(),
                account: None,
                slack: None,
                subscription: None,
                tokens: Vec::new(),
                revision: 0,
            },
            (None, _) => return None,
        };
        match happened {
            Happened::UserSaved { profile } => user.save_profile(profile.clone(), at),
            Happened::TokenIssued { token } => {
                user.tokens.retain(|token| token.is_valid(at));
                user.tokens.push(token.clone());
            }
            Happened::TokenRevoked { id } => {
                for token in user.tokens.iter_mut().filter(|token| token.id == *id) {
                    token.revoked_at = Some(at);
                }
            }
            Happened::PasswordSet => user.end_tokens(at),
            Happened::AccountBound { account } => user.account = Some(account.clone()),
            Happened::SlackBound { slack } => user.slack = Some(slack.clone()),
            Happened::SlackUnbound => (user.slack, user.subscription) = (None, None),
            Happened::Subscribed { groups } => user.subscription = Some(groups.clone()),
            Happened::Unsubscribed => user.subscription = None,
            _ => return None,
        }
        user.revision += 1;
        Some(user)
    }
}

/// Saves what is said of a person. `other_admin` is an active admin besides them who can
/// sign in: the last one cannot be lost.
pub fn save(
    id: &UserId,
    before: Option<&User>,
    profile: Profile,
    other_admin: Option<&User>,
    by: Actor,
    now: Timestamp,
) -> Result<Step, Refused> {
    let stays = profile.active && profile.groups.iter().any(|group| group.as_str() == ADMIN);
    let step = saved(id, before, profile, by, now)?;
    if stays || !before.is_some_and(User::is_admin) {
        return Ok(step);
    }
    match other_admin {
        // Nobody switches this one off at the same time.
        Some(other) => Ok(step.only_while(other.stream(), other.revision)),
        None => Err(Refused::LastAdmin { user: id.clone() }),
    }
}

/// The same, whoever is an admin then.
fn saved(
    id: &UserId,
    before: Option<&User>,
    profile: Profile,
    by: Actor,
    now: Timestamp,
) -> Result<Step, Refused> {
    if profile.groups.len() > GROUPS_MAX {
        return Err(Refused::TooLong { what: "the list of groups", max: GROUPS_MAX, unit: "groups" });
    }
    // What somebody has already keeps nobody from changing their groups.
    let is_new = before.is_none_or(|user| user.profile.email != profile.email);
    if is_new && !profile.email.is_empty() && !is_email(&profile.email) {
        let why = "give one address, such as ann@example.org, without a name".to_owned();
        return Err(Refused::Invalid { what: "email", why });
    }
    let revision = before.map_or(0, |user| user.revision);
    Ok(Step::one(Stream::user(id), revision, by, now, Happened::UserSaved { profile }))
}

/// Says who is in a group: whoever is named joins, everybody else leaves, all at once.
/// `users` is everybody there is, and `able` those of them who can sign in: admins are
/// only left where one of those is. None where it is so already.
pub fn save_group(
    name: &GroupName,
    members: &BTreeSet<UserId>,
    users: &[User],
    able: &BTreeSet<UserId>,
    by: &Actor,
    now: Timestamp,
) -> Result<Option<Step>, Refused> {
    let known: BTreeSet<&UserId> = users.iter().map(|user| &user.id).collect();
    if let Some(unknown) = members.iter().find(|id| !known.contains(id)) {
        return Err(Refused::Unknown { what: "user", name: unknown.to_string() });
    }
    let mut step: Option<Step> = None;
    for user in users {
        let mut profile = user.profile.clone();
        let joins = members.contains(&user.id);
        if if joins { profile.groups.insert(name.clone()) } else { profile.groups.remove(name) } {
            // Whether there is an admin left is a question about all of them, below.
            let saved = saved(&user.id, Some(user), profile, by.clone(), now)?;
            step = Some(match step {
                Some(step) => step.and(saved),
                None => saved,
            });
        }
    }
    let last = users.iter().find(|user| user.is_admin()).filter(|_| name.as_str() == ADMIN);
    let (Some(made), Some(last)) = (&step, last) else { return Ok(step) };
    let stays = |user: &&User| user.profile.active && members.contains(&user.id) && able.contains(&user.id);
    match users.iter().find(stays) {
        // Nobody switches this one off at the same time.
        Some(stays) => Ok(Some(made.clone().only_while(stays.stream(), stays.revision))),
        None => Err(Refused::LastAdmin { user: last.id.clone() }),
    }
}
