//! Signed components: who vouches for one, and whether the gateway asks for that.
//!
//! A signature is a custom section `quorate:signature` behind everything else: the key's
//! id (the SHA-256 of the public key) and an Ed25519 signature (RFC 8032). What is signed
//! is a fixed prefix and the SHA-256 of all bytes before the first such section, so one
//! file carries component and signatures, and several people can sign it. Keys are PEM
//! files in the common forms: PKCS #8 for the private one (RFC 8410), a
//! `SubjectPublicKeyInfo` for the public one.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use sha2::{Digest as _, Sha256};

/// What every signed message begins with, so that the signature is good for nothing else.
const PURPOSE: &[u8] = b"quorate policy component, signature 1\0";
/// A section's id, its size, the size of its name, and its name: all of them fixed.
const SECTION_HEAD: &[u8; 20] = b"\x00\x72\x11quorate:signature";
const KEY_ID_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
const SECTION_BYTES: usize = SECTION_HEAD.len() + KEY_ID_BYTES + SIGNATURE_BYTES;
/// Signatures that one component may carry.
const SIGNATURES_MAX: usize = 16;
/// What stands before the 32 bytes of a public key in its DER form (RFC 8410).
const PUBLIC_HEAD: &[u8; 12] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// What stands before the 32 bytes of a private key in its DER form (RFC 8410).
const PRIVATE_HEAD: &[u8; 16] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// Names a key: the SHA-256 of the public key's 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; KEY_ID_BYTES]);

impl fmt::Display for KeyId {
    /// The first 16 hexadecimal digits: enough to tell one's own keys apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a file has no key.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    /// It is something else.
    #[error("it is no PEM file with {0}")]
    NotPem(&'static str),
    /// It is a key of another kind.
    #[error("its key is not an Ed25519 key")]
    NotEd25519,
}

/// What signs.
pub struct PrivateKey(Ed25519KeyPair);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public().id())
    }
}

impl PrivateKey {
    /// Reads a PEM file `PRIVATE KEY`.
    ///
    /// # Errors
    /// Where there is none in it.
    pub fn parse(pem: &[u8]) -> Result<Self, BadKey> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| BadKey::NotPem("a private key"))?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        pair.map(Self).map_err(|_| BadKey::NotEd25519)
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }
}

/// The PEM file of the private key that these 32 random bytes are.
pub fn private_pem(seed: &[u8; 32]) -> String {
    pem("PRIVATE KEY", PRIVATE_HEAD, seed)
}

/// What verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads all keys of a PEM file with one or several `PUBLIC KEY`.
    ///
    /// # Errors
    /// Where there is none in it, or one of another kind.
    pub fn parse_all(pem: &[u8]) -> Result<Vec<Self>, BadKey> {
        let keys = SubjectPublicKeyInfoDer::pem_slice_iter(pem)
            .map(|der| Self::of(der.map_err(|_| BadKey::NotPem("public keys"))?.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(BadKey::NotPem("public keys")) } else { Ok(keys) }
    }

    fn of(der: &[u8]) -> Result<Self, BadKey> {
        let key = der.strip_prefix(PUBLIC_HEAD).and_then(|key| key.try_into().ok());
        key.map(Self).ok_or(BadKey::NotEd25519)
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        KeyId(Sha256::digest(self.0).into())
    }

    /// Its PEM file.
    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", PUBLIC_HEAD, &self.0)
    }
}

fn pem(label: &str, head: &[u8], key: &[u8; 32]) -> String {
    let text = BASE64_STANDARD.encode([head, key.as_slice()].concat());
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// Why a component is not vouched for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// Nobody signed it.
    #[error("it is not signed")]
    Missing,
    /// Others did.
    #[error("it is signed by no key that counts here, only by {}", ids(.0))]
    Untrusted(Vec<KeyId>),
    /// A key that counts is named, but what it signed is something else.
    #[error("its signature by {0} is not of this component")]
    Wrong(KeyId),
    /// More signatures than anybody needs.
    #[error("it carries more than {SIGNATURES_MAX} signatures")]
    TooMany,
}

fn ids(keys: &[KeyId]) -> String {
    keys.iter().map(KeyId::to_string).collect::<Vec<_>>().join(", ")
}

/// One signature as the component carries it; not verified.
struct Signature<'a> {
    key: KeyId,
    bytes: &'a [u8],
}

/// `component` without its signatures, and those, first one first.
fn split(component: &[u8]) -> (&[u8], Vec<Signature<'_>>) {
    let (mut signed, mut signatures) = (component, Vec::new());
    while let Some((before, section)) = last_section(signed)
        && let Some((key, bytes)) = section.split_first_chunk::<KEY_ID_BYTES>()
    {
        signed = before;
        signatures.push(Signature { key: KeyId(*key), bytes });
    }
    signatures.reverse();
    (signed, signatures)
}

/// The content of the signature at the end, and what is before it. All sections of
/// signatures have one size and one beginning, so none has to be looked for: what is
/// before was signed as it is and is a component of its own, or no signature fits it.
fn last_section(component: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, section) = component.split_at_checked(component.len().checked_sub(SECTION_BYTES)?)?;
    Some((before, section.strip_prefix(SECTION_HEAD)?))
}

fn message(signed: &[u8]) -> Vec<u8> {
    [PURPOSE, Sha256::digest(signed).as_slice()].concat()
}

/// The keys by which `component` says it is signed; not verified.
pub fn claimed(component: &[u8]) -> Vec<KeyId> {
    split(component).1.iter().map(|signature| signature.key).collect()
}

/// `component` with a signature by `key`. An earlier one by the same key is replaced, those
/// of others stay.
///
/// # Errors
/// Where it carries as many as it may.
pub fn sign(component: &[u8], key: &PrivateKey) -> Result<Vec<u8>, BadSignature> {
    let (signed, signatures) = split(component);
    let id = key.public().id();
    let others: Vec<_> = signatures.iter().filter(|signature| signature.key != id).collect();
    if others.len() >= SIGNATURES_MAX {
        return Err(BadSignature::TooMany);
    }
    let mut result = signed.to_vec();
    let own = key.0.sign(&message(signed));
    let own = Signature { key: id, bytes: own.as_ref() };
    for signature in others.into_iter().chain([&own]) {
        result.extend_from_slice(SECTION_HEAD);
        result.extend_from_slice(&signature.key.0);
        result.extend_from_slice(signature.bytes);
    }
    Ok(result)
}

/// Those of `keys` by which `component` is signed: at least one.
///
/// # Errors
/// Where none of them vouches for it, or where one is named that did not.
pub fn verify(component: &[u8], keys: &[PublicKey]) -> Result<Vec<KeyId>, BadSignature> {
    let (signed, signatures) = split(component);
    if signatures.is_empty() {
        return Err(BadSignature::Missing);
    }
    if signatures.len() > SIGNATURES_MAX {
        return Err(BadSignature::TooMany);
    }
    let message = message(signed);
    let mut by = Vec::new();
    for signature in &signatures {
        let Some(key) = keys.iter().find(|key| key.id() == signature.key) else { continue };
        UnparsedPublicKey::new(&ED25519, key.0)
            .verify(&message, signature.bytes)
            .map_err(|_| BadSignature::Wrong(signature.key))?;
        by.push(signature.key);
    }
    if by.is_empty() {
        return Err(BadSignature::Untrusted(signatures.iter().map(|signature| signature.key).collect()));
    }
    Ok(by)
}
