//! Passwords: what is accepted, and their argon2id hashes.

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use quorate_core::ids::UserId;
use quorate_core::refused::Refused;
use tokio::sync::Semaphore;

use super::Error;
use crate::agent::Secret;
use crate::random;

/// The shortest password, in characters.
const CHARS_MIN: usize = 10;
/// The longest password, in bytes.
const BYTES_MAX: usize = 1024;

/// What one hash costs: OWASP's second choice for argon2id, 19 MiB twice over.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes made at the same time: together they take at most 76 MiB.
const AT_ONCE_MAX: usize = 4;
/// Hashes that may wait for their turn; more are turned away.
const WAITING_MAX: usize = 64;

/// The hash of a password that nobody knows, with today's parameters: a name that
/// does not exist takes as long as one that does.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$cXVvcmF0ZS1ub2JvZHktMQ$\
    9X0m3vJ6m6qV2l0kq3T8f7yq5nHcW1bZr4sLx2uEoDA";

/// Makes and checks hashes, a few at a time.
#[derive(Debug)]
pub(super) struct Passwords {
    turns: Semaphore,
    places: Semaphore,
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self { turns: Semaphore::new(AT_ONCE_MAX), places: Semaphore::new(AT_ONCE_MAX + WAITING_MAX) }
    }

    /// The hash of `password`, in PHC form.
    pub(super) async fn hash(&self, password: &Secret) -> Result<String, Error> {
        let password = password.clone();
        let salt: [u8; 16] = random::bytes()?;
        self.take_turn(move || {
            let hash = hasher()?.hash_password_with_salt(password.expose().as_bytes(), &salt);
            Ok(hash.map_err(|error| anyhow::anyhow!("the password cannot be hashed: {error}"))?.to_string())
        })
        .await
    }

    /// Whether `password` is the one that `hash` was made from; with no hash it is
    /// not, and that takes as long.
    pub(super) async fn verify(&self, password: &Secret, hash: Option<String>) -> Result<bool, Error> {
        let password = password.clone();
        self.take_turn(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODYS.to_owned());
            let right = hasher()?.verify_password(password.expose().as_bytes(), hash.as_str());
            Ok(right.is_ok() && known)
        })
        .await
    }

    async fn take_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let _place = self.places.try_acquire().map_err(|_| Error::Overloaded)?;
        let _turn = self.turns.acquire().await.map_err(anyhow::Error::new)?;
        Ok(tokio::task::spawn_blocking(work).await.map_err(anyhow::Error::new)??)
    }
}

fn hasher() -> anyhow::Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|error| anyhow::anyhow!("argon2 does not start: {error}"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Refuses what can be guessed too soon or takes too long to hash.
pub(super) fn check(password: &Secret, user: &UserId) -> Result<(), Refused> {
    let text = password.expose();
    if text.chars().count() < CHARS_MIN || text.len() > BYTES_MAX {
        let why = format!("give at least {CHARS_MIN} characters and at most {BYTES_MAX} bytes");
        return Err(Refused::Invalid { what: "password", why });
    }
    if text.eq_ignore_ascii_case(user.as_str()) {
        let why = "it must not be the user name".to_owned();
        return Err(Refused::Invalid { what: "password", why });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_verifies() {
        let passwords = Passwords::new();
        let hash = passwords.hash(&Secret::new("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let verify = async |text: &str, hash: Option<&str>| {
            passwords.verify(&Secret::new(text), hash.map(str::to_owned)).await.unwrap()
        };
        assert!(verify("correct horse", Some(&hash)).await);
        assert!(!verify("correct horsf", Some(&hash)).await);
        assert!(!verify("correct horse", None).await);
        assert!(!verify("correct horse", Some("no hash at all")).await);
    }

    #[test]
    fn nobodys_hash_costs_what_a_real_one_does() {
        let hash = argon2::password_hash::phc::PasswordHash::new(NOBODYS).unwrap();
        let params = Params::try_from(&hash).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY_KIB, PASSES, LANES));
        assert!(hash.salt.is_some() && hash.hash.is_some_and(|hash| hash.len() == 32));
    }

    #[test]
    fn a_short_password_or_the_own_name_is_refused() {
        let ann: UserId = "ann-the-great".parse().unwrap();
        for bad in ["", "123456789", "Ann-The-Great", &"x".repeat(1025)] {
            assert!(check(&Secret::new(bad), &ann).is_err(), "{bad:?}");
        }
        assert!(check(&Secret::new("äöüäöüäöüä"), &ann).is_ok());
    }
}
