//! A real browser: Chromium without a window, told what to do over the `DevTools`
//! protocol (<https://chromedevtools.github.io/devtools-protocol/>). A person has cookies of their own.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;

use super::program::{PATIENCE, in_time};

/// Chromium, without a window.
pub struct Browser {
    driver: Driver,
    _process: Child,
    _folder: TempDir,
}

/// One page of somebody.
pub struct Page {
    driver: Driver,
    session: String,
}

/// What the browser is told, and what it says.
#[derive(Clone)]
struct Driver {
    send: mpsc::UnboundedSender<Message>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    next: AtomicU64,
    answers: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    /// What pages asked for, by session.
    requested: Mutex<Vec<(String, String)>>,
    /// What went wrong in pages, by session.
    complaints: Mutex<Vec<(String, String)>>,
}

/// What the tests are told of the machine.
pub fn variable(name: &str) -> Option<String> {
    let mut all = quorate::config::environment();
    all.find(|(known, _)| known == name).and_then(|(_, value)| value.into_string().ok())
}

/// The checker of pages.
#[allow(dead_code, reason = "pages are checked by tests, and not by `screenshots`")]
pub fn axe() -> String {
    let axe = variable("QUORATE_AXE").expect("`tests/run` fetches axe-core and says where it is");
    std::fs::read_to_string(axe).unwrap()
}

impl Browser {
    pub async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let program = variable("QUORATE_CHROMIUM").unwrap_or_else(|| "chromium".to_owned());
        let mut process = Command::new(&program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args([
                "--no-first-run",
                "--disable-extensions",
                "--hide-scrollbars",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("`{program}` cannot be started: {error}"));
        let mut said = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = in_time(async {
            loop {
                let line = said.next_line().await.unwrap().expect("the browser ended");
                if let Some(address) = line.strip_prefix("DevTools listening on ") {
                    break address.to_owned();
                }
            }
        });
        let address = address.await;
        // It goes on talking, and must not be held up by that.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        Self { driver: Driver::connect(&address).await, _process: process, _folder: folder }
    }

    /// An empty page of somebody who shares nothing with others.
    pub async fn person(&self) -> Page {
        let context = self.driver.tell(None, "Target.createBrowserContext", json!({})).await;
        let context = &context["browserContextId"];
        let about = json!({ "url": "about:blank", "browserContextId": context });
        let target = self.driver.tell(None, "Target.createTarget", about).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.driver.tell(None, "Target.attachToTarget", attach).await;
        let page =
            Page { driver: self.driver.clone(), session: session["sessionId"].as_str().unwrap().to_owned() };
        for domain in ["Page", "Network", "Runtime", "Log"] {
            page.tell(&format!("{domain}.enable"), json!({})).await;
        }
        page.size(1100, 800).await;
        page
    }
}

impl Driver {
    async fn connect(address: &str) -> Self {
        let (socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
        let (mut out, mut incoming) = socket.split();
        let (send, mut to_send) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        tokio::spawn(async move {
            while let Some(message) = to_send.recv().await {
                if out.send(message).await.is_err() {
                    break;
                }
            }
        });
        let heard = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Some(Ok(message)) = incoming.next().await {
                let Ok(text) = message.to_text() else { continue };
                if let Ok(said) = serde_json::from_str(text) {
                    heard.hear(said);
                }
            }
        });
        Self { send, shared }
    }

    /// Tells it to do something; gives its answer, or what went wrong.
    async fn try_tell(&self, session: Option<&str>, method: &str, params: Value) -> Result<Value, String> {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.shared.answers.lock().unwrap().insert(id, answer);
        let mut order = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            order["sessionId"] = session.into();
        }
        self.send.send(Message::text(order.to_string())).unwrap();
        let mut said = in_time(answered).await.expect("the browser ended");
        match said.get("error") {
            Some(error) => Err(error["message"].as_str().unwrap_or_default().to_owned()),
            None => Ok(said["result"].take()),
        }
    }

    async fn tell(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let done = self.try_tell(session, method, params).await;
        done.unwrap_or_else(|error| panic!("{method}: {error}"))
    }
}

impl Shared {
    fn hear(&self, said: Value) {
        if let Some(id) = said["id"].as_u64() {
            if let Some(answer) = self.answers.lock().unwrap().remove(&id) {
                let _ = answer.send(said);
            }
            return;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (session, params) = (text(&said["sessionId"]), &said["params"]);
        match said["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                self.requested.lock().unwrap().push((session, text(&params["request"]["url"])));
            }
            // What a page may not do is told here.
            Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                self.complaints.lock().unwrap().push((session, params["entry"].to_string()));
            }
            Some("Runtime.exceptionThrown") => {
                self.complaints.lock().unwrap().push((session, params["exceptionDetails"].to_string()));
            }
            Some("Runtime.consoleAPICalled") if params["type"] == "error" => {
                self.complaints.lock().unwrap().push((session, params["args"].to_string()));
            }
            _ => {}
        }
    }
}

impl Page {
    async fn tell(&self, method: &str, params: Value) -> Value {
        self.driver.tell(Some(&self.session), method, params).await
    }

    /// What the script's expression, or what it promises, comes to; none where the page went
    /// away meanwhile.
    async fn evaluate(&self, script: &str) -> Option<Value> {
        let params = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let done = self.driver.try_tell(Some(&self.session), "Runtime.evaluate", params).await.ok()?;
        if let Some(thrown) = done.get("exceptionDetails") {
            panic!("{script}: {thrown}");
        }
        Some(done["result"]["value"].clone())
    }

