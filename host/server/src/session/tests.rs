//! Real commands behind a real listener, and a client that speaks frames. The clock is moved
//! by hand.

mod commands;
mod ends;
mod limits;
mod terminals;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use quorate_core::duration::AccessDuration;
use quorate_core::entry::Actor;
use quorate_core::ids::{RequestId, SessionId, UserId};
use quorate_core::input::Command;
use quorate_core::session::{End, EndReason, Session};
use quorate_core::user::Profile;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tokio_util::bytes::Bytes;

use super::Limits;
use super::wire::{self, Ended, FromClient, FromGateway, PROTOCOL};
use crate::app::{App, Running};
use crate::clock::{Clock, ManualClock};
use crate::config::Config;
use crate::ledger::{Page, SessionFilter};
use crate::lifecycle::{Ask, AskedAccess};

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the resource's program finds in its environment.
const SECRET: &str = "hunter2-hunter2";

/// A gateway with ann and bob, who may always enter, and root.
struct World {
    running: Running,
    hand: ManualClock,
    _folder: tempfile::TempDir,
}

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("gave up on {what}"))
}

/// Looks again and again until `condition` holds.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "gave up on: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether there is such a process that has not ended.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|stat| {
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    })
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

impl World {
    /// At ten o'clock.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            data: folder.path().to_owned(),
            // Compiled once for all tests.
            compiled: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/compiled-for-tests").into()),
            ..Config::default()
        };
        let (clock, hand) = Clock::manual("2026-03-02T10:00:00Z".parse().unwrap());
        let running = App::start(config, clock).await.unwrap();
        running.app().sessions.launch_with(crate::agent::tests::launcher());
        for (name, group) in [("root", "admin"), ("ann", "dev"), ("bob", "dev")] {
            let groups = [group.parse().unwrap()].into();
            let profile = Profile { email: String::new(), groups, active: true };
            let lifecycle = &running.app().lifecycle;
            lifecycle.save_user(&user(name), profile, None, Actor::Gateway, None).await.unwrap();
        }
        Self { running, hand, _folder: folder }
    }

    fn app(&self) -> &App {
        self.running.app()
    }

    /// A resource with this command line, and a secret, that `dev` may always use.
    async fn resource(&self, name: &str, command: &[&str]) {
        let resource = json!({
            "name": name,
            "command": command,
            "standing_groups": ["dev"],
        });
        let secrets = BTreeMap::from([("PGPASSWORD".to_owned(), Some(SECRET.to_owned()))]);
        let resource = serde_json::from_value(resource).unwrap();
        self.app().lifecycle.save_resource(resource, secrets, Actor::Gateway, None).await.unwrap();
    }

    async fn ask(&self, who: &str, resource: &str, access: AskedAccess) -> RequestId {
        let ask = Ask { resource: resource.parse().unwrap(), access, reason: String::new() };
        let request = self.app().lifecycle.submit(&user(who), ask, None).await.unwrap();
        assert_eq!(request.state, "APPROVED");
        request.id.parse().unwrap()
    }

    /// Access for so long, from now.
    async fn grant(&self, who: &str, resource: &str, duration: &str) -> RequestId {
        let duration: AccessDuration = duration.parse().unwrap();
        self.ask(who, resource, AskedAccess::JustInTime(duration)).await
    }

    /// ann's access for two hours to a resource with this command line.
    async fn open(&self, command: &[&str]) -> RequestId {
        self.resource("prod", command).await;
        self.grant("ann", "prod", "2h").await
    }

    async fn approved(&self, who: &str, resource: &str, command: &Command) -> RequestId {
        self.ask(who, resource, AskedAccess::Command(command.clone())).await
    }

    async fn token(&self, who: &str) -> String {
        let person = self.app().ledger.user(&user(who)).unwrap().unwrap();
        let issued = self.app().identity.issue(&person, "test".to_owned(), 30 * 24 * 3600).await.unwrap();
        issued.text.expose().to_owned()
    }

    async fn upgrade(
        &self,
        token: Option<&str>,
        request: &str,
        protocol: &str,
    ) -> Result<Client, tungstenite::Error> {
        let url = format!(
            "ws://{}/api/requests/{request}/session?rows=40&cols=100&term=xterm",
            self.running.address()
        );
        let mut call = url.into_client_request()?;
        let headers = call.headers_mut();
        if let Some(token) = token {
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
        let (socket, _) = in_time("the upgrade", Box::pin(tokio_tungstenite::connect_async(call))).await?;
        Ok(Client { socket, output: String::new(), notices: Vec::new() })
    }

    async fn connect(&self, who: &str, request: &RequestId) -> Client {
        let token = self.token(who).await;
        self.upgrade(Some(&token), request.as_str(), PROTOCOL).await.unwrap()
    }

    /// The status and the code with which an upgrade is refused, and the detail.
    async fn refusal(&self, who: &str, request: &RequestId) -> (u16, String, String) {
        let token = self.token(who).await;
        refusal(self.upgrade(Some(&token), request.as_str(), PROTOCOL).await)
    }

    /// All sessions that ever were, the newest first.
    fn sessions(&self) -> Vec<Session> {
        let page = Page { after: None, limit: 100 };
        self.app().ledger.find_sessions(&SessionFilter::default(), page).unwrap().items
    }

    /// The only session.
    fn session(&self) -> Session {
        let sessions = self.sessions();
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        sessions.into_iter().next().unwrap()
    }

    /// How the only session ended.
    fn end(&self) -> Option<End> {
        self.session().ended.map(|(_, end)| end)
    }

    async fn ended(&self, reason: EndReason) -> End {
        eventually("the end in the ledger", || self.end().is_some()).await;
        let end = self.end().unwrap();
        assert_eq!(end.reason, reason, "{end:?}");
        end
    }

    async fn nothing_lives(&self) {
        eventually("all sessions to be gone", || self.app().sessions.live().is_empty()).await;
    }
}

