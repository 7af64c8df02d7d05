//! Write an approval policy in plain Rust.
//!
//! A policy is a config type and a pure function. Both run natively under
//! `cargo test`; built for `wasm32-unknown-unknown` the same crate exports the
//! contract of `wit/v1/policy.wit`.
//!
//! ```
//! use quorate_kit::{Audience, Input, Requirement, Verdict};
//!
//! /// One approval by anybody in the group.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! pub struct Config {
//!     /// Who may approve.
//!     group: String,
//! }
//!
//! pub fn evaluate(config: &Config, input: &Input) -> Verdict {
//!     let group = Audience::groups([&config.group]);
//!     match input.approvals().find(|vote| vote.voter.is_in(&config.group)) {
//!         Some(_) => Verdict::approve(),
//!         None => Verdict::wait(vec![vec![Requirement::new(1, group.clone())]]),
//!     }
//!     .voters(group)
//! }
//!
//! quorate_kit::policy! {
//!     config: Config,
//!     evaluate: evaluate,
//! }
//! # fn main() {}
//! ```
//!
//! | module | is |
//! |---|---|
//! | [`Input`] and its parts | what a policy may see |
//! | [`Verdict`] and its parts | what it answers |
//! | [`AccessDuration`] | a length of access in a config, written `2h` |
//! | [`testing`] | inputs for an author's tests |
//! | `vectors` | vector files: what a policy must say, case by case; natively only |
//!
//! Not here: a clock, randomness, files, the network. A policy that reaches for
//! them traps, and a trap is never an approval.

mod duration;
mod input;
pub mod testing;
#[cfg(not(target_family = "wasm"))]
pub mod vectors;
mod verdict;

#[cfg(target_family = "wasm")]
mod heap;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod __contract;
#[doc(hidden)]
pub mod __glue;

pub use duration::{AccessDuration, BadDuration};
pub use input::{
    Access, Attribute, Choice, Command, Fact, Input, PastRequest, Principal, Request, Target, Vote,
};
pub use verdict::{Audience, EvidenceNeeds, Finding, Obligation, Outcome, Requirement, Verdict, Way};

/// A JSON text.
pub type Json = String;
/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Instant = u64;
/// A length of time in whole seconds.
pub type Seconds = u64;

/// Writes a line that the gateway keeps with the evaluation. Natively it goes to
/// standard error, where `cargo test` captures it.
pub fn log(message: &str) {
    #[cfg(target_family = "wasm")]
    __contract::quorate::policy::host::log(message);
    #[cfg(not(target_family = "wasm"))]
    eprintln!("{message}");
}

/// Makes a crate a policy. `check` and `evidence` may be left out.
///
/// - `config`: a type with `serde::Deserialize` and `schemars::JsonSchema`;
/// - `evaluate`: `fn(&Config, &Input) -> Verdict`;
/// - `check`: `fn(&Config) -> Vec<Finding>`, what a schema cannot say;
/// - `evidence`: `fn() -> EvidenceNeeds`, what the gateway gathers before a call.
#[macro_export]
macro_rules! policy {
    (config: $config:ty, evaluate: $evaluate:expr $(, check: $check:expr)? $(, evidence: $evidence:expr)? $(,)?) => {
        // Outside of WebAssembly nothing is exported, but the types must fit, so
        // that `cargo test` finds what the build would.
        const _: () = {
            const EVALUATE: fn(&$config, &$crate::Input) -> $crate::Verdict = $evaluate;
            const CHECK: fn(&$config) -> ::std::vec::Vec<$crate::Finding> =
                $crate::__or!($($check)?, |_| ::std::vec::Vec::new());
            const EVIDENCE: fn() -> $crate::EvidenceNeeds =
                $crate::__or!($($evidence)?, $crate::EvidenceNeeds::default);

            #[cfg(not(target_family = "wasm"))]
            const _: (
                fn(&$config, &$crate::Input) -> $crate::Verdict,
                fn(&$config) -> ::std::vec::Vec<$crate::Finding>,
                fn() -> $crate::EvidenceNeeds,
            ) = (EVALUATE, CHECK, EVIDENCE);

            #[cfg(target_family = "wasm")]
            struct Policy;

            #[cfg(target_family = "wasm")]
            impl $crate::__contract::exports::quorate::policy::rule::Guest for Policy {
                fn evaluate(config: ::std::string::String, input: $crate::Input) -> $crate::Verdict {
                    $crate::__glue::evaluate(config, input, EVALUATE)
                }
            }

            #[cfg(target_family = "wasm")]
            impl $crate::__contract::exports::quorate::policy::settings::Guest for Policy {
                fn schema() -> ::std::string::String {
                    $crate::__glue::schema::<$config>()
                }
                fn check(config: ::std::string::String) -> ::std::vec::Vec<$crate::Finding> {
                    $crate::__glue::check(&config, CHECK)
                }
                fn evidence() -> $crate::EvidenceNeeds {
                    $crate::__glue::evidence(EVIDENCE)
                }
            }

            #[cfg(target_family = "wasm")]
            $crate::__contract::__export!(Policy with_types_in $crate::__contract);
        };
    };
}

/// The first of the two that is there.
#[doc(hidden)]
#[macro_export]
macro_rules! __or {
    ($given:expr, $default:expr) => {
        $given
    };
    (, $default:expr) => {
        $default
    };
}
