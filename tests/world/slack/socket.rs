//! Socket Mode: what people do comes over a connection that the app opened.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::mpsc;

use super::Slack;
use super::answers::Answered;
use super::line::Line;
use super::links::Order;
use super::people::{ANSWER, Interaction};

/// How long a socket stays after it was told to go.
const LEAVING: Duration = Duration::from_secs(10);

pub(super) async fn open(
    State(slack): State<Slack>,
    ConnectInfo(line): ConnectInfo<Line>,
    Query(query): Query<BTreeMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let number = slack.change(|workspace| {
        let ticket = query.get("ticket").map(String::as_str).unwrap_or_default();
        if workspace.trouble.unreachable {
            line.cut();
        }
        let admitted = !workspace.trouble.down && workspace.links.admits(ticket);
        admitted.then(|| workspace.next())
    });
    match number {
        Some(number) => upgrade.on_upgrade(move |socket| serve(slack, line, number, socket)),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn serve(slack: Slack, line: Line, number: u64, mut socket: WebSocket) {
    let (orders, mut told) = mpsc::unbounded_channel();
    slack.change(|workspace| workspace.links.opened(number, orders));
    let mut alive = true;
    while alive {
        alive = tokio::select! {
            order = told.recv() => match order {
                Some(Order::Say(text)) => socket.send(Message::Text(text.into())).await.is_ok(),
                Some(Order::Ping) => socket.send(Message::Ping("ping from slack".into())).await.is_ok(),
                Some(Order::Leave(text)) => {
                    tokio::spawn(close(slack.clone(), number));
                    socket.send(Message::Text(text.into())).await.is_ok()
                }
                Some(Order::Cut) | None => {
                    line.cut();
                    false
                }
            },
            frame = socket.recv() => match frame {
                Some(Ok(Message::Text(text))) => {
                    slack.change(|workspace| {
                        let taken = workspace.links.take(&text);
                        workspace.complaints.extend(taken.err());
                    });
                    true
                }
                Some(Ok(Message::Ping(_))) => true,
                Some(Ok(Message::Pong(_))) => {
                    slack.change(|workspace| workspace.links.pong(number));
                    true
                }
                Some(Ok(Message::Binary(_))) => {
                    slack.change(|workspace| workspace.complaints.push("a binary frame".to_owned()));
                    true
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => false,
            },
        };
    }
    slack.change(|workspace| workspace.links.closed(number));
}

async fn close(slack: Slack, number: u64) {
    tokio::time::sleep(LEAVING).await;
    slack.change(|workspace| workspace.links.closed(number));
}

impl Slack {
    /// Tells the app by its socket, and demands an acknowledgement in three seconds.
    pub async fn by_socket(&self, interaction: &Interaction) -> Answered {
        let id = self.put_on_socket(interaction);
        let said =
            tokio::time::timeout(ANSWER, self.until("an acknowledgement", |slack| slack.acknowledged(&id)));
        let Ok(answered) = said.await else {
            panic!("no acknowledgement within {ANSWER:?} of {interaction:?}")
        };
        self.change(|workspace| workspace.answered(interaction, &answered));
        answered
    }

    /// Puts it on the socket, or on the next one that is opened, and says its id.
    pub fn put_on_socket(&self, interaction: &Interaction) -> String {
        self.change(|workspace| {
            let id = format!("57d12c34-e2e2-4223-8a9e-{:012}", workspace.next());
            workspace.links.put(id.clone(), interaction.clone());
            id
        })
    }

    /// How an envelope was acknowledged, once it was.
    pub fn acknowledged(&self, envelope: &str) -> Option<Answered> {
        let payload = self.locked().links.acknowledged(envelope)?;
        let body = if payload.is_null() { String::new() } else { payload.to_string() };
        Some(Answered { status: 200, kind: "application/json".to_owned(), body })
    }

    /// How many sockets are open, stay so, and are read: a library may open one and be busy for
    /// seconds with the one before.
    pub fn sockets(&self) -> usize {
        self.locked().links.count()
    }

    /// Tells the app to open another socket.
    pub fn disconnect(&self) {
        self.change(|workspace| workspace.links.disconnect());
    }

    /// Drops the sockets without a word.
    pub fn cut(&self) {
        self.change(|workspace| workspace.links.cut());
    }
}
