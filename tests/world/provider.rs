//! A real `OpenID` Connect provider in a process of its own, with accounts that the test changes.

use std::path::{Path, PathBuf};

use quorate::oidc::{Declared, Groups, Settings, resolve};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::process::Child;

use super::gateway::free_address;
use super::node;

/// How the gateway shows who it is. Such characters have to be escaped on the way (RFC 6749, 2.3.1).
pub const SECRET: &str = "a secret: 100% \"of it\"";

pub struct Provider {
    address: String,
    folder: TempDir,
    process: Option<Child>,
}

impl Provider {
    /// One that serves.
    pub async fn start() -> Self {
        let mut provider = Self::down();
        provider.serve().await;
        provider
    }

    /// One that does not serve yet.
    pub fn down() -> Self {
        let provider = Self { address: free_address(), folder: TempDir::new().unwrap(), process: None };
        std::fs::write(provider.accounts(), "{}").unwrap();
        provider
    }

    /// Starts it, with new keys.
    pub async fn serve(&mut self) {
        let (_, port) = self.address.split_once(':').unwrap();
        let process = node::serve("provider.mjs", "QUORATE_OIDC_PROVIDER", port, &self.accounts()).await;
        self.process = Some(process);
    }

    /// Ends it.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().await.unwrap();
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the gateway is told of it, and of what its groups mean.
    pub fn declared(&self, groups: &[(&str, &str)]) -> Declared {
        let ours = |group: &str| Groups::One(group.parse().unwrap());
        let mapped = groups.iter().map(|(value, group)| ((*value).to_owned(), ours(group))).collect();
        let settings = Settings { groups: Some(mapped), ..settings(&self.issuer(), "quorate") };
        declared(settings, Some(SECRET))
    }

    /// The same for a gateway that has no secret, and takes groups as they are.
    pub fn declared_public(&self) -> Declared {
        declared(settings(&self.issuer(), "public"), None)
    }

    /// What it says of an account from now on.
    pub fn says(&self, account: &str, claims: Value) {
        let text = std::fs::read_to_string(self.accounts()).unwrap();
        let mut accounts: Map<String, Value> = serde_json::from_str(&text).unwrap();
        accounts.insert(account.to_owned(), claims);
        std::fs::write(self.accounts(), Value::from(accounts).to_string()).unwrap();
    }

    fn accounts(&self) -> PathBuf {
        self.folder.path().join("accounts.json")
    }
}

/// What is said of a provider at the least.
pub fn settings(issuer: &str, client_id: &str) -> Settings {
    Settings {
        issuer: Some(issuer.to_owned()),
        client_id: Some(client_id.to_owned()),
        label: Some("the provider".to_owned()),
        ..Settings::default()
    }
}

/// A provider as a gateway's settings come to it.
pub fn declared(settings: Settings, secret: Option<&str>) -> Declared {
    let secret = secret.map(str::to_owned);
    resolve(settings, Settings::default(), Path::new(""), &|_| secret.clone()).unwrap().unwrap()
}
