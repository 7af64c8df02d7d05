//! The gateway's mail server: how a message is handed to it.
//!
//! The operator wrote its address into the settings, so it may be in the gateway's own network.
//!
//! Not here: what a message says, and to whom it goes (`notify/email`).

mod settings;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use lettre::Address;
use lettre::address::AddressError;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use quorate_core::text::shown;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use self::settings::{Declared, Security, Sender, Settings, resolve};

/// How many connections there are at once: some servers allow three.
const CONNECTIONS_MAX: usize = 2;
/// How many messages go over one connection: some servers end it after a hundred.
const MESSAGES_MAX: usize = 50;
/// The longest reason that is kept of what a server answers, in characters.
const WHY_CHARS_MAX: usize = 300;

/// The mail server.
pub struct Server {
    declared: Declared,
    free: Semaphore,
    /// What nobody uses now, for whoever has a message next.
    idle: Mutex<Vec<Idle>>,
    tls: OnceLock<TlsParameters>,
}

/// Why a message was not taken, in words without a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untaken {
    /// For this recipient, and for good.
    Refused(String),
    /// For this recipient, and for now.
    Deferred(String),
    /// Nobody knows, since the connection was lost once it had been named.
    Lost(String),
    /// Whoever it is for: the server, or the way to it.
    Broken(String),
}

/// A connection, and how many messages went over it.
struct Idle {
    smtp: AsyncSmtpConnection,
    messages: usize,
}

/// A connection over which messages can be handed over.
pub struct Connection<'a> {
    server: &'a Server,
    smtp: AsyncSmtpConnection,
    messages: usize,
    _one_of: SemaphorePermit<'a>,
}

/// The address in `text`.
pub fn address(text: &str) -> Result<Address, AddressError> {
    text.parse()
}

impl Server {
    /// The one that was declared. Nothing is asked of it yet.
    pub fn new(declared: Declared) -> Self {
        Self { declared, free: Semaphore::new(CONNECTIONS_MAX), idle: Mutex::default(), tls: OnceLock::new() }
    }

    /// Whom messages are from.
    pub fn from(&self) -> &Sender {
        &self.declared.from
    }

    /// Takes a connection that is there, or connects, and signs in where it has to.
    pub async fn connect(&self) -> Result<Connection<'_>, String> {
        let one_of = self.free.acquire().await.map_err(|error| error.to_string())?;
        while let Some(Idle { mut smtp, messages }) = self.take_idle() {
            if self.in_time(smtp.test_connected()).await == Ok(true) {
                return Ok(Connection { server: self, smtp, messages, _one_of: one_of });
            }
        }
        let smtp = self.in_time(self.greet()).await?.map_err(|error| self.why(&error))?;
        Ok(Connection { server: self, smtp, messages: 0, _one_of: one_of })
    }

    /// Takes leave, in its own time: there is no message that could be next.
    pub fn leave(self: &Arc<Self>) {
        while let Some(Idle { mut smtp, .. }) = self.take_idle() {
            let server = Arc::clone(self);
            tokio::spawn(async move { server.in_time(smtp.quit()).await.map(drop) });
        }
    }

    fn take_idle(&self) -> Option<Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn greet(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let Declared { host, port, security, user, password, from, .. } = &self.declared;
        // Many servers ask for a name; the machine's own is rarely one that they would find.
        let hello = ClientId::Domain(from.email.domain().to_owned());
        let at = (host.trim_matches(['[', ']']), *port);
        let tls = match security {
            Security::None => None,
            Security::StartTls | Security::Tls => Some(self.tls()?),
        };
        let first = tls.clone().filter(|_| *security == Security::Tls);
        let mut smtp = AsyncSmtpConnection::connect_tokio1(at, None, &hello, first, None).await?;
        if let (Security::StartTls, Some(tls)) = (security, tls) {
            // Where it is not offered nothing is said.
            smtp.starttls(tls, &hello).await?;
        }
        if let (Some(user), Some(password)) = (user, password) {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            smtp.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(smtp)
    }

    /// The machine's certificates are read when the first connection is made.
    fn tls(&self) -> Result<TlsParameters, SmtpError> {
        let host = self.declared.host.trim_matches(['[', ']']);
        if let Some(made) = self.tls.get() {
            return Ok(made.clone());
        }
        let made = TlsParameters::new(host.to_owned())?;
        Ok(self.tls.get_or_init(|| made).clone())
    }

    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, String> {
        let patience = self.declared.patience;
        let late = |_| format!("it did not answer within {} seconds", patience.as_secs());
        tokio::time::timeout(patience, work).await.map_err(late)
    }

    /// What went wrong, in words. A server that repeats what it was sent does not give the
    /// password away.
    fn why(&self, error: &SmtpError) -> String {
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let said = cause.to_string();
        let why = match error.status() {
            Some(code) => format!("it answered {code} {said}").trim_end().to_owned(),
            None => said,
        };
        shown(&self.without_password(&why), WHY_CHARS_MAX)
    }

    fn without_password(&self, text: &str) -> String {
        match &self.declared.password {
            Some(password) => text.replace(password.expose(), "***"),
            None => text.to_owned(),
        }
    }
}

