//! Getting a value from outside: bounded in time by the caller, bounded in size here.

use std::path::Path;

use serde_json::Value;

use super::settings::Http;
use crate::outgoing::{self, Unanswered};

/// The largest answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Why there is no value. Never holds a secret: no header, no query, no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) text: String,
    /// It could not be reached, or did not answer in time.
    pub(super) hung: bool,
}

impl From<String> for Why {
    fn from(text: String) -> Self {
        Self { text, hung: false }
    }
}

impl From<Unanswered> for Why {
    fn from(Unanswered { why, hung }: Unanswered) -> Self {
        Self { text: why, hung }
    }
}

/// Asks a machine.
pub(super) async fn http(client: &reqwest::Client, http: &Http, url: &str) -> Result<String, Why> {
    let mut request = client.get(url).header("Accept", "application/json");
    for (name, value) in &http.headers {
        request = request.header(name, value.expose());
    }
    let response = request.send().await.map_err(|error| outgoing::unanswered(&error))?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("it answered {}", status.as_u16()).into());
    }
    let bytes = outgoing::body(response, ANSWER_BYTES_MAX).await?;
    value(&bytes, &http.pointer)
}

/// Reads a file.
pub(super) async fn file(path: &Path, pointer: &str) -> Result<String, Why> {
    use tokio::io::AsyncReadExt as _;
    let unread = |error: std::io::Error| Why::from(format!("it cannot be read: {error}"));
    // What is no file, such as a pipe, might never end.
    if !tokio::fs::metadata(path).await.map_err(unread)?.is_file() {
        return Err("it is no file".to_owned().into());
    }
    let file = tokio::fs::File::open(path).await.map_err(unread)?;
    let mut bytes = Vec::new();
    file.take(ANSWER_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await.map_err(unread)?;
    if bytes.len() > ANSWER_BYTES_MAX {
        return Err(outgoing::too_large(ANSWER_BYTES_MAX).into());
    }
    value(&bytes, pointer)
}

/// What the pointer names in a JSON text, as a JSON text.
fn value(bytes: &[u8], pointer: &str) -> Result<String, Why> {
    // What is wrong is told by its place: the text may hold a secret.
    let parsed: Value = serde_json::from_slice(bytes)
        .map_err(|error| format!("it is no JSON: line {}, column {}", error.line(), error.column()))?;
    let found = parsed.pointer(pointer).ok_or_else(|| format!("there is nothing at {pointer} in it"))?;
    Ok(found.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_names_a_part_of_the_answer() {
        let text = br#"{"data": [{"id": "eve"}], "s": null}"#;
        assert_eq!(value(text, "/data/0/id").unwrap(), "\"eve\"");
        assert_eq!(value(text, "/s").unwrap(), "null");
        assert_eq!(value(br#" ["eve"] "#, "").unwrap(), r#"["eve"]"#);
        assert!(value(text, "/data/1").unwrap_err().text.contains("nothing at /data/1"));
        let why = value(b"<html>hunter2", "").unwrap_err().text;
        assert!(why.contains("no JSON") && !why.contains("hunter2"), "{why}");
    }

    #[tokio::test]
    async fn what_is_no_small_file_of_json_is_no_fact() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        std::fs::write(&path, "[1]").unwrap();
        assert_eq!(file(&path, "/0").await.unwrap(), "1");
        std::fs::write(&path, "1".repeat(ANSWER_BYTES_MAX + 1)).unwrap();
        assert!(file(&path, "").await.unwrap_err().text.contains("larger than 64 KiB"));
        assert!(file(folder.path(), "").await.unwrap_err().text.contains("no file"));
        assert!(file(&folder.path().join("none"), "").await.unwrap_err().text.contains("cannot be read"));
    }
}
