//! Clients in a process of their own, which do not end by themselves.

use super::*;

/// Marks a call of this test program as a client that does not end by itself.
const CLIENT: &str = "this-is-a-client";

fn is_client() -> bool {
    std::env::args().any(|argument| argument == CLIENT)
}

/// Runs the test of this name as a client, in a process and a terminal of its own: signals and
/// panics concern every terminal of a process. `meddle` is given the client and its
/// keyboard when the terminal is raw. The exit code, once the terminal is found to be as it was.
async fn client(test: &str, meddle: impl FnOnce(rustix::process::Pid, &mut File)) -> Option<i32> {
    let (mut hands, mut eyes, terminal) = open();
    let before = format!("{:?}", tcgetattr(&terminal).unwrap());
    let mut client = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("cli::terminal::tests::clients::{test}"), "--nocapture", "--skip", CLIENT])
        .stdin(terminal.try_clone().unwrap())
        .stdout(terminal.try_clone().unwrap())
        .stderr(terminal.try_clone().unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    sees(&mut eyes, "raw now").await;
    assert!(is_raw(&terminal));
    let pid = i32::try_from(client.id().unwrap()).unwrap();
    meddle(rustix::process::Pid::from_raw(pid).unwrap(), &mut hands);
    let status = in_time("its end", client.wait()).await.unwrap();
    assert_eq!(format!("{:?}", tcgetattr(&terminal).unwrap()), before);
    status.code()
}

#[tokio::test]
async fn a_client_that_is_told_to_end_leaves_the_terminal_whole() {
    if is_client() {
        let (line, gateway, _arrived) = line(true);
        gateway.send(Ok(FromGateway::Notice("raw now".to_owned()))).unwrap();
        let left = run(Terminal::of_process().unwrap(), Kind::Interactive, line).await;
        let Err(Left::Interrupted { signal }) = left else { panic!("{left:?}") };
        std::process::exit(128 + signal);
    }
    for (signal, code) in [(rustix::process::Signal::TERM, 143), (rustix::process::Signal::HUP, 129)] {
        let test = "a_client_that_is_told_to_end_leaves_the_terminal_whole";
        let ended = client(test, |pid, _| rustix::process::kill_process(pid, signal).unwrap()).await;
        assert_eq!(ended, Some(code));
    }
}

#[tokio::test]
async fn a_panic_leaves_the_terminal_whole_even_where_nothing_is_dropped() {
    if is_client() {
        let raw = RawMode::enter(io::stdin()).unwrap().unwrap();
        std::mem::forget(raw);
        print!("raw now");
        io::stdout().flush().unwrap();
        // Goes on when the other side has looked.
        io::stdin().read_exact(&mut [0]).unwrap_or_else(|error| panic!("no byte: {error}"));
        panic!("on purpose");
    }
    let test = "a_panic_leaves_the_terminal_whole_even_where_nothing_is_dropped";
    let ended = client(test, |_, keyboard| keyboard.write_all(b"x").unwrap()).await;
    assert_eq!(ended, Some(101), "a test that panicked");
}
