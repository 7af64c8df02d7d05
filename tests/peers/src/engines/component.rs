//! The rule as the gateway runs it: the built-in component, in a fresh instance for every
//! decision, under all limits.

use anyhow::{Context as _, anyhow, bail};
use quorate_core::input::Input;
use quorate_core::verdict::{Outcome, Way};
use quorate_policy::{Limits, Policy, Runtime};

use super::native::SOURCE;
use super::{About, Engine, Memory, REFERENCE, lines, version};
use crate::answer::{Answer, missing};
use crate::inputs::CONFIG;

/// The loaded component.
pub(super) struct Component {
    about: About,
    policy: Policy,
    /// Whether its instances are made ahead, and cleared away once the answer is there;
    /// otherwise a decision does both.
    ahead: bool,
    /// Kept, because the policy runs in it.
    _runtime: Runtime,
}

/// With instances that a decision makes itself, and with instances made ahead.
pub(super) fn both() -> anyhow::Result<(Component, Component)> {
    Ok((Component::new(REFERENCE, false)?, Component::new("component, made ahead", true)?))
}

impl Component {
    fn new(name: &'static str, ahead: bool) -> anyhow::Result<Self> {
        let runtime = Runtime::new(Limits::default(), None)?;
        let mut bundled = quorate_bundle::BUILT_IN.iter();
        let bundled = bundled.find(|one| one.name == "group-quorum").context("the rule is not built in")?;
        let about = About {
            name,
            version: version("wasmtime")?,
            memory: Memory::Sandbox,
            says_missing: true,
            groups: "any",
            lines: lines(SOURCE),
            limits: None,
        };
        Ok(Self { about, policy: runtime.load(bundled.component)?, ahead, _runtime: runtime })
    }
}

impl Engine for Component {
    fn about(&self) -> &About {
        &self.about
    }

    fn get_ready(&mut self) {
        if self.ahead {
            self.policy.get_ready();
        }
    }

    fn decide(&mut self, input: &Input) -> anyhow::Result<Answer> {
        let verdict = self.policy.evaluate(CONFIG, input).verdict.map_err(|fault| anyhow!("{fault}"))?;
        Ok(match verdict.outcome {
            Outcome::Approve => Answer::Approve,
            Outcome::Deny(why) => Answer::Deny(Some(why)),
            Outcome::Wait(ways) => {
                let way =
                    |way: &Way| way.iter().map(|one| missing(one.approvals, &one.people.groups)).collect();
                Answer::Wait(Some(ways.iter().map(way).collect()))
            }
            other => bail!("{other:?} is not what this rule says"),
        })
    }
}
