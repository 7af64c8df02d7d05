//! Says when nobody can approve a request any more, and when somebody can again: after each
//! change of the request itself, and of all of them when people or their groups change.
//! Rules, resources and policies reach a request as a decision about it.

use std::collections::BTreeSet;

use quorate_core::entry::{Happened, Kind};
use quorate_core::ids::RequestId;

use crate::ledger::{EntryFilter, Order};
use crate::lifecycle::{Error, Lifecycle, Stuck, Voters};

/// How many entries are looked at in one go.
const BATCH: usize = 500;
/// How many requests are looked at before others get their turn.
const TURN: usize = 50;

/// Runs for ever.
pub(super) async fn run(lifecycle: Lifecycle) {
    let mut head = lifecycle.ledger().head();
    let mut seen = *head.borrow_and_update();
    let mut voters = loop {
        let begun = begin(&lifecycle).await;
        match begun {
            Ok(voters) => break voters,
            Err(error) => super::note("looking for requests that nobody can approve", Err(error)),
        };
        tokio::time::sleep(super::REST).await;
    };
    loop {
        head.borrow_and_update();
        let looked = look(&lifecycle, &mut seen, &mut voters).await;
        let good = super::note("looking for requests that nobody can approve", looked);
        if super::next(&mut head, good).await.is_err() {
            return;
        }
    }
}

/// What is so already; it was said when it came to be so.
async fn begin(lifecycle: &Lifecycle) -> Result<Voters, Error> {
    let mut voters = lifecycle.voters()?;
    let mut stuck = Stuck::new();
    for (nth, id) in lifecycle.ledger().pending()?.into_iter().enumerate() {
        if let Some(request) = lifecycle.ledger().request(&id)?
            && voters.cannot_approve(&request)
        {
            stuck.insert(id);
        }
        take_turns(nth).await;
    }
    lifecycle.begin_stuck(stuck);
    Ok(voters)
}

/// Looks at what the entries after `seen` concern, once however many there are.
async fn look(lifecycle: &Lifecycle, seen: &mut u64, voters: &mut Voters) -> Result<(), Error> {
    let (mut requests, mut people, mut upto) = (BTreeSet::<RequestId>::new(), false, *seen);
    loop {
        let filter = EntryFilter { after_seq: Some(upto), ..EntryFilter::default() };
        let found = lifecycle.ledger().entries(&filter, BATCH, Order::OldestFirst)?;
        let Some(last) = found.last() else { break };
        upto = last.seq;
        for entry in found.iter().map(|sealed| &sealed.entry) {
            people |= matches!(entry.happened, Happened::UserSaved { .. });
            if entry.stream.kind() == Kind::Request {
                requests.extend(entry.stream.name().parse::<RequestId>());
            }
        }
    }
    if people {
        *voters = lifecycle.voters()?;
        requests.extend(lifecycle.ledger().pending()?);
    }
    for (nth, id) in requests.into_iter().enumerate() {
        if let Some(request) = lifecycle.ledger().request(&id)? {
            lifecycle.note_stuck(&request, voters.cannot_approve(&request));
        }
        take_turns(nth).await;
    }
    *seen = upto;
    Ok(())
}

async fn take_turns(nth: usize) {
    if nth % TURN == TURN - 1 {
        tokio::task::yield_now().await;
    }
}
