//! Signing in with an `OpenID` Connect provider: the authorization code flow, with PKCE, state and
//! nonce.
//!
//! The provider is asked when somebody needs it, and what it says of itself is kept for a while:
//! one that cannot be reached does not keep the gateway from starting.
//!
//! Not here: who may come in and as whom (the core and the lifecycle), and pages (the web app's).

mod attempt;
mod claims;
mod client;
mod http;
mod settings;

use std::sync::Arc;

use openidconnect::core::{CoreAuthenticationFlow, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClaimsVerificationError, CsrfToken, DiscoveryError, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RequestTokenError, Scope,
    SignatureVerificationError, SubjectIdentifier, TokenResponse as _, UserInfoError,
};
use quorate_core::Timestamp;
use quorate_core::request::after;
use quorate_core::text::shown;
use quorate_core::user::Vouched;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use self::attempt::Attempts;
pub use self::attempt::{Attempt, Ended, SECONDS};
use self::client::{Client, UserInfo, believed};
use self::http::{Http, NoAnswer};
use self::settings::is_private;
pub use self::settings::{Declared, Groups, Settings, resolve};
use crate::agent::Secret;
use crate::clock::Clock;
use crate::random::NoRandomness;

/// How long is kept what the provider says of itself, in seconds.
const KEPT_SECONDS: u64 = 600;
/// For so many seconds a provider that failed is not asked again.
const REST_SECONDS: u64 = 5;

/// The provider that people can sign in with.
pub struct Provider {
    declared: Declared,
    callback: String,
    clock: Clock,
    http: Http,
    attempts: Attempts,
    /// Held while it is asked: who comes meanwhile waits for the same answer.
    known: Mutex<Option<Known>>,
}

/// What the provider said of itself, and when, or why it did not.
struct Known {
    at: Timestamp,
    said: Result<Arc<CoreProviderMetadata>, String>,
}

/// What the provider has the browser say.
#[derive(Debug, Default, Deserialize)]
pub struct Answer {
    /// With which it says who somebody is.
    code: Option<String>,
    /// Which try it answers.
    #[serde(default)]
    state: String,
    /// Why it does not.
    error: Option<String>,
    /// Who says so (RFC 9207).
    iss: Option<String>,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The try does not go on.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// The provider said no, or whoever was asked there.
    #[error("{provider} did not let you through")]
    Denied {
        /// Which.
        provider: String,
    },
    /// The provider could not.
    #[error("{provider} could not sign you in ({code}); begin again, and tell an admin if it stays so")]
    Refused {
        /// Which.
        provider: String,
        /// What it says why, for programs.
        code: String,
    },
    /// It does not answer.
    #[error("{provider} cannot be reached now; try again in a moment")]
    Unreachable {
        /// Which.
        provider: String,
        /// For the log.
        why: String,
    },
    /// What it says is not to be believed.
    #[error("what {provider} says cannot be relied on; begin again, and tell an admin if it stays so")]
    Untrusted {
        /// Which.
        provider: String,
        /// For the log.
        why: String,
    },
    /// The machine could not.
    #[error(transparent)]
    Failed(#[from] NoRandomness),
}

impl Error {
    /// What the log says besides; there is no secret in it.
    pub fn why(&self) -> &str {
        match self {
            Self::Unreachable { why, .. } | Self::Untrusted { why, .. } => why,
            Self::Refused { code, .. } => code,
            Self::Ended(_) | Self::Denied { .. } | Self::Failed(_) => "",
        }
    }
}

impl Provider {
    /// The provider in `declared`, which has browsers come back to `callback`.
    pub fn new(declared: Declared, callback: String, clock: Clock) -> Result<Self, NoRandomness> {
        let (attempts, known) = (Attempts::new()?, Mutex::default());
        Ok(Self { declared, callback, clock, http: Http::default(), attempts, known })
    }

    /// What it is called.
    pub fn label(&self) -> &str {
        &self.declared.label
    }

    /// Begins to sign somebody in: where to send the browser, and the cookie it keeps meanwhile.
    pub async fn begin(&self, next: &str) -> Result<(String, Secret), Error> {
        let client = self.client(&*self.metadata(None).await?)?;
        let (attempt, cookie) = self.attempts.begin(next, self.clock.now())?;
        let verifier = PkceCodeVerifier::new(attempt.verifier.expose().to_owned());
        let state = CsrfToken::new(attempt.state.expose().to_owned());
        let nonce = Nonce::new(attempt.nonce.expose().to_owned());
        let (url, ..) = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, || nonce)
            .add_scopes(self.declared.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        if !is_private(&url) {
            return Err(self.untrusted("its sign-in page is neither https nor on this machine".to_owned()));
        }
        Ok((url.into(), cookie))
    }

    /// The try that the provider answers, in the browser with this cookie. It is over then.
    pub fn end(&self, cookie: Option<&str>, answer: &Answer) -> Result<Attempt, Ended> {
        self.attempts.end(cookie, &answer.state, self.clock.now())
    }

