//! The life of a request: asked, voted on, decided, withdrawn, taken away, and what
//! time does to it.

use std::sync::Arc;

use quorate_core::Timestamp;
use quorate_core::duration::AccessDuration;
use quorate_core::entry::{Step, Stream};
use quorate_core::ids::{RequestId, ResourceName, RuleName, UserId};
use quorate_core::input::{Choice, Command, Vote};
use quorate_core::refused::Refused;
use quorate_core::request::{Access, Asked, Bounds, Event, Request, after};
use quorate_core::resource::Resource;
use quorate_core::rule::{AccessType, Rule, covering};
use quorate_core::user::User;

use super::evaluate::Deciders;
use super::facts::Gathered;
use super::{Error, Idempotency, Inner, Lifecycle, Plan, RequestView, nothing_planned};
use crate::ledger::Append;
use crate::random;

/// Refused votes of one person on one request that are recorded; more of them say
/// nothing new, and could fill the disk.
const REFUSED_VOTES_KEPT_MAX: u64 = 20;

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What.
    pub resource: ResourceName,
    /// In which way.
    pub access: AskedAccess,
    /// Why; may be empty.
    pub reason: String,
}

/// The two ways to ask.
#[derive(Debug, Clone)]
pub enum AskedAccess {
    /// A time window.
    JustInTime(AccessDuration),
    /// One run of one command.
    Command(Command),
}

/// What somebody votes.
#[derive(Debug, Clone)]
pub struct Ballot {
    /// Yes or no.
    pub choice: Choice,
    /// Whether to skip what others still have to say.
    pub forced: bool,
    /// In their words.
    pub comment: String,
    /// Whether it is cast on the page of the request, by somebody signed in there.
    pub on_page: bool,
}

impl Lifecycle {
    /// Asks for access.
    pub async fn submit(
        &self,
        by: &UserId,
        ask: Ask,
        key: Option<Idempotency>,
    ) -> Result<RequestView, Error> {
        self.check_runs(&ask.resource)?;
        self.submit_any(by, ask, key).await
    }

    /// What asking would come to now. Nothing is asked.
    pub async fn preview(&self, by: &UserId, ask: Ask) -> Result<RequestView, Error> {
        self.check_runs(&ask.resource)?;
        self.preview_under(None, by, ask).await
    }

    /// What asking would come to, were `rule` saved as it is here. Nothing is asked or saved.
    pub async fn preview_rule(&self, rule: Rule, by: &UserId, ask: Ask) -> Result<RequestView, Error> {
        self.preview_under(Some(rule), by, ask).await
    }

    async fn preview_under(&self, rule: Option<Rule>, by: &UserId, ask: Ask) -> Result<RequestView, Error> {
        let id: RequestId = random::id()?.parse().map_err(anyhow::Error::new)?;
        let asked = self.with_facts(|known| {
            let (inner, id, by) = (Arc::clone(&self.0), id.clone(), by.clone());
            let (rule, ask) = (rule.clone(), ask.clone());
            let asked = tokio::task::spawn_blocking(move || {
                let planned = inner.submit(&id, &by, &ask, rule.as_ref(), inner.now(), &known)?;
                planned.ok_or_else(nothing_planned)?.outcome
            });
            async { asked.await.map_err(anyhow::Error::new)? }
        });
        self.view(&asked.await?)
    }

    pub(super) async fn submit_any(
        &self,
        by: &UserId,
        ask: Ask,
        key: Option<Idempotency>,
    ) -> Result<RequestView, Error> {
        let id: RequestId = random::id()?.parse().map_err(anyhow::Error::new)?;
        let by = by.clone();
        let answers = format!("request/{id}");
        let planned = self.decide(key.map(|key| key.answering(answers)), move |inner, now, gathered| {
            inner.submit(&id, &by, &ask, None, now, gathered)
        });
        let request = planned.await?.ok_or_else(nothing_planned)?;
        let view = self.view(&request)?;
        self.note_stuck(&request, view.nobody_can_approve);
        Ok(view)
    }

    /// Votes.
    pub async fn vote(
        &self,
        id: &RequestId,
        by: &UserId,
        ballot: Ballot,
        key: Option<Idempotency>,
    ) -> Result<Request, Error> {
        self.settle(id).await?;
        let (id, by) = (id.clone(), by.clone());
        let answers = format!("request/{id}");
        self.decide(key.map(|key| key.answering(answers)), move |inner, now, gathered| {
            inner.vote(&id, &by, &ballot, now, gathered)
        })
        .await?
        .ok_or_else(nothing_planned)
    }

    /// A rule that wants votes on the request cast on its page, if one does.
    pub fn page_only(&self, request: &Request) -> Result<Option<RuleName>, Error> {
        Ok(self.0.deciders(request)?.page_only())
    }

