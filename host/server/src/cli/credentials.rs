//! Where the person is signed in: one address and one token, in a file that only they can read.
//!
//! A token is sent to the address that issued it and to no other.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::client::{Gateway, address, sign_in};
use super::environment::Environment;
use super::exit::{Exit, Failure};

/// Where a gateway is, when nobody says.
pub(super) const DEFAULT_ADDRESS: &str = "http://127.0.0.1:8600";

/// What is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Credentials {
    /// The gateway.
    pub(super) url: String,
    /// The token.
    pub(super) token: String,
    /// Whose it is.
    #[serde(default)]
    pub(super) user: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} at {})", self.user, self.url)
    }
}

/// The file.
#[derive(Debug, Clone)]
pub(super) struct Store(PathBuf);

impl Store {
    /// The file of this person.
    pub(super) fn of(environment: &Environment) -> Result<Self, Failure> {
        let folder = environment.config_folder();
        let folder = folder.ok_or_else(|| {
            Failure::failed("neither HOME nor XDG_CONFIG_HOME is set: there is no place for the sign-in")
        })?;
        Ok(Self(folder.join("credentials.json")))
    }

    /// What is in it.
    pub(super) fn load(&self) -> Result<Option<Credentials>, Failure> {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.broken(&format!("cannot be read ({error})"))),
        };
        let open = fs::metadata(&self.0).is_ok_and(|file| file.permissions().mode() & 0o077 != 0);
        if open {
            return Err(self.broken(
                "can be read by others: run `chmod 600` on it, or sign in again if they may have read it",
            ));
        }
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|_| self.broken("is damaged: remove it and run `quorate login`"))
    }

    /// Replaces it, all at once.
    pub(super) fn save(&self, credentials: &Credentials) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(credentials).unwrap_or_default();
        self.write(&text).map_err(|error| self.broken(&format!("cannot be written ({error})")))
    }

    /// Removes it.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.broken(&format!("cannot be removed ({error})")))
            }
            _ => Ok(()),
        }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let new = self.0.with_extension(format!("new.{}", std::process::id()));
        let written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).and_then(
            |mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            },
        );
        let done = written.and_then(|()| fs::rename(&new, &self.0));
        if done.is_err() {
            let _ = fs::remove_file(&new);
        }
        done
    }

    fn broken(&self, what: &str) -> Failure {
        Failure::failed(format!("the sign-in in {} {what}", self.0.display()))
    }
}

/// What decides where the gateway is and who asks: the flag, the environment, the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    /// `--url`, or `QUORATE_URL`.
    pub(super) url: Option<String>,
    /// `QUORATE_TOKEN`.
    pub(super) token: Option<String>,
}

impl Choice {
    /// From the flag and the environment.
    pub(super) fn new(flag: Option<&str>, environment: &Environment) -> Self {
        let url = flag.or_else(|| environment.text("QUORATE_URL")).map(str::to_owned);
        Self { url, token: environment.text("QUORATE_TOKEN").map(str::to_owned) }
    }

    /// The address alone, for what needs no token.
    pub(super) fn address(&self, stored: Option<&Credentials>) -> Result<Url, Failure> {
        let stored = stored.map(|stored| stored.url.as_str());
        address(self.url.as_deref().or(stored).unwrap_or(DEFAULT_ADDRESS))
    }

    /// The gateway with a token for it.
    pub(super) fn gateway(&self, stored: Option<&Credentials>) -> Result<Gateway, Failure> {
        let base = self.address(stored)?;
        let fits = |stored: &&Credentials| address(&stored.url).is_ok_and(|url| url == base);
        let token = self.token.clone().or_else(|| stored.filter(fits).map(|stored| stored.token.clone()));
        match token {
            Some(token) => Gateway::new(base, Some(token)),
            None => Err(Failure::new(Exit::Refused, sign_in(base.as_str().trim_end_matches('/')))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Credentials {
        Credentials { url: "http://g:1".into(), token: "qrt_stored".into(), user: "ann".into() }
    }

    fn choice(url: Option<&str>, token: Option<&str>) -> Choice {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Choice { url: url.map(str::to_owned), token: token.map(str::to_owned) }
    }

    #[test]
    fn a_stored_token_goes_only_to_the_gateway_that_issued_it() {
        let stored = stored();
        assert_eq!(choice(None, None).gateway(Some(&stored)).unwrap().token(), Some("qrt_stored"));
        assert_eq!(
            choice(Some("http://g:1/"), None).gateway(Some(&stored)).unwrap().token(),
            Some("qrt_stored")
        );
        let elsewhere = choice(Some("http://other:1"), None).gateway(Some(&stored)).unwrap_err();
        assert!(elsewhere.message.contains("quorate login --url http://other:1"), "{}", elsewhere.message);
        assert_eq!(elsewhere.exit, Exit::Refused);
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_flag_over_both() {
        let environment = Environment::from([("QUORATE_URL", "http://e"), ("QUORATE_TOKEN", "qrt_e")]);
        let chosen = Choice::new(None, &environment).gateway(Some(&stored())).unwrap();
        assert_eq!((chosen.address(), chosen.token()), ("http://e", Some("qrt_e")));
        let flagged = Choice::new(Some("http://f"), &environment);
        assert_eq!(flagged.address(Some(&stored())).unwrap().as_str(), "http://f/");
        assert_eq!(choice(None, None).address(None).unwrap().as_str(), "http://127.0.0.1:8600/");
    }

    #[test]
    fn what_is_saved_is_read_back_and_is_for_nobody_else() {
        let home = tempfile::tempdir().unwrap();
        let store = Store(home.path().join("a/b/credentials.json"));
        assert_eq!(store.load().unwrap(), None);
        store.save(&stored()).unwrap();
        store.save(&stored()).unwrap();
        assert_eq!(store.load().unwrap(), Some(stored()));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&store.0), mode(store.0.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(store.0.parent().unwrap()).unwrap().count(), 1);
        store.remove().unwrap();
        store.remove().unwrap();
        assert_eq!(store.load().unwrap(), None);
    }

    #[test]
    fn a_file_that_others_can_read_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let store = Store(home.path().join("credentials.json"));
        store.save(&stored()).unwrap();
        fs::set_permissions(&store.0, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(store.load().unwrap_err().message.contains("chmod 600"));
    }

    #[test]
    fn a_token_is_not_printed_by_accident() {
        assert!(!format!("{:?}", stored()).contains("qrt_"));
    }
}
