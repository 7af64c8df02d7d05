//! A real mail server in a process of its own, and what it was given as a library for mail reads it.

use std::path::{Path, PathBuf};

use quorate::mail::{Declared, Settings, resolve};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;

use super::gateway::free_address;
use super::node;

/// Whom the gateway's messages are from.
pub const FROM: &str = "Quorate <quorate@example.org>";

pub struct Postbox {
    address: String,
    folder: TempDir,
    process: Option<Child>,
}

impl Postbox {
    /// One that serves.
    pub async fn start(settings: Value) -> Self {
        let mut postbox = Self::down();
        postbox.set(&settings);
        postbox.serve().await;
        postbox
    }

    /// One that does not serve yet.
    pub fn down() -> Self {
        let postbox = Self { address: free_address(), folder: TempDir::new().unwrap(), process: None };
        postbox.set(&json!({}));
        postbox
    }

    /// What it does from now on; offers and demands: after its next start.
    pub fn set(&self, settings: &Value) {
        std::fs::write(self.path("settings.json"), settings.to_string()).unwrap();
    }

    /// Starts it.
    pub async fn serve(&mut self) {
        let (_, port) = self.address.split_once(':').unwrap();
        let process = node::serve("postbox.mjs", "QUORATE_SMTP_SERVER", port, self.folder.path()).await;
        self.process = Some(process);
    }

    /// Whether it serves.
    pub fn serves(&self) -> bool {
        self.process.is_some()
    }

    /// Ends it.
    pub async fn stop(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What a gateway is told of it.
    pub fn declared(&self) -> Declared {
        declared(&format!("smtp://{}", self.address), None)
    }

    /// The same for a gateway that is somebody there.
    pub fn declared_as(&self, user: &str, password: &str) -> Declared {
        declared(&format!("smtp://{user}@{}", self.address), Some(password))
    }

    /// Everything that it took, in order.
    pub fn messages(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("messages")).unwrap_or_default();
        // The last line may be on its way.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// To whom what it took went, in the order of the alphabet.
    pub fn recipients(&self) -> Vec<String> {
        let messages = self.messages();
        let mut all: Vec<String> =
            messages.iter().map(|one| one["to"][0].as_str().unwrap().to_owned()).collect();
        all.sort();
        all
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A mail server as a gateway's settings come to it.
pub fn declared(url: &str, password: Option<&str>) -> Declared {
    let password = password.map(str::to_owned);
    let settings = Settings { url: Some(url.to_owned()), from: Some(FROM.to_owned()), ..Settings::default() };
    resolve(settings, Settings::default(), Path::new(""), &|_| password.clone()).unwrap().unwrap()
}
