//! Sessions and their recordings: who sees which, live, in a real browser; what a real terminal
//! showed, played there; and who looked, in the ledger.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use quorate::config::Config;
use quorate::demo::terminal::Terminal;
use serde_json::{Value, json};

use crate::world::browser::{Browser, Page, axe};
use crate::world::disk::SmallDisk;
use crate::world::gateway::Gateway;
use crate::world::program::PATIENCE;
use crate::world::{World, quorum};

/// A page of `who`, signed in.
async fn page_of(browser: &Browser, world: &World, who: &str) -> Page {
    let page = browser.person().await;
    page.signed_in(&world.url(), world.token(who)).await;
    page
}

/// A resource that one of dba opens, and ann's access to it.
async fn granted(world: &World, command: &[&str]) -> String {
    world.resource("box", quorum(&["dba"], false, 1)).await;
    world.put("root", "resources/box", json!({ "kind": "shell", "command": command })).await.good();
    let id = world.ask("ann", "box", "1h").await.good().id();
    assert_eq!(world.approve("bob", &id).await.good().state(), "APPROVED");
    id
}

/// ann's terminal in it.
fn connects(world: &World) -> Terminal {
    world.at_the_command_line("ann").sits_down(&["connect", "box"])
}

/// A shell that says when it is ready.
const SHELL: [&str; 3] = ["sh", "-c", "echo rea''dy; exec sh"];

/// The newest session.
async fn newest(world: &World) -> String {
    let sessions = world.get("root", "sessions?limit=1").await.good();
    sessions.text("/items/0/id").to_owned()
}

/// Waits for the end of a session, which the ledger hears a moment after the terminal.
async fn over(world: &World, id: &str) -> Value {
    world
        .eventually("the end of the session", async || {
            let session = world.get("root", &format!("sessions/{id}")).await.good();
            Some(session.body["ended"].clone()).filter(Value::is_object)
        })
        .await
}

/// What somebody is answered who asks for a page, or with the API for a recording.
async fn asked(world: &World, who: &str, path: &str) -> (u16, String) {
    let request = reqwest::Client::new().get(format!("{}/{path}", world.url()));
    let token = world.token(who);
    let request = request.bearer_auth(token).header("cookie", format!("quorate={token}"));
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The same for what tells a page to look again, which says nothing yet.
async fn live(world: &World, who: &str, id: &str) -> u16 {
    let request = reqwest::Client::new().get(format!("{}/sessions/{id}/live?after=0", world.url()));
    let request = request.header("cookie", format!("quorate={}", world.token(who)));
    request.send().await.unwrap().status().as_u16()
}

/// The recording that root reads: its header, and its events. Each line is JSON.
async fn recording(world: &World, id: &str) -> (Value, Vec<Value>) {
    let (status, text) = asked(world, "root", &format!("api/sessions/{id}/recording")).await;
    assert_eq!(status, 200, "{text}");
    parsed(&text)
}

fn parsed(text: &str) -> (Value, Vec<Value>) {
    assert!(text.ends_with('\n'), "{text:?}");
    let mut lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.next().unwrap(), lines.collect())
}

/// Everything that is an event of this kind, in a row.
fn all(events: &[Value], kind: &str) -> String {
    events.iter().filter(|event| event[1] == kind).map(|event| event[2].as_str().unwrap()).collect()
}

/// What the ledger says of a session, in order, by type and actor.
async fn entries(world: &World, id: &str) -> Vec<(String, Value)> {
    let answer = world.get("root", &format!("audit/entries?limit=200&stream=session/{id}")).await.good();
    let entry =
        |item: &Value| (item["entry"]["type"].as_str().unwrap().to_owned(), item["entry"]["by"].clone());
    answer.list("/items").iter().map(entry).collect()
}

/// How often somebody read the recording.
async fn reads(world: &World, id: &str, who: &str) -> usize {
    let entries = entries(world, id).await;
    entries.iter().filter(|(kind, by)| kind == "recording-read" && by["user"] == who).count()
}

