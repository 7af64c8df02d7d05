//! `quorate policy reach`: who could get into a resource, and with how few people approving.

mod rehearsal;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use quorate_core::Timestamp;
use quorate_core::ids::{PolicyName, ResourceName, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::candidate::Candidate;
use crate::cli::Context;
use crate::cli::client::{Answer, Gateway, Query};
use crate::cli::exit::{Ending, Failure, NOT_HELD};

/// Say who could get into a resource, and with how few people approving
///
/// Every user asks for it, for each duration at each hour, on a copy, and votes are tried: who gets
/// in with nobody approving, with one person, with two, and for how long. Nothing follows from it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate policy reach prod-postgres
  quorate policy reach prod-postgres --durations 1h,8h --hours 168     # a whole week, hour by hour
  quorate policy reach prod-postgres --candidate new.wasm --policy group-quorum   # what would change
  quorate policy reach prod-postgres --file gateway.yaml --fail-on zero-approval --except root
  quorate policy reach prod-postgres --file new.yaml --against old.yaml --fail-on one-approval

With --file no gateway is needed: one is made for the question, from the file alone. Policies that ask
for facts are told that none are known. --fail-on ends with 1 where somebody gets in with so few
approvals; where two are compared, only what is new counts.")]
pub(in crate::cli) struct Reach {
    /// Which resource
    resource: ResourceName,
    /// What everybody asks for, such as 30m,2h [default: 10m,30m,1h,2h,8h,24h]
    #[arg(long, value_name = "LIST")]
    durations: Option<String>,
    /// Everybody asks for one run of this instead
    #[arg(long, value_name = "TEXT", conflicts_with = "durations")]
    command: Option<String>,
    /// The first time at which they ask [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// At how many hours, one after the other; at most 168 [default: 24]
    #[arg(long)]
    hours: Option<u16>,
    /// Compare with a candidate: a component, or a version that the gateway has
    #[arg(long, value_name = "FILE|NAME@DIGEST")]
    candidate: Option<String>,
    /// In whose place the candidate stands [default: the file's name, or NAME]
    #[arg(long, requires = "candidate")]
    policy: Option<PolicyName>,
    /// People, resources, rules and policies from this file instead of a gateway
    #[arg(long, value_name = "FILE", conflicts_with = "candidate")]
    file: Option<PathBuf>,
    /// Compare with what this file says
    #[arg(long, value_name = "FILE", requires = "file")]
    against: Option<PathBuf>,
    /// End with 1 where somebody gets in with so few people approving, or fewer
    #[arg(long, value_name = "HOW-FEW")]
    fail_on: Option<FailOn>,
    /// People who may get in all the same; does not hide them
    #[arg(long, value_name = "USER", requires = "fail_on")]
    except: Vec<UserId>,
}

/// With how few approvals nobody should get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    ZeroApproval,
    OneApproval,
    TwoApprovals,
}

impl FailOn {
    fn approvals(self) -> usize {
        match self {
            Self::ZeroApproval => 0,
            Self::OneApproval => 1,
            Self::TwoApprovals => 2,
        }
    }
}

/// What the gateway says.
#[derive(Debug, Clone, Default, Deserialize)]
struct Found {
    resource: String,
    people: usize,
    asked: Vec<String>,
    times: Vec<Timestamp>,
    reached: Vec<Reached>,
    not_reached: Vec<String>,
    faults: u64,
    gave_up: bool,
}

/// One person and how few approvals they need.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Reached {
    requester: String,
    approvals: usize,
    seconds_max: u64,
    asked: Vec<String>,
    times: Vec<Timestamp>,
    by: Vec<String>,
    forced: bool,
}

/// A way in that one side has and the other has not, or not for so long or so often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Change<'a> {
    requester: &'a str,
    approvals: usize,
    before: Option<&'a Reached>,
    after: Option<&'a Reached>,
}

impl Change<'_> {
    /// Whether somebody gets in who did not before, for longer, at other times, or without
    /// the force that it took.
    fn opens(&self) -> bool {
        self.after.is_some_and(|after| self.before.is_none_or(|before| !after.is_within(before)))
    }
}

impl Reach {
    /// Runs the verb.
    pub(in crate::cli) async fn run(self, context: &Context) -> Ending {
        let from = self.from.unwrap_or_else(|| context.clock.now());
        let (before, after) = match (&self.file, &self.candidate) {
            (Some(file), _) => {
                let before = match &self.against {
                    Some(other) => Some(self.of_file(context, other, from).await?),
                    None => None,
                };
                (before, self.of_file(context, file, from).await?)
            }
            (None, Some(typed)) => {
                let gateway = context.gateway()?;
                let candidate = Candidate::of(typed, self.policy.as_ref())?;
                candidate.offer(&gateway).await?;
                let before = self.ask(&gateway, from, None, None).await?;
                (Some(before), self.ask(&gateway, from, Some(&candidate), None).await?)
            }
            (None, None) => (None, self.ask(&context.gateway()?, from, None, None).await?),
        };
        self.tell(context, before.as_ref(), &after)
    }

    async fn of_file(&self, context: &Context, file: &Path, from: Timestamp) -> Result<Answer, Failure> {
        let rehearsal = rehearsal::start(context, file).await?;
        let answer = self.ask(&rehearsal.gateway, from, None, Some(rehearsal::FIRST)).await;
        rehearsal.stop().await;
        answer.map_err(|failure| Failure {
            message: format!("`{}`: {}", file.display(), failure.message),
            ..failure
        })
    }

