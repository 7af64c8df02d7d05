//! Rego, in regorus: as bytecode in its virtual machine, and in its interpreter.

use std::collections::BTreeMap;

use anyhow::Context as _;
use quorate_core::input::Input;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;
use regorus::{CompiledPolicy, Value};

use super::{About, Engine, Memory, lines, version};
use crate::answer::Answer;
use crate::inputs::GROUPS;
use crate::values::{self, Build, Read};

const RULE: &str = include_str!("../../rules/quorum.rego");
const ENTRY: &str = "data.quorum.answer";

/// The compiled rule.
pub(super) struct Rego {
    about: About,
    run: Run,
}

enum Run {
    /// One machine for all decisions.
    Machine(Box<RegoVM>),
    Interpreter(CompiledPolicy),
}

impl Rego {
    pub(super) fn machine() -> anyhow::Result<Self> {
        let policy = compiled()?;
        let program = Compiler::compile_from_policy(&policy, &[ENTRY])?;
        let mut machine = RegoVM::new_with_policy(policy);
        machine.load_program(program);
        machine.set_data(config()?)?;
        Self::new("Rego, regorus machine", Run::Machine(Box::new(machine)))
    }

    pub(super) fn interpreter() -> anyhow::Result<Self> {
        Self::new("Rego, regorus interpreter", Run::Interpreter(compiled()?))
    }

    fn new(name: &'static str, run: Run) -> anyhow::Result<Self> {
        let about = About {
            name,
            version: version("regorus")?,
            memory: Memory::Shared,
            says_missing: true,
            groups: "two",
            lines: lines(RULE),
            limits: None,
        };
        Ok(Self { about, run })
    }
}

fn compiled() -> anyhow::Result<CompiledPolicy> {
    let mut engine = regorus::Engine::new();
    engine.add_policy("quorum.rego".to_owned(), RULE.to_owned())?;
    engine.add_data(config()?)?;
    engine.compile_with_entrypoint(&ENTRY.into())
}

fn config() -> anyhow::Result<Value> {
    let groups = Regorus.list(GROUPS.into_iter().map(|group| Regorus.text(group)))?;
    Regorus.record([("groups", groups)])
}

impl Engine for Rego {
    fn about(&self) -> &About {
        &self.about
    }

    fn decide(&mut self, input: &Input) -> anyhow::Result<Answer> {
        let input = values::input(&Regorus, input)?;
        let given = match &mut self.run {
            Run::Machine(machine) => {
                machine.set_input(input);
                machine.execute_entry_point_by_index(0)?
            }
            Run::Interpreter(policy) => policy.eval_with_input(input)?,
        };
        values::answer(&Regorus, &given)
    }
}

struct Regorus;

impl Build for Regorus {
    type Value = Value;

    fn text(&self, text: &str) -> anyhow::Result<Value> {
        Ok(text.into())
    }

    fn number(&self, number: i64) -> anyhow::Result<Value> {
        Ok(number.into())
    }

    fn flag(&self, flag: bool) -> anyhow::Result<Value> {
        Ok(flag.into())
    }

    fn nothing(&self) -> anyhow::Result<Value> {
        Ok(Value::Null)
    }

    fn list(&self, values: impl ExactSizeIterator<Item = anyhow::Result<Value>>) -> anyhow::Result<Value> {
        Ok(Value::from(values.collect::<anyhow::Result<Vec<Value>>>()?))
    }

    fn record<const N: usize>(&self, fields: [(&'static str, Value); N]) -> anyhow::Result<Value> {
        let fields = fields.into_iter().map(|(name, value)| (Value::from(name), value));
        Ok(Value::from(fields.collect::<BTreeMap<Value, Value>>()))
    }
}

impl Read for Regorus {
    fn field(&self, record: &Value, name: &str) -> anyhow::Result<Value> {
        let field = record.as_object()?.get(&Value::from(name));
        Ok(field.with_context(|| format!("the answer has no `{name}`"))?.clone())
    }

    fn string(&self, text: &Value) -> anyhow::Result<String> {
        Ok(text.as_string()?.to_string())
    }

    fn items(&self, list: &Value) -> anyhow::Result<Vec<Value>> {
        Ok(list.as_array()?.iter().cloned().collect())
    }
}
