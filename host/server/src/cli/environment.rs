//! The environment variables that the program was started with, as an argument to whoever needs
//! one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The environment.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// That of this process.
    #[expect(clippy::disallowed_methods, reason = "this is where the environment of a client comes in")]
    pub(super) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// A variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The same, where it is text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str()
    }

    /// The names of all that are set.
    pub(super) fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.0.keys().map(OsString::as_os_str)
    }

    /// The folder in which this program keeps what belongs to the person.
    pub(super) fn config_folder(&self) -> Option<PathBuf> {
        self.folder("XDG_CONFIG_HOME", ".config")
    }

    /// The folder in which it keeps what can be made again.
    pub(super) fn cache_folder(&self) -> Option<PathBuf> {
        self.folder("XDG_CACHE_HOME", ".cache")
    }

    fn folder(&self, variable: &str, at_home: &str) -> Option<PathBuf> {
        let of_desktop = self.get(variable).map(PathBuf::from).filter(|folder| folder.is_absolute());
        let folder = of_desktop.or_else(|| self.get("HOME").map(|home| PathBuf::from(home).join(at_home)))?;
        Some(folder.join("quorate"))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_where_desktops_put_it() {
        let folder = |pairs: [(&str, &str); 2]| Environment::from(pairs).config_folder();
        assert_eq!(folder([("HOME", "/h"), ("X", "")]), Some("/h/.config/quorate".into()));
        assert_eq!(folder([("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]), Some("/x/quorate".into()));
        assert_eq!(folder([("HOME", "/h"), ("XDG_CONFIG_HOME", "x")]), Some("/h/.config/quorate".into()));
        assert_eq!(folder([("A", "1"), ("B", "2")]), None);
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        assert_eq!(Environment::from([("NO_COLOR", "")]).get("NO_COLOR"), None);
    }
}
