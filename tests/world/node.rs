//! Servers of the tests that are scripts in Node.js, each in a process of its own.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::browser::variable;
use super::program::in_time;

/// Starts a script of this folder, and waits until it says that it serves. `modules` is the variable
/// that says where the packages are that it needs; `kept` is where the test and it keep what they tell each
/// other. It ends with the process that is given back.
pub async fn serve(script: &str, modules: &str, port: &str, kept: &Path) -> Child {
    let modules =
        variable(modules).unwrap_or_else(|| panic!("`tests/run` fetches packages and sets {modules}"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("world").join(script);
    let mut process = Command::new("node")
        .args([script.as_os_str(), OsStr::new(&modules), OsStr::new(port), kept.as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
    let ready = in_time(said.next_line()).await.unwrap();
    assert_eq!(ready.as_deref(), Some("serving"));
    // It may go on talking, and must not be held up by that.
    tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
    process
}
