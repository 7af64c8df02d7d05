//! Who is asking: passwords, tokens, the first start.
//!
//! Neither a password nor a token is ever printed, logged or kept: the ledger has
//! an argon2id hash of the one and a digest of the other.
//!
//! Not here: what a role may do (each handler names its role), and who votes on
//! what (the policies say that).

mod limit;
mod password;
mod token;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use quorate_core::Timestamp;
use quorate_core::entry::Actor;
use quorate_core::ids::{Digest, UserId};
use quorate_core::refused::Refused;
use quorate_core::request::after;
use quorate_core::user::{ADMIN, Profile, Token, User, Vouched};
use subtle::ConstantTimeEq as _;
use tokio::sync::Mutex;

use self::limit::{Limiter, party};
use self::password::Passwords;
use crate::agent::Secret;
use crate::ledger::{Ledger, ReadError};
use crate::lifecycle::{self, Idempotency, Lifecycle};
use crate::random::{self, NoRandomness};

/// How long the token of a login works, in seconds.
pub const LOGIN_SECONDS: u64 = 24 * 3600;
/// Tokens of one person that work at the same time.
pub const TOKENS_MAX: usize = 100;
/// The longest label of a token, in characters.
const LABEL_CHARS_MAX: usize = 100;

/// Logins for one name: this many at once, and one more after so many seconds.
const NAME_BURST: i64 = 10;
const NAME_INTERVAL_SECONDS: i64 = 30;
/// Logins from one address.
const ADDRESS_BURST: i64 = 50;
const ADDRESS_INTERVAL_SECONDS: i64 = 2;

/// Knows who is asking. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    lifecycle: Lifecycle,
    passwords: Passwords,
    names: Limiter<UserId>,
    addresses: Limiter<IpAddr>,
    /// The digest of the set-up token, while it can be used. It is made anew at
    /// each start that finds nobody who could configure the gateway, and so is
    /// kept nowhere.
    set_up: Mutex<Option<Digest>>,
}

/// Somebody whose token is good.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// With which token.
    pub token: Token,
}

/// A token just made: the only time that its text is seen.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Whose.
    pub user: User,
    /// What is kept of it.
    pub token: Token,
    /// Its text.
    pub text: Secret,
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Which of the two is not said.
    #[error("the user name or the password is wrong")]
    WrongPassword,
    /// Not a token, or none that is known.
    #[error("the token is not valid; log in again")]
    UnknownToken,
    /// Its time is over.
    #[error("the token has expired; log in again")]
    ExpiredToken,
    /// It was taken back.
    #[error("the token was revoked; log in again")]
    RevokedToken,
    /// The set-up token is wrong.
    #[error("the set-up token is wrong")]
    WrongSetUpToken,
    /// There is somebody who can configure the gateway.
    #[error("this gateway is set up already; an admin adds further people")]
    SetUpAlready,
    /// Too many tries.
    #[error("too many attempts: try again in {seconds} s")]
    TooMany {
        /// When there is another try.
        seconds: u64,
    },
    /// Too many tokens.
    #[error("at most {TOKENS_MAX} tokens at a time; revoke one first")]
    TooManyTokens,
    /// Too many passwords to check.
    #[error("too many logins at once; try again")]
    Overloaded,
    /// The rules said no, or the change could not be made.
    #[error(transparent)]
    Change(#[from] lifecycle::Error),
    /// The machine could not.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Change(refused.into())
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Self::Change(error.into())
    }
}

impl From<NoRandomness> for Error {
    fn from(error: NoRandomness) -> Self {
        Self::Failed(error.into())
    }
}

impl Identity {
    /// Knows the people in the ledger of `lifecycle`. Where none of them is an
    /// admin, it comes with a token with which the first can be created; that works
    /// once, until the gateway stops.
    pub fn start(lifecycle: &Lifecycle) -> Result<(Self, Option<String>), Error> {
        let mut inner = Inner {
            lifecycle: lifecycle.clone(),
            passwords: Passwords::new(),
            names: Limiter::new(NAME_INTERVAL_SECONDS, NAME_BURST),
            addresses: Limiter::new(ADDRESS_INTERVAL_SECONDS, ADDRESS_BURST),
            set_up: Mutex::new(None),
        };
        let mut token = None;
        if !inner.has_admin()? {
            let text = format!("setup_{}", random::secret()?);
            inner.set_up = Mutex::new(Some(Digest::of(text.as_bytes())));
            token = Some(text);
        }
        Ok((Self(Arc::new(inner)), token))
    }

