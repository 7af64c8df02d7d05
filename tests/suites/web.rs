//! The web app in a real browser: what people see, and what they can do by clicking.

use quorate::config::Config;
use serde_json::json;

use crate::world::browser::{Browser, Page, axe};
use crate::world::provider::{declared, settings};
use crate::world::{World, quorum};

const PASSWORD: &str = "correct horse battery";

/// A page of `who`, signed in.
pub async fn page_of(browser: &Browser, world: &World, who: &str) -> Page {
    let page = browser.person().await;
    page.signed_in(&world.url(), world.token(who)).await;
    page
}

/// A world in which ann has asked for `prod`, which takes one of dba and one of security.
async fn asked() -> (World, String, Browser) {
    asked_in(World::new().await).await
}

async fn asked_in(world: World) -> (World, String, Browser) {
    world.resource("prod", quorum(&["dba", "security"], true, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    (world, id, Browser::start().await)
}

#[tokio::test]
async fn needs_browser_a_person_signs_in_with_a_password_and_out_again() {
    let world = World::new().await;
    world.put("root", "users/ann", json!({ "groups": ["dev"], "password": PASSWORD })).await.good();
    let browser = Browser::start().await;
    let page = browser.person().await;
    page.open(&format!("{}/requests?inbox=all", world.url())).await;
    page.types("#user", "ann").await;
    page.types("#password", "wrong").await;
    page.press("Enter").await;
    page.says("the user name or the password is wrong").await;
    assert_eq!(page.script("document.querySelector('#user').value").await, "ann");
    page.types("#password", PASSWORD).await;
    page.press("Enter").await;
    page.until("location.pathname === '/requests' && location.search === '?inbox=all'").await;
    assert_eq!(page.script("document.cookie").await, "", "a script can read the cookie");
    page.click(".who button").await;
    page.until("location.pathname === '/sign-in'").await;
    page.open(&format!("{}/requests", world.url())).await;
    page.until("location.pathname === '/sign-in'").await;
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_signing_out_everywhere_ends_every_token() {
    let world = World::new().await;
    let browser = Browser::start().await;
    let page = page_of(&browser, &world, "ann").await;
    page.open(&format!("{}/account", world.url())).await;
    page.click("main button.danger").await;
    page.until("location.pathname === '/sign-in'").await;
    world.get("ann", "me").await.refused(401, "unauthenticated");
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_two_approvers_decide_and_everybody_sees_it_at_once() {
    let (world, id, browser) = asked().await;
    let request = format!("{}/requests/{id}", world.url());
    let (ann, bob, sam) = tokio::join!(
        page_of(&browser, &world, "ann"),
        page_of(&browser, &world, "bob"),
        page_of(&browser, &world, "sam"),
    );
    let inbox = format!("{}/requests", world.url());
    tokio::join!(ann.open(&request), bob.open(&request), sam.open(&inbox));
    ann.says("1 of dba (bea, bob, sue) and 1 of security (sam, sue)").await;
    assert_eq!(ann.script("document.querySelectorAll('form.vote').length").await, 0);
    bob.types("#comment", "fine <b>by me</b>").await;
    bob.click("button[value=approve]").await;
    bob.says("waiting for 1 of security").await;
    ann.says("fine <b>by me</b>").await;
    sam.says("waiting for 1 of security").await;
    sam.click("a.row").await;
    sam.click("button[value=approve]").await;
    sam.until("document.querySelector('#state').innerText === 'approved'").await;
    for page in [&ann, &bob] {
        page.until("document.querySelector('#state').innerText === 'approved'").await;
    }
    assert_eq!(world.request(&id).await.state(), "APPROVED");
    let elsewhere = |url: &String| !url.starts_with(&world.url()) && !url.starts_with("about:");
    for page in [&ann, &bob, &sam] {
        assert_eq!(page.requested().into_iter().filter(elsewhere).collect::<Vec<_>>(), Vec::<String>::new());
    }
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_who_is_late_is_told_who_decided_and_keeps_what_they_typed() {
    let (world, id, browser) = asked().await;
    let bob = page_of(&browser, &world, "bob").await;
    // As it is for somebody whose page did not hear of it in time.
    bob.scripts(false).await;
    bob.open(&format!("{}/requests/{id}", world.url())).await;
    bob.types("#comment", "not today").await;
    world.reject("sam", &id).await.good();
    bob.click("button[value=reject]").await;
    bob.says("already decided: REJECTED by sam").await;
    assert_eq!(bob.text("#unsaid").await, "not today");
    assert_eq!(bob.text("#state").await, "rejected");
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_without_scripts_people_read_and_vote() {
    let (world, id, browser) = asked().await;
    let sue = page_of(&browser, &world, "sue").await;
    sue.scripts(false).await;
    sue.open(&format!("{}/requests", world.url())).await;
    sue.click("a.row").await;
    // What was refused and can be put right is still in its field.
    let comment = "x".repeat(10_001);
    sue.types("#comment", &comment).await;
    sue.click("button[value=reject]").await;
    sue.says("at most").await;
    assert_eq!(sue.script("document.querySelector('#comment').value").await, comment);
    sue.script("document.querySelector('#comment').value = ''").await;
    sue.types("#comment", "no").await;
    sue.click("button[value=reject]").await;
    sue.says("REJECTED by sue").await;
    assert_eq!(world.request(&id).await.state(), "REJECTED");
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_asking_says_before_what_will_be_needed() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    world.bare_resource("short", json!({ "max_duration": "1h" })).await;
    let rule = json!({ "access_type": "just-in-time", "resources": ["short"], "policies": quorum(&["dba"], false, 1) });
    world.rule("short", rule).await.good();
    let browser = Browser::start().await;
    let ann = page_of(&browser, &world, "ann").await;
    ann.open(&format!("{}/requests/new", world.url())).await;
    ann.types("#reason", "invoice 4711").await;
    ann.choose("#resource", "short").await;
    ann.says("waiting for 1 of dba (bea, bob, sue)").await;
    ann.click("input[value='2h']").await;
    ann.says("2h is too long: the maximum is 1h").await;
    ann.click("input[value='1h']").await;
    ann.says("waiting for 1 of dba").await;
    assert_eq!(ann.script("document.querySelector('#reason').value").await, "invoice 4711");
    ann.click("button.main").await;
    ann.until("location.pathname.length > '/requests/new'.length").await;
    ann.says("invoice 4711").await;
    assert_eq!(ann.text("#state").await, "pending");
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_an_error_stands_beside_its_field_and_nothing_typed_is_lost() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let browser = Browser::start().await;
    let ann = page_of(&browser, &world, "ann").await;
    ann.open(&format!("{}/requests/new", world.url())).await;
    ann.choose("#resource", "prod").await;
    ann.types("#reason", "line one").await;
    ann.click("input[value=own]").await;
    ann.types("[name=own_duration]", "soon").await;
    ann.click("button.main").await;
    ann.until("document.querySelector('.for-time .wrong')?.innerText.includes('soon')").await;
    assert_eq!(ann.script("document.querySelector('#reason').value").await, "line one");
    assert_eq!(ann.script("document.querySelector('[name=own_duration]').value").await, "soon");
    assert_eq!(ann.script("document.querySelector('#resource').value").await, "prod");
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_what_people_write_shows_itself_and_does_nothing() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let hostile = "</code></pre><script>document.title='owned'</script>";
    let long = format!("{hostile}{}", "x".repeat(8_000));
    let reason = format!("\u{202e}drop\u{1b}[2J{hostile}");
    let ask = json!({ "resource": "prod", "command": { "text": long }, "reason": reason });
    let id = world.post("ann", "requests", ask).await.good().id();
    let browser = Browser::start().await;
    let bob = page_of(&browser, &world, "bob").await;
    bob.open(&format!("{}/requests/{id}", world.url())).await;
    let shown = bob.text("pre.command").await;
    assert_eq!(shown, long);
    bob.says(&format!("[U+202E]drop[U+001B][2J{hostile}")).await;
    assert_eq!(bob.script("document.title").await, "ann on prod · Quorate");
    assert_eq!(bob.script("document.querySelectorAll('main script').length").await, 0);
    // Nothing runs over the edge of the page, however long a word is.
    bob.size(400, 800).await;
    assert_eq!(bob.script("document.documentElement.scrollWidth <= 400").await, true);
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_a_grant_is_taken_back_on_its_page() {
    let (world, id, browser) = asked().await;
    world.approve("bob", &id).await.good();
    world.approve("sam", &id).await.good();
    let (ann, bob) = tokio::join!(page_of(&browser, &world, "ann"), page_of(&browser, &world, "bob"));
    let request = format!("{}/requests/{id}", world.url());
    tokio::join!(ann.open(&request), bob.open(&request));
    // It counts, by the gateway's clock and not by that of whoever looks.
    ann.until("/^Time left: 59m\\d+s$/.test(document.querySelector('.left').innerText)").await;
    bob.types("#reason", "wrong database").await;
    bob.click("button.danger").await;
    bob.says("REVOKED by bob: wrong database").await;
    ann.says("REVOKED by bob: wrong database").await;
    world.finish().await;
}

#[tokio::test]
async fn a_form_of_somebody_else_does_nothing() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let vote = |header: Option<(&'static str, &'static str)>| {
        let request = http
            .post(format!("{}/requests/{id}/vote", world.url()))
            .header("cookie", format!("quorate={}", world.token("bob")))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("choice=approve&comment=");
        match header {
            Some((name, value)) => request.header(name, value),
            None => request,
        }
        .send()
    };
    for foreign in [None, Some(("sec-fetch-site", "cross-site")), Some(("origin", "https://evil.example"))] {
        assert_eq!(vote(foreign).await.unwrap().status(), 403, "{foreign:?}");
    }
    assert_eq!(world.request(&id).await.state(), "PENDING");
    assert_eq!(vote(Some(("sec-fetch-site", "same-origin"))).await.unwrap().status(), 303);
    assert_eq!(world.request(&id).await.state(), "APPROVED");
    world.finish().await;
}

#[tokio::test]
async fn a_page_that_one_may_not_see_is_none() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let get = |who: Option<&str>, path: String| {
        let request = http.get(format!("{}{path}", world.url()));
        match who {
            Some(who) => request.header("cookie", format!("quorate={}", world.token(who))),
            None => request,
        }
        .send()
    };
    let anonymous = get(None, format!("/requests/{id}?a=b")).await.unwrap();
    assert_eq!(anonymous.status(), 303);
    assert_eq!(anonymous.headers()["location"], format!("/sign-in?next=/requests/{id}%3Fa%3Db"));
    assert_eq!(get(Some("eve"), format!("/requests/{id}")).await.unwrap().status(), 404);
    assert_eq!(get(Some("eve"), "/requests/nonsense!".to_owned()).await.unwrap().status(), 404);
    assert_eq!(get(Some("eve"), format!("/requests/{id}/live")).await.unwrap().status(), 404);
    let seen = get(Some("bob"), format!("/requests/{id}")).await.unwrap();
    assert_eq!(seen.status(), 200);
    let policy = seen.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(seen.headers()["cache-control"], "no-store");
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_and_axe_nothing_serious_is_found_on_any_page() {
    let axe = axe();
    let oidc = Some(declared(settings("https://id.example.org", "quorate"), None));
    let world = World::with(Config { oidc, ..Config::default() }).await;
    let (world, pending, browser) = asked_in(world).await;
    let channel = json!({ "kind": "webhook", "address": "http://localhost:9/", "all_requests": true });
    world.put("root", "channels/pager", channel).await.good();
    let approved = world.ask("ann", "prod", "2h").await.good().id();
    world.approve("bob", &approved).await.good();
    world.approve("sam", &approved).await.good();
    let command = world.ask_command("ann", "prod", "select 1;\nselect 2;").await.good().id();
    let record = world.request(&pending).await.text("/record").to_owned();
    let (bob, root, nobody) =
        tokio::join!(page_of(&browser, &world, "bob"), page_of(&browser, &world, "root"), browser.person());
    let paths = ["requests", "requests?inbox=all&state=nope", "requests/new", "account"].map(str::to_owned);
    let requests = [&pending, &approved, &command].map(|id| format!("requests/{id}"));
    let version = world.get("root", "policies/group-quorum").await.good().text("/active").to_owned();
    let operators = [
        "rules",
        "rules/prod-just-in-time",
        "new/rule",
        "resources",
        "resources/prod",
        "channels",
        "channels/pager",
        "new/channel",
        "new/resource",
        "people",
        "people/ann",
        "new/person",
        "groups/dba",
        "policies",
        "policies/group-quorum",
        "policies/group-quorum/playground",
        "audit",
    ]
    .map(str::to_owned);
    let further = [
        format!("policies/group-quorum/backtest?candidate={version}"),
        format!("policies/group-quorum/playground?record={record}"),
        format!("decisions/{record}"),
    ];
    for scheme in ["light", "dark"] {
        let operators = operators.iter().chain(&further).map(|path| (&root, path.as_str()));
        let signed_in = paths.iter().chain(&requests).map(|path| (&bob, path.as_str()));
        for (page, path) in
            signed_in.chain(operators).chain([(&nobody, "sign-in"), (&nobody, "sign-in/oidc/callback")])
        {
            page.colours(scheme).await;
            page.open(&format!("{}/{path}", world.url())).await;
            let found = page.found_by_axe(&axe).await;
            assert_eq!(found, json!([]), "{path} in {scheme}");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn where_there_is_nothing_people_are_told_on_a_page_and_programs_in_a_document() {
    let world = World::new().await;
    let ask = async |path: &str, accepts: &str| {
        let client = reqwest::Client::new();
        let answer =
            client.get(format!("{}{path}", world.url())).header("accept", accepts).send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind, answer.text().await.unwrap())
    };
    let (status, kind, text) = ask("/nothing/<b>", "text/html,*/*").await;
    assert!(status == 404 && kind.starts_with("text/html"), "{status} {kind}");
    assert!(text.contains("there is no such address here") && !text.contains("<b>"), "{text}");
    for (path, accepts) in
        [("/nothing", "*/*"), ("/api/nothing", "text/html"), ("/nothing", "application/json")]
    {
        let (status, kind, _) = ask(path, accepts).await;
        assert_eq!((status, kind.as_str()), (404, "application/problem+json"), "{path} {accepts}");
    }
    world.finish().await;
}

#[tokio::test]
async fn what_no_form_of_ours_sends_changes_nothing() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    for choice in ["", "maybe", "APPROVE", "approve%00"] {
        let (status, page) = world.sent("bob", &format!("/requests/{id}/vote"), &[("choice", choice)]).await;
        assert_eq!(status, 400, "{choice}");
        assert!(page.contains("a vote is approve, reject or force"), "{page}");
    }
    let large = "x".repeat(2 << 20);
    let (path, form) = (format!("/requests/{id}/vote"), [("choice", "approve"), ("comment", &large)]);
    let (status, page) = world.sent("bob", &path, &form).await;
    assert!(status == 413 && page.contains("<html"), "{status}: {page}");
    assert_eq!(world.request(&id).await.state(), "PENDING");
    assert_eq!(world.request(&id).await.list("/votes"), [] as [serde_json::Value; 0]);
    world.finish().await;
}
