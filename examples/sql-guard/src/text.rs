//! From a text to single statements, divided as psql and PostgreSQL would.
//!
//! A parser that saw other borders of texts and comments than the database would judge
//! something else than is run. So the borders are found here, by PostgreSQL's rules, and
//! where psql, the server's settings or Unicode could see them otherwise, nothing is
//! guessed: that is for people. What the parser gets has neither comments nor `$$` in it.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::judge::{Judged, Level};

/// Longer texts are for people.
const BYTES_MAX: usize = 16 << 10;
/// Words, numbers, texts and signs in all: parsing one takes thousands of units of fuel.
const TOKENS_MAX: usize = 1000;
/// Each begins the parser anew.
const STATEMENTS_MAX: usize = 50;
/// What may lie within each other. The parser calls itself for it, and whoever looks through
/// what it made, too: it is measured against the stack that a policy has.
const DEPTH_MAX: usize = 300;
/// Parentheses within each other: the parser tries several meanings of each.
const PARENTHESES_MAX: usize = 16;

/// The statements in `text`, without comments; or why it is not for the parser.
pub(crate) fn statements(text: &str) -> Result<Vec<String>, Judged> {
    if text.trim().is_empty() {
        return Err(Judged::of(
            Level::Refused,
            "no-sql",
            "there is no SQL: it is what the command reads (-i)",
        ));
    }
    let mut scan = Scan {
        text,
        rest: text.char_indices().peekable(),
        before: ' ',
        done: Vec::new(),
        statement: String::new(),
        levels: vec![Depth::default()],
        tokens: 0,
        strict: None,
    };
    if text.len() > BYTES_MAX {
        scan.people(&format!("it has {} bytes, {BYTES_MAX} are looked at here", text.len()));
    }
    // All of it, since what must be refused can come after what only people understand.
    scan.run()?;
    let Scan { done, strict, .. } = scan;
    if let Some(why) = strict {
        return Err(Judged::of(Level::Strict, "not-known", why));
    }
    Ok(done)
}

struct Scan<'t> {
    text: &'t str,
    rest: Peekable<CharIndices<'t>>,
    /// The character before, where it can belong to what follows.
    before: char,
    done: Vec<String>,
    statement: String,
    /// One for the statement, and one for each parenthesis that is open.
    levels: Vec<Depth>,
    tokens: usize,
    /// Why only people can judge it. From then on only borders are looked for.
    strict: Option<String>,
}

/// How deep what stands in one pair of parentheses can become.
#[derive(Default)]
struct Depth {
    /// Since the last comma.
    now: usize,
    /// Before it.
    max: usize,
}

