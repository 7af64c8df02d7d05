//! A gateway that is made from a file, asked what would be, and gone again.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::app::{App, Running};
use crate::cli::Context;
use crate::cli::admin;
use crate::cli::client::{Gateway, address};
use crate::cli::exit::Failure;
use crate::clock::Clock;
use crate::config::Config;
use crate::random;

/// Who sets it up; nobody of the file, so nobody who asks or votes.
pub(super) const FIRST: &str = "quorate-rehearsal";

/// It, while it is there.
pub(super) struct Rehearsal {
    running: Running,
    pub(super) gateway: Gateway,
    _folder: TempDir,
}

/// A gateway that is what `file` says.
pub(super) async fn start(context: &Context, file: &Path) -> Result<Rehearsal, Failure> {
    let failed = |error: anyhow::Error| Failure::failed(format!("no gateway for the question: {error:#}"));
    let folder = tempfile::Builder::new()
        .prefix("quorate-rehearsal-")
        .tempdir()
        .map_err(|error| failed(error.into()))?;
    let config =
        Config { listen: ([127, 0, 0, 1], 0).into(), data: folder.path().join("data"), ..Config::default() };
    let mut running = App::start(config, Clock::system()).await.map_err(failed)?;
    let rehearsal = prepare(context, file, &mut running).await;
    match rehearsal {
        Ok(gateway) => Ok(Rehearsal { running, gateway, _folder: folder }),
        Err(failure) => {
            running.stop().await;
            Err(failure)
        }
    }
}

async fn prepare(context: &Context, file: &Path, running: &mut Running) -> Result<Gateway, Failure> {
    let url = address(&format!("http://{}", running.address()))?;
    let password = random::secret().map_err(|error| Failure::failed(error.to_string()))?;
    let first = json!({"setup_token": running.setup_token.take(), "user": FIRST, "password": password});
    let set_up = Gateway::new(url.clone(), None)?.post(&["setup"], first).await?;
    let token = set_up.raw().get("token").and_then(Value::as_str).map(str::to_owned);
    let gateway = Gateway::new(url, token)?;
    admin::rehearse(context, &gateway, file).await?;
    Ok(gateway)
}

impl Rehearsal {
    pub(super) async fn stop(self) {
        self.running.stop().await;
    }
}
