//! How long decisions take: all engines in one run, in turns, so that whatever else the
//! machine does falls on all of them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::engines::{Engine, REFERENCE};
use crate::inputs::Named;

/// How long the decisions of one engine on one input took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// Half of them took no longer.
    pub(crate) median: Duration,
    /// All but one in a hundred took no longer.
    pub(crate) p99: Duration,
}

/// Stops where an engine does not say about an input what the component says.
pub(crate) fn check(engines: &mut [Box<dyn Engine>], inputs: &[Named]) -> anyhow::Result<()> {
    for Named { name, input } in inputs {
        let mut reference = engines.iter_mut().find(|engine| engine.about().name == REFERENCE);
        let reference = reference.as_mut().context("the component is not among the engines")?;
        let expected = reference.decide(input)?;
        for engine in &mut *engines {
            let engine_name = engine.about().name;
            let answer =
                engine.decide(input).with_context(|| format!("`{engine_name}` does not decide `{name}`"))?;
            if !answer.agrees(&expected) {
                bail!("`{engine_name}` says of `{name}`: {answer}; the component says: {expected}");
            }
        }
    }
    Ok(())
}

/// The times of each engine on each input.
pub(crate) fn all(
    engines: &mut [Box<dyn Engine>],
    inputs: &[Named],
    rounds: u32,
) -> anyhow::Result<Vec<Vec<Times>>> {
    let mut taken = vec![vec![Vec::with_capacity(rounds as usize); inputs.len()]; engines.len()];
    // A tenth more at the beginning, which is not counted.
    let warm_up = rounds.div_ceil(10);
    for round in 0..warm_up + rounds {
        for (nth_input, Named { input, .. }) in inputs.iter().enumerate() {
            // Another one begins each round, so that none always follows the same one.
            for turn in 0..engines.len() {
                let nth = (turn + round as usize) % engines.len();
                let engine = &mut engines[nth];
                engine.get_ready();
                let start = Instant::now();
                let answer = engine.decide(black_box(input));
                let time = start.elapsed();
                black_box(answer)?;
                if round >= warm_up {
                    taken[nth][nth_input].push(time);
                }
            }
        }
    }
    Ok(taken.into_iter().map(|inputs| inputs.into_iter().map(times).collect()).collect())
}

fn times(mut taken: Vec<Duration>) -> Times {
    taken.sort_unstable();
    let at = |percent: usize| taken.get(taken.len() * percent / 100).copied().unwrap_or_default();
    Times { median: at(50), p99: at(99) }
}
