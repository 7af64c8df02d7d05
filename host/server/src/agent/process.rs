//! A running command, seen from the gateway.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Pid;
use rustix::termios::{SpecialCodeIndex, tcgetattr, tcgetpgrp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::sync::{mpsc, watch};
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::exec::GRACE;
use super::message::{self, Order, Report};
use super::{Exit, Output, Signal, Size, pty};

/// What is read from a command at once. Together with the queue, this is all that one session
/// holds for a client that does not keep up: 256 KiB.
const CHUNK_BYTES_MAX: usize = 16 * 1024;
/// How many chunks wait for the client, and how many of its messages for the command.
const QUEUE_MAX: usize = 16;
/// How long a supervisor may take to end everything before it is killed itself.
const END_MAX: Duration = GRACE.saturating_add(Duration::from_secs(2));
/// How often a terminal is told again that its input has ended.
const END_AGAIN: Duration = Duration::from_secs(1);
/// How long output may still be on its way when every writer is gone.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Our ends of what a command reads and writes.
pub(super) enum Ends {
    Terminal(OwnedFd),
    Pipes { stdin: OwnedFd, input: Vec<u8>, stdout: OwnedFd, stderr: OwnedFd },
}

/// A running command. Copies are the same command; it is killed when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Process {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    orders: mpsc::Sender<Order>,
    /// None where the input is fixed.
    pub(super) input: Option<mpsc::Sender<Input>>,
    terminal: Option<Arc<OwnedFd>>,
    killed: CancellationToken,
    exit: watch::Receiver<Option<Exit>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.killed.cancel();
    }
}

/// What the command writes, in order.
#[derive(Debug)]
pub struct Outputs {
    pub(super) queue: mpsc::Receiver<Output>,
    killed: CancellationToken,
}

/// The command does not read any more, or never did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the command takes no input")]
pub struct Closed;

#[derive(Debug)]
pub(super) enum Input {
    Bytes(Bytes),
    End,
}

impl Process {
    /// Hands `bytes` to the command's terminal. Waits while the command does not read.
    pub async fn write(&self, bytes: Bytes) -> Result<(), Closed> {
        self.send(Input::Bytes(bytes)).await
    }

    /// Tells a command in a terminal that nothing more comes, as Ctrl-D does.
    pub async fn end_input(&self) -> Result<(), Closed> {
        self.send(Input::End).await
    }

    async fn send(&self, input: Input) -> Result<(), Closed> {
        let queue = self.shared.input.as_ref().ok_or(Closed)?;
        tokio::select! {
            biased;
            () = self.shared.killed.cancelled() => Err(Closed),
            sent = queue.send(input) => sent.map_err(|_| Closed),
        }
    }

    /// Changes the size of the terminal, if there is one.
    pub fn resize(&self, size: Size) {
        if let Some(terminal) = &self.shared.terminal {
            // A terminal whose command has just ended has no size.
            let _ = pty::resize(terminal.as_fd(), size);
        }
    }

    /// Sends a signal to what runs in the foreground. Does nothing once the command has ended.
    pub fn signal(&self, signal: Signal) {
        let foreground = self.shared.terminal.as_ref().and_then(|terminal| tcgetpgrp(terminal.as_fd()).ok());
        let group = foreground.map(|group| Pid::as_raw(Some(group)));
        // Dropped where so many are already waiting to be sent.
        let _ = self.shared.orders.try_send(Order::Signal { signal, group });
    }

    /// Ends the session. From this call on, [`Outputs::next`] gives nothing, and nothing that
    /// is written reaches the command; the processes follow within a moment, and
    /// [`Process::wait`] says when.
    pub fn kill(&self) {
        self.shared.killed.cancel();
    }

    /// How the command ended, as soon as it and everything it started is gone. It may have
    /// written something that is still to be read.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.shared.exit.clone();
        let ended = exit.wait_for(Option::is_some).await.map(|exit| *exit);
        ended.ok().flatten().unwrap_or(LOST)
    }
}

