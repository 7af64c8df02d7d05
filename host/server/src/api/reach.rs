//! Who could get into a resource.

use axum::Json;
use axum::extract::State;
use jiff::SignedDuration;
use quorate_core::Timestamp;
use quorate_core::duration::AccessDuration;
use quorate_core::ids::{PolicyName, ResourceName};
use quorate_core::input::Command;
use quorate_core::refused::Refused;
use serde::Deserialize;
use utoipa::IntoParams;

use super::access::Auditor;
use super::backtest::find;
use super::body::{Path, Query};
use super::problem::Problem;
use crate::app::App;
use crate::lifecycle::{Grid, Reach};

/// What is asked for where nothing else is said.
const DURATIONS: &str = "10m,30m,1h,2h,8h,24h";
/// Durations of one question.
const DURATIONS_MAX: usize = 20;
/// A day of hours.
const HOURS: u16 = 24;
/// A week of them.
const HOURS_MAX: u16 = 168;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReachQuery {
    /// Lengths of access that everybody asks for, such as `30m,2h`; left out: 10 minutes to a day.
    durations: Option<String>,
    /// Everybody asks for one run of this instead.
    command: Option<String>,
    /// The first time at which they ask; left out: now.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// At how many hours, one after the other; 1 to 168, left out: 24.
    hours: Option<u16>,
    /// People who are left out, as if they were not there: names with commas between them.
    without: Option<String>,
    /// The policy in whose place a candidate stands.
    #[param(value_type = Option<String>)]
    policy: Option<PolicyName>,
    /// The digest of the candidate, or its first 8 or more digits: one that was sent, or
    /// any version of the policy.
    candidate: Option<String>,
}

/// Say who could get in
///
/// Every user asks for the resource, for every duration at every hour, on a copy: who would
/// get in with nobody approving, with one person, with two, and for how long. Facts that a
/// policy asks for are not known here. Nothing follows from it.
#[utoipa::path(get, path = "/api/resources/{name}/reach", tag = "resources", security(("token" = ["auditor"])),
    params(("name" = String, Path, description = "Into which"), ReachQuery),
    responses((status = 200, body = Reach)))]
pub(super) async fn reach(
    _: Auditor,
    State(app): State<App>,
    Path(name): Path<ResourceName>,
    Query(query): Query<ReachQuery>,
) -> Result<Json<Reach>, Problem> {
    let candidate = match (query.policy, query.candidate) {
        (None, None) => None,
        (Some(policy), Some(prefix)) => {
            let digest = find(&app, &policy, &prefix)?;
            Some((policy, digest))
        }
        _ => return Err(wrong("candidate", "name the policy and the candidate that stands in for it")),
    };
    let command = query.command.map(|text| Command { text, arguments: Vec::new() });
    let durations = match (&command, query.durations) {
        (Some(_), Some(_)) => return Err(wrong("durations", "a command is asked for without one")),
        (Some(_), None) => Vec::new(),
        (None, durations) => parse(durations.as_deref().unwrap_or(DURATIONS))?,
    };
    let hours = query.hours.unwrap_or(HOURS);
    if !(1..=HOURS_MAX).contains(&hours) {
        return Err(wrong("hours", &format!("give 1 to {HOURS_MAX}")));
    }
    let from = query.from.unwrap_or_else(|| app.clock.now());
    let times = (0..hours).map(|hour| from.checked_add(SignedDuration::from_hours(hour.into())));
    let times = times.collect::<Result<_, _>>().map_err(|_| wrong("from", "it is too late"))?;
    if from < Timestamp::UNIX_EPOCH {
        return Err(wrong("from", "it lies before 1970"));
    }
    let without = query.without.iter().flat_map(|names| names.split(',')).map(str::parse);
    let without =
        without.collect::<Result<_, _>>().map_err(|_| wrong("without", "give the names of people"))?;
    let grid = Grid { durations, command, times, without, candidate };
    Ok(Json(app.lifecycle.reach(name, grid).await?))
}

fn parse(text: &str) -> Result<Vec<AccessDuration>, Problem> {
    let durations = text.split(',').map(|one| one.trim().parse::<AccessDuration>());
    let durations: Vec<_> =
        durations.collect::<Result<_, _>>().map_err(|error| wrong("durations", &error.to_string()))?;
    if durations.len() > DURATIONS_MAX {
        return Err(wrong("durations", &format!("give at most {DURATIONS_MAX}")));
    }
    Ok(durations)
}

fn wrong(what: &'static str, why: &str) -> Problem {
    Refused::Invalid { what, why: why.to_owned() }.into()
}
