//! Asking other machines over HTTP: a client that follows no redirect, answers that are bounded
//! in size, and errors that hold no address, which may be a secret.
//!
//! Not here: whom to ask, and how long; callers bound the time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::Uri;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, Response, Url};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// In words, without the address.
    pub why: String,
    /// It could not be reached, or did not answer in time.
    pub hung: bool,
}

/// A client; `tls` where it meets somebody who has to show a certificate.
pub fn client(tls: bool) -> Result<Client, String> {
    built(builder(tls))
}

/// A client for addresses that the operator did not write into the gateway's settings: it reaches
/// only the public internet, whatever a name says at the time, unless `own_network`.
pub fn public_client(tls: bool, own_network: bool) -> Result<Client, String> {
    if own_network {
        return client(tls);
    }
    // A proxy would find out by itself what a name stands for.
    built(builder(tls).no_proxy().dns_resolver(PublicOnly))
}

fn builder(tls: bool) -> ClientBuilder {
    let builder = Client::builder()
        // A redirect would carry headers to somebody else.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")));
    // The machine's certificates are only read where somebody needs them.
    let none = std::iter::empty::<Certificate>();
    if tls { builder } else { builder.tls_certs_only(none) }
}

fn built(builder: ClientBuilder) -> Result<Client, String> {
    builder.build().map_err(|error| format!("no HTTPS: {error}"))
}

/// Says where names are, but not those within the gateway's own network.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|one| is_public(one.ip())).collect();
            if public.is_empty() {
                return Err(OWN_NETWORK.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Why an address is not asked.
const OWN_NETWORK: &str =
    "it is in the gateway's own network, where messages only go with --notify-own-network";

/// The longest address.
const ADDRESS_BYTES_MAX: usize = 2000;
/// The longest name of a host (RFC 1035, section 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// An address that something can be sent to: `http` or `https`, with a host and without a user.
pub fn address(text: &str) -> Result<Url, &'static str> {
    let none = "it is no address such as https://hooks.example.org/quorate";
    let text = text.trim();
    if text.len() > ADDRESS_BYTES_MAX {
        return Err("it is longer than 2000 bytes");
    }
    let url = Url::parse(text).map_err(|_| none)?;
    let begins =
        |scheme: &str| text.get(..scheme.len()).is_some_and(|first| first.eq_ignore_ascii_case(scheme));
    let host = url.host_str().unwrap_or_default();
    if !(begins("https://") || begins("http://")) || host.is_empty() || text.contains(":///") {
        return Err("it has to begin with https:// or http:// and name a host");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace())
        || host.len() > HOST_BYTES_MAX
        || url.port() == Some(0)
        || url.as_str().parse::<Uri>().is_err()
    {
        return Err(none);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("user and password do not belong into an address");
    }
    Ok(url)
}

/// Refuses an address that names a machine in the gateway's own network by its number, unless
/// `own_network`. What a name stands for is looked at when it is asked ([`public_client`]).
pub fn allowed(url: &Url, own_network: bool) -> Result<(), &'static str> {
    let is_own = || literal(url).is_some_and(|ip| !is_public(ip));
    if !own_network && is_own() { Err(OWN_NETWORK) } else { Ok(()) }
}

/// The address that `url` names by its number, if it does.
fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// Whether an address is on the public internet, and not in somebody's own network: see the
/// special-purpose registries of [RFC 6890](https://www.rfc-editor.org/rfc/rfc6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match (address.to_ipv4_mapped(), embedded(address)) {
            (Some(inner), _) | (None, Some(inner)) => is_public_v4(inner),
            (None, None) => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // All that is given out to anybody is in 2000::/3.
    let [first, second, ..] = address.segments();
    first & 0xe000 == 0x2000 && (first, second) != (0x2001, 0xdb8)
}

/// The IPv4 address in one of NAT64 or 6to4, which leads there.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// The body of an answer, of at most so many bytes.
pub async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, Unanswered> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unanswered(&error))? {
        if bytes.len() + chunk.len() > bytes_max {
            return Err(Unanswered { why: too_large(bytes_max), hung: false });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// That an answer is larger than it may be.
pub fn too_large(bytes_max: usize) -> String {
    format!("its answer is larger than {} KiB", bytes_max >> 10)
}

/// What went wrong on the way.
pub fn unanswered(error: &reqwest::Error) -> Unanswered {
    let mut why = if error.is_connect() { "it cannot be reached" } else { "it does not answer" }.to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        cause = inner.source();
        if cause.is_none() {
            why = format!("{why}: {inner}");
        }
    }
    Unanswered { why, hung: error.is_connect() || error.is_timeout() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for public in ["93.184.215.14", "2606:2800:21f:cb07::1", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for own in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "198.18.0.1",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(own.parse().unwrap()), "{own}");
        }
    }

    #[test]
    fn an_address_names_a_host_and_no_user() {
        assert_eq!(
            address(" https://hooks.example.org/a?b=c ").unwrap().host_str(),
            Some("hooks.example.org")
        );
        for bad in [
            "",
            "hooks.example.org",
            "ftp://x/",
            "file:///etc/passwd",
            "https://ann:pw@x/",
            "http://",
            "http:///x",
            "http://x:0/",
            "http://x/a\nb",
            "http:x",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(address(&format!("https://x.org/{}", "x".repeat(2000))).is_err());
        assert!(address(&format!("https://{}.org/", "x".repeat(300))).is_err());
        // However it is written, it is the address that it is.
        for own in ["http://127.1/", "http://0x7f000001/", "http://2130706433", "http://[::1]:80/"] {
            assert!(!is_public(literal(&address(own).unwrap()).unwrap()), "{own}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_into_the_own_network_is_not_followed() {
        // A program does this when it starts; another test may have.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let client = public_client(false, false).unwrap();
        let why = unanswered(&client.get(&url).send().await.unwrap_err()).why;
        assert!(why.contains("own network"), "{why}");
    }
}
