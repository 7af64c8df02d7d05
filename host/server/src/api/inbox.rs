//! Lists of requests: what waits for me, what is mine, what I may see.

use std::cell::RefCell;

use axum::Json;
use axum::extract::State;
use quorate_core::Timestamp;
use quorate_core::ids::{ResourceName, UserId};
use quorate_core::input::Principal;
use quorate_core::request::{Request, STATE_NAMES};
use quorate_core::rule::AccessType;
use quorate_core::user::User;
use serde::Deserialize;
use utoipa::IntoParams;

use super::access::SignedIn;
use super::body::Query;
use super::page::{Listed, bad_cursor, limit};
use super::problem::Problem;
use crate::app::App;
use crate::ledger::{Cursor, Ledger, Page, Paged, RequestFilter};
use crate::lifecycle::{Lifecycle, RequestView};

/// Requests looked at, at once, to answer somebody who may not see all of them.
const LOOKED_AT_MAX: usize = 5_000;

/// The longest text to look for, in characters.
const TEXT_CHARS_MAX: usize = 200;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RequestQuery {
    /// In any of these states, as in `PENDING,APPROVED`.
    state: Option<String>,
    /// By this person.
    #[param(value_type = Option<String>)]
    requester: Option<UserId>,
    /// For this resource.
    #[param(value_type = Option<String>)]
    resource: Option<ResourceName>,
    /// `just-in-time` or `command`.
    #[param(value_type = Option<String>)]
    access_type: Option<AccessType>,
    /// With this in the reason or the id.
    text: Option<String>,
    /// Only those that nobody can approve as things are; or only others.
    nobody_can_approve: Option<bool>,
    /// Asked at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Asked before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// `waiting` for my vote, `mine`, or `all` that I may see.
    #[serde(default)]
    #[param(inline)]
    inbox: Inbox,
    /// Items on a page, 1 to 200.
    limit: Option<usize>,
    /// What `next` said on the page before.
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Inbox {
    Waiting,
    Mine,
    #[default]
    All,
}

/// Requests, the newest first
///
/// Auditors and admins see all of them; everybody else sees their own, and those
/// that they may vote or have voted on. For them `total` counts among the newest
/// 5,000 that fit the filters, and a page may have fewer items than its limit, or none,
/// and a `next` all the same: the list ends where there is no `next`. So it is for everybody
/// with `nobody_can_approve`, for which requests are looked at one by one.
#[utoipa::path(get, path = "/api/requests", tag = "requests", security(("token" = [])), params(RequestQuery),
    responses((status = 200, body = Listed<RequestView>)))]
pub(super) async fn list(
    SignedIn { user, .. }: SignedIn,
    State(app): State<App>,
    Query(query): Query<RequestQuery>,
) -> Result<Json<Listed<RequestView>>, Problem> {
    let limit = limit(query.limit)?;
    let after: Option<Cursor> =
        query.cursor.as_deref().map(str::parse).transpose().map_err(|_| bad_cursor())?;
    let filter = query.filter(&user)?;
    let work = move || {
        let hopeless = query.nobody_can_approve.map(|wanted| (wanted, app.lifecycle.voters()));
        let hopeless = match hopeless {
            Some((wanted, voters)) => Some((wanted, RefCell::new(voters?))),
            None => None,
        };
        let fits = |request: &Request| {
            hopeless
                .as_ref()
                .is_none_or(|(wanted, voters)| voters.borrow_mut().cannot_approve(request) == *wanted)
        };
        let page = Page { after, limit };
        let found = match &hopeless {
            None => find(&app.ledger, &filter, query.inbox, &user, page)?,
            Some(_) => scan(&app.ledger, &filter, query.inbox, &user, page, fits)?,
        };
        let items = app.lifecycle.views(&found.items)?;
        let next = found.next.map(|cursor| cursor.to_string());
        Ok(Json(Listed { items, next, total: found.total }))
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(&error))?
}

impl RequestQuery {
    fn filter(&self, user: &User) -> Result<RequestFilter, Problem> {
        let mut states: Vec<String> = Vec::new();
        for state in self.state.iter().flat_map(|states| states.split(',')) {
            let name = state.trim().to_ascii_uppercase();
            if !STATE_NAMES.contains(&name.as_str()) {
                let states = STATE_NAMES.join(", ");
                return Err(Problem::bad_request(format!("state: `{state}` is none of {states}")));
            }
            states.push(name);
        }
        if self.text.as_ref().is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX) {
            return Err(Problem::bad_request(format!("text: at most {TEXT_CHARS_MAX} characters")));
        }
        let mut requester = self.requester.clone();
        match self.inbox {
            Inbox::All => {}
            Inbox::Mine => requester = Some(user.id.clone()),
            Inbox::Waiting => states = vec!["PENDING".to_owned()],
        }
        if self.nobody_can_approve == Some(true) && states.is_empty() {
            // No other is waited for.
            states = vec!["PENDING".to_owned()];
        }
        Ok(RequestFilter {
            states,
            requester,
            resource: self.resource.clone(),
            access_type: self.access_type,
            text: self.text.clone(),
            since: self.since,
            until: self.until,
        })
    }
}

/// One page of the requests that fit and that `user` is to see.
fn find(
    ledger: &Ledger,
    filter: &RequestFilter,
    inbox: Inbox,
    user: &User,
    page: Page,
) -> Result<Paged<Request>, Problem> {
    if inbox == Inbox::Mine || (inbox == Inbox::All && user.is_auditor()) {
        return Ok(ledger.find_requests(filter, page)?);
    }
    scan(ledger, filter, inbox, user, page, |_| true)
}

/// The same where each has to be looked at; those that are not `fit` are left out.
fn scan(
    ledger: &Ledger,
    filter: &RequestFilter,
    inbox: Inbox,
    user: &User,
    page: Page,
    fits: impl Fn(&Request) -> bool,
) -> Result<Paged<Request>, Problem> {
    let person = user.principal();
    let shown = |request: &Request| match inbox {
        Inbox::Waiting => waits_for(request, &person),
        Inbox::Mine => true,
        Inbox::All => Lifecycle::may_see(request, user),
    };
    Ok(ledger.scan_requests(filter, page, LOOKED_AT_MAX, |request| shown(request) && fits(request))?)
}

/// Whether `person` could vote on the request now.
fn waits_for(request: &Request, person: &Principal) -> bool {
    let votes = request
        .decision
        .as_ref()
        .is_some_and(|said| said.voters.includes(person) || said.forcers.includes(person));
    votes
        && request.asked.requester != person.id
        && !request.votes.iter().any(|vote| vote.voter.id == person.id)
}
