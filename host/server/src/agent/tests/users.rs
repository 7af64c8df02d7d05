//! Commands that run as another user. Only root can start those: `tests/run` leaves the tests
//! whose names begin with `needs_root` out where it is not root, and says so.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Pid, Signal as Native, geteuid, kill_process};
use serde_json::json;

use super::ends::{MODES, stubborn_with};
use super::*;

/// Somebody else, who has nothing.
fn nobody() -> User {
    assert!(geteuid().is_root(), "this test needs root: tests/run leaves it out where it cannot run");
    User::find("nobody").unwrap()
}

/// A launcher whose supervisor is put into other circumstances first, as with these arguments
/// of `setpriv`. They may be those of a user who cannot reach this file by its name.
fn under(circumstances: &[&str]) -> Launcher {
    let mut arguments = vec!["-c".into(), "exec 3<\"$0\"; exec setpriv \"$@\"".into()];
    arguments.push(std::env::current_exe().unwrap().into_os_string());
    arguments.extend(circumstances.iter().map(OsString::from));
    arguments.push("/proc/self/fd/3".into());
    arguments.extend(launcher().arguments);
    launcher().through("/bin/sh".into(), arguments)
}

/// What is needed of root, and nothing else, as the README's service has it.
const FOUR: [&str; 8] = [
    "--reuid=daemon",
    "--regid=daemon",
    "--groups=adm",
    "--bounding-set=-all,+setuid,+setgid,+chown,+kill",
    "--inh-caps=-all,+setuid,+setgid,+chown,+kill",
    "--ambient-caps=-all,+setuid,+setgid,+chown,+kill",
    "--no-new-privs",
    "--",
];

/// Gateways that may become nobody: root, root with more than it needs to hand on, and a user
/// with four capabilities.
fn gateways() -> [Launcher; 3] {
    let rich = under(&["--groups=adm,disk", "--inh-caps=+kill,+chown", "--ambient-caps=+kill", "--"]);
    [launcher(), rich, under(&FOUR)].map(|launcher| launcher.run_as(nobody()))
}

/// What `/proc/…/status` says of `name`.
fn field<'a>(status: &'a str, name: &str) -> Vec<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).split_whitespace().collect()
}

#[tokio::test]
async fn needs_root_a_command_is_its_user_and_nothing_else() {
    let (uid, gid) = (nobody().uid().to_string(), nobody().gid().to_string());
    for launcher in gateways() {
        for spec in MODES {
            let (status, said, _) = complete_with(&launcher, spec(&["cat", "/proc/self/status"])).await;
            assert_eq!(field(&status, "Uid"), [&*uid; 4], "{status}{said}");
            assert_eq!(field(&status, "Gid"), [&*gid; 4], "{status}");
            assert_eq!(field(&status, "Groups"), [""; 0], "{status}");
            for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                assert_eq!(field(&status, set), ["0000000000000000"], "{set} in {status}");
            }
        }
    }
}

#[tokio::test]
async fn needs_root_a_command_gets_the_groups_of_its_user() {
    let user = nobody();
    let groups = [3, 29, 70_000];
    let user = json!({ "name": "x", "uid": user.uid(), "gid": user.gid(), "groups": groups, "home": "/" });
    let launcher = launcher().run_as(serde_json::from_value(user).unwrap());
    let (status, _, _) = complete_with(&launcher, piped(&["cat", "/proc/self/status"], b"")).await;
    assert_eq!(field(&status, "Groups"), groups.map(|group| group.to_string()));
}

#[tokio::test]
async fn needs_root_a_command_can_open_its_terminal_and_its_streams() {
    let again = "tty; exec 5<>\"$(tty)\"; echo by-name >&5; exec 6<>/dev/tty; echo by-tty >&6; echo by-error > /dev/stderr; stty size <&5";
    for launcher in gateways() {
        let (text, _, exit) = complete_with(&launcher, in_terminal(&["sh", "-ec", again])).await;
        assert!(
            text.starts_with("/dev/pts/") && text.contains("by-name\r\nby-tty\r\nby-error\r\n24 80"),
            "{text}"
        );
        assert_eq!(exit.code, Some(0));
        let streams = piped(&["sh", "-ec", "cat /dev/stdin > /dev/stdout; echo err > /dev/stderr"], b"in");
        let (stdout, stderr, _) = complete_with(&launcher, streams).await;
        assert_eq!((&*stdout, &*stderr), ("in", "err\n"));
    }
}

