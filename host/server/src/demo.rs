//! `quorate demo`: a gateway on a temporary ledger, the story of one approved
//! session played on it with this program's own commands, and then the gateway to
//! try by hand.

pub mod postgres;
mod stage;
mod story;
pub mod terminal;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use postgres::Postgres;
use stage::Stage;

/// Try it: a gateway with people, resources and rules, and a story played on it
///
/// Everything is in a temporary folder and gone at the end. Where PostgreSQL is installed, the
/// resource is a real database, started for the demo; otherwise it is a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorate demo           # the story, then a gateway to try by hand
  quorate demo --once    # the story alone; exit code 1 where anything went otherwise")]
pub struct Demo {
    /// End after the story
    #[arg(long)]
    once: bool,
    /// Address and port of the gateway; without --once the default is 127.0.0.1:8600
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where the programs of PostgreSQL are, if not where they usually are
    #[arg(long, env = "QUORATE_POSTGRES_BIN", value_name = "FOLDER")]
    postgres: Option<PathBuf>,
}

impl Demo {
    /// Plays the story; gives whether everything went as it should.
    ///
    /// # Errors
    ///
    /// Where the gateway cannot be started at all.
    pub async fn run(self, path: Option<std::ffi::OsString>) -> anyhow::Result<bool> {
        let folder = tempfile::Builder::new().prefix("quorate-demo-").tempdir()?;
        let usual = if self.once { 0 } else { 8600 };
        let config = Config {
            listen: self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], usual))),
            data: folder.path().join("data"),
            ..Config::default()
        };
        println!("Quorate demo: a gateway on a temporary ledger in {}", folder.path().display());
        let database =
            tokio::task::spawn_blocking(move || database(self.postgres.as_deref(), path.as_deref()))
                .await??;
        let mut running = App::start(config, Clock::system()).await?;
        let Some(token) = running.setup_token.take() else {
            anyhow::bail!("a new ledger gave no set-up token");
        };
        let address = format!("http://{}", running.address());
        let told = async {
            let stage = Stage::set(&address, &token, folder.path()).await?;
            story::play(&stage, database.as_ref()).await?;
            Ok::<_, anyhow::Error>(stage)
        };
        let good = match told.await {
            Ok(_) if self.once => true,
            Ok(stage) => {
                stage.invite(database.is_some());
                let _ = tokio::signal::ctrl_c().await;
                println!("\nstopping");
                true
            }
            Err(error) => {
                eprintln!("\nthe story went otherwise: {error:#}");
                false
            }
        };
        running.stop().await;
        Ok(good)
    }
}

fn database(named: Option<&Path>, path: Option<&std::ffi::OsStr>) -> anyhow::Result<Option<Postgres>> {
    let Some(programs) = postgres::find(named, path) else {
        println!("PostgreSQL with psql was not found here: a shell stands in for the database");
        return Ok(None);
    };
    println!("starting a PostgreSQL for the demo …");
    Postgres::start(&programs).map(Some)
}
