//! Recordings of terminal sessions: what the terminal showed, as it showed it.
//!
//! ```text
//! pump ── a bounded queue ── writer (a task) ── <data>/recordings/<session>.cast
//! ```
//!
//! A terminal does not start without its recording. From then on the session goes on whatever
//! happens to the file: output waits for room in the queue, at most [`STALL_MAX`]; where the disk
//! takes longer, fails, or the recording is as large as it may be, the recording ends, and says
//! so itself, in the ledger and in the log. What people type is never recorded: it may be a
//! password. Nothing is ever removed.
//!
//! Limits: what is written outlives the gateway, however that ends; where the machine loses its
//! power, what was written last may be lost, since a file is forced onto the disk at its end
//! alone. Whoever floods their terminal until the recording is full goes on unrecorded, which the
//! ledger shows.
//!
//! Further in: the file itself (`cast`). Not here: who may read one (`api`).

mod cast;

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quorate_core::ids::SessionId;
use quorate_core::session::Session;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use self::cast::{Cast, Event, Shown, Start, Stop};
use crate::agent::{Output, Size};
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;

/// How many events wait to be written: with the longest output, 256 KiB.
const QUEUE_MAX: usize = 16;
/// What has to be free in the queue before more output is taken: one for it, and one for a size
/// that waits.
const ROOM: usize = 2;
/// How long output waits for a disk that does not keep up.
const STALL_MAX: Duration = Duration::from_secs(3);
/// How long the end of a session waits until the last of it is written.
const FINISH_MAX: Duration = Duration::from_secs(2);
/// The longest line that is looked for at the end of a file: the longest output, each byte of it
/// written as a number.
const LINE_BYTES_MAX: u64 = 128 * 1024;

/// Where recordings are, and how large one may be. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recordings {
    folder: Arc<Path>,
    bytes_max: u64,
}

impl Recordings {
    /// Recordings in `folder`, of at most so many bytes each; with 0 none are made.
    pub fn new(folder: PathBuf, bytes_max: u64) -> Self {
        Self { folder: folder.into(), bytes_max }
    }

    /// Makes the folder, for the gateway alone to look into.
    pub fn prepare(&self) -> io::Result<()> {
        if self.bytes_max == 0 {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        // It may have been there.
        std::fs::set_permissions(&self.folder, Permissions::from_mode(0o700))
    }

    /// Whether there is one of this session.
    pub(crate) fn has(&self, id: &SessionId) -> bool {
        self.path(id).is_file()
    }

    /// The recording of a session as it is now, and how long it is up to its last whole line;
    /// none where there is none.
    pub(crate) fn open(&self, id: &SessionId) -> io::Result<Option<(File, u64)>> {
        let mut file = match File::open(self.path(id)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let length = file.metadata()?.len();
        let from = length.saturating_sub(LINE_BYTES_MAX);
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        (&file).take(length - from).read_to_end(&mut tail)?;
        let end = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last as u64 + 1);
        file.rewind()?;
        Ok(Some((file, from + end)))
    }

    fn path(&self, id: &SessionId) -> PathBuf {
        // An id has no separator in it, and does not begin with a dot.
        self.folder.join(format!("{id}.cast"))
    }

    /// Starts recording the terminal of a session.
    pub(super) async fn start(
        &self,
        lifecycle: &Lifecycle,
        clock: &Clock,
        session: &Session,
        size: Size,
        term: &str,
    ) -> io::Result<Recorder> {
        if self.bytes_max == 0 {
            return Ok(Recorder::off(clock));
        }
        let (path, bytes_max) = (self.path(&session.id), self.bytes_max);
        let title = format!("{} on {}", session.opened.user, session.opened.resource);
        let start = Start { at: clock.now(), size, term: term.to_owned(), title };
        let create = move || {
            let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
            Cast::start(file, &start, bytes_max)
        };
        let cast = tokio::task::spawn_blocking(create).await.map_err(io::Error::other)??;
        let (queue, events) = mpsc::channel(QUEUE_MAX);
        let given_up = Arc::new(OnceLock::new());
        let writer = Writer {
            cast,
            events,
            given_up: Arc::clone(&given_up),
            lifecycle: lifecycle.clone(),
            clock: clock.clone(),
            session: session.id.clone(),
        };
        let mut recorder = Recorder::off(clock);
        recorder.queue = Some(queue);
        recorder.given_up = given_up;
        recorder.size = Some(size);
        recorder.writing = Some(tokio::spawn(writer.run()));
        Ok(recorder)
    }
}

/// What a session gives its recording. Nothing in here waits for the disk but
/// [`Recorder::room`] and [`Recorder::finish`].
pub(super) struct Recorder {
    clock: Clock,
    /// None where nothing is recorded, or not any more.
    queue: Option<mpsc::Sender<Event>>,
    given_up: Arc<OnceLock<String>>,
    /// The size that was recorded last.
    size: Option<Size>,
    /// A size that found no room.
    resized: Option<Event>,
    full_since: Option<Instant>,
    stall_max: Duration,
    writing: Option<JoinHandle<()>>,
}

impl Recorder {
    /// One that records nothing.
    pub(super) fn off(clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            queue: None,
            given_up: Arc::default(),
            size: None,
            resized: None,
            full_since: None,
            stall_max: STALL_MAX,
            writing: None,
        }
    }

