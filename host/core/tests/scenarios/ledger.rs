//! A ledger in memory: compare-and-append, and two writers that race for it.

use std::collections::BTreeMap;

use quorate_core::entry::{Entry, Happened, Step, Stream, View, fold};
use quorate_core::ids::RequestId;
use quorate_core::refused::Refused;
use quorate_core::request::Request;

/// Everything that was appended.
#[derive(Default, Clone)]
pub(crate) struct Ledger {
    streams: BTreeMap<Stream, Vec<Entry>>,
}

impl Ledger {
    /// Appends all of `step`, or nothing where somebody else was first.
    pub(crate) fn append(&mut self, step: &Step) -> bool {
        let mut next = self.clone();
        for entry in step.entries() {
            let stream = next.streams.entry(entry.stream.clone()).or_default();
            if stream.len() as u64 + 1 != entry.revision {
                return false;
            }
            stream.push(entry.clone());
        }
        if step.guards().iter().any(|guard| self.of(&guard.stream).len() as u64 != guard.revision) {
            return false;
        }
        *self = next;
        true
    }

    /// The entries of one stream.
    pub(crate) fn of(&self, stream: &Stream) -> &[Entry] {
        self.streams.get(stream).map_or(&[], Vec::as_slice)
    }

    /// What happened to one stream.
    pub(crate) fn happened(&self, stream: &Stream) -> impl Iterator<Item = &Happened> {
        self.of(stream).iter().map(|entry| &entry.happened)
    }

    /// What a stream's entries add up to.
    pub(crate) fn view(&self, stream: &Stream) -> View {
        let mut view = None;
        for (before, entry) in (0..).zip(self.of(stream)) {
            view = fold(view, before, entry).unwrap();
        }
        view.unwrap()
    }

    /// The request `id`, folded from its entries.
    pub(crate) fn request(&self, id: &RequestId) -> Request {
        match self.view(&Stream::request(id)) {
            View::Request(request) => *request,
            other => panic!("{other:?} is not a request"),
        }
    }
}

/// What a racer makes of the request it loaded.
type Decide<'a> = dyn Fn(&Request) -> Result<Step, Refused> + 'a;

/// How one racer's try ended, and how often somebody else was first.
pub(crate) struct Finish {
    pub(crate) result: Result<(), Refused>,
    pub(crate) lost: usize,
}

enum Phase {
    Load,
    Decide(Box<Request>),
    Append(Box<Step>),
    Done(Result<(), Refused>),
}

/// Lets two writers race for the request `id`. Each loads, decides and appends,
/// and begins again where the other was first. Bit by bit, `order` says who moves.
pub(crate) fn race(ledger: &mut Ledger, id: &RequestId, decide: [&Decide; 2], order: u32) -> [Finish; 2] {
    let mut phases = [Phase::Load, Phase::Load];
    let mut lost = [0, 0];
    let mut turn = 0;
    while phases.iter().any(|phase| !matches!(phase, Phase::Done(_))) {
        let mut who = usize::from(order.rotate_right(turn) & 1 == 1);
        turn += 1;
        if matches!(phases[who], Phase::Done(_)) {
            who = 1 - who;
        }
        phases[who] = match std::mem::replace(&mut phases[who], Phase::Load) {
            Phase::Load => Phase::Decide(Box::new(ledger.request(id))),
            Phase::Decide(request) => match decide[who](&request) {
                Ok(step) => Phase::Append(Box::new(step)),
                Err(refused) => Phase::Done(Err(refused)),
            },
            Phase::Append(step) if ledger.append(&step) => Phase::Done(Ok(())),
            Phase::Append(_) => {
                lost[who] += 1;
                Phase::Load
            }
            done @ Phase::Done(_) => done,
        };
    }
    let mut lost = lost.into_iter();
    phases.map(|phase| match phase {
        Phase::Done(result) => Finish { result, lost: lost.next().unwrap() },
        _ => panic!("still running"),
    })
}
