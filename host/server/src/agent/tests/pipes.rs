//! Commands without a terminal.

use super::*;

#[tokio::test]
async fn t5_the_command_reads_exactly_the_approved_bytes_and_then_the_end() {
    let input: Vec<u8> = (0..300_000_u32).map(|i| i.to_le_bytes()[i as usize % 3]).collect();
    let (process, mut outputs) = begin(piped(&["cat"], &input)).await;
    let (stdout, stderr) = rest(&mut outputs).await;
    assert!(stdout == input, "{} bytes came back out of {}", stdout.len(), input.len());
    assert_eq!((stderr.len(), in_time("the end", process.wait()).await.code), (0, Some(0)));
}

#[tokio::test]
async fn t5_nothing_can_be_added_to_the_approved_input() {
    let (process, mut outputs) = begin(piped(&["cat"], b"select 1;\n")).await;
    assert_eq!(process.write(Bytes::from_static(b"drop table users;\n")).await, Err(Closed));
    assert_eq!(process.end_input().await, Err(Closed));
    assert_eq!(rest(&mut outputs).await.0, b"select 1;\n");
}

#[tokio::test]
async fn no_input_is_the_end_at_once() {
    let (stdout, _, exit) = complete(piped(&["wc", "-c"], b"")).await;
    assert_eq!((stdout.trim(), exit.code), ("0", Some(0)));
}

#[tokio::test]
async fn both_streams_are_kept_apart_and_neither_is_a_terminal() {
    let script = "echo out; echo err >&2; for i in 0 1 2; do test -t $i && echo terminal $i; done; exit 3";
    let (stdout, stderr, exit) = complete(piped(&["sh", "-c", script], b"")).await;
    assert_eq!((stdout.as_str(), stderr.as_str(), exit.code), ("out\n", "err\n", Some(3)));
}

#[tokio::test]
async fn a_command_that_reads_nothing_ends_all_the_same() {
    let (_, _, exit) = complete(piped(&["true"], &vec![b'x'; 1_000_000])).await;
    assert_eq!(exit.code, Some(0));
}

#[tokio::test]
async fn a_signal_reaches_the_command() {
    let (process, mut outputs) = begin(piped(&["sh", "-c", "echo ready; exec sleep 1000"], b"")).await;
    until(&mut outputs, "ready").await;
    process.signal(Signal::Term);
    let exit = in_time("the end", process.wait()).await;
    assert_eq!((exit.code, exit.shell_code()), (None, 143));
}

#[tokio::test]
async fn a_broken_pipe_kills_a_command_as_it_does_in_a_shell() {
    let (stdout, _, _) = complete(piped(&["bash", "-c", "yes | head -1; echo ${PIPESTATUS[0]}"], b"")).await;
    assert_eq!(stdout, "y\n141\n");
}

#[tokio::test]
async fn ten_megabytes_on_both_streams_come_whole() {
    let script = "head -c 10000000 /dev/zero & head -c 10000000 /dev/zero >&2; wait";
    let (process, mut outputs) = begin(piped(&["sh", "-c", script], b"")).await;
    let (stdout, stderr) = rest(&mut outputs).await;
    assert_eq!((stdout.len(), stderr.len()), (10_000_000, 10_000_000));
    assert_eq!(in_time("the end", process.wait()).await.code, Some(0));
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.txt");
    fs::write(&file, "no program").unwrap();
    let file = file.to_str().unwrap();
    let with = |name: &str, value: &str| Spec {
        env: vec![(name.to_owned(), Secret::new(value))],
        ..piped(&["true"], b"")
    };
    let nobody = "the program `quorate-no-such-program` was not found";
    for (spec, said) in [
        (piped(&["quorate-no-such-program", "-x"], b""), nobody.to_owned()),
        (in_terminal(&["quorate-no-such-program"]), nobody.to_owned()),
        (piped(&["/bad\u{1b}[2J"], b""), "the program `/bad\\u{1b}[2J` was not found".to_owned()),
        (
            piped(&[file], b""),
            format!("the program `{file}` cannot be executed by the user that sessions run as"),
        ),
        (
            piped(&["/tmp"], b""),
            "the program `/tmp` cannot be executed by the user that sessions run as".to_owned(),
        ),
        (piped(&[], b""), "the resource has no command".to_owned()),
        (piped(&[""], b""), "the resource has no command".to_owned()),
        (piped(&["echo", "a\0b"], b""), "an argument of the command contains a zero byte".to_owned()),
        (with("A=B", "x"), "`A=B` cannot be the name of an environment variable with this value".to_owned()),
        (with("A", "x\0"), "`A` cannot be the name of an environment variable with this value".to_owned()),
    ] {
        let refused = start(&launcher(), spec).await.unwrap_err();
        assert_eq!(refused.to_string(), said);
    }
}

#[tokio::test]
async fn a_wrapper_that_is_none_is_an_error_and_no_hang() {
    for program in ["/bin/true", "/no/such/wrapper"] {
        let broken = launcher().through(program.into(), Vec::new());
        let refused = in_time("the refusal", start(&broken, piped(&["true"], b""))).await.unwrap_err();
        assert!(matches!(refused, StartError::Agent { .. }), "{refused:?}");
    }
}
