//! The app in Slack as it is written in the gateway's settings, checked once, at the start.
//!
//! Its secrets come from files or the environment, never from a flag or the settings themselves.

use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::Deserialize;

use crate::agent::Secret;
use crate::given::{self, Place};

/// Where Slack is asked.
const API: &str = "https://slack.com/api/";

const BOT_TOKEN: Place = Place {
    part: "slack",
    what: "the bot token",
    key: "bot_token_file",
    variable: "QUORATE_SLACK_BOT_TOKEN",
};
const SIGNING_SECRET: Place = Place {
    part: "slack",
    what: "the signing secret",
    key: "signing_secret_file",
    variable: "QUORATE_SLACK_SIGNING_SECRET",
};
const APP_TOKEN: Place = Place {
    part: "slack",
    what: "the app-level token",
    key: "app_token_file",
    variable: "QUORATE_SLACK_APP_TOKEN",
};

/// What can be set. In the file the keys stand under `slack`, without `slack-` in front.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
#[group(skip)]
pub struct Settings {
    /// File with the bot token of our app in Slack (`xoxb-…`); or set `QUORATE_SLACK_BOT_TOKEN` [default: none, no Slack]
    ///
    /// docs/slack.md says how to make the app. Besides the bot token it takes the signing secret, where
    /// Slack reaches the gateway, or an app-level token, where it does not.
    #[arg(long = "slack-bot-token-file", env = "QUORATE_SLACK_BOT_TOKEN_FILE", value_name = "FILE")]
    pub bot_token_file: Option<PathBuf>,
    /// File with what Slack signs its requests with; or set `QUORATE_SLACK_SIGNING_SECRET`
    #[arg(
        long = "slack-signing-secret-file",
        env = "QUORATE_SLACK_SIGNING_SECRET_FILE",
        value_name = "FILE"
    )]
    pub signing_secret_file: Option<PathBuf>,
    /// File with an app-level token (`xapp-…`), for Socket Mode; or set `QUORATE_SLACK_APP_TOKEN`
    #[arg(long = "slack-app-token-file", env = "QUORATE_SLACK_APP_TOKEN_FILE", value_name = "FILE")]
    pub app_token_file: Option<PathBuf>,
    /// Where Slack is asked [default: `https://slack.com/api/`]
    #[arg(long = "slack-api", env = "QUORATE_SLACK_API", value_name = "URL")]
    pub api: Option<String>,
}

/// Our app in Slack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Where Slack is asked; it ends in a slash.
    pub api: Url,
    /// What it is asked with.
    pub bot_token: Secret,
    /// What Slack signs its requests with.
    pub signing_secret: Option<Secret>,
    /// What a socket is asked for with.
    pub app_token: Option<Secret>,
}

/// The app, if there is one, or what is wrong. `flags` win over `file`, whose paths begin in `folder`.
pub fn resolve(
    flags: Settings,
    file: Settings,
    folder: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Declared>, String> {
    let secret = |place: Place, flag: Option<PathBuf>, file: Option<PathBuf>| {
        given::secret(place, given::path(flag, file, folder), variable(place.variable))
    };
    let bot_token = secret(BOT_TOKEN, flags.bot_token_file, file.bot_token_file)?;
    let signing_secret = secret(SIGNING_SECRET, flags.signing_secret_file, file.signing_secret_file)?;
    let app_token = secret(APP_TOKEN, flags.app_token_file, file.app_token_file)?;
    let api = flags.api.or(file.api);
    let Some(bot_token) = bot_token else {
        return if signing_secret.is_none() && app_token.is_none() && api.is_none() {
            Ok(None)
        } else {
            Err("slack: there is no bot token: give --slack-bot-token-file, or nothing of Slack at all"
                .to_owned())
        };
    };
    if signing_secret.is_none() && app_token.is_none() {
        return Err("slack: buttons would lead nowhere: give the signing secret too, or an app-level token \
                    for Socket Mode"
            .to_owned());
    }
    let swapped = |secret: &Secret, first: &str| !secret.expose().starts_with(first);
    if swapped(&bot_token, "xoxb-") {
        return Err("slack: a bot token begins with xoxb-".to_owned());
    }
    if app_token.as_ref().is_some_and(|token| swapped(token, "xapp-")) {
        return Err("slack: an app-level token begins with xapp-".to_owned());
    }
    let is_token = |secret: &Secret| !swapped(secret, "xoxb-") || !swapped(secret, "xapp-");
    if signing_secret.as_ref().is_some_and(|secret| is_token(secret) || secret.expose().len() < 16) {
        return Err("slack: the signing secret is 32 letters and digits, from Basic Information".to_owned());
    }
    let api = address(api.as_deref().unwrap_or(API))?;
    Ok(Some(Declared { api, bot_token, signing_secret, app_token }))
}

fn address(text: &str) -> Result<Url, String> {
    let text = if text.ends_with('/') { text.to_owned() } else { format!("{text}/") };
    let url = crate::outgoing::address(&text).map_err(|why| format!("slack: api: {why}"))?;
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "https" || is_here {
        return Ok(url);
    }
    Err("slack: api: give https://, or http:// on this machine: tokens are sent there".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(variables: &[(&str, &str)], api: Option<&str>) -> Result<Option<Declared>, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(one, _)| *one == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let flags = Settings { api: api.map(str::to_owned), ..Settings::default() };
        resolve(flags, Settings::default(), Path::new(""), &variable)
    }

    const BOT: (&str, &str) = ("QUORATE_SLACK_BOT_TOKEN", "xoxb-1");
    const SIGNING: (&str, &str) = ("QUORATE_SLACK_SIGNING_SECRET", "8f742231b10e8888abcd99yyyzzz85a5");
    const APP: (&str, &str) = ("QUORATE_SLACK_APP_TOKEN", "xapp-1");

    #[test]
    fn half_an_app_is_refused() {
        assert_eq!(resolved(&[], None), Ok(None));
        let whole = resolved(&[BOT, SIGNING], None).unwrap().unwrap();
        assert_eq!((whole.api.as_str(), whole.app_token), (API, None));
        assert!(resolved(&[BOT, APP], None).unwrap().is_some());
        for (variables, api, why) in [
            (&[SIGNING][..], None, "no bot token"),
            (&[BOT], None, "signing secret"),
            (&[("QUORATE_SLACK_BOT_TOKEN", "xapp-1"), SIGNING], None, "xoxb-"),
            (&[BOT, ("QUORATE_SLACK_APP_TOKEN", "xoxb-1")], None, "xapp-"),
            (&[BOT, ("QUORATE_SLACK_SIGNING_SECRET", "xoxb-2147483647-31415")], None, "Basic Information"),
            (&[BOT, ("QUORATE_SLACK_SIGNING_SECRET", "x")], None, "Basic Information"),
            (&[BOT, SIGNING], Some("http://slack.com/api"), "https://"),
            (&[BOT, SIGNING], Some("slack.com"), "https://"),
        ] {
            let refused = resolved(variables, api).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        let here = resolved(&[BOT, SIGNING], Some("http://127.0.0.1:80/api")).unwrap().unwrap();
        assert_eq!(here.api.as_str(), "http://127.0.0.1/api/");
    }
}
