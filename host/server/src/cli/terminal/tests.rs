//! A person at a real terminal: the tests hold its other end.

mod clients;
mod sockets;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::termios::{LocalModes, Termios, tcgetattr};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_util::bytes::Bytes;

use super::*;
use crate::agent::pty;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection whose other end is in the test's hands.
struct Line {
    frames: UnboundedReceiver<Result<FromGateway, String>>,
    sent: UnboundedSender<FromClient>,
    /// Whether it takes what is sent.
    flows: bool,
}

impl Stream for Line {
    type Item = Result<FromGateway, String>;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.frames.poll_recv(context)
    }
}

impl Sink<FromClient> for Line {
    type Error = ();
    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        if self.flows { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
    fn start_send(self: Pin<&mut Self>, frame: FromClient) -> Result<(), ()> {
        self.sent.send(frame).map_err(|_| ())
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }
}

fn line(flows: bool) -> (Line, UnboundedSender<Result<FromGateway, String>>, UnboundedReceiver<FromClient>) {
    let ((gateway, frames), (sent, arrived)) = (unbounded_channel(), unbounded_channel());
    (Line { frames, sent, flows }, gateway, arrived)
}

/// A person, their terminal, and the gateway.
struct Person {
    hands: File,
    eyes: pipe::Receiver,
    terminal: OwnedFd,
    before: Termios,
    gateway: UnboundedSender<Result<FromGateway, String>>,
    arrived: UnboundedReceiver<FromClient>,
    running: JoinHandle<Result<Ended, Left>>,
}

fn on(file: &OwnedFd) -> Terminal {
    let copy = || file.try_clone().unwrap();
    Terminal { stdin: copy(), stdout: copy(), stderr: copy() }
}

fn open() -> (File, pipe::Receiver, OwnedFd) {
    let pty = pty::open(Size::new(24, 80)).unwrap();
    let reading = pty.ours.try_clone().unwrap();
    rustix::io::ioctl_fionbio(&reading, true).unwrap();
    (File::from(pty.ours), pipe::Receiver::from_owned_fd_unchecked(reading).unwrap(), pty.theirs.into())
}

impl Person {
    async fn sits_down(flows: bool) -> Self {
        let (hands, eyes, terminal) = open();
        let before = tcgetattr(&terminal).unwrap();
        let (line, gateway, arrived) = line(flows);
        let running = tokio::spawn(run(on(&terminal), Kind::Interactive, line));
        let person = Self { hands, eyes, terminal, before, gateway, arrived, running };
        eventually("raw mode", || is_raw(&person.terminal)).await;
        person
    }

    fn receives(&self, frame: FromGateway) {
        self.gateway.send(Ok(frame)).unwrap();
    }

    fn types(&mut self, text: &str) {
        self.hands.write_all(text.as_bytes()).unwrap();
    }

    async fn sends(&mut self) -> FromClient {
        in_time("a frame", self.arrived.recv()).await.unwrap()
    }

    async fn sees(&mut self, wanted: &str) -> String {
        sees(&mut self.eyes, wanted).await
    }

    async fn ends(&mut self) -> Result<Ended, Left> {
        let ended = in_time("the end", &mut self.running).await.unwrap();
        assert_eq!(format!("{:?}", tcgetattr(&self.terminal).unwrap()), format!("{:?}", self.before));
        ended
    }
}

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("gave up on {what}"))
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "gave up on: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn sees(eyes: &mut pipe::Receiver, wanted: &str) -> String {
    let mut seen = String::new();
    let mut chunk = [0; 1024];
    while !seen.contains(wanted) {
        let length = in_time(&format!("`{wanted}` after `{seen}`"), eyes.read(&mut chunk)).await.unwrap();
        seen.push_str(&String::from_utf8_lossy(&chunk[..length]));
    }
    seen
}

fn is_raw(terminal: &OwnedFd) -> bool {
    !tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ICANON)
}