/// What is said of a command whose supervisor is gone: it was killed along with it.
const LOST: Exit = Exit { code: None, signal: Some(9) };

impl Outputs {
    /// The next piece; none at the end, and none from the moment the session was killed.
    pub async fn next(&mut self) -> Option<Output> {
        tokio::select! {
            biased;
            () = self.killed.cancelled() => None,
            output = self.queue.recv() => output.filter(|_| !self.killed.is_cancelled()),
        }
    }
}

/// Takes over a command that has just started.
pub(super) fn run(socket: UnixStream, child: Child, ends: Ends) -> io::Result<(Process, Outputs)> {
    let killed = CancellationToken::new();
    let gone = CancellationToken::new();
    let (orders, order_queue) = mpsc::channel(QUEUE_MAX);
    let (output, output_queue) = mpsc::channel(QUEUE_MAX);
    let (exit, exit_seen) = watch::channel(None);
    let read = |file, wrap: fn(Bytes) -> Output| {
        let reader = Reader { file, wrap, queue: output.clone(), gone: gone.clone() };
        tokio::spawn(killed.clone().run_until_cancelled_owned(reader.run(killed.clone())));
    };
    let (terminal, input) = match ends {
        Ends::Terminal(file) => {
            let (input, queue) = mpsc::channel(QUEUE_MAX);
            let terminal = Arc::new(file.try_clone()?);
            read(readable(file.try_clone()?)?, Output::Stdout);
            let typing = type_in(writable(file)?, terminal.clone(), queue);
            tokio::spawn(killed.clone().run_until_cancelled_owned(typing));
            (Some(terminal), Some(input))
        }
        Ends::Pipes { stdin, input, stdout, stderr } => {
            read(readable(stdout)?, Output::Stdout);
            read(readable(stderr)?, Output::Stderr);
            let mut stdin = writable(stdin)?;
            tokio::spawn(killed.clone().run_until_cancelled_owned(async move {
                // A command that does not read all of its input is none of our business.
                let _ = stdin.write_all(&input).await;
            }));
            (None, None)
        }
    };
    tokio::spawn(watch_over(socket, child, order_queue, killed.clone(), exit, gone));
    let shared = Shared { orders, input, terminal, killed: killed.clone(), exit: exit_seen };
    Ok((Process { shared: Arc::new(shared) }, Outputs { queue: output_queue, killed }))
}

/// A pipe or a terminal to read from: to the runtime they are alike.
fn readable(file: OwnedFd) -> io::Result<pipe::Receiver> {
    fcntl_setfl(&file, fcntl_getfl(&file)? | OFlags::NONBLOCK)?;
    pipe::Receiver::from_owned_fd_unchecked(file)
}

/// A pipe or a terminal to write to.
fn writable(file: OwnedFd) -> io::Result<pipe::Sender> {
    fcntl_setfl(&file, fcntl_getfl(&file)? | OFlags::NONBLOCK)?;
    pipe::Sender::from_owned_fd_unchecked(file)
}

/// The next report of a supervisor.
pub(super) async fn report(socket: &mut UnixStream) -> io::Result<Report> {
    let mut head = [0; 4];
    socket.read_exact(&mut head).await?;
    let mut body = vec![0; message::length(head)?];
    socket.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body)?)
}