#[tokio::test]
async fn needs_root_a_command_has_its_users_home_and_starts_there_if_it_exists() {
    let home = |user: User| launcher().run_as(user);
    let script = "echo home=$HOME at=$(pwd)";
    let (text, _, _) = complete_with(&home(nobody()), piped(&["sh", "-c", script], b"")).await;
    assert_eq!(text, format!("home={} at=/\n", nobody().home()));
    let daemon = User::find("daemon").unwrap();
    let (text, _, _) = complete_with(&home(daemon.clone()), piped(&["sh", "-c", script], b"")).await;
    let at = fs::canonicalize(daemon.home()).unwrap();
    assert_eq!(text, format!("home={} at={}\n", daemon.home(), at.display()));
}

#[tokio::test]
async fn needs_root_what_is_closed_to_the_user_is_closed_to_the_command() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.path().join("ledger.sqlite");
    fs::write(&file, "secrets").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let reading = || piped(&["cat", file.to_str().unwrap()], b"");
    let (text, _, _) = complete_with(&launcher(), reading()).await;
    assert_eq!(text, "secrets", "or this test sees nothing");
    for launcher in gateways() {
        let (text, said, exit) = complete_with(&launcher, reading()).await;
        assert_eq!((&*text, exit.code), ("", Some(1)), "{said}");
    }
}

#[tokio::test]
async fn needs_root_a_command_cannot_touch_its_supervisor() {
    let script = "kill -KILL $PPID && echo killed; cat /proc/$PPID/environ && echo read; exit 7";
    for launcher in gateways() {
        let (text, _, exit) = complete_with(&launcher, piped(&["sh", "-c", script], b"")).await;
        assert_eq!((&*text, exit.code), ("", Some(7)));
    }
}

#[tokio::test]
async fn needs_root_t2_a_killed_session_leaves_no_process_of_the_user_behind() {
    for launcher in gateways() {
        for spec in MODES {
            let (process, _outputs, pids) = stubborn_with(&launcher, spec).await;
            process.kill();
            let exit = in_time("the end", process.wait()).await;
            assert_eq!(exit.signal, Some(9));
            assert_eq!(pids.into_iter().filter(|&pid| lives(pid)).collect::<Vec<_>>(), Vec::<i32>::new());
        }
    }
}

#[tokio::test]
async fn needs_root_a_supervisor_that_is_killed_takes_the_users_command_along() {
    // It goes for nothing less: neither its terminal nor a request ends it.
    let script = "trap '' HUP TERM; echo self=$$ up=$PPID; while :; do sleep 0.05; done";
    for launcher in gateways() {
        for spec in MODES {
            let (process, mut outputs) = begin_with(&launcher, spec(&["sh", "-c", script])).await;
            let text = until(&mut outputs, "\n").await;
            kill_process(Pid::from_raw(numbers(&text, "up")[0]).unwrap(), Native::KILL).unwrap();
            in_time("the end", process.wait()).await;
            eventually("the command's end", || !lives(numbers(&text, "self")[0])).await;
        }
    }
}

#[tokio::test]
async fn needs_root_signals_reach_the_users_command() {
    for launcher in gateways() {
        let spec = piped(&["sh", "-c", "echo ready; exec sleep 1000"], b"");
        let (process, mut outputs) = begin_with(&launcher, spec).await;
        until(&mut outputs, "ready").await;
        process.signal(Signal::Term);
        assert_eq!(in_time("the end", process.wait()).await.signal, Some(15));
    }
}

#[tokio::test]
async fn needs_root_where_the_user_cannot_be_had_nothing_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof");
    let touch = ["touch", proof.to_str().unwrap()];
    for lacking in ["setuid", "setgid", "chown"] {
        // A capability short of enough.
        let three = FOUR.map(|word| word.replace(&format!(",+{lacking}"), ""));
        let launcher = under(&three.each_ref().map(String::as_str)).run_as(nobody());
        for refused in [
            start(&launcher, piped(&touch, b"")).await.map(|_| ()).unwrap_err(),
            rehearse(&launcher).await.unwrap_err(),
        ] {
            assert!(matches!(refused, StartError::User { .. }), "without {lacking}: {refused:?}");
            assert_eq!(
                refused.to_string(),
                "the gateway could not become the user `nobody`, as whom sessions run"
            );
        }
    }
    assert!(!proof.exists());
}

#[tokio::test]
async fn needs_root_a_rehearsal_succeeds_where_sessions_can() {
    for launcher in gateways() {
        rehearse(&launcher).await.unwrap();
    }
}
