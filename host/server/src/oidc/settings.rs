//! The provider as it is written in the gateway's settings, checked once, at the start.
//!
//! The client's secret comes from a file or the environment, never from a flag or the settings
//! themselves. Half of the settings is refused: people would find out at their sign-in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use openidconnect::url::{Host, Url};
use quorate_core::ids::GroupName;
use quorate_core::text::{shown, steers};
use serde::Deserialize;

use crate::agent::Secret;
use crate::given::{self, Place};

/// Where the client's secret may be.
const SECRET: Place = Place {
    part: "oidc",
    what: "the client's secret",
    key: "client_secret_file",
    variable: "QUORATE_OIDC_CLIENT_SECRET",
};
/// The longest of any text below, in bytes.
const TEXT_BYTES_MAX: usize = 500;
/// The longest label, in characters: it stands on a button.
const LABEL_CHARS_MAX: usize = 40;

/// What can be set. In the file the keys stand under `oidc`, without `oidc-` in front.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
#[group(skip)]
pub struct Settings {
    /// `OpenID` Connect provider that people can sign in with: its issuer, https, or http on this machine [default: none, passwords only]
    ///
    /// Its address for answers is the public URL with `/sign-in/oidc/callback`. The first sign-in adds
    /// somebody under the name the provider gives, each one puts them into the groups it says. A name
    /// that somebody has already is refused. In the file, `groups` under `oidc` says which value of the
    /// claim means which groups; nothing else makes an admin or auditor.
    #[arg(long = "oidc-issuer", env = "QUORATE_OIDC_ISSUER", value_name = "URL")]
    pub issuer: Option<String>,
    /// What the gateway is called at the provider
    #[arg(long = "oidc-client-id", env = "QUORATE_OIDC_CLIENT_ID", value_name = "ID")]
    pub client_id: Option<String>,
    /// File with the client's secret; or set `QUORATE_OIDC_CLIENT_SECRET` [default: none, a public client]
    #[arg(long = "oidc-client-secret-file", env = "QUORATE_OIDC_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,
    /// Claim with the user name, or a JSON pointer into the claims [default: `preferred_username`]
    #[arg(long = "oidc-user-claim", env = "QUORATE_OIDC_USER_CLAIM", value_name = "CLAIM")]
    pub user_claim: Option<String>,
    /// Claim with the groups, or a JSON pointer such as `/realm_access/roles` [default: groups]
    #[arg(long = "oidc-groups-claim", env = "QUORATE_OIDC_GROUPS_CLAIM", value_name = "CLAIM")]
    pub groups_claim: Option<String>,
    /// Scopes to ask for besides `openid` [default: profile,email]
    #[arg(long = "oidc-scopes", env = "QUORATE_OIDC_SCOPES", value_name = "SCOPES", value_delimiter = ',')]
    pub scopes: Option<Vec<String>>,
    /// What the provider is called on the button: "Sign in with …" [default: its host]
    #[arg(long = "oidc-label", env = "QUORATE_OIDC_LABEL", value_name = "TEXT")]
    pub label: Option<String>,
    /// Our groups by the value of the claim; only in the file
    #[arg(skip)]
    pub groups: Option<BTreeMap<String, Groups>>,
}

/// One group, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Groups {
    /// One.
    One(GroupName),
    /// Several.
    Several(BTreeSet<GroupName>),
}

/// The provider that people can sign in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Who it is, exactly as it says itself.
    pub issuer: String,
    /// What the gateway is called there.
    pub client_id: String,
    /// How the gateway shows who it is; none: a public client.
    pub client_secret: Option<Secret>,
    /// Where in the claims the user name is.
    pub user_claim: String,
    /// Where in the claims the groups are.
    pub groups_claim: String,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// What it is called on the button.
    pub label: String,
    /// Our groups by the value of the claim; none: the values are the groups.
    pub groups: Option<BTreeMap<String, BTreeSet<GroupName>>>,
}

