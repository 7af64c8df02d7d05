//! What a command must not see, and what must not see into it.

use super::*;

const SECRET: &str = "correct-horse-battery-staple";

fn with_secret(spec: Spec) -> Spec {
    Spec { env: vec![("PGPASSWORD".to_owned(), Secret::new(SECRET))], ..spec }
}

fn names(environment: &str) -> Vec<&str> {
    let mut names: Vec<&str> = environment.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn the_environment_is_what_is_needed_and_the_secrets() {
    let (text, _, _) = complete(with_secret(piped(&["env"], b""))).await;
    assert_eq!(names(&text), ["HOME", "LC_ALL", "PATH", "PGPASSWORD", "PSQL_HISTORY"], "{text}");
    assert!(text.contains(&format!("PGPASSWORD={SECRET}")));
    assert!(text.contains("HOME=/nonexistent\n"), "the gateway's home is not the command's: {text}");
    let (text, _, _) = complete(in_terminal(&["env"])).await;
    assert_eq!(names(&text), ["HOME", "LC_ALL", "PATH", "PSQL_HISTORY", "TERM"], "{text}");
}

#[tokio::test]
async fn a_secret_wins_over_what_every_command_gets() {
    for name in ["HOME", "PSQL_HISTORY"] {
        let spec = Spec { env: vec![(name.to_owned(), Secret::new("/nowhere"))], ..piped(&["env"], b"") };
        let (text, _, _) = complete(spec).await;
        let set = format!("{name}=");
        assert!(text.contains(&format!("{set}/nowhere\n")) && text.matches(&set).count() == 1, "{text}");
    }
}

#[tokio::test]
async fn no_secret_is_on_a_command_line_or_in_the_wrappers_environment() {
    let spec = with_secret(piped(&["sh", "-c", "echo command=$$ supervisor=$PPID; sleep 1000"], b""));
    let (process, mut outputs) = begin(spec).await;
    let text = until(&mut outputs, "\n").await;
    let (command, supervisor) = (numbers(&text, "command")[0], numbers(&text, "supervisor")[0]);
    let read = |pid: i32, what: &str| fs::read(format!("/proc/{pid}/{what}")).unwrap();
    let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(SECRET);
    for pid in [command, supervisor] {
        let line = read(pid, "cmdline");
        assert!(!line.is_empty() && !holds(&line), "{}", String::from_utf8_lossy(&line));
    }
    assert!(!holds(&read(supervisor, "environ")));
    assert!(holds(&read(command, "environ")), "it has to be somewhere, or this test sees nothing");
    process.kill();
}

/// The files that this test program itself was handed open, to be handed on, by whoever
/// started it. The gateway opens none like these.
fn handed_down() -> Vec<String> {
    let opened = |name: &str| fs::read_to_string(format!("/proc/self/fdinfo/{name}")).ok();
    let closes_on_exec = |info: &str| {
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        u32::from_str_radix(flags.trim(), 8).unwrap() & 0o2_000_000 != 0
    };
    let names =
        fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| opened(name).is_some_and(|info| !closes_on_exec(&info))).collect()
}

#[tokio::test]
async fn a_command_gets_no_file_of_the_gateway() {
    let held: Vec<_> = (0..20).map(|_| std::io::pipe().unwrap()).collect();
    let kept = handed_down();
    for spec in [piped(&["ls", "/proc/self/fd"], b""), in_terminal(&["ls", "-1", "/proc/self/fd"])] {
        let (text, _, _) = complete(spec).await;
        let mut files: Vec<&str> = text.split_whitespace().collect();
        files.retain(|file| !kept.iter().any(|kept| kept == file));
        // `ls` itself reads the folder.
        assert!(files.len() <= 1, "{files:?} besides {kept:?}");
    }
    drop(held);
}

#[tokio::test]
async fn each_command_leads_a_session_of_its_own() {
    for spec in [
        piped(&["sh", "-c", "echo pid=$$; cat /proc/$$/stat"], b""),
        in_terminal(&["sh", "-c", "echo pid=$$; cat /proc/$$/stat"]),
    ] {
        let (text, _, _) = complete(spec).await;
        let pid = numbers(&text, "pid")[0].to_string();
        let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
        assert_eq!((fields[2], fields[3]), (pid.as_str(), pid.as_str()), "group and session in {text}");
    }
}
