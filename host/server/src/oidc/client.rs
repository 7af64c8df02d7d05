//! What the gateway is to the provider, and which of its tokens is believed.

use chrono::DateTime;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AuthType, ClaimsVerificationError, ClientId, ClientSecret, EmptyExtraTokenFields,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenFields, Nonce, RedirectUrl, StandardErrorResponse,
    StandardTokenResponse, url,
};
use quorate_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::settings::Declared;
use crate::agent::Secret;

/// Signatures that are believed. None that the client's secret could make: whoever reads that
/// would be everybody.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Claims that the specification does not name.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Others {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for Others {}

type Fields = IdTokenFields<
    Others,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// An ID token of the provider.
pub(super) type IdToken = openidconnect::IdToken<
    Others,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// What the provider says of somebody whose access token it gets.
pub(super) type UserInfo = openidconnect::UserInfoClaims<Others, CoreGenderClaim>;

/// The gateway, as a client of the provider.
pub(super) type Client = openidconnect::Client<
    Others,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The gateway as a client of this provider, which answers at `callback`.
pub(super) fn client(
    declared: &Declared,
    metadata: &CoreProviderMetadata,
    callback: &str,
) -> Result<Client, url::ParseError> {
    let secret = declared.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
    let id = ClientId::new(declared.client_id.clone());
    let client = Client::from_provider_metadata(metadata.clone(), id, secret);
    // Basic is what every provider takes, unless it says otherwise.
    let only_in_body = metadata.token_endpoint_auth_methods_supported().is_some_and(|methods| {
        !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
            && methods.contains(&CoreClientAuthMethod::ClientSecretPost)
    });
    let auth = if only_in_body { AuthType::RequestBody } else { AuthType::BasicAuth };
    Ok(client.set_auth_type(auth).set_redirect_uri(RedirectUrl::new(callback.to_owned())?))
}