    async fn ask(
        &self,
        gateway: &Gateway,
        from: Timestamp,
        candidate: Option<&Candidate>,
        without: Option<&str>,
    ) -> Result<Answer, Failure> {
        let mut query: Query<'_> = vec![("from", from.to_string())];
        query.extend(self.durations.clone().map(|durations| ("durations", durations)));
        query.extend(self.command.clone().map(|command| ("command", command)));
        query.extend(self.hours.map(|hours| ("hours", hours.to_string())));
        query.extend(without.map(|name| ("without", name.to_owned())));
        if let Some(Candidate { policy, digest, .. }) = candidate {
            query.extend([("policy", policy.to_string()), ("candidate", digest.clone())]);
        }
        gateway.get(&["resources", self.resource.as_str(), "reach"], query).await
    }

    fn tell(&self, context: &Context, before: Option<&Answer>, after: &Answer) -> Ending {
        let found: Found = after.read()?;
        let earlier: Option<Found> = before.map(Answer::read).transpose()?;
        let changes = earlier.as_ref().map(|earlier| changes(&earlier.reached, &found.reached));
        let bad = self.bad(&found, changes.as_deref());
        let mut value = match before {
            Some(before) => json!({"before": before.raw(), "after": after.raw(), "changes": changes}),
            None => after.raw().clone(),
        };
        if let (Value::Object(fields), Some(_)) = (&mut value, self.fail_on) {
            fields.insert("refused".to_owned(), json!(bad));
        }
        context.screen.result(&value, || text::of(&found, changes.as_deref(), &bad))?;
        Ok(if bad.is_empty() { 0 } else { NOT_HELD })
    }

    /// Those who get in with too few approvals.
    fn bad(&self, found: &Found, changes: Option<&[Change<'_>]>) -> Vec<String> {
        let Some(fail_on) = self.fail_on else { return Vec::new() };
        let excepted = |name: &str| self.except.iter().any(|user| user.as_str() == name);
        let too_few = |name: &str, approvals: usize| approvals <= fail_on.approvals() && !excepted(name);
        let mut bad: Vec<String> = match changes {
            Some(changes) => changes
                .iter()
                .filter(|change| change.opens() && too_few(change.requester, change.approvals))
                .map(|change| change.requester.to_owned())
                .collect(),
            None => found
                .reached
                .iter()
                .filter(|way| too_few(&way.requester, way.approvals))
                .map(|way| way.requester.clone())
                .collect(),
        };
        bad.sort_unstable();
        bad.dedup();
        bad
    }
}

/// A way in, on both sides.
type Sides<'a> = (Option<&'a Reached>, Option<&'a Reached>);

/// Each way in that differs, those that open something first.
fn changes<'a>(before: &'a [Reached], after: &'a [Reached]) -> Vec<Change<'a>> {
    let mut ways: BTreeMap<(usize, &str), Sides<'_>> = BTreeMap::new();
    for way in before {
        ways.entry((way.approvals, &way.requester)).or_default().0 = Some(way);
    }
    for way in after {
        ways.entry((way.approvals, &way.requester)).or_default().1 = Some(way);
    }
    // Who needs fewer people now did not lose anything.
    let is_easier = |way: &Reached| {
        let fewer = |other: &&Reached| other.requester == way.requester && other.approvals < way.approvals;
        after.iter().any(|other| fewer(&other) && way.is_within(other))
    };
    let mut list: Vec<Change<'_>> = ways
        .into_iter()
        .map(|((approvals, requester), (before, after))| Change { requester, approvals, before, after })
        .filter(|change| match (change.before, change.after) {
            (Some(before), Some(after)) => !before.is_within(after) || !after.is_within(before),
            (Some(before), None) => !is_easier(before),
            _ => true,
        })
        .collect();
    list.sort_by_key(|change| (!change.opens(), change.approvals));
    list
}

impl Reached {
    /// Whether `other` gives all that this gives: as long, for as much, as often, and not
    /// only by force where this needs none.
    fn is_within(&self, other: &Self) -> bool {
        self.seconds_max <= other.seconds_max
            && self.times.iter().all(|at| other.times.contains(at))
            && self.asked.iter().all(|asked| other.asked.contains(asked))
            && (self.forced || !other.forced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(requester: &str, approvals: usize, seconds_max: u64) -> Reached {
        Reached { requester: requester.to_owned(), approvals, seconds_max, ..Reached::default() }
    }

    #[test]
    fn what_opens_something_comes_first_and_what_stays_is_not_told() {
        let before = [way("ann", 2, 3600), way("bob", 1, 60), way("eve", 0, 60)];
        let after = [way("ann", 0, 3600), way("bob", 1, 60), way("eve", 0, 30)];
        let changes = changes(&before, &after);
        let told: Vec<_> = changes.iter().map(|one| (one.requester, one.approvals, one.opens())).collect();
        assert_eq!(told, [("ann", 0, true), ("eve", 0, false)]);
    }

    #[test]
    fn other_times_open_something_as_longer_access_does() {
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        let before = [Reached { times: vec![at(1), at(2)], ..way("ann", 1, 60) }];
        let after = [Reached { times: vec![at(2), at(3)], ..way("ann", 1, 60) }];
        assert!(changes(&before, &after)[0].opens());
        assert!(changes(&before, &before).is_empty());
    }

    #[test]
    fn what_took_force_and_takes_none_now_is_open_and_whoever_needs_fewer_lost_nothing() {
        let before = [Reached { forced: true, ..way("ann", 1, 60) }, way("ann", 2, 60)];
        let after = [way("ann", 1, 60)];
        let changes = changes(&before, &after);
        let told: Vec<_> = changes.iter().map(|one| (one.approvals, one.opens())).collect();
        assert_eq!(told, [(1, true)]);
    }
}
