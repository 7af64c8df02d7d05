//! Starting a command under a supervisor of its own.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::exec::SUBCOMMAND;
use super::message::{self, Plan, Report, Role, Streams};
use super::process::{self, Ends, Outputs, Process};
use super::user::User;
use super::{Mode, Size, Spec, pty};

/// How long a command may take from being asked for to running.
const START_MAX: Duration = Duration::from_secs(10);
/// Where commands are found if the gateway itself has no `PATH`.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The home of commands that run as the gateway's own user: its home is not theirs.
const NO_HOME: &str = "/nonexistent";
/// Many people work as one user, one after the other: what they asked a database for is not
/// kept in its home for the next. psql knows this file, and does not complain that there is no
/// home either.
const PSQL_HISTORY: (&str, &str) = ("PSQL_HISTORY", "/dev/null");
/// The longest name of a kind of terminal.
const TERM_BYTES_MAX: usize = 64;

/// What every command is started with.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
    user: Option<User>,
}

impl Launcher {
    /// Starts commands through this very program. Of the gateway's environment, commands get
    /// `PATH`, `LANG` and `LC_*`, and nothing else.
    pub fn new(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut kept: Vec<(String, String)> = environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| matches!(name.as_str(), "PATH" | "LANG") || name.starts_with("LC_"))
            .collect();
        if !kept.iter().any(|(name, _)| name == "PATH") {
            kept.push(("PATH".to_owned(), PATH_DEFAULT.to_owned()));
        }
        Self {
            program: Self::this_program(),
            arguments: vec![SUBCOMMAND.into()],
            environment: kept,
            user: None,
        }
    }

    /// Starts commands through `program`, which ends up in [`super::exec::main`] when it is
    /// called with `arguments`.
    #[must_use]
    pub fn through(mut self, program: PathBuf, arguments: Vec<OsString>) -> Self {
        self.program = program;
        self.arguments = arguments;
        self
    }

    /// Has commands run as `user`, in its home if that is there.
    #[must_use]
    pub fn run_as(mut self, user: User) -> Self {
        self.user = Some(user);
        self
    }

    /// This very program, even if its file was replaced since it started.
    pub(super) fn this_program() -> PathBuf {
        let link = PathBuf::from("/proc/self/exe");
        if link.exists() { link } else { std::env::current_exe().unwrap_or(link) }
    }

    fn environment(&self, spec: &Spec) -> Vec<(String, String)> {
        let mut environment = self.environment.clone();
        let home = self.user.as_ref().map_or(NO_HOME, User::home);
        environment
            .extend([("HOME", home), PSQL_HISTORY].map(|(name, value)| (name.to_owned(), value.to_owned())));
        if let Mode::Terminal { term, .. } = &spec.mode {
            environment.push(("TERM".to_owned(), known_term(term).to_owned()));
        }
        for (name, value) in &spec.env {
            environment.retain(|(other, _)| other != name);
            environment.push((name.clone(), value.expose().to_owned()));
        }
        environment
    }
}

/// `term` if it can be the name of a terminal; it comes from the client and becomes part of a
/// file's name.
fn known_term(term: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '.');
    let starts = term.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts && term.len() <= TERM_BYTES_MAX && term.chars().all(plain) { term } else { "dumb" }
}

