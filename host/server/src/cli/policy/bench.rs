//! `quorate policy bench`: what the questions of vector files cost on this machine, with
//! the gateway's own evaluator.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use quorate_core::input::Input;
use quorate_kit::vectors::{self, File};
use serde_json::json;

use super::component::{self, Component};
use crate::cli::Context;
use crate::cli::exit::{Ending, Failure};
use crate::cli::words;

/// What to measure.
#[derive(Debug, Args)]
pub(in crate::cli) struct Bench {
    /// A component, or the folder of a policy project, which is built first
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Vector files, or folders of them; else those of the project, or those in the component
    #[arg(long, value_name = "FILE")]
    vectors: Vec<PathBuf>,
    /// How long to measure, in seconds
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

/// What was measured, over all questions.
struct Measured {
    questions: usize,
    evaluations: usize,
    faults: usize,
    times: Vec<Duration>,
    fuel: Vec<u64>,
    took: Duration,
}

impl Bench {
    /// Runs the verb.
    pub(super) async fn run(self, context: &Context) -> Ending {
        let Component { bytes, vectors: found } = component::of(context, &self.path).await?;
        let files = if self.vectors.is_empty() { found } else { component::vector_files(&self.vectors)? };
        let seconds = self.seconds;
        context.screen.say(&context.screen.err.dim(&format!("measuring for {seconds} s")));
        let measured = tokio::task::spawn_blocking(move || {
            let policy = super::loaded(&bytes)?;
            Ok::<_, Failure>(measure(&policy, &questions(&files)?, Duration::from_secs(seconds)))
        });
        let measured = measured.await.map_err(|error| Failure::failed(error.to_string()))??;
        let value = json!({
            "questions": measured.questions, "evaluations": measured.evaluations, "faults": measured.faults,
            "median_ns": nanoseconds(measured.time(50)), "p99_ns": nanoseconds(measured.time(99)),
            "fuel_median": measured.fuel(50), "fuel_max": measured.fuel(100),
            "evaluations_per_second": measured.per_second(),
        });
        context.screen.result(&value, || measured.in_words())
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Every question of the files, as the gateway would put it.
fn questions(files: &[(String, String)]) -> Result<Vec<(String, Input)>, Failure> {
    let mut questions = Vec::new();
    for (file, part) in component::documents(files, File::parse_strictly)? {
        for (config, input) in vectors::inputs(&part).map_err(|error| component::refused(file, error))? {
            let input = quorate_policy::vectors::input(input)
                .map_err(|why| component::refused(file, words::clean(&why)))?;
            questions.push((config, input));
        }
    }
    if questions.is_empty() {
        return Err(Failure::usage("there is nothing to ask: give vector files with --vectors"));
    }
    Ok(questions)
}

/// Asks all questions in turns until the time is up, each at least once.
fn measure(policy: &quorate_policy::Policy, questions: &[(String, Input)], time: Duration) -> Measured {
    let started = Instant::now();
    let (mut times, mut fuel, mut faults) = (Vec::new(), Vec::new(), 0);
    while times.is_empty() || started.elapsed() < time {
        for (config, input) in questions {
            let asked = Instant::now();
            let evaluation = policy.evaluate(black_box(config), black_box(input));
            times.push(asked.elapsed());
            fuel.push(evaluation.fuel_used);
            faults += usize::from(evaluation.verdict.is_err());
        }
    }
    let took = started.elapsed();
    times.sort_unstable();
    fuel.sort_unstable();
    Measured { questions: questions.len(), evaluations: times.len(), faults, times, fuel, took }
}

impl Measured {
    fn time(&self, percent: usize) -> Duration {
        at(&self.times, percent)
    }

    fn fuel(&self, percent: usize) -> u64 {
        at(&self.fuel, percent)
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is read"
    )]
    fn per_second(&self) -> u64 {
        (self.evaluations as f64 / self.took.as_secs_f64()) as u64
    }

    fn in_words(&self) -> String {
        let mut facts = vec![
            ("median", format!("{:.1?}", self.time(50))),
            ("p99", format!("{:.1?}", self.time(99))),
            ("fuel", format!("{} median, {} at most", self.fuel(50), self.fuel(100))),
            ("rate", format!("{} evaluations a second on one core", self.per_second())),
            (
                "asked",
                format!(
                    "{}, {}",
                    words::count(self.questions, "question"),
                    words::count(self.evaluations, "evaluation")
                ),
            ),
        ];
        if self.faults > 0 {
            facts.push(("faults", words::count(self.faults, "evaluation")));
        }
        words::facts(&facts)
    }
}

/// The value that so many percent of `sorted` do not exceed.
fn at<T: Copy + Default>(sorted: &[T], percent: usize) -> T {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_asked_and_counted() {
        let file = "people: {ann: [dev], bob: [dba]}\nconfig: {groups: [dba]}\ncases:\n\
                    - {name: a, requester: ann, steps: [{expect: wait}, {approve: bob}, {expect: approve}]}\n\
                    - {name: b, requester: ann, config: {}, expect: fault}\n";
        let questions = questions(&[("a.yaml".to_owned(), file.to_owned())]).unwrap();
        let built_in = quorate_bundle::BUILT_IN.iter().find(|one| one.name == "group-quorum").unwrap();
        let policy = crate::cli::policy::loaded(built_in.component).unwrap();
        let measured = measure(&policy, &questions, Duration::ZERO);
        assert_eq!((measured.questions, measured.evaluations, measured.faults), (3, 3, 1));
        assert!(measured.fuel(100) >= measured.fuel(50) && measured.fuel(50) > 0);
        assert!(measured.in_words().contains("faults"), "{}", measured.in_words());
    }

    #[test]
    fn percentiles_are_taken_from_what_was_measured() {
        assert_eq!((at(&[1, 2, 3, 4], 50), at(&[1, 2, 3, 4], 100), at::<u64>(&[], 50)), (3, 4, 0));
    }
}
