//! How the gateway runs: flags, environment and an optional file, parsed into
//! types once. A flag wins over the environment, that over the file, that over
//! the default.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use quorate_core::duration::AccessDuration;
use quorate_core::ids::ResourceName;
use serde::Deserialize;

use crate::facts::{self, Declared, SourceSettings, Surroundings};
use crate::{mail, oidc, slack};

/// What can be set. Everything has a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address and port to listen on [default: 127.0.0.1:8600]
    #[arg(long, env = "QUORATE_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Folder for the ledger and the compiled policies [default: ./quorate-data]
    #[arg(long, env = "QUORATE_DATA")]
    pub data: Option<PathBuf>,
    /// Folder for compiled policies, a cache that is only this user's [default: `compiled` in the data folder]
    #[arg(long, env = "QUORATE_COMPILED")]
    pub compiled: Option<PathBuf>,
    /// Address under which people reach the gateway, for links [default: `http://` and the listen address]
    #[arg(long, env = "QUORATE_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Seconds after which an unanswered request times out [default: 3600]
    #[arg(long, env = "REVIEW_TIMEOUT_SEC")]
    pub review_timeout_sec: Option<u64>,
    /// Longest access that any resource can give, such as 24h [default: 24h]
    #[arg(long, env = "QUORATE_MAX_DURATION")]
    pub max_duration: Option<AccessDuration>,
    /// Seconds within which an approved command must be started [default: 3600]
    #[arg(long, env = "QUORATE_COMMAND_WINDOW_SEC")]
    pub command_window_sec: Option<u64>,
    /// Seconds that a command may run [default: 3600]
    #[arg(long, env = "QUORATE_COMMAND_RUN_SEC")]
    pub command_run_sec: Option<u64>,
    /// User that sessions run as, by name or number; not root [default: the gateway's own user]
    ///
    /// Whoever finds a way out of a session's program is that user: with the gateway's own they
    /// can read the ledger and the secrets of all resources. The gateway must be root, or have
    /// the capabilities `CAP_SETUID`, `CAP_SETGID`, `CAP_CHOWN` and `CAP_KILL`.
    #[arg(long, env = "QUORATE_SESSION_USER", value_name = "USER")]
    pub session_user: Option<String>,
    /// PEM file with the public keys of which one must have signed a policy [default: unsigned ones are taken]
    ///
    /// Ed25519 keys, as `quorate policy keygen` or openssl make them. What came with the gateway
    /// needs no signature; a version that was loaded before and is not signed does not decide any more.
    #[arg(long, env = "QUORATE_POLICY_KEYS", value_name = "FILE")]
    pub policy_keys: Option<PathBuf>,
    /// Bytes that the recording of one terminal session may have; 0: nothing is recorded [default: 16777216]
    ///
    /// What the terminal shows, never what is typed. A session that is recorded does not start where its
    /// recording cannot be; at the limit the recording ends, says so, and the session goes on.
    #[arg(long, env = "QUORATE_RECORDING_BYTES_MAX", value_name = "BYTES")]
    pub recording_bytes_max: Option<u64>,
    /// Requests of one person that may wait at the same time [default: 100]
    #[arg(long, env = "QUORATE_PENDING_REQUESTS_MAX")]
    pub pending_requests_max: Option<u64>,
    /// Decisions that a shadow must have seen, none of them different and unaccepted, before another version is activated [default: 0, not demanded]
    #[arg(long, env = "QUORATE_SHADOW_MIN_SAMPLES", value_name = "N")]
    pub shadow_min_samples: Option<u64>,
    /// Resource that stands for changes of policies: a version is only activated under an approved request for it [default: none, an admin activates]
    ///
    /// `quorate policy activate` then asks for one, as a command; the rules for command access to that
    /// resource decide, and nothing ever runs on it. A rollback needs none. It keeps an admin from
    /// activating alone by mistake or in a hurry, not one who means to: who may edit rules may edit
    /// these too, which the ledger shows.
    #[arg(long, env = "QUORATE_POLICY_CHANGES", value_name = "RESOURCE")]
    pub policy_changes: Option<ResourceName>,
    /// Let notification channels deliver within the gateway's own network, and not only to the public internet
    ///
    /// Whoever may edit channels can then have the gateway send requests to machines that only it reaches.
    #[arg(long, env = "QUORATE_NOTIFY_OWN_NETWORK", num_args = 0..=1, default_missing_value = "true")]
    pub notify_own_network: Option<bool>,
    /// Let anybody read /metrics; otherwise it takes the token of an admin or auditor
    #[arg(long, env = "QUORATE_METRICS_PUBLIC", num_args = 0..=1, default_missing_value = "true")]
    pub metrics_public: Option<bool>,
    /// The provider that people can sign in with
    #[command(flatten)]
    #[serde(default)]
    pub oidc: oidc::Settings,
    /// Our app in Slack
    #[command(flatten)]
    #[serde(default)]
    pub slack: slack::Settings,
    /// The mail server of notification channels of kind email
    #[command(flatten)]
    #[serde(default)]
    pub mail: mail::Settings,
    /// Sources of the facts that policies ask for, by name; only in the file
    #[arg(skip)]
    #[serde(default)]
    pub facts: BTreeMap<String, SourceSettings>,
}