    /// Whether [`Recorder::output`] may be called.
    pub(super) fn has_room(&self) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.is_closed() || queue.capacity() >= ROOM)
    }

    /// Waits until there is room, or the recording is given up.
    pub(super) async fn room(&mut self) {
        let Some(queue) = &self.queue else { return };
        let since = *self.full_since.get_or_insert_with(Instant::now);
        let room =
            timeout_at(since + self.stall_max, queue.reserve_many(ROOM)).await.map(|room| room.is_ok());
        match room {
            Ok(true) => self.full_since = None,
            // The writer has ended the recording, and said why.
            Ok(false) => self.queue = None,
            Err(_) => {
                let why = format!("the disk did not keep up for {} s", self.stall_max.as_secs());
                let _ = self.given_up.set(why);
                self.queue = None;
            }
        }
    }

    /// The command wrote this, which its client is about to see.
    pub(super) fn output(&mut self, output: &Output) {
        let (Output::Stdout(bytes) | Output::Stderr(bytes)) = output;
        self.full_since = None;
        if let Some(resized) = self.resized.take() {
            self.push(resized);
        }
        self.push(Event { at: self.clock.now(), shown: Shown::Output(bytes.clone()) });
    }

    /// The terminal has this size from now on.
    pub(super) fn resize(&mut self, size: Size) {
        if self.queue.is_none() || self.size.replace(size) == Some(size) {
            return;
        }
        self.resized = Some(Event { at: self.clock.now(), shown: Shown::Size(size) });
        // Only the last one counts where there is no room: nothing is shown in between.
        if self.has_room()
            && let Some(resized) = self.resized.take()
        {
            self.push(resized);
        }
    }

    fn push(&mut self, event: Event) {
        if let Some(queue) = &self.queue
            && queue.try_send(event).is_err()
        {
            // The writer has ended the recording, and said why.
            self.queue = None;
        }
    }

    /// Nothing more is shown. Waits a moment until all of it is written.
    pub(super) async fn finish(mut self) {
        if let Some(resized) = self.resized.take() {
            self.push(resized);
        }
        self.queue = None;
        if let Some(writing) = self.writing.take()
            && tokio::time::timeout(FINISH_MAX, writing).await.is_err()
        {
            tracing::warn!("the end of a recording is still being written");
        }
    }
}

/// Writes one recording.
struct Writer {
    cast: Cast<File>,
    events: mpsc::Receiver<Event>,
    /// Why the session does not go on with it, where that is not its end.
    given_up: Arc<OnceLock<String>>,
    lifecycle: Lifecycle,
    clock: Clock,
    session: SessionId,
}

impl Writer {
    async fn run(mut self) {
        loop {
            let mut events = Vec::with_capacity(QUEUE_MAX);
            if self.events.recv_many(&mut events, QUEUE_MAX).await == 0 {
                return self.end().await;
            }
            let wrote = on_disk(self.cast, move |cast| cast.write(&events)).await;
            let Some((cast, wrote)) = wrote else {
                return stopped(&self.lifecycle, &self.session, "its writer failed".to_owned()).await;
            };
            self.cast = cast;
            let Err(stop) = wrote else { continue };
            // From here on the session goes on without.
            self.events.close();
            let why = stop.to_string();
            if matches!(stop, Stop::Failed(_)) {
                let (at, why) = (self.clock.now(), why.clone());
                let mark = move |cast: &mut Cast<File>| {
                    // Half a line at the end is passed over by whoever reads; not one in the middle.
                    cast.file().set_len(cast.bytes())?;
                    cast.mark(at, &why)
                };
                // Where there is not even room for this, the ledger and the log say it.
                let _ = on_disk(self.cast, mark).await;
            }
            return stopped(&self.lifecycle, &self.session, why).await;
        }
    }

    async fn end(self) {
        let (at, given_up) = (self.clock.now(), self.given_up.get().cloned());
        let why = given_up.clone();
        let ended = on_disk(self.cast, move |cast| {
            cast.end(at)?;
            why.map_or(Ok(()), |why| cast.mark(at, &why))?;
            cast.file().sync_data()
        })
        .await;
        let failed = ended.and_then(|(_, ended)| ended.err()).map(|error| Stop::Failed(error).to_string());
        if let Some(why) = given_up.or(failed) {
            stopped(&self.lifecycle, &self.session, why).await;
        }
    }
}

