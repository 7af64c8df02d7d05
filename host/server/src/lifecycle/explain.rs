//! Why a request stands where it stands: what each policy said, from the record
//! that was sealed when it was decided.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::channel::{Channel, ChannelKind};
use quorate_core::decision::{Answer, Record};
use quorate_core::ids::{ChannelName, RequestId};
use quorate_core::request::{Request, State};
use quorate_core::user::User;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::RequestView;
use super::{Error, Lifecycle};
use crate::ledger::DeliveryState;

/// Why a request stands where it stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Explanation {
    /// The request.
    pub request: RequestView,
    /// What each policy said, in the order they were asked.
    pub policies: Vec<PolicySaid>,
    /// The engine that ran them.
    pub engine: Option<String>,
    /// When they were asked.
    #[schema(value_type = Option<String>)]
    pub decided_at: Option<quorate_core::Timestamp>,
    /// The notification channels that have not been told what they should.
    pub untold: Vec<Untold>,
    /// The groups that it waits for and of which nobody hears in Slack, where it is told of there.
    pub unheard: Vec<String>,
}

/// A notification channel that could not be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Untold {
    /// Which.
    pub channel: String,
    /// Why, for auditors and admins; none: it was not tried yet.
    pub error: Option<String>,
    /// Whether it is not tried again: it could not be told at all, or not to everybody.
    pub given_up: bool,
}

/// What one policy said.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PolicySaid {
    /// Under which rule.
    pub rule: String,
    /// Which version of the rule.
    pub rule_revision: u64,
    /// Which policy.
    pub policy: String,
    /// The digest of its version.
    pub version: Option<String>,
    /// Its config.
    #[schema(value_type = Object)]
    pub config: serde_json::Value,
    /// In words.
    pub said: String,
    /// Its findings, in words.
    pub findings: Vec<String>,
    /// How much fuel it used.
    pub fuel_used: u64,
    /// What it logged.
    pub log: Vec<String>,
}

impl Lifecycle {
    /// Why a request stands where it stands.
    pub async fn explain(&self, id: &RequestId) -> Result<Explanation, Error> {
        self.settle(id).await?;
        let request = self.0.request(id)?;
        let view = self.view(&request)?;
        let (untold, unheard) = (self.untold(&request)?, self.unheard(&request)?);
        let sealed = match &request.record {
            Some(digest) => self.0.ledger.blob(digest)?,
            None => None,
        };
        let record: Option<Record> =
            sealed.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(anyhow::Error::new)?;
        let Some(record) = record else {
            return Ok(Explanation {
                request: view,
                policies: Vec::new(),
                engine: None,
                decided_at: None,
                untold,
                unheard,
            });
        };
        let policies = record.rules.iter().flat_map(|rule| {
            rule.opinions.iter().map(|opinion| PolicySaid {
                rule: rule.rule.to_string(),
                rule_revision: rule.revision,
                policy: opinion.policy.to_string(),
                version: opinion.version.map(|digest| digest.to_string()),
                config: serde_json::from_str(&opinion.config).unwrap_or_default(),
                said: opinion.answer.words(),
                findings: findings(&opinion.answer),
                fuel_used: opinion.fuel_used,
                log: opinion.log.clone(),
            })
        });
        Ok(Explanation {
            policies: policies.collect(),
            request: view,
            engine: Some(record.engine.clone()),
            decided_at: Some(record.input.now),
            untold,
            unheard,
        })
    }

    /// The groups that a request waits for and of which nobody hears in Slack, where it is told of
    /// there and nowhere but to who subscribed.
    fn unheard(&self, request: &Request) -> Result<Vec<String>, Error> {
        let decision = request.decision.as_deref().filter(|_| matches!(request.state, State::Pending));
        let Some(decision) = decision else { return Ok(Vec::new()) };
        let in_slack = self.slack_channels(request)?;
        let only_people = |one: &Channel| matches!(one.kind, ChannelKind::Slack { conversation: None });
        if in_slack.is_empty() || !in_slack.iter().all(only_people) {
            return Ok(Vec::new());
        }
        let users = self.0.ledger.users()?;
        let required = decision.waiting().iter().flat_map(|one| one.ways.iter().flatten());
        let groups: BTreeSet<&String> = required.flat_map(|one| &one.people.groups).collect();
        let nobody_hears = |group: &&String| {
            let named = std::slice::from_ref(*group);
            let hears = |user: &User| {
                user.id != request.asked.requester
                    && user.profile.groups.iter().any(|one| one.as_str() == group.as_str())
                    && user.hears_of(named)
            };
            !users.iter().any(hears)
        };
        Ok(groups.into_iter().filter(nobody_hears).cloned().collect())
    }

    /// Each channel once, with the newest reason; and, of a request that waits, those that its
    /// resource names and that are not there.
    fn untold(&self, request: &Request) -> Result<Vec<Untold>, Error> {
        let mut by_channel = BTreeMap::<String, Untold>::new();
        let untold = |channel: &str| Untold { channel: channel.to_owned(), error: None, given_up: true };
        for failed in self.0.ledger.failed_deliveries(&request.id)? {
            let channel = failed.channel.as_str();
            let one = by_channel.entry(channel.to_owned()).or_insert_with(|| untold(channel));
            // What waits behind it was not tried.
            one.error = failed.error.or(one.error.take());
            one.given_up &= failed.state != DeliveryState::Waiting;
        }
        let resource = self.0.ledger.resource(&request.asked.resource)?;
        let waits = resource.filter(|_| matches!(request.state, State::Pending));
        for plugin in waits.into_iter().flat_map(|resource| resource.plugins) {
            let name = plugin.parse::<ChannelName>().ok();
            let found = name.map(|name| self.0.ledger.channel(&name)).transpose()?.flatten();
            if found.is_none() {
                let error = Some("there is no such channel".to_owned());
                by_channel.insert(plugin.clone(), Untold { error, ..untold(&plugin) });
            }
        }
        Ok(by_channel.into_values().collect())
    }
}

fn findings(answer: &Answer) -> Vec<String> {
    match answer {
        Answer::Fault(_) => Vec::new(),
        Answer::Verdict(verdict) => {
            verdict.findings.iter().map(|one| format!("{}: {}", one.code, one.message)).collect()
        }
    }
}
