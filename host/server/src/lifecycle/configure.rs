//! What operators configure: people, resources and rules. Each is saved whole, in
//! place of what was there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_core::decision::{Decision, PolicyFinding};
use quorate_core::duration::AccessDuration;
use quorate_core::entry::{Actor, Kind, Stream, View};
use quorate_core::ids::{Digest, GroupName, ResourceName, RuleName, UserId};
use quorate_core::input::{Access, Command, Input, Principal};
use quorate_core::people::can_be_met;
use quorate_core::refused::Refused;
use quorate_core::resource::Resource;
use quorate_core::rule::{AccessType, Rule};
use quorate_core::user::{Profile, Token, User, Vouched};
use quorate_core::verdict::Finding;
use quorate_core::{Timestamp, user};

use super::{Error, Idempotency, Inner, Lifecycle, Plan, follow, nothing_planned};
use crate::ledger::{Append, Page, RequestFilter, Side};

/// Something worth knowing about a rule that was saved all the same.
pub type Warning = PolicyFinding;

impl Lifecycle {
    /// Adds or changes a person. `password` is a hash.
    pub async fn save_user(
        &self,
        id: &UserId,
        profile: Profile,
        password: Option<String>,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<User, Error> {
        let id = id.clone();
        let answers = format!("user/{id}");
        self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            let before = inner.ledger.user(&id)?;
            let users = inner.ledger.users()?;
            let others = || users.iter().filter(|other| other.id != id && other.is_admin());
            let able = inner.able_to_sign_in(others(), now)?;
            let other = others().find(|other| able.contains(&other.id));
            let step = user::save(&id, before.as_ref(), profile.clone(), other, by.clone(), now)?;
            let revision = before.as_ref().map_or(0, |user| user.revision);
            let after = follow(before.map(|user| View::User(Box::new(user))), revision, Kind::User, &step)?;
            let Some(View::User(saved)) = after else { return Err(nothing_planned()) };
            let mut append = Append::from(match &password {
                None => step,
                Some(_) => step.and(saved.set_password(by.clone(), now)),
            });
            if let Some(hash) = &password {
                append.side.push(Side::Password { user: id.clone(), hash: hash.clone() });
            }
            Ok(Some(Plan::to(append, *saved)))
        })
        .await?
        .ok_or_else(nothing_planned)
    }

    /// Finds whom a provider vouches for, and puts them into the groups that it says; adds them
    /// where they are new.
    pub async fn admit(&self, vouched: Vouched) -> Result<User, Error> {
        let _admitting = self.0.admitting.lock().await;
        let said = vouched.clone();
        let changed = self.change(None, move |inner, now| {
            let users = inner.ledger.users()?;
            let admins = users.iter().filter(|user| user.is_admin());
            let able = inner.able_to_sign_in(admins, now)?;
            let step = user::admit(&said, &users, &able, now)?;
            Ok(step.map(|step| Plan::to(step, ())))
        });
        changed.await?;
        let users = self.ledger().users()?;
        vouched.find(&users).cloned().ok_or_else(nothing_planned)
    }

    /// Says who is in a group, all of it at once or nothing.
    pub async fn save_group(
        &self,
        name: &GroupName,
        members: BTreeSet<UserId>,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<(), Error> {
        let name = name.clone();
        let key = key.map(|key| key.answering(format!("group/{name}")));
        let changed = self.change(key.clone(), move |inner, now| {
            let users = inner.ledger.users()?;
            let named = users.iter().filter(|user| members.contains(&user.id));
            let able = inner.able_to_sign_in(named, now)?;
            let step = user::save_group(&name, &members, &users, &able, &by, now)?;
            Ok(step.map(|step| Plan::to(step, ())))
        });
        match (changed.await?, key) {
            (None, Some(key)) => Ok(self.0.ledger.remember(key, self.now()).await?),
            _ => Ok(()),
        }
    }

    /// Sets a password, given as a hash. All tokens of the person end.
    pub async fn set_password(
        &self,
        id: &UserId,
        hash: String,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<(), Error> {
        let id = id.clone();
        let answers = format!("user/{id}");
        self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            let mut append = Append::from(inner.user(&id)?.set_password(by.clone(), now));
            append.side.push(Side::Password { user: id.clone(), hash: hash.clone() });
            Ok(Some(Plan::to(append, ())))
        })
        .await
        .map(drop)
    }

    /// Issues a token whose secret has the digest `secret`.
    pub async fn issue_token(
        &self,
        id: &UserId,
        token: Token,
        secret: Digest,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<(), Error> {
        let id = id.clone();
        let answers = format!("token/{}", token.id);
        self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            let step = inner.active_user(&id)?.issue(token.clone(), by.clone(), now);
            let mut append = Append::from(step);
            append.side.push(Side::Token {
                id: token.id.clone(),
                user: id.clone(),
                hash: secret,
                expires_at: token.expires_at,
            });
            Ok(Some(Plan::to(append, ())))
        })
        .await
        .map(drop)
    }

    /// Takes a token back.
    pub async fn revoke_token(
        &self,
        id: &UserId,
        token: &str,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<(), Error> {
        let (id, token) = (id.clone(), token.to_owned());
        let answers = format!("token/{token}");
        self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            let user = inner.user(&id)?;
            if !user.tokens.iter().any(|one| one.id == token) {
                return Err(Error::NotFound { what: "token", name: token.clone() });
            }
            let step = user.revoke(&token, by.clone(), now)?;
            Ok(Some(Plan::to(step, ())))
        })
        .await
        .map(drop)
    }

    /// Adds or changes a resource. `secrets` are the values its program finds in
    /// its environment; none keeps the value that is there. A secret that is not
    /// named is forgotten.
    pub async fn save_resource(
        &self,
        resource: Resource,
        secrets: BTreeMap<String, Option<String>>,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<Resource, Error> {
        let answers = format!("resource/{}", resource.name);
        self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            inner.save_resource(resource.clone(), &secrets, by.clone(), now).map(Some)
        })
        .await?
        .ok_or_else(nothing_planned)
    }

    /// Removes a resource that no rule names, with its secrets.
    pub async fn remove_resource(
        &self,
        name: &ResourceName,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<(), Error> {
        let name = name.clone();
        let answers = format!("resource/{name}");
        self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            let resource = inner.resource(&name)?;
            let rules = inner.ledger.rules()?;
            let user = rules.iter().find(|rule| rule.resources.contains(&name));
            inner.nobody_has_access(&name)?;
            let step = resource.remove(user.map(|rule| rule.name.as_str()), by.clone(), now)?;
            let mut append = Append::from(step);
            append.side.extend(resource.secrets.iter().map(|secret| Side::Secret {
                resource: name.clone(),
                name: secret.clone(),
                value: None,
            }));
            Ok(Some(Plan::to(append, ())))
        })
        .await
        .map(drop)
    }

    /// Adds or changes a rule: its policies must be there and accept their
    /// configs. What is odd but possible comes back as warnings.
    pub async fn save_rule(
        &self,
        rule: Rule,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<(Rule, Vec<Warning>), Error> {
        let answers = format!("rule/{}", rule.name);
        // A version that becomes active meanwhile has not been asked about this rule.
        let _swapping = self.0.swapping.lock().await;
        self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            inner.save_rule(&rule, by.clone(), now).map(Some)
        })
        .await?
        .ok_or_else(nothing_planned)
    }

    /// What saving `rule` would come to: it is refused as it would be then, and what is odd
    /// but possible comes back. Nothing is saved.
    pub async fn try_rule(&self, rule: Rule) -> Result<Vec<Warning>, Error> {
        let inner = Arc::clone(&self.0);
        let tried = tokio::task::spawn_blocking(move || {
            inner.save_rule(&rule, Actor::Gateway, inner.now())?.outcome.map(|(_, warnings)| warnings)
        });
        tried.await.map_err(anyhow::Error::new)?
    }

    /// Removes a rule.
    pub async fn remove_rule(
        &self,
        name: &RuleName,
        by: Actor,
        key: Option<Idempotency>,
    ) -> Result<(), Error> {
        let name = name.clone();
        let answers = format!("rule/{name}");
        self.change(key.map(|key| key.answering(answers)), move |inner, now| {
            let Some(rule) = inner.ledger.rule(&name)? else {
                return Err(Error::NotFound { what: "rule", name: name.to_string() });
            };
            let channels = inner.ledger.channels()?;
            let user = channels.iter().find(|channel| channel.rules.contains(&name));
            Ok(Some(Plan::to(rule.remove(user.map(|one| one.name.as_str()), by.clone(), now)?, ())))
        })
        .await
        .map(drop)
    }
}

