//! What is kept of sockets: tickets to open them with, those that are open, and envelopes until
//! they are acknowledged.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::arguments::{Arguments, Refusal};
use super::people::{ANSWER, Interaction};
use super::workspace::Workspace;

/// What is done with a socket.
pub(super) enum Order {
    Say(String),
    /// Ask whether somebody is there.
    Ping,
    /// Say this, and leave a while later.
    Leave(String),
    /// Drop it without a word.
    Cut,
}

struct Link {
    number: u64,
    orders: UnboundedSender<Order>,
    /// It was told to go, and gets nothing new.
    leaving: bool,
    /// Somebody reads it: a ping was answered.
    read: bool,
}

struct Envelope {
    id: String,
    interaction: Interaction,
    sent: Option<Instant>,
    attempts: u32,
    /// With what; null is nothing.
    acknowledged: Option<Value>,
}

#[derive(Default)]
pub(super) struct Links {
    tickets: BTreeSet<String>,
    open: Vec<Link>,
    envelopes: Vec<Envelope>,
}

/// `apps.connections.open`.
pub(super) fn open(workspace: &mut Workspace, arguments: &mut Arguments) -> Result<Value, Refusal> {
    arguments.finish()?;
    let ticket = format!("ticket-{}", workspace.next());
    workspace.links.tickets.insert(ticket.clone());
    let address = workspace.address.replace("http://", "ws://");
    Ok(json!({ "url": format!("{address}/link/?ticket={ticket}&app_id={}", super::APP) }))
}

impl Links {
    /// Whether somebody may open a socket with this ticket; nobody may again.
    pub fn admits(&mut self, ticket: &str) -> bool {
        self.tickets.remove(ticket)
    }

    /// A socket is open: it is greeted, and gets what nobody acknowledged.
    pub fn opened(&mut self, number: u64, orders: UnboundedSender<Order>) {
        let ping = orders.clone();
        self.open.push(Link { number, orders, leaving: false, read: false });
        let hello = json!({
            "type": "hello",
            "num_connections": self.open.len(),
            "debug_info": { "host": "applink-0", "build_number": 1, "approximate_connection_time": 18060 },
            "connection_info": { "app_id": super::APP },
        });
        self.say(number, &hello);
        let _ = ping.send(Order::Ping);
        for at in 0..self.envelopes.len() {
            if self.envelopes[at].acknowledged.is_none() {
                self.post(at);
            }
        }
    }

    /// A ping was answered.
    pub fn pong(&mut self, number: u64) {
        self.open.iter_mut().filter(|link| link.number == number).for_each(|link| link.read = true);
    }

    pub fn closed(&mut self, number: u64) {
        self.open.retain(|link| link.number != number);
    }

    /// Puts it on the newest socket; where there is none, it waits for one.
    pub fn put(&mut self, id: String, interaction: Interaction) {
        self.envelopes.push(Envelope { id, interaction, sent: None, attempts: 0, acknowledged: None });
        self.post(self.envelopes.len() - 1);
    }

    /// What was said with the acknowledgement of an envelope, once there is one; null is nothing.
    pub fn acknowledged(&self, id: &str) -> Option<Value> {
        self.envelopes.iter().find(|envelope| envelope.id == id)?.acknowledged.clone()
    }

    /// Takes a frame of the app, or says what is wrong with it.
    pub fn take(&mut self, text: &str) -> Result<(), String> {
        let frame: Value = serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))?;
        let known = |name: &String| ["envelope_id", "payload"].contains(&name.as_str());
        let shaped = frame.as_object().is_some_and(|object| object.keys().all(known));
        let Some(id) = frame["envelope_id"].as_str().filter(|_| shaped) else {
            return Err(format!("not an acknowledgement: {text}"));
        };
        if frame.get("payload").is_some_and(|payload| !payload.is_object()) {
            return Err(format!("a payload that is no object: {text}"));
        }
        let found = self.envelopes.iter_mut().find(|envelope| envelope.id == id);
        let envelope = found.ok_or_else(|| format!("no such envelope: {text}"))?;
        if envelope.acknowledged.is_some() {
            return Err(format!("acknowledged twice: {text}"));
        }
        if envelope.sent.is_none_or(|sent| sent.elapsed() > ANSWER) {
            return Err(format!("acknowledged too late: {text}"));
        }
        envelope.acknowledged = Some(frame["payload"].clone());
        Ok(())
    }

    /// Tells all sockets to go.
    pub fn disconnect(&mut self) {
        let goodbye = json!({ "type": "disconnect", "reason": "refresh_requested", "debug_info": { "host": "applink-0" } });
        for link in &mut self.open {
            link.leaving = true;
            let _ = link.orders.send(Order::Leave(goodbye.to_string()));
        }
    }

    pub fn cut(&mut self) {
        for link in self.open.drain(..) {
            let _ = link.orders.send(Order::Cut);
        }
    }

    pub fn count(&self) -> usize {
        self.open.iter().filter(|link| link.read && !link.leaving).count()
    }

    fn post(&mut self, at: usize) {
        let Some(number) = self.open.iter().rev().find(|link| !link.leaving).map(|link| link.number) else {
            return;
        };
        let envelope = &mut self.envelopes[at];
        let mut frame = json!({
            "envelope_id": envelope.id,
            "type": envelope.interaction.kind,
            "payload": envelope.interaction.payload,
            "accepts_response_payload": true,
        });
        if envelope.attempts > 0 {
            frame["retry_attempt"] = json!(envelope.attempts);
            frame["retry_reason"] = json!("timeout");
        }
        envelope.attempts += 1;
        envelope.sent = Some(Instant::now());
        self.say(number, &frame);
    }

    fn say(&self, number: u64, frame: &Value) {
        let link = self.open.iter().find(|link| link.number == number).unwrap();
        // One that is gone takes no part: its envelopes wait for the next.
        let _ = link.orders.send(Order::Say(frame.to_string()));
    }
}
