//! `quorate login`, `logout`, `setup` and `me`. A password or token comes from the terminal, from
//! standard input or from a file, never from the command line: others can read that.

use std::io::BufRead as _;
use std::path::PathBuf;

use clap::Args;
use quorate_core::ids::UserId;
use serde::Deserialize;
use serde_json::json;

use super::Context;
use super::client::{Answer, Gateway};
use super::credentials::{Credentials, Store};
use super::exit::{Ending, Exit, Failure};
use super::words;

/// The longest password, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// Sign in, and stay signed in
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate login --url https://quorate.example.org
  quorate login --user ann --password-stdin < password.txt

The token is kept in ~/.config/quorate/credentials.json, for you alone. QUORATE_URL and
QUORATE_TOKEN win over it, for scripts.")]
pub(super) struct Login {
    /// Your user name; asked for if left out
    #[arg(long, short)]
    pub(super) user: Option<UserId>,
    /// Read the password from standard input instead of asking
    #[arg(long)]
    pub(super) password_stdin: bool,
}

/// Make the first admin of a new gateway
#[derive(Debug, Args)]
#[command(after_help = "\
The gateway prints a set-up token when it starts for the first time. It works once:
  quorate setup --url http://127.0.0.1:8600 --user root")]
pub(super) struct Setup {
    /// The admin's user name; asked for if left out
    #[arg(long, short)]
    pub(super) user: Option<UserId>,
    /// The admin's address
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) email: String,
    /// A file with the set-up token; asked for if left out (or set `QUORATE_SETUP_TOKEN`)
    #[arg(long = "setup-token-file", value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Read the new password from standard input instead of asking
    #[arg(long)]
    pub(super) password_stdin: bool,
}

#[derive(Deserialize)]
struct SignedIn {
    token: String,
    #[serde(default)]
    expires_at: Option<quorate_core::Timestamp>,
    #[serde(default)]
    user: Me,
}

#[derive(Default, Deserialize)]
struct Me {
    #[serde(default)]
    id: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    groups: Vec<String>,
}

impl Login {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let store = Store::of(&context.environment)?;
        let stored = store.load().unwrap_or_default();
        let url = context.choice.address(stored.as_ref())?;
        let gateway = Gateway::new(url, None)?;
        warn_unencrypted(context, &gateway);
        let user = who(context, self.user)?;
        let password = password(
            context,
            self.password_stdin,
            &format!("password of {user} at {}: ", gateway.address()),
        )?;
        let body = json!({"user": user, "password": password, "label": "command line"});
        let answer = gateway.post(&["login"], body).await.map_err(wrong_password)?;
        signed_in(context, &store, &gateway, &answer)
    }
}

impl Setup {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let store = Store::of(&context.environment)?;
        let gateway = Gateway::new(context.choice.address(store.load().unwrap_or_default().as_ref())?, None)?;
        warn_unencrypted(context, &gateway);
        let setup_token = self.setup_token(context)?;
        let user = who(context, self.user)?;
        let password = new_password(context, self.password_stdin, &user)?;
        let body =
            json!({"setup_token": setup_token, "user": user, "password": password, "email": self.email});
        let answer = gateway.post(&["setup"], body).await.map_err(wrong_setup_token)?;
        signed_in(context, &store, &gateway, &answer)
    }

    fn setup_token(&self, context: &Context) -> Result<String, Failure> {
        if let Some(path) = &self.token_file {
            let text = std::fs::read_to_string(path);
            let text = text
                .map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", path.display())))?;
            return Ok(text.trim().to_owned());
        }
        match context.environment.text("QUORATE_SETUP_TOKEN") {
            Some(token) => Ok(token.trim().to_owned()),
            None => ask_hidden(context, "set-up token, as the gateway printed it: ")
                .map(|token| token.trim().to_owned()),
        }
    }
}

/// `quorate logout`: the token stops working, here and at the gateway.
pub(super) async fn logout(context: &Context) -> Ending {
    let store = Store::of(&context.environment)?;
    let Some(stored) = store.load()? else {
        context.screen.say("you are not signed in");
        return Ok(0);
    };
    let gateway = Gateway::new(super::client::address(&stored.url)?, Some(stored.token.clone()))?;
    let told = gateway.post(&["logout"], json!({})).await;
    store.remove()?;
    match told {
        Ok(_) => context.screen.say(&format!("signed out of {}", gateway.address())),
        // It had stopped working before.
        Err(failure) if failure.code() == Some("unauthenticated") => context.screen.say("signed out"),
        Err(failure) => {
            let message = format!(
                "signed out here, but the gateway was not told, so that the token works on there ({})",
                failure.message
            );
            return Err(Failure { message, ..failure });
        }
    }
    Ok(0)
}

