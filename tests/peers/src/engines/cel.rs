//! CEL, in the crate `cel`.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use cel::objects::{Key, Map};
use cel::{Context, Program, Value};
use quorate_core::input::Input;

use super::{About, Engine, Memory, lines, version};
use crate::answer::Answer;
use crate::inputs::GROUPS;
use crate::values::{self, Build, Read};

const RULE: &str = include_str!("../../rules/quorum.cel");

/// The parsed expression, and what all decisions see.
pub(super) struct Cel {
    about: About,
    program: Program,
    surroundings: Context<'static, 'static>,
}

impl Cel {
    pub(super) fn new() -> anyhow::Result<Self> {
        let about = About {
            name: "CEL, cel",
            version: version("cel")?,
            memory: Memory::Shared,
            says_missing: true,
            groups: "two",
            lines: lines(RULE),
            limits: Some(
                "CEL has no loops: a rule for any number of groups cannot be written, each number is one.",
            ),
        };
        let mut surroundings = Context::default();
        let groups = CelValues.list(GROUPS.into_iter().map(|group| CelValues.text(group)))?;
        surroundings.add_variable_from_value("groups", groups);
        Ok(Self { about, program: Program::compile(RULE)?, surroundings })
    }
}

impl Engine for Cel {
    fn about(&self) -> &About {
        &self.about
    }

    fn decide(&mut self, input: &Input) -> anyhow::Result<Answer> {
        let mut context = self.surroundings.new_inner_scope();
        context.add_variable_from_value("input", values::input(&CelValues, input)?);
        let given = self.program.execute(&context).map_err(|error| anyhow!("{error}"))?;
        values::answer(&CelValues, &given)
    }
}

struct CelValues;

impl Build for CelValues {
    type Value = Value;

    fn text(&self, text: &str) -> anyhow::Result<Value> {
        Ok(text.into())
    }

    fn number(&self, number: i64) -> anyhow::Result<Value> {
        Ok(Value::Int(number))
    }

    fn flag(&self, flag: bool) -> anyhow::Result<Value> {
        Ok(Value::Bool(flag))
    }

    fn nothing(&self) -> anyhow::Result<Value> {
        Ok(Value::Null)
    }

    fn list(&self, values: impl ExactSizeIterator<Item = anyhow::Result<Value>>) -> anyhow::Result<Value> {
        Ok(Value::List(Arc::new(values.collect::<anyhow::Result<_>>()?)))
    }

    fn record<const N: usize>(&self, fields: [(&'static str, Value); N]) -> anyhow::Result<Value> {
        let fields = fields.into_iter().map(|(name, value)| (Key::from(name), value));
        Ok(Value::Map(Map { map: Arc::new(fields.collect::<HashMap<_, _>>()) }))
    }
}

impl Read for CelValues {
    fn field(&self, record: &Value, name: &str) -> anyhow::Result<Value> {
        let Value::Map(record) = record else { bail!("the answer is no map") };
        let field = record.map.get(&Key::from(name));
        Ok(field.with_context(|| format!("the answer has no `{name}`"))?.clone())
    }

    fn string(&self, text: &Value) -> anyhow::Result<String> {
        let Value::String(text) = text else { bail!("a part of the answer is no text") };
        Ok(text.to_string())
    }

    fn items(&self, list: &Value) -> anyhow::Result<Vec<Value>> {
        let Value::List(list) = list else { bail!("a part of the answer is no list") };
        Ok(list.to_vec())
    }
}
