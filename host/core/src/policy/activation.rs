//! An activation that somebody else has to approve: the words it is asked in, and what of the
//! approval stays with it.
//!
//! It is asked for as a command, so that everything that holds for commands holds for it:
//! what approvers read is all of it, they approve exactly that, and it is done once. Nothing
//! is run for it. That it has to be approved at all is the gateway's to know.

use serde::{Deserialize, Serialize};

use super::Demand;
use crate::ids::{Digest, PolicyName, RequestId, UserId};
use crate::input::Command;

const VERB: &str = "activate";
const MIN_SAMPLES: &str = "--min-samples";
const NO_DIFFERENCES: &str = "--no-differences";

/// A version that is to decide, and what must hold when it is made to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Of which policy.
    pub policy: PolicyName,
    /// Which version.
    pub digest: Digest,
    /// What its shadow must have seen.
    pub demand: Demand,
}

/// The request under which a version was made active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// Which.
    pub request: RequestId,
    /// Whose approvals were on record, in the order they came.
    pub approvers: Vec<UserId>,
}

impl Activation {
    /// All of it, as the command that is approved.
    pub fn command(&self) -> Command {
        let mut arguments = vec![VERB.to_owned(), self.policy.to_string(), self.digest.to_string()];
        if self.demand.samples_min > 0 {
            arguments.extend([MIN_SAMPLES.to_owned(), self.demand.samples_min.to_string()]);
        }
        if self.demand.no_differences {
            arguments.push(NO_DIFFERENCES.to_owned());
        }
        Command { text: String::new(), arguments }
    }

    /// What `command` asks for, where it is exactly how that is written.
    pub fn read(command: &Command) -> Option<Self> {
        let mut words = command.arguments.iter().map(String::as_str);
        if words.next()? != VERB {
            return None;
        }
        let (policy, digest) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let mut demand = Demand::default();
        while let Some(word) = words.next() {
            match word {
                MIN_SAMPLES => demand.samples_min = words.next()?.parse().ok()?,
                NO_DIFFERENCES => demand.no_differences = true,
                _ => return None,
            }
        }
        Some(Self { policy, digest, demand }).filter(|activation| activation.command() == *command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Command {
        Command { text: String::new(), arguments: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    #[test]
    fn an_activation_reads_back_what_it_writes() {
        for demand in [
            Demand::default(),
            Demand { samples_min: 100, no_differences: false },
            Demand { samples_min: 7, no_differences: true },
        ] {
            let activation = Activation { policy: "p".parse().unwrap(), digest: Digest::of(b"x"), demand };
            assert_eq!(Activation::read(&activation.command()), Some(activation));
        }
    }

    #[test]
    fn what_is_not_written_like_one_is_none() {
        let digest = Digest::of(b"x").to_string();
        assert!(Activation::read(&command(&["activate", "p", &digest])).is_some());
        for words in [
            &["activate", "p"][..],
            &["activate", "p", "abcdef12"],
            &["activate", "p", &digest.to_uppercase()],
            &["activate", "p", &digest, "--min-samples"],
            &["activate", "p", &digest, "--min-samples", "0"],
            &["activate", "p", &digest, "--min-samples", "007"],
            &["activate", "p", &digest, "--no-differences", "--no-differences"],
            &["activate", "p", &digest, "--force"],
            &["deactivate", "p", &digest],
            &[],
        ] {
            assert_eq!(Activation::read(&command(words)), None, "{words:?}");
        }
        let text = Command { text: "select 1".into(), ..command(&["activate", "p", &digest]) };
        assert_eq!(Activation::read(&text), None);
    }
}
