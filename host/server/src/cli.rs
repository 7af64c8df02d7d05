//! The command line: from words typed to a verb, and from its end to an exit code.
//!
//! | file | is |
//! |---|---|
//! | `client`, `events`, `view` | the gateway's answers, and the choke point that cleans what is shown |
//! | `credentials`, `environment` | who asks, and where the gateway is |
//! | `wait`, `run`, `terminal` | waiting for a decision, and the session after it |
//! | `screen`, `words`, `exit`, `bar` | what people and programs see |
//! | the others | one verb each |
//!
//! Not here: any rule about who may do what. The gateway says that.

mod admin;
mod audit;
mod bar;
pub(crate) mod client;
mod connect;
mod credentials;
mod decisions;
mod environment;
mod events;
mod exec;
pub(crate) mod exit;
mod facts;
mod login;
mod policy;
mod requests;
mod run;
mod screen;
mod serve;
mod sessions;
mod since;
mod takes;
pub mod terminal;
mod view;
mod wait;
mod words;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::clock::Clock;
use client::Gateway;
use credentials::{Choice, Store};
use environment::Environment;
use exit::{Ending, Exit, Failure};
use screen::Screen;

/// Access that people ask for and other people approve
///
/// Quorate is an access gateway. People ask for just-in-time access to a database, a server or a
/// command; others approve; the gateway opens the session and ends it on time. The rules that
/// decide who must approve are WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, after_help = closing(), max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    /// The gateway's address [default: where you signed in] [env: `QUORATE_URL`]
    #[arg(long, global = true, value_name = "URL", help_heading = "Everywhere")]
    url: Option<String>,
    /// JSON on standard output; errors and progress as JSON on standard error
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Connect(connect::Connect),
    Exec(exec::Exec),
    #[command(subcommand)]
    Requests(requests::Requests),
    #[command(subcommand)]
    Sessions(sessions::Sessions),
    Login(login::Login),
    /// Sign out: the token stops working
    Logout,
    /// Say who you are
    Me,
    #[command(subcommand)]
    Admin(admin::Admin),
    #[command(subcommand)]
    Policy(policy::Policy),
    #[command(subcommand)]
    Decisions(decisions::Decisions),
    #[command(subcommand)]
    Facts(facts::Facts),
    #[command(subcommand)]
    Audit(audit::Audit),
    Serve(Box<serve::Serve>),
    Setup(login::Setup),
    Demo(crate::demo::Demo),
    /// Print a script that completes commands in your shell
    #[command(after_help = "\
Examples:
  quorate completions bash > ~/.local/share/bash-completion/completions/quorate
  quorate completions zsh > ~/.zfunc/_quorate
  quorate completions fish > ~/.config/fish/completions/quorate.fish")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// What every verb works with.
#[derive(Debug)]
struct Context {
    screen: Screen,
    environment: Environment,
    clock: Clock,
    choice: Choice,
}

impl Context {
    /// The gateway, as whoever is signed in.
    fn gateway(&self) -> Result<Gateway, Failure> {
        // With both said outright, the file need not even be readable.
        if self.choice.url.is_some() && self.choice.token.is_some() {
            return self.choice.gateway(None);
        }
        let stored = match Store::of(&self.environment) {
            Ok(store) => store.load()?,
            Err(_) => None,
        };
        self.choice.gateway(stored.as_ref())
    }

    #[cfg(test)]
    fn for_tests() -> Self {
        Self {
            screen: Screen::plain(),
            environment: Environment::default(),
            clock: Clock::manual(quorate_core::Timestamp::from_second(1).unwrap()).0,
            choice: Choice::default(),
        }
    }
}

