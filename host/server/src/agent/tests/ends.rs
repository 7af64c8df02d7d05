//! How sessions end, and that nothing outlives them.

use tokio::io::{AsyncBufReadExt, BufReader};

use super::*;

/// Says the numbers of itself, a child, a grandchild whose parent is gone, and one in a session
/// of its own; all of them ignore every request to end.
const STUBBORN: &str = r"
trap '' HUP TERM INT
echo self=$$
sleep 1000 & echo child=$!
(sh -c 'echo orphan=$$; exec sleep 1000' &)
setsid sh -c 'echo daemon=$$; exec sleep 1000' &
while :; do sleep 0.01; done
";

async fn stubborn(spec: fn(&[&str]) -> Spec) -> (Process, Outputs, Vec<i32>) {
    stubborn_with(&launcher(), spec).await
}

pub(super) async fn stubborn_with(
    launcher: &Launcher,
    spec: fn(&[&str]) -> Spec,
) -> (Process, Outputs, Vec<i32>) {
    let (process, mut outputs) = begin_with(launcher, spec(&["sh", "-c", STUBBORN])).await;
    let names = ["self", "child", "orphan", "daemon"];
    let mut text = String::new();
    while !names.iter().all(|name| text.split_whitespace().any(|word| word.starts_with(name))) {
        text += &until(&mut outputs, "\n").await;
    }
    let pids: Vec<i32> = names.iter().flat_map(|name| numbers(&text, name)).collect();
    assert_eq!(pids.len(), 4, "{text}");
    assert!(pids.iter().all(|&pid| lives(pid)), "{text}");
    (process, outputs, pids)
}

pub(super) const MODES: [fn(&[&str]) -> Spec; 2] = [in_terminal, pipe_spec];

fn pipe_spec(words: &[&str]) -> Spec {
    piped(words, b"")
}

#[tokio::test]
async fn t2_a_killed_session_leaves_no_process_behind() {
    for spec in MODES {
        let (process, _outputs, pids) = stubborn(spec).await;
        process.kill();
        let exit = in_time("the end", process.wait()).await;
        assert_eq!(exit.signal, Some(9));
        assert_eq!(pids.into_iter().filter(|&pid| lives(pid)).collect::<Vec<_>>(), Vec::<i32>::new());
    }
}

#[tokio::test]
async fn a_process_that_goes_when_asked_can_say_goodbye_to_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("note");
    let script = format!(
        "trap 'echo tidy > {}; exit 0' TERM HUP; echo ready; while :; do sleep 0.01; done",
        note.display()
    );
    let (process, mut outputs) = begin(in_terminal(&["sh", "-c", &script])).await;
    until(&mut outputs, "ready").await;
    process.kill();
    assert_eq!(in_time("the end", process.wait()).await.code, Some(0));
    assert_eq!(fs::read_to_string(note).unwrap(), "tidy\n");
}

#[tokio::test]
async fn d5_not_a_byte_passes_after_the_kill() {
    for spec in MODES {
        let (process, mut outputs) = begin(spec(&["yes"])).await;
        until(&mut outputs, "y").await;
        // Whatever is under way then: some of it waits in the queue, some in the kernel.
        let waiting = async {
            while outputs.queue.len() < outputs.queue.max_capacity() {
                tokio::task::yield_now().await;
            }
        };
        in_time("a full queue", waiting).await;
        process.kill();
        assert_eq!(outputs.next().await, None);
        assert_eq!(process.write(Bytes::from_static(b"x")).await, Err(Closed));
        in_time("the end", process.wait()).await;
        assert_eq!(outputs.next().await, None);
    }
}

#[tokio::test]
async fn d5_what_a_dying_command_says_is_not_passed_on() {
    let script = "trap 'echo the password is x; exit' HUP TERM; echo ready; while :; do sleep 0.01; done";
    let (process, mut outputs) = begin(in_terminal(&["sh", "-c", script])).await;
    until(&mut outputs, "ready").await;
    process.kill();
    let (rest, _) = rest(&mut outputs).await;
    in_time("the end", process.wait()).await;
    assert_eq!((rest, outputs.next().await), (Vec::new(), None));
}

#[tokio::test]
async fn a_wait_for_output_ends_with_the_kill() {
    let (process, mut outputs) = begin(in_terminal(&["sleep", "1000"])).await;
    let reading = tokio::spawn(async move { outputs.next().await });
    tokio::task::yield_now().await;
    process.kill();
    assert_eq!(in_time("the reader", reading).await.unwrap(), None);
}

