//! The life of an access request, as pure functions.
//!
//! | module | is |
//! |---|---|
//! | [`ids`] | names and digests |
//! | [`duration`] | how long access is asked for, and how people write it |
//! | [`input`] | everything a policy may see |
//! | [`verdict`] | one policy's answer |
//! | [`decision`] | the verdicts of all policies of all rules, combined |
//! | [`notice`] | what a policy wants people to be told |
//! | [`replay`] | a recorded decision against the same policies asked again |
//! | [`backtest`] | a recorded decision with a candidate in the place of a policy |
//! | [`people`] | who could meet a requirement |
//! | [`what_if`] | the smallest sets of people whose votes would do |
//! | [`user`], [`resource`], [`rule`], [`policy`], [`channel`] | what operators configure |
//! | [`request`] | the life of a request: states, steps, guard-rails |
//! | [`session`] | a live connection under a grant |
//! | [`text`] | texts from outside, made fit to be shown |
//! | [`entry`] | what the ledger records; [`entry::Step`] is the only thing it appends |
//!
//! Not here: I/O, async, clocks, randomness. `now` and ids are arguments.

pub mod backtest;
pub mod channel;
pub mod decision;
pub mod duration;
pub mod entry;
pub mod ids;
pub mod input;
pub mod notice;
pub mod people;
pub mod policy;
pub mod refused;
pub mod replay;
pub mod request;
pub mod resource;
pub mod rule;
pub mod session;
pub mod text;
pub mod user;
pub mod verdict;
pub mod what_if;

pub use jiff::Timestamp;
