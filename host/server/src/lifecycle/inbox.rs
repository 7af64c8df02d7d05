//! Whose list a request is on: what waits for somebody's vote, what is theirs, what they
//! may see.

use quorate_core::input::Principal;
use quorate_core::request::{Request, State};
use quorate_core::user::User;
use serde::Deserialize;
use utoipa::ToSchema;

use super::stuck::may_vote;
use super::{Error, Lifecycle};
use crate::ledger::{Page, Paged, RequestFilter};

/// Requests looked at, at once, to answer somebody who may not see all of them.
const LOOKED_AT_MAX: usize = 5_000;

/// Which of the requests that somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Inbox {
    /// Those that wait for their vote.
    Waiting,
    /// Their own.
    Mine,
    /// All of them.
    #[default]
    All,
}

impl Lifecycle {
    /// One page of the requests that `filter` leaves and that are in the `inbox` of `user`,
    /// the newest first.
    ///
    /// Where requests have to be looked at one by one, `total` counts among the newest 5,000
    /// that `filter` leaves, and a page may come back short, with a next one all the same.
    pub fn inbox(
        &self,
        inbox: Inbox,
        user: &User,
        filter: &RequestFilter,
        page: Page,
    ) -> Result<Paged<Request>, Error> {
        if inbox == Inbox::Mine || (inbox == Inbox::All && user.is_auditor()) {
            return Ok(self.ledger().find_requests(&of(inbox, user, filter), page)?);
        }
        self.scan_inbox(inbox, user, filter, page, |_| true)
    }

    /// The same, and each is looked at: those that do not fit are left out.
    pub fn scan_inbox(
        &self,
        inbox: Inbox,
        user: &User,
        filter: &RequestFilter,
        page: Page,
        fits: impl Fn(&Request) -> bool,
    ) -> Result<Paged<Request>, Error> {
        let person = user.principal();
        let shown = |request: &Request| match inbox {
            Inbox::Waiting => Counts::of(request, &person).any(),
            Inbox::Mine => true,
            Inbox::All => Self::may_see(request, user),
        };
        let filter = of(inbox, user, filter);
        let fits = |request: &Request| shown(request) && fits(request);
        Ok(self.ledger().scan_requests(&filter, page, LOOKED_AT_MAX, fits)?)
    }
}

/// `filter` for one inbox.
fn of(inbox: Inbox, user: &User, filter: &RequestFilter) -> RequestFilter {
    let mut filter = filter.clone();
    match inbox {
        Inbox::All => {}
        Inbox::Mine => filter.requester = Some(user.id.clone()),
        Inbox::Waiting => filter.states = vec!["PENDING".to_owned()],
    }
    filter
}

/// Which votes of somebody on a request would count now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// One like any other.
    pub vote: bool,
    /// One that skips what others still have to say.
    pub force: bool,
}

impl Counts {
    /// What would count of `person`.
    pub fn of(request: &Request, person: &Principal) -> Self {
        let open = matches!(request.state, State::Pending) && may_vote(request, person);
        let said = request.decision.as_deref().filter(|_| open);
        Self {
            vote: said.is_some_and(|said| said.voters.includes(person)),
            force: said.is_some_and(|said| said.forcers.includes(person)),
        }
    }

    fn any(self) -> bool {
        self.vote || self.force
    }
}