fn ended(reason: EndReason, message: &str, exit_code: Option<i32>) -> Ended {
    Ended { reason, message: message.to_owned(), exit_code }
}

#[tokio::test]
async fn each_byte_goes_to_the_gateway_as_it_is_typed() {
    let mut person = Person::sits_down(true).await;
    assert_eq!(person.sends().await, FromClient::Resize(Size::new(24, 80)));
    person.types("\x03\x1bü\r");
    let mut typed = Vec::new();
    while typed.len() < 5 {
        let FromClient::Input(bytes) = person.sends().await else { continue };
        typed.extend(bytes);
    }
    assert_eq!(typed, "\x03\x1bü\r".as_bytes());
    person.receives(FromGateway::Ended(ended(EndReason::Exited, "", Some(7))));
    assert_eq!(person.ends().await.unwrap().exit_code, Some(7));
}

#[tokio::test]
async fn t2_the_reason_for_the_end_is_the_last_line_and_steers_no_terminal() {
    let mut person = Person::sits_down(true).await;
    person.receives(FromGateway::Stdout(Bytes::from_static(b"prod=> ")));
    let end = ended(EndReason::Revoked, "revoked by root: \x1b[2Jno\nmore", None);
    person.receives(FromGateway::Ended(end.clone()));
    assert_eq!(person.ends().await.unwrap(), end);
    assert_eq!(person.sees("more\r\n").await, "prod=> \r\nquorate: revoked by root: [2Jno ⏎ more\r\n");
}

#[tokio::test]
async fn the_terminal_of_a_killed_pager_is_put_back_before_the_reason_is_shown() {
    let mut person = Person::sits_down(true).await;
    person.receives(FromGateway::Stdout(Bytes::from_static(b"\x1b[?1049h\x1b[?25lpage\n")));
    person.receives(FromGateway::Ended(ended(EndReason::Expired, "the grant has ended", None)));
    person.ends().await.unwrap();
    let seen = person.sees("ended\r\n").await;
    assert!(seen.ends_with("\x1b[?25h\x1b[?1049lquorate: the grant has ended\r\n"), "{seen:?}");
}

#[tokio::test]
async fn a_notice_stands_on_a_line_of_its_own() {
    let mut person = Person::sits_down(true).await;
    person.receives(FromGateway::Stdout(Bytes::from_static(b"prod=> ")));
    person.receives(FromGateway::Notice("the grant ends in 5 minutes\x07".to_owned()));
    assert_eq!(person.sees("minutes\r\n").await, "prod=> \r\nquorate: the grant ends in 5 minutes\r\n");
    person.receives(FromGateway::Ended(ended(EndReason::Exited, "", Some(0))));
    person.ends().await.unwrap();
}