impl Scan<'_> {
    fn run(&mut self) -> Result<(), Judged> {
        while let Some((at, c)) = self.rest.next() {
            match c {
                '\\' => {
                    let why = "`\\` outside of quotes is a command of psql, which is no SQL";
                    return Err(Judged::of(Level::Refused, "not-sql", why));
                }
                '\'' | '"' => self.quoted(c),
                '-' if self.next_is('-') => self.line_comment(),
                '/' if self.next_is('*') => self.comment(),
                '$' => self.dollar(at),
                ':' => self.colon(),
                ';' => self.end_of_statement(),
                _ => self.plain(c),
            }
        }
        self.end_of_statement();
        Ok(())
    }

    fn next_is(&mut self, c: char) -> bool {
        self.rest.next_if(|(_, next)| *next == c).is_some()
    }

    fn people(&mut self, why: &str) {
        self.strict.get_or_insert_with(|| why.to_owned());
    }

    fn push(&mut self, c: char) {
        if self.strict.is_none() {
            self.statement.push(c);
        }
        self.before = c;
    }

    fn plain(&mut self, c: char) {
        if self.strict.is_some() {
            self.before = c;
            return;
        }
        let word = |c: char| c.is_alphanumeric() || c == '_';
        match c {
            '\r' if matches!(self.rest.peek(), Some((_, '\n'))) => {}
            '\n' | '\t' | ' ' => {}
            c if c.is_control() => self.people("it has control characters"),
            c if !c.is_ascii() && !c.is_alphabetic() => {
                self.people("outside of quotes it has characters that are easily mistaken");
            }
            '(' | '[' => {
                self.levels.push(Depth::default());
                if self.levels.len() > PARENTHESES_MAX + 1 {
                    self.people("its parentheses are too deep within each other");
                }
            }
            ')' | ']' => {
                if let Some(inner) = self.levels.pop() {
                    self.deeper(inner.max.max(inner.now) + 1);
                }
                if self.levels.is_empty() {
                    self.levels.push(Depth::default());
                    self.people("its parentheses do not match");
                }
            }
            ',' => {
                if let Some(level) = self.levels.last_mut() {
                    level.max = level.max.max(std::mem::take(&mut level.now));
                }
            }
            c if word(c) && word(self.before) => {}
            _ => self.deeper(1),
        }
        self.push(c);
    }

    fn deeper(&mut self, by: usize) {
        self.tokens += 1;
        if self.tokens > TOKENS_MAX {
            self.people("it is too long");
        }
        if let Some(level) = self.levels.last_mut() {
            level.now += by;
        }
        if self.levels.iter().map(|level| level.now).sum::<usize>() > DEPTH_MAX {
            self.people("it is too long without a comma");
        }
    }

    /// `'...'` or `"..."`, where the quote itself is written twice.
    fn quoted(&mut self, quote: char) {
        if self.before == '&' {
            self.people("it has `U&`, with which names are written in other letters");
        }
        self.deeper(1);
        self.push(quote);
        while let Some((_, c)) = self.rest.next() {
            match c {
                // Whether it hides the quote after it is a setting of the server.
                '\\' => self.people("it has `\\` in quotes"),
                '\0' => self.people("it has control characters"),
                _ => {}
            }
            self.push(c);
            if c == quote {
                if !self.next_is(quote) {
                    return;
                }
                self.push(quote);
            }
        }
        self.people("a quote is not closed");
    }

    fn line_comment(&mut self) {
        while let Some((_, c)) = self.rest.next() {
            match c {
                '\n' => break,
                '\t' => {}
                '\r' if matches!(self.rest.peek(), Some((_, '\n'))) => {}
                // PostgreSQL ends the comment at one of them.
                c if c.is_control() => self.people("it has control characters"),
                _ => {}
            }
        }
        self.push('\n');
    }

    /// `/* ... */`, with others in it.
    fn comment(&mut self) {
        let mut open = 1;
        while let Some((_, c)) = self.rest.next() {
            match c {
                '*' if self.next_is('/') => open -= 1,
                '/' if self.next_is('*') => open += 1,
                _ => {}
            }
            if open == 0 {
                self.push(' ');
                return;
            }
        }
        self.people("a comment is not closed");
    }

    /// `$$...$$` or `$tag$...$tag$`, which becomes `'...'`.
    fn dollar(&mut self, at: usize) {
        if self.before.is_alphanumeric() || self.before == '_' || self.before == '$' {
            // Within a name, or after a number.
            return self.people("it has `$` in a name");
        }
        let after = &self.text[at + 1..];
        let name = after.split('$').next().unwrap_or_default();
        let begins = name.chars().next().is_none_or(|c| c.is_ascii_alphabetic() || c == '_');
        let is_tag = begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_tag || name.len() == after.len() {
            return self.people("it has a placeholder");
        }
        let tag = &self.text[at..at + name.len() + 2];
        let body = &self.text[at + tag.len()..];
        let Some(length) = body.find(tag) else { return self.people("a quote is not closed") };
        let body = &body[..length];
        if body.contains('\\') {
            self.people("it has `\\` in quotes");
        }
        let end = at + 2 * tag.len() + length;
        while self.rest.next_if(|(at, _)| *at < end).is_some() {}
        self.deeper(1);
        self.statement.push_str(&format!(" '{}' ", body.replace('\'', "''")));
        self.before = ' ';
    }

    /// psql puts its own variables for `:name`; a cast is `::`.
    fn colon(&mut self) {
        self.push(':');
        if self.next_is(':') {
            self.push(':');
        } else {
            self.people("psql would put a variable for what begins with `:`");
        }
    }

    fn end_of_statement(&mut self) {
        if self.levels.len() > 1 {
            self.people("a parenthesis is not closed");
        }
        self.levels = vec![Depth::default()];
        let statement = std::mem::take(&mut self.statement);
        if !statement.trim().is_empty() {
            self.done.push(statement);
            if self.done.len() > STATEMENTS_MAX {
                self.people("it has too many statements");
            }
        }
        self.before = ' ';
    }
}
