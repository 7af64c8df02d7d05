//! What a policy says now, written into its vector file as what is expected.
//!
//! Only values of `expect` and `check` that are no longer so are replaced, in the text
//! itself: comments, order and layout of everything else stay. What is found to be
//! unsafe is refused, and the text is left as it was.
//!
//! Not here: files; whoever calls reads and writes them.

use std::collections::HashSet;

use serde_json::Value;

use super::file::{BadFile, File, documents};
use super::story::plain;
use super::yaml::{self, Edit, Kind, Node, Places};
use super::{At, Difference, Failure, Place, Policy, Tried};

/// A text that was brought up to date.
#[derive(Debug, Clone)]
pub struct Updated {
    /// The whole text, in which every case passes.
    pub text: String,
    /// What is different from before.
    pub changes: Vec<Change>,
    /// All cases, as they went with the new text.
    pub tried: Vec<Tried>,
}

/// One value that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Of which case.
    pub case: String,
    /// In which line of the text, as it is now.
    pub line: usize,
    /// Which value: `outcome`, `missing`, ...
    pub what: &'static str,
    /// As it was written.
    pub before: String,
    /// As it is written now.
    pub after: String,
}

/// Brings `text` up to what `policy` says.
///
/// # Errors
/// Where it is no vector file, or something in it cannot be replaced safely: several
/// cases share it, a comment stands in it, or the policy does not answer.
pub fn update(text: &str, policy: &mut dyn Policy) -> Result<Updated, BadFile> {
    let mut now = text.to_owned();
    let mut changes: Vec<Change> = Vec::new();
    let mut replaced = HashSet::new();
    // A case ends at the first thing that is otherwise, so what comes after that shows in
    // the next round.
    loop {
        let files = File::parse(&now)?;
        let tried = files.iter().map(|file| super::run(file, policy)).collect::<Result<Vec<_>, _>>()?;
        let mut edits = edits(&now, &tried, &mut replaced)?;
        if edits.is_empty() {
            unharmed(text, &now)?;
            changes.sort_by_key(|change| change.line);
            return Ok(Updated { text: now, changes, tried: tried.concat() });
        }
        // From the end, so that what is still to come stays where it is.
        edits.sort_by_key(|one| std::cmp::Reverse(one.edit.at.start));
        for Replacing { case, what, edit } in edits {
            let line = yaml::line_of(&now, edit.at.start);
            let before = now.get(edit.at.clone()).unwrap_or_default();
            let gone = before.matches('\n').count();
            changes.iter_mut().filter(|change| change.line > line).for_each(|change| change.line -= gone);
            let (before, after) = (one_line(before), one_line(&edit.text));
            changes.push(Change { case, line, what, before, after });
            now.replace_range(edit.at, &edit.text);
        }
    }
}

/// One value that is to be replaced.
struct Replacing {
    case: String,
    what: &'static str,
    edit: Edit,
}

/// What replaces all that went otherwise; nothing of it was `replaced` before.
fn edits(
    text: &str,
    tried: &[Vec<Tried>],
    replaced: &mut HashSet<(usize, Place)>,
) -> Result<Vec<Replacing>, BadFile> {
    let mut edits = Vec::new();
    if tried.iter().flatten().all(|one| one.result.is_ok()) {
        return Ok(edits);
    }
    let places = Places::of(text).map_err(|why| BadFile::new(plain(&why)))?;
    let all = tried.iter().enumerate().flat_map(|(nth, tried)| tried.iter().map(move |one| (nth, one)));
    for (nth, Tried { name, result, .. }) in all {
        let Err(failure) = result else { continue };
        let wrong = |why: String| BadFile::new(plain(&format!("in `{name}`: {why}")));
        if !replaced.insert((nth, failure.place)) {
            return Err(wrong("it still goes otherwise with what the policy said".to_owned()));
        }
        let document = places.documents.get(nth).ok_or_else(|| wrong("it cannot be found".to_owned()))?;
        let found = edits_of(text, &places, document, failure).map_err(wrong)?;
        edits.extend(found.into_iter().map(|(what, edit)| Replacing { case: name.clone(), what, edit }));
    }
    Ok(edits)
}

fn one_line(text: &str) -> String {
    plain(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What replaces all that `failure` found otherwise.
fn edits_of(
    text: &str,
    places: &Places,
    document: &Node,
    failure: &Failure,
) -> Result<Vec<(&'static str, Edit)>, String> {
    if failure.place.at == At::Config {
        let why: Vec<&str> = failure.differences.iter().map(|one| one.got.as_str()).collect();
        return Err(format!("its config is {}", why.join("; ")));
    }
    let (key, expected) = find(document, failure.place)?;
    let mut edits = Vec::new();
    for Difference { what, says, .. } in &failure.differences {
        let says =
            says.as_ref().ok_or("the policy does not answer, and a fault is never written as expected")?;
        let (key, old) = match &expected.kind {
            Kind::Map(_) => expected.get(what).ok_or_else(|| format!("its `{what}` cannot be found"))?,
            _ => (key, expected),
        };
        edits.push((*what, places.edit(text, key, old, says)?));
    }
    Ok(edits)
}

/// The key at `place`, and what is expected there.
fn find(document: &Node, place: Place) -> Result<(&Node, &Node), String> {
    let nowhere = "it cannot be said where it stands";
    let case = document.get("cases").and_then(|(_, cases)| cases.item(place.case)).ok_or(nowhere)?;
    let row = |nth| case.get("table").and_then(|(_, rows)| rows.item(nth));
    let case = place.row.map_or(Some(case), row).ok_or(nowhere)?;
    let (first, last) = match place.at {
        At::Config => return Err(nowhere.to_owned()),
        At::Check => ("check", None),
        At::End => ("expect", None),
        At::Step(nth) => ("steps", Some(nth)),
    };
    let Some((key, value)) = case.get(first) else {
        return Err(match place.row {
            Some(_) => {
                format!("its row shares `{first}` with the others of the table: give it one of its own")
            }
            None => nowhere.to_owned(),
        });
    };
    match last {
        Some(nth) => Ok(value.item(nth).and_then(|step| step.get("expect")).ok_or(nowhere)?),
        None => Ok((key, value)),
    }
}

/// Makes sure that the texts say the same but for what is expected.
fn unharmed(before: &str, after: &str) -> Result<(), BadFile> {
    let without = |text: &str| {
        let mut all: Vec<Value> = documents(text)?;
        all.iter_mut().for_each(forget);
        Ok::<_, BadFile>(all)
    };
    if without(before)? == without(after)? {
        return Ok(());
    }
    Err(BadFile::new("it cannot be changed without changing something else in it"))
}

/// Leaves of what is expected only what it is about, in every case, row and step.
fn forget(value: &mut Value) {
    for list in ["cases", "table", "steps"] {
        for one in value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            for key in ["expect", "check"] {
                if let Some(expected) = one.get_mut(key) {
                    *expected = match expected.as_object() {
                        Some(fields) => fields.keys().cloned().collect(),
                        None => Value::Null,
                    };
                }
            }
            forget(one);
        }
    }
}

#[cfg(test)]
#[path = "update/tests.rs"]
mod tests;