#[tokio::test]
async fn a_write_that_waits_ends_with_the_kill() {
    let (process, _outputs) = begin(in_terminal(&["sleep", "1000"])).await;
    let writer = process.clone();
    let writing =
        tokio::spawn(async move { while writer.write(Bytes::from(vec![b'\n'; 4096])).await.is_ok() {} });
    eventually("a full input queue", || {
        process.shared.input.as_ref().is_some_and(|queue| queue.capacity() == 0)
    })
    .await;
    process.kill();
    in_time("the writer", writing).await.unwrap();
}

#[tokio::test]
async fn a_client_that_vanishes_takes_its_session_along() {
    let (process, outputs, pids) = stubborn(in_terminal).await;
    drop((process, outputs));
    eventually("the end of all", || !pids.iter().any(|&pid| lives(pid))).await;
}

#[tokio::test]
async fn a_reader_that_vanishes_takes_the_session_along() {
    let (process, outputs) = begin(in_terminal(&["yes"])).await;
    drop(outputs);
    assert!(in_time("the end", process.wait()).await.signal.is_some());
}

#[tokio::test]
async fn what_a_command_leaves_running_ends_with_it() {
    let script = "trap '' HUP; sleep 1000 & echo left=$!; setsid sleep 1000 & echo left=$!; exit 4";
    for spec in MODES {
        let (text, _, exit) = complete(spec(&["sh", "-c", script])).await;
        assert_eq!((numbers(&text, "left").len(), exit.code), (2, Some(4)), "{text}");
        assert!(!numbers(&text, "left").into_iter().any(lives));
    }
}

#[tokio::test]
async fn a_supervisor_that_is_killed_takes_the_command_along() {
    let (process, mut outputs) =
        begin(in_terminal(&["sh", "-c", "echo self=$$ up=$PPID; exec sleep 1000"])).await;
    let text = until(&mut outputs, "\n").await;
    let supervisor = rustix::process::Pid::from_raw(numbers(&text, "up")[0]).unwrap();
    rustix::process::kill_process(supervisor, rustix::process::Signal::KILL).unwrap();
    assert_eq!(in_time("the end", process.wait()).await, Exit { code: None, signal: Some(9) });
    eventually("the command's end", || !lives(numbers(&text, "self")[0])).await;
}

#[tokio::test]
async fn a_supervisor_that_was_stopped_is_no_way_out() {
    let (process, mut outputs) =
        begin(in_terminal(&["sh", "-c", "echo self=$$ up=$PPID; exec sleep 1000"])).await;
    let text = until(&mut outputs, "\n").await;
    let supervisor = rustix::process::Pid::from_raw(numbers(&text, "up")[0]).unwrap();
    rustix::process::kill_process(supervisor, rustix::process::Signal::STOP).unwrap();
    process.kill();
    in_time("the end", process.wait()).await;
    eventually("the command's end", || !lives(numbers(&text, "self")[0])).await;
}

/// Marks a call of this test program as a gateway that is about to be killed.
const GATEWAY: &str = "this-is-a-gateway";

#[tokio::test]
async fn t3_a_gateway_that_is_killed_takes_its_sessions_along() {
    if std::env::args().any(|argument| argument == GATEWAY) {
        let (_terminal, _outputs, first) = stubborn(in_terminal).await;
        let (_pipe, _outputs, second) = stubborn(pipe_spec).await;
        println!("pids {first:?} {second:?} .");
        return std::future::pending().await;
    }
    let name = "agent::tests::ends::t3_a_gateway_that_is_killed_takes_its_sessions_along";
    let mut gateway = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--skip", GATEWAY])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(gateway.stdout.take().unwrap()).lines();
    let text = loop {
        let line = in_time("the gateway", lines.next_line()).await.unwrap().unwrap();
        if let Some((_, pids)) = line.split_once("pids ") {
            break pids.to_owned();
        }
    };
    let pids: Vec<i32> = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    assert_eq!((pids.len(), pids.iter().filter(|&&pid| lives(pid)).count()), (8, 8), "{text}");
    gateway.kill().await.unwrap();
    eventually("the end of all", || !pids.iter().any(|&pid| lives(pid))).await;
}
