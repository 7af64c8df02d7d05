//! The WebSocket of one session, as frames. One frame is on its way at a time, so that what
//! waits for a client that does not read waits in the command's own terminal, and not here.
//!
//! Not here: what a frame means.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::{Sink, StreamExt};
use tokio::time::Instant;
use tokio_util::bytes::Bytes;

use super::wire::{Ended, FromClient, FromGateway};

/// How long the client may take to hear why the session ended.
const FAREWELL_MAX: Duration = Duration::from_secs(3);

pub(super) struct Connection {
    socket: WebSocket,
    /// A frame is on its way.
    sending: bool,
    /// When the client was last heard of.
    heard: Instant,
}

/// What happened on a connection.
pub(super) enum Io {
    /// The next frame can be sent.
    Sent,
    /// The client says something.
    Frame(FromClient),
    /// The client is there, and that is all it says.
    Heard,
}

/// The connection is of no use any more; why, for people.
pub(super) struct Lost(pub(super) String);

impl Lost {
    fn broken() -> Self {
        Self("the connection to the client was lost".to_owned())
    }
}

impl Connection {
    pub(super) fn new(socket: WebSocket) -> Self {
        Self { socket, sending: false, heard: Instant::now() }
    }

    /// Whether [`Connection::put`] may be called.
    pub(super) fn is_ready(&self) -> bool {
        !self.sending
    }

    /// When the client was last heard of.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// Sends a frame on its way; [`Connection::io`] moves it.
    pub(super) fn put(&mut self, frame: &FromGateway) -> Result<(), Lost> {
        self.send(Message::Binary(frame.encode()))
    }

    /// Asks the client whether it is there.
    pub(super) fn ping(&mut self) -> Result<(), Lost> {
        self.send(Message::Ping(Bytes::new()))
    }

    fn send(&mut self, message: Message) -> Result<(), Lost> {
        self.sending = true;
        Pin::new(&mut self.socket).start_send(message).map_err(|_| Lost::broken())
    }

    /// Moves what is on its way and, where `reading`, waits for the client. Nothing is lost
    /// where this is dropped.
    pub(super) async fn io(&mut self, reading: bool) -> Result<Io, Lost> {
        poll_fn(|context| {
            if self.sending
                && let Poll::Ready(sent) = Pin::new(&mut self.socket).poll_flush(context)
            {
                self.sending = false;
                return Poll::Ready(sent.map(|()| Io::Sent).map_err(|_| Lost::broken()));
            }
            if reading { self.poll_read(context) } else { Poll::Pending }
        })
        .await
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<Io, Lost>> {
        let Poll::Ready(received) = self.socket.poll_next_unpin(context) else { return Poll::Pending };
        self.heard = Instant::now();
        Poll::Ready(match received {
            Some(Ok(Message::Binary(bytes))) => match FromClient::decode(&bytes) {
                Ok(frame) => Ok(Io::Frame(frame)),
                Err(bad) => Err(Lost(format!("the client sent {bad}"))),
            },
            Some(Ok(Message::Text(_))) => Err(Lost("the client sent text instead of a frame".to_owned())),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Io::Heard),
            Some(Ok(Message::Close(_))) => Err(Lost("the client closed the connection".to_owned())),
            Some(Err(_)) | None => Err(Lost::broken()),
        })
    }

    /// The first frame.
    pub(super) async fn first(&mut self) -> Result<FromClient, Lost> {
        loop {
            if let Io::Frame(frame) = self.io(true).await? {
                return Ok(frame);
            }
        }
    }

    /// Tells the client how the session ended, and closes. The frame that is on its way comes
    /// first. A client that does not listen is not waited for.
    pub(super) async fn farewell(mut self, ended: Ended) {
        let code = close_code::NORMAL;
        let close = CloseFrame { code, reason: ended.reason.as_str().into() };
        let ended = FromGateway::Ended(ended).encode();
        let farewell = async {
            self.socket.send(Message::Binary(ended)).await?;
            self.socket.send(Message::Close(Some(close))).await?;
            // What the client has still sent is read and thrown away: closing on it would
            // make its system throw away what it has not read yet, the farewell included.
            while self.socket.next().await.is_some_and(|received| received.is_ok()) {}
            Ok::<_, axum::Error>(())
        };
        // A client that is gone is told nothing.
        let _ = tokio::time::timeout(FAREWELL_MAX, farewell).await;
    }
}
