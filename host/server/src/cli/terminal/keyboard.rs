//! Reading what is typed, in a way that can be stopped at once.
//!
//! A thread of its own, because a read of a terminal cannot be taken back: one that is left
//! waiting would swallow what the person types for their shell.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};
use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;

/// The most that is read at once.
const CHUNK_BYTES_MAX: usize = 4096;
/// How many chunks wait to be sent.
const QUEUE_MAX: usize = 8;

/// What is typed, until it is dropped. From then on, not a byte more is read.
#[derive(Debug)]
pub(super) struct Keyboard {
    /// Both are always there until it is dropped, in this order.
    reading: Option<(mpsc::Receiver<Bytes>, PipeWriter)>,
    thread: Option<JoinHandle<()>>,
}

impl Keyboard {
    /// Starts to read.
    pub(super) fn start(stdin: io::Result<OwnedFd>) -> io::Result<Self> {
        let stdin = stdin?;
        let (keys, queue) = mpsc::channel(QUEUE_MAX);
        let (stopped, stop) = io::pipe()?;
        let thread = thread::Builder::new().spawn(move || listen(&stdin, &stopped, &keys))?;
        Ok(Self { reading: Some((queue, stop)), thread: Some(thread) })
    }

    /// The next bytes; none at the end of the input.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        match &mut self.reading {
            Some((queue, _)) => queue.recv().await,
            None => None,
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // The thread waits for one of the two, and sees the end of both.
        self.reading = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(stdin: &OwnedFd, stopped: &PipeReader, keys: &mpsc::Sender<Bytes>) {
    let mut chunk = [0; CHUNK_BYTES_MAX];
    loop {
        let mut files = [PollFd::new(stdin, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        match poll(&mut files, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return,
        }
        if !files[1].revents().is_empty() {
            return;
        }
        match read(stdin, &mut chunk) {
            Ok(0) => return,
            Ok(length) => {
                if keys.blocking_send(Bytes::copy_from_slice(&chunk[..length])).is_err() {
                    return;
                }
            }
            // Somebody else was faster.
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}