impl Inner {
    /// Those of `users` who have what it takes to show who they are.
    fn able_to_sign_in<'a>(
        &self,
        users: impl Iterator<Item = &'a User>,
        now: Timestamp,
    ) -> Result<BTreeSet<UserId>, Error> {
        let mut able = BTreeSet::new();
        for user in users {
            let has_token = user.tokens.iter().any(|token| token.is_valid(now));
            let account = user.account.as_ref().zip(self.config.oidc.as_ref());
            let is_vouched_for = account.is_some_and(|(account, oidc)| account.issuer == oidc.issuer);
            if has_token || is_vouched_for || self.ledger.password_hash(&user.id)?.is_some() {
                able.insert(user.id.clone());
            }
        }
        Ok(able)
    }

    fn resource(&self, name: &ResourceName) -> Result<Resource, Error> {
        let found = self.ledger.resource(name)?;
        found.ok_or_else(|| Error::NotFound { what: "resource", name: name.to_string() })
    }

    /// Access to a resource that is gone would open whatever takes its name.
    fn nobody_has_access(&self, name: &ResourceName) -> Result<(), Error> {
        let open = RequestFilter {
            resource: Some(name.clone()),
            states: vec!["APPROVED".to_owned()],
            ..RequestFilter::default()
        };
        let found = self.ledger.find_requests(&open, Page { after: None, limit: 1 })?;
        let Some(request) = found.items.first() else { return Ok(()) };
        let by =
            format!("the access of {} (request {}); revoke it first", request.asked.requester, request.id);
        Err(Refused::InUse { what: "resource", name: name.to_string(), by }.into())
    }

    fn save_resource(
        &self,
        mut resource: Resource,
        secrets: &BTreeMap<String, Option<String>>,
        by: Actor,
        now: Timestamp,
    ) -> Result<Plan<Resource>, Error> {
        let name = resource.name.clone();
        let known = self.ledger.resource(&name)?.map_or_else(Default::default, |one| one.secrets);
        resource.secrets = secrets.keys().cloned().collect();
        if let Some((missing, _)) =
            secrets.iter().find(|(secret, value)| value.is_none() && !known.contains(*secret))
        {
            let why = format!("give a value for `{missing}`: there is none to keep");
            return Err(Refused::Invalid { what: "secrets", why }.into());
        }
        let holds_nul = |value: &Option<String>| value.as_ref().is_some_and(|value| value.contains('\0'));
        if let Some((secret, _)) = secrets.iter().find(|(_, value)| holds_nul(value)) {
            let why =
                format!("the value of `{secret}` holds a NUL character, which no environment variable can");
            return Err(Refused::Invalid { what: "secrets", why }.into());
        }
        let supports = |rule: &Rule| resource.access_types.contains(&rule.access_type);
        if let Some(rule) =
            (self.ledger.rules()?.iter()).find(|rule| rule.resources.contains(&name) && !supports(rule))
        {
            let why = format!("rule {} covers {} access to it", rule.name, rule.access_type);
            return Err(Refused::Invalid { what: "access_types", why }.into());
        }
        let revision = self.ledger.revision(&Stream::resource(&name))?;
        let saved = Resource { revision: revision + 1, ..resource.clone() };
        let mut append = Append::from(resource.save(revision, by, now)?);
        let given = secrets.iter().filter(|(_, value)| value.is_some());
        append.side.extend(given.map(|(secret, value)| Side::Secret {
            resource: name.clone(),
            name: secret.clone(),
            value: value.clone(),
        }));
        let dropped = known.difference(&saved.secrets);
        append.side.extend(dropped.map(|secret| Side::Secret {
            resource: name.clone(),
            name: secret.clone(),
            value: None,
        }));
        Ok(Plan::to(append, saved))
    }

    fn save_rule(&self, rule: &Rule, by: Actor, now: Timestamp) -> Result<Plan<(Rule, Vec<Warning>)>, Error> {
        let mut resources = Vec::new();
        for name in &rule.resources {
            resources.extend(self.ledger.resource(name)?);
        }
        let findings = self.check_rule(rule)?;
        let revision = self.ledger.revision(&Stream::rule(&rule.name))?;
        let saved = Rule { revision: revision + 1, ..rule.clone() };
        let step = rule.clone().save(revision, &resources, &findings, by, now)?;
        let mut warnings: Vec<Warning> = (findings.into_iter())
            .filter_map(|(index, finding)| {
                let policy = rule.policies.get(index)?.policy.clone();
                Some(PolicyFinding { policy, finding })
            })
            .collect();
        warnings.extend(self.unreachable(rule, &resources, now)?);
        Ok(Plan::to(step, (saved, warnings)))
    }

    /// What the policies of a rule say of their configs.
    pub(super) fn check_rule(&self, rule: &Rule) -> Result<Vec<(usize, Finding)>, Error> {
        let active = self.active.load();
        let mut findings = Vec::new();
        for (index, used) in rule.policies.iter().enumerate() {
            let Some(policy) = active.get(&used.policy) else {
                return Err(Refused::Unknown { what: "policy", name: used.policy.to_string() }.into());
            };
            findings.extend(
                quorate_policy::config::findings(policy, &used.config).into_iter().map(|one| (index, one)),
            );
        }
        Ok(findings)
    }

    /// Warns where the rule waits for more people than there are: asked as on the
    /// request of somebody new, before any vote.
    fn unreachable(
        &self,
        rule: &Rule,
        resources: &[Resource],
        now: Timestamp,
    ) -> Result<Vec<Warning>, Error> {
        let people: Vec<Principal> = self.electorate(&[])?;
        let Some(resource) = resources.first() else { return Ok(Vec::new()) };
        let input = trial(rule, resource, now)?;
        let opinion = super::evaluate::ask_rule(rule, &self.active.load(), &input);
        let decision = Decision::combine(&[opinion]);
        let mut warnings = Vec::new();
        for waiting in decision.waiting() {
            if waiting.ways.iter().any(|way| can_be_met(way, &people)) {
                continue;
            }
            let needs: Vec<String> = (waiting.ways.iter().flatten())
                .map(|one| {
                    let able = people.iter().filter(|person| one.people.includes(person)).count();
                    format!("{} and there {} {able}", one.words(), if able == 1 { "is" } else { "are" })
                })
                .collect();
            warnings.push(PolicyFinding {
                policy: waiting.policy.clone(),
                finding: Finding {
                    code: "warning-cannot-be-met".to_owned(),
                    message: format!("nobody could get this approved: it needs {}", needs.join(", ")),
                    path: None,
                },
            });
        }
        Ok(warnings)
    }

    /// Everybody active but those in `without`.
    pub(super) fn electorate(&self, without: &[&UserId]) -> Result<Vec<Principal>, Error> {
        let users = self.ledger.users()?;
        let able = users.iter().filter(|user| user.profile.active && !without.contains(&&user.id));
        Ok(able.map(User::principal).collect())
    }
}

/// The input that a rule would see for a first request of somebody it covers.
fn trial(rule: &Rule, resource: &Resource, now: Timestamp) -> Result<Input, Error> {
    let access = match rule.access_type {
        AccessType::JustInTime => Access::JustInTime { seconds: AccessDuration::default().seconds() },
        AccessType::Command => {
            Access::Command { command: Command { text: String::new(), arguments: Vec::new() } }
        }
    };
    let name = "somebody-new";
    Ok(Input {
        now,
        request: quorate_core::input::Request {
            id: name.parse().map_err(anyhow::Error::new)?,
            requester: Principal {
                id: name.parse().map_err(anyhow::Error::new)?,
                email: String::new(),
                groups: rule.required_groups.iter().take(1).cloned().collect(),
                attributes: Vec::new(),
            },
            target: resource.target(),
            access,
            reason: String::new(),
            submitted_at: now,
        },
        votes: Vec::new(),
        history: Vec::new(),
        facts: Vec::new(),
    })
}
