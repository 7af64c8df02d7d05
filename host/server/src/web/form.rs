//! What a form holds as it was sent, and what is wrong with it, field by field.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::user::User;
use serde::Deserialize;

use super::words::lines;

/// The fields of a form, in order; one name may come several times. There may be a password
/// among them.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// What stands in a field; empty where there is none of that name.
    pub(super) fn one(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// What stands in all fields of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// Whether a box is ticked.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.0.iter().any(|(one, _)| one == name)
    }

    /// Text of several lines.
    pub(super) fn text(&self, name: &str) -> String {
        lines(self.one(name))
    }

    /// What was ticked, and what was added in the field beside, `…_more`, between commas.
    pub(super) fn chosen(&self, name: &str) -> BTreeSet<String> {
        let more = format!("{name}_more");
        let added = self.one(&more).split([',', '\n']);
        self.all(name).chain(added).map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
    }

    /// The fields whose names begin with `prefix`, without it.
    pub(super) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }
}

/// What is wrong, by the name of the field that it is about; what is about none has no name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wrong(BTreeMap<String, String>);

impl Wrong {
    /// What is wrong with one thing.
    pub(super) fn with(name: &str, why: impl Into<String>) -> Self {
        let mut wrong = Self::default();
        wrong.say(name, why);
        wrong
    }

    /// Says what is wrong with a field, unless that was said already.
    pub(super) fn say(&mut self, name: &str, why: impl Into<String>) {
        self.0.entry(name.to_owned()).or_insert_with(|| why.into());
    }

    /// What is wrong with a field.
    pub(super) fn of(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of it.
    pub(super) fn any(&self) -> impl Iterator<Item = &String> {
        self.0.values()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads `text`, or says what is wrong with it.
    pub(super) fn read<T: std::str::FromStr>(&mut self, name: &str, text: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        text.trim().parse().map_err(|bad: T::Err| self.say(name, bad.to_string())).ok()
    }

    /// Reads each of `texts`; what is wrong with one of them is said.
    pub(super) fn read_all<'a, T: std::str::FromStr, C: FromIterator<T>>(
        &mut self,
        name: &str,
        texts: impl IntoIterator<Item = &'a String>,
    ) -> C
    where
        T::Err: std::fmt::Display,
    {
        texts.into_iter().filter_map(|text| self.read(name, text)).collect()
    }

    /// `name=value` on each line.
    pub(super) fn pairs(&mut self, name: &str, text: &str) -> BTreeMap<String, String> {
        let mut pairs = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                Some((key, value)) if !key.is_empty() => {
                    if pairs.insert(key.to_owned(), value.to_owned()).is_some() {
                        self.say(name, format!("`{key}` is there twice"));
                    }
                }
                _ => self.say(name, format!("`{line}` is not of the form name=value")),
            }
        }
        pairs
    }
}

/// What the form with a `what` called `name` was opened on: `revision` of it, or `is_new`. What
/// somebody else saved since, `there`, is not written over.
pub(super) fn nobody_was_first(
    (what, name): (&str, &str),
    is_new: bool,
    revision: u64,
    there: Option<u64>,
) -> Wrong {
    match there {
        Some(_) if is_new => Wrong::with("name", format!("there is a {what} {name} already")),
        Some(there) if there != revision => Wrong::with(
            "",
            format!(
                "somebody else has changed this {what} since you opened it; open it again in another window and compare"
            ),
        ),
        None if !is_new => {
            Wrong::with("", format!("somebody else has removed this {what}; write it as a new one"))
        }
        _ => Wrong::default(),
    }
}

/// `name=value` on each line, of what [`Wrong::pairs`] reads.
pub(super) fn pairs_text(pairs: &BTreeMap<String, String>) -> String {
    pairs.iter().flat_map(|(name, value)| [name, "=", value, "\n"]).collect()
}

/// Every group that somebody is in.
pub(super) fn known_groups(users: &[User]) -> BTreeSet<String> {
    users.iter().flat_map(|user| &user.profile.groups).map(ToString::to_string).collect()
}

/// Names to tick, with a field for others.
pub(super) struct Picker {
    /// The name of the field.
    pub(super) name: &'static str,
    /// Each that is known, and whether it is ticked.
    pub(super) known: Vec<(String, bool)>,
    /// Those that are not known, between commas.
    pub(super) more: String,
}

impl Picker {
    /// Offers `known`; `chosen` are ticked.
    pub(super) fn of(name: &'static str, known: &BTreeSet<String>, chosen: &BTreeSet<String>) -> Self {
        let others: Vec<&str> = chosen.difference(known).map(String::as_str).collect();
        let known = known.iter().map(|one| (one.clone(), chosen.contains(one))).collect();
        Self { name, known, more: others.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_is_ticked_and_what_is_added_are_one_choice() {
        let sent =
            fields(&[("groups", "dba"), ("other", "x"), ("groups", "sre"), ("groups_more", " new , dba,")]);
        let chosen: Vec<String> = sent.chosen("groups").into_iter().collect();
        assert_eq!(chosen, ["dba", "new", "sre"]);
        let picker =
            Picker::of("groups", &["dba".to_owned(), "ops".to_owned()].into(), &sent.chosen("groups"));
        assert_eq!(picker.known, [("dba".to_owned(), true), ("ops".to_owned(), false)]);
        assert_eq!(picker.more, "new, sre");
    }

    #[test]
    fn pairs_are_read_line_by_line_and_what_is_none_is_said() {
        let mut wrong = Wrong::default();
        let pairs = wrong.pairs("attributes", " env = prod=eu \n\nteam=a\n");
        assert_eq!(pairs_text(&pairs), "env=prod=eu\nteam=a\n");
        assert!(wrong.is_empty());
        wrong.pairs("attributes", "env=a\nenv=b");
        assert_eq!(wrong.of("attributes"), Some("`env` is there twice"));
        let mut wrong = Wrong::default();
        wrong.pairs("attributes", "=b");
        assert_eq!(wrong.of("attributes"), Some("`=b` is not of the form name=value"));
    }
}
