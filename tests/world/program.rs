//! The program itself: run by somebody and waited for, or in a terminal; and the database
//! that it connects them to.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use quorate::agent::{Launcher, exec::SUBCOMMAND};
use quorate::demo::postgres::{self, Postgres};
use quorate::demo::terminal::Terminal;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{Answer, World};

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_quorate-program");
/// How long anything may take on a machine that is busy with other tests. Nothing that
/// goes well takes it.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// The environment of the tests without what would change how the program behaves.
fn environment() -> Vec<(OsString, OsString)> {
    let ours = |name: &OsStr| {
        let name = name.to_string_lossy();
        name.starts_with("QUORATE_") || name.starts_with("REVIEW_") || name.starts_with("XDG_C")
    };
    let others = quorate::config::environment().filter(|(name, _)| !ours(name));
    // What one test had compiled, the next finds.
    let kept = concat!(env!("CARGO_TARGET_TMPDIR"), "/kept");
    others.chain([("XDG_CACHE_HOME".into(), kept.into())]).collect()
}

/// The program with `arguments`; it is killed when nobody waits for it any more.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().envs(environment()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs the program to its end, as nobody.
pub async fn run(arguments: &[&str]) -> Ended {
    Ended::of(in_time(program(arguments).output()).await.unwrap())
}

/// Runs `command` to its end, with `input` on its standard input.
pub async fn pipe(command: &mut Command, input: &str) -> Ended {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that does not read it to the end says why on its own.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    Ended::of(in_time(child.wait_with_output()).await.unwrap())
}

/// Demands that it does not take for ever.
pub async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("the program does not end")
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Demands this exit code.
    #[track_caller]
    pub fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// The only line on standard error.
    #[track_caller]
    pub fn line(&self) -> &str {
        let line = self.err.trim_end();
        assert!(!line.is_empty() && !line.contains('\n'), "{self:?}");
        line
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Somebody at a command line, signed in.
#[derive(Debug, Clone)]
pub struct Person {
    url: String,
    token: String,
    home: PathBuf,
}

impl Person {
    /// Somebody whose own files are in `home`.
    pub fn new(url: String, token: &str, home: PathBuf) -> Self {
        Self { url, token: token.to_owned(), home }
    }

    /// What only they have in their environment.
    fn own(&self) -> [(&'static str, &OsStr); 3] {
        [
            ("QUORATE_URL", self.url.as_ref()),
            ("QUORATE_TOKEN", self.token.as_ref()),
            ("XDG_CONFIG_HOME", self.home.as_ref()),
        ]
    }

    /// The program, not started yet.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command.envs(self.own());
        command
    }

    /// Runs the program to its end.
    pub async fn runs(&self, arguments: &[&str]) -> Ended {
        Ended::of(in_time(self.program(arguments).output()).await.unwrap())
    }

    /// The same, with something on its standard input.
    pub async fn pipes(&self, arguments: &[&str], input: &str) -> Ended {
        pipe(&mut self.program(arguments), input).await
    }

    /// Runs it as another program would: with `--json`, and successfully.
    pub async fn asks(&self, arguments: &[&str]) -> Value {
        self.runs(&[arguments, &["--json"]].concat()).await.with(0).json()
    }

    /// Starts it; [`Started::ends`] waits for it.
    pub fn starts(&self, arguments: &[&str]) -> Started {
        let mut command = self.program(arguments);
        Started(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Starts it in a terminal.
    pub fn sits_down(&self, arguments: &[&str]) -> Terminal {
        let own = self.own().map(|(name, value)| (name, value.to_str().unwrap()));
        Terminal::start(Path::new(PROGRAM), arguments, &own).unwrap()
    }
}

/// A program that runs.
pub struct Started(Child);

impl Started {
    /// Waits for its end.
    pub async fn ends(self) -> Ended {
        Ended::of(in_time(self.0.wait_with_output()).await.unwrap())
    }

    /// Waits until it says `text` on standard error.
    pub async fn says(&mut self, text: &str) {
        let mut lines = BufReader::new(self.0.stderr.as_mut().unwrap()).lines();
        let found = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains(text) {
                    return;
                }
            }
            panic!("it ended without a word of `{text}`");
        };
        in_time(found).await;
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        signal(self.0.id(), Signal::INT);
    }
}

/// Kills a process as the system does when there is no memory left: it notices nothing.
pub fn kill(process: Option<u32>) {
    signal(process, Signal::KILL);
}

/// Sends a signal.
pub fn signal(process: Option<u32>, signal: Signal) {
    let process = i32::try_from(process.unwrap()).unwrap();
    kill_process(Pid::from_raw(process).unwrap(), signal).unwrap();
}

/// Whether there is such a process, one that ended and that nobody asked after left out.
pub fn is_alive(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = status.rsplit(')').next().and_then(|rest| rest.split_whitespace().next().map(str::to_owned));
    state.is_some_and(|state| !matches!(&*state, "Z" | "X"))
}

/// Waits for what comes true by itself a moment later.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl World {
    /// Somebody at a command line. Sessions and commands run from now on, too: a program
    /// that only embeds the gateway cannot be the agent's helper.
    pub fn at_the_command_line(&self, who: &str) -> Person {
        let launcher = Launcher::new(quorate::config::environment());
        let launcher = launcher.through(PROGRAM.into(), vec![SUBCOMMAND.into()]);
        self.app().sessions.launch_with(launcher);
        Person::new(self.url(), self.token(who), self.folder().join(who))
    }

    /// The newest request of `who`.
    pub async fn newest(&self, who: &str) -> Answer {
        let look = async || {
            let mine = self.get(who, "requests?inbox=mine&limit=1").await.good();
            mine.body.pointer("/items/0").cloned()
        };
        let newest = self.eventually(&format!("a request of {who}"), look).await;
        self.request(newest["id"].as_str().unwrap()).await.good()
    }
}

/// A PostgreSQL of its own. There must be one: `tests/run` leaves the tests that need it out
/// where it cannot be had, and says so.
pub fn postgres() -> Postgres {
    let variable =
        |name: &str| quorate::config::environment().find(|(found, _)| found == name).map(|(_, value)| value);
    let named = variable("QUORATE_POSTGRES_BIN").map(PathBuf::from);
    let programs = postgres::find(named.as_deref(), variable("PATH").as_deref());
    Postgres::start(&programs.expect("no PostgreSQL with psql here: use tests/run")).unwrap()
}

/// Asks the database as its owner, beside the gateway.
pub fn query(postgres: &Postgres, sql: &str) -> String {
    let line = postgres.psql();
    let asked = std::process::Command::new(&line[0])
        .args(&line[1..])
        .args(["-X", "-A", "-t", "-c", sql])
        .env("PGPASSWORD", postgres.password())
        .env("PGAPPNAME", "the test")
        .output()
        .unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    String::from_utf8(asked.stdout).unwrap().trim().to_owned()
}
