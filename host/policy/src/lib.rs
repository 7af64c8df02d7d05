//! Loads, limits and evaluates policy components: the same code in the gateway and
//! in an author's tools, so that what passes there is what runs here.
//!
//! | module | is |
//! |---|---|
//! | [`runtime`] | what a process has one of: the engine, its pool, its cache |
//! | [`limits`] | what one evaluation may use |
//! | [`load`] | from bytes to a policy, one check after the other |
//! | [`policy`] | a loaded policy: evaluate, check, what it says about itself |
//! | [`config`] | whether a policy accepts a config |
//! | [`set`] | the active policies, swapped at once |
//! | [`vectors`] | an author's vector files on a component |
//! | [`expressions`] | the properties that an author's worlds bring along |
//! | [`signature`] | who vouches for a component |
//! | `abi` | the versions of the contract, and whether a component keeps to one |
//! | `engine`, `call`, `permits` | how every call is limited |
//! | `instances` | a fresh instance for every call |
//! | [`series`], `anew` | many calls in a row, in one instance that begins anew with each |
//! | `fault` | from what went wrong to a stable code |
//! | `cache` | compiled components on disk |
//!
//! Not here: HTTP, storage of components, time and who may load what. Everything is
//! synchronous; callers on an async runtime move it to a blocking thread.

mod abi;
mod anew;
mod cache;
mod call;
pub mod config;
mod engine;
pub mod expressions;
mod fault;
mod instances;
pub mod limits;
pub mod load;
mod metadata;
mod permits;
pub mod policy;
mod random;
pub mod runtime;
mod sections;
pub mod series;
pub mod set;
pub mod signature;
pub mod vectors;

pub use limits::Limits;
pub use load::LoadError;
pub use metadata::Metadata;
pub use policy::{Evaluation, Policy};
pub use runtime::{Runtime, RuntimeError};
pub use sections::imports;
pub use series::Series;
pub use set::{Active, ActiveSet};