    /// Withdraws a request.
    pub async fn cancel(
        &self,
        id: &RequestId,
        by: &UserId,
        key: Option<Idempotency>,
    ) -> Result<Request, Error> {
        self.event(id, key, Event::Cancel(by.clone())).await
    }

    /// Takes access away.
    pub async fn revoke(
        &self,
        id: &RequestId,
        by: &UserId,
        why: String,
        key: Option<Idempotency>,
    ) -> Result<Request, Error> {
        let person = self.0.active_user(by)?.principal();
        self.event(id, key, Event::Revoke(person, why)).await
    }

    /// Records what time alone has done to a request, or asks the policies again
    /// where one of them wanted that by now.
    pub async fn settle(&self, id: &RequestId) -> Result<(), Error> {
        let now = self.now();
        let request = self.0.request(id)?;
        if request.deadline().is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        if request.settle(now).is_none() {
            return self.decide_again(id).await;
        }
        let id = id.clone();
        self.change(None, move |inner, now| {
            let request = inner.request(&id)?;
            Ok(request.settle(now).map(|step| Plan::to(step, ())))
        })
        .await
        .map(drop)
    }

    /// Asks the policies again about a request that waits.
    pub async fn decide_again(&self, id: &RequestId) -> Result<(), Error> {
        let id = id.clone();
        self.decide(None, move |inner, now, gathered| {
            let basis = inner.basis();
            let request = inner.request(&id)?;
            let evaluated = inner.evaluate(&request, basis, now, gathered)?;
            match request.step(Event::Decided(Box::new(evaluated.ruling)), now) {
                Ok(step) => Ok(Some(Plan::to(evaluated.ground.with(step), ()))),
                // Decided meanwhile: there is nothing left to ask.
                Err(Refused::AlreadyDecided { .. }) => Ok(None),
                Err(refused) => Err(refused.into()),
            }
        })
        .await
        .map(drop)
    }

    /// Takes away the access of somebody who may no longer have any.
    pub async fn withdraw(&self, id: &RequestId, why: &str) -> Result<(), Error> {
        let (id, why) = (id.clone(), why.to_owned());
        self.change(None, move |inner, now| {
            let request = inner.request(&id)?;
            Ok(request.withdraw(&why, now).map(|step| Plan::to(step, ())))
        })
        .await
        .map(drop)
    }

    /// Whether the request was last decided by other versions than would decide
    /// it now.
    pub fn is_stale(&self, request: &Request) -> Result<bool, Error> {
        self.0.is_stale(request)
    }

    /// Whether `user` may see the request at all.
    pub fn may_see(request: &Request, user: &User) -> bool {
        let person = user.principal();
        let asked = request.decision.as_deref();
        user.is_auditor()
            || request.asked.requester == user.id
            || request.votes.iter().any(|vote| vote.voter.id == user.id)
            || asked.is_some_and(|said| said.voters.includes(&person) || said.forcers.includes(&person))
            // Whoever was told of it can look what it is.
            || request.reminders.iter().any(|one| one.notice.people.includes(&person))
    }

    /// Whether `user` may see the resource: whoever reads everything, and whoever some rule or
    /// standing group lets ask for it.
    pub fn may_ask(resource: &Resource, rules: &[Rule], user: &User) -> bool {
        let person = user.principal();
        let covered = |way: &AccessType| !covering(rules, &person, resource, *way).is_empty();
        user.is_auditor()
            || resource.standing_group(&person).is_some()
            || resource.access_types.iter().any(covered)
    }

    async fn event(&self, id: &RequestId, key: Option<Idempotency>, event: Event) -> Result<Request, Error> {
        self.settle(id).await?;
        let id = id.clone();
        let answers = format!("request/{id}");
        self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            let request = inner.request(&id)?;
            let step = request.step(event.clone(), now)?;
            let left = after_step(Some(&request), &step)?;
            Ok(Some(Plan::to(step, left)))
        })
        .await?
        .ok_or_else(nothing_planned)
    }
}

impl Inner {
    pub(super) fn bounds(&self, resource: &Resource) -> Bounds {
        Bounds {
            ceiling_seconds: self.config.ceiling_seconds,
            resource_seconds: resource.max_duration,
            command_window_seconds: self.config.command_window_seconds,
        }
    }

