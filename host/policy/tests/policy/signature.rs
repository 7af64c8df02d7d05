//! Signed components: what counts, what does not, and the standard key files.

use quorate_policy::signature::{
    BadKey, BadSignature, PrivateKey, PublicKey, claimed, private_pem, sign, verify,
};
use quorate_policy::{Limits, LoadError, Runtime};

use crate::world::bundled;

/// The examples of RFC 8410, sections 10.3 and 10.1: one pair of keys.
const RFC_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
const RFC_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

fn key(seed: u8) -> PrivateKey {
    PrivateKey::parse(private_pem(&[seed; 32]).as_bytes()).unwrap()
}

fn quorum() -> &'static [u8] {
    bundled("group-quorum").component
}

#[test]
fn the_key_files_are_the_standard_ones() {
    let private = PrivateKey::parse(RFC_PRIVATE.as_bytes()).unwrap();
    assert_eq!(private.public().pem(), RFC_PUBLIC);
    let both =
        PublicKey::parse_all([RFC_PUBLIC, key(1).public().pem().as_str()].concat().as_bytes()).unwrap();
    assert_eq!(both, [private.public(), key(1).public()]);
    assert!(!format!("{private:?}").contains("MC4C"));
}

#[test]
fn what_is_no_key_is_refused() {
    let x25519 = RFC_PUBLIC.replace("K2Vw", "K2Vu");
    assert!(matches!(PublicKey::parse_all(x25519.as_bytes()), Err(BadKey::NotEd25519)));
    for none in ["", "hello", RFC_PRIVATE, "-----BEGIN PUBLIC KEY-----\n"] {
        assert!(matches!(PublicKey::parse_all(none.as_bytes()), Err(BadKey::NotPem(_))), "{none}");
    }
    assert!(matches!(PrivateKey::parse(RFC_PUBLIC.as_bytes()), Err(BadKey::NotPem(_))));
    assert!(matches!(PrivateKey::parse(&RFC_PRIVATE.as_bytes()[..60]), Err(BadKey::NotPem(_))));
}

#[test]
fn whoever_signed_it_vouches_for_it_and_nobody_else() {
    let (ann, bob) = (key(1), key(2));
    let signed = sign(quorum(), &ann).unwrap();
    assert_eq!(verify(&signed, &[bob.public(), ann.public()]), Ok(vec![ann.public().id()]));
    assert_eq!(verify(&signed, &[bob.public()]), Err(BadSignature::Untrusted(vec![ann.public().id()])));
    assert_eq!(verify(&signed, &[]), Err(BadSignature::Untrusted(vec![ann.public().id()])));
    assert_eq!(verify(quorum(), &[ann.public()]), Err(BadSignature::Missing));
    assert_eq!(sign(quorum(), &ann).unwrap(), signed, "the same twice");
}

#[test]
fn several_sign_one_component_and_each_counts() {
    let (ann, bob) = (key(1), key(2));
    let both = sign(&sign(quorum(), &ann).unwrap(), &bob).unwrap();
    assert_eq!(claimed(&both), [ann.public().id(), bob.public().id()]);
    for one in [&ann, &bob] {
        assert_eq!(verify(&both, &[one.public()]), Ok(vec![one.public().id()]));
    }
    // Once more by the same key is one signature still.
    assert_eq!(claimed(&sign(&both, &ann).unwrap()).len(), 2);
    let many = (1..=16).fold(quorum().to_vec(), |component, seed| sign(&component, &key(seed)).unwrap());
    assert_eq!(sign(&many, &key(17)), Err(BadSignature::TooMany));
}

#[test]
fn a_signature_is_good_for_the_bytes_it_was_made_of_alone() {
    let ann = key(1);
    let signed = sign(quorum(), &ann).unwrap();
    let length = quorum().len();
    // Any byte of the component, of the digest's place and of the signature.
    for at in (0..signed.len()).step_by(97).chain(length..signed.len()) {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        assert!(verify(&changed, &[ann.public()]).is_err(), "byte {at} of {length}");
    }
    let other = [bundled("bypass").component, &signed[length..]].concat();
    assert_eq!(verify(&other, &[ann.public()]), Err(BadSignature::Wrong(ann.public().id())));
    let behind = [&signed[..], b"\x00\x02\x01x"].concat();
    assert_eq!(verify(&behind, &[ann.public()]), Err(BadSignature::Missing));
    for cut in [0, 1, 20, 115] {
        assert_eq!(verify(&signed[length + 116 - cut..], &[ann.public()]), Err(BadSignature::Missing));
    }
}

#[test]
fn a_runtime_with_keys_loads_only_what_they_signed() {
    let (ann, bob) = (key(1), key(2));
    let runtime = Runtime::new(Limits::default(), None).unwrap().trusting(vec![ann.public()]);
    let refused = |component: &[u8]| runtime.load(component).err().map(|error| error.code());
    assert_eq!(refused(quorum()), Some("not-signed"));
    assert_eq!(refused(&sign(quorum(), &bob).unwrap()), Some("bad-signature"));
    assert_eq!(refused(&sign(quorum(), &ann).unwrap()), None);
    // What it is comes first: a signature makes nothing a policy.
    assert!(matches!(runtime.load(&sign(b"\0asm", &ann).unwrap()), Err(LoadError::NotAComponent(_))));
    assert!(runtime.load_vouched(quorum()).is_ok());
    // Whom nobody was told to trust is trusted by nobody, yet hinders nothing.
    let any = Runtime::new(Limits::default(), None).unwrap();
    assert!(any.load(&sign(quorum(), &bob).unwrap()).is_ok());
}