/// The provider, if there is one, or what is wrong. `flags` win over `file`, whose paths begin in
/// `folder`.
pub fn resolve(
    flags: Settings,
    file: Settings,
    folder: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Declared>, String> {
    let settings = over(flags, file, folder);
    let secret_variable = variable(SECRET.variable);
    if settings == Settings::default() && secret_variable.is_none() {
        return Ok(None);
    }
    let half = |missing: &str, flag: &str| {
        format!("oidc: there is no {missing}: give --{flag}, or nothing of the provider at all")
    };
    let issuer = text("issuer", settings.issuer.ok_or_else(|| half("issuer", "oidc-issuer"))?)?;
    let client_id = settings.client_id.ok_or_else(|| half("client id", "oidc-client-id"))?;
    let client_secret = given::secret(SECRET, settings.client_secret_file, secret_variable)?;
    let host = host(&issuer)?;
    let claim = |what, claim: Option<String>, default: &str| match claim {
        None => Ok(default.to_owned()),
        Some(claim) => text(what, claim),
    };
    let scopes = settings.scopes.unwrap_or_else(|| vec!["profile".to_owned(), "email".to_owned()]);
    Ok(Some(Declared {
        client_id: text("client_id", client_id)?,
        client_secret,
        user_claim: claim("user_claim", settings.user_claim, "preferred_username")?,
        groups_claim: claim("groups_claim", settings.groups_claim, "groups")?,
        scopes: scopes.into_iter().map(scope).collect::<Result<_, _>>()?,
        label: label(settings.label.unwrap_or(host))?,
        groups: settings.groups.map(|groups| {
            let each = groups.into_iter().map(|(value, groups)| match groups {
                Groups::One(group) => (value, BTreeSet::from([group])),
                Groups::Several(groups) => (value, groups),
            });
            each.collect()
        }),
        issuer,
    }))
}

/// Whether an address may be talked to: what is said on the way is for nobody else.
pub(super) fn is_private(url: &Url) -> bool {
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && here)
}

fn over(flags: Settings, file: Settings, folder: &Path) -> Settings {
    Settings {
        issuer: flags.issuer.or(file.issuer),
        client_id: flags.client_id.or(file.client_id),
        client_secret_file: given::path(flags.client_secret_file, file.client_secret_file, folder),
        user_claim: flags.user_claim.or(file.user_claim),
        groups_claim: flags.groups_claim.or(file.groups_claim),
        scopes: flags.scopes.or(file.scopes),
        label: flags.label.or(file.label),
        groups: flags.groups.or(file.groups),
    }
}

/// The host of an issuer that can be one.
fn host(issuer: &str) -> Result<String, String> {
    let wrong = |why: &str| format!("oidc: issuer `{}`: {why}", shown(issuer, 200));
    let url = Url::parse(issuer).map_err(|error| wrong(&format!("it is no address: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("oidc: issuer: a name or password in it would be shown".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("an issuer has no ? and no #"));
    }
    match url.host_str() {
        Some(host) if is_private(&url) => Ok(host.to_owned()),
        _ => Err(wrong("give https://, or http:// on this machine")),
    }
}

fn text(what: &str, text: String) -> Result<String, String> {
    if text.is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("oidc: {what}: give 1 to {TEXT_BYTES_MAX} bytes of text"));
    }
    Ok(text)
}

fn label(label: String) -> Result<String, String> {
    let count = label.trim().chars().count();
    if count == 0 || count > LABEL_CHARS_MAX || label.chars().any(steers) {
        return Err(format!("oidc: label: give 1 to {LABEL_CHARS_MAX} visible characters"));
    }
    Ok(label)
}

