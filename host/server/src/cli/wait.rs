//! Waiting for a decision: what is missing and who can give it, as it changes; over restarts of
//! the gateway; until Ctrl-C.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use quorate_core::Timestamp;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Context;
use super::client::{Answer, Gateway};
use super::exit::{Exit, Failure};
use super::screen::Screen;
use super::view::Request;
use super::words;

/// The first pause before the gateway is asked again, and the longest.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How long after the request's own end a gateway that does not answer is waited for.
const PATIENCE_SECONDS: u64 = 600;

/// Ctrl-C, from the moment this exists: pressed before anybody waits for it, it is not lost.
#[derive(Debug)]
pub(super) struct Interrupt(Signal);

impl Interrupt {
    /// Begins to listen.
    pub(super) fn listen() -> Result<Self, Failure> {
        let listening = signal(SignalKind::interrupt());
        listening.map(Self).map_err(|error| Failure::failed(format!("Ctrl-C cannot be heard: {error}")))
    }

    /// It was pressed.
    pub(super) async fn pressed(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Makes a request. Ctrl-C before the gateway has answered leaves open whether it was made.
pub(super) async fn submit(
    gateway: &Gateway,
    body: Value,
    interrupt: &mut Interrupt,
) -> Result<Answer, Failure> {
    submit_to(gateway, &["requests"], body, interrupt).await
}

/// The same where requests of one kind are made.
pub(super) async fn submit_to(
    gateway: &Gateway,
    path: &[&str],
    body: Value,
    interrupt: &mut Interrupt,
) -> Result<Answer, Failure> {
    tokio::select! {
        answer = gateway.post(path, body) => answer,
        () = interrupt.pressed() => Err(Failure::new(
            Exit::Cancelled,
            "interrupted before the gateway answered: `quorate requests list --inbox mine` says whether the request was made",
        )),
    }
}

/// Waits until `request` is approved; any other end is a failure with its own exit code.
pub(super) async fn approval(
    context: &Context,
    gateway: &Gateway,
    mut request: Request,
    interrupt: &mut Interrupt,
) -> Result<Request, Failure> {
    for warning in request.warnings() {
        context.screen.say(&format!("{} {warning}", context.screen.err.yellow("note:")));
    }
    if !request.is_pending() {
        return conclude(request);
    }
    let mut progress = Progress::start(&context.screen, &request, context.clock.now());
    let mut news = News::follow(gateway.clone(), request.id.clone());
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = interrupt.pressed() => {
                progress.end();
                return Err(cancel(context, gateway, &request, interrupt).await);
            }
            _ = second.tick() => progress.tick(&request, context.clock.now()),
            heard = news.next() => match heard {
                Heard::Request(answer) => {
                    context.screen.note(&json!({"request": answer.raw()}));
                    let now: Request = answer.read()?;
                    progress.change(&request, &now, context.clock.now());
                    request = now;
                }
                Heard::Lost => progress.lost(&request, context.clock.now()),
                Heard::Refused(failure) => { progress.end(); return Err(failure); }
            }
        }
        if !request.is_pending() {
            progress.end();
            return conclude(request);
        }
        let given_up = quorate_core::request::after(request.closes_at, PATIENCE_SECONDS);
        if progress.is_lost && context.clock.now() > given_up {
            progress.end();
            let message = format!(
                "the gateway at {} does not come back: `quorate requests show {}` will say what became of the request",
                gateway.address(),
                request.id,
            );
            return Err(Failure::new(Exit::Unreachable, message));
        }
    }
}

/// What the state of a decided request means for whoever waited.
pub(super) fn conclude(request: Request) -> Result<Request, Failure> {
    let exit = match request.state.as_str() {
        "APPROVED" => return Ok(request),
        "REJECTED" => Exit::Rejected,
        "TIMED_OUT" => Exit::TimedOut,
        "EXPIRED" => Exit::Expired,
        "REVOKED" => Exit::Revoked,
        "CANCELLED" => Exit::Cancelled,
        _ => Exit::Refused,
    };
    let hint = match exit {
        Exit::TimedOut => "; ask again, or ask those who can approve",
        Exit::Refused if request.state == "EXECUTED" => "; a command is approved for one run: ask again",
        _ => "",
    };
    Err(Failure::new(exit, format!("request {} {}{hint}", request.id, passive(&request))))
}

