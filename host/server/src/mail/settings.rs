//! The mail server as it is written in the gateway's settings, checked once, at the start.
//!
//! The password comes from a file or the environment. Half of the settings is refused: nobody
//! would find out before the first message.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::Address;
use percent_encoding::percent_decode_str;
use quorate_core::channel::is_email;
use quorate_core::text::{shown, steers};
use reqwest::Url;
use serde::Deserialize;

use crate::agent::Secret;
use crate::given::{self, Place};

/// Where the password may be.
const PASSWORD: Place =
    Place { part: "mail", what: "the password", key: "password_file", variable: "QUORATE_SMTP_PASSWORD" };
/// The longest address of a server, and of whom messages are from, in bytes.
const TEXT_BYTES_MAX: usize = 500;
/// How long each step of handing a message over may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What an address of a mail server looks like.
const FORMS: &str =
    "smtps://user@smtp.example.org, smtp+starttls://user@smtp.example.org or smtp://localhost";

/// What can be set. In the file the keys stand under `mail`: `url`, `password_file`, `from`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
#[group(skip)]
pub struct Settings {
    /// Mail server for notification channels of kind email [default: none]
    ///
    /// `smtps://user@host` (TLS, port 465), `smtp+starttls://user@host` (TLS is demanded, port 587) or
    /// `smtp://host` (not encrypted, port 25; with a password only on this machine). The user is left out
    /// where the server takes messages from anybody; an @ in its name is written %40.
    #[arg(long = "smtp-url", env = "QUORATE_SMTP_URL", value_name = "URL")]
    pub url: Option<String>,
    /// File with the user's password at the mail server; or set `QUORATE_SMTP_PASSWORD`
    #[arg(long = "smtp-password-file", env = "QUORATE_SMTP_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Whom messages are from, such as `Quorate <quorate@example.org>`
    #[arg(long = "mail-from", env = "QUORATE_MAIL_FROM", value_name = "ADDRESS")]
    pub from: Option<String>,
}

/// The mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Where it is.
    pub host: String,
    /// On which port.
    pub port: u16,
    /// How the way there is protected.
    pub security: Security,
    /// Who the gateway is there; none: it does not say.
    pub user: Option<String>,
    /// How it shows that.
    pub password: Option<Secret>,
    /// Whom messages are from.
    pub from: Sender,
    /// How long each step of handing a message over may take.
    pub patience: Duration,
}

/// Whom messages are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// What people see.
    pub name: Option<String>,
    /// Where answers go.
    pub email: Address,
}

/// How the way to a server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// TLS is asked for, and nothing is sent without.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// The mail server, if there is one, or what is wrong. `flags` win over `file`, whose paths begin
/// in `folder`.
pub fn resolve(
    flags: Settings,
    file: Settings,
    folder: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Declared>, String> {
    let settings = Settings {
        url: flags.url.or(file.url),
        password_file: given::path(flags.password_file, file.password_file, folder),
        from: flags.from.or(file.from),
    };
    let password = variable(PASSWORD.variable);
    if settings == Settings::default() && password.is_none() {
        return Ok(None);
    }
    let half = |missing: &str, flag: &str| {
        format!("mail: there is no {missing}: give --{flag}, or nothing of a mail server at all")
    };
    let url = settings.url.ok_or_else(|| half("server", "smtp-url"))?;
    let from = settings.from.ok_or_else(|| half("sender", "mail-from"))?;
    let password = given::secret(PASSWORD, settings.password_file, password)?;
    let declared = Declared { password, from: sender(&from)?, ..server(&url)? };
    match (&declared.user, &declared.password) {
        (Some(_), None) => Err(half("password", "smtp-password-file (QUORATE_SMTP_PASSWORD)")),
        (None, Some(_)) => Err("mail: url: there is a password: say whose, smtps://user@…".to_owned()),
        (Some(_), Some(_)) if declared.security == Security::None && !is_here(&declared.host) => {
            let why = "the password would be sent for everybody on the way to read";
            Err(format!("mail: url: {why}: give smtps:// or smtp+starttls://"))
        }
        _ => Ok(Some(declared)),
    }
}

/// What an address says; nobody is known as sender yet.
fn server(text: &str) -> Result<Declared, String> {
    // It is not shown: there may be a password in it.
    let wrong = |why: &str| format!("mail: url: {why}");
    let none = || wrong(&format!("it is no address such as {FORMS}"));
    let url = Url::parse(text).ok().filter(|_| text.len() <= TEXT_BYTES_MAX).ok_or_else(none)?;
    let (security, port) = match url.scheme() {
        "smtp" => (Security::None, 25),
        "smtp+starttls" => (Security::StartTls, 587),
        "smtps" => (Security::Tls, 465),
        _ => return Err(none()),
    };
    if url.password().is_some() {
        let why = "a password in it would be shown: put it into a file, or into";
        return Err(wrong(&format!("{why} {}", PASSWORD.variable)));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("nothing comes after the host and its port"));
    }
    let host = url.host_str().unwrap_or_default();
    let named = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if host.is_empty() || !(host.chars().all(named) || literal(host).is_some()) || url.port() == Some(0) {
        return Err(none());
    }
    let user = percent_decode_str(url.username()).decode_utf8().map_err(|_| none())?;
    if user.chars().any(char::is_control) {
        return Err(none());
    }
    Ok(Declared {
        host: host.to_owned(),
        port: url.port().unwrap_or(port),
        security,
        user: Some(user.into_owned()).filter(|user| !user.is_empty()),
        password: None,
        from: Sender { name: None, email: Address::new_dangerous("nobody", "localhost") },
        patience: PATIENCE,
    })
}

