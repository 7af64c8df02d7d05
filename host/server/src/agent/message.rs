//! What the gateway, a supervisor and a command about to start say to each other: four bytes
//! of length, then JSON. Files travel beside the length of a plan.
//!
//! Both ends are always the same build of this program (see `Launcher::this_program`), so
//! there are no versions here.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Signal;
use super::user::User;

/// The longest message: more than the kernel takes as arguments and environment.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Standard input, output and error of the command.
pub(super) type Streams = [OwnedFd; 3];

/// What to run. No `Debug`: it holds the secrets.
#[derive(Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) role: Role,
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// Whether the streams are a terminal that the command is to control.
    pub(super) terminal: bool,
    /// Whom the command runs as; none: whoever runs the gateway.
    pub(super) user: Option<User>,
}

/// Which of its two parts the wrapper plays.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum Role {
    /// Start the command and watch over it.
    Supervise,
    /// Become the command, unless the supervisor with this process id is gone.
    Become { supervisor: i32 },
}

/// From the gateway. The end of the socket means: end everything.
#[derive(Serialize, Deserialize)]
pub(super) enum Order {
    /// Send it to this process group, or to the command's own.
    Signal { signal: Signal, group: Option<i32> },
}

/// To the gateway.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The command runs.
    Started,
    /// It could not be started; the system's error number.
    Failed { errno: i32 },
    /// It could not be given to its user; the system's error number.
    NotSwitched { errno: i32 },
    /// It ended. Others that it started may still be there.
    Exited { code: Option<i32>, signal: Option<i32> },
}

/// A message ready to be written: its length, and the rest.
pub(super) fn encode(message: &impl Serialize) -> io::Result<([u8; 4], Vec<u8>)> {
    let body = serde_json::to_vec(message)?;
    if body.len() > MESSAGE_BYTES_MAX {
        return Err(io::Error::from(io::ErrorKind::ArgumentListTooLong));
    }
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    Ok((length.to_be_bytes(), body))
}

/// Reads the length of a message that [`encode`] made.
pub(super) fn length(bytes: [u8; 4]) -> io::Result<usize> {
    match usize::try_from(u32::from_be_bytes(bytes)) {
        Ok(length) if length <= MESSAGE_BYTES_MAX => Ok(length),
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

/// Sends the length of a plan together with the command's streams.
pub(super) fn send_streams(socket: &UnixStream, length: [u8; 4], streams: &Streams) -> io::Result<()> {
    let files: Vec<BorrowedFd<'_>> = streams.iter().map(AsFd::as_fd).collect();
    let mut space = [const { MaybeUninit::uninit() }; rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let sent = sendmsg(socket, &[IoSlice::new(&length)], &mut control, SendFlags::NOSIGNAL)?;
    if sent == length.len() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::WriteZero)) }
}

/// Sends a plan and the command's streams.
pub(super) fn send_plan(socket: &mut UnixStream, plan: &Plan, streams: &Streams) -> io::Result<()> {
    let (length, body) = encode(plan)?;
    send_streams(socket, length, streams)?;
    socket.write_all(&body)
}

/// Receives what [`send_plan`] sent.
pub(super) fn receive_plan(socket: &mut UnixStream) -> io::Result<(Plan, Streams)> {
    let mut head = [0; 4];
    let mut space = [const { MaybeUninit::uninit() }; rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
    let got = recvmsg(&*socket, &mut [IoSliceMut::new(&mut head)], &mut control, flags)?;
    if got.bytes != head.len() {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    let mut files = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            files.extend(rights);
        }
    }
    let streams = Streams::try_from(files).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok((receive_body(socket, length(head)?)?, streams))
}

/// Sends one message.
pub(super) fn send(socket: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let (length, body) = encode(message)?;
    socket.write_all(&[&length[..], &body].concat())
}

/// Receives one message; none at the end of the socket.
pub(super) fn receive<M: DeserializeOwned>(socket: &mut UnixStream) -> io::Result<Option<M>> {
    let mut head = [0; 4];
    match socket.read_exact(&mut head) {
        Ok(()) => receive_body(socket, length(head)?).map(Some),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn receive_body<M: DeserializeOwned>(socket: &mut UnixStream, length: usize) -> io::Result<M> {
    let mut body = vec![0; length];
    socket.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}
