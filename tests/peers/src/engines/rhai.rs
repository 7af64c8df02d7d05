//! Rhai, an embedded script.

use anyhow::{Context as _, anyhow};
use quorate_core::input::Input;
use rhai::{AST, CallFnOptions, Dynamic, Engine as Interpreter, ImmutableString, Map, Scope};

use super::{About, Engine, Memory, lines, version};
use crate::answer::Answer;
use crate::inputs::GROUPS;
use crate::values::{self, Build, Read};

const RULE: &str = include_str!("../../rules/quorum.rhai");

/// The compiled script.
pub(super) struct Rhai {
    about: About,
    interpreter: Interpreter,
    script: AST,
    groups: Dynamic,
}

impl Rhai {
    pub(super) fn new() -> anyhow::Result<Self> {
        let about = About {
            name: "Rhai",
            version: version("rhai")?,
            memory: Memory::Shared,
            says_missing: true,
            groups: "two",
            lines: lines(RULE),
            limits: None,
        };
        let interpreter = Interpreter::new();
        let script = interpreter.compile(RULE).map_err(|error| anyhow!("{error}"))?;
        let groups = RhaiValues.list(GROUPS.into_iter().map(|group| RhaiValues.text(group)))?;
        Ok(Self { about, interpreter, script, groups })
    }
}

impl Engine for Rhai {
    fn about(&self) -> &About {
        &self.about
    }

    fn decide(&mut self, input: &Input) -> anyhow::Result<Answer> {
        let arguments = (self.groups.clone(), values::input(&RhaiValues, input)?);
        let options = CallFnOptions::new().eval_ast(false);
        let given: Dynamic = self
            .interpreter
            .call_fn_with_options(options, &mut Scope::new(), &self.script, "evaluate", arguments)
            .map_err(|error| anyhow!("{error}"))?;
        values::answer(&RhaiValues, &given)
    }
}

struct RhaiValues;

impl Build for RhaiValues {
    type Value = Dynamic;

    fn text(&self, text: &str) -> anyhow::Result<Dynamic> {
        Ok(ImmutableString::from(text).into())
    }

    fn number(&self, number: i64) -> anyhow::Result<Dynamic> {
        Ok(number.into())
    }

    fn flag(&self, flag: bool) -> anyhow::Result<Dynamic> {
        Ok(flag.into())
    }

    fn nothing(&self) -> anyhow::Result<Dynamic> {
        Ok(Dynamic::UNIT)
    }

    fn list(
        &self,
        values: impl ExactSizeIterator<Item = anyhow::Result<Dynamic>>,
    ) -> anyhow::Result<Dynamic> {
        Ok(Dynamic::from_array(values.collect::<anyhow::Result<_>>()?))
    }

    fn record<const N: usize>(&self, fields: [(&'static str, Dynamic); N]) -> anyhow::Result<Dynamic> {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value));
        Ok(Dynamic::from_map(fields.collect::<Map>()))
    }
}

impl Read for RhaiValues {
    fn field(&self, record: &Dynamic, name: &str) -> anyhow::Result<Dynamic> {
        let record = record.as_map_ref().map_err(|kind| anyhow!("the answer is a {kind}"))?;
        Ok(record.get(name).with_context(|| format!("the answer has no `{name}`"))?.clone())
    }

    fn string(&self, text: &Dynamic) -> anyhow::Result<String> {
        text.clone().into_string().map_err(|kind| anyhow!("a text of the answer is a {kind}"))
    }

    fn items(&self, list: &Dynamic) -> anyhow::Result<Vec<Dynamic>> {
        let list = list.as_array_ref().map_err(|kind| anyhow!("a list of the answer is a {kind}"))?;
        Ok(list.clone())
    }
}
