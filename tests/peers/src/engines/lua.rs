//! Lua 5.4: with one state for all decisions, and with a fresh one for each.

use mlua::chunk::ChunkMode;
use mlua::{Function, LuaOptions, StdLib, Table, Value};
use quorate_core::input::Input;

use super::{About, Engine, Memory, lines, version};
use crate::answer::Answer;
use crate::inputs::GROUPS;
use crate::values::{self, Build, Read};

const RULE: &str = include_str!("../../rules/quorum.lua");

/// The compiled script.
pub(super) struct Lua {
    about: About,
    state: State,
}

enum State {
    /// One for all decisions.
    One(Loaded),
    /// Made for each decision out of this bytecode.
    Fresh(Vec<u8>),
}

/// A state with the rule in it.
struct Loaded {
    lua: mlua::Lua,
    rule: Function,
    groups: Value,
}

impl Lua {
    pub(super) fn one_state() -> anyhow::Result<Self> {
        let state = State::One(Loaded::new(RULE.as_bytes(), ChunkMode::Text)?);
        Self::new("Lua, one state", Memory::Shared, state)
    }

    pub(super) fn fresh_state() -> anyhow::Result<Self> {
        let bytecode = mlua::Lua::new().load(RULE).into_function()?.dump(true);
        Self::new("Lua, fresh state", Memory::SharedFresh, State::Fresh(bytecode))
    }

    fn new(name: &'static str, memory: Memory, state: State) -> anyhow::Result<Self> {
        let about = About {
            name,
            version: version("mlua")?,
            memory,
            says_missing: true,
            groups: "two",
            lines: lines(RULE),
            limits: None,
        };
        Ok(Self { about, state })
    }
}

impl Engine for Lua {
    fn about(&self) -> &About {
        &self.about
    }

    fn decide(&mut self, input: &Input) -> anyhow::Result<Answer> {
        match &self.state {
            State::One(loaded) => loaded.decide(input),
            State::Fresh(bytecode) => Loaded::new(bytecode, ChunkMode::Binary)?.decide(input),
        }
    }
}

impl Loaded {
    fn new(rule: &[u8], mode: ChunkMode) -> anyhow::Result<Self> {
        let lua = mlua::Lua::new_with(StdLib::TABLE | StdLib::STRING, LuaOptions::default())?;
        let rule = lua.load(rule).set_mode(mode).call(())?;
        let groups = lua.list(GROUPS.into_iter().map(|group| lua.text(group)))?;
        Ok(Self { lua, rule, groups })
    }

    fn decide(&self, input: &Input) -> anyhow::Result<Answer> {
        let given: Value = self.rule.call((&self.groups, values::input(&self.lua, input)?))?;
        values::answer(&self.lua, &given)
    }
}

impl Build for mlua::Lua {
    type Value = Value;

    fn text(&self, text: &str) -> anyhow::Result<Value> {
        Ok(Value::String(self.create_string(text)?))
    }

    fn number(&self, number: i64) -> anyhow::Result<Value> {
        Ok(Value::Integer(number))
    }

    fn flag(&self, flag: bool) -> anyhow::Result<Value> {
        Ok(Value::Boolean(flag))
    }

    fn nothing(&self) -> anyhow::Result<Value> {
        Ok(Value::Nil)
    }

    fn list(&self, values: impl ExactSizeIterator<Item = anyhow::Result<Value>>) -> anyhow::Result<Value> {
        let list = self.create_table_with_capacity(values.len(), 0)?;
        for value in values {
            list.raw_push(value?)?;
        }
        Ok(Value::Table(list))
    }

    fn record<const N: usize>(&self, fields: [(&'static str, Value); N]) -> anyhow::Result<Value> {
        Ok(Value::Table(self.create_table_from(fields)?))
    }
}

impl Read for mlua::Lua {
    fn field(&self, record: &Value, name: &str) -> anyhow::Result<Value> {
        Ok(table(record)?.raw_get(name)?)
    }

    fn string(&self, text: &Value) -> anyhow::Result<String> {
        Ok(text.to_string()?)
    }

    fn items(&self, list: &Value) -> anyhow::Result<Vec<Value>> {
        Ok(table(list)?.sequence_values().collect::<mlua::Result<_>>()?)
    }
}

fn table(value: &Value) -> anyhow::Result<&Table> {
    value.as_table().ok_or_else(|| anyhow::anyhow!("a part of the answer is a {}", value.type_name()))
}
