//! What a statement does, by its parsed form.
//!
//! Everything in it is looked at, however deep: what counts is the worst of it. A kind of
//! statement that is not named here is for the strict way.

use std::ops::ControlFlow;

use quorate_kit::Finding;
use sqlparser::ast::{
    CopyTarget, Expr, Function, ObjectName, ObjectNamePart, Query, Select, Statement, TableFactor, Value,
    ValueWithSpan, Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::functions::only_reads;
use crate::plain;

/// How often the parser may call itself. Its frames are large: it is measured against the
/// stack in `.cargo/config.toml`, and the native one that a gateway gives.
const RECURSION_MAX: usize = 30;
/// More than these nobody reads.
const FINDINGS_MAX: usize = 8;

/// What is needed for it, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Nobody.
    Read,
    /// Somebody.
    Write,
    /// Several people.
    Strict,
    /// Nobody can allow it.
    Refused,
}

/// What a command does.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) level: Level,
    /// Why it is not less.
    pub(crate) findings: Vec<Finding>,
}

impl Judged {
    pub(crate) fn of(level: Level, code: &str, why: impl Into<String>) -> Self {
        Self { level, findings: vec![Finding::new(code, why)] }
    }
}

/// What all of `statements` do, one after the other.
pub(crate) fn all(statements: &[String], functions: &[String]) -> Judged {
    if statements.is_empty() {
        return Judged::of(Level::Refused, "no-sql", "there is no SQL but comments");
    }
    let mut judge = Judge::new(functions);
    for (nth, statement) in statements.iter().enumerate() {
        judge.place = if statements.len() > 1 { format!("statement {}: ", nth + 1) } else { String::new() };
        match parsed(statement) {
            Ok(statement) => judge.look_at(&statement),
            Err(why) => judge.says(Level::Strict, "not-known", &format!("it is not understood here: {why}")),
        }
    }
    // Only what makes it as bad as it is.
    let Judge { level, mut said, .. } = judge;
    said.retain(|(of, _)| *of == level);
    let findings = said.into_iter().map(|(_, finding)| finding).take(FINDINGS_MAX).collect();
    Judged { level, findings }
}

/// `text` as one statement, to its end.
fn parsed(text: &str) -> Result<Statement, String> {
    let parser = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(RECURSION_MAX);
    let mut parser = parser.try_with_sql(text).map_err(|error| plain(&error.to_string()))?;
    let statement = parser.parse_statement().map_err(|error| plain(&error.to_string()))?;
    match parser.next_token().token {
        Token::EOF => Ok(statement),
        other => Err(plain(&format!("`{other}` comes after its end"))),
    }
}

struct Judge<'f> {
    functions: &'f [String],
    level: Level,
    said: Vec<(Level, Finding)>,
    /// Which statement it is, for people.
    place: String,
}

impl<'f> Judge<'f> {
    fn new(functions: &'f [String]) -> Self {
        Self { functions, level: Level::Read, said: Vec::new(), place: String::new() }
    }

    fn look_at(&mut self, statement: &Statement) {
        match statement {
            Statement::Explain { analyze, options, statement, .. } => {
                let measured = |name: &str| name.eq_ignore_ascii_case("analyze");
                // `ANALYZE false`, too, is read as it should not be: people can leave it out.
                let runs = *analyze || options.iter().flatten().any(|option| measured(&option.name.value));
                if runs {
                    return self.look_at(statement);
                }
                // A plan changes nothing, but a function of constants is called for it.
                let mut planned = Judge::new(self.functions);
                planned.place.clone_from(&self.place);
                planned.look_at(statement);
                let called = planned.said.into_iter().filter(|(_, finding)| finding.code == "function");
                for (level, finding) in called {
                    self.level = self.level.max(level);
                    self.said.push((level, finding));
                }
            }
            other => {
                let _ = other.visit(self);
            }
        }
    }

    fn says(&mut self, level: Level, code: &str, why: &str) {
        self.level = self.level.max(level);
        let finding = Finding::new(code, format!("{}{why}", self.place));
        if self.said.iter().all(|(_, said)| *said != finding) {
            self.said.push((level, finding));
        }
    }