/// The program, from here on.
pub fn main() -> ExitCode {
    let environment = Environment::of_process();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error, &environment),
    };
    let screen = Screen::of_process(cli.json, &environment);
    let choice = Choice::new(cli.url.as_deref(), &environment);
    let context = Context { screen, environment, clock: Clock::system(), choice };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return end(&context.screen, Err(Failure::failed(format!("no threads to work with: {error}"))));
        }
    };
    let ending = runtime.block_on(cli.verb.run(&context));
    // What still waits, such as a read of standard input, is not waited for.
    runtime.shutdown_background();
    end(&context.screen, ending)
}

fn end(screen: &Screen, ending: Ending) -> ExitCode {
    match ending {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            screen.fail(&failure);
            ExitCode::from(failure.exit.code())
        }
    }
}

impl Verb {
    async fn run(self, context: &Context) -> Ending {
        match self {
            Self::Connect(connect) => connect.run(context).await,
            Self::Exec(exec) => exec.run(context).await,
            Self::Requests(requests) => requests.run(context).await,
            Self::Sessions(sessions) => sessions.run(context).await,
            Self::Login(login) => login.run(context).await,
            Self::Logout => login::logout(context).await,
            Self::Me => login::me(context).await,
            Self::Admin(admin) => admin.run(context).await,
            Self::Policy(policy) => policy.run(context).await,
            Self::Decisions(decisions) => decisions.run(context).await,
            Self::Facts(facts) => facts.run(context).await,
            Self::Audit(audit) => audit.run(context).await,
            Self::Serve(serve) => serve.run(context).await,
            Self::Setup(setup) => setup.run(context).await,
            Self::Demo(demo) => {
                let good = demo.run(context.environment.get("PATH").map(std::ffi::OsStr::to_owned)).await;
                match good {
                    Ok(true) => Ok(0),
                    Ok(false) => Ok(1),
                    Err(error) => Err(Failure::failed(format!("{error:#}"))),
                }
            }
            Self::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "quorate", &mut script);
                context.screen.print(&String::from_utf8_lossy(&script));
                Ok(0)
            }
        }
    }
}

/// Help and version go to standard output; everything else is one line that says what to do.
fn not_understood(error: &clap::Error, environment: &Environment) -> ExitCode {
    let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if help || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // Whoever asked got it; whoever left out a verb is told which there are.
        let _ = error.print();
        return ExitCode::from(if help { 0 } else { Exit::Usage.code() });
    }
    let json = std::env::args_os().any(|word| word == "--json");
    end(&Screen::of_process(json, environment), Err(Failure::usage(one_line(&error.render().to_string()))))
}

/// An error of the parser on one line, with the way to the right help.
fn one_line(rendered: &str) -> String {
    let mut said = Vec::new();
    let mut usage = "";
    for line in rendered.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(form) = line.strip_prefix("Usage: ") {
            usage = form;
            break;
        }
        said.push(line.strip_prefix("error: ").unwrap_or(line));
    }
    said.retain(|line| !line.starts_with("For more information"));
    // The words before the first that stands for something else name the command.
    let is_word =
        |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
    let command: Vec<&str> = usage.split_whitespace().take_while(is_word).collect();
    let said = said.join(" ");
    // A wrong value comes with what is right, and without a usage.
    if command.is_empty() { said } else { format!("{said}: see `{} --help`", command.join(" ")) }
}

fn closing() -> String {
    let mut text = "\
Examples:
  quorate login --url https://quorate.example.org
  quorate connect prod-postgres --duration 2h --reason 'fix invoice 4711'
  quorate exec prod-postgres -i 'select 1'
  quorate requests list --inbox waiting
  quorate requests approve 7k2m… --comment ok

Exit codes:
    0  done; for `connect` and `exec` the command's own code passes through\n"
        .to_owned();
    for (exit, meaning) in Exit::ALL {
        let _ = writeln!(text, "  {:>3}  {meaning}", exit.code());
    }
    text.push_str(
        "
Environment:
  QUORATE_URL, QUORATE_TOKEN  the gateway and a token, instead of those of `quorate login`
  NO_COLOR                    no colours",
    );
    text
}

#[cfg(test)]
mod tests;
