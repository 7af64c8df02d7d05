//! Commands in a terminal.

use super::*;

#[tokio::test]
async fn the_command_has_a_terminal_of_the_asked_size_and_kind() {
    let mode = Mode::Terminal { size: Size::new(33, 101), term: "screen-256color".to_owned() };
    let spec = Spec { argv: argv(&["sh", "-c", "stty size; tty; echo $TERM"]), env: Vec::new(), mode };
    let (text, _, exit) = complete(spec).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines[2], exit.code), ("33 101", "screen-256color", Some(0)));
    assert!(lines[1].starts_with("/dev/pts/"), "{text}");
}

#[tokio::test]
async fn a_resize_reaches_the_command() {
    let script = "trap 'echo now $(stty size)' WINCH; echo ready; while :; do read line; done";
    let (process, mut outputs) = begin(in_terminal(&["sh", "-c", script])).await;
    until(&mut outputs, "ready").await;
    process.resize(Size::new(50, 132));
    // A shell may run its trap only when the read is over.
    type_in(&process, "\n").await;
    until(&mut outputs, "now 50 132").await;
}

#[tokio::test]
async fn what_is_typed_is_read_and_echoed() {
    let (process, mut outputs) = begin(in_terminal(&["sh", "-c", "read line; echo \"<$line>\""])).await;
    type_in(&process, "grüße\n").await;
    let (text, _) = rest(&mut outputs).await;
    assert_eq!(String::from_utf8(text).unwrap(), "grüße\r\n<grüße>\r\n");
}

#[tokio::test]
async fn ctrl_c_interrupts() {
    let (process, mut outputs) = begin(in_terminal(&["sh", "-c", "echo ready; exec sleep 1000"])).await;
    until(&mut outputs, "ready").await;
    type_in(&process, "\x03").await;
    let exit = in_time("the interrupt", process.wait()).await;
    assert_eq!((exit.signal, exit.shell_code()), (Some(2), 130));
}

#[tokio::test]
async fn ctrl_c_interrupts_even_where_the_gateway_ignores_it() {
    // What `nohup` and `&` in a script do to whatever they start.
    let script = "trap '' INT QUIT HUP; exec \"$0\" \"$@\"";
    let this = std::env::current_exe().unwrap().into_os_string();
    let mut arguments = vec!["-c".into(), script.into(), this];
    arguments.extend(launcher().arguments);
    let deaf = launcher().through("/bin/sh".into(), arguments);
    let (process, mut outputs) =
        start(&deaf, in_terminal(&["sh", "-c", "echo ready; exec sleep 1000"])).await.unwrap();
    until(&mut outputs, "ready").await;
    type_in(&process, "\x03").await;
    assert_eq!(in_time("the interrupt", process.wait()).await.signal, Some(2));
}

#[tokio::test]
async fn a_signal_reaches_what_is_in_the_foreground() {
    let script = "trap 'echo outer' INT; sh -c 'trap \"echo inner; exit 5\" INT; echo ready; while :; do sleep 0.01; done'; echo code=$?";
    let (process, mut outputs) = begin(in_terminal(&["sh", "-c", script])).await;
    until(&mut outputs, "ready").await;
    process.signal(Signal::Int);
    let seen = until(&mut outputs, "code=5").await;
    assert!(seen.contains("inner"), "{seen}");
}

#[tokio::test]
async fn the_end_of_input_ends_cat_within_a_line_too() {
    for line in ["whole\n", "half"] {
        let (process, mut outputs) = begin(in_terminal(&["cat"])).await;
        type_in(&process, line).await;
        in_time("the end of input", process.end_input()).await.unwrap();
        let (text, _) = rest(&mut outputs).await;
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.matches(line.trim_end()).count(), 2, "echoed and printed: {text:?}");
        assert_eq!(in_time("cat", process.wait()).await.code, Some(0));
    }
}

#[tokio::test]
async fn the_end_of_input_is_the_end_for_what_reads_next_too() {
    // The first takes the one end that a terminal keeps.
    let (process, mut outputs) = begin(in_terminal(&["sh", "-c", "cat; exec cat"])).await;
    in_time("the end of input", process.end_input()).await.unwrap();
    rest(&mut outputs).await;
    assert_eq!(in_time("cat", process.wait()).await.code, Some(0));
}

#[tokio::test]
async fn the_exit_code_comes_through() {
    for code in [0, 1, 7, 255] {
        let (_, _, exit) = complete(in_terminal(&["sh", "-c", &format!("exit {code}")])).await;
        assert_eq!(exit, Exit { code: Some(code), signal: None });
    }
}

#[tokio::test]
async fn the_last_words_of_a_command_are_not_lost() {
    for _ in 0..20 {
        let (text, _, _) = complete(in_terminal(&["sh", "-c", "seq 1 500; exec printf end"])).await;
        assert!(text.ends_with("500\r\nend"), "{}", &text[text.len().saturating_sub(40)..]);
    }
}

#[tokio::test]
async fn ten_megabytes_pass_a_slow_reader_whole() {
    let script = "stty -opost; head -c 10000000 /dev/zero | tr '\\0' x; printf end";
    let (process, mut outputs) = begin(in_terminal(&["sh", "-c", script])).await;
    let mut length = 0;
    let mut tail = Vec::new();
    while let Some(Output::Stdout(bytes)) = in_time("output", outputs.next()).await {
        length += bytes.len();
        tail = bytes.to_vec();
        tokio::task::yield_now().await;
    }
    assert_eq!((length, tail.ends_with(b"end")), (10_000_003, true));
    assert_eq!(in_time("the end", process.wait()).await.code, Some(0));
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_command() {
    let (process, mut outputs) = begin(in_terminal(&["sh", "-c", "echo pid=$$; exec yes"])).await;
    let pid = numbers(&until(&mut outputs, "\n").await, "pid")[0];
    // It stands still: waiting for its terminal, no matter how often one looks.
    let written = || {
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
        numbers(&io.replace("wchar: ", "wchar="), "wchar")[0]
    };
    let last = std::cell::Cell::new((written(), Instant::now()));
    eventually("a command that stands still", || {
        let (before, since) = last.get();
        if written() != before {
            last.set((written(), Instant::now()));
        }
        since.elapsed() > Duration::from_millis(300) && written() == before
    })
    .await;
    assert!(last.get().0 < 2_000_000, "{} bytes were taken from it", last.get().0);
    process.kill();
    eventually("its end", || !lives(pid)).await;
}
