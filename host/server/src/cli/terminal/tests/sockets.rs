//! Over a real WebSocket, with a real command at the other end.

use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::agent;
use crate::session::wire::BadFrame;

#[tokio::test]
async fn frames_travel_over_a_websocket_and_strangers_are_refused() {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let client = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
    let mut gateway = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
    let (mut sink, mut stream) = frames(client).split();

    sink.send(FromClient::Signal(Signal::Int)).await.unwrap();
    let got = in_time("a frame", gateway.next()).await.unwrap().unwrap().into_data();
    assert_eq!(FromClient::decode(&got), Ok(FromClient::Signal(Signal::Int)));

    let notice = FromGateway::Notice("hello".to_owned());
    gateway.send(Message::Ping(Bytes::new())).await.unwrap();
    gateway.send(Message::Binary(notice.encode())).await.unwrap();
    assert_eq!(in_time("a frame", stream.next()).await.unwrap().unwrap(), notice);

    gateway.send(Message::Text("hello".into())).await.unwrap();
    gateway.send(Message::Binary(Bytes::from_static(&[9]))).await.unwrap();
    for tag in [b'h', 9] {
        let refused = in_time("a frame", stream.next()).await.unwrap().unwrap_err();
        assert!(
            matches!(refused, Broken::Frame(BadFrame::Unknown { tag: seen }) if seen == tag),
            "{refused}"
        );
    }
    gateway.close(None).await.unwrap();
    let closed = in_time("the end", stream.next()).await.unwrap().unwrap_err();
    assert!(matches!(closed, Broken::Closed), "{closed}");
}

#[tokio::test]
async fn a_gateway_that_only_pings_is_there_and_one_that_is_silent_is_not() {
    let (ours, theirs) = tokio::io::duplex(4096);
    let silence_max = Duration::from_millis(200);
    let mut frames =
        Frames::new(WebSocketStream::from_raw_socket(ours, Role::Client, None).await, silence_max);
    let mut gateway = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
    let mut pings = tokio::time::interval(silence_max / 8);
    for _ in 0..24 {
        tokio::select! {
            biased;
            frame = frames.next() => panic!("{frame:?} although it pings"),
            _ = pings.tick() => gateway.send(Message::Ping(Bytes::new())).await.unwrap(),
        }
    }
    let broken = in_time("the silence", frames.next()).await.unwrap().unwrap_err();
    assert!(matches!(broken, Broken::Silent(_)), "{broken}");
}

/// The gateway's end of a session, as short as it can be.
async fn serve(socket: tokio::io::DuplexStream, process: agent::Process, mut outputs: agent::Outputs) {
    let mut socket = WebSocketStream::from_raw_socket(socket, Role::Server, None).await;
    loop {
        let frame = tokio::select! {
            output = outputs.next() => match output {
                Some(agent::Output::Stdout(bytes)) => FromGateway::Stdout(bytes),
                Some(agent::Output::Stderr(bytes)) => FromGateway::Stderr(bytes),
                None => {
                    let code = process.wait().await.shell_code();
                    FromGateway::Ended(ended(EndReason::Exited, "", Some(code)))
                }
            },
            message = socket.next() => {
                let Some(Ok(message)) = message else { return process.kill() };
                let Message::Binary(bytes) = message else { continue };
                match FromClient::decode(&bytes).unwrap() {
                    FromClient::Input(bytes) => process.write(bytes).await.unwrap(),
                    FromClient::Resize(size) => process.resize(size),
                    FromClient::Signal(signal) => process.signal(signal),
                    FromClient::EndOfInput => process.end_input().await.unwrap(),
                    FromClient::Command(command) => panic!("a person never sends {command:?}"),
                }
                continue;
            }
        };
        let last = matches!(frame, FromGateway::Ended(_));
        socket.send(Message::Binary(frame.encode())).await.unwrap();
        if last {
            return;
        }
    }
}

#[tokio::test]
async fn a_person_works_in_a_shell_at_the_other_end() {
    let mode = agent::Mode::Terminal { size: Size::default(), term: "xterm".to_owned() };
    let spec = agent::Spec { argv: vec!["sh".to_owned()], env: Vec::new(), mode };
    let (process, outputs) = agent::start(&agent::tests::launcher(), spec).await.unwrap();
    let (ours, theirs) = tokio::io::duplex(4096);
    tokio::spawn(serve(theirs, process, outputs));
    let (mut hands, mut eyes, terminal) = open();
    pty::resize(&terminal, Size::new(31, 99)).unwrap();
    let line = frames(WebSocketStream::from_raw_socket(ours, Role::Client, None).await);
    let running = tokio::spawn(run(on(&terminal), Kind::Interactive, line));
    eventually("raw mode", || is_raw(&terminal)).await;

    hands.write_all(b"echo $((6 * 7)); stty size\r").unwrap();
    let seen = sees(&mut eyes, "31 99\r\n").await;
    assert!(seen.contains("42\r\n"), "{seen}");
    // A shell that reads commands catches Ctrl-C; one that was given its command does not.
    hands.write_all(b"exec sh -c 'echo rea\"\"dy; exec sleep 1000'\r").unwrap();
    sees(&mut eyes, "ready\r\n").await;
    hands.write_all(b"\x03").unwrap();
    let ended = in_time("the end", running).await.unwrap().unwrap();
    assert_eq!((ended.reason, ended.exit_code), (EndReason::Exited, Some(130)));
}