/// `quorate@example.org`, or `Quorate <quorate@example.org>`.
fn sender(text: &str) -> Result<Sender, String> {
    let wrong = || format!("mail: from: `{}` is no address such as quorate@example.org", shown(text, 100));
    let text = text.trim();
    let (name, email) = match text.strip_suffix('>') {
        Some(rest) => rest.rsplit_once('<').ok_or_else(wrong)?,
        None => ("", text),
    };
    if text.len() > TEXT_BYTES_MAX || text.chars().any(steers) || !is_email(email) {
        return Err(wrong());
    }
    let name = Some(name.trim().trim_matches('"').to_owned()).filter(|name| !name.is_empty());
    Ok(Sender { name, email: email.parse().map_err(|_| wrong())? })
}

/// Whether a host is this machine.
fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || literal(host).is_some_and(|address| address.is_loopback())
}

/// The address that a host is by its number, if it is one.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with(text: &str, password: Option<&str>) -> Result<Option<Declared>, String> {
        let file = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let variable =
            |name: &str| (name == PASSWORD.variable).then(|| password.map(str::to_owned)).flatten();
        resolve(Settings::default(), file, Path::new("/none"), &variable)
    }

    fn server_at(url: &str, password: Option<&str>) -> Result<Declared, String> {
        let text = format!("url: '{url}'\nfrom: Quorate <quorate@example.org>\n");
        read_with(&text, password).map(Option::unwrap)
    }

    #[test]
    fn an_address_says_where_how_and_as_whom() {
        for (url, password, host, port, security, user) in [
            ("smtp://localhost", None, "localhost", 25, Security::None, None),
            ("smtp://relay.example.org:2525", None, "relay.example.org", 2525, Security::None, None),
            ("smtps://q@smtp.example.org", Some("x"), "smtp.example.org", 465, Security::Tls, Some("q")),
            (
                "smtp+starttls://q%40example.org@mx:588",
                Some("x"),
                "mx",
                588,
                Security::StartTls,
                Some("q@example.org"),
            ),
            ("smtp://q@[::1]:25/", Some("x"), "[::1]", 25, Security::None, Some("q")),
            ("smtp://q@127.0.0.1", Some("x"), "127.0.0.1", 25, Security::None, Some("q")),
        ] {
            let declared = server_at(url, password).unwrap();
            assert_eq!((declared.host.as_str(), declared.port, declared.security), (host, port, security));
            assert_eq!(declared.user.as_deref(), user, "{url}");
            assert_eq!(declared.from.email.to_string(), "quorate@example.org");
            assert_eq!(declared.from.name.as_deref(), Some("Quorate"));
        }
        let shown = format!("{:?}", server_at("smtps://q@mx", Some("hunter2")).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn half_of_it_is_refused_with_what_is_missing() {
        assert_eq!(read_with("{}", None), Ok(None));
        assert!(read_with("from: q@example.org", None).unwrap_err().contains("--smtp-url"));
        assert!(read_with("url: smtps://mx", None).unwrap_err().contains("--mail-from"));
        assert!(read_with("{}", Some("hunter2")).unwrap_err().contains("--smtp-url"));
        assert!(server_at("smtps://q@mx", None).unwrap_err().contains("QUORATE_SMTP_PASSWORD"));
        assert!(server_at("smtps://mx", Some("hunter2")).unwrap_err().contains("say whose"));
    }

    #[test]
    fn what_is_not_right_is_refused_and_no_password_is_shown() {
        for (url, says) in [
            ("mx.example.org", "smtps://user@"),
            ("https://mx.example.org", "smtps://user@"),
            ("smtp://", "smtps://user@"),
            ("smtp://mx:0", "smtps://user@"),
            ("smtp://a b", "smtps://user@"),
            ("smtp://m%0d%0ax", "smtps://user@"),
            ("smtps://q:hunter2@mx", "would be shown"),
            ("smtps://q@mx/inbox", "nothing comes after"),
            ("smtp://q@mx?tls=required", "nothing comes after"),
            ("smtp://q@mx", "everybody on the way"),
            ("smtp://q@10.0.0.1", "everybody on the way"),
        ] {
            let why = server_at(url, Some("hunter2")).unwrap_err();
            assert!(why.contains(says) && !why.contains("hunter2"), "{url}: {why}");
        }
        for from in ["quorate", "a@b, c@d", "a\r\nBcc: x@y <q@example.org>", ""] {
            let text = format!("url: smtps://mx\nfrom: {}\n", serde_json::json!(from));
            assert!(read_with(&text, None).unwrap_err().contains("no address"), "{from}");
        }
        assert!(read_with("{url: 'smtp://mx', form: x}", None).unwrap_err().contains("form"));
    }

    #[test]
    fn a_flag_wins_over_the_file_and_a_password_may_be_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pw"), "hunter2\n").unwrap();
        let file = "url: smtps://q@mx\nfrom: q@example.org\npassword_file: pw\n";
        let flags = Settings { from: Some("other@example.org".to_owned()), ..Settings::default() };
        let declared = resolve(flags, serde_saphyr::from_str(file).unwrap(), folder.path(), &|_| None);
        let declared = declared.unwrap().unwrap();
        assert_eq!(
            (declared.from.name, declared.from.email.to_string()),
            (None, "other@example.org".to_owned())
        );
        assert_eq!(declared.password.unwrap().expose(), "hunter2");
    }
}
