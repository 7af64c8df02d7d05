//! `quorate serve`: the gateway itself, until it is told to stop.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::Context;
use super::exit::{Ending, Failure};
use crate::agent::User;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Settings};
use crate::telemetry::{self, Format};

/// What is said where sessions are not kept from the gateway.
const NO_SESSION_USER: &str = "sessions run as the gateway's own user: whoever gets a shell out of a session's program, \
     as with psql's \\!, can read the ledger and the secrets of all resources; \
     --session-user (QUORATE_SESSION_USER) gives sessions a user of their own";

/// Run the gateway
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate serve
  quorate serve --data /var/lib/quorate --public-url https://quorate.example.org
  quorate serve --config /etc/quorate.yaml --check   # print what would be used, and exit

A flag wins over the environment, that over the file, that over the default. The keys of the file
are the long flags with `_` for `-`, those of the provider under `oidc` without `oidc-`, those of the mail server under `mail`
(url, password_file, from), those of the app in Slack under `slack` without `slack-`; and `facts`: where the facts come from that policies ask for (see `quorate facts --help`). The first start prints a set-up token and what to do with it.
Sessions run as the gateway's own user, who can read the ledger, unless --session-user names another.
SIGTERM or Ctrl-C ends all sessions, tells their users why, and stops.")]
pub(super) struct Serve {
    #[command(flatten)]
    settings: Settings,
    /// A file with settings, in YAML
    #[arg(long, env = "QUORATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print what would be used, and exit
    #[arg(long)]
    check: bool,
    /// How log lines are written; `QUORATE_LOG` says which (info, debug, info,quorate=debug)
    #[arg(long, value_enum, env = "QUORATE_LOG_FORMAT", default_value_t)]
    log_format: Format,
}

impl Serve {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let config = Config::resolve(self.settings, self.config.as_deref());
        let config = config.map_err(|error| Failure::usage(format!("{error:#}")))?;
        if let Some(name) = &config.session_user {
            User::find(name).map_err(|error| Failure::usage(format!("{:#}", anyhow::Error::new(error))))?;
        }
        if self.check {
            context.screen.print(&format!("{config:#?}\n"));
            return Ok(0);
        }
        telemetry::start(self.log_format).map_err(|error| Failure::usage(format!("{error:#}")))?;
        serve(context, config).await
    }
}

async fn serve(context: &Context, config: Config) -> Ending {
    let broken = |error: std::io::Error| Failure::failed(format!("signals cannot be heard: {error}"));
    let mut told = signal(SignalKind::terminate()).map_err(broken)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
    let (link, session_user) = (config.public_url.clone(), config.session_user.clone());
    let started = App::start(config, Clock::system()).await;
    let gateway =
        started.map_err(|error| Failure::failed(format!("the gateway does not start: {error:#}")))?;
    if let Some(user) = session_user {
        tracing::info!(user, "sessions run as a user of their own");
    } else {
        tracing::warn!("{NO_SESSION_USER}");
    }
    let url = link.unwrap_or_else(|| format!("http://{}", gateway.address()));
    if context.screen.json {
        let started = json!({"listening": gateway.address().to_string(), "url": url, "setup_token": gateway.setup_token});
        context.screen.line(&started);
    } else {
        context.screen.print(&welcome(&gateway.address().to_string(), &url, gateway.setup_token.as_deref()));
    }
    tokio::select! {
        _ = told.recv() => {}
        _ = interrupt.recv() => {}
        () = gateway.broken() => {
            gateway.stop().await;
            return Err(Failure::failed("the gateway stopped because a part of it ended; its log says which"));
        }
    }
    context.screen.say("stopping: sessions are ended; once more stops at once");
    tokio::select! {
        () = gateway.stop() => Ok(0),
        _ = told.recv() => Err(Failure::failed("stopped before everything had ended")),
        _ = interrupt.recv() => Err(Failure::failed("stopped before everything had ended")),
    }
}

fn welcome(address: &str, url: &str, setup_token: Option<&str>) -> String {
    let mut text = format!("quorate listens on {address}; people reach it at {url}\n");
    if let Some(token) = setup_token {
        let _ = write!(
            text,
            "\nThis gateway is new. Make its first admin with the set-up token, which works once and is not shown again:\n\n  \
             set-up token  {token}\n  \
             page          {url}/set-up\n  \
             or command    quorate setup --url {url} --user root\n\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_names_the_token_and_the_exact_next_command() {
        let text = welcome("127.0.0.1:8600", "http://127.0.0.1:8600", Some("abc"));
        assert!(text.contains("set-up token  abc\n"));
        assert!(text.contains("http://127.0.0.1:8600/set-up\n"));
        assert!(text.contains("quorate setup --url http://127.0.0.1:8600 --user root\n"));
        assert!(!welcome("127.0.0.1:8600", "http://g", None).contains("token"));
    }
}