/// Why a command does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is nothing to run.
    #[error("the resource has no command")]
    NoCommand,
    /// Something that no command line can hold.
    #[error("an argument of the command contains a zero byte")]
    BadArgument,
    /// Something that no environment can hold.
    #[error("`{}` cannot be the name of an environment variable with this value", .name.escape_debug())]
    BadVariable {
        /// Its name.
        name: String,
    },
    /// No such program.
    #[error("the program `{}` was not found", .program.escape_debug())]
    NotFound {
        /// As the resource names it.
        program: String,
    },
    /// A file that is no program, or not for us.
    #[error("the program `{}` cannot be executed by the user that sessions run as", .program.escape_debug())]
    NotExecutable {
        /// As the resource names it.
        program: String,
    },
    /// Anything else that the system says.
    #[error("the program `{}` could not be started", .program.escape_debug())]
    Failed {
        /// As the resource names it.
        program: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The command could not be given to its user.
    #[error("the gateway could not become the user `{user}`, as whom sessions run")]
    User {
        /// Its name.
        user: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Our own side of it did not work.
    #[error("the agent could not prepare a session")]
    Agent {
        /// What the system says.
        #[from]
        source: io::Error,
    },
    /// It was given up.
    #[error("the command did not start within {} seconds", START_MAX.as_secs())]
    TooSlow,
}

/// Starts a command. When this returns it is running, in a session of its own, with exactly
/// its environment.
///
/// Must be called within a tokio runtime. A call that is dropped halfway leaves nothing behind.
pub async fn start(launcher: &Launcher, spec: Spec) -> Result<(Process, Outputs), StartError> {
    check(&spec)?;
    let plan = Plan {
        role: Role::Supervise,
        env: launcher.environment(&spec),
        argv: spec.argv,
        terminal: matches!(spec.mode, Mode::Terminal { .. }),
        user: launcher.user.clone(),
    };
    let program = plan.argv.first().cloned().unwrap_or_default();
    let (ends, streams) = open(spec.mode)?;
    let running = tokio::time::timeout(START_MAX, supervise(launcher, &plan, streams));
    let (socket, child) = running.await.map_err(|_| StartError::TooSlow)?.map_err(|failed| match failed {
        Unstarted::Agent(source) => StartError::Agent { source },
        Unstarted::User(errno) => StartError::User {
            user: plan.user.as_ref().map_or(String::new(), |user| user.name().to_owned()),
            source: io::Error::from_raw_os_error(errno),
        },
        Unstarted::Command(errno) => match Errno::from_raw_os_error(errno) {
            Errno::NOENT => StartError::NotFound { program },
            Errno::ACCESS | Errno::NOEXEC | Errno::ISDIR => StartError::NotExecutable { program },
            _ => StartError::Failed { program, source: io::Error::from_raw_os_error(errno) },
        },
    })?;
    Ok(process::run(socket, child, ends)?)
}

/// Goes as far as starting a command goes before there is one, to learn now and not in
/// somebody's session whether the command's user, its terminal and a supervisor can be had.
pub async fn rehearse(launcher: &Launcher) -> Result<(), StartError> {
    // A folder, which is no program, to anybody.
    let mode = Mode::Terminal { size: Size::default(), term: "dumb".to_owned() };
    let spec = Spec { argv: vec!["/".to_owned()], env: Vec::new(), mode };
    match start(launcher, spec).await {
        Err(StartError::NotExecutable { .. }) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

fn check(spec: &Spec) -> Result<(), StartError> {
    match spec.argv.first() {
        None => return Err(StartError::NoCommand),
        Some(program) if program.is_empty() => return Err(StartError::NoCommand),
        Some(_) => {}
    }
    if spec.argv.iter().any(|argument| argument.contains('\0')) {
        return Err(StartError::BadArgument);
    }
    for (name, value) in &spec.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.expose().contains('\0') {
            return Err(StartError::BadVariable { name: name.clone() });
        }
    }
    Ok(())
}

/// Our ends of what the command reads and writes, and its own.
fn open(mode: Mode) -> io::Result<(Ends, Streams)> {
    match mode {
        Mode::Terminal { size, .. } => {
            let pty = pty::open(size)?;
            let theirs = OwnedFd::from(pty.theirs);
            let streams = [theirs.try_clone()?, theirs.try_clone()?, theirs];
            Ok((Ends::Terminal(pty.ours), streams))
        }
        Mode::Pipe { input } => {
            let (their_stdin, stdin) = io::pipe()?;
            let (stdout, their_stdout) = io::pipe()?;
            let (stderr, their_stderr) = io::pipe()?;
            let streams = [their_stdin.into(), their_stdout.into(), their_stderr.into()];
            Ok((
                Ends::Pipes { stdin: stdin.into(), input, stdout: stdout.into(), stderr: stderr.into() },
                streams,
            ))
        }
    }
}

enum Unstarted {
    Agent(io::Error),
    User(i32),
    Command(i32),
}

impl From<io::Error> for Unstarted {
    fn from(error: io::Error) -> Self {
        Self::Agent(error)
    }
}

/// Starts a supervisor and waits until it says that the command runs.
async fn supervise(
    launcher: &Launcher,
    plan: &Plan,
    streams: Streams,
) -> Result<(UnixStream, Child), Unstarted> {
    let (ours, theirs) = StdUnixStream::pair()?;
    // Not killed when dropped: the end of its socket makes it clean up, which a dead one cannot.
    let child = Command::new(&launcher.program)
        .arg0("quorate")
        .args(&launcher.arguments)
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A Ctrl-C in the gateway's own terminal is not for it.
        .process_group(0)
        .spawn()?;
    let (length, body) = message::encode(plan)?;
    message::send_streams(&ours, length, &streams)?;
    // From here on only the command holds its ends, and its end is seen as theirs.
    drop(streams);
    ours.set_nonblocking(true)?;
    let mut socket = UnixStream::from_std(ours)?;
    socket.write_all(&body).await?;
    match process::report(&mut socket).await? {
        Report::Started => Ok((socket, child)),
        Report::Failed { errno } => Err(Unstarted::Command(errno)),
        Report::NotSwitched { errno } => Err(Unstarted::User(errno)),
        Report::Exited { .. } => Err(Unstarted::Agent(io::Error::from(io::ErrorKind::InvalidData))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_a_terminal_becomes_one() {
        assert_eq!(known_term("xterm-256color"), "xterm-256color");
        for bad in ["", "../../etc/x", "-x", "a b", "a\u{1b}[2J", &"x".repeat(65)] {
            assert_eq!(known_term(bad), "dumb", "{bad:?}");
        }
    }
}
