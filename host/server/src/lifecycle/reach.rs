//! Who could get into a resource: with nobody approving, with one person, with two. Every
//! user asks, for every duration at every time of a grid, on a copy; votes are tried as
//! in [`what_if`](super::what_if). Nothing of it is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::Timestamp;
use quorate_core::duration::AccessDuration;
use quorate_core::ids::{Digest, PolicyName, RequestId, ResourceName, UserId};
use quorate_core::input::{Command, Principal};
use quorate_core::refused::Refused;
use quorate_core::request::{Access, Asked, Bounds, Request, after};
use quorate_core::resource::Resource;
use quorate_core::rule::{Rule, covering};
use quorate_core::user::User;
use quorate_policy::{Active, ActiveSet};
use serde::Serialize;
use utoipa::ToSchema;

use super::facts::Gathered;
use super::trial::{TRIES_MAX, Trial, chosen, kinds};
use super::{Error, Inner, Lifecycle};

/// The most people whose approvals are tried together.
const APPROVALS_MAX: usize = 2;
/// The most questions of one grid: people, durations and times multiplied.
const CELLS_MAX: usize = 100_000;
/// Names of people who could approve that are told with each way in.
const NAMES_MAX: usize = 20;

/// What everybody asks for, and when.
#[derive(Debug, Clone)]
pub struct Grid {
    /// The lengths of access; empty where a command is asked for.
    pub durations: Vec<AccessDuration>,
    /// One run of this instead.
    pub command: Option<Command>,
    /// When.
    pub times: Vec<Timestamp>,
    /// People who are left out, as if they were not there.
    pub without: Vec<UserId>,
    /// A version that stands in for the active one of a policy.
    pub candidate: Option<(PolicyName, Digest)>,
}

/// Who could get in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reach {
    /// Into what.
    pub resource: String,
    /// How many people asked.
    pub people: usize,
    /// What they asked for: durations, or the command.
    pub asked: Vec<String>,
    /// When they asked.
    #[schema(value_type = Vec<String>)]
    pub times: Vec<Timestamp>,
    /// Each way in: by how few approvals somebody gets in, fewest first.
    pub reached: Vec<Reached>,
    /// Who does not get in with two approvals, or was not tried with more.
    pub not_reached: Vec<String>,
    /// Questions to which a policy did not answer; nobody gets in by them.
    pub faults: u64,
    /// Not every set of people was tried: there may be more ways in.
    pub gave_up: bool,
}

/// One person and how few approvals they need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reached {
    /// Who gets in.
    pub requester: String,
    /// With how many people approving: 0, 1 or 2.
    pub approvals: usize,
    /// The longest access that way, in seconds.
    pub seconds_max: u64,
    /// What was asked for where that sufficed.
    pub asked: Vec<String>,
    /// When it sufficed.
    #[schema(value_type = Vec<String>)]
    pub times: Vec<Timestamp>,
    /// Whose approvals would do, some names of them.
    pub by: Vec<String>,
    /// One of them would have to force it.
    pub forced: bool,
}

/// What one question came to.
struct Way<'a> {
    seconds: u64,
    by: Vec<&'a str>,
    forced: bool,
}

/// What does not change from question to question.
struct Field {
    resource: Resource,
    rules: Vec<Rule>,
    users: Vec<User>,
    bounds: Bounds,
    active: Arc<ActiveSet>,
}

impl Lifecycle {
    /// Who could get into `resource` if they asked as `grid` says.
    pub async fn reach(&self, resource: ResourceName, grid: Grid) -> Result<Reach, Error> {
        self.0.take_turn(move |inner| inner.reach(&resource, &grid)).await
    }
}

impl Inner {
    fn reach(&self, name: &ResourceName, grid: &Grid) -> Result<Reach, Error> {
        let Some(resource) = self.ledger.resource(name)? else {
            return Err(Error::NotFound { what: "resource", name: name.to_string() });
        };
        let mut users = self.ledger.users()?;
        users.retain(|user| user.profile.active && !grid.without.contains(&user.id));
        let cells =
            users.len() * grid.times.len() * (grid.durations.len() + usize::from(grid.command.is_some()));
        if cells > CELLS_MAX {
            let why = format!("{cells} questions are more than {CELLS_MAX}: give fewer durations or times");
            return Err(Refused::Invalid { what: "grid", why }.into());
        }
        let field = Field {
            bounds: self.bounds(&resource),
            rules: self.ledger.rules()?,
            active: self.stand_in(grid.candidate.as_ref())?,
            resource,
            users,
        };
        let asked: Vec<(String, Access)> = accesses(&field.resource, grid);
        let mut reach = Reach {
            resource: name.to_string(),
            people: field.users.len(),
            asked: asked.iter().map(|(text, _)| text.clone()).collect(),
            times: grid.times.clone(),
            ..Reach::default()
        };
        for user in &field.users {
            let mut ways: BTreeMap<usize, Reached> = BTreeMap::new();
            for (text, access) in &asked {
                for at in &grid.times {
                    self.ask_once(&field, user, access, *at, &mut reach, |approvals, way| {
                        let none = || Reached::none(user, approvals);
                        ways.entry(approvals).or_insert_with(none).add(&way, text, *at);
                    })?;
                }
            }
            if ways.is_empty() {
                reach.not_reached.push(user.id.to_string());
            }
            reach.reached.extend(ways.into_values());
        }
        reach
            .reached
            .sort_by(|one, other| (one.approvals, &one.requester).cmp(&(other.approvals, &other.requester)));
        Ok(reach)
    }