/// What will be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the ledger is.
    pub data: PathBuf,
    /// Where compiled policies are kept; none: beside the ledger.
    pub compiled: Option<PathBuf>,
    /// Where people reach the gateway; none: `http://` and the listen address.
    pub public_url: Option<String>,
    /// When an unanswered request times out.
    pub review_timeout_seconds: u64,
    /// The longest access.
    pub ceiling_seconds: u64,
    /// How long an approved command waits for its run.
    pub command_window_seconds: u64,
    /// How long a command may run.
    pub command_run_seconds: u64,
    /// Whom sessions run as; none: the gateway's own user.
    pub session_user: Option<String>,
    /// The public keys of which one must have signed a policy; none: any policy is taken.
    pub policy_keys: Option<PathBuf>,
    /// How large the recording of one session may be, in bytes; 0: none is made.
    pub recording_bytes_max: u64,
    /// How many requests of one person may wait at the same time.
    pub pending_requests_max: u64,
    /// How many decisions a shadow must have seen before an activation; 0: none.
    pub shadow_min_samples: u64,
    /// The resource whose approved requests activate versions of policies; none: admins do.
    pub policy_changes: Option<ResourceName>,
    /// Whether notification channels may deliver within the gateway's own network.
    pub notify_own_network: bool,
    /// Whether `/metrics` needs no token.
    pub metrics_public: bool,
    /// The provider that people can sign in with; none: passwords only.
    pub oidc: Option<oidc::Declared>,
    /// Our app in Slack; none: no messages there.
    pub slack: Option<slack::Declared>,
    /// What sends e-mail; none: no channel can be of that kind.
    pub mail: Option<mail::Declared>,
    /// What finds out the facts that policies ask for.
    pub facts: Declared,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8600)),
            data: PathBuf::from("quorate-data"),
            compiled: None,
            public_url: None,
            review_timeout_seconds: 3600,
            ceiling_seconds: 24 * 3600,
            command_window_seconds: 3600,
            command_run_seconds: 3600,
            session_user: None,
            policy_keys: None,
            recording_bytes_max: 16 << 20,
            pending_requests_max: 100,
            shadow_min_samples: 0,
            policy_changes: None,
            notify_own_network: false,
            metrics_public: false,
            oidc: None,
            slack: None,
            mail: None,
            facts: Declared::new(),
        }
    }
}

/// The longest that anything can be set to last: 30 days, in seconds.
const SECONDS_MAX: u64 = 30 * 24 * 3600;

/// The most requests of one person that can be allowed to wait.
const PENDING_REQUESTS_MAX: u64 = 100_000;

/// The smallest recording that can be set, in bytes, other than none: less holds next to nothing.
const RECORDING_BYTES_MIN: u64 = 4096;

