//! The versions of the contract between the gateway and a policy.
//!
//! One folder per version, frozen when it is released. There is one so far; a
//! second would stand beside it, convert to and from the same words of the core,
//! and be chosen by the package version that a component exports.

mod contract;
pub(crate) mod v1;

pub(crate) use contract::{Contract, Mismatch};