    fn called(&mut self, name: &ObjectName) {
        let name = looked_up(name);
        if !only_reads(&name, self.functions) {
            let why = format!("`{}` is not among the functions that only read", plain(&name));
            self.says(Level::Strict, "function", &why);
        }
    }

    /// A change of those rows that `condition` chooses.
    fn changes(&mut self, what: &str, condition: Option<&Expr>) {
        match condition {
            None => self.says(Level::Refused, "all-rows", &format!("{what} without WHERE changes all rows")),
            Some(condition) if !names_a_column(condition) => {
                let why = format!("the WHERE of {what} names no column, so it chooses no rows");
                self.says(Level::Refused, "all-rows", &why);
            }
            Some(_) => self.says(Level::Write, "write", &format!("{what} changes rows")),
        }
    }

    fn copy(&mut self, to: bool, target: &CopyTarget) {
        match (target, to) {
            (CopyTarget::Stdout, true) => {}
            (CopyTarget::Program { .. }, _) => {
                self.says(Level::Refused, "program", "COPY runs a program on the server");
            }
            (CopyTarget::File { .. }, _) => {
                self.says(Level::Refused, "file", "COPY reaches a file on the server");
            }
            // Where it fails, psql runs what was meant as rows.
            (CopyTarget::Stdin | CopyTarget::Stdout, _) => {
                self.says(Level::Refused, "copy", "the rows of COPY cannot be told from statements");
            }
        }
    }
}

impl Visitor for Judge<'_> {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        use Statement as S;
        match statement {
            S::Query(_)
            | S::ShowVariable { .. }
            | S::StartTransaction { .. }
            | S::Commit { .. }
            | S::Rollback { .. }
            | S::Savepoint { .. }
            | S::ReleaseSavepoint { .. } => {}
            S::Insert(_) => self.says(Level::Write, "write", "INSERT adds rows"),
            S::Merge(_) => self.says(Level::Write, "write", "MERGE changes rows"),
            S::Update(update) => self.changes("UPDATE", update.selection.as_ref()),
            S::Delete(delete) => self.changes("DELETE", delete.selection.as_ref()),
            S::Copy { to, target, .. } => self.copy(*to, target),
            S::Truncate(_) => self.says(Level::Strict, "schema", "TRUNCATE empties a table"),
            S::Drop { .. } => self.says(Level::Strict, "schema", "DROP changes the schema"),
            S::AlterTable(_) => self.says(Level::Strict, "schema", "ALTER TABLE changes the schema"),
            S::CreateTable(_) | S::CreateIndex(_) | S::CreateView(_) | S::CreateFunction(_) => {
                self.says(Level::Strict, "schema", "CREATE changes the schema");
            }
            S::Grant(_) | S::Revoke(_) => self.says(Level::Strict, "schema", "it changes who may do what"),
            other => {
                let begins = other.to_string();
                let begins = begins.split([' ', '(']).next().unwrap_or_default();
                let why = format!("a statement that begins with {} is not known to only read", plain(begins));
                self.says(Level::Strict, "not-known", &why);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if !query.locks.is_empty() {
            self.says(Level::Write, "lock", "SELECT FOR UPDATE or FOR SHARE locks rows");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if select.into.is_some() {
            self.says(Level::Strict, "schema", "SELECT INTO makes a table");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.called(name);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(Function { name, .. }) = expr {
            self.called(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        if let Value::Placeholder(_) = value.value {
            self.says(Level::Strict, "not-known", "it has a placeholder");
        }
        ControlFlow::Continue(())
    }
}

/// The name as the database looks for it: small letters, where it is not quoted.
fn looked_up(name: &ObjectName) -> String {
    let part = |part: &ObjectNamePart| match part {
        ObjectNamePart::Identifier(name) if name.quote_style.is_none() => name.value.to_lowercase(),
        // A dot in a quoted name is none between names.
        ObjectNamePart::Identifier(name) => name.value.replace('.', "\".\""),
        ObjectNamePart::Function(_) => "?".to_owned(),
    };
    name.0.iter().map(part).collect::<Vec<_>>().join(".")
}

fn names_a_column(condition: &Expr) -> bool {
    struct Finder;
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    condition.visit(&mut Finder).is_break()
}