    /// `instead` stands for the rule of its name, or is one more.
    fn submit(
        &self,
        id: &RequestId,
        by: &UserId,
        ask: &Ask,
        instead: Option<&Rule>,
        now: Timestamp,
        gathered: &Gathered,
    ) -> Result<Option<Plan<Request>>, Error> {
        let basis = self.basis();
        let user = self.active_user(by)?;
        let requester = user.principal();
        let max = self.config.pending_requests_max;
        // Here, so that no policy is asked for nothing; the ledger counts again.
        if self.ledger.pending_of(by)? >= max {
            return Err(Refused::TooManyPending { max }.into());
        }
        let Some(resource) = self.ledger.resource(&ask.resource)? else {
            return Err(Error::NotFound { what: "resource", name: ask.resource.to_string() });
        };
        let access = match &ask.access {
            AskedAccess::JustInTime(duration) => Access::JustInTime { duration: duration.clone() },
            AskedAccess::Command(command) => {
                Access::Command { command: command.clone(), digest: resource.command_digest(command) }
            }
        };
        let mut rules = self.ledger.rules()?;
        if let Some(rule) = instead {
            rules.retain(|one| one.name != rule.name);
            rules.push(rule.clone());
        }
        let covering = covering(&rules, &requester, &resource, access.access_type());
        let asked = Asked {
            requester: by.clone(),
            resource: ask.resource.clone(),
            access,
            reason: ask.reason.clone(),
            submitted_at: now,
            closes_at: after(now, self.config.review_timeout_seconds),
        };
        let bounds = self.bounds(&resource);
        let asking = Request::submit(id, asked, &requester, &resource, &covering, &bounds)?;
        let request = after_step(None, &asking)?;
        let rules = covering.into_iter().cloned().collect();
        let deciders = Deciders { requester: user, resource: Some(resource), rules };
        let evaluated = self.evaluate_under(&request, deciders, basis, now, gathered)?;
        let decided = request.step(Event::Decided(Box::new(evaluated.ruling)), now)?;
        let left = after_step(Some(&request), &decided)?;
        let append = Append { pending_max: Some(max), ..evaluated.ground.with(asking.and(decided)) };
        Ok(Some(Plan::to(append, left)))
    }

    fn vote(
        &self,
        id: &RequestId,
        by: &UserId,
        ballot: &Ballot,
        now: Timestamp,
        gathered: &Gathered,
    ) -> Result<Option<Plan<Request>>, Error> {
        let mut basis = self.basis();
        basis.streams.push(Stream::user(by));
        let request = self.request(id)?;
        let vote = Vote {
            voter: self.active_user(by)?.principal(),
            choice: ballot.choice,
            forced: ballot.forced,
            comment: ballot.comment.clone(),
            cast_at: now,
        };
        let note = |vote: Vote, refused: Refused| {
            if self.ledger.refused_votes(id, by)? >= REFUSED_VOTES_KEPT_MAX {
                return Err(refused.into());
            }
            Ok(Some(Plan::refused(request.note_refused(vote, &refused, now), refused)))
        };
        let elsewhere = self.deciders(&request)?.page_only().filter(|_| !ballot.on_page);
        let allowed = match (request.check_vote(&vote), elsewhere) {
            (Ok(()), Some(rule)) => Err(Refused::OnPageOnly { rule }),
            (checked, _) => checked,
        };
        match allowed {
            Ok(()) => {}
            // A text that is too long is not worth keeping.
            Err(refused @ Refused::TooLong { .. }) => return Err(refused.into()),
            Err(refused) => return note(vote, refused),
        }
        let evaluated = self.evaluate(&request.with_vote(vote.clone()), basis.clone(), now, gathered)?;
        let fault = evaluated.ruling.decision.faults().first().cloned();
        let event = Event::Vote(Box::new(vote.clone()), Box::new(evaluated.ruling));
        match request.step(event, now) {
            Ok(step) => {
                let left = after_step(Some(&request), &step)?;
                Ok(Some(Plan::to(evaluated.ground.with(step), left)))
            }
            Err(refused) => match fault.filter(|_| matches!(refused, Refused::NoAnswer { .. })) {
                Some(fault) if !is_marked(&request) => {
                    let without = self.evaluate(&request, basis, now, gathered)?;
                    let step = request.note_unanswered(vote, &refused, fault, without.ruling, now);
                    Ok(Some(Plan::refused(without.ground.with(step), refused)))
                }
                _ => note(vote, refused),
            },
        }
    }
}

/// Whether it says already that a policy does not answer.
fn is_marked(request: &Request) -> bool {
    request.unanswered.is_some()
        || request.decision.as_ref().is_some_and(|decision| !decision.faults().is_empty())
}

/// The request after a step that concerns it.
fn after_step(before: Option<&Request>, step: &Step) -> Result<Request, Error> {
    let left = Request::after(before, step);
    left.ok_or_else(|| Error::Failed(anyhow::anyhow!("a step does not follow the request it is for")))
}
