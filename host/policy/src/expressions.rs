//! The properties that a world brings along, as expressions in CEL, the Common Expression
//! Language (<https://cel.dev>). Each is compiled once and asked in every state.
//!
//! Not here: what a state is; that is for `quorate_kit::properties`. No policy is written
//! in this language, and none has it inside.

mod values;

use std::collections::BTreeSet;
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Env, Program, Value};
use quorate_core::text::steers;
use quorate_kit::properties::{Judge, Own};
use quorate_kit::vectors::BadFile;
use quorate_kit::{Input, Verdict};

/// The longest expression.
const BYTES_MAX: usize = 4096;
/// Of an expression's failure, as much is told.
const FAILURE_CHARS_MAX: usize = 200;

/// What is the same in all states of a situation.
const OF_SITUATION: [&str; 4] = ["request", "config", "facts", "now"];
/// What is another in each state.
const OF_STATE: [&str; 4] = ["votes", "approvals", "rejections", "verdict"];
/// What the language itself calls a type.
const TYPES: [&str; 10] =
    ["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "uint"];

/// Compiled expressions, in their order in the world.
pub struct Expressions {
    programs: Vec<Asked>,
    env: Arc<Env>,
    situation: Context<'static, 'static>,
}

/// One expression, and what it wants to know of a state.
struct Asked {
    program: Program,
    wants: Vec<&'static str>,
}

impl Expressions {
    /// Compiles all of them.
    ///
    /// # Errors
    /// Where one is no expression, or asks for something that there is not; with the place.
    pub fn compile(own: &[Own]) -> Result<Self, BadFile> {
        let env = Arc::new(Env::stdlib());
        let compiled = own.iter().map(|one| {
            compile(&env, &one.holds).map_err(|why| {
                BadFile::new(clean(&format!("in the expression of `{}`, {why}", one.name), usize::MAX))
            })
        });
        let programs = compiled.collect::<Result<_, _>>()?;
        Ok(Self { programs, situation: Context::with_env(Arc::clone(&env)), env })
    }
}

impl Judge for Expressions {
    fn begin(&mut self, config: &str, input: &Input) {
        self.situation = Context::with_env(Arc::clone(&self.env));
        if self.programs.is_empty() {
            return;
        }
        self.situation.add_variable_from_value("request", values::request(&input.request));
        self.situation.add_variable_from_value("config", values::json(config));
        self.situation.add_variable_from_value("facts", values::facts(input));
        self.situation.add_variable_from_value("now", values::number(input.now));
    }

    fn holds(&mut self, nth: usize, input: &Input, verdict: &Verdict) -> Result<bool, String> {
        let Some(Asked { program, wants }) = self.programs.get(nth) else {
            return Err("is not known".to_owned());
        };
        let mut state = self.situation.new_inner_scope();
        for name in wants {
            let value = match *name {
                "votes" => values::votes(input),
                "approvals" => values::count(input.approvals().count()),
                "rejections" => values::count(input.rejections().count()),
                _ => values::verdict(verdict),
            };
            state.add_variable_from_value(*name, value);
        }
        match program.execute(&state) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(clean(&format!("is {other:?}, neither true nor false"), FAILURE_CHARS_MAX)),
            Err(error) => Err(clean(&format!("fails: {error}"), FAILURE_CHARS_MAX)),
        }
    }
}

/// One line with nothing in it that steers a terminal.
fn clean(text: &str, chars_max: usize) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line.chars().filter(|c| !steers(*c)).take(chars_max).collect()
}

fn compile(env: &Arc<Env>, text: &str) -> Result<Asked, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("which has {} bytes, {BYTES_MAX} are allowed", text.len()));
    }
    let program = env.compile(text).map_err(|errors| match errors.errors.first() {
        Some(error) => format!("line {}, column {}: {}", error.pos.0, error.pos.1, error.msg),
        None => "something is wrong".to_owned(),
    })?;
    let place = |id| place(text, program.source_info().offset_for(id).map_or(0, |(start, _)| start));
    let mut names = Names::default();
    names.read(program.expression(), &mut Vec::new());
    for (name, id) in &names.free {
        let known = OF_SITUATION.iter().chain(&OF_STATE).copied();
        if known.clone().chain(TYPES).any(|known| known == *name) {
            continue;
        }
        let meant = known.map(|known| (strsim::jaro_winkler(name, known), known));
        let meant = meant.filter(|(score, _)| *score > 0.75).max_by(|one, other| one.0.total_cmp(&other.0));
        let meant = match meant {
            Some((_, known)) => format!("did you mean `{known}`?"),
            None => format!("there are {} and {}", OF_SITUATION.join(", "), OF_STATE.join(", ")),
        };
        return Err(format!("{}: there is no `{name}`, {meant}", place(*id)));
    }
    for (name, id) in &names.called {
        if !is_function(env, name) {
            return Err(format!("{}: there is no function `{name}`", place(*id)));
        }
    }
    let free: BTreeSet<&str> = names.free.iter().map(|(name, _)| *name).collect();
    let wants = OF_STATE.into_iter().filter(|name| free.contains(name)).collect();
    Ok(Asked { program, wants })
}

/// Whether the language has such a function: then no other can take its name.
fn is_function(env: &Arc<Env>, name: &str) -> bool {
    Context::with_env(Arc::clone(env)).add_function(name, |number: i64| number).is_err()
}

/// A position in words.
fn place(text: &str, offset: u32) -> String {
    let before: String = text.chars().take(offset as usize).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

/// The names in an expression that it does not explain itself, with where they stand.
#[derive(Default)]
struct Names<'e> {
    free: Vec<(&'e str, u64)>,
    called: Vec<(&'e str, u64)>,
}

impl<'e> Names<'e> {
    /// Reads all of `part`; `bound` are the names that `all`, `exists` and their like give.
    fn read(&mut self, part: &'e IdedExpr, bound: &mut Vec<&'e str>) {
        match &part.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => {
                if !bound.contains(&name.as_str()) {
                    self.free.push((name.trim_start_matches('.'), part.id));
                }
            }
            Expr::Call(call) => {
                // The others are operators.
                if call.func_name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                    && !call.func_name.starts_with('_')
                {
                    self.called.push((&call.func_name, part.id));
                }
                call.target.iter().for_each(|target| self.read(target, bound));
                call.args.iter().for_each(|argument| self.read(argument, bound));
            }
            Expr::Comprehension(each) => {
                self.read(&each.iter_range, bound);
                self.read(&each.accu_init, bound);
                let outside = bound.len();
                bound.extend([each.iter_var.as_str(), each.accu_var.as_str()]);
                bound.extend(each.iter_var2.as_deref());
                for inside in [&each.loop_cond, &each.loop_step, &each.result] {
                    self.read(inside, bound);
                }
                bound.truncate(outside);
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.read(element, bound)),
            Expr::Select(select) => self.read(&select.operand, bound),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr, bound)),
            Expr::Struct(made) => made.entries.iter().for_each(|entry| self.entry(&entry.expr, bound)),
        }
    }

    fn entry(&mut self, entry: &'e EntryExpr, bound: &mut Vec<&'e str>) {
        match entry {
            EntryExpr::StructField(field) => self.read(&field.value, bound),
            EntryExpr::MapEntry(entry) => {
                self.read(&entry.key, bound);
                self.read(&entry.value, bound);
            }
        }
    }
}

#[cfg(test)]
mod tests;
