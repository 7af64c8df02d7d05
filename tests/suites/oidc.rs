//! Signing in with a provider: a real one, and a real browser that goes there and comes back.

use quorate::config::Config;
use quorate::oidc::Declared;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::web::page_of;
use crate::world::World;
use crate::world::browser::{Browser, Page};
use crate::world::program::run;
use crate::world::provider::{Provider, declared, settings};

const MAPPING: [(&str, &str); 3] = [("ops", "admin"), ("/team/dba", "dba"), ("engineers", "dev")];

/// A gateway with this provider.
async fn world(oidc: Declared) -> World {
    World::today(Config { oidc: Some(oidc), ..Config::default() }).await
}

/// A gateway and a provider that knows zoe, who is in these groups there.
async fn with_zoe(groups: &[&str]) -> (Provider, World, Browser) {
    let provider = Provider::start().await;
    provider.says("z1", zoe(groups));
    let world = world(provider.declared(&MAPPING)).await;
    (provider, world, Browser::start().await)
}

fn zoe(groups: &[&str]) -> Value {
    json!({ "preferred_username": "zoe", "groups": groups, "email": "zoe@example.org", "email_verified": true })
}

/// Goes to the provider from the gateway's page, up to the form there.
async fn to_the_form(page: &Page, world: &World, path: &str) {
    page.open(&format!("{}/{path}", world.url())).await;
    page.click("a.button.main").await;
    page.until("document.querySelector('#account')").await;
}

/// Signs in at the provider.
async fn signs_in_there(page: &Page, account: &str) {
    page.types("#account", account).await;
    page.click("#yes").await;
}

/// All of it, up to a page of the gateway that says something.
async fn tries(browser: &Browser, world: &World, account: &str, says: &str) -> Page {
    let page = browser.person().await;
    to_the_form(&page, world, "sign-in").await;
    signs_in_there(&page, account).await;
    page.says(says).await;
    page
}

/// The groups of somebody; none where there is nobody.
async fn groups(world: &World, who: &str) -> Option<Value> {
    let answer = world.get("root", &format!("users/{who}")).await;
    (answer.status == 200).then(|| answer.body["groups"].clone())
}

/// What the ledger says of somebody.
async fn entries(world: &World, who: &str) -> Vec<Value> {
    let answer = world.get("root", &format!("audit/entries?stream=user/{who}&limit=200")).await.good();
    answer.list("/items").iter().map(|item| item["entry"].clone()).collect()
}

/// A browser without a page, whose cookies the test holds.
struct Bare {
    http: Client,
    url: String,
}

impl Bare {
    fn of(world: &World) -> Self {
        let http = Client::builder().redirect(Policy::none()).build().unwrap();
        Self { http, url: world.url() }
    }

    /// Begins a try: its cookie, and where the provider is.
    async fn begins(&self) -> (String, String) {
        let answer = self.http.get(format!("{}/sign-in/oidc?next=/account", self.url)).send().await.unwrap();
        assert_eq!(answer.status(), 303, "{}", answer.text().await.unwrap());
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Lax; Max-Age=600"), "{cookie}");
        let (pair, _) = cookie.split_once(';').unwrap();
        (pair.to_owned(), answer.headers()["location"].to_str().unwrap().to_owned())
    }

    /// Brings an answer of the provider.
    async fn brings(&self, answer: &str, cookie: &str) -> (u16, Response) {
        let answer = self.http.get(answer).header("cookie", cookie).send().await.unwrap();
        (answer.status().as_u16(), answer)
    }

    /// The same, where it is refused.
    async fn is_refused(&self, answer: &str, cookie: &str, says: &str) -> u16 {
        let (status, answer) = self.brings(answer, cookie).await;
        assert!(signed_in_with(&answer).is_none());
        let text = answer.text().await.unwrap();
        assert!(text.contains(says) && text.contains("href=\"/sign-in?next="), "{text}");
        status
    }
}

/// The cookie that signs in, if an answer sets it.
fn signed_in_with(answer: &Response) -> Option<String> {
    let all = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned());
    all.into_iter().find(|cookie| cookie.starts_with("quorate=qrt_"))
}

/// Signs in at the provider's page `place` with another browser, which has no part in the try: what
/// the provider answers.
async fn answer_to(browser: &Browser, world: &World, place: &str) -> String {
    let page = browser.person().await;
    page.open(place).await;
    signs_in_there(&page, "z1").await;
    page.says("this browser has not begun to sign in here").await;
    let callback = format!("{}/sign-in/oidc/callback?", world.url());
    page.requested().into_iter().find(|url| url.starts_with(&callback)).unwrap()
}

