//! The person's end of a session: their terminal, or the pipes in its place, and the frames
//! of `session::wire` on the other side.
//!
//! Whatever happens, a panic and a signal included, the terminal is left as it was found, and
//! the reason for the end is the last line on it.
//!
//! Not here: asking for access, opening the WebSocket, and exit codes other than the
//! command's own.

mod frames;
mod keyboard;
mod modes;
mod raw;
mod screen;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream, StreamExt, future};
use rustix::termios::{isatty, tcgetwinsize};
use tokio::signal::unix::{SignalKind, signal};

pub use frames::{Broken, Frames, frames};

use crate::agent::{Signal, Size};
use crate::session::wire::{EndReason, Ended, FromClient, FromGateway};
use keyboard::Keyboard;
use raw::RawMode;
use screen::Screen;

/// How long the gateway may take to agree that the connection is over.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// Standard input, output and error of the person.
#[derive(Debug)]
pub struct Terminal {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Terminal {
    /// Those of this process.
    pub fn of_process() -> io::Result<Self> {
        Ok(Self {
            stdin: io::stdin().as_fd().try_clone_to_owned()?,
            stdout: io::stdout().as_fd().try_clone_to_owned()?,
            stderr: io::stderr().as_fd().try_clone_to_owned()?,
        })
    }

    /// How large it is now; none where there is no terminal.
    pub fn size(&self) -> Option<Size> {
        let shown_on = [&self.stdout, &self.stdin, &self.stderr].into_iter().find(|file| isatty(file))?;
        let size = tcgetwinsize(shown_on).ok()?;
        // A terminal that does not know says 0.
        (size.ws_row > 0 && size.ws_col > 0).then(|| Size::new(size.ws_row, size.ws_col))
    }
}

/// What the command at the other end has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A terminal: what is typed goes there byte by byte.
    Interactive,
    /// The approved input and nothing else: nothing is read here. The frame that says which
    /// command it is was sent before [`run`].
    Command,
}

/// Why this end left before the session was over.
#[derive(Debug, thiserror::Error)]
pub enum Left {
    /// The program was told to end; 128 and the signal is the exit code for it.
    #[error("ended by signal {signal}")]
    Interrupted {
        /// The number of the signal.
        signal: i32,
    },
    /// Nobody reads the output any more, or the terminal is gone.
    #[error("the output cannot be written")]
    Output {
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The terminal cannot be used.
    #[error("the terminal cannot be used")]
    Terminal {
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Connects the person to a session until it ends, and says on the terminal why it did.
///
/// A connection that breaks is an end like any other: [`EndReason::ConnectionLost`].
pub async fn run<S, E>(terminal: Terminal, kind: Kind, socket: S) -> Result<Ended, Left>
where
    S: Stream<Item = Result<FromGateway, E>> + Sink<FromClient>,
    E: std::fmt::Display,
{
    let unusable = |source| Left::Terminal { source };
    // Before the terminal is touched: from here on no signal ends this program by itself.
    let leaving = leave().map_err(unusable)?;
    let size = terminal.size();
    let interactive = kind == Kind::Interactive;
    let raw = if interactive { RawMode::enter(&terminal.stdin).map_err(unusable)? } else { None };
    let mut screen = Screen::new(&terminal, raw.is_some()).map_err(unusable)?;
    let (mut sink, frames) = socket.split();
    let result = {
        let keyboard = if interactive { Some(Keyboard::start(terminal.stdin.try_clone())) } else { None };
        let keyboard = keyboard.transpose().map_err(unusable)?;
        let speaking = speak(&mut sink, &terminal, keyboard, size).map_err(unusable)?;
        tokio::select! {
            biased;
            ended = show(frames, &mut screen) => ended.map_err(|source| Left::Output { source }),
            signal = leaving => Err(Left::Interrupted { signal }),
            never = speaking => match never {},
        }
    };
    // What was typed and not sent is thrown away with the raw mode, not left for the shell.
    drop(raw);
    let last_words = match &result {
        Ok(ended) => screen.last_words(ended).await,
        Err(_) => screen.restore().await,
    };
    let _ = tokio::time::timeout(CLOSE_MAX, sink.close()).await;
    last_words.map_err(|source| Left::Output { source })?;
    result
}

/// Shows what comes, up to the last frame.
async fn show<S, E>(mut frames: S, screen: &mut Screen) -> io::Result<Ended>
where
    S: Stream<Item = Result<FromGateway, E>> + Unpin,
    E: std::fmt::Display,
{
    loop {
        match frames.next().await {
            Some(Ok(FromGateway::Stdout(bytes))) => screen.stdout(&bytes).await?,
            Some(Ok(FromGateway::Stderr(bytes))) => screen.stderr(&bytes).await?,
            Some(Ok(FromGateway::Notice(text))) => screen.notice(&text).await?,
            Some(Ok(FromGateway::Ended(ended))) => return Ok(ended),
            Some(Err(error)) => return Ok(lost(format!("the connection to the gateway broke: {error}"))),
            None => return Ok(lost("the gateway closed the connection".to_owned())),
        }
    }
}

fn lost(message: String) -> Ended {
    Ended { reason: EndReason::ConnectionLost, message, exit_code: None }
}

/// Sends what is typed, the size when it changes, and Ctrl-C where it is not typed. Never
/// ends: a connection that breaks is seen by the side that reads.
fn speak<'a, S: Sink<FromClient> + Unpin>(
    sink: &'a mut S,
    terminal: &'a Terminal,
    keyboard: Option<Keyboard>,
    size: Option<Size>,
) -> io::Result<impl Future<Output = Infallible> + 'a> {
    let mut resized = signal(SignalKind::window_change())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let interactive = keyboard.is_some();
    let mut keyboard = keyboard;
    let mut next = size.filter(|_| interactive).map(FromClient::Resize);
    Ok(async move {
        loop {
            if let Some(frame) = next.take()
                && sink.send(frame).await.is_err()
            {
                return future::pending().await;
            }
            tokio::select! {
                typed = typed(&mut keyboard) => {
                    next = Some(typed.map_or(FromClient::EndOfInput, FromClient::Input));
                    if next == Some(FromClient::EndOfInput) {
                        keyboard = None;
                    }
                }
                _ = resized.recv(), if interactive => next = terminal.size().map(FromClient::Resize),
                _ = interrupted.recv() => next = Some(FromClient::Signal(Signal::Int)),
            }
        }
    })
}

async fn typed(keyboard: &mut Option<Keyboard>) -> Option<tokio_util::bytes::Bytes> {
    match keyboard {
        Some(keyboard) => keyboard.next().await,
        None => future::pending().await,
    }
}

/// The signal that makes this program leave. The first Ctrl-C is the command's; who presses it
/// again wants to go.
fn leave() -> io::Result<impl Future<Output = i32>> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut ended = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    Ok(async move {
        let twice = async {
            interrupted.recv().await;
            interrupted.recv().await;
        };
        let kind = tokio::select! {
            () = twice => SignalKind::interrupt(),
            _ = ended.recv() => SignalKind::terminate(),
            _ = hung_up.recv() => SignalKind::hangup(),
            _ = quit.recv() => SignalKind::quit(),
        };
        kind.as_raw_value()
    })
}
