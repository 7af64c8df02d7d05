//! The first admin, and passwords, in a real browser.

use crate::world::World;
use crate::world::browser::Browser;
use crate::world::gateway::Gateway;

const PASSWORD: &str = "correct horse battery";

#[tokio::test]
async fn needs_browser_the_first_admin_is_made_in_the_page() {
    let (gateway, said) = Gateway::fresh(&[]).await;
    let browser = Browser::start().await;
    let page = browser.person().await;
    page.open(&format!("{}/set-up", gateway.url())).await;
    page.types("#setup_token", "setup_wrong").await;
    page.types("#user", "root").await;
    page.types("#email", "root@example.org").await;
    page.types("#password", PASSWORD).await;
    page.press("Enter").await;
    page.until("document.querySelector('#setup_token-wrong')").await;
    assert_eq!(page.script("document.querySelector('#email').value").await, "root@example.org");
    assert_eq!(page.script("document.querySelector('#password').value").await, "");
    page.types("#setup_token", said["setup_token"].as_str().unwrap()).await;
    page.types("#password", "root").await;
    page.press("Enter").await;
    page.until("document.querySelector('#password-wrong')").await;
    page.types("#setup_token", said["setup_token"].as_str().unwrap()).await;
    page.types("#password", PASSWORD).await;
    page.press("Enter").await;
    page.says("There is nothing to ask for yet").await;
    page.open(&format!("{}/people/root", gateway.url())).await;
    assert_eq!(page.script("document.querySelector('#email').value").await, "root@example.org");
    let late = browser.person().await;
    late.open(&format!("{}/set-up", gateway.url())).await;
    late.types("#setup_token", said["setup_token"].as_str().unwrap()).await;
    late.types("#user", "eve").await;
    late.types("#password", PASSWORD).await;
    late.press("Enter").await;
    late.says("this gateway is set up already").await;
    let password = PASSWORD.to_owned();
    assert!(
        !gateway.log().contains(&password) && !gateway.log().contains(said["setup_token"].as_str().unwrap())
    );
}

#[tokio::test]
async fn needs_browser_a_password_is_changed_and_the_old_one_works_no_more() {
    let world = World::new().await;
    let with = serde_json::json!({ "groups": ["dev"], "password": PASSWORD });
    world.put("root", "users/ann", with).await.good();
    let browser = Browser::start().await;
    let page = browser.person().await;
    let sign_in = async |password: &str| {
        page.open(&format!("{}/sign-in?next=/account", world.url())).await;
        page.types("#user", "ann").await;
        page.types("#password", password).await;
        page.press("Enter").await;
    };
    sign_in(PASSWORD).await;
    page.says("Change your password").await;
    for (old, new, again, field) in [
        ("wrong", "another horse battery", "another horse battery", "old"),
        (PASSWORD, "another horse battery", "another hoarse battery", "again"),
        (PASSWORD, "short", "short", "new"),
    ] {
        page.types("#old", old).await;
        page.types("#new", new).await;
        page.types("#again", again).await;
        page.sends("form[action='/account/password'] button").await;
        page.until(&format!("document.querySelector('#{field}-wrong')")).await;
    }
    page.types("#old", PASSWORD).await;
    page.types("#new", "another horse battery").await;
    page.types("#again", "another horse battery").await;
    page.press("Enter").await;
    page.until("location.pathname === '/sign-in'").await;
    sign_in(PASSWORD).await;
    page.says("the user name or the password is wrong").await;
    sign_in("another horse battery").await;
    page.says("Change your password").await;
    world.finish().await;
}

#[tokio::test]
async fn nobody_changes_a_password_who_does_not_know_it() {
    let world = World::new().await;
    let fields = [("old", "guess"), ("new", "another+horse+battery"), ("again", "another+horse+battery")];
    let mut seen = Vec::new();
    for _ in 0..12 {
        let (status, page) = world.sent("ann", "/account/password", &fields).await;
        assert_eq!(status, 422);
        seen.push(page.contains("too many attempts"));
    }
    // Guessing comes to an end.
    assert!(!seen[0] && seen[11], "{seen:?}");
    world.finish().await;
}
