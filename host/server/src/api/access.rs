//! Who may use a route: every handler names one of these as its first argument,
//! and a test walks all routes to see that none forgot.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use quorate_core::user::User;

use super::body::Caller;
use super::problem::Problem;
use crate::app::App;
use crate::identity;
use crate::telemetry::Line;

/// Anybody, with or without a token.
pub(super) struct Anonymous {
    pub(super) peer: Option<IpAddr>,
}

/// Anybody with a token.
pub(super) struct SignedIn {
    pub(super) user: User,
    pub(super) session: identity::SignedIn,
    pub(super) peer: Option<IpAddr>,
}

/// Somebody who may configure the gateway.
pub(super) struct Admin(pub(super) User);

/// Somebody who may read everything: an auditor or an admin.
pub(super) struct Auditor(pub(super) User);

/// Whoever may read the metrics: an auditor, or everybody where it is set so.
pub(super) struct MetricsReader;

impl FromRequestParts<App> for MetricsReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if !app.config.metrics_public {
            Auditor::from_request_parts(parts, app).await?;
        }
        Ok(Self)
    }
}

impl FromRequestParts<App> for Anonymous {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        Ok(Self { peer: peer(&parts.extensions, &parts.headers) })
    }
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)?;
        let session = app.identity.authenticate(token)?;
        let user = session.user.clone();
        parts.extensions.insert(Caller(user.id.clone()));
        note_user(&parts.extensions, &user);
        Ok(Self { user, session, peer: peer(&parts.extensions, &parts.headers) })
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let SignedIn { user, .. } = SignedIn::from_request_parts(parts, app).await?;
        if user.is_admin() { Ok(Self(user)) } else { Err(Problem::forbidden("this takes an admin")) }
    }
}

impl FromRequestParts<App> for Auditor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let SignedIn { user, .. } = SignedIn::from_request_parts(parts, app).await?;
        if user.is_auditor() {
            Ok(Self(user))
        } else {
            Err(Problem::forbidden("this takes an auditor or an admin"))
        }
    }
}

/// Has the log say whose request this was.
pub(crate) fn note_user(extensions: &Extensions, user: &User) {
    if let Some(line) = extensions.get::<Arc<Line>>() {
        line.set_user(&user.id);
    }
}

/// The token that a request carries.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || Problem::unauthenticated("give a token: `Authorization: Bearer qrt_…`");
    let header = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let (scheme, token) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(missing()) }
}

/// The address of whoever is at the other end. A proxy on this machine says for
/// whom it speaks, in the last place of `X-Forwarded-For`; nobody else is believed.
pub(crate) fn peer(extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
    let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    let direct = address.ip().to_canonical();
    if !direct.is_loopback() {
        return Some(direct);
    }
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
    let last = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    Some(last.unwrap_or(direct))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer_of(direct: &str, forwarded: &str) -> IpAddr {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo::<SocketAddr>(direct.parse().unwrap()));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        peer(&extensions, &headers).unwrap()
    }

    #[test]
    fn only_a_proxy_on_this_machine_speaks_for_others() {
        assert_eq!(peer_of("127.0.0.1:1", "1.1.1.1, 10.0.0.7"), IpAddr::from([10, 0, 0, 7]));
        assert_eq!(peer_of("127.0.0.1:1", "nonsense"), IpAddr::from([127, 0, 0, 1]));
        assert_eq!(peer_of("10.0.0.9:1", "1.1.1.1"), IpAddr::from([10, 0, 0, 9]));
    }
}
