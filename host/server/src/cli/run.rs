//! Runs what was approved: opens the WebSocket, hands it to the terminal, and turns the end of
//! the session into an exit code.

use futures_util::SinkExt as _;
use quorate_core::input;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request as Handshake;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::Context;
use super::client::{Gateway, causes};
use super::exit::{Ending, Exit, Failure};
use super::terminal::{self, Kind, Left, Terminal};
use super::view::{Command, Request};
use super::words;
use crate::session::wire::{EndReason, Ended, FromClient, PROTOCOL};

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A terminal session under an open grant.
pub(super) async fn terminal(context: &Context, gateway: &Gateway, request: &Request) -> Ending {
    let own = own_terminal()?;
    let mut query = Vec::new();
    if let Some(size) = own.size() {
        query.push(("rows", size.rows().to_string()));
        query.push(("cols", size.columns().to_string()));
    }
    if let Some(term) = context.environment.text("TERM") {
        query.push(("term", term.to_owned()));
    }
    let socket = open(gateway, &request.id, &query).await?;
    let ended = match terminal::run(own, Kind::Interactive, terminal::frames(socket)).await {
        Ok(ended) => ended,
        Err(left) => return left_early(&left),
    };
    if matches!(ended.reason, EndReason::ConnectionLost | EndReason::GatewayStopped | EndReason::Ended) {
        let until = request
            .granted
            .as_ref()
            .map_or(String::new(), |granted| format!(" until {}", words::time(granted.until)));
        context
            .screen
            .say(&format!("your access stays open{until}: `quorate connect {}` goes on", request.resource));
    }
    Ok(code(context, &ended))
}

/// The one run of an approved command.
pub(super) async fn command(
    context: &Context,
    gateway: &Gateway,
    request: &str,
    command: &Command,
) -> Ending {
    let own = own_terminal()?;
    let mut frames = terminal::frames(open(gateway, request, &[]).await?);
    let first = input::Command { text: command.text.clone(), arguments: command.arguments.clone() };
    frames.send(FromClient::Command(first)).await.map_err(|error| lost(gateway, &error))?;
    match terminal::run(own, Kind::Command, frames).await {
        Ok(ended) => Ok(code(context, &ended)),
        Err(left) => left_early(&left),
    }
}

fn own_terminal() -> Result<Terminal, Failure> {
    Terminal::of_process().map_err(|error| Failure::failed(format!("no standard input or output: {error}")))
}

async fn open(gateway: &Gateway, request: &str, query: &[(&str, String)]) -> Result<Socket, Failure> {
    let handshake = handshake(gateway, request, query)?;
    match connect_async(handshake).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => {
            let document =
                response.body().as_deref().and_then(|body| serde_json::from_slice::<Value>(body).ok());
            Err(super::client::refusal(response.status(), document, gateway.address()))
        }
        Err(error) => Err(lost(gateway, &error)),
    }
}

fn handshake(gateway: &Gateway, request: &str, query: &[(&str, String)]) -> Result<Handshake, Failure> {
    let url = gateway.url(&["requests", request, "session"], query);
    // `http` becomes `ws`, and `https` becomes `wss`.
    let url = url.as_str().replacen("http", "ws", 1);
    let mut handshake = url.into_client_request().map_err(|error| lost(gateway, &error))?;
    let headers = handshake.headers_mut();
    headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static(PROTOCOL));
    let bearer = format!("Bearer {}", gateway.token().unwrap_or_default());
    let mut bearer =
        HeaderValue::from_str(&bearer).map_err(|_| Failure::usage("QUORATE_TOKEN is not a token"))?;
    bearer.set_sensitive(true);
    headers.insert("Authorization", bearer);
    Ok(handshake)
}

fn lost(gateway: &Gateway, error: &dyn std::error::Error) -> Failure {
    let message = format!("the session at {} cannot be opened ({})", gateway.address(), causes(error));
    Failure::new(Exit::Unreachable, message)
}

/// The person has read why on their terminal; the exit code is for whoever called the program.
fn code(context: &Context, ended: &Ended) -> u8 {
    context.screen.note(
        &json!({"ended": ended.reason.as_str(), "message": ended.message, "exit_code": ended.exit_code}),
    );
    let exit = match ended.reason {
        EndReason::Exited => return own_code(ended.exit_code),
        EndReason::Expired => Exit::Expired,
        EndReason::Revoked | EndReason::Ended => Exit::Revoked,
        EndReason::Failed => Exit::Failed,
        EndReason::GatewayStopped | EndReason::ConnectionLost => Exit::Unreachable,
        EndReason::Refused => Exit::Refused,
    };
    exit.code()
}

fn own_code(code: Option<i32>) -> u8 {
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(Exit::Failed.code())
}

fn left_early(left: &Left) -> Ending {
    match left {
        // As a shell says it.
        Left::Interrupted { signal } => Ok(128 | u8::try_from(*signal).unwrap_or(0)),
        other => Err(Failure::failed(format!("{other}: {}", causes(other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(address: &str) -> Gateway {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Gateway::new(super::super::client::address(address).unwrap(), Some("qrt_x".into())).unwrap()
    }

    fn ended(reason: EndReason, exit_code: Option<i32>) -> u8 {
        code(&Context::for_tests(), &Ended { reason, message: String::new(), exit_code })
    }

    #[test]
    fn the_commands_own_code_passes_through_and_every_other_end_has_its_own() {
        assert_eq!([ended(EndReason::Exited, Some(0)), ended(EndReason::Exited, Some(3))], [0, 3]);
        assert_eq!(ended(EndReason::Exited, Some(137)), 137);
        assert_eq!(ended(EndReason::Expired, None), 12);
        assert_eq!(ended(EndReason::Revoked, Some(129)), 13);
        assert_eq!(ended(EndReason::Ended, None), 13);
        assert_eq!([ended(EndReason::Refused, None), ended(EndReason::Failed, None)], [14, 16]);
        assert_eq!(
            [ended(EndReason::ConnectionLost, None), ended(EndReason::GatewayStopped, None)],
            [15, 15]
        );
        assert_eq!(left_early(&Left::Interrupted { signal: 15 }), Ok(143));
    }

    #[test]
    fn the_session_is_opened_where_the_gateway_is_and_with_its_token() {
        let open = |address| handshake(&gateway(address), "r1", &[("term", "xterm&x".to_owned())]).unwrap();
        let request = open("https://g.example.org/q");
        assert_eq!(request.uri().to_string(), "wss://g.example.org/q/api/requests/r1/session?term=xterm%26x");
        assert_eq!(request.headers()["Authorization"], "Bearer qrt_x");
        assert_eq!(request.headers()["Sec-WebSocket-Protocol"], PROTOCOL);
        assert!(open("http://127.0.0.1:1").uri().to_string().starts_with("ws://127.0.0.1:1/api/"));
    }
}