fn refusal(upgrade: Result<Client, tungstenite::Error>) -> (u16, String, String) {
    let Err(tungstenite::Error::Http(response)) = upgrade.map(|_| "a session") else {
        panic!("not refused over HTTP")
    };
    let body: Value = serde_json::from_slice(response.body().as_deref().unwrap()).unwrap();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (response.status().as_u16(), text("type").replace("/problems/", ""), text("detail"))
}

/// The other end of a session.
struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What the command wrote to its terminal or standard output, and was not asked for yet.
    output: String,
    notices: Vec<String>,
}

impl Client {
    async fn send(&mut self, frame: FromClient) {
        in_time("sending", self.socket.send(Message::Binary(frame.encode()))).await.unwrap();
    }

    async fn type_in(&mut self, text: &str) {
        self.send(FromClient::Input(Bytes::copy_from_slice(text.as_bytes()))).await;
    }

    /// The next frame; none when the connection is closed.
    async fn next(&mut self) -> Option<FromGateway> {
        loop {
            match in_time("a frame", self.socket.next()).await? {
                Ok(Message::Binary(bytes)) => return Some(FromGateway::decode(&bytes).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Everything up to and with `wanted`.
    async fn until(&mut self, wanted: &str) -> String {
        loop {
            if let Some(at) = self.output.find(wanted) {
                let rest = self.output.split_off(at + wanted.len());
                return std::mem::replace(&mut self.output, rest);
            }
            match self.next().await {
                Some(FromGateway::Stdout(bytes)) => self.output += &String::from_utf8_lossy(&bytes),
                Some(FromGateway::Notice(text)) => self.notices.push(text),
                other => panic!("{other:?} after `{}`, before `{wanted}`", self.output),
            }
        }
    }

    /// The number after `pid=`.
    async fn pid(&mut self) -> u32 {
        self.until("pid=").await;
        self.until("\r\n").await.trim().parse().unwrap()
    }

    async fn notice(&mut self) -> String {
        loop {
            if !self.notices.is_empty() {
                return self.notices.remove(0);
            }
            match self.next().await {
                Some(FromGateway::Stdout(bytes)) => self.output += &String::from_utf8_lossy(&bytes),
                Some(FromGateway::Notice(text)) => self.notices.push(text),
                other => panic!("{other:?} before a notice"),
            }
        }
    }

    /// How it ended; what came before is thrown away, and nothing may come after.
    async fn ended(&mut self) -> Ended {
        loop {
            match self.next().await {
                Some(FromGateway::Ended(ended)) => {
                    assert_eq!(self.next().await, None, "something came after the end");
                    return ended;
                }
                Some(FromGateway::Stdout(bytes)) => self.output += &String::from_utf8_lossy(&bytes),
                Some(_) => {}
                None => panic!("closed without an end"),
            }
        }
    }
}

fn command(text: &str, arguments: &[&str]) -> Command {
    Command { text: text.to_owned(), arguments: arguments.iter().map(|&one| one.to_owned()).collect() }
}

/// Says its process id, and then everything twice: as a terminal, and as `cat`.
const CAT: [&str; 3] = ["sh", "-c", "echo pid=$$; exec cat"];
/// Says its process id, and then does not stop talking.
const FLOOD: [&str; 3] = ["sh", "-c", "echo pid=$$; exec yes abcdefghijklmnopqrstuvwxyz"];