fn passive(request: &Request) -> String {
    let ending = request.ending();
    match request.state.as_str() {
        "REJECTED" | "REVOKED" | "CANCELLED" => format!("was {ending}"),
        "EXECUTED" => "has run already".to_owned(),
        _ => ending,
    }
}

/// Takes the request back. A second Ctrl-C does not wait for the gateway.
async fn cancel(
    context: &Context,
    gateway: &Gateway,
    request: &Request,
    interrupt: &mut Interrupt,
) -> Failure {
    let id = request.id.as_str();
    context.screen.say(&format!("cancelling request {id} …"));
    let path = ["requests", id, "cancel"];
    let answer = tokio::select! {
        answer = gateway.post(&path, json!({})) => answer,
        () = interrupt.pressed() => Err(Failure::failed("interrupted again")),
    };
    let message = match answer {
        Ok(_) => format!("request {id} is cancelled"),
        Err(failure) if failure.exit == Exit::Refused => {
            format!(
                "request {id} could not be cancelled, {}; `quorate requests revoke {id}` takes back what was approved",
                failure.message
            )
        }
        Err(failure) => format!(
            "request {id} may not be cancelled ({}): `quorate requests cancel {id}` does it",
            failure.message
        ),
    };
    Failure::new(Exit::Cancelled, message)
}

/// What is heard about a request.
enum Heard {
    Request(Answer),
    Lost,
    Refused(Failure),
}

/// Follows a request in a task of its own, so that nobody who stops listening for a moment breaks
/// a connection that is being made.
struct News {
    heard: mpsc::Receiver<Heard>,
    task: JoinHandle<()>,
}

impl News {
    fn follow(gateway: Gateway, id: String) -> Self {
        let (tell, heard) = mpsc::channel(8);
        Self { heard, task: tokio::spawn(follow(gateway, id, tell)) }
    }

