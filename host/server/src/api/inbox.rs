//! Lists of requests: what waits for me, what is mine, what I may see.

use std::cell::RefCell;

use axum::Json;
use axum::extract::State;
use quorate_core::Timestamp;
use quorate_core::ids::{ResourceName, UserId};
use quorate_core::request::{Request, STATE_NAMES};
use quorate_core::rule::AccessType;
use serde::Deserialize;
use utoipa::IntoParams;

use super::access::SignedIn;
use super::body::Query;
use super::page::{Listed, bad_cursor, limit};
use super::problem::Problem;
use crate::app::App;
use crate::ledger::{Cursor, Page, RequestFilter, TEXT_CHARS_MAX};
use crate::lifecycle::{Inbox, RequestView};

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
    let filter = query.filter()?;
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
            None => app.lifecycle.inbox(query.inbox, &user, &filter, page)?,
            Some(_) => app.lifecycle.scan_inbox(query.inbox, &user, &filter, page, fits)?,
        };
        let items = app.lifecycle.views(&found.items)?;
        let next = found.next.map(|cursor| cursor.to_string());
        Ok(Json(Listed { items, next, total: found.total }))
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(&error))?
}

impl RequestQuery {
    fn filter(&self) -> Result<RequestFilter, Problem> {
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
        if self.nobody_can_approve == Some(true) && states.is_empty() {
            // No other is waited for.
            states = vec!["PENDING".to_owned()];
        }
        Ok(RequestFilter {
            states,
            requester: self.requester.clone(),
            resource: self.resource.clone(),
            access_type: self.access_type,
            text: self.text.clone(),
            since: self.since,
            until: self.until,
        })
    }
}
