//! A value that does not print.

use std::fmt;

/// A resource's secret. Shown as `***` wherever it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The value itself, for the one place that hands it to the command.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let env = vec![("PGPASSWORD".to_owned(), Secret::new("hunter2"))];
        assert_eq!(format!("{env:?}"), r#"[("PGPASSWORD", ***)]"#);
    }
}
