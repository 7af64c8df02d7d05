//! People for whom a provider vouches: somebody else's word on who they are, and on the groups
//! they are in.
//!
//! Not here: how a provider is asked, and which of its words mean which group.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Profile, User, save, saved};
use crate::Timestamp;
use crate::entry::{Actor, Happened, Step, Stream};
use crate::ids::{GroupName, UserId};
use crate::refused::Refused;

/// The longest subject, in bytes (`OpenID` Connect Core, section 2).
const SUBJECT_BYTES_MAX: usize = 255;

/// Who somebody is at a provider. The two together are theirs for ever; what they are called
/// there may change, and may be somebody else's name later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Which provider.
    pub issuer: String,
    /// Who, there.
    pub subject: String,
}

/// What a provider says of somebody who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// Who they are there.
    pub account: Account,
    /// What they would be called here, or why that cannot be; only asked of somebody new.
    pub name: Result<UserId, Refused>,
    /// Their address; only taken of somebody new. Empty if none is known for sure.
    pub email: String,
    /// All of their groups.
    pub groups: BTreeSet<GroupName>,
}

impl Vouched {
    /// The one of `users` that this is.
    pub fn find<'a>(&self, users: &'a [User]) -> Option<&'a User> {
        users.iter().find(|user| user.account.as_ref() == Some(&self.account))
    }
}

/// Takes a provider's word: somebody new is added under the name it gives, and bound to their
/// account there; somebody known is put into the groups it says, and into no others. `users` is
/// everybody there is, and `able` those of them who can sign in. None where nothing changes.
///
/// A name that somebody has is never given to an account: whoever chooses names at the provider
/// would choose whom to be here.
pub fn admit(
    vouched: &Vouched,
    users: &[User],
    able: &BTreeSet<UserId>,
    now: Timestamp,
) -> Result<Option<Step>, Refused> {
    let Some(user) = vouched.find(users) else { return add(vouched, users, now).map(Some) };
    if !user.profile.active {
        return Err(Refused::Inactive { user: user.id.clone() });
    }
    if user.profile.groups == vouched.groups {
        return Ok(None);
    }
    let other = users.iter().find(|one| one.id != user.id && one.is_admin() && able.contains(&one.id));
    let profile = Profile { groups: vouched.groups.clone(), ..user.profile.clone() };
    save(&user.id, Some(user), profile, other, Actor::Gateway, now).map(Some)
}

fn add(vouched: &Vouched, users: &[User], now: Timestamp) -> Result<Step, Refused> {
    let Account { subject, .. } = &vouched.account;
    if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX || subject.chars().any(char::is_control) {
        let why = format!("1 to {SUBJECT_BYTES_MAX} bytes, none of them control characters");
        return Err(Refused::Invalid { what: "subject", why });
    }
    let id = vouched.name.clone()?;
    // `Root` is not `root`, but people who approve would take them for the same.
    if let Some(taken) = users.iter().find(|user| user.id.as_str().eq_ignore_ascii_case(id.as_str())) {
        return Err(Refused::NameTaken { user: taken.id.clone() });
    }
    let profile = Profile { email: vouched.email.clone(), groups: vouched.groups.clone(), active: true };
    let added = saved(&id, None, profile, Actor::Gateway, now)?;
    let bound = Happened::AccountBound { account: vouched.account.clone() };
    let stream = Stream::user(&id);
    Ok(added.and(Step::one(stream, 1, Actor::Gateway, now, bound)))
}