fn file(world: &World, id: &str) -> PathBuf {
    world.config().recordings().join(format!("{id}.cast"))
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_browser_what_a_terminal_showed_is_played_and_who_looked_is_in_the_ledger() {
    let world = World::new().await;
    granted(&world, &SHELL).await;
    let mut session = connects(&world);
    session.wait_for("ready", PATIENCE).unwrap();
    session.type_in("echo the answer is $((21 * 2))\n").unwrap();
    session.wait_for("the answer is 42", PATIENCE).unwrap();
    session.type_in("exit\n").unwrap();
    session.wait_exit(PATIENCE).unwrap();
    let id = newest(&world).await;
    over(&world, &id).await;

    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/sessions", world.url())).await;
    assert!(!root.requested().iter().any(|url| url.contains("asciinema")), "the player is on every page");
    root.click(&format!("#session-{id} a[href$='/recording']")).await;
    root.until("document.querySelector('#player .ap-time-remaining')?.innerText").await;
    // With the keyboard alone.
    for _ in 0..20 {
        if root.script("document.activeElement.matches('#player .ap-wrapper')").await == true {
            break;
        }
        root.press("Tab").await;
    }
    root.press("Space").await;
    root.until("document.querySelector('#player .ap-term')?.innerText.includes('the answer is 42')").await;
    assert_eq!(root.complaints(), Vec::<String>::new(), "what the page may not do, or fails to do");
    let elsewhere = |url: &String| !url.starts_with(&world.url()) && !url.starts_with("about:");
    assert_eq!(root.requested().into_iter().filter(elsewhere).collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(reads(&world, &id, "root").await, 1);
    root.open(&format!("{}/sessions/{id}", world.url())).await;
    root.says("root read the recording").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_browser_sessions_come_and_go_on_open_pages_and_an_admin_ends_one() {
    let world = World::new().await;
    let request = granted(&world, &SHELL).await;
    let browser = Browser::start().await;
    let (ann, root) = tokio::join!(page_of(&browser, &world, "ann"), page_of(&browser, &world, "root"));
    let list = format!("{}/sessions", world.url());
    tokio::join!(ann.open(&list), root.open(&list));
    tokio::join!(ann.says("Nobody is connected as you."), root.says("Nobody is connected."));
    let on_request = page_of(&browser, &world, "ann").await;
    on_request.open(&format!("{}/requests/{request}", world.url())).await;
    on_request.says("approved by bob").await;
    assert_eq!(on_request.script("document.querySelector('#sessions')").await, Value::Null);

    let mut session = connects(&world);
    session.wait_for("ready", PATIENCE).unwrap();
    let id = newest(&world).await;
    for page in [&ann, &root] {
        page.until(&format!(
            "document.querySelector('#open #session-{id}')?.innerText.includes('ann on box')"
        ))
        .await;
    }
    on_request.until("document.querySelector('#sessions')?.innerText.includes('open')").await;
    root.until("/Time left: 59m\\d+s/.test(document.querySelector('#open').innerText)").await;
    assert_eq!(ann.script("document.querySelectorAll('a[href$=\"/recording\"]').length").await, 0);
    root.click(&format!("#session-{id} a[href='/requests/{request}']")).await;
    root.click(&format!("#sessions a[href='/sessions/{id}']")).await;
    root.says("open").await;

    // What is typed stays where the page looks again, and where it was refused.
    let reason = "x".repeat(1001);
    root.types("#reason", &reason).await;
    asked(&world, "root", &format!("api/sessions/{id}/recording")).await;
    root.says("root read the recording").await;
    assert_eq!(root.script("document.querySelector('#reason').value").await, reason);
    root.click("button.danger").await;
    root.until("document.querySelector('form #refused')?.innerText === 'reason: at most 1000 characters'")
        .await;
    assert_eq!(root.script("document.querySelector('#reason').value").await, reason);
    session.type_in("echo still he''re\n").unwrap();
    session.wait_for("still here", PATIENCE).unwrap();

    root.script("document.querySelector('#reason').value = ''").await;
    root.types("#reason", "lunch").await;
    root.click("button.danger").await;
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 13, "{}", session.seen());
    assert!(session.seen().contains("quorate: ended by root: lunch"), "{}", session.seen());
    root.until("document.querySelector('#state').innerText === 'ended'").await;
    ann.until(&format!(
        "document.querySelector('#ended #session-{id}')?.innerText.includes('ended by root: lunch')"
    ))
    .await;
    on_request.until("document.querySelector('#sessions').innerText.includes('ended by root: lunch')").await;
    assert_eq!(world.request(&request).await.state(), "APPROVED");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_and_recordings_are_shown_to_whom_the_api_shows_them() {
    let mut world = World::new().await;
    world.person("aud", &["auditor"]).await;
    let request = granted(&world, &SHELL).await;
    let mut session = connects(&world);
    session.wait_for("ready", PATIENCE).unwrap();
    let id = newest(&world).await;
    let page = format!("sessions/{id}");
    for (who, session, list) in
        [("ann", 200, true), ("bob", 404, false), ("aud", 200, true), ("root", 200, true)]
    {
        assert_eq!(asked(&world, who, &page).await.0, session, "{who}");
        assert_eq!(live(&world, who, &id).await, session, "{who}");
        assert_eq!(asked(&world, who, "sessions").await.1.contains(&id), list, "{who}");
        // bob voted on the request, and sees it.
        assert_eq!(asked(&world, who, &format!("requests/{request}")).await.1.contains(&id), list, "{who}");
        let reads = matches!(who, "aud" | "root");
        let status = if reads { 200 } else { 403 };
        assert_eq!(asked(&world, who, &format!("{page}/recording")).await.0, status, "{who}");
        for path in [format!("{page}/recording.cast"), format!("api/{page}/recording")] {
            let given = asked(&world, who, &path).await;
            assert_eq!((given.0, given.1.contains("ready")), (status, reads), "{who}: {path}");
        }
        assert_eq!(asked(&world, who, "sessions").await.1.contains("/recording"), reads, "{who}");
    }
    assert_eq!(asked(&world, "bob", "sessions?user=ann").await.0, 403);
    for nothing in [
        "sessions/nothing",
        "sessions/nothing/recording",
        "api/sessions/nothing/recording",
        "sessions/..%2f..%2fx/recording.cast",
    ] {
        assert_eq!(asked(&world, "root", nothing).await.0, 404, "{nothing}");
    }
    // Who was refused left no trace, and each look that was none did.
    for (who, count) in [("ann", 0), ("bob", 0), ("aud", 2), ("root", 2)] {
        assert_eq!(reads(&world, &id, who).await, count, "{who}");
    }
    // An auditor changes nothing, nor does a page of somebody else.
    let end = |who: &str, site: &'static str| {
        let request = reqwest::Client::new().post(format!("{}/sessions/{id}/end", world.url()));
        let request =
            request.header("cookie", format!("quorate={}", world.token(who))).header("sec-fetch-site", site);
        request.header("content-type", "application/x-www-form-urlencoded").body("reason=").send()
    };
    for (who, site, status) in [
        ("aud", "same-origin", 403),
        ("bob", "same-origin", 404),
        ("root", "cross-site", 403),
        ("ann", "same-origin", 200),
    ] {
        assert_eq!(end(who, site).await.unwrap().status(), status, "{who} {site}");
    }
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 13);
    assert_eq!(over(&world, &id).await["message"], "ended by ann");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_has_what_was_shown_and_its_size_and_nothing_that_was_only_typed() {
    let world = World::new().await;
    // The two halves of an ä apart.
    let script =
        "stty -echo; echo ready; read x; printf 'one \\303'; read x; printf '\\244 two\\n'; read x; exit 3";
    granted(&world, &["sh", "-c", script]).await;
    let mut session = connects(&world);
    session.wait_for("ready", PATIENCE).unwrap();
    session.resize(41, 123).unwrap();
    session.type_in("hunter2-hunter2\n").unwrap();
    session.wait_for("one \u{fffd}", PATIENCE).unwrap();
    session.type_in("\n").unwrap();
    session.wait_for("two", PATIENCE).unwrap();
    session.type_in("\n").unwrap();
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 3, "{}", session.seen());
    let id = newest(&world).await;
    over(&world, &id).await;

    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(world.config().recordings()), mode(file(&world, &id))), (0o700, 0o600));
    let (header, events) = recording(&world, &id).await;
    assert_eq!(
        (&header["version"], &header["width"], &header["height"]),
        (&json!(2), &json!(100), &json!(30))
    );
    assert_eq!(header["timestamp"], 1_772_445_600);
    assert_eq!(all(&events, "o"), "ready\r\none ä two\r\n");
    assert_eq!(all(&events, "r"), "123x41");
    assert!(events.iter().all(|event| event[0].is_f64() && matches!(event[1].as_str(), Some("o" | "r"))));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_its_limit_a_recording_says_that_it_ends_and_the_session_goes_on() {
    let world = World::with(Config { recording_bytes_max: 4096, ..Config::default() }).await;
    granted(&world, &SHELL).await;
    let mut session = connects(&world);
    session.wait_for("ready", PATIENCE).unwrap();
    session.type_in("seq 1 5000; echo do''ne\n").unwrap();
    session.wait_for("done", PATIENCE).unwrap();
    let id = newest(&world).await;
    let stopped = || async {
        entries(&world, &id).await.iter().any(|(kind, _)| kind == "recording-stopped").then_some(())
    };
    world.eventually("the ledger to say it", stopped).await;
    session.type_in("echo still he''re\n").unwrap();
    session.wait_for("still here", PATIENCE).unwrap();
    session.type_in("exit\n").unwrap();
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 0);
    over(&world, &id).await;

    assert!(std::fs::metadata(file(&world, &id)).unwrap().len() <= 4096);
    let (_, events) = recording(&world, &id).await;
    let why = "the recording ends here: the recording has 4096 bytes, as many as it may have";
    assert_eq!((all(&events, "m").as_str(), events.last().unwrap()[1].as_str()), (why, Some("m")));
    assert!(all(&events, "o").starts_with("ready") && !all(&events, "o").contains("still here"));
    let (_, page) = asked(&world, "root", &format!("sessions/{id}")).await;
    assert!(page.contains("stopped recording it"), "{page}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_cannot_be_recorded_does_not_start_and_one_without_recordings_does() {
    let mut world = World::new().await;
    granted(&world, &SHELL).await;
    std::fs::remove_dir(world.config().recordings()).unwrap();
    let mut refused = connects(&world);
    assert_ne!(refused.wait_exit(PATIENCE).unwrap(), 0);
    assert!(refused.seen().contains("the gateway cannot record this session"), "{}", refused.seen());
    assert!(!refused.seen().contains("ready"), "{}", refused.seen());
    let id = newest(&world).await;
    assert_eq!(over(&world, &id).await["reason"], "failed");

    world.reconfigure(|config| config.recording_bytes_max = 0);
    world.restart_after(1).await;
    let mut session = connects(&world);
    session.wait_for("ready", PATIENCE).unwrap();
    let id = newest(&world).await;
    assert!(!world.config().recordings().exists());
    assert_eq!(world.get("root", &format!("sessions/{id}")).await.good().body["recorded"], false);
    assert!(!asked(&world, "root", "sessions").await.1.contains("/recording"));
    for path in ["sessions/{id}/recording", "sessions/{id}/recording.cast", "api/sessions/{id}/recording"] {
        assert_eq!(asked(&world, "root", &path.replace("{id}", &id)).await.0, 404, "{path}");
    }
    assert_eq!(reads(&world, &id, "root").await, 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_root_a_disk_that_fills_up_ends_the_recording_and_not_the_session() {
    let world = World::new().await;
    let disk = SmallDisk::mounted_at(&world.config().recordings());
    granted(&world, &SHELL).await;
    let mut session = connects(&world);
    session.wait_for("ready", PATIENCE).unwrap();
    let id = newest(&world).await;
    let filled = disk.fill();
    session.type_in("seq 1 5000; echo do''ne\n").unwrap();
    session.wait_for("done", PATIENCE).unwrap();
    let stopped = || async {
        entries(&world, &id).await.iter().any(|(kind, _)| kind == "recording-stopped").then_some(())
    };
    world.eventually("the ledger to say it", stopped).await;
    // A second one does not even begin.
    let mut refused = connects(&world);
    assert_ne!(refused.wait_exit(PATIENCE).unwrap(), 0);
    assert!(refused.seen().contains("the gateway cannot record this session"), "{}", refused.seen());
    session.type_in("echo still he''re\n").unwrap();
    session.wait_for("still here", PATIENCE).unwrap();
    let (_, events) = recording(&world, &id).await;
    assert!(all(&events, "o").starts_with("ready") && !all(&events, "o").contains("still here"));
    std::fs::remove_file(filled).unwrap();
    drop(session);
    over(&world, &id).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_leaves_what_was_shown_until_then() {
    let mut gateway = Gateway::start(&["ann", "bob"], &[]).await;
    let root = gateway.at_the_command_line("root");
    let create = ["admin", "create", "conn", "box", "--reviewers", "dba", "--", "sh"];
    root.runs(&create).await.with(0);
    let ann = gateway.at_the_command_line("ann");
    let request = ann.runs(&["connect", "box", "--no-wait"]).await.with(0).out.trim().to_owned();
    gateway.at_the_command_line("bob").runs(&["requests", "approve", &request]).await.with(0);
    let mut session = ann.sits_down(&["connect", "box"]);
    session.type_in("seq 1 3000; echo the answer is $((21 * 2))\n").unwrap();
    session.wait_for("the answer is 42", PATIENCE).unwrap();
    let id = root.asks(&["sessions", "list"]).await[0]["id"].as_str().unwrap().to_owned();
    let kept = gateway.folder().join(format!("data/recordings/{id}.cast"));
    let written = || std::fs::read_to_string(&kept).is_ok_and(|text| text.contains("the answer is 42"));
    crate::world::program::eventually("what was shown to be written", written).await;
    gateway.kill().await;
    gateway.serve().await;

    let printed = root.runs(&["sessions", "recording", &id]).await.with(0);
    let (header, events) = parsed(&printed.out);
    assert_eq!(header["title"], "ann on box");
    assert!(all(&events, "o").contains("the answer is 42"), "{}", printed.out);
    let file = gateway.folder().join("session.cast");
    let asked = root.asks(&["sessions", "recording", &id, "--output", file.to_str().unwrap()]).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), printed.out);
    assert_eq!(asked["bytes"], printed.out.len());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = ann.runs(&["sessions", "recording", &id]).await;
    assert!(refused.line().contains("auditor or an admin") && refused.out.is_empty(), "{refused:?}");
    // Each of the two looks counts.
    let entries =
        gateway.get("root", &format!("audit/entries?type=recording-read&stream=session/{id}")).await;
    assert_eq!(entries.list("/items").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_browser_and_axe_nothing_serious_is_found_on_the_pages_of_sessions() {
    let axe = axe();
    let world = World::new().await;
    granted(&world, &SHELL).await;
    let mut first = connects(&world);
    first.wait_for("ready", PATIENCE).unwrap();
    let ended = newest(&world).await;
    first.type_in("exit\n").unwrap();
    first.wait_exit(PATIENCE).unwrap();
    over(&world, &ended).await;
    let mut second = connects(&world);
    second.wait_for("ready", PATIENCE).unwrap();
    let open = newest(&world).await;
    let browser = Browser::start().await;
    let root = page_of(&browser, &world, "root").await;
    let paths = [
        "sessions".to_owned(),
        "sessions?state=nope".to_owned(),
        format!("sessions/{open}"),
        format!("sessions/{ended}"),
        format!("sessions/{ended}/recording"),
    ];
    for scheme in ["light", "dark"] {
        for path in &paths {
            root.colours(scheme).await;
            root.open(&format!("{}/{path}", world.url())).await;
            if path.ends_with("recording") {
                root.until("document.querySelector('#player .ap-time-remaining')?.innerText").await;
            }
            assert_eq!(root.found_by_axe(&axe).await, json!([]), "{path} in {scheme}");
            // Nothing runs over the edge of a telephone.
            root.size(400, 800).await;
            root.until("document.documentElement.scrollWidth <= 400").await;
            root.size(1100, 800).await;
        }
    }
    world.finish().await;
}
