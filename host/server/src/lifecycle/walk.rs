//! A walk over recorded decisions, page by page: as many at a time as fit into a short
//! while, their records looked at by all cores at once.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::{Error, Inner};
use crate::ledger::{Point, PointFilter, ReadError};

/// How many decision points are read at once.
const CHUNK: usize = 2048;
/// How long one page takes at most, or one chunk where that takes longer.
const PAGE_MAX: Duration = Duration::from_secs(2);
/// The most decision points on a page.
pub const PAGE_POINTS_MAX: usize = 50_000;
/// How much that has to be told ends a page.
const TOLD_MAX: usize = 2000;

/// One page at a time, so that looking back never is the gateway's main work.
static TURN: Semaphore = Semaphore::const_new(1);

/// Which part of the history.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Which decisions.
    pub filter: PointFilter,
    /// Those after this entry.
    pub after: u64,
    /// And up to this one; none: to the newest.
    pub until: Option<u64>,
    /// How many at most.
    pub limit: usize,
}

impl Inner {
    /// Runs one page of work when it is its turn, off the async threads.
    pub(super) async fn take_turn<T: Send + 'static>(
        self: &std::sync::Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let _turn = TURN.acquire().await.map_err(anyhow::Error::new)?;
        let inner = std::sync::Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(anyhow::Error::new)?
    }

    /// Shows the decision points of `slice` with their records to what `looker` makes for
    /// each of several threads, and hands what came of them to `take`, in order, which says
    /// whether it has to be told. Gives the entry after which the next page begins; none
    /// where there is none.
    pub(super) fn walk<T: Send, L: FnMut(&Point, Option<&[u8]>) -> T>(
        &self,
        slice: &Slice,
        looker: impl Fn() -> L + Sync,
        mut take: impl FnMut(Point, T) -> bool,
    ) -> Result<Option<u64>, Error> {
        let began = Instant::now();
        let until = slice.until.unwrap_or_else(|| *self.ledger.head().borrow());
        let (mut after, mut left, mut told) = (slice.after, slice.limit.clamp(1, PAGE_POINTS_MAX), 0);
        loop {
            let wanted = left.min(CHUNK);
            let points = self.ledger.decision_points(&slice.filter, after, until, wanted)?;
            let Some(last) = points.last() else { return Ok(None) };
            (after, left) = (last.seq, left - points.len());
            let was_last = points.len() < wanted;
            let seen = self.look_at(&points, &looker)?;
            told +=
                points.into_iter().zip(seen).map(|(point, seen)| take(point, seen)).filter(|x| *x).count();
            if was_last {
                return Ok(None);
            }
            if left == 0 || told >= TOLD_MAX || began.elapsed() >= PAGE_MAX {
                return Ok(Some(after));
            }
        }
    }

    /// Each core takes a stretch of the points, so that they stay in order.
    fn look_at<T: Send, L: FnMut(&Point, Option<&[u8]>) -> T>(
        &self,
        points: &[Point],
        looker: &(impl Fn() -> L + Sync),
    ) -> Result<Vec<T>, ReadError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let stretch = points.len().div_ceil(cores).max(1);
        let failed: Mutex<Option<ReadError>> = Mutex::new(None);
        let mut seen: Vec<Vec<T>> = points.chunks(stretch).map(|one| Vec::with_capacity(one.len())).collect();
        std::thread::scope(|scope| {
            for (points, seen) in points.chunks(stretch).zip(&mut seen) {
                let failed = &failed;
                scope.spawn(move || {
                    let mut look = looker();
                    let read = self.ledger.records_of(points, |point, bytes| seen.push(look(point, bytes)));
                    if let (Err(error), Ok(mut failed)) = (read, failed.lock()) {
                        failed.get_or_insert(error);
                    }
                });
            }
        });
        match failed.into_inner() {
            Ok(Some(error)) => Err(error),
            _ => Ok(seen.into_iter().flatten().collect()),
        }
    }
}