/// `quorate me`.
pub(super) async fn me(context: &Context) -> Ending {
    let gateway = context.gateway()?;
    let answer = gateway.get(&["me"], Vec::new()).await?;
    let me: Me = answer.read()?;
    let facts = [
        ("user", me.id),
        ("email", me.email),
        ("groups", me.groups.join(", ")),
        ("gateway", gateway.address().to_owned()),
    ];
    context.screen.result(answer.raw(), || words::facts(&facts))
}

fn signed_in(context: &Context, store: &Store, gateway: &Gateway, answer: &Answer) -> Ending {
    let signed_in: SignedIn = answer.read()?;
    let user = signed_in.user.id;
    store.save(&Credentials {
        url: gateway.address().to_owned(),
        token: signed_in.token,
        user: user.clone(),
    })?;
    let until = signed_in.expires_at.map(|at| format!(" until {}", words::time(at))).unwrap_or_default();
    if context.environment.text("QUORATE_TOKEN").is_some() {
        context.screen.say("note: QUORATE_TOKEN is set and wins over this sign-in");
    }
    let shown = json!({"user": user, "url": gateway.address(), "expires_at": signed_in.expires_at, "groups": signed_in.user.groups});
    context.screen.result(&shown, || format!("signed in as {user} at {}{until}\n", gateway.address()))
}

fn wrong_password(failure: Failure) -> Failure {
    if failure.code() == Some("unauthenticated") {
        let message = "the user name or the password is wrong".to_owned();
        return Failure { exit: Exit::Refused, message, ..failure };
    }
    failure
}

fn wrong_setup_token(failure: Failure) -> Failure {
    if failure.code() == Some("unauthenticated") {
        let message =
            "the set-up token is wrong: give the one that the gateway printed when it was last started";
        return Failure { exit: Exit::Refused, message: message.to_owned(), ..failure };
    }
    failure
}

fn warn_unencrypted(context: &Context, gateway: &Gateway) {
    if crosses_the_network_in_the_clear(gateway.address()) {
        let note = "the way to the gateway is not encrypted: others on it can read the password; use https";
        context.screen.say(&format!("{} {note}", context.screen.err.yellow("note:")));
    }
}

fn crosses_the_network_in_the_clear(address: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(address) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    url.scheme() == "http" && !local
}

fn who(context: &Context, given: Option<UserId>) -> Result<UserId, Failure> {
    if let Some(user) = given {
        return Ok(user);
    }
    if !context.screen.can_ask {
        return Err(Failure::usage("say who you are: --user NAME"));
    }
    eprint!("user name: ");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failure::failed(format!("no user name: {error}")))?;
    line.trim().parse().map_err(|error: quorate_core::ids::BadName| Failure::usage(error.to_string()))
}

/// A password, asked for without showing it, or the first line of standard input.
pub(super) fn password(context: &Context, from_stdin: bool, prompt: &str) -> Result<String, Failure> {
    let password =
        if from_stdin { first_line(std::io::stdin().lock())? } else { ask_hidden(context, prompt)? };
    if password.is_empty() {
        return Err(Failure::usage("the password is empty"));
    }
    Ok(password)
}

/// A new password; asked for twice.
pub(super) fn new_password(context: &Context, from_stdin: bool, user: &UserId) -> Result<String, Failure> {
    let new = password(context, from_stdin, &format!("new password of {user}: "))?;
    if !from_stdin && password(context, false, "the same again: ")? != new {
        return Err(Failure::usage("the two differ: nothing was changed"));
    }
    Ok(new)
}

fn first_line(from: impl std::io::BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    let read = from.take(PASSWORD_BYTES_MAX).read_line(&mut line);
    read.map_err(|error| Failure::failed(format!("standard input cannot be read: {error}")))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

fn ask_hidden(context: &Context, prompt: &str) -> Result<String, Failure> {
    if !context.screen.can_ask {
        return Err(Failure::usage(
            "there is no terminal to ask on: use --password-stdin, and QUORATE_SETUP_TOKEN for a set-up token",
        ));
    }
    rpassword::prompt_password(prompt).map_err(|error| Failure::failed(format!("nothing was typed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_first_line_and_keeps_its_spaces() {
        assert_eq!(first_line(&b" a b \r\nrest"[..]).unwrap(), " a b ");
        assert_eq!(first_line(&b"no end"[..]).unwrap(), "no end");
    }

    #[test]
    fn only_what_leaves_the_machine_unencrypted_is_warned_about() {
        for (address, warned) in [
            ("http://127.0.0.1:8600", false),
            ("http://[::1]:8600", false),
            ("http://localhost", false),
            ("https://g.example.org", false),
            ("http://g.example.org", true),
            ("http://10.0.0.1", true),
        ] {
            assert_eq!(crosses_the_network_in_the_clear(address), warned, "{address}");
        }
    }

    #[test]
    fn without_a_terminal_the_way_for_scripts_is_named() {
        let failure = password(&Context::for_tests(), false, "").unwrap_err();
        assert!(failure.message.contains("--password-stdin"));
    }
}
