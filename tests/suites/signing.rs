//! Signed policies: made at the command line, and demanded by a gateway.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::world::gateway::Gateway;
use crate::world::program::{program, run};
use crate::world::{World, component, noted};

struct Files {
    _folder: tempfile::TempDir,
    key: String,
    public: String,
    component: String,
}

/// A pair of keys, and a component that nobody signed.
async fn files() -> Files {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (key, public, wasm) = (path("release.key"), path("release.key.pub"), path("next.wasm"));
    run(&["policy", "keygen", &key]).await.with(0);
    std::fs::write(&wasm, noted(component("group-quorum"), "next")).unwrap();
    Files { _folder: folder, key, public, component: wasm }
}

#[tokio::test]
async fn a_component_is_signed_and_verified_without_a_gateway() {
    let files = files().await;
    let mode = std::fs::metadata(&files.key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let verify = ["policy", "verify", &files.component, "--key", &files.public];
    let unsigned = run(&verify).await.with(1);
    assert!(unsigned.out.contains("it is not signed"), "{unsigned:?}");

    run(&["policy", "sign", &files.component, "--key", &files.key]).await.with(0);
    assert!(run(&verify).await.with(0).out.contains("is signed by "));
    let inspected = run(&["policy", "inspect", &files.component, "--json"]).await.with(0).json();
    assert_eq!(inspected["signed_by"].as_array().unwrap().len(), 1);

    let mut bytes = std::fs::read(&files.component).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&files.component, bytes).unwrap();
    let changed = run(&verify).await.with(1);
    assert!(changed.out.contains("is not of this component"), "{changed:?}");
}

#[tokio::test]
async fn what_is_no_key_or_no_policy_is_refused_and_nothing_is_overwritten() {
    let files = files().await;
    let before = std::fs::read(&files.key).unwrap();
    let again = run(&["policy", "keygen", &files.key]).await.with(2);
    assert!(again.line().contains("is there already"), "{again:?}");
    assert_eq!(std::fs::read(&files.key).unwrap(), before);

    let component = std::fs::read(&files.component).unwrap();
    let mixed_up = run(&["policy", "sign", &files.component, "--key", &files.public]).await.with(2);
    assert!(mixed_up.line().contains("no PEM file with a private key"), "{mixed_up:?}");
    let no_policy = run(&["policy", "sign", &files.public, "--key", &files.key]).await.with(2);
    assert!(no_policy.line().contains("not a WebAssembly component"), "{no_policy:?}");
    let private = run(&["policy", "verify", &files.component, "--key", &files.key]).await.with(2);
    assert!(private.line().contains("no PEM file with public keys"), "{private:?}");
    assert!(!private.err.contains(std::str::from_utf8(&before).unwrap().lines().nth(1).unwrap()));
    assert_eq!(std::fs::read(&files.component).unwrap(), component);
}

#[tokio::test]
async fn a_gateway_with_keys_takes_what_they_signed_and_what_it_brought_along() {
    let files = files().await;
    let gateway = Gateway::start(&[], &["--policy-keys", &files.public]).await;
    let root = gateway.at_the_command_line("root");
    let load = ["policy", "load", &files.component, "--name", "group-quorum", "--activate"];
    let refused = root.runs(&load).await.with(14);
    assert!(refused.line().contains("it is not signed"), "{refused:?}");
    let policy = gateway.get("root", "policies/group-quorum").await.body;
    assert_eq!(policy["versions"].as_array().unwrap().len(), 1, "{policy}");

    let other = format!("{}.other", files.key);
    run(&["policy", "keygen", &other]).await.with(0);
    run(&["policy", "sign", &files.component, "--key", &other]).await.with(0);
    let refused = root.runs(&load).await.with(14);
    assert!(refused.line().contains("signed by no key that counts"), "{refused:?}");

    run(&["policy", "sign", &files.component, "--key", &files.key]).await.with(0);
    root.runs(&load).await.with(0);
    root.runs(&["policy", "rollback", "group-quorum"]).await.with(0);
}

#[tokio::test]
async fn what_nobody_signed_does_not_decide_any_more_once_keys_are_asked_for() {
    let files = files().await;
    let mut world = World::new().await;
    let unsigned = std::fs::read(&files.component).unwrap();
    world.activate("group-quorum", &unsigned).await;
    world.resource("prod", json!([{"policy": "group-quorum", "config": {"groups": ["dba"]}}])).await;
    let asked = world.ask("ann", "prod", "1h").await.good();
    let (id, record) = (asked.id(), asked.text("/record").to_owned());
    world.reconfigure(|config| config.policy_keys = Some(files.public.clone().into()));
    world.restart_after(1).await;
    // It waits for its policy; nothing was approved, and it says which one does not answer.
    let seen = world.vote("bob", &id, "approve").await;
    assert_ne!(seen.status, 200, "{:?}", seen.body);
    assert_eq!(world.request(&id).await.state(), "PENDING");
    // What came with the gateway needs no signature.
    let built_in = world.get("root", "policies/group-quorum").await.good();
    let first = built_in.text("/versions/0/digest").to_owned();
    world
        .post("root", "policies/group-quorum/activate", json!({"digest": first, "reason": "signed or ours"}))
        .await
        .good();
    assert_eq!(world.approve("bob", &id).await.good().state(), "APPROVED");
    // To look back, what decided once is taken in, whoever signed it; it decides no more for that.
    let replayed = world.get("root", &format!("decisions/{record}/replay")).await.good();
    assert_eq!(replayed.text("/result"), "same", "{:?}", replayed.body);
    assert_eq!(replayed.text("/opinions/0/version"), built_in.text("/versions/1/digest"));
    let digest = built_in.text("/versions/1/digest");
    let again = json!({"digest": digest, "reason": "it was there"});
    let refused = world.post("root", "policies/group-quorum/activate", again).await;
    assert_eq!(refused.status, 422, "{:?}", refused.body);
    assert!(refused.body.to_string().contains("it is not signed"), "{:?}", refused.body);
    let rolled_back = world.post("root", "policies/group-quorum/rollback", json!({"reason": "back"})).await;
    assert_eq!(rolled_back.status, 422, "{:?}", rolled_back.body);
}

#[tokio::test]
async fn a_gateway_whose_keys_cannot_be_read_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.pem");
    std::fs::write(&keys, "no keys").unwrap();
    let data = folder.path().join("data");
    let ended = program(&["serve", "--listen", "127.0.0.1:0", "--policy-keys", keys.to_str().unwrap()])
        .arg("--data")
        .arg(data)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && said.contains("no PEM file with public keys"), "{said}");
}
