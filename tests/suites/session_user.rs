//! Sessions that run as a user of their own. Only root can start those: `tests/run` leaves the
//! tests whose names begin with `needs_root` out where it is not root, and says so.

use std::fs::{Permissions, metadata, set_permissions};
use std::os::unix::fs::PermissionsExt as _;

use quorate::agent::User;
use rustix::process::geteuid;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::world::gateway::Gateway;
use crate::world::program::{PATIENCE, PROGRAM, eventually, in_time, is_alive, pipe, run};

/// What the log says where sessions are the gateway's own user.
const WARNING: &str = "sessions run as the gateway's own user";

/// A gateway in front of a shell, which one of dba opens and in which everybody is nobody.
/// Only the mode of the ledger's file keeps others from it: its folders are open.
async fn with_a_shell_for_nobody() -> Gateway {
    assert!(geteuid().is_root(), "this test needs root: tests/run leaves it out where it cannot run");
    let gateway = Gateway::start(&["ann", "bob"], &["--session-user", "nobody"]).await;
    for folder in [gateway.folder(), &gateway.folder().join("data")] {
        set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    }
    assert_eq!(metadata(gateway.ledger()).unwrap().permissions().mode() & 0o777, 0o600);
    let create = ["admin", "create", "conn", "box", "--reviewers", "dba", "--", "sh"];
    gateway.at_the_command_line("root").runs(&create).await.with(0);
    gateway
}

/// The number between `name-` and `-end` at the end of `text`.
fn number(text: &str, name: &str, end: &str) -> u32 {
    let number = text.rsplit_once(&format!("{name}-")).and_then(|(_, rest)| rest.strip_suffix(end));
    number.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_root_a_shell_is_the_session_user_and_ends_with_the_revocation() {
    let gateway = with_a_shell_for_nobody().await;
    let nobody = User::find("nobody").unwrap();
    let ann = gateway.at_the_command_line("ann");
    let id = ann.runs(&["connect", "box", "--no-wait"]).await.with(0).out.trim().to_owned();
    gateway.at_the_command_line("bob").runs(&["requests", "approve", &id]).await.with(0);
    let mut session = ann.sits_down(&["connect", "box"]);
    let ledger = gateway.ledger().display().to_string();
    // Nothing that is waited for is in what was typed.
    for (typed, wanted) in [
        ("echo \"user $(id -u):$(id -G)\"", format!("user {}:{}\r\n", nobody.uid(), nobody.gid())),
        ("echo \"home $HOME\"", format!("home {}\r\n", nobody.home())),
        ("echo \"terminal $(tty)\"", "terminal /dev/pts/".to_owned()),
        ("echo \"sum $((20 + 1))\" > /dev/tty", "sum 21\r\n".to_owned()),
        ("echo \"sum $((20 + 2))\" > \"$(tty)\"", "sum 22\r\n".to_owned()),
        (&*format!("cat '{ledger}' | head -c 6"), format!("{ledger}: Permission denied\r\n")),
    ] {
        session.type_in(&format!("{typed}\n")).unwrap();
        session.wait_for(&wanted, PATIENCE).unwrap();
    }
    session.type_in("echo \"shell-$$-$((20 + 3))\"\n").unwrap();
    let shell = number(&session.wait_for("-23\r\n", PATIENCE).unwrap(), "shell", "-23\r\n");
    let stays = "setsid sh -c 'trap \"\" HUP TERM; echo \"stays-$$-$((20 + 4))\"; exec sleep 1000' &\n";
    session.type_in(stays).unwrap();
    let stays = number(&session.wait_for("-24\r\n", PATIENCE).unwrap(), "stays", "-24\r\n");
    assert!(is_alive(shell) && is_alive(stays));
    let revoke = json!({ "reason": "the incident is over" });
    gateway.post("root", &format!("requests/{id}/revoke"), revoke).await;
    assert_eq!(session.wait_exit(PATIENCE).unwrap(), 13, "{}", session.seen());
    eventually("the end of all that the session started", || !is_alive(shell) && !is_alive(stays)).await;
    assert!(!gateway.log().contains(WARNING), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_root_a_single_command_is_the_session_user() {
    let gateway = with_a_shell_for_nobody().await;
    let nobody = User::find("nobody").unwrap();
    let ann = gateway.at_the_command_line("ann");
    let script = format!(
        "id -u; id -G; test -t 0 || echo no terminal; echo said > /dev/stderr; cat '{}' | head -c 6; exit 5",
        gateway.ledger().display()
    );
    let id = ann.runs(&["exec", "box", "-i", &script, "--no-wait"]).await.with(0).out.trim().to_owned();
    gateway.at_the_command_line("bob").runs(&["requests", "approve", &id]).await.with(0);
    let ended = ann.runs(&["exec", "--request", &id]).await.with(5);
    assert_eq!(ended.out, format!("{}\n{}\nno terminal\n", nobody.uid(), nobody.gid()));
    assert!(ended.err.contains("said\n") && ended.err.contains("Permission denied\n"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_a_session_user_says_once_what_that_means() {
    let gateway = Gateway::start(&[], &[]).await;
    let log = gateway.log();
    assert_eq!(log.matches(WARNING).count(), 1, "{log}");
    let line = log.lines().find(|line| line.contains(WARNING)).unwrap();
    assert!(
        line.contains("WARN") && line.contains("the ledger") && line.contains("--session-user"),
        "{line}"
    );
}

#[tokio::test]
async fn a_session_user_that_cannot_be_one_is_a_usage_error() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    for (user, why) in [
        ("no-such-user", "the session user `no-such-user` does not exist"),
        ("4294967295", "the session user `4294967295` does not exist"),
        ("0", "the session user cannot be `0`: that is root"),
        ("root", "the session user cannot be `root`: that is root"),
    ] {
        for check in [&[][..], &["--check"]] {
            let serve = ["serve", "--session-user", user, "--data", data.to_str().unwrap()];
            let refused = run(&[&serve[..], check].concat()).await.with(2);
            assert!(refused.line().contains(why), "{refused:?}");
        }
    }
    assert!(!data.exists());
}

#[tokio::test]
async fn needs_root_a_gateway_that_may_not_become_the_session_user_does_not_start() {
    assert!(geteuid().is_root(), "this test needs root: tests/run leaves it out where it cannot run");
    let folder = TempDir::new().unwrap();
    set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let data = folder.path().join("data");
    for (user, capabilities, why) in [
        ("nobody", "-all", "it lacks CAP_SETUID, CAP_SETGID, CAP_CHOWN, CAP_KILL"),
        ("nobody", "-all,+setuid,+setgid,+chown", "it lacks CAP_KILL"),
        ("daemon", "-all,+setuid,+setgid,+chown,+kill", "`daemon` is the gateway's own user"),
    ] {
        let mut serve = Command::new("sh");
        serve.kill_on_drop(true);
        // Opened by root: to others the program may be out of reach.
        serve.args(["-c", "exec 3<\"$0\"; exec setpriv --reuid=daemon --clear-groups \"$@\"", PROGRAM]);
        serve.args([format!("--inh-caps={capabilities}"), format!("--ambient-caps={capabilities}")]);
        serve.args(["--", "/proc/self/fd/3", "serve", "--session-user", user, "--listen", "127.0.0.1:0"]);
        let refused = in_time(pipe(serve.arg("--data").arg(&data), "")).await.with(16);
        assert!(refused.line().contains(why), "{refused:?}");
    }
    assert!(!data.exists());
}
