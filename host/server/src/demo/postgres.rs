//! A real PostgreSQL in a temporary folder, on a port of its own, with a password
//! that only the gateway knows. It is stopped, and the folder removed, on drop.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::random;

/// Who runs it where the caller is root, whom PostgreSQL refuses: `nobody`.
const UNPRIVILEGED: u32 = 65534;
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// A PostgreSQL that runs.
#[derive(Debug)]
pub struct Postgres {
    server: Child,
    port: u16,
    password: String,
    _folder: TempDir,
}

/// Where the programs of PostgreSQL are: in `named`, on the `path`, or where
/// distributions put them. None where there is no server or no `psql`.
pub fn find(named: Option<&Path>, path: Option<&OsStr>) -> Option<PathBuf> {
    let on_path: Vec<PathBuf> = path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
    if !on_path.iter().any(|folder| folder.join("psql").is_file()) {
        return None;
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.map(|version| version.path().join("bin"));
    let folders = named.map(Path::to_owned).into_iter().chain(on_path).chain(debian);
    folders.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

impl Postgres {
    /// Starts the server whose programs are in `programs`, and waits until it
    /// answers.
    pub fn start(programs: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("quorate-postgres-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()
            .context("no temporary folder for PostgreSQL")?;
        let root = rustix::process::geteuid().is_root();
        let password = random::secret()?;
        let password_file = folder.path().join("password");
        std::fs::write(&password_file, &password)?;
        if root {
            for path in [folder.path(), &password_file] {
                chown(path, Some(UNPRIVILEGED), Some(UNPRIVILEGED))?;
            }
        }
        let data = folder.path().join("data");
        let run = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir("/").env_clear().env("LC_ALL", "C").stdin(Stdio::null());
            if root {
                command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
            }
            command
        };
        let made = run("initdb")
            .args(["--username=postgres", "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8"])
            .arg("--pwfile")
            .arg(&password_file)
            .arg("--pgdata")
            .arg(&data)
            .output()
            .context("initdb cannot be started")?;
        if !made.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr).trim());
        }
        std::fs::remove_file(&password_file)?;
        let port = free_port()?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let server = run("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "fsync=off", "-p", &port.to_string()])
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("postgres cannot be started")?;
        let mut postgres = Self { server, port, password, _folder: folder };
        postgres.wait_ready()?;
        Ok(postgres)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The password of the user `postgres`.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// How `psql` reaches it.
    pub fn psql(&self) -> Vec<String> {
        let port = self.port.to_string();
        ["psql", "-h", "localhost", "-p", &port, "-U", "postgres"].map(str::to_owned).to_vec()
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.server.try_wait()? {
                bail!("postgres ended at once ({status})");
            }
            let [program, arguments @ ..] = &self.psql()[..] else { bail!("no psql") };
            let asked = Command::new(program)
                .args(arguments)
                .args(["-X", "-t", "-c", "select 1"])
                .env("PGPASSWORD", &self.password)
                .stdin(Stdio::null())
                .output()
                .context("psql cannot be started")?;
            if asked.status.success() {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                bail!("postgres does not answer: {}", String::from_utf8_lossy(&asked.stderr).trim());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate shutdown: nothing in it is worth keeping.
        if let Some(group) = i32::try_from(self.server.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::QUIT);
        }
        let _ = self.server.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