    /// What the script's expression comes to.
    pub async fn script(&self, script: &str) -> Value {
        in_time(async {
            loop {
                if let Some(value) = self.evaluate(script).await {
                    break value;
                }
            }
        })
        .await
    }

    /// Holds the cookie that signing in leaves.
    pub async fn signed_in(&self, url: &str, token: &str) {
        let cookie =
            json!({ "url": url, "name": "quorate", "value": token, "httpOnly": true, "sameSite": "Lax" });
        self.tell("Network.setCookie", cookie).await;
    }

    /// Goes there, and waits until the page is there.
    pub async fn open(&self, url: &str) {
        let gone = self.tell("Page.navigate", json!({ "url": url })).await;
        assert_eq!(gone.get("errorText"), None, "{url}");
        self.until("document.readyState === 'complete'").await;
    }

    /// Looks at the page until the condition is true of it, also where it becomes another page.
    /// Gives up, loudly, after [`PATIENCE`].
    pub async fn until(&self, condition: &str) {
        let until = Instant::now() + PATIENCE;
        while self.script(&format!("!!({condition})")).await != true {
            let says = if Instant::now() > until { Some(self.text("body").await) } else { None };
            assert_eq!(says, None, "it does not come to {condition}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the page has this text.
    pub async fn says(&self, text: &str) {
        self.until(&format!("document.body?.innerText.includes({})", Value::from(text))).await;
    }

    /// The text that is seen there.
    pub async fn text(&self, selector: &str) -> String {
        let script = format!("document.querySelector({})?.innerText ?? ''", Value::from(selector));
        self.script(&script).await.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks in the middle of what the selector finds.
    pub async fn click(&self, selector: &str) {
        let name = Value::from(selector);
        self.until(&format!("document.querySelector({name})")).await;
        let script = format!(
            "(() => {{ const it = document.querySelector({name}); it.scrollIntoView({{block: 'center', behavior: 'instant'}});
               const at = it.getBoundingClientRect(); return [at.x + at.width / 2, at.y + at.height / 2]; }})()"
        );
        let at = self.script(&script).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 });
            self.tell("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Clicks there, and waits until another page is there, also where it has the same address.
    pub async fn sends(&self, selector: &str) {
        self.script("window.isOld = true").await;
        self.click(selector).await;
        self.until("!window.isOld && document.readyState === 'complete'").await;
    }

    /// Types into what the selector finds.
    pub async fn types(&self, selector: &str, text: &str) {
        self.click(selector).await;
        self.tell("Input.insertText", json!({ "text": text })).await;
    }

    /// Chooses of a list.
    pub async fn choose(&self, selector: &str, value: &str) {
        let script = format!(
            "(() => {{ const it = document.querySelector({}); it.value = {};
               it.dispatchEvent(new Event('change', {{bubbles: true}})); return it.value; }})()",
            Value::from(selector),
            Value::from(value)
        );
        assert_eq!(self.script(&script).await, value);
    }

    /// Puts a file into a field for files.
    pub async fn gives(&self, selector: &str, file: &std::path::Path) {
        let found = self
            .tell(
                "Runtime.evaluate",
                json!({ "expression": format!("document.querySelector({})", Value::from(selector)) }),
            )
            .await;
        let object = &found["result"]["objectId"];
        assert!(object.is_string(), "there is no {selector}");
        self.tell("DOM.setFileInputFiles", json!({ "files": [file.to_str().unwrap()], "objectId": object }))
            .await;
    }

    /// Presses a key, as on a keyboard.
    pub async fn press(&self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "code": key });
            if key == "Enter" {
                event["windowsVirtualKeyCode"] = 13.into();
                event["text"] = "\r".into();
            }
            if key == "Space" {
                event["windowsVirtualKeyCode"] = 32.into();
                event["key"] = " ".into();
                event["text"] = " ".into();
            }
            if key == "Tab" {
                event["windowsVirtualKeyCode"] = 9.into();
            }
            self.tell("Input.dispatchKeyEvent", event).await;
        }
    }

    /// How large the page is, in pixels.
    pub async fn size(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tell("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// `light` or `dark`.
    pub async fn colours(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.tell("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Whether scripts run, from the next page on.
    pub async fn scripts(&self, run: bool) {
        self.tell("Emulation.setScriptExecutionDisabled", json!({ "value": !run })).await;
    }

    /// A picture of the whole page: PNG in base64.
    #[allow(dead_code, reason = "pictures are taken by `screenshots`, and not by tests")]
    pub async fn picture(&self) -> String {
        let shot = self.tell("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        shot["data"].as_str().unwrap().to_owned()
    }

    /// Everything serious that [`axe`] finds in it.
    #[allow(dead_code, reason = "pages are checked by tests, and not by `screenshots`")]
    pub async fn found_by_axe(&self, axe: &str) -> Value {
        self.script(&format!("{axe};0")).await;
        self.script(
            "axe.run().then(({violations}) => violations
                .filter(({impact}) => impact === 'serious' || impact === 'critical')
                .map(({id, nodes}) => id + ': ' + nodes.map(({html}) => html).join(' ')))",
        )
        .await
    }

    /// Every address that was asked for.
    pub fn requested(&self) -> Vec<String> {
        let all = self.driver.shared.requested.lock().unwrap();
        all.iter().filter(|(session, _)| *session == self.session).map(|(_, url)| url.clone()).collect()
    }

    /// Everything that went wrong in it: scripts that failed, and what it tried and may not do.
    pub fn complaints(&self) -> Vec<String> {
        let all = self.driver.shared.complaints.lock().unwrap();
        all.iter().filter(|(session, _)| *session == self.session).map(|(_, what)| what.clone()).collect()
    }
}