/// The subject and the claims of a token that the provider made, for this gateway and this try,
/// and that has not run out.
pub(super) fn believed(
    client: &Client,
    token: &IdToken,
    nonce: &Secret,
    now: Timestamp,
) -> Result<(String, Value), ClaimsVerificationError> {
    let now = DateTime::from_timestamp_millis(now.as_millisecond()).unwrap_or(DateTime::UNIX_EPOCH);
    let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS).set_time_fn(move || now);
    let claims = token.claims(&verifier, &Nonce::new(nonce.expose().to_owned()))?;
    let value = serde_json::to_value(claims);
    let value = value.map_err(|error| ClaimsVerificationError::Other(error.to_string()))?;
    Ok((claims.subject().to_string(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreHmacKey, CoreJsonWebKeySet};
    use openidconnect::{
        Audience, IdTokenClaims, IssuerUrl, PrivateSigningKey, SignatureVerificationError, StandardClaims,
        SubjectIdentifier,
    };
    use serde_json::json;

    const ISSUER: &str = "https://id.example.org";
    /// Keys of nobody.
    const KEYS: [&str; 2] = [
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINd9g2oe+DxXqOH4Zo8QffuisryHuJDIg1KxxUrdjHtO\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n",
    ];

    fn key(number: usize) -> CoreEdDsaPrivateSigningKey {
        CoreEdDsaPrivateSigningKey::from_ed25519_pem(KEYS[number], None).unwrap()
    }

    /// A client of a provider that signs with the first key.
    fn gateway(secret: &str, methods: &[&str]) -> Client {
        let declared = Declared { client_secret: Some(Secret::new(secret)), ..declared() };
        let metadata: CoreProviderMetadata = serde_json::from_value(json!({
            "issuer": ISSUER, "authorization_endpoint": "https://id.example.org/a",
            "token_endpoint": "https://id.example.org/t", "jwks_uri": "https://id.example.org/k",
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
            "token_endpoint_auth_methods_supported": methods,
        }))
        .unwrap();
        let metadata = metadata.set_jwks(CoreJsonWebKeySet::new(vec![key(0).as_verification_key()]));
        client(&declared, &metadata, "http://127.0.0.1/x").unwrap()
    }

    fn declared() -> Declared {
        let text = format!("issuer: {ISSUER}\nclient_id: quorate\n");
        let (none, file) = (super::super::Settings::default(), serde_saphyr::from_str(&text).unwrap());
        super::super::resolve(none, file, std::path::Path::new(""), &|_| None).unwrap().unwrap()
    }

    /// A token about zoe that is good until the second 100, but for what is given.
    fn token<K>(
        issuer: &str,
        audiences: &[&str],
        nonce: &str,
        key: &K,
        algorithm: CoreJwsSigningAlgorithm,
    ) -> IdToken
    where
        K: PrivateSigningKey<VerificationKey = CoreJsonWebKey>,
    {
        let at = |seconds: i64| DateTime::from_timestamp_millis(seconds * 1000).unwrap();
        let claims = IdTokenClaims::new(
            IssuerUrl::new(issuer.to_owned()).unwrap(),
            audiences.iter().map(|one| Audience::new((*one).to_owned())).collect(),
            at(100),
            at(0),
            StandardClaims::new(SubjectIdentifier::new("z1".to_owned())),
            Others { all: Map::from_iter([("groups".to_owned(), json!(["dba"]))]) },
        );
        let claims = claims.set_nonce(Some(Nonce::new(nonce.to_owned())));
        IdToken::new(claims, key, algorithm, None, None).unwrap()
    }

    fn look(token: &IdToken, seconds: i64) -> Result<(String, Value), ClaimsVerificationError> {
        let now = Timestamp::from_second(seconds).unwrap();
        believed(&gateway("hunter2", &[]), token, &Secret::new("n"), now)
    }

    #[test]
    fn a_token_for_us_and_this_try_is_believed_until_it_runs_out() {
        let good = token(ISSUER, &["quorate"], "n", &key(0), CoreJwsSigningAlgorithm::EdDsa);
        let (subject, claims) = look(&good, 99).unwrap();
        assert_eq!((subject.as_str(), &claims["groups"]), ("z1", &json!(["dba"])));
        assert!(matches!(look(&good, 100), Err(ClaimsVerificationError::Expired(_))));
    }

    #[test]
    fn a_token_for_others_or_of_others_is_not_believed() {
        use ClaimsVerificationError as Error;
        let eddsa = CoreJwsSigningAlgorithm::EdDsa;
        let ours = |audiences: &[&str]| token(ISSUER, audiences, "n", &key(0), eddsa.clone());
        assert!(matches!(look(&ours(&["other"]), 0), Err(Error::InvalidAudience(_))));
        assert!(matches!(look(&ours(&["quorate", "other"]), 0), Err(Error::InvalidAudience(_))));
        let elsewhere = token("https://evil.example.org", &["quorate"], "n", &key(0), eddsa.clone());
        assert!(matches!(look(&elsewhere, 0), Err(Error::InvalidIssuer(_))));
        let replayed = token(ISSUER, &["quorate"], "m", &key(0), eddsa.clone());
        assert!(matches!(look(&replayed, 0), Err(Error::InvalidNonce(_))));
        let forged = token(ISSUER, &["quorate"], "n", &key(1), eddsa);
        assert!(matches!(look(&forged, 0), Err(Error::SignatureVerification(_))));
    }

    #[test]
    fn what_the_clients_secret_signs_is_not_believed() {
        let key = CoreHmacKey::new("hunter2");
        let token = token(ISSUER, &["quorate"], "n", &key, CoreJwsSigningAlgorithm::HmacSha256);
        let Err(ClaimsVerificationError::SignatureVerification(why)) = look(&token, 0) else { panic!() };
        assert!(matches!(why, SignatureVerificationError::DisallowedAlg(_)), "{why}");
    }

    #[test]
    fn the_secret_goes_into_a_header_unless_the_provider_only_takes_it_in_the_body() {
        let auth = |methods: &[&str]| matches!(gateway("x", methods).auth_type(), AuthType::BasicAuth);
        assert!(auth(&["client_secret_post", "client_secret_basic"]) && auth(&[]));
        assert!(!auth(&["client_secret_post", "private_key_jwt"]));
    }
}