    /// The active policies, with a candidate in the place of one.
    fn stand_in(&self, candidate: Option<&(PolicyName, Digest)>) -> Result<Arc<ActiveSet>, Error> {
        let active = self.active.load();
        let Some((name, digest)) = candidate else { return Ok(active) };
        let Some(kept) = self.compiled(digest)? else {
            return Err(Error::NotFound { what: "candidate", name: digest.short() });
        };
        let with_candidate = Active::default();
        let mut policies: BTreeMap<_, _> =
            active.iter().map(|(name, policy)| (name.clone(), policy.clone())).collect();
        policies.insert(name.clone(), kept.policy.clone());
        Ok(with_candidate.replace_all(&policies))
    }

    /// One person asks once; `found` hears with how few approvals they get in.
    fn ask_once(
        &self,
        field: &Field,
        user: &User,
        access: &Access,
        at: Timestamp,
        reach: &mut Reach,
        mut found: impl FnMut(usize, Way<'_>),
    ) -> Result<(), Error> {
        let requester = user.principal();
        let covering = covering(&field.rules, &requester, &field.resource, access.access_type());
        let asked = Asked {
            requester: user.id.clone(),
            resource: field.resource.name.clone(),
            access: access.clone(),
            reason: String::new(),
            submitted_at: at,
            closes_at: after(at, self.config.review_timeout_seconds),
        };
        let id: RequestId = "reach".parse().map_err(anyhow::Error::new)?;
        // Refused as it would be in earnest: too long, not covered, not this way.
        let Ok(step) = Request::submit(&id, asked, &requester, &field.resource, &covering, &field.bounds)
        else {
            return Ok(());
        };
        let Some(request) = Request::after(None, &step) else { return Ok(()) };
        let rules: Vec<Rule> = covering.into_iter().cloned().collect();
        let unknown = Gathered::nothing(&field.active, at);
        let evidence = self.evidence(&request, &rules, &field.active, at, &unknown)?;
        let active = Arc::clone(&field.active);
        let trial = Trial { request, requester, resource: field.resource.clone(), rules, evidence, active };

        let decision = trial.decide(&[], at);
        let seconds = |decision: &quorate_core::decision::Decision| field.bounds.seconds(access, decision);
        match decision.outcome.as_str() {
            "approved" | "bypassed" => {
                found(0, Way { seconds: seconds(&decision), by: Vec::new(), forced: false });
                return Ok(());
            }
            "waiting" => {}
            "faulted" => {
                reach.faults += 1;
                return Ok(());
            }
            _ => return Ok(()),
        }
        let people = trial.people(&field.users);
        let kinds = kinds(&people, &decision);
        let sets = trial.smallest(&kinds, APPROVALS_MAX, at);
        reach.gave_up |= sets.tried >= TRIES_MAX;
        let longest = |ways: &mut dyn Iterator<Item = Vec<&Principal>>, forced: bool| {
            let ways = ways.filter_map(|voters| trial.put(voters, forced, at));
            ways.map(|decision| seconds(&decision)).max()
        };
        if let Some(set) = sets.sets.first() {
            let approvals = set.iter().sum();
            let mut tried = sets.sets.iter().map(|set| chosen(&kinds, set).collect());
            let seconds = longest(&mut tried, false).unwrap_or_default();
            let eligible =
                kinds.iter().enumerate().filter(|(nth, _)| sets.sets.iter().any(|set| set[*nth] > 0));
            let by = eligible
                .flat_map(|(_, kind)| kind)
                .map(|person| person.id.as_str())
                .take(NAMES_MAX)
                .collect();
            found(approvals, Way { seconds, by, forced: false });
            if approvals == 1 {
                return Ok(());
            }
        }
        let forcers = trial.forcers(&people, &decision, at);
        if !forcers.is_empty() {
            let mut tried = forcers.iter().map(|person| vec![*person]);
            let seconds = longest(&mut tried, true).unwrap_or_default();
            let by = forcers.iter().map(|person| person.id.as_str()).take(NAMES_MAX).collect();
            found(1, Way { seconds, by, forced: true });
        }
        Ok(())
    }
}

impl Reached {
    fn none(user: &User, approvals: usize) -> Self {
        Self {
            requester: user.id.to_string(),
            approvals,
            seconds_max: 0,
            asked: Vec::new(),
            times: Vec::new(),
            by: Vec::new(),
            // Until a way is found that needs no force.
            forced: true,
        }
    }

    fn add(&mut self, way: &Way<'_>, asked: &str, at: Timestamp) {
        self.seconds_max = self.seconds_max.max(way.seconds);
        self.forced &= way.forced;
        if self.asked.last().is_none_or(|last| last != asked) {
            self.asked.push(asked.to_owned());
        }
        if let Err(place) = self.times.binary_search(&at) {
            self.times.insert(place, at);
        }
        for name in &way.by {
            if self.by.len() < NAMES_MAX && !self.by.iter().any(|known| known == name) {
                self.by.push((*name).to_owned());
            }
        }
    }
}

/// What is asked for, with its name in the answer.
fn accesses(resource: &Resource, grid: &Grid) -> Vec<(String, Access)> {
    let command = grid.command.iter().map(|command| {
        let access = Access::Command { command: command.clone(), digest: resource.command_digest(command) };
        ("command".to_owned(), access)
    });
    let windows = grid
        .durations
        .iter()
        .map(|duration| (duration.to_string(), Access::JustInTime { duration: duration.clone() }));
    windows.chain(command).collect()
}
