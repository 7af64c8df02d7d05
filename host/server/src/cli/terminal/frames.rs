//! The frames on a WebSocket, and the silence that means that nobody is there any more.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::session::wire::{BadFrame, FromClient, FromGateway};

/// How long a gateway may say nothing at all. It pings every 15 seconds; without a limit a
/// person whose network is gone would sit at a dead terminal that even Ctrl-C does not end.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// What broke a connection.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection itself.
    #[error(transparent)]
    Socket(#[from] tungstenite::Error),
    /// What came over it.
    #[error("the gateway sent {0}")]
    Frame(#[from] BadFrame),
    /// The other side, before it said how the session ended.
    #[error("closed by the gateway")]
    Closed,
    /// Nothing came over it.
    #[error("nothing was heard from the gateway for {} seconds", .0.as_secs())]
    Silent(Duration),
}

/// The frames on a WebSocket.
pub fn frames<T>(socket: WebSocketStream<T>) -> Frames<T> {
    Frames::new(socket, SILENCE_MAX)
}

/// What [`frames`] makes.
#[derive(Debug)]
pub struct Frames<T> {
    socket: WebSocketStream<T>,
    silence_max: Duration,
    silence: Pin<Box<Sleep>>,
}

impl<T> Frames<T> {
    pub(super) fn new(socket: WebSocketStream<T>, silence_max: Duration) -> Self {
        Self { socket, silence_max, silence: Box::pin(sleep(silence_max)) }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for Frames<T> {
    type Item = Result<FromGateway, Broken>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // The socket first: where this side was busy, what came meanwhile is no silence.
        while let Poll::Ready(message) = this.socket.poll_next_unpin(context) {
            this.silence.as_mut().reset(Instant::now() + this.silence_max);
            return Poll::Ready(match message {
                None => None,
                Some(Ok(Message::Binary(bytes))) => Some(FromGateway::decode(&bytes).map_err(Broken::Frame)),
                Some(Ok(Message::Text(text))) => {
                    let tag = text.as_bytes().first().copied().unwrap_or(0);
                    Some(Err(Broken::Frame(BadFrame::Unknown { tag })))
                }
                Some(Ok(Message::Close(_))) => Some(Err(Broken::Closed)),
                Some(Err(error)) => Some(Err(Broken::Socket(error))),
                // Answered by the socket itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            });
        }
        ready!(this.silence.as_mut().poll(context));
        Poll::Ready(Some(Err(Broken::Silent(this.silence_max))))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Sink<FromClient> for Frames<T> {
    type Error = Broken;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.socket.poll_ready_unpin(context).map_err(Broken::Socket)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: FromClient) -> Result<(), Broken> {
        self.socket.start_send_unpin(Message::Binary(frame.encode())).map_err(Broken::Socket)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.socket.poll_flush_unpin(context).map_err(Broken::Socket)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.socket.poll_close_unpin(context).map_err(Broken::Socket)
    }
}
