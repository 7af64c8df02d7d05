//! The one file that wires everything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::serve::ListenerExt as _;
use quorate_policy::signature::PublicKey;
use quorate_policy::{Limits, Runtime};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::agent::{self, Launcher, User};
use crate::api::ProcessKey;
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::Identity;
use crate::ledger::Ledger;
use crate::lifecycle::Lifecycle;
use crate::notify::Notifier;
use crate::oidc::Provider;
use crate::session::{Recordings, Sessions};
use crate::slack::{self, Slack};
use crate::tasks::Tasks;
use crate::{api, config, reconcile, web};

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The only writer.
    pub lifecycle: Lifecycle,
    /// What happened.
    pub ledger: Ledger,
    /// The processes of live sessions.
    pub sessions: Sessions,
    /// Who people are.
    pub identity: Identity,
    /// What tells notification channels.
    pub notifier: Notifier,
    /// The provider that people can sign in with.
    pub provider: Option<Arc<Provider>>,
    /// Our app in Slack.
    pub slack: Option<Arc<Slack>>,
    /// What time it is.
    pub clock: Clock,
    /// How the gateway runs.
    pub config: Arc<Config>,
    /// With which secrets are compared in repeated writes.
    pub process_key: Arc<ProcessKey>,
    /// Cancelled when the gateway goes down: what answers without end stops then.
    pub stopping: CancellationToken,
}

/// A gateway that serves.
pub struct Running {
    app: App,
    address: SocketAddr,
    /// Printed once, on the first start: makes the first admin.
    pub setup_token: Option<String>,
    tasks: Tasks,
}

impl App {
    /// Opens the ledger, settles what fell due while the gateway was down, and
    /// serves.
    pub async fn start(mut config: Config, clock: Clock) -> anyhow::Result<Running> {
        let launcher = launcher(&config).await?;
        std::fs::create_dir_all(&config.data)
            .with_context(|| format!("the data folder {} cannot be made", config.data.display()))?;
        let path = config.ledger();
        let ledger = tokio::task::spawn_blocking(move || Ledger::open(&path)).await??;
        // The machine's clock may have been set back while the gateway was down.
        clock.catch_up(ledger.last_at());
        // Bound before anything is settled, so that links can name the port.
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("cannot listen on {}", config.listen))?;
        config.listen = listener.local_addr()?;
        let runtime =
            Runtime::new(Limits::default(), Some(config.compiled()))?.trusting(policy_keys(&config)?);
        let lifecycle = Lifecycle::new(ledger.clone(), runtime, clock.clone(), config.clone());
        lifecycle.start_policies().await?;
        reconcile::settle(&lifecycle).await?;
        if let Err(error) = lifecycle.check_way_to_approve() {
            tracing::warn!("{error}");
        }
        let recordings = Recordings::new(config.recordings(), config.recording_bytes_max);
        recordings.prepare().with_context(|| {
            format!("the folder {} for recordings cannot be made", config.recordings().display())
        })?;
        let sessions = Sessions::new(lifecycle.clone(), clock.clone(), launcher, recordings);
        let (identity, setup_token) = Identity::start(&lifecycle)?;
        let provider = provider(&config, &clock)?;
        let slack = config.slack.clone().map(Slack::new).transpose()?.map(Arc::new);
        let notifier = Notifier::new(lifecycle.clone(), clock.clone(), slack.clone(), &config);
        let app = Self {
            lifecycle,
            ledger,
            sessions,
            identity,
            notifier,
            provider,
            slack,
            clock,
            config: Arc::new(config),
            process_key: Arc::new(ProcessKey::make()?),
            stopping: CancellationToken::new(),
        };
        Ok(app.serve(listener, setup_token))
    }

    fn serve(self, listener: TcpListener, setup_token: Option<String>) -> Running {
        let tasks = Tasks::new(self.stopping.clone());
        reconcile::start(&self.lifecycle, &self.sessions, &self.clock, &tasks);
        tasks.run("channels", self.notifier.clone().run());
        if let Some(slack) = self.slack.clone().filter(|slack| slack.has_socket()) {
            tasks.run("slack", slack::run(self.clone(), slack));
        }
        let address = self.config.listen;
        let router = api::router(self.clone(), web::router().merge(slack::router()));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        // What is typed goes out key by key.
        let listener = listener.tap_io(|socket| {
            if let Err(error) = socket.set_nodelay(true) {
                tracing::debug!(%error, "a connection sends in larger pieces than it should");
            }
        });
        let stopped = self.stopping.clone().cancelled_owned();
        tasks.run_to_end("http", async move {
            let serving = axum::serve(listener, service).with_graceful_shutdown(stopped);
            if let Err(error) = serving.await {
                tracing::error!(%error, "serving ended");
            }
        });
        Running { app: self, address, setup_token, tasks }
    }
}

/// The provider that people can sign in with, if there is one.
fn provider(config: &Config, clock: &Clock) -> anyhow::Result<Option<Arc<Provider>>> {
    let Some(declared) = config.oidc.clone() else { return Ok(None) };
    let callback = format!("{}{}", config.url(), web::CALLBACK);
    Ok(Some(Arc::new(Provider::new(declared, callback, clock.clone())?)))
}

/// Who has to have signed a policy; empty where nobody has to.
fn policy_keys(config: &Config) -> anyhow::Result<Vec<PublicKey>> {
    let Some(path) = &config.policy_keys else { return Ok(Vec::new()) };
    let read = || Ok::<_, anyhow::Error>(PublicKey::parse_all(&std::fs::read(path)?)?);
    read().with_context(|| format!("the policy keys {} cannot be used", path.display()))
}

/// What sessions are started with. Refuses here, and not in somebody's session, where they
/// cannot run as they should.
async fn launcher(config: &Config) -> anyhow::Result<Launcher> {
    let launcher = Launcher::new(config::environment());
    let Some(name) = &config.session_user else { return Ok(launcher) };
    let user = User::find(name)?;
    user.check()?;
    let launcher = launcher.run_as(user);
    agent::rehearse(&launcher)
        .await
        .with_context(|| format!("sessions cannot run as `{}`", name.escape_debug()))?;
    Ok(launcher)
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What handlers work with.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Waits until the gateway cannot go on as it should: it is best stopped, and
    /// started anew by whoever started it.
    pub async fn broken(&self) {
        self.tasks.broken().await;
    }

    /// Ends all sessions, tells their users why, and stops serving.
    pub async fn stop(self) {
        self.app.sessions.stop().await;
        // A client that keeps its connection open does not keep the gateway up.
        if !self.tasks.stop(Duration::from_secs(5)).await {
            tracing::warn!("stopped with connections still open");
        }
    }
}
