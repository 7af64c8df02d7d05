//! The votes of one situation: who could vote how, and an input that has some of them.

use crate::{Choice, Input, Principal, Vote};

/// One vote: which of the voters, and how. Three for each voter.
pub(super) type Ballot = u32;

/// How somebody votes.
#[derive(Clone, Copy)]
pub(super) enum Voice {
    Approve,
    Reject,
    Force,
}

const VOICES: [Voice; 3] = [Voice::Approve, Voice::Reject, Voice::Force];
pub(super) const VOICES_COUNT: u32 = 3;

/// Which of the voters cast `ballot`.
pub(super) fn voter(ballot: Ballot) -> usize {
    (ballot / VOICES_COUNT) as usize
}

/// How.
pub(super) fn voice(ballot: Ballot) -> Voice {
    VOICES[(ballot % VOICES_COUNT) as usize]
}

/// An input whose votes are exchanged, one state after the other, without copying them.
pub(super) struct Ballots {
    input: Input,
    /// The votes in `input`, in order.
    cast: Vec<Ballot>,
    /// All votes there could be; a hole where one is in `input`.
    idle: Vec<Option<Vote>>,
}

impl Ballots {
    pub(super) fn new(input: Input, voters: &[Principal]) -> Self {
        let vote = |voter: &Principal, voice: Voice| Vote {
            voter: voter.clone(),
            choice: if matches!(voice, Voice::Reject) { Choice::Reject } else { Choice::Approve },
            forced: matches!(voice, Voice::Force),
            // A forced vote always has one.
            comment: "because".to_owned(),
            cast_at: input.request.submitted_at,
            attributes: Vec::new(),
        };
        let of_voter = |voter| VOICES.map(|voice| Some(vote(voter, voice)));
        let idle = voters.iter().flat_map(of_voter).collect();
        Self { input, cast: Vec::new(), idle }
    }

    /// The input with exactly these votes, in this order.
    pub(super) fn with(&mut self, ballots: &[Ballot]) -> &Input {
        let same = self.cast.iter().zip(ballots).take_while(|(one, other)| one == other).count();
        for (ballot, vote) in self.cast.drain(same..).zip(self.input.votes.drain(same..)) {
            self.idle[ballot as usize] = Some(vote);
        }
        for ballot in &ballots[same..] {
            if let Some(vote) = self.idle[*ballot as usize].take() {
                self.cast.push(*ballot);
                self.input.votes.push(vote);
            }
        }
        &self.input
    }
}