impl Config {
    /// The ledger file.
    pub fn ledger(&self) -> PathBuf {
        self.data.join("ledger.sqlite")
    }

    /// The folder of compiled policies.
    pub fn compiled(&self) -> PathBuf {
        self.compiled.clone().unwrap_or_else(|| self.data.join("compiled"))
    }

    /// The folder of recordings.
    pub fn recordings(&self) -> PathBuf {
        self.data.join("recordings")
    }

    /// Where people reach the gateway.
    pub fn url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{}", self.listen))
    }

    /// What holds when `flags` (with the environment in them) are put over the
    /// settings in `file`.
    pub fn resolve(flags: Settings, file: Option<&Path>) -> anyhow::Result<Self> {
        let folder = file.and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        let file = file.map(read).transpose()?.unwrap_or_default();
        let default = Self::default();
        let seconds = |what, value: Option<u64>, default| match value {
            None => Ok(default),
            Some(value) if (1..=SECONDS_MAX).contains(&value) => Ok(value),
            Some(value) => bail!("{what} is {value}: give 1 to {SECONDS_MAX} seconds"),
        };
        let pending = flags.pending_requests_max.or(file.pending_requests_max);
        if let Some(pending) = pending
            && !(1..=PENDING_REQUESTS_MAX).contains(&pending)
        {
            bail!("pending-requests-max is {pending}: give 1 to {PENDING_REQUESTS_MAX} requests");
        }
        let recording = flags.recording_bytes_max.or(file.recording_bytes_max);
        if let Some(bytes @ 1..RECORDING_BYTES_MIN) = recording {
            bail!(
                "recording-bytes-max is {bytes}: give at least {RECORDING_BYTES_MIN} bytes, or 0 to record nothing"
            );
        }
        let public_url = flags.public_url.or(file.public_url);
        if let Some(url) = &public_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            bail!("public-url `{url}` does not start with http:// or https://");
        }
        let max_duration = flags.max_duration.or(file.max_duration);
        let oidc = oidc::resolve(flags.oidc, file.oidc, &folder, &variable);
        let slack = slack::resolve(flags.slack, file.slack, &folder, &variable);
        let mail = mail::resolve(flags.mail, file.mail, &folder, &variable);
        let around = Surroundings { folder: &folder, variable: &variable };
        let facts = facts::resolve(file.facts, &around).map_err(|why| anyhow::anyhow!(why))?;
        Ok(Self {
            listen: flags.listen.or(file.listen).unwrap_or(default.listen),
            data: flags.data.or(file.data).unwrap_or(default.data),
            compiled: flags.compiled.or(file.compiled),
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            review_timeout_seconds: seconds(
                "review-timeout-sec",
                flags.review_timeout_sec.or(file.review_timeout_sec),
                default.review_timeout_seconds,
            )?,
            ceiling_seconds: max_duration.map_or(default.ceiling_seconds, |max| max.seconds()),
            command_window_seconds: seconds(
                "command-window-sec",
                flags.command_window_sec.or(file.command_window_sec),
                default.command_window_seconds,
            )?,
            command_run_seconds: seconds(
                "command-run-sec",
                flags.command_run_sec.or(file.command_run_sec),
                default.command_run_seconds,
            )?,
            session_user: flags.session_user.or(file.session_user),
            policy_keys: flags.policy_keys.or(file.policy_keys),
            recording_bytes_max: recording.unwrap_or(default.recording_bytes_max),
            pending_requests_max: pending.unwrap_or(default.pending_requests_max),
            shadow_min_samples: flags
                .shadow_min_samples
                .or(file.shadow_min_samples)
                .unwrap_or(default.shadow_min_samples),
            policy_changes: flags.policy_changes.or(file.policy_changes),
            notify_own_network: flags
                .notify_own_network
                .or(file.notify_own_network)
                .unwrap_or(default.notify_own_network),
            metrics_public: flags.metrics_public.or(file.metrics_public).unwrap_or(default.metrics_public),
            oidc: oidc.map_err(|why| anyhow::anyhow!(why))?,
            slack: slack.map_err(|why| anyhow::anyhow!(why))?,
            mail: mail.map_err(|why| anyhow::anyhow!(why))?,
            facts,
        })
    }
}

