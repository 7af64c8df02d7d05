//! Secrets that the gateway's settings name: each in a file or in a variable of the environment,
//! never in a flag or in the settings themselves.

use std::path::{Path, PathBuf};

use crate::agent::Secret;

/// The longest secret, in bytes.
const SECRET_BYTES_MAX: usize = 500;

/// Where a secret may be, and what people call it.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The part of the settings that it belongs to: `oidc`.
    pub part: &'static str,
    /// In words: `the client's secret`.
    pub what: &'static str,
    /// The key of the file that holds it: `client_secret_file`.
    pub key: &'static str,
    /// The variable that holds it.
    pub variable: &'static str,
}

/// The path that a flag gives, or that of the file of settings, which begins in its `folder`.
pub fn path(flag: Option<PathBuf>, file: Option<PathBuf>, folder: &Path) -> Option<PathBuf> {
    flag.or(file.map(|path| folder.join(path)))
}

/// The secret from `file` or from the `variable`, one line, without the line break at its end;
/// none where neither is given.
pub fn secret(
    place: Place,
    file: Option<PathBuf>,
    variable: Option<String>,
) -> Result<Option<Secret>, String> {
    let Place { part, what, key, variable: name } = place;
    let (from, value) = match (file, variable) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(format!("{part}: give {what} once, in a file or in the variable {name}"));
        }
        (None, Some(value)) => (name.to_owned(), value),
        (Some(path), None) => {
            let unread = |error| format!("{part}: {key} {}: {error}", path.display());
            (path.display().to_string(), std::fs::read_to_string(&path).map_err(unread)?)
        }
    };
    let value = value.trim_end_matches(['\n', '\r']);
    if value.is_empty() || value.len() > SECRET_BYTES_MAX || value.chars().any(char::is_control) {
        return Err(format!("{part}: {what} in {from} is no line of 1 to {SECRET_BYTES_MAX} bytes"));
    }
    Ok(Some(Secret::new(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place =
        Place { part: "mail", what: "the password", key: "password_file", variable: "MAIL_PASSWORD" };

    fn given(file: Option<&str>, variable: Option<&str>) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = file.map(|text| {
            let path = folder.path().join("secret");
            std::fs::write(&path, text).unwrap();
            path
        });
        let found = secret(PLACE, path, variable.map(str::to_owned))?;
        Ok(found.map(|secret| secret.expose().to_owned()))
    }

    #[test]
    fn a_secret_is_one_line_of_a_file_or_of_a_variable() {
        assert_eq!(given(None, None), Ok(None));
        assert_eq!(given(Some("hunter2\r\n"), None), Ok(Some("hunter2".to_owned())));
        assert_eq!(given(None, Some(" hunter 3")), Ok(Some(" hunter 3".to_owned())));
        assert!(given(Some("a"), Some("b")).unwrap_err().contains("once"));
        for bad in ["", "\n", "a\nb", "a\u{7}b", &"x".repeat(501)] {
            let why = given(None, Some(bad)).unwrap_err();
            assert_eq!(why, "mail: the password in MAIL_PASSWORD is no line of 1 to 500 bytes");
        }
        let missing = secret(PLACE, Some("/none/at/all".into()), None).unwrap_err();
        assert!(missing.starts_with("mail: password_file /none/at/all: "), "{missing}");
    }
}