impl Connection<'_> {
    /// Hands a message for one recipient over. Once it answers well, the server has it.
    pub async fn hand_over(&mut self, to: &Address, message: &[u8]) -> Result<(), Untaken> {
        let (server, is_used) = (self.server, self.messages > 0);
        self.messages += 1;
        let from = &server.declared.from.email;
        let mut said = server.in_time(say(&mut self.smtp, from, to, message)).await;
        // The server ended a connection that it had taken messages over: nothing is lost, and there
        // are others.
        if is_used && matches!(said, Ok(Err((Stage::Sender, _)))) {
            let fresh = server.in_time(server.greet()).await.map_err(Untaken::Broken)?;
            self.smtp = fresh.map_err(|error| Untaken::Broken(server.why(&error)))?;
            self.messages = 1;
            said = server.in_time(say(&mut self.smtp, from, to, message)).await;
        }
        match said {
            Err(late) => Err(Untaken::Lost(late)),
            Ok(Ok(())) => Ok(()),
            Ok(Err((stage, error))) => {
                let why = self.server.why(&error);
                match stage {
                    Stage::Recipient if error.is_permanent() => Err(Untaken::Refused(why)),
                    Stage::Recipient if error.is_transient() => Err(Untaken::Deferred(why)),
                    Stage::Recipient => Err(Untaken::Lost(why)),
                    Stage::Sender => Err(Untaken::Broken(why)),
                }
            }
        }
    }

    /// Leaves it to whoever has a message next, until [`Server::leave`].
    pub async fn keep(self) {
        if self.messages >= MESSAGES_MAX || self.smtp.has_broken() {
            return self.close().await;
        }
        let Self { server, smtp, messages, .. } = self;
        server.idle.lock().unwrap_or_else(PoisonError::into_inner).push(Idle { smtp, messages });
    }

    /// Takes leave. What was handed over is not changed by how that goes.
    pub async fn close(mut self) {
        let _ = self.server.in_time(self.smtp.quit()).await;
    }
}

/// What an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Whom the message is from, which is the same for everybody.
    Sender,
    /// Whom it is for, or the message itself.
    Recipient,
}

async fn say(
    smtp: &mut AsyncSmtpConnection,
    from: &Address,
    to: &Address,
    message: &[u8],
) -> Result<(), (Stage, SmtpError)> {
    let about = |stage| move |error| (stage, error);
    smtp.command(Mail::new(Some(from.clone()), Vec::new())).await.map_err(about(Stage::Sender))?;
    let taken = async {
        smtp.command(Rcpt::new(to.clone(), Vec::new())).await?;
        smtp.command(Data).await?;
        smtp.message(message).await
    };
    match taken.await {
        Ok(_) => Ok(()),
        Err(error) => {
            // The next one begins anew. Where that fails too, it will find out.
            if error.status().is_some() {
                let _ = smtp.command(Rset).await;
            }
            Err((Stage::Recipient, error))
        }
    }
}