#[tokio::test]
async fn needs_browser_and_oidc_the_first_sign_in_adds_somebody_with_mapped_groups_and_leads_on() {
    let (provider, world, browser) = with_zoe(&["engineers", "/team/dba", "admin", "unmapped"]).await;
    let page = browser.person().await;
    page.open(&format!("{}/requests?inbox=all", world.url())).await;
    page.says("Sign in with the provider").await;
    page.click("a.button.main").await;
    page.until("document.querySelector('#account')").await;
    signs_in_there(&page, "z1").await;
    page.until("location.pathname === '/requests' && location.search === '?inbox=all'").await;
    page.until("document.querySelector('.who a')?.innerText === 'zoe'").await;
    assert_eq!(page.script("document.cookie").await, "", "a script can read a cookie");
    assert_eq!(groups(&world, "zoe").await.unwrap(), json!(["dba", "dev"]));
    assert_eq!(world.get("root", "users/zoe").await.good().body["email"], "zoe@example.org");
    let told = entries(&world, "zoe").await;
    let kinds: Vec<&str> = told.iter().map(|entry| entry["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["user-saved", "account-bound", "token-issued"]);
    assert_eq!(told[1]["account"], json!({ "issuer": provider.issuer(), "subject": "z1" }));
    assert_eq!(told[2]["token"]["vouched_by"], provider.issuer());
    page.open(&format!("{}/account", world.url())).await;
    page.says(&format!("browser, by {} (this browser)", provider.issuer())).await;
    let root = page_of(&browser, &world, "root").await;
    root.open(&format!("{}/people/zoe", world.url())).await;
    root.says(&format!("{} vouches for zoe, there z1", provider.issuer())).await;
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_and_oidc_each_sign_in_says_all_groups_anew() {
    let (provider, world, browser) = with_zoe(&["engineers"]).await;
    let page = tries(&browser, &world, "z1", "Access requests").await;
    assert_eq!(groups(&world, "zoe").await.unwrap(), json!(["dev"]));
    let here = json!({ "groups": ["dev", "night-shift"], "email": "z@example.org" });
    world.put("root", "users/zoe", here).await.good();
    provider.says("z1", json!({ "preferred_username": "renamed", "groups": ["/team/dba"] }));
    page.click(".who button").await;
    page.until("location.pathname === '/sign-in'").await;
    // The provider still knows this browser.
    page.click("a.button.main").await;
    page.until("document.querySelector('.who a')?.innerText === 'zoe'").await;
    assert_eq!(groups(&world, "zoe").await.unwrap(), json!(["dba"]));
    assert_eq!(groups(&world, "renamed").await, None);
    provider.says("z1", zoe(&[]));
    tries(&browser, &world, "z1", "Access requests").await;
    let answer = world.get("root", "users/zoe").await.good();
    assert_eq!(answer.body["groups"], json!([]));
    assert_eq!(answer.body["email"], "z@example.org");
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_and_oidc_a_name_that_somebody_has_or_that_is_none_is_refused() {
    let (provider, world, browser) = with_zoe(&[]).await;
    provider.says("r1", json!({ "preferred_username": "root", "groups": ["ops"] }));
    provider.says("r2", json!({ "preferred_username": "ROOT", "groups": ["ops"] }));
    provider.says("r3", json!({ "preferred_username": "no name", "groups": ["ops"] }));
    provider.says("r4", json!({ "groups": ["ops"] }));
    let before = entries(&world, "root").await;
    for (account, says) in [
        ("r1", "somebody here is called `root` already, and this account is not theirs"),
        ("r2", "somebody here is called `root` already, and this account is not theirs"),
        ("r3", "`no name` is not a valid user name"),
        ("r4", "the provider gives none in the claim `preferred_username`"),
    ] {
        let page = tries(&browser, &world, account, says).await;
        page.click("main a").await;
        page.until("location.pathname === '/sign-in' && document.querySelector('#password')").await;
    }
    assert_eq!(entries(&world, "root").await, before);
    assert_eq!(groups(&world, "ROOT").await, None);
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_and_oidc_somebody_switched_off_is_refused() {
    let (_provider, world, browser) = with_zoe(&["engineers"]).await;
    tries(&browser, &world, "z1", "Access requests").await;
    world.put("root", "users/zoe", json!({ "active": false, "groups": [] })).await.good();
    let before = entries(&world, "zoe").await;
    tries(&browser, &world, "z1", "zoe is not active").await;
    assert_eq!(entries(&world, "zoe").await, before);
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_and_oidc_the_last_admin_is_not_lost_by_what_the_provider_says() {
    let (provider, mut world, browser) = with_zoe(&["ops"]).await;
    tries(&browser, &world, "z1", "Access requests").await;
    world.person("root", &["auditor"]).await;
    provider.says("z1", zoe(&["engineers"]));
    let why = "By the groups that the provider says you would be no admin any more, but zoe is the last active admin";
    tries(&browser, &world, "z1", why).await;
    assert_eq!(groups(&world, "zoe").await.unwrap(), json!(["admin"]));
    world.person("root", &["admin"]).await;
    tries(&browser, &world, "z1", "Access requests").await;
    assert_eq!(groups(&world, "zoe").await.unwrap(), json!(["dev"]));
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_and_oidc_an_answer_is_taken_once_and_only_in_the_browser_that_began() {
    let (_provider, world, browser) = with_zoe(&["engineers"]).await;
    let bare = Bare::of(&world);
    let (cookie, place) = bare.begins().await;
    let answer = answer_to(&browser, &world, &place).await;
    let (other, _) = bare.begins().await;
    assert_eq!(bare.is_refused(&answer, &other, "belongs to another try").await, 400);
    let forged = answer.replace("state=", "state=0");
    assert_eq!(bare.is_refused(&forged, &cookie, "belongs to another try").await, 400);
    assert_eq!(bare.is_refused(&answer, "quorate-oidc=seed", "has not begun").await, 400);
    assert_eq!(groups(&world, "zoe").await, None);
    let (status, good) = bare.brings(&answer, &cookie).await;
    assert_eq!((status, good.headers()["location"].to_str().unwrap()), (303, "/account"));
    assert!(signed_in_with(&good).is_some_and(|cookie| cookie.contains("; HttpOnly; SameSite=Lax")));
    let before = entries(&world, "zoe").await;
    assert_eq!(bare.is_refused(&answer, &cookie, "has ended already").await, 400);
    assert_eq!(entries(&world, "zoe").await, before);
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_and_oidc_a_token_for_another_try_is_not_believed() {
    let (_provider, world, browser) = with_zoe(&["engineers"]).await;
    let bare = Bare::of(&world);
    let (cookie, place) = bare.begins().await;
    let answer = answer_to(&browser, &world, &place.replace("nonce=", "nonce=0")).await;
    assert_eq!(bare.is_refused(&answer, &cookie, "cannot be relied on").await, 502);
    // A code that was asked for with another verifier.
    let ((cookie, place), (_, other)) = (bare.begins().await, bare.begins().await);
    let part = |url: &str, name: &str| {
        let (_, rest) = url.split_once(&format!("{name}=")).unwrap();
        rest.split('&').next().unwrap().to_owned()
    };
    let swapped = place.replace(&part(&place, "code_challenge"), &part(&other, "code_challenge"));
    let answer = answer_to(&browser, &world, &swapped).await;
    assert_eq!(bare.is_refused(&answer, &cookie, "cannot be relied on").await, 502);
    assert_eq!(groups(&world, "zoe").await, None);
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_and_oidc_whoever_says_no_there_finds_the_way_back() {
    let (_provider, world, browser) = with_zoe(&["engineers"]).await;
    let page = browser.person().await;
    to_the_form(&page, &world, "requests?inbox=all").await;
    page.click("#no").await;
    page.says("the provider did not let you through").await;
    page.click("main a").await;
    page.until("location.search === '?next=/requests%3Finbox%3Dall'").await;
    page.click("a.button.main").await;
    page.until("document.querySelector('#account')").await;
    signs_in_there(&page, "z1").await;
    page.until("location.pathname === '/requests' && location.search === '?inbox=all'").await;
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_and_oidc_whoever_takes_too_long_begins_again() {
    let (_provider, world, browser) = with_zoe(&["engineers"]).await;
    let bare = Bare::of(&world);
    let (cookie, place) = bare.begins().await;
    let answer = answer_to(&browser, &world, &place).await;
    world.clock.advance(600);
    assert_eq!(bare.is_refused(&answer, &cookie, "took longer than 10 minutes").await, 400);
    assert_eq!(groups(&world, "zoe").await, None);
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_and_oidc_a_provider_may_be_down_and_come_back_with_other_keys() {
    let mut provider = Provider::down();
    provider.says("z1", zoe(&["engineers"]));
    let (world, browser) = (world(provider.declared(&MAPPING)).await, Browser::start().await);
    let page = browser.person().await;
    page.open(&format!("{}/sign-in?next=/account", world.url())).await;
    page.click("a.button.main").await;
    page.says("the provider cannot be reached now").await;
    page.click("main a").await;
    page.until("location.search === '?next=/account'").await;

    provider.serve().await;
    world.clock.advance(5);
    let bare = Bare::of(&world);
    let (cookie, place) = bare.begins().await;
    let answer = answer_to(&browser, &world, &place).await;
    provider.stop().await;
    assert_eq!(bare.is_refused(&answer, &cookie, "cannot be reached now").await, 503);
    assert_eq!(groups(&world, "zoe").await, None);

    // The gateway still has the old keys.
    provider.serve().await;
    tries(&browser, &world, "z1", "Access requests").await;
    assert_eq!(groups(&world, "zoe").await.unwrap(), json!(["dev"]));
    world.finish().await;
}

#[tokio::test]
async fn needs_browser_and_oidc_without_a_secret_and_a_mapping_the_groups_are_as_they_are_but_no_roles() {
    let provider = Provider::start().await;
    provider.says("z1", zoe(&["dba", "admin", "auditor", "/team/x"]));
    let (world, browser) = (world(provider.declared_public()).await, Browser::start().await);
    tries(&browser, &world, "z1", "Access requests").await;
    assert_eq!(groups(&world, "zoe").await.unwrap(), json!(["dba"]));
    world.finish().await;
}

#[tokio::test]
async fn without_a_provider_there_is_no_way_to_one() {
    let world = World::new().await;
    let bare = Bare::of(&world);
    for path in ["/sign-in/oidc", "/sign-in/oidc/callback?code=a&state=b"] {
        let (status, _) = bare.brings(&format!("{}{path}", world.url()), "").await;
        assert_eq!(status, 404, "{path}");
    }
    let (_, page) = bare.brings(&format!("{}/sign-in", world.url()), "").await;
    assert!(!page.text().await.unwrap().contains("oidc"));
    world.finish().await;
}

#[tokio::test]
async fn an_answer_to_nothing_is_refused_and_bounded_in_number() {
    let oidc = declared(settings("https://id.example.org", "quorate"), None);
    let world = World::with(Config { oidc: Some(oidc), ..Config::default() }).await;
    let bare = Bare::of(&world);
    let callback = format!("{}/sign-in/oidc/callback", world.url());
    for answer in ["", "?code=a&state=b", "?error=access_denied&error_description=%3Cb%3E"] {
        assert_eq!(bare.is_refused(&format!("{callback}{answer}"), "", "has not begun").await, 400);
    }
    let (status, _) = bare.brings(&format!("{callback}?state=a&state=b"), "").await;
    assert_eq!(status, 400);
    let mut statuses = Vec::new();
    for _ in 0..50 {
        statuses.push(bare.brings(&callback, "").await.0);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    world.finish().await;
}

#[tokio::test]
async fn half_a_provider_is_refused_before_anything_is_served() {
    let half = run(&["serve", "--check", "--oidc-issuer", "https://id.example.org"]).await.with(2);
    assert!(half.line().contains("oidc: there is no client id: give --oidc-client-id"), "{half:?}");
    let open = ["serve", "--check", "--oidc-issuer", "http://id.example.org", "--oidc-client-id", "quorate"];
    let open = run(&open).await.with(2);
    assert!(open.line().contains("give https://, or http:// on this machine"), "{open:?}");
    let folder = tempfile::TempDir::new().unwrap();
    let (file, secret) = (folder.path().join("serve.yaml"), folder.path().join("secret"));
    std::fs::write(&secret, "hunter2\n").unwrap();
    let text = "oidc:\n  issuer: https://id.example.org\n  client_id: quorate\n  client_secret_file: secret\n  groups: {ops: admin}\n";
    std::fs::write(&file, text).unwrap();
    let whole = run(&["serve", "--check", "--config", file.to_str().unwrap()]).await.with(0);
    assert!(whole.out.contains("https://id.example.org") && !whole.out.contains("hunter2"), "{whole:?}");
}
