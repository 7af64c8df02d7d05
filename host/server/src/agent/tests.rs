//! Real commands in real terminals. The wrapper is this very test program, called so that it
//! runs [`the_wrapper_is_nothing_for_people`] alone and gets its orders through its standard
//! input, as the real one does.

mod ends;
mod isolation;
mod pipes;
mod terminals;
mod users;

use std::ffi::OsString;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, fstat};
use tokio_util::bytes::Bytes;

use super::*;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Skips no test; it marks a call as the wrapper's.
const MARK: &str = "this-is-the-wrapper";

#[test]
fn the_wrapper_is_nothing_for_people() {
    if std::env::args().any(|argument| argument == MARK) {
        let code = exec::main();
        // Not through the test harness, whose exit code says how tests went.
        std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
    }
    let stdin = std::io::stdin();
    let is_socket = FileType::from_raw_mode(fstat(stdin.as_fd()).unwrap().st_mode).is_socket();
    assert!(is_socket || exec::main() == std::process::ExitCode::from(2));
}

/// A launcher for tests, the gateway's included, with an environment in which one thing must not
/// leak.
pub(crate) fn launcher() -> Launcher {
    let environment = [
        ("PATH", OsString::from("/usr/local/bin:/usr/bin:/bin")),
        ("HOME", "/tmp".into()),
        ("LC_ALL", "C.UTF-8".into()),
        ("QUORATE_MASTER_KEY", "must-not-leak".into()),
    ];
    let arguments =
        ["--exact", "agent::tests::the_wrapper_is_nothing_for_people", "--nocapture", "--skip", MARK];
    Launcher::new(environment.map(|(name, value)| (name.into(), value)))
        .through(Launcher::this_program(), arguments.map(OsString::from).to_vec())
}

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn in_terminal(words: &[&str]) -> Spec {
    let mode = Mode::Terminal { size: Size::default(), term: "xterm".to_owned() };
    Spec { argv: argv(words), env: Vec::new(), mode }
}

fn piped(words: &[&str], input: &[u8]) -> Spec {
    Spec { argv: argv(words), env: Vec::new(), mode: Mode::Pipe { input: input.to_vec() } }
}

async fn begin(spec: Spec) -> (Process, Outputs) {
    begin_with(&launcher(), spec).await
}

async fn begin_with(launcher: &Launcher, spec: Spec) -> (Process, Outputs) {
    start(launcher, spec).await.unwrap()
}

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("gave up on {what}"))
}

async fn type_in(process: &Process, text: &str) {
    in_time("typing", process.write(Bytes::copy_from_slice(text.as_bytes()))).await.unwrap();
}

/// Everything from here to the end: standard output and standard error.
async fn rest(outputs: &mut Outputs) -> (Vec<u8>, Vec<u8>) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(output) = in_time("output", outputs.next()).await {
        match output {
            Output::Stdout(bytes) => stdout.extend(bytes),
            Output::Stderr(bytes) => stderr.extend(bytes),
        }
    }
    (stdout, stderr)
}

/// Runs to the end and gives both streams as text, and the exit.
async fn complete(spec: Spec) -> (String, String, Exit) {
    complete_with(&launcher(), spec).await
}

async fn complete_with(launcher: &Launcher, spec: Spec) -> (String, String, Exit) {
    let (process, mut outputs) = begin_with(launcher, spec).await;
    let (stdout, stderr) = rest(&mut outputs).await;
    let exit = in_time("the end", process.wait()).await;
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), exit)
}

/// What was written up to and with `wanted`.
async fn until(outputs: &mut Outputs, wanted: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(wanted) {
        match in_time(wanted, outputs.next()).await {
            Some(Output::Stdout(bytes) | Output::Stderr(bytes)) => {
                seen.push_str(&String::from_utf8_lossy(&bytes));
            }
            None => panic!("ended after `{seen}`, before `{wanted}`"),
        }
    }
    seen
}

/// The numbers after `name=` in `text`.
fn numbers(text: &str, name: &str) -> Vec<i32> {
    let after = |part: &str| part.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok());
    text.split(&format!("{name}=")).skip(1).filter_map(after).collect()
}

/// Whether there is such a process that has not ended.
fn lives(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")) else {
        return false;
    };
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Looks again and again until `condition` holds.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "gave up on: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
