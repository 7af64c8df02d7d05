//! The one program: gateway, command line, and the embedded agent's helper process.

use std::process::ExitCode;

use quorate::{agent, cli};

fn main() -> ExitCode {
    // The helper of a session sets up nothing of its own: it is about to become the command.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == agent::exec::SUBCOMMAND) {
        return agent::exec::main();
    }
    // Two providers are linked, so that one must be named before the first connection. An error
    // says that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::main()
}