/// Works on the file where waiting for the disk holds up nobody. None where that panicked, which
/// is logged where it happened.
async fn on_disk<T: Send + 'static>(
    mut cast: Cast<File>,
    work: impl FnOnce(&mut Cast<File>) -> T + Send + 'static,
) -> Option<(Cast<File>, T)> {
    let done = tokio::task::spawn_blocking(move || {
        let done = work(&mut cast);
        (cast, done)
    });
    done.await.ok()
}

/// Says, where it is looked for, that a recording is not all that the session showed.
async fn stopped(lifecycle: &Lifecycle, session: &SessionId, why: String) {
    tracing::warn!(%session, why, "a recording ends before its session");
    if let Err(error) = lifecycle.recording_stopped(session, why).await {
        tracing::error!(%session, %error, "the ledger does not say that a recording ends early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SessionId {
        text.parse().unwrap()
    }

    #[test]
    fn only_whole_lines_are_given_out() {
        let folder = tempfile::tempdir().unwrap();
        let recordings = Recordings::new(folder.path().join("recordings"), 1);
        recordings.prepare().unwrap();
        let length = |text: &str| {
            std::fs::write(recordings.path(&id("s")), text).unwrap();
            let (mut file, length) = recordings.open(&id("s")).unwrap().unwrap();
            assert_eq!(file.stream_position().unwrap(), 0);
            length
        };
        assert_eq!(length(""), 0);
        assert_eq!(length("{}"), 0);
        assert_eq!(length("{}\n"), 3);
        // As a gateway leaves it that is killed while it writes.
        assert_eq!(length("{}\n[1.0,\"o\",\"a\"]\n[1.5,\"o\",\"ha"), 17);
        let long = format!("{{}}\n{}\nhalf", "x".repeat(300_000));
        assert_eq!(length(&long), 300_004);
        assert!(recordings.open(&id("other")).unwrap().is_none() && !recordings.has(&id("other")));
    }

    #[test]
    fn the_folder_is_for_the_gateway_alone_also_where_it_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("recordings");
        Recordings::new(inside.clone(), 0).prepare().unwrap();
        assert!(!inside.exists());
        std::fs::create_dir(&inside).unwrap();
        std::fs::set_permissions(&inside, Permissions::from_mode(0o755)).unwrap();
        Recordings::new(inside.clone(), 1).prepare().unwrap();
        assert_eq!(inside.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    /// A recorder whose disk takes nothing; what waits for it.
    fn stalled(stall_max: Duration) -> (Recorder, mpsc::Receiver<Event>) {
        let (clock, _hand) = Clock::manual(quorate_core::Timestamp::UNIX_EPOCH);
        let (queue, events) = mpsc::channel(QUEUE_MAX);
        let mut recorder = Recorder { queue: Some(queue), stall_max, ..Recorder::off(&clock) };
        while recorder.has_room() {
            recorder.output(&Output::Stdout("x".into()));
        }
        (recorder, events)
    }

    #[tokio::test]
    async fn output_waits_for_a_disk_that_does_not_keep_up() {
        let (mut recorder, mut events) = stalled(Duration::from_mins(1));
        assert_eq!(events.len(), QUEUE_MAX - 1);
        // Sizes wait, too, and only the last.
        recorder.resize(Size::new(1, 1));
        recorder.resize(Size::new(2, 2));
        // Whoever waits may be called away, and come again.
        for _ in 0..2 {
            assert!(tokio::time::timeout(Duration::from_millis(1), recorder.room()).await.is_err());
        }
        events.recv().await.unwrap();
        recorder.room().await;
        assert!(recorder.has_room() && recorder.given_up.get().is_none());
        recorder.output(&Output::Stdout("last".into()));
        drop(recorder);
        let mut shown = Vec::new();
        while let Some(event) = events.recv().await {
            shown.push(event.shown);
        }
        let end = &shown[QUEUE_MAX - 2..];
        assert!(
            matches!(end, [Shown::Size(size), Shown::Output(last)] if *size == Size::new(2, 2) && last == "last"),
            "{end:?}"
        );
    }

    #[tokio::test]
    async fn a_disk_that_does_not_keep_up_for_long_ends_the_recording_and_output_goes_on() {
        let (mut recorder, mut events) = stalled(Duration::from_millis(20));
        let since = Instant::now();
        // The time goes on counting while whoever waits is called away.
        while !recorder.has_room() {
            let _ = tokio::time::timeout(Duration::from_millis(1), recorder.room()).await;
        }
        assert!(since.elapsed() >= Duration::from_millis(20));
        assert!(recorder.given_up.get().unwrap().contains("did not keep up"));
        recorder.output(&Output::Stdout("not recorded".into()));
        // What waits is written yet, and then the end.
        for _ in 0..QUEUE_MAX - 1 {
            assert!(matches!(events.recv().await.unwrap().shown, Shown::Output(bytes) if bytes == "x"));
        }
        assert!(events.recv().await.is_none());
    }
}
