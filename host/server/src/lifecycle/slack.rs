//! Who people are in Slack, and what they hear of there.

use std::collections::BTreeSet;

use quorate_core::channel::{Channel, ChannelKind, EventType};
use quorate_core::ids::{GroupName, UserId};
use quorate_core::refused::Refused;
use quorate_core::request::Request;
use quorate_core::user::{SlackUser, User};

use super::{Error, Lifecycle, Plan, actor, nothing_planned};

impl Lifecycle {
    /// Whoever is this person in Slack. Nobody where two are: a vote has one voter.
    pub fn known_in_slack(&self, slack: &SlackUser) -> Result<Option<User>, Error> {
        let mut found = self.ledger().users()?.into_iter().filter(|user| user.slack.as_ref() == Some(slack));
        Ok(found.next().filter(|_| found.next().is_none()))
    }

    /// The channels in Slack that hear of a request.
    pub fn slack_channels(&self, request: &Request) -> Result<Vec<Channel>, Error> {
        let resource = self.ledger().resource(&request.asked.resource)?;
        let hears = |one: &Channel| {
            matches!(one.kind, ChannelKind::Slack { .. })
                && one.hears(EventType::RequestSubmitted, request, resource.as_ref())
        };
        Ok(self.ledger().channels()?.into_iter().filter(hears).collect())
    }

    /// From now on `user` is `slack` there, as they say themselves.
    pub async fn bind_slack(&self, user: &UserId, slack: SlackUser) -> Result<(), Error> {
        let user = user.clone();
        self.change(None, move |inner, now| {
            let person = inner.user(&user)?;
            if person.slack.as_ref() == Some(&slack) {
                return Ok(None);
            }
            let users = inner.ledger.users()?;
            let other = users.iter().find(|one| one.slack.as_ref() == Some(&slack));
            let step = person.bind_slack(slack.clone(), other, actor(&user), now)?;
            Ok(Some(Plan::to(step, ())))
        })
        .await
        .map(|_| ())
    }

    /// `user` is nobody in Slack any more, as `by` says.
    pub async fn unbind_slack(&self, user: &UserId, by: &UserId) -> Result<(), Error> {
        let (user, by) = (user.clone(), by.clone());
        self.change(None, move |inner, now| {
            let step = inner.user(&user)?.unbind_slack(actor(&by), now)?;
            Ok(Some(Plan::to(step, ())))
        })
        .await?
        .ok_or_else(nothing_planned)
    }

    /// `user` wants to hear of what they can vote on and waits for one of these groups of theirs;
    /// of all of it where there is none.
    pub async fn subscribe(&self, user: &UserId, groups: BTreeSet<GroupName>) -> Result<(), Error> {
        let user = user.clone();
        self.change(None, move |inner, now| {
            let person = inner.active_user(&user)?;
            if person.subscription.as_ref() == Some(&groups) {
                return Ok(None);
            }
            let step = person.subscribe(groups.clone(), actor(&user), now)?;
            Ok(Some(Plan::to(step, ())))
        })
        .await
        .map(|_| ())
    }

    /// `user` wants to hear of nothing any more, or of nothing that waits for these groups.
    pub async fn unsubscribe(&self, user: &UserId, groups: BTreeSet<GroupName>) -> Result<(), Error> {
        let user = user.clone();
        self.change(None, move |inner, now| {
            let person = inner.user(&user)?;
            let Some(before) = &person.subscription else { return Ok(None) };
            let left: BTreeSet<GroupName> = before.difference(&groups).cloned().collect();
            if before.is_empty() && !groups.is_empty() {
                let why = "you hear of everything: unsubscribe, and subscribe to the groups you want";
                return Err(Refused::Invalid { what: "group", why: why.to_owned() }.into());
            }
            let step = if groups.is_empty() || left.is_empty() {
                person.unsubscribe(actor(&user), now)
            } else {
                person.subscribe(left, actor(&user), now)?
            };
            Ok(Some(Plan::to(step, ())))
        })
        .await
        .map(|_| ())
    }
}
