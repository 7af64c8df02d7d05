//! Cedar. Its rule compares numbers that the gateway counted.

use std::collections::HashSet;

use anyhow::{Context as _, bail};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request, RestrictedExpression,
};
use quorate_core::input::{Choice, Input, Principal, Vote};

use super::{About, Engine, Memory, lines, version};
use crate::answer::Answer;
use crate::inputs::GROUPS;
use crate::values::{self, Build};

const RULE: &str = include_str!("../../rules/quorum.cedar");

/// The parsed policies.
pub(super) struct Cedar {
    about: About,
    authorizer: Authorizer,
    policies: PolicySet,
    forbids: PolicyId,
    types: Types,
    action: EntityUid,
    /// Whether the gateway hands over all of the input, people as entities in their groups;
    /// otherwise only what it counted, which is all that this rule reads.
    whole: bool,
}

struct Types {
    user: EntityTypeName,
    group: EntityTypeName,
    resource: EntityTypeName,
}

impl Cedar {
    pub(super) fn whole_input() -> anyhow::Result<Self> {
        Self::new("Cedar, whole input", true)
    }

    pub(super) fn counts_alone() -> anyhow::Result<Self> {
        Self::new("Cedar, counts alone", false)
    }

    fn new(name: &'static str, whole: bool) -> anyhow::Result<Self> {
        let about = About {
            name,
            version: version("cedar-policy")?,
            memory: Memory::Shared,
            says_missing: false,
            groups: "two",
            lines: lines(RULE),
            limits: Some(
                "Cedar neither goes through the votes nor counts: the gateway does, for these two groups, and \
                 gives numbers. It says neither what is missing nor who rejected.",
            ),
        };
        let policies: PolicySet = RULE.parse()?;
        let forbids = policies.policies().find(|policy| policy.annotation("id") == Some("rejected"));
        let forbids = forbids.context("the rule forbids nothing")?.id().clone();
        Ok(Self {
            about,
            authorizer: Authorizer::new(),
            forbids,
            types: Types { user: "User".parse()?, group: "Group".parse()?, resource: "Resource".parse()? },
            action: r#"Action::"access""#.parse()?,
            policies,
            whole,
        })
    }
}

impl Engine for Cedar {
    fn about(&self) -> &About {
        &self.about
    }

    fn decide(&mut self, input: &Input) -> anyhow::Result<Answer> {
        let (context, entities) = if self.whole {
            let context = [
                ("counted".to_owned(), counted(&input.votes)?),
                ("input".to_owned(), values::input(&CedarValues, input)?),
            ];
            (Context::from_pairs(context)?, self.types.people(input)?)
        } else {
            (Context::from_pairs([("counted".to_owned(), counted(&input.votes)?)])?, Entities::empty())
        };
        let request = Request::new(
            uid(&self.types.user, input.request.requester.id.as_str()),
            self.action.clone(),
            uid(&self.types.resource, input.request.target.name.as_str()),
            context,
            None,
        )?;
        let response = self.authorizer.is_authorized(&request, &self.policies, &entities);
        if let Some(error) = response.diagnostics().errors().next() {
            bail!("{error}");
        }
        let forbidden = response.diagnostics().reason().any(|policy| *policy == self.forbids);
        Ok(match response.decision() {
            Decision::Allow => Answer::Approve,
            Decision::Deny if forbidden => Answer::Deny(None),
            Decision::Deny => Answer::Wait(None),
        })
    }
}

/// What the rule cannot count itself.
fn counted(votes: &[Vote]) -> anyhow::Result<RestrictedExpression> {
    let [mut dba, mut security, mut either, mut rejections] = [0, 0, 0, 0];
    for vote in votes {
        let [in_dba, in_security] = GROUPS.map(|group| vote.voter.is_in(group));
        match vote.choice {
            _ if !in_dba && !in_security => {}
            Choice::Reject => rejections += 1,
            Choice::Approve => {
                either += 1;
                dba += i64::from(in_dba);
                security += i64::from(in_security);
            }
        }
    }
    CedarValues.record([
        ("dba", CedarValues.number(dba)?),
        ("security", CedarValues.number(security)?),
        ("either", CedarValues.number(either)?),
        ("rejections", CedarValues.number(rejections)?),
    ])
}

impl Types {
    /// The requester and the voters, in their groups.
    fn people(&self, input: &Input) -> anyhow::Result<Entities> {
        let voters = input.votes.iter().map(|vote| &vote.voter);
        let people = voters.chain([&input.request.requester]).map(|person| self.person(person));
        Ok(Entities::from_entities(people, None)?)
    }

    fn person(&self, person: &Principal) -> Entity {
        let groups: HashSet<EntityUid> =
            person.groups.iter().map(|group| uid(&self.group, group.as_str())).collect();
        Entity::new_no_attrs(uid(&self.user, person.id.as_str()), groups)
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

struct CedarValues;

impl Build for CedarValues {
    type Value = RestrictedExpression;

    fn text(&self, text: &str) -> anyhow::Result<RestrictedExpression> {
        Ok(RestrictedExpression::new_string(text.to_owned()))
    }

    fn number(&self, number: i64) -> anyhow::Result<RestrictedExpression> {
        Ok(RestrictedExpression::new_long(number))
    }

    fn flag(&self, flag: bool) -> anyhow::Result<RestrictedExpression> {
        Ok(RestrictedExpression::new_bool(flag))
    }

    /// Cedar has no null.
    fn nothing(&self) -> anyhow::Result<RestrictedExpression> {
        Ok(RestrictedExpression::new_set([]))
    }

    /// Cedar has no lists; the order of the votes is lost.
    fn list(
        &self,
        values: impl ExactSizeIterator<Item = anyhow::Result<RestrictedExpression>>,
    ) -> anyhow::Result<RestrictedExpression> {
        Ok(RestrictedExpression::new_set(values.collect::<anyhow::Result<Vec<_>>>()?))
    }

    fn record<const N: usize>(
        &self,
        fields: [(&'static str, RestrictedExpression); N],
    ) -> anyhow::Result<RestrictedExpression> {
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
        Ok(RestrictedExpression::new_record(fields)?)
    }
}