#[tokio::test]
async fn d5_what_is_typed_after_the_end_goes_nowhere() {
    // The connection does not flow, so that what is pasted piles up on all the way.
    let mut person = Person::sits_down(false).await;
    let mut taken = Instant::now();
    while taken.elapsed() < Duration::from_millis(300) {
        // In part is enough: nobody is meant to read it.
        match person.hands.write(b"drop table users;\n") {
            Ok(1..) => taken = Instant::now(),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    person.receives(FromGateway::Ended(ended(EndReason::Expired, "over", None)));
    person.ends().await.unwrap();
    assert!(person.arrived.recv().await.is_none());
    assert_eq!(rustix::io::ioctl_fionread(&person.terminal).unwrap(), 0, "left for the person's shell");
}

#[tokio::test]
async fn a_new_size_is_sent() {
    let mut person = Person::sits_down(true).await;
    person.sends().await;
    pty::resize(&person.terminal, Size::new(50, 132)).unwrap();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::WINCH).unwrap();
    while person.sends().await != FromClient::Resize(Size::new(50, 132)) {}
    person.receives(FromGateway::Ended(ended(EndReason::Exited, "", Some(0))));
    person.ends().await.unwrap();
}

#[tokio::test]
async fn t3_a_connection_that_breaks_is_said_and_leaves_the_terminal_whole() {
    let mut person = Person::sits_down(true).await;
    person.gateway.send(Err("reset by peer".to_owned())).unwrap();
    assert_eq!(person.ends().await.unwrap().reason, EndReason::ConnectionLost);
    person.sees("quorate: the connection to the gateway broke: reset by peer\r\n").await;

    let mut person = Person::sits_down(true).await;
    let (other, _) = unbounded_channel();
    drop(std::mem::replace(&mut person.gateway, other));
    assert_eq!(person.ends().await.unwrap().reason, EndReason::ConnectionLost);
    person.sees("quorate: the gateway closed the connection\r\n").await;
}

/// Pipes in the place of a terminal: what was given, and what came out on both.
async fn through_pipes(
    kind: Kind,
    input: &[u8],
    frames: Vec<FromGateway>,
) -> (Vec<FromClient>, String, String) {
    let ((stdin, mut typing), (mut out, stdout), (mut err, stderr)) =
        (io::pipe().unwrap(), io::pipe().unwrap(), io::pipe().unwrap());
    typing.write_all(input).unwrap();
    drop(typing);
    let (line, gateway, mut arrived) = line(true);
    let terminal = Terminal { stdin: stdin.into(), stdout: stdout.into(), stderr: stderr.into() };
    let running = tokio::spawn(run(terminal, kind, line));
    let mut sent = Vec::new();
    while kind == Kind::Interactive && sent.last() != Some(&FromClient::EndOfInput) {
        sent.push(in_time("a frame", arrived.recv()).await.unwrap());
    }
    for frame in frames {
        gateway.send(Ok(frame)).unwrap();
    }
    in_time("the end", running).await.unwrap().unwrap();
    while let Some(frame) = arrived.recv().await {
        sent.push(frame);
    }
    let (mut stdout, mut stderr) = (String::new(), String::new());
    out.read_to_string(&mut stdout).unwrap();
    err.read_to_string(&mut stderr).unwrap();
    (sent, stdout, stderr)
}

fn some_output() -> Vec<FromGateway> {
    vec![
        FromGateway::Stdout(Bytes::from_static(b"\x1b[?1049hrow")),
        FromGateway::Stderr(Bytes::from_static(b"careful\n")),
        FromGateway::Ended(ended(EndReason::GatewayStopped, "the gateway is going down", None)),
    ]
}

#[tokio::test]
async fn without_a_terminal_everything_is_piped_as_it_is() {
    let (sent, stdout, stderr) = through_pipes(Kind::Interactive, b"select 1;\n", some_output()).await;
    let typed = FromClient::Input(Bytes::from_static(b"select 1;\n"));
    assert_eq!(sent, [typed, FromClient::EndOfInput]);
    assert_eq!(stdout, "\x1b[?1049hrow");
    assert_eq!(stderr, "careful\nquorate: the gateway is going down\n");
}

#[tokio::test]
async fn t5_a_command_is_given_nothing_that_was_not_approved() {
    let (sent, stdout, _) = through_pipes(Kind::Command, b"drop table users;\n", some_output()).await;
    assert_eq!((sent, stdout.as_str()), (Vec::new(), "\x1b[?1049hrow"));
}

#[tokio::test]
async fn a_reader_that_went_away_ends_it() {
    let (_, stdout) = io::pipe().unwrap();
    let (nothing, _) = io::pipe().unwrap();
    let terminal = Terminal {
        stdin: nothing.into(),
        stdout: stdout.into(),
        stderr: File::options().write(true).open("/dev/null").unwrap().into(),
    };
    let (line, gateway, _arrived) = line(true);
    gateway.send(Ok(FromGateway::Stdout(Bytes::from_static(b"row\n")))).unwrap();
    let left = in_time("the end", run(terminal, Kind::Command, line)).await.unwrap_err();
    assert!(matches!(left, Left::Output { .. }), "{left:?}");
}