/// RFC 6749, section 3.3.
fn scope(scope: String) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if scope.is_empty() || scope.len() > TEXT_BYTES_MAX || !scope.bytes().all(plain) {
        return Err(format!("oidc: scopes: `{}` is none", shown(&scope, 40)));
    }
    Ok(scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "issuer: https://id.example.org/realm\nclient_id: quorate\n";

    fn read_with(text: &str, secret: Option<&str>) -> Result<Option<Declared>, String> {
        let file = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let variable = |name: &str| (name == SECRET.variable).then(|| secret.map(str::to_owned)).flatten();
        resolve(Settings::default(), file, Path::new("/none"), &variable)
    }

    fn read(text: &str) -> Result<Option<Declared>, String> {
        read_with(text, None)
    }

    #[test]
    fn nothing_set_is_no_provider_and_little_is_needed() {
        assert_eq!(read("{}"), Ok(None));
        let declared = read(WHOLE).unwrap().unwrap();
        assert_eq!(declared.issuer, "https://id.example.org/realm");
        assert_eq!(
            (declared.user_claim.as_str(), declared.groups_claim.as_str()),
            ("preferred_username", "groups")
        );
        assert_eq!((declared.label.as_str(), declared.client_secret), ("id.example.org", None));
        assert_eq!(
            (declared.groups, declared.scopes),
            (None, vec!["profile".to_owned(), "email".to_owned()])
        );
    }

    #[test]
    fn a_value_means_one_group_or_several() {
        let declared =
            read(&format!("{WHOLE}groups: {{ops: admin, /team/dba: [dba, sre]}}\n")).unwrap().unwrap();
        let groups = declared.groups.unwrap();
        let names = |value: &str| groups[value].iter().map(GroupName::as_str).collect::<Vec<_>>();
        assert_eq!((names("ops"), names("/team/dba")), (vec!["admin"], vec!["dba", "sre"]));
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let flags = Settings { client_id: Some("other".to_owned()), ..Settings::default() };
        let file = serde_saphyr::from_str(WHOLE).unwrap();
        let declared = resolve(flags, file, Path::new(""), &|_| None).unwrap().unwrap();
        assert_eq!((declared.client_id.as_str(), declared.label.as_str()), ("other", "id.example.org"));
    }

    #[test]
    fn a_secret_comes_from_a_file_or_the_environment_and_does_not_print() {
        let declared = read_with(WHOLE, Some("hunter2\n")).unwrap().unwrap();
        assert_eq!(declared.client_secret.as_ref().unwrap().expose(), "hunter2");
        assert!(!format!("{declared:?}").contains("hunter2"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter3\n").unwrap();
        let named = format!("{WHOLE}client_secret_file: {}\n", file.path().display());
        assert_eq!(read(&named).unwrap().unwrap().client_secret.unwrap().expose(), "hunter3");
        assert!(read_with(&named, Some("hunter2")).unwrap_err().contains("once"));
        std::fs::write(file.path(), "\n").unwrap();
        assert!(read(&named).unwrap_err().contains("no line"));
        assert!(read(&format!("{WHOLE}client_secret_file: none\n")).unwrap_err().contains("/none/none"));
        assert!(read(&format!("{WHOLE}client_secret: hunter2\n")).unwrap_err().contains("client_secret"));
    }

    #[test]
    fn half_of_it_is_refused_with_what_is_missing() {
        assert!(read("issuer: https://id.example.org\n").unwrap_err().contains("--oidc-client-id"));
        assert!(read("client_id: quorate\n").unwrap_err().contains("--oidc-issuer"));
        assert!(read("groups: {a: b}\n").unwrap_err().contains("--oidc-issuer"));
        assert!(read_with("{}", Some("hunter2")).unwrap_err().contains("--oidc-issuer"));
    }

    #[test]
    fn what_is_not_right_is_refused_with_what_would_be() {
        let issuer = |url: &str| read(&format!("issuer: '{url}'\nclient_id: q\n"));
        for bad in ["http://id.example.org", "http://10.0.0.1", "ftp://id.example.org", "file:///etc"] {
            assert!(issuer(bad).unwrap_err().contains("https://"), "{bad}");
        }
        for good in ["http://localhost:8080", "http://127.0.0.1:1/x", "http://[::1]:1", "https://10.0.0.1"] {
            assert!(issuer(good).is_ok(), "{good}");
        }
        assert!(issuer("id.example.org").unwrap_err().contains("no address"));
        assert!(issuer("https://id.example.org?x").unwrap_err().contains("no ?"));
        let why = issuer("https://ann:secret@id.example.org").unwrap_err();
        assert!(why.contains("would be shown") && !why.contains("secret"), "{why}");
        for (line, says) in [
            ("client_idd: x", "client_idd"),
            ("groups: {a: not a name}", "not a name"),
            ("groups: {a: [b, '']}", "group"),
            ("label: ' '", "visible"),
            ("label: \"a\\u202eb\"", "visible"),
            ("user_claim: ''", "user_claim"),
            ("scopes: ['a b']", "scopes"),
        ] {
            let why = read(&format!("{WHOLE}{line}\n")).unwrap_err();
            assert!(why.contains(says), "{line}: {why}");
        }
    }
}
