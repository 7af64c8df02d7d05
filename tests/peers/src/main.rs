//! One decision, the same rule, in other engines that can be had as libraries.
//!
//! | module | is |
//! |---|---|
//! | `inputs` | what is decided |
//! | `engines` | who decides, one file each; their rules are in `rules/` |
//! | `values` | an input in the values of a language, an answer out of them |
//! | `answer` | what an engine said, as far as it can say it |
//! | `measure` | whether they agree, and how long they take |
//! | `show` | tables and JSON |

mod answer;
mod engines;
mod inputs;
mod measure;
mod show;
mod values;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

/// Let other engines decide by the rule of the built-in policy group-quorum, and measure
/// one decision of each. Stops where one of them decides otherwise than the component.
#[derive(Parser)]
#[command(name = "peers")]
struct Args {
    /// How often each engine decides each input; 100 for a quick look
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rounds: u32,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let mut engines = engines::all()?;
    let inputs = inputs::all()?;
    measure::check(&mut engines, &inputs)?;
    let times = measure::all(&mut engines, &inputs, args.rounds)?;
    let engines = engines.iter().map(|engine| engine.about()).collect();
    let run = show::Run { engines, inputs: &inputs, times, rounds: args.rounds };
    let text = if args.json { format!("{:#}\n", run.json()) } else { run.text() };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_says_of_every_input_what_the_component_says() {
        measure::check(&mut engines::all().unwrap(), &inputs::all().unwrap()).unwrap();
    }

    #[test]
    fn the_inputs_have_every_outcome() {
        let mut engines = engines::all().unwrap();
        let component = engines.iter_mut().find(|engine| engine.about().name == engines::REFERENCE).unwrap();
        let answers: Vec<String> = inputs::all()
            .unwrap()
            .iter()
            .map(|named| format!("{}: {}", named.name, component.decide(&named.input).unwrap()))
            .collect();
        assert_eq!(
            answers,
            [
                "no vote: wait for dba and security",
                "one vote: wait for security",
                "one in both: wait for security, or for dba",
                "two people: approve",
                "three votes: approve",
                "a rejection: deny: rejected by sam: not today",
                "an outsider: wait for dba",
            ]
        );
    }
}