    async fn next(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(heard) => heard,
            None => Heard::Refused(Failure::failed("nobody follows the request any more")),
        }
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(gateway: Gateway, id: String, tell: mpsc::Sender<Heard>) {
    let mut pause = PAUSE;
    loop {
        let failure = match gateway.events(&["requests", &id, "events"]).await {
            Err(failure) => Some(failure),
            Ok(mut events) => loop {
                match events.next("request").await {
                    Ok(answer) => {
                        pause = PAUSE;
                        if tell.send(Heard::Request(answer)).await.is_err() {
                            return;
                        }
                    }
                    // A stream ends now and then without anything being wrong: only when no other
                    // can be had is the gateway lost.
                    Err(_) => break None,
                }
            },
        };
        let Some(failure) = failure else {
            tokio::time::sleep(pause).await;
            continue;
        };
        // What the gateway refuses, it refuses again; everything else may pass.
        let is_final = failure.exit == Exit::Refused && failure.code() != Some("rate-limited");
        let heard = if is_final { Heard::Refused(failure) } else { Heard::Lost };
        if tell.send(heard).await.is_err() || is_final {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// What is shown meanwhile: a spinner where somebody looks, lines where not.
struct Progress<'a> {
    screen: &'a Screen,
    bar: Option<ProgressBar>,
    is_lost: bool,
}

impl<'a> Progress<'a> {
    fn start(screen: &'a Screen, request: &Request, now: Timestamp) -> Self {
        let bar = screen.is_watched.then(spinner);
        let progress = Self { screen, bar, is_lost: false };
        if progress.bar.is_some() {
            progress.tick(request, now);
        } else {
            screen.say(&headline(request));
            for line in needs(request) {
                screen.say(&line);
            }
        }
        progress
    }

    /// The time goes on.
    fn tick(&self, request: &Request, now: Timestamp) {
        let Some(bar) = &self.bar else { return };
        let mut lines = vec![headline(request)];
        lines.extend(needs(request).into_iter().map(|line| format!("  {line}")));
        let lost = if self.is_lost { "the gateway cannot be reached, trying again · " } else { "" };
        let left = format!("  {lost}times out {} · Ctrl-C cancels", words::relative(request.closes_at, now));
        lines.push(self.screen.err.dim(&left));
        bar.set_message(lines.join("\n"));
    }

    /// The request is another.
    fn change(&mut self, before: &Request, after: &Request, now: Timestamp) {
        if self.is_lost {
            self.is_lost = false;
            self.line("the gateway is back");
        }
        for vote in after.votes.iter().skip(before.votes.len()) {
            let comment = if vote.comment.is_empty() { String::new() } else { format!(": {}", vote.comment) };
            let choice = if vote.choice == "approve" { "approves" } else { "rejects" };
            self.line(&format!("{} {choice}{comment}", vote.voter));
        }
        if before.nobody_can_approve && !after.nobody_can_approve && after.is_pending() {
            self.line("note: it can be approved again");
        }
        let news = after.warnings();
        for warning in news.iter().filter(|warning| !before.warnings().contains(warning)) {
            self.line(&format!("note: {warning}"));
        }
        if self.bar.is_none() && after.is_pending() && before.missing() != after.missing() {
            for line in needs(after) {
                self.screen.say(&line);
            }
        }
        self.tick(after, now);
    }

    fn lost(&mut self, request: &Request, now: Timestamp) {
        if !self.is_lost {
            self.is_lost = true;
            self.line("the gateway cannot be reached; the request lives on, trying again");
        }
        self.tick(request, now);
    }

    fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => self.screen.say(line),
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Turns for as long as something is waited for.
pub(super) fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style.tick_chars("⣷⣯⣟⡿⢿⣻⣽⣾⣿"));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn headline(request: &Request) -> String {
    format!("waiting for access request to be approved at {}", request.url)
}

fn needs(request: &Request) -> Vec<String> {
    request
        .missing()
        .into_iter()
        .map(|line| if line.starts_with("waiting") { line } else { format!("needs {line}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::request;
    use super::*;

    fn ended(state: &str, by: &str, why: &str) -> Failure {
        let request = request(|r| {
            r["state"] = json!(state);
            r["ended"] = json!({"by": by, "why": why, "at": "2026-11-23T10:05:00Z"});
        });
        conclude(request).unwrap_err()
    }

    #[test]
    fn every_end_has_its_exit_code_and_says_who_when_and_why() {
        let rejected = ended("REJECTED", "sam", "not on a Friday");
        assert_eq!(rejected.exit, Exit::Rejected);
        assert_eq!(
            rejected.line(),
            "request r1 was rejected by sam at 2026-11-23 10:05:00 UTC: not on a Friday"
        );
        let revoked = ended("REVOKED", "root", "incident");
        assert_eq!(revoked.line(), "request r1 was revoked by root at 2026-11-23 10:05:00 UTC: incident");
        let exits = ["REVOKED", "EXPIRED", "CANCELLED", "EXECUTED", "SOMETHING_NEW"]
            .map(|state| ended(state, "", "").exit);
        assert_eq!(exits, [Exit::Revoked, Exit::Expired, Exit::Cancelled, Exit::Refused, Exit::Refused]);
    }

    #[test]
    fn t1_a_timeout_ends_the_wait_with_its_own_exit_code() {
        let failure = ended("TIMED_OUT", "the deadline", "");
        assert_eq!(failure.exit, Exit::TimedOut);
        assert!(
            failure.line().contains("timed out") && failure.line().contains("ask again"),
            "{}",
            failure.line()
        );
    }

    #[test]
    fn the_wait_names_the_link_and_who_can_end_it() {
        let request = request(|_| {});
        assert_eq!(headline(&request), "waiting for access request to be approved at http://g/requests/r1");
        assert_eq!(needs(&request), ["needs 1 of dba (bob, bea) and 1 of security (sam)"]);
    }
}
