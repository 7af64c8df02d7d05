//! Who looks at a page, and whether a form was sent from one of ours.
//!
//! A browser holds a token of its own in a cookie that no script can read. A form is only
//! taken from our own pages: browsers say where one comes from, and what does not say it is
//! refused. So no page of somebody else can act for whoever is signed in, and no second secret
//! stands in our pages.

use std::net::IpAddr;

use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use quorate_core::user::User;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::page::Refusal;
use crate::agent::Secret;
use crate::api::{Problem, peer};
use crate::app::App;
use crate::config::Config;
use crate::identity::{self, LOGIN_SECONDS};

/// The cookie with the token of whoever is signed in.
const SESSION: &str = "quorate";

/// Somebody who is signed in with a browser.
pub(super) struct Visitor {
    pub(super) user: User,
    pub(super) session: identity::SignedIn,
    /// Where they are.
    pub(super) peer: Option<IpAddr>,
}

/// Somebody who may configure the gateway.
pub(super) struct Admin(pub(super) User);

/// Somebody who may read everything: an auditor or an admin.
pub(super) struct Auditor(pub(super) User);

/// What somebody who may do so sent with a form of ours.
pub(super) struct Sent<T, V = Visitor> {
    pub(super) visitor: V,
    pub(super) form: T,
}

/// A form that is only a button.
#[derive(Deserialize)]
pub(super) struct Nothing {}

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let signed_in = match cookie(&parts.headers, &app.config, SESSION) {
            Some(token) => app.identity.authenticate(token),
            None => Err(identity::Error::UnknownToken),
        };
        match signed_in {
            Ok(session) => {
                crate::api::note_user(&parts.extensions, &session.user);
                let peer = peer(&parts.extensions, &parts.headers);
                Ok(Self { user: session.user.clone(), session, peer })
            }
            Err(error @ (identity::Error::Change(_) | identity::Error::Failed(_))) => {
                Err(Refusal::from(error).into_response())
            }
            Err(_) => Err(to_sign_in(parts)),
        }
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let Visitor { user, .. } = Visitor::from_request_parts(parts, app).await?;
        if user.is_admin() { Ok(Self(user)) } else { Err(refusal("this takes an admin")) }
    }
}

impl FromRequestParts<App> for Auditor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let Visitor { user, .. } = Visitor::from_request_parts(parts, app).await?;
        if user.is_auditor() { Ok(Self(user)) } else { Err(refusal("this takes an auditor or an admin")) }
    }
}

fn refusal(why: &str) -> Response {
    Refusal(Problem::forbidden(why)).into_response()
}

impl<T: DeserializeOwned, V: FromRequestParts<App, Rejection = Response> + Send> FromRequest<App>
    for Sent<T, V>
{
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        is_ours(request.headers()).map_err(|problem| Refusal(problem).into_response())?;
        let (mut parts, body) = request.into_parts();
        let visitor = V::from_request_parts(&mut parts, app).await?;
        let form = form(Request::from_parts(parts, body), app).await?;
        Ok(Self { visitor, form })
    }
}

/// What a form of ours holds.
pub(super) async fn form<T: DeserializeOwned>(request: Request, app: &App) -> Result<T, Response> {
    match Form::from_request(request, app).await {
        Ok(Form(form)) => Ok(form),
        Err(why) if why.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let why = "the form is larger than it may be";
            Err(Refusal(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", why)).into_response())
        }
        Err(why) => Err(Refusal(Problem::bad_request(why.body_text())).into_response()),
    }
}

/// Refuses what a page of somebody else sends.
///
/// `Sec-Fetch-Site` says it in all browsers since 2023 (W3C Fetch Metadata); what older ones
/// say is `Origin` (RFC 6454), which has to be the host that they talk to.
pub(super) fn is_ours(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let ours = match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), ..) => matches!(site, "same-origin" | "none"),
        (None, Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host))
        }
        _ => false,
    };
    if ours {
        Ok(())
    } else {
        Err(Problem::forbidden(
            "this was not sent from a page of this gateway; open the page and send it from there",
        ))
    }
}

/// Where to go in order to sign in, and back.
fn to_sign_in(parts: &Parts) -> Response {
    let back = if parts.method == Method::GET { address(&parts.uri) } else { "/" };
    let place = format!("/sign-in?next={}", encoded(back));
    // A script follows a redirection by itself, and would put the form into the page.
    if parts.headers.contains_key("hx-request") {
        return (StatusCode::UNAUTHORIZED, [("hx-redirect", place)]).into_response();
    }
    Redirect::to(&place).into_response()
}

fn address(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str)
}

/// `text` as a value in an address (RFC 3986).
pub(super) fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    let each =
        text.bytes().map(|byte| if plain(&byte) { char::from(byte).into() } else { format!("%{byte:02X}") });
    each.collect()
}

/// A cookie's whole name. With this prefix browsers keep it to one host and to TLS (RFC 6265bis).
fn whole(config: &Config, name: &str) -> String {
    if is_secure(config) { format!("__Host-{name}") } else { name.to_owned() }
}

fn is_secure(config: &Config) -> bool {
    config.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
}

/// Signs the browser in with a token that was issued for it, and sends it on.
pub(super) fn signed_in(config: &Config, token: &Secret, to: &str) -> Response {
    let kept = keep(config, SESSION, token, LOGIN_SECONDS);
    (kept.map(|kept| [(header::SET_COOKIE, kept)]), Redirect::to(to)).into_response()
}

/// Has the browser forget it.
pub(super) fn forget_session(config: &Config) -> Option<HeaderValue> {
    forget(config, SESSION)
}

/// Has the browser keep `text` under a name for so many seconds, where no script can read it.
pub(super) fn keep(config: &Config, name: &str, text: &Secret, seconds: u64) -> Option<HeaderValue> {
    let secure = if is_secure(config) { "; Secure" } else { "" };
    let (name, text) = (whole(config, name), text.expose());
    // `Lax`: a link in a message leads to the page, and not to another sign-in.
    let cookie = format!("{name}={text}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::from_str(&cookie).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Has the browser forget what it kept under a name.
pub(super) fn forget(config: &Config, name: &str) -> Option<HeaderValue> {
    keep(config, name, &Secret::new(""), 0)
}

/// What the browser kept under a name.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, config: &Config, name: &str) -> Option<&'a str> {
    let name = whole(config, name);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_what_our_own_pages_send_is_taken() {
        for ours in [
            &[("sec-fetch-site", "same-origin")][..],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://gate.example:8443"), ("host", "gate.example:8443")],
        ] {
            assert!(is_ours(&headers(ours)).is_ok(), "{ours:?}");
        }
        for other in [
            &[][..],
            &[("host", "gate.example")],
            &[("sec-fetch-site", "cross-site"), ("origin", "http://gate.example"), ("host", "gate.example")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "null"), ("host", "gate.example")],
            &[("origin", "https://evil.example"), ("host", "gate.example")],
            &[("origin", "https://gate.example.evil.example"), ("host", "gate.example")],
        ] {
            assert!(is_ours(&headers(other)).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others_and_by_its_whole_name() {
        let headers = headers(&[("cookie", "xquorate=1; quorate=qrt_a; other=2")]);
        let config = Config::default();
        assert_eq!(cookie(&headers, &config, "quorate"), Some("qrt_a"));
        assert_eq!(cookie(&headers, &config, "rate"), None);
    }

    #[test]
    fn an_address_is_encoded_whole() {
        assert_eq!(encoded("/requests?a=ä&b=1"), "/requests%3Fa%3D%C3%A4%26b%3D1");
    }
}