/// Passes orders on and waits for the end. Its end of the socket is what keeps the supervisor
/// from ending everything.
async fn watch_over(
    socket: UnixStream,
    mut child: Child,
    mut orders: mpsc::Receiver<Order>,
    killed: CancellationToken,
    exit: watch::Sender<Option<Exit>>,
    gone: CancellationToken,
) {
    let (mut reading, mut writing) = socket.into_split();
    // The task that reads is one of its own, because half a report must not be lost.
    let reports = tokio::spawn(async move {
        let mut last = None;
        let mut head = [0; 4];
        while reading.read_exact(&mut head).await.is_ok() {
            let Ok(length) = message::length(head) else { break };
            let mut body = vec![0; length];
            if reading.read_exact(&mut body).await.is_err() {
                break;
            }
            if let Ok(Report::Exited { code, signal }) = serde_json::from_slice(&body) {
                last = Some(Exit { code, signal });
            }
        }
        last
    });
    let mut ended = tokio::select! {
        biased;
        () = killed.cancelled() => false,
        () = pass_on(&mut writing, &mut orders) => false,
        _ = child.wait() => true,
    };
    if !ended {
        // Half-closed: the supervisor sees the end and can still say how the command ended.
        let _ = writing.shutdown().await;
        ended = tokio::time::timeout(END_MAX, child.wait()).await.is_ok();
    }
    if !ended {
        tracing::warn!("a session's supervisor did not end and was killed");
        let _ = child.kill().await;
    }
    let last = reports.await.ok().flatten();
    gone.cancel();
    exit.send_replace(Some(last.unwrap_or(LOST)));
}

/// Ends only when the supervisor does not listen any more.
async fn pass_on(socket: &mut OwnedWriteHalf, orders: &mut mpsc::Receiver<Order>) {
    while let Some(order) = orders.recv().await {
        let Ok((length, body)) = message::encode(&order) else { continue };
        if socket.write_all(&[&length[..], &body].concat()).await.is_err() {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// Reads what the command writes into the queue, no faster than the client takes it out.
struct Reader {
    file: pipe::Receiver,
    wrap: fn(Bytes) -> Output,
    queue: mpsc::Sender<Output>,
    /// Everything that the supervisor knew of has ended.
    gone: CancellationToken,
}

impl Reader {
    async fn run(mut self, killed: CancellationToken) {
        let mut chunk = vec![0; CHUNK_BYTES_MAX];
        // The end of a terminal is an error (EIO), that of a pipe is nothing read.
        while let Ok(length @ 1..) = self.read(&mut chunk).await {
            let piece = (self.wrap)(Bytes::copy_from_slice(&chunk[..length]));
            if self.queue.send(piece).await.is_err() {
                // Nobody will ever read: the client is gone.
                killed.cancel();
                return;
            }
        }
    }

    async fn read(&mut self, chunk: &mut [u8]) -> io::Result<usize> {
        // A process that escaped may hold the other end open for ever.
        let escaped = async {
            self.gone.cancelled().await;
            tokio::time::sleep(DRAIN_MAX).await;
        };
        tokio::select! {
            biased;
            result = self.file.read(chunk) => result,
            () = escaped => Ok(0),
        }
    }
}

/// Writes what the client types.
async fn type_in(mut keyboard: pipe::Sender, terminal: Arc<OwnedFd>, mut queue: mpsc::Receiver<Input>) {
    let (mut at_line_start, mut ended) = (true, false);
    loop {
        // Input that has ended stays so, as on a pipe. A terminal forgets it, though, where
        // the program was not reading yet, or starts another that reads.
        let again = async {
            if !ended {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(END_AGAIN).await;
        };
        let input = tokio::select! {
            input = queue.recv() => match input {
                Some(input) => input,
                None => return,
            },
            () = again => Input::End,
        };
        ended |= matches!(input, Input::End);
        let bytes = match input {
            Input::Bytes(bytes) => bytes,
            Input::End => end_of_input(&terminal, at_line_start),
        };
        if keyboard.write_all(&bytes).await.is_err() {
            return;
        }
        if let Some(last) = bytes.last() {
            at_line_start = ended || matches!(last, b'\n' | b'\r');
        }
    }
}

/// What a person types to end the input. Within a line, the first only hands over the line.
fn end_of_input(terminal: &OwnedFd, at_line_start: bool) -> Bytes {
    let modes = tcgetattr(terminal);
    let end = modes.map_or(4, |modes| modes.special_codes[SpecialCodeIndex::VEOF]);
    Bytes::from(vec![end; if at_line_start { 1 } else { 2 }])
}