    /// Whom the provider vouches for with its answer to this try.
    pub async fn redeem(&self, attempt: &Attempt, answer: Answer) -> Result<Vouched, Error> {
        if answer.iss.is_some_and(|issuer| issuer != self.declared.issuer) {
            return Err(self.untrusted("another provider answered".to_owned()));
        }
        let provider = self.declared.label.clone();
        let code = match (answer.code, answer.error.as_deref()) {
            (_, Some("access_denied")) => return Err(Error::Denied { provider }),
            (_, Some(code)) => return Err(Error::Refused { provider, code: shown(code, 40) }),
            (None, None) => return Err(self.untrusted("it answered without a code".to_owned())),
            (Some(code), None) => code,
        };
        let metadata = self.metadata(None).await?;
        let mut client = self.client(&metadata)?;
        let verifier = PkceCodeVerifier::new(attempt.verifier.expose().to_owned());
        let request = client.exchange_code(AuthorizationCode::new(code));
        let request = request.map_err(|error| self.untrusted(error.to_string()))?;
        let token = request.set_pkce_verifier(verifier).request_async(&self.http).await;
        let token = token.map_err(|error| self.not_redeemed(error))?;
        let id_token = token.id_token().ok_or_else(|| self.untrusted("it gave no ID token".to_owned()))?;
        let believe = |client: &Client| believed(client, id_token, &attempt.nonce, self.clock.now());
        let mut claims = believe(&client);
        if let Err(ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::NoMatchingKey,
        )) = claims
        {
            // It may have new keys since it was asked for them.
            client = self.client(&*self.metadata(Some(&metadata)).await?)?;
            claims = believe(&client);
        }
        let (subject, mut claims) = claims.map_err(|error| self.untrusted(said(&error)))?;
        if !claims::are_whole(&self.declared, &claims) && client.user_info_url().is_some() {
            let more = self.user_info(&client, token.access_token().clone(), &subject).await?;
            claims = joined(more, claims);
        }
        claims::vouched(&self.declared, &subject, &claims).map_err(|why| self.untrusted(why))
    }

    /// What else the provider says of somebody. Many put groups there, and not into the token.
    async fn user_info(
        &self,
        client: &Client,
        token: openidconnect::AccessToken,
        subject: &str,
    ) -> Result<Value, Error> {
        let request = client.user_info(token, Some(SubjectIdentifier::new(subject.to_owned())));
        let request = request.map_err(|error| self.untrusted(error.to_string()))?;
        let info: Result<UserInfo, _> = request.request_async(&self.http).await;
        let info = info.map_err(|error| match error {
            UserInfoError::Request(error) => self.unreachable(error.to_string()),
            UserInfoError::ClaimsVerification(error) => self.untrusted(said(&error)),
            UserInfoError::Response(status, ..) => self.untrusted(format!("its user info answered {status}")),
            error => self.untrusted(format!("its user info: {error}")),
        })?;
        serde_json::to_value(info).map_err(|error| self.untrusted(error.to_string()))
    }

    fn client(&self, metadata: &CoreProviderMetadata) -> Result<Client, Error> {
        let client = client::client(&self.declared, metadata, &self.callback);
        client.map_err(|error| self.untrusted(format!("the gateway's own address is none: {error}")))
    }

    /// What the provider says of itself, from what is kept where that is fresh, and is not `stale`.
    async fn metadata(
        &self,
        stale: Option<&Arc<CoreProviderMetadata>>,
    ) -> Result<Arc<CoreProviderMetadata>, Error> {
        let mut known = self.known.lock().await;
        let now = self.clock.now();
        let keep = |known: &Known| {
            let (seconds, good) = match &known.said {
                Ok(said) => (KEPT_SECONDS, stale.is_none_or(|stale| !Arc::ptr_eq(stale, said))),
                Err(_) => (REST_SECONDS, true),
            };
            good && now < after(known.at, seconds)
        };
        if !known.as_ref().is_some_and(keep) {
            let said = self.discover().await.map(Arc::new);
            *known = Some(Known { at: self.clock.now(), said });
        }
        match known.as_ref().map(|known| &known.said) {
            Some(Ok(said)) => Ok(Arc::clone(said)),
            Some(Err(why)) => Err(self.unreachable(why.clone())),
            None => Err(self.unreachable(String::new())),
        }
    }

    async fn discover(&self) -> Result<CoreProviderMetadata, String> {
        let issuer = IssuerUrl::new(self.declared.issuer.clone()).map_err(|error| error.to_string())?;
        let metadata = CoreProviderMetadata::discover_async(issuer, &self.http).await;
        metadata.map_err(|error: DiscoveryError<NoAnswer>| match error {
            DiscoveryError::Request(error) => error.to_string(),
            DiscoveryError::Response(status, ..) => format!("it answered {status} when asked what it is"),
            error => format!("what it says of itself: {error}"),
        })
    }

    /// That a code was not redeemed. What was sent is not in it, nor what came back.
    fn not_redeemed<T: openidconnect::ErrorResponse>(&self, error: RequestTokenError<NoAnswer, T>) -> Error {
        match error {
            RequestTokenError::Request(error) => self.unreachable(error.to_string()),
            RequestTokenError::ServerResponse(_) => {
                self.untrusted("it does not take its own code".to_owned())
            }
            RequestTokenError::Parse(error, _) => self.untrusted(format!("its answer to the code: {error}")),
            RequestTokenError::Other(why) => self.untrusted(format!("its answer to the code: {why}")),
        }
    }

    fn unreachable(&self, why: String) -> Error {
        Error::Unreachable { provider: self.declared.label.clone(), why }
    }

    fn untrusted(&self, why: String) -> Error {
        Error::Untrusted { provider: self.declared.label.clone(), why }
    }
}

/// Why claims are not believed.
fn said(error: &ClaimsVerificationError) -> String {
    match error {
        ClaimsVerificationError::SignatureVerification(cause) => format!("its token: {error}: {cause}"),
        error => format!("its token: {error}"),
    }
}

/// Both; where they differ, what the signed token says.
fn joined(mut info: Value, token: Value) -> Value {
    if let (Value::Object(info), Value::Object(token)) = (&mut info, token) {
        info.extend(token);
    }
    info
}