    /// Creates the first admin and signs them in.
    pub async fn set_up(
        &self,
        set_up_token: &Secret,
        id: &UserId,
        password: &Secret,
        email: String,
        peer: Option<IpAddr>,
    ) -> Result<Issued, Error> {
        self.0.take_try(None, peer)?;
        // Held to the end: of two at once, the second finds it used.
        let mut set_up = self.0.set_up.lock().await;
        let expected = set_up.ok_or(Error::SetUpAlready)?;
        let given = Digest::of(set_up_token.expose().as_bytes());
        if !bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
            return Err(Error::WrongSetUpToken);
        }
        if self.0.has_admin()? {
            *set_up = None;
            return Err(Error::SetUpAlready);
        }
        let hash = self.hash(password, id).await?;
        let admin = ADMIN.parse().map_err(anyhow::Error::new)?;
        let profile = Profile { email, groups: BTreeSet::from([admin]), active: true };
        let user = self.0.lifecycle.save_user(id, profile, Some(hash), Actor::Gateway, None).await?;
        *set_up = None;
        self.issue(&user, "set-up".to_owned(), LOGIN_SECONDS).await
    }

    /// Signs somebody in with their password.
    pub async fn log_in(
        &self,
        name: &str,
        password: &Secret,
        label: String,
        peer: Option<IpAddr>,
    ) -> Result<Issued, Error> {
        let id: Option<UserId> = name.parse().ok();
        self.0.take_try(id.as_ref(), peer)?;
        let (user, hash) = match &id {
            Some(id) => (self.0.ledger().user(id)?, self.0.ledger().password_hash(id)?),
            None => (None, None),
        };
        let right = self.0.passwords.verify(password, hash.filter(|_| user.is_some())).await?;
        let Some(user) = user.filter(|_| right) else { return Err(Error::WrongPassword) };
        if !user.profile.active {
            return Err(Refused::Inactive { user: user.id }.into());
        }
        self.0.give_back_try(Some(&user.id), peer);
        let label = if label.is_empty() { "login".to_owned() } else { label };
        let user = self.make_room(user).await?;
        self.issue(&user, label, LOGIN_SECONDS).await
    }

    /// Takes a try to sign in from this address, which [`Identity::admit`] gives back.
    pub fn take_try(&self, peer: Option<IpAddr>) -> Result<(), Error> {
        self.0.take_try(None, peer)
    }

    /// Signs somebody in for whom a provider vouches.
    pub async fn admit(
        &self,
        vouched: Vouched,
        label: String,
        peer: Option<IpAddr>,
    ) -> Result<Issued, Error> {
        let issuer = vouched.account.issuer.clone();
        let user = self.0.lifecycle.admit(vouched).await?;
        self.0.give_back_try(None, peer);
        let user = self.make_room(user).await?;
        self.make_token(&user, label, LOGIN_SECONDS, Some(issuer), None).await
    }

    /// Who holds the token `text`.
    pub fn authenticate(&self, text: &str) -> Result<SignedIn, Error> {
        let digest = token::digest(text).ok_or(Error::UnknownToken)?;
        let Some((token_id, id)) = self.0.ledger().token(&digest)? else {
            return Err(Error::UnknownToken);
        };
        let Some(user) = self.0.ledger().user(&id)? else { return Err(Error::UnknownToken) };
        let token = user.tokens.iter().find(|token| token.id == token_id).cloned();
        let token = token.ok_or(Error::ExpiredToken)?;
        if !user.profile.active {
            return Err(Refused::Inactive { user: user.id }.into());
        }
        if token.revoked_at.is_some() {
            return Err(Error::RevokedToken);
        }
        if !token.is_valid(self.now()) {
            return Err(Error::ExpiredToken);
        }
        Ok(SignedIn { user, token })
    }

    /// Whether somebody who was signed in still is, and as whom.
    pub fn still(&self, signed_in: &SignedIn) -> Result<Option<User>, Error> {
        let user = self.0.ledger().user(&signed_in.user.id)?;
        let good = |user: &User| {
            let mut tokens = user.tokens.iter();
            let token = tokens.find(|token| token.id == signed_in.token.id);
            user.profile.active && token.is_some_and(|token| token.is_valid(self.now()))
        };
        Ok(user.filter(good))
    }

    /// Makes a token for `user` that works for so many seconds.
    pub async fn issue(&self, user: &User, label: String, seconds: u64) -> Result<Issued, Error> {
        self.issue_once(user, label, seconds, None).await
    }

    /// The same, under an idempotency key. Sent again, there is no second token, and
    /// no text of the first: that is kept nowhere.
    pub async fn issue_once(
        &self,
        user: &User,
        label: String,
        seconds: u64,
        key: Option<Idempotency>,
    ) -> Result<Issued, Error> {
        self.make_token(user, label, seconds, None, key).await
    }

    async fn make_token(
        &self,
        user: &User,
        label: String,
        seconds: u64,
        vouched_by: Option<String>,
        key: Option<Idempotency>,
    ) -> Result<Issued, Error> {
        self.0.lifecycle.check_key(key.as_ref())?;
        if label.chars().count() > LABEL_CHARS_MAX || label.chars().any(char::is_control) {
            let why = format!("at most {LABEL_CHARS_MAX} characters, none of them control characters");
            return Err(Refused::Invalid { what: "label", why }.into());
        }
        let now = self.now();
        if user.tokens.iter().filter(|token| token.is_valid(now)).count() >= TOKENS_MAX {
            return Err(Error::TooManyTokens);
        }
        let text = token::make()?;
        let digest = token::digest(text.expose()).ok_or(Error::UnknownToken)?;
        let expires_at = after(now, seconds);
        let token =
            Token { id: random::id()?, label, issued_at: now, expires_at, revoked_at: None, vouched_by };
        let by = Actor::User(user.id.clone());
        self.0.lifecycle.issue_token(&user.id, token.clone(), digest, by, key).await?;
        Ok(Issued { user: user.clone(), token, text })
    }

    /// Takes a token back.
    pub async fn revoke(&self, user: &UserId, token: &str, key: Option<Idempotency>) -> Result<(), Error> {
        self.0.lifecycle.revoke_token(user, token, Actor::User(user.clone()), key).await?;
        Ok(())
    }

    /// Changes somebody's own password; all of their tokens end with it.
    pub async fn change_password(
        &self,
        user: &User,
        old: &Secret,
        new: &Secret,
        peer: Option<IpAddr>,
        key: Option<Idempotency>,
    ) -> Result<(), Error> {
        // Once it was changed, the old one is wrong.
        self.0.lifecycle.check_key(key.as_ref())?;
        self.0.take_try(Some(&user.id), peer)?;
        let hash = self.0.ledger().password_hash(&user.id)?;
        if !self.0.passwords.verify(old, hash).await? {
            return Err(Error::WrongPassword);
        }
        self.0.give_back_try(Some(&user.id), peer);
        let hash = self.hash(new, &user.id).await?;
        self.0.lifecycle.set_password(&user.id, hash, Actor::User(user.id.clone()), key).await?;
        Ok(())
    }

    /// The hash of a password that `user` may have.
    pub async fn hash(&self, password: &Secret, user: &UserId) -> Result<String, Error> {
        password::check(password, user)?;
        self.0.passwords.hash(password).await
    }

    /// The time, as tokens are measured by.
    pub fn now(&self) -> Timestamp {
        self.0.lifecycle.now()
    }

    /// Takes back the login token that ends first where there are too many, so
    /// that logging in always works.
    async fn make_room(&self, user: User) -> Result<User, Error> {
        let now = self.now();
        let valid = || user.tokens.iter().filter(|token| token.is_valid(now));
        if valid().count() < TOKENS_MAX {
            return Ok(user);
        }
        let Some(first) = valid().min_by_key(|token| token.expires_at).map(|token| token.id.clone()) else {
            return Ok(user);
        };
        self.revoke(&user.id, &first, None).await?;
        Ok(self.0.ledger().user(&user.id)?.unwrap_or(user))
    }
}

impl Inner {
    fn ledger(&self) -> &Ledger {
        self.lifecycle.ledger()
    }

    fn has_admin(&self) -> Result<bool, ReadError> {
        Ok(self.ledger().users()?.iter().any(User::is_admin))
    }

    fn take_try(&self, name: Option<&UserId>, peer: Option<IpAddr>) -> Result<(), Error> {
        let now = self.lifecycle.now();
        let too_many = |seconds| Error::TooMany { seconds };
        if let Some(peer) = peer {
            self.addresses.take(&party(peer), now).map_err(too_many)?;
        }
        name.map_or(Ok(()), |name| self.names.take(name, now).map_err(too_many))
    }

    fn give_back_try(&self, name: Option<&UserId>, peer: Option<IpAddr>) {
        if let Some(peer) = peer {
            self.addresses.give_back(&party(peer));
        }
        if let Some(name) = name {
            self.names.give_back(name);
        }
    }
}