/// The environment of this process, of which commands get a little.
#[expect(clippy::disallowed_methods, reason = "this is the module that may")]
pub fn environment() -> std::env::VarsOs {
    std::env::vars_os()
}

/// A variable of the environment.
#[expect(clippy::disallowed_methods, reason = "this is the module that may")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read(path: &Path) -> anyhow::Result<Settings> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the config file {} cannot be read", path.display()))?;
    parse(&text).with_context(|| format!("the config file {} is not right", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Settings> {
    if text.trim().is_empty() {
        return Ok(Settings::default());
    }
    // Without the lines around the place: one of them may be a secret that should not be in the file.
    serde_saphyr::from_str(text).map_err(|error| anyhow::anyhow!("{}", error.without_snippet()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> anyhow::Result<Config> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), text)?;
        Config::resolve(Settings::default(), Some(file.path()))
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        assert_eq!(Config::resolve(Settings::default(), None).unwrap(), Config::default());
        assert_eq!(file("").unwrap().review_timeout_seconds, 3600);
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "review_timeout_sec: 60\nmax_duration: 8h\n").unwrap();
        let flags = Settings { review_timeout_sec: Some(120), ..Settings::default() };
        let config = Config::resolve(flags, Some(file.path())).unwrap();
        assert_eq!((config.review_timeout_seconds, config.ceiling_seconds), (120, 8 * 3600));
    }

    #[test]
    fn the_session_user_is_a_name_or_a_number() {
        assert_eq!(file("session_user: quorate-session\n").unwrap().session_user.unwrap(), "quorate-session");
        assert_eq!(file("session_user: 990\n").unwrap().session_user.unwrap(), "990");
    }

    #[test]
    fn recordings_have_a_limit_or_are_switched_off() {
        let limit = |text: &str| file(text).unwrap().recording_bytes_max;
        assert_eq!((limit(""), limit("recording_bytes_max: 0\n")), (16 << 20, 0));
        assert_eq!(limit("recording_bytes_max: 4096\n"), 4096);
    }

    #[test]
    fn unknown_keys_and_senseless_values_are_refused() {
        let refused = |text: &str| format!("{:#}", file(text).unwrap_err());
        assert!(refused("review_timeout: 60\n").contains("review_timeout"));
        assert!(refused("review_timeout_sec: 0\n").contains("give 1 to"));
        assert!(refused("pending_requests_max: 0\n").contains("give 1 to"));
        assert!(refused("recording_bytes_max: 100\n").contains("at least 4096 bytes, or 0"));
        assert!(refused("public_url: ftp://x\n").contains("http://"));
        assert!(refused("max_duration: 2 hours\n").contains("2 hours"));
        assert!(refused("policy_changes: not a name\n").contains("not a name"));
        assert!(refused("[1, 2").contains("not right"));
        assert!(refused("facts: {on-call: {http: {url: 'http://h/{user}'}}}\n").contains("{requester}"));
        assert!(refused("facts: {on-call: {https: {}}}\n").contains("https"));
        assert!(refused("oidc: {issuer: 'https://id.example.org'}\n").contains("--oidc-client-id"));
        assert!(refused("oidc: {isuer: 'https://id.example.org'}\n").contains("isuer"));
        assert!(refused("mail: {url: 'smtp://localhost'}\n").contains("--mail-from"));
        // A secret that should not be there is not repeated.
        let misplaced = refused("listen: 127.0.0.1:0\nmail:\n  password: hunter2\n");
        assert!(misplaced.contains("`password`") && misplaced.contains("line 3"), "{misplaced}");
        assert!(!misplaced.contains("hunter2"), "{misplaced}");
    }
}
